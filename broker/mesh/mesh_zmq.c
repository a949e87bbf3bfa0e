/* The mesh's shell: see mesh_zmq.h. */
#include "broker/mesh/mesh_zmq.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/endpoint.h"
#include "core/log.h"

enum { FRAMES_AT_ONCE = 64 }; /* received from one socket before all else gets its turn */

static void wake(void *context)
{
    uint64_t one = 1;
    ssize_t written = write(((mesh_shell_t *)context)->wake_fd, &one, sizeof one);
    (void)written; /* fails only when a wake is there already */
}

fabric_error_t mesh_shell_open(mesh_shell_t *shell, const mesh_config_t *config)
{
    shell->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (shell->wake_fd < 0) {
        return FABRIC_ERROR_NO_RESOURCES;
    }
    shell->dealers = (connector_host_t){.zmq = shell->zmq, .wake = wake, .wake_context = shell};
    shell->subscribers = shell->dealers;
    shell->subscribers.subscribes = true;
    shell->subscribers.monitors = UINT64_C(1) << 32; /* both hosts number monitors of one context */
    shell->mesh = mesh_new(config);
    return FABRIC_OK;
}

void mesh_shell_close(mesh_shell_t *shell)
{
    for (uint32_t i = 0; i < mesh_link_count(shell->mesh); i++) {
        connector_close(&shell->connectors[i], 0);
    }
    connector_close(&shell->subscriber, 0);
    mesh_destroy(&shell->mesh);
    close(shell->wake_fd);
}

/* ---- events of the mesh ---- */

static void log_link(log_level_t level, const char *code, const mesh_event_t *event)
{
    log_event(level, code, log_text("endpoint", event->endpoint), log_text("cause", event->text));
}

static void tell_reached(mesh_shell_t *shell, const mesh_event_t *event)
{
    coordinator_operation_t operation = {.kind = COORDINATOR_ORDER};
    operation.order.kind = ROUTER_BROKER_REACHED;
    operation.order.broker = event->broker;
    coordinator_actor_send(shell->coordinator, &operation);
    log_event(LOG_INFO_LEVEL, "mesh.reached", log_text("endpoint", event->endpoint));
}

static void take_events(mesh_shell_t *shell, uint64_t now_ms)
{
    mesh_event_t event;
    while (mesh_next_event(shell->mesh, &event)) {
        switch (event.kind) {
        case MESH_RELAYED:
            router_relayed(shell->router, event.origin, event.broker, event.bytes);
            break;
        case MESH_RELAY_ENDED:
            router_relay_ended(shell->router, event.origin, event.broker, event.error, event.text);
            break;
        case MESH_MAP:
            coordinator_actor_take_map(shell->coordinator, event.bytes);
            break;
        case MESH_REACHED:
            tell_reached(shell, &event);
            break;
        case MESH_LOST:
            router_outgoing_lost(shell->router, event.broker, now_ms);
            log_link(LOG_WARN_LEVEL, "mesh.lost", &event);
            break;
        case MESH_REFUSED:
            log_link(LOG_INFO_LEVEL, "mesh.refused", &event);
            break;
        case MESH_MALFORMED:
            log_event(LOG_WARN_LEVEL, "mesh.malformed", log_text("endpoint", event.endpoint),
                      log_text("error", fabric_error_name(event.error)));
            break;
        case MESH_PLAINTEXT:
            log_event(LOG_WARN_LEVEL, "mesh.plaintext", log_text("endpoint", event.endpoint));
            break;
        case MESH_OUTGOING_ANSWER:
            router_outgoing_answered(shell->router, event.broker, &event.answer, now_ms);
            break;
        }
    }
}

/* ---- sockets ---- */

static void follow_sockets(mesh_shell_t *shell, uint64_t now_ms)
{
    uint32_t link;
    mesh_socket_t action;
    while (mesh_next_socket(shell->mesh, &link, &action)) {
        if (action == MESH_SOCKET_CLOSE) {
            connector_close(&shell->connectors[link], 0);
        } else {
            connector_open(&shell->connectors[link], &shell->dealers,
                           mesh_endpoint(shell->mesh, link), now_ms);
        }
    }
}

