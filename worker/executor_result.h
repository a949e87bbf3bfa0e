/* The results of messages to an executor's entities, defects among them, and what people are told
 * of those. Below: what executor_output.c puts out; above: what was stored, and handling messages.
 */
#ifndef WORKER_EXECUTOR_RESULT_H
#define WORKER_EXECUTOR_RESULT_H

#include "worker/executor_state.h"

/* One thread counts; others may read. */
static inline void handling_count(_Atomic uint64_t *counter)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

/* The result of a message to an entity: the parts that name the message. */
message_result_t result_of(const entity_t *entity, uint64_t activation, uint64_t request_id);
/* `flags` are those of the message. */
void result_put(executor_t *executor, entity_t *entity, uint64_t flags,
                const message_result_t *result);
/* A message that cannot be decoded, or whose reply cannot be encoded, fails by itself: the entity
 * goes on. */
void result_put_malformed(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                          const char *text);
/* The handler broke: its entity's state ends. The message has been counted as handled. */
void result_put_broken(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const char *text);
/* The same, and it is counted. */
void result_put_defect(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const char *text);

/* Whether the ownership's home waits for the result of the handle: if not, the home that has
 * delivered the message is gone, and the next one has not delivered it again yet. */
bool result_is_awaited(const fabric_pending_t *pending, const ownership_t *ownership);
/* The handle has ended, or is given up: it cannot be slow any more. */
void result_end_watch(executor_t *executor, fabric_pending_t *pending);
/* Gives up the entity's pending handlers, which are told to stop, but for those of deliveries under
 * the token (NULL: all): if their messages are stored, the home delivers them again. */
void result_give_up_handlers(executor_t *executor, entity_t *entity, const token_t *except);
/* The entity's state is about to end while handlers are pending: their messages end with it, so
 * that the home delivers the durable ones again. */
void result_end_pending_calls(executor_t *executor, entity_t *entity);

/* Tells people (NULL: nobody), as often as the limiter lets it. */
void result_report(const executor_t *executor, executor_report_fn *told, log_limiter_t *limiter,
                   const char *message, const char *words);
void result_report_defect(executor_t *executor, const entity_t *entity, fabric_bytes_t tag,
                          uint64_t request_id, fabric_bytes_t text);
/* Why the last build has failed. */
const char *result_build_fault(const executor_t *executor);

#endif
