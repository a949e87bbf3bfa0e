/* Messages that are completed later: the handle of one such message, and the queue by which
 * completions reach their executor from any thread.
 *
 * A handle is made on the executor's thread and completed on any. From then on it is in the queue
 * and the executor's. A handle whose entity was stopped meanwhile stays valid until it is
 * completed; its completion changes nothing.
 */
#ifndef WORKER_PENDING_H
#define WORKER_PENDING_H

#include <fabric/worker.h>

#include "core/message.h"

struct entity;

typedef struct completions completions_t;

/* `wake` (may be NULL) is called on the completing thread when the queue stops being empty. */
completions_t *completions_new(void (*wake)(void *context), void *wake_context);
/* The executor's end: nothing is waited for any more and `wake` is not called again. Handles that
 * are still open keep the queue in memory. */
void completions_close(completions_t **completions);
/* All completed handles in order of completion, as a list; they are the caller's. NULL: none. */
fabric_pending_t *completions_take(completions_t *completions);

struct fabric_pending {
    fabric_pending_t *next; /* in the queue */
    completions_t *completions;
    struct entity *entity; /* the executor's thread only; NULL: abandoned */
    const fabric_message_type_t *message;
    uint64_t activation;
    uint64_t request_id;
    uint64_t flags;
    /* the outcome */
    reply_status_t status;
    fabric_error_t error;
    uint64_t code;
    wire_writer_t payload;
};

fabric_pending_t *pending_new(completions_t *completions, struct entity *entity,
                              const fabric_message_type_t *message,
                              const message_deliver_t *delivery);
/* The entity waits for the handle no more. On the executor's thread. */
void pending_abandon(fabric_pending_t *pending);
void pending_destroy(fabric_pending_t **pending);

#endif
