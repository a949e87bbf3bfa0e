/* The router: the pure core of a broker. It keeps the mailboxes of the shards whose home this
 * broker is, hands messages to owners, and composes what its lanes' journals get. It knows no
 * socket, clock, thread or database. A shell (router_zmq.c) and the simulator feed it events, each
 * with the present time, and pull what it wants done.
 *
 * Time: `now_ms` is a monotonic clock in milliseconds, never smaller than in the call before.
 * Threading: a router belongs to one thread.
 *
 * Events in: frames, unreachable peers, time, answers of the store actors, decisions of the
 * coordinator.
 *
 * After any event, pull until nothing is left:
 *   1. outgoing messages, with router_next_outgoing, and frames for peers, with router_next_frame;
 *   2. lanes to adopt, with router_next_adoption, and to give up, with router_next_give_up; what
 *      lanes hold, with router_go_on;
 *   3. for each lane that is idle in this respect: batches with router_take_batch, slices with
 *      router_take_slice, loads with router_take_load, router_take_scheduled and
 *      router_take_outgoing, look-ups with router_take_lookup, searches with router_take_search;
 *   4. orders for the coordinator, with router_next_order;
 *   5. damages, crashes, parked entities and stuck runners for the log, with router_next_damage,
 *      router_next_crash, router_next_parked and router_next_runner_health.
 */
#ifndef BROKER_ROUTER_ROUTER_H
#define BROKER_ROUTER_ROUTER_H

#include "broker/adoption.h"
#include "broker/broker_proof.h"
#include "broker/key_page.h"
#include "broker/lane_batch.h"
#include "broker/message_record.h"
#include "broker/wanted_row.h"
#include "core/limits.h"
#include "core/message.h"
#include "core/shard_map.h"
#include "core/standing.h"
#include "core/store.h"

typedef struct router router_t;

typedef struct router_config {
    incarnation_t incarnation;
    uint32_t machine;
    uint64_t high_id;   /* the router makes larger ids only */
    uint64_t fenced_ms; /* when the process's incarnation before this one was fenced; 0: none was */
    uint64_t key_retention_ms; /* for how long a primary key stands after its message has ended */
    int64_t store_now_ms; /* the database's Unix time when router_new is called with its now_ms */
    uint8_t cluster_id[16];
    char cluster_name[256];
    uint32_t shards_per_group;
    uint32_t lanes;
    char name[256];
    char router_endpoint[256];
    char pub_endpoint[256];
    uint32_t lease_ms;
    uint32_t client_heartbeat_ms;
    uint32_t worker_heartbeat_ms;
    uint32_t unreachable_grace_ms; /* for a runner that cannot be reached to come back */
    /* The same for a runner with a supervisor, which has this time to report how the runner's
     * process ended. */
    uint32_t crash_report_grace_ms;
    uint32_t registration_ms;  /* how long after the first registration types are waited for */
    uint32_t release_grace_ms; /* for handlers of a shard that moves */
    uint32_t attempts_max;     /* defects of a durable message */
    uint32_t crashes_max;      /* worker processes that crash on a durable message */
    uint32_t backoff_ms, backoff_max_ms; /* the first and the longest wait after a defect */
    uint64_t pending_max;                /* durable messages that may be pending, in the store */
    uint64_t entity_pending_max;         /* the same of one entity */
    uint32_t entity_window;              /* durable messages of one entity in memory, about */
    uint32_t schedule_window;            /* scheduled messages of one lane in memory, about */
    uint64_t memory_bytes_max;           /* of all messages and calls in memory */
    uint64_t key_filter_bytes;           /* of the filters of all lanes: see key_list.h */
    /* Of persisted states in memory. Above it those are forgotten whose rows say what is known, and
     * the others take the memory of messages. */
    uint64_t state_bytes_free;
    uint32_t outgoing_window;      /* outgoing messages from one lane to another in memory */
    uint64_t outgoing_max;         /* outgoing messages of one lane that may be open, about */
    uint32_t batch_items_max;      /* messages, and ends, of one entry */
    uint64_t batch_bytes_max;      /* an entry ends with the record that brings it to this size */
    uint32_t checkpoint_ms;        /* from one checkpoint's beginning to the next one's */
    uint64_t checkpoint_bytes;     /* of journal, of all lanes: a checkpoint begins at once */
    uint64_t checkpoint_bytes_max; /* the same: new work is refused with BUSY */
    uint32_t slice_rows_max;       /* changes of rows in one slice: store_driver.slice_rows_max */
    uint32_t client_memory_ms;     /* how long calls of a client that is away are remembered */
    uint32_t peers_max;
} router_config_t;

