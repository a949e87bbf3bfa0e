/* The coordinator's lease, and what it registers: shard groups, entity types, runners. */
#include "core/crash_point.h"
#include "core/limits.h"
#include "core/shard_map.h"
#include "core/sql/sql_membership.h"
#include "core/sql/sql_operations.h"

/* ---- the lease ---- */

fabric_error_t sql_coordinator_read(store_t *base, store_coordinator_t *coordinator)
{
    sql_store_t *store = sql_store_of(base);
    store_coordinator_t read = {0};
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    bool found = false;
    error = sql_query_one(store, SQL_COORDINATOR_READ, &found);
    if (found) {
        read = (store_coordinator_t){sql_u64(store, 0), sql_incarnation(store, 1)};
    }
    sql_close(store);
    error = sql_end(store, error);
    if (!error) {
        *coordinator = read;
    }
    return error;
}

fabric_error_t sql_coordinator_take(store_t *base, const store_coordinator_t *before,
                                    incarnation_t holder, uint64_t *term)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_SINGLE);
    if (error) {
        return error;
    }
    uint64_t matched = 0;
    sql_put_incarnation(store, &holder);
    sql_put_u64(store, before->term);
    sql_put_incarnation(store, &before->holder);
    error = sql_run(store, SQL_COORDINATOR_TAKE, 1, &matched);
    error = sql_end(store, !error && matched == 0 ? FABRIC_ERROR_FENCED : error);
    if (!error) {
        *term = before->term + 1;
    }
    return error;
}

fabric_error_t sql_begin_as_coordinator(sql_store_t *store, uint64_t term,
                                        const incarnation_t *holder)
{
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    if (error) {
        return error;
    }
    uint64_t matched = 0;
    sql_put_u64(store, term);
    sql_put_incarnation(store, holder);
    error = sql_run(store, SQL_COORDINATOR_PROVE, 1, &matched);
    error = !error && matched == 0 ? FABRIC_ERROR_FENCED : error;
    return error ? sql_end(store, error) : FABRIC_OK;
}

fabric_error_t sql_query_number(sql_store_t *store, sql_statement_t statement, bool *found,
                                uint64_t *number)
{
    fabric_error_t error = sql_query_one(store, statement, found);
    if (*found) {
        *number = sql_u64(store, 0);
    }
    sql_close(store);
    return error;
}

/* ---- groups ---- */

static fabric_error_t make_group(sql_store_t *store, fabric_bytes_t name, uint64_t *number)
{
    uint64_t last = 0;
    uint64_t shards_per_group = 0;
    bool found = false;
    fabric_error_t error = sql_query_number(store, SQL_GROUP_LAST, &found, &last);
    error = error ? error : sql_query_number(store, SQL_MEMBERSHIP_LOCK, &found, &shards_per_group);
    if (!error && (!found || shards_per_group > LIMIT_SHARDS_PER_GROUP_MAX)) {
        error = FABRIC_ERROR_STORE_UNAVAILABLE; /* somebody edited the cluster's row */
    }
    if (!error && !shard_map_can_grow(last, (uint32_t)shards_per_group)) {
        error = FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (error) {
        return error;
    }
    *number = last + 1;
    sql_put_u64(store, *number);
    sql_put_bytes(store, name);
    return sql_run(store, SQL_GROUP_INSERT, 1, NULL);
}

fabric_error_t sql_group_put(store_t *base, uint64_t term, incarnation_t holder,
                             fabric_bytes_t name, uint16_t *number)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    /* A plain read is exact: only the coordinator adds groups, and its row is locked. */
    uint64_t group = 0;
    bool found = false;
    sql_put_bytes(store, name);
    error = sql_query_number(store, SQL_GROUP_FIND, &found, &group);
    if (!error && !found) {
        error = make_group(store, name, &group);
    }
    CRASH_POINT(GROUP_PUT_INSIDE);
    error = sql_end(store, error);
    if (!error) {
        *number = (uint16_t)group;
    }
    return error;
}