/* Subscribes where the broker that holds the term publishes. */
static void follow_holder(mesh_shell_t *shell, uint64_t now_ms)
{
    const char *wanted = mesh_pub_endpoint(shell->mesh);
    wanted = wanted ? wanted : "";
    if (strcmp(wanted, shell->subscribed) == 0) {
        return;
    }
    snprintf(shell->subscribed, sizeof shell->subscribed, "%s", wanted);
    if (wanted[0]) {
        connector_open(&shell->subscriber, &shell->subscribers, wanted, now_ms);
    } else {
        connector_close(&shell->subscriber, 0);
    }
}

static void tick_connector(connector_t *connector, connector_host_t *host, uint64_t now_ms)
{
    reason_t reason;
    if (!connector_is_idle(connector) &&
        connector_tick(connector, host, now_ms, &reason) == CONNECTOR_UNRESOLVED) {
        log_event(LOG_WARN_LEVEL, "mesh.unresolved", log_text("endpoint", connector->endpoint),
                  log_text("cause", reason.text));
    }
}

static void tick_connectors(mesh_shell_t *shell, uint64_t now_ms)
{
    uint64_t wakes;
    ssize_t size = read(shell->wake_fd, &wakes, sizeof wakes);
    (void)size; /* there may be nothing to read */
    for (uint32_t i = 0; i < mesh_link_count(shell->mesh); i++) {
        tick_connector(&shell->connectors[i], &shell->dealers, now_ms);
    }
    tick_connector(&shell->subscriber, &shell->subscribers, now_ms);
}

/* ---- what arrives ---- */

/* One message is one frame. Of a message of several parts nothing more is read: a DEALER of libzmq
 * 4.3.4 with ZMQ_IMMEDIATE whose connection breaks between two parts ends the process. */
static bool take_frame(mesh_shell_t *shell, uint32_t link, zmq_msg_t *part, uint64_t now_ms)
{
    void *socket = shell->connectors[link].socket;
    if (!socket || zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0) {
        return false;
    }
    bool whole = !zmq_msg_more(part);
    if (whole) {
        mesh_receive(shell->mesh, link, fabric_bytes(zmq_msg_data(part), zmq_msg_size(part)),
                     now_ms);
    } else {
        mesh_unreadable(shell->mesh, link, now_ms);
    }
    take_events(shell, now_ms);
    return whole;
}

static void take_frames(mesh_shell_t *shell, uint32_t link, uint64_t now_ms)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    for (int i = 0; i < FRAMES_AT_ONCE && take_frame(shell, link, &part, now_ms); i++) {
    }
    zmq_msg_close(&part);
}

static void take_monitor(mesh_shell_t *shell, uint32_t link, uint64_t now_ms)
{
    connector_event_t event;
    while ((event = connector_next_event(&shell->connectors[link], now_ms)) != CONNECTOR_NOTHING) {
        if (event == CONNECTOR_CONNECTED) {
            mesh_connected(shell->mesh, link, now_ms);
        } else {
            mesh_disconnected(shell->mesh, link, now_ms);
        }
        take_events(shell, now_ms);
    }
}

/* A subscriber that misses something asks on the link. */
static void take_published(mesh_shell_t *shell, uint64_t now_ms)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    while (connector_next_event(&shell->subscriber, now_ms) != CONNECTOR_NOTHING) {
    }
    for (int i = 0; i < FRAMES_AT_ONCE && shell->subscriber.socket &&
                    zmq_msg_recv(&part, shell->subscriber.socket, ZMQ_DONTWAIT) >= 0;
         i++) {
        if (!zmq_msg_more(&part)) {
            mesh_receive_published(shell->mesh,
                                   fabric_bytes(zmq_msg_data(&part), zmq_msg_size(&part)));
            take_events(shell, now_ms);
        }
    }
    zmq_msg_close(&part);
}

/* ---- polling ---- */

static uint32_t add_items(zmq_pollitem_t *items, const connector_t *connector, bool blocked)
{
    items[0] = (zmq_pollitem_t){.socket = connector->socket,
                                .events = (short)(ZMQ_POLLIN | (blocked ? ZMQ_POLLOUT : 0))};
    items[1] = (zmq_pollitem_t){.fd = connector->monitor_fd, .events = ZMQ_POLLIN};
    return 2;
}

