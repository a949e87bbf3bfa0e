/* Reading messages: what is pending, and look-ups by call key, primary key and id.
 *
 * Rows stream from the server to the visitor one at a time, so that memory stays bounded by the
 * largest row.
 */
#include <stdlib.h>

#include "mysql/mysql_connection.h"
#include "mysql/mysql_operations.h"

/* The LIMIT of STATEMENT_PAGE_OF_MAILBOX. */
#define PAGE_ROWS 50000

/* Columns as STATEMENT texts select them. */
enum {
    COLUMN_ATTEMPTS = 13,
    COLUMN_SUSPICIONS,
    COLUMN_REPLY_SHARD,
    COLUMN_REPLY_STATUS,
    COLUMN_REPLY_ERROR,
    COLUMN_REPLY_CODE,
    COLUMN_REPLY_PAYLOAD
};

static store_message_t message_of(const statement_rows_t *rows)
{
    fabric_bytes_t hash = statement_bytes(rows, 11);
    return (store_message_t){
        .id = {statement_u64(rows, 0)},
        .shard = {(uint32_t)statement_u64(rows, 1)},
        .flags = (uint32_t)statement_u64(rows, 2),
        .type = statement_bytes(rows, 3),
        .entity = statement_bytes(rows, 4),
        .tag = statement_bytes(rows, 5),
        .payload = statement_bytes(rows, 6),
        .traceparent = statement_bytes(rows, 7),
        .headers = statement_bytes(rows, 8),
        .call = {statement_u64(rows, 9), statement_u64(rows, 10)},
        .key_hash = hash.size == 32 ? hash.data : NULL,
        .deliver_at_ms = (int64_t)statement_u64(rows, 12),
    };
}

/* No row: NULLs, which read as zeros. */
static store_tally_t tally_of(const statement_rows_t *rows)
{
    return (store_tally_t){.attempts = (uint32_t)statement_u64(rows, COLUMN_ATTEMPTS),
                           .suspicions = (uint32_t)statement_u64(rows, COLUMN_SUSPICIONS)};
}

static store_reply_t reply_of(const statement_rows_t *rows)
{
    return (store_reply_t){
        .id = {statement_u64(rows, 0)},
        .shard = {(uint32_t)statement_u64(rows, COLUMN_REPLY_SHARD)},
        .status = (uint8_t)statement_u64(rows, COLUMN_REPLY_STATUS),
        .error = (uint32_t)statement_u64(rows, COLUMN_REPLY_ERROR),
        .code = statement_u64(rows, COLUMN_REPLY_CODE),
        .payload = statement_bytes(rows, COLUMN_REPLY_PAYLOAD),
    };
}

/* Runs a query of messages, whose parameters are put, and hands its rows on. */
static fabric_error_t visit_messages(mysql_session_t *session, statement_id_t id, size_t size,
                                     bool with_reply, store_visit_message_fn *visit, void *context)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    fabric_error_t error = statement_query(session, id, size, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        store_message_t message = message_of(rows);
        bool has_reply = with_reply && !statement_is_null(rows, COLUMN_REPLY_STATUS);
        store_reply_t reply = has_reply ? reply_of(rows) : (store_reply_t){0};
        visit(context, &message, tally_of(rows), has_reply ? &reply : NULL);
    }
    statement_end(rows);
    return error;
}

/* ---- pending messages ---- */

/* Ids of one page of the mailbox, in increasing order. */
typedef struct page {
    uint64_t ids[PAGE_ROWS];
    size_t count;
} page_t;

static fabric_error_t read_page(mysql_session_t *session, uint64_t from, page_t *page)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    page->count = 0;
    statement_begin(session);
    statement_put_u64(session, from);
    fabric_error_t error = statement_query(session, STATEMENT_PAGE_OF_MAILBOX, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        if (page->count < PAGE_ROWS) {
            page->ids[page->count++] = statement_u64(rows, 0);
        }
    }
    statement_end(rows);
    return error;
}

/* The lowest and the highest id of a page without a final reply; `first` > `last`: none. */
typedef struct pending_range {
    uint64_t first;
    uint64_t last;
} pending_range_t;

static void widen(pending_range_t *range, uint64_t id)
{
    range->first = id < range->first ? id : range->first;
    range->last = id;
}

/* Walks along the page's ids and the replies' ids, both in increasing order. */
static fabric_error_t find_range(mysql_session_t *session, const page_t *page,
                                 pending_range_t *range)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    size_t next = 0;
    *range = (pending_range_t){UINT64_MAX, 0};
    statement_begin(session);
    statement_put_u64(session, page->ids[0]);
    statement_put_u64(session, page->ids[page->count - 1]);
    fabric_error_t error = statement_query(session, STATEMENT_PAGE_OF_REPLY, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        uint64_t ended = statement_u64(rows, 0);
        for (; next < page->count && page->ids[next] < ended; next++) {
            widen(range, page->ids[next]);
        }
        next += next < page->count && page->ids[next] == ended;
    }
    statement_end(rows);
    for (; next < page->count; next++) {
        widen(range, page->ids[next]);
    }
    return error;
}

/* In pages, because the server would say nothing while it reads ended messages, and a long silence
 * could not be told from a dead connection. Most pages of an old mailbox have ended as a whole:
 * comparing ids in order tells so for less than half of what joining the tables costs. */
