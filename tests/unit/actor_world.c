/* A world for store actors under test: see actor_world.h. */
#include "tests/unit/actor_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/journal/entry.h"
#include "core/memory.h"
#include "core/message.h"

static const store_driver_t *const drivers[] = {&memory_store_driver, NULL};
const incarnation_t world_self = {{1}};
const incarnation_t world_other = {{2}};

/* ---- the world of an actor ---- */

static uint64_t read_clock(void *context)
{
    actor_world_t *world = context;
    if (world->step_after > 0) {
        world->step_after--;
    } else {
        world->now_ms += world->step_ms;
    }
    return world->now_ms;
}

static int64_t read_store_clock(void *context)
{
    const actor_world_t *world = context;
    return WORLD_STORE_MS + (int64_t)world->now_ms;
}

static void sleep_virtually(void *context, uint32_t wait_ms)
{
    actor_world_t *world = context;
    world->now_ms += wait_ms;
    world->slept_ms += wait_ms;
    world->longest_ms = wait_ms > world->longest_ms ? wait_ms : world->longest_ms;
}

static uint32_t draw(void *context)
{
    (void)context;
    return 7;
}

static bool is_stopping(void *context)
{
    actor_world_t *world = context;
    return ++world->looks > world->looks_max;
}

static void take_available(void *context, bool available, const char *cause)
{
    actor_world_t *world = context;
    world->went += available ? 0 : 1;
    world->came += available ? 1 : 0;
    assert_true(available == (cause == NULL));
    if (cause) {
        snprintf(world->cause, sizeof world->cause, "%s", cause);
    }
}

static store_t *connect(actor_world_t *world)
{
    store_t *store = NULL;
    assert_int_equal(store_open(drivers, &world->connection.options, NULL, &store), FABRIC_OK);
    return store;
}

actor_world_t *world_new(const char *database)
{
    actor_world_t *world = memory_allocate_zeroed(1, sizeof *world);
    world->world = (store_world_t){.context = world,
                                   .now_ms = read_clock,
                                   .store_ms = read_store_clock,
                                   .sleep = sleep_virtually,
                                   .random = draw,
                                   .stopping = is_stopping,
                                   .available = take_available};
    world->looks_max = 1000;
    snprintf(world->database, sizeof world->database, "%s", database);
    snprintf(world->url, sizeof world->url, "memory:%s", database);
    world->connection = (connection_config_t){.drivers = drivers, .options = {.url = world->url}};
    memory_store_reset(database);
    memory_store_set_time(database, WORLD_STORE_MS);
    world->store = connect(world);
    store_cluster_t wanted = {.name = "test", .shards_per_group = 8, .lanes = WORLD_LANES};
    const store_driver_t *driver = world->store->driver;
    assert_int_equal(driver->schema_apply(world->store, &wanted, NULL), FABRIC_OK);
    store_coordinator_t before = {.term = 0};
    assert_int_equal(driver->coordinator_take(world->store, &before, world_self, &world->term),
                     FABRIC_OK);
    for (uint32_t lane = 0; lane < WORLD_LANES; lane++) {
        (void)world_assign(world, lane, world_self);
    }
    return world;
}

void world_free(actor_world_t **world)
{
    store_close(&(*world)->store);
    free(*world);
    *world = NULL;
    memory_store_free_all();
}

/* ---- what others do ---- */

store_hold_t world_hold(const actor_world_t *world, uint32_t lane)
{
    store_lane_t row = memory_store_lane(world->database, lane);
    return (store_hold_t){.lane = lane, .holder = row.holder, .epoch = row.epoch};
}

store_hold_t world_assign(actor_world_t *world, uint32_t lane, incarnation_t holder)
{
    store_hold_t before = world_hold(world, lane);
    assert_int_equal(
        world->store->driver->lane_assign(world->store, world->term, world_self, &before, holder),
        FABRIC_OK);
    return world_hold(world, lane);
}