/* Fills in all fields that have a default. */
void router_config_defaults(router_config_t *config);

router_t *router_new(const router_config_t *config, uint64_t now_ms);
void router_destroy(router_t **router);

/* ---- peers ---- */

/* A frame arrived on the ROUTER socket. The router keeps no view of it. */
void router_receive(router_t *router, fabric_bytes_t routing_id, fabric_bytes_t frame,
                    uint64_t now_ms);

/* A ZeroMQ message arrived that did not have two parts. */
void router_unreadable(router_t *router, fabric_bytes_t routing_id, uint64_t now_ms);

typedef struct router_frame {
    fabric_bytes_t routing_id;
    fabric_bytes_t bytes;
    uint32_t peer; /* handle for the answer */
} router_frame_t;
/* The next frame to send; false: there is none. Its views are valid until the frame is answered by
 * exactly one of the next three functions. */
bool router_next_frame(router_t *router, router_frame_t *frame);
void router_frame_sent(router_t *router, uint32_t peer);
/* The peer's pipe is full (EAGAIN). Nothing is offered for the peer until the next router_tick. */
void router_frame_blocked(router_t *router, uint32_t peer);
/* The peer does not exist any more (EHOSTUNREACH). */
void router_frame_unreachable(router_t *router, uint32_t peer, uint64_t now_ms);

/* ---- peers of other brokers ---- */

/* A client that is connected here may have no way to another broker: it sends RELAY, the mesh
 * carries the frame (broker/mesh), and the other broker's frames come back as RELAYED. An origin is
 * the connection of such a client. */
typedef struct router_relay {
    uint64_t origin;
    incarnation_t broker;
    fabric_bytes_t frame; /* points into the frame that router_receive has been given last */
} router_relay_t;
/* To be pulled after each router_receive: what is left then is dropped with the next frame. */
bool router_next_relay(router_t *router, router_relay_t *relay);
/* An origin that is gone. */
bool router_next_gone(router_t *router, uint64_t *origin);
/* A frame of another broker for the origin. */
void router_relayed(router_t *router, uint64_t origin, incarnation_t broker, fabric_bytes_t frame);
/* The origin has no way to that broker by way of this one any more. */
void router_relay_ended(router_t *router, uint64_t origin, incarnation_t broker,
                        fabric_error_t error, const char *text);
/* ---- outgoing messages ---- */

/* A message that a handler has told, for the home of its target. */
typedef struct router_outgoing {
    incarnation_t broker;
    message_outgoing_t message; /* its views are valid until the next call */
} router_outgoing_t;
/* To be pulled after each event. False: there is none. */
bool router_next_outgoing(router_t *router, router_outgoing_t *outgoing);
/* What was pulled last cannot be sent now. */
void router_outgoing_unsent(router_t *router, const message_outgoing_t *message, uint64_t now_ms);
/* The other broker's answer to what was sent. */
void router_outgoing_answered(router_t *router, incarnation_t broker,
                              const message_outgoing_answer_t *answer, uint64_t now_ms);
/* The connection to the broker is lost: what was sent, and is not answered, is sent again. */
void router_outgoing_lost(router_t *router, incarnation_t broker, uint64_t now_ms);

/* ---- members ---- */