static fabric_error_t load_pages(mysql_session_t *session, uint64_t from, page_t *page,
                                 store_visit_message_fn *visit, void *context)
{
    pending_range_t range;
    fabric_error_t error = read_page(session, from, page);
    while (!error && page->count > 0) {
        error = find_range(session, page, &range);
        if (!error && range.first <= range.last) {
            statement_begin(session);
            statement_put_u64(session, range.first);
            statement_put_u64(session, range.last);
            error = visit_messages(session, STATEMENT_PENDING_RANGE, 1, false, visit, context);
        }
        uint64_t last = page->ids[page->count - 1];
        if (error || page->count < PAGE_ROWS || last == UINT64_MAX) {
            break;
        }
        error = read_page(session, last + 1, page);
    }
    return error;
}

fabric_error_t mysql_load_pending(store_t *base, request_id_t from, store_visit_message_fn *visit,
                                  void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    page_t *page = malloc(sizeof *page);
    if (!page) {
        abort();
    }
    error = load_pages(&store->session, from.value, page, visit, context);
    free(page);
    return mysql_end_read(store, error);
}

/* ---- look-ups ---- */

/* What fills an IN list. */
typedef void put_item_fn(mysql_session_t *session, const void *items, size_t index);

/* Looks `count` items up, several at a time, each once. */
static fabric_error_t find_items(mysql_session_t *session, statement_id_t id, const void *items,
                                 size_t count, put_item_fn *put, store_visit_message_fn *visit,
                                 void *context)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t done = 0; !error && done < count;) {
        size_t size = statement_size_within(count - done);
        statement_begin(session);
        for (size_t i = 0; i < size; i++) {
            put(session, items, done++);
        }
        error = visit_messages(session, id, size, true, visit, context);
    }
    return error;
}

static void put_id(mysql_session_t *session, const void *items, size_t index)
{
    /* The analyser does not see that each item below the count was set. */
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
    statement_put_u64(session, ((const request_id_t *)items)[index].value);
}

static void put_hash(mysql_session_t *session, const void *items, size_t index)
{
    statement_put_bytes(session, fabric_bytes((const uint8_t *)items + index * 32, 32));
}

fabric_error_t mysql_find_keys(store_t *base, const uint8_t *hashes, size_t hash_count,
                               store_visit_message_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    error = find_items(&store->session, STATEMENT_MESSAGES_BY_KEY, hashes, hash_count, put_hash,
                       visit, context);
    return mysql_end_read(store, error);
}

fabric_error_t mysql_find_replies(store_t *base, const request_id_t *ids, size_t id_count,
                                  store_visit_message_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    error =
        find_items(&store->session, STATEMENT_REPLIES_BY_ID, ids, id_count, put_id, visit, context);
    return mysql_end_read(store, error);
}

/* ---- call keys ---- */

static int compare_calls(const void *a, const void *b)
{
    const call_key_t *x = a;
    const call_key_t *y = b;
    if (x->client != y->client) {
        return x->client < y->client ? -1 : 1;
    }
    return x->sequence == y->sequence ? 0 : (x->sequence < y->sequence ? -1 : 1);
}

/* Ids found by the scan. */
typedef struct found_ids {
    request_id_t *items;
    size_t count;
    size_t capacity;
} found_ids_t;

static void add_id(found_ids_t *found, uint64_t id)
{
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? found->capacity * 2 : 64;
        found->items = realloc(found->items, found->capacity * sizeof *found->items);
        if (!found->items) {
            abort();
        }
    }
    found->items[found->count++].value = id;
}

/* One scan of ids and call keys, however many calls are looked for: there is no index, and the keys are
 * compared here. */
static fabric_error_t scan_calls(mysql_session_t *session, request_id_t floor, request_id_t *last,
                                 uint32_t rows_max, const call_key_t *sorted, size_t count,
                                 found_ids_t *found)
{
    statement_rows_t *rows = NULL;
    bool more = false;
    uint32_t looked_at = 0;
    uint64_t id = 0;
    statement_begin(session);
    statement_put_u64(session, floor.value);
    statement_put_u64(session, last->value);
    statement_put_u64(session, rows_max);
    fabric_error_t error = statement_query(session, STATEMENT_CALLS_SCAN, 1, &rows);
    while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) {
        call_key_t call = {statement_u64(rows, 1), statement_u64(rows, 2)};
        id = statement_u64(rows, 0);
        looked_at++;
        if (bsearch(&call, sorted, count, sizeof *sorted, compare_calls)) {
            add_id(found, id);
        }
    }
    statement_end(rows);
    if (!error) {
        *last = looked_at < rows_max ? floor : (request_id_t){id - 1};
    }
    return error;
}

fabric_error_t mysql_find_calls(store_t *base, request_id_t floor, request_id_t *last,
                                uint32_t rows_max, const call_key_t *calls, size_t call_count,
                                store_visit_message_fn *visit, void *context)
{
    mysql_store_t *store = mysql_store_of(base);
    if (call_count == 0) {
        *last = floor;
        return FABRIC_OK;
    }
    fabric_error_t error = mysql_begin(store);
    if (error) {
        return error;
    }
    call_key_t *sorted = malloc(call_count * sizeof *sorted);
    if (!sorted) {
        abort();
    }
    memcpy(sorted, calls, call_count * sizeof *sorted);
    qsort(sorted, call_count, sizeof *sorted, compare_calls);
    found_ids_t found = {0};
    error = scan_calls(&store->session, floor, last, rows_max, sorted, call_count, &found);
    if (!error) {
        error = find_items(&store->session, STATEMENT_MESSAGES_BY_ID, found.items, found.count,
                           put_id, visit, context);
    }
    free(found.items);
    free(sorted);
    return mysql_end_read(store, error);
}
