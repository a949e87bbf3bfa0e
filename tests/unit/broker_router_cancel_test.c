/* Cancels at the home: what becomes of a message whose caller wants it to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/message.h"
#include "tests/unit/lane_driver.h"

enum { ASK = REQUEST_DURABLE, ASK_ACCEPTED = REQUEST_DURABLE | REQUEST_WANT_ACCEPTED };

static driver_t *open_pair(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    return driver;
}

static void cancel(driver_t *driver, const char *peer, uint64_t sequence, const char *id)
{
    message_cancel_t cancel = {
        .sequence = sequence, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of(id)};
    driver_send(driver, peer, cancel, &cancel);
    driver_check(driver);
}

static void assert_cancelled(driver_t *driver, const char *peer, uint64_t sequence)
{
    const message_reply_t *reply = driver_replied(driver, peer, sequence);
    assert_int_equal(reply->status, STATUS_FAILURE);
    assert_int_equal(reply->error, FABRIC_ERROR_CANCELLED);
    assert_int_equal(reply->code, 0);
}

static void assert_interrupted(driver_t *driver, const message_deliver_t *delivery)
{
    const message_interrupt_t *interrupt = &driver_take(driver, "w1", KIND_INTERRUPT)->as.interrupt;
    assert_int_equal(interrupt->request_id, delivery->request_id);
    assert_int_equal(interrupt->shard, delivery->shard);
    assert_int_equal(interrupt->home_epoch, delivery->home_epoch);
    assert_int_equal(interrupt->owner_sequence, delivery->owner_sequence);
    assert_true(fabric_bytes_equal(interrupt->type, fabric_bytes_of("Counter")));
    assert_true(fabric_bytes_equal(interrupt->id, delivery->id));
}

/* An entity "a" whose owner has as many messages as it may have; one more waits: the last. */
static uint64_t open_full(driver_t *driver, uint64_t flags)
{
    for (uint64_t i = 1; i <= 16; i++) {
        driver_ask(driver, "c1", i, "a", ASK);
    }
    driver_commit(driver);
    driver_ask(driver, "c1", 17, "a", flags);
    if (flags & ASK) {
        driver_commit(driver);
    }
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 16);
    return 17;
}

/* ---- messages that wait ---- */

static void a_queued_message_ends_at_once_and_is_never_delivered(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    uint64_t sequence = open_full(driver, ASK) + 1; /* the one behind it */
    driver_ask(driver, "c1", sequence, "a", ASK);
    driver_ask(driver, "c1", sequence + 1, "a", ASK);
    driver_commit(driver);
    cancel(driver, "c1", sequence, "a");
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0); /* not before it is durable */
    driver_commit(driver);
    assert_cancelled(driver, "c1", sequence);
    assert_int_equal(driver_counters(driver).cancelled, 1);
    assert_int_equal(driver_counters(driver).pending, 18);
    assert_int_equal(driver_count(driver, "w1", KIND_INTERRUPT), 0);
    for (uint64_t i = 1; i < sequence + 1; i++) {
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
        driver_commit(driver);
        driver_replied(driver, "c1", i < sequence ? i : i + 1);
    }
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_int_equal(driver_counters(driver).results_refused, 0);
    driver_close(&driver);
}

static void a_volatile_message_that_waits_is_refused(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    uint64_t sequence = open_full(driver, 0);
    cancel(driver, "c1", sequence, "a");
    assert_int_equal(driver_rejected(driver, "c1", sequence), FABRIC_ERROR_CANCELLED);
    driver_close(&driver);
}

static void one_that_waits_for_its_append_ends_when_it_is_stored(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK_ACCEPTED);
    cancel(driver, "c1", 1, "a");
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED);
    assert_cancelled(driver, "c1", 1);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void one_without_an_owner_ends(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    cancel(driver, "c1", 1, "a");
    driver_commit(driver);
    assert_cancelled(driver, "c1", 1);
    driver_close(&driver);
}

/* The resend is looked up. The cancel behind it counts when the message is found. */
static void one_that_is_looked_up_ends_when_it_is_found(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK | REQUEST_RESEND);
    cancel(driver, "c1", 1, "a");
    router_lookup_t lookup;
    uint32_t lane = 0;
    while (!router_take_lookup(driver->router, lane, &lookup)) {
        lane++;
    }
    router_lookup_done(driver->router, lane, FABRIC_OK, (request_id_t){0}, driver->now_ms);
    driver_pull(driver);
    driver_commit(driver); /* it was not stored: it is now, and ends */
    assert_cancelled(driver, "c1", 1);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_close(&driver);
}

