/* What the threads of a client exchange: see exchange.h. */
#include "libfabric_client/src/exchange.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"

struct exchange {
    uint32_t pending_max;
    int wake_fd;            /* eventfd */
    int completed_fd;       /* eventfd, readable while `completed` is not empty */
    bool welcome_published; /* only the link's thread uses it */

    /* under `mutex` */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    call_list_t submitted;
    uint64_t *cancels; /* sequences of calls that are to end */
    size_t cancel_count, cancel_capacity;
    uint64_t next_sequence;
    bool sleeping; /* the link's thread sleeps or is about to, and is to be woken */
    bool stopping;
    bool welcome;
    fabric_error_t refusal;
    reason_t refusal_text;
    fabric_error_t cause; /* why no broker has welcomed the client so far */
    reason_t cause_text;

    /* under `completed_mutex` */
    pthread_mutex_t completed_mutex;
    call_list_t completed;

    atomic_size_t open_calls;
    atomic_size_t quick_calls; /* of those that are submitted: all but durable ones */
    atomic_uint_least64_t started_calls;
    atomic_uint_least64_t completed_calls;
    atomic_uint_least64_t accepted;
    atomic_uint_least64_t resent;
    atomic_uint_least64_t connections_made;
    atomic_uint_least64_t malformed;
    atomic_uint_least64_t unexpected;
};

/* ---- making and ending ---- */

fabric_error_t exchange_new(uint32_t pending_max, uint64_t first_sequence, reason_t *reason,
                            exchange_t **exchange)
{
    exchange_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->pending_max = pending_max;
    self->next_sequence = first_sequence ? first_sequence : 1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_mutex_init(&self->completed_mutex, NULL);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->completed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0 || self->completed_fd < 0) {
        fabric_error_t error =
            reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no descriptor: %s", strerror(errno));
        exchange_destroy(&self);
        return error;
    }
    *exchange = self;
    return FABRIC_OK;
}

static void destroy_calls(call_list_t *calls)
{
    while (calls->first) {
        call_t *call = calls->first;
        ready_list_remove(calls, call);
        call_destroy(&call);
    }
}

void exchange_destroy(exchange_t **exchange)
{
    exchange_t *self = *exchange;
    if (!self) {
        return;
    }
    destroy_calls(&self->submitted);
    destroy_calls(&self->completed);
    free(self->cancels);
    if (self->wake_fd >= 0) {
        close(self->wake_fd);
    }
    if (self->completed_fd >= 0) {
        close(self->completed_fd);
    }
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    pthread_mutex_destroy(&self->completed_mutex);
    free(self);
    *exchange = NULL;
}

/* ---- waking ---- */

static void signal_fd(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    assert(written == sizeof one || errno == EAGAIN); /* EAGAIN: it is readable as it can be */
    (void)written;
}

void exchange_wake(void *exchange)
{
    signal_fd(((exchange_t *)exchange)->wake_fd);
}

static void drain_fd(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    assert(got == sizeof count || errno == EAGAIN);
    (void)got;
}

int exchange_wake_fd(const exchange_t *exchange)
{
    return exchange->wake_fd;
}

void exchange_stop(exchange_t *exchange)
{
    pthread_mutex_lock(&exchange->mutex);
    exchange->stopping = true;
    signal_fd(exchange->wake_fd);
    pthread_mutex_unlock(&exchange->mutex);
}

/* ---- submitting ---- */

