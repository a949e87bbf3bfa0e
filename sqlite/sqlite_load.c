/* Reading messages back from SQLite: what is pending, and by call key, primary key and id. */
#include "sqlite/sqlite_load.h"

#include <stdlib.h>
#include <string.h>

#include "sqlite/sqlite_connection.h"

/* Where the columns of a message end and those of its reply begin; see sqlite_statements.def. */
enum { COLUMN_KEY_HASH = 9, COLUMN_ATTEMPTS = 13, COLUMN_SUSPICIONS, COLUMN_REPLY };

static store_message_t read_message(const sqlite_query_t *query)
{
    fabric_bytes_t key_hash = sqlite_column_bytes(query, COLUMN_KEY_HASH);
    return (store_message_t){
        .id = {sqlite_column_u64(query, 0)},
        .shard = {sqlite_column_u32(query, 1)},
        .call = {sqlite_column_u64(query, 2), sqlite_column_u64(query, 3)},
        .flags = sqlite_column_u32(query, 4),
        .deliver_at_ms = (int64_t)sqlite_column_u64(query, 5),
        .type = sqlite_column_bytes(query, 6),
        .entity = sqlite_column_bytes(query, 7),
        .tag = sqlite_column_bytes(query, 8),
        .key_hash = key_hash.size == 32 ? key_hash.data : NULL,
        .traceparent = sqlite_column_bytes(query, 10),
        .headers = sqlite_column_bytes(query, 11),
        .payload = sqlite_column_bytes(query, 12),
    };
}

static store_tally_t read_tally(const sqlite_query_t *query)
{
    return (store_tally_t){.attempts = sqlite_column_u32(query, COLUMN_ATTEMPTS),
                           .suspicions = sqlite_column_u32(query, COLUMN_SUSPICIONS)};
}

static bool has_reply(const sqlite_query_t *query)
{
    return sqlite3_column_type(query->statement, COLUMN_REPLY) != SQLITE_NULL;
}

static void visit_with_reply(const sqlite_query_t *query, store_visit_message_fn *visit,
                             void *context)
{
    store_message_t message = read_message(query);
    store_reply_t reply;
    if (has_reply(query)) {
        uint32_t status = sqlite_column_u32(query, COLUMN_REPLY + 2);
        reply = (store_reply_t){
            .id = {sqlite_column_u64(query, COLUMN_REPLY)},
            .shard = {sqlite_column_u32(query, COLUMN_REPLY + 1)},
            .status = (uint8_t)(status <= UINT8_MAX ? status : UINT8_MAX),
            .error = sqlite_column_u32(query, COLUMN_REPLY + 3),
            .code = sqlite_column_u64(query, COLUMN_REPLY + 4),
            .payload = sqlite_column_bytes(query, COLUMN_REPLY + 5),
        };
    }
    visit(context, &message, read_tally(query), has_reply(query) ? &reply : NULL);
}

fabric_error_t sqlite_load_pending(store_t *base, request_id_t from, store_visit_message_fn *visit,
                                   void *context)
{
    sqlite_id_ranges_t ranges = sqlite_id_ranges(from.value);
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; i < ranges.count && !error; i++) {
        sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_LOAD_PENDING);
        sqlite_bind_i64(&query, 1, ranges.first[i]);
        sqlite_bind_i64(&query, 2, ranges.last[i]);
        while (sqlite_row(&query)) {
            store_message_t message = read_message(&query);
            visit(context, &message, read_tally(&query), NULL);
        }
        error = sqlite_end(&query);
    }
    return error;
}

/* ---- by call key ------------------------------------------------------------------------------
 */

static int compare_calls(const void *left, const void *right)
{
    const call_key_t *a = left;
    const call_key_t *b = right;
    if (a->client != b->client) {
        return a->client < b->client ? -1 : 1;
    }
    return a->sequence == b->sequence ? 0 : a->sequence < b->sequence ? -1 : 1;
}

