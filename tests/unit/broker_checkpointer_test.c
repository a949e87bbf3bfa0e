/* The checkpointer's logic over the store in memory: slices until they are certain, and which
 * entries are purged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/store/checkpointer.h"
#include "core/journal/entry.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_checkpointer"

enum { LANE = 2, RETENTION_MS = 10000, ENTRIES = 20 };

typedef struct fixture {
    actor_world_t *world;
    checkpointer_t checkpointer;
    store_hold_t hold;
    sample_t sample;
    store_purged_t purged;
} fixture_t;

static void open_checkpointer(fixture_t *f, uint64_t lane_bytes_max)
{
    retention_t retention = {.call_retention_ms = RETENTION_MS, .lane_bytes_max = lane_bytes_max};
    checkpointer_init(&f->checkpointer, &f->world->connection, &f->world->world, &retention);
}

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->world = world_new(DATABASE);
    f->hold = world_hold(f->world, LANE);
    open_checkpointer(f, UINT64_MAX);
    sample_fill(&f->sample, LANE, 100);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    checkpointer_clear(&f->checkpointer);
    world_free(&f->world);
    free(f);
    return 0;
}

/* Entries 1..count, a second after the other. */
static void write_entries(fixture_t *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        f->world->now_ms += 1000;
        lane_batch_t batch = sample_messages(&f->sample, i, 1);
        (void)world_append(f->world, &f->hold, &batch);
    }
}

/* ---- slices ---- */

/* With a checkpoint of entry 1. */
static fabric_error_t write_row(fixture_t *f, const store_hold_t *hold)
{
    store_pending_t row = {.position = 100,
                           .entity_hash = 7,
                           .id = {100},
                           .shard = f->sample.messages[0].shard,
                           .type = f->sample.messages[0].type,
                           .entity = f->sample.messages[0].entity,
                           .tag = f->sample.messages[0].tag,
                           .body = fabric_bytes_of("body")};
    store_slice_t slice = {.puts = &row, .put_count = 1, .begun = 1, .last = true};
    return checkpointer_write(&f->checkpointer, hold, &slice);
}

static void count_row(void *context, uint32_t lane, const store_pending_t *row)
{
    (void)lane;
    (void)row;
    ++*(size_t *)context;
}

static size_t rows(void)
{
    size_t count = 0;
    memory_store_dump_pending(DATABASE, count_row, &count);
    return count;
}

static void a_slice_is_repeated_until_it_is_certain(void **state)
{
    fixture_t *f = *state;
    static const memory_store_fault_kind_t kinds[] = {
        MEMORY_STORE_BUSY, MEMORY_STORE_UNAVAILABLE, MEMORY_STORE_DISCONNECTED,
        MEMORY_STORE_UNKNOWN_BEFORE, MEMORY_STORE_UNKNOWN_AFTER};
    write_entries(f, 1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        world_strike(f->world, MEMORY_STORE_CHECKPOINT, kinds[i], 0, 2);
        assert_int_equal(write_row(f, &f->hold), FABRIC_OK);
        assert_int_equal(rows(), 1);
        assert_int_equal(memory_store_lane(DATABASE, LANE).number, 1);
    }
    assert_int_equal(f->world->went, 4);
    assert_int_equal(f->world->came, 4);
}

static void a_slice_that_still_runs_does_no_harm(void **state)
{
    fixture_t *f = *state;
    memory_store_fault_t fault = {.operation = MEMORY_STORE_CHECKPOINT,
                                  .kind = MEMORY_STORE_UNKNOWN_RUNNING,
                                  .times = 1,
                                  .delay = 1};
    write_entries(f, 1);
    memory_store_fault(DATABASE, &fault);
    assert_int_equal(write_row(f, &f->hold), FABRIC_OK);
    memory_store_end_running(DATABASE, true);
    assert_int_equal(rows(), 1);
}

/* The entry, or the checkpoint before it. */
static void a_slice_that_builds_on_lost_commits_is_not_written(void **state)
{
    fixture_t *f = *state;
    write_entries(f, 2);
    memory_store_lose(DATABASE, 2);
    assert_int_equal(write_row(f, &f->hold), FABRIC_ERROR_STORE_LOST);
    write_entries(f, 1);
    store_slice_t slice = {.settled = 1, .begun = 2, .last = true};
    assert_int_equal(checkpointer_write(&f->checkpointer, &f->hold, &slice),
                     FABRIC_ERROR_STORE_LOST);
    assert_int_equal(rows(), 0);
    assert_int_equal(memory_store_lane(DATABASE, LANE).begun, 0);
    assert_int_equal(f->world->went, 0);
}

