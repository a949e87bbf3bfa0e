/* Poison messages whose crashes are reported, and their dead letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "broker/router/poison_state.h"
#include "tests/unit/poison_driver.h"

/* ---- crashes that are reported ---- */

static void a_report_counts_only_its_message(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"b", 0, 0}, {"c", 0, 0}, {"c", 0, 0});
    driver_worker(driver, "w1", 101);
    for (uint64_t i = 0; i < 4; i++) {
        poison_expect_delivery(driver, "w1", i);
    }
    driver_gone(driver, "w1");
    driver_pass_alive(driver, REPORT_MS - 100, poison_client_only);
    driver_worker_hello(driver, "w2", 102, 1, 1000);
    driver_desire(driver, 102);
    poison_expect_none(driver, "w2");
    poison_crash(driver, 101, 1);
    assert_int_equal(poison_expect_delivery(driver, "w2", 0)->attempt, 1);
    poison_expect_delivery(driver, "w2", 2);
    poison_expect_delivery(driver, "w2", 3);
    poison_expect_counts(driver, 1, 0, 1);
    poison_expect_none(driver, "w2");
    driver_pass_alive(driver, BACKOFF_MS, poison_everyone);
    const message_deliver_t *again = poison_expect_delivery(driver, "w2", 1);
    assert_int_equal(again->attempt, 2);
    assert_int_equal(again->delivery, 3); /* loaded, w1, w2 */
    poison_expect_no_counts(driver);
    assert_int_equal(driver_counters(driver).runner_deaths, 1);
    assert_int_equal(driver_counters(driver).crashes, 1);
    driver_close(&driver);
}

static void a_crash_is_durable_before_anything_of_its_entity_is_delivered(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"a", 0, 0}, {"a", 0, 0}, {"b", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_crash(driver, 101, 1);
    driver_worker(driver, "w2", 102);
    poison_expect_delivery(driver, "w2", 3); /* another entity goes on */
    poison_expect_counts_taken(driver, 1, 0, 1);
    driver_pass_alive(driver, 2 * BACKOFF_MS, poison_everyone);
    poison_expect_none(driver, "w2");
    driver_batch_done(driver, 0);
    for (uint64_t i = 0; i < 3; i++) {
        poison_expect_delivery(driver, "w2", i);
    }
    driver_close(&driver);
}

/* The owner that did not take the entity's messages is gone, and so is the pause after its refusal.
 * The entity's backoff stays. */
