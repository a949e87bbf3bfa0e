/* The worker's link: a home says that a caller wants its message to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

static void interrupt(link_driver_t *d, uint64_t owner_sequence, uint64_t request_id,
                      const char *id)
{
    talk_say(d, 0, interrupt, .shard = LINK_DRIVER_SHARD, .home_epoch = 1,
             .owner_sequence = owner_sequence, .request_id = request_id,
             .type = fabric_bytes_of("T"), .id = fabric_bytes_of(id));
    talk_pass(d, 0);
}

static void deliver(link_driver_t *d, uint64_t request_id, uint64_t flags)
{
    talk_say(d, 0, deliver, .shard = LINK_DRIVER_SHARD, .home_epoch = 1, .owner_sequence = 1,
             .activation = 1, .request_id = request_id, .delivery = 1, .attempt = 1,
             .flags = REQUEST_DURABLE | flags, .type = fabric_bytes_of("T"),
             .id = fabric_bytes_of("i"), .tag = fabric_bytes_of("M"));
    talk_pass(d, 0);
}

/* The executor gets it, and puts out its end. */
static void expect_delivery(link_driver_t *d, uint64_t request_id, bool cancelled)
{
    work_t *work = link_next_work(d->link);
    assert_non_null(work);
    assert_int_equal(work->kind, WORK_DELIVERIES);
    assert_int_equal(work->deliveries[0].request_id, request_id);
    assert_int_equal(work->deliveries[0].flags, REQUEST_DURABLE | (cancelled ? WORK_CANCELLED : 0));
    work_output_t *output = work_output_new(OUTPUT_RESULTS, work->source);
    output->round = work->round;
    output->count = 1;
    message_put_result(&output->results,
                       &(message_result_t){.shard = LINK_DRIVER_SHARD, .request_id = request_id});
    work_destroy(&work);
    link_output(d->link, &output);
    talk_pass(d, 0);
    talk_expect(d, 0, KIND_RESULT);
}

static void the_executor_gets_it_behind_the_delivery(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    talk_deliver(d, 1, 7);
    interrupt(d, 1, 7, "i");
    talk_expect_work(d, WORK_DELIVERIES, 0);
    work_t *work = link_next_work(d->link);
    assert_non_null(work);
    assert_int_equal(work->kind, WORK_INTERRUPT);
    assert_int_equal(work->shard.value, LINK_DRIVER_SHARD);
    assert_true(token_equal(work->token, (token_t){1, 1}));
    assert_int_equal(work->count, 1);
    assert_int_equal(work->deliveries[0].request_id, 7);
    assert_true(fabric_bytes_equal(work->deliveries[0].id, fabric_bytes_of("i")));
    work_destroy(&work);
}

static void one_of_another_token_is_dropped(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    interrupt(d, 2, 7, "i");
    assert_null(link_next_work(d->link));
}

static void one_that_names_no_entity_is_malformed(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    interrupt(d, 1, 7, "");
    assert_null(link_next_work(d->link));
    assert_true(talk_has_event(d, LINK_EVENT_MALFORMED, FABRIC_ERROR_MALFORMED_MESSAGE));
}

/* A delivery that waits for its turn to run alone, and one that waits until that has run. */
static void deliveries_that_wait_in_the_link_are_not_begun(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    deliver(d, 7, DELIVER_ALONE);
    deliver(d, 8, 0);
    talk_expect(d, 0, KIND_ALONE_READY);
    interrupt(d, 1, 7, "i");
    interrupt(d, 1, 8, "i");
    talk_expect_work(d, WORK_INTERRUPT, 1);
    talk_expect_work(d, WORK_INTERRUPT, 1);
    talk_say(d, 0, alone_go, .shard = LINK_DRIVER_SHARD, .home_epoch = 1, .owner_sequence = 1,
             .request_id = 7);
    talk_pass(d, 0);
    expect_delivery(d, 7, true);
    talk_say(d, 0, alone_over, .shard = LINK_DRIVER_SHARD, .home_epoch = 1, .owner_sequence = 1,
             .request_id = 7);
    talk_pass(d, 0);
    expect_delivery(d, 8, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(the_executor_gets_it_behind_the_delivery),
        LINK_TEST(one_of_another_token_is_dropped),
        LINK_TEST(one_that_names_no_entity_is_malformed),
        LINK_TEST(deliveries_that_wait_in_the_link_are_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
