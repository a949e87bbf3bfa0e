/* The life of a durable message in the router: no message is accepted, delivered or answered before
 * its commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/limits.h"
#include "tests/unit/router_driver.h"

static driver_t *open_batches(uint32_t items, uint64_t bytes)
{
    router_config_t config;
    driver_config(&config);
    config.batch_items_max = items;
    config.batch_bytes_max = bytes;
    config.attempts_max = 1;
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    return driver;
}

static driver_t *open_small_batches(uint32_t items)
{
    return open_batches(items, UINT64_MAX);
}

static void an_ask_is_committed_delivered_committed_and_answered(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_int_equal(driver_counters(driver).accepted, 0);
    assert_int_equal(driver_counters(driver).pending, 1);
    assert_non_null(driver_take_batch(driver, 0));
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_counters(driver).accepted, 1);
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0); /* not asked for */
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    assert_int_equal(delivery->delivery, 1);
    assert_int_equal(delivery->attempt, 1);
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    const store_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->reply_count, 1);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_batch_done(driver, 0);
    const message_reply_t *reply = driver_replied(driver, "c1", 1);
    assert_int_equal(reply->status, STATUS_OK);
    assert_int_equal(reply->payload.size, 5);
    assert_int_equal(driver_counters(driver).pending, 0);
    assert_int_equal(driver_counters(driver).ended, 1);
    driver_close(&driver);
}

static void a_tell_is_accepted_once_committed_and_never_answered(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED);
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
    driver_commit(driver);
    const note_t *note = driver_take(driver, "c1", KIND_ACCEPTED);
    const message_deliver_t *delivery =
        driver_delivered(driver, "w1", note->as.accepted.request_id, 1);
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    const store_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->replies[0]->payload.size, 0);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void the_next_batch_fills_while_one_runs(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(2);
    for (uint64_t i = 1; i <= 5; i++) {
        driver_ask(driver, "c1", i, "a", REQUEST_DURABLE);
        if (i == 1) {
            assert_int_equal(driver_take_batch(driver, 0)->message_count, 1);
        }
    }
    const uint64_t first = driver->batch[0]->messages[0]->id.value;
    assert_null(router_take_batch(driver->router, 0, driver->now_ms));
    driver_batch_done(driver, 0);
    uint64_t last = first;
    for (size_t taken = 0; taken < 4;) {
        const store_batch_t *batch = driver_take_batch(driver, 0);
        assert_int_equal(batch->message_count, 2);
        for (size_t i = 0; i < batch->message_count; i++) {
            assert_true(batch->messages[i]->id.value > last);
            last = batch->messages[i]->id.value;
        }
        assert_true(batch->high_id >= last);
        taken += batch->message_count;
        driver_batch_done(driver, 0);
    }
    assert_null(driver_take_batch(driver, 0));
    uint64_t delivered = 0;
    for (int i = 0; i < 5; i++) {
        const message_deliver_t *delivery = driver_delivery(driver, "w1");
        assert_true(delivery->request_id > delivered);
        delivered = delivery->request_id;
    }
    driver_close(&driver);
}

/* An Item of 3 to 15 bytes: ["aa...", 7]. */
static fabric_bytes_t item_of(uint8_t bytes[15], size_t size)
{
    memset(bytes, 'a', size);
    bytes[0] = 0x92;
    bytes[1] = (uint8_t)(0xa0 + size - 3);
    bytes[size - 1] = 7;
    return fabric_bytes(bytes, size);
}

/* What the batch's bytes are if its last item is left out, and with it. */
typedef struct batch_bytes {
    uint64_t before, all;
} batch_bytes_t;

static batch_bytes_t count_bytes(const store_batch_t *batch)
{
    batch_bytes_t bytes = {0};
    for (size_t i = 0; i < batch->message_count + batch->reply_count; i++) {
        bytes.before = bytes.all;
        bytes.all += batch->message_count > 0 ? batch->messages[i]->payload.size
                                              : batch->replies[i]->payload.size;
    }
    return bytes;
}

enum { CUT_ITEMS = 27, CUT_BYTES = 15 };

static const size_t cut_sizes[] = {7, 8, 14, 3, 3, 15, 5, 15, 4};

