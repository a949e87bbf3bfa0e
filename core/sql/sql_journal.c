/* The journal: appending, taking a lane, reading, purging. */
#include "core/crash_point.h"
#include "core/sql/sql_lane.h"
#include "core/sql/sql_membership.h"
#include "core/sql/sql_operations.h"
#include "core/sql/sql_rows.h"

/* The first page of entries, most of which have JOURNAL_ENTRY_BYTES_GOAL bytes at most; of heads,
 * which are small. */
#define FIRST_ENTRIES 16u
#define FIRST_HEADS   256u

static uint64_t within_order(uint64_t number)
{
    return number < INT64_MAX ? number : INT64_MAX;
}

/* ---- writing ---- */

/* With an anchor, `adopt` is 0 where the anchor is there, else NULL, which the column refuses. */
static void put_entry(sql_store_t *store, const store_entry_t *entry, const store_anchor_t *anchor)
{
    sql_put_u64(store, entry->lane);
    sql_put_u64(store, entry->number);
    sql_put_u64(store, entry->epoch);
    sql_put_incarnation(store, &entry->incarnation);
    sql_put_u64(store, entry->last_id);
    sql_put_i64(store, entry->created_ms);
    sql_put_u64(store, entry->log_bytes);
    sql_put_u64(store, entry->checksum);
    if (anchor) {
        sql_put_u64(store, anchor->lane);
        sql_put_u64(store, anchor->number);
        sql_put_u64(store, anchor->checksum);
    } else {
        sql_put_u64(store, entry->adopt);
    }
    sql_put_bytes(store, entry->calls);
    sql_put_bytes(store, entry->body);
}

fabric_error_t sql_insert_entries(sql_store_t *store, const store_entry_t *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put_entry(store, &entries[i], NULL);
    }
    return sql_run(store, SQL_JOURNAL_INSERT, count, NULL);
}

static fabric_error_t insert_after(sql_store_t *store, const store_anchor_t *anchor,
                                   const store_entry_t *entries, size_t count)
{
    put_entry(store, &entries[0], anchor);
    for (size_t i = 1; i < count; i++) {
        put_entry(store, &entries[i], NULL);
    }
    return count == 1 ? sql_run(store, SQL_JOURNAL_AFTER, 1, NULL)
                      : sql_run(store, SQL_JOURNAL_AFTER_MORE, count - 1, NULL);
}

fabric_error_t sql_append(store_t *base, const store_entry_t *entries, size_t count)
{
    sql_store_t *store = sql_store_of(base);
    if (count == 0 || count > STORE_APPEND_ENTRIES_MAX) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin(store, SQL_SINGLE);
    if (error) {
        return error;
    }
    return sql_end(store, sql_insert_entries(store, entries, count));
}

fabric_error_t sql_append_after(store_t *base, const store_anchor_t *anchor,
                                const store_entry_t *entries, size_t count)
{
    sql_store_t *store = sql_store_of(base);
    if (count == 0 || count > STORE_APPEND_ENTRIES_MAX || entries[0].adopt) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin(store, SQL_SINGLE);
    if (error) {
        return error;
    }
    return sql_end(store, insert_after(store, anchor, entries, count));
}

fabric_error_t sql_lane_take(store_t *base, const store_hold_t *hold, const store_entry_t *entry)
{
    sql_store_t *store = sql_store_of(base);
    if (!entry->adopt || entry->lane != hold->lane) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin_as_holder(store, hold);
    if (error) {
        return error;
    }
    CRASH_POINT(ADOPT_LOCKED);
    error = sql_insert_entries(store, entry, 1);
    CRASH_POINT(ADOPT_INSIDE);
    return sql_end(store, error);
}

static fabric_error_t raise_mark(sql_store_t *store, uint32_t lane, uint64_t last_id,
                                 int64_t created_ms)
{
    sql_put_u64(store, last_id);
    sql_put_i64(store, created_ms);
    sql_put_u64(store, lane);
    return sql_run(store, SQL_PURGE_MARK, 1, NULL);
}

fabric_error_t sql_journal_replace(store_t *base, const store_hold_t *hold,
                                   const store_entry_t *entry)
{
    sql_store_t *store = sql_store_of(base);
    if (!incarnation_is_none(hold->holder) || entry->lane != hold->lane) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = sql_begin_as_holder(store, hold);
    if (error) {
        return error;
    }
    error = raise_mark(store, hold->lane, entry->last_id, entry->created_ms);
    if (!error) {
        sql_put_u64(store, entry->lane);
        sql_put_u64(store, entry->number);
        error = sql_run(store, SQL_JOURNAL_DELETE, 1, NULL);
    }
    error = error ? error : sql_insert_entries(store, entry, 1);
    return sql_end(store, error);
}

