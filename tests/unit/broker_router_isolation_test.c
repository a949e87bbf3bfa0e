/* Unexplained ends of workers: a message that was in flight at two of them is isolated, and ends in
 * isolation are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/address.h"
#include "tests/unit/poison_driver.h"

/* ---- ends that nobody explains ---- */

static void the_first_unexplained_end_changes_nothing(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"a", 0, 0}, {"b", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_die(driver, "w1");
    poison_expect_no_counts(driver);
    driver_worker(driver, "w2", 102);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(poison_expect_delivery(driver, "w2", i)->attempt, 1);
    }
    assert_int_equal(driver_counters(driver).runner_deaths, 1);
    driver_close(&driver);
}

static void a_report_without_a_culprit_is_no_explanation(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"b", 0, 0});
    driver_worker(driver, "w1", 101);
    driver_crashed(driver, 101, NULL, 0, "signal 9 (Killed)");
    driver_worker(driver, "w2", 102); /* at once */
    poison_expect_delivery(driver, "w2", 0);
    poison_expect_delivery(driver, "w2", 1);
    driver_crashed(driver, 102, NULL, 0, "signal 9 (Killed)");
    driver_worker(driver, "w3", 103);
    poison_expect_delivery(driver, "w3", 0);
    poison_expect_none(driver, "w3"); /* in isolation */
    driver_crashed(driver, 103, NULL, 0, "signal 9 (Killed)");
    poison_expect_counts(driver, 0, 0, 1);
    driver_close(&driver);
}

