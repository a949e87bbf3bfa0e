/* The link's thread: sockets, their monitors, and the loop that carries events into the session and
 * effects out of it. See link.h. The ZeroMQ context is the client's own, so that neither a user's
 * libzmq nor czmq's globals are touched. */
#include "libfabric_client/src/link.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "core/clock.h"
#include "core/connector_zmq.h"
#include "core/context_zmq.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/poll_zmq.h"

enum {
    FRAMES_AT_ONCE = 64, /* received from one socket before all else gets its turn */
    CLOSE_LINGER_MS = 100,
    POLL_MS_MAX = 1000,
    ITEMS_MAX = 1 + 2 * SESSION_PEERS_MAX,
    SOCKETS_MAX = 1023
};

struct client_link {
    pthread_t thread;
    bool started;
    exchange_t *exchange;
    fabric_log_fn *log;
    void *log_context;

    /* the link thread's alone, once it runs */
    session_t *session;
    connector_host_t host;
    connector_t connectors[SESSION_PEERS_MAX]; /* one for each peer */
};

/* ---- connections ---- */

static void carry_out_actions(client_link_t *link, uint64_t now_ms)
{
    session_action_t action;
    while (session_next_action(link->session, &action)) {
        connector_t *connector = &link->connectors[action.peer];
        switch (action.kind) {
        case ACTION_OPEN:
        case ACTION_REOPEN:
            connector_open(connector, &link->host, action.endpoint, now_ms);
            break;
        case ACTION_CLOSE:
            connector_close(connector, 0);
            break;
        }
    }
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        connector_t *connector = &link->connectors[i];
        reason_t reason;
        if (!connector_is_idle(connector) &&
            connector_tick(connector, &link->host, now_ms, &reason) == CONNECTOR_UNRESOLVED) {
            session_cannot_connect(link->session, i, reason.text);
        }
    }
}

/* ---- effects ---- */

static void send_frames(client_link_t *link, uint64_t now_ms)
{
    size_t peer;
    fabric_bytes_t frame;
    while (session_next_frame(link->session, now_ms, &peer, &frame)) {
        void *socket = link->connectors[peer].socket;
        if (socket && zmq_send(socket, frame.data, frame.size, ZMQ_DONTWAIT) >= 0) {
            session_frame_sent(link->session, peer);
        } else {
            session_frame_blocked(link->session, peer);
        }
    }
}

static void tell_log(client_link_t *link)
{
    session_event_t event;
    while (session_next_event(link->session, &event)) {
        link->log(link->log_context, event.level, event.code, event.text);
    }
}

static void carry_out(client_link_t *link, uint64_t now_ms)
{
    carry_out_actions(link, now_ms);
    send_frames(link, now_ms);
    tell_log(link);
    exchange_publish(link->exchange, link->session);
}

/* ---- events ---- */

/* One message is one frame. Of a message of several parts nothing more is read: a DEALER of libzmq
 * 4.3.4 with ZMQ_IMMEDIATE whose connection breaks between two parts ends the process. */
static bool take_frame(client_link_t *link, size_t peer, zmq_msg_t *part, uint64_t now_ms)
{
    if (zmq_msg_recv(part, link->connectors[peer].socket, ZMQ_DONTWAIT) < 0) {
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

static void receive_events(client_link_t *link, size_t peer, uint64_t now_ms)
{
    for (;;) {
        switch (connector_next_event(&link->connectors[peer], now_ms)) {
        case CONNECTOR_CONNECTED:
            session_connected(link->session, peer, now_ms);
            break;
        case CONNECTOR_DISCONNECTED:
            session_disconnected(link->session, peer, now_ms);
            break;
        case CONNECTOR_UNRESOLVED:
        case CONNECTOR_NOTHING:
            return;
        }
    }
}

/* Takes the frames of each connection before the event that it has ended. */
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
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        uint64_t connector_ms = connector_deadline(&link->connectors[i]);
        due_ms = connector_ms < due_ms ? connector_ms : due_ms;
    }
    uint64_t left_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    return left_ms < POLL_MS_MAX ? (long)left_ms : POLL_MS_MAX;
}