static void a_crash_backs_off_after_refusals_too(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    driver_result(driver, "w1", poison_expect_delivery(driver, "w1", 0), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_INTERNAL);
    driver_pass_alive(driver, 100, poison_everyone);
    poison_expect_delivery(driver, "w1", 0);
    poison_crash(driver, 101, 0);
    driver_worker(driver, "w2", 102);
    poison_expect_counts(driver, 0, 0, 1);
    driver_pass_alive(driver, BACKOFF_MS - 100, poison_everyone);
    poison_expect_none(driver, "w2");
    driver_pass_alive(driver, 100, poison_everyone);
    poison_expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

/* The broker need not have noticed that the connection is gone. */
static void a_report_proves_the_end_of_a_connected_worker(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"b", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_expect_delivery(driver, "w1", 0);
    const message_deliver_t *other = poison_expect_delivery(driver, "w1", 1);
    poison_crash(driver, 101, 0);
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    driver_worker(driver, "w2", 102);
    poison_expect_delivery(driver, "w2", 1);
    poison_answer(driver, "w1", other); /* the result was on its way, and comes too late */
    driver_take(driver, "w1", KIND_WHO);
    assert_int_equal(driver_counters(driver).results_refused, 1);
    poison_expect_counts(driver, 0, 0, 1);
    driver_close(&driver);
}

static void a_crash_counts_once_however_often_it_is_told(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_crash(driver, 101, 0);
    poison_expect_counts(driver, 0, 0, 1);
    poison_crash(driver, 101, 0);
    driver_pass_alive(driver, BACKOFF_MS, poison_client_only);
    driver_worker(driver, "w2", 102);
    poison_expect_delivery(driver, "w2", 0);
    poison_crash(driver, 101, 0);
    poison_expect_no_counts(driver);
    assert_int_equal(driver_counters(driver).runner_deaths, 1);
    assert_int_equal(driver_counters(driver).crashes, 1);
    driver_close(&driver);
}

/* A runner's id is public; only the worker and its supervisor know its incarnation. */
static void a_report_needs_the_secret(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    const message_deliver_t *delivery = poison_expect_delivery(driver, "w1", 0);
    incarnation_t id = driver_runner(101);
    message_crashed_t forged = {.incarnation = fabric_bytes(id.bytes, sizeof id.bytes)};
    driver_send(driver, "x1", crashed, &forged);
    driver_take(driver, "x1", KIND_CRASH_NOTED);
    assert_int_equal(driver_counters(driver).runner_deaths, 0);
    poison_answer(driver, "w1", delivery);
    poison_expect_no_counts(driver);
    assert_int_equal(driver_counters(driver).ended, 1);
    driver_close(&driver);
}

static void what_was_not_in_flight_there_is_not_counted(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"b", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_answer(driver, "w1",
                  poison_expect_delivery(driver, "w1", 0)); /* its result is being committed */
    poison_expect_delivery(driver, "w1", 1);
    driver_worker_hello(driver, "w2", 102, 1, 1000);
    driver_take(driver, "w2", KIND_WELCOME);
    poison_crash(driver, 102, 1); /* which never had the message */
    const uint64_t culprits[] = {FIRST_ID, 7};
    driver_crashed(driver, 101, culprits, 2, SIGNAL);
    poison_expect_no_counts(driver);
    assert_int_equal(driver_counters(driver).runner_deaths, 2);
    assert_int_equal(driver_counters(driver).crashes, 0);
    driver_worker(driver, "w3", 103);
    poison_expect_delivery(driver, "w3", 1);
    driver_close(&driver);
}

static void several_culprits_are_counted_each_once(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"b", 0, 0}, {"c", 0, 0});
    driver_worker(driver, "w1", 101);
    const uint64_t culprits[] = {FIRST_ID + 2, FIRST_ID, FIRST_ID + 2};
    driver_crashed(driver, 101, culprits, 3, SIGNAL);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->attempt_count, 2);
    assert_int_equal(batch->attempts[0].message->id.value, FIRST_ID + 2);
    assert_int_equal(batch->attempts[0].attempts.crashes, 1);
    assert_int_equal(batch->attempts[1].message->id.value, FIRST_ID);
    assert_int_equal(batch->attempts[1].attempts.crashes, 1);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

static void a_volatile_culprit_ends_unknown(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_expect_delivery(driver, "w1", 0);
    driver_ask(driver, "c1", 1, "v", 0);
    uint64_t id = driver_delivery(driver, "w1")->request_id;
    driver_crashed(driver, 101, &id, 1, SIGNAL);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_OUTCOME_UNKNOWN);
    poison_expect_no_counts(driver);
    driver_worker(driver, "w2", 102);
    poison_expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

static void a_broker_that_stops_counts_crashes_too(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    driver_stop(driver);
    poison_crash(driver, 101, 0);
    assert_false(router_drained(driver->router));
    poison_expect_counts(driver, 0, 0, 1);
    assert_true(router_drained(driver->router));
    driver_close(&driver);
}

/* ---- the grace ---- */

static void a_supervised_worker_has_a_longer_grace(void **state)
{
    (void)state;
    for (int supervised = 0; supervised < 2; supervised++) {
        driver_t *driver = poison_open(LOADED({"a", 0, 0}), supervised);
        driver_worker(driver, "w1", 101);
        driver_gone(driver, "w1");
        driver_pass_alive(driver, DEAD_MS, poison_client_only);
        assert_int_equal(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101), !supervised);
        driver_pass_alive(driver, REPORT_MS - DEAD_MS, poison_client_only);
        assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
        driver_close(&driver);
    }
}

