/* Searching for messages by their ids: see loader_search.h. */
#include "broker/store/loader_search.h"

#include <stdlib.h>

#include "broker/store/loader_state.h"
#include "core/journal/entry.h"
#include "core/memory.h"
#include "core/message.h"

#define END_OF_JOURNAL ((uint64_t)INT64_MAX)
#define PAGE_ENTRIES   500u
#define PAGE_BYTES     (UINT64_C(4) << 20)

/* An id whose place is not known. */
typedef struct sought {
    request_id_t id;
    uint64_t number; /* of the entry with its end; 0: none was found */
    uint32_t record;
} sought_t;

typedef struct loader_find {
    loader_t *loader;
    uint32_t lane;
    wanted_row_t *placed;
    size_t placed_count, placed_capacity;
    sought_t *sought; /* by id */
    size_t sought_count;
    uint64_t lowest; /* of these ids */
    uint64_t number; /* of the last entry that was read */
    uint64_t bytes;
    bool over;
    message_chain_t *found;
} loader_find_t;

/* ---- places ---- */

static int compare_sought(const void *left, const void *right)
{
    uint64_t a = ((const sought_t *)left)->id.value;
    uint64_t b = ((const sought_t *)right)->id.value;
    return (a > b) - (a < b);
}

static void add_placed(loader_find_t *find, const store_place_t *place)
{
    find->placed = memory_reserve(find->placed, find->placed_count + 1, &find->placed_capacity,
                                  sizeof *find->placed);
    find->placed[find->placed_count++] = (wanted_row_t){.place = *place, .placed = true};
}

static void keep_place(void *context, const store_place_t *place)
{
    add_placed(context, place);
}

static void sort_wanted(loader_find_t *find, const wanted_row_t *wanted, size_t count)
{
    find->sought = memory_allocate((count + 1) * sizeof *find->sought);
    find->lowest = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        request_id_t id = wanted[i].place.id;
        if (wanted[i].placed) {
            add_placed(find, &wanted[i].place);
            continue;
        }
        find->sought[find->sought_count++] = (sought_t){.id = id};
        find->lowest = id.value < find->lowest ? id.value : find->lowest;
    }
    if (find->sought_count > 0) {
        qsort(find->sought, find->sought_count, sizeof *find->sought, compare_sought);
    }
}

static fabric_error_t find_places(loader_find_t *find)
{
    if (find->sought_count == 0) {
        return FABRIC_OK;
    }
    store_t *store = find->loader->connection.store;
    request_id_t *ids = memory_allocate(find->sought_count * sizeof *ids);
    for (size_t i = 0; i < find->sought_count; i++) {
        ids[i] = find->sought[i].id;
    }
    fabric_error_t error =
        store->driver->find_places(store, find->lane, ids, find->sought_count, keep_place, find);
    free(ids);
    return error;
}

/* ---- rows ---- */

typedef struct row_visit {
    const loader_find_t *find;
    const store_place_t *place;
} row_visit_t;

/* The first row that is not before the place: perhaps the one behind it. */
static void keep_scheduled(void *context, size_t range, const store_pending_t *row)
{
    const row_visit_t *visit = context;
    if (row->id.value == visit->place->id.value) {
        loader_add_scheduled(visit->find->found, range, row);
    }
}

static fabric_error_t load_scheduled(const loader_find_t *find, const store_place_t *place)
{
    store_t *store = find->loader->connection.store;
    store_due_key_t before = {place->due_ms, place->id.value - 1};
    row_visit_t visit = {find, place};
    bool ended = false;
    return store->driver->load_scheduled(store, find->lane, before, 1, UINT64_MAX, keep_scheduled,
                                         &visit, &ended);
}

static fabric_error_t load_pending(const loader_find_t *find, const store_place_t *place)
{
    store_t *store = find->loader->connection.store;
    store_range_t range = {.entity_hash = place->entity_hash,
                           .after = place->position - 1,
                           .until = place->position,
                           .limit = 1};
    size_t done = 0;
    return store->driver->load_rows(store, find->lane, &range, 1, UINT64_MAX, loader_add_row,
                                    find->found, &done);
}

static fabric_error_t load_all(const loader_find_t *find)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; !error && i < find->placed_count; i++) {
        const store_place_t *place = &find->placed[i].place;
        error = place->due_ms != 0 ? load_scheduled(find, place) : load_pending(find, place);
    }
    return error;
}

