/* The store suite: outgoing messages. They have rows until they have ended, in the order in which
 * they were told. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

enum { MANY = 700, VALUES = 10, LARGE = 1 << 20, OTHER_LANE = 1, THIRD_LANE = 2 };

/* What load_outgoing has visited: the rows without their views, a hash of all of these, and the
 * sizes of their payloads. */
typedef struct loaded {
    store_outgoing_t rows[MANY];
    uint64_t hashes[MANY];
    size_t payloads[MANY];
    size_t count;
    bool ended;
} loaded_t;

static loaded_t loaded;

static uint64_t hash_of(const store_outgoing_t *row)
{
    const fabric_bytes_t values[VALUES] = {
        row->source_type, row->source_entity, row->source_tag,  row->type,        row->entity,
        row->tag,         row->payload,       row->primary_key, row->traceparent, row->headers};
    uint64_t hash = 0;
    for (size_t i = 0; i < VALUES; i++) {
        hash = XXH3_64bits_withSeed(values[i].data, values[i].size, hash + values[i].size);
    }
    return hash;
}

static void keep_message(void *context, const store_outgoing_t *row)
{
    (void)context;
    assert_true(loaded.count < MANY);
    loaded.hashes[loaded.count] = hash_of(row);
    loaded.payloads[loaded.count] = row->payload.size;
    loaded.rows[loaded.count++] = *row;
}

static void load(store_fixture_t *fixture, uint32_t target_lane, store_outgoing_key_t after,
                 uint32_t limit, uint64_t bytes_max)
{
    loaded.count = 0;
    assert_ok(fixture->driver->load_outgoing(fixture->second, 0, target_lane, after, limit,
                                             bytes_max, keep_message, NULL, &loaded.ended));
}

static void load_all_to(store_fixture_t *fixture, uint32_t target_lane)
{
    load(fixture, target_lane, (store_outgoing_key_t){0, 0}, MANY, UINT64_MAX);
    assert_true(loaded.ended);
}

static store_outgoing_t message_of(uint64_t id, uint32_t index)
{
    return (store_outgoing_t){.key = {id, index},
                              .number = 2,
                              .source = {7000 + id},
                              .source_shard = shard_id_make(1, 3),
                              .source_type = bytes_of("Order"),
                              .source_entity = bytes_of("o-1"),
                              .source_tag = bytes_of("Place"),
                              .shard = shard_id_make(1, 4),
                              .target_lane = OTHER_LANE,
                              .flags = 3,
                              .type = bytes_of("Account"),
                              .entity = bytes_of("alice"),
                              .tag = bytes_of("Pay"),
                              .payload = bytes_of("payload"),
                              .primary_key = bytes_of("key"),
                              .traceparent = bytes_of("trace"),
                              .headers = bytes_of("headers"),
                              .deliver_at_ms = 1790000000000};
}

static fabric_error_t put(store_fixture_t *fixture, const store_hold_t *hold,
                          const store_outgoing_t *messages, size_t count)
{
    store_slice_t slice = {.outgoing = messages, .outgoing_count = count, .begun = 2, .last = true};
    return write_slice(fixture, hold, &slice);
}

static fabric_error_t end(store_fixture_t *fixture, const store_outgoing_key_t *keys, size_t count)
{
    store_slice_t slice = {.sent = keys, .sent_count = count, .begun = 2, .last = true};
    return write_slice(fixture, &fixture->hold, &slice);
}

static void assert_message(size_t index, const store_outgoing_t *wanted)
{
    assert_true(index < loaded.count);
    const store_outgoing_t *row = &loaded.rows[index];
    assert_int_equal(row->key.id, wanted->key.id);
    assert_int_equal(row->key.index, wanted->key.index);
    assert_int_equal(row->number, wanted->number);
    assert_int_equal(row->source.value, wanted->source.value);
    assert_int_equal(row->source_shard.value, wanted->source_shard.value);
    assert_int_equal(row->shard.value, wanted->shard.value);
    assert_int_equal(row->target_lane, wanted->target_lane);
    assert_int_equal(row->flags, wanted->flags);
    assert_int_equal(row->deliver_at_ms, wanted->deliver_at_ms);
    assert_int_equal(loaded.hashes[index], hash_of(wanted));
}