/* The coordinator moves shards whenever a worker joins, also while another one is missing. */
static void wanting_another_owner_meanwhile_hides_no_crash(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 60, poison_client_only);
    driver_worker_hello(driver, "w2", 102, 1, 1000);
    driver_desire(driver, 102);
    poison_expect_none(driver, "w2");
    poison_crash(driver, 101, 0);
    poison_expect_counts(driver, 0, 0, 1);
    driver_pass_alive(driver, BACKOFF_MS, (const char *const[]){"c1", "w2", NULL});
    poison_expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

static void a_late_report_counts_what_was_in_flight_there(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"b", 0, 0}, {"c", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_die(driver, "w1");
    poison_expect_no_counts(driver);
    driver_worker(driver, "w2", 102);
    const message_deliver_t *a = poison_expect_delivery(driver, "w2", 0);
    poison_answer(driver, "w2", poison_expect_delivery(driver, "w2", 1));
    driver_commit(driver);
    const uint64_t culprits[] = {FIRST_ID, FIRST_ID + 1, FIRST_ID}; /* the second one has ended */
    driver_crashed(driver, 101, culprits, 3, SIGNAL);
    poison_expect_counts(driver, 0, 0, 1);
    driver_crashed(driver, 101, culprits, 3, SIGNAL);
    poison_expect_no_counts(driver);
    poison_answer(driver, "w2", a);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).ended, 2);
    assert_int_equal(driver_counters(driver).crashes, 1);
    driver_close(&driver);
}

/* The crash is reported now, so the end of the process is not unexplained any more. */
static void a_late_report_explains_the_end(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_die(driver, "w1");
    poison_crash(driver, 101, 0);
    driver_commit(driver);
    driver_worker(driver, "w2", 102);
    poison_expect_delivery(driver, "w2", 0);
    poison_die(driver, "w2");
    driver_worker(driver, "w3", 103);
    poison_expect_delivery(driver, "w3", 0);
    driver_ask(driver, "c1", 1, "v", 0);
    driver_delivery(driver, "w3"); /* one unexplained end is no reason for isolation */
    driver_close(&driver);
}

static void the_last_lost_runners_are_remembered(void **state)
{
    (void)state;
    for (unsigned others = LOST_RUNNERS_MAX - 1; others <= LOST_RUNNERS_MAX; others++) {
        driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
        driver_worker(driver, "w1", 101);
        poison_die(driver, "w1");
        driver_forget(driver);
        for (unsigned i = 0; i < others; i++) {
            driver_worker_hello(driver, "w2", 102 + i, 1, 1000);
            driver_take(driver, "w2", KIND_WELCOME);
            driver_crashed(driver, 102 + i, NULL, 0, "exit status 1");
        }
        poison_crash(driver, 101, 0);
        assert_int_equal(driver_counters(driver).crashes, others < LOST_RUNNERS_MAX);
        driver_close(&driver);
    }
}

static void a_late_report_counts_nothing_twice(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    poison_die_twice(driver);
    driver_worker(driver, "w1", 103);
    poison_go(driver, "w1", poison_expect_alone(driver, "w1", 0));
    poison_die(driver, "w1");
    poison_expect_counts(driver, 0, 0, 1); /* it was isolated */
    poison_crash(driver, 103, 0);
    poison_expect_no_counts(driver);
    driver_close(&driver);
}

/* A worker's messages in flight come back at once when the worker leaves or its lease is over. A
 * report may follow. */
