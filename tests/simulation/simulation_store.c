/* The simulated store. See simulation_store.h. */
#include "tests/simulation/simulation_store.h"

#include <stdlib.h>

#include "core/crash_point.h"
#include "core/snowflake.h"
#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_steps.h"
#include "tests/simulation/simulation_world.h"

enum { CALL_US_MIN = 20, SLOW_US_MAX = 2500000, RUNNING_CALLS_MAX = 30 };

typedef struct simulation_store {
    store_t base;
    store_t *inner;
} simulation_store_t;

static store_t *inner_of(store_t *base)
{
    return ((simulation_store_t *)base)->inner;
}

/* ---- a call's way there and back ---- */

static void arm(memory_store_operation_t operation, memory_store_fault_kind_t kind)
{
    memory_store_fault_t fault = {.operation = operation,
                                  .kind = kind,
                                  .times = 1,
                                  .delay = kind == MEMORY_STORE_UNKNOWN_RUNNING
                                               ? (uint32_t)world_between(0, RUNNING_CALLS_MAX)
                                               : 0};
    memory_store_fault(SIMULATION_DATABASE, &fault);
    world.result->store_errors++;
    world_note("store.fault", operation, kind, fault.delay);
}

static void draw_fault(memory_store_operation_t operation)
{
    static const memory_store_fault_kind_t kinds[] = {
        MEMORY_STORE_UNAVAILABLE,   MEMORY_STORE_DISCONNECTED,  MEMORY_STORE_UNKNOWN_BEFORE,
        MEMORY_STORE_UNKNOWN_AFTER, MEMORY_STORE_UNKNOWN_AFTER, MEMORY_STORE_UNKNOWN_RUNNING,
        MEMORY_STORE_BUSY,          MEMORY_STORE_BUSY};
    if (world.now_us < world.store_down_until_us) {
        arm(operation, MEMORY_STORE_DISCONNECTED);
    } else if (!world.calm && world_chance(world.plan.store_errors)) {
        arm(operation, kinds[world_random() % (sizeof kinds / sizeof kinds[0])]);
    }
}

/* How long a call is on its way to the database. One that is sent while its broker is cut off
 * arrives afterwards. */
static uint64_t draw_way_us(memory_store_operation_t operation)
{
    uint64_t us = world_between(CALL_US_MIN, world.plan.commit_us);
    if (operation == MEMORY_STORE_TAKE && world.plan.take_us > 0) {
        us += world_between(0, world.plan.take_us);
    }
    if (operation == MEMORY_STORE_READ_JOURNAL && world.plan.read_us > 0) {
        us += world_between(0, world.plan.read_us);
    }
    if (world.now_us < world.store_slow_until_us && world_chance(3000)) {
        us = world_between(CALL_US_MIN, SLOW_US_MAX);
    }
    uint64_t cut_off_until_us = fiber_process(fiber_current())->cut_off_until_us;
    return world.now_us < cut_off_until_us ? us + cut_off_until_us - world.now_us : us;
}

static void go(memory_store_operation_t operation)
{
    if (fiber_is_killed(fiber_current())) { /* the caller has ended */
        memory_store_clear_faults(SIMULATION_DATABASE);
        arm(operation, MEMORY_STORE_DISCONNECTED);
        return;
    }
    steps_pass(fiber_process(fiber_current()), STEP_STORE_SENT, operation);
    fiber_sleep_database(draw_way_us(operation));
    if (world.now_us < world.store_halted_until_us) {
        fiber_sleep_database(world.store_halted_until_us - world.now_us);
    }
    memory_store_clear_faults(SIMULATION_DATABASE);
    draw_fault(operation);
}

static fabric_error_t come(memory_store_operation_t operation, fabric_error_t error)
{
    process_t *process = fiber_process(fiber_current());
    memory_store_clear_faults(SIMULATION_DATABASE);
    check_store();
    world_note("store.call", operation, error, 0);
    world.result->fenced += error == FABRIC_ERROR_FENCED;
    if (!fiber_is_killed(fiber_current())) {
        steps_pass(process, STEP_STORE_DONE, operation);
    }
    uint64_t us = world_between(CALL_US_MIN, world.plan.commit_us);
    bool is_kept = world.now_us < process->unanswered_until_us;
    fiber_sleep(is_kept ? process->unanswered_until_us - world.now_us + us : us);
    return error;
}

/* ---- the port ---- */

