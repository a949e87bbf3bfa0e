/* A worker's messages go out by a client: see sender.h. The client is opened when the first one is
 * sent, and a thread runs its completions. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/address.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/outcome.h"
#include "worker/sender.h"

/* How many tells that were not accepted are reported in a second. */
#define REPORTED_PER_S 10u

typedef struct client_sender {
    fabric_sender_t port; /* first */
    sender_config_t config;
    /* Is held for reading inside a function of the client, and for writing by who opens or closes
     * it. */
    pthread_rwlock_t lock;
    fabric_client_t *client; /* NULL: not opened yet, or closed */
    bool closed;
    fabric_client_t *served; /* the same, of the thread */
    pthread_t thread;
    int stop; /* eventfd: the thread is to end */
    pthread_mutex_t tells_lock;
    pthread_cond_t tells_changed;
    size_t tells;           /* that are not accepted yet */
    log_limiter_t reported; /* under the lock of the tells */
    atomic_bool stopping;
    _Atomic uint64_t waits_until_ms; /* of a worker that stops; 0: nobody has waited yet */
} client_sender_t;

/* A tell, and who it is for. */
typedef struct told {
    client_sender_t *sender;
    char name[]; /* "Type/id Tag" */
} told_t;

/* ---- the client and its thread ---- */

static void *run(void *argument)
{
    client_sender_t *self = (client_sender_t *)argument;
    struct pollfd items[2] = {{.fd = fabric_client_fd(self->served), .events = POLLIN},
                              {.fd = self->stop, .events = POLLIN}};
    while (!(items[1].revents & POLLIN)) {
        (void)poll(items, 2, -1);
        (void)fabric_client_process(self->served);
    }
    return NULL;
}

static char *join(const sender_config_t *config)
{
    size_t size = 1;
    for (size_t i = 0; i < config->broker_count; i++) {
        size += strlen(config->brokers[i]) + 1;
    }
    char *url = (char *)memory_allocate(size);
    size_t used = 0;
    url[0] = '\0';
    for (size_t i = 0; i < config->broker_count; i++) {
        used +=
            (size_t)snprintf(url + used, size - used, "%s%s", i > 0 ? "," : "", config->brokers[i]);
    }
    return url;
}

/* Under the lock, for writing. */
static fabric_error_t open_client(client_sender_t *self)
{
    const fabric_client_options_t options = {.cluster_name = self->config.cluster_name,
                                             .name = self->config.name,
                                             .connect_timeout_ms = FABRIC_CONNECT_LATER,
                                             .pending_max = SENDER_PENDING_MAX,
                                             .spin_us = FABRIC_SPIN_NEVER,
                                             .allow_plaintext = self->config.allow_plaintext};
    char *url = join(&self->config);
    fabric_error_t error = fabric_client_open(url, &options, &self->client, NULL);
    free(url);
    if (error != FABRIC_OK) {
        return error;
    }
    self->served = self->client;
    self->stop = eventfd(0, EFD_CLOEXEC);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's own threads take the signals */
    bool started = self->stop >= 0 && pthread_create(&self->thread, NULL, run, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!started) {
        if (self->stop >= 0) {
            close(self->stop);
        }
        fabric_client_close(&self->client);
        return FABRIC_ERROR_NO_RESOURCES;
    }
    return FABRIC_OK;
}

/* Takes the lock for reading, and gives the client; on an error the lock is not held. */
static fabric_error_t enter(client_sender_t *self)
{
    pthread_rwlock_rdlock(&self->lock);
    while (!self->client && !self->closed) {
        pthread_rwlock_unlock(&self->lock);
        pthread_rwlock_wrlock(&self->lock);
        fabric_error_t error = FABRIC_OK;
        if (!self->client && !self->closed) {
            error = open_client(self);
        }
        pthread_rwlock_unlock(&self->lock);
        if (error != FABRIC_OK) {
            return error;
        }
        pthread_rwlock_rdlock(&self->lock);
    }
    if (self->closed) {
        pthread_rwlock_unlock(&self->lock);
        return FABRIC_ERROR_CLOSED;
    }
    return FABRIC_OK;
}

static void leave(client_sender_t *self)
{
    pthread_rwlock_unlock(&self->lock);
}

/* ---- asks ---- */

static fabric_error_t start(fabric_sender_t *sender, const fabric_call_t *call,
                            fabric_completion_fn *complete, void *context, fabric_call_key_t *key)
{
    client_sender_t *self = (client_sender_t *)sender;
    fabric_error_t error = enter(self);
    if (error == FABRIC_OK) {
        error = fabric_client_start(self->client, call, complete, context, key);
        leave(self);
    }
    return error;
}

static void cancel(fabric_sender_t *sender, fabric_call_key_t key)
{
    client_sender_t *self = (client_sender_t *)sender;
    if (enter(self) == FABRIC_OK) {
        (void)!fabric_client_cancel(self->client, key); /* it is over, or ends at its deadline */
        leave(self);
    }
}

/* For how long a wait may last now. */
static uint64_t wait_left_ms(client_sender_t *self)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t until_ms = 0;
    if (!atomic_load(&self->stopping)) {
        return SENDER_WAIT_MS;
    }
    if (atomic_compare_exchange_strong(&self->waits_until_ms, &until_ms, now_ms + SENDER_WAIT_MS)) {
        return SENDER_WAIT_MS;
    }
    return now_ms < until_ms ? until_ms - now_ms : 0;
}

