/* The store suite: events of entities. They are there once, in order, and for ever. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

enum { MANY = 700, NAME_SIZE = 256, LARGE = 1 << 20 };

/* What load_events has visited. Large payloads are told by their size and hash alone. */
typedef struct loaded {
    store_event_t rows[MANY];
    size_t histories[MANY];
    uint8_t names[MANY][3 * NAME_SIZE];
    uint8_t payloads[MANY][32];
    uint64_t hashes[MANY];
    size_t count, done;
} loaded_t;

static loaded_t loaded;

static void keep_event(void *context, size_t history, const store_event_t *row)
{
    (void)context;
    assert_true(loaded.count < MANY);
    assert_true(row->type.size < NAME_SIZE && row->entity.size < NAME_SIZE &&
                row->tag.size < NAME_SIZE);
    uint8_t *names = loaded.names[loaded.count];
    uint8_t *payload = loaded.payloads[loaded.count];
    loaded.histories[loaded.count] = history;
    loaded.hashes[loaded.count] = XXH3_64bits(row->payload.data, row->payload.size);
    store_event_t *copy = &loaded.rows[loaded.count++];
    *copy = *row;
    memcpy(names, row->type.data, row->type.size);
    memcpy(names + NAME_SIZE, row->entity.data, row->entity.size);
    memcpy(names + 2 * NAME_SIZE, row->tag.data, row->tag.size);
    if (row->payload.size > 0) {
        memcpy(payload, row->payload.data, row->payload.size < 32 ? row->payload.size : 32);
    }
    copy->type.data = names;
    copy->entity.data = names + NAME_SIZE;
    copy->tag.data = names + 2 * NAME_SIZE;
    copy->payload.data = payload;
}

static void load(store_fixture_t *fixture, uint32_t lane, const store_history_t *histories,
                 size_t count, uint64_t bytes_max)
{
    loaded.count = 0;
    assert_ok(fixture->driver->load_events(fixture->second, lane, histories, count, bytes_max,
                                           keep_event, NULL, &loaded.done));
}

static store_history_t history_of(const store_event_t *event, uint64_t after, uint32_t limit)
{
    return (store_history_t){{event->type, event->entity}, after, limit};
}

/* All events of the entity. */
static void load_all_of(store_fixture_t *fixture, const store_event_t *event)
{
    store_history_t history = history_of(event, 0, MANY);
    load(fixture, 0, &history, 1, 64 * LARGE);
    assert_int_equal(loaded.done, 1);
}

static store_event_t event_of(const char *entity, uint64_t sequence)
{
    return (store_event_t){.type = bytes_of("Order"),
                           .entity = bytes_of(entity),
                           .shard = shard_id_make(1, 3),
                           .sequence = sequence,
                           .number = 2,
                           .id = {7000 + sequence},
                           .recorded_ms = 1790000000000 + (int64_t)sequence,
                           .tag = bytes_of("Placed"),
                           .version = 1,
                           .payload = bytes_of("payload")};
}

static fabric_error_t put(store_fixture_t *fixture, const store_hold_t *hold,
                          const store_event_t *events, size_t count)
{
    store_slice_t slice = {.events = events, .event_count = count, .begun = 2, .last = true};
    return write_slice(fixture, hold, &slice);
}

static void assert_event(size_t index, const store_event_t *wanted)
{
    assert_true(index < loaded.count);
    const store_event_t *row = &loaded.rows[index];
    assert_same_bytes(row->type, wanted->type);
    assert_same_bytes(row->entity, wanted->entity);
    assert_int_equal(row->shard.value, wanted->shard.value);
    assert_int_equal(row->sequence, wanted->sequence);
    assert_int_equal(row->number, wanted->number);
    assert_int_equal(row->id.value, wanted->id.value);
    assert_int_equal(row->recorded_ms, wanted->recorded_ms);
    assert_same_bytes(row->tag, wanted->tag);
    assert_int_equal(row->version, wanted->version);
    assert_int_equal(row->payload.size, wanted->payload.size);
    assert_int_equal(loaded.hashes[index], XXH3_64bits(wanted->payload.data, wanted->payload.size));
}

