/* The simulated store. See simulation_store.h. */
#include "tests/simulation/simulation_store.h"

#include <stdlib.h>

#include "core/snowflake.h"
#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_world.h"

enum { CALL_US_MIN = 20, SLOW_US_MAX = 2500000 };

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
    memory_store_fault_t fault = {.operation = operation, .kind = kind, .times = 1};
    memory_store_fault(SIMULATION_DATABASE, &fault);
    world.result->store_errors++;
    world_note("store.fault", operation, kind, 0);
}

static void draw_fault(memory_store_operation_t operation)
{
    static const memory_store_fault_kind_t kinds[] = {
        MEMORY_STORE_UNAVAILABLE,   MEMORY_STORE_DISCONNECTED,  MEMORY_STORE_UNKNOWN_BEFORE,
        MEMORY_STORE_UNKNOWN_AFTER, MEMORY_STORE_UNKNOWN_AFTER, MEMORY_STORE_BUSY};
    if (world.now_us < world.store_down_until_us) {
        arm(operation, MEMORY_STORE_DISCONNECTED);
    } else if (!world.calm && world_chance(world.plan.store_errors)) {
        arm(operation, kinds[world_random() % (sizeof kinds / sizeof kinds[0])]);
    }
}

static void go(memory_store_operation_t operation)
{
    if (fiber_is_killed(fiber_current())) { /* the caller has ended */
        memory_store_clear_faults(SIMULATION_DATABASE);
        arm(operation, MEMORY_STORE_DISCONNECTED);
        return;
    }
    uint64_t us = world_between(CALL_US_MIN, world.plan.commit_us);
    if (world.now_us < world.store_slow_until_us && world_chance(3000)) {
        us = world_between(CALL_US_MIN, SLOW_US_MAX);
    }
    fiber_sleep_database(us);
    memory_store_clear_faults(SIMULATION_DATABASE);
    draw_fault(operation);
}

