/* One message as the router keeps it: the stored part, its place in its entity's queue, and the
 * result that waits for its commit. One allocation holds a message with all its bytes.
 *
 * Ownership: the router's thread owns every record. Other threads see records in two ways:
 *   1. An appender reads the records of a batch through constant views, which stay unchanged until
 *      the batch is done.
 *   2. The loader and the finder make records and hand each record over whole.
 */
#ifndef BROKER_MESSAGE_RECORD_H
#define BROKER_MESSAGE_RECORD_H

#include "broker/events_value.h"
#include "broker/state_value.h"
#include "broker/told_value.h"
#include "core/hash.h"
#include "core/journal/record.h"
#include "core/message.h"
#include "core/state_machine.h"
#include "core/store.h"

struct entity;

typedef enum message_state {
    MESSAGE_NEW,        /* in no queue and in no batch: it arrives, is held, or was just loaded */
    MESSAGE_IN_LANE,    /* in a batch that is not durable yet, and in no queue */
    MESSAGE_QUEUED,     /* waits in its entity's queue */
    MESSAGE_IN_FLIGHT,  /* delivered, and its runner has sent no result yet */
    MESSAGE_RESULT,     /* its result is not durable yet, or results before it are not */
    MESSAGE_OVERFLOWED, /* accepted behind messages of its entity that are not in memory */
    MESSAGE_SCHEDULED,  /* its time of delivery has not come: see schedule_state.h */
    MESSAGE_DUE,        /* it has, and its new position is not durable yet */
    MESSAGE_STORED,     /* only the store has its contents, and callers wait for it: see ghosts.c */
    MESSAGE_ENDED       /* its final reply is durable; only its client's memory keeps it */
} message_state_t;

extern const state_machine_t message_machine;

/* A place in a ring of messages: one such place is the head of the ring. */
typedef struct message_link {
    struct message_link *prev, *next;
} message_link_t;

/* A call whose caller is told how a message ends. */
typedef struct waiter {
    struct waiter *next;
    call_key_t call;
    uint32_t life;  /* of the client, for a volatile message */
    bool called;    /* the client's table of calls refers to the message */
    bool again;     /* the client has settled on the call, and has sent it again since */
    bool cancelled; /* the caller wants the message to end */
    uint8_t flags; /* enum request_flag, of the request; a duplicate of a primary key has its own */
} waiter_t;

/* Most steps of a message find it out of the processor's caches, so its members stand together by
 * when they are used: first what nearly each step reads, last what is rare. */
typedef struct message {
    message_state_t state; /* see message_set_state */
    uint32_t size;         /* bytes of this record and its reply, for the bound on memory */
    struct entity *entity;
    uint8_t *reply_payload;      /* owned, or NULL */
    char *crash_text;            /* how the last process that crashed on it ended; owned, or NULL */
    struct message *prev, *next; /* the entity's queue, in order */
    message_link_t changed;      /* of the lane's messages whose rows do not say what stands */
    uint64_t position;           /* in its lane: its id, unless a record says otherwise */
    uint64_t entity_hash;        /* journal_entity_hash */
    waiter_t waiter;    /* the first of its waiters: the call that brought it, which never leaves */
    bool settled_early; /* it is in a batch, and its client has settled on it: see calls.c */
    bool has_row;       /* in the store, or in a slice that was taken */
    bool orphaned;      /* its lane was dropped while a batch that names it was being appended */
    bool cancelled;     /* its callers want it to end, or it has ended so: see cancels.h */
    uint32_t deliveries;        /* so far */
    uint32_t attempts;          /* defects so far */
    uint32_t crashes;           /* worker processes that crashed on it so far */
    journal_attempts_t counted; /* what is durable of the last two */
    uint32_t unexplained; /* processes that ended for unknown reasons while it was in flight */
    uint32_t loss;        /* of the runner that was lost with it last, see poison.c; 0: none */
    bool alone;           /* the delivery in flight is to run alone at its runner */
    bool by_operator;     /* an operator wants it to end: see operator_cancels.h */
    bool out_of_turn;     /* it ends before what only the store has: see early_ends.h */
    bool may_be_early;    /* its type allows early delivery: see early.h */
    bool early;           /* it is in its entity's queue, and its entry is not durable yet */
    union {
        uint64_t activation; /* of the delivery in flight */
        size_t due_place;    /* SCHEDULED: in its heap */
    };
    /* Of the call that brought it, or was last sent again; by the router's clock; 0: none. */
    uint64_t deadline_ms;
    UT_hash_handle by_id;
    store_message_t stored; /* its views point into bytes[] */
    store_reply_t reply;    /* RESULT, ENDED; its payload points to reply_payload */
    state_value_t *left;    /* RESULT: the persisted state that it leaves; NULL: it changed none */
    events_value_t *events; /* RESULT: that it has appended; NULL: none */
    told_value_t *outgoing; /* RESULT: what its handler has told others; NULL: nothing */
    struct message *chain;  /* lists that own records for a while: loaded or held messages */
    uint64_t slice;         /* the lane's last slice with a change of its row; 0: none */
    uint32_t cause;         /* of a dead letter: fabric_error_t */
    /* Since when its handler tells what is not known here, by the router's clock, in seconds from 1
     * on; 0: it does not. */
    uint32_t unknown_s;
    uint64_t contents;    /* of a ghost: journal_contents_hash */
    uint64_t predecessor; /* of the request, until it is accepted */
    uint64_t floor;
    uint8_t lookup_outcome; /* while the call waits: see lookup.c; so are the next three */
    uint8_t lookup_round;
    uint8_t key_outcome;
    uint32_t key_forgotten; /* lane_keys_t.forgotten when its key was looked up */
    uint8_t bytes[];
} message_t;