static fabric_error_t simulated_open(const store_options_t *options, reason_t *reason,
                                     store_t **store)
{
    store_options_t inner = *options;
    inner.url = "memory:" SIMULATION_DATABASE;
    simulation_store_t *opened = calloc(1, sizeof *opened);
    if (!opened) {
        abort();
    }
    opened->base.driver = &simulation_store_driver;
    go(MEMORY_STORE_OPEN);
    fabric_error_t error =
        come(MEMORY_STORE_OPEN, memory_store_driver.open(&inner, reason, &opened->inner));
    if (error) {
        free(opened);
        return error;
    }
    *store = &opened->base;
    return FABRIC_OK;
}

static void simulated_close(store_t **store)
{
    simulation_store_t *closing = (simulation_store_t *)*store;
    memory_store_driver.close(&closing->inner);
    free(closing);
    *store = NULL;
}

#define FORWARD(operation, call)                                                                   \
    go(operation);                                                                                 \
    return come(operation, memory_store_driver.call)

static fabric_error_t simulated_check(store_t *store, const store_cluster_t *wanted,
                                      reason_t *reason, store_cluster_t *cluster)
{
    FORWARD(MEMORY_STORE_SCHEMA, check(inner_of(store), wanted, reason, cluster));
}

static fabric_error_t simulated_broker_join(store_t *store, const store_broker_t *broker,
                                            store_join_t *join)
{
    go(MEMORY_STORE_JOIN);
    memory_store_set_time(SIMULATION_DATABASE, SNOWFLAKE_EPOCH_MS + 2 * SIMULATION_CLOCK_MS +
                                                   world.store_clock_ms +
                                                   (int64_t)(world.now_us / 1000));
    return come(MEMORY_STORE_JOIN, memory_store_driver.broker_join(inner_of(store), broker, join));
}

static fabric_error_t simulated_broker_renew(store_t *store, incarnation_t incarnation,
                                             uint64_t id_mark)
{
    FORWARD(MEMORY_STORE_RENEW, broker_renew(inner_of(store), incarnation, id_mark));
}

static fabric_error_t simulated_broker_leave(store_t *store, incarnation_t incarnation)
{
    FORWARD(MEMORY_STORE_LEAVE, broker_leave(inner_of(store), incarnation));
}

static fabric_error_t simulated_broker_list(store_t *store, store_visit_broker_fn *visit,
                                            void *context)
{
    FORWARD(MEMORY_STORE_READ, broker_list(inner_of(store), visit, context));
}

static fabric_error_t simulated_coordinator_read(store_t *store, store_coordinator_t *coordinator)
{
    FORWARD(MEMORY_STORE_READ, coordinator_read(inner_of(store), coordinator));
}

static fabric_error_t simulated_coordinator_take(store_t *store, const store_coordinator_t *before,
                                                 incarnation_t holder, uint64_t *term)
{
    go(MEMORY_STORE_COORDINATE);
    fabric_error_t error =
        memory_store_driver.coordinator_take(inner_of(store), before, holder, term);
    world.result->takeovers += error == FABRIC_OK;
    world.with_term = error ? world.with_term : fiber_process(fiber_current());
    error = come(MEMORY_STORE_COORDINATE, error);
    world.result->fenced -= error == FABRIC_ERROR_FENCED; /* another broker was faster */
    return error;
}

static fabric_error_t come_from_coordinator(const char *what, uint64_t term, incarnation_t holder,
                                            fabric_error_t error)
{
    if (!error) {
        check_coordinator_writes(what, term, holder);
    }
    return come(MEMORY_STORE_COORDINATE, error);
}

static fabric_error_t simulated_group_put(store_t *store, uint64_t term, incarnation_t holder,
                                          fabric_bytes_t name, uint16_t *number)
{
    go(MEMORY_STORE_COORDINATE);
    return come_from_coordinator(
        "group_put", term, holder,
        memory_store_driver.group_put(inner_of(store), term, holder, name, number));
}

static fabric_error_t simulated_broker_remove(store_t *store, uint64_t term, incarnation_t holder,
                                              incarnation_t broker)
{
    go(MEMORY_STORE_COORDINATE);
    return come_from_coordinator(
        "broker_remove", term, holder,
        memory_store_driver.broker_remove(inner_of(store), term, holder, broker));
}

static fabric_error_t simulated_type_put(store_t *store, uint64_t term, incarnation_t holder,
                                         const store_type_t *type)
{
    go(MEMORY_STORE_COORDINATE);
    return come_from_coordinator("type_put", term, holder,
                                 memory_store_driver.type_put(inner_of(store), term, holder, type));
}