static fabric_bytes_t cut_payload(uint8_t bytes[15], size_t index)
{
    return item_of(bytes, cut_sizes[index % (sizeof cut_sizes / sizeof cut_sizes[0])]);
}

/* A batch ends with the item that reaches the bound, and no sooner unless it is the last. */
static void assert_cut(const store_batch_t *batch, bool last)
{
    batch_bytes_t bytes = count_bytes(batch);
    assert_true(bytes.before < CUT_BYTES);
    assert_true(bytes.all >= CUT_BYTES || last);
}

static void answer_delivery(driver_t *driver, const message_deliver_t *delivery,
                            fabric_bytes_t payload)
{
    message_result_t result = {.shard = delivery->shard,
                               .home_epoch = delivery->home_epoch,
                               .owner_sequence = delivery->owner_sequence,
                               .activation = delivery->activation,
                               .request_id = delivery->request_id,
                               .status = STATUS_OK,
                               .payload = payload};
    driver_send(driver, "w1", result, &result);
}

/* The next batch begins with the item after the one that was the last. */
static void a_batch_cut_by_bytes_keeps_all_in_order(void **state)
{
    (void)state;
    driver_t *driver = open_batches(1000, CUT_BYTES);
    const store_batch_t *batch;
    uint8_t bytes[15];
    uint64_t ids[CUT_ITEMS];
    size_t taken = 0;
    for (size_t i = 0; i < CUT_ITEMS; i++) {
        message_request_t request = driver_request(i + 1, i % 2 ? "a" : "b", REQUEST_DURABLE);
        request.payload = cut_payload(bytes, i);
        driver_send(driver, "c1", request, &request);
    }
    while ((batch = driver_take_batch(driver, 0))) {
        for (size_t i = 0; i < batch->message_count; i++, taken++) {
            ids[taken] = batch->messages[i]->id.value;
            assert_int_equal(batch->messages[i]->call.sequence, taken + 1);
        }
        assert_cut(batch, taken == CUT_ITEMS);
        driver_batch_done(driver, 0);
    }
    assert_int_equal(taken, CUT_ITEMS);
    for (size_t i = 0; i < CUT_ITEMS; i++) {
        answer_delivery(driver, driver_delivered(driver, "w1", ids[i], 1), cut_payload(bytes, i));
    }
    taken = 0;
    while ((batch = driver_take_batch(driver, 0))) {
        for (size_t i = 0; i < batch->reply_count; i++, taken++) {
            assert_int_equal(batch->replies[i]->id.value, ids[taken]);
        }
        assert_cut(batch, taken == CUT_ITEMS);
        driver_batch_done(driver, 0);
    }
    for (size_t i = 0; i < CUT_ITEMS; i++) {
        driver_replied(driver, "c1", i + 1);
    }
    driver_close(&driver);
}

static void dead_letters_stay_with_their_replies(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(2);
    const char *const ids[] = {"a", "b", "c", "d", "e"};
    for (uint64_t i = 0; i < 5; i++) {
        driver_ask(driver, "c1", i + 1, ids[i], REQUEST_DURABLE);
    }
    driver_commit(driver);
    for (int i = 0; i < 5; i++) {
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_DEFECT,
                      FABRIC_ERROR_ENTITY_DEFECT);
    }
    size_t attempts = 0;
    size_t letters = 0;
    const store_batch_t *batch;
    while ((batch = driver_take_batch(driver, 0))) {
        assert_int_equal(batch->dead_letter_count, batch->reply_count);
        for (size_t i = 0; i < batch->reply_count; i++) {
            assert_int_equal(batch->replies[i]->id.value, batch->dead_letters[i].message->id.value);
            assert_int_equal(batch->dead_letters[i].error, FABRIC_ERROR_ENTITY_DEFECT);
        }
        attempts += batch->attempt_count;
        letters += batch->dead_letter_count;
        driver_batch_done(driver, 0);
    }
    assert_int_equal(letters, 5);
    assert_int_equal(attempts, 5);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 5);
    assert_int_equal(driver_counters(driver).dead_letters, 5);
    driver_close(&driver);
}

