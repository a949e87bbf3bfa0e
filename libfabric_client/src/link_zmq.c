/* The link's thread: sockets, their monitors, and the loop that carries events into the session and
 * effects out of it. See link.h. */
#include "libfabric_client/src/link_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <zmq.h>

#include "core/clock.h"
#include "core/limits.h"

enum {
    FRAMES_AT_ONCE = 64, /* received from one socket before all else gets its turn */
    CLOSE_LINGER_MS = 100,
    OPEN_RETRY_MS = 1000,
    POLL_ITEMS_MAX = 1 + 2 * SESSION_PEERS_MAX
};

/* ---- context: the client's own, so that neither a user's libzmq nor czmq's globals are touched
 * ---- */

fabric_error_t client_link_open_context(client_link_t *link)
{
    link->context = zmq_ctx_new();
    return link->context ? FABRIC_OK : FABRIC_ERROR_INTERNAL;
}

void client_link_close_context(client_link_t *link)
{
    if (link->context) {
        while (zmq_ctx_term(link->context) != 0 && errno == EINTR) {
        }
        link->context = NULL;
    }
}

/* ---- connections ---- */

static void set_option(void *socket, int option, int value)
{
    int result = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(result == 0); /* options and values are ours */
    (void)result;
}

static void set_options(void *socket, const char *endpoint)
{
    static const struct {
        int option;
        int value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1}, /* nothing piles up for a broker that is not there */
        {ZMQ_SNDHWM, 1000},
        {ZMQ_RCVHWM, 1000},
        {ZMQ_HANDSHAKE_IVL, 3000},
        {ZMQ_CONNECT_TIMEOUT, 3000},
        {ZMQ_RECONNECT_IVL, 10},
        {ZMQ_RECONNECT_IVL_MAX, 1000},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        set_option(socket, options[i].option, options[i].value);
    }
    set_option(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    int64_t frame_bytes_max = LIMIT_FRAME_BYTES_MAX;
    int result = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof frame_bytes_max);
    assert(result == 0);
    (void)result;
}

static void close_connection(connection_t *connection)
{
    if (connection->monitor) {
        zmq_close(connection->monitor);
    }
    if (connection->socket) {
        zmq_close(connection->socket);
    }
    *connection = (connection_t){0};
}

/* The monitor is listened to before the connection begins, so that no event is missed. */
static bool make_sockets(client_link_t *link, connection_t *connection)
{
    char address[64];
    snprintf(address, sizeof address, "inproc://monitor-%llu",
             (unsigned long long)link->monitor_number++);
    connection->socket = zmq_socket(link->context, ZMQ_DEALER);
    connection->monitor = zmq_socket(link->context, ZMQ_PAIR);
    if (!connection->socket || !connection->monitor) {
        return false;
    }
    set_options(connection->socket, connection->endpoint);
    set_option(connection->monitor, ZMQ_LINGER, 0);
    return zmq_socket_monitor(connection->socket, address,
                              ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) == 0 &&
           zmq_connect(connection->monitor, address) == 0 &&
           zmq_connect(connection->socket, connection->endpoint) == 0;
}

static void open_connection(client_link_t *link, connection_t *connection, const char *endpoint,
                            uint64_t now_ms)
{
    char copy[sizeof connection->endpoint];
    snprintf(copy, sizeof copy, "%s", endpoint);
    close_connection(connection);
    memcpy(connection->endpoint, copy, sizeof copy);
    if (!make_sockets(link, connection)) {
        close_connection(connection);
        memcpy(connection->endpoint, copy, sizeof copy);
        connection->open_at_ms = now_ms + OPEN_RETRY_MS;
    }
}

static void carry_out_actions(client_link_t *link, uint64_t now_ms)
{
    session_action_t action;
    while (session_next_action(link->session, &action)) {
        connection_t *connection = &link->connections[action.peer];
        switch (action.kind) {
        case ACTION_OPEN:
        case ACTION_REOPEN:
            open_connection(link, connection, action.endpoint, now_ms);
            break;
        case ACTION_CLOSE:
            close_connection(connection);
            break;
        }
    }
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        connection_t *connection = &link->connections[i];
        if (connection->open_at_ms != 0 && now_ms >= connection->open_at_ms) {
            open_connection(link, connection, connection->endpoint, now_ms);
        }
    }
}

/* ---- effects ---- */

static void send_frames(client_link_t *link, uint64_t now_ms)
{
    size_t peer;
    fabric_bytes_t frame;
    while (session_next_frame(link->session, now_ms, &peer, &frame)) {
        void *socket = link->connections[peer].socket;
        if (socket && zmq_send(socket, frame.data, frame.size, ZMQ_DONTWAIT) >= 0) {
            session_frame_sent(link->session, peer);
        } else {
            session_frame_blocked(link->session, peer);
        }
    }
}