static void wait_for(fabric_sender_t *sender, const fabric_call_t *call, void *reply,
                     fabric_outcome_t *outcome)
{
    client_sender_t *self = (client_sender_t *)sender;
    const reason_t reason = {""};
    fabric_call_t bounded = *call;
    uint64_t left_ms = wait_left_ms(self);
    fabric_error_t error = left_ms > 0 ? enter(self) : FABRIC_ERROR_CLOSED;
    if (error != FABRIC_OK) {
        outcome_of_reason(error, &reason, outcome);
        return;
    }
    if (bounded.timeout_ms > left_ms) {
        bounded.timeout_ms = (uint32_t)left_ms;
    }
    (void)!fabric_client_call(self->client, &bounded, reply, NULL, NULL, outcome);
    leave(self);
}

/* ---- tells ---- */

static void end_tell(client_sender_t *self)
{
    pthread_mutex_lock(&self->tells_lock);
    if (--self->tells == 0) {
        pthread_cond_broadcast(&self->tells_changed);
    }
    pthread_mutex_unlock(&self->tells_lock);
}

static void report(client_sender_t *self, const char *name, const fabric_outcome_t *outcome)
{
    uint32_t left_out = 0;
    char rest[48] = "";
    char line[640];
    pthread_mutex_lock(&self->tells_lock);
    bool told = log_limiter_pass(&self->reported, REPORTED_PER_S, clock_monotonic_ms(), &left_out);
    pthread_mutex_unlock(&self->tells_lock);
    if (!told) {
        return;
    }
    if (left_out > 0) {
        snprintf(rest, sizeof rest, " (%u more left out before)", (unsigned)left_out);
    }
    snprintf(line, sizeof line, "%s: %s: %s%s", name, fabric_error_name(outcome->error),
             outcome->text, rest);
    self->config.report(self->config.report_context, line);
}

static void on_told(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    told_t *told = (told_t *)context;
    (void)payload;
    if (outcome->error != FABRIC_OK && told->sender->config.report) {
        report(told->sender, told->name, outcome);
    }
    end_tell(told->sender);
    free(told);
}

static told_t *told_new(client_sender_t *self, const fabric_call_t *call)
{
    char name[256];
    char type[64];
    char id[64];
    char tag[64];
    bytes_escape(call->entity.type, type, sizeof type);
    bytes_escape(call->entity.id, id, sizeof id);
    bytes_escape(fabric_bytes_of(call->message->tag), tag, sizeof tag);
    snprintf(name, sizeof name, "%s of %s/%s", tag, type, id);
    told_t *told = (told_t *)memory_allocate(sizeof *told + strlen(name) + 1);
    told->sender = self;
    strcpy(told->name, name);
    return told;
}

static fabric_error_t tell(fabric_sender_t *sender, const fabric_call_t *call)
{
    client_sender_t *self = (client_sender_t *)sender;
    fabric_error_t error = enter(self);
    if (error != FABRIC_OK) {
        return error;
    }
    told_t *told = told_new(self, call);
    pthread_mutex_lock(&self->tells_lock);
    self->tells++;
    pthread_mutex_unlock(&self->tells_lock);
    error = fabric_client_start(self->client, call, on_told, told, NULL);
    if (error != FABRIC_OK) {
        end_tell(self);
        free(told);
    }
    leave(self);
    return error;
}

/* ---- its life ---- */

fabric_sender_t *sender_client_new(const sender_config_t *config)
{
    client_sender_t *self = (client_sender_t *)memory_allocate_zeroed(1, sizeof *self);
    pthread_condattr_t attributes;
    if (pthread_rwlock_init(&self->lock, NULL) != 0 ||
        pthread_mutex_init(&self->tells_lock, NULL) != 0 ||
        pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&self->tells_changed, &attributes) != 0) {
        abort();
    }
    pthread_condattr_destroy(&attributes);
    self->port =
        (fabric_sender_t){.start = start, .cancel = cancel, .tell = tell, .wait = wait_for};
    self->config = *config;
    return &self->port;
}

void sender_client_begin_stop(fabric_sender_t *sender)
{
    atomic_store(&((client_sender_t *)sender)->stopping, true);
}

static void wait_for_tells(client_sender_t *self)
{
    uint64_t until_ms = clock_monotonic_ms() + SENDER_WAIT_MS;
    struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000L};
    pthread_mutex_lock(&self->tells_lock);
    while (self->tells > 0 && clock_monotonic_ms() < until_ms) {
        pthread_cond_timedwait(&self->tells_changed, &self->tells_lock, &until);
    }
    pthread_mutex_unlock(&self->tells_lock);
}

void sender_client_close(fabric_sender_t *sender)
{
    client_sender_t *self = (client_sender_t *)sender;
    wait_for_tells(self);
    pthread_rwlock_wrlock(&self->lock);
    self->closed = true;
    fabric_client_t *client = self->client;
    self->client = NULL;
    pthread_rwlock_unlock(&self->lock);
    if (client) {
        uint64_t one = 1;
        ssize_t written = write(self->stop, &one, sizeof one);
        (void)written; /* fails only when it is readable already */
        pthread_join(self->thread, NULL);
        close(self->stop);
        fabric_client_close(&client);
    }
}

void sender_client_destroy(fabric_sender_t **sender)
{
    client_sender_t *self = (client_sender_t *)*sender;
    if (!self) {
        return;
    }
    pthread_rwlock_destroy(&self->lock);
    pthread_mutex_destroy(&self->tells_lock);
    pthread_cond_destroy(&self->tells_changed);
    free(self);
    *sender = NULL;
}
