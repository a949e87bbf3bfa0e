/* Early delivery: a message is delivered while its entry is being appended. Nothing leaves before
 * it is stored, and what follows from it is in no earlier entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/router_driver.h"

enum { ACCEPTED_TOO = REQUEST_DURABLE | REQUEST_WANT_ACCEPTED };

static driver_t *open_with(uint32_t items, uint32_t attempts_max)
{
    router_config_t config;
    driver_config(&config);
    config.batch_items_max = items;
    config.attempts_max = attempts_max;
    config.backoff_ms = 1;
    driver_told.early = true;
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    return driver;
}

static driver_t *open_early(void)
{
    driver_told = DRIVER_TOLD_USUALLY;
    return open_with(10, 10);
}

/* So many handlers of an entity may be pending. */
static driver_t *open_concurrent(uint32_t concurrency)
{
    driver_told = DRIVER_TOLD_USUALLY;
    driver_told.concurrency = concurrency;
    return open_with(10, 10);
}

static size_t answers(driver_t *driver, const char *peer)
{
    return driver_count(driver, peer, KIND_ACCEPTED) + driver_count(driver, peer, KIND_REPLY) +
           driver_count(driver, peer, KIND_REJECTED) + driver_count(driver, peer, KIND_REDIRECT);
}

static void reply(driver_t *driver, const message_deliver_t *delivery)
{
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
}

/* ---- one entry ---- */

static void message_and_result_share_an_entry(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", ACCEPTED_TOO);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    assert_true(delivery->flags & DELIVER_EARLY);
    reply(driver, delivery);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 1);
    assert_int_equal(batch->end_count, 1);
    assert_ptr_equal(batch->ends[0].message, batch->messages[0]);
    assert_int_equal(answers(driver, "c1"), 0); /* I10 */
    assert_int_equal(driver_counters(driver).accepted, 0);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_take(driver, "c1", KIND_ACCEPTED)->as.accepted.request_id,
                     delivery->request_id);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    router_counters_t counters = driver_counters(driver);
    assert_int_equal(counters.entries, 1);
    assert_int_equal(counters.accepted, 1);
    assert_int_equal(counters.ended, 1);
    assert_int_equal(counters.pending, 0);
    assert_int_equal(counters.delivered_early, 1);
    driver_close(&driver);
}

static void a_result_that_comes_later_is_in_the_next_entry(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", ACCEPTED_TOO);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    assert_int_equal(driver_take_batch(driver, 0)->end_count, 0);
    reply(driver, delivery);
    assert_int_equal(answers(driver, "c1"), 0);
    driver_batch_done(driver, 0);
    driver_take(driver, "c1", KIND_ACCEPTED);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    assert_int_equal(driver_take_batch(driver, 0)->message_count, 0);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    driver_close(&driver);
}

static void a_message_without_early_delivery_waits(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_told.early = false;
    driver_type(driver, "Counter"); /* its newest version */
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_commit(driver);
    assert_false(driver_delivery(driver, "w1")->flags & DELIVER_EARLY);
    driver_close(&driver);
}

static void a_worker_that_does_not_know_it_gets_what_is_stored(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_told.early = false;
    driver_worker_hello(driver, "w2", 102, 1, 64); /* of an older version */
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 3000, (const char *const[]){"c1", "w2", NULL});
    driver_desire(driver, 102);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_int_equal(driver_count(driver, "w2", KIND_DELIVER), 0);
    driver_commit(driver);
    assert_false(driver_delivery(driver, "w2")->flags & DELIVER_EARLY);
    driver_close(&driver);
}

/* ---- what comes before it ---- */

static void it_does_not_overtake_what_is_not_stored(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_told.early = false;
    driver_type(driver, "Counter");
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_told.early = true;
    driver_type(driver, "Counter");
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 3, "b", REQUEST_DURABLE);
    const message_deliver_t *first = driver_delivery(driver, "w1"); /* another entity's */
    assert_true(fabric_bytes_equal(first->id, fabric_bytes_of("b")));
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_take_batch(driver, 0);
    driver_batch_done(driver, 0);
    uint64_t id = driver_delivery(driver, "w1")->request_id;
    assert_true(driver_delivery(driver, "w1")->request_id > id);
    driver_close(&driver);
}

