/* Checkpoints: writing rows, slice by slice. */
#include "core/crash_point.h"
#include "core/sql/sql_lane.h"
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

/* Bytes of one statement: enough for the gain of many rows, little enough for buffers to stay
 * small. A larger row goes alone. */
#define STATEMENT_BYTES_GOAL ((size_t)1 << 20)
/* What a row takes besides its byte strings, generously. */
#define ROW_BYTES_EXTRA 160

/* ---- rows as parameters ---- */

/* An array of rows of one table. */
typedef struct row_kind {
    sql_statement_t statement;
    size_t (*bytes)(const void *rows, size_t index);
    void (*put)(sql_store_t *store, uint32_t lane, const void *rows, size_t index);
} row_kind_t;

static size_t pending_bytes(const void *rows, size_t index)
{
    const store_pending_t *row = &((const store_pending_t *)rows)[index];
    return row->type.size + row->entity.size + row->tag.size + row->body.size;
}

static void pending_put(sql_store_t *store, uint32_t lane, const void *rows, size_t index)
{
    const store_pending_t *row = &((const store_pending_t *)rows)[index];
    sql_put_u64(store, lane);
    sql_put_u64(store, row->position);
    sql_put_u64(store, row->entity_hash);
    sql_put_u64(store, row->id.value);
    sql_put_u64(store, row->shard.value);
    if (row->due_ms == 0) {
        sql_put_null(store);
    } else {
        sql_put_i64(store, row->due_ms);
    }
    sql_put_u64(store, row->number);
    sql_put_u64(store, row->attempts);
    sql_put_u64(store, row->crashes);
    sql_put_bytes(store, row->type);
    sql_put_bytes(store, row->entity);
    sql_put_bytes(store, row->tag);
    sql_put_bytes(store, row->body);
}

static size_t dead_bytes(const void *rows, size_t index)
{
    const store_dead_row_t *row = &((const store_dead_row_t *)rows)[index];
    return row->type.size + row->entity.size + row->tag.size + row->text.size + row->body.size;
}

static void dead_put(sql_store_t *store, uint32_t lane, const void *rows, size_t index)
{
    const store_dead_row_t *row = &((const store_dead_row_t *)rows)[index];
    sql_put_u64(store, lane);
    sql_put_u64(store, row->id.value);
    sql_put_u64(store, row->shard.value);
    sql_put_u64(store, row->number);
    sql_put_i64(store, row->ended_ms);
    sql_put_u64(store, row->error);
    sql_put_u64(store, row->attempts);
    sql_put_bytes(store, row->type);
    sql_put_bytes(store, row->entity);
    sql_put_bytes(store, row->tag);
    sql_put_bytes(store, row->text);
    sql_put_bytes(store, row->body);
}

static const row_kind_t pending_kind = {SQL_PENDING_PUT, pending_bytes, pending_put};
static const row_kind_t dead_kind = {SQL_DEAD_PUT, dead_bytes, dead_put};

/* ---- many rows at a time ---- */

/* How many rows from `first` on fit into one statement; at least 1. */
static size_t rows_that_fit(const row_kind_t *kind, const void *rows, size_t first, size_t count)
{
    size_t most = sql_size_within(count - first);
    size_t bytes = 0;
    for (size_t i = 0; i < most; i++) {
        bytes += kind->bytes(rows, first + i) + ROW_BYTES_EXTRA;
        if (bytes > STATEMENT_BYTES_GOAL) {
            return sql_size_within(i > 0 ? i : 1);
        }
    }
    return most;
}

static fabric_error_t write_rows(sql_store_t *store, const row_kind_t *kind, uint32_t lane,
                                 const void *rows, size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t fitting = rows_that_fit(kind, rows, done, count);
        for (size_t i = 0; i < fitting; i++) {
            kind->put(store, lane, rows, done + i);
        }
        error = sql_run(store, kind->statement, fitting, NULL);
        done += fitting;
    }
    return error;
}

fabric_error_t sql_write_pending(sql_store_t *store, uint32_t lane, const store_pending_t *rows,
                                 size_t count)
{
    return write_rows(store, &pending_kind, lane, rows, count);
}

fabric_error_t sql_write_dead(sql_store_t *store, uint32_t lane, const store_dead_row_t *rows,
                              size_t count)
{
    return write_rows(store, &dead_kind, lane, rows, count);
}

/* ---- a slice ---- */

static fabric_error_t amend_rows(sql_store_t *store, uint32_t lane,
                                 const store_amendment_t *amendments, size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < count; i++) {
        sql_put_u64(store, amendments[i].number);
        sql_put_u64(store, amendments[i].attempts);
        sql_put_u64(store, amendments[i].crashes);
        sql_put_u64(store, lane);
        sql_put_u64(store, amendments[i].position);
        error = sql_run(store, SQL_PENDING_AMEND, 1, NULL);
    }
    return error;
}

static fabric_error_t delete_rows(sql_store_t *store, uint32_t lane, const uint64_t *positions,
                                  size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t rows = sql_size_within(count - done);
        sql_put_u64(store, lane);
        for (size_t i = 0; i < rows; i++) {
            sql_put_u64(store, positions[done + i]);
        }
        error = sql_run(store, SQL_PENDING_DELETE, rows, NULL);
        done += rows;
    }
    return error;
}

static fabric_error_t set_number(sql_store_t *store, sql_statement_t statement, uint64_t number,
                                 uint32_t lane)
{
    sql_put_u64(store, number);
    sql_put_u64(store, lane);
    return sql_run(store, statement, 1, NULL);
}

static fabric_error_t write_slice(sql_store_t *store, uint32_t lane, const store_slice_t *slice)
{
    CRASH_POINT(SLICE_LOCKED);
    fabric_error_t error = set_number(store, SQL_CHECKPOINT_BEGIN, slice->begun, lane);
    error = error ? error : sql_write_pending(store, lane, slice->puts, slice->put_count);
    error = error ? error : amend_rows(store, lane, slice->amendments, slice->amendment_count);
    CRASH_POINT(SLICE_INSIDE);
    error = error ? error : delete_rows(store, lane, slice->deletes, slice->delete_count);
    CRASH_POINT(SLICE_DELETED);
    error = error ? error : sql_write_dead(store, lane, slice->dead, slice->dead_count);
    CRASH_POINT(SLICE_DEAD);
    if (!error && slice->last) {
        error = set_number(store, SQL_CHECKPOINT_END, slice->begun, lane);
    }
    CRASH_POINT(SLICE_LAST);
    return error;
}

fabric_error_t sql_checkpoint(store_t *base, const store_hold_t *hold, const store_slice_t *slice)
{
    sql_store_t *store = sql_store_of(base);
    if (slice->put_count + slice->amendment_count + slice->delete_count + slice->dead_count >
        STORE_SLICE_ROWS_MAX) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin_as_holder(store, hold);
    if (error) {
        return error;
    }
    return sql_end(store, write_slice(store, hold->lane, slice));
}
