/* Brokers, writer rows and the coordinator's lease in SQLite. */
#include "sqlite/sqlite_membership.h"

#include <string.h>

#include "core/clock.h"
#include "core/crash_point.h"
#include "core/limits.h"
#include "sqlite/sqlite_connection.h"

#define NO_MACHINE UINT32_MAX

/* Runs a statement whose only parameter is an incarnation. */
static fabric_error_t run_for(sqlite_store_t *store, sqlite_statement_t statement,
                              const incarnation_t *incarnation)
{
    sqlite_query_t query = sqlite_query(store, statement);
    sqlite_bind_incarnation(&query, 1, incarnation);
    return sqlite_run(&query);
}

static fabric_error_t run_plain(sqlite_store_t *store, sqlite_statement_t statement)
{
    sqlite_query_t query = sqlite_query(store, statement);
    return sqlite_run(&query);
}

static fabric_error_t forget(sqlite_store_t *store, const incarnation_t *incarnation)
{
    fabric_error_t error = run_for(store, SQLITE_STATEMENT_WRITER_FENCE, incarnation);
    return error ? error : run_for(store, SQLITE_STATEMENT_BROKER_DELETE, incarnation);
}

/* Fences and forgets who was here as the same broker; `machine` gets its slot, NO_MACHINE when
 * there was nobody. */
static fabric_error_t forget_former(sqlite_store_t *store, const store_broker_t *broker,
                                    uint32_t *machine)
{
    incarnation_t former[2];
    size_t count = 0;
    *machine = NO_MACHINE;
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_BROKER_FORMER);
    sqlite_bind_incarnation(&query, 1, &broker->incarnation);
    sqlite_bind_text(&query, 2, broker->router_endpoint);
    while (count < 2 && sqlite_row(&query)) {
        former[count] = sqlite_column_incarnation(&query, 0);
        if (count == 0) {
            *machine = sqlite_column_u32(&query, 1);
        }
        count++;
    }
    fabric_error_t error = sqlite_end(&query);
    for (size_t i = 0; i < count && !error; i++) {
        error = forget(store, &former[i]);
    }
    if (!error && store->exclusive) {
        error = run_plain(store, SQLITE_STATEMENT_WRITER_FENCE_ALL);
        if (!error) {
            error = run_plain(store, SQLITE_STATEMENT_BROKER_DELETE_ALL);
        }
    }
    return error;
}

/* BUSY when the map has no room for another broker. */
static fabric_error_t check_room(sqlite_store_t *store)
{
    uint64_t count = 0;
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_BROKER_COUNT);
    if (sqlite_row(&query)) {
        count = sqlite_column_u64(&query, 0);
    }
    fabric_error_t error = sqlite_end(&query);
    return !error && count >= LIMIT_BROKERS_MAX ? FABRIC_ERROR_BUSY : error;
}

/* The lowest slot that no broker and no unfenced writer row holds. */
static fabric_error_t find_machine(sqlite_store_t *store, uint32_t *machine)
{
    uint32_t next = 0;
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_BROKER_MACHINES);
    while (sqlite_row(&query) && sqlite_column_u32(&query, 0) == next) {
        next++;
    }
    fabric_error_t error = sqlite_end(&query);
    if (error) {
        return error;
    }
    if (next >= LIMIT_MACHINES_MAX) {
        return FABRIC_ERROR_BUSY;
    }
    *machine = next;
    return FABRIC_OK;
}

static fabric_error_t insert_broker(sqlite_store_t *store, const store_broker_t *broker,
                                    uint32_t machine)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_BROKER_INSERT);
    sqlite_bind_incarnation(&query, 1, &broker->incarnation);
    sqlite_bind_u64(&query, 2, machine);
    sqlite_bind_u64(&query, 3, broker->counter);
    sqlite_bind_text(&query, 4, broker->name);
    sqlite_bind_text(&query, 5, broker->router_endpoint);
    sqlite_bind_text(&query, 6, broker->pub_endpoint);
    return sqlite_run(&query);
}

static fabric_error_t take_writers(sqlite_store_t *store, const incarnation_t *incarnation,
                                   uint32_t machine, uint32_t lanes)
{
    for (uint32_t lane = 0; lane < lanes; lane++) {
        sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_WRITER_TAKE);
        sqlite_bind_u64(&query, 1, machine);
        sqlite_bind_u64(&query, 2, lane);
        sqlite_bind_incarnation(&query, 3, incarnation);
        fabric_error_t error = sqlite_run(&query);
        if (error) {
            return error;
        }
    }
    return FABRIC_OK;
}

/* Also of lanes that are not taken: a former holder of the slot may have had more of them, and made
 * higher ids there. */
