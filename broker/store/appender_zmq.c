/* The appender actor: see appender_zmq.h. */
#include "broker/store/appender_zmq.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/memory.h"

#define CHECK_MS 200u /* between two checks, while there are appends */

/* What the thread is told. */
typedef struct order {
    enum { ORDER_APPEND, ORDER_BEGIN, ORDER_END, ORDER_STOP } kind;
    append_operation_t *append;
    store_hold_t hold;
    uint64_t number, log_bytes;
} order_t;

static void report_available(void *context, bool available, const char *cause)
{
    appender_actor_t *self = context;
    appender_report_t report = {.kind = available ? APPENDER_AVAILABLE : APPENDER_UNAVAILABLE,
                                .cause = cause ? memory_copy_string(cause) : NULL};
    pipe_send(self->pipe, &report, sizeof report);
}

static void report_lost(appender_actor_t *self)
{
    if (!self->lost) {
        self->lost = true;
        log_event(LOG_ERROR_LEVEL, "store.lost", log_text("text", appender_lost(self->appender)));
        pipe_send(self->pipe, &(appender_report_t){.kind = APPENDER_LOST},
                  sizeof(appender_report_t));
    }
}

/* What another broker's takeover kept out of the store. */
static void log_fenced(const append_operation_t *operation)
{
    for (size_t i = 0; i < operation->count; i++) {
        const append_part_t *part = &operation->parts[i];
        if (part->fenced) {
            log_event(LOG_WARN_LEVEL, "append.fenced", log_uint("lane", part->lane),
                      log_uint("epoch", part->batch->epoch),
                      log_uint("messages", part->batch->message_count),
                      log_uint("ends", part->batch->end_count));
        }
    }
}

static void report_fenced(appender_actor_t *self)
{
    appender_report_t report = {.kind = APPENDER_FENCED};
    while (appender_next_fenced(self->appender, &report.hold)) {
        pipe_send(self->pipe, &report, sizeof report);
    }
}

static void append(appender_actor_t *self, append_operation_t *operation)
{
    fabric_error_t error = appender_append(self->appender, operation->parts, operation->count);
    operation->error = error;
    if (error == FABRIC_ERROR_STORE_LOST) {
        report_lost(self);
    } else if (!error) {
        log_fenced(operation);
    }
    appender_report_t report = {.kind = APPENDER_APPENDED, .append = operation};
    pipe_send(self->pipe, &report, sizeof report); /* the operation is the router's again */
    uint64_t now_ms = clock_monotonic_ms();
    if (!error && now_ms >= self->check_at_ms) {
        self->check_at_ms = now_ms + CHECK_MS;
        if (appender_check(self->appender) == FABRIC_ERROR_STORE_LOST) {
            report_lost(self);
        }
    }
    report_fenced(self);
}

static void run_appender(void *context, pipe_t *pipe)
{
    appender_actor_t *self = context;
    self->pipe = pipe;
    order_t order;
    for (;;) {
        pipe_wait(pipe, &order, sizeof order);
        switch (order.kind) {
        case ORDER_APPEND:
            append(self, order.append);
            break;
        case ORDER_BEGIN:
            appender_begin(self->appender, &order.hold, order.number, order.log_bytes);
            break;
        case ORDER_END:
            appender_end(self->appender, order.hold.lane, order.hold.epoch);
            break;
        case ORDER_STOP:
            return;
        }
    }
}

fabric_error_t appender_actor_start(appender_actor_t *self, const connection_config_t *config,
                                    int halt_fd, store_clock_t clock, reason_t *reason)
{
    *self = (appender_actor_t){.lost = false};
    store_actor_init(&self->base, "appender", halt_fd, clock);
    store_world_t world = store_actor_world(&self->base);
    world.available = report_available;
    self->appender = appender_new(config, &world);
    fabric_error_t error = appender_open(self->appender, reason);
    if (!error) {
        error = actor_start(&self->base.actor, run_appender, self);
    }
    if (error) {
        appender_destroy(&self->appender);
    }
    return error;
}

static void send(appender_actor_t *self, const order_t *order)
{
    pipe_send(self->base.actor.pipe, order, sizeof *order);
}

void appender_actor_append(appender_actor_t *self, append_operation_t *operation)
{
    send(self, &(order_t){.kind = ORDER_APPEND, .append = operation});
}

void appender_actor_begin(appender_actor_t *self, const store_hold_t *hold, uint64_t number,
                          uint64_t log_bytes)
{
    send(self,
         &(order_t){.kind = ORDER_BEGIN, .hold = *hold, .number = number, .log_bytes = log_bytes});
}

void appender_actor_end(appender_actor_t *self, const store_hold_t *hold)
{
    send(self, &(order_t){.kind = ORDER_END, .hold = *hold});
}

bool appender_actor_take(appender_actor_t *self, appender_report_t *report)
{
    return pipe_take(self->base.actor.pipe, report, sizeof *report);
}

void appender_actor_stop(appender_actor_t *self)
{
    if (!self->base.actor.pipe) {
        return;
    }
    send(self, &(order_t){.kind = ORDER_STOP});
    actor_join(&self->base.actor);
    appender_report_t report;
    while (appender_actor_take(self, &report)) {
        free(report.cause);
    }
    actor_close(&self->base.actor);
    appender_destroy(&self->appender);
}
