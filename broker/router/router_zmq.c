/* The router's shell: see router_zmq.h. */
#include "broker/router/router_zmq.h"

#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "broker/router/sockets_zmq.h"
#include "core/clock.h"
#include "core/crash_point.h"
#include "core/log.h"
#include "broker/memory_cache.h"
#include "core/poll_zmq.h"

#define FRAMES_PER_TURN  256
#define FRAMES_PER_LOOK  4 /* frames between two looks at the clock: they can be long */
#define TURN_MS          5 /* for frames in one turn: heartbeats wait meanwhile */
#define BLOCKED_RETRY_MS 2u
#define HEARTBEAT_MS     1000u
#define LONGEST_WAIT_MS  1000u

static void end_with(router_shell_t *shell, fabric_error_t error)
{
    if (!shell->over || shell->end == FABRIC_OK) {
        shell->over = true;
        shell->end = error;
    }
}

/* ---- the coordinator ---- */

static void send_orders(router_shell_t *shell)
{
    coordinator_operation_t operation = {.kind = COORDINATOR_ORDER};
    while (router_next_order(shell->router, &operation.order)) {
        router_watch_order(&operation.order);
        if (operation.order.kind == ROUTER_OWNER_CHANGED &&
            !incarnation_is_none(operation.order.runner)) {
            CRASH_POINT(OWNER_CHOSEN);
        }
        if (operation.order.kind == ROUTER_OWNERS) {
            coordinator_actor_take_owners(
                shell->coordinator, operation.order.broker,
                fabric_bytes(operation.order.owners, operation.order.owners_size));
            free(operation.order.owners);
        } else {
            coordinator_actor_send(shell->coordinator, &operation);
        }
    }
}

/* A map of this broker's coordinator. */
static void take_map(router_shell_t *shell, const coordinator_effect_t *effect)
{
    shell->map_version = effect->version;
    mesh_note_map(shell->mesh.mesh, effect->version);
    router_map(shell->router, fabric_bytes(effect->bytes, effect->size));
}

static void take_members(router_shell_t *shell, const coordinator_effect_t *effect)
{
    router_members(shell->router, effect->credentials, effect->broker_count, shell->now_ms);
    mesh_set_members(shell->mesh.mesh, effect->brokers, effect->broker_count);
}

/* What becomes of types that are not registered, or not any more. */
static void take_news_of_types(router_t *router, const coordinator_effect_t *effect,
                               uint64_t now_ms)
{
    fabric_bytes_t bytes = {effect->bytes, effect->size};
    if (effect->kind == COORDINATOR_TYPE_FORGOTTEN) {
        router_type_forgotten(router, bytes);
    } else if (effect->kind == COORDINATOR_FORGET_DONE) {
        router_forget_done(router, fabric_bytes_of(effect->type), effect->error,
                           (const char *)effect->bytes);
    } else if (effect->kind == COORDINATOR_TYPE_OPENED) {
        router_type_opened(router, bytes);
    } else {
        router_registered(router, effect->number, now_ms);
    }
}

