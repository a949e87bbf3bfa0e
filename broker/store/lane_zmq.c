/* The lane actor: see lane_zmq.h. */
#include "broker/store/lane_zmq.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/random.h"

static bool is_halted(void *context)
{
    const lane_actor_t *self = context;
    struct pollfd halt = {.fd = self->halt_fd, .events = POLLIN};
    return poll(&halt, 1, 0) > 0;
}

static void sleep_or_halt(void *context, uint32_t wait_ms)
{
    const lane_actor_t *self = context;
    struct pollfd halt = {.fd = self->halt_fd, .events = POLLIN};
    (void)poll(&halt, 1, (int)wait_ms);
}

static uint32_t draw(void *context)
{
    (void)context;
    uint32_t value = 0;
    random_bytes(&value, sizeof value);
    return value;
}

static void report_available(void *context, bool available, const char *cause)
{
    lane_actor_t *self = context;
    lane_report_t report = {.available = available, .cause = cause ? strdup(cause) : NULL};
    if (cause && !report.cause) {
        abort();
    }
    pipe_send(self->pipe, &report, sizeof report);
}

/* What another broker's takeover kept out of the store. */
static void log_fenced(const lane_actor_t *self, const store_batch_t *batch)
{
    log_event(LOG_WARN_LEVEL, "commit.fenced", log_uint("lane", self->number),
              log_uint("messages", batch->message_count), log_uint("replies", batch->reply_count));
}

static void run_operation(lane_actor_t *self, lane_operation_t *operation)
{
    lane_t *lane = self->lane;
    switch (operation->kind) {
    case LANE_COMMIT:
        operation->error = lane_commit(lane, operation->batch, &operation->rejected);
        if (operation->error == FABRIC_ERROR_FENCED) {
            log_fenced(self, operation->batch);
        }
        break;
    case LANE_LOAD:
        operation->error =
            lane_load(lane, operation->from, &operation->messages, &operation->high_id);
        break;
    case LANE_STOP:
        break;
    }
}

static void run_lane(void *context, void *pipe)
{
    lane_actor_t *self = context;
    self->pipe = pipe;
    lane_operation_t *operation = NULL;
    for (;;) {
        if (!pipe_wait(pipe, &operation, sizeof operation)) {
            continue;
        }
        if (operation->kind == LANE_STOP) {
            return;
        }
        run_operation(self, operation);
        lane_report_t report = {.operation = operation, .available = true};
        pipe_send(pipe, &report, sizeof report);
    }
}

fabric_error_t lane_actor_start(lane_actor_t *self, void *zmq, const lane_config_t *config,
                                int halt_fd, reason_t *reason)
{
    lane_world_t world = {.context = self,
                          .sleep = sleep_or_halt,
                          .random = draw,
                          .stopping = is_halted,
                          .available = report_available};
    *self = (lane_actor_t){
        .halt_fd = halt_fd, .number = config->writer.lane, .lane = lane_new(config, &world)};
    fabric_error_t error = lane_open(self->lane, reason);
    if (!error) {
        error = actor_start(&self->actor, zmq, run_lane, self);
    }
    if (error) {
        lane_destroy(&self->lane);
    }
    return error;
}

void lane_actor_send(lane_actor_t *self, lane_operation_t *operation)
{
    pipe_send(self->actor.pipe, &operation, sizeof operation);
}

static void drop_reports(lane_actor_t *self)
{
    lane_report_t report;
    while (pipe_take(self->actor.pipe, &report, sizeof report)) {
        free(report.cause);
        if (report.operation) {
            lane_rejections_clear(&report.operation->rejected);
            message_chain_destroy(&report.operation->messages);
        }
    }
}

void lane_actor_stop(lane_actor_t *self)
{
    if (!self->actor.pipe) {
        return;
    }
    lane_operation_t stop = {.kind = LANE_STOP};
    lane_actor_send(self, &stop);
    actor_join(&self->actor);
    drop_reports(self);
    actor_close(&self->actor);
    lane_destroy(&self->lane);
}
