/* Handling messages: what executor_handle.c keeps from one message to the next. */
#ifndef WORKER_EXECUTOR_HANDLE_STATE_H
#define WORKER_EXECUTOR_HANDLE_STATE_H

#include "core/schema_memory.h"
#include "core/log.h"
#include "worker/context_state.h"
#include "worker/executor.h"
#include "worker/executor_at_hand_state.h"
#include "worker/executor_slow_state.h"
#include "worker/transaction.h"

typedef struct executor_handling {
    fabric_context_t context;
    void *request;            /* decoding buffer */
    schema_memory_t elements; /* of the request's lists that are views */
    void *reply;
    uint8_t *payload;      /* encoding buffer, LIMIT_PAYLOAD_BYTES_MAX */
    uint8_t *state_buffer; /* the same for persisted states; NULL: there were none yet */
    executor_hooks_t hooks;
    log_limiter_t defects_reported, slow_reported, evicted_reported, rolled_back_reported;
    transactions_t *transactions; /* NULL: there is no database */
    void *lent;                   /* in the place of its connection, for tests */
    executor_at_hand_t at_hand;
    uint64_t ran; /* the request whose handler returned in the last step; 0: none */
    executor_slow_t slow;
    _Atomic uint64_t handled, defects, answered, evicted; /* any thread reads these */
} executor_handling_t;

void handling_init(executor_handling_t *handling, const type_table_t *types,
                   completions_t *completions, entity_table_t *entities,
                   const executor_hooks_t *hooks);
void handling_free(executor_handling_t *handling);
/* A step begins: returns the request whose handler returned in the one before; 0: none did. */
static inline uint64_t handling_take_ran(executor_handling_t *handling)
{
    uint64_t request_id = handling->ran;
    handling->ran = 0;
    return request_id;
}
/* The handler of that request has taken so long. */
void handling_look_back(executor_t *executor, uint64_t request_id, uint64_t took_ms);
/* Tells of a handler that has been pending for too long now; false: none has. */
bool handling_slow_step(executor_t *executor);

/* Handles one delivery to an entity whose turn it is. */
void handle_delivery(executor_t *executor, entity_t *entity, ownership_t *ownership,
                     const message_deliver_t *delivery);
/* Answers a delivery whose message was handled under an earlier home, from the result that was
 * kept; false: none was, or the delivery's activation has ended with a defect, or its home is gone.
 * NULL: there is no such entity now. */
FABRIC_MUST_USE bool handle_again(executor_t *executor, const entity_t *entity,
                                  ownership_t *ownership, const message_deliver_t *delivery);
/* Takes the outcome of a completed handle to its entity, and frees the handle. */
void handle_completion(executor_t *executor, fabric_pending_t **pending);
/* The crash notes say that the request's handler runs; 0: none does. */
void handling_note_request(const executor_t *executor, uint64_t request_id);
/* The instance was to end with the handler that has ended; a defect may have ended it before. */
void handle_end_terminating(executor_t *executor, entity_t *entity);
/* Tells people that an instance which was wanted without a message could not be built. */
void handling_report_not_woken(executor_t *executor, const entity_t *entity);
/* Gives up a pending handler: its outcome will be dropped. */
void handle_abandon(executor_t *executor, fabric_pending_t *pending);

#endif