static void run_effect(router_shell_t *shell, const coordinator_effect_t *effect)
{
    fabric_bytes_t bytes = {effect->bytes, effect->size};
    switch (effect->kind) {
    case COORDINATOR_FENCED:
        end_with(shell, FABRIC_ERROR_FENCED);
        break;
    case COORDINATOR_ELECTED:
        log_event(LOG_INFO_LEVEL, "coordinator.elected", log_uint("term", effect->number));
        mesh_set_holder(shell->mesh.mesh, (incarnation_t){{0}});
        break;
    case COORDINATOR_READY:
        shell->ready(shell->ready_context);
        break;
    case COORDINATOR_HOLDER:
        router_holder(shell->router, effect->broker);
        mesh_set_holder(shell->mesh.mesh, effect->broker);
        break;
    case COORDINATOR_MEMBERS:
        take_members(shell, effect);
        break;
    case COORDINATOR_LEASE:
        router_lease(shell->router, effect->number, effect->id_mark);
        break;
    case COORDINATOR_LANES:
        storage_lanes_held(&shell->storage, effect->holds, effect->hold_count);
        router_lanes_held(shell->router, effect->holds, effect->hold_count, shell->now_ms);
        break;
    case COORDINATOR_NO_HEIR:
        shell->closing = shell->draining;
        router_close(shell->router, shell->now_ms);
        break;
    case COORDINATOR_TYPE:
        router_type(shell->router, effect->group, bytes);
        break;
    case COORDINATOR_TYPE_FORGOTTEN:
    case COORDINATOR_FORGET_DONE:
    case COORDINATOR_TYPE_OPENED:
    case COORDINATOR_REGISTERED:
        take_news_of_types(shell->router, effect, shell->now_ms);
        break;
    case COORDINATOR_TYPES_LISTED:
        router_types_listed(shell->router);
        break;
    case COORDINATOR_TYPES_READ:
        router_types_read(shell->router, effect->number == 1);
        break;
    case COORDINATOR_ADMITTED:
        router_admitted(shell->router, effect->runner, effect->error, (const char *)effect->bytes,
                        shell->now_ms);
        break;
    case COORDINATOR_DESIRE:
        router_desire(shell->router, (const char *)effect->bytes, effect->shard, effect->runner,
                      shell->now_ms);
        break;
    case COORDINATOR_MAP:
        CRASH_POINT(MAP_BEFORE);
        take_map(shell, effect);
        router_sockets_publish_map(shell->pub_socket, bytes);
        break;
    case COORDINATOR_MAP_REVISED:
        take_map(shell, effect);
        break;
    case COORDINATOR_MAP_WANTED:
        mesh_want_map(shell->mesh.mesh);
        break;
    case COORDINATOR_OWNERS:
        mesh_send_owners(shell->mesh.mesh, effect->broker, bytes);
        break;
    }
}

static void take_effects(router_shell_t *shell)
{
    coordinator_effect_t effect;
    while (pipe_take(shell->coordinator->actor.pipe, &effect, sizeof effect)) {
        run_effect(shell, &effect);
        coordinator_effect_clear(&effect);
    }
}

/* ---- peers ---- */

static void receive_frames(router_shell_t *shell)
{
    zmq_msg_t routing_id;
    zmq_msg_t frame;
    for (int i = 0; i < FRAMES_PER_TURN; i++) {
        received_t received = router_sockets_receive(shell->router_socket, &routing_id, &frame);
        if (received == RECEIVED_NOTHING) {
            return;
        }
        fabric_bytes_t from = fabric_bytes(zmq_msg_data(&routing_id), zmq_msg_size(&routing_id));
        if (received == RECEIVED_FRAME) {
            router_receive(shell->router, from,
                           fabric_bytes(zmq_msg_data(&frame), zmq_msg_size(&frame)), shell->now_ms);
            mesh_shell_relay(&shell->mesh);
        } else {
            router_unreadable(shell->router, from, shell->now_ms);
        }
        router_watch_violations(&shell->watch, shell->router, zmq_msg_gets(&frame, "Peer-Address"),
                                shell->now_ms);
        zmq_msg_close(&routing_id);
        zmq_msg_close(&frame);
        if (i % FRAMES_PER_LOOK == FRAMES_PER_LOOK - 1 &&
            clock_monotonic_ms() - shell->now_ms >= TURN_MS) {
            return;
        }
    }
}

static void send_frames(router_shell_t *shell)
{
    router_frame_t frame;
    while (router_next_frame(shell->router, &frame)) {
        switch (router_sockets_send(shell->router_socket, frame.routing_id, frame.bytes)) {
        case SENT:
            router_frame_sent(shell->router, frame.peer);
            CRASH_POINT(FRAME_SENT);
            break;
        case SENT_BLOCKED:
            shell->blocked = true;
            router_frame_blocked(shell->router, frame.peer);
            break;
        case SENT_UNREACHABLE:
            router_frame_unreachable(shell->router, frame.peer, shell->now_ms);
            break;
        }
    }
}