void world_strike(actor_world_t *world, memory_store_operation_t operation,
                  memory_store_fault_kind_t kind, uint32_t after, uint32_t times)
{
    memory_store_fault_t fault = {
        .operation = operation, .kind = kind, .after = after, .times = times};
    memory_store_fault(world->database, &fault);
}

static bool keep_entry(void *context, const store_entry_t *entry)
{
    *(store_entry_t *)context = *entry;
    return false;
}

store_entry_t world_end(actor_world_t *world, uint32_t lane)
{
    store_entry_t end = {.number = UINT64_MAX};
    assert_int_equal(world->store->driver->read_journal_back(world->store, lane, INT64_MAX,
                                                             STORE_ENTRY_HEAD, 1, UINT64_MAX,
                                                             keep_entry, &end),
                     FABRIC_OK);
    return end;
}

static bool count_entry(void *context, const store_entry_t *entry)
{
    (void)entry;
    ++*(size_t *)context;
    return true;
}

size_t world_entry_count(const actor_world_t *world, uint32_t lane)
{
    size_t count = 0;
    memory_store_dump_entries(world->database, lane, count_entry, &count);
    return count;
}

static store_entry_t next_entry(actor_world_t *world, const store_hold_t *hold)
{
    store_entry_t end = world_end(world, hold->lane);
    return (store_entry_t){.lane = hold->lane,
                           .number = end.number + 1,
                           .epoch = hold->epoch,
                           .incarnation = hold->holder,
                           .last_id = end.last_id,
                           .created_ms = read_store_clock(world)};
}

store_entry_t world_take(actor_world_t *world, const store_hold_t *hold)
{
    uint64_t log_bytes = world_end(world, hold->lane).log_bytes;
    store_entry_t entry = next_entry(world, hold);
    journal_writer_t *writer = journal_writer_new();
    journal_put_adopt(writer, hold->holder, hold->epoch, fabric_bytes_of("other"));
    entry.adopt = true;
    journal_seal(writer, &entry, log_bytes);
    assert_int_equal(world->store->driver->lane_take(world->store, hold, &entry), FABRIC_OK);
    journal_writer_destroy(&writer);
    return entry;
}

store_entry_t world_append_written(actor_world_t *world, const store_hold_t *hold,
                                   journal_writer_t *writer, uint64_t last_id)
{
    uint64_t log_bytes = world_end(world, hold->lane).log_bytes;
    store_entry_t entry = next_entry(world, hold);
    entry.last_id = last_id > entry.last_id ? last_id : entry.last_id;
    journal_seal(writer, &entry, log_bytes);
    assert_int_equal(world->store->driver->append(world->store, &entry, 1), FABRIC_OK);
    return entry;
}

store_entry_t world_append(actor_world_t *world, const store_hold_t *hold,
                           const lane_batch_t *batch)
{
    journal_writer_t *writer = journal_writer_new();
    for (size_t i = 0; i < batch->message_count; i++) {
        journal_put_message(writer, batch->messages[i], batch->messages[i]->id.value,
                            (journal_attempts_t){0});
    }
    for (size_t i = 0; i < batch->move_count; i++) {
        journal_put_move(writer, batch->moves[i].message, batch->moves[i].position);
    }
    for (size_t i = 0; i < batch->attempt_count; i++) {
        const batch_attempt_t *attempt = &batch->attempts[i];
        journal_put_attempt(writer, attempt->message, attempt->position, attempt->attempts);
    }
    for (size_t i = 0; i < batch->end_count; i++) {
        const batch_end_t *end = &batch->ends[i];
        if (end->dead) {
            journal_put_dead(writer, end->message, end->position, end->reply, end->attempts,
                             end->cause, end->text);
        } else {
            journal_effects_t effects = batch_end_effects(end);
            journal_put_result_with_effects(writer, end->message, end->position, end->reply,
                                            &effects);
        }
    }
    for (size_t i = 0; i < batch->clear_count; i++) {
        const batch_clear_t *clear = &batch->clears[i];
        journal_put_clear(writer, clear->id, clear->shard, clear->type, clear->entity);
    }
    store_entry_t entry = world_append_written(world, hold, writer, batch->last_id);
    journal_writer_destroy(&writer);
    return entry;
}

