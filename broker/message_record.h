/* One accepted (or about to be accepted) message as the router keeps it: the stored part, its place
 * in its entity's queue and the result that waits for its commit. One allocation for a message with
 * all its bytes.
 *
 * Ownership: the router's thread owns every record. A lane sees records only through the const
 * views of a batch, which stay unchanged until the batch is done; and it makes records while it
 * loads, which it hands over whole.
 */
#ifndef BROKER_MESSAGE_RECORD_H
#define BROKER_MESSAGE_RECORD_H

#include "core/hash.h"
#include "core/store.h"

struct entity;

typedef enum message_state {
    MESSAGE_IN_LANE,   /* not committed yet */
    MESSAGE_QUEUED,    /* waits in its entity's queue */
    MESSAGE_IN_FLIGHT, /* delivered, no result yet */
    MESSAGE_RESULT,    /* its result waits for a commit, or for the commits of results before it */
    MESSAGE_ENDED      /* its final reply is durable (volatile: sent) */
} message_state_t;

typedef struct message {
    store_message_t stored; /* views point into bytes[] */
    store_reply_t reply;    /* in state RESULT and ENDED; payload points to reply_payload */
    uint8_t *reply_payload; /* owned, or NULL */
    struct entity *entity;
    struct message *prev, *next;   /* the entity's queue, in order */
    struct message *older, *newer; /* all messages of the lane that have not ended, by id */
    struct message *chain;         /* lists that own records for a while: loading, held requests */
    message_state_t state;
    bool called;         /* a call of a client refers to it */
    bool settled_early;  /* in a lane, while its client has settled on it: see router_calls.c */
    uint32_t size;       /* bytes of this record and its reply, for the bound on memory */
    uint32_t deliveries; /* so far */
    store_tally_t tally;
    uint32_t unrecorded; /* rows of its tally that are not committed: it is not delivered before */
    uint32_t wave;       /* of its runner, of the delivery in flight */
    bool charged; /* tally.attempts counts the delivery alone that is under way, or about to be */
    uint64_t activation; /* of the delivery in flight */
    uint64_t
        deadline_ms; /* the router's clock; 0: none. A durable message's is its call's from acceptance on */
    uint32_t life;        /* volatile: of its client */
    uint64_t predecessor; /* of the request, until it is accepted */
    uint64_t floor;
    unsigned lookup_outcome; /* while the call waits: see router_lookup.c */
    UT_hash_handle by_id;
    uint8_t bytes[];
} message_t;

/* The record of what stands in a batch. */
static inline message_t *message_of(const store_message_t *stored)
{
    return (message_t *)((char *)stored - offsetof(message_t, stored));
}
static inline message_t *message_of_reply(const store_reply_t *reply)
{
    return (message_t *)((char *)reply - offsetof(message_t, reply));
}

/* Copies `stored` and all it points to. */
message_t *message_new(const store_message_t *stored);
/* Copies the reply's payload and sets message->reply. */
void message_set_reply(message_t *message, const store_reply_t *reply);
void message_destroy(message_t **message);

/* Records made of what a store's reading operations visit, in that order. Zeroed: empty. */
typedef struct message_chain {
    message_t *first;
    message_t *last;
    uint64_t bytes;
} message_chain_t;
/* In state ENDED where there is a reply. */
void message_chain_add(message_chain_t *chain, const store_message_t *stored, store_tally_t tally,
                       const store_reply_t *reply);
/* Destroys the messages that are chained to this one. */
void message_chain_destroy(message_t **first);

#endif