/* ---- the loop ---- */

static void tick(router_shell_t *shell)
{
    if (shell->blocked || shell->now_ms >= router_next_deadline(shell->router)) {
        shell->blocked = false;
        router_tick(shell->router, shell->now_ms);
    }
    if (shell->now_ms >= shell->heartbeat_ms) {
        shell->heartbeat_ms = shell->now_ms + HEARTBEAT_MS;
        router_sockets_publish_ping(shell->pub_socket, ++shell->heartbeats, shell->map_version);
        router_watch_descriptors(&shell->watch);
        log_report_dropped();
    }
}

/* A restart reads nothing of a journal that the rows have all of. */
static bool is_checkpointed(const router_shell_t *shell)
{
    router_counters_t counters;
    router_counters(shell->router, &counters);
    return counters.journal_bytes == 0;
}

/* Whether the clients have their answers, and have gone to other brokers. Until then what they send
 * is redirected. Where there are no other brokers, the clients stay. */
static bool is_left(router_shell_t *shell)
{
    if (!shell->farewell && !shell->closing) {
        shell->farewell = true;
        router_farewell(shell->router, shell->now_ms);
    }
    return shell->closing || router_is_left(shell->router);
}

static void check_drained(router_shell_t *shell)
{
    if (!shell->draining) {
        return;
    }
    bool drained = router_drained(shell->router);
    if (shell->now_ms < shell->drain_until_ms &&
        !(drained && is_checkpointed(shell) && is_left(shell))) {
        return;
    }
    if (!drained) {
        log_event(LOG_WARN_LEVEL, "broker.drain_incomplete", log_uint("drain_ms", shell->drain_ms));
    }
    end_with(shell, FABRIC_OK);
}

/* Carries out everything that the router wants done now. */
static void pump(router_shell_t *shell)
{
    mesh_shell_feed(&shell->mesh, shell->now_ms); /* outgoing messages may stay in this broker */
    storage_feed(&shell->storage, shell->now_ms);
    send_orders(shell);
    router_watch_damages(&shell->watch, shell->router, shell->now_ms);
    router_watch_crashes(&shell->watch, shell->router, shell->now_ms);
    router_watch_parked(&shell->watch, shell->router, shell->now_ms);
    router_watch_runners(&shell->watch, shell->router, shell->now_ms);
    send_frames(shell);
}

static long wait_ms(const router_shell_t *shell)
{
    uint64_t until_ms = router_next_deadline(shell->router);
    uint64_t storage_ms = storage_next_deadline(&shell->storage);
    until_ms = until_ms < shell->heartbeat_ms ? until_ms : shell->heartbeat_ms;
    uint64_t mesh_ms = mesh_shell_deadline(&shell->mesh);
    until_ms = until_ms < storage_ms ? until_ms : storage_ms;
    until_ms = until_ms < mesh_ms ? until_ms : mesh_ms;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t wait = until_ms > now_ms ? until_ms - now_ms : 0;
    if (shell->blocked && wait > BLOCKED_RETRY_MS) {
        wait = BLOCKED_RETRY_MS;
    }
    return (long)(wait < LONGEST_WAIT_MS ? wait : LONGEST_WAIT_MS);
}

/* What the loop polls: these, then what the storage wants, then what the mesh wants at present. The
 * stop signal stays readable, so it is not polled any more when draining has begun. */
enum { POLL_ROUTER, POLL_COORDINATOR, POLL_STOP, POLL_STORAGE };

