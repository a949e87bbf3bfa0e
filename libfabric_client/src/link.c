/* What the threads of a client share: submitted calls, completed calls, and how each side wakes the
 * other. See link.h. */
#include "libfabric_client/src/link_state.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/memory.h"

/* ---- making and ending ---- */

fabric_error_t client_link_new(const session_config_t *config, fabric_log_fn *log,
                               void *log_context, reason_t *reason, client_link_t **link)
{
    client_link_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->log = log;
    self->log_context = log_context;
    self->session = session_new(config);
    self->pending_max = config->pending_max;
    self->next_sequence = config->first_sequence ? config->first_sequence : 1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&self->mutex, NULL);
    pthread_mutex_init(&self->completed_mutex, NULL);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->completed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fabric_error_t error =
        self->wake_fd < 0 || self->completed_fd < 0
            ? reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no descriptor: %s", strerror(errno))
            : client_link_open_context(self, reason);
    if (error) {
        client_link_destroy(&self);
        return error;
    }
    *link = self;
    return FABRIC_OK;
}

fabric_error_t client_link_add_endpoint(client_link_t *link, const char *endpoint)
{
    assert(!link->started);
    size_t peer;
    return session_add_endpoint(link->session, endpoint, &peer);
}

fabric_error_t client_link_start(client_link_t *link, reason_t *reason)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&link->thread, NULL, client_link_run, link);
    link->started = failure == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return link->started
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no thread: %s", strerror(failure));
}

static void signal_fd(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    assert(written == sizeof one || errno == EAGAIN); /* EAGAIN: it is readable as it can be */
    (void)written;
}

void client_link_wake(void *link)
{
    signal_fd(((client_link_t *)link)->wake_fd);
}

static void drain_fd(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    assert(got == sizeof count || errno == EAGAIN);
    (void)got;
}

void client_link_stop(client_link_t *link)
{
    if (!link->started) {
        return;
    }
    pthread_mutex_lock(&link->mutex);
    link->stopping = true;
    signal_fd(link->wake_fd);
    pthread_mutex_unlock(&link->mutex);
    pthread_join(link->thread, NULL);
    link->started = false;
}

static void destroy_calls(call_list_t *calls)
{
    while (calls->first) {
        call_t *call = calls->first;
        ready_list_remove(calls, call);
        call_destroy(&call);
    }
}

void client_link_destroy(client_link_t **link)
{
    client_link_t *self = *link;
    if (!self) {
        return;
    }
    client_link_stop(self);
    client_link_close_context(self);
    destroy_calls(&self->submitted);
    destroy_calls(&self->completed);
    session_destroy(&self->session);
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
    *link = NULL;
}

fabric_error_t client_link_wait_welcome(client_link_t *link, uint32_t timeout_ms, reason_t *reason)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&link->mutex);
    int waited = 0;
    while (!link->welcome && !link->refusal && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&link->changed, &link->mutex, &end);
    }
    fabric_error_t error = link->refusal;
    if (link->welcome) {
        error = FABRIC_OK;
    } else if (error) {
        *reason = link->refusal_text;
    } else if (link->cause_text.text[0]) {
        error =
            reason_set(reason, link->cause, "no broker took this client in within %u ms: %.450s",
                       timeout_ms, link->cause_text.text);
    } else {
        error = reason_set(reason, FABRIC_ERROR_NOT_CONNECTED, "no broker answered within %u ms",
                           timeout_ms);
    }
    pthread_mutex_unlock(&link->mutex);
    return error;
}

/* ---- submitting ---- */

