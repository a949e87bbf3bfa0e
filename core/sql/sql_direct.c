/* Transactions of handlers: results that are stored together with rows of a user's own. They stay
 * open between operations, unlike all others. */
#include "core/crash_point.h"
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

static void put_token(sql_store_t *store, token_t token)
{
    sql_put_u64(store, token.home_epoch);
    sql_put_u64(store, token.owner_sequence);
}

static void put_part(sql_store_t *store, const store_owner_t *owner)
{
    sql_put_bytes(store, owner->type);
    sql_put_u64(store, owner->shard.value);
}

/* FENCED: the row is not there, or says something else than `wanted`. */
static fabric_error_t expect(sql_store_t *store, sql_statement_t statement, const uint64_t *wanted,
                             size_t count)
{
    bool found = false;
    fabric_error_t error = sql_query_one(store, statement, &found);
    for (size_t i = 0; found && i < count; i++) {
        found = sql_u64(store, i) == wanted[i];
    }
    sql_close(store);
    return !error && !found ? FABRIC_ERROR_FENCED : error;
}

static fabric_error_t claim(sql_store_t *store, const store_owner_t *owner)
{
    const uint64_t token[] = {owner->token.home_epoch, owner->token.owner_sequence};
    sql_put_u64(store, owner->lane);
    fabric_error_t error = expect(store, SQL_LANE_EPOCH, token, 1);
    if (!error) {
        put_part(store, owner);
        put_token(store, owner->token);
        error = sql_run(store, SQL_OWNER_PUT, 1, NULL);
    }
    if (!error) {
        put_part(store, owner);
        error = expect(store, SQL_OWNER_FIND, token, 2);
    }
    return error;
}

fabric_error_t sql_owner_claim(store_t *base, const store_owner_t *owner)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    return error ? error : sql_end(store, claim(store, owner));
}

fabric_error_t sql_direct_begin(store_t *base, request_id_t id, store_visit_direct_fn *visit,
                                void *context, bool *found)
{
    sql_store_t *store = sql_store_of(base);
    bool stored = false;
    fabric_error_t error = sql_begin(store, SQL_WRITE);
    if (error) {
        return error;
    }
    sql_put_u64(store, id.value);
    error = sql_query_one(store, SQL_DIRECT_FIND, &stored);
    if (stored) {
        visit(context, sql_bytes(store, 0));
    }
    sql_close(store);
    if (!error && !stored) { /* now, since the handler may choose another default database */
        error = store->engine->prepare(store, SQL_DIRECT_INSERT);
    }
    if (!error && !stored) {
        error = store->engine->execute(store, "SAVEPOINT fabric_handler");
    }
    if (error || stored) {
        fabric_error_t ended = sql_end(store, error ? error : FABRIC_ERROR_STORE_REJECTED);
        error = error ? ended : FABRIC_OK;
    }
    if (!error) {
        *found = stored;
    }
    return error;
}

void *sql_direct_connection(store_t *base)
{
    sql_store_t *store = sql_store_of(base);
    return store->engine->connection(store);
}

fabric_error_t sql_direct_check(store_t *base, bool *stands)
{
    sql_store_t *store = sql_store_of(base);
    return store->engine->release(store, stands);
}

fabric_error_t sql_direct_commit(store_t *base, const store_owner_t *owner, request_id_t id,
                                 fabric_bytes_t body)
{
    sql_store_t *store = sql_store_of(base);
    uint64_t inserted = 0;
    sql_put_u64(store, id.value);
    sql_put_bytes(store, body);
    sql_put_u64(store, owner->lane);
    sql_put_u64(store, owner->token.home_epoch);
    put_part(store, owner);
    put_token(store, owner->token);
    fabric_error_t error = sql_run(store, SQL_DIRECT_INSERT, 1, &inserted);
    CRASH_POINT(DIRECT_INSIDE);
    error = sql_end(store, !error && inserted == 0 ? FABRIC_ERROR_FENCED : error);
    CRASH_POINT(DIRECT_AFTER);
    return error;
}

void sql_direct_roll_back(store_t *base)
{
    (void)!sql_end(sql_store_of(base), FABRIC_ERROR_STORE_REJECTED);
}

/* ---- checkpoints ---- */

fabric_error_t sql_delete_direct(sql_store_t *store, const request_id_t *ids, size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t rows = sql_size_within(count - done);
        for (size_t i = 0; i < rows; i++) {
            sql_put_u64(store, ids[done + i].value);
        }
        error = sql_run(store, SQL_DIRECT_DELETE, rows, NULL);
        done += rows;
    }
    return error;
}
