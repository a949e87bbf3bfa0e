/* Outgoing messages: what an adoption finds in the journal and among rows, and reading rows. */
#include <stdlib.h>
#include <string.h>

#include "broker/store/loader_state.h"
#include "core/memory.h"

/* ---- adoption ---- */

static void add_outbox(void *context, const store_outbox_t *outbox)
{
    reading_t *reading = context;
    reading->outboxes = memory_reserve(reading->outboxes, reading->outbox_count + 1,
                                       &reading->outbox_capacity, sizeof *reading->outboxes);
    reading->outboxes[reading->outbox_count++] = *outbox;
}

fabric_error_t loader_list_outboxes(reading_t *reading)
{
    return reading->store->driver->list_outboxes(reading->store, reading->hold.lane, add_outbox,
                                                 reading);
}

static void copy_open(const reading_t *reading, uint32_t lanes, adoption_t *adoption)
{
    size_t count = 0;
    const store_outgoing_t *open = journal_fold_outgoing(reading->fold, &count);
    adoption->outgoing = count ? memory_allocate(count * sizeof(outgoing_copy_t *)) : NULL;
    adoption->outgoing_count = count;
    for (size_t i = 0; i < count; i++) {
        store_outgoing_t message = open[i];
        message.target_lane = shard_id_number(message.shard) % lanes;
        adoption->outgoing[i] = outgoing_copy_new(&message);
    }
}

static void copy_sent(const reading_t *reading, adoption_t *adoption)
{
    const store_outgoing_key_t *sent = journal_fold_sent(reading->fold, &adoption->sent_count);
    size_t bytes = adoption->sent_count * sizeof *sent;
    if (bytes > 0) {
        adoption->sent = memory_allocate(bytes);
        memcpy(adoption->sent, sent, bytes);
    }
}

void loader_take_outgoing(reading_t *reading, uint32_t lanes, adoption_t *adoption)
{
    copy_open(reading, lanes, adoption);
    copy_sent(reading, adoption);
    adoption->outboxes = reading->outboxes;
    adoption->outbox_count = reading->outbox_count;
    reading->outboxes = NULL;
}

/* ---- rows ---- */

static void keep_outgoing(void *context, const store_outgoing_t *row)
{
    loaded_outgoing_t *loaded = context;
    loaded->values = memory_reserve((void *)loaded->values, loaded->count + 1, &loaded->capacity,
                                    sizeof(outgoing_copy_t *));
    loaded->values[loaded->count++] = outgoing_copy_new(row);
}

void loaded_outgoing_clear(loaded_outgoing_t *loaded)
{
    outgoing_copies_clear(&loaded->values, &loaded->count);
    *loaded = (loaded_outgoing_t){0};
}

fabric_error_t loader_load_outgoing(loader_t *loader, uint32_t lane, const outgoing_range_t *range,
                                    loaded_outgoing_t *loaded)
{
    connection_t *connection = &loader->connection;
    fabric_error_t error;
    *loaded = (loaded_outgoing_t){0};
    do {
        loaded_outgoing_clear(loaded);
        error = connection_require(connection);
        if (!error) {
            store_t *store = connection->store;
            error = store->driver->load_outgoing(store, lane, range->target_lane, range->after,
                                                 range->limit, range->bytes_max, keep_outgoing,
                                                 loaded, &loaded->ended);
        }
    } while (connection_goes_on(connection, error));
    if (error) {
        loaded_outgoing_clear(loaded);
    }
    return error;
}