/* ---- reading ---- */

/* A read in one direction, page by page. */
typedef struct reading {
    uint32_t lane;
    uint64_t next; /* number where the next page begins */
    bool back;
    store_entry_part_t part;
    uint32_t entries_max;
    uint64_t bytes_max;
    store_visit_entry_fn *visit;
    void *context;
    bool ended;
} reading_t;

static sql_statement_t statement_of(const reading_t *reading)
{
    switch (reading->part) {
    case STORE_ENTRY_HEAD:
        return reading->back ? SQL_JOURNAL_HEADS_BACK : SQL_JOURNAL_HEADS;
    case STORE_ENTRY_CALLS:
        return reading->back ? SQL_JOURNAL_CALLS_BACK : SQL_JOURNAL_CALLS;
    case STORE_ENTRY_ALL:
        break;
    }
    return reading->back ? SQL_JOURNAL_ENTRIES_BACK : SQL_JOURNAL_ENTRIES;
}

static store_entry_t entry_of_row(const sql_store_t *store, store_entry_part_t part)
{
    store_entry_t entry = {.lane = sql_u32(store, 0),
                           .number = sql_u64(store, 1),
                           .epoch = sql_u64(store, 2),
                           .incarnation = sql_incarnation(store, 3),
                           .last_id = sql_u64(store, 4),
                           .created_ms = (int64_t)sql_u64(store, 5),
                           .log_bytes = sql_u64(store, 6),
                           .checksum = sql_u64(store, 7),
                           .adopt = sql_u64(store, 8) != 0};
    if (part != STORE_ENTRY_HEAD) {
        entry.calls = sql_bytes(store, 9);
    }
    if (part == STORE_ENTRY_ALL) {
        entry.body = sql_bytes(store, 10);
    }
    return entry;
}

static fabric_error_t read_page(sql_store_t *store, reading_t *reading, sql_pages_t *pages)
{
    uint32_t limit =
        sql_page_rows(pages, reading->part == STORE_ENTRY_HEAD ? FIRST_HEADS : FIRST_ENTRIES,
                      reading->entries_max - pages->rows, reading->bytes_max - pages->bytes);
    uint32_t count = 0;
    sql_put_u64(store, reading->lane);
    sql_put_u64(store, reading->next);
    sql_put_u64(store, limit);
    fabric_error_t error = sql_query(store, statement_of(reading), 1);
    while (!reading->ended && sql_next(store, &error)) {
        store_entry_t entry = entry_of_row(store, reading->part);
        count++;
        pages->rows++;
        pages->bytes += entry.calls.size + entry.body.size;
        reading->ended =
            !reading->visit(reading->context, &entry) || pages->bytes >= reading->bytes_max ||
            pages->rows >= reading->entries_max || (reading->back && entry.number == 0);
        reading->next = reading->back ? entry.number - 1 : entry.number + 1;
    }
    sql_close(store);
    reading->ended = reading->ended || count < limit;
    return error;
}

static fabric_error_t read_pages(sql_store_t *store, reading_t *reading)
{
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    sql_pages_t pages = {0};
    reading->ended = reading->entries_max == 0;
    while (!error && !reading->ended) {
        error = read_page(store, reading, &pages);
    }
    return sql_end(store, error);
}

fabric_error_t sql_read_journal(store_t *base, uint32_t lane, uint64_t from,
                                store_entry_part_t part, uint32_t entries_max, uint64_t bytes_max,
                                store_visit_entry_fn *visit, void *context)
{
    reading_t reading = {.lane = lane,
                         .next = within_order(from),
                         .part = part,
                         .entries_max = entries_max,
                         .bytes_max = bytes_max,
                         .visit = visit,
                         .context = context};
    return read_pages(sql_store_of(base), &reading);
}

fabric_error_t sql_read_journal_back(store_t *base, uint32_t lane, uint64_t upto,
                                     store_entry_part_t part, uint32_t entries_max,
                                     uint64_t bytes_max, store_visit_entry_fn *visit, void *context)
{
    reading_t reading = {.lane = lane,
                         .next = within_order(upto),
                         .back = true,
                         .part = part,
                         .entries_max = entries_max,
                         .bytes_max = bytes_max,
                         .visit = visit,
                         .context = context};
    return read_pages(sql_store_of(base), &reading);
}

/* ---- purging ---- */