static void a_fenced_lane_gets_no_rows(void **state)
{
    fixture_t *f = *state;
    (void)world_assign(f->world, LANE, world_other);
    assert_int_equal(write_row(f, &f->hold), FABRIC_ERROR_FENCED);
    assert_int_equal(rows(), 0);
    assert_int_equal(f->world->went, 0);
}

static void a_stop_ends_an_outage(void **state)
{
    fixture_t *f = *state;
    f->world->looks_max = 5;
    world_strike(f->world, MEMORY_STORE_ANY, MEMORY_STORE_DISCONNECTED, 0, 1000);
    assert_int_equal(write_row(f, &f->hold), FABRIC_ERROR_SHUTTING_DOWN);
}

/* ---- purges ---- */

static void checkpoint_at(fixture_t *f, uint64_t checkpoint)
{
    store_slice_t slice = {
        .settled = memory_store_lane(DATABASE, LANE).number, .begun = checkpoint, .last = true};
    assert_int_equal(checkpointer_write(&f->checkpointer, &f->hold, &slice), FABRIC_OK);
}

static void purge(fixture_t *f, uint64_t checkpoint)
{
    uint64_t log_bytes = world_end(f->world, LANE).log_bytes;
    assert_int_equal(
        checkpointer_purge(&f->checkpointer, &f->hold, checkpoint, log_bytes, &f->purged),
        FABRIC_OK);
}

static bool keep_first(void *context, const store_entry_t *entry)
{
    uint64_t *first = context;
    if (*first == 0) {
        *first = entry->number;
    }
    return true;
}

/* The oldest entry but entry 0. */
static uint64_t first_entry(void)
{
    uint64_t first = 0;
    memory_store_dump_entries(DATABASE, LANE, keep_first, &first);
    return first;
}

static void entries_are_kept_for_their_time(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    checkpoint_at(f, ENTRIES);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), ENTRIES - 10); /* that one is exactly so old */
    assert_int_equal(f->purged.entries, ENTRIES - 11);
    assert_int_equal(memory_store_lane(DATABASE, LANE).purged_id, 100 + ENTRIES - 12);
    purge(f, ENTRIES);
    assert_int_equal(f->purged.entries, 0);
}

static void entries_above_the_checkpoint_stay(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    f->world->now_ms += 1000000;
    checkpoint_at(f, 5);
    purge(f, 5);
    assert_int_equal(first_entry(), 5);
}

static void a_journal_that_is_too_large_loses_its_oldest_entries(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    checkpoint_at(f, ENTRIES);
    uint64_t bytes = world_end(f->world, LANE).log_bytes;
    checkpointer_clear(&f->checkpointer);
    open_checkpointer(f, bytes / 4);
    purge(f, ENTRIES);
    uint64_t first = first_entry();
    assert_true(first > ENTRIES - 10 && first <= ENTRIES);
    assert_true(f->purged.bytes >= bytes / 2);
}

/* A row of an outgoing message of the lane, as of entry 1. */
static void put_outgoing(fixture_t *f, uint64_t id)
{
    store_outgoing_t row = {.key = {id, 0},
                            .number = 1,
                            .source = {100},
                            .source_shard = f->sample.messages[0].shard,
                            .source_type = fabric_bytes_of("Order"),
                            .source_entity = fabric_bytes_of("o-1"),
                            .source_tag = fabric_bytes_of("Place"),
                            .shard = f->sample.messages[0].shard,
                            .target_lane = LANE,
                            .type = fabric_bytes_of("Account"),
                            .entity = fabric_bytes_of("alice"),
                            .tag = fabric_bytes_of("Pay")};
    store_slice_t slice = {.outgoing = &row,
                           .outgoing_count = 1,
                           .settled = memory_store_lane(DATABASE, LANE).number,
                           .begun = ENTRIES,
                           .last = true};
    assert_int_equal(checkpointer_write(&f->checkpointer, &f->hold, &slice), FABRIC_OK);
}

static void end_outgoing(fixture_t *f, uint64_t id)
{
    store_outgoing_key_t key = {id, 0};
    store_slice_t slice = {
        .sent = &key, .sent_count = 1, .settled = ENTRIES, .begun = ENTRIES, .last = true};
    assert_int_equal(checkpointer_write(&f->checkpointer, &f->hold, &slice), FABRIC_OK);
}

/* Entry n has the last id 99 + n. */
static void entries_that_outgoing_messages_may_need_are_kept(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    put_outgoing(f, 99 + 4);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), 5);
    end_outgoing(f, 99 + 4);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), ENTRIES - 10);
}

