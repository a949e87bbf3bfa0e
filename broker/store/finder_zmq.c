/* The finder actor: see finder_zmq.h. */
#include "broker/store/finder_zmq.h"

#include <poll.h>

#include "core/clock.h"

static bool is_halted(void *context)
{
    const finder_actor_t *self = context;
    struct pollfd halt = {.fd = self->halt_fd, .events = POLLIN};
    return poll(&halt, 1, 0) > 0;
}

static uint64_t read_clock(void *context)
{
    (void)context;
    return clock_monotonic_ms();
}

static void run_finder(void *context, void *pipe)
{
    finder_actor_t *self = context;
    finder_operation_t *operation = NULL;
    for (;;) {
        if (!pipe_wait(pipe, &operation, sizeof operation)) {
            continue;
        }
        if (!operation) {
            return;
        }
        operation->error = finder_find(self->finder, operation->floor, operation->calls,
                                       operation->call_count, &operation->answer);
        pipe_send(pipe, &operation, sizeof operation);
    }
}

fabric_error_t finder_actor_start(finder_actor_t *self, void *zmq, const finder_config_t *config,
                                  int halt_fd)
{
    finder_world_t world = {.context = self, .now_ms = read_clock, .stopping = is_halted};
    *self = (finder_actor_t){.halt_fd = halt_fd, .finder = finder_new(config, &world)};
    fabric_error_t error = actor_start(&self->actor, zmq, run_finder, self);
    if (error) {
        finder_destroy(&self->finder);
    }
    return error;
}

void finder_actor_send(finder_actor_t *self, finder_operation_t *operation)
{
    pipe_send(self->actor.pipe, &operation, sizeof operation);
}

finder_operation_t *finder_actor_take(finder_actor_t *self)
{
    finder_operation_t *operation = NULL;
    return pipe_take(self->actor.pipe, &operation, sizeof operation) ? operation : NULL;
}

void finder_actor_stop(finder_actor_t *self)
{
    if (!self->actor.pipe) {
        return;
    }
    finder_actor_send(self, NULL);
    actor_join(&self->actor);
    finder_operation_t *operation;
    while ((operation = finder_actor_take(self))) {
        message_chain_destroy(&operation->answer.messages);
    }
    actor_close(&self->actor);
    finder_destroy(&self->finder);
}
