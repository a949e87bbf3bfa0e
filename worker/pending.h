/* Messages that are completed later: the handle of one such message, and the queue by which
 * completions reach their executor from any thread.
 *
 * A handle is made on the executor's thread and completed on any thread. A completed handle is in
 * the queue, and the executor's. A handle whose entity was stopped meanwhile stays valid until it
 * is completed; the completion changes nothing.
 */
#ifndef WORKER_PENDING_H
#define WORKER_PENDING_H

#include <stdatomic.h>

#include <fabric/worker.h>

#include "core/ids.h"
#include "core/message.h"

struct entity;
struct asks;
struct told;

typedef struct completions completions_t;

/* `wake` (may be NULL) is called on the completing thread when the queue stops being empty. */
completions_t *completions_new(void (*wake)(void *context), void *wake_context);
/* The executor ends: it takes no more completions, and `wake` is not called again. Handles that are
 * still open keep the queue in memory. */
void completions_close(completions_t **completions);
/* Takes all completed handles as a list, in the order of their completion. NULL: none. */
fabric_pending_t *completions_take(completions_t *completions);

struct fabric_pending {
    fabric_pending_t *next; /* in the queue */
    completions_t *completions;
    struct entity *entity; /* on the executor's thread; NULL: no entity waits for the handle */
    const fabric_message_type_t *message;
    token_t token; /* under which the result is awaited, with the activation */
    uint64_t activation;
    uint64_t request_id;
    uint64_t flags;
    /* executor_entity.c writes these. */
    fabric_pending_t *call_previous,
        *call_next;    /* of the entity's pending handlers, as they began */
    struct asks *asks; /* its handler waits for the answers to these; NULL: it was asked for */
    struct told *told; /* what its handler has told others; NULL: nothing */
    uint32_t round;    /* of its delivery */
    bool concurrent;   /* it runs beside any others */
    /* executor_slow.c writes these. */
    uint64_t began_ms;
    fabric_pending_t *watch_previous, *watch_next; /* of those of its type that are not slow yet */
    bool watched;
    /* Under the completions' lock: */
    fabric_interrupt_fn *interrupt_call; /* NULL: nobody wants to be told, or was told */
    void *interrupt_argument;
    bool completed;
    _Atomic int interrupt; /* fabric_interrupt_t; also read without it */
    /* the outcome; a status of NOT_TAKEN: there is none, as the worker stops */
    reply_status_t status;
    fabric_error_t error;
    uint64_t code;
    wire_writer_t payload;
};

fabric_pending_t *pending_new(completions_t *completions, struct entity *entity,
                              const fabric_message_type_t *message,
                              const message_deliver_t *delivery);
/* A new home has delivered the message again: its result is awaited as that delivery says. On the
 * executor's thread. */
void pending_deliver_again(fabric_pending_t *pending, const message_deliver_t *delivery);
/* The handler is to stop. On the executor's thread. */
void pending_interrupt(fabric_pending_t *pending, fabric_interrupt_t why);
/* The entity waits for the handle no longer. On the executor's thread. */
void pending_abandon(fabric_pending_t *pending);
void pending_destroy(fabric_pending_t **pending);

/* ---- of a handle that nobody but its executor has ---- */

void pending_set_reply(fabric_pending_t *pending, const void *reply);
/* `error`: why a failure was answered, or a defect that the entity survives. */
void pending_set_outcome(fabric_pending_t *pending, reply_status_t status, fabric_error_t error,
                         uint64_t code, fabric_bytes_t payload);
void pending_set_interrupted(fabric_pending_t *pending);

#endif