/* Visits the message with this id; `only_replied`: if it has a final reply. */
static fabric_error_t visit_id(sqlite_store_t *store, uint64_t id, bool only_replied,
                               store_visit_message_fn *visit, void *context)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_FIND_MESSAGE);
    sqlite_bind_u64(&query, 1, id);
    if (sqlite_row(&query) && (!only_replied || has_reply(&query))) {
        visit_with_reply(&query, visit, context);
    }
    return sqlite_end(&query);
}

/* What calls are looked for, and how far the scan has come. */
typedef struct call_scan {
    const call_key_t *sorted;
    size_t count;
    uint32_t rows_left;
    uint64_t id; /* of the row looked at last */
    store_visit_message_fn *visit;
    void *context;
} call_scan_t;

/* The scan reads three small columns of each row; payloads are fetched for hits only. */
static fabric_error_t scan_calls(sqlite_store_t *store, uint64_t first, uint64_t last,
                                 call_scan_t *scan)
{
    fabric_error_t hit_error = FABRIC_OK;
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_SCAN_CALLS);
    sqlite_bind_u64(&query, 1, first);
    sqlite_bind_u64(&query, 2, last);
    sqlite_bind_u64(&query, 3, scan->rows_left);
    while (!hit_error && sqlite_row(&query)) {
        call_key_t call = {sqlite_column_u64(&query, 1), sqlite_column_u64(&query, 2)};
        scan->id = sqlite_column_u64(&query, 0);
        scan->rows_left--;
        if (bsearch(&call, scan->sorted, scan->count, sizeof call, compare_calls)) {
            hit_error = visit_id(store, scan->id, false, scan->visit, scan->context);
        }
    }
    fabric_error_t error = sqlite_end(&query);
    return error ? error : hit_error;
}

fabric_error_t sqlite_find_calls(store_t *base, request_id_t floor, request_id_t *last,
                                 uint32_t rows_max, const call_key_t *calls, size_t call_count,
                                 store_visit_message_fn *visit, void *context)
{
    if (call_count == 0 || last->value <= floor.value) {
        *last = floor;
        return FABRIC_OK;
    }
    call_key_t *sorted = calloc(call_count, sizeof *sorted);
    if (!sorted) {
        abort();
    }
    memcpy(sorted, calls, call_count * sizeof *sorted);
    qsort(sorted, call_count, sizeof *sorted, compare_calls);
    call_scan_t scan = {sorted, call_count, rows_max, floor.value, visit, context};
    sqlite_id_ranges_t ranges = sqlite_id_ranges(floor.value + 1);
    fabric_error_t error = FABRIC_OK;
    for (size_t i = ranges.count; i-- > 0 && !error && scan.rows_left > 0;) {
        uint64_t first = (uint64_t)ranges.first[i];
        uint64_t end = (uint64_t)ranges.last[i];
        end = end < last->value ? end : last->value;
        if (first <= end) {
            error = scan_calls(sqlite_store_of(base), first, end, &scan);
        }
    }
    free(sorted);
    if (!error) {
        *last = scan.rows_left > 0 ? floor : (request_id_t){scan.id - 1};
    }
    return error;
}

/* ---- by primary key and by id -----------------------------------------------------------------
 */

fabric_error_t sqlite_find_keys(store_t *base, const uint8_t *hashes, size_t hash_count,
                                store_visit_message_fn *visit, void *context)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; i < hash_count && !error; i++) {
        sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_FIND_KEY);
        sqlite_bind_bytes(&query, 1, fabric_bytes(hashes + i * 32, 32));
        if (sqlite_row(&query)) {
            visit_with_reply(&query, visit, context);
        }
        error = sqlite_end(&query);
    }
    return error;
}

fabric_error_t sqlite_find_replies(store_t *base, const request_id_t *ids, size_t id_count,
                                   store_visit_message_fn *visit, void *context)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; i < id_count && !error; i++) {
        error = visit_id(sqlite_store_of(base), ids[i].value, true, visit, context);
    }
    return error;
}
