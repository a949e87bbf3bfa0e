/* The in-memory store: lanes and their journals. */
#include <assert.h>
#include <string.h>

#include "tests/memory/memory_connection.h"

/* ---- lanes ---- */

bool memory_holds(memory_database_t *database, const store_hold_t *hold)
{
    const memory_lane_t *lane = memory_lane_of(database, hold->lane);
    return lane && incarnation_equal(lane->row.holder, hold->holder) &&
           lane->row.epoch == hold->epoch;
}

fabric_error_t memory_lane_list(store_t *base, store_visit_lane_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    for (uint32_t i = 0; i < store->database->cluster.lanes; i++) {
        visit(context, &store->database->lanes[i].row);
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_lane_assign(store_t *base, uint64_t term, incarnation_t coordinator,
                                  const store_hold_t *before, incarnation_t holder)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error =
        memory_enter_as(store, MEMORY_STORE_ASSIGN, before->lane, term, coordinator);
    if (error) {
        return error;
    }
    if (!memory_holds(store->database, before)) {
        return memory_leave(store, FABRIC_ERROR_STORE_REJECTED);
    }
    store_lane_t *row = &store->database->lanes[before->lane].row;
    memory_note_value(store->database, row, sizeof *row);
    row->holder = holder;
    row->epoch++;
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_lane_give_up(store_t *base, const store_hold_t *hold)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_GIVE_UP, hold->lane);
    if (error) {
        return error;
    }
    if (!memory_holds(store->database, hold)) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    store_lane_t *row = &store->database->lanes[hold->lane].row;
    memory_note_value(store->database, row, sizeof *row);
    row->holder = (incarnation_t){{0}};
    return memory_leave(store, FABRIC_OK);
}

/* ---- entries ---- */

static bool has_anchor(memory_database_t *database, const store_anchor_t *anchor)
{
    const memory_lane_t *lane = memory_lane_of(database, anchor->lane);
    const memory_entry_t *found =
        lane ? memory_sequence_find(&lane->entries, anchor->number) : NULL;
    return found && found->entry.checksum == anchor->checksum;
}

/* `anchor` NULL: none is asked for. */
static fabric_error_t append(memory_store_t *store, const store_anchor_t *anchor,
                             const store_entry_t *entries, size_t count)
{
    fabric_error_t error = memory_enter(store, MEMORY_STORE_APPEND, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    if (anchor && !has_anchor(store->database, anchor)) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    for (size_t i = 0; i < count; i++) {
        if (!memory_entry_insert(store->database, &entries[i])) {
            return memory_leave(store, FABRIC_ERROR_STORE_REJECTED);
        }
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_append(store_t *store, const store_entry_t *entries, size_t count)
{
    return append(memory_store_of(store), NULL, entries, count);
}

fabric_error_t memory_append_after(store_t *store, const store_anchor_t *anchor,
                                   const store_entry_t *entries, size_t count)
{
    return append(memory_store_of(store), anchor, entries, count);
}

fabric_error_t memory_lane_take(store_t *base, const store_hold_t *hold, const store_entry_t *entry)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_TAKE, hold->lane);
    if (error) {
        return error;
    }
    assert(entry->lane == hold->lane && entry->adopt);
    if (!memory_holds(store->database, hold)) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    bool inserted = memory_entry_insert(store->database, entry);
    return memory_leave(store, inserted ? FABRIC_OK : FABRIC_ERROR_STORE_REJECTED);
}

static void raise_mark(memory_database_t *database, store_lane_t *row, const store_entry_t *entry)
{
    memory_note_value(database, row, sizeof *row);
    row->purged_id = entry->last_id > row->purged_id ? entry->last_id : row->purged_id;
    row->purged_ms = entry->created_ms > row->purged_ms ? entry->created_ms : row->purged_ms;
}

fabric_error_t memory_journal_replace(store_t *base, const store_hold_t *hold,
                                      const store_entry_t *entry)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_TAKE, hold->lane);
    if (error) {
        return error;
    }
    assert(entry->lane == hold->lane && incarnation_is_none(hold->holder));
    if (!memory_holds(store->database, hold)) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    memory_lane_t *lane = &store->database->lanes[hold->lane];
    raise_mark(store->database, &lane->row, entry);
    if (memory_sequence_find(&lane->entries, entry->number)) {
        memory_entry_remove(store->database, hold->lane, entry->number);
    }
    bool inserted = memory_entry_insert(store->database, entry);
    return memory_leave(store, inserted ? FABRIC_OK : FABRIC_ERROR_STORE_REJECTED);
}

/* What a reader wants, and what it has had. */
typedef struct reading {
    store_entry_part_t part;
    uint32_t entries_left;
    uint64_t bytes_left;
    store_visit_entry_fn *visit;
    void *context;
} reading_t;

