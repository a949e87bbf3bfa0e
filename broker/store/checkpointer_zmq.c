/* The checkpointer actor: see checkpointer_zmq.h. */
#include "broker/store/checkpointer_zmq.h"

static void log_lost(uint32_t lane, const store_slice_t *slice)
{
    log_event(LOG_ERROR_LEVEL, "store.lost", log_uint("lane", lane),
              log_uint("checkpoint", slice->settled), log_uint("entry", slice->begun),
              log_text("text", "this checkpoint or this entry was durable, and is not there any "
                               "more"));
}

static fabric_error_t write_slice(checkpointer_t *checkpointer, const store_hold_t *hold,
                                  const store_slice_t *slice)
{
    fabric_error_t error = checkpointer_write(checkpointer, hold, slice);
    if (error == FABRIC_ERROR_STORE_LOST) {
        log_lost(hold->lane, slice);
    }
    return error;
}

static void run_operation(checkpointer_t *checkpointer, checkpoint_operation_t *operation)
{
    switch (operation->kind) {
    case CHECKPOINT_SLICE:
        operation->error = write_slice(checkpointer, &operation->hold, operation->slice);
        break;
    case CHECKPOINT_PURGE:
        operation->error = checkpointer_purge(checkpointer, &operation->hold, operation->checkpoint,
                                              operation->log_bytes, &operation->purged);
        break;
    case CHECKPOINT_GIVE_UP:
        operation->error = checkpointer_give_up(checkpointer, &operation->hold);
        break;
    }
}

static void run_checkpointer(void *context, pipe_t *pipe)
{
    checkpointer_actor_t *self = context;
    checkpoint_operation_t *operation = NULL;
    for (;;) {
        pipe_wait(pipe, &operation, sizeof operation);
        if (!operation) {
            return;
        }
        run_operation(&self->checkpointer, operation);
        pipe_send(pipe, &operation, sizeof operation);
    }
}

fabric_error_t checkpointer_actor_start(checkpointer_actor_t *self,
                                        const connection_config_t *config,
                                        const retention_t *retention, int halt_fd,
                                        store_clock_t clock)
{
    store_actor_init(&self->base, "checkpointer", halt_fd, clock);
    store_world_t world = store_actor_world(&self->base);
    checkpointer_init(&self->checkpointer, config, &world, retention);
    return actor_start(&self->base.actor, run_checkpointer, self);
}

void checkpointer_actor_send(checkpointer_actor_t *self, checkpoint_operation_t *operation)
{
    pipe_send(self->base.actor.pipe, &operation, sizeof operation);
}

checkpoint_operation_t *checkpointer_actor_take(checkpointer_actor_t *self)
{
    checkpoint_operation_t *operation = NULL;
    return pipe_take(self->base.actor.pipe, &operation, sizeof operation) ? operation : NULL;
}

void checkpointer_actor_stop(checkpointer_actor_t *self)
{
    if (!self->base.actor.pipe) {
        return;
    }
    checkpointer_actor_send(self, NULL);
    actor_join(&self->base.actor);
    actor_close(&self->base.actor);
    checkpointer_clear(&self->checkpointer);
}
