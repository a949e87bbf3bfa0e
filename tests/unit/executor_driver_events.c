/* The executor's driver with events, and what results store: see executor_driver.h. */
#include "tests/unit/executor_driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/journal/events.h"

static void apply_added(void *state, const void *event)
{
    ((exec_amount_t *)state)->amount += ((const exec_amount_t *)event)->amount;
}

static void apply_added_v1(void *state, const void *event)
{
    ((exec_amount_t *)state)->amount += 2 * ((const exec_amount_t *)event)->amount;
}

static void apply_emptied(void *state, const void *event)
{
    assert_null(event);
    ((exec_amount_t *)state)->amount = 0;
}

static const fabric_event_type_t events[] = {
    {"Added", 1, &exec_amount_schema, apply_added_v1},
    {"Emptied", 0, &fabric_schema_empty, apply_emptied},
    {"Added", 2, &exec_amount_schema, apply_added},
    {"Labelled", 0, &exec_label_schema, apply_emptied},
};

const fabric_event_type_t *exec_events_of_type(size_t *count)
{
    *count = sizeof events / sizeof events[0];
    return events;
}

void exec_with_events(executor_driver_t *d, uint32_t snapshot_every)
{
    static fabric_entity_type_t other;
    other = exec_type();
    other.events = events;
    other.event_count = sizeof events / sizeof events[0];
    if (snapshot_every > 0) {
        other.state = &exec_amount_schema;
        other.state_version = 2;
        other.snapshot_every = snapshot_every;
        other.restore = exec_restore;
    }
    d->with_events = true;
    exec_replace_type(d, &other);
}

static void give_stored(executor_driver_t *d, const message_deliver_t *given, fabric_bytes_t bytes)
{
    work_frame_t *frame = work_frame_copy(bytes);
    message_deliver_t delivery = *given;
    delivery.shard = EXECUTOR_DRIVER_SHARD;
    delivery.home_epoch = d->home_epoch;
    delivery.owner_sequence = 1;
    delivery.type = fabric_bytes_of("Sum");
    delivery.id = fabric_bytes_of(d->given_id ? d->given_id : "a");
    delivery.payload = frame->bytes;
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, d->home_epoch}, 1);
    work->frame = frame;
    work->round = d->round;
    work = work_add(work, &delivery);
    executor_give(d->executor, &work);
}

void exec_snapshot(executor_driver_t *d, uint64_t activation, uint64_t version, uint64_t sequence,
                   fabric_bytes_t state)
{
    give_stored(d,
                &(message_deliver_t){.activation = activation,
                                     .attempt = version,
                                     .flags = REQUEST_DURABLE | WORK_STATE,
                                     .position = sequence},
                state);
}

void exec_events(executor_driver_t *d, uint64_t activation, uint64_t first, const char *tag,
                 uint32_t version, const int64_t *amounts, uint32_t count, bool more)
{
    wire_writer_t list = {0};
    wire_writer_t array = {0};
    for (uint32_t i = 0; i < count; i++) {
        journal_events_put(&list, fabric_bytes_of(tag), version, exec_amount(d, amounts[i]));
    }
    journal_events_put_array(&array,
                             &(journal_events_t){.count = count, .list = wire_writer_bytes(&list)});
    give_stored(d,
                &(message_deliver_t){.activation = activation,
                                     .attempt = more,
                                     .flags = REQUEST_DURABLE | WORK_STATE | WORK_EVENTS,
                                     .position = first},
                wire_writer_bytes(&array));
    wire_writer_destroy(&list);
    wire_writer_destroy(&array);
}

static void take_effects(executor_driver_t *d, const message_result_events_t *message,
                         message_result_t *result)
{
    exec_amount_t amount;
    store_event_t event;
    journal_events_t given;
    assert_int_equal(journal_events_read(message->events, message->first, &given), FABRIC_OK);
    journal_events_reader_t reader = journal_events_open(&given);
    for (size_t i = 0; journal_events_next(&reader, &event); i++) {
        assert_int_equal(fabric_schema_decode(&exec_amount_schema, event.payload, NULL, &amount),
                         FABRIC_OK);
        d->events[i % 4] = amount.amount;
    }
    d->first = message->first;
    d->event_count = given.count;
    d->has_snapshot = message->state.size > 0;
    d->sequence = message->sequence;
    d->state_version = message->version;
    if (d->has_snapshot) {
        assert_int_equal(fabric_schema_decode(&exec_amount_schema, message->state, NULL, &amount),
                         FABRIC_OK);
        d->state = amount.amount;
    }
    *result = work_result_of_events(message);
}

void exec_take_result_events(executor_driver_t *d, wire_reader_t *body, message_result_t *result)
{
    message_result_events_t message;
    assert_int_equal(message_get_result_events(body, &message), FABRIC_OK);
    take_effects(d, &message, result);
}

void exec_take_result_told(executor_driver_t *d, wire_reader_t *body, message_result_t *result)
{
    message_result_told_t message;
    assert_int_equal(message_get_result_told(body, &message), FABRIC_OK);
    const message_result_events_t with = work_result_of_told(&message);
    take_effects(d, &with, result);
    d->stateful = d->has_snapshot;
    assert_true(message.told.size <= sizeof d->outgoing);
    memcpy(d->outgoing, message.told.data, message.told.size);
    d->outgoing_size = message.told.size;
    d->outgoing_count = (uint32_t)message.count;
}

void exec_expect_events(executor_driver_t *d, uint64_t first, const int64_t *amounts,
                        uint32_t count)
{
    assert_int_equal(d->event_count, count);
    if (count > 0) {
        assert_int_equal(d->first, first);
        assert_memory_equal(d->events, amounts, count * sizeof *amounts);
    }
}

void exec_expect_snapshot(executor_driver_t *d, uint64_t sequence, int64_t amount)
{
    assert_true(d->has_snapshot);
    assert_int_equal(d->sequence, sequence);
    assert_int_equal(d->state_version, 2);
    assert_int_equal(d->state, amount);
}

void exec_expect_no_snapshot(executor_driver_t *d)
{
    assert_false(d->has_snapshot);
}

void exec_expect_state(executor_driver_t *d, int64_t amount)
{
    assert_true(d->stateful);
    assert_int_equal(d->state, amount);
    assert_int_equal(d->state_version, 2);
}

void exec_expect_no_state(executor_driver_t *d)
{
    assert_false(d->stateful);
}