static void several_of_an_entity_follow_one_another(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    const message_deliver_t *first = driver_delivery(driver, "w1");
    const message_deliver_t *second = driver_delivery(driver, "w1");
    assert_true(first->request_id < second->request_id);
    reply(driver, first);
    reply(driver, second);
    assert_int_equal(driver_take_batch(driver, 0)->end_count, 2);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    assert_int_equal(driver_replied(driver, "c1", 2)->status, STATUS_OK);
    driver_close(&driver);
}

static void one_with_a_time_of_delivery_waits_for_it(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    message_request_t request = driver_request(1, "a", REQUEST_DURABLE);
    request.floor = driver->heard_id;
    request.deliver_at_ms = (uint64_t)driver_unix_ms(driver) + 60000;
    driver_send(driver, "c1", request, &request);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE); /* the first one is pending, in no queue */
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_commit(driver);
    assert_false(driver_delivery(driver, "w1")->flags & DELIVER_EARLY);
    driver_close(&driver);
}

/* ---- entries that are full ---- */

static void no_result_is_appended_before_its_message(void **state)
{
    (void)state;
    driver_t *driver = open_with(2, 10);
    const char *const ids[] = {"a", "b", "c"};
    const message_deliver_t *deliveries[3];
    for (unsigned i = 0; i < 3; i++) {
        driver_ask(driver, "c1", i + 1, ids[i], REQUEST_DURABLE);
        deliveries[i] = driver_delivery(driver, "w1");
    }
    for (unsigned i = 3; i > 0; i--) {
        reply(driver, deliveries[i - 1]);
    }
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 2);
    assert_int_equal(batch->end_count, 0); /* the first one is of the message that is left */
    driver_batch_done(driver, 0);
    assert_int_equal(answers(driver, "c1"), 0);
    batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 1);
    assert_int_equal(batch->end_count, 2);
    driver_batch_done(driver, 0);
    driver_replied(driver, "c1", 3);
    driver_replied(driver, "c1", 2);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

static void nor_are_its_attempts(void **state)
{
    (void)state;
    driver_t *driver = open_with(2, 10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "b", REQUEST_DURABLE);
    driver_ask(driver, "c1", 3, "c", REQUEST_DURABLE);
    const message_deliver_t *a = driver_delivery(driver, "w1");
    driver_delivery(driver, "w1");
    const message_deliver_t *c = driver_delivery(driver, "w1");
    reply(driver, a);
    driver_result(driver, "w1", c, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 2);
    assert_int_equal(batch->attempt_count, 0);
    assert_int_equal(batch->end_count, 1); /* of another entity */
    driver_batch_done(driver, 0);
    driver_replied(driver, "c1", 1);
    batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 1);
    assert_int_equal(batch->attempt_count, 1);
    driver_batch_done(driver, 0);
    driver_pass_alive(driver, 20, (const char *const[]){"c1", "w1", NULL});
    assert_int_equal(driver_delivered(driver, "w1", c->request_id, 2)->attempt, 2);
    driver_close(&driver);
}

static void nor_is_what_keeps_its_entity_alive(void **state)
{
    (void)state;
    driver_t *driver = open_with(2, 10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "b", REQUEST_DURABLE);
    driver_ask(driver, "c1", 3, "c", REQUEST_DURABLE);
    const message_deliver_t *a = driver_delivery(driver, "w1");
    driver_delivery(driver, "w1");
    const message_deliver_t *c = driver_delivery(driver, "w1");
    message_alive_t alive = {.shard = c->shard,
                             .home_epoch = c->home_epoch,
                             .owner_sequence = c->owner_sequence,
                             .type = c->type,
                             .id = c->id,
                             .causes = ALIVE_BY_HANDLER};
    driver_send(driver, "w1", alive, &alive);
    reply(driver, a);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 2);
    assert_int_equal(batch->kept_count, 0);
    assert_int_equal(batch->end_count, 1);
    driver_batch_done(driver, 0);
    batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 1);
    assert_int_equal(batch->kept_count, 1);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

/* ---- entries that are not stored ---- */