static void wait_for_events(client_link_t *link)
{
    zmq_pollitem_t items[ITEMS_MAX];
    size_t peers[ITEMS_MAX];
    int count = 0;
    items[count++] = (zmq_pollitem_t){.fd = exchange_wake_fd(link->exchange), .events = ZMQ_POLLIN};
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        const connector_t *connector = &link->connectors[i];
        if (connector->socket) {
            bool blocked = session_is_blocked(link->session, i);
            short events = (short)(blocked ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN);
            peers[count] = i;
            items[count++] = (zmq_pollitem_t){.socket = connector->socket, .events = events};
            peers[count] = i;
            items[count++] = (zmq_pollitem_t){.fd = connector->monitor_fd, .events = ZMQ_POLLIN};
        }
    }
    long timeout_ms = exchange_begin_sleep(link->exchange) ? poll_timeout(link) : 0;
    int ready = poll_zmq(items, count, timeout_ms);
    exchange_end_sleep(link->exchange, ready > 0 && (items[0].revents & ZMQ_POLLIN) != 0);
    if (ready > 0) {
        receive(link, items, peers, count);
    }
}

static void take_wishes(client_link_t *link, uint64_t now_ms)
{
    exchange_wishes_t wishes = exchange_take_wishes(link->exchange);
    while (wishes.calls.first) {
        call_t *call = wishes.calls.first;
        ready_list_remove(&wishes.calls, call);
        session_submit(link->session, call, now_ms);
    }
    for (size_t i = 0; i < wishes.cancel_count; i++) {
        session_cancel(link->session, wishes.cancels[i], now_ms);
    }
    free(wishes.cancels);
}

static void shut_down(client_link_t *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    take_wishes(link, now_ms);
    session_close(link->session);
    carry_out(link, now_ms);
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        connector_close(&link->connectors[i], CLOSE_LINGER_MS);
    }
}

static void *run(void *argument)
{
    client_link_t *link = argument;
    while (!exchange_is_stopping(link->exchange)) {
        uint64_t now_ms = clock_monotonic_ms();
        take_wishes(link, now_ms);
        session_tick(link->session, now_ms);
        carry_out(link, now_ms);
        wait_for_events(link);
    }
    shut_down(link);
    return NULL;
}

/* ---- making and ending ---- */

fabric_error_t client_link_new(const session_config_t *config, exchange_t *exchange,
                               fabric_log_fn *log, void *log_context, reason_t *reason,
                               client_link_t **link)
{
    void *context;
    fabric_error_t error = context_open(SOCKETS_MAX, reason, &context);
    if (error) {
        return error;
    }
    client_link_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->exchange = exchange;
    self->log = log;
    self->log_context = log_context;
    self->session = session_new(config);
    self->host =
        (connector_host_t){.zmq = context, .wake = exchange_wake, .wake_context = exchange};
    *link = self;
    return FABRIC_OK;
}

fabric_error_t client_link_add_endpoint(client_link_t *link, const char *endpoint)
{
    size_t peer;
    assert(!link->started);
    return session_add_endpoint(link->session, endpoint, &peer);
}

fabric_error_t client_link_start(client_link_t *link, reason_t *reason)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&link->thread, NULL, run, link);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    link->started = failure == 0;
    return link->started
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no thread: %s", strerror(failure));
}

void client_link_stop(client_link_t *link)
{
    if (link->started) {
        exchange_stop(link->exchange);
        pthread_join(link->thread, NULL);
        link->started = false;
    }
}

void client_link_destroy(client_link_t **link)
{
    client_link_t *self = *link;
    if (self) {
        client_link_stop(self);
        context_close(&self->host.zmq);
        session_destroy(&self->session);
        free(self);
        *link = NULL;
    }
}
