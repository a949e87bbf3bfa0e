/* Handling messages: what executor_handle.c keeps from one message to the next. */
#ifndef WORKER_EXECUTOR_HANDLE_STATE_H
#define WORKER_EXECUTOR_HANDLE_STATE_H

#include "core/log.h"
#include "worker/context_state.h"
#include "worker/executor.h"

typedef struct executor_handling {
    fabric_context_t context;
    void *request; /* decoding buffer */
    void *reply;
    uint8_t *payload; /* encoding buffer, LIMIT_PAYLOAD_BYTES_MAX */
    executor_hooks_t hooks;
    log_limiter_t defects_reported;
    _Atomic uint64_t handled, defects, answered; /* any thread reads these */
} executor_handling_t;

void handling_init(executor_handling_t *handling, const type_table_t *types,
                   completions_t *completions, const executor_hooks_t *hooks);
void handling_free(executor_handling_t *handling);

/* Handles one delivery to an entity that has no pending handler and whose turn it is. */
void handle_delivery(executor_t *executor, entity_t *entity, ownership_t *ownership,
                     const message_deliver_t *delivery);
/* Answers a delivery whose message was handled under an earlier home, from the result that was
 * kept; false: none was. */
FABRIC_MUST_USE bool handle_again(executor_t *executor, ownership_t *ownership,
                                  const message_deliver_t *delivery);
/* Takes the outcome of a completed handle to its entity, and frees the handle. */
void handle_completion(executor_t *executor, fabric_pending_t **pending);

#endif
