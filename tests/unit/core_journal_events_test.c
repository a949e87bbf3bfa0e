/* Events in the journal: in RESULT records, and what a fold makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal/fold.h"
#include "core/memory.h"
#include "tests/unit/journal_samples.h"

enum { LANE = 3, CHECKPOINT = 100, RECORDED_MS = 1790 };

typedef struct bench {
    journal_writer_t *writer;
    journal_fold_t *fold;
    wire_writer_t list;
    uint64_t last_id;
} bench_t;

static int set_up(void **state)
{
    static bench_t bench;
    srand(12);
    bench = (bench_t){.writer = journal_writer_new(),
                      .fold = journal_fold_new(LANE, CHECKPOINT),
                      .last_id = 1000};
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;
    journal_writer_destroy(&bench->writer);
    journal_fold_destroy(&bench->fold);
    wire_writer_destroy(&bench->list);
    return 0;
}

static store_message_t message_to(bench_t *bench, const char *entity)
{
    store_message_t message = journal_sample_message(++bench->last_id);
    message.type = fabric_bytes_of("Account");
    message.entity = fabric_bytes_of(entity);
    message.shard.value = 0x10003;
    return message;
}

/* The events "first", "first + 1", ... */
static journal_events_t events_from(bench_t *bench, uint64_t first, uint32_t count)
{
    wire_writer_reset(&bench->list);
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%u", (unsigned)(first + i));
        journal_events_put(&bench->list, fabric_bytes_of("Paid"), 7, fabric_bytes_of(text));
    }
    return (journal_events_t){.first = first,
                              .count = count,
                              .recorded_ms = RECORDED_MS,
                              .list = wire_writer_bytes(&bench->list)};
}

static void put(bench_t *bench, const store_message_t *message, const journal_effects_t *effects)
{
    store_reply_t reply = journal_sample_reply(message);
    journal_put_result_with_effects(bench->writer, message, message->id.value, &reply, effects);
}

static void put_events(bench_t *bench, const store_message_t *message, uint64_t first,
                       uint32_t count)
{
    journal_effects_t effects = {.events = events_from(bench, first, count)};
    put(bench, message, &effects);
}

static void put_to(bench_t *bench, const char *entity, uint64_t first, uint32_t count)
{
    store_message_t message = message_to(bench, entity);
    put_events(bench, &message, first, count);
}

static store_entry_t next_entry(bench_t *bench)
{
    return journal_sample_entry(bench->writer, journal_fold_number(bench->fold) + 1);
}

static void take(bench_t *bench, const store_entry_t *entry)
{
    reason_t reason = {{0}};
    assert_int_equal(journal_fold_entry(bench->fold, entry, &reason), FABRIC_OK);
    journal_writer_reset(bench->writer);
}

static void take_next(bench_t *bench)
{
    store_entry_t entry = next_entry(bench);
    take(bench, &entry);
}

/* The sequences of the entity's events, "5 6 8"; each says by its payload which it is. */
static const char *sequences_of(const bench_t *bench, const char *entity)
{
    static char text[200];
    size_t count = 0;
    size_t used = 0;
    const store_event_t *events = journal_fold_events(bench->fold, &count);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const store_event_t *event = &events[i];
        char payload[32];
        if (!fabric_bytes_equal(event->entity, fabric_bytes_of(entity))) {
            continue;
        }
        snprintf(payload, sizeof payload, "%u", (unsigned)event->sequence);
        assert_true(fabric_bytes_equal(event->payload, fabric_bytes_of(payload)));
        assert_true(fabric_bytes_equal(event->type, fabric_bytes_of("Account")));
        assert_true(fabric_bytes_equal(event->tag, fabric_bytes_of("Paid")));
        assert_int_equal(event->version, 7);
        assert_int_equal(event->recorded_ms, RECORDED_MS);
        assert_int_equal(event->shard.value, 0x10003);
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? " " : "", payload);
    }
    return text;
}

static void expect_effects(const journal_record_t *record, const store_message_t *message,
                           const journal_effects_t *effects)
{
    assert_true(fabric_bytes_equal(record->state.state, effects->state));
    assert_int_equal(record->state.version, effects->version);
    assert_int_equal(record->state.sequence, effects->sequence);
    assert_int_equal(record->events.count, effects->events.count);
    assert_int_equal(record->events.first, effects->events.first);
    assert_int_equal(record->events.recorded_ms, effects->events.recorded_ms);
    assert_true(fabric_bytes_equal(record->events.list, effects->events.list));
    bool named = effects->state.size > 0 || effects->events.count > 0;
    assert_true(
        fabric_bytes_equal(record->state.type, named ? message->type : (fabric_bytes_t){NULL, 0}));
    if (named) {
        assert_true(fabric_bytes_equal(record->state.entity, message->entity));
        assert_int_equal(record->state.shard.value, message->shard.value);
        assert_int_equal(record->entity_hash, journal_entity_hash(message->type, message->entity));
    }
}