static fabric_error_t simulated_runner_put(store_t *store, uint64_t term, incarnation_t holder,
                                           const store_runner_t *runner)
{
    go(MEMORY_STORE_COORDINATE);
    return come_from_coordinator(
        "runner_put", term, holder,
        memory_store_driver.runner_put(inner_of(store), term, holder, runner));
}

static fabric_error_t simulated_runner_remove(store_t *store, uint64_t term, incarnation_t holder,
                                              incarnation_t runner)
{
    go(MEMORY_STORE_COORDINATE);
    return come_from_coordinator(
        "runner_remove", term, holder,
        memory_store_driver.runner_remove(inner_of(store), term, holder, runner));
}

static fabric_error_t simulated_group_list(store_t *store, store_visit_group_fn *visit,
                                           void *context)
{
    FORWARD(MEMORY_STORE_READ, group_list(inner_of(store), visit, context));
}

static fabric_error_t simulated_type_list(store_t *store, store_visit_type_fn *visit, void *context)
{
    FORWARD(MEMORY_STORE_READ, type_list(inner_of(store), visit, context));
}

static fabric_error_t simulated_first_registration(store_t *store,
                                                   store_registration_t *registration)
{
    FORWARD(MEMORY_STORE_READ, first_registration(inner_of(store), registration));
}

static fabric_error_t simulated_runner_list(store_t *store, store_visit_runner_fn *visit,
                                            void *context)
{
    FORWARD(MEMORY_STORE_READ, runner_list(inner_of(store), visit, context));
}

/* ---- lanes ---- */

static fabric_error_t simulated_lane_list(store_t *store, store_visit_lane_fn *visit, void *context)
{
    FORWARD(MEMORY_STORE_READ, lane_list(inner_of(store), visit, context));
}

static fabric_error_t simulated_lane_assign(store_t *store, uint64_t term,
                                            incarnation_t coordinator, const store_hold_t *before,
                                            incarnation_t holder)
{
    go(MEMORY_STORE_ASSIGN);
    fabric_error_t error =
        memory_store_driver.lane_assign(inner_of(store), term, coordinator, before, holder);
    if (!error) {
        check_coordinator_writes("lane_assign", term, coordinator);
        check_lane_assigned(before);
    }
    return come(MEMORY_STORE_ASSIGN, error);
}

static fabric_error_t simulated_lane_give_up(store_t *store, const store_hold_t *hold)
{
    world_note("store.give_up", hold->lane, hold->epoch, 0);
    CRASH_POINT(GIVE_UP_BEFORE);
    go(MEMORY_STORE_GIVE_UP);
    fabric_error_t error = memory_store_driver.lane_give_up(inner_of(store), hold);
    CRASH_POINT(GIVE_UP_AFTER);
    return come(MEMORY_STORE_GIVE_UP, error);
}

static fabric_error_t come_from_append(fabric_error_t error, const store_entry_t *entries,
                                       size_t count)
{
    if (!error) {
        check_appended(entries, count);
    }
    return come(MEMORY_STORE_APPEND, error);
}

static fabric_error_t simulated_append(store_t *store, const store_entry_t *entries, size_t count)
{
    world_note("store.append", entries[0].lane, entries[0].number, count);
    check_append_sent(entries, count);
    go(MEMORY_STORE_APPEND);
    return come_from_append(memory_store_driver.append(inner_of(store), entries, count), entries,
                            count);
}

static fabric_error_t simulated_append_after(store_t *store, const store_anchor_t *anchor,
                                             const store_entry_t *entries, size_t count)
{
    world_note("store.append", entries[0].lane, entries[0].number, count);
    check_append_sent(entries, count);
    go(MEMORY_STORE_APPEND);
    return come_from_append(
        memory_store_driver.append_after(inner_of(store), anchor, entries, count), entries, count);
}

static fabric_error_t simulated_lane_take(store_t *store, const store_hold_t *hold,
                                          const store_entry_t *entry)
{
    world_note("store.take", hold->lane, hold->epoch, entry->number);
    FORWARD(MEMORY_STORE_TAKE, lane_take(inner_of(store), hold, entry));
}

static fabric_error_t simulated_read_journal(store_t *store, uint32_t lane, uint64_t from,
                                             store_entry_part_t part, uint32_t entries_max,
                                             uint64_t bytes_max, store_visit_entry_fn *visit,
                                             void *context)
{
    FORWARD(MEMORY_STORE_READ_JOURNAL, read_journal(inner_of(store), lane, from, part, entries_max,
                                                    bytes_max, visit, context));
}

