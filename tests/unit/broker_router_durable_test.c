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
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->end_count, 1);
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
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->ends[0].reply->payload.size, 0);
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
        const lane_batch_t *batch = driver_take_batch(driver, 0);
        assert_int_equal(batch->message_count, 2);
        for (size_t i = 0; i < batch->message_count; i++) {
            assert_true(batch->messages[i]->id.value > last);
            last = batch->messages[i]->id.value;
        }
        assert_true(batch->last_id >= last);
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

/* RECORD_BYTES: what the router counts for a record, beside the bytes of message or reply. */
enum { CUT_ITEMS = 27, RECORD_BYTES = 80, CUT_BYTES = 2 * RECORD_BYTES + 15 };

static const size_t cut_sizes[] = {7, 8, 14, 3, 3, 15, 5, 15, 4};

static fabric_bytes_t cut_payload(uint8_t bytes[15], size_t index)
{
    return item_of(bytes, cut_sizes[index % (sizeof cut_sizes / sizeof cut_sizes[0])]);
}

static uint64_t record_bytes(const lane_batch_t *batch, size_t index)
{
    if (batch->message_count == 0) {
        return RECORD_BYTES + batch->ends[index].reply->payload.size;
    }
    const store_message_t *message = batch->messages[index];
    return RECORD_BYTES + message->type.size + message->entity.size + message->tag.size +
           message->payload.size;
}

/* A batch ends with the item that reaches the bound, and no sooner unless it is the last. */
static void assert_cut(const lane_batch_t *batch, bool last)
{
    uint64_t before = 0;
    uint64_t all = 0;
    for (size_t i = 0; i < batch->message_count + batch->end_count; i++) {
        before = all;
        all += record_bytes(batch, i);
    }
    assert_true(before < CUT_BYTES);
    assert_true(all >= CUT_BYTES || last);
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
    const lane_batch_t *batch;
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
        for (size_t i = 0; i < batch->end_count; i++, taken++) {
            assert_int_equal(batch->ends[i].message->id.value, ids[taken]);
        }
        assert_cut(batch, taken == CUT_ITEMS);
        driver_batch_done(driver, 0);
    }
    for (size_t i = 0; i < CUT_ITEMS; i++) {
        driver_replied(driver, "c1", i + 1);
    }
    driver_close(&driver);
}

/* Messages that wait do not keep ends waiting, nor the other way round. */
static void an_entry_takes_messages_and_ends(void **state)
{
    (void)state;
    enum { COUNT = 10, RECORDS = 4 };
    driver_t *driver = open_batches(1000, (uint64_t)RECORDS * RECORD_BYTES);
    for (uint64_t i = 1; i <= COUNT; i++) {
        driver_ask(driver, "c1", i, "a", REQUEST_DURABLE);
    }
    driver_commit(driver);
    for (int i = 0; i < COUNT; i++) {
        driver_ask(driver, "c1", COUNT + 1u + (uint64_t)i, "a", REQUEST_DURABLE);
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    }
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_in_range(batch->message_count, 1, RECORDS);
    assert_in_range(batch->end_count, 1, RECORDS);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

static void what_waits_is_counted(void **state)
{
    (void)state;
    driver_t *driver = open_small_batches(2);
    assert_int_equal(router_waiting(driver->router, 0), 0);
    for (uint64_t i = 1; i <= 3; i++) {
        driver_ask(driver, "c1", i, "a", REQUEST_DURABLE);
        assert_int_equal(router_waiting(driver->router, 0), i);
    }
    driver_take_batch(driver, 0);
    assert_int_equal(router_waiting(driver->router, 0), 1);
    driver_batch_done(driver, 0);
    assert_int_equal(driver_counters(driver).entries, 1);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(router_waiting(driver->router, 0), 3); /* a message, an attempt, an end */
    driver_commit(driver);
    assert_int_equal(router_waiting(driver->router, 0), 0);
    driver_close(&driver);
}

static void a_dead_letter_is_one_end(void **state)
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
    const lane_batch_t *batch;
    while ((batch = driver_take_batch(driver, 0))) {
        for (size_t i = 0; i < batch->end_count; i++) {
            const batch_end_t *end = &batch->ends[i];
            assert_true(end->dead);
            assert_int_equal(end->message->id.value, end->reply->id.value);
            assert_int_equal(end->attempts.attempts, 1);
            assert_int_equal(end->attempts.crashes, 0);
            assert_int_equal(end->cause, FABRIC_ERROR_ENTITY_DEFECT);
            assert_true(end->text.size > 0);
        }
        attempts += batch->attempt_count;
        letters += batch->end_count;
        assert_true(attempts >= letters);
        driver_batch_done(driver, 0);
    }
    assert_int_equal(letters, 5);
    assert_int_equal(attempts, 5);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 5);
    assert_int_equal(driver_counters(driver).dead_letters, 5);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ask_is_committed_delivered_committed_and_answered),
        cmocka_unit_test(a_tell_is_accepted_once_committed_and_never_answered),
        cmocka_unit_test(the_next_batch_fills_while_one_runs),
        cmocka_unit_test(a_batch_cut_by_bytes_keeps_all_in_order),
        cmocka_unit_test(an_entry_takes_messages_and_ends),
        cmocka_unit_test(what_waits_is_counted),
        cmocka_unit_test(a_dead_letter_is_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