/* false: no more. */
static bool read_entry(reading_t *reading, const memory_place_t *place)
{
    store_entry_t entry = ((const memory_entry_t *)place->item)->entry;
    if (reading->part != STORE_ENTRY_ALL) {
        entry.body = fabric_bytes(NULL, 0);
    }
    if (reading->part == STORE_ENTRY_HEAD) {
        entry.calls = fabric_bytes(NULL, 0);
    }
    uint64_t bytes = entry.calls.size + entry.body.size;
    bool enough = bytes >= reading->bytes_left || reading->entries_left <= 1;
    reading->bytes_left -= bytes < reading->bytes_left ? bytes : reading->bytes_left;
    reading->entries_left--;
    return reading->visit(reading->context, &entry) && !enough;
}

fabric_error_t memory_read_journal(store_t *base, uint32_t lane, uint64_t from,
                                   store_entry_part_t part, uint32_t entries_max,
                                   uint64_t bytes_max, store_visit_entry_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ_JOURNAL, lane);
    if (error) {
        return error;
    }
    memory_lane_t *found = memory_lane_of(store->database, lane);
    reading_t reading = {part, entries_max, bytes_max, visit, context};
    if (found && entries_max > 0) {
        size_t i = memory_sequence_from(&found->entries, from);
        while (i < found->entries.places.count &&
               read_entry(&reading, &found->entries.places.items[i])) {
            i++;
        }
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_read_journal_back(store_t *base, uint32_t lane, uint64_t upto,
                                        store_entry_part_t part, uint32_t entries_max,
                                        uint64_t bytes_max, store_visit_entry_fn *visit,
                                        void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ_JOURNAL, lane);
    if (error) {
        return error;
    }
    memory_lane_t *found = memory_lane_of(store->database, lane);
    reading_t reading = {part, entries_max, bytes_max, visit, context};
    if (found && entries_max > 0) {
        size_t i = upto == UINT64_MAX ? found->entries.places.count
                                      : memory_sequence_from(&found->entries, upto + 1);
        while (i > found->entries.first &&
               read_entry(&reading, &found->entries.places.items[i - 1])) {
            i--;
        }
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- purge ---- */

static bool is_over(const store_purge_t *purge, const store_entry_t *entry)
{
    bool kept = purge->open_id > 0 && entry->last_id > purge->open_id;
    return (!kept && entry->created_ms < purge->created_before_ms) ||
           entry->log_bytes < purge->log_bytes_before;
}

/* Collects the numbers to delete, and raises the mark for them. */
static size_t choose_entries(memory_database_t *database, uint32_t lane_number,
                             const store_purge_t *purge, uint64_t *numbers)
{
    memory_lane_t *lane = &database->lanes[lane_number];
    uint64_t before = purge->before < lane->row.number ? purge->before : lane->row.number;
    size_t count = 0;
    uint64_t first_bytes = 0;
    bool enough = false;
    for (size_t i = lane->entries.first;
         i < lane->entries.places.count && count < purge->entries_max && !enough; i++) {
        const store_entry_t *entry =
            &((const memory_entry_t *)lane->entries.places.items[i].item)->entry;
        if (entry->adopt) {
            continue;
        }
        if (entry->number >= before || !is_over(purge, entry)) {
            break;
        }
        raise_mark(database, &lane->row, entry);
        first_bytes = count == 0 ? entry->log_bytes : first_bytes;
        numbers[count++] = entry->number;
        enough = purge->bytes_max > 0 && entry->log_bytes - first_bytes >= purge->bytes_max;
    }
    return count;
}

fabric_error_t memory_purge(store_t *base, const store_hold_t *hold, const store_purge_t *purge,
                            store_purged_t *purged)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_PURGE, hold->lane);
    if (error) {
        return error;
    }
    if (!memory_holds(store->database, hold)) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    store_purged_t done = {0};
    size_t all = store->database->lanes[hold->lane].entries.places.count;
    uint64_t *numbers = memory_allocate(all * sizeof *numbers);
    size_t count = choose_entries(store->database, hold->lane, purge, numbers);
    for (size_t i = 0; i < count; i++) {
        const memory_entry_t *entry =
            memory_sequence_find(&store->database->lanes[hold->lane].entries, numbers[i]);
        done.entries++;
        done.bytes += entry->entry.calls.size + entry->entry.body.size;
        memory_entry_remove(store->database, hold->lane, numbers[i]);
    }
    free(numbers);
    memory_purge_keys(store->database, hold->lane, purge, &done);
    error = memory_leave(store, FABRIC_OK);
    if (!error) {
        *purged = done;
    }
    return error;
}
