/* The router's inside: the structs that its files share. See router.h for what the router is.
 *
 *   router_peers.c    connections: routing ids, frames on their way out, who is alive
 *   router_violation.c  what peers did that they must not do
 *   router_hello.c    handshakes of clients and workers
 *   router_door.c     requests: checks, then into a lane or (volatile) into a mailbox
 *   router_calls.c    what is remembered of clients' calls, to answer resends
 *   router_lookup.c   calls that have to be looked up in the store first
 *   router_batch.c    what the lanes commit, and what follows from a commit
 *   router_mailbox.c  entities' queues and their dispatch to owners
 *   router_result.c   results of workers
 *   router_unserved.c messages that their owner does not take: pauses, and the reason for people
 *   router_rows.c     damaged rows
 *   router_suspects.c messages that were in flight to workers that died: company, attempts, dead letters
 *   router_shards.c   homes and owners: tokens, hand-over, loss
 *   router_status.c   answers to queries
 */
#ifndef BROKER_ROUTER_ROUTER_STATE_H
#define BROKER_ROUTER_ROUTER_STATE_H

#include "broker/router/router.h"
#include "core/limits.h"
#include "core/snowflake.h"
#include "core/type_description.h"

/* ---- peers ---- */

typedef struct out_frame {
    struct out_frame *next;
    wire_writer_t writer;
} out_frame_t;

typedef struct client client_t;
typedef struct runner runner_t;
typedef struct entity entity_t;
typedef struct shard shard_t;

typedef struct peer {
    uint8_t routing_id[256];
    size_t routing_id_size;
    uint32_t handle; /* index in router->peers */
    uint64_t heard_ms;
    client_t *client; /* at most one of these two is set: neither before hello */
    runner_t *runner;
    bool retired; /* a newer connection of the same peer took over: only a hello counts */
    unsigned
        closing; /* ticks until it is removed, as it does not read or is one too many; 0: it is not */
    bool map_due; /* it wants the map */
    bool blocked; /* EAGAIN: not offered until the next tick */
    bool offered; /* in the list of peers with frames to send */
    struct peer *next_offered;
    out_frame_t *first, *last; /* frames to send; the last one may still grow */
    size_t queued_bytes;       /* of these frames */
    size_t last_bytes;         /* of these, those of the last one */
    UT_hash_handle by_routing_id;
} peer_t;

/* ---- clients and their calls ---- */

typedef enum call_state {
    CALL_NONE,
    CALL_WAITING, /* being looked up, or held behind one that is */
    CALL_OPEN,    /* given to a lane, or accepted */
    CALL_ENDED,   /* its reply is durable */
    CALL_REFUSED  /* finally rejected */
} call_state_t;

typedef struct call {
    uint64_t sequence;
    message_t *message; /* OPEN, ENDED */
    call_state_t state;
    fabric_error_t error; /* REFUSED */
    uint64_t deadline_ms; /* WAITING, OPEN: when its caller is told how far it has come; 0: never */
} call_t;

struct client {
    uint64_t number;
    incarnation_t
        incarnation; /* a secret between the client and its brokers: it leaves this struct for nobody */
    uint64_t connection;
    peer_t *peer; /* NULL: away */
    uint64_t away_since_ms;
    struct client *away_prev, *away_next; /* of router->away, while it is away */
    uint64_t bytes;                       /* what is remembered of it and its calls */
    bool hears_waits;                     /* it asked, on this connection, why its calls wait */
    uint64_t waits_sequence;              /* of that query */
    uint64_t settled;                     /* calls below are forgotten */
    uint64_t deadline_ms;                 /* when one of its calls may be at its deadline */
    uint32_t
        life; /* grows with each goodbye and each new process: volatile calls of an earlier one are nobody's */
    call_t *calls;                     /* ring: sequence modulo capacity */
    uint64_t capacity;                 /* power of two */
    size_t lookups;                    /* of its calls, on all lanes */
    size_t settled_early;              /* messages of its in lanes that it has settled on */
    message_t *waiting, *waiting_last; /* chained: looked up or held, in order of arrival */
    UT_hash_handle by_number;
};

/* ---- runners, shards, entities ---- */

typedef enum runner_state {
    RUNNER_ADMITTING, /* the coordinator is asked */
    RUNNER_JOINED,
    RUNNER_MISSING, /* unreachable; may come back within the grace time */
    RUNNER_LEAVING  /* said bye; gives its shards back */
} runner_state_t;

