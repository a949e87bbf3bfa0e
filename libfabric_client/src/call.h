/* A call: one request from its start to its end, in one allocation.
 *
 * Whoever starts a call makes it with call_new, fills the request's views and the fields of the
 * submitter, and hands it to session_submit. From then on it is the session's, until
 * session_next_done gives it back with its outcome; then the request's views are gone, as the
 * answer takes their room.
 *
 * Threading: none of its own; a call belongs to one thread at a time.
 */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include <fabric/client.h>

#include "core/ids.h"

typedef enum call_state {
    CALL_WAITING, /* not sent, or to be sent again: for its route, its turn or its retry */
    CALL_READY,   /* in the send list of a peer */
    CALL_SENT,    /* in a frame to a peer, on that peer's present connection */
    CALL_DONE
} call_state_t;

/* Links of a doubly linked list; see list.h. */
typedef struct call call_t;
typedef struct call_links {
    call_t *previous;
    call_t *next;
} call_links_t;

/* What the end of a call is reported to; the link fills nothing in but counts it down. */
typedef struct call_waiter call_waiter_t;

struct call {
    /* --- the request, by the submitter; the views point into `bytes` --- */
    uint64_t sequence;    /* second half of the call key; 0: the session takes the next one */
    uint64_t deadline_ms; /* on the session's clock */
    uint32_t flags;       /* enum request_flag without RESEND */
    bool keyed;           /* settles a former call: `sequence` was used before */
    bool query;           /* a question to a broker: `tag` its name, `payload` the argument */
    fabric_bytes_t type;
    fabric_bytes_t id;
    fabric_bytes_t tag;
    fabric_bytes_t payload;
    fabric_bytes_t primary_key;
    fabric_bytes_t traceparent;
    fabric_bytes_t headers; /* as encoded */

    /* --- the submitter's own: the session does not look at them --- */
    const fabric_message_type_t *message;
    fabric_completion_fn *complete;
    void *context;
    call_waiter_t *waiter;

    /* --- the outcome, by the session --- */
    fabric_error_t error;
    uint64_t code;
    uint64_t request_id;
    fabric_bytes_t answer; /* the reply's payload; with an error its text, maybe empty */

    /* --- the session's alone --- */
    call_state_t state;
    fabric_error_t refusal; /* why the last send was not taken */
    uint32_t refused_by;    /* index of the peer that said so */
    char *wait_reason;      /* what a broker said why the accepted call waits, or NULL; owned */
    bool accepted;
    bool unlinked;     /* may have been accepted by a send that could not name its predecessor */
    uint32_t peer;     /* CALL_READY, CALL_SENT: index */
    uint32_t sends;    /* encoded into a frame */
    uint32_t refusals; /* sends of which it is certain that they were not taken */
    uint64_t frame;    /* CALL_SENT: number of the peer's frame */
    uint64_t floor;    /* highest request id known at the first send */
    uint64_t retry_at_ms;
    uint64_t retry_until_ms; /* who has no room is not asked again after this */
    uint32_t attempts;       /* retries so far */
    shard_id_t shard;
    call_links_t open;  /* all calls, by sequence */
    call_links_t queue; /* durable: of one shard, by sequence; volatile: waiting ones */
    call_links_t ready; /* of one peer; done calls */
    call_links_t timer; /* of one slot of the wheel */
    call_t *bucket_next;

    /* --- the allocation's --- */
    uint8_t *spare; /* an answer too large for `bytes` */
    size_t capacity;
    uint8_t bytes[];
};

/* A call with room for at least `capacity` bytes. Aborts when memory is exhausted. */
call_t *call_new(size_t capacity);
void call_destroy(call_t **call);
/* Copies the answer into the call, over the request's bytes. */
void call_set_answer(call_t *call, fabric_bytes_t answer);
/* Keeps the reason why an accepted call waits, for its deadline. */
void call_set_wait_reason(call_t *call, fabric_bytes_t reason);
/* Whether no send of the call can have been accepted. */
bool call_certainly_not_accepted(const call_t *call);

#endif