/* "7/0 7/1 9/0" */
static const char *keys_loaded(void)
{
    static char text[400];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < loaded.count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u/%u", i > 0 ? " " : "",
                                 (unsigned)loaded.rows[i].key.id, loaded.rows[i].key.index);
    }
    return text;
}

static void all_of_a_message_is_kept(void **state)
{
    store_fixture_t *fixture = *state;
    static uint8_t longest[1024];
    static const uint8_t bytes[] = {0, 0xff, '\'', ' '};
    const fabric_bytes_t any = fabric_bytes(bytes, sizeof bytes);
    const fabric_bytes_t name = fabric_bytes(longest, 255);
    const fabric_bytes_t empty = {NULL, 0};
    memset(longest, 0xfe, sizeof longest);
    store_outgoing_t rows[] = {message_of(5, 0), message_of(6, 1), message_of(7, 2)};
    rows[0].payload = rows[0].primary_key = rows[0].traceparent = rows[0].headers = empty;
    rows[0].deliver_at_ms = 0;
    rows[0].flags = 0;
    rows[1].source_type = rows[1].source_entity = rows[1].source_tag = any;
    rows[1].type = rows[1].entity = rows[1].tag = any;
    rows[1].payload = rows[1].primary_key = rows[1].traceparent = rows[1].headers = any;
    rows[1].deliver_at_ms = -7;
    rows[2].key = (store_outgoing_key_t){INT64_MAX, STORE_OUTGOING_MAX - 1};
    rows[2].number = (UINT64_C(1) << 62) + 3;
    rows[2].source.value = INT64_MAX;
    rows[2].flags = UINT32_MAX;
    rows[2].shard = shard_id_make(LIMIT_GROUPS_MAX, LIMIT_SHARDS_PER_GROUP_MAX);
    rows[2].source_shard = rows[2].shard;
    rows[2].source_type = rows[2].source_entity = rows[2].source_tag = name;
    rows[2].type = rows[2].entity = rows[2].tag = name;
    rows[2].primary_key = fabric_bytes(longest, 1024);
    rows[2].traceparent = fabric_bytes(longest, 55);
    rows[2].headers = fabric_bytes(longest, 1000);
    rows[2].deliver_at_ms = INT64_MAX;
    assert_ok(put(fixture, &fixture->hold, rows, 3));
    load_all_to(fixture, OTHER_LANE);
    assert_int_equal(loaded.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_message(i, &rows[i]);
    }
}

/* In the order of their keys, whatever was written first; each target lane by itself. */
static void messages_are_loaded_by_target_in_order(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t rows[] = {message_of(9, 0), message_of(7, 2), message_of(7, 0),
                               message_of(7, 1), message_of(8, 0), message_of(8, 1)};
    rows[3].target_lane = rows[4].target_lane = 0;
    assert_ok(put(fixture, &fixture->hold, rows, 6));
    load_all_to(fixture, OTHER_LANE);
    assert_string_equal(keys_loaded(), "7/0 7/2 8/1 9/0");
    load_all_to(fixture, 0);
    assert_string_equal(keys_loaded(), "7/1 8/0");
    load_all_to(fixture, THIRD_LANE);
    assert_string_equal(keys_loaded(), "");
    load(fixture, OTHER_LANE, (store_outgoing_key_t){7, 0}, MANY, UINT64_MAX);
    assert_string_equal(keys_loaded(), "7/2 8/1 9/0");
    load(fixture, OTHER_LANE, (store_outgoing_key_t){7, 1}, 2, UINT64_MAX);
    assert_string_equal(keys_loaded(), "7/2 8/1");
    assert_false(loaded.ended);
    load(fixture, OTHER_LANE, (store_outgoing_key_t){8, 1}, 1, UINT64_MAX);
    assert_string_equal(keys_loaded(), "9/0");
    assert_false(loaded.ended); /* it cannot know */
    load(fixture, OTHER_LANE, (store_outgoing_key_t){9, 0}, 1, UINT64_MAX);
    assert_string_equal(keys_loaded(), "");
    assert_true(loaded.ended);
    load(fixture, OTHER_LANE, (store_outgoing_key_t){0, 0}, 0, UINT64_MAX);
    assert_int_equal(loaded.count, 0);
    assert_false(loaded.ended);
}