/* The brokers that are members of the cluster, this one included or not: only these may say hello
 * as brokers, and their hellos have to prove it. The connections of others end. */
void router_members(router_t *router, const broker_credential_t *brokers, size_t count,
                    uint64_t now_ms);
/* The highest id that this broker has made or heard of. */
uint64_t router_high_id(const router_t *router);

/* ---- time ---- */

/* Time has passed. */
void router_tick(router_t *router, uint64_t now_ms);
/* When router_tick has to be called at the latest. */
uint64_t router_next_deadline(const router_t *router);
/* What the clock of this broker's machine says, which may jump: times of delivery are by it. Until
 * it is told, the database's time counts. */
void router_clock(router_t *router, int64_t unix_ms, uint64_t now_ms);

/* ---- lanes: adoption ---- */

/* The lanes that the store names this broker as holder of, as read with a renewal of the lease. A
 * lane under a new epoch is to be adopted. A lane that is not there any more, or under another
 * epoch, is dropped with all that depends on it. */
void router_lanes_held(router_t *router, const store_hold_t *holds, size_t count, uint64_t now_ms);
/* The next lane to adopt; false: there is none. */
bool router_next_adoption(router_t *router, store_hold_t *hold);
/* The lane is adopted. The router takes what the adoption owns, and leaves it empty. An adoption
 * under an epoch that is over is dropped. The lane's shards serve when everything in it is taken
 * over; what is more than a little is taken over by calls of router_go_on.
 *   1. Rows that are no messages become dead letters.
 *   2. The router makes ids above `last_id`: the clock that ids are made of may have gone back. */
void router_adopted(router_t *router, adoption_t *adoption, uint64_t now_ms);
/* Takes over more of an adoption, frees more of a lane that was dropped, or sends more of what
 * handlers have told, for some milliseconds. false: there was nothing more. */
bool router_go_on(router_t *router, uint64_t now_ms);
/* What stands in the lane cannot be read. The lane stays to be adopted: its shards do not serve,
 * and their callers are told why. */
void router_lane_damaged(router_t *router, uint32_t lane, uint64_t epoch, uint64_t now_ms);
/* Another broker has taken the lane: this broker's hold under the epoch is over, and so is what was
 * done under it. The lane is dropped, unless this broker has got a new hold of it meanwhile. What
 * was taken for the lane (a batch, a slice, a load, a look-up) stays valid until it is answered. */
void router_lane_fenced(router_t *router, uint32_t lane, uint64_t epoch, uint64_t now_ms);

/* ---- lanes: hand-over ---- */

/* The next lane to give up, for another broker; false: there is none. Nothing is appended under
 * this hold any more, but for a batch that may be under way. When the store actor's answer is
 * there, whatever it says, the hold is over: see router_lane_fenced. */
bool router_next_give_up(router_t *router, store_hold_t *hold, uint64_t now_ms);

/* ---- lanes: appends ---- */

/* How many records wait for the lane's next append. */
size_t router_waiting(const router_t *router, uint32_t lane);
/* Those of a few records that are messages which were delivered early, and their ends. */
typedef struct router_early {
    size_t messages, ends;
    size_t awaited; /* of the messages: their callers wait for nothing but results under way */
} router_early_t;
router_early_t router_early(const router_t *router, uint32_t lane);
/* The contents of the lane's next entry. NULL: there are none, or the last ones are not answered
 * yet. They are valid and constant until router_batch_done. */
const lane_batch_t *router_take_batch(router_t *router, uint32_t lane, uint64_t now_ms);
/* The answer to the batch of lane `number`. OK: the contents are durable, as entry `entry`, whose
 * calls and body have so many bytes. FENCED: another broker has taken the lane, and the contents
 * are not durable; see router_lane_fenced. */
void router_batch_done(router_t *router, uint32_t number, fabric_error_t error, uint64_t entry,
                       uint64_t bytes, uint64_t now_ms);