/* That the events loaded are first, first + 1, ... */
static void assert_sequences(uint64_t first, size_t count)
{
    assert_int_equal(loaded.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(loaded.rows[i].sequence, first + i);
    }
}

/* Names are exact bytes: they differ in case, in trailing blanks and in where the type ends. */
static void events_are_loaded_by_exact_names(void **state)
{
    store_fixture_t *fixture = *state;
    static const uint8_t bytes[] = {0, 0xff, '\'', ' '};
    uint8_t longest[255];
    memset(longest, 0xfe, sizeof longest);
    store_event_t rows[] = {event_of("a", 1), event_of("a", 1), event_of("a ", 1), event_of("A", 1),
                            event_of("b", 1), event_of("", 1),  event_of("x", 1)};
    enum { COUNT = sizeof rows / sizeof rows[0] };
    store_history_t histories[COUNT];
    rows[1].type = bytes_of("order");
    rows[1].version = UINT32_MAX;
    rows[1].number = (UINT64_C(1) << 62) + 3;
    rows[1].id.value = INT64_MAX;
    rows[1].recorded_ms = -7;
    rows[1].shard = shard_id_make(LIMIT_GROUPS_MAX, LIMIT_SHARDS_PER_GROUP_MAX);
    rows[2].payload = fabric_bytes(NULL, 0);
    rows[4].type = bytes_of("Ordera");
    rows[4].payload = fabric_bytes("\0\xff\0", 3);
    rows[5].entity = fabric_bytes(bytes, sizeof bytes);
    rows[6].type = rows[6].entity = rows[6].tag = fabric_bytes(longest, 255);
    rows[6].sequence = STORE_SEQUENCE_MAX;
    for (size_t i = 0; i < COUNT; i++) {
        histories[i] = history_of(&rows[i], 0, 10);
    }
    load(fixture, 0, histories, COUNT, LARGE);
    assert_int_equal(loaded.count, 0);
    assert_int_equal(loaded.done, COUNT);
    assert_ok(put(fixture, &fixture->hold, rows, COUNT));
    load(fixture, 0, histories, COUNT, LARGE);
    assert_int_equal(loaded.count, COUNT);
    assert_int_equal(loaded.done, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_event(i, &rows[i]);
        assert_int_equal(loaded.histories[i], i);
    }
    load(fixture, 1, histories, COUNT, LARGE); /* another lane's */
    assert_int_equal(loaded.count, 0);
}

/* More than one statement writes, and reads. */
static void put_many(store_fixture_t *fixture, const char *entity, size_t count)
{
    store_event_t *rows = memory_allocate(count * sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        rows[i] = event_of(entity, 1 + i);
    }
    assert_ok(put(fixture, &fixture->hold, rows, count));
    free(rows);
}

