/* Messages that are completed later: see pending.h. */
#include "worker/pending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/failures.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/thread.h"
#include "worker/asks.h"
#include "worker/told.h"

/* In the place of a failure's number. */
#define REPLY INT64_MAX

struct completions {
    pthread_mutex_t lock;
    size_t references; /* the executor, and each open handle */
    bool closed;
    fabric_pending_t *first, *last;
    atomic_bool waiting; /* whether `first` is set: the executor can look without the lock */
    void (*wake)(void *context);
    void *wake_context;
};

completions_t *completions_new(void (*wake)(void *context), void *wake_context)
{
    completions_t *completions = (completions_t *)memory_allocate_zeroed(1, sizeof *completions);
    /* Recursive: a function that is told of an interrupt may complete its handle. */
    thread_mutex_init_recursive(&completions->lock);
    completions->references = 1;
    completions->wake = wake;
    completions->wake_context = wake_context;
    return completions;
}

/* Drops a reference; the lock is held before and not after. */
static void completions_drop(completions_t *completions)
{
    bool last = --completions->references == 0;
    pthread_mutex_unlock(&completions->lock);
    if (last) {
        pthread_mutex_destroy(&completions->lock);
        free(completions);
    }
}

void completions_close(completions_t **completions)
{
    if (!*completions) {
        return;
    }
    pthread_mutex_lock(&(*completions)->lock);
    (*completions)->closed = true;
    (*completions)->wake = NULL;
    fabric_pending_t *pending = (*completions)->first;
    (*completions)->first = (*completions)->last = NULL;
    pthread_mutex_unlock(&(*completions)->lock);
    while (pending) {
        fabric_pending_t *next = pending->next;
        pending_destroy(&pending);
        pending = next;
    }
    pthread_mutex_lock(&(*completions)->lock);
    completions_drop(*completions);
    *completions = NULL;
}

fabric_pending_t *completions_take(completions_t *completions)
{
    if (!atomic_load_explicit(&completions->waiting, memory_order_acquire)) {
        return NULL;
    }
    pthread_mutex_lock(&completions->lock);
    fabric_pending_t *first = completions->first;
    completions->first = completions->last = NULL;
    atomic_store_explicit(&completions->waiting, false, memory_order_relaxed);
    pthread_mutex_unlock(&completions->lock);
    return first;
}

fabric_pending_t *pending_new(completions_t *completions, struct entity *entity,
                              const fabric_message_type_t *message,
                              const message_deliver_t *delivery)
{
    fabric_pending_t *pending = (fabric_pending_t *)memory_allocate_zeroed(1, sizeof *pending);
    pending->completions = completions;
    pending->entity = entity;
    pending->message = message;
    pending_deliver_again(pending, delivery);
    pending->request_id = delivery->request_id;
    pending->flags = delivery->flags;
    pthread_mutex_lock(&completions->lock);
    completions->references++;
    pthread_mutex_unlock(&completions->lock);
    return pending;
}

void pending_deliver_again(fabric_pending_t *pending, const message_deliver_t *delivery)
{
    pending->token = (token_t){delivery->home_epoch, delivery->owner_sequence};
    pending->activation = delivery->activation;
}

void pending_abandon(fabric_pending_t *pending)
{
    pending->entity = NULL;
}

/* Under the lock. */
static void tell(fabric_pending_t *pending)
{
    fabric_interrupt_fn *call = pending->interrupt_call;
    int why = atomic_load_explicit(&pending->interrupt, memory_order_relaxed);
    if (call && !pending->completed && why != FABRIC_NOT_INTERRUPTED) {
        pending->interrupt_call = NULL;
        call(pending->interrupt_argument, (fabric_interrupt_t)why);
    }
}

void pending_interrupt(fabric_pending_t *pending, fabric_interrupt_t why)
{
    completions_t *completions = pending->completions;
    pthread_mutex_lock(&completions->lock);
    /* What the caller wants counts more than what the worker wants. */
    if (atomic_load_explicit(&pending->interrupt, memory_order_relaxed) !=
        FABRIC_INTERRUPT_CANCEL) {
        atomic_store_explicit(&pending->interrupt, (int)why, memory_order_relaxed);
    }
    tell(pending);
    pthread_mutex_unlock(&completions->lock);
}

fabric_interrupt_t fabric_pending_interrupt(const fabric_pending_t *pending)
{
    return (fabric_interrupt_t)atomic_load_explicit(&pending->interrupt, memory_order_relaxed);
}

void fabric_pending_on_interrupt(fabric_pending_t *pending, fabric_interrupt_fn *call,
                                 void *argument)
{
    completions_t *completions = pending->completions; /* the function may complete the handle */
    pthread_mutex_lock(&completions->lock);
    completions->references++;
    pending->interrupt_call = call;
    pending->interrupt_argument = argument;
    tell(pending);
    completions_drop(completions);
}

void pending_destroy(fabric_pending_t **pending)
{
    if (!*pending) {
        return;
    }
    asks_destroy(&(*pending)->asks);
    told_destroy(&(*pending)->told);
    pthread_mutex_lock(&(*pending)->completions->lock);
    completions_drop((*pending)->completions);
    wire_writer_destroy(&(*pending)->payload);
    free(*pending);
    *pending = NULL;
}

