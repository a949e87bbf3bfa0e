/* Actors: see actor_zmq.h. */
#include "broker/actor_zmq.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <zmq.h>

/* ThreadSanitizer does not see that a value is written into a pipe before it is read from it, since
 * libzmq is not instrumented. In its builds both moments are told to it, under the address of the
 * actor, which is part of the endpoint of both ends. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

static void *actor_of(void *pipe)
{
    char endpoint[64] = "";
    size_t size = sizeof endpoint;
    void *actor = NULL;
    int got = zmq_getsockopt(pipe, ZMQ_LAST_ENDPOINT, endpoint, &size);
    assert(got == 0 && sscanf(endpoint, "inproc://actor-%p", &actor) == 1);
    return actor;
}

static void note_sent(void *pipe)
{
    __tsan_release(actor_of(pipe));
}

static void note_received(void *pipe)
{
    __tsan_acquire(actor_of(pipe));
}
#else
static void note_sent(const void *pipe)
{
    (void)pipe;
}

static void note_received(const void *pipe)
{
    (void)pipe;
}
#endif

static void *pipe_new(void *zmq)
{
    void *pipe = zmq_socket(zmq, ZMQ_PAIR);
    int zero = 0;
    if (pipe) {
        zmq_setsockopt(pipe, ZMQ_SNDHWM, &zero, sizeof zero);
        zmq_setsockopt(pipe, ZMQ_RCVHWM, &zero, sizeof zero);
        zmq_setsockopt(pipe, ZMQ_LINGER, &zero, sizeof zero);
    }
    return pipe;
}

static void *run_actor(void *argument)
{
    actor_t *actor = argument;
    actor->run(actor->self, actor->far_pipe);
    zmq_close(actor->far_pipe);
    return NULL;
}

/* Starts the thread with all signals blocked: only the main thread takes signals. */
static int start_thread(actor_t *actor)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&actor->thread, NULL, run_actor, actor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

fabric_error_t actor_start(actor_t *actor, void *zmq, actor_run_fn *run, void *self)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "inproc://actor-%p", (void *)actor);
    *actor = (actor_t){.pipe = pipe_new(zmq), .far_pipe = pipe_new(zmq), .run = run, .self = self};
    if (actor->pipe && actor->far_pipe && zmq_bind(actor->pipe, endpoint) == 0 &&
        zmq_connect(actor->far_pipe, endpoint) == 0 && start_thread(actor) == 0) {
        return FABRIC_OK;
    }
    if (actor->pipe) {
        zmq_close(actor->pipe);
    }
    if (actor->far_pipe) {
        zmq_close(actor->far_pipe);
    }
    *actor = (actor_t){0};
    return FABRIC_ERROR_NO_RESOURCES;
}

void actor_join(actor_t *actor)
{
    pthread_join(actor->thread, NULL);
}

void actor_close(actor_t *actor)
{
    zmq_close(actor->pipe);
    actor->pipe = NULL;
}

void pipe_send(void *pipe, const void *value, size_t size)
{
    note_sent(pipe);
    int sent = zmq_send(pipe, value, size, ZMQ_DONTWAIT);
    assert(sent == (int)size);
}

static bool receive(void *pipe, void *value, size_t size, int flags)
{
    bool received = zmq_recv(pipe, value, size, flags) == (int)size;
    note_received(pipe);
    return received;
}

bool pipe_take(void *pipe, void *value, size_t size)
{
    return receive(pipe, value, size, ZMQ_DONTWAIT);
}

bool pipe_wait(void *pipe, void *value, size_t size)
{
    return receive(pipe, value, size, 0);
}