static void events_are_loaded_after_a_number(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t any = event_of("a", 1);
    put_many(fixture, "a", 300);
    put_many(fixture, "b", 5);
    load_all_of(fixture, &any);
    assert_sequences(1, 300);
    static const struct {
        uint64_t after;
        uint32_t limit;
        size_t count;
    } cases[] = {{0, 1, 1},   {0, 0, 0},      {298, 100, 2},      {299, 1, 1},
                 {300, 9, 0}, {10, 128, 128}, {UINT64_MAX, 9, 0}, {INT64_MAX, 9, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        store_history_t history = history_of(&any, cases[i].after, cases[i].limit);
        load(fixture, 0, &history, 1, LARGE);
        assert_int_equal(loaded.done, 1);
        assert_sequences(cases[i].after + 1, cases[i].count);
    }
}

/* Of several entities in one call, each behind a number of its own. */
static void several_histories_are_loaded(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t a = event_of("a", 1);
    store_event_t b = event_of("b", 1);
    store_event_t nobody = event_of("nobody", 1);
    put_many(fixture, "a", 9);
    put_many(fixture, "b", 200);
    store_history_t histories[] = {history_of(&b, 150, 10), history_of(&nobody, 0, 10),
                                   history_of(&a, 7, 10), history_of(&b, 0, 2)};
    load(fixture, 0, histories, 4, LARGE);
    assert_int_equal(loaded.done, 4);
    assert_int_equal(loaded.count, 14);
    static const uint64_t sequences[] = {151, 152, 153, 154, 155, 156, 157,
                                         158, 159, 160, 8,   9,   1,   2};
    static const size_t wanted[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 3, 3};
    for (size_t i = 0; i < loaded.count; i++) {
        assert_int_equal(loaded.rows[i].sequence, sequences[i]);
        assert_int_equal(loaded.histories[i], wanted[i]);
    }
}

/* Reading stops behind so many bytes, also within a history, and says where. */
static void large_events_come_in_parts(void **state)
{
    store_fixture_t *fixture = *state;
    enum { COUNT = 12 };
    store_event_t rows[COUNT];
    uint8_t *large = memory_allocate(LARGE);
    memset(large, 0xa7, LARGE);
    for (unsigned i = 0; i < COUNT; i++) {
        rows[i] = event_of("a", 1 + i);
        rows[i].payload = i % 4 == 0 ? fabric_bytes(large, LARGE) : rows[i].payload;
    }
    assert_ok(put(fixture, &fixture->hold, rows, COUNT));
    size_t read = 0;
    while (read <= 8) {
        store_history_t histories[] = {history_of(&rows[0], read, MANY),
                                       history_of(&rows[0], 0, 1)};
        load(fixture, 0, histories, 2, LARGE / 2);
        assert_true(loaded.count > 0);
        assert_int_equal(loaded.done, 0);
        for (size_t i = 0; i < loaded.count; i++) {
            assert_int_equal(loaded.histories[i], 0);
            assert_event(i, &rows[read + i]);
            assert_true(i == loaded.count - 1 || loaded.rows[i].payload.size < LARGE);
        }
        read += loaded.count;
    }
    store_history_t rest[] = {history_of(&rows[0], read, MANY), history_of(&rows[0], 0, 1)};
    load(fixture, 0, rest, 2, LARGE / 2);
    assert_int_equal(loaded.done, 2);
    assert_int_equal(loaded.count, COUNT - read + 1);
    load_all_of(fixture, &rows[0]);
    assert_sequences(1, COUNT);
    free(large);
}

/* Small events take more than their payloads where they are read. */
static void small_events_come_in_parts(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t any = event_of("a", 1);
    put_many(fixture, "a", 300);
    store_history_t history = history_of(&any, 0, MANY);
    load(fixture, 0, &history, 1, 100 * store_event_bytes(&any));
    assert_int_equal(loaded.done, 0);
    assert_sequences(1, 100);
}

/* A checkpoint that was cut off is written again: what is there stays as it is. */
static void an_event_is_written_once(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t rows[] = {event_of("a", 1), event_of("a", 2), event_of("a", 3)};
    assert_ok(put(fixture, &fixture->hold, rows, 2));
    store_event_t again[] = {rows[0], rows[1], rows[2]};
    again[0].number = again[1].number = 9;
    again[0].shard = shard_id_make(2, 1);
    assert_ok(put(fixture, &fixture->hold, again, 3));
    load_all_of(fixture, &rows[0]);
    assert_int_equal(loaded.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_event(i, &rows[i]);
    }
}

/* Nothing overwrites an event. Who tries has another history than the database. */
static void an_event_is_never_changed(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t rows[] = {event_of("a", 1), event_of("a", 2)};
    assert_ok(put(fixture, &fixture->hold, rows, 2));
    for (unsigned i = 0; i < 4; i++) {
        store_event_t other[] = {event_of("b", 1), rows[1], event_of("a", 3)};
        other[1].id.value += i == 0;
        other[1].tag = i == 1 ? bytes_of("placed") : other[1].tag;
        other[1].version += i == 2;
        other[1].payload = i == 3 ? bytes_of("payloae") : other[1].payload;
        store_state_t snapshot = {.type = other[2].type,
                                  .entity = other[2].entity,
                                  .shard = other[2].shard,
                                  .number = 3,
                                  .version = 1,
                                  .sequence = 3,
                                  .state = bytes_of("state")};
        store_slice_t slice = {.events = other,
                               .event_count = 3,
                               .states = &snapshot,
                               .state_count = 1,
                               .begun = 3,
                               .last = true};
        assert_error(FABRIC_ERROR_STORE_LOST, write_slice(fixture, &fixture->hold, &slice));
        assert_int_equal(lane_row(fixture, 0).number, 2); /* nothing was changed */
        load_all_of(fixture, &other[0]);
        assert_int_equal(loaded.count, 0);
        load_all_of(fixture, &rows[0]);
        assert_int_equal(loaded.count, 2);
        assert_event(0, &rows[0]);
        assert_event(1, &rows[1]);
    }
}

static void keep_sequence(void *context, const store_state_t *row)
{
    *(uint64_t *)context = row->sequence;
}

static uint64_t sequence_of_state(store_fixture_t *fixture, const store_event_t *event)
{
    store_entity_name_t name = {event->type, event->entity};
    uint64_t sequence = 0;
    size_t done = 0;
    assert_ok(fixture->driver->load_states(fixture->second, 0, &name, 1, LARGE, keep_sequence,
                                           &sequence, &done));
    return sequence;
}

/* A state says which events it contains. */
static void a_state_tells_its_last_event(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t rows[] = {event_of("a", 1), event_of("a", 2)};
    store_state_t snapshot = {.type = rows[0].type,
                              .entity = rows[0].entity,
                              .shard = rows[0].shard,
                              .number = 2,
                              .version = 1,
                              .sequence = 1,
                              .state = bytes_of("state")};
    store_slice_t slice = {.events = rows,
                           .event_count = 1,
                           .states = &snapshot,
                           .state_count = 1,
                           .begun = 2,
                           .last = true};
    assert_int_equal(sequence_of_state(fixture, &rows[0]), 0);
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(sequence_of_state(fixture, &rows[0]), 1);
    snapshot.sequence = STORE_SEQUENCE_MAX;
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(sequence_of_state(fixture, &rows[0]), STORE_SEQUENCE_MAX);
}

/* A clear deletes messages and keys; what has happened has happened. */
static void a_clear_leaves_events(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t row = event_of("a", 1);
    store_cleared_t cleared = {0};
    store_pending_t pending = pending_of(1, 77);
    store_clear_t clear = {.entity_hash = 77, .below = INT64_MAX, .rows_max = 100};
    store_slice_t slice = {.puts = &pending,
                           .put_count = 1,
                           .events = &row,
                           .event_count = 1,
                           .clear = &clear,
                           .cleared = &cleared,
                           .begun = 2,
                           .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(cleared.pending, 1);
    load_all_of(fixture, &row);
    assert_int_equal(loaded.count, 1);
}

static void a_slice_has_so_many_events(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t *rows = memory_allocate((STORE_SLICE_ROWS_MAX + 1) * sizeof *rows);
    for (size_t i = 0; i <= STORE_SLICE_ROWS_MAX; i++) {
        rows[i] = event_of("a", 1 + i);
    }
    assert_error(FABRIC_ERROR_INVALID_ARGUMENT,
                 put(fixture, &fixture->hold, rows, STORE_SLICE_ROWS_MAX + 1));
    assert_ok(put(fixture, &fixture->hold, rows, STORE_SLICE_ROWS_MAX));
    store_history_t history = history_of(&rows[0], STORE_SLICE_ROWS_MAX - 1, MANY);
    load(fixture, 0, &history, 1, LARGE);
    assert_sequences(STORE_SLICE_ROWS_MAX, 1);
    free(rows);
}

static void a_slice_under_an_old_hold_appends_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    store_event_t row = event_of("a", 1);
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 2);
    assert_error(FABRIC_ERROR_FENCED, put(fixture, &fixture->hold, &row, 1));
    load_all_of(fixture, &row);
    assert_int_equal(loaded.count, 0);
}

int store_suite_events(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(events_are_loaded_by_exact_names),
        FOUNDED_TEST(events_are_loaded_after_a_number),
        FOUNDED_TEST(several_histories_are_loaded),
        FOUNDED_TEST(large_events_come_in_parts),
        FOUNDED_TEST(small_events_come_in_parts),
        FOUNDED_TEST(an_event_is_written_once),
        FOUNDED_TEST(an_event_is_never_changed),
        FOUNDED_TEST(a_state_tells_its_last_event),
        FOUNDED_TEST(a_clear_leaves_events),
        FOUNDED_TEST(a_slice_has_so_many_events),
        FOUNDED_TEST(a_slice_under_an_old_hold_appends_nothing),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