struct runner {
    incarnation_t incarnation; /* its public one: its hello's is a secret, and kept nowhere */
    uint64_t connection;
    peer_t *peer;
    runner_state_t state;
    uint64_t missing_until_ms;
    uint64_t next_ping_ms;
    uint32_t weight;
    uint32_t window;
    uint32_t outstanding; /* deliveries without result */
    uint32_t shards;      /* owned or being released */
    uint32_t wave;    /* of deliveries: earlier ones are nobody's company, see router_suspects.c */
    uint32_t company; /* outstanding deliveries of this wave */
    uint32_t few;     /* of these, of messages that want few others */
    message_t *alone; /* this wave's message that wants no others: in flight, or about to be */
    uint64_t delivered_ms; /* the last delivery */
    bool unreachable;      /* its connection is gone: when it does not come back, it has died */
    bool died;
    message_t *culprit; /* DIED: what was in flight alone, or NULL */
    char name[256];
    wire_writer_t
        types; /* the names of the types that it brings, each after a byte with its size */
    entity_t *waiting, *waiting_last; /* entities that wait for credit */
    UT_hash_handle by_incarnation;
};

typedef enum shard_state {
    SHARD_FOREIGN, /* another broker is its home, or none */
    SHARD_LOADING, /* we are; its messages are being read */
    SHARD_UNOWNED, /* no runner */
    SHARD_OWNED,
    SHARD_RELEASING /* its owner was asked to give it back */
} shard_state_t;

struct shard {
    shard_id_t id;
    shard_state_t state;
    token_t token;
    incarnation_t desired; /* by the coordinator; none: nobody */
    runner_t *owner;       /* OWNED, RELEASING */
    uint64_t release_deadline_ms;
    uint64_t activations; /* last number given */
    entity_t *entities;   /* that have messages */
    shard_t *prev, *next; /* list of shards that are being released */
};

struct entity {
    shard_t *shard;
    message_t *queue;  /* accepted messages in order, those in flight and with results included */
    message_t *cursor; /* first QUEUED one, or NULL */
    uint32_t in_flight;
    uint32_t queued_volatile;
    uint32_t volatile_results; /* in state RESULT: they wait for commits of results before them */
    uint32_t refusals;   /* times in a row that the present owner did not take what it was sent */
    uint32_t pending;    /* durable messages, those in a lane included */
    uint64_t activation; /* under which its next message is delivered */
    uint64_t not_before_ms;
    uint8_t delay_level; /* which list of router->delayed it is in, + 1; 0: none */
    bool unserved; /* of the refusals the last one, because the owner does not bring the type */
    bool draining; /* after a defect: nothing is delivered until all in flight came back */
    bool solitary; /* what is in flight wants nothing else in flight */
    bool waits_for_credit;
    entity_t *prev, *next;                 /* of its shard */
    entity_t *delayed_prev, *delayed_next; /* of router->delayed */
    entity_t *credit_next;                 /* of runner->waiting */
    UT_hash_handle by_name;
    uint16_t name_size;
    uint8_t name[]; /* size of type, type, id: see entity_name */
};

/* ---- lanes ---- */

typedef struct batch_builder {
    const store_message_t **messages;
    size_t message_count, message_capacity;
    const store_reply_t **replies;
    size_t reply_count, reply_capacity;
    store_attempt_t *attempts;
    size_t attempt_count, attempt_capacity;
    store_dead_letter_t *dead_letters;
    size_t dead_letter_count, dead_letter_capacity;
} batch_builder_t;

typedef struct lookup_item {
    message_t *message;
    client_t *client;
    bool found;
    bool ended;    /* found with a reply, which is then in message->reply */
    bool conflict; /* found with other contents */
} lookup_item_t;

typedef struct lookup {
    lookup_item_t *items;
    call_key_t *calls; /* of the items, in the same order */
    size_t count, capacity;
    uint64_t floor;
    bool running;
} lookup_t;

typedef struct lane {
    bool available;
    reason_t cause; /* why it is not, for callers; empty while it is */
    bool running;
    batch_builder_t next;    /* filling up */
    batch_builder_t current; /* being committed */
    store_batch_t batch;
    bool batch_is_mark;         /* it carries nothing but a new low-water mark */
    message_t *oldest, *newest; /* all that have an id and have not ended */
    lookup_t lookup_next, lookup_current;
} router_lane_t;

/* ---- types ---- */

typedef struct known_type {
    char name[256];
    type_description_t *description;
    uint16_t group;
    uint32_t index; /* 0, 1, ... in the order of router->types; at most LIMIT_TYPES_MAX - 1 */
    UT_hash_handle by_name;
} known_type_t;

enum {
    DELAY_LEVELS = 12,  /* lists of entities that wait, one for each length of wait */
    ENTITY_WINDOW = 16, /* messages of one entity in flight */
    ID_AHEAD_MS = 1000, /* how far an id that was not made here may be above the time */
    NOT_TAKEN_DELAY_MS = 50
};

