/* Transactional messages: what comes before and after their handlers. Below: results; above:
 * handling messages.
 *
 * A message whose result stands is answered with it. One that is only to be looked for
 * (DELIVER_LOOK), or whose transaction cannot begin or commit, is not taken: with NotFound, or with
 * Persistence, which counts as an outcome that is not known. The entity's instance ends then: it
 * may have seen what never was.
 */
#ifndef WORKER_EXECUTOR_TRANSACTION_H
#define WORKER_EXECUTOR_TRANSACTION_H

#include "worker/executor_state.h"

static inline bool delivery_is_transactional(const message_deliver_t *delivery)
{
    return (delivery->flags & MESSAGE_TRANSACTIONAL) != 0;
}

/* Begins the transaction; false: the delivery has been answered. The entity has entered its
 * activation. */
FABRIC_MUST_USE bool transaction_enter(executor_t *executor, entity_t *entity,
                                       const message_deliver_t *delivery);
/* The handler has returned. What is wrong with that; NULL: nothing. `*answered`: the delivery has
 * been answered, as the connection was lost; but what `rolls_back` anyway, a failure or a defect,
 * is still to be answered: no COMMIT was sent. `later`: it wants to answer later. */
const char *transaction_returned(executor_t *executor, entity_t *entity,
                                 const message_deliver_t *delivery, bool rolls_back, bool later,
                                 bool *answered);
/* Commits the reply, with what the handler has told others (NULL: nothing); false: the delivery has
 * been answered otherwise. */
FABRIC_MUST_USE bool transaction_reply(executor_t *executor, entity_t *entity,
                                       const message_deliver_t *delivery,
                                       const message_result_t *result, const told_t *told);
/* The message has been handled: rolls back what was not committed. */
void transaction_leave(executor_t *executor);

#endif