/* Whether the lane's database serves. While it does not, durable requests are refused at once with
 * the database's last words (`cause`; NULL if it serves). Lanes begin available. */
void router_lane_available(router_t *router, uint32_t lane, bool available, const char *cause);

/* ---- lanes: checkpoints ---- */

/* The next slice of a checkpoint of the lane. NULL: none is due, or the last one is not answered
 * yet. It is valid and constant until router_slice_done. */
typedef struct router_slice {
    store_hold_t hold;
    store_slice_t slice;
} router_slice_t;
const router_slice_t *router_take_slice(router_t *router, uint32_t lane, uint64_t now_ms);
/* The answer to the slice. OK: it is committed. FENCED: see router_lane_fenced. */
void router_slice_done(router_t *router, uint32_t lane, fabric_error_t error, uint64_t now_ms);

/* ---- lanes: loads ---- */

/* Rows to read for entities that have room in memory; one load at a time for each lane. */
typedef struct router_load {
    const store_range_t *ranges; /* valid until router_loaded */
    size_t count;
    uint64_t bytes_max;
} router_load_t;
bool router_take_load(router_t *router, uint32_t lane, router_load_t *load);
/* The rows, as store_driver.load_rows visits them, chained; the router takes them. `done`: how many
 * ranges were read to their ends. After an error there are none, and the router asks again. */
void router_loaded(router_t *router, uint32_t lane, fabric_error_t error, message_t *rows,
                   size_t done, uint64_t now_ms);

/* ---- lanes: schedules ---- */

/* Rows of scheduled messages to read, the next ones behind those in memory; one load at a time for
 * each lane, beside router_take_load. */
typedef struct router_scheduled {
    store_due_key_t after;
    uint32_t limit;
    uint64_t bytes_max;
} router_scheduled_t;
bool router_take_scheduled(router_t *router, uint32_t lane, router_scheduled_t *load);
/* The rows, as store_driver.load_scheduled visits them, chained; the router takes them. `ended`:
 * there are no more. After an error there are none, and the router asks again. */
void router_scheduled_loaded(router_t *router, uint32_t lane, fabric_error_t error, message_t *rows,
                             bool ended, uint64_t now_ms);

/* ---- lanes: searches ---- */

/* Messages to search for by their ids, whose rows come into memory by themselves; one search at a
 * time for each lane. */
typedef struct router_search {
    const wanted_row_t *wanted; /* valid until router_searched */
    size_t count;
} router_search_t;
bool router_take_search(router_t *router, uint32_t lane, router_search_t *search);
/* What loader_search has found, chained; the router takes it. After an error there is nothing. */
void router_searched(router_t *router, uint32_t lane, fabric_error_t error, message_t *found,
                     uint64_t now_ms);

/* ---- lanes: states of entities ---- */

/* Persisted states to read, as store_driver.load_states does; one read at a time for each lane. */
typedef struct router_states {
    const store_entity_name_t *names; /* valid until router_states_loaded */
    size_t count;
    uint64_t bytes_max;
} router_states_t;
bool router_take_states(router_t *router, uint32_t lane, router_states_t *read);
/* The rows that there are; the router takes the values, and the array stays the caller's. `done`:
 * as of load_states. After an error there are none, and the router asks again. */
void router_states_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                          state_value_t **values, size_t count, size_t done, uint64_t now_ms);

/* ---- lanes: events of entities ---- */

/* Events to read, as store_driver.load_events does; one read at a time for each lane. */
typedef struct router_events {
    const store_history_t *histories; /* valid until router_events_loaded */
    size_t count;
    uint64_t bytes_max;
} router_events_t;
bool router_take_events(router_t *router, uint32_t lane, router_events_t *read);
/* As loader_load_events reads them; the router takes the values, and the array stays the caller's.
 * After an error there are none, and the router asks again. */
void router_events_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                          events_value_t **values, size_t count, size_t done, uint64_t now_ms);