uint32_t mesh_shell_poll_items(mesh_shell_t *shell, zmq_pollitem_t *items)
{
    uint32_t count = 0;
    items[count++] = (zmq_pollitem_t){.fd = shell->wake_fd, .events = ZMQ_POLLIN};
    shell->polled_count = 0;
    for (uint32_t i = 0; i < mesh_link_count(shell->mesh); i++) {
        if (shell->connectors[i].socket) {
            shell->polled[shell->polled_count++] = i;
            count +=
                add_items(items + count, &shell->connectors[i], mesh_is_blocked(shell->mesh, i));
        }
    }
    shell->subscriber_polled = shell->subscriber.socket != NULL;
    if (shell->subscriber_polled) {
        count += add_items(items + count, &shell->subscriber, false);
    }
    return count;
}

/* Frames of a connection are taken before the event that it has ended. */
void mesh_shell_take(mesh_shell_t *shell, const zmq_pollitem_t *items, uint64_t now_ms)
{
    const zmq_pollitem_t *item = items + 1;
    for (uint32_t i = 0; i < shell->polled_count; i++, item += 2) {
        uint32_t link = shell->polled[i];
        if (item[0].revents & ZMQ_POLLOUT) {
            mesh_writable(shell->mesh, link);
        }
        if (item[0].revents & ZMQ_POLLIN) {
            take_frames(shell, link, now_ms);
        }
        if (item[1].revents) {
            take_monitor(shell, link, now_ms);
        }
    }
    if (shell->subscriber_polled && (item[0].revents || item[1].revents)) {
        take_published(shell, now_ms);
    }
}

/* ---- what leaves ---- */

void mesh_shell_relay(mesh_shell_t *shell)
{
    router_relay_t relay;
    while (router_next_relay(shell->router, &relay)) {
        mesh_relay(shell->mesh, relay.origin, relay.broker, relay.frame);
    }
}

static void send_outgoing(mesh_shell_t *shell, uint64_t now_ms)
{
    router_outgoing_t outgoing;
    while (router_next_outgoing(shell->router, &outgoing)) {
        if (!mesh_send_outgoing(shell->mesh, outgoing.broker, &outgoing.message)) {
            router_outgoing_unsent(shell->router, &outgoing.message, now_ms);
        }
    }
}

static void send_frames(mesh_shell_t *shell)
{
    uint32_t link;
    fabric_bytes_t frame;
    mesh_note_id(shell->mesh, router_high_id(shell->router));
    while (mesh_next_frame(shell->mesh, &link, &frame)) {
        void *socket = shell->connectors[link].socket;
        if (socket && zmq_send(socket, frame.data, frame.size, ZMQ_DONTWAIT) >= 0) {
            mesh_frame_sent(shell->mesh, link);
        } else {
            mesh_frame_blocked(shell->mesh, link);
        }
    }
}

void mesh_shell_feed(mesh_shell_t *shell, uint64_t now_ms)
{
    uint64_t origin;
    while (router_next_gone(shell->router, &origin)) {
        mesh_forget(shell->mesh, origin);
    }
    mesh_tick(shell->mesh, now_ms);
    take_events(shell, now_ms);
    tick_connectors(shell, now_ms);
    follow_sockets(shell, now_ms);
    follow_holder(shell, now_ms);
    send_outgoing(shell, now_ms);
    send_frames(shell);
}

uint64_t mesh_shell_deadline(const mesh_shell_t *shell)
{
    uint64_t deadline_ms = mesh_next_deadline(shell->mesh);
    for (uint32_t i = 0; i < mesh_link_count(shell->mesh); i++) {
        uint64_t connector_ms = connector_deadline(&shell->connectors[i]);
        deadline_ms = connector_ms < deadline_ms ? connector_ms : deadline_ms;
    }
    uint64_t subscriber_ms = connector_deadline(&shell->subscriber);
    return subscriber_ms < deadline_ms ? subscriber_ms : deadline_ms;
}