static fabric_error_t read_writers(sqlite_store_t *store, uint32_t machine, uint32_t lanes,
                                   store_join_t *join)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_WRITER_LIST);
    sqlite_bind_u64(&query, 1, machine);
    while (sqlite_row(&query)) {
        uint64_t lane = sqlite_column_u64(&query, 0);
        uint64_t high_id = sqlite_column_u64(&query, 2);
        if (lane < lanes) {
            join->batches[lane] = sqlite_column_u64(&query, 1);
        }
        if (high_id > join->high_id) {
            join->high_id = high_id;
        }
    }
    return sqlite_end(&query);
}

static fabric_error_t join_inside(sqlite_store_t *store, const store_broker_t *broker,
                                  uint32_t lanes, store_join_t *join)
{
    fabric_error_t error = forget_former(store, broker, &join->machine);
    error = error ? error : check_room(store);
    if (!error && join->machine == NO_MACHINE) {
        error = find_machine(store, &join->machine);
    }
    if (!error) {
        error = insert_broker(store, broker, join->machine);
        CRASH_POINT(JOIN_INSIDE);
    }
    if (!error) {
        error = take_writers(store, &broker->incarnation, join->machine, lanes);
    }
    return error ? error : read_writers(store, join->machine, lanes, join);
}

fabric_error_t sqlite_broker_join(store_t *base, const store_broker_t *broker, uint32_t lanes,
                                  store_join_t *join)
{
    sqlite_store_t *store = sqlite_store_of(base);
    store_join_t joined = {0};
    if (lanes < 1 || lanes > LIMIT_LANES_MAX) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sqlite_begin(store);
    if (error) {
        return error;
    }
    error = sqlite_finish(store, join_inside(store, broker, lanes, &joined));
    if (error) {
        return error;
    }
    joined.now_ms = clock_wall_ms();
    *join = joined;
    return FABRIC_OK;
}

fabric_error_t sqlite_broker_renew(store_t *base, incarnation_t incarnation)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = sqlite_begin(store);
    if (error) {
        return error;
    }
    error = run_for(store, SQLITE_STATEMENT_BROKER_RENEW, &incarnation);
    if (!error && !sqlite_changed(store)) {
        error = FABRIC_ERROR_FENCED;
    }
    return sqlite_finish(store, error);
}

fabric_error_t sqlite_broker_leave(store_t *base, incarnation_t incarnation)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = sqlite_begin(store);
    if (error) {
        return error;
    }
    error = forget(store, &incarnation);
    CRASH_POINT(LEAVE_INSIDE);
    return sqlite_finish(store, error);
}

fabric_error_t sqlite_broker_list(store_t *base, store_visit_broker_fn *visit, void *context)
{
    sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_BROKER_LIST);
    while (sqlite_row(&query)) {
        store_broker_t broker = {.incarnation = sqlite_column_incarnation(&query, 0),
                                 .machine = sqlite_column_u32(&query, 1),
                                 .counter = sqlite_column_u64(&query, 2)};
        sqlite_column_string(&query, 3, broker.name);
        sqlite_column_string(&query, 4, broker.router_endpoint);
        sqlite_column_string(&query, 5, broker.pub_endpoint);
        visit(context, &broker);
    }
    return sqlite_end(&query);
}

fabric_error_t sqlite_coordinator_read(store_t *base, store_coordinator_t *coordinator)
{
    store_coordinator_t found = {0};
    sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_COORDINATOR_READ);
    if (sqlite_row(&query)) {
        found.term = sqlite_column_u64(&query, 0);
        found.holder = sqlite_column_incarnation(&query, 1);
    }
    fabric_error_t error = sqlite_end(&query);
    if (!error) {
        *coordinator = found;
    }
    return error;
}

fabric_error_t sqlite_coordinator_take(store_t *base, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = sqlite_begin(store);
    if (error) {
        return error;
    }
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_COORDINATOR_TAKE);
    sqlite_bind_u64(&query, 1, before->term);
    sqlite_bind_incarnation(&query, 2, &before->holder);
    sqlite_bind_u64(&query, 3, before->term + 1);
    sqlite_bind_incarnation(&query, 4, &holder);
    error = sqlite_run(&query);
    if (!error && !sqlite_changed(store)) {
        error = FABRIC_ERROR_FENCED;
    }
    error = sqlite_finish(store, error);
    if (!error) {
        *term = before->term + 1;
    }
    return error;
}

fabric_error_t sqlite_high_id(store_t *base, uint64_t *high_id)
{
    /* The largest is found here: SQLite's own numbers have a sign. */
    sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_WRITER_HIGH_IDS);
    uint64_t highest = 0;
    while (sqlite_row(&query)) {
        uint64_t id = sqlite_column_u64(&query, 0);
        highest = id > highest ? id : highest;
    }
    fabric_error_t error = sqlite_end(&query);
    if (!error) {
        *high_id = highest;
    }
    return error;
}