/* Maps and documents that are made within one tick, at most: they are long, and asking for them is cheap. */
enum { DOCUMENTS_PER_TICK = 64 };

typedef struct order_item {
    struct order_item *next;
    router_order_t order;
} order_item_t;

struct router {
    router_config_t config;
    uint64_t started_ms;
    uint64_t now_ms;
    uint64_t last_tick_ms;
    uint64_t last_sweep_ms;
    uint64_t lease_until_ms;
    incarnation_t holder; /* of the term, and so the home of all shards; none: not known yet */
    bool draining;
    snowflake_generator_t generator;
    router_counters_t counters;

    peer_t **peers;
    uint32_t peer_capacity, peer_count;
    peer_t *peers_by_routing_id;
    peer_t *offered, *offered_last;
    out_frame_t *spare_frames;
    uint32_t spare_count;

    uint64_t queued_bytes; /* of frames for all peers */
    uint32_t documents;    /* made since the last tick */
    router_violation_t violation;
    router_unserved_t unserved;

    client_t *clients;
    client_t *away; /* those of them that are not connected, longest first */
    uint64_t client_bytes;
    runner_t *runners;
    known_type_t *types;

    shard_t *groups[LIMIT_GROUPS_MAX]; /* shards_per_group each, or NULL */
    shard_t *releasing;
    entity_t *entities;
    entity_t *delayed[DELAY_LEVELS];
    message_t *messages_by_id;

    router_lane_t lanes[LIMIT_LANES_MAX];
    uint64_t held;          /* messages in clients' lists of waiting ones */
    uint64_t message_bytes; /* of all messages in messages_by_id */
    bool loading;           /* shards are ours whose messages are not all here: no mark is known */
    uint64_t mark;
    uint64_t mark_ms;
    uint64_t high_id_stored; /* in a writer row: the next home of our shards begins above it */
    uint64_t idle_batches;   /* counters.batches after the last batch that was a mark only */

    shard_map_t *map;
    order_item_t *orders, *orders_last;
    router_damage_t damages[ROUTER_DAMAGES_MAX];
    size_t damage_count;
    wire_writer_t scratch;
};

/* ---- router_peers.c ---- */
peer_t *peer_find(router_t *router, fabric_bytes_t routing_id);
/* NULL: for nobody. A peer beyond peers_max is refused, and closing. */
peer_t *peer_find_or_add(router_t *router, fabric_bytes_t routing_id);
/* Where the next message to the peer is to be put. Never NULL; for a peer that holds too much the peer is forgotten at the next
 * tick and the message goes nowhere. */
wire_writer_t *peer_writer(router_t *router, peer_t *peer);
void peer_remove(router_t *router, peer_t *peer);
/* Whoever it was is not connected by it any more. */
void peer_detach(router_t *router, peer_t *peer);
void peers_sweep(router_t *router);
void peers_destroy(router_t *router);
/* Sends the map to a peer that wants it, now or at one of the next ticks. */
void peer_send_map(router_t *router, peer_t *peer);
/* Whether one more long document may be made in this tick. */
bool document_allowed(router_t *router);

/* ---- router_violation.c ---- */
void violation(router_t *router, const peer_t *peer, fabric_error_t error, const char *text);

/* ---- router_hello.c ---- */
void hello_received(router_t *router, peer_t *peer, const message_hello_t *hello);
void peer_refuse(router_t *router, peer_t *peer, fabric_error_t error, const char *text);

/* ---- router_door.c ---- */
void request_received(router_t *router, peer_t *peer, const message_request_t *request);
/* A request of which no more than this could be read. */
void request_malformed(router_t *router, client_t *client, uint64_t sequence, uint64_t flags);
/* A durable message goes into its lane: limits, request id, entity. Refuses it and frees it where it cannot. */
void durable_accept(router_t *router, client_t *client, message_t *message);
void request_reject(router_t *router, client_t *client, uint64_t sequence, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text);
/* The same for a message that waits, if its caller is still there. */
void message_reject(router_t *router, const message_t *message, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text);
/* What the shard's database said, where it is the cause of such an error; else empty. */
const char *store_cause(router_t *router, shard_id_t shard, fabric_error_t error);
/* Whether no more messages may be taken into memory. */
bool router_is_full(const router_t *router);
bool router_memory_is_full(const router_t *router);
known_type_t *type_find(router_t *router, fabric_bytes_t name);
/* OK, LIMIT_EXCEEDED or MALFORMED_MESSAGE, and why. */
fabric_error_t headers_check(fabric_bytes_t headers, const char **text);
/* Whether an id is above all that brokers have made, as far as is known here, and more than a second above the time for ids. */
bool id_is_too_high(const router_t *router, request_id_t id);

