/* What the checkers share: simulation_check.c (calls, runs, frames) and simulation_check_store.c
 * (what the store holds), simulation_check_ends.c (worker processes that end) only.
 */
#ifndef TESTS_SIMULATION_SIMULATION_CHECK_STATE_H
#define TESTS_SIMULATION_SIMULATION_CHECK_STATE_H

#include "core/journal/fold.h"
#include "core/message.h"
#include "tests/simulation/simulation_check.h"

typedef unsigned long long ull;

/* The state of an entity after the entries so far. */
typedef struct watched_entity {
    uint64_t last_id;    /* the position of a message that has ended */
    uint64_t handled_id; /* the same, of those that are no dead letters */
    token_t last_token;
    uint64_t last_sequence[CLIENTS_MAX];
    uint64_t submitted_us; /* the latest of those that have ended */
    /* The worker whose handler has just failed, or that could not build it; NULL: none. */
    const process_t *failed_at, *unbuilt_at;
    uint64_t failed_life, failed_us, unbuilt_life, unbuilt_us;
    const struct watched_call *unbuilt_for; /* waits in its home's memory; NULL: none does */
    uint32_t resumes_ordered, clears_ordered;
    uint64_t cleared_id, cleared_in; /* the id of the last clear, and its entry; 0: none */
} watched_entity_t;

/* A lane's journal as far as it was seen. */
typedef struct watched_lane {
    uint64_t number; /* of the last entry */
    uint64_t epoch;  /* of that entry, and who wrote it */
    incarnation_t writer;
    uint64_t log_bytes;
    uint64_t last_id;             /* the highest that an entry says */
    uint64_t known, known_before; /* the last ids that the last entry says, and the one before */
    uint64_t outgoing_id;         /* the last one */
    uint64_t last_move;           /* the last position of a message that came due */
    uint64_t told_number;         /* the last entry of which a home has heard */
    uint64_t checkpoint;          /* the rows are complete as of this entry */
    /* The last entry that was sent under the latest epoch, and the last one that may be, since the
     * lane was given up under that epoch. */
    uint64_t sent_epoch, sent_number;
    uint64_t left_epoch, left_number;
} watched_lane_t;

enum { CALLS_BY_ID_BITS = 14, CALLS_BY_ID = 1 << CALLS_BY_ID_BITS };

typedef struct watch {
    watched_call_t *calls;
    uint32_t call_count;
    watched_run_t *runs;
    uint32_t run_count;
    uint32_t *by_sequence[CLIENTS_MAX]; /* call + 1 */
    uint32_t by_id[CALLS_BY_ID];        /* call + 1, by the hash of the request id */
    uint32_t *by_key; /* call + 1 that has brought the message: of entity, then of key */
    uint32_t ended;
    uint32_t told, told_open; /* messages that handlers have told; that are stored, and not sent */
    uint64_t messages, ends;  /* in the journals */
    uint64_t commits;         /* of the store, when it was looked at last */
    watched_entity_t entities[ENTITIES_MAX];
    watched_lane_t lanes[SIMULATION_LANES_MAX];
    bool poisoned, poison_buried;
    uint32_t unserved; /* types in lanes that have been asked, and have not served yet */
} watch_t;

extern watch_t watch;

static inline bool check_is_durable(const watched_call_t *call)
{
    return (call->flags & REQUEST_DURABLE) != 0;
}

/* Whether the call's message is stored with a time that had not come when it was accepted, and
 * waits for it. */
static inline bool check_is_scheduled(const watched_call_t *call)
{
    return call->scheduled && call->moved_in == 0;
}

/* The call whose message answers this one: another one with the same primary key, or itself. */
uint32_t check_bringer(uint32_t call);
/* A message with a primary key is stored. */
void check_key_stored(uint32_t call, const uint8_t *key_hash);
/* simulation_check_alive.c: an entry says what keeps an entity alive; the rows of a lane are
 * complete as of `number`. */
void check_alive_stored(const store_entry_t *entry, const journal_record_t *record);
void check_alive_cleared(const store_entry_t *entry, const journal_record_t *record);
void check_alive_rows(uint32_t lane, uint64_t number);
void check_alive_free(void);
/* simulation_check_persisted.c: whether the call's entity has a persisted state. */
bool check_is_persisted(const watched_call_t *call);
/* A message has ended with a RESULT, which has left a state, or none. */
void check_state_stored(const store_entry_t *entry, const journal_record_t *record);
/* The broker gives a worker the state of an entity. */
void check_state_given(const process_t *broker, const message_entity_state_t *given);
/* A volatile call got the answer of a run. */
void check_state_seen(const watched_call_t *call);
/* The rows of a lane are complete as of `number`. */
void check_state_rows(uint32_t lane, uint64_t number);
/* At the end: what is stored of a lane, with the entries after its checkpoint folded. */
void check_states_at_end(uint32_t lane, const journal_fold_t *fold);
void check_states_free(void);
/* An entity by its names, also one that shows whether a lane is served; UINT32_MAX: there is none.
 */
