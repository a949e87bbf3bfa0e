/* The coordinator's lease, and the takeover of homes. */
#include <stdlib.h>

#include "core/crash_point.h"
#include "mysql/mysql_membership.h"
#include "mysql/mysql_operations.h"

fabric_error_t mysql_coordinator_read(store_t *base, store_coordinator_t *coordinator)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    store_coordinator_t read = {0};
    statement_rows_t *rows = NULL;
    bool found = false;
    statement_begin(&store->session);
    error = statement_query_one(&store->session, STATEMENT_COORDINATOR_READ, &rows, &found);
    if (!error && found) {
        read.term = statement_u64(rows, 0);
        (void)statement_incarnation(rows, 1, &read.holder);
    }
    statement_end(rows);
    error = mysql_end_read(store, error);
    if (!error) {
        *coordinator = read;
    }
    return error;
}

fabric_error_t mysql_coordinator_take(store_t *base, const store_coordinator_t *before,
                                      incarnation_t holder, uint64_t *term)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    uint64_t matched = 0;
    statement_begin(&store->session);
    statement_put_incarnation(&store->session, &holder);
    statement_put_u64(&store->session, before->term);
    statement_put_incarnation(&store->session, &before->holder);
    error = statement_run(&store->session, STATEMENT_COORDINATOR_TAKE, 1, &matched);
    if (!error && matched == 0) {
        error = FABRIC_ERROR_FENCED;
    }
    error = mysql_end(store, error);
    if (!error) {
        *term = before->term + 1;
    }
    return error;
}

fabric_error_t mysql_coordinator_prove(mysql_session_t *session, uint64_t term,
                                       const incarnation_t *holder)
{
    uint64_t matched = 0;
    statement_begin(session);
    statement_put_u64(session, term);
    statement_put_incarnation(session, holder);
    fabric_error_t error = statement_run(session, STATEMENT_COORDINATOR_PROVE, 1, &matched);
    return !error && matched == 0 ? FABRIC_ERROR_FENCED : error;
}

/* ---- taking homes ---- */

/* A growing set of incarnations, small enough for linear search. */
typedef struct incarnations {
    incarnation_t *items;
    size_t count;
} incarnations_t;

static bool contains(const incarnation_t *items, size_t count, incarnation_t incarnation)
{
    for (size_t i = 0; i < count; i++) {
        if (incarnation_equal(items[i], incarnation)) {
            return true;
        }
    }
    return false;
}

/* Adds what a query's column holds and `living` does not. */
static fabric_error_t collect_dead(mysql_session_t *session, statement_id_t id, size_t column,
                                   const incarnation_t *living, size_t living_count,
                                   incarnations_t *dead)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    fabric_error_t error = statement_query(session, id, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        incarnation_t found;
        if (!statement_incarnation(rows, column, &found) || contains(living, living_count, found) ||
            contains(dead->items, dead->count, found)) {
            continue;
        }
        incarnation_t *items = realloc(dead->items, (dead->count + 1) * sizeof *items);
        if (!items) {
            abort();
        }
        items[dead->count++] = found;
        dead->items = items;
    }
    statement_end(rows);
    return error;
}

static fabric_error_t fence_dead(mysql_session_t *session, const incarnation_t *living,
                                 size_t living_count)
{
    static const incarnation_t nobody = {{0}};
    incarnations_t dead = {0};
    statement_begin(session);
    fabric_error_t error =
        collect_dead(session, STATEMENT_BROKER_LIST, 0, living, living_count, &dead);
    if (!error) {
        statement_begin(session);
        statement_put_incarnation(session, &nobody);
        error = collect_dead(session, STATEMENT_WRITER_HOLDERS, 1, living, living_count, &dead);
    }
    for (size_t i = 0; !error && i < dead.count; i++) {
        error = mysql_broker_forget(session, dead.items[i]);
    }
    free(dead.items);
    return error;
}

static fabric_error_t move_shards(mysql_session_t *session, const incarnation_t *holder,
                                  const incarnation_t *living, size_t living_count)
{
    incarnations_t dead = {0};
    statement_begin(session);
    fabric_error_t error =
        collect_dead(session, STATEMENT_SHARD_HOMES, 0, living, living_count, &dead);
    for (size_t i = 0; !error && i < dead.count; i++) {
        statement_begin(session);
        statement_put_incarnation(session, holder);
        statement_put_incarnation(session, &dead.items[i]);
        error = statement_run(session, STATEMENT_SHARD_MOVE, 1, NULL);
    }
    free(dead.items);
    return error;
}

fabric_error_t mysql_take_homes(store_t *base, uint64_t term, incarnation_t holder,
                                const incarnation_t *living, size_t living_count)
{
    mysql_store_t *store = mysql_store_of(base);
    mysql_session_t *session = &store->session;
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    error = mysql_coordinator_prove(session, term, &holder);
    error = error ? error : mysql_membership_lock(session, NULL);
    error = error ? error : fence_dead(session, living, living_count);
    CRASH_POINT(HOMES_INSIDE);
    error = error ? error : move_shards(session, &holder, living, living_count);
    return mysql_end(store, error);
}
