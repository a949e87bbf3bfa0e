/* Reading the rows of checkpoints. */
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

#define FIRST_ROWS 64u

/* ---- loading ---- */

typedef struct loading {
    uint32_t lane;
    uint64_t bytes_max;
    store_visit_pending_fn *visit;
    void *context;
    sql_pages_t pages; /* of all ranges */
} loading_t;

static store_pending_t pending_of_row(const sql_store_t *store)
{
    return (store_pending_t){.position = sql_u64(store, 0),
                             .entity_hash = sql_u64(store, 1),
                             .id = {sql_u64(store, 2)},
                             .shard = {sql_u32(store, 3)},
                             .due_ms = (int64_t)sql_u64(store, 4),
                             .number = sql_u64(store, 5),
                             .attempts = sql_u32(store, 6),
                             .crashes = sql_u32(store, 7),
                             .type = sql_bytes(store, 8),
                             .entity = sql_bytes(store, 9),
                             .tag = sql_bytes(store, 10),
                             .body = sql_bytes(store, 11)};
}

static bool is_full(const loading_t *loading)
{
    return loading->pages.rows > 0 && loading->pages.bytes >= loading->bytes_max;
}

/* Reads one page of a range, and moves the range's begin. `ended`: the range has no more rows. */
static fabric_error_t load_page(sql_store_t *store, loading_t *loading, size_t index,
                                store_range_t *range, bool *ended)
{
    uint32_t limit = sql_page_rows(&loading->pages, FIRST_ROWS, range->limit,
                                   loading->bytes_max - loading->pages.bytes);
    uint32_t count = 0;
    sql_put_u64(store, loading->lane);
    sql_put_u64(store, range->entity_hash);
    sql_put_u64(store, range->after);
    sql_put_u64(store, range->until < INT64_MAX ? range->until : INT64_MAX);
    sql_put_u64(store, limit);
    fabric_error_t error = sql_query(store, SQL_PENDING_RANGE, 1);
    while ((count == 0 || !is_full(loading)) && sql_next(store, &error)) {
        store_pending_t row = pending_of_row(store);
        count++;
        range->limit--;
        range->after = row.position;
        loading->pages.rows++;
        loading->pages.bytes += row.body.size;
        loading->visit(loading->context, index, &row);
    }
    *ended = range->limit == 0 || (count < limit && !is_full(loading));
    sql_close(store);
    return error;
}

fabric_error_t sql_load_rows(store_t *base, uint32_t lane, const store_range_t *ranges,
                             size_t count, uint64_t bytes_max, store_visit_pending_fn *visit,
                             void *context, size_t *done)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    loading_t loading = {lane, bytes_max, visit, context, {0, 0}};
    size_t read = 0;
    while (!error && read < count && !is_full(&loading)) {
        store_range_t range = ranges[read];
        bool ended = range.limit == 0 || range.after >= range.until;
        while (!error && !ended && !is_full(&loading)) {
            error = load_page(store, &loading, read, &range, &ended);
        }
        read += !error && ended;
    }
    error = sql_end(store, error);
    if (!error) {
        *done = read;
    }
    return error;
}

/* ---- what there is ---- */

void sql_put_row_key(sql_store_t *store, uint32_t lane, store_row_key_t key)
{
    sql_put_u64(store, lane);
    sql_put_u64(store, key.entity_hash);
    sql_put_u64(store, key.position);
}

fabric_error_t sql_list_backlogs(store_t *base, uint32_t lane, store_visit_backlog_fn *visit,
                                 void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    sql_put_u64(store, lane);
    error = sql_query(store, SQL_BACKLOG_LIST, 1);
    while (sql_next(store, &error)) {
        store_backlog_t backlog = {sql_u64(store, 0), sql_u64(store, 1), sql_u64(store, 2),
                                   sql_u64(store, 3)};
        visit(context, &backlog);
    }
    sql_close(store);
    return sql_end(store, error);
}

typedef struct finding {
    uint32_t lane;
    const store_row_key_t *keys;
    bool *found;
} finding_t;

static fabric_error_t find_chunk(sql_store_t *store, void *context, size_t first, size_t rows)
{
    const finding_t *finding = context;
    const store_row_key_t *keys = finding->keys + first;
    bool *found = finding->found + first;
    for (size_t i = 0; i < rows; i++) {
        sql_put_row_key(store, finding->lane, keys[i]);
        found[i] = false;
    }
    fabric_error_t error = sql_query(store, SQL_PENDING_FIND, rows);
    while (sql_next(store, &error)) {
        store_row_key_t key = {sql_u64(store, 0), sql_u64(store, 1)};
        for (size_t i = 0; i < rows; i++) {
            found[i] = found[i] ||
                       (keys[i].entity_hash == key.entity_hash && keys[i].position == key.position);
        }
    }
    sql_close(store);
    return error;
}

fabric_error_t sql_find_rows(store_t *base, uint32_t lane, const store_row_key_t *keys,
                             size_t count, bool *found)
{
    finding_t finding = {lane, keys, found};
    return sql_find(sql_store_of(base), count, find_chunk, &finding);
}
