/* The router's shell: see router_zmq.h. */
#include "broker/router/router_zmq.h"

#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "broker/router/sockets_zmq.h"
#include "core/clock.h"
#include "core/crash_point.h"
#include "core/log.h"

#define FRAMES_PER_TURN  256
#define FRAMES_PER_LOOK  4 /* frames between two looks at the clock: they can be long */
#define TURN_MS          5 /* for frames in one turn: heartbeats wait meanwhile */
#define BLOCKED_RETRY_MS 2u
#define HEARTBEAT_MS     1000u
#define LONGEST_WAIT_MS  1000u

#define OUTAGES_LOGGED_PER_S 2u

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
        coordinator_actor_send(shell->coordinator, &operation);
    }
}

static void loaded(router_shell_t *shell, message_t *messages, uint64_t high_id)
{
    router_loaded(shell->router, messages, high_id, shell->now_ms);
    coordinator_operation_t operation = {.kind = COORDINATOR_LOADED};
    coordinator_actor_send(shell->coordinator, &operation);
}

static void take_homes(router_shell_t *shell, const coordinator_effect_t *effect)
{
    log_event(LOG_INFO_LEVEL, "shards.home", log_uint("count", effect->shard_count),
              log_uint("load_from", effect->from.value));
    router_homes(shell->router, effect->shards, effect->shard_count);
    CRASH_POINT(LOAD_BEFORE);
    if (!effect->scan) {
        loaded(shell, NULL, 0);
        return;
    }
    lane_operation_t *load = &shell->slots[0].load;
    *load = (lane_operation_t){.kind = LANE_LOAD, .from = effect->from};
    lane_actor_send(&shell->lanes[0], load);
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
        break;
    case COORDINATOR_READY:
        shell->ready(shell->ready_context);
        break;
    case COORDINATOR_HOLDER:
        router_holder(shell->router, effect->broker);
        break;
    case COORDINATOR_LEASE:
        router_lease(shell->router, effect->number);
        break;
    case COORDINATOR_HOMES:
        take_homes(shell, effect);
        break;
    case COORDINATOR_TYPE:
        router_type(shell->router, effect->group, bytes);
        break;
    case COORDINATOR_ADMITTED:
        router_admitted(shell->router, effect->runner, effect->error, (const char *)effect->bytes,
                        shell->now_ms);
        break;
    case COORDINATOR_DESIRE:
        router_desire(shell->router, effect->shard, effect->runner, shell->now_ms);
        break;
    case COORDINATOR_MAP:
        CRASH_POINT(MAP_BEFORE);
        shell->map_version = effect->version;
        router_map(shell->router, bytes);
        router_sockets_publish_map(shell->pub_socket, bytes);
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

/* ---- lanes ---- */

static void feed_lane(router_shell_t *shell, uint32_t lane)
{
    const store_batch_t *batch = router_take_batch(shell->router, lane, shell->now_ms);
    if (batch) {
        lane_operation_t *commit = &shell->slots[lane].commit;
        *commit = (lane_operation_t){.kind = LANE_COMMIT, .batch = batch};
        shell->slots[lane].committing = true;
        CRASH_POINT(BATCH_TAKEN);
        lane_actor_send(&shell->lanes[lane], commit);
    }
    router_lookup_t lookup;
    if (router_take_lookup(shell->router, lane, &lookup)) {
        finder_operation_t *find = &shell->slots[lane].find;
        *find = (finder_operation_t){.lane = lane,
                                     .floor = lookup.floor,
                                     .calls = lookup.calls,
                                     .call_count = lookup.call_count};
        finder_actor_send(shell->finder, find);
    }
}

static void committed(router_shell_t *shell, uint32_t lane, lane_operation_t *commit)
{
    CRASH_POINT(COMMIT_REPORTED);
    shell->slots[lane].committing = false;
    if (commit->error) {
        end_with(shell, commit->error);
    } else {
        batch_log_committed(&shell->batch_log, commit->batch, &commit->rejected, shell->now_ms);
        router_batch_done(shell->router, lane, commit->rejected.items, commit->rejected.count,
                          shell->now_ms);
        CRASH_POINT(ANSWERS_QUEUED);
    }
    lane_rejections_clear(&commit->rejected);
}

static void found(router_shell_t *shell, finder_operation_t *find)
{
    finder_answer_t *answer = &find->answer;
    router_high_id(shell->router, answer->high_id);
    CRASH_POINT(LOOKUP_FOUND);
    for (const message_t *message = answer->messages; message; message = message->chain) {
        router_lookup_found(shell->router, find->lane, &message->stored,
                            message->state == MESSAGE_ENDED ? &message->reply : NULL);
    }
    message_chain_destroy(&answer->messages);
    router_lookup_done(shell->router, find->lane, find->error, answer->reached, shell->now_ms);
}

static void take_answers(router_shell_t *shell)
{
    finder_operation_t *find;
    while ((find = finder_actor_take(shell->finder))) {
        found(shell, find);
    }
}

static void finish_operation(router_shell_t *shell, uint32_t lane, lane_operation_t *operation)
{
    switch (operation->kind) {
    case LANE_COMMIT:
        committed(shell, lane, operation);
        break;
    case LANE_LOAD:
        if (operation->error) {
            end_with(shell, operation->error);
        } else {
            CRASH_POINT(LOAD_AFTER);
            message_t *messages = operation->messages;
            operation->messages = NULL;
            loaded(shell, messages, operation->high_id);
        }
        break;
    case LANE_STOP:
        break;
    }
}

/* Each lane has a connection of its own and reports for itself. The lines are limited, since a
 * database that comes and goes says little that is new. */
static void take_availability(router_shell_t *shell, uint32_t lane, const lane_report_t *report)
{
    uint32_t left_out = 0;
    router_lane_available(shell->router, lane, report->available, report->cause);
    if (report->available) {
        log_event(LOG_INFO_LEVEL, "store.available", log_uint("lane", lane));
    } else if (log_limiter_pass(&shell->slots[lane].outages, OUTAGES_LOGGED_PER_S, shell->now_ms,
                                &left_out)) {
        log_event(LOG_WARN_LEVEL, "store.unavailable", log_uint("lane", lane),
                  log_text("cause", report->cause), log_uint("left_out", left_out));
    }
}

static void take_reports(router_shell_t *shell, uint32_t lane)
{
    lane_report_t report;
    while (pipe_take(shell->lanes[lane].actor.pipe, &report, sizeof report)) {
        if (report.operation) {
            finish_operation(shell, lane, report.operation);
            continue;
        }
        take_availability(shell, lane, &report);
        free(report.cause);
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

static void check_drained(router_shell_t *shell)
{
    if (!shell->draining) {
        return;
    }
    bool busy = !router_drained(shell->router);
    for (uint32_t i = 0; i < shell->lane_count; i++) {
        busy |= shell->slots[i].committing;
    }
    if (!busy || shell->now_ms >= shell->drain_until_ms) {
        if (busy) {
            log_event(LOG_WARN_LEVEL, "broker.drain_incomplete",
                      log_uint("drain_ms", shell->drain_ms));
        }
        end_with(shell, FABRIC_OK);
    }
}

/* Everything that the router wants done now. */
static void pump(router_shell_t *shell)
{
    for (uint32_t i = 0; i < shell->lane_count; i++) {
        feed_lane(shell, i);
    }
    send_orders(shell);
    router_watch_damages(&shell->watch, shell->router, shell->now_ms);
    router_watch_crashes(&shell->watch, shell->router, shell->now_ms);
    send_frames(shell);
}

static long wait_ms(const router_shell_t *shell)
{
    uint64_t until_ms = router_next_deadline(shell->router);
    until_ms = until_ms < shell->heartbeat_ms ? until_ms : shell->heartbeat_ms;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t wait = until_ms > now_ms ? until_ms - now_ms : 0;
    if (shell->blocked && wait > BLOCKED_RETRY_MS) {
        wait = BLOCKED_RETRY_MS;
    }
    return (long)(wait < LONGEST_WAIT_MS ? wait : LONGEST_WAIT_MS);
}

static void turn(router_shell_t *shell, zmq_pollitem_t *items)
{
    /* Once draining has begun the stop signal stays readable: it is not polled any more. */
    int count = (int)shell->lane_count + (shell->draining ? 3 : 4);
    int polled = zmq_poll(items, count, wait_ms(shell));
    shell->now_ms = clock_monotonic_ms();
    if (polled > 0) {
        if (items[1].revents) {
            take_effects(shell);
        }
        for (uint32_t i = 0; i < shell->lane_count; i++) {
            if (items[2 + i].revents) {
                take_reports(shell, i);
            }
        }
        if (items[2 + shell->lane_count].revents) {
            take_answers(shell);
        }
        if (items[0].revents) {
            receive_frames(shell);
        }
        if (!shell->draining && items[3 + shell->lane_count].revents) {
            shell->draining = true;
            shell->drain_until_ms = shell->now_ms + shell->drain_ms;
            router_drain(shell->router, shell->now_ms);
            CRASH_POINT(DRAIN_BEGUN);
        }
    }
    tick(shell);
    router_watch_violations(&shell->watch, shell->router, NULL, shell->now_ms);
    router_watch_unserved(&shell->watch, shell->router, shell->now_ms);
    pump(shell);
    check_drained(shell);
}

fabric_error_t router_shell_run(router_shell_t *shell)
{
    zmq_pollitem_t items[LIMIT_LANES_MAX + 4] = {0};
    items[0] = (zmq_pollitem_t){.socket = shell->router_socket, .events = ZMQ_POLLIN};
    items[1] = (zmq_pollitem_t){.socket = shell->coordinator->actor.pipe, .events = ZMQ_POLLIN};
    for (uint32_t i = 0; i < shell->lane_count; i++) {
        items[2 + i] = (zmq_pollitem_t){.socket = shell->lanes[i].actor.pipe, .events = ZMQ_POLLIN};
    }
    items[2 + shell->lane_count] =
        (zmq_pollitem_t){.socket = shell->finder->actor.pipe, .events = ZMQ_POLLIN};
    items[3 + shell->lane_count] = (zmq_pollitem_t){.fd = shell->stop_fd, .events = ZMQ_POLLIN};
    shell->now_ms = clock_monotonic_ms();
    while (!shell->over) {
        turn(shell, items);
    }
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
