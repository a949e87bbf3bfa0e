/* Actors: a thread and a pipe (pipe.h), of which one end belongs to the thread that started the
 * actor. They share nothing else.
 *
 * Threading: an actor_t belongs to the thread that starts it.
 */
#ifndef BROKER_ACTOR_H
#define BROKER_ACTOR_H

#include <pthread.h>

#include <fabric/error.h>

#include "broker/pipe.h"

/* Runs on the actor's thread until the actor is told to end. */
typedef void actor_run_fn(void *self, pipe_t *pipe);

typedef struct actor {
    pipe_t *pipe; /* our end; NULL: not started */
    pipe_t *far_pipe;
    pthread_t thread;
    actor_run_fn *run;
    void *self;
} actor_t;

/* NO_RESOURCES when the process may have no more descriptors or threads. `actor` must stay where it
 * is. */
FABRIC_MUST_USE
fabric_error_t actor_start(actor_t *actor, actor_run_fn *run, void *self);
/* Waits for the end of the thread, which must have been told to end. The pipe stays open, so that
 * values that the thread has sent can be taken. */
void actor_join(actor_t *actor);
/* Closes the pipe of a joined actor. */
void actor_close(actor_t *actor);

#endif