fabric_error_t sql_group_list(store_t *base, store_visit_group_fn *visit, void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = sql_query(store, SQL_GROUP_LIST, 1);
    while (sql_next(store, &error)) {
        visit(context, (uint16_t)sql_u64(store, 0), sql_bytes(store, 1));
    }
    sql_close(store);
    return sql_end(store, error);
}

/* ---- types ---- */

/* The time is that of the database, so that it means the same to all brokers. */
static fabric_error_t note_registration(sql_store_t *store)
{
    uint64_t now_ms = 0;
    bool found = false;
    fabric_error_t error = sql_query_number(store, SQL_NOW_MS, &found, &now_ms);
    if (error) {
        return error;
    }
    sql_put_u64(store, now_ms);
    return sql_run(store, SQL_REGISTERED_SET, 1, NULL);
}

fabric_error_t sql_type_put(store_t *base, uint64_t term, incarnation_t holder,
                            const store_type_t *type)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    uint64_t group = 0;
    bool found = false;
    sql_put_bytes(store, type->name);
    error = sql_query_number(store, SQL_TYPE_FIND, &found, &group);
    if (!error && found && group != type->group) {
        error = FABRIC_ERROR_TYPE_CONFLICT;
    }
    if (!error) {
        sql_put_bytes(store, type->name);
        sql_put_u64(store, type->group);
        sql_put_bytes(store, type->description);
        error = sql_run(store, SQL_TYPE_PUT, 1, NULL);
    }
    error = error ? error : note_registration(store);
    CRASH_POINT(TYPE_PUT_INSIDE);
    return sql_end(store, error);
}

fabric_error_t sql_type_list(store_t *base, store_visit_type_fn *visit, void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = sql_query(store, SQL_TYPE_LIST, 1);
    while (sql_next(store, &error)) {
        store_type_t type = {sql_bytes(store, 0), (uint16_t)sql_u64(store, 1), sql_bytes(store, 2)};
        visit(context, &type);
    }
    sql_close(store);
    return sql_end(store, error);
}

fabric_error_t sql_first_registration(store_t *base, store_registration_t *registration)
{
    sql_store_t *store = sql_store_of(base);
    store_registration_t read = {0};
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    bool found = false;
    error = sql_query_one(store, SQL_REGISTERED_READ, &found);
    if (found && sql_u64(store, 0) != 0) {
        uint64_t at_ms = sql_u64(store, 0);
        uint64_t now_ms = sql_u64(store, 1);
        read.any = true;
        read.ago_ms = now_ms > at_ms ? now_ms - at_ms : 0;
    }
    sql_close(store);
    error = sql_end(store, error);
    if (!error) {
        *registration = read;
    }
    return error;
}

/* ---- runners ---- */

fabric_error_t sql_runner_put(store_t *base, uint64_t term, incarnation_t holder,
                              const store_runner_t *runner)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    sql_put_incarnation(store, &runner->incarnation);
    sql_put_u64(store, runner->weight);
    sql_put_bytes(store, fabric_bytes_of(runner->name));
    error = sql_run(store, SQL_RUNNER_PUT, 1, NULL);
    CRASH_POINT(RUNNER_PUT_INSIDE);
    return sql_end(store, error);
}

fabric_error_t sql_runner_remove(store_t *base, uint64_t term, incarnation_t holder,
                                 incarnation_t runner)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin_as_coordinator(store, term, &holder);
    if (error) {
        return error;
    }
    sql_put_incarnation(store, &runner);
    return sql_end(store, sql_run(store, SQL_RUNNER_REMOVE, 1, NULL));
}

fabric_error_t sql_runner_list(store_t *base, store_visit_runner_fn *visit, void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = sql_query(store, SQL_RUNNER_LIST, 1);
    while (sql_next(store, &error)) {
        store_runner_t runner = {.incarnation = sql_incarnation(store, 0),
                                 .weight = sql_u32(store, 1)};
        sql_copy_text(store, 2, runner.name, sizeof runner.name);
        visit(context, &runner);
    }
    sql_close(store);
    return sql_end(store, error);
}
