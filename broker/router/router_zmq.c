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

/* Each lane has its own connection and reports by itself. The lines are limited, since a database
 * that comes and goes repeats itself. */
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
    bool drained = router_drained(shell->router);
    if (!drained && shell->now_ms < shell->drain_until_ms) {
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

/* What the loop polls: these, then the pipe of each lane, then the stop signal. */
enum { POLL_ROUTER, POLL_COORDINATOR, POLL_FINDER, POLL_LANES };

static uint32_t count_without_stop(const router_shell_t *shell)
{
    return POLL_LANES + shell->lane_count;
}

static void take_events(router_shell_t *shell, const zmq_pollitem_t *items)
{
    if (items[POLL_COORDINATOR].revents) {
        take_effects(shell);
    }
    for (uint32_t i = 0; i < shell->lane_count; i++) {
        if (items[POLL_LANES + i].revents) {
            take_reports(shell, i);
        }
    }
    if (items[POLL_FINDER].revents) {
        take_answers(shell);
    }
    if (items[POLL_ROUTER].revents) {
        receive_frames(shell);
    }
}

static void begin_draining(router_shell_t *shell)
{
    shell->draining = true;
    shell->drain_until_ms = shell->now_ms + shell->drain_ms;
    router_drain(shell->router, shell->now_ms);
    CRASH_POINT(DRAIN_BEGUN);
}

static void turn(router_shell_t *shell, zmq_pollitem_t *items)
{
    /* The stop signal stays readable, so it is not polled any more when draining has begun. */
    uint32_t stop = count_without_stop(shell);
    int polled = zmq_poll(items, (int)(shell->draining ? stop : stop + 1), wait_ms(shell));
    shell->now_ms = clock_monotonic_ms();
    if (polled > 0) {
        take_events(shell, items);
        if (!shell->draining && items[stop].revents) {
            begin_draining(shell);
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
    zmq_pollitem_t items[POLL_LANES + LIMIT_LANES_MAX + 1] = {0};
    items[POLL_ROUTER].socket = shell->router_socket;
    items[POLL_COORDINATOR].socket = shell->coordinator->actor.pipe;
    items[POLL_FINDER].socket = shell->finder->actor.pipe;
    for (uint32_t i = 0; i < shell->lane_count; i++) {
        items[POLL_LANES + i].socket = shell->lanes[i].actor.pipe;
    }
    items[count_without_stop(shell)].fd = shell->stop_fd;
    for (uint32_t i = 0; i <= count_without_stop(shell); i++) {
        items[i].events = ZMQ_POLLIN;
    }
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