/* The mark of a message that only the store has stays with its caller, until it is loaded. */
static void one_that_only_the_store_has_ends_when_it_is_loaded(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    home_t *home = home_open(&config);
    driver_t *driver = home->driver;
    uint64_t last = home_ask(home, "a", 8) + 7;
    home_append(home);
    home_checkpoint(home);
    assert_int_equal(home_counters(home).stored, 4);
    message_cancel_t message = {
        .sequence = last, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send(driver, "c", cancel, &message);
    home_worker(home);
    assert_int_equal(home_work_off(home), 7);
    for (int i = 0; i < 8; i++) { /* it ends as soon as it is in memory, before the others */
        const message_reply_t *reply = &driver_take(driver, "c", KIND_REPLY)->as.reply;
        assert_int_equal(reply->error,
                         reply->sequence == last ? FABRIC_ERROR_CANCELLED : FABRIC_OK);
    }
    assert_int_equal(home_counters(home).pending, 0);
    home_close(&home);
}

/* ---- messages in flight ---- */

static void test_sh_05_the_worker_is_told_and_the_end_is_stored(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    cancel(driver, "c1", 1, "a");
    cancel(driver, "c1", 1, "a"); /* a resend says it again */
    assert_interrupted(driver, delivery);
    assert_int_equal(driver_count(driver, "w1", KIND_INTERRUPT), 0);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_result(driver, "w1", delivery, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    driver_commit(driver);
    assert_cancelled(driver, "c1", 1);
    driver_ask(driver, "c1", 1, "a", ASK | REQUEST_RESEND);
    assert_cancelled(driver, "c1", 1); /* and a duplicate hears the same */
    assert_int_equal(driver_counters(driver).cancelled, 1);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_close(&driver);
}

static void a_result_that_is_there_stands(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    cancel(driver, "c1", 1, "a");
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    cancel(driver, "c1", 1, "a");
    assert_int_equal(driver_count(driver, "w1", KIND_INTERRUPT), 0);
    assert_int_equal(driver_counters(driver).cancelled, 0);
    driver_close(&driver);
}

static void a_handler_may_answer_all_the_same(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    cancel(driver, "c1", 1, "a");
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    driver_close(&driver);
}

/* The worker had not begun it, though others of its entity stand before it. They go on, under the
 * same activation. */
static void one_that_the_worker_had_not_begun_ends_out_of_turn(void **state)
{
    (void)state;
    static const uint64_t kinds[] = {ASK, 0};
    for (int i = 0; i < 2; i++) {
        driver_t *driver = open_pair();
        driver_ask(driver, "c1", 1, "a", ASK);
        driver_commit(driver);
        driver_ask(driver, "c1", 2, "a", kinds[i]);
        driver_commit(driver);
        driver_ask(driver, "c1", 3, "a", ASK);
        driver_commit(driver);
        const message_deliver_t *first = driver_delivery(driver, "w1");
        const message_deliver_t *second = driver_delivery(driver, "w1");
        const message_deliver_t *third = driver_delivery(driver, "w1");
        cancel(driver, "c1", 2, "a");
        assert_interrupted(driver, second);
        driver_result(driver, "w1", second, STATUS_NOT_TAKEN, FABRIC_ERROR_CANCELLED);
        driver_commit(driver);
        if (kinds[i] == ASK) {
            assert_cancelled(driver, "c1", 2);
        } else {
            assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_CANCELLED);
        }
        driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
        driver_result(driver, "w1", third, STATUS_OK, FABRIC_OK);
        driver_commit(driver);
        driver_replied(driver, "c1", 1);
        driver_replied(driver, "c1", 3);
        assert_int_equal(driver_counters(driver).results_refused, 0);
        assert_int_equal(driver_counters(driver).redelivered, 0);
        driver_close(&driver);
    }
}

/* The end of a cancelled message between two others excuses nobody. */
static void results_out_of_order_are_refused_also_behind_a_cancelled_one(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    for (uint64_t i = 1; i <= 3; i++) {
        driver_ask(driver, "c1", i, "a", ASK);
    }
    driver_commit(driver);
    (void)driver_delivery(driver, "w1");
    const message_deliver_t *second = driver_delivery(driver, "w1");
    const message_deliver_t *third = driver_delivery(driver, "w1");
    cancel(driver, "c1", 2, "a");
    driver_result(driver, "w1", second, STATUS_NOT_TAKEN, FABRIC_ERROR_CANCELLED);
    driver_result(driver, "w1", third, STATUS_OK, FABRIC_OK); /* before the first one's */
    assert_int_equal(driver_counters(driver).results_refused, 1);
    driver_commit(driver);
    driver_close(&driver);
}

/* The head is in flight as its worker dies: it comes back, and ends without another delivery. */
static void one_whose_worker_dies_is_not_run_again(void **state)
{
    (void)state;
    static const char *const clients[] = {"c1", NULL};
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_ask(driver, "c1", 2, "a", ASK);
    driver_commit(driver);
    (void)driver_delivery(driver, "w1");
    (void)driver_delivery(driver, "w1");
    cancel(driver, "c1", 1, "a");
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 1000, clients);
    driver_commit(driver);
    assert_cancelled(driver, "c1", 1); /* nobody has to own the entity for that */
    driver_worker(driver, "w2", 102);
    driver_result(driver, "w2", driver_delivery(driver, "w2"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 2);
    assert_int_equal(driver_count(driver, "w2", KIND_DELIVER), 0);
    driver_close(&driver);
}

static void one_whose_handler_breaks_is_not_tried_again(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    cancel(driver, "c1", 1, "a");
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT);
    driver_commit(driver);
    assert_cancelled(driver, "c1", 1);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_close(&driver);
}

