/* Events of entities: writing their rows in checkpoints, and reading them. */
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

/* Bytes of one statement: a larger event goes alone. */
#define STATEMENT_BYTES_GOAL ((size_t)1 << 20)
#define FIRST_ROWS           64u

static void put_name(sql_store_t *store, uint32_t lane, fabric_bytes_t type, fabric_bytes_t entity)
{
    sql_put_u64(store, lane);
    sql_put_bytes(store, type);
    sql_put_bytes(store, entity);
}

/* ---- writing ---- */

/* How many of so many rows fit into one statement; at least 1. */
static size_t rows_that_fit(const store_event_t *rows, size_t count)
{
    size_t most = sql_size_within(count);
    size_t bytes = 0;
    for (size_t i = 0; i < most; i++) {
        bytes += rows[i].type.size + rows[i].entity.size + rows[i].tag.size + rows[i].payload.size;
        if (bytes > STATEMENT_BYTES_GOAL) {
            return sql_size_within(i > 0 ? i : 1);
        }
    }
    return most;
}

fabric_error_t sql_write_events(sql_store_t *store, uint32_t lane, const store_event_t *rows,
                                size_t count)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t fitting = rows_that_fit(rows + done, count - done);
        for (size_t i = 0; i < fitting; i++) {
            const store_event_t *row = &rows[done + i];
            put_name(store, lane, row->type, row->entity);
            sql_put_u64(store, row->sequence);
            sql_put_u64(store, row->shard.value);
            sql_put_u64(store, row->number);
            sql_put_u64(store, row->id.value);
            sql_put_i64(store, row->recorded_ms);
            sql_put_bytes(store, row->tag);
            sql_put_u64(store, row->version);
            sql_put_bytes(store, row->payload);
        }
        error = sql_run(store, SQL_EVENT_PUT, fitting, NULL);
        done += fitting;
    }
    return error == FABRIC_ERROR_FENCED ? FABRIC_ERROR_STORE_LOST : error;
}

/* ---- reading ---- */

typedef struct loading {
    uint32_t lane;
    uint64_t bytes_max;
    store_visit_event_fn *visit;
    void *context;
    sql_pages_t pages; /* of all histories */
} loading_t;

static store_event_t event_of_row(const sql_store_t *store, const store_entity_name_t *name)
{
    return (store_event_t){.type = name->type,
                           .entity = name->entity,
                           .sequence = sql_u64(store, 0),
                           .shard = {sql_u32(store, 1)},
                           .number = sql_u64(store, 2),
                           .id = {sql_u64(store, 3)},
                           .recorded_ms = (int64_t)sql_u64(store, 4),
                           .tag = sql_bytes(store, 5),
                           .version = sql_u32(store, 6),
                           .payload = sql_bytes(store, 7)};
}

static bool is_full(const loading_t *loading)
{
    return loading->pages.rows > 0 && loading->pages.bytes >= loading->bytes_max;
}

/* Reads one page of a history, and moves the history's begin. `ended`: it has no more rows. */
static fabric_error_t load_page(sql_store_t *store, loading_t *loading, size_t index,
                                store_history_t *history, bool *ended)
{
    uint32_t limit = sql_page_rows(&loading->pages, FIRST_ROWS, history->limit,
                                   loading->bytes_max - loading->pages.bytes);
    uint32_t count = 0;
    put_name(store, loading->lane, history->name.type, history->name.entity);
    sql_put_u64(store, history->after);
    sql_put_u64(store, limit);
    fabric_error_t error = sql_query(store, SQL_EVENT_RANGE, 1);
    while ((count == 0 || !is_full(loading)) && sql_next(store, &error)) {
        store_event_t event = event_of_row(store, &history->name);
        count++;
        history->limit--;
        history->after = event.sequence;
        loading->pages.rows++;
        loading->pages.bytes += store_event_bytes(&event);
        loading->visit(loading->context, index, &event);
    }
    *ended = history->limit == 0 || (count < limit && !is_full(loading));
    sql_close(store);
    return error;
}

fabric_error_t sql_load_events(store_t *base, uint32_t lane, const store_history_t *histories,
                               size_t count, uint64_t bytes_max, store_visit_event_fn *visit,
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
        store_history_t history = histories[read];
        bool ended = history.limit == 0 || history.after >= STORE_SEQUENCE_MAX;
        while (!error && !ended && !is_full(&loading)) {
            error = load_page(store, &loading, read, &history, &ended);
        }
        read += !error && ended;
    }
    error = sql_end(store, error);
    if (!error) {
        *done = read;
    }
    return error;
}