/* ---- router_calls.c ---- */
client_t *client_find(router_t *router, uint64_t number);
/* The client that waits for the message; NULL: nobody does any more. */
client_t *client_of(router_t *router, const message_t *message);
client_t *client_add(router_t *router, uint64_t number);
void client_settle(router_t *router, client_t *client, uint64_t settled);
call_t *call_find(client_t *client, uint64_t sequence);
/* NULL: the sequence is beyond the window of calls that may be open, or there is no memory for it. */
call_t *call_add(router_t *router, client_t *client, uint64_t sequence);
void call_open(call_t *call, message_t *message);
/* When the caller is to be told how far its call has come; 0: never. */
void call_set_deadline(client_t *client, call_t *call, uint64_t deadline_ms);
bool call_predecessor_known(client_t *client, uint64_t predecessor);
/* Whether both stand for the same message. */
bool call_same_contents(const store_message_t *a, const store_message_t *b);
/* A durable request is here: answers it if it is known, has it looked up, holds, refuses or accepts it. Takes the message. */
void call_arrived(router_t *router, client_t *client, message_t *message);
void call_send_accepted(router_t *router, const message_t *message);
void call_send_reply(router_t *router, const message_t *message);
/* The client is connected no more. */
void client_leave(router_t *router, client_t *client);
void client_return(router_t *router, client_t *client, peer_t *peer);
/* Nobody waits for the client's volatile calls any more: it has said goodbye, or is another process now. */
void client_ends_life(client_t *client);
/* Tells the client about its calls whose deadlines are over; they go on. */
void client_tell_overdue(router_t *router, client_t *client);
/* An ended message stays, to answer its call again. */
void client_keep(router_t *router, client_t *client, const message_t *message);
/* All that the client has waiting, chained. */
message_t *client_take_held(router_t *router, client_t *client);
void clients_sweep(router_t *router);
void client_destroy(router_t *router, client_t *client);
/* A message that waits in its lane is not among its client's calls: the client is remembered until call_left_lane, since a
 * look-up would not find the call yet. */
void call_settled_early(client_t *client, message_t *message);
void call_left_lane(router_t *router, message_t *message);

/* ---- router_lookup.c ---- */
void lookup_add(router_t *router, client_t *client, message_t *message);
void lookups_destroy(router_t *router);

/* ---- router_batch.c ---- */
router_lane_t *lane_of(router_t *router, shard_id_t shard);
void batch_add_message(router_t *router, message_t *message);
void batch_add_reply(router_t *router, message_t *message);
void batch_add_attempt(router_t *router, message_t *message);
void batch_add_dead_letter(router_t *router, const message_t *message, fabric_error_t cause);
message_t *batch_find_call(router_lane_t *lane, call_key_t call);
void unended_add(router_t *router, message_t *message);
void batches_destroy(router_t *router);

/* ---- router_mailbox.c ---- */
/* Into and out of messages_by_id. */
void message_add(router_t *router, message_t *message);
void message_remove(router_t *router, message_t *message);
/* message_set_reply for a message that is in it. */
void message_add_reply(router_t *router, message_t *message, const store_reply_t *reply);
entity_t *entity_find_or_add(router_t *router, shard_t *shard, fabric_bytes_t type,
                             fabric_bytes_t id);
void entity_release(router_t *router, entity_t *entity); /* frees it when nothing is left in it */
void entity_append(router_t *router, entity_t *entity, message_t *message);
void entity_remove(router_t *router, message_t *message); /* from the queue; see entity_release */
void entity_dispatch(router_t *router, entity_t *entity);
/* Nothing of the entity is delivered for a while: levels 0, 1, 2, ... are longer and longer ones. */
void entity_back_off(router_t *router, entity_t *entity, unsigned level);
void entity_resume(router_t *router, entity_t *entity); /* waits no more; see entity_dispatch */
void entities_wake(router_t *router);
void runner_dispatch_waiting(router_t *router, runner_t *runner);
/* The shard's entities wait for the runner's credit no more. */
void runner_forget_waiting(runner_t *runner, const shard_t *shard);
/* A message in flight came back without a result: QUEUED again. */
void entity_requeue(router_t *router, message_t *message);
/* The message at the cursor is to wait no more. */
void entity_skip(entity_t *entity);
void message_forget(router_t *router, message_t *message); /* ends a volatile message, freed */
/* Sends the volatile results that wait for no commit any more. */
void entity_flush(router_t *router, entity_t *entity);