static void a_worker_that_leaves_or_is_silent_may_crash_too(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++) {
        driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
        driver_worker(driver, "w1", 101);
        if (leaves) {
            poison_say_goodbye(driver, "w1");
            driver_gone(driver, "w1");
            driver_pass_alive(driver, 100, poison_client_only);
        } else {
            driver_pass_alive(driver, LEASE_MS + 100, poison_client_only);
        }
        poison_expect_no_counts(driver);
        driver_worker(driver, "w2", 102);
        poison_expect_delivery(driver, "w2", 0);
        poison_crash(driver, 101, 0);
        poison_expect_counts(driver, 0, 0, 1);
        driver_close(&driver);
    }
}

/* ---- what never counts ---- */

static void expect_innocent(driver_t *driver, unsigned number)
{
    poison_expect_no_counts(driver);
    assert_int_equal(driver_counters(driver).runner_deaths, 0);
    assert_int_equal(driver_counters(driver).crashes, 0);
    if (number > 0) {
        driver_worker(driver, "w9", number);
    }
    poison_expect_delivery(driver, "w9", 0);
    driver_ask(driver, "c1", 1, "v", 0);
    driver_delivery(driver, "w9"); /* not in isolation */
    driver_close(&driver);
}

static void silence_is_no_crash(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    for (unsigned i = 0; i < 3; i++) {
        driver_worker(driver, "w1", 101 + i);
        driver_pass_alive(driver, LEASE_MS + 100, poison_client_only);
        assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101 + i));
        driver_forget(driver);
    }
    expect_innocent(driver, 109);
}

static void a_link_that_flaps_is_no_crash(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    for (unsigned i = 0; i < 3; i++) {
        driver_gone(driver, i % 2 ? "w2" : "w1");
        driver_pass_alive(driver, REPORT_MS - 100, poison_client_only);
        driver_worker_hello(driver, i == 2 ? "w9" : i ? "w1" : "w2", 101, 2 + i, 1000);
        memset(driver->gone, 0, sizeof driver->gone);
        driver_pass_alive(driver, 1000, (const char *const[]){"c1", "w1", "w2", "w9", NULL});
    }
    expect_innocent(driver, 0);
}

static void a_hand_over_is_no_crash(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    for (unsigned i = 0; i < 3; i++) {
        driver_worker(driver, "w1", 101);
        const message_deliver_t *delivery = poison_expect_delivery(driver, "w1", 0);
        driver_desire(driver, 0);
        message_released_t released = {delivery->shard, delivery->home_epoch,
                                       delivery->owner_sequence};
        driver_send(driver, "w1", released, &released);
        poison_say_goodbye(driver, "w1");
        driver_pass_alive(driver, 6000, poison_everyone);
        driver_forget(driver);
    }
    expect_innocent(driver, 109);
}

static void who_says_goodbye_does_not_crash(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    for (unsigned i = 0; i < 3; i++) {
        driver_worker(driver, "w1", 101 + i);
        poison_say_goodbye(driver, "w1");
        poison_die(driver, "w1");
        memset(driver->gone, 0, sizeof driver->gone);
        driver_forget(driver);
    }
    expect_innocent(driver, 109);
}

/* ---- dead letters ---- */