/* ---- ends ---- */

static bool read_calls(void *context, const store_entry_t *entry)
{
    loader_find_t *find = context;
    if (entry->last_id < find->lowest) {
        find->over = true;
        return false;
    }
    journal_call_t call;
    bool damaged = false;
    journal_calls_reader_t reader = journal_calls_open(entry->calls);
    while (journal_calls_next(&reader, &call, &damaged)) {
        sought_t key = {.id = call.id};
        sought_t *sought = call.ended ? bsearch(&key, find->sought, find->sought_count,
                                                sizeof *find->sought, compare_sought)
                                      : NULL;
        if (sought) {
            sought->number = entry->number;
            sought->record = call.record;
        }
    }
    find->bytes += entry->calls.size;
    find->number = entry->number;
    return true;
}

static fabric_error_t find_ends(loader_find_t *find)
{
    const connection_t *connection = &find->loader->connection;
    store_t *store = connection->store;
    fabric_error_t error = FABRIC_OK;
    find->number = END_OF_JOURNAL;
    while (!error && !find->over && find->number > 0 && find->bytes < LOADER_SEARCH_BYTES_MAX) {
        if (connection_is_stopping(connection)) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        uint64_t before = find->number;
        error = store->driver->read_journal_back(
            store, find->lane, before == END_OF_JOURNAL ? before : before - 1, STORE_ENTRY_CALLS,
            PAGE_ENTRIES, PAGE_BYTES, read_calls, find);
        find->over = find->over || find->number == before; /* the journal begins here */
    }
    return error;
}

typedef struct end_visit {
    loader_find_t *find;
    const sought_t *sought;
} end_visit_t;

static void add_end(loader_find_t *find, const sought_t *sought, const journal_record_t *record)
{
    static const char text[] = "the record of its reply is damaged";
    store_reply_t lost = {.id = sought->id,
                          .status = STATUS_DEFECT,
                          .error = FABRIC_ERROR_ENTITY_DEFECT,
                          .payload = fabric_bytes(text, sizeof text - 1)};
    store_message_t stored = {.id = sought->id, .flags = REQUEST_DURABLE};
    if (record) {
        stored.shard = record->shard;
    }
    (void)message_chain_add(find->found, &stored, (journal_attempts_t){0},
                            record ? &record->reply : &lost);
}

static bool read_end(void *context, const store_entry_t *entry)
{
    const end_visit_t *visit = context;
    const sought_t *sought = visit->sought;
    if (entry->number != sought->number) {
        return false; /* the entry is purged */
    }
    journal_record_t record;
    bool read = journal_read_at(entry->body, sought->record, &record) == JOURNAL_READ_RECORD &&
                record.id.value == sought->id.value &&
                (record.kind == RECORD_RESULT || record.kind == RECORD_DEAD);
    add_end(visit->find, sought, read ? &record : NULL);
    return false;
}

/* The ends are read after the rows: a message that ends meanwhile is found in one way at least. */
static fabric_error_t read_ends(loader_find_t *find)
{
    store_t *store = find->loader->connection.store;
    fabric_error_t error = find->sought_count > 0 ? find_ends(find) : FABRIC_OK;
    for (size_t i = 0; !error && i < find->sought_count; i++) {
        const sought_t *sought = &find->sought[i];
        end_visit_t visit = {find, sought};
        if (sought->number != 0) {
            error = store->driver->read_journal(store, find->lane, sought->number, STORE_ENTRY_ALL,
                                                1, UINT64_MAX, read_end, &visit);
        }
    }
    return error;
}

fabric_error_t loader_search(loader_t *loader, uint32_t lane, const wanted_row_t *wanted,
                             size_t count, message_chain_t *found)
{
    connection_t *connection = &loader->connection;
    *found = (message_chain_t){0};
    loader_find_t find = {.loader = loader, .lane = lane, .found = found};
    sort_wanted(&find, wanted, count);
    fabric_error_t error = connection->store ? FABRIC_OK : connection_open(connection, NULL);
    error = error ? error : find_places(&find);
    error = error ? error : load_all(&find);
    error = error ? error : read_ends(&find);
    free(find.placed);
    free(find.sought);
    if (error) {
        message_chain_destroy(&found->first);
        *found = (message_chain_t){0};
        connection_clear(connection);
    }
    return error;
}
