/* A call: one request from its start to its end, in one allocation.
 *
 * The submitter makes a call with call_new, fills in the request's views and the submitter's
 * fields, and gives the call to session_submit. From then on the call is the session's, until
 * session_next_done gives it back with its outcome. The request's views are gone then, as the
 * answer takes their memory.
 *
 * Threading: none of its own; a call belongs to one thread at a time.
 */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include <fabric/client.h>

#include "core/ids.h"
#include "core/message.h"

#define NO_PEER UINT32_MAX

typedef enum call_state {
    CALL_WAITING, /* not sent, or to be sent again: it waits for its route, its turn or its retry */
    CALL_READY,   /* in the outbox of a peer */
    CALL_SENT,    /* in a frame to a peer, on that peer's present connection */
    CALL_DONE
} call_state_t;

/* Links of a doubly linked list; see list.h. */
typedef struct call call_t;
typedef struct call_links {
    call_t *previous;
    call_t *next;
} call_links_t;

/* Counts the calls that a thread waits for: see exchange.h. */
typedef struct call_waiter call_waiter_t;

struct call {
    /* --- the request, by the submitter; the views point into `bytes` --- */
    uint64_t sequence;    /* second half of the call key; 0: the session takes the next one */
    uint64_t deadline_ms; /* on the session's clock */
    uint32_t flags;       /* enum request_flag without RESEND */
    bool keyed;           /* settles a former call: `sequence` was used before */
    bool query;           /* a question to a broker: `tag` its name, `payload` the argument */
    incarnation_t broker; /* of a query: the broker that is asked; none: any one */
    /* Of a query: the session answers it, from its map: all brokers, see session_queries.c. */
    bool members;
    fabric_bytes_t type; /* of a query: the home of this entity is asked; empty: see `broker` */
    fabric_bytes_t id;
    fabric_bytes_t tag;
    fabric_bytes_t payload;
    fabric_bytes_t primary_key;
    fabric_bytes_t traceparent;
    fabric_bytes_t headers; /* as encoded */
    uint64_t deliver_at_ms; /* Unix time; 0: at once */

    /* --- the submitter's own: the session does not look at them --- */
    const fabric_message_type_t *message;
    fabric_completion_fn *complete;
    void *context;
    call_waiter_t *waiter;

    /* --- the outcome, written by call.c --- */
    fabric_error_t error;
    uint64_t code;
    bool typed; /* it ended with a failure of the message type: `code` is its number */
    uint64_t request_id;
    /* The reply's payload, or that of the typed failure; with another error its text, maybe empty.
     */
    fabric_bytes_t answer;

    /* --- its course, written by call.c --- */
    call_state_t state;
    shard_id_t shard;
    uint32_t peer;           /* CALL_READY, CALL_SENT: index; else NO_PEER */
    uint64_t frame;          /* CALL_SENT: number of the peer's frame */
    uint32_t sends;          /* how often it was encoded into a frame */
    uint32_t refusals;       /* sends of which it is certain that they were not taken */
    fabric_error_t refusal;  /* why the last refused send was not taken */
    uint32_t refused_by;     /* index of the peer that said so */
    uint32_t attempts;       /* retries so far */
    uint64_t retry_until_ms; /* a broker or mailbox that is full is not asked again after this */
    uint64_t floor;          /* highest request id known at the first send */
    bool accepted;
    bool cancelled;    /* its caller wants it to end */
    bool unlinked;     /* may have been accepted by a send that could not name its predecessor */
    char *wait_reason; /* what a broker said why the accepted call waits, or NULL; owned */

    /* --- its places, written by call_table.c --- */
    uint64_t retry_at_ms; /* of a parked call; 0: it waits for its route */
    bool expired;         /* in the list of calls whose deadline has come */
    call_t *bucket_next;

    /* --- links, written by the lists of list.h --- */
    call_links_t open;  /* all calls, by sequence */
    call_links_t queue; /* durable: of one shard, by sequence; others: parked ones */
    call_links_t ready; /* of one outbox; done calls */
    call_links_t timer; /* of one slot of the wheel; expired calls */

    /* --- the allocation's --- */
    uint8_t *spare; /* an answer too large for `bytes` */
    size_t capacity;
    uint8_t bytes[];
};

/* A waiting call with memory for at least `capacity` bytes. */
call_t *call_new(size_t capacity);
void call_destroy(call_t **call);

/* ---- from state to state ---- */

/* A new call begins its way to a shard. */
void call_begin(call_t *call, shard_id_t shard, uint64_t now_ms);
/* The map has learnt which shard a waiting call's entity lives in. */
void call_relocate(call_t *call, shard_id_t shard);
/* The call may have passed others of its shard, which it did not name, to its broker. */
void call_note_passing(call_t *call);
void call_become_ready(call_t *call, uint32_t peer);
/* The call is about to be encoded. Whether this is certainly its first send. */
bool call_begin_send(call_t *call, uint64_t high_id);
void call_become_sent(call_t *call, uint64_t frame);
/* The frame that it was encoded into has certainly not left. */
void call_unsend(call_t *call);
/* It is to be sent, or to be sent again. */
void call_become_waiting(call_t *call);
/* It has ended; `answer` is copied over the request's bytes. */
void call_become_done(call_t *call, fabric_error_t error, fabric_bytes_t answer);

/* ---- what brokers say of it ---- */

/* `request_id` may be 0: not known. */
void call_note_accepted(call_t *call, uint64_t request_id);
/* Keeps the entity's own code of a reply, and whether it is that of a typed failure. */
void call_note_code(call_t *call, uint64_t code, bool typed);
/* A peer did not take the last send. */
void call_note_refused(call_t *call, fabric_error_t error, uint32_t peer);
/* Keeps the reason why an accepted call waits, for its deadline. */
void call_note_wait_reason(call_t *call, fabric_bytes_t reason);
/* Its caller wants it to end. */
void call_note_cancelled(call_t *call);
/* Counts an attempt: how many there were before it. */
uint32_t call_next_attempt(call_t *call);

/* ---- what follows from it ---- */

/* Whether no send of the call can have been accepted. Counts refusals instead of looking at the
 * last answer alone: a send that a broken connection swallowed stays possible, whatever a later
 * broker says. */
static inline bool call_certainly_not_accepted(const call_t *call)
{
    return !call->accepted && !call->keyed && call->sends == call->refusals;
}

static inline bool call_is_durable(const call_t *call)
{
    return (call->flags & REQUEST_DURABLE) != 0;
}

/* A query to the home of an entity, whichever broker that is when it is sent. */
static inline bool call_asks_home(const call_t *call)
{
    return call->query && call->type.size > 0;
}

/* Neither durable nor a query. */
static inline bool call_is_volatile(const call_t *call)
{
    return !call_is_durable(call) && !call->query;
}

#endif
