/* The loader actor: see loader_zmq.h. */
#include "broker/store/loader_zmq.h"

static void run_operation(loader_t *loader, load_operation_t *operation)
{
    message_chain_t rows = {0};
    switch (operation->kind) {
    case LOADER_ADOPT:
        operation->error =
            loader_adopt(loader, &operation->hold, &operation->adoption, &operation->fault);
        break;
    case LOADER_LOAD:
        operation->error =
            loader_load(loader, operation->lane, operation->ranges, operation->range_count,
                        operation->bytes_max, &rows, &operation->done);
        operation->rows = rows.first;
        break;
    case LOADER_SCHEDULED:
        operation->error =
            loader_load_scheduled(loader, operation->lane, operation->after, operation->limit,
                                  operation->bytes_max, &rows, &operation->ended);
        operation->rows = rows.first;
        break;
    case LOADER_SEARCH:
        operation->error = loader_search(loader, operation->lane, operation->wanted,
                                         operation->wanted_count, &rows);
        operation->rows = rows.first;
        break;
    case LOADER_STATES:
        operation->error =
            loader_load_states(loader, operation->lane, operation->names, operation->name_count,
                               operation->bytes_max, &operation->states);
        break;
    case LOADER_EVENTS:
    case LOADER_READING:
        operation->error =
            loader_load_events(loader, operation->lane, operation->histories,
                               operation->history_count, operation->bytes_max, &operation->events);
        break;
    case LOADER_OUTGOING:
        operation->error =
            loader_load_outgoing(loader, operation->lane, &operation->outgoing, &operation->told);
        break;
    }
}

static void run_loader(void *context, pipe_t *pipe)
{
    loader_actor_t *self = context;
    load_operation_t *operation = NULL;
    for (;;) {
        pipe_wait(pipe, &operation, sizeof operation);
        if (!operation) {
            return;
        }
        run_operation(&self->loader, operation);
        pipe_send(pipe, &operation, sizeof operation);
    }
}

fabric_error_t loader_actor_start(loader_actor_t *self, const char *name,
                                  const loader_config_t *config, int halt_fd, store_clock_t clock)
{
    store_actor_init(&self->base, name, halt_fd, clock);
    store_world_t world = store_actor_world(&self->base);
    loader_init(&self->loader, config, &world);
    return actor_start(&self->base.actor, run_loader, self);
}

void loader_actor_send(loader_actor_t *self, load_operation_t *operation)
{
    pipe_send(self->base.actor.pipe, &operation, sizeof operation);
}

load_operation_t *loader_actor_take(loader_actor_t *self)
{
    load_operation_t *operation = NULL;
    return pipe_take(self->base.actor.pipe, &operation, sizeof operation) ? operation : NULL;
}

void loader_actor_stop(loader_actor_t *self)
{
    if (!self->base.actor.pipe) {
        return;
    }
    loader_actor_send(self, NULL);
    actor_join(&self->base.actor);
    load_operation_t *operation;
    while ((operation = loader_actor_take(self))) {
        adoption_clear(&operation->adoption);
        message_chain_destroy(&operation->rows);
        loaded_states_clear(&operation->states);
        loaded_events_clear(&operation->events);
        loaded_outgoing_clear(&operation->told);
    }
    actor_close(&self->base.actor);
    loader_clear(&self->loader);
}