/* With and without a key, a time, a state and events: the number of fields tells all. */
static void a_result_says_the_events_that_it_appends(void **state)
{
    bench_t *bench = *state;
    for (unsigned i = 0; i < 16; i++) {
        store_message_t message = message_to(bench, "alice");
        message.key_hash = i & 1 ? journal_sample_bytes(STORE_KEY_BYTES).data : NULL;
        message.deliver_at_ms = i & 2 ? 12345 : 0;
        store_reply_t reply = journal_sample_reply(&message);
        journal_effects_t effects = {.version = 0};
        if (i & 4) {
            effects.events = events_from(bench, 5, 2);
        }
        if (i & 8) {
            effects.version = 9;
            effects.state = fabric_bytes_of("state");
            effects.sequence = i & 4 ? 6 : 0;
        }
        journal_put_result_with_effects(bench->writer, &message, message.id.value, &reply,
                                        &effects);
        journal_record_t record;
        fabric_bytes_t bytes = journal_record_of(bench->writer, i);
        assert_int_equal(journal_record_decode(bytes, &record), FABRIC_OK);
        expect_effects(&record, &message, &effects);
        assert_int_equal(record.key_hash != NULL, i & 1);
        assert_int_equal(record.deliver_at_ms, message.deliver_at_ms);
        assert_true(fabric_bytes_equal(record.reply.payload, reply.payload));
    }
}

/* A state of so many events may come without any, where the entity was built from many. */
static void a_snapshot_may_come_alone(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "alice");
    journal_effects_t effects = {
        .version = 2, .state = fabric_bytes_of("state"), .sequence = STORE_SEQUENCE_MAX};
    put(bench, &message, &effects);
    journal_record_t record;
    assert_int_equal(journal_record_decode(journal_record_of(bench->writer, 0), &record),
                     FABRIC_OK);
    expect_effects(&record, &message, &effects);
    take_next(bench);
    size_t count = 0;
    const store_state_t *states = journal_fold_states(bench->fold, &count);
    assert_int_equal(count, 1);
    assert_int_equal(states[0].sequence, STORE_SEQUENCE_MAX);
    assert_string_equal(sequences_of(bench, "alice"), "");
}

