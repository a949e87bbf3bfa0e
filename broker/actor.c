/* Actors: see actor.h. */
#include "broker/actor.h"

#include <signal.h>

static void *run_actor(void *argument)
{
    actor_t *actor = argument;
    actor->run(actor->self, actor->far_pipe);
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

fabric_error_t actor_start(actor_t *actor, actor_run_fn *run, void *self)
{
    *actor = (actor_t){.run = run, .self = self};
    if (!pipe_open(&actor->pipe, &actor->far_pipe)) {
        return FABRIC_ERROR_NO_RESOURCES;
    }
    if (start_thread(actor) != 0) {
        actor_close(actor);
        return FABRIC_ERROR_NO_RESOURCES;
    }
    return FABRIC_OK;
}

void actor_join(actor_t *actor)
{
    pthread_join(actor->thread, NULL);
}

void actor_close(actor_t *actor)
{
    pipe_close(&actor->pipe, &actor->far_pipe);
}
