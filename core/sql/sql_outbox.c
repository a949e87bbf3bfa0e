/* Outgoing messages: writing their rows in checkpoints, and reading them. */
#include "core/crash_point.h"
#include "core/sql/sql_membership.h"
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

/* Bytes of one statement: a larger message goes alone. */
#define STATEMENT_BYTES_GOAL ((size_t)1 << 20)
/* They have more columns than other rows. */
#define STATEMENT_ROWS_MAX 64u
#define FIRST_ROWS         64u

static void put_key(sql_store_t *store, uint32_t lane, store_outgoing_key_t key)
{
    sql_put_u64(store, lane);
    sql_put_u64(store, key.id);
    sql_put_u64(store, key.index);
}

/* ---- writing ---- */

static size_t bytes_of(const store_outgoing_t *row)
{
    return row->source_type.size + row->source_entity.size + row->source_tag.size + row->type.size +
           row->entity.size + row->tag.size + row->payload.size + row->primary_key.size +
           row->traceparent.size + row->headers.size;
}

/* How many of so many rows fit into one statement; at least 1. */
static size_t rows_that_fit(const store_outgoing_t *rows, size_t count)
{
    size_t most = sql_size_within(count < STATEMENT_ROWS_MAX ? count : STATEMENT_ROWS_MAX);
    size_t bytes = 0;
    for (size_t i = 0; i < most; i++) {
        bytes += bytes_of(&rows[i]);
        if (bytes > STATEMENT_BYTES_GOAL) {
            return sql_size_within(i > 0 ? i : 1);
        }
    }
    return most;
}

static void put_row(sql_store_t *store, uint32_t lane, const store_outgoing_t *row)
{
    put_key(store, lane, row->key);
    sql_put_u64(store, row->number);
    sql_put_u64(store, row->source.value);
    sql_put_u64(store, row->source_shard.value);
    sql_put_bytes(store, row->source_type);
    sql_put_bytes(store, row->source_entity);
    sql_put_bytes(store, row->source_tag);
    sql_put_u64(store, row->target_lane);
    sql_put_u64(store, row->shard.value);
    sql_put_bytes(store, row->type);
    sql_put_bytes(store, row->entity);
    sql_put_bytes(store, row->tag);
    sql_put_u64(store, row->flags);
    sql_put_i64(store, row->deliver_at_ms);
    sql_put_bytes(store, row->payload);
    sql_put_bytes(store, row->primary_key);
    sql_put_bytes(store, row->traceparent);
    sql_put_bytes(store, row->headers);
}

fabric_error_t sql_write_outbox(sql_store_t *store, uint32_t lane, const store_slice_t *slice)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < slice->outgoing_count;) {
        const store_outgoing_t *rows = slice->outgoing + done;
        size_t fitting = rows_that_fit(rows, slice->outgoing_count - done);
        for (size_t i = 0; i < fitting; i++) {
            put_row(store, lane, &rows[i]);
        }
        error = sql_run(store, SQL_OUTGOING_PUT, fitting, NULL);
        done += fitting;
    }
    if (slice->outgoing_count > 0) {
        CRASH_POINT(SLICE_TOLD);
    }
    for (size_t done = 0; !error && done < slice->sent_count;) {
        size_t fitting = sql_size_within(slice->sent_count - done);
        for (size_t i = 0; i < fitting; i++) {
            put_key(store, lane, slice->sent[done + i]);
        }
        error = sql_run(store, SQL_OUTGOING_DELETE, fitting, NULL);
        done += fitting;
    }
    return error;
}

/* ---- reading ---- */

typedef struct loading {
    uint32_t lane, target_lane;
    store_outgoing_key_t after;
    uint32_t limit; /* rows that are still wanted */
    uint64_t bytes_max;
    store_visit_outgoing_fn *visit;
    void *context;
    sql_pages_t pages;
} loading_t;

