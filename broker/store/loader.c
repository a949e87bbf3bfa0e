/* The loader: taking lanes and reading their journals, and loading rows. What stands is put
 * together in loader_fold.c. */
#include "broker/store/loader.h"

#include <inttypes.h>
#include <string.h>

#include "broker/store/loader_state.h"
#include "core/crash_point.h"

/* Of one reading call. */
#define PAGE_ENTRIES_MAX 1000u
#define PAGE_BYTES_MAX   (UINT64_C(8) << 20)

void loader_init(loader_t *loader, const loader_config_t *config, const store_world_t *world)
{
    *loader = (loader_t){.config = *config};
    connection_init(&loader->connection, &config->connection, world);
}

void loader_clear(loader_t *loader)
{
    connection_clear(&loader->connection);
}

static fabric_error_t set_fault(reading_t *reading, fabric_error_t error, uint64_t number,
                                const char *text)
{
    reading->fault->number = number;
    return reason_set(&reading->fault->reason, error, "%s", text);
}

/* ---- the lane's row ---- */

typedef struct row_search {
    uint32_t lane;
    bool found;
    store_lane_t row;
} row_search_t;

static void keep_row(void *context, const store_lane_t *row)
{
    row_search_t *search = context;
    if (row->lane == search->lane) {
        search->found = true;
        search->row = *row;
    }
}

static fabric_error_t read_row(reading_t *reading)
{
    row_search_t search = {.lane = reading->hold.lane};
    fabric_error_t error = reading->store->driver->lane_list(reading->store, keep_row, &search);
    if (error) {
        return error;
    }
    if (!search.found || search.row.epoch != reading->hold.epoch ||
        !incarnation_equal(search.row.holder, reading->hold.holder)) {
        return FABRIC_ERROR_FENCED;
    }
    reading->row = search.row;
    return FABRIC_OK;
}

/* ---- the ADOPT entry ---- */

static bool keep_end(void *context, const store_entry_t *entry)
{
    reading_t *reading = context;
    reading->end = *entry;
    reading->end_found = true;
    return false;
}

static fabric_error_t read_end(reading_t *reading)
{
    reading->end_found = false;
    fabric_error_t error = reading->store->driver->read_journal_back(
        reading->store, reading->hold.lane, (uint64_t)INT64_MAX, STORE_ENTRY_HEAD, 1, UINT64_MAX,
        keep_end, reading);
    if (error) {
        return error;
    }
    if (!reading->end_found || reading->end.number < reading->row.number) {
        return set_fault(reading, FABRIC_ERROR_STORE_LOST, reading->row.number,
                         "the rows are complete as of this entry, and the journal ends before it");
    }
    return FABRIC_OK;
}

/* Whether this broker has taken the lane under this epoch already, and written nothing since. */
static bool is_taken(const reading_t *reading)
{
    return reading->end.adopt && reading->end.epoch == reading->hold.epoch &&
           incarnation_equal(reading->end.incarnation, reading->hold.holder);
}

static fabric_error_t insert_adopt(const loader_t *loader, reading_t *reading)
{
    const store_world_t *world = &loader->connection.world;
    journal_writer_t *writer = journal_writer_new();
    journal_put_adopt(writer, reading->hold.holder, reading->hold.epoch,
                      fabric_bytes_of(loader->config.name));
    store_entry_t entry = {.lane = reading->hold.lane,
                           .number = reading->end.number + 1,
                           .epoch = reading->hold.epoch,
                           .incarnation = reading->hold.holder,
                           .last_id = reading->end.last_id,
                           .created_ms = world->store_ms(world->context),
                           .adopt = true};
    journal_seal(writer, &entry, reading->end.log_bytes);
    fabric_error_t error =
        reading->store->driver->lane_take(reading->store, &reading->hold, &entry);
    journal_writer_destroy(&writer);
    if (!error) {
        CRASH_POINT(ADOPT_TAKEN);
        entry.calls = entry.body = (fabric_bytes_t){NULL, 0};
        reading->end = entry;
    }
    return error;
}

/* Makes the ADOPT entry the last one: `reading->end`. A number that is taken means that the former
 * holder, or another adopter, was faster: the end is elsewhere. */
static fabric_error_t take_lane(const loader_t *loader, reading_t *reading)
{
    fabric_error_t error;
    do {
        error = read_end(reading);
        if (!error && !is_taken(reading)) {
            error = insert_adopt(loader, reading);
        }
    } while (error == FABRIC_ERROR_STORE_REJECTED && !connection_is_stopping(&loader->connection));
    return error == FABRIC_ERROR_STORE_REJECTED ? FABRIC_ERROR_SHUTTING_DOWN : error;
}

/* ---- the entries above the checkpoint ---- */

static fabric_error_t check_size(reading_t *reading, const store_entry_t *entry)
{
    reading->tail_bytes += entry->calls.size + entry->body.size;
    if (reading->tail_bytes <= reading->tail_bytes_max) {
        return FABRIC_OK;
    }
    reading->fault->number = entry->number;
    return reason_set(&reading->fault->reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                      "more than %" PRIu64 " bytes of journal stand above the checkpoint, entry "
                      "%" PRIu64 ": raise checkpoint_bytes_max",
                      reading->tail_bytes_max, reading->row.number);
}

static bool fold_entry(void *context, const store_entry_t *entry)
{
    reading_t *reading = context;
    if (entry->number > reading->end.number) {
        return false;
    }
    reading->error = check_size(reading, entry);
    if (!reading->error) {
        reading->fault->number = journal_fold_number(reading->fold) + 1;
        reading->error = journal_fold_entry(reading->fold, entry, &reading->fault->reason);
    }
    return reading->error == FABRIC_OK;
}

