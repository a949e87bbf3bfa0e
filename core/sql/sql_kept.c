/* Rows of entities that are kept alive. */
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

static bool is_of(const store_kept_t *row, bool deleted)
{
    return (row->causes == 0) == deleted;
}

static void put(sql_store_t *store, uint32_t lane, const store_kept_t *row, bool deleted)
{
    sql_put_u64(store, lane);
    sql_put_bytes(store, row->type);
    sql_put_bytes(store, row->entity);
    if (!deleted) {
        sql_put_u64(store, row->shard.value);
        sql_put_u64(store, row->number);
        sql_put_u64(store, row->causes);
    }
}

/* Those rows that are deleted, or the others. */
static fabric_error_t write_some(sql_store_t *store, uint32_t lane, const store_kept_t *rows,
                                 size_t count, bool deleted)
{
    fabric_error_t error = FABRIC_OK;
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        left += is_of(&rows[i], deleted);
    }
    for (size_t i = 0; !error && left > 0;) {
        size_t fitting = sql_size_within(left);
        for (size_t taken = 0; taken < fitting; i++) {
            if (is_of(&rows[i], deleted)) {
                put(store, lane, &rows[i], deleted);
                taken++;
            }
        }
        error = sql_run(store, deleted ? SQL_KEPT_DELETE : SQL_KEPT_PUT, fitting, NULL);
        left -= fitting;
    }
    return error;
}

fabric_error_t sql_write_kept(sql_store_t *store, uint32_t lane, const store_kept_t *rows,
                              size_t count)
{
    fabric_error_t error = write_some(store, lane, rows, count, false);
    return error ? error : write_some(store, lane, rows, count, true);
}

fabric_error_t sql_list_kept(store_t *base, uint32_t lane, store_visit_kept_fn *visit,
                             void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    sql_put_u64(store, lane);
    error = sql_query(store, SQL_KEPT_LIST, 1);
    while (sql_next(store, &error)) {
        store_kept_t row = {.type = sql_bytes(store, 0),
                            .entity = sql_bytes(store, 1),
                            .shard = {sql_u32(store, 2)},
                            .number = sql_u64(store, 3),
                            .causes = sql_u32(store, 4)};
        visit(context, &row);
    }
    sql_close(store);
    return sql_end(store, error);
}