/* A part of an entity's events to read, as store_driver.load_events does; one at a time for each
 * lane. What was durable before it was taken, and in rows, must be visible to the read. */
typedef struct router_reading {
    const store_history_t *history; /* valid until router_reading_loaded */
    uint64_t bytes_max;
} router_reading_t;
bool router_take_reading(router_t *router, uint32_t lane, router_reading_t *read);
/* The events that there are, which stay the caller's. `done`: the history was read to its end, or
 * limit. After an error there are none. */
void router_reading_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                           events_value_t *const *values, size_t count, bool done, uint64_t now_ms);

/* ---- lanes: outgoing messages ---- */

/* Rows of outgoing messages to read, the next ones of one target lane, as
 * store_driver.load_outgoing does; one load at a time for each lane. */
typedef struct router_outgoing_load {
    uint32_t target_lane;
    store_outgoing_key_t after;
    uint32_t limit;
    uint64_t bytes_max;
} router_outgoing_load_t;
bool router_take_outgoing(router_t *router, uint32_t lane, router_outgoing_load_t *load);
/* The rows that there are, in order; the router takes them, and the array stays the caller's.
 * `ended`: there are no more. After an error there are none, and the router asks again. */
void router_outgoing_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                            outgoing_copy_t **messages, size_t count, bool ended, uint64_t now_ms);

/* ---- lanes: look-ups ---- */

/* A look-up of calls and of primary keys in the store, beside what the lanes append; one at a time
 * for each lane. What
 * was appended before the look-up was taken must be visible to it. */
typedef struct router_lookup {
    request_id_t floor;
    const call_key_t *calls; /* valid until router_lookup_done, as `keys` */
    size_t call_count;
    const store_key_name_t *keys; /* each once */
    size_t key_count;
    key_page_t page; /* of the lane's keys, to be read as well */
} router_lookup_t;
bool router_take_lookup(router_t *router, uint32_t lane, router_lookup_t *lookup);
/* To be called for each message of these calls that was found: its id and call; with its contents
 * where it is pending, with its reply where it has ended (`reply`, else NULL). `contents` is
 * journal_contents_hash of the message; 0: its record is damaged, and the contents are lost. */
typedef struct router_found {
    const store_message_t
        *message; /* of a message that has ended: id, shard, call and flags only */
    uint64_t contents;
    const store_reply_t *reply;
    uint64_t position; /* in the lane; 0: the message's id */
} router_found_t;
void router_lookup_found(router_t *router, uint32_t lane, const router_found_t *found);
/* The same for each of these primary keys that has a row. */
void router_lookup_key(router_t *router, uint32_t lane, const store_key_t *key);
/* The page was read, as store_driver.list_keys visits it; `ended`: there are no more keys. */
void router_lookup_listed(router_t *router, uint32_t lane, const store_key_name_t *names,
                          size_t count, bool ended);
/* To be called before the look-up is over, if it came to a bound: what may lie at or below `lost`
 * is purged or damaged, and the rest may be found another time. Without it all of it is lost. */
void router_lookup_cut_short(router_t *router, uint32_t lane, request_id_t lost);
/* The look-up is over. After an error its calls are refused with PERSISTENCE. After OK, all
 * messages above `reached` were looked through: a call that was not found and may lie below is
 * unknown. */
void router_lookup_done(router_t *router, uint32_t lane, fabric_error_t error, request_id_t reached,
                        uint64_t now_ms);

/* ---- the lease ---- */

/* The broker's lease: from `until_ms` on nothing is accepted or delivered. The same holds when the
 * router's ids have reached `id_mark`, up to which the store has reserved them. */
void router_lease(router_t *router, uint64_t until_ms, uint64_t id_mark);
/* An orderly stop begins, and is to be over in `drain_ms`. Other brokers take over the lanes one by
 * one; the lanes that are still held are served. */
