/* A client and its calls: what the router remembers in order to answer resends.
 *
 * calls.c owns call_t and call_table_t, settled_calls.c owns settled_calls_t, lookup.c owns
 * held_requests_t, and clients.c owns the rest of struct client.
 */
#ifndef BROKER_ROUTER_CLIENT_STATE_H
#define BROKER_ROUTER_CLIENT_STATE_H

#include "broker/router/held_calls.h"
#include "broker/router/peer_state.h"
#include "broker/router/settled_calls.h"

/* In the sequences of the calls of outgoing messages, as this home keeps and stores them: no client
 * has a sequence so large. So a process whose number is the id of a source shares nothing with that
 * source's messages. Their sequences on the wire are without it. */
#define CALL_OUTGOING (UINT64_C(1) << 63)

/* ---- calls.c ---- */

typedef enum call_state {
    CALL_NONE,    /* this place of the table is free */
    CALL_WAITING, /* the request is held: see held_requests_t */
    CALL_OPEN,    /* the message is in a batch, or accepted */
    CALL_ENDED,   /* the message's reply is durable */
    CALL_REFUSED  /* the request was rejected for good */
} call_state_t;

typedef struct call {
    uint64_t sequence;
    message_t *message; /* OPEN, ENDED */
    call_state_t state;
    fabric_error_t error; /* REFUSED; so is the next one */
    uint64_t predecessor; /* as the request named it */
    /* WAITING, OPEN: when its caller is told how far the call has come; 0: never. */
    uint64_t deadline_ms;
} call_t;

/* The calls of one client, from the oldest that the client has not settled on. */
typedef struct call_table {
    call_t *ring;         /* the place of a call is its sequence modulo the capacity */
    uint64_t capacity;    /* a power of two */
    uint64_t settled;     /* calls with smaller sequences are forgotten */
    uint64_t deadline_ms; /* no call has an earlier deadline */
    uint64_t bytes;       /* of the client, this table, its ended messages and its held requests */
    size_t settled_early; /* messages in batches whose calls the client has settled on already */
} call_table_t;

/* What is to be done with a durable request that has arrived. */
typedef enum call_arrival {
    ARRIVAL_ACCEPT,
    ARRIVAL_KNOWN,  /* it is a resend of a call in the table */
    ARRIVAL_LOOKUP, /* only the store may know the call */
    ARRIVAL_HOLD,   /* it waits behind the held requests of its client */
    ARRIVAL_REFUSE
} call_arrival_t;

typedef struct call_decision {
    call_arrival_t arrival;
    call_t *call;         /* NULL: the client has settled on the call */
    fabric_error_t error; /* REFUSE; so are the next two */
    uint32_t retry_after_ms;
    const char *text;
} call_decision_t;

/* ---- lookup.c ---- */

/* Requests of one client that are looked up, and those that arrived after them, in order of
 * arrival. */
typedef struct held_requests {
    message_t *first, *last; /* chained */
    held_calls_t calls;      /* the same ones */
    size_t lookups;          /* look-ups of these requests that are not over */
} held_requests_t;

/* ---- clients.c ---- */

struct client {
    uint64_t number;
    /* A secret between the client and its brokers: never sent or logged. Of one of outgoing
     * messages: the broker that has sent one of them last. */
    incarnation_t incarnation;
    uint64_t connection;
    peer_t *peer; /* NULL: the client is away */
    uint64_t away_since_ms;
    /* Of router->away, while the client is away, or of the lists of those of outgoing messages. */
    struct client *away_prev, *away_next;
    bool outgoing;           /* it is no process: see outgoing_requests.h. `peer` is NULL */
    bool answered;           /* it has had an answer since the last event */
    bool hears_waits;        /* it asked, on this connection, to be told why its calls wait */
    uint64_t waits_sequence; /* of that query */
    /* Grows with each goodbye and each new process of the client. A volatile call belongs to one
     * life. */
    uint32_t life;
    call_table_t calls;
    settled_calls_t settled_calls;
    held_requests_t held;
    UT_hash_handle by_number;
};

