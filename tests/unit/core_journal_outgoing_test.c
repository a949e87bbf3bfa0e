/* Outgoing messages in the journal: in RESULT records, their ends in SENT records, and what a fold
 * makes of both. */
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

enum { LANE = 3, CHECKPOINT = 100, SHARD = 0x10003, TARGET_SHARD = 0x10004 };

typedef struct bench {
    journal_writer_t *writer;
    journal_fold_t *fold;
    wire_writer_t list;
    wire_writer_t events;
    uint64_t last_id;
} bench_t;

static int set_up(void **state)
{
    static bench_t bench;
    srand(14);
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
    wire_writer_destroy(&bench->events);
    return 0;
}

static store_message_t message_to(bench_t *bench, const char *entity)
{
    store_message_t message = journal_sample_message(++bench->last_id);
    message.type = fabric_bytes_of("Order");
    message.entity = fabric_bytes_of(entity);
    message.tag = fabric_bytes_of("Place");
    message.shard.value = SHARD;
    return message;
}

static store_outgoing_t told(const char *payload)
{
    return (store_outgoing_t){.shard = {TARGET_SHARD},
                              .type = fabric_bytes_of("Account"),
                              .entity = fabric_bytes_of("alice"),
                              .tag = fabric_bytes_of("Pay"),
                              .payload = fabric_bytes_of(payload),
                              .primary_key = fabric_bytes_of("key"),
                              .deliver_at_ms = 1790,
                              .flags = 3,
                              .headers = fabric_bytes_of("headers")};
}

/* The messages "0", "1", ... of the result with this id. */
static journal_outgoing_t messages_of(bench_t *bench, uint64_t id, uint32_t count)
{
    wire_writer_reset(&bench->list);
    for (uint32_t i = 0; i < count; i++) {
        char payload[32];
        snprintf(payload, sizeof payload, "%u", i);
        store_outgoing_t message = told(payload);
        journal_outgoing_put(&bench->list, &message);
    }
    return (journal_outgoing_t){.id = id,
                                .count = count,
                                .traceparent = fabric_bytes_of("trace"),
                                .list = wire_writer_bytes(&bench->list)};
}

static void put(bench_t *bench, const store_message_t *message, const journal_effects_t *effects)
{
    store_reply_t reply = journal_sample_reply(message);
    journal_put_result_with_effects(bench->writer, message, message->id.value, &reply, effects);
}

/* A result of the entity that tells so many, with this id. */
static store_message_t put_told(bench_t *bench, const char *entity, uint64_t id, uint32_t count)
{
    store_message_t message = message_to(bench, entity);
    journal_effects_t effects = {.outgoing = messages_of(bench, id, count)};
    put(bench, &message, &effects);
    return message;
}

static void put_sent(bench_t *bench, const store_message_t *source, uint64_t id, uint32_t first,
                     uint32_t count)
{
    wire_writer_reset(&bench->list);
    for (uint32_t i = 0; i < count; i++) {
        store_sent_t end = {first + i, {5000 + i}, 0};
        journal_sent_put(&bench->list, &end);
    }
    journal_sent_t sent = {id, count, wire_writer_bytes(&bench->list)};
    journal_put_sent(bench->writer, source->id, source->shard,
                     journal_entity_hash(source->type, source->entity), &sent);
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

/* The keys of what is to be sent, "7/0 7/1 9/0"; each says by its payload which it is. */
static const char *open_ones(const bench_t *bench)
{
    static char text[200];
    size_t count = 0;
    size_t used = 0;
    const store_outgoing_t *messages = journal_fold_outgoing(bench->fold, &count);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const store_outgoing_t *message = &messages[i];
        char payload[32];
        snprintf(payload, sizeof payload, "%u", message->key.index);
        store_outgoing_t expected = told(payload);
        assert_true(fabric_bytes_equal(message->payload, expected.payload));
        assert_true(fabric_bytes_equal(message->type, expected.type));
        assert_true(fabric_bytes_equal(message->entity, expected.entity));
        assert_true(fabric_bytes_equal(message->tag, expected.tag));
        assert_true(fabric_bytes_equal(message->primary_key, expected.primary_key));
        assert_true(fabric_bytes_equal(message->headers, expected.headers));
        assert_true(fabric_bytes_equal(message->traceparent, fabric_bytes_of("trace")));
        assert_true(fabric_bytes_equal(message->source_type, fabric_bytes_of("Order")));
        assert_true(fabric_bytes_equal(message->source_tag, fabric_bytes_of("Place")));
        assert_int_equal(message->deliver_at_ms, expected.deliver_at_ms);
        assert_int_equal(message->flags, expected.flags);
        assert_int_equal(message->shard.value, TARGET_SHARD);
        assert_int_equal(message->source_shard.value, SHARD);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u/%u", used > 0 ? " " : "",
                                 (unsigned)message->key.id, message->key.index);
    }
    return text;
}