void router_drain(router_t *router, uint32_t drain_ms, uint64_t now_ms);
/* Whether an operator has asked for a stop: the shell begins it with router_drain. */
bool router_drain_asked(const router_t *router);
/* The lanes of a broker that drains are handed over: its clients are told goodbye. Each says
 * goodbye in turn when it has the answers to what it has sent here. No client is welcomed any more.
 */
void router_farewell(router_t *router, uint64_t now_ms);
/* Whether all clients have said goodbye, or have been silent for long. */
bool router_is_left(const router_t *router);
/* No other broker can take over the lanes of this one, which drains: new requests are refused with
 * SHUTTING_DOWN, and workers are asked to give their shards back. */
void router_close(router_t *router, uint64_t now_ms);
/* Whether a stop is over: every lane was handed over, or no lane has anything to commit and no
 * shard has an owner any more. */
bool router_drained(const router_t *router);

/* ---- coordinator ---- */

typedef enum router_order_kind {
    ROUTER_ADMIT,         /* may the runner join with these types? router_admitted is the answer */
    ROUTER_RUNNER_JOINED, /* the runner was admitted and welcomed */
    /* The runner is gone, or wants to leave: it is to own no shards. It may not have joined yet. */
    ROUTER_RUNNER_LEFT,
    ROUTER_RUNNER_STANDING, /* the runner has another standing. It may not have joined yet */
    ROUTER_OWNER_CHANGED,   /* a type's part of the shard has another owner and a new token */
    ROUTER_LANE_ADOPTED, /* the lane is adopted under the epoch: its shards serve, without owners */
    ROUTER_LANE_DAMAGED, /* the lane cannot be adopted under the epoch; once for each epoch */
    ROUTER_LANE_NAMED,   /* the map names this broker as the holder of a lane under a new epoch */
    ROUTER_BROKER_STATE, /* a broker, this one included, drains or does not */
    ROUTER_OWNERS,       /* another broker tells the owners of its shards */
    /* This broker can send messages to the other one from now on, and nothing that it sent before
     * counts. */
    ROUTER_BROKER_REACHED,
    ROUTER_TYPE_CLOSED, /* `name`: no runner that brings the type is to be admitted */
    /* The type `name` is to be forgotten. `types`: in which epochs of the lanes nothing of it is
     * pending. router_forget_done is the answer. */
    ROUTER_TYPE_FORGET,
    ROUTER_TYPE_OPEN, /* the types are to be read; router_type_opened is the answer */
    ROUTER_HIGH_ID    /* the highest id so far, or that of the present time; every 200 ms */
} router_order_kind_t;

typedef struct router_order {
    router_order_kind_t kind;
    incarnation_t runner;       /* its public id. OWNER_CHANGED: none if there is no owner now */
    uint32_t weight;            /* ADMIT, RUNNER_JOINED */
    uint64_t app_version;       /* ADMIT */
    runner_standing_t standing; /* RUNNER_STANDING */
    /* ADMIT, RUNNER_JOINED: the runner's. OWNER_CHANGED, TYPE_...: the type's */
    char name[256];
    /* ADMIT: hello.types as sent, checked for form. TYPE_FORGET: see forgetting_state.h. The caller
     * that pulls the order calls free(). */
    uint8_t *types;
    size_t types_size;
    shard_id_t shard;     /* OWNER_CHANGED */
    token_t token;        /* OWNER_CHANGED */
    uint32_t lane;        /* LANE_ADOPTED, LANE_DAMAGED */
    uint64_t epoch;       /* LANE_ADOPTED, LANE_DAMAGED */
    uint64_t high_id;     /* HIGH_ID */
    uint64_t until_ms;    /* TYPE_FORGET: not later */
    incarnation_t broker; /* BROKER_STATE, OWNERS, BROKER_REACHED */
    bool draining;        /* BROKER_STATE */
    /* OWNERS: as sent. The caller that pulls the order calls free(). */
    uint8_t *owners;
    size_t owners_size;
} router_order_t;
bool router_next_order(router_t *router, router_order_t *order);