static fabric_error_t simulated_read_journal_back(store_t *store, uint32_t lane, uint64_t upto,
                                                  store_entry_part_t part, uint32_t entries_max,
                                                  uint64_t bytes_max, store_visit_entry_fn *visit,
                                                  void *context)
{
    FORWARD(MEMORY_STORE_READ_JOURNAL, read_journal_back(inner_of(store), lane, upto, part,
                                                         entries_max, bytes_max, visit, context));
}

static fabric_error_t simulated_purge(store_t *store, const store_hold_t *hold,
                                      const store_purge_t *purge, store_purged_t *purged)
{
    go(MEMORY_STORE_PURGE);
    fabric_error_t error = memory_store_driver.purge(inner_of(store), hold, purge, purged);
    world.result->purged += error ? 0 : purged->entries;
    return come(MEMORY_STORE_PURGE, error);
}

/* ---- rows ---- */

static fabric_error_t simulated_checkpoint(store_t *store, const store_hold_t *hold,
                                           const store_slice_t *slice)
{
    world_note("store.slice", hold->lane, slice->put_count, slice->delete_count);
    go(MEMORY_STORE_CHECKPOINT);
    fabric_error_t error = memory_store_driver.checkpoint(inner_of(store), hold, slice);
    if (!error) {
        check_event_slice(hold->lane, slice);
    }
    return come(MEMORY_STORE_CHECKPOINT, error);
}

static fabric_error_t simulated_load_rows(store_t *store, uint32_t lane,
                                          const store_range_t *ranges, size_t count,
                                          uint64_t bytes_max, store_visit_pending_fn *visit,
                                          void *context, size_t *done)
{
    FORWARD(MEMORY_STORE_LOAD,
            load_rows(inner_of(store), lane, ranges, count, bytes_max, visit, context, done));
}

static fabric_error_t simulated_list_backlogs(store_t *store, uint32_t lane,
                                              store_visit_backlog_fn *visit, void *context)
{
    FORWARD(MEMORY_STORE_LOAD, list_backlogs(inner_of(store), lane, visit, context));
}

static fabric_error_t simulated_find_rows(store_t *store, uint32_t lane,
                                          const store_row_key_t *keys, size_t count, bool *found)
{
    FORWARD(MEMORY_STORE_LOAD, find_rows(inner_of(store), lane, keys, count, found));
}

static fabric_error_t simulated_load_scheduled(store_t *store, uint32_t lane, store_due_key_t after,
                                               uint32_t limit, uint64_t bytes_max,
                                               store_visit_pending_fn *visit, void *context,
                                               bool *ended)
{
    FORWARD(MEMORY_STORE_LOAD,
            load_scheduled(inner_of(store), lane, after, limit, bytes_max, visit, context, ended));
}

static fabric_error_t simulated_count_scheduled(store_t *store, uint32_t lane, uint64_t *count)
{
    FORWARD(MEMORY_STORE_LOAD, count_scheduled(inner_of(store), lane, count));
}

static fabric_error_t simulated_count_scheduled_type(store_t *store, uint32_t lane,
                                                     fabric_bytes_t type, uint64_t *count)
{
    FORWARD(MEMORY_STORE_LOAD, count_scheduled_type(inner_of(store), lane, type, count));
}

static fabric_error_t simulated_find_scheduled(store_t *store, uint32_t lane,
                                               const store_due_key_t *keys, size_t count,
                                               bool *found)
{
    FORWARD(MEMORY_STORE_LOAD, find_scheduled(inner_of(store), lane, keys, count, found));
}

static fabric_error_t simulated_find_places(store_t *store, uint32_t lane, const request_id_t *ids,
                                            size_t count, store_visit_place_fn *visit,
                                            void *context)
{
    FORWARD(MEMORY_STORE_LOAD, find_places(inner_of(store), lane, ids, count, visit, context));
}

static fabric_error_t simulated_find_keys(store_t *store, uint32_t lane,
                                          const store_key_name_t *names, size_t count,
                                          store_visit_key_fn *visit, void *context)
{
    FORWARD(MEMORY_STORE_FIND_KEYS, find_keys(inner_of(store), lane, names, count, visit, context));
}

