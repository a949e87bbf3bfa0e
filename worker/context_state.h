/* The context that a handler is given. An executor has one, as its handlers do not nest. */
#ifndef WORKER_CONTEXT_STATE_H
#define WORKER_CONTEXT_STATE_H

#include "core/limits.h"
#include "worker/asks.h"
#include "worker/executor_entity_state.h"
#include "worker/interrupts.h"
#include "worker/told.h"

struct fabric_context {
    completions_t *completions;
    entity_table_t *entities;
    entity_t *entity;
    const type_entry_t *type;
    const fabric_handler_t *handler;
    const message_deliver_t *delivery;
    uint64_t began_ms;
    fabric_pending_t *pending; /* the handle that was asked for first; NULL: none */
    bool surplus;              /* more than one handle was asked for */
    context_block_t *blocks;   /* what the handler has asked for */
    fabric_sender_t *sender;   /* NULL: the handler cannot send */
    answers_t *answers;        /* where those to its asks come in */
    asks_t *asks;              /* of the message; NULL: none yet */
    fabric_pending_t *waited;  /* a function that goes on with its message runs; NULL: a handler */
    told_t *told;              /* what goes with the reply; NULL: nothing */
    bool astray;               /* it has asked without a function for the answer */
    void *connection;          /* of a transactional message's handler; NULL: it has none */
    bool terminate;            /* the entity's state is to end after the message */
    interrupts_t *interrupts;  /* NULL: nothing interrupts the handler while it runs */
    /* Why an event could not be appended; empty: all were. */
    char unappended[LIMIT_TEXT_BYTES_MAX + 1];
    bool wishes; /* the handler wants to be told when it is interrupted */
    uint64_t code;
    bool typed;       /* the failure is one that the message declares: `code` is its number */
    bool malformed;   /* it could not be encoded: the text says why */
    size_t size;      /* of its values in `payload` */
    uint8_t *payload; /* LIMIT_PAYLOAD_BYTES_MAX, borrowed */
    char text[LIMIT_TEXT_BYTES_MAX + 1];
};

/* `payload` has room for a whole payload; what is encoded there stays until the handler's answer
 * is. */
void context_init(fabric_context_t *context, completions_t *completions, entity_table_t *entities,
                  uint8_t *payload, interrupts_t *interrupts);
/* Prepares the context for one message; the views of `delivery` stay until its handler has
 * returned. */
void context_begin(fabric_context_t *context, entity_t *entity, const type_entry_t *type,
                   const fabric_handler_t *handler, const message_deliver_t *delivery,
                   uint64_t now_ms);
/* The handler has returned: it is told of no interrupt any more. */
void context_end_wish(fabric_context_t *context);
/* Frees what the handler has asked for. */
void context_end(fabric_context_t *context);
/* Prepares the context for a function that goes on with the message of a pending handle. */
void context_resume(fabric_context_t *context, fabric_pending_t *waited, const type_entry_t *type,
                    uint64_t now_ms);
/* Why a handler, or such a function, must not return this; NULL: it may. `pending`: the handle that
 * it has asked for. */
const char *context_fault(const fabric_context_t *context, fabric_result_t result,
                          const fabric_pending_t *pending);
/* The handler waits: makes a handle of the message that keeps all that it goes on with. */
fabric_pending_t *context_wait(fabric_context_t *context);
/* Takes the handle that the handler has asked for; NULL: none. */
fabric_pending_t *context_take_pending(fabric_context_t *context);

#endif