/* The answer to ROUTER_ADMIT: OK, or TYPE_CONFLICT, LIMIT_EXCEEDED or PERSISTENCE with a line of
 * text for the worker. */
void router_admitted(router_t *router, incarnation_t runner, fabric_error_t error, const char *text,
                     uint64_t now_ms);
/* An entity type is registered or has changed. At the start, each stored type is. The shards of its
 * group exist from now on. */
void router_type(router_t *router, uint16_t group, fabric_bytes_t description);
/* The type is not registered any more, as the store says. */
void router_type_forgotten(router_t *router, fabric_bytes_t name);
/* The answer to ROUTER_TYPE_FORGET: OK, or an error with a line of text. */
void router_forget_done(router_t *router, fabric_bytes_t name, fabric_error_t error,
                        const char *text);
/* The answer to ROUTER_TYPE_OPEN: router_type, or router_type_forgotten, was called for the type as
 * the store has it now. */
void router_type_opened(router_t *router, fabric_bytes_t name);
/* The first entity type of this cluster was registered so long ago, by the database's clock. */
void router_registered(router_t *router, uint64_t ago_ms, uint64_t now_ms);
/* `read`: this broker holds the term, and router_type was called for all types that are stored.
 * From now on it learns of each type first. Else it is about to store one, and other brokers may
 * learn of that first. */
void router_types_read(router_t *router, bool read);
/* router_type was called for all types that are stored, whoever holds the term: what comes later
 * was registered later. */
void router_types_listed(router_t *router);
/* The coordinator wants this runner, which brings the type, to own the type's part of the shard
 * (none: no runner). The router carries that out, as soon as it is the home of the shard's lane. It
 * forgets the wish when the lane is dropped. */
void router_desire(router_t *router, const char *type, shard_id_t shard, incarnation_t runner,
                   uint64_t now_ms);
/* The broker that holds the term, as the store says. That broker learns first which entity types
 * exist. */
void router_holder(router_t *router, incarnation_t broker);
/* A new map, as an encoded snapshot or delta, or another snapshot of the last version, for welcomes
 * and redirects. */
void router_map(router_t *router, fabric_bytes_t encoded);

/* ---- for people ---- */

typedef struct router_counters {
    uint64_t accepted;         /* durable messages committed */
    uint64_t ended;            /* final replies committed */
    uint64_t delivered;        /* deliveries sent */
    uint64_t delivered_early;  /* deliveries sent while their messages were being stored */
    uint64_t redelivered;      /* deliveries sent that were not the first of their message */
    uint64_t rejected;         /* requests refused */
    uint64_t volatile_handled; /* volatile messages answered */
    uint64_t cancelled;        /* messages that ended as their callers wanted */
    uint64_t results_refused;  /* of another token or activation, or out of order */
    uint64_t malformed;        /* frames and messages that could not be decoded */
    uint64_t refused;          /* hellos refused, and peers turned away */
    uint64_t overflowed;       /* peers dropped because they did not read what was sent to them */
    uint64_t dead_letters;
    uint64_t runner_deaths;  /* workers that crashed, or became unreachable and did not come back */
    uint64_t crashes;        /* of workers, counted for the messages on which they crashed */
    uint64_t entries;        /* appended to the journals of lanes */
    uint64_t pending;        /* durable messages that are accepted and have not ended, now */
    uint64_t stored;         /* those of them that only the store has, now */
    uint64_t scheduled;      /* those of them whose time has not come, now */
    uint64_t journal_bytes;  /* of entries that wait for a checkpoint of their lane, now */
    uint64_t checkpoints;    /* of lanes, settled */
    uint64_t loaded;         /* messages that were loaded from rows */
    uint64_t states_changed; /* results that have changed a persisted state */
    uint64_t states_given;   /* persisted states that owners were told */
    uint64_t events_appended;   /* by results that count */
    uint64_t histories_broken;  /* lacked an event when an activation was to begin */
    uint64_t damaged;           /* stored messages and replies that are none */
    uint64_t outgoing;          /* outgoing messages that have not ended, now, about */
    uint64_t outgoing_accepted; /* outgoing messages, by their targets' homes; that is durable */
    uint64_t outgoing_dead;     /* became dead letters */
    uint64_t outgoing_resent;   /* sent once more */
    uint64_t parked;            /* entities that wait for operators, now */
    uint64_t kept_alive;        /* entities that are kept alive, now */
    uint64_t kept_aside;        /* those of them that are not woken, since owners died of it, now */
    uint64_t kept_refused; /* said to be kept alive, beyond LIMIT_KEPT_ALIVE_MAX of their lane */
    uint64_t woken;        /* instances that owners were asked to make */

    /* Messages that were dropped without an answer. */
    uint64_t outdated;     /* messages on connections that are replaced or given up */
    uint64_t unidentified; /* messages of peers without a hello, which were asked who they are */
    uint64_t unexpected;   /* PONGs and RELEASED that the router does not wait for */
    uint64_t unsent;       /* messages, or frames, for peers that are gone or do not read */
    uint64_t abandoned;    /* volatile messages not delivered, as their clients had said goodbye */
} router_counters_t;
void router_counters(const router_t *router, router_counters_t *counters);