/* Another lane has entries above its checkpoint, which may hold some. */
static void entries_that_other_lanes_may_need_are_kept(void **state)
{
    fixture_t *f = *state;
    sample_t other;
    store_hold_t hold = world_hold(f->world, LANE - 1);
    sample_fill(&other, LANE - 1, 99 + 4);
    lane_batch_t first = sample_messages(&other, 0, 1);
    lane_batch_t second = sample_messages(&other, 40, 1);
    uint64_t number = world_append(f->world, &hold, &first).number;
    (void)world_append(f->world, &hold, &second);
    world_checkpoint(f->world, &hold, number);
    write_entries(f, ENTRIES);
    checkpoint_at(f, ENTRIES);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), 5);
    world_checkpoint(f->world, &hold, number + 1);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), ENTRIES - 10);
}

/* Bytes win. */
static void a_journal_that_is_too_large_loses_what_outgoing_messages_may_need(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    put_outgoing(f, 99 + 2);
    uint64_t bytes = world_end(f->world, LANE).log_bytes;
    checkpointer_clear(&f->checkpointer);
    open_checkpointer(f, bytes / 4);
    purge(f, ENTRIES);
    assert_true(first_entry() > ENTRIES - 10);
}

static void a_purge_that_cannot_tell_what_is_open_asks_again(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    put_outgoing(f, 99 + 4);
    world_strike(f->world, MEMORY_STORE_LOAD, MEMORY_STORE_DISCONNECTED, 0, 2);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), 5);
}

static fabric_error_t refuse(store_t *store, uint64_t *id)
{
    (void)store;
    *id = UINT64_MAX;
    return FABRIC_ERROR_STORE_UNSAFE;
}

static store_driver_t refusing; /* as the one in memory, but for that */

static fabric_error_t open_refusing(const store_options_t *options, reason_t *reason,
                                    store_t **store)
{
    fabric_error_t error = memory_store_driver.open(options, reason, store);
    if (!error) {
        (*store)->driver = &refusing;
    }
    return error;
}

/* The bytes count all the same. */
static void a_purge_that_never_learns_what_is_open_deletes_nothing_for_time(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    checkpoint_at(f, ENTRIES);
    static const store_driver_t *const drivers[] = {&refusing, NULL};
    refusing = memory_store_driver;
    refusing.open = open_refusing;
    refusing.oldest_outgoing = refuse;
    checkpointer_clear(&f->checkpointer);
    connection_config_t connection = f->world->connection;
    connection.drivers = drivers;
    retention_t retention = {.call_retention_ms = RETENTION_MS, .lane_bytes_max = UINT64_MAX};
    checkpointer_init(&f->checkpointer, &connection, &f->world->world, &retention);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), 1);
    f->checkpointer.retention.lane_bytes_max = world_end(f->world, LANE).log_bytes / 4;
    purge(f, ENTRIES);
    assert_true(first_entry() > ENTRIES - 10);
    checkpointer_clear(&f->checkpointer);
    open_checkpointer(f, UINT64_MAX);
}

static void a_purge_is_repeated_until_it_is_certain(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    checkpoint_at(f, ENTRIES);
    world_strike(f->world, MEMORY_STORE_PURGE, MEMORY_STORE_BUSY, 0, 1);
    world_strike(f->world, MEMORY_STORE_PURGE, MEMORY_STORE_UNKNOWN_AFTER, 0, 1);
    purge(f, ENTRIES);
    assert_int_equal(first_entry(), ENTRIES - 10);
}

static void a_fenced_lane_is_not_purged(void **state)
{
    fixture_t *f = *state;
    write_entries(f, ENTRIES);
    checkpoint_at(f, ENTRIES);
    (void)world_assign(f->world, LANE, world_other);
    assert_int_equal(checkpointer_purge(&f->checkpointer, &f->hold, ENTRIES, 0, &f->purged),
                     FABRIC_ERROR_FENCED);
    assert_int_equal(first_entry(), 1);
}

/* Keys 0..count - 1, whose messages have ended; each stands a second longer than the one before. */
static void write_keys(fixture_t *f, uint32_t count)
{
    store_key_t *keys = calloc(count, sizeof *keys);
    assert_non_null(keys);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(keys[i].hash, &i, sizeof i);
        keys[i].ended = true;
        keys[i].reply.kept_until_ms = f->world->world.store_ms(f->world->world.context) + 1000 * i;
    }
    for (uint32_t done = 0; done < count; done += STORE_SLICE_ROWS_MAX) {
        uint32_t left = count - done;
        store_slice_t slice = {.keys = keys + done,
                               .key_count =
                                   left < STORE_SLICE_ROWS_MAX ? left : STORE_SLICE_ROWS_MAX,
                               .last = true};
        assert_int_equal(checkpointer_write(&f->checkpointer, &f->hold, &slice), FABRIC_OK);
    }
    free(keys);
}