/* ---- calls.c ---- */

void calls_init(router_t *router, client_t *client);
/* Forgets all calls, and their ended messages. */
void calls_destroy(router_t *router, client_t *client);
/* Memory that is kept for the client: added, and given back. */
void calls_account(router_t *router, client_t *client, uint64_t added, uint64_t removed);
/* Forgets all calls with smaller sequences. */
void calls_settle(router_t *router, client_t *client, uint64_t settled);
/* Whether a message of a call is not committed yet, so that a resend of the call would not be found
 * in the store. */
bool calls_are_uncommitted(const client_t *client);
/* NULL: the call is not in the table. */
call_t *call_find(const client_t *client, uint64_t sequence);
/* The place of a call that is not in the table. NULL: its sequence is beyond the window of calls
 * that may be open, or the router has no memory for it. */
call_t *call_add(router_t *router, client_t *client, uint64_t sequence);
void call_wait(client_t *client, call_t *call, uint64_t deadline_ms);
/* The call is one of those that wait for the message. */
void call_open(router_t *router, client_t *client, call_t *call, message_t *message);
/* The message has ended. It stays until all of its calls are settled. */
void call_end(router_t *router, client_t *client, call_t *call, message_t *message);
/* The request was rejected for good. Its successors wait for its predecessor instead. */
void call_refuse(call_t *call, uint64_t predecessor, fabric_error_t error);
/* The held request was not accepted, as if it had never arrived. */
void call_forget(call_t *call);
/* This broker does not keep the call's message any more, which goes on elsewhere. */
void call_drop(router_t *router, client_t *client, call_t *call);
/* When the caller is to be told how far the call has come; 0: never. */
void call_set_deadline(client_t *client, call_t *call, uint64_t deadline_ms);
/* The next call of the client whose deadline is over, which is then told no more. A round begins
 * with *place at 0. */
call_t *calls_next_overdue(client_t *client, uint64_t now_ms, uint64_t *place);
/* The call waits for another record of the same message now, whose waiter it is. */
void call_refer(call_t *call, message_t *message);
bool call_predecessor_is_known(const client_t *client, uint64_t predecessor);
/* Whether both stand for the same message. */
bool call_same_contents(const store_message_t *a, const store_message_t *b);
call_decision_t call_arrived(router_t *router, client_t *client, const message_t *message);
/* The client has settled on a call whose message is in a batch, where a look-up would not find it:
 * the client is remembered until call_left_lane. */
void call_settled_early(client_t *client, message_t *message);
void call_left_lane(client_t *client, message_t *message);

/* ---- clients.c ---- */

client_t *client_find(router_t *router, uint64_t number);
/* The same for one of outgoing messages. */
client_t *client_find_outgoing(router_t *router, uint64_t number);
/* Whose call it is: of either kind. */
client_t *client_of_call(router_t *router, call_key_t call);
/* A client that is away. */
client_t *client_add(router_t *router, uint64_t number);
/* The same for one of outgoing messages. */
client_t *client_add_outgoing(router_t *router, uint64_t number);
/* The broker has sent a message of it. */
void client_note_sender(router_t *router, client_t *client, incarnation_t sender);
/* A message of it was answered. */
void client_note_answer(router_t *router, client_t *client);
/* Forgets those that were answered since the last event, and wait for no other answer. */
void clients_forget_answered(router_t *router);
/* The peer now connects the client's process with this incarnation. */
void client_connect(router_t *router, client_t *client, peer_t *peer, incarnation_t incarnation,
                    uint64_t connection);
void client_disconnect(router_t *router, client_t *client);
/* The client's volatile calls have no caller any more: the client has said goodbye, or is another
 * process now. */
void client_end_life(client_t *client);
/* The client wants to be told why its calls wait. */
void client_hear_waits(client_t *client, uint64_t sequence);
/* Forgets clients that have been away for long. */
void clients_sweep(router_t *router);
void clients_destroy(router_t *router);

#endif
