/* The asks of a message: see asks.h. */
#include "worker/asks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "core/memory.h"
#include "core/outcome.h"

struct answers {
    pthread_mutex_t lock;
    size_t references; /* the executor, and each ask */
    bool closed;
    ask_t *first, *last;
    atomic_bool waiting; /* whether `first` is set: the executor can look without the lock */
    void (*wake)(void *context);
    void *wake_context;
};

/* ---- the queue ---- */

answers_t *answers_new(void (*wake)(void *context), void *wake_context)
{
    answers_t *answers = (answers_t *)memory_allocate_zeroed(1, sizeof *answers);
    if (pthread_mutex_init(&answers->lock, NULL) != 0) {
        abort();
    }
    answers->references = 1;
    answers->wake = wake;
    answers->wake_context = wake_context;
    return answers;
}

/* Drops a reference; the lock is held before and not after. */
static void drop(answers_t *answers)
{
    bool last = --answers->references == 0;
    pthread_mutex_unlock(&answers->lock);
    if (last) {
        pthread_mutex_destroy(&answers->lock);
        free(answers);
    }
}

void answers_close(answers_t **answers)
{
    answers_t *self = *answers;
    if (!self) {
        return;
    }
    pthread_mutex_lock(&self->lock);
    self->closed = true;
    self->wake = NULL;
    ask_t *ask = self->first;
    self->first = self->last = NULL;
    pthread_mutex_unlock(&self->lock);
    while (ask) {
        ask_t *next = ask->next;
        ask_destroy(&ask);
        ask = next;
    }
    pthread_mutex_lock(&self->lock);
    drop(self);
    *answers = NULL;
}

/* The ask is answered, on any thread. */
static void put(ask_t *ask)
{
    answers_t *answers = ask->answers;
    pthread_mutex_lock(&answers->lock);
    if (answers->closed) {
        pthread_mutex_unlock(&answers->lock);
        ask_destroy(&ask);
        return;
    }
    bool first = !answers->first;
    if (first) {
        answers->first = ask;
    } else {
        answers->last->next = ask;
    }
    answers->last = ask;
    atomic_store_explicit(&answers->waiting, true, memory_order_release);
    /* Under the lock, so that the executor cannot end while it is being woken. */
    if (first && answers->wake) {
        answers->wake(answers->wake_context);
    }
    pthread_mutex_unlock(&answers->lock);
}

ask_t *answers_take(answers_t *answers)
{
    if (!atomic_load_explicit(&answers->waiting, memory_order_acquire)) {
        return NULL;
    }
    pthread_mutex_lock(&answers->lock);
    ask_t *ask = answers->first;
    answers->first = ask->next;
    ask->next = NULL;
    if (!answers->first) {
        answers->last = NULL;
        atomic_store_explicit(&answers->waiting, false, memory_order_relaxed);
    }
    pthread_mutex_unlock(&answers->lock);
    return ask;
}

/* ---- one ask ---- */

static ask_t *ask_new(asks_t *asks, answers_t *answers, const fabric_ask_t *description)
{
    ask_t *ask = (ask_t *)memory_allocate_zeroed(1, sizeof *ask);
    ask->answers = answers;
    ask->asks = asks;
    ask->message = description->message;
    ask->then = description->then;
    ask->argument = description->argument;
    pthread_mutex_lock(&answers->lock);
    answers->references++;
    pthread_mutex_unlock(&answers->lock);
    return ask;
}

void ask_destroy(ask_t **ask)
{
    if (!*ask) {
        return;
    }
    pthread_mutex_lock(&(*ask)->answers->lock);
    drop((*ask)->answers);
    free((*ask)->payload);
    free(*ask);
    *ask = NULL;
}

static void on_answer(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    ask_t *ask = (ask_t *)context;
    ask->outcome = *outcome;
    ask->size = payload.size;
    if (payload.size > 0) {
        ask->payload = (uint8_t *)memory_allocate(payload.size);
        memcpy(ask->payload, payload.data, payload.size);
    }
    put(ask);
}

static void refuse(ask_t *ask, fabric_error_t error)
{
    const reason_t reason = {""};
    outcome_of_reason(error, &reason, &ask->outcome);
    put(ask);
}

/* ---- those of a message ---- */

asks_t *asks_new(fabric_sender_t *sender, const fabric_handler_t *handler)
{
    asks_t *asks = (asks_t *)memory_allocate_zeroed(1, sizeof *asks);
    asks->sender = sender;
    asks->handler = handler;
    return asks;
}

void context_blocks_free(context_block_t **blocks)
{
    while (*blocks) {
        context_block_t *block = *blocks;
        *blocks = block->next;
        free(block);
    }
}

static void cancel(const asks_t *asks, const ask_t *ask)
{
    if (ask->key.sequence != 0) {
        asks->sender->cancel(asks->sender, ask->key);
    }
}

void asks_destroy(asks_t **asks)
{
    asks_t *self = *asks;
    if (!self) {
        return;
    }
    while (self->open) {
        if (!self->open->keyed) {
            cancel(self, self->open);
        }
        asks_answered(self, self->open);
    }
    context_blocks_free(&self->blocks);
    free(self->delivery);
    free(self);
    *asks = NULL;
}

void asks_start(asks_t *asks, answers_t *answers, const fabric_ask_t *description,
                const fabric_call_t *call)
{
    ask_t *ask = ask_new(asks, answers, description);
    ask->keyed = call->primary_key.size > 0;
    bool full = asks->open_count == FABRIC_ASKS_MAX;
    DL_APPEND2(asks->open, ask, asks_previous, asks_next);
    asks->open_count++;
    fabric_error_t error = FABRIC_ERROR_LIMIT_EXCEEDED;
    if (!full && !call->message->reply) {
        error = FABRIC_ERROR_INVALID_ARGUMENT;
    } else if (!full) {
        error = asks->sender->start(asks->sender, call, on_answer, ask, &ask->key);
    }
    if (error != FABRIC_OK) {
        refuse(ask, error);
    }
}

static fabric_bytes_t copy_view(uint8_t **place, fabric_bytes_t view)
{
    fabric_bytes_t copy = fabric_bytes(*place, view.size);
    if (view.size > 0) {
        memcpy(*place, view.data, view.size);
        *place += view.size;
    }
    return copy;
}

void asks_keep(asks_t *asks, const message_deliver_t *delivery, context_block_t *blocks)
{
    size_t size = delivery->type.size + delivery->id.size + delivery->tag.size +
                  delivery->payload.size + delivery->traceparent.size + delivery->headers.size;
    message_deliver_t *copy = (message_deliver_t *)memory_allocate(sizeof *copy + size);
    uint8_t *place = (uint8_t *)(copy + 1);
    *copy = *delivery;
    copy->type = copy_view(&place, delivery->type);
    copy->id = copy_view(&place, delivery->id);
    copy->tag = copy_view(&place, delivery->tag);
    copy->payload = copy_view(&place, delivery->payload);
    copy->traceparent = copy_view(&place, delivery->traceparent);
    copy->headers = copy_view(&place, delivery->headers);
    asks->delivery = copy;
    asks->blocks = blocks;
}

void asks_answered(asks_t *asks, ask_t *ask)
{
    DL_DELETE2(asks->open, ask, asks_previous, asks_next);
    asks->open_count--;
    ask->asks = NULL;
}

void asks_cancel(asks_t *asks)
{
    ask_t *ask;
    DL_FOREACH2(asks->open, ask, asks_next)
    {
        cancel(asks, ask);
    }
}
