/* The coordinator actor: see coordinator_zmq.h. */
#include "broker/coordinator/coordinator_zmq.h"

#include <poll.h>
#include <stdlib.h>

#include "broker/coordinator/probe_zmq.h"
#include "core/clock.h"
#include "core/crash_point.h"
#include "core/log.h"
#include "core/memory.h"

#define PROBE_MS 100u

/* `cause`: why the store is not available, in the database's words. */
static void note_available(coordinator_actor_t *self, bool available, fabric_error_t error,
                           const char *cause)
{
    if (self->available == available) {
        return;
    }
    self->available = available;
    if (available) {
        log_event(LOG_INFO_LEVEL, "store.available", log_text("connection", "coordinator"));
    } else {
        log_event(LOG_WARN_LEVEL, "store.unavailable", log_text("connection", "coordinator"),
                  log_text("error", fabric_error_name(error)), log_text("cause", cause));
    }
}

/* Opens a new connection after one has failed: the old one may be dead. */
static void reopen(coordinator_actor_t *self)
{
    if (self->store) {
        return;
    }
    reason_t reason = {{0}};
    fabric_error_t error = store_open(self->drivers, &self->options, &reason, &self->store);
    if (error) {
        note_available(self, false, error, reason.text);
    }
}

/* A call that changes the store has succeeded, and its effects have not left yet. */
static void pass_crash_points(coordinator_call_kind_t kind)
{
    if (kind == COORDINATOR_TAKE_TERM) {
        CRASH_POINT(TERM_TAKEN);
    } else if (kind == COORDINATOR_REMOVE_BROKER) {
        CRASH_POINT(BROKER_REMOVED);
    } else if (kind == COORDINATOR_ASSIGN_LANE) {
        CRASH_POINT(LANE_ASSIGNED);
    } else if (kind == COORDINATOR_PUT_GROUP) {
        CRASH_POINT(GROUP_PUT_AFTER);
    } else if (kind == COORDINATOR_PUT_TYPE) {
        CRASH_POINT(TYPE_PUT_AFTER);
    } else if (kind == COORDINATOR_PUT_RUNNER) {
        CRASH_POINT(RUNNER_PUT_AFTER);
    }
}

static bool refuses(const char *endpoint)
{
    return probe_refuses(endpoint, PROBE_MS);
}

static void send_effects(coordinator_actor_t *self, pipe_t *pipe)
{
    coordinator_effect_t effect;
    while (coordinator_next_effect(self->core, &effect)) {
        pipe_send(pipe, &effect, sizeof effect);
    }
}

/* Makes the next call. false: there is none to make now. */
static bool run_call(coordinator_actor_t *self, pipe_t *pipe)
{
    static const coordinator_ways_t ways = {clock_monotonic_ms, refuses};
    coordinator_call_t call;
    if (!coordinator_next_call(self->core, clock_monotonic_ms(), &call)) {
        return false;
    }
    send_effects(self, pipe); /* the router is to know that a type is being stored */
    reopen(self);
    fabric_error_t error = coordinator_run_call(self->core, &call, self->store, &ways);
    if (error == FABRIC_ERROR_STORE_UNAVAILABLE || error == FABRIC_ERROR_STORE_UNKNOWN) {
        note_available(self, false, error, self->store ? store_error_text(self->store, error) : "");
        store_close(&self->store);
    } else if (!error && call.kind != COORDINATOR_PROBE) {
        note_available(self, true, FABRIC_OK, NULL);
        pass_crash_points(call.kind);
    }
    return true;
}

/* What another broker has sent is refused as a whole where it cannot be read. */
static void take_bytes(coordinator_actor_t *self, const coordinator_operation_t *operation)
{
    bool is_map = operation->kind == COORDINATOR_TAKE_MAP;
    uint64_t now_ms = clock_monotonic_ms();
    fabric_bytes_t bytes = {operation->bytes, operation->size};
    fabric_error_t error = is_map
                               ? coordinator_map_received(self->core, bytes, now_ms)
                               : coordinator_owners(self->core, operation->broker, bytes, now_ms);
    if (error) {
        log_event(LOG_WARN_LEVEL, is_map ? "coordinator.map_refused" : "coordinator.owners_refused",
                  log_text("error", fabric_error_name(error)));
    }
    free(operation->bytes);
}