static const char *ended_ones(const bench_t *bench)
{
    static char text[200];
    size_t count = 0;
    size_t used = 0;
    const store_outgoing_key_t *keys = journal_fold_sent(bench->fold, &count);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u/%u", used > 0 ? " " : "",
                                 (unsigned)keys[i].id, keys[i].index);
    }
    return text;
}

/* ---- records ---- */

static void expect_result(const journal_record_t *record, const store_message_t *message,
                          const journal_effects_t *effects)
{
    assert_int_equal(record->outgoing.id, effects->outgoing.id);
    assert_int_equal(record->outgoing.count, effects->outgoing.count);
    assert_true(fabric_bytes_equal(record->outgoing.list, effects->outgoing.list));
    assert_true(fabric_bytes_equal(record->outgoing.traceparent, effects->outgoing.traceparent));
    assert_int_equal(record->events.count, effects->events.count);
    assert_int_equal(record->state.version, effects->version);
    assert_int_equal(record->state.sequence, effects->sequence);
    assert_true(fabric_bytes_equal(record->state.state, effects->state));
    assert_int_equal(record->key_hash != NULL, message->key_hash != NULL);
    assert_int_equal(record->deliver_at_ms, message->deliver_at_ms);
    if (effects->outgoing.count > 0) {
        assert_true(fabric_bytes_equal(record->outgoing.tag, message->tag));
        assert_true(fabric_bytes_equal(record->state.type, message->type));
        assert_true(fabric_bytes_equal(record->state.entity, message->entity));
        assert_int_equal(record->entity_hash, journal_entity_hash(message->type, message->entity));
    }
}

/* With and without a key, a time, a state, events and outgoing messages, and with a state of a type
 * that appends no events: the number of fields tells all. */
static void a_result_says_the_messages_that_it_tells(void **state)
{
    bench_t *bench = *state;
    for (unsigned i = 0; i < 64; i++) {
        store_message_t message = message_to(bench, "o-1");
        message.key_hash = i & 1 ? journal_sample_bytes(STORE_KEY_BYTES).data : NULL;
        message.deliver_at_ms = i & 2 ? 12345 : 0;
        journal_effects_t effects = {.version = 0};
        if (i & 4) {
            wire_writer_reset(&bench->events);
            journal_events_put(&bench->events, fabric_bytes_of("Paid"), 7, fabric_bytes_of("p"));
            effects.events = (journal_events_t){
                .first = 5, .count = 1, .list = wire_writer_bytes(&bench->events)};
        }
        if (i & 8) {
            effects.version = 9;
            effects.state = fabric_bytes_of("state");
            effects.sequence = i & 4 || i & 16 ? 5 : 0;
        }
        if (i & 32) {
            effects.outgoing = messages_of(bench, 77, 1 + i % 3);
        }
        put(bench, &message, &effects);
        journal_record_t record;
        fabric_bytes_t bytes = journal_record_of(bench->writer, i);
        assert_int_equal(journal_record_decode(bytes, &record), FABRIC_OK);
        expect_result(&record, &message, &effects);
    }
}

