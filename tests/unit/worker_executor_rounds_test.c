/* The executor: the end of each delivery is put out once, in the round of the delivery. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

/* So many deliveries of the round have ended by the outputs of the last run. */
static void expect_ended(const executor_driver_t *d, uint32_t round, uint32_t expected)
{
    uint32_t count = 0;
    for (const work_output_t *output = d->outputs; output; output = output->next) {
        count += output->kind == OUTPUT_RESULTS && output->round == round ? output->count : 0;
    }
    assert_int_equal(count, expected);
}

static void results_bear_the_rounds_of_their_deliveries(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->round = 1;
    exec_durable(d, "a", "Wait");
    d->round = 2;
    exec_add(d, "a", 1); /* it waits for the one before it */
    exec_add(d, "b", 1);
    exec_durable(d, "b", "Break");
    exec_durable(d, "b", "None"); /* there is no such message */
    exec_run(d);
    expect_ended(d, 1, 0);
    expect_ended(d, 2, 3);
    d->round = 3;
    exec_add(d, "b", 1);
    exec_complete(d, 5);
    exec_run(d);
    expect_ended(d, 1, 1);
    expect_ended(d, 2, 1);
    expect_ended(d, 3, 1);
}

static void what_is_not_taken_has_ended(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->round = 1;
    exec_durable(d, "a", "Wait");
    for (int i = 0; i < 3; i++) {
        exec_volatile(d, "a", "Fail"); /* one too many for the mailbox */
    }
    exec_give(d, "b", "Fail", 9, 1, REQUEST_DURABLE, (fabric_bytes_t){NULL, 0}); /* not owned */
    exec_run(d);
    expect_ended(d, 1, 2);
    exec_stop(d, 1, d->now_ms + 500);
    exec_run(d);
    d->now_ms += 500;
    exec_run(d);
    expect_ended(d, 1, 3); /* the two that have waited, and the handler that is given up */
    fabric_pending_fail(&d->pending, 1, "too late");
    exec_run(d);
    expect_ended(d, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(results_bear_the_rounds_of_their_deliveries),
        EXECUTOR_TEST(what_is_not_taken_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