/* ---- router_result.c ---- */
void result_received(router_t *router, runner_t *runner, const message_result_t *result);
/* Ends a volatile message in flight of which nobody knows whether it was handled. */
void message_lose(router_t *router, message_t *message, const char *text);
/* A message that waits becomes a dead letter: its attempts are used up. */
void message_give_up(router_t *router, message_t *message);

/* ---- router_unserved.c ---- */
enum { UNSERVED_TEXT_SIZE = 800 };
/* The entity's owner did not take a message, which is queued again: the entity pauses, the longer the more often in a row. */
void entity_refused(router_t *router, entity_t *entity, fabric_error_t error);
/* The owner took a message, or is the owner no more: what it refused does not count any more. */
void entity_taken(entity_t *entity);
void entity_owner_gone(router_t *router, entity_t *entity);
/* unserved_reason of an entity whose owner does not bring its type, which is noted for the log. */
fabric_error_t unserved_note(router_t *router, const entity_t *entity,
                             char text[UNSERVED_TEXT_SIZE]);
/* Why no runner runs entities of the type in the shard now, for people; returns the error that goes with it. */
fabric_error_t unserved_reason(router_t *router, const shard_t *shard, fabric_bytes_t type,
                               char text[UNSERVED_TEXT_SIZE]);
/* Tells the caller of an accepted message why it waits, if it is known that it will. */
void message_tell_wait(router_t *router, const message_t *message);
/* Whether the shard has no owner, and the coordinator knows none that it could have. */
bool shard_is_deserted(const shard_t *shard);

/* ---- router_suspects.c ---- */
/* An attempt has ended in a defect. */
void attempt_use_up(router_t *router, message_t *message);
/* The message's entity waits, the longer the more attempts are used up. */
void attempt_back_off(router_t *router, const message_t *message);
/* A row with the message's tally is durable. */
void tally_committed(router_t *router, request_id_t id);
/* Ends the messages at the entity's cursor whose attempts are used up. */
void suspects_give_up(router_t *router, entity_t *entity);
/* Whether the entity's next message has to wait for a commit, or for what is in flight before it. */
bool suspect_waits(const router_t *router, const entity_t *entity, const message_t *message);
/* Whether the runner may be given the message now: credit, and the company that suspects may have. */
bool runner_admits(router_t *router, runner_t *runner, const message_t *message);
/* Whether an admitted message may be delivered at once. Else the runner is kept free for it until its attempt is durable. */
bool suspect_counted(router_t *router, runner_t *runner, message_t *message);
void delivery_began(router_t *router, runner_t *runner, message_t *message);
void delivery_ended(runner_t *runner, const message_t *message);
/* The runner is about to be lost because its process died. */
void runner_died(router_t *router, runner_t *runner);
/* A durable message in flight comes back: its owner is gone, or did not take it. */
void suspect_returned(router_t *router, const runner_t *runner, message_t *message);
void suspect_not_taken(router_t *router, message_t *message);
/* The shard's owner is kept free no more for a message that is not delivered yet. */
void suspect_withdraw(router_t *router, const shard_t *shard);

/* ---- router_rows.c ---- */
/* Why a row of the mailbox is no message that can be handled; NULL: it is one. */
const char *row_fault(router_t *router, const store_message_t *stored);
/* Takes a message that was just loaded: it becomes a dead letter. */
void row_set_aside(router_t *router, message_t *message, const char *cause);
/* Notes it where the reply is none. */
bool stored_reply_is_sound(router_t *router, const store_message_t *stored,
                           const store_reply_t *reply);

/* ---- router_shards.c ---- */
shard_t *shard_find(router_t *router, shard_id_t id); /* NULL: not known here */
bool shard_serves(const router_t *router, const shard_t *shard);
void shards_tick(router_t *router);
void released_received(router_t *router, runner_t *runner, const message_released_t *released);
void runner_lost(router_t *router, runner_t *runner);
/* It is connected, for the first time or anew: what it owned has to be assigned again. May free a runner that leaves. */
void runner_rejoined(router_t *router, runner_t *runner);
void runner_leaves(router_t *router, runner_t *runner);
void runners_tick(router_t *router);
void runner_free(runner_t *runner);
/* Refuses the entity's volatile messages that wait. */
void entity_refuse_volatile(router_t *router, entity_t *entity, fabric_error_t error,
                            const char *text);
runner_t *runner_find(router_t *router, incarnation_t incarnation);
void order_add(router_t *router, const router_order_t *order);

/* ---- router_status.c ---- */
void query_received(router_t *router, peer_t *peer, const message_query_t *query);

#endif