static void take_events(router_shell_t *shell, const zmq_pollitem_t *items, uint32_t count)
{
    if (items[POLL_COORDINATOR].revents) {
        take_effects(shell);
    }
    storage_take(&shell->storage, items + POLL_STORAGE, shell->now_ms);
    if (shell->storage.end) {
        end_with(shell, shell->storage.end);
    }
    if (items[POLL_ROUTER].revents) {
        receive_frames(shell);
    }
    mesh_shell_take(&shell->mesh, items + count, shell->now_ms);
}

static void begin_draining(router_shell_t *shell)
{
    log_event(LOG_INFO_LEVEL, "broker.draining",
              log_text("cause", router_drain_asked(shell->router) ? "operator" : "signal"),
              log_uint("drain_ms", shell->drain_ms));
    shell->draining = true;
    shell->drain_until_ms = shell->now_ms + shell->drain_ms;
    router_drain(shell->router, shell->drain_ms, shell->now_ms);
    mesh_drain(shell->mesh.mesh);
    CRASH_POINT(DRAIN_BEGUN);
}

static void turn(router_shell_t *shell, zmq_pollitem_t *items, uint32_t count)
{
    uint32_t all = count + mesh_shell_poll_items(&shell->mesh, items + count);
    int polled = poll_zmq(items, (int)all, wait_ms(shell));
    shell->now_ms = clock_monotonic_ms();
    router_clock(shell->router, clock_wall_ms(), shell->now_ms);
    if (polled > 0) {
        take_events(shell, items, count);
        if (!shell->draining && (items[POLL_STOP].revents || router_drain_asked(shell->router))) {
            begin_draining(shell);
            items[POLL_STOP].events = 0;
        }
    }
    tick(shell);
    router_watch_violations(&shell->watch, shell->router, NULL, shell->now_ms);
    router_watch_unserved(&shell->watch, shell->router, shell->now_ms);
    pump(shell);
    check_drained(shell);
}

static fabric_error_t open_mesh(router_shell_t *shell)
{
    shell->mesh = (mesh_shell_t){
        .zmq = shell->zmq, .router = shell->router, .coordinator = shell->coordinator};
    return mesh_shell_open(&shell->mesh, &shell->mesh_config);
}

fabric_error_t router_shell_run(router_shell_t *shell)
{
    zmq_pollitem_t items[POLL_STORAGE + STORAGE_POLL_MAX + MESH_POLL_MAX] = {0};
    items[POLL_ROUTER].socket = shell->router_socket;
    items[POLL_COORDINATOR].fd = pipe_fd(shell->coordinator->actor.pipe);
    items[POLL_STOP].fd = shell->stop_fd;
    for (uint32_t i = 0; i < POLL_STORAGE; i++) {
        items[i].events = ZMQ_POLLIN;
    }
    fabric_error_t error = storage_open(&shell->storage);
    if (error) {
        return error;
    }
    error = open_mesh(shell);
    if (error) {
        storage_close(&shell->storage);
        return error;
    }
    uint32_t count = POLL_STORAGE + storage_poll_items(&shell->storage, items + POLL_STORAGE);
    shell->now_ms = clock_monotonic_ms();
    memory_cache_open();
    while (!shell->over) {
        turn(shell, items, count);
    }
    memory_cache_close();
    mesh_shell_close(&shell->mesh);
    storage_close(&shell->storage);
    return shell->end;
}

fabric_error_t router_shell_bind(router_shell_t *shell, reason_t *reason)
{
    fabric_error_t error = router_sockets_bind(shell->zmq, ZMQ_ROUTER, shell->listen, reason,
                                               &shell->router_socket, shell->bound_router);
    return error ? error
                 : router_sockets_bind(shell->zmq, ZMQ_PUB, shell->publish, reason,
                                       &shell->pub_socket, shell->bound_pub);
}

void router_shell_close(router_shell_t *shell, uint32_t linger_ms)
{
    router_sockets_close(&shell->router_socket, linger_ms);
    router_sockets_close(&shell->pub_socket, linger_ms);
}
