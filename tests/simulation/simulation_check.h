/* The invariants of the whole cluster, checked from outside: on every call from its submission to
 * its end, every run of a handler, every entry and row that the store applies, and every frame that
 * reports one.
 */
#ifndef TESTS_SIMULATION_SIMULATION_CHECK_H
#define TESTS_SIMULATION_SIMULATION_CHECK_H

#include "core/shard_map.h"
#include "broker/router/router.h"
#include "core/store.h"
#include "libfabric_client/src/call.h"
#include "tests/simulation/simulation_network.h"

#define CALLS_MAX    4096u
#define ENTITIES_MAX 512u
#define KEYS_MAX     1024u /* of an entity */

/* One call of a client. Its number is its index. */
typedef struct watched_call {
    uint64_t client; /* index */
    uint64_t sequence;
    unsigned entity;
    uint32_t flags;
    uint32_t defects; /* attempts that are to break */
    uint32_t fails;
    uint32_t key; /* its primary key, among those of the entity; 0: none */
    /* Shows whether a lane is served after the last fault, which was then; else 0. */
    uint64_t probe_us;
    bool kills;     /* the message is poison: it kills each worker that runs it */
    unsigned again; /* so often the call was sent again under its key after an unknown outcome */
    uint64_t submitted_us;
    uint64_t due_us;  /* when its message is due; 0: at once */
    bool scheduled;   /* its home has accepted it before that */
    uint64_t told_us; /* when the home heard that it is stored; 0: it has not */
    /* at its end */
    bool ended;
    fabric_error_t error;
    uint64_t ended_us;
    uint64_t run;  /* the run that the caller was told of; 0: none */
    bool answered; /* as cancelled, by a broker that had taken it for good */
    /* in the store */
    uint64_t request_id; /* 0: not there */
    uint32_t lane;
    uint64_t position; /* in its lane: the request id, until it comes due */
    uint64_t moved_in; /* the entry with its new position; 0: none */
    uint64_t begun_in; /* the entry with the message */
    bool stored_late;  /* its key was looked up until it had ended for its caller */
    uint64_t ended_in; /* the entry with its end; 0: none */
    bool buried;       /* that end is a dead letter */
    bool dead_row;     /* and has a row as such */
    bool replied;
    uint64_t reply_run;
    uint64_t reply_order; /* among all replies */
    uint8_t reply_status;
    uint32_t reply_error;
    /* of failures: those that its handler has, in this order, each time until its entity has been
     * resumed so often; and those that are counted since it was resumed */
    uint32_t deaths; /* of workers, behind its defects */
    uint32_t heals;
    uint32_t attempts;
    uint32_t crashes;
    uint32_t resumed;
    uint64_t counted_epoch; /* under which the counts were stored, and in which entry */
    uint64_t counted_in;
    uint32_t broken, broken_now; /* the largest number of an attempt that broke; since resumed */
    bool broke;                  /* its last handler broke, and then also the next four: */
    uint64_t broke_request;      /* that its message was then; it may never be stored */
    token_t broke_token;
    uint64_t broke_us, broke_activation;
    uint64_t activation, activation_epoch; /* of its last delivery */
    token_t token;                         /* the newest of its handlers */
    /* of cancels */
    bool cancels;   /* its caller has cancelled it */
    bool cancelled; /* and so it has ended, in the store; then also the next two: */
    uint64_t epoch; /* under which that, or a clear that has ended it, was written */
    bool cleared;
    bool undelivered; /* no worker was given it before */
    bool delivered;   /* to a worker, at least once */
    /* of handlers */
    uint32_t runs;
    /* of a message that a handler has told another entity */
    uint32_t teller; /* the run; 0: a client has sent it */
    uint32_t told_index;
    uint32_t depth;       /* 1: it was told by the handler of a client's message */
    uint64_t outgoing_id; /* 0: no end is stored that has it */
    bool sent;            /* its home has stored that it was accepted */
} watched_call_t;

/* One run of a handler. Its number is its index; 0 is none. */
typedef struct watched_run {
    uint32_t call;
    uint64_t request_id;
    token_t token;    /* under which its message was delivered, and then as its result said */
    uint32_t handled; /* of the state that it has left, with the next one */
    uint64_t chain;
    uint32_t told; /* messages to other entities */
    bool timely;   /* its result came to a broker under the present token */
    bool stale;    /* its result came only to brokers that had given the shard a newer token */
} watched_run_t;

void check_begin(void);
void check_free(void);

/* A new call's number. */
uint32_t check_call(unsigned client, unsigned entity, uint32_t flags);
watched_call_t *check_watched(uint32_t call);
uint32_t check_call_count(void);
void check_submitted(uint32_t call, uint64_t sequence);
void check_ended(uint32_t call, const call_t *ended);
/* Whether this call, which begins now, is to be the seed's poison message. */
bool check_poisons(uint32_t call);
/* The caller of the call cancels it. */
void check_cancels(uint32_t call);
/* So many types in lanes are asked whether they are served. */
void check_probes(uint32_t count);
/* A call whose outcome is unknown will be sent again. */
void check_again(uint32_t call);

/* A handler begins. The run's number. */
uint32_t check_run(uint32_t call, process_t *worker, uint64_t request_id, token_t token);
const watched_run_t *check_watched_run(uint32_t run);
/* The instance that handles the call has handled this request under an earlier home. */
void check_outlived(uint32_t call, uint64_t request_id);
/* The handler's attempt breaks. */
void check_broke(uint32_t run, uint32_t attempt);
/* On what an instance handles a message, and how. */
typedef struct instance_run {
    uint32_t entries;  /* messages that it has handled before */
    uint32_t delivery; /* of the message, as far as its home knows */
    bool failed;       /* the answer is a failure */
} instance_run_t;
void check_handled(uint32_t run, const process_t *worker, instance_run_t how);
/* Whether the call's message changes what is stored of its entity's state, if it counts: not each
 * durable one does. */