static void keys_are_deleted_when_their_time_is_over(void **state)
{
    fixture_t *f = *state;
    write_keys(f, 10);
    purge(f, 0);
    assert_int_equal(f->purged.keys, 0);
    f->world->now_ms += 4000;
    world_strike(f->world, MEMORY_STORE_PURGE, MEMORY_STORE_UNKNOWN_BEFORE, 0, 1);
    purge(f, 0);
    assert_int_equal(f->purged.keys, 4); /* the next one is to stand until now */
    purge(f, 0);
    assert_int_equal(f->purged.keys, 0);
}

static void a_purge_of_keys_ends_after_some_transactions(void **state)
{
    fixture_t *f = *state;
    enum { MANY = PURGE_KEYS_MAX * PURGE_TURNS_MAX + 100 };
    write_keys(f, MANY);
    f->world->now_ms += 1000 * MANY;
    purge(f, 0);
    assert_int_equal(f->purged.keys, MANY - 100);
    purge(f, 0);
    assert_int_equal(f->purged.keys, 100);
}

static void a_purge_ends_after_some_transactions(void **state)
{
    fixture_t *f = *state;
    enum { MANY = PURGE_ENTRIES_MAX * PURGE_TURNS_MAX + 100 };
    uint64_t commits = memory_store_commits(DATABASE);
    for (size_t i = 0; i < MANY; i++) {
        lane_batch_t batch = sample_messages(&f->sample, 0, 1);
        (void)world_append(f->world, &f->hold, &batch);
    }
    f->world->now_ms += 1000000;
    checkpoint_at(f, MANY);
    assert_int_equal(memory_store_commits(DATABASE), commits + MANY + 1);
    purge(f, MANY);
    assert_int_equal(f->purged.entries, PURGE_ENTRIES_MAX * PURGE_TURNS_MAX);
    assert_int_equal(memory_store_commits(DATABASE), commits + MANY + 1 + PURGE_TURNS_MAX);
    purge(f, MANY);
    assert_int_equal(first_entry(), MANY);
}

/* Entries of a megabyte: a transaction deletes five, until its bytes are enough. */
static void large_entries_are_purged_in_small_transactions(void **state)
{
    fixture_t *f = *state;
    enum { LARGE = 11 };
    static uint8_t payload[1 << 20];
    store_message_t message = *f->sample.list[0];
    const store_message_t *messages[] = {&message};
    uint64_t commits = memory_store_commits(DATABASE);
    message.payload = fabric_bytes(payload, sizeof payload);
    for (size_t i = 0; i < LARGE; i++) {
        lane_batch_t batch = {
            .last_id = message.id.value, .messages = messages, .message_count = 1};
        (void)world_append(f->world, &f->hold, &batch);
    }
    f->world->now_ms += 1000000;
    checkpoint_at(f, LARGE);
    purge(f, LARGE);
    assert_int_equal(f->purged.entries, LARGE - 1);
    assert_int_equal(memory_store_commits(DATABASE), commits + LARGE + 1 + 2);
    assert_int_equal(first_entry(), LARGE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_slice_is_repeated_until_it_is_certain),
        TEST(a_slice_that_still_runs_does_no_harm),
        TEST(a_slice_that_builds_on_lost_commits_is_not_written),
        TEST(a_fenced_lane_gets_no_rows),
        TEST(a_stop_ends_an_outage),
        TEST(entries_are_kept_for_their_time),
        TEST(entries_above_the_checkpoint_stay),
        TEST(a_journal_that_is_too_large_loses_its_oldest_entries),
        TEST(entries_that_outgoing_messages_may_need_are_kept),
        TEST(entries_that_other_lanes_may_need_are_kept),
        TEST(a_journal_that_is_too_large_loses_what_outgoing_messages_may_need),
        TEST(a_purge_that_cannot_tell_what_is_open_asks_again),
        TEST(a_purge_that_never_learns_what_is_open_deletes_nothing_for_time),
        TEST(a_purge_is_repeated_until_it_is_certain),
        TEST(a_fenced_lane_is_not_purged),
        TEST(keys_are_deleted_when_their_time_is_over),
        TEST(a_purge_of_keys_ends_after_some_transactions),
        TEST(a_purge_ends_after_some_transactions),
        TEST(large_entries_are_purged_in_small_transactions),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