/* The run of entries that a purge deletes. */
typedef struct purge_run {
    uint32_t count;
    uint64_t first, last;                     /* numbers */
    uint64_t first_log_bytes, last_log_bytes; /* store_entry.log_bytes of these */
    uint64_t last_id;                         /* the largest */
    int64_t created_ms;                       /* the latest */
} purge_run_t;

/* Lowers `before` to the checkpoint's number at most. */
static fabric_error_t bound_purge(sql_store_t *store, uint32_t lane, uint64_t *before)
{
    uint64_t number = 0;
    bool found = false;
    sql_put_u64(store, lane);
    fabric_error_t error = sql_query_number(store, SQL_PURGE_BOUND, &found, &number);
    *before = *before < number ? *before : number;
    return error;
}

static bool is_enough(const store_purge_t *purge, const purge_run_t *run)
{
    return purge->bytes_max > 0 && run->count > 0 &&
           run->last_log_bytes - run->first_log_bytes >= purge->bytes_max;
}

static fabric_error_t scan_purge(sql_store_t *store, uint32_t lane, uint64_t before,
                                 const store_purge_t *purge, purge_run_t *run)
{
    sql_put_u64(store, lane);
    sql_put_u64(store, before);
    sql_put_u64(store, purge->entries_max);
    fabric_error_t error = sql_query(store, SQL_PURGE_SCAN, 1);
    while (!is_enough(purge, run) && sql_next(store, &error)) {
        uint64_t last_id = sql_u64(store, 1);
        int64_t created_ms = (int64_t)sql_u64(store, 2);
        uint64_t log_bytes = sql_u64(store, 3);
        bool kept = purge->open_id > 0 && last_id > purge->open_id;
        if ((kept || created_ms >= purge->created_before_ms) &&
            log_bytes >= purge->log_bytes_before) {
            break;
        }
        if (run->count++ == 0) {
            run->first = sql_u64(store, 0);
            run->first_log_bytes = log_bytes;
        }
        run->last = sql_u64(store, 0);
        run->last_log_bytes = log_bytes;
        run->last_id = last_id > run->last_id ? last_id : run->last_id;
        run->created_ms = created_ms > run->created_ms ? created_ms : run->created_ms;
    }
    sql_close(store);
    return error;
}

static fabric_error_t delete_run(sql_store_t *store, uint32_t lane, const purge_run_t *run,
                                 store_purged_t *purged)
{
    bool found = false;
    sql_put_u64(store, lane);
    sql_put_u64(store, run->first);
    fabric_error_t error = sql_query_number(store, SQL_JOURNAL_BYTES, &found, &purged->bytes);
    if (error) {
        return error;
    }
    purged->bytes += run->last_log_bytes - run->first_log_bytes;
    purged->entries = run->count;
    error = raise_mark(store, lane, run->last_id, run->created_ms);
    CRASH_POINT(PURGE_INSIDE);
    if (!error) {
        sql_put_u64(store, lane);
        sql_put_u64(store, run->first);
        sql_put_u64(store, run->last);
        error = sql_run(store, SQL_PURGE_DELETE, 1, NULL);
    }
    CRASH_POINT(PURGE_DELETED);
    return error;
}

static fabric_error_t delete_keys(sql_store_t *store, uint32_t lane, const store_purge_t *purge,
                                  store_purged_t *purged)
{
    uint64_t matched = 0;
    sql_put_u64(store, lane);
    sql_put_i64(store, purge->keys_before_ms);
    sql_put_u64(store, purge->keys_max);
    fabric_error_t error = sql_run(store, SQL_KEY_PURGE, 1, &matched);
    purged->keys = (uint32_t)matched;
    return error;
}

fabric_error_t sql_purge(store_t *base, const store_hold_t *hold, const store_purge_t *purge,
                         store_purged_t *purged)
{
    sql_store_t *store = sql_store_of(base);
    fabric_error_t error = sql_begin_as_holder(store, hold);
    if (error) {
        return error;
    }
    purge_run_t run = {.created_ms = INT64_MIN};
    store_purged_t deleted = {0};
    uint64_t before = purge->before;
    error = bound_purge(store, hold->lane, &before);
    error = error ? error : scan_purge(store, hold->lane, before, purge, &run);
    if (!error && run.count > 0) {
        error = delete_run(store, hold->lane, &run, &deleted);
    }
    if (!error && purge->keys_max > 0) {
        error = delete_keys(store, hold->lane, purge, &deleted);
    }
    error = sql_end(store, error);
    if (!error) {
        *purged = deleted;
    }
    return error;
}
