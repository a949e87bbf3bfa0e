/* What stands: see standing.h. */
#include "tests/harness/standing.h"

#include <stdlib.h>

#include "core/journal/fold.h"
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
