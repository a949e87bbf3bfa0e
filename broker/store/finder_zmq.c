/* The finder actor: see finder_zmq.h. */
#include "broker/store/finder_zmq.h"

/* Primary keys alone need no search of the journal. */
static void find(finder_t *finder, find_operation_t *operation)
{
    if (operation->call_count > 0) {
        operation->error = finder_find(finder, operation->lane, operation->floor, operation->calls,
                                       operation->call_count, &operation->answer);
    }
    if (!operation->error && operation->key_count > 0) {
        operation->error = finder_find_keys(finder, operation->lane, operation->keys,
                                            operation->key_count, &operation->answer);
    }
    const key_page_t *page = &operation->page;
    if (!operation->error && page->limit > 0) {
        operation->error =
            finder_list_keys(finder, operation->lane, page->any ? &page->after : NULL, page->limit,
                             &operation->answer);
    }
}

static void run_finder(void *context, pipe_t *pipe)
{
    finder_actor_t *self = context;
    find_operation_t *operation = NULL;
    for (;;) {
        pipe_wait(pipe, &operation, sizeof operation);
        if (!operation) {
            return;
        }
        find(self->finder, operation);
        pipe_send(pipe, &operation, sizeof operation);
    }
}

fabric_error_t finder_actor_start(finder_actor_t *self, const finder_config_t *config, int halt_fd,
                                  store_clock_t clock)
{
    store_actor_init(&self->base, "finder", halt_fd, clock);
    store_world_t world = store_actor_world(&self->base);
    self->finder = finder_new(config, &world);
    fabric_error_t error = actor_start(&self->base.actor, run_finder, self);
    if (error) {
        finder_destroy(&self->finder);
    }
    return error;
}

void finder_actor_send(finder_actor_t *self, find_operation_t *operation)
{
    pipe_send(self->base.actor.pipe, &operation, sizeof operation);
}

find_operation_t *finder_actor_take(finder_actor_t *self)
{
    find_operation_t *operation = NULL;
    return pipe_take(self->base.actor.pipe, &operation, sizeof operation) ? operation : NULL;
}

void finder_actor_stop(finder_actor_t *self)
{
    if (!self->base.actor.pipe) {
        return;
    }
    finder_actor_send(self, NULL);
    actor_join(&self->base.actor);
    find_operation_t *operation;
    while ((operation = finder_actor_take(self))) {
        finder_answer_clear(&operation->answer);
    }
    actor_close(&self->base.actor);
    finder_destroy(&self->finder);
}
