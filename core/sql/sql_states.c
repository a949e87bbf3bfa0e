/* States of entities: writing their rows in checkpoints, and reading them. */
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

/* Bytes of one statement: a larger state goes alone. */
#define STATEMENT_BYTES_GOAL ((size_t)1 << 20)
/* States may be large, so no more than these are read at a time. */
enum { FIND_ROWS_MAX = 16 };

static void put_name(sql_store_t *store, uint32_t lane, fabric_bytes_t type, fabric_bytes_t entity)
{
    sql_put_u64(store, lane);
    sql_put_bytes(store, type);
    sql_put_bytes(store, entity);
}

/* How many of so many rows fit into one statement; at least 1. */
static size_t rows_that_fit(const store_state_t *rows, size_t count)
{
    size_t most = sql_size_within(count);
    size_t bytes = 0;
    for (size_t i = 0; i < most; i++) {
        bytes += rows[i].type.size + rows[i].entity.size + rows[i].state.size;
        if (bytes > STATEMENT_BYTES_GOAL) {
            return sql_size_within(i > 0 ? i : 1);
        }
    }
    return most;
}

fabric_error_t sql_write_states(sql_store_t *store, uint32_t lane, const store_state_t *rows,
                                size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t fitting = rows_that_fit(rows + done, count - done);
        for (size_t i = 0; i < fitting; i++) {
            const store_state_t *row = &rows[done + i];
            put_name(store, lane, row->type, row->entity);
            sql_put_u64(store, row->shard.value);
            sql_put_u64(store, row->number);
            sql_put_u64(store, row->version);
            sql_put_u64(store, row->sequence);
            sql_put_bytes(store, row->state);
        }
        error = sql_run(store, SQL_STATE_PUT, fitting, NULL);
        done += fitting;
    }
    return error;
}

static fabric_error_t find_chunk(sql_store_t *store, uint32_t lane,
                                 const store_entity_name_t *names, size_t rows,
                                 store_visit_state_fn *visit, void *context, uint64_t *bytes)
{
    for (size_t i = 0; i < rows; i++) {
        put_name(store, lane, names[i].type, names[i].entity);
    }
    fabric_error_t error = sql_query(store, SQL_STATE_FIND, rows);
    while (sql_next(store, &error)) {
        store_state_t row = {.type = sql_bytes(store, 0),
                             .entity = sql_bytes(store, 1),
                             .shard = {sql_u32(store, 2)},
                             .number = sql_u64(store, 3),
                             .version = sql_u32(store, 4),
                             .sequence = sql_u64(store, 5),
                             .state = sql_bytes(store, 6)};
        *bytes += row.state.size;
        visit(context, &row);
    }
    sql_close(store);
    return error;
}

fabric_error_t sql_load_states(store_t *base, uint32_t lane, const store_entity_name_t *names,
                               size_t count, uint64_t bytes_max, store_visit_state_fn *visit,
                               void *context, size_t *done)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    uint64_t bytes = 0;
    size_t read = 0;
    while (!error && read < count && bytes < bytes_max) {
        size_t rows = sql_size_within(count - read < FIND_ROWS_MAX ? count - read : FIND_ROWS_MAX);
        error = find_chunk(store, lane, names + read, rows, visit, context, &bytes);
        read += rows;
    }
    error = sql_end(store, error);
    if (!error) {
        *done = read;
    }
    return error;
}