/* The only way to change a message's state. */
static inline void message_set_state(message_t *message, message_state_t state)
{
    state_machine_check(&message_machine, message->state, state);
    message->state = state;
}

/* Whether it is not known yet that the message is stored: nobody may hear of it. */
static inline bool message_is_unstored(const message_t *message)
{
    return message->state == MESSAGE_IN_LANE || message->early;
}

/* Whether a worker may have committed the message without its home's knowledge: it is not ended
 * otherwise before an owner has looked (MESSAGE_TRANSACTIONAL). An owner that does not take it says
 * what it knows: see result.c. */
static inline bool message_needs_look(const message_t *message)
{
    return message->stored.flags & MESSAGE_TRANSACTIONAL && message->deliveries > 0;
}

/* The record of a message in a batch. */
static inline message_t *message_of(const store_message_t *stored)
{
    return (message_t *)((char *)stored - offsetof(message_t, stored));
}
static inline message_t *message_of_reply(const store_reply_t *reply)
{
    return (message_t *)((char *)reply - offsetof(message_t, reply));
}

/* What nearly each step reads of a message; and the message, with so many of its bytes, which is
 * going to be used soon. */
#define MESSAGE_HEAD_BYTES  offsetof(message_t, by_id)
#define MESSAGE_FIRST_BYTES 128u
__attribute__((always_inline)) static inline void message_prefetch(const message_t *message)
{
    memory_prefetch(message, sizeof *message + MESSAGE_FIRST_BYTES);
}

/* Of the row that the message has or is going to have. */
static inline store_row_key_t message_row_key(const message_t *message)
{
    return (store_row_key_t){message->entity_hash, message->position};
}

/* Copies `stored` and everything that it points to. */
message_t *message_new(const store_message_t *stored);
/* Copies the reply's payload and sets message->reply. */
void message_set_reply(message_t *message, const store_reply_t *reply);
void message_destroy(message_t **message);

/* NULL: the call does not wait for the message. */
static inline waiter_t *message_find_waiter(message_t *message, call_key_t call)
{
    waiter_t *waiter = &message->waiter;
    while (waiter &&
           (waiter->call.sequence != call.sequence || waiter->call.client != call.client)) {
        waiter = waiter->next;
    }
    return waiter;
}
/* The waiter with this call, which is added unless it is there. */
waiter_t *message_add_waiter(message_t *message, call_key_t call);
/* The waiter, which is not the first, is told no more. */
void message_remove_waiter(message_t *message, waiter_t *waiter);
/* Whether a client's table of calls refers to the message. */
static inline bool message_is_called(const message_t *message)
{
    const waiter_t *waiter = &message->waiter;
    while (waiter && !waiter->called) {
        waiter = waiter->next;
    }
    return waiter != NULL;
}

/* Whether a caller waits for the message, as far as it is known: the one that has brought it may
 * have settled on it. */
static inline bool message_has_callers(const message_t *message)
{
    return message->waiter.again || message->waiter.next || message_is_called(message);
}

/* Records of what a store's reading operations visit, in the order of the visits. Zeroed: empty. */
typedef struct message_chain {
    message_t *first;
    message_t *last;
    uint64_t bytes;
} message_chain_t;
/* The record's state is ENDED where there is a reply, else NEW. The record is returned, and stays
 * in the chain. */
message_t *message_chain_add(message_chain_t *chain, const store_message_t *stored,
                             journal_attempts_t attempts, const store_reply_t *reply);
/* What the caller of a message hears whose entity was cleared. */
store_reply_t message_cleared_reply(request_id_t id, shard_id_t shard);
/* Destroys the message and all that are chained to it. */
void message_chain_destroy(message_t **first);

#endif
