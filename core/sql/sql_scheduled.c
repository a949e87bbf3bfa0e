/* Reading the rows of scheduled messages. */
#include "core/sql/sql_membership.h"
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

#define FIRST_ROWS 64u

void sql_put_due_key(sql_store_t *store, uint32_t lane, store_due_key_t key)
{
    sql_put_u64(store, lane);
    sql_put_i64(store, key.due_ms);
    sql_put_u64(store, key.id);
}

/* ---- loading ---- */

typedef struct loading {
    uint32_t lane;
    store_due_key_t after;
    uint32_t limit; /* rows that are still wanted */
    uint64_t bytes_max;
    store_visit_pending_fn *visit;
    void *context;
    sql_pages_t pages;
} loading_t;

static store_pending_t scheduled_of_row(const sql_store_t *store)
{
    return (store_pending_t){.position = sql_u64(store, 0),
                             .entity_hash = sql_u64(store, 1),
                             .id = {sql_u64(store, 0)},
                             .shard = {sql_u32(store, 2)},
                             .due_ms = (int64_t)sql_u64(store, 3),
                             .number = sql_u64(store, 4),
                             .type = sql_bytes(store, 5),
                             .entity = sql_bytes(store, 6),
                             .tag = sql_bytes(store, 7),
                             .body = sql_bytes(store, 8)};
}

static bool is_full(const loading_t *loading)
{
    return loading->limit == 0 ||
           (loading->pages.rows > 0 && loading->pages.bytes >= loading->bytes_max);
}

/* Reads one page of the statement whose parameters but the limit are put. */
static fabric_error_t load_page(sql_store_t *store, loading_t *loading, sql_statement_t statement,
                                uint32_t rows, bool *ended)
{
    uint32_t count = 0;
    sql_put_u64(store, rows);
    fabric_error_t error = sql_query(store, statement, 1);
    while ((count == 0 || !is_full(loading)) && sql_next(store, &error)) {
        store_pending_t row = scheduled_of_row(store);
        count++;
        loading->limit--;
        loading->after = (store_due_key_t){row.due_ms, row.id.value};
        loading->pages.rows++;
        loading->pages.bytes += row.body.size;
        loading->visit(loading->context, 0, &row);
    }
    *ended = count < rows && !is_full(loading);
    sql_close(store);
    return error;
}

static uint32_t page_rows(const loading_t *loading)
{
    return sql_page_rows(&loading->pages, FIRST_ROWS, loading->limit,
                         loading->bytes_max - loading->pages.bytes);
}

/* The rest of one millisecond, which may have any number of rows, then what comes later. One
 * condition for both would be searched for from the beginning of that millisecond. */
static fabric_error_t load_all(sql_store_t *store, loading_t *loading, bool *ended)
{
    fabric_error_t error = FABRIC_OK;
    *ended = false;
    while (!error && !*ended && !is_full(loading)) {
        bool same_ended = false;
        uint32_t rows = page_rows(loading);
        sql_put_due_key(store, loading->lane, loading->after);
        error = load_page(store, loading, SQL_SCHEDULED_SAME, rows, &same_ended);
        if (error || !same_ended) {
            continue;
        }
        rows = page_rows(loading);
        sql_put_u64(store, loading->lane);
        sql_put_i64(store, loading->after.due_ms);
        error = load_page(store, loading, SQL_SCHEDULED_LATER, rows, ended);
    }
    return error;
}

fabric_error_t sql_load_scheduled(store_t *base, uint32_t lane, store_due_key_t after,
                                  uint32_t limit, uint64_t bytes_max, store_visit_pending_fn *visit,
                                  void *context, bool *ended)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    loading_t loading = {.lane = lane,
                         .after = after,
                         .limit = limit,
                         .bytes_max = bytes_max,
                         .visit = visit,
                         .context = context};
    return sql_end(store, load_all(store, &loading, ended));
}

/* ---- what there is ---- */

fabric_error_t sql_count_scheduled(store_t *base, uint32_t lane, uint64_t *count)
{
    sql_store_t *store = sql_store_of(base);
    bool found = false;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    sql_put_u64(store, lane);
    return sql_end(store, sql_query_number(store, SQL_SCHEDULED_COUNT, &found, count));
}

fabric_error_t sql_count_scheduled_type(store_t *base, uint32_t lane, fabric_bytes_t type,
                                        uint64_t *count)
{
    sql_store_t *store = sql_store_of(base);
    bool found = false;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    sql_put_u64(store, lane);
    sql_put_bytes(store, type);
    return sql_end(store, sql_query_number(store, SQL_SCHEDULED_COUNT_TYPE, &found, count));
}

typedef struct finding {
    uint32_t lane;
    const store_due_key_t *keys;
    bool *found;
} finding_t;

static fabric_error_t find_chunk(sql_store_t *store, void *context, size_t first, size_t rows)
{
    const finding_t *finding = context;
    const store_due_key_t *keys = finding->keys + first;
    bool *found = finding->found + first;
    for (size_t i = 0; i < rows; i++) {
        sql_put_due_key(store, finding->lane, keys[i]);
        found[i] = false;
    }
    fabric_error_t error = sql_query(store, SQL_SCHEDULED_FIND, rows);
    while (sql_next(store, &error)) {
        store_due_key_t key = {(int64_t)sql_u64(store, 0), sql_u64(store, 1)};
        for (size_t i = 0; i < rows; i++) {
            found[i] = found[i] || (keys[i].due_ms == key.due_ms && keys[i].id == key.id);
        }
    }
    sql_close(store);
    return error;
}

fabric_error_t sql_find_scheduled(store_t *base, uint32_t lane, const store_due_key_t *keys,
                                  size_t count, bool *found)
{
    finding_t finding = {lane, keys, found};
    return sql_find(sql_store_of(base), count, find_chunk, &finding);
}