static void pending_complete(fabric_pending_t **handle)
{
    fabric_pending_t *pending = *handle;
    *handle = NULL;
    completions_t *completions = pending->completions;
    pthread_mutex_lock(&completions->lock);
    pending->completed = true;
    if (completions->closed) {
        completions_drop(completions);
        told_destroy(&pending->told);
        wire_writer_destroy(&pending->payload);
        free(pending);
        return;
    }
    bool first = !completions->first;
    if (first) {
        completions->first = pending;
    } else {
        completions->last->next = pending;
    }
    completions->last = pending;
    atomic_store_explicit(&completions->waiting, true, memory_order_release);
    /* Under the lock, so that the executor cannot end while it is being woken. */
    if (first && completions->wake) {
        completions->wake(completions->wake_context);
    }
    pthread_mutex_unlock(&completions->lock);
}

static void set_text(fabric_pending_t *pending, const char *text)
{
    size_t size = text ? strlen(text) : 0;
    wire_writer_reset(&pending->payload);
    wire_append(&pending->payload, text, size < LIMIT_TEXT_BYTES_MAX ? size : LIMIT_TEXT_BYTES_MAX);
}

/* Encodes the reply, or the values of a failure if `number` is not that of a reply. */
static fabric_error_t encode(const fabric_message_type_t *message, int64_t number,
                             const void *value, wire_writer_t *payload, size_t capacity,
                             fabric_schema_fault_t *fault, size_t *size)
{
    return number == REPLY
               ? fabric_schema_encode(message->reply, value, payload->data, capacity, fault, size)
               : failure_encode(message->failures, (int32_t)number, value, payload->data, capacity,
                                fault, size);
}

/* Encodes into the payload, with a buffer that grows up to the largest payload. What cannot be
 * encoded makes a defect. */
static void encode_growing(fabric_pending_t *pending, int64_t number, const void *value)
{
    fabric_schema_fault_t fault = {""};
    fabric_error_t error = FABRIC_ERROR_LIMIT_EXCEEDED;
    for (size_t capacity = 512; error == FABRIC_ERROR_LIMIT_EXCEEDED;) {
        size_t size = 0;
        wire_writer_reserve(&pending->payload, capacity);
        error = encode(pending->message, number, value, &pending->payload, capacity, &fault, &size);
        if (error == FABRIC_OK) {
            pending->payload.size = size;
        }
        if (capacity == LIMIT_PAYLOAD_BYTES_MAX) {
            break;
        }
        capacity = capacity * 8 < LIMIT_PAYLOAD_BYTES_MAX ? capacity * 8 : LIMIT_PAYLOAD_BYTES_MAX;
    }
    if (error != FABRIC_OK) {
        pending->status = STATUS_DEFECT;
        pending->error = FABRIC_ERROR_MALFORMED_MESSAGE;
        pending->code = 0;
        set_text(pending, fault.text[0]     ? fault.text
                          : number == REPLY ? "the reply is larger than a payload may be"
                                            : "the failure is larger than a payload may be");
    }
}

void pending_set_reply(fabric_pending_t *pending, const void *reply)
{
    pending->status = STATUS_OK;
    if (!(pending->flags & REQUEST_TELL)) {
        encode_growing(pending, REPLY, reply);
    }
}

void pending_set_outcome(fabric_pending_t *pending, reply_status_t status, fabric_error_t error,
                         uint64_t code, fabric_bytes_t payload)
{
    pending->status = status;
    pending->error = error;
    pending->code = code;
    wire_writer_reset(&pending->payload);
    wire_append(&pending->payload, payload.data, payload.size);
}

void fabric_pending_reply(fabric_pending_t **pending, const void *reply)
{
    if (!*pending) {
        return;
    }
    pending_set_reply(*pending, reply);
    pending_complete(pending);
}

void fabric_pending_fail_with(fabric_pending_t **pending, int32_t number, const void *values)
{
    fabric_pending_t *self = *pending;
    if (!self) {
        return;
    }
    self->status = STATUS_TYPED_FAILURE;
    self->error = FABRIC_ERROR_ENTITY_FAILURE;
    self->code = (uint64_t)number;
    encode_growing(self, number, values);
    pending_complete(pending);
}

void fabric_pending_fail(fabric_pending_t **pending, uint64_t code, const char *text)
{
    if (!*pending) {
        return;
    }
    (*pending)->status = STATUS_FAILURE;
    (*pending)->error = FABRIC_ERROR_ENTITY_FAILURE;
    (*pending)->code = code;
    set_text(*pending, text);
    pending_complete(pending);
}

void pending_set_interrupted(fabric_pending_t *self)
{
    switch (fabric_pending_interrupt(self)) {
    case FABRIC_INTERRUPT_CANCEL:
        self->status = STATUS_FAILURE;
        self->error = FABRIC_ERROR_CANCELLED;
        set_text(self, "the handler stopped, as its caller cancelled the call");
        break;
    case FABRIC_INTERRUPT_STOP:
        self->status = STATUS_NOT_TAKEN;
        break;
    case FABRIC_NOT_INTERRUPTED:
        self->status = STATUS_DEFECT;
        self->error = FABRIC_ERROR_MALFORMED_MESSAGE;
        set_text(self, "the handle says that it was interrupted, but was not");
        break;
    }
}

void fabric_pending_interrupted(fabric_pending_t **pending)
{
    if (!*pending) {
        return;
    }
    pending_set_interrupted(*pending);
    pending_complete(pending);
}