static fabric_error_t simulated_list_keys(store_t *store, uint32_t lane,
                                          const store_key_name_t *after, uint32_t limit,
                                          store_visit_name_fn *visit, void *context, bool *ended)
{
    FORWARD(MEMORY_STORE_FIND_KEYS,
            list_keys(inner_of(store), lane, after, limit, visit, context, ended));
}

static fabric_error_t simulated_load_states(store_t *store, uint32_t lane,
                                            const store_entity_name_t *names, size_t count,
                                            uint64_t bytes_max, store_visit_state_fn *visit,
                                            void *context, size_t *done)
{
    FORWARD(MEMORY_STORE_LOAD,
            load_states(inner_of(store), lane, names, count, bytes_max, visit, context, done));
}

static fabric_error_t simulated_load_events(store_t *store, uint32_t lane,
                                            const store_history_t *histories, size_t count,
                                            uint64_t bytes_max, store_visit_event_fn *visit,
                                            void *context, size_t *done)
{
    uint64_t bytes =
        bytes_max < world.plan.events_bytes_read ? bytes_max : world.plan.events_bytes_read;
    FORWARD(MEMORY_STORE_LOAD,
            load_events(inner_of(store), lane, histories, count, bytes, visit, context, done));
}

static fabric_error_t simulated_list_kept(store_t *store, uint32_t lane, store_visit_kept_fn *visit,
                                          void *context)
{
    FORWARD(MEMORY_STORE_LOAD, list_kept(inner_of(store), lane, visit, context));
}

static fabric_error_t simulated_load_outgoing(store_t *store, uint32_t lane, uint32_t target_lane,
                                              store_outgoing_key_t after, uint32_t limit,
                                              uint64_t bytes_max, store_visit_outgoing_fn *visit,
                                              void *context, bool *ended)
{
    FORWARD(MEMORY_STORE_LOAD, load_outgoing(inner_of(store), lane, target_lane, after, limit,
                                             bytes_max, visit, context, ended));
}

static fabric_error_t simulated_list_outboxes(store_t *store, uint32_t lane,
                                              store_visit_outbox_fn *visit, void *context)
{
    FORWARD(MEMORY_STORE_LOAD, list_outboxes(inner_of(store), lane, visit, context));
}

static fabric_error_t simulated_oldest_outgoing(store_t *store, uint64_t *id)
{
    FORWARD(MEMORY_STORE_LOAD, oldest_outgoing(inner_of(store), id));
}

const store_driver_t simulation_store_driver = {
    .scheme = "simulated",
    .slice_rows_max = STORE_SLICE_ROWS_MAX,
    .lanes_default = 12,
    .open = simulated_open,
    .close = simulated_close,
    .check = simulated_check,
    .broker_join = simulated_broker_join,
    .broker_renew = simulated_broker_renew,
    .broker_leave = simulated_broker_leave,
    .broker_list = simulated_broker_list,
    .coordinator_read = simulated_coordinator_read,
    .coordinator_take = simulated_coordinator_take,
    .group_put = simulated_group_put,
    .broker_remove = simulated_broker_remove,
    .type_put = simulated_type_put,
    .runner_put = simulated_runner_put,
    .runner_remove = simulated_runner_remove,
    .group_list = simulated_group_list,
    .type_list = simulated_type_list,
    .first_registration = simulated_first_registration,
    .runner_list = simulated_runner_list,
    .lane_list = simulated_lane_list,
    .lane_assign = simulated_lane_assign,
    .lane_give_up = simulated_lane_give_up,
    .append = simulated_append,
    .append_after = simulated_append_after,
    .lane_take = simulated_lane_take,
    .read_journal = simulated_read_journal,
    .read_journal_back = simulated_read_journal_back,
    .purge = simulated_purge,
    .checkpoint = simulated_checkpoint,
    .load_rows = simulated_load_rows,
    .list_backlogs = simulated_list_backlogs,
    .find_rows = simulated_find_rows,
    .load_scheduled = simulated_load_scheduled,
    .count_scheduled = simulated_count_scheduled,
    .count_scheduled_type = simulated_count_scheduled_type,
    .find_scheduled = simulated_find_scheduled,
    .find_places = simulated_find_places,
    .find_keys = simulated_find_keys,
    .list_keys = simulated_list_keys,
    .list_kept = simulated_list_kept,
    .load_states = simulated_load_states,
    .load_events = simulated_load_events,
    .load_outgoing = simulated_load_outgoing,
    .list_outboxes = simulated_list_outboxes,
    .oldest_outgoing = simulated_oldest_outgoing,
};