static bool reserve_calls(exchange_t *exchange, size_t count)
{
    size_t open = atomic_load_explicit(&exchange->open_calls, memory_order_relaxed);
    do {
        if (count > exchange->pending_max || open > exchange->pending_max - count) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&exchange->open_calls, &open, open + count,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

/* Counts and numbers the calls. Under the mutex: so the order of sequences is the order in which
 * the link gets the calls. */
static bool give_sequences(exchange_t *exchange, const call_list_t *calls)
{
    for (const call_t *call = calls->first; call; call = call->ready.next) {
        if (call->keyed && call->sequence >= exchange->next_sequence) {
            return false;
        }
    }
    size_t quick = 0;
    for (call_t *call = calls->first; call; call = call->ready.next) {
        if (!call->keyed) {
            call->sequence = exchange->next_sequence++;
        }
        quick += !call_is_durable(call);
    }
    atomic_fetch_add_explicit(&exchange->quick_calls, quick, memory_order_relaxed);
    return true;
}

static void splice(call_list_t *to, call_list_t *from)
{
    if (!from->first) {
        return;
    }
    from->first->ready.previous = to->last;
    *(to->last ? &to->last->ready.next : &to->first) = from->first;
    to->last = from->last;
    to->count += from->count;
    *from = (call_list_t){0};
}

/* Under the mutex. When the client is being closed the link takes no more calls. */
static fabric_error_t add_submitted(exchange_t *exchange, call_list_t *calls, uint64_t *first,
                                    reason_t *reason)
{
    if (exchange->stopping) {
        return reason_set(reason, FABRIC_ERROR_CLOSED, "the client is being closed");
    }
    if (!give_sequences(exchange, calls)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "no call of this client has had the sequence of that call key");
    }
    if (first && calls->first) {
        *first = calls->first->sequence;
    }
    splice(&exchange->submitted, calls);
    if (exchange->sleeping) {
        exchange->sleeping = false;
        signal_fd(exchange->wake_fd);
    }
    return FABRIC_OK;
}

fabric_error_t exchange_submit(exchange_t *exchange, call_list_t *calls, uint64_t *first,
                               reason_t *reason)
{
    size_t count = calls->count;
    if (!reserve_calls(exchange, count)) {
        return reason_set(reason, FABRIC_ERROR_BUSY,
                          "this client would have more calls open than its pending_max of %u",
                          exchange->pending_max);
    }
    pthread_mutex_lock(&exchange->mutex);
    fabric_error_t error = add_submitted(exchange, calls, first, reason);
    pthread_mutex_unlock(&exchange->mutex);
    if (error) {
        atomic_fetch_sub_explicit(&exchange->open_calls, count, memory_order_acq_rel);
    } else {
        atomic_fetch_add_explicit(&exchange->started_calls, count, memory_order_relaxed);
    }
    return error;
}

/* Under the mutex. */
static fabric_error_t add_cancel(exchange_t *exchange, uint64_t sequence)
{
    if (exchange->stopping) {
        return FABRIC_ERROR_CLOSED;
    }
    if (sequence == 0 || sequence >= exchange->next_sequence) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    if (exchange->cancel_count == exchange->pending_max) {
        return FABRIC_ERROR_BUSY;
    }
    if (exchange->cancel_count == exchange->cancel_capacity) {
        size_t capacity = exchange->cancel_capacity ? 2 * exchange->cancel_capacity : 16;
        exchange->cancels = memory_resize(exchange->cancels, capacity, sizeof *exchange->cancels);
        exchange->cancel_capacity = capacity;
    }
    exchange->cancels[exchange->cancel_count++] = sequence;
    if (exchange->sleeping) {
        exchange->sleeping = false;
        signal_fd(exchange->wake_fd);
    }
    return FABRIC_OK;
}

fabric_error_t exchange_cancel(exchange_t *exchange, uint64_t sequence)
{
    pthread_mutex_lock(&exchange->mutex);
    fabric_error_t error = add_cancel(exchange, sequence);
    pthread_mutex_unlock(&exchange->mutex);
    return error;
}

bool exchange_has_quick_calls(const exchange_t *exchange)
{
    return atomic_load_explicit(&exchange->quick_calls, memory_order_relaxed) > 0;
}

exchange_wishes_t exchange_take_wishes(exchange_t *exchange)
{
    pthread_mutex_lock(&exchange->mutex);
    exchange_wishes_t wishes = {.calls = exchange->submitted,
                                .cancels = exchange->cancels,
                                .cancel_count = exchange->cancel_count};
    exchange->submitted = (call_list_t){0};
    exchange->cancels = NULL;
    exchange->cancel_count = exchange->cancel_capacity = 0;
    pthread_mutex_unlock(&exchange->mutex);
    return wishes;
}

bool exchange_begin_sleep(exchange_t *exchange)
{
    pthread_mutex_lock(&exchange->mutex);
    bool may = !exchange->submitted.first && exchange->cancel_count == 0 && !exchange->stopping;
    exchange->sleeping = may;
    pthread_mutex_unlock(&exchange->mutex);
    return may;
}

void exchange_end_sleep(exchange_t *exchange, bool signalled)
{
    pthread_mutex_lock(&exchange->mutex);
    exchange->sleeping = false;
    pthread_mutex_unlock(&exchange->mutex);
    if (signalled) {
        drain_fd(exchange->wake_fd);
    }
}

bool exchange_is_stopping(exchange_t *exchange)
{
    pthread_mutex_lock(&exchange->mutex);
    bool stopping = exchange->stopping;
    pthread_mutex_unlock(&exchange->mutex);
    return stopping;
}

/* ---- completing ---- */

static void publish_stats(exchange_t *exchange, const session_t *session)
{
    session_stats_t stats = session_stats(session);
    atomic_store_explicit(&exchange->completed_calls, stats.completed, memory_order_relaxed);
    atomic_store_explicit(&exchange->accepted, stats.accepted, memory_order_relaxed);
    atomic_store_explicit(&exchange->resent, stats.resent, memory_order_relaxed);
    atomic_store_explicit(&exchange->connections_made, stats.connections, memory_order_relaxed);
    atomic_store_explicit(&exchange->malformed, stats.malformed, memory_order_relaxed);
    atomic_store_explicit(&exchange->unexpected, stats.unexpected, memory_order_relaxed);
}

static void publish_welcome(exchange_t *exchange, session_t *session)
{
    const char *text = "";
    bool welcome = session_is_welcome(session);
    fabric_error_t refusal = session_refusal(session, &text);
    pthread_mutex_lock(&exchange->mutex);
    exchange->welcome = welcome;
    exchange->refusal = reason_set(&exchange->refusal_text, refusal, "%s", text);
    exchange->cause = session_cause(session, &exchange->cause_text);
    pthread_cond_broadcast(&exchange->changed);
    pthread_mutex_unlock(&exchange->mutex);
    exchange->welcome_published = welcome; /* a refusal may still be taken back */
}

/* Wakes the waiters of calls that have ended, and keeps the other ended calls. */
static void publish_done(exchange_t *exchange, session_t *session)
{
    call_list_t batch = {0};
    for (call_t *call = session_next_done(session); call; call = session_next_done(session)) {
        call_waiter_t *waiter = call->waiter;
        if (!call_is_durable(call)) {
            atomic_fetch_sub_explicit(&exchange->quick_calls, 1, memory_order_relaxed);
        }
        if (!waiter) {
            ready_list_append(&batch, call);
        } else if (atomic_fetch_sub_explicit(&waiter->open, 1, memory_order_acq_rel) == 1) {
            sem_post(&waiter->done); /* the last touch: the waiter may be gone now */
        }
    }
    if (!batch.first) {
        return;
    }
    pthread_mutex_lock(&exchange->completed_mutex);
    if (!exchange->completed.first) {
        signal_fd(exchange->completed_fd);
    }
    splice(&exchange->completed, &batch);
    pthread_mutex_unlock(&exchange->completed_mutex);
}

void exchange_publish(exchange_t *exchange, session_t *session)
{
    publish_stats(exchange, session); /* before waiters are woken, which may look at them */
    if (!exchange->welcome_published) {
        publish_welcome(exchange, session);
    }
    publish_done(exchange, session);
}

call_list_t exchange_take_completed(exchange_t *exchange)
{
    pthread_mutex_lock(&exchange->completed_mutex);
    call_list_t calls = exchange->completed;
    exchange->completed = (call_list_t){0};
    if (calls.first) {
        drain_fd(exchange->completed_fd);
    }
    pthread_mutex_unlock(&exchange->completed_mutex);
    return calls;
}

void exchange_release(exchange_t *exchange, call_t **call)
{
    call_destroy(call);
    atomic_fetch_sub_explicit(&exchange->open_calls, 1, memory_order_acq_rel);
}

int exchange_completed_fd(const exchange_t *exchange)
{
    return exchange->completed_fd;
}

fabric_client_stats_t exchange_stats(const exchange_t *exchange)
{
    return (fabric_client_stats_t){
        .started = atomic_load_explicit(&exchange->started_calls, memory_order_relaxed),
        .completed = atomic_load_explicit(&exchange->completed_calls, memory_order_relaxed),
        .accepted = atomic_load_explicit(&exchange->accepted, memory_order_relaxed),
        .resent = atomic_load_explicit(&exchange->resent, memory_order_relaxed),
        .connections = atomic_load_explicit(&exchange->connections_made, memory_order_relaxed),
        .malformed = atomic_load_explicit(&exchange->malformed, memory_order_relaxed),
        .unexpected = atomic_load_explicit(&exchange->unexpected, memory_order_relaxed),
    };
}

/* ---- readiness ---- */

fabric_error_t exchange_wait_welcome(exchange_t *exchange, uint32_t timeout_ms, reason_t *reason)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&exchange->mutex);
    int waited = 0;
    while (!exchange->welcome && !exchange->refusal && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&exchange->changed, &exchange->mutex, &end);
    }
    fabric_error_t error = exchange->refusal;
    if (exchange->welcome) {
        error = FABRIC_OK;
    } else if (error) {
        *reason = exchange->refusal_text;
    } else if (exchange->cause_text.text[0]) {
        error = reason_set(reason, exchange->cause,
                           "no broker took this client in within %u ms: %.450s", timeout_ms,
                           exchange->cause_text.text);
    } else {
        error = reason_set(reason, FABRIC_ERROR_NOT_CONNECTED, "no broker answered within %u ms",
                           timeout_ms);
    }
    pthread_mutex_unlock(&exchange->mutex);
    return error;
}