/* Carries out the operations that wait. false: one of them was STOP. */
static bool take_operations(coordinator_actor_t *self, pipe_t *pipe)
{
    coordinator_operation_t operation;
    while (pipe_take(pipe, &operation, sizeof operation)) {
        switch (operation.kind) {
        case COORDINATOR_ORDER:
            coordinator_order(self->core, &operation.order, clock_monotonic_ms());
            free(operation.order.types);
            free(operation.order.owners);
            break;
        case COORDINATOR_TAKE_MAP:
        case COORDINATOR_TAKE_OWNERS:
            take_bytes(self, &operation);
            break;
        case COORDINATOR_STOP:
            self->leave = operation.leave;
            return false;
        }
        send_effects(self, pipe); /* owners are placed before any store call */
    }
    return true;
}

static void leave(coordinator_actor_t *self)
{
    reopen(self);
    if (!self->store) {
        return;
    }
    CRASH_POINT(LEAVE_BEFORE);
    fabric_error_t error = self->store->driver->broker_leave(self->store, self->config.incarnation);
    CRASH_POINT(LEAVE_AFTER);
    if (error) { /* other brokers learn it from this broker's silence */
        log_event(LOG_WARN_LEVEL, "broker.leave_failed",
                  log_text("error", fabric_error_name(error)),
                  log_text("cause", store_error_text(self->store, error)));
    }
}

static void run_coordinator(void *context, pipe_t *pipe)
{
    coordinator_actor_t *self = context;
    while (take_operations(self, pipe)) {
        bool called = run_call(self, pipe);
        coordinator_tick(self->core, clock_monotonic_ms());
        send_effects(self, pipe);
        uint64_t now_ms = clock_monotonic_ms();
        uint64_t deadline_ms = coordinator_next_deadline(self->core, now_ms);
        uint64_t wait_ms = !called && deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        struct pollfd item = {.fd = pipe_fd(pipe), .events = POLLIN};
        (void)poll(&item, 1, wait_ms < 1000 ? (int)wait_ms : 1000);
    }
    if (self->leave) {
        leave(self);
    }
    store_close(&self->store);
}

fabric_error_t coordinator_actor_start(coordinator_actor_t *self,
                                       const coordinator_config_t *config,
                                       const store_driver_t *const *drivers,
                                       const store_options_t *options, store_t **store)
{
    *self = (coordinator_actor_t){
        .config = *config, .drivers = drivers, .options = *options, .available = true};
    self->core = coordinator_new(config, clock_monotonic_ms());
    self->store = *store;
    fabric_error_t error = actor_start(&self->actor, run_coordinator, self);
    if (error) {
        coordinator_destroy(&self->core);
        self->store = NULL;
        return error;
    }
    *store = NULL;
    return FABRIC_OK;
}

void coordinator_actor_send(coordinator_actor_t *self, const coordinator_operation_t *operation)
{
    pipe_send(self->actor.pipe, operation, sizeof *operation);
}

static void send_bytes(coordinator_actor_t *self, coordinator_operation_kind_t kind,
                       incarnation_t broker, fabric_bytes_t bytes)
{
    coordinator_operation_t operation = {.kind = kind, .broker = broker, .size = bytes.size};
    operation.bytes = memory_allocate(bytes.size);
    if (bytes.size > 0) {
        memcpy(operation.bytes, bytes.data, bytes.size);
    }
    coordinator_actor_send(self, &operation);
}

void coordinator_actor_take_map(coordinator_actor_t *self, fabric_bytes_t map)
{
    send_bytes(self, COORDINATOR_TAKE_MAP, (incarnation_t){{0}}, map);
}

void coordinator_actor_take_owners(coordinator_actor_t *self, incarnation_t broker,
                                   fabric_bytes_t owners)
{
    send_bytes(self, COORDINATOR_TAKE_OWNERS, broker, owners);
}

void coordinator_actor_stop(coordinator_actor_t *self, bool leave_store)
{
    if (!self->actor.pipe) {
        return;
    }
    coordinator_operation_t stop = {.kind = COORDINATOR_STOP, .leave = leave_store};
    coordinator_actor_send(self, &stop);
    actor_join(&self->actor);
    coordinator_effect_t effect;
    while (pipe_take(self->actor.pipe, &effect, sizeof effect)) {
        coordinator_effect_clear(&effect);
    }
    actor_close(&self->actor);
    coordinator_destroy(&self->core);
}
