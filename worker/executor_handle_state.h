/* Handling messages: what executor_handle.c keeps from one message to the next. */
#ifndef WORKER_EXECUTOR_HANDLE_STATE_H
#define WORKER_EXECUTOR_HANDLE_STATE_H

#include "core/schema_memory.h"
#include "core/log.h"
#include "worker/context_state.h"
#include "worker/executor.h"

enum { AT_HAND_ID_BYTES = 32 };

/* The message whose handler, or whose entity's start function, runs: other threads read it to say
 * what an executor is stuck at. Types and handlers outlive the executor. */
typedef struct executor_at_hand {
    _Atomic uint64_t request_id; /* 0: none; written last at the beginning, first at the end */
    _Atomic(const type_entry_t *) type;
    _Atomic(const fabric_handler_t *) handler;
    _Atomic uint32_t id_size;
    _Atomic uint64_t id[AT_HAND_ID_BYTES / sizeof(uint64_t)]; /* its first bytes */
} executor_at_hand_t;

typedef struct executor_handling {
    fabric_context_t context;
    void *request;            /* decoding buffer */
    schema_memory_t elements; /* of the request's lists that are views */
    void *reply;
    uint8_t *payload; /* encoding buffer, LIMIT_PAYLOAD_BYTES_MAX */
    executor_hooks_t hooks;
    log_limiter_t defects_reported;
    executor_at_hand_t at_hand;
    _Atomic uint64_t handled, defects, answered; /* any thread reads these */
} executor_handling_t;

void handling_init(executor_handling_t *handling, const type_table_t *types,
                   completions_t *completions, const executor_hooks_t *hooks);
void handling_free(executor_handling_t *handling);
/* A line for people about the message at hand: entity, tag and request id; false: none is. Any
 * thread. */
bool handling_describe(const executor_handling_t *handling, char *text, size_t size);

/* Handles one delivery to an entity that has no pending handler and whose turn it is. */
void handle_delivery(executor_t *executor, entity_t *entity, ownership_t *ownership,
                     const message_deliver_t *delivery);
/* Answers a delivery whose message was handled under an earlier home, from the result that was
 * kept; false: none was, or the delivery's activation has ended with a defect, or its home is gone.
 * NULL: there is no such entity now. */
FABRIC_MUST_USE bool handle_again(executor_t *executor, const entity_t *entity,
                                  ownership_t *ownership, const message_deliver_t *delivery);
/* Takes the outcome of a completed handle to its entity, and frees the handle. */
void handle_completion(executor_t *executor, fabric_pending_t **pending);

#endif
