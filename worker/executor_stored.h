/* What is stored of entities: of persisted types the state, of types with events these; and what
 * handlers tell others. It goes out with the replies of durable messages, and what went out with
 * none is taken back.
 */
#ifndef WORKER_EXECUTOR_STORED_H
#define WORKER_EXECUTOR_STORED_H

#include "worker/executor_state.h"

/* Whether all that the home gives is here, which an instance of such a type begins with. */
bool stored_is_here(const type_entry_t *type, const entity_t *entity);
/* Takes what the home gives: a state, or a snapshot, or events behind one. The entity's turn has
 * come. Its next instance begins with it; one that it has ends. */
void stored_take_given(executor_t *executor, entity_t *entity, ownership_t *ownership,
                       const message_deliver_t *given);
/* Puts the reply of a handler that has ended, of any type, with what is to be stored with it, and
 * with what the handler has told others (NULL: nothing). */
void stored_put_handled(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                        const message_result_t *result, const told_t *told);
/* Puts the failure of a handler that has ended: the state is as it was before the message. */
void stored_put_failed(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const message_result_t *result);
/* The message has no result, or one that no state and no events go with: what its handler has
 * changed does not count. */
void stored_take_back(executor_t *executor, entity_t *entity);

#endif
