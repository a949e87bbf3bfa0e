/* Handlers that are to stop: what an executor's thread is told past its queue of work, which waits
 * while a handler runs (decision 27).
 *
 * Orders that end handlers are announced here by the thread that gives them to the executor, in the
 * order in which the executor takes them. The handler that runs asks whether one of them is about
 * it, or has a function called when one is announced.
 *
 * Threading: any thread announces; the other functions belong to the executor's thread. A function
 * that is called runs under the lock, so it never runs after interrupts_end_wish.
 */
#ifndef WORKER_INTERRUPTS_H
#define WORKER_INTERRUPTS_H

#include <fabric/worker.h>

#include "worker/work.h"

typedef struct interrupts interrupts_t;

/* The message of a handler that runs, and the interrupts that its type does not hear of. */
typedef struct interrupts_name {
    uint64_t shard;
    token_t token;
    uint64_t request_id;
    uint32_t uninterruptible;
} interrupts_name_t;

interrupts_t *interrupts_new(void);
void interrupts_destroy(interrupts_t **interrupts);

/* Whether the order is of a kind that ends handlers. */
static inline bool interrupts_is_order(const work_t *order)
{
    return order->kind == WORK_INTERRUPT || order->kind == WORK_STOP;
}
/* An order that ends handlers is about to be given to the executor. */
void interrupts_announce(interrupts_t *interrupts, const work_t *order);
/* The executor has taken the order that was announced first. */
void interrupts_taken(interrupts_t *interrupts);

/* Why this message's handler, which runs, is to stop. */
fabric_interrupt_t interrupts_find(interrupts_t *interrupts, const interrupts_name_t *name);
/* The handler wants to be told, until interrupts_end_wish; maybe at once. */
void interrupts_wish(interrupts_t *interrupts, const interrupts_name_t *name,
                     fabric_interrupt_fn *call, void *argument);
void interrupts_end_wish(interrupts_t *interrupts);

#endif
