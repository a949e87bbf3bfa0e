/* Actors: a thread and a pair of inproc sockets, of which one end belongs to the thread that
 * started the actor. They share nothing else. Typed values go through the pair, copied whole.
 *
 * Plain libzmq: czmq's zactor would bring zsys, with its signal handlers and its own context.
 *
 * Threading: an end belongs to one thread.
 */
#ifndef BROKER_ACTOR_ZMQ_H
#define BROKER_ACTOR_ZMQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <fabric/error.h>

/* Runs on the actor's thread until the actor is told to end. The actor closes `pipe` afterwards. */
typedef void actor_run_fn(void *self, void *pipe);

typedef struct actor {
    void *pipe; /* our end; NULL: not started */
    void *far_pipe;
    pthread_t thread;
    actor_run_fn *run;
    void *self;
} actor_t;

/* NO_RESOURCES when the process may have no more sockets or threads. `actor` must stay where it
 * is. */
FABRIC_MUST_USE
fabric_error_t actor_start(actor_t *actor, void *zmq, actor_run_fn *run, void *self);
/* Waits for the end of the thread, which must have been told to end. Our end of the pair stays
 * open, so that values that the thread has sent can be taken. */
void actor_join(actor_t *actor);
/* Closes our end of a joined actor. */
void actor_close(actor_t *actor);

/* Sends a value; a pipe is never full. */
void pipe_send(void *pipe, const void *value, size_t size);
/* Takes a value if one of exactly this size is there. Does not wait. */
bool pipe_take(void *pipe, void *value, size_t size);
/* Waits for a value. false if a signal interrupts, or if the value has another size. */
bool pipe_wait(void *pipe, void *value, size_t size);

#endif