bool check_changes_state(uint32_t call);
/* The same of the stored message with this request id, of a type whose states are stored. */
bool check_leaves_any_state(uint64_t request_id);
/* The same, which appends events; and its call. */
bool check_appends_any(uint64_t request_id);
uint32_t check_call_of(uint64_t request_id);
/* The chain with one more request. */
uint64_t check_chain(uint64_t chain, uint64_t request_id);
/* The run has left its entity with this state, as long as it counts. */
void check_leaves_state(uint32_t run, uint32_t handled, uint64_t chain);
/* Whether the entity appends events, and how many with the call's message. */
bool check_has_events(unsigned entity);
uint32_t check_events_of(uint32_t call);
/* The chain with one more event. */
typedef struct ledger_event ledger_event_t;
uint64_t check_event_chain(uint64_t chain, const ledger_event_t *event);
/* The run begins on this state of its entity, with the first message of an instance or not. */
void check_begins_with(uint32_t run, uint32_t handled, uint64_t chain, bool first);
/* A slice of a lane is written. */
void check_event_slice(uint32_t lane, const store_slice_t *slice);
/* What stands in the store, with the entries above the checkpoints, has all events so far. */
void check_events_stand(void);
/* What a broker is about to send is looked at, and then cannot be sent: it will be again. */
void check_events_frame_begins(void);
void check_events_frame_blocked(void);
/* A reader of an entity's events gets an answer to a query behind `*after`, which is moved on;
 * `*more`: there are more. */
void check_events_read(unsigned entity, fabric_bytes_t document, uint64_t *after, bool *more);
/* How many events the entity has. */
uint64_t check_event_count(unsigned entity);
/* Reads a result of any kind; false: the message is none. */
bool check_get_result(wire_reader_t *body, message_kind_t kind, message_result_t *result);
/* How many messages the handlers of the call's message tell others, and whom. */
uint32_t check_tells(uint32_t call);
unsigned check_told_entity(uint32_t call, uint32_t index);
/* Whether there is room for more of them. */
bool check_may_tell(void);
/* The run tells the entity something. Its number among the calls. */
uint32_t check_tell(uint32_t run, unsigned entity);
/* An instance of the entity cannot be built. */
void check_unbuilt(fabric_bytes_t type, fabric_bytes_t id, const process_t *worker);
/* An instance of the entity is to be built. */
void check_build(fabric_bytes_t type, fabric_bytes_t id, const process_t *worker);
/* Whether the entity is parked, by the store. */
bool check_is_parked(unsigned entity);
/* An operator is about to resume the entity. */
void check_resume_ordered(unsigned entity);
/* An operator is about to clear it. */
void check_clear_ordered(unsigned entity);
/* The position of a request, as far as the store was seen. */
uint64_t check_position_of(uint64_t request_id);
/* An instance of the call's entity handles the request at position `id` under the token next after
 * the one at `last_id`: no other instance may have handled one in between, unless a home could not
 * know that there was one (decision 20). */
void check_no_gap(uint32_t call, token_t token, uint64_t last_id, uint64_t id);

/* A worker's process begins, is known as this runner, and ends; `culprit`: the request whose
 * handler ends it, 0: none does. Its connections still stand. */
void check_worker_began(const process_t *worker, incarnation_t runner);
void check_worker_ended(const process_t *worker, incarnation_t runner, uint64_t culprit);
/* A broker has counted a crash, or noted one of which nobody knows the cause. */
void check_crash_counted(const process_t *broker, const router_crash_t *crash);

/* Frames, as they leave and arrive. */
void check_broker_sends(process_t *broker, const channel_t *connection, fabric_bytes_t frame);
void check_broker_receives(process_t *broker, fabric_bytes_t frame);
void check_worker_sends(fabric_bytes_t frame);
void check_worker_receives(const process_t *worker, fabric_bytes_t frame);

/* Whether the frame that a broker sends tells the worker, behind the message that is looked at,
 * that this request is to end. */
bool check_is_interrupted(uint64_t request_id);

/* The store may have changed: looks at what is new. */
void check_store(void);
/* A broker sends these entries to the store. */
void check_append_sent(const store_entry_t *entries, size_t count);
/* A broker is about to give up a lane: it appends nothing more, but for a batch under way. */
void check_gives_up(const store_hold_t *hold, bool is_appending);
/* The store says that it has written these entries just now. */
void check_appended(const store_entry_t *entries, size_t count);

/* A home hears that an entry is durable. */
void check_told(uint32_t lane, uint64_t entry);

/* A coordinator has changed the store under its term; a lane's row was `before`. */
void check_coordinator_writes(const char *what, uint64_t term, incarnation_t holder);
void check_lane_assigned(const store_hold_t *before);
/* The router of a broker gets a map. */
void check_map(const process_t *broker, map_version_t version, fabric_bytes_t bytes);
/* A frame leaves a client or a worker. */
void check_peer_sends(const process_t *peer, size_t dealer, fabric_bytes_t frame);

/* Whether all calls have ended and all messages of the store too. */
bool check_is_settled(void);
/* How often a call or a message has ended. */
uint64_t check_ends(void);
/* Checks what must hold after the end. */
void check_final(void);

#endif
