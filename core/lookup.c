/* Looking up host names: see lookup.h. */
#include "core/lookup.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/memory.h"

/* Shared by its owner and its thread; the last of the two frees it. */
struct lookup {
    char host[LIMIT_ENDPOINT_BYTES_MAX + 1];
    char port[ENDPOINT_PORT_SIZE];
    lookup_answer_t answer; /* the thread's, until `answered` */
    atomic_bool answered;
    pthread_mutex_t mutex; /* protects the fields below */
    void (*wake)(void *context);
    void *context;
    bool abandoned; /* its owner has destroyed it */
    bool running;   /* its thread runs */
};

static atomic_uint lookups; /* threads that run */

/* ---- the thread ---- */

static void add_address(lookup_answer_t *answer, const struct addrinfo *found, const char *port)
{
    char host[INET6_ADDRSTRLEN + 1 + 16];
    char *address = answer->addresses[answer->count];
    if (getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        return;
    }
    snprintf(address, LOOKUP_ADDRESS_SIZE, strchr(host, ':') ? "tcp://[%s]:%s" : "tcp://%s:%s",
             host, port);
    for (size_t i = 0; i < answer->count; i++) {
        if (strcmp(answer->addresses[i], address) == 0) {
            return;
        }
    }
    answer->count++;
}

static void look_up(lookup_t *lookup)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    lookup_answer_t *answer = &lookup->answer;
    int failure = getaddrinfo(lookup->host, NULL, &hints, &found);
    if (failure) {
        (void)reason_set(&answer->failure, FABRIC_OK, "%s: %s", lookup->host,
                         failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
        return;
    }
    for (const struct addrinfo *next = found; next && answer->count < LOOKUP_ADDRESSES_MAX;
         next = next->ai_next) {
        add_address(answer, next, lookup->port);
    }
    freeaddrinfo(found);
    if (answer->count == 0) {
        (void)reason_set(&answer->failure, FABRIC_OK, "%s: the name has no address", lookup->host);
    }
}

static void lookup_free(lookup_t *lookup)
{
    pthread_mutex_destroy(&lookup->mutex);
    free(lookup);
}

static void *lookup_main(void *argument)
{
    lookup_t *lookup = (lookup_t *)argument;
    look_up(lookup);
    atomic_store(&lookup->answered, true);
    pthread_mutex_lock(&lookup->mutex);
    bool abandoned = lookup->abandoned;
    lookup->running = false;
    if (!abandoned) {
        lookup->wake(lookup->context); /* under the mutex: the owner cannot destroy it meanwhile */
    }
    pthread_mutex_unlock(&lookup->mutex);
    if (abandoned) {
        lookup_free(lookup);
    }
    atomic_fetch_sub(&lookups, 1);
    return NULL;
}

/* ---- the owner ---- */

static bool start_thread(lookup_t *lookup)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* only the program's threads take signals */
    lookup->running = true;
    bool started = pthread_create(&thread, NULL, lookup_main, lookup) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        pthread_detach(thread);
    } else {
        lookup->running = false;
    }
    return started;
}

lookup_t *lookup_start(const char *endpoint, void (*wake)(void *context), void *context)
{
    lookup_t *lookup = (lookup_t *)memory_allocate_zeroed(1, sizeof *lookup);
    bool has_name = endpoint_has_name(endpoint, lookup->host, lookup->port);
    assert(has_name);
    pthread_mutex_init(&lookup->mutex, NULL);
    lookup->wake = wake;
    lookup->context = context;
    if (atomic_fetch_add(&lookups, 1) < LOOKUPS_MAX && start_thread(lookup)) {
        return lookup;
    }
    atomic_fetch_sub(&lookups, 1);
    (void)reason_set(&lookup->answer.failure, FABRIC_OK,
                     "%s: cannot be looked up: the process has no thread left", lookup->host);
    atomic_store(&lookup->answered, true);
    return lookup;
}

const lookup_answer_t *lookup_answer(const lookup_t *lookup)
{
    return atomic_load(&lookup->answered) ? &lookup->answer : NULL;
}

void lookup_destroy(lookup_t **lookup)
{
    lookup_t *self = *lookup;
    *lookup = NULL;
    if (!self) {
        return;
    }
    pthread_mutex_lock(&self->mutex);
    bool running = self->running;
    self->abandoned = true;
    pthread_mutex_unlock(&self->mutex);
    if (!running) {
        lookup_free(self);
    }
}
