/* What the coordinator registers: shard groups with their shards, entity types, runners. */
#include "core/crash_point.h"
#include "core/limits.h"
#include "core/shard_map.h"
#include "mysql/mysql_membership.h"
#include "mysql/mysql_operations.h"

/* Begins a transaction of the coordinator. */
static fabric_error_t begin_as_coordinator(mysql_store_t *store, uint64_t term,
                                           const incarnation_t *holder)
{
    fabric_error_t error = mysql_begin(store);
    if (!error) {
        error = mysql_coordinator_prove(&store->session, term, holder);
        if (error) {
            error = mysql_end_read(store, error);
        }
    }
    return error;
}

/* Reads one number; `found` says whether there was a row. */
static fabric_error_t query_number(mysql_session_t *session, statement_id_t id, bool *found,
                                   uint64_t *number)
{
    statement_rows_t *rows = NULL;
    fabric_error_t error = statement_query_one(session, id, &rows, found);
    if (!error && *found) {
        *number = statement_u64(rows, 0);
    }
    statement_end(rows);
    return error;
}

/* ---- groups and shards ---- */

static fabric_error_t insert_shards(mysql_session_t *session, uint16_t group, uint32_t count,
                                    const incarnation_t *home)
{
    fabric_error_t error = FABRIC_OK;
    for (uint32_t done = 0; !error && done < count;) {
        size_t rows = statement_size_within(count - done);
        statement_begin(session);
        for (size_t i = 0; i < rows; i++) {
            statement_put_u64(session, shard_id_make(group, (uint16_t)(++done)).value);
            statement_put_incarnation(session, home);
        }
        error = statement_run(session, STATEMENT_SHARD_INSERT, rows, NULL);
    }
    return error;
}

static fabric_error_t make_group(mysql_session_t *session, const incarnation_t *home,
                                 fabric_bytes_t name, uint64_t *number)
{
    uint64_t last = 0;
    uint32_t shards_per_group = 0;
    bool found = false;
    statement_begin(session);
    fabric_error_t error = query_number(session, STATEMENT_GROUP_LAST, &found, &last);
    error = error ? error : mysql_membership_lock(session, &shards_per_group);
    if (!error && shards_per_group > LIMIT_SHARDS_PER_GROUP_MAX) {
        error = FABRIC_ERROR_STORE_UNAVAILABLE; /* a cluster row that somebody edited */
    }
    if (!error && !shard_map_can_grow(last, shards_per_group)) {
        error = FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (error) {
        return error;
    }
    *number = last + 1;
    statement_begin(session);
    statement_put_u64(session, *number);
    statement_put_bytes(session, name);
    error = statement_run(session, STATEMENT_GROUP_INSERT, 1, NULL);
    CRASH_POINT(GROUP_PUT_INSIDE);
    return error ? error : insert_shards(session, (uint16_t)*number, shards_per_group, home);
}

fabric_error_t mysql_group_put(store_t *base, uint64_t term, incarnation_t holder,
                               fabric_bytes_t name, uint16_t *number)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    /* A plain read is exact: only the coordinator adds groups, and its row is locked. */
    uint64_t found_number = 0;
    bool found = false;
    statement_begin(&store->session);
    statement_put_bytes(&store->session, name);
    error = query_number(&store->session, STATEMENT_GROUP_FIND, &found, &found_number);
    if (!error && !found) {
        error = make_group(&store->session, &holder, name, &found_number);
    }
    error = mysql_end(store, error);
    if (!error) {
        *number = (uint16_t)found_number;
    }
    return error;
}

fabric_error_t mysql_group_list(store_t *base, store_visit_group_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(&store->session);
    error = statement_query(&store->session, STATEMENT_GROUP_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        visit(context, (uint16_t)statement_u64(rows, 0), statement_bytes(rows, 1));
    }
    statement_end(rows);
    return mysql_end_read(store, error);
}

fabric_error_t mysql_shard_list(store_t *base, store_visit_shard_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(&store->session);
    error = statement_query(&store->session, STATEMENT_SHARD_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        store_shard_t shard = {.shard = {(uint32_t)statement_u64(rows, 0)},
                               .home_epoch = statement_u64(rows, 2),
                               .mark = statement_u64(rows, 3)};
        (void)statement_incarnation(rows, 1, &shard.home);
        visit(context, &shard);
    }
    statement_end(rows);
    return mysql_end_read(store, error);
}

/* ---- types ---- */

fabric_error_t mysql_type_put(store_t *base, uint64_t term, incarnation_t holder,
                              const store_type_t *type)
{
    mysql_store_t *store = mysql_store_of(base);
    mysql_session_t *session = &store->session;
    fabric_error_t error = begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    uint64_t group = 0;
    bool found = false;
    statement_begin(session);
    statement_put_bytes(session, type->name);
    error = query_number(session, STATEMENT_TYPE_FIND, &found, &group);
    if (!error && found && group != type->group) {
        error = FABRIC_ERROR_TYPE_CONFLICT;
    }
    if (!error) {
        statement_begin(session);
        statement_put_bytes(session, type->name);
        statement_put_u64(session, type->group);
        statement_put_bytes(session, type->description);
        error = statement_run(session, STATEMENT_TYPE_PUT, 1, NULL);
    }
    CRASH_POINT(TYPE_PUT_INSIDE);
    return mysql_end(store, error);
}

fabric_error_t mysql_type_list(store_t *base, store_visit_type_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(&store->session);
    error = statement_query(&store->session, STATEMENT_TYPE_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        store_type_t type = {.name = statement_bytes(rows, 0),
                             .group = (uint16_t)statement_u64(rows, 1),
                             .description = statement_bytes(rows, 2)};
        visit(context, &type);
    }
    statement_end(rows);
    return mysql_end_read(store, error);
}

/* ---- runners ---- */

fabric_error_t mysql_runner_put(store_t *base, uint64_t term, incarnation_t holder,
                                const store_runner_t *runner)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    statement_begin(&store->session);
    statement_put_incarnation(&store->session, &runner->incarnation);
    statement_put_u64(&store->session, runner->weight);
    statement_put_bytes(&store->session, fabric_bytes_of(runner->name));
    error = statement_run(&store->session, STATEMENT_RUNNER_PUT, 1, NULL);
    CRASH_POINT(RUNNER_PUT_INSIDE);
    return mysql_end(store, error);
}

fabric_error_t mysql_runner_remove(store_t *base, uint64_t term, incarnation_t holder,
                                   incarnation_t runner)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    statement_begin(&store->session);
    statement_put_incarnation(&store->session, &runner);
    return mysql_end(store, statement_run(&store->session, STATEMENT_RUNNER_REMOVE, 1, NULL));
}

fabric_error_t mysql_runner_list(store_t *base, store_visit_runner_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    statement_rows_t *rows = NULL;
    bool more = false;
    statement_begin(&store->session);
    error = statement_query(&store->session, STATEMENT_RUNNER_LIST, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        store_runner_t runner = {.weight = (uint32_t)statement_u64(rows, 1)};
        (void)statement_incarnation(rows, 0, &runner.incarnation);
        statement_text(rows, 2, runner.name, sizeof runner.name);
        visit(context, &runner);
    }
    statement_end(rows);
    return mysql_end_read(store, error);
}