unsigned check_entity_named(fabric_bytes_t type, fabric_bytes_t id);
/* The lane of an entity that has stored messages; UINT32_MAX: it has none. */
uint32_t check_lane_of(unsigned entity);
/* simulation_check_events.c: an entry is stored, whose records have been looked at otherwise. */
void check_events_stored(const store_entry_t *entry);
/* As check_state_given, of an entity that appends events, and the events behind. */
void check_snapshot_given(const process_t *broker, unsigned entity,
                          const message_entity_state_t *given);
void check_events_given(const process_t *broker, const message_entity_events_t *given);
/* As check_state_seen. */
void check_events_seen(const watched_call_t *call);
/* A broker tells the answer to a query, which may be one for events. */
void check_events_told(const process_t *broker, const message_answer_t *answer);
/* The rows of a lane are complete as of `number`. */
void check_event_rows(uint32_t lane, uint64_t number);
void check_events_at_end(void);
void check_events_free(void);
/* The run that an answer of this call comes from; 0, and a failure: none. */
uint32_t check_run_of_payload(fabric_bytes_t payload, uint32_t call);
/* simulation_check_early.c: whether the call's message may be handled before it is stored. */
bool check_is_early(const watched_call_t *call);
/* A broker delivers a durable message that is not stored. */
void check_delivered_early(const process_t *broker, const message_deliver_t *deliver);
/* A handler of a durable message begins. */
void check_early_run(const watched_call_t *call, uint32_t number, uint64_t request_id);
/* The answer of this run is stored as that to the message. */
void check_run_stored(const watched_call_t *call, uint32_t number, const watched_run_t *run);
/* At the end: counts the handlers of messages that never were stored. */
void check_count_unstored(void);
/* The durable call with this request id; UINT32_MAX: none is stored. */
uint32_t check_find_request(uint64_t id);
/* simulation_check_told.c: a message has ended with a RESULT, which has told others something, or
 * not. */
void check_told_with(const store_entry_t *entry, const journal_record_t *record);
/* A message is stored whose call key is of no client. Its call; UINT32_MAX: none. */
uint32_t check_told_accepted(const store_message_t *message);
/* A SENT is stored. */
void check_sent(const journal_record_t *record);
/* At the end: what is stored of a lane, with the entries after its checkpoint folded. */
void check_told_at_end(uint32_t lane, journal_fold_t *fold);
/* Forgets all worker processes. */
void check_ends_free(void);
/* What stands in the store when all calls have ended. */
void check_store_at_end(void);

/* A record says that a scheduled message has come due (simulation_check_schedules.c). */
void check_moved(const store_entry_t *entry, watched_call_t *call, uint64_t position);

/* ---- simulation_check_control.c ---- */

void check_control_begin(void);
void check_control_free(void);
void check_maps_at_end(void);
/* The last owner of a type's part of a shard by the broker's map; none: there was none. */
incarnation_t check_last_owner_in_map(const process_t *broker, unsigned type, unsigned shard);

/* ---- simulation_check_owners.c ---- */

void check_owners_begin(void);
void check_owners_free(void);
/* A broker sends ASSIGN, or WELCOME, to a worker. */
void check_assign(const process_t *broker, const channel_t *connection,
                  const message_assign_t *assign);
void check_welcome(const process_t *broker, const channel_t *connection);
/* ASSIGN has come to a worker. */
void check_assigned(const process_t *worker, const message_assign_t *assign);
/* Whether the home that has made this ownership may have taken a former owner for the last one, or
 * one before it may have, of which instances go on. */
bool check_is_blind(unsigned shard, token_t token);
/* The newest token that the broker has given out for a type's part of a shard. */
token_t check_newest_token(const process_t *broker, unsigned type, uint64_t shard);
/* Whether a type's part of a shard surely has an owner, by its home. */
bool check_is_owned(const process_t *home, unsigned type, unsigned shard);
/* A handler of the worker runs, for an entity of the type. */
void check_owner(const process_t *worker, unsigned type, uint64_t shard, token_t token);

#endif