/* Many rows in pages, and large ones in parts. */
static void a_backlog_is_loaded_in_parts(void **state)
{
    enum { RESULTS = 20, EACH = 30, LARGE_ONES = 4 };
    store_fixture_t *fixture = *state;
    store_outgoing_t *rows = memory_allocate(RESULTS * EACH * sizeof *rows);
    uint8_t *large = memory_allocate_zeroed(1, LARGE);
    for (uint32_t i = 0; i < RESULTS * EACH; i++) {
        rows[i] = message_of(10 + i / EACH, i % EACH);
        rows[i].target_lane = i % 2 ? OTHER_LANE : THIRD_LANE;
        rows[i].payload = i < 2 * LARGE_ONES ? fabric_bytes(large, LARGE) : rows[i].payload;
    }
    assert_ok(put(fixture, &fixture->hold, rows, RESULTS * EACH));
    store_outgoing_key_t after = {0, 0};
    size_t read = 0;
    load(fixture, OTHER_LANE, after, 50, LARGE + 1);
    assert_int_equal(loaded.count, 1); /* its names count, too */
    loaded.ended = false;
    for (unsigned part = 0; !loaded.ended; part++) {
        assert_true(part < 100);
        load(fixture, OTHER_LANE, after, 50, LARGE + 1000);
        assert_true(loaded.count > 0 || loaded.ended);
        assert_true(part > 0 || loaded.count == 2); /* the second one is beyond the bytes */
        for (size_t i = 0; i < loaded.count; i++) {
            assert_message(i, &rows[2 * (read + i) + 1]);
        }
        read += loaded.count;
        after = loaded.count > 0 ? loaded.rows[loaded.count - 1].key : after;
    }
    assert_int_equal(read, RESULTS * EACH / 2);
    free(large);
    free(rows);
}

/* A checkpoint that was cut off is written again. */
static void a_message_is_written_once(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t rows[] = {message_of(7, 0), message_of(7, 1), message_of(7, 2)};
    assert_ok(put(fixture, &fixture->hold, rows, 2));
    store_outgoing_t again[] = {rows[0], rows[1], rows[2]};
    again[0].number = again[1].number = 9;
    again[0].payload = bytes_of("another");
    assert_ok(put(fixture, &fixture->hold, again, 3));
    load_all_to(fixture, OTHER_LANE);
    assert_int_equal(loaded.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_message(i, &rows[i]);
    }
}

static void messages_that_have_ended_are_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t rows[300];
    store_outgoing_key_t keys[300];
    for (uint32_t i = 0; i < 300; i++) {
        rows[i] = message_of(7 + i / 100, i % 100);
        keys[i] = rows[i].key;
    }
    assert_ok(put(fixture, &fixture->hold, rows, 300));
    const store_outgoing_key_t some[] = {{7, 100}, {9, 99}, {6, 0}, {7, 0}, {70, 5}};
    assert_ok(end(fixture, some, 5)); /* three of them have no row */
    load_all_to(fixture, OTHER_LANE);
    assert_int_equal(loaded.count, 298);
    assert_message(0, &rows[1]);
    assert_message(297, &rows[298]);
    assert_ok(end(fixture, keys, 300));
    load_all_to(fixture, OTHER_LANE);
    assert_int_equal(loaded.count, 0);
    assert_ok(end(fixture, keys, 300));
}

static void count_outbox(void *context, const store_outbox_t *outbox)
{
    store_outbox_t *found = context;
    assert_true(outbox->target_lane < FIXTURE_LANES);
    assert_int_equal(found[outbox->target_lane].count, 0);
    found[outbox->target_lane] = *outbox;
}