static fabric_error_t come(memory_store_operation_t operation, fabric_error_t error)
{
    memory_store_clear_faults(SIMULATION_DATABASE);
    world_note("store.call", operation, error, 0);
    fiber_sleep(world_between(CALL_US_MIN, world.plan.commit_us));
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

static fabric_error_t simulated_check(store_t *store, const char *name, uint32_t shards_per_group,
                                      reason_t *reason, store_cluster_t *cluster)
{
    FORWARD(MEMORY_STORE_SCHEMA, check(inner_of(store), name, shards_per_group, reason, cluster));
}

static fabric_error_t simulated_broker_join(store_t *store, const store_broker_t *broker,
                                            uint32_t lanes, store_join_t *join)
{
    go(MEMORY_STORE_JOIN);
    memory_store_set_time(SIMULATION_DATABASE, SNOWFLAKE_EPOCH_MS + 2 * INT64_C(86400000) +
                                                   world.store_clock_ms +
                                                   (int64_t)(world.now_us / 1000));
    fabric_error_t error = memory_store_driver.broker_join(inner_of(store), broker, lanes, join);
    check_homes();
    return come(MEMORY_STORE_JOIN, error);
}

static fabric_error_t simulated_broker_renew(store_t *store, incarnation_t incarnation)
{
    FORWARD(MEMORY_STORE_RENEW, broker_renew(inner_of(store), incarnation));
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
    return come(MEMORY_STORE_COORDINATE, error);
}

static fabric_error_t simulated_take_homes(store_t *store, uint64_t term, incarnation_t holder,
                                           const incarnation_t *living, size_t living_count)
{
    go(MEMORY_STORE_COORDINATE);
    fabric_error_t error =
        memory_store_driver.take_homes(inner_of(store), term, holder, living, living_count);
    check_homes();
    return come(MEMORY_STORE_COORDINATE, error);
}

static fabric_error_t simulated_group_put(store_t *store, uint64_t term, incarnation_t holder,
                                          fabric_bytes_t name, uint16_t *number)
{
    go(MEMORY_STORE_COORDINATE);
    fabric_error_t error =
        memory_store_driver.group_put(inner_of(store), term, holder, name, number);
    check_homes();
    return come(MEMORY_STORE_COORDINATE, error);
}

static fabric_error_t simulated_type_put(store_t *store, uint64_t term, incarnation_t holder,
                                         const store_type_t *type)
{
    FORWARD(MEMORY_STORE_COORDINATE, type_put(inner_of(store), term, holder, type));
}

static fabric_error_t simulated_runner_put(store_t *store, uint64_t term, incarnation_t holder,
                                           const store_runner_t *runner)
{
    FORWARD(MEMORY_STORE_COORDINATE, runner_put(inner_of(store), term, holder, runner));
}

static fabric_error_t simulated_runner_remove(store_t *store, uint64_t term, incarnation_t holder,
                                              incarnation_t runner)
{
    FORWARD(MEMORY_STORE_COORDINATE, runner_remove(inner_of(store), term, holder, runner));
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

static fabric_error_t simulated_runner_list(store_t *store, store_visit_runner_fn *visit,
                                            void *context)
{
    FORWARD(MEMORY_STORE_READ, runner_list(inner_of(store), visit, context));
}

static fabric_error_t simulated_shard_list(store_t *store, store_visit_shard_fn *visit,
                                           void *context)
{
    FORWARD(MEMORY_STORE_READ, shard_list(inner_of(store), visit, context));
}

static fabric_error_t simulated_high_id(store_t *store, uint64_t *high_id)
{
    FORWARD(MEMORY_STORE_READ, high_id(inner_of(store), high_id));
}

static fabric_error_t simulated_commit(store_t *store, const store_writer_t *writer,
                                       const store_batch_t *batch, store_rejection_t *rejection)
{
    go(MEMORY_STORE_COMMIT);
    uint64_t before = memory_store_commits(SIMULATION_DATABASE);
    fabric_error_t error = memory_store_driver.commit(inner_of(store), writer, batch, rejection);
    bool applied = memory_store_commits(SIMULATION_DATABASE) > before;
    world_note("store.commit", batch->message_count, batch->reply_count, applied);
    if (applied) {
        check_commit(writer, batch);
    } else if (error == FABRIC_OK) {
        world_fail("store: a commit was answered OK and not applied");
    }
    return come(MEMORY_STORE_COMMIT, error);
}

static fabric_error_t simulated_settle(store_t *store, const store_writer_t *writer,
                                       uint64_t *batch)
{
    FORWARD(MEMORY_STORE_SETTLE, settle(inner_of(store), writer, batch));
}

static fabric_error_t simulated_load_pending(store_t *store, request_id_t from,
                                             store_visit_message_fn *visit, void *context)
{
    FORWARD(MEMORY_STORE_LOAD, load_pending(inner_of(store), from, visit, context));
}

static fabric_error_t simulated_find_calls(store_t *store, request_id_t floor, request_id_t *last,
                                           uint32_t rows_max, const call_key_t *calls,
                                           size_t call_count, store_visit_message_fn *visit,
                                           void *context)
{
    FORWARD(MEMORY_STORE_LOAD,
            find_calls(inner_of(store), floor, last, rows_max, calls, call_count, visit, context));
}

const store_driver_t simulation_store_driver = {
    .scheme = "simulated",
    .open = simulated_open,
    .close = simulated_close,
    .check = simulated_check,
    .broker_join = simulated_broker_join,
    .broker_renew = simulated_broker_renew,
    .broker_leave = simulated_broker_leave,
    .broker_list = simulated_broker_list,
    .coordinator_read = simulated_coordinator_read,
    .coordinator_take = simulated_coordinator_take,
    .take_homes = simulated_take_homes,
    .group_put = simulated_group_put,
    .type_put = simulated_type_put,
    .runner_put = simulated_runner_put,
    .runner_remove = simulated_runner_remove,
    .group_list = simulated_group_list,
    .type_list = simulated_type_list,
    .runner_list = simulated_runner_list,
    .shard_list = simulated_shard_list,
    .high_id = simulated_high_id,
    .commit = simulated_commit,
    .settle = simulated_settle,
    .load_pending = simulated_load_pending,
    .find_calls = simulated_find_calls,
};
