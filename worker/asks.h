/* The asks of a message whose handler waits for their answers, and the queue by which answers reach
 * the executor from any thread.
 *
 * An ask is made, and its answer taken, on the executor's thread. An ask whose message has ended
 * meanwhile stays until it is answered; nobody gets the answer.
 */
#ifndef WORKER_ASKS_H
#define WORKER_ASKS_H

#include "core/message.h"
#include "worker/sender.h"

/* Memory that a handler has asked for; its bytes follow. */
typedef struct context_block {
    struct context_block *next;
    size_t size;
} context_block_t;

typedef struct answers answers_t;

/* `wake` (may be NULL) is called on the answering thread when the queue stops being empty. */
answers_t *answers_new(void (*wake)(void *context), void *wake_context);
/* The executor ends: answers are dropped from now on. Asks that are open keep the queue in memory.
 */
void answers_close(answers_t **answers);

typedef struct asks asks_t;

typedef struct ask {
    struct ask *next; /* in the queue of answers */
    answers_t *answers;
    asks_t *asks;                          /* NULL: its message has ended */
    struct ask *asks_previous, *asks_next; /* those of its message that are open */
    const fabric_message_type_t *message;
    fabric_continue_fn *then;
    void *argument;
    fabric_call_key_t key; /* by which it is cancelled; no sequence: it was not sent */
    bool keyed;            /* its message is that of an ask of another attempt */
    /* The answer, by the thread that brings it. */
    fabric_outcome_t outcome;
    size_t size;
    uint8_t *payload;
} ask_t;

/* Takes the next answered ask, which is the caller's; NULL: none. */
ask_t *answers_take(answers_t *answers);
void ask_destroy(ask_t **ask);

/* A message whose handler has asked. `delivery` and `blocks` are set once it waits. */
struct asks {
    fabric_sender_t *sender;
    const fabric_handler_t *handler;
    struct fabric_pending *pending; /* the handle that waits; NULL: the handler has not returned */
    message_deliver_t *delivery;    /* a copy; its views point behind it */
    context_block_t *blocks;
    ask_t *open;
    uint32_t open_count;
    uint64_t count; /* of all asks of this attempt */
};

asks_t *asks_new(fabric_sender_t *sender, const fabric_handler_t *handler);
/* The message has ended here: nobody gets the answers of its open asks, which are cancelled, but
 * for keyed ones: another attempt may want those. */
void asks_destroy(asks_t **asks);
/* Sends an ask. One that cannot be sent is answered at once. */
void asks_start(asks_t *asks, answers_t *answers, const fabric_ask_t *ask,
                const fabric_call_t *call);
/* Keeps what the message is gone on with: a copy of the delivery, and memory. */
void asks_keep(asks_t *asks, const message_deliver_t *delivery, context_block_t *blocks);
/* The ask is not open any more. */
void asks_answered(asks_t *asks, ask_t *ask);
/* The caller of the message has cancelled it: so are its asks. */
void asks_cancel(asks_t *asks);

void context_blocks_free(context_block_t **blocks);

#endif