static store_outgoing_t message_of_row(const sql_store_t *store)
{
    return (store_outgoing_t){.key = {sql_u64(store, 0), sql_u32(store, 1)},
                              .number = sql_u64(store, 2),
                              .source = {sql_u64(store, 3)},
                              .source_shard = {sql_u32(store, 4)},
                              .source_type = sql_bytes(store, 5),
                              .source_entity = sql_bytes(store, 6),
                              .source_tag = sql_bytes(store, 7),
                              .target_lane = sql_u32(store, 8),
                              .shard = {sql_u32(store, 9)},
                              .type = sql_bytes(store, 10),
                              .entity = sql_bytes(store, 11),
                              .tag = sql_bytes(store, 12),
                              .flags = sql_u32(store, 13),
                              .deliver_at_ms = (int64_t)sql_u64(store, 14),
                              .payload = sql_bytes(store, 15),
                              .primary_key = sql_bytes(store, 16),
                              .traceparent = sql_bytes(store, 17),
                              .headers = sql_bytes(store, 18)};
}

static bool is_full(const loading_t *loading)
{
    return loading->limit == 0 ||
           (loading->pages.rows > 0 && loading->pages.bytes >= loading->bytes_max);
}

/* Reads one page: the rest of one result's messages, or those of later ones. One condition for both
 * would be searched for from the beginning of that result. */
static fabric_error_t load_page(sql_store_t *store, loading_t *loading, bool same, bool *ended)
{
    uint32_t count = 0;
    uint32_t rows = sql_page_rows(&loading->pages, FIRST_ROWS, loading->limit,
                                  loading->bytes_max - loading->pages.bytes);
    sql_put_u64(store, loading->lane);
    sql_put_u64(store, loading->target_lane);
    sql_put_u64(store, loading->after.id);
    if (same) {
        sql_put_u64(store, loading->after.index);
    }
    sql_put_u64(store, rows);
    fabric_error_t error = sql_query(store, same ? SQL_OUTGOING_SAME : SQL_OUTGOING_LATER, 1);
    while ((count == 0 || !is_full(loading)) && sql_next(store, &error)) {
        store_outgoing_t message = message_of_row(store);
        count++;
        loading->limit--;
        loading->after = message.key;
        loading->pages.rows++;
        loading->pages.bytes += bytes_of(&message);
        loading->visit(loading->context, &message);
    }
    *ended = count < rows && !is_full(loading);
    sql_close(store);
    return error;
}

fabric_error_t sql_load_outgoing(store_t *base, uint32_t lane, uint32_t target_lane,
                                 store_outgoing_key_t after, uint32_t limit, uint64_t bytes_max,
                                 store_visit_outgoing_fn *visit, void *context, bool *ended)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    loading_t loading = {lane, target_lane, after, limit, bytes_max, visit, context, {0, 0}};
    bool all = false;
    while (!error && !all && !is_full(&loading)) {
        bool same_ended = false;
        error = load_page(store, &loading, true, &same_ended);
        if (!error && same_ended) {
            error = load_page(store, &loading, false, &all);
        }
    }
    error = sql_end(store, error);
    if (!error) {
        *ended = all;
    }
    return error;
}

fabric_error_t sql_list_outboxes(store_t *base, uint32_t lane, store_visit_outbox_fn *visit,
                                 void *context)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    sql_put_u64(store, lane);
    error = sql_query(store, SQL_OUTBOX_LIST, 1);
    while (sql_next(store, &error)) {
        store_outbox_t outbox = {sql_u32(store, 0), sql_u64(store, 1), sql_u64(store, 2)};
        visit(context, &outbox);
    }
    sql_close(store);
    return sql_end(store, error);
}

fabric_error_t sql_oldest_outgoing(store_t *base, uint64_t *id)
{
    sql_store_t *store = sql_store_of(base);
    bool found = false;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    uint64_t oldest = 0;
    error = sql_end(store, sql_query_number(store, SQL_OUTGOING_OLDEST, &found, &oldest));
    if (!error) {
        *id = oldest > 0 ? oldest : 1;
    }
    return error;
}