void world_checkpoint(actor_world_t *world, const store_hold_t *hold, uint64_t number)
{
    store_slice_t slice = {.settled = memory_store_lane(world->database, hold->lane).number,
                           .begun = number,
                           .last = true};
    assert_int_equal(world->store->driver->checkpoint(world->store, hold, &slice), FABRIC_OK);
}

void world_write_slice(actor_world_t *world, const store_hold_t *hold, const sample_t *sample,
                       size_t first, size_t puts, size_t first_delete, size_t deletes, bool last)
{
    store_pending_t rows[64];
    store_row_key_t keys[64];
    uint64_t number = world_end(world, hold->lane).number;
    journal_writer_t *writer = journal_writer_new();
    for (size_t i = 0; i < puts; i++) {
        journal_put_message(writer, sample->list[first + i], sample->messages[first + i].id.value,
                            (journal_attempts_t){0});
    }
    for (size_t i = 0; i < puts; i++) {
        const store_message_t *message = &sample->messages[first + i];
        rows[i] =
            (store_pending_t){.position = message->id.value,
                              .entity_hash = journal_entity_hash(message->type, message->entity),
                              .id = message->id,
                              .shard = message->shard,
                              .number = number,
                              .type = message->type,
                              .entity = message->entity,
                              .tag = message->tag,
                              .body = journal_record_of(writer, i)};
    }
    for (size_t i = 0; i < deletes; i++) {
        const store_message_t *message = &sample->messages[first_delete + i];
        keys[i] = (store_row_key_t){journal_entity_hash(message->type, message->entity),
                                    message->id.value};
    }
    store_slice_t slice = {.puts = rows,
                           .put_count = puts,
                           .deletes = keys,
                           .delete_count = deletes,
                           .settled = memory_store_lane(world->database, hold->lane).number,
                           .begun = number,
                           .last = last};
    assert_int_equal(world->store->driver->checkpoint(world->store, hold, &slice), FABRIC_OK);
    journal_writer_destroy(&writer);
}

/* ---- samples ---- */

void sample_fill(sample_t *sample, uint32_t lane, uint64_t first_id)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 64; i++) {
        sample->messages[i] =
            (store_message_t){.id = {first_id + i},
                              .shard = shard_id_make(1, (uint16_t)(lane ? lane : WORLD_LANES)),
                              .flags = REQUEST_DURABLE,
                              .type = fabric_bytes_of("Counter"),
                              .entity = fabric_bytes_of(names[i % 4]),
                              .tag = fabric_bytes_of("Add"),
                              .payload = fabric_bytes_of("payload"),
                              .call = {9, first_id + i}};
        sample->list[i] = &sample->messages[i];
        sample->replies[i] = (store_reply_t){.id = sample->messages[i].id,
                                             .shard = sample->messages[i].shard,
                                             .payload = fabric_bytes_of("reply")};
        sample->ends[i] =
            (batch_end_t){.message = &sample->messages[i], .reply = &sample->replies[i]};
        sample->attempts[i] =
            (batch_attempt_t){.message = &sample->messages[i], .attempts = {.attempts = 1}};
    }
}

static uint64_t last_id(const sample_t *sample, size_t first, size_t count)
{
    return count ? sample->messages[first + count - 1].id.value : 0;
}

lane_batch_t sample_messages(const sample_t *sample, size_t first, size_t count)
{
    return (lane_batch_t){.last_id = last_id(sample, first, count),
                          .messages = sample->list + first,
                          .message_count = count};
}

lane_batch_t sample_ends(const sample_t *sample, size_t first, size_t count)
{
    return (lane_batch_t){
        .last_id = last_id(sample, first, count), .ends = sample->ends + first, .end_count = count};
}