static void after_the_last_crash_it_is_a_dead_letter(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"other", 0, 0});
    driver_ask(driver, "c1", 1, poison_in_first_shard("a"), REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, poison_in_first_shard("a"), REQUEST_DURABLE);
    driver_commit(driver);
    uint64_t id = 0;
    char peer[8];
    for (unsigned i = 0; i < CRASHES_MAX; i++) {
        snprintf(peer, sizeof peer, "w%u", i);
        driver_worker(driver, peer, 101 + i);
        driver_pass_alive(driver, i * BACKOFF_MS, (const char *const[]){"c1", peer, NULL});
        poison_expect_delivery(driver, peer, 0);
        const message_deliver_t *delivery = driver_delivery(driver, peer);
        assert_int_equal(delivery->attempt, 1 + i);
        id = delivery->request_id;
        driver_crashed(driver, 101 + i, &id, 1, SIGNAL);
        assert_int_equal(driver_counters(driver).dead_letters, 0);
        const lane_batch_t *batch = driver_take_batch(driver, 0);
        assert_int_equal(batch->attempt_count, 1);
        assert_int_equal(batch->end_count, 0);
        driver_batch_done(driver, 0);
    }
    static const char text[] = "the worker crashed 3 times while it handled the message: " SIGNAL;
    poison_expect_dead_letter(driver, id - FIRST_ID, CRASHES_MAX, FABRIC_ERROR_RUNNER_UNAVAILABLE,
                              text);
    const message_reply_t *reply = driver_replied(driver, "c1", 1); /* it needed no worker */
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, FABRIC_ERROR_DEAD_LETTER);
    assert_int_equal(reply->payload.size, sizeof text - 1);
    assert_memory_equal(reply->payload.data, text, sizeof text - 1);
    assert_int_equal(driver_counters(driver).dead_letters, 1);
    assert_int_equal(driver_counters(driver).crashes, CRASHES_MAX);
    driver_worker(driver, "w9", 120);
    driver_pass_alive(driver, 10 * BACKOFF_MS, (const char *const[]){"c1", "w9", NULL});
    poison_answer(driver, "w9", poison_expect_delivery(driver, "w9", 0));
    poison_answer(driver, "w9", driver_delivery(driver, "w9"));
    driver_commit(driver);
    driver_replied(driver, "c1", 2);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void crashes_and_defects_are_counted_apart(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", ATTEMPTS_MAX - 1, CRASHES_MAX - 1});
    driver_worker(driver, "w1", 101);
    const message_deliver_t *delivery = poison_expect_delivery(driver, "w1", 0);
    assert_int_equal(delivery->attempt, ATTEMPTS_MAX + CRASHES_MAX - 1);
    poison_crash(driver, 101, 0);
    poison_expect_counts(driver, 0, ATTEMPTS_MAX - 1, CRASHES_MAX);
    poison_expect_dead_letter(driver, 0, ATTEMPTS_MAX - 1 + CRASHES_MAX,
                              FABRIC_ERROR_RUNNER_UNAVAILABLE,
                              "the worker crashed 3 times while it handled the message: " SIGNAL);
    driver_close(&driver);
}

/* The home may have died after it counted the last crash, or have had a larger limit. */
static void what_an_earlier_home_has_counted_counts(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 1, CRASHES_MAX + 1}, {"b", ATTEMPTS_MAX, 0}, {"c", 1, 1});
    driver_worker(driver, "w1", 101);
    assert_int_equal(poison_expect_delivery(driver, "w1", 2)->attempt, 3);
    poison_expect_none(driver, "w1");
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->end_count, 2);
    static const char *const texts[] = {
        "the worker crashed 3 times while it handled the message",
        "given up after 3 attempts: an earlier broker knows how the last one ended"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(batch->ends[i].text.size, strlen(texts[i]));
        assert_memory_equal(batch->ends[i].text.data, texts[i], strlen(texts[i]));
    }
    assert_int_equal(batch->ends[0].cause, FABRIC_ERROR_RUNNER_UNAVAILABLE);
    assert_int_equal(batch->ends[1].cause, FABRIC_ERROR_ENTITY_DEFECT);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

/* Dead letters take their place in the order of their entity. */
static void one_that_is_given_up_waits_for_those_before_it(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0}, {"a", 0, CRASHES_MAX - 1}, {"a", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_crash(driver, 101, 1); /* the result of the first one is lost with the process */
    poison_expect_counts(driver, 1, 0, CRASHES_MAX);
    driver_worker(driver, "w2", 102);
    driver_pass_alive(driver, 10 * BACKOFF_MS, poison_everyone);
    const message_deliver_t *first = poison_expect_delivery(driver, "w2", 0);
    poison_expect_none(driver, "w2");
    assert_int_equal(driver_counters(driver).dead_letters, 0);
    poison_expect_no_counts(driver);
    poison_answer(driver, "w2", first);
    poison_expect_delivery(driver, "w2", 2);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->end_count, 2);
    assert_int_equal(batch->ends[0].message->id.value, FIRST_ID);
    assert_int_equal(batch->ends[1].message->id.value, FIRST_ID + 1);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