/* ---- deadlines ---- */

static void ask_within(driver_t *driver, uint64_t sequence, uint64_t flags, uint64_t deadline_ms)
{
    message_request_t request = driver_request(sequence, "a", flags);
    request.deadline_ms = deadline_ms;
    driver_send(driver, "c1", request, &request);
}

static void a_delivery_says_what_is_left(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    ask_within(driver, 1, ASK, 700);
    driver_pass(driver, 100);
    driver_commit(driver);
    assert_int_equal(driver_delivery(driver, "w1")->deadline_ms, 600);
    ask_within(driver, 2, ASK, 0);
    driver_commit(driver);
    assert_int_equal(driver_delivery(driver, "w1")->deadline_ms, 0);
    driver_close(&driver);
}

/* Only the one that gives up is not begun; what stands behind it is. */
static void a_late_message_whose_caller_gives_up_is_not_begun(void **state)
{
    (void)state;
    static const char *const alive[] = {"c1", "w1", NULL};
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    ask_within(driver, 1, ASK, 50);
    ask_within(driver, 2, ASK | REQUEST_GIVE_UP, 50);
    ask_within(driver, 3, ASK | REQUEST_GIVE_UP, 0);
    ask_within(driver, 4, ASK_ACCEPTED | REQUEST_TELL | REQUEST_GIVE_UP, 50);
    driver_commit(driver);
    driver_pass_alive(driver, 100, alive);
    driver_worker(driver, "w1", 101);
    driver_commit(driver);
    assert_cancelled(driver, "c1", 2);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 3);
    assert_int_equal(driver_counters(driver).cancelled, 1);
    driver_close(&driver);
}

static void one_that_the_worker_was_too_late_for_ends(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    ask_within(driver, 1, ASK | REQUEST_GIVE_UP, 50);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_TIMEOUT);
    driver_commit(driver);
    assert_cancelled(driver, "c1", 1);
    driver_close(&driver);
}

/* ---- what a cancel does not touch ---- */

static void a_tell_goes_on(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK_ACCEPTED | REQUEST_TELL);
    cancel(driver, "c1", 1, "a");
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).cancelled, 0);
    driver_ask(driver, "c1", 2, "a", REQUEST_TELL | REQUEST_WANT_HANDLED);
    cancel(driver, "c1", 2, "a"); /* this caller waits for the handler */
    assert_interrupted(driver, driver_delivery(driver, "w1"));
    driver_close(&driver);
}

static void nobody_cancels_the_calls_of_others(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_client(driver, "c2", 2);
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    driver_ask(driver, "c1", 2, "a", 0);
    cancel(driver, "c2", 1, "a");
    cancel(driver, "c2", 2, "a");
    cancel(driver, "c1", 3, "a");
    cancel(driver, "c1", 2, "b");
    assert_int_equal(driver_count(driver, "w1", KIND_INTERRUPT), 0);
    driver_close(&driver);
}

/* A client that gives up settles on the call with the same frame. */
static void a_call_that_its_client_has_settled_on_is_found(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_commit(driver);
    message_cancel_t message = {
        .sequence = 1, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send_settling(driver, "c1", 2, cancel, &message);
    assert_interrupted(driver, driver_delivery(driver, "w1"));
    driver_close(&driver);
}

static void a_cancel_that_names_no_entity_is_malformed(void **state)
{
    (void)state;
    driver_t *driver = open_pair();
    uint64_t before = driver_counters(driver).malformed;
    cancel(driver, "c1", 1, "");
    assert_int_equal(driver_counters(driver).malformed, before + 1);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queued_message_ends_at_once_and_is_never_delivered),
        cmocka_unit_test(a_volatile_message_that_waits_is_refused),
        cmocka_unit_test(one_that_waits_for_its_append_ends_when_it_is_stored),
        cmocka_unit_test(one_without_an_owner_ends),
        cmocka_unit_test(one_that_is_looked_up_ends_when_it_is_found),
        cmocka_unit_test(one_that_only_the_store_has_ends_when_it_is_loaded),
        cmocka_unit_test(test_sh_05_the_worker_is_told_and_the_end_is_stored),
        cmocka_unit_test(a_result_that_is_there_stands),
        cmocka_unit_test(a_handler_may_answer_all_the_same),
        cmocka_unit_test(one_that_the_worker_had_not_begun_ends_out_of_turn),
        cmocka_unit_test(results_out_of_order_are_refused_also_behind_a_cancelled_one),
        cmocka_unit_test(one_whose_worker_dies_is_not_run_again),
        cmocka_unit_test(one_whose_handler_breaks_is_not_tried_again),
        cmocka_unit_test(a_delivery_says_what_is_left),
        cmocka_unit_test(a_late_message_whose_caller_gives_up_is_not_begun),
        cmocka_unit_test(one_that_the_worker_was_too_late_for_ends),
        cmocka_unit_test(a_tell_goes_on),
        cmocka_unit_test(nobody_cancels_the_calls_of_others),
        cmocka_unit_test(a_call_that_its_client_has_settled_on_is_found),
        cmocka_unit_test(a_cancel_that_names_no_entity_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