static void outboxes_are_listed(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t rows[] = {message_of(9, 0), message_of(7, 2), message_of(8, 0)};
    store_outbox_t found[FIXTURE_LANES] = {{.count = 0}};
    rows[0].target_lane = 0;
    assert_ok(fixture->driver->list_outboxes(fixture->second, 0, count_outbox, found));
    assert_int_equal(found[0].count + found[OTHER_LANE].count + found[THIRD_LANE].count, 0);
    assert_ok(put(fixture, &fixture->hold, rows, 3));
    assert_ok(put(fixture, &fixture->hold_1, rows, 1)); /* another lane's */
    assert_ok(fixture->driver->list_outboxes(fixture->second, 0, count_outbox, found));
    assert_int_equal(found[0].count, 1);
    assert_int_equal(found[0].first, 9);
    assert_int_equal(found[OTHER_LANE].count, 2);
    assert_int_equal(found[OTHER_LANE].first, 7);
    assert_int_equal(found[THIRD_LANE].count, 0);
}

static uint64_t oldest(store_fixture_t *fixture)
{
    uint64_t id = 0;
    assert_ok(fixture->driver->oldest_outgoing(fixture->second, &id));
    return id;
}

/* Checkpoints of both lanes that reach their newest entries. */
static void checkpoint_all(store_fixture_t *fixture)
{
    const store_hold_t *holds[] = {&fixture->hold, &fixture->hold_1};
    for (size_t i = 0; i < 2; i++) {
        store_slice_t slice = {.begun = newest_entry(fixture, holds[i]->lane), .last = true};
        assert_ok(write_slice(fixture, holds[i], &slice));
    }
}

/* Of all lanes; of one that has entries above its checkpoint, what these can have at least. */
static void the_oldest_open_message_is_known(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t rows[] = {message_of(500, 1), message_of(450, 0), message_of(600, 0)};
    assert_int_equal(oldest(fixture), 1); /* no checkpoint has reached more than entry 0 */
    append_some(fixture, &fixture->hold, 2, 8);
    append_some(fixture, &fixture->hold_1, 2, 3);
    checkpoint_all(fixture);
    assert_true(oldest(fixture) == UINT64_MAX);
    assert_ok(put(fixture, &fixture->hold, rows, 1));
    assert_ok(put(fixture, &fixture->hold_1, rows + 1, 2));
    checkpoint_all(fixture);
    assert_int_equal(oldest(fixture), 450);
    append_some(fixture, &fixture->hold_1, 5, 2); /* entry 4 has the last id 400 */
    assert_int_equal(oldest(fixture), 400);
    checkpoint_all(fixture);
    append_some(fixture, &fixture->hold, 10, 1); /* entry 9 has the last id 900 */
    assert_int_equal(oldest(fixture), 450);
    store_outgoing_key_t key = rows[1].key;
    store_slice_t slice = {.sent = &key, .sent_count = 1, .begun = 6, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold_1, &slice));
    assert_int_equal(oldest(fixture), 500);
}

/* Then it is not known what the entries above it have at least. */
static void without_the_entry_of_a_checkpoint_all_may_be_open(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 8);
    append_some(fixture, &fixture->hold_1, 2, 3);
    checkpoint_all(fixture);
    append_some(fixture, &fixture->hold, 10, 1);
    assert_int_equal(oldest(fixture), 900);
    assert_true(fixture->suite->damage(fixture->url, STORE_SUITE_NO_ENTRY));
    assert_int_equal(oldest(fixture), 1);
}

/* Entries that a message may still need stay, however old they are; but bytes win. */
static void a_purge_leaves_what_open_messages_need(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 10);
    store_slice_t slice = {.begun = 11, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    store_purged_t purged = {0};
    store_purge_t wanted = {
        .before = 11, .created_before_ms = INT64_MAX, .entries_max = 100, .open_id = 450};
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, &wanted, &purged));
    assert_int_equal(purged.entries, 3); /* last ids 200, 300 and 400 */
    assert_int_equal(lane_row(fixture, 0).purged_id, 400);
    wanted.open_id = 500;
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, &wanted, &purged));
    assert_int_equal(purged.entries, 1); /* all ids of entry 5 are no larger than the floor */
    wanted.log_bytes_before = 121;
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, &wanted, &purged));
    assert_int_equal(purged.entries, 1); /* entry 6 */
    assert_int_equal(lane_row(fixture, 0).purged_id, 600);
    wanted.open_id = UINT64_MAX;
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, &wanted, &purged));
    assert_int_equal(purged.entries, 4);
}