static fabric_error_t read_tail(reading_t *reading)
{
    uint64_t before = UINT64_MAX;
    uint64_t number = reading->row.number;
    reading->fold = journal_fold_new(reading->hold.lane, number);
    while (number < reading->end.number && number != before) {
        fabric_error_t error = reading->store->driver->read_journal(
            reading->store, reading->hold.lane, number + 1, STORE_ENTRY_ALL, PAGE_ENTRIES_MAX,
            PAGE_BYTES_MAX, fold_entry, reading);
        error = error ? error : reading->error;
        if (error) {
            return error;
        }
        before = number;
        number = journal_fold_number(reading->fold);
    }
    CRASH_POINT(ADOPT_READ);
    return number == reading->end.number
               ? FABRIC_OK
               : set_fault(reading, FABRIC_ERROR_STORE_LOST, number + 1,
                           "the entry is missing, and the journal goes on behind it");
}

/* ---- adoption ---- */

/* A successor may have purged what this broker, which it has deposed, looks for. */
static fabric_error_t judge_loss(reading_t *reading)
{
    fabric_error_t error = read_row(reading);
    return error ? error : FABRIC_ERROR_STORE_LOST;
}

static fabric_error_t adopt_once(const loader_t *loader, reading_t *reading, adoption_t *adoption)
{
    fabric_error_t error = read_row(reading);
    error = error ? error : take_lane(loader, reading);
    error = error ? error : read_tail(reading);
    error = error ? error : loader_find_rows(reading);
    error = error ? error : loader_count_rows(reading);
    error = error ? error : loader_count_scheduled(reading);
    error = error ? error : loader_list_kept(reading);
    error = error ? error : loader_list_outboxes(reading);
    error = error ? error : read_row(reading); /* a successor may have changed rows meanwhile */
    if (!error) {
        loader_put_together(reading, loader->config.lanes, adoption);
        CRASH_POINT(ADOPT_AFTER);
    }
    return error == FABRIC_ERROR_STORE_LOST ? judge_loss(reading) : error;
}

fabric_error_t loader_adopt(loader_t *loader, const store_hold_t *hold, adoption_t *adoption,
                            loader_fault_t *fault)
{
    fabric_error_t error;
    do {
        *fault = (loader_fault_t){.number = 0};
        reading_t reading = {
            .hold = *hold, .fault = fault, .tail_bytes_max = loader->config.tail_bytes_max};
        error = connection_require(&loader->connection);
        if (!error) {
            reading.store = loader->connection.store;
            error = adopt_once(loader, &reading, adoption);
        }
        loader_reading_clear(&reading);
    } while (connection_goes_on(&loader->connection, error));
    return error;
}

/* ---- loads ---- */

/* The row says who and where, whatever its body says. */
void loader_add_row(void *context, size_t range, const store_pending_t *row)
{
    (void)range;
    message_chain_t *chain = context;
    journal_record_t record = {.kind = RECORD_MESSAGE};
    bool is_sound = journal_record_decode(row->body, &record) == FABRIC_OK &&
                    record.kind == RECORD_MESSAGE && record.id.value == row->id.value &&
                    record.shard.value == row->shard.value;
    store_message_t unreadable = {.id = row->id,
                                  .shard = row->shard,
                                  .type = row->type,
                                  .entity = row->entity,
                                  .tag = row->tag,
                                  .deliver_at_ms = row->due_ms};
    journal_attempts_t attempts = {.attempts = row->attempts, .crashes = row->crashes};
    message_t *message =
        message_chain_add(chain, is_sound ? &record.message : &unreadable, attempts, NULL);
    message->position = row->position;
    message->entity_hash = row->entity_hash;
    message->has_row = true;
    CRASH_POINT(LOAD_INSIDE);
}

/* The key says when it is due, whatever the body says. */
void loader_add_scheduled(void *context, size_t range, const store_pending_t *row)
{
    message_chain_t *chain = context;
    loader_add_row(context, range, row);
    chain->last->stored.deliver_at_ms = row->due_ms;
}

fabric_error_t loader_load(loader_t *loader, uint32_t lane, const store_range_t *ranges,
                           size_t count, uint64_t bytes_max, message_chain_t *rows, size_t *done)
{
    connection_t *connection = &loader->connection;
    fabric_error_t error;
    *rows = (message_chain_t){0};
    do {
        message_chain_destroy(&rows->first);
        *rows = (message_chain_t){0};
        error = connection_require(connection);
        if (!error) {
            error = connection->store->driver->load_rows(connection->store, lane, ranges, count,
                                                         bytes_max, loader_add_row, rows, done);
        }
    } while (connection_goes_on(connection, error));
    if (error) {
        message_chain_destroy(&rows->first);
    }
    return error;
}

fabric_error_t loader_load_scheduled(loader_t *loader, uint32_t lane, store_due_key_t after,
                                     uint32_t limit, uint64_t bytes_max, message_chain_t *rows,
                                     bool *ended)
{
    connection_t *connection = &loader->connection;
    fabric_error_t error;
    *rows = (message_chain_t){0};
    do {
        message_chain_destroy(&rows->first);
        *rows = (message_chain_t){0};
        error = connection_require(connection);
        if (!error) {
            error = connection->store->driver->load_scheduled(connection->store, lane, after, limit,
                                                              bytes_max, loader_add_scheduled, rows,
                                                              ended);
        }
    } while (connection_goes_on(connection, error));
    if (error) {
        message_chain_destroy(&rows->first);
    }
    return error;
}