/* The next message need not wait for a handler that is called no more. */
static void what_follows_a_dead_letter_is_delivered_at_once(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, CRASHES_MAX - 1}, {"a", 0, 0});
    driver_worker(driver, "w1", 101);
    poison_crash(driver, 101, 0);
    driver_worker(driver, "w2", 102);
    poison_expect_counts(driver, 0, 0, CRASHES_MAX);
    poison_answer(driver, "w2", poison_expect_delivery(driver, "w2", 1));
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).dead_letters, 1);
    assert_int_equal(driver_counters(driver).ended, 2);
    driver_close(&driver);
}

/* ---- reports ---- */

static void send_report(driver_t *driver, size_t incarnation_bytes, size_t text_bytes,
                        fabric_bytes_t culprits)
{
    static const char zeros[LIMIT_CRASH_TEXT_BYTES_MAX + 1];
    message_crashed_t crashed = {.incarnation = fabric_bytes(zeros, incarnation_bytes),
                                 .culprits = culprits,
                                 .text = fabric_bytes(zeros, text_bytes)};
    driver_send(driver, "x1", crashed, &crashed);
}

static void expect_refused_report(driver_t *driver, size_t incarnation_bytes, size_t text_bytes,
                                  fabric_bytes_t culprits)
{
    send_report(driver, incarnation_bytes, text_bytes, culprits);
    assert_int_equal(driver_take(driver, "x1", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_count(driver, "x1", KIND_CRASH_NOTED), 0);
}

static void a_report_has_limits(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", 0, 0});
    for (uint32_t count = LIMIT_CRASH_CULPRITS_MAX; count < LIMIT_CRASH_CULPRITS_MAX + 2; count++) {
        wire_writer_t culprits = {0};
        wire_put_array(&culprits, count);
        for (uint32_t i = 0; i < count; i++) {
            wire_put_uint(&culprits, i);
        }
        if (count <= LIMIT_CRASH_CULPRITS_MAX) {
            send_report(driver, 16, LIMIT_CRASH_TEXT_BYTES_MAX, wire_writer_bytes(&culprits));
            driver_take(driver, "x1", KIND_CRASH_NOTED);
        } else {
            expect_refused_report(driver, 16, 0, wire_writer_bytes(&culprits));
        }
        wire_writer_destroy(&culprits);
    }
    fabric_bytes_t none = {NULL, 0};
    expect_refused_report(driver, 16, LIMIT_CRASH_TEXT_BYTES_MAX + 1, none);
    expect_refused_report(driver, 15, 0, none);
    expect_refused_report(driver, 17, 0, none);
    expect_refused_report(driver, 16, 0, fabric_bytes("\x01", 1));
    expect_refused_report(driver, 16, 0, fabric_bytes("\x92\x01", 2));
    expect_refused_report(driver, 16, 0, fabric_bytes("\x91\x01\x02", 3));
    expect_refused_report(driver, 16, 0, fabric_bytes("\x91\xa1x", 3));
    driver_close(&driver);
}

static void who_has_said_hello_reports_nothing(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    driver_worker(driver, "w1", 101);
    incarnation_t secret = driver_incarnation(101);
    message_crashed_t crashed = {.incarnation = fabric_bytes(secret.bytes, sizeof secret.bytes)};
    driver_send(driver, "w1", crashed, &crashed);
    driver_send(driver, "c1", crashed, &crashed);
    assert_int_equal(driver_counters(driver).malformed, 2);
    assert_int_equal(driver_counters(driver).runner_deaths, 0);
    poison_answer(driver, "w1", poison_expect_delivery(driver, "w1", 0));
    driver_close(&driver);
}

static void crashes_are_told_for_the_log(void **state)
{
    (void)state;
    driver_t *driver = OPEN_SUPERVISED({"a", 0, 0});
    router_crash_t crash;
    assert_false(router_next_crash(driver->router, &crash));
    driver_worker(driver, "w1", 101);
    poison_crash(driver, 101, 0);
    driver_worker(driver, "w2", 102);
    poison_die(driver, "w2");
    assert_true(router_next_crash(driver->router, &crash));
    assert_true(incarnation_equal(crash.runner, driver_runner(101)));
    assert_int_equal(crash.request_id.value, FIRST_ID);
    assert_int_equal(crash.crashes, 1);
    assert_string_equal(crash.text, SIGNAL);
    assert_int_equal(crash.type.size, 7);
    assert_memory_equal(crash.type.bytes, "Counter", 7);
    assert_memory_equal(crash.tag.bytes, "Add", 3);
    assert_int_equal(crash.entity.bytes[0], 'a');
    assert_true(router_next_crash(driver->router, &crash));
    assert_true(incarnation_equal(crash.runner, driver_runner(102)));
    assert_int_equal(crash.request_id.value, 0);
    assert_int_equal(crash.type.size, 0);
    assert_false(router_next_crash(driver->router, &crash));
    for (unsigned i = 0; i < 100; i++) { /* some are kept for the log */
        driver_worker_hello(driver, "w1", 110 + i, 1, 10);
        driver_crashed(driver, 110 + i, NULL, 0, "exit status 3");
    }
    unsigned told = 0;
    while (router_next_crash(driver->router, &crash)) {
        told++;
    }
    assert_in_range(told, 1, 99);
    assert_int_equal(driver_counters(driver).runner_deaths, 102);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_counts_only_its_message),
        cmocka_unit_test(a_crash_is_durable_before_anything_of_its_entity_is_delivered),
        cmocka_unit_test(a_crash_backs_off_after_refusals_too),
        cmocka_unit_test(a_report_proves_the_end_of_a_connected_worker),
        cmocka_unit_test(a_crash_counts_once_however_often_it_is_told),
        cmocka_unit_test(a_report_needs_the_secret),
        cmocka_unit_test(what_was_not_in_flight_there_is_not_counted),
        cmocka_unit_test(several_culprits_are_counted_each_once),
        cmocka_unit_test(a_volatile_culprit_ends_unknown),
        cmocka_unit_test(a_broker_that_stops_counts_crashes_too),
        cmocka_unit_test(a_supervised_worker_has_a_longer_grace),
        cmocka_unit_test(wanting_another_owner_meanwhile_hides_no_crash),
        cmocka_unit_test(a_late_report_counts_what_was_in_flight_there),
        cmocka_unit_test(a_late_report_explains_the_end),
        cmocka_unit_test(the_last_lost_runners_are_remembered),
        cmocka_unit_test(a_late_report_counts_nothing_twice),
        cmocka_unit_test(a_worker_that_leaves_or_is_silent_may_crash_too),
        cmocka_unit_test(silence_is_no_crash),
        cmocka_unit_test(a_link_that_flaps_is_no_crash),
        cmocka_unit_test(a_hand_over_is_no_crash),
        cmocka_unit_test(who_says_goodbye_does_not_crash),
        cmocka_unit_test(after_the_last_crash_it_is_a_dead_letter),
        cmocka_unit_test(crashes_and_defects_are_counted_apart),
        cmocka_unit_test(what_an_earlier_home_has_counted_counts),
        cmocka_unit_test(one_that_is_given_up_waits_for_those_before_it),
        cmocka_unit_test(what_follows_a_dead_letter_is_delivered_at_once),
        cmocka_unit_test(a_report_has_limits),
        cmocka_unit_test(who_has_said_hello_reports_nothing),
        cmocka_unit_test(crashes_are_told_for_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