/* What no entity can have left. */
static void a_result_that_contradicts_itself_is_damaged(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "alice");
    const journal_events_t some = events_from(bench, 5, 2);
    const fabric_bytes_t snapshot = fabric_bytes_of("state");
    journal_events_t from_0 = some;
    journal_events_t beyond = some;
    journal_events_t fewer = some;
    journal_events_t more = some;
    from_0.first = 0;
    beyond.first = STORE_SEQUENCE_MAX;
    fewer.count = 1;
    more.count = 3;
    const journal_effects_t wrong[] = {
        {.state = snapshot, .sequence = 5, .events = some}, /* without the last one */
        {.state = snapshot, .sequence = 7, .events = some}, /* with more than there are */
        {.state = snapshot, .events = some},
        {.sequence = 6, .events = some},
        {.version = 1, .events = some},
        {.sequence = 6},
        {.state = snapshot, .sequence = STORE_SEQUENCE_MAX + 1},
        {.state = snapshot, .sequence = 6, .events = {.first = 5}},
        {.events = from_0},
        {.events = beyond},
        {.events = fewer},
        {.events = more},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        journal_record_t record;
        put(bench, &message, &wrong[i]);
        assert_int_equal(journal_record_decode(journal_record_of(bench->writer, i), &record),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

static bool is_sound(const wire_writer_t *list, uint32_t count)
{
    journal_events_t events = {.first = 1, .count = count, .list = wire_writer_bytes(list)};
    return journal_events_are_sound(&events);
}

static void lists_are_checked(void **state)
{
    bench_t *bench = *state;
    wire_writer_t *list = &bench->list;
    uint8_t name[256];
    memset(name, 'n', sizeof name);
    assert_false(is_sound(list, 1)); /* it is empty */
    journal_events_put(list, fabric_bytes(name, 255), UINT32_MAX, (fabric_bytes_t){NULL, 0});
    assert_true(is_sound(list, 1));
    assert_false(is_sound(list, 0));
    assert_false(is_sound(list, 2));
    list->size--;
    assert_false(is_sound(list, 1));
    wire_writer_reset(list);
    journal_events_put(list, fabric_bytes(name, 256), 1, fabric_bytes_of("p"));
    assert_false(is_sound(list, 1));
    wire_writer_reset(list);
    journal_events_put(list, (fabric_bytes_t){NULL, 0}, 1, fabric_bytes_of("p"));
    assert_false(is_sound(list, 1));
    wire_writer_reset(list);
    wire_put_array(list, 4);
    wire_put_text(list, "Paid");
    wire_put_uint(list, 1);
    wire_put_bin(list, fabric_bytes_of("p"));
    assert_false(is_sound(list, 1));
    wire_writer_reset(list);
    wire_put_array(list, 3);
    wire_put_text(list, "Paid");
    wire_put_uint(list, UINT64_C(1) << 32);
    wire_put_bin(list, fabric_bytes_of("p"));
    assert_false(is_sound(list, 1));
}

/* As a message of the wire carries them. */
static void arrays_are_read_as_a_whole(void **state)
{
    bench_t *bench = *state;
    journal_events_t events = events_from(bench, 5, 2);
    wire_writer_t array = {0};
    journal_events_put_array(&array, &events);
    journal_events_t read = {0};
    assert_int_equal(journal_events_read(wire_writer_bytes(&array), 5, &read), FABRIC_OK);
    assert_true(read.first == 5 && read.count == 2 && journal_events_last(&read) == 6);
    assert_true(fabric_bytes_equal(read.list, events.list));
    journal_events_t untouched = {.count = 7};
    for (size_t size = 0; size < array.size; size++) {
        assert_int_equal(journal_events_read(fabric_bytes(array.data, size), 5, &untouched),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
    assert_int_equal(journal_events_read(wire_writer_bytes(&array), 0, &untouched),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(journal_events_read(wire_writer_bytes(&array), STORE_SEQUENCE_MAX, &untouched),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    wire_put_uint(&array, 1); /* behind them */
    assert_int_equal(journal_events_read(wire_writer_bytes(&array), 5, &untouched),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(untouched.count, 7);
    wire_writer_reset(&array);
    wire_put_array(&array, 0);
    assert_int_equal(journal_events_read(wire_writer_bytes(&array), 5, &read), FABRIC_OK);
    assert_true(read.first == 0 && read.count == 0);
    wire_writer_destroy(&array);
}

static void the_events_of_an_entity_stand_in_order(void **state)
{
    bench_t *bench = *state;
    put_to(bench, "alice", 5, 2);
    put_to(bench, "bob", 1, 1);
    take_next(bench);
    put_to(bench, "alice", 7, 1);
    put_to(bench, "bob", 2, 0); /* a result that appends none */
    take_next(bench);
    put_to(bench, "bob", 2, 3);
    put_to(bench, "alice", 8, 1);
    take_next(bench);
    assert_string_equal(sequences_of(bench, "alice"), "5 6 7 8");
    assert_string_equal(sequences_of(bench, "bob"), "1 2 3 4");
    assert_string_equal(sequences_of(bench, "carol"), "");
    size_t count = 0;
    const store_event_t *events = journal_fold_events(bench->fold, &count);
    assert_int_equal(count, 8);
    static const uint64_t ids[] = {1001, 1001, 1002, 1003, 1005, 1005, 1005, 1006};
    static const uint64_t numbers[] = {101, 101, 101, 102, 103, 103, 103, 103};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(events[i].id.value, ids[i]);
        assert_int_equal(events[i].number, numbers[i]);
    }
}

/* Events and end of a message stand or fall together. */
static void a_second_end_of_a_message_appends_nothing(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "alice");
    put_events(bench, &message, 1, 1);
    take_next(bench);
    put_events(bench, &message, 2, 1);
    take_next(bench);
    assert_string_equal(sequences_of(bench, "alice"), "1");
}

static void an_end_after_the_entitys_clear_appends_nothing(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "alice");
    put_to(bench, "alice", 1, 2); /* durable before the clear: it stays */
    take_next(bench);
    journal_put_clear(bench->writer, (request_id_t){++bench->last_id}, message.shard, message.type,
                      message.entity);
    journal_put_message(bench->writer, &message, message.id.value, (journal_attempts_t){0});
    take_next(bench);
    put_events(bench, &message, 3, 1);
    take_next(bench);
    assert_string_equal(sequences_of(bench, "alice"), "1 2");
}

/* Those behind it do not close the gap. */
static void a_damaged_result_leaves_a_gap(void **state)
{
    bench_t *bench = *state;
    put_to(bench, "alice", 1, 2);
    take_next(bench);
    put_to(bench, "alice", 3, 2);
    store_entry_t entry = next_entry(bench);
    ((uint8_t *)entry.body.data)[entry.body.size - 1] ^= 1;
    take(bench, &entry);
    put_to(bench, "alice", 5, 1);
    take_next(bench);
    assert_string_equal(sequences_of(bench, "alice"), "1 2 5");
    assert_int_equal(journal_fold_damaged(bench->fold), 1);
}

#define events_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        events_test(a_result_says_the_events_that_it_appends),
        events_test(a_snapshot_may_come_alone),
        events_test(a_result_that_contradicts_itself_is_damaged),
        events_test(lists_are_checked),
        events_test(arrays_are_read_as_a_whole),
        events_test(the_events_of_an_entity_stand_in_order),
        events_test(a_second_end_of_a_message_appends_nothing),
        events_test(an_end_after_the_entitys_clear_appends_nothing),
        events_test(a_damaged_result_leaves_a_gap),
    };
    return cmocka_run_group_tests_name("core_journal_events", tests, NULL, NULL);
}