static void after_the_second_one_it_is_isolated(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_ask(driver, "c1", 1, "n", REQUEST_DURABLE);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_delivery(driver, "w1", 0);
    poison_expect_none(driver, "w1");
    driver_commit(driver); /* "n" is accepted, and waits */
    driver_ask(driver, "c1", 2, "v", 0);
    driver_pass_alive(driver, 1000, poison_everyone);
    poison_expect_none(driver, "w1");
    poison_answer(driver, "w1", a);
    const message_deliver_t *b = poison_expect_delivery(driver, "w1", 1); /* nothing overtakes it */
    poison_expect_none(driver, "w1");
    poison_answer(driver, "w1", b);
    driver_delivery(driver, "w1"); /* "n" and "v" */
    driver_delivery(driver, "w1");
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

static void desire_shard(driver_t *driver, uint16_t number, unsigned worker)
{
    router_desire(driver->router, "Counter", shard_id_make(1, number), driver_runner(worker),
                  driver->now_ms);
    driver_pull(driver);
}

static void it_waits_for_what_is_in_flight_before_it(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", 0, 0});
    poison_die_twice(driver);
    driver_worker_hello(driver, "w1", 103, 1, 1000);
    char id[8] = "v0"; /* of the second shard */
    while (address_shard_number(fabric_bytes_of(id), DRIVER_SHARDS) != 2) {
        id[1]++;
    }
    desire_shard(driver, 2, 103);
    driver_ask(driver, "c1", 1, id, 0);
    const message_deliver_t *other = driver_delivery(driver, "w1");
    desire_shard(driver, 1, 103);
    poison_expect_none(driver, "w1");
    poison_answer(driver, "w1", other);
    poison_expect_delivery(driver, "w1", 0);
    driver_close(&driver);
}

/* A dead letter takes five ends: two unexplained ones beside other messages, three in isolation. */
static void ends_in_isolation_are_counted(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    for (unsigned i = 0; i < CRASHES_MAX; i++) {
        const char *worker = i % 2 ? "w2" : "w1";
        driver_worker(driver, worker, 103 + i);
        if (i > 0) { /* others go on, while "a" backs off */
            const message_deliver_t *b = poison_expect_delivery(driver, worker, 2);
            driver_result(driver, worker, b, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
            driver_pass_alive(driver, i * BACKOFF_MS, poison_everyone);
            while (driver_count(driver, worker, KIND_DELIVER) > 0) {
                const message_deliver_t *next = driver_delivery(driver, worker);
                if (next->request_id == FIRST_ID) {
                    assert_int_equal(next->attempt, 1 + i);
                    break;
                }
                driver_result(driver, worker, next, STATUS_NOT_TAKEN,
                              FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
            }
        } else {
            poison_expect_delivery(driver, worker, 0);
        }
        poison_expect_none(driver, worker);
        poison_die(driver, worker);
        poison_expect_counts(driver, 0, 0, i + 1); /* of no other worker */
        memset(driver->gone, 0, sizeof driver->gone);
        driver_forget(driver);
    }
    poison_expect_dead_letter(
        driver, 0, CRASHES_MAX, FABRIC_ERROR_RUNNER_UNAVAILABLE,
        "the worker crashed 3 times while it handled the message: its connection "
        "broke, and nobody has reported how it ended");
    driver_close(&driver);
}

static void what_never_left_is_not_counted(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    poison_die_twice(driver);
    driver_worker_hello(driver, "w1", 103, 1, 1000);
    driver_gone(driver,
                "w1"); /* the assignment and the delivery are what is found to be unreachable */
    driver_desire(driver, 103);
    driver_pass_alive(driver, DEAD_MS, poison_client_only);
    assert_int_equal(driver_counters(driver).runner_deaths, 3);
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

static void who_comes_through_is_not_isolated_any_more(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_delivery(driver, "w1", 0);
    driver_result(driver, "w1", a, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    poison_answer(driver, "w1", poison_expect_delivery(driver, "w1", 1));
    poison_expect_counts(driver, 0, 1, 0);
    driver_ask(driver, "c1", 1, "v", 0);
    driver_delivery(driver, "w1");
    driver_pass_alive(driver, BACKOFF_MS, poison_everyone);
    assert_int_equal(poison_expect_delivery(driver, "w1", 0)->attempt, 2); /* beside "v" */
    driver_close(&driver);
}

static void a_hand_over_of_an_isolated_message_counts_nothing(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_delivery(driver, "w1", 0);
    driver_desire(driver, 0);
    message_released_t released = {a->shard, a->home_epoch, a->owner_sequence};
    driver_send(driver, "w1", released, &released);
    poison_expect_no_counts(driver);
    driver_worker_hello(driver, "w2", 104, 1, 1000);
    driver_desire(driver, 104);
    driver_pass_alive(driver, 6000, poison_everyone);
    poison_expect_delivery(driver, "w2", 0);
    poison_die(driver, "w1"); /* which has no message any more */
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* ---- isolation is bounded ---- */

static void waiting_for_isolation_and_isolation_are_bounded(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", 0, 0}, {"t", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    poison_expect_delivery(driver, "w1", 0); /* first in isolation */
    driver_ask(driver, "c1", 1, "v", 0);
    driver_ask(driver, "c1", 2, poison_in_first_shard("s"), REQUEST_DURABLE);
    driver_commit(driver);
    driver_pass_alive(driver, LEASE_MS - 200, poison_everyone);
    poison_expect_none(driver, "w1");
    driver_pass_alive(driver, 300, poison_everyone); /* a lease is over: "t" goes, in isolation */
    poison_expect_delivery(driver, "w1", 1);
    driver_pass_alive(driver, LEASE_MS - 400, poison_everyone);
    poison_expect_none(driver, "w1");
    driver_pass_alive(driver, 500, poison_everyone); /* another one: others again */
    assert_int_equal(driver_delivery(driver, "w1")->id.data[0], 'v');
    assert_int_equal(driver_delivery(driver, "w1")->id.data[0], 's');
    poison_die(driver, "w1"); /* nothing is isolated any more */
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* Once a message has run for a lease, no isolated message waits for its end. */
static void a_message_that_has_run_for_a_lease_shares_no_isolation(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", 0, 0}, {"t", 0, 0}, {"u", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    poison_expect_delivery(driver, "w1", 0);
    driver_pass_alive(driver, LEASE_MS + 100, poison_everyone);
    poison_answer(driver, "w1", poison_expect_delivery(driver, "w1", 1));
    poison_expect_delivery(driver, "w1", 2); /* beside "s", at once */
    poison_die(driver, "w1");
    poison_expect_counts(driver, 2, 0, 1); /* and that end does not count for "s" */
    driver_close(&driver);
}

/* "n" has been in flight for a lease when "s" is isolated beside it: the end of the process counts
 * for "s" only. */
static void an_end_in_isolation_accuses_nobody_else(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *s = poison_expect_delivery(driver, "w1", 0);
    driver_ask(driver, "c1", 1, "n", REQUEST_DURABLE);
    driver_commit(driver);
    driver_pass_alive(driver, LEASE_MS + 100, poison_everyone);
    assert_int_equal(driver_delivery(driver, "w1")->id.data[0], 'n');
    driver_result(driver, "w1", s, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    driver_pass_alive(driver, LEASE_MS + 100, poison_everyone);
    poison_expect_delivery(driver, "w1", 0);
    poison_die(driver, "w1");
    poison_expect_counts(driver, 0, 0, 1);
    driver_worker(driver, "w2", 104);
    assert_int_equal(driver_delivery(driver, "w2")->id.data[0], 'n');
    poison_die(driver, "w2"); /* the first end that counts for "n" */
    poison_expect_no_counts(driver);
    driver_worker(driver, "w3", 105);
    assert_int_equal(driver_delivery(driver, "w3")->id.data[0], 'n');
    driver_ask(driver, "c1", 2, "v", 0);
    assert_int_equal(driver_delivery(driver, "w3")->id.data[0], 'v');
    driver_close(&driver);
}

static void one_behind_others_of_its_entity_waits_for_these_only(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *first = poison_expect_delivery(driver, "w1", 0);
    driver_result(driver, "w1", first, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    poison_answer(driver, "w1", poison_expect_delivery(driver, "w1", 2));
    driver_commit(driver);
    driver_pass_alive(driver, BACKOFF_MS, poison_everyone);
    first = poison_expect_delivery(driver, "w1", 0);
    poison_expect_none(driver, "w1");
    driver_ask(driver, "c1", 1, "v", 0);
    driver_delivery(driver, "w1"); /* the runner is not kept free for the second one */
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_unexplained_end_changes_nothing),
        cmocka_unit_test(a_report_without_a_culprit_is_no_explanation),
        cmocka_unit_test(after_the_second_one_it_is_isolated),
        cmocka_unit_test(it_waits_for_what_is_in_flight_before_it),
        cmocka_unit_test(ends_in_isolation_are_counted),
        cmocka_unit_test(what_never_left_is_not_counted),
        cmocka_unit_test(who_comes_through_is_not_isolated_any_more),
        cmocka_unit_test(a_hand_over_of_an_isolated_message_counts_nothing),
        cmocka_unit_test(waiting_for_isolation_and_isolation_are_bounded),
        cmocka_unit_test(a_message_that_has_run_for_a_lease_shares_no_isolation),
        cmocka_unit_test(an_end_in_isolation_accuses_nobody_else),
        cmocka_unit_test(one_behind_others_of_its_entity_waits_for_these_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
