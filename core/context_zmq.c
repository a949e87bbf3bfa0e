/* Contexts and what they need: see context_zmq.h. */
#include "core/context_zmq.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <zmq.h>

enum {
    DESCRIPTORS = 10, /* the context's six, and four of a connection with its monitor */
    THREADS =
        4 /* the context's two, the one that serves its sockets, and one that looks up a name */
};

/* Held from the probe to the first socket, so that two contexts of one process do not take the same
 * descriptors. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

fabric_error_t context_probe_descriptors(int needed, reason_t *reason)
{
    int taken[CONTEXT_PROBE_MAX];
    int count = 0;
    assert(needed <= CONTEXT_PROBE_MAX);
    while (count < needed && (taken[count] = eventfd(0, EFD_CLOEXEC)) >= 0) {
        count++;
    }
    int cause = errno;
    for (int i = 0; i < count; i++) {
        close(taken[i]);
    }
    return count == needed ? FABRIC_OK
                           : reason_set(reason, FABRIC_ERROR_NO_RESOURCES,
                                        "%d descriptors are needed and the system gives %d: %s",
                                        needed, count, strerror(cause));
}

/* A thread that ends when the gate is open. */
static void *pass_gate(void *gate)
{
    pthread_mutex_lock((pthread_mutex_t *)gate);
    pthread_mutex_unlock((pthread_mutex_t *)gate);
    return NULL;
}

static fabric_error_t probe_threads(reason_t *reason)
{
    pthread_t taken[THREADS];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    int count = 0;
    int cause = 0;
    pthread_mutex_lock(&gate);
    while (count < THREADS &&
           (cause = pthread_create(&taken[count], NULL, pass_gate, &gate)) == 0) {
        count++;
    }
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < count; i++) {
        pthread_join(taken[i], NULL);
    }
    return count == THREADS ? FABRIC_OK
                            : reason_set(reason, FABRIC_ERROR_NO_RESOURCES,
                                         "%d threads are needed and the system gives %d: %s",
                                         THREADS, count, strerror(cause));
}

/* The first socket starts the context's threads. */
static fabric_error_t start(int sockets_max, reason_t *reason, void **zmq)
{
    void *context = zmq_ctx_new();
    void *first = NULL;
    if (context) {
        zmq_ctx_set(context, ZMQ_MAX_SOCKETS, sockets_max);
        first = zmq_socket(context, ZMQ_PAIR);
    }
    if (first) {
        zmq_close(first);
        *zmq = context;
        return FABRIC_OK;
    }
    int cause = errno;
    context_close(&context);
    return reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no sockets: %s", zmq_strerror(cause));
}

fabric_error_t context_open(int sockets_max, reason_t *reason, void **zmq)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* only the program's threads take signals */
    pthread_mutex_lock(&opening);
    fabric_error_t error = context_probe_descriptors(DESCRIPTORS, reason);
    if (!error) {
        error = probe_threads(reason);
    }
    if (!error) {
        error = start(sockets_max, reason, zmq);
    }
    pthread_mutex_unlock(&opening);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

void context_close(void **zmq)
{
    if (*zmq) {
        while (zmq_ctx_term(*zmq) != 0 && errno == EINTR) {
        }
        *zmq = NULL;
    }
}