static void carry_out(client_link_t *link, uint64_t now_ms)
{
    carry_out_actions(link, now_ms);
    send_frames(link, now_ms);
    client_link_publish(link);
}

/* ---- events ---- */

/* One message is one frame. Of a message of several parts nothing more is read: a DEALER of libzmq 4.3.4 with
 * ZMQ_IMMEDIATE whose connection breaks between two parts ends the process. */
static bool take_frame(client_link_t *link, size_t peer, zmq_msg_t *part, uint64_t now_ms)
{
    if (zmq_msg_recv(part, link->connections[peer].socket, ZMQ_DONTWAIT) < 0) {
        return false;
    }
    if (zmq_msg_more(part)) {
        session_unreadable(link->session, peer, now_ms);
        return false;
    }
    session_receive(link->session, peer, fabric_bytes(zmq_msg_data(part), zmq_msg_size(part)),
                    now_ms);
    return true;
}

static void receive_frames(client_link_t *link, size_t peer, uint64_t now_ms)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    for (int i = 0; i < FRAMES_AT_ONCE && take_frame(link, peer, &part, now_ms); i++) {
    }
    zmq_msg_close(&part);
}

/* An event is a part of 6 bytes, its number in the first two, and a part with the endpoint. */
static void receive_events(client_link_t *link, size_t peer, uint64_t now_ms)
{
    uint8_t event[6];
    char endpoint[256];
    void *monitor = link->connections[peer].monitor;
    while (zmq_recv(monitor, event, sizeof event, ZMQ_DONTWAIT) == sizeof event) {
        uint16_t number;
        memcpy(&number, event, sizeof number);
        (void)zmq_recv(monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT);
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            session_connected(link->session, peer, now_ms);
        } else if (number == ZMQ_EVENT_DISCONNECTED) {
            session_disconnected(link->session, peer, now_ms);
        }
    }
}

/* Frames before the end of the connection that brought them. */
static void receive(client_link_t *link, const zmq_pollitem_t *items, const size_t *peers,
                    int count)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (int i = 1; i < count; i += 2) {
        if (items[i].revents & ZMQ_POLLIN) {
            receive_frames(link, peers[i], now_ms);
        }
        if (items[i].revents & ZMQ_POLLOUT) {
            session_writable(link->session, peers[i]);
        }
        if (items[i + 1].revents & ZMQ_POLLIN) {
            receive_events(link, peers[i], now_ms);
        }
    }
}

/* ---- the loop ---- */

static long poll_timeout(const client_link_t *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t due_ms = session_next_deadline(link->session);
    uint64_t left_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    return left_ms < OPEN_RETRY_MS ? (long)left_ms : OPEN_RETRY_MS;
}

static void wait_for_events(client_link_t *link)
{
    zmq_pollitem_t items[POLL_ITEMS_MAX];
    size_t peers[POLL_ITEMS_MAX];
    int count = 0;
    items[count++] = (zmq_pollitem_t){.fd = link->wake_fd, .events = ZMQ_POLLIN};
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        const connection_t *connection = &link->connections[i];
        if (connection->socket) {
            bool blocked = session_is_blocked(link->session, i);
            short events = (short)(blocked ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN);
            peers[count] = i;
            items[count++] = (zmq_pollitem_t){.socket = connection->socket, .events = events};
            peers[count] = i;
            items[count++] = (zmq_pollitem_t){.socket = connection->monitor, .events = ZMQ_POLLIN};
        }
    }
    long timeout_ms = client_link_may_sleep(link) ? poll_timeout(link) : 0;
    int ready = zmq_poll(items, count, timeout_ms);
    client_link_woken(link, ready > 0 && (items[0].revents & ZMQ_POLLIN) != 0);
    if (ready > 0) {
        receive(link, items, peers, count);
    }
}

static void submit_all(client_link_t *link, uint64_t now_ms)
{
    call_list_t calls = client_link_take_submitted(link);
    while (calls.first) {
        call_t *call = calls.first;
        ready_list_remove(&calls, call);
        session_submit(link->session, call, now_ms);
    }
}

static void shut_down(client_link_t *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    submit_all(link, now_ms);
    session_close(link->session);
    carry_out(link, now_ms);
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        if (link->connections[i].socket) {
            set_option(link->connections[i].socket, ZMQ_LINGER, CLOSE_LINGER_MS);
            close_connection(&link->connections[i]);
        }
    }
}

void *client_link_run(void *argument)
{
    client_link_t *link = argument;
    while (!client_link_is_stopping(link)) {
        uint64_t now_ms = clock_monotonic_ms();
        submit_all(link, now_ms);
        session_tick(link->session, now_ms);
        carry_out(link, now_ms);
        wait_for_events(link);
    }
    shut_down(link);
    return NULL;
}