/* What was told before a clear is sent. */
static void a_clear_leaves_outgoing_messages(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t row = message_of(7, 0);
    store_cleared_t cleared = {0};
    store_pending_t pending = pending_of(1, 77);
    store_clear_t clear = {.entity_hash = 77, .below = INT64_MAX, .rows_max = 100};
    store_slice_t slice = {.puts = &pending,
                           .put_count = 1,
                           .outgoing = &row,
                           .outgoing_count = 1,
                           .clear = &clear,
                           .cleared = &cleared,
                           .begun = 2,
                           .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(cleared.pending, 1);
    load_all_to(fixture, OTHER_LANE);
    assert_int_equal(loaded.count, 1);
}

/* The messages of one source, and all else that it changes, fit. */
static void a_slice_has_so_many_messages(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t *rows = memory_allocate((STORE_SLICE_ROWS_MAX + 1) * sizeof *rows);
    store_outgoing_key_t *keys = memory_allocate((STORE_SLICE_ROWS_MAX + 1) * sizeof *keys);
    for (uint32_t i = 0; i <= STORE_SLICE_ROWS_MAX; i++) {
        rows[i] = message_of(1 + i / STORE_OUTGOING_MAX, i % STORE_OUTGOING_MAX);
        keys[i] = rows[i].key;
    }
    assert_error(FABRIC_ERROR_INVALID_ARGUMENT,
                 put(fixture, &fixture->hold, rows, STORE_SLICE_ROWS_MAX + 1));
    assert_error(FABRIC_ERROR_INVALID_ARGUMENT, end(fixture, keys, STORE_SLICE_ROWS_MAX + 1));
    assert_ok(put(fixture, &fixture->hold, rows, STORE_SLICE_ROWS_MAX));
    load(fixture, OTHER_LANE, keys[STORE_SLICE_ROWS_MAX - 2], MANY, UINT64_MAX);
    assert_string_equal(keys_loaded(), "5/999");
    assert_ok(end(fixture, keys, STORE_SLICE_ROWS_MAX));
    load_all_to(fixture, OTHER_LANE);
    assert_int_equal(loaded.count, 0);
    free(keys);
    free(rows);
}

static void a_slice_under_an_old_hold_changes_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    store_outgoing_t rows[] = {message_of(7, 0), message_of(7, 1)};
    assert_ok(put(fixture, &fixture->hold, rows, 1));
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 3);
    assert_error(FABRIC_ERROR_FENCED, put(fixture, &fixture->hold, rows, 2));
    assert_error(FABRIC_ERROR_FENCED, end(fixture, &rows[0].key, 1));
    load_all_to(fixture, OTHER_LANE);
    assert_string_equal(keys_loaded(), "7/0");
}

int store_suite_outbox(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(all_of_a_message_is_kept),
        FOUNDED_TEST(messages_are_loaded_by_target_in_order),
        FOUNDED_TEST(a_backlog_is_loaded_in_parts),
        FOUNDED_TEST(a_message_is_written_once),
        FOUNDED_TEST(messages_that_have_ended_are_deleted),
        FOUNDED_TEST(outboxes_are_listed),
        FOUNDED_TEST(the_oldest_open_message_is_known),
        FOUNDED_TEST(without_the_entry_of_a_checkpoint_all_may_be_open),
        FOUNDED_TEST(a_purge_leaves_what_open_messages_need),
        FOUNDED_TEST(a_clear_leaves_outgoing_messages),
        FOUNDED_TEST(a_slice_has_so_many_messages),
        FOUNDED_TEST(a_slice_under_an_old_hold_changes_nothing),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