/* What no handler can have left. */
static void a_result_that_contradicts_itself_is_damaged(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "o-1");
    const journal_outgoing_t some = messages_of(bench, 77, 2);
    const fabric_bytes_t snapshot = fabric_bytes_of("state");
    char trace[57] = "";
    memset(trace, 't', 56);
    journal_outgoing_t without_id = some;
    journal_outgoing_t fewer = some;
    journal_outgoing_t more = some;
    journal_outgoing_t long_trace = some;
    without_id.id = 0;
    fewer.count = 1;
    more.count = 3;
    long_trace.traceparent = fabric_bytes_of(trace);
    const journal_effects_t wrong[] = {
        {.outgoing = without_id},
        {.outgoing = fewer},
        {.outgoing = more},
        {.outgoing = long_trace},
        {.version = 1, .outgoing = some},
        {.sequence = 6, .outgoing = some},
        {.events = {.first = 5}, .outgoing = some},
        {.state = snapshot, .sequence = STORE_SEQUENCE_MAX + 1, .outgoing = some},
    };
    size_t count = sizeof wrong / sizeof wrong[0];
    journal_record_t record;
    for (size_t i = 0; i < count; i++) {
        put(bench, &message, &wrong[i]);
        assert_int_equal(journal_record_decode(journal_record_of(bench->writer, i), &record),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
    const journal_effects_t right = {.outgoing = some};
    message.tag = (fabric_bytes_t){NULL, 0};
    put(bench, &message, &right);
    assert_int_equal(journal_record_decode(journal_record_of(bench->writer, count), &record),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
}

static bool is_sound(const wire_writer_t *list, uint32_t count)
{
    journal_outgoing_t outgoing = {.id = 1, .count = count, .list = wire_writer_bytes(list)};
    return journal_outgoing_is_sound(&outgoing);
}

static bool is_sound_alone(wire_writer_t *list, const store_outgoing_t *message)
{
    wire_writer_reset(list);
    journal_outgoing_put(list, message);
    return is_sound(list, 1);
}

static void lists_are_checked(void **state)
{
    bench_t *bench = *state;
    wire_writer_t *list = &bench->list;
    static uint8_t name[1025];
    memset(name, 'n', sizeof name);
    store_outgoing_t message = told("p");
    assert_true(is_sound_alone(list, &message));
    assert_false(is_sound(list, 0));
    assert_false(is_sound(list, 2));
    list->size--;
    assert_false(is_sound(list, 1));
    fabric_bytes_t *const names[] = {&message.type, &message.entity, &message.tag};
    for (size_t i = 0; i < 3; i++) {
        fabric_bytes_t right = *names[i];
        *names[i] = fabric_bytes(name, 255);
        assert_true(is_sound_alone(list, &message));
        *names[i] = fabric_bytes(name, 256);
        assert_false(is_sound_alone(list, &message));
        *names[i] = fabric_bytes(name, 0);
        assert_false(is_sound_alone(list, &message));
        *names[i] = right;
    }
    message.primary_key = fabric_bytes(name, 1024);
    assert_true(is_sound_alone(list, &message));
    message.primary_key = fabric_bytes(name, 1025);
    assert_false(is_sound_alone(list, &message));
    wire_writer_reset(list);
    wire_put_array(list, 8);
    assert_false(is_sound(list, 1));
}

/* At most so many: with all else that their message changes they fit into one slice. */
static void a_result_has_so_many_messages(void **state)
{
    bench_t *bench = *state;
    journal_record_t record;
    put_told(bench, "o-1", 77, STORE_OUTGOING_MAX);
    assert_int_equal(journal_record_decode(journal_record_of(bench->writer, 0), &record),
                     FABRIC_OK);
    assert_int_equal(record.outgoing.count, STORE_OUTGOING_MAX);
    put_told(bench, "o-1", 77, STORE_OUTGOING_MAX + 1);
    assert_int_equal(journal_record_decode(journal_record_of(bench->writer, 1), &record),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
}

static void a_sent_says_how_messages_ended(void **state)
{
    bench_t *bench = *state;
    store_message_t source = message_to(bench, "o-1");
    const store_sent_t ends[] = {{0, {7}, 0}, {999, {UINT64_MAX}, UINT32_MAX}};
    journal_sent_put(&bench->list, &ends[0]);
    journal_sent_put(&bench->list, &ends[1]);
    journal_sent_t sent = {77, 2, wire_writer_bytes(&bench->list)};
    journal_put_sent(bench->writer, source.id, source.shard, 99, &sent);
    journal_record_t record;
    assert_int_equal(journal_record_decode(journal_record_of(bench->writer, 0), &record),
                     FABRIC_OK);
    assert_int_equal(record.kind, RECORD_SENT);
    assert_int_equal(record.id.value, source.id.value);
    assert_int_equal(record.shard.value, SHARD);
    assert_int_equal(record.sent.id, 77);
    assert_int_equal(record.sent.count, 2);
    journal_sent_reader_t reader = journal_sent_open(&record.sent);
    store_sent_t end;
    for (size_t i = 0; i < 2; i++) {
        assert_true(journal_sent_next(&reader, &end));
        assert_int_equal(end.index, ends[i].index);
        assert_int_equal(end.id.value, ends[i].id.value);
        assert_int_equal(end.cause, ends[i].cause);
    }
    assert_false(journal_sent_next(&reader, &end));
}

static void a_sent_that_contradicts_itself_is_damaged(void **state)
{
    bench_t *bench = *state;
    store_message_t source = message_to(bench, "o-1");
    const store_sent_t beyond = {STORE_OUTGOING_MAX, {7}, 0};
    const store_sent_t without_id = {0, {0}, 0};
    const store_sent_t right = {0, {7}, 0};
    journal_sent_put(&bench->list, &beyond);
    size_t first = bench->list.size;
    journal_sent_put(&bench->list, &without_id);
    size_t second = bench->list.size;
    journal_sent_put(&bench->list, &right);
    const uint8_t *bytes = bench->list.data;
    fabric_bytes_t good = fabric_bytes(bytes + second, bench->list.size - second);
    const journal_sent_t wrong[] = {{77, 1, fabric_bytes(bytes, first)},
                                    {77, 1, fabric_bytes(bytes + first, second - first)},
                                    {77, 0, fabric_bytes(bytes, 0)},
                                    {77, 2, good},
                                    {77, 0, good},
                                    {0, 1, good},
                                    {77, 1, good}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bool last = i == sizeof wrong / sizeof wrong[0] - 1;
        journal_record_t record;
        journal_put_sent(bench->writer, source.id, source.shard, 99, &wrong[i]);
        assert_int_equal(journal_record_decode(journal_record_of(bench->writer, i), &record),
                         last ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_int_equal(journal_sent_is_sound(&wrong[i]), last);
    }
}

/* ---- folds ---- */

static void what_has_not_ended_stands_in_order(void **state)
{
    bench_t *bench = *state;
    store_message_t first = put_told(bench, "o-1", 2001, 3);
    put_told(bench, "o-2", 2002, 1);
    put_told(bench, "o-3", 0, 0); /* a result that tells nothing */
    take_next(bench);
    store_message_t third = put_told(bench, "o-1", 2003, 2);
    put_sent(bench, &first, 2001, 1, 1);
    take_next(bench);
    assert_string_equal(open_ones(bench), "2001/0 2001/2 2002/0 2003/0 2003/1");
    assert_string_equal(ended_ones(bench), "2001/1");
    put_sent(bench, &third, 2003, 0, 2);
    put_sent(bench, &first, 2001, 0, 2); /* one of them once more */
    take_next(bench);
    assert_string_equal(open_ones(bench), "2001/2 2002/0");
    assert_string_equal(ended_ones(bench), "2001/0 2001/1 2003/0 2003/1");
    size_t count = 0;
    const store_outgoing_t *messages = journal_fold_outgoing(bench->fold, &count);
    assert_int_equal(messages[0].number, CHECKPOINT + 1);
    assert_int_equal(messages[0].source.value, first.id.value);
    assert_true(fabric_bytes_equal(messages[0].source_entity, fabric_bytes_of("o-1")));
}

/* Their messages are in rows: the home that loads these passes over them. */
static void ends_of_earlier_messages_are_told(void **state)
{
    bench_t *bench = *state;
    store_message_t source = message_to(bench, "o-1");
    put_sent(bench, &source, 900, 2, 2);
    put_sent(bench, &source, 800, 0, 1);
    take_next(bench);
    assert_string_equal(open_ones(bench), "");
    assert_string_equal(ended_ones(bench), "800/0 900/2 900/3");
    assert_int_equal(journal_fold_count(bench->fold), 0); /* the source has ended long ago */
}

/* A target in the same lane: both stand in the entry of the result. */
static void a_message_may_be_accepted_in_its_own_entry(void **state)
{
    bench_t *bench = *state;
    store_message_t source = put_told(bench, "o-1", 2001, 2);
    store_message_t target = message_to(bench, "o-2");
    target.call = (call_key_t){source.id.value, 1};
    journal_put_message(bench->writer, &target, target.id.value, (journal_attempts_t){0});
    put_sent(bench, &source, 2001, 0, 1);
    take_next(bench);
    assert_string_equal(open_ones(bench), "2001/1");
    assert_int_equal(journal_fold_find(bench->fold, target.id)->standing, JOURNAL_PENDING);
    assert_int_equal(journal_fold_find(bench->fold, source.id)->standing, JOURNAL_ENDED);
}

/* Messages and end of their source stand or fall together. */
static void a_second_end_of_a_message_tells_nothing(void **state)
{
    bench_t *bench = *state;
    store_message_t message = put_told(bench, "o-1", 2001, 1);
    take_next(bench);
    journal_effects_t effects = {.outgoing = messages_of(bench, 2002, 1)};
    put(bench, &message, &effects);
    take_next(bench);
    assert_string_equal(open_ones(bench), "2001/0");
}

/* What was durable before the clear is told; the clear ends messages of its entity. */
static void a_clear_leaves_what_was_told_before(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "o-1");
    put_told(bench, "o-1", 2001, 1);
    take_next(bench);
    journal_put_clear(bench->writer, (request_id_t){++bench->last_id}, message.shard, message.type,
                      message.entity);
    journal_put_message(bench->writer, &message, message.id.value, (journal_attempts_t){0});
    take_next(bench);
    journal_effects_t effects = {.outgoing = messages_of(bench, 2002, 1)};
    put(bench, &message, &effects);
    take_next(bench);
    assert_string_equal(open_ones(bench), "2001/0");
}

static void a_damaged_result_takes_its_messages_with_it(void **state)
{
    bench_t *bench = *state;
    put_told(bench, "o-1", 2001, 1);
    take_next(bench);
    put_told(bench, "o-1", 2002, 2);
    store_entry_t entry = next_entry(bench);
    ((uint8_t *)entry.body.data)[entry.body.size - 1] ^= 1;
    take(bench, &entry);
    put_told(bench, "o-1", 2003, 1);
    take_next(bench);
    assert_string_equal(open_ones(bench), "2001/0 2003/0");
    assert_int_equal(journal_fold_damaged(bench->fold), 1);
}

/* The message is sent once more, under the same call key. */
static void a_damaged_end_ends_nothing(void **state)
{
    bench_t *bench = *state;
    store_message_t source = put_told(bench, "o-1", 2001, 2);
    take_next(bench);
    put_sent(bench, &source, 2001, 0, 2);
    store_entry_t entry = next_entry(bench);
    ((uint8_t *)entry.body.data)[entry.body.size - 1] ^= 1;
    take(bench, &entry);
    assert_string_equal(open_ones(bench), "2001/0 2001/1");
    assert_string_equal(ended_ones(bench), "");
    assert_int_equal(journal_fold_damaged(bench->fold), 1);
}

/* Ids of calls are never smaller than these, whatever the entry's own columns say. */
static void an_outgoing_id_is_one_that_was_made(void **state)
{
    bench_t *bench = *state;
    put_told(bench, "o-1", UINT64_C(1) << 50, 1);
    store_entry_t entry = next_entry(bench);
    entry.checksum ^= 1;
    take(bench, &entry);
    assert_int_equal(journal_fold_last_id(bench->fold), UINT64_C(1) << 50);
}

/* Of a SENT, the entity's hash stands in the index only. */
static void a_sent_is_salvaged(void **state)
{
    bench_t *bench = *state;
    journal_writer_t *salvaged = journal_writer_new();
    store_message_t source = put_told(bench, "o-1", 2001, 2);
    put_sent(bench, &source, 2001, 0, 2);
    store_entry_t entry = next_entry(bench);
    ((uint8_t *)entry.body.data)[1] ^= 1; /* the checksum of the index */
    assert_int_equal(journal_salvage(salvaged, entry.body), 2);
    store_entry_t again = journal_sample_entry(salvaged, CHECKPOINT + 1);
    journal_record_t record;
    assert_int_equal(journal_read_at(again.body, 1, &record), JOURNAL_READ_RECORD);
    assert_int_equal(record.kind, RECORD_SENT);
    assert_int_equal(record.entity_hash, journal_entity_hash(source.type, source.entity));
    take(bench, &again);
    assert_string_equal(open_ones(bench), "");
    journal_writer_destroy(&salvaged);
}

#define outgoing_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        outgoing_test(a_result_says_the_messages_that_it_tells),
        outgoing_test(a_result_that_contradicts_itself_is_damaged),
        outgoing_test(lists_are_checked),
        outgoing_test(a_result_has_so_many_messages),
        outgoing_test(a_sent_says_how_messages_ended),
        outgoing_test(a_sent_that_contradicts_itself_is_damaged),
        outgoing_test(what_has_not_ended_stands_in_order),
        outgoing_test(ends_of_earlier_messages_are_told),
        outgoing_test(a_message_may_be_accepted_in_its_own_entry),
        outgoing_test(a_second_end_of_a_message_tells_nothing),
        outgoing_test(a_clear_leaves_what_was_told_before),
        outgoing_test(a_damaged_result_takes_its_messages_with_it),
        outgoing_test(a_damaged_end_ends_nothing),
        outgoing_test(an_outgoing_id_is_one_that_was_made),
        outgoing_test(a_sent_is_salvaged),
    };
    return cmocka_run_group_tests_name("core_journal_outgoing", tests, NULL, NULL);
}