static void nobody_hears_of_a_message_whose_entry_is_refused(void **state)
{
    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        driver_t *driver = open_early();
        driver_ask(driver, "c1", 1, "a", ACCEPTED_TOO);
        const message_deliver_t *delivery = driver_delivery(driver, "w1");
        driver_take_batch(driver, 0);
        reply(driver, delivery);
        driver_hold(driver, 0, 0); /* the append is under way */
        driver_take(driver, "w1", KIND_RELEASE);
        assert_int_equal(answers(driver, "c1"), 0);
        if (stored) {
            driver_batch_done(driver, 0);
            driver_take(driver, "c1", KIND_ACCEPTED);
        } else {
            driver_batch_fenced(driver, 0);
        }
        driver_take(driver, "c1", KIND_REDIRECT);
        assert_int_equal(answers(driver, "c1"), 0);
        assert_null(router_take_batch(driver->router, 0, driver->now_ms));
        reply(driver, delivery); /* of a token that is over */
        assert_int_equal(answers(driver, "c1"), 0);
        driver_close(&driver);
    }
}

static void nor_of_one_that_was_not_appended(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "b", REQUEST_DURABLE);
    driver_ask(driver, "c1", 3, "c", REQUEST_DURABLE);
    reply(driver, driver_delivery(driver, "w1"));
    driver_delivery(driver, "w1");
    driver_hold(driver, 0, 0);
    for (unsigned i = 0; i < 3; i++) {
        driver_take(driver, "c1", KIND_REDIRECT);
    }
    driver_pass(driver, 100);
    assert_int_equal(answers(driver, "c1"), 0);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

/* ---- resends ---- */

static void a_resend_that_meets_it_hears_nothing_before_it_is_stored(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", ACCEPTED_TOO);
    reply(driver, driver_delivery(driver, "w1"));
    driver_ask(driver, "c1", 1, "a", ACCEPTED_TOO | REQUEST_RESEND);
    assert_int_equal(answers(driver, "c1"), 0);
    driver_take_batch(driver, 0);
    driver_ask(driver, "c1", 1, "a", ACCEPTED_TOO | REQUEST_RESEND);
    assert_int_equal(answers(driver, "c1"), 0);
    driver_batch_done(driver, 0);
    driver_take(driver, "c1", KIND_ACCEPTED);
    driver_replied(driver, "c1", 1);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_close(&driver);
}

/* Why a call waits is a hint that its message was accepted. */
static void nobody_hears_why_it_waits_before_it_is_stored(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    message_query_t query = {.sequence = 7, .name = fabric_bytes_of("waits")};
    driver_send(driver, "c1", query, &query);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_NOT_BUILT);
    driver_pass_alive(driver, 1000, (const char *const[]){"c1", "w1", NULL});
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_NOT_BUILT);
    assert_int_equal(driver_count(driver, "c1", KIND_ANSWER), 0);
    driver_take_batch(driver, 0);
    driver_batch_done(driver, 0);
    driver_pass_alive(driver, 1000, (const char *const[]){"c1", "w1", NULL});
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_NOT_BUILT);
    assert_int_equal(driver_take(driver, "c1", KIND_ANSWER)->as.answer.error,
                     FABRIC_ERROR_NOT_BUILT);
    driver_close(&driver);
}

/* ---- what comes behind it ---- */

static void a_volatile_message_behind_it_waits_until_it_is_stored(void **state)
{
    (void)state;
    for (uint32_t concurrency = 1; concurrency <= 2; concurrency++) {
        driver_t *driver = open_concurrent(concurrency);
        driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
        driver_ask(driver, "c1", 2, "a", 0);
        reply(driver, driver_delivery(driver, "w1"));
        assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
        driver_take_batch(driver, 0);
        driver_batch_done(driver, 0);
        reply(driver, driver_delivery(driver, "w1"));
        driver_close(&driver);
    }
    driver_told = DRIVER_TOLD_USUALLY;
}

static void none_is_delivered_beside_a_handler_that_may_be_at_work(void **state)
{
    (void)state;
    for (uint32_t concurrency = 1; concurrency <= 2; concurrency++) {
        driver_t *driver = open_concurrent(concurrency);
        driver_ask(driver, "c1", 1, "a", 0);
        driver_delivery(driver, "w1");
        driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
        assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), concurrency == 1 ? 1 : 0);
        driver_close(&driver);
    }
    driver_told = DRIVER_TOLD_USUALLY;
}

