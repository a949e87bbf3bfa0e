/* What stands: see standing.h. */
#include "tests/harness/standing.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

typedef struct lane_list {
    store_lane_t lanes[LIMIT_LANES_MAX];
    size_t count;
} lane_list_t;

static void add_lane(void *context, const store_lane_t *lane)
{
    lane_list_t *list = context;
    if (list->count < LIMIT_LANES_MAX) {
        list->lanes[list->count++] = *lane;
    }
}

typedef struct folding {
    journal_fold_t *fold;
    reason_t *reason;
    fabric_error_t error;
} folding_t;

static bool fold_entry(void *context, const store_entry_t *entry)
{
    folding_t *folding = context;
    folding->error = journal_fold_entry(folding->fold, entry, folding->reason);
    return folding->error == FABRIC_OK;
}

static void add_backlog(void *context, const store_backlog_t *backlog)
{
    *(uint64_t *)context += backlog->count;
}

/* Adds the messages that have no rows, and takes away the rows whose messages have ended since. */
static fabric_error_t correct_count(store_t *store, uint32_t lane, journal_fold_t *fold,
                                    uint64_t *count)
{
    size_t item_count = 0;
    const journal_item_t *items = journal_fold_items(fold, &item_count);
    store_row_key_t *keys = memory_allocate(item_count * sizeof *keys);
    bool *found = memory_allocate_zeroed(item_count, sizeof *found);
    for (size_t i = 0; i < item_count; i++) {
        keys[i] = (store_row_key_t){items[i].entity_hash, items[i].position};
    }
    fabric_error_t error = store->driver->find_rows(store, lane, keys, item_count, found);
    for (size_t i = 0; !error && i < item_count; i++) {
        bool stands = items[i].standing == JOURNAL_PENDING;
        *count += stands && !found[i];
        *count -= !stands && found[i];
    }
    free(found);
    free(keys);
    return error;
}

/* ---- rows that clears end ---- */

static bool is_named(const journal_clear_t *clear, const store_pending_t *row)
{
    return clear->type.size == 0 || (fabric_bytes_equal(clear->type, row->type) &&
                                     fabric_bytes_equal(clear->entity, row->entity));
}

bool standing_is_cleared(const journal_fold_t *fold, const store_pending_t *row)
{
    size_t count = 0;
    const journal_clear_t *clears = journal_fold_clears(fold, &count);
    for (size_t i = 0; i < count; i++) {
        if (clears[i].entity_hash == row->entity_hash && row->id.value < clears[i].id.value &&
            is_named(&clears[i], row)) {
            return true;
        }
    }
    return false;
}

typedef struct cleared_rows {
    const journal_fold_t *fold;
    uint64_t after, visited, count;
} cleared_rows_t;

/* Rows of messages of which the entries speak are counted by these, see correct_count. */
static void count_cleared(void *context, size_t range, const store_pending_t *row)
{
    cleared_rows_t *rows = context;
    rows->after = row->position;
    rows->visited++;
    rows->count += !journal_fold_find(rows->fold, row->id) && standing_is_cleared(rows->fold, row);
    (void)range;
}

static fabric_error_t count_cleared_of(store_t *store, uint32_t lane, uint64_t entity_hash,
                                       cleared_rows_t *rows)
{
    enum { PAGE_ROWS = 1000 };
    fabric_error_t error = FABRIC_OK;
    rows->after = 0;
    do {
        store_range_t range = {entity_hash, rows->after, UINT64_MAX >> 1, PAGE_ROWS};
        size_t done;
        rows->visited = 0;
        error = store->driver->load_rows(store, lane, &range, 1, UINT64_MAX, count_cleared, rows,
                                         &done);
    } while (!error && rows->visited > 0);
    return error;
}

static bool is_first_of_entity(const journal_clear_t *clears, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (clears[i].entity_hash == clears[index].entity_hash) {
            return false;
        }
    }
    return true;
}

/* Takes away the rows that go with the next checkpoint, since their entity was cleared. */
static fabric_error_t take_cleared(store_t *store, uint32_t lane, const journal_fold_t *fold,
                                   uint64_t *count)
{
    size_t clear_count = 0;
    const journal_clear_t *clears = journal_fold_clears(fold, &clear_count);
    cleared_rows_t rows = {.fold = fold};
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < clear_count; i++) {
        if (is_first_of_entity(clears, i)) {
            error = count_cleared_of(store, lane, clears[i].entity_hash, &rows);
        }
    }
    *count -= rows.count;
    return error;
}

static fabric_error_t count_lane(store_t *store, const store_lane_t *lane, reason_t *reason,
                                 uint64_t *count)
{
    folding_t folding = {.fold = journal_fold_new(lane->lane, lane->number), .reason = reason};
    uint64_t from = 0;
    fabric_error_t error = FABRIC_OK;
    do {
        from = journal_fold_number(folding.fold) + 1;
        error = store->driver->read_journal(store, lane->lane, from, STORE_ENTRY_ALL, UINT32_MAX,
                                            UINT64_MAX, fold_entry, &folding);
        error = error ? error : folding.error;
    } while (!error && journal_fold_number(folding.fold) + 1 > from);
    error = error ? error : store->driver->list_backlogs(store, lane->lane, add_backlog, count);
    error = error ? error : correct_count(store, lane->lane, folding.fold, count);
    error = error ? error : take_cleared(store, lane->lane, folding.fold, count);
    journal_fold_destroy(&folding.fold);
    return error;
}

fabric_error_t standing_count_pending(store_t *store, reason_t *reason, uint64_t *count)
{
    lane_list_t list = {.count = 0};
    *count = 0;
    fabric_error_t error = store->driver->lane_list(store, add_lane, &list);
    for (size_t i = 0; !error && i < list.count; i++) {
        error = count_lane(store, &list.lanes[i], reason, count);
    }
    return error;
}