static bool reserve_calls(client_link_t *link, size_t count)
{
    size_t open = atomic_load_explicit(&link->open_calls, memory_order_relaxed);
    do {
        if (count > link->pending_max || open > link->pending_max - count) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&link->open_calls, &open, open + count,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

/* Under the mutex: so the order of sequences is the order in which the link gets the calls. */
static bool give_sequences(client_link_t *link, const call_list_t *calls)
{
    for (const call_t *call = calls->first; call; call = call->ready.next) {
        if (call->keyed && call->sequence >= link->next_sequence) {
            return false;
        }
    }
    for (call_t *call = calls->first; call; call = call->ready.next) {
        if (!call->keyed) {
            call->sequence = link->next_sequence++;
        }
    }
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

fabric_error_t client_link_submit(client_link_t *link, call_list_t *calls, uint64_t *first,
                                  reason_t *reason)
{
    size_t count = calls->count;
    if (!reserve_calls(link, count)) {
        return reason_set(reason, FABRIC_ERROR_BUSY,
                          "this client would have more calls open than its pending_max of %u",
                          link->pending_max);
    }
    pthread_mutex_lock(&link->mutex);
    bool known = give_sequences(link, calls);
    if (known) {
        if (first && calls->first) {
            *first = calls->first->sequence;
        }
        splice(&link->submitted, calls);
        if (link->sleeping) {
            link->sleeping = false;
            signal_fd(link->wake_fd);
        }
    }
    pthread_mutex_unlock(&link->mutex);
    if (!known) {
        atomic_fetch_sub_explicit(&link->open_calls, count, memory_order_acq_rel);
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "no call of this client has had the sequence of that call key");
    }
    atomic_fetch_add_explicit(&link->started_calls, count, memory_order_relaxed);
    return FABRIC_OK;
}

call_list_t client_link_take_submitted(client_link_t *link)
{
    pthread_mutex_lock(&link->mutex);
    call_list_t calls = link->submitted;
    link->submitted = (call_list_t){0};
    pthread_mutex_unlock(&link->mutex);
    return calls;
}

bool client_link_may_sleep(client_link_t *link)
{
    pthread_mutex_lock(&link->mutex);
    bool may = !link->submitted.first && !link->stopping;
    link->sleeping = may;
    pthread_mutex_unlock(&link->mutex);
    return may;
}

void client_link_woken(client_link_t *link, bool signalled)
{
    pthread_mutex_lock(&link->mutex);
    link->sleeping = false;
    pthread_mutex_unlock(&link->mutex);
    if (signalled) {
        drain_fd(link->wake_fd);
    }
}

bool client_link_is_stopping(client_link_t *link)
{
    pthread_mutex_lock(&link->mutex);
    bool stopping = link->stopping;
    pthread_mutex_unlock(&link->mutex);
    return stopping;
}

/* ---- completing ---- */

static void publish_stats(client_link_t *link)
{
    session_stats_t stats = session_stats(link->session);
    atomic_store_explicit(&link->completed_calls, stats.completed, memory_order_relaxed);
    atomic_store_explicit(&link->accepted, stats.accepted, memory_order_relaxed);
    atomic_store_explicit(&link->resent, stats.resent, memory_order_relaxed);
    atomic_store_explicit(&link->connections_made, stats.connections, memory_order_relaxed);
    atomic_store_explicit(&link->malformed, stats.malformed, memory_order_relaxed);
    atomic_store_explicit(&link->unexpected, stats.unexpected, memory_order_relaxed);
}

static void publish_welcome(client_link_t *link)
{
    const char *text = "";
    bool welcome = session_is_welcome(link->session);
    fabric_error_t refusal = session_refusal(link->session, &text);
    pthread_mutex_lock(&link->mutex);
    link->welcome = welcome;
    link->refusal = reason_set(&link->refusal_text, refusal, "%s", text);
    link->cause = session_cause(link->session, &link->cause_text);
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->mutex);
    link->reported = welcome; /* a refusal may still be taken back */
}

static void tell_log(client_link_t *link)
{
    session_event_t event;
    while (session_next_event(link->session, &event)) {
        link->log(link->log_context, event.level, event.code, event.text);
    }
}

void client_link_publish(client_link_t *link)
{
    tell_log(link);
    publish_stats(link); /* before waiters are woken, which may look at them */
    if (!link->reported) {
        publish_welcome(link);
    }
    call_list_t batch = {0};
    for (call_t *call = session_next_done(link->session); call;
         call = session_next_done(link->session)) {
        call_waiter_t *waiter = call->waiter;
        if (!waiter) {
            ready_list_append(&batch, call);
        } else if (atomic_fetch_sub_explicit(&waiter->open, 1, memory_order_acq_rel) == 1) {
            sem_post(&waiter->done); /* the last touch: the waiter may be gone now */
        }
    }
    if (!batch.first) {
        return;
    }
    pthread_mutex_lock(&link->completed_mutex);
    if (!link->completed.first) {
        signal_fd(link->completed_fd);
    }
    splice(&link->completed, &batch);
    pthread_mutex_unlock(&link->completed_mutex);
}

call_list_t client_link_take_completed(client_link_t *link)
{
    pthread_mutex_lock(&link->completed_mutex);
    call_list_t calls = link->completed;
    link->completed = (call_list_t){0};
    if (calls.first) {
        drain_fd(link->completed_fd);
    }
    pthread_mutex_unlock(&link->completed_mutex);
    return calls;
}

void client_link_release(client_link_t *link, call_t **call)
{
    call_destroy(call);
    atomic_fetch_sub_explicit(&link->open_calls, 1, memory_order_acq_rel);
}

int client_link_fd(const client_link_t *link)
{
    return link->completed_fd;
}

fabric_client_stats_t client_link_stats(const client_link_t *link)
{
    return (fabric_client_stats_t){
        .started = atomic_load_explicit(&link->started_calls, memory_order_relaxed),
        .completed = atomic_load_explicit(&link->completed_calls, memory_order_relaxed),
        .accepted = atomic_load_explicit(&link->accepted, memory_order_relaxed),
        .resent = atomic_load_explicit(&link->resent, memory_order_relaxed),
        .connections = atomic_load_explicit(&link->connections_made, memory_order_relaxed),
        .malformed = atomic_load_explicit(&link->malformed, memory_order_relaxed),
        .unexpected = atomic_load_explicit(&link->unexpected, memory_order_relaxed),
    };
}