static void reject_first(driver_t *driver, int item)
{
    assert_non_null(driver_take_batch(driver, 0));
    store_rejection_t rejection = {.index = 0};
    rejection.item = item == STORE_ITEM_MESSAGE ? STORE_ITEM_MESSAGE : STORE_ITEM_REPLY;
    (void)reason_set(&rejection.reason, FABRIC_OK, "Data too long (1406)");
    router_batch_done(driver->router, 0, &rejection, 1, driver->now_ms);
    driver_pull(driver);
}

static void what_the_store_refuses_was_never_accepted(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "b", REQUEST_DURABLE);
    reject_first(driver, STORE_ITEM_MESSAGE);
    const message_rejected_t *rejected = &driver_take(driver, "c1", KIND_REJECTED)->as.rejected;
    assert_int_equal(rejected->sequence, 1);
    assert_int_equal(rejected->error, FABRIC_ERROR_STORE_REJECTED);
    assert_true(fabric_bytes_equal(
        rejected->text, fabric_bytes_of("the database refused the message: Data too long (1406)")));
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 1);
    assert_int_equal(driver_counters(driver).pending, 1);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE | REQUEST_RESEND); /* and so it stays */
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_STORE_REJECTED);
    message_request_t next = driver_request(3, "a", REQUEST_DURABLE);
    next.predecessor = 1;
    driver_send(driver, "c1", request, &next);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 2);
    driver_close(&driver);
}

static void a_reply_that_the_store_refuses_becomes_a_defect(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    reject_first(driver, STORE_ITEM_REPLY);
    driver_commit(driver);
    const message_reply_t *reply = driver_replied(driver, "c1", 1);
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, FABRIC_ERROR_STORE_REJECTED);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    reject_first(driver, STORE_ITEM_REPLY);
    reject_first(driver, STORE_ITEM_REPLY); /* not even its defect */
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_null(driver_take_batch(driver, 0));
    assert_int_equal(driver_counters(driver).pending, 1);
    driver_close(&driver);
}

static void a_volatile_reply_waits_for_no_reply_that_cannot_be_stored(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_ask(driver, "c1", 2, "a", 0);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    reject_first(driver, STORE_ITEM_REPLY);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    reject_first(driver, STORE_ITEM_REPLY);
    driver_replied(driver, "c1", 2);
    driver_close(&driver);
}

/* The client is not remembered for it: driver_close recounts what a client has settled on early. */
static void a_settled_call_may_be_refused_by_the_store(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_send_settling(driver, "c1", 2, ping, &(message_ping_t){.sequence = 1});
    reject_first(driver, STORE_ITEM_MESSAGE);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static void the_mark_never_passes_what_has_not_ended(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "b", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *first = driver_delivery(driver, "w1");
    const message_deliver_t *second = driver_delivery(driver, "w1");
    driver_result(driver, "w1", second, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver->now_ms += 1000;
    const store_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->mark, first->request_id);
    driver_batch_done(driver, 0);
    driver->now_ms += 1000;
    assert_null(driver_take_batch(driver, 0)); /* nothing new */
    driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver->now_ms += 1000;
    batch = driver_take_batch(driver, 0);
    assert_true(batch->mark > second->request_id);
    driver_batch_done(driver, 0);
    store_shard_t late = {.shard = shard_id_make(2, 1), .home_epoch = 1};
    router_homes(driver->router, &late, 1); /* what is pending there is not known yet */
    driver_ask(driver, "c1", 3, "a", REQUEST_DURABLE);
    driver->now_ms += 1000;
    assert_int_equal(driver_take_batch(driver, 0)->mark, 0);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ask_is_committed_delivered_committed_and_answered),
        cmocka_unit_test(a_tell_is_accepted_once_committed_and_never_answered),
        cmocka_unit_test(the_next_batch_fills_while_one_runs),
        cmocka_unit_test(a_batch_cut_by_bytes_keeps_all_in_order),
        cmocka_unit_test(dead_letters_stay_with_their_replies),
        cmocka_unit_test(what_the_store_refuses_was_never_accepted),
        cmocka_unit_test(a_reply_that_the_store_refuses_becomes_a_defect),
        cmocka_unit_test(a_volatile_reply_waits_for_no_reply_that_cannot_be_stored),
        cmocka_unit_test(a_settled_call_may_be_refused_by_the_store),
        cmocka_unit_test(the_mark_never_passes_what_has_not_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
