/* What is watched of the events of entities: simulation_check_events.c (what is stored, and what
 * handlers begin with) and simulation_check_histories.c (rows, and who is told of events) share it.
 */
#ifndef TESTS_SIMULATION_SIMULATION_CHECK_EVENTS_H
#define TESTS_SIMULATION_SIMULATION_CHECK_EVENTS_H

#include "tests/checker/journal_decoder.h"
#include "tests/simulation/simulation_check_state.h"
#include "tests/simulation/simulation_processes.h"

/* An event as the journal has it; that with the place i has the sequence i + 1. */
typedef struct watched_event {
    uint32_t call, run, index;
    uint64_t chain; /* of all up to this one */
    uint64_t request_id;
    uint64_t number; /* of the entry */
    int64_t recorded_ms;
    bool last; /* of its message */
} watched_event_t;

/* What a home has given to an owner, as a whole. */
typedef struct watched_beginning {
    uint64_t epoch, sequence, chain;
} watched_beginning_t;

/* What a broker is giving. */
typedef struct watched_giving {
    bool open;
    token_t token;
    uint64_t activation, sequence, chain;
} watched_giving_t;

typedef struct watched_snapshot {
    uint64_t sequence, number; /* of its last event, and of the entry */
} watched_snapshot_t;

typedef struct watched_history {
    watched_event_t *all;
    size_t count, capacity;
    watched_snapshot_t *snapshots; /* in the journal's order */
    size_t snapshot_count, snapshot_capacity;
    watched_beginning_t *beginnings;
    size_t beginning_count, beginning_capacity;
    watched_giving_t givings[BROKERS_MAX];
    uint64_t rows, row_snapshot; /* that slices have written: events, and of the snapshot */
} watched_history_t;

extern watched_history_t histories[ENTITIES_MAX];

/* The payload of an event; false, and a failure: no handler has made it. */
bool check_event_decode(const char *where, fabric_bytes_t tag, uint64_t version,
                        fabric_bytes_t payload, ledger_event_t *event);
/* Whether the event with this sequence is that one. */
bool check_event_is(const watched_history_t *history, uint64_t sequence,
                    const ledger_event_t *event);
/* How many events there were as of an entry. */
uint64_t check_events_as_of(const watched_history_t *history, uint64_t number);
/* Whether the fold of the first so many events is this state. */
bool check_is_fold(const watched_history_t *history, uint64_t sequence, uint32_t handled,
                   uint64_t chain);
/* Decodes a snapshot; false, and a failure: it is none. */
bool check_snapshot_decode(unsigned entity, uint64_t version, fabric_bytes_t bytes,
                           ledger_t *state);

#endif
