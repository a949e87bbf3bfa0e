/* The loader: takes lanes and reads what stands in them, and reads rows of messages that memory had
 * no room for.
 *
 * Adoption of a lane, in this order:
 *   1. The lane's row must name this broker under the epoch. From then on no other broker's
 *      checkpoint can change rows of the lane.
 *   2. The ADOPT entry goes to the end of the journal; where that number is taken, the end is read
 *      again. From then on no other broker's append succeeds, so the journal is whole.
 *   3. The entries above the checkpoint are read up to the ADOPT entry, and folded.
 *   4. The rows are counted, and those that the entries overrule are found. Nothing else is read of
 *      them. Nobody changes them meanwhile: they are as the last checkpoint left them.
 * Everything but the ADOPT entry only reads, and an ADOPT entry of the same holder that is the last
 * one already is good enough: so an adoption may end anywhere and be repeated, by this broker or by
 * the next holder.
 *
 * Threading: belongs to one thread at a time.
 */
#ifndef BROKER_STORE_LOADER_H
#define BROKER_STORE_LOADER_H

#include "broker/adoption.h"
#include "broker/store/connection.h"

typedef struct loader_config {
    connection_config_t connection;
    uint32_t lanes;          /* of the cluster */
    const char *name;        /* of the broker, for ADOPT entries */
    uint64_t tail_bytes_max; /* of entries above the checkpoint of one lane, which are in memory */
} loader_config_t;

typedef struct loader {
    connection_t connection;
    loader_config_t config;
} loader_t;

/* Why a lane cannot be adopted. */
typedef struct loader_fault {
    uint64_t number; /* the entry in question */
    reason_t reason;
} loader_fault_t;

void loader_init(loader_t *loader, const loader_config_t *config, const store_world_t *world);
void loader_clear(loader_t *loader);

/* Adopts the lane. OK: `adoption` is the caller's. FENCED: another broker holds the lane.
 * SHUTTING_DOWN. With a fault, after which an operator decides: STORE_LOST (an entry is missing),
 * MALFORMED_MESSAGE (an entry cannot be read), LIMIT_EXCEEDED (too many bytes above the
 * checkpoint). */
FABRIC_MUST_USE fabric_error_t loader_adopt(loader_t *loader, const store_hold_t *hold,
                                            adoption_t *adoption, loader_fault_t *fault);

/* Reads rows as store_driver.load_rows, chained. The contents of a row that cannot be read are
 * missing, and its flags are 0: it is no message. SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t loader_load(loader_t *loader, uint32_t lane,
                                           const store_range_t *ranges, size_t count,
                                           uint64_t bytes_max, message_chain_t *rows, size_t *done);
/* The same of scheduled messages, as store_driver.load_scheduled. */
FABRIC_MUST_USE fabric_error_t loader_load_scheduled(loader_t *loader, uint32_t lane,
                                                     store_due_key_t after, uint32_t limit,
                                                     uint64_t bytes_max, message_chain_t *rows,
                                                     bool *ended);

/* Persisted states, as store_driver.load_states. */
typedef struct loaded_states {
    state_value_t **values; /* an array of the caller's, as are the values */
    size_t count, capacity;
    size_t done;
} loaded_states_t;
/* The same of states. SHUTTING_DOWN: there are none. */
FABRIC_MUST_USE fabric_error_t loader_load_states(loader_t *loader, uint32_t lane,
                                                  const store_entity_name_t *names, size_t count,
                                                  uint64_t bytes_max, loaded_states_t *states);
void loaded_states_clear(loaded_states_t *states);

/* Events, as store_driver.load_events: history by history, in the order of their sequences. A
 * history that was not read to its end goes on behind the last one of its values. */
typedef struct loaded_events {
    events_value_t **values; /* an array of the caller's, as are the values */
    size_t count;
    size_t done; /* histories that were read to their ends, or limits */
} loaded_events_t;
/* SHUTTING_DOWN: there are none. */
FABRIC_MUST_USE fabric_error_t loader_load_events(loader_t *loader, uint32_t lane,
                                                  const store_history_t *histories, size_t count,
                                                  uint64_t bytes_max, loaded_events_t *events);
void loaded_events_clear(loaded_events_t *events);

/* Which rows of outgoing messages: those to one target lane behind a key. */
typedef struct outgoing_range {
    uint32_t target_lane;
    store_outgoing_key_t after;
    uint32_t limit;
    uint64_t bytes_max;
} outgoing_range_t;
/* Outgoing messages, as store_driver.load_outgoing. */
typedef struct loaded_outgoing {
    outgoing_copy_t **values; /* an array of the caller's, as are the values */
    size_t count, capacity;
    bool ended; /* there are no more */
} loaded_outgoing_t;
/* SHUTTING_DOWN: there are none. */
FABRIC_MUST_USE fabric_error_t loader_load_outgoing(loader_t *loader, uint32_t lane,
                                                    const outgoing_range_t *range,
                                                    loaded_outgoing_t *loaded);
void loaded_outgoing_clear(loaded_outgoing_t *loaded);

#endif