static void a_cancel_ends_it_with_its_own_entry(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    message_cancel_t cancel = {
        .sequence = 1, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send(driver, "c1", cancel, &cancel);
    driver_take(driver, "w1", KIND_INTERRUPT);
    driver_result(driver, "w1", delivery, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    assert_int_equal(answers(driver, "c1"), 0);
    assert_int_equal(driver_take_batch(driver, 0)->end_count, 1);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_replied(driver, "c1", 1)->error, FABRIC_ERROR_CANCELLED);
    driver_close(&driver);
}

static void send_clear(driver_t *driver)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of("a"));
    message_query_t query = {
        .sequence = 77, .name = fabric_bytes_of("clear"), .argument = wire_writer_bytes(&argument)};
    driver_send(driver, "c1", query, &query);
    wire_writer_destroy(&argument);
}

static void a_clear_in_its_entry_comes_after_its_end(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    reply(driver, driver_delivery(driver, "w1"));
    driver_delivery(driver, "w1");
    send_clear(driver);
    driver_ask(driver, "c1", 3, "a", REQUEST_DURABLE); /* behind the clear */
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 3);
    assert_int_equal(batch->clear_count, 1);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_replied(driver, "c1", 1)->status, STATUS_OK);
    assert_int_equal(driver_replied(driver, "c1", 2)->error, FABRIC_ERROR_CANCELLED);
    driver_delivery(driver, "w1");
    driver_close(&driver);
}

static void a_worker_that_is_lost_leaves_it_to_the_next_one(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    uint64_t id = delivery->request_id;
    driver_told.early = false;
    driver_worker_hello(driver, "w2", 102, 1, 64);
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 3000, (const char *const[]){"c1", "w2", NULL});
    driver_desire(driver, 102);
    assert_int_equal(driver_count(driver, "w2", KIND_DELIVER), 0); /* it does not know of it */
    driver_take_batch(driver, 0);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_delivered(driver, "w2", id, 2)->flags & DELIVER_EARLY, 0);
    driver_close(&driver);
}

/* ---- what an append may wait for ---- */

static void only_results_that_callers_wait_for_are_awaited(void **state)
{
    (void)state;
    driver_t *driver = open_early();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "b", ACCEPTED_TOO);
    driver_ask(driver, "c1", 3, "c", ACCEPTED_TOO | REQUEST_TELL);
    router_early_t early = router_early(driver->router, 0);
    assert_int_equal(early.messages, 3);
    assert_int_equal(early.awaited, 1);
    reply(driver, driver_delivery(driver, "w1"));
    early = router_early(driver->router, 0);
    assert_int_equal(early.awaited, 0);
    assert_int_equal(early.ends, 1);
    assert_int_equal(router_waiting(driver->router, 0), 4);
    driver_take_batch(driver, 0);
    early = router_early(driver->router, 0);
    assert_int_equal(early.messages + early.ends + early.awaited, 0);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

static int usual(void **state)
{
    (void)state;
    driver_told = DRIVER_TOLD_USUALLY;
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, usual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(message_and_result_share_an_entry),
        TEST(a_result_that_comes_later_is_in_the_next_entry),
        TEST(a_message_without_early_delivery_waits),
        TEST(a_worker_that_does_not_know_it_gets_what_is_stored),
        TEST(it_does_not_overtake_what_is_not_stored),
        TEST(several_of_an_entity_follow_one_another),
        TEST(one_with_a_time_of_delivery_waits_for_it),
        TEST(no_result_is_appended_before_its_message),
        TEST(nor_are_its_attempts),
        TEST(nor_is_what_keeps_its_entity_alive),
        TEST(nobody_hears_of_a_message_whose_entry_is_refused),
        TEST(nor_of_one_that_was_not_appended),
        TEST(a_resend_that_meets_it_hears_nothing_before_it_is_stored),
        TEST(nobody_hears_why_it_waits_before_it_is_stored),
        TEST(a_volatile_message_behind_it_waits_until_it_is_stored),
        TEST(none_is_delivered_beside_a_handler_that_may_be_at_work),
        TEST(a_cancel_ends_it_with_its_own_entry),
        TEST(a_clear_in_its_entry_comes_after_its_end),
        TEST(a_worker_that_is_lost_leaves_it_to_the_next_one),
        TEST(only_results_that_callers_wait_for_are_awaited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
