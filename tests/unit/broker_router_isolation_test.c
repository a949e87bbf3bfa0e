/* Unexplained ends of workers: a message that was in flight at two of them is isolated, and ends in
 * isolation are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

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
    poison_go(driver, "w3", poison_expect_alone(driver, "w3", 0));
    driver_crashed(driver, 103, NULL, 0, "signal 9 (Killed)");
    poison_expect_counts(driver, 0, 0, 1);
    driver_close(&driver);
}

static void after_the_second_one_it_is_isolated(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    const message_deliver_t *b = poison_expect_alone(driver, "w1", 1); /* it waits in the worker */
    driver_ask(driver, "c1", 1, "n", 0);
    assert_false(driver_delivery(driver, "w1")->flags & DELIVER_ALONE);
    poison_go(driver, "w1", a);
    driver_ask(driver, "c1", 2, "m", REQUEST_DURABLE);
    driver_ask(driver, "c1", 3, "v", 0);
    driver_commit(driver);
    driver_pass_alive(driver, 1000, poison_everyone);
    poison_expect_none(driver, "w1");
    poison_answer(driver, "w1", a);
    poison_expect_over(driver, "w1", a);
    driver_delivery(driver, "w1"); /* "m" and "v" */
    driver_delivery(driver, "w1");
    poison_go(driver, "w1", b);
    poison_answer(driver, "w1", b);
    poison_expect_over(driver, "w1", b);
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* What came to the same entity behind it, and what is in flight before it. */
static void it_is_alone_among_those_of_its_entity(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    poison_die_twice(driver);
    driver_ask(driver, "c1", 1, poison_in_first_shard("a"), REQUEST_DURABLE);
    driver_commit(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    poison_expect_none(driver, "w1");
    poison_go(driver, "w1", a);
    poison_answer(driver, "w1", a);
    poison_expect_over(driver, "w1", a);
    driver_delivery(driver, "w1");
    driver_close(&driver);
}

/* The end of a cancelled message, which is being appended, stands between it and the next one. */
static void it_is_alone_behind_a_cancelled_one_too(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    const char *id = poison_in_first_shard("a");
    poison_die_twice(driver);
    driver_ask(driver, "c1", 1, id, REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, id, REQUEST_DURABLE);
    driver_commit(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    message_cancel_t cancelled = {
        .sequence = 1, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of(id)};
    driver_send(driver, "c1", cancel, &cancelled);
    poison_expect_none(driver, "w1");
    driver_commit(driver);
    poison_expect_none(driver, "w1");
    poison_go(driver, "w1", a);
    poison_answer(driver, "w1", a);
    poison_expect_over(driver, "w1", a);
    driver_delivery(driver, "w1");
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
        driver_pass_alive(driver, i * BACKOFF_MS, poison_everyone); /* "a" backs off */
        const message_deliver_t *first = driver_delivery(driver, worker);
        const message_deliver_t *second = driver_delivery(driver, worker); /* "b" is one of them */
        const message_deliver_t *a = first->request_id == FIRST_ID ? first : second;
        assert_int_equal(a->request_id, FIRST_ID);
        assert_int_equal(a->attempt, 1 + i);
        poison_go(driver, worker, a);
        poison_die(driver, worker);
        poison_expect_counts(driver, 0, 0, i + 1); /* of no other message */
        memset(driver->gone, 0, sizeof driver->gone);
        driver_forget(driver);
    }
    poison_expect_dead_letter(
        driver, 0, CRASHES_MAX, FABRIC_ERROR_RUNNER_UNAVAILABLE,
        "the worker crashed 3 times while it handled the message: its connection "
        "broke, and nobody has reported how it ended");
    driver_close(&driver);
}

/* Its handler cannot have begun: some other message, of any home, ended the process. */
static void ends_before_its_turn_are_not_counted(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    for (unsigned i = 0; i < CRASHES_MAX; i++) {
        const char *worker = i % 2 ? "w2" : "w1";
        driver_worker(driver, worker, 103 + i);
        poison_expect_alone(driver, worker, 0);
        poison_die(driver, worker);
        poison_expect_no_counts(driver);
        memset(driver->gone, 0, sizeof driver->gone);
        driver_forget(driver);
    }
    driver_close(&driver);
}

static void ends_after_its_turn_are_not_counted(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    poison_go(driver, "w1", a);
    driver_result(driver, "w1", a, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    poison_expect_over(driver, "w1", a);
    poison_die(driver, "w1");
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

static void a_turn_that_nobody_learned_of_is_not_counted(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    driver_gone(driver, "w1"); /* the leave is what is found to be unreachable */
    poison_ready(driver, "w1", a);
    driver_pass_alive(driver, DEAD_MS, poison_client_only);
    assert_int_equal(driver_counters(driver).runner_deaths, 3);
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* A worker that waits for leave in vain is told to go on. */
static void a_worker_gets_leave_only_for_what_it_has(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    message_deliver_t wrong = *poison_expect_alone(driver, "w1", 0);
    const message_deliver_t right = wrong;
    wrong.owner_sequence--;
    poison_ready(driver, "w1", &wrong);
    poison_expect_over(driver, "w1", &wrong);
    wrong = right;
    wrong.shard++;
    poison_ready(driver, "w1", &wrong);
    poison_expect_over(driver, "w1", &wrong);
    wrong = right;
    wrong.request_id = 77;
    poison_ready(driver, "w1", &wrong);
    poison_expect_over(driver, "w1", &wrong);
    driver_worker_hello(driver, "w2", 104, 1, 1000);
    poison_ready(driver, "w2", &right); /* which another worker has */
    poison_expect_over(driver, "w2", &right);
    driver_ask(driver, "c1", 1, "v", 0);
    const message_deliver_t *b = poison_expect_alone(driver, "w1", 1);
    const message_deliver_t *v = driver_delivery(driver, "w1");
    poison_ready(driver, "w1", v); /* which need not be alone */
    poison_expect_over(driver, "w1", v);
    poison_go(driver, "w1", &right);
    poison_go(driver, "w1", &right); /* it says so again */
    poison_ready(driver, "w1", b);   /* one at a time */
    poison_expect_over(driver, "w1", b);
    poison_answer(driver, "w1", &right);
    poison_expect_over(driver, "w1", &right);
    poison_ready(driver, "w1", &right); /* which has ended */
    poison_expect_over(driver, "w1", &right);
    driver_close(&driver);
}

static void who_comes_through_is_not_isolated_any_more(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    poison_go(driver, "w1", a);
    driver_result(driver, "w1", a, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    poison_expect_over(driver, "w1", a);
    poison_expect_counts(driver, 0, 1, 0);
    driver_pass_alive(driver, BACKOFF_MS, poison_everyone);
    a = poison_expect_delivery(driver, "w1", 0);
    assert_int_equal(a->attempt, 2);
    assert_false(a->flags & DELIVER_ALONE);
    driver_close(&driver);
}

static void a_hand_over_of_an_isolated_message_counts_nothing(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    poison_go(driver, "w1", a);
    driver_desire(driver, 0);
    message_released_t released = {a->shard, a->home_epoch, a->owner_sequence};
    driver_send(driver, "w1", released, &released);
    poison_expect_no_counts(driver);
    driver_worker_hello(driver, "w2", 104, 1, 1000);
    driver_desire(driver, 104);
    driver_pass_alive(driver, 6000, poison_everyone);
    poison_expect_alone(driver, "w2", 0);
    poison_die(driver, "w1"); /* which has no message any more */
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* The worker goes on with other messages as soon as it has been asked to give the shard back. */
static void what_is_asked_back_has_no_turn(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    const message_deliver_t *b = poison_expect_alone(driver, "w1", 1);
    poison_go(driver, "w1", a);
    driver_desire(driver, 0);
    driver_take(driver, "w1", KIND_RELEASE);
    poison_ready(driver, "w1", b); /* no leave either */
    poison_expect_over(driver, "w1", b);
    poison_die(driver, "w1");
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* ---- isolation is bounded ---- */

static void after_a_lease_its_turn_is_over(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *a = poison_expect_alone(driver, "w1", 0);
    poison_go(driver, "w1", a);
    driver_ask(driver, "c1", 1, "v", 0);
    driver_pass_alive(driver, LEASE_MS - 100, poison_everyone);
    poison_expect_none(driver, "w1");
    poison_go(driver, "w1", a); /* said again, it changes nothing */
    driver_pass_alive(driver, 200, poison_everyone);
    assert_int_equal(driver_delivery(driver, "w1")->id.data[0], 'v');
    poison_die(driver, "w1");
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* The connection broke in time. That the worker does not come back is known later. */
static void the_end_of_the_connection_decides(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        driver_t *driver = OPEN({"a", 0, 0});
        poison_die_twice(driver);
        driver_worker(driver, "w1", 103);
        poison_go(driver, "w1", poison_expect_alone(driver, "w1", 0));
        driver_pass_alive(driver, i == 0 ? LEASE_MS - 60 : LEASE_MS - 40, poison_everyone);
        driver_gone(driver, "w1");
        driver_pass_alive(driver, i == 0 ? DEAD_MS : 60 + DEAD_MS, poison_client_only);
        if (i == 0) {
            poison_expect_counts(driver, 0, 0, 1);
        } else {
            poison_expect_no_counts(driver);
        }
        assert_int_equal(driver_counters(driver).runner_deaths, 3);
        driver_close(&driver);
    }
}

/* "n" is in flight when "s" has its turn: the end of the process counts for "s" only. */
static void an_end_in_isolation_accuses_nobody_else(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *s = poison_expect_alone(driver, "w1", 0);
    driver_ask(driver, "c1", 1, "n", REQUEST_DURABLE);
    driver_commit(driver);
    assert_int_equal(driver_delivery(driver, "w1")->id.data[0], 'n');
    poison_go(driver, "w1", s);
    poison_die(driver, "w1");
    poison_expect_counts(driver, 0, 0, 1);
    driver_worker(driver, "w2", 104);
    assert_int_equal(driver_delivery(driver, "w2")->id.data[0], 'n');
    poison_die(driver, "w2"); /* the first end that counts for "n" */
    poison_expect_no_counts(driver);
    driver_worker(driver, "w3", 105);
    const message_deliver_t *n = driver_delivery(driver, "w3");
    n = n->request_id == FIRST_ID ? driver_delivery(driver, "w3") : n;
    assert_int_equal(n->id.data[0], 'n');
    assert_false(n->flags & DELIVER_ALONE);
    driver_close(&driver);
}

static void one_behind_others_of_its_entity_waits_for_these_only(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0}, {"a", 0, 0}, {"b", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    const message_deliver_t *first = poison_expect_alone(driver, "w1", 0);
    poison_go(driver, "w1", first);
    driver_result(driver, "w1", first, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_commit(driver);
    driver_pass_alive(driver, BACKOFF_MS, poison_everyone);
    poison_expect_alone(driver, "w1", 2);
    poison_expect_delivery(driver, "w1", 0); /* not in isolation any more */
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
        cmocka_unit_test(it_is_alone_among_those_of_its_entity),
        cmocka_unit_test(it_is_alone_behind_a_cancelled_one_too),
        cmocka_unit_test(ends_in_isolation_are_counted),
        cmocka_unit_test(ends_before_its_turn_are_not_counted),
        cmocka_unit_test(ends_after_its_turn_are_not_counted),
        cmocka_unit_test(a_turn_that_nobody_learned_of_is_not_counted),
        cmocka_unit_test(a_worker_gets_leave_only_for_what_it_has),
        cmocka_unit_test(who_comes_through_is_not_isolated_any_more),
        cmocka_unit_test(a_hand_over_of_an_isolated_message_counts_nothing),
        cmocka_unit_test(what_is_asked_back_has_no_turn),
        cmocka_unit_test(after_a_lease_its_turn_is_over),
        cmocka_unit_test(the_end_of_the_connection_decides),
        cmocka_unit_test(an_end_in_isolation_accuses_nobody_else),
        cmocka_unit_test(one_behind_others_of_its_entity_waits_for_these_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