/* Protocol violations of peers, for the log. */
typedef struct router_violation {
    uint64_t count;       /* since the last call; the other fields are about the first violation */
    fabric_error_t error; /* what is wrong */
    char text[160];
    const char *role; /* "client", "worker", "broker" or "unidentified" */
    size_t routing_id_size;
    uint8_t routing_id[256];
} router_violation_t;
/* False: there was none since the last call. */
bool router_take_violation(router_t *router, router_violation_t *violation);

/* Messages that wait, or were refused, since no runner that is given shards brings their type. */
typedef struct router_unserved {
    uint64_t count;   /* since the last call */
    char type[256];   /* of the first of them */
    char runner[256]; /* that brings the type and is cordoned or drains; empty: none does */
} router_unserved_t;
/* False: there were none since the last call. */
bool router_take_unserved(router_t *router, router_unserved_t *unserved);

/* A runner that has more stuck executors, or fewer, than it had said before: `stuck` of them, the
 * first since `oldest_ms` ago. */
typedef struct router_runner_health {
    incarnation_t runner;
    char name[256];
    uint32_t executors;
    uint32_t stuck;
    uint64_t oldest_ms;
} router_runner_health_t;
bool router_next_runner_health(router_t *router, router_runner_health_t *health);

/* A damaged row. At most ROUTER_DAMAGES_MAX wait to be taken; the counter counts all. */
enum { ROUTER_DAMAGES_MAX = 16 };
typedef struct router_damage {
    request_id_t id;
    shard_id_t shard;
    char cause[200];
} router_damage_t;
bool router_next_damage(router_t *router, router_damage_t *damage);

typedef struct router_name {
    uint8_t size;
    uint8_t bytes[LIMIT_NAME_BYTES_MAX];
} router_name_t;

/* A worker process that crashed. A few of them wait to be taken; the counters count all. */
typedef struct router_crash {
    incarnation_t runner;
    char text[LIMIT_CRASH_TEXT_BYTES_MAX + 1]; /* how it ended */
    /* The message on which the process crashed; all 0 or empty if that is unknown. */
    request_id_t request_id;
    uint32_t crashes; /* on this message so far */
    router_name_t type;
    router_name_t entity;
    router_name_t tag;
} router_crash_t;
bool router_next_crash(router_t *router, router_crash_t *crash);

/* An entity that was parked, by its first message. As crashes. */
typedef struct router_parked {
    request_id_t request_id;
    uint32_t failures;
    router_name_t type;
    router_name_t entity;
    router_name_t tag;
} router_parked_t;
bool router_next_parked(router_t *router, router_parked_t *parked);

#endif
