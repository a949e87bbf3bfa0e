/* Handlers that are to stop: see interrupts.h. */
#include "worker/interrupts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/thread.h"

/* An order that was announced. */
typedef struct announced {
    work_kind_t kind;
    uint64_t shard;
    token_t token;
    uint64_t request_id; /* INTERRUPT */
} announced_t;

struct interrupts {
    pthread_mutex_t lock; /* recursive: a function that is called may ask */
    atomic_size_t count;  /* of what follows: whoever asks looks here first, without the lock */
    announced_t *orders;
    size_t first, end, capacity;
    fabric_interrupt_fn *call; /* of the handler that runs; NULL: it does not want to be told */
    void *argument;
    interrupts_name_t name;
};

interrupts_t *interrupts_new(void)
{
    interrupts_t *interrupts = (interrupts_t *)memory_allocate_zeroed(1, sizeof *interrupts);
    thread_mutex_init_recursive(&interrupts->lock);
    return interrupts;
}

void interrupts_destroy(interrupts_t **interrupts)
{
    if (*interrupts) {
        pthread_mutex_destroy(&(*interrupts)->lock);
        free((*interrupts)->orders);
        free(*interrupts);
        *interrupts = NULL;
    }
}

/* ---- what is announced ---- */

static void add(interrupts_t *interrupts, const announced_t *order)
{
    size_t count = interrupts->end - interrupts->first;
    if (interrupts->end == interrupts->capacity && interrupts->first > 0) {
        memmove(interrupts->orders, interrupts->orders + interrupts->first,
                count * sizeof *interrupts->orders);
        interrupts->first = 0;
        interrupts->end = count;
    }
    if (interrupts->end == interrupts->capacity) {
        interrupts->capacity = interrupts->capacity ? 2 * interrupts->capacity : 16;
        interrupts->orders = (announced_t *)memory_resize(interrupts->orders, interrupts->capacity,
                                                          sizeof *interrupts->orders);
    }
    interrupts->orders[interrupts->end++] = *order;
}

static fabric_interrupt_t why(const announced_t *order, const interrupts_name_t *name)
{
    if (order->shard != name->shard || !token_equal(order->token, name->token)) {
        return FABRIC_NOT_INTERRUPTED;
    }
    if (order->kind == WORK_STOP) {
        return name->uninterruptible & FABRIC_UNINTERRUPTIBLE_BY_STOPS ? FABRIC_NOT_INTERRUPTED
                                                                       : FABRIC_INTERRUPT_STOP;
    }
    return order->request_id != name->request_id ||
                   name->uninterruptible & FABRIC_UNINTERRUPTIBLE_BY_CALLERS
               ? FABRIC_NOT_INTERRUPTED
               : FABRIC_INTERRUPT_CANCEL;
}

/* Calls the function that is wanted, once. */
static void tell(interrupts_t *interrupts, fabric_interrupt_t reason)
{
    fabric_interrupt_fn *call = interrupts->call;
    interrupts->call = NULL;
    call(interrupts->argument, reason);
}

void interrupts_announce(interrupts_t *interrupts, const work_t *order)
{
    announced_t announced = {
        .kind = order->kind,
        .shard = order->shard.value,
        .token = order->token,
        .request_id = order->kind == WORK_INTERRUPT ? order->deliveries[0].request_id : 0};
    pthread_mutex_lock(&interrupts->lock);
    add(interrupts, &announced);
    atomic_fetch_add_explicit(&interrupts->count, 1, memory_order_relaxed);
    fabric_interrupt_t reason =
        interrupts->call ? why(&announced, &interrupts->name) : FABRIC_NOT_INTERRUPTED;
    if (reason != FABRIC_NOT_INTERRUPTED) {
        tell(interrupts, reason);
    }
    pthread_mutex_unlock(&interrupts->lock);
}

void interrupts_taken(interrupts_t *interrupts)
{
    pthread_mutex_lock(&interrupts->lock);
    interrupts->first++;
    atomic_fetch_sub_explicit(&interrupts->count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&interrupts->lock);
}

/* ---- the handler that runs ---- */

/* Under the lock. What the caller wants comes before what the worker wants. */
static fabric_interrupt_t find(const interrupts_t *interrupts, const interrupts_name_t *name)
{
    fabric_interrupt_t found = FABRIC_NOT_INTERRUPTED;
    for (size_t i = interrupts->first; i < interrupts->end && found != FABRIC_INTERRUPT_CANCEL;
         i++) {
        fabric_interrupt_t reason = why(&interrupts->orders[i], name);
        found = reason != FABRIC_NOT_INTERRUPTED ? reason : found;
    }
    return found;
}

fabric_interrupt_t interrupts_find(interrupts_t *interrupts, const interrupts_name_t *name)
{
    if (atomic_load_explicit(&interrupts->count, memory_order_relaxed) == 0) {
        return FABRIC_NOT_INTERRUPTED;
    }
    pthread_mutex_lock(&interrupts->lock);
    fabric_interrupt_t reason = find(interrupts, name);
    pthread_mutex_unlock(&interrupts->lock);
    return reason;
}

void interrupts_wish(interrupts_t *interrupts, const interrupts_name_t *name,
                     fabric_interrupt_fn *call, void *argument)
{
    pthread_mutex_lock(&interrupts->lock);
    interrupts->name = *name;
    interrupts->call = call;
    interrupts->argument = argument;
    fabric_interrupt_t reason = find(interrupts, name);
    if (call && reason != FABRIC_NOT_INTERRUPTED) {
        tell(interrupts, reason);
    }
    pthread_mutex_unlock(&interrupts->lock);
}

void interrupts_end_wish(interrupts_t *interrupts)
{
    pthread_mutex_lock(&interrupts->lock);
    interrupts->call = NULL;
    pthread_mutex_unlock(&interrupts->lock);
}
