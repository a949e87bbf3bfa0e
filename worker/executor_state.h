/* Inside the executor: its struct, which executor.c alone writes.
 *
 * The files of the executor are layers; each calls those below it only:
 *
 *     executor.c                            its life, its inbox, the order of its steps
 *     executor_asks.c                       handlers that go on when an answer is there
 *     executor_handle.c  executor_stop.c    one message; stopping the entities of a lost shard
 *     executor_early.c                      instances that rest on what may never be stored
 *     executor_interrupt.c                  handlers and messages that are to stop
 *     executor_wake.c                       entities that are to have an instance without a message
 *     executor_transaction.c                transactional messages, but for their handlers
 *     executor_stored.c                     what is stored with results, and taken back
 *     executor_result.c                     results of messages, defects, what people are told
 *     executor_entity.c  context.c          entities and their queues; what a handler is given
 *     context_asks.c                        what a handler asks and tells others
 *     executor_ownership.c  pending.c       ownerships of shards; handlers that complete later
 *     asks.c  sender.c                      asks that are open; sending, by whatever sends
 *     told.c                                what handlers tell with their replies
 *     executor_persisted.c                  the persisted state that an instance begins with
 *     executor_events.c                     the events that an instance is built of, and appends
 *     executor_instance.c                   building and ending instances; resources
 *     executor_alive.c                      what the home is told of entities that are kept alive
 *     executor_residents.c                  how many entities have state, and which of them rest
 *     executor_output.c  executor_kept.c    results; results of before a change of home
 *     executor_slow.c  executor_at_hand.c   handlers that take long; the one that runs
 *     transaction.c                         the connection that these have to their database
 *     interrupts.c                          how that one hears that it is to stop
 */
#ifndef WORKER_EXECUTOR_STATE_H
#define WORKER_EXECUTOR_STATE_H

#include "worker/executor_asks_state.h"
#include "worker/executor_handle_state.h"
#include "worker/executor_output_state.h"

struct executor {
    const type_table_t *types;
    completions_t *completions;
    executor_asks_t asks;
    uint64_t now_ms; /* of the current step */
    work_t *inbox_first, *inbox_last;
    uint32_t inbox_place;       /* of the next delivery in inbox_first */
    uint64_t given, dispatched; /* works with deliveries */
    entity_table_t entities;
    ownership_table_t ownerships;
    executor_handling_t handling;
    executor_output_t output;
};

/* Goes on with stopping the entities of lost shards (executor_stop.c); false: nothing to do now. */
FABRIC_MUST_USE bool executor_stop_step(executor_t *executor);
/* The caller of a message wants it to end (executor_interrupt.c). */
void executor_interrupt(executor_t *executor, const work_t *order);
/* The home wants the entity to have an instance (executor_wake.c). ENTITY_NOT_ASSIGNED: it has
 * none, and none can be made now; NOT_BUILT, SNAPSHOT_UNREADABLE: it could not be built. */
FABRIC_MUST_USE fabric_error_t executor_wake(executor_t *executor, ownership_t *ownership,
                                             const type_entry_t *type,
                                             const message_deliver_t *wake);
/* The ownership's next home has given it to this worker again, and its results are here: instances
 * end that rest on messages which the former home may not have stored (executor_early.c). */
void executor_end_early(executor_t *executor, ownership_t *ownership);
/* Tells the pending handlers of an ownership that is about to be stopped. */
void executor_tell_stop(executor_t *executor, const work_t *order);

#endif
