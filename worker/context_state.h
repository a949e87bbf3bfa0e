/* The context that a handler is given. An executor has one, as its handlers do not nest. */
#ifndef WORKER_CONTEXT_STATE_H
#define WORKER_CONTEXT_STATE_H

#include "core/limits.h"
#include "worker/executor_entity_state.h"
#include "worker/interrupts.h"

/* Memory that a handler has asked for; its bytes follow. */
typedef struct context_block {
    struct context_block *next;
    size_t size;
} context_block_t;

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
/* Takes the handle that the handler has asked for; NULL: none. */
fabric_pending_t *context_take_pending(fabric_context_t *context);

#endif
