/* A socket to one broker: see connector_zmq.h. */
#include "core/connector_zmq.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

enum {
    RECONNECT_MS = 10,
    RECONNECT_MS_MAX = 1000,
    CONNECT_MS = 3000, /* the longest to wait for one address, and for its handshake */
    RETRY_MS = 1000,   /* if there is no socket, or no address */
    SLOW_MS = 1000,    /* after which a look-up is reported */
    HIGH_WATER = 1000
};

/* ---- sockets ---- */

static void set_option(void *socket, int option, int value)
{
    int failed = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(failed == 0); /* options and values are constants */
    (void)failed;
}

static void set_options(void *socket, const char *address)
{
    static const struct {
        int option;
        int value;
    } options[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1}, /* nothing is queued for a broker that is not there */
        {ZMQ_SNDHWM, HIGH_WATER},
        {ZMQ_RCVHWM, HIGH_WATER},
        {ZMQ_HANDSHAKE_IVL, CONNECT_MS},
        {ZMQ_CONNECT_TIMEOUT, CONNECT_MS},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        set_option(socket, options[i].option, options[i].value);
    }
    set_option(socket, ZMQ_IPV6, strchr(address, '[') != NULL);
    int64_t frame_bytes_max = LIMIT_FRAME_BYTES_MAX;
    int failed = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof frame_bytes_max);
    assert(failed == 0);
    (void)failed;
}

/* The socket's events end before their receiver is closed: libzmq's I/O thread would wait for a new
 * receiver to send an event to, and no socket of the process would be served meanwhile. */
static void close_sockets(connector_t *connector)
{
    if (connector->socket && connector->monitor) {
        (void)zmq_socket_monitor(connector->socket, NULL, 0);
    }
    if (connector->monitor) {
        zmq_close(connector->monitor);
    }
    if (connector->socket) {
        zmq_close(connector->socket);
    }
    connector->monitor = NULL;
    connector->socket = NULL;
    connector->connected = false;
    connector->broken = false;
    connector->open_at_ms = 0;
}

/* A socket that nobody has read from yet does not announce its first message. */
static bool listen_to_monitor(connector_t *connector, const char *address)
{
    char nothing;
    size_t size = sizeof connector->monitor_fd;
    return zmq_connect(connector->monitor, address) == 0 &&
           zmq_getsockopt(connector->monitor, ZMQ_FD, &connector->monitor_fd, &size) == 0 &&
           zmq_recv(connector->monitor, &nothing, sizeof nothing, ZMQ_DONTWAIT) < 0;
}

/* The monitor is listened to before the connection begins, so that no event is missed. */
static bool make_sockets(connector_t *connector, connector_host_t *host, const char *address)
{
    char monitor[64];
    int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
    if (connector->known && lookup_answer(connector->known)->count > 1) {
        events |= ZMQ_EVENT_CONNECT_RETRIED; /* with one address only libzmq retries by itself */
    }
    snprintf(monitor, sizeof monitor, "inproc://monitor-%llu",
             (unsigned long long)++host->monitors);
    connector->socket = zmq_socket(host->zmq, host->subscribes ? ZMQ_SUB : ZMQ_DEALER);
    connector->monitor = zmq_socket(host->zmq, ZMQ_PAIR);
    if (!connector->socket || !connector->monitor) {
        return false;
    }
    set_options(connector->socket, address);
    if (host->subscribes) {
        (void)zmq_setsockopt(connector->socket, ZMQ_SUBSCRIBE, "", 0);
    }
    set_option(connector->monitor, ZMQ_LINGER, 0);
    return zmq_socket_monitor(connector->socket, monitor, events) == 0 &&
           listen_to_monitor(connector, monitor) && zmq_connect(connector->socket, address) == 0;
}

static const char *address_of_turn(const connector_t *connector)
{
    if (!connector->named) {
        return connector->endpoint;
    }
    const lookup_answer_t *answer = lookup_answer(connector->known);
    return answer->addresses[connector->turn % answer->count];
}

static void open_sockets(connector_t *connector, connector_host_t *host, uint64_t now_ms)
{
    close_sockets(connector);
    if (!make_sockets(connector, host, address_of_turn(connector))) {
        close_sockets(connector);
        connector->open_at_ms = now_ms + RETRY_MS;
    }
}

/* ---- names ---- */

static void look_up(connector_t *connector, connector_host_t *host, uint64_t now_ms)
{
    if (connector->lookup) {
        return;
    }
    connector->lookup = lookup_start(connector->endpoint, host->wake, host->wake_context);
    if (connector->slow_at_ms != UINT64_MAX) {
        connector->slow_at_ms = now_ms + SLOW_MS;
    }
}

static bool has_address(const lookup_answer_t *answer, const char *address)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (strcmp(answer->addresses[i], address) == 0) {
            return true;
        }
    }
    return false;
}

static connector_event_t take_failure(connector_t *connector, const lookup_answer_t *answer,
                                      uint64_t now_ms, reason_t *reason)
{
    bool told = connector->failure_told;
    *reason = answer->failure;
    connector->failure_told = true;
    lookup_destroy(&connector->lookup);
    if (!connector->known) {
        connector->open_at_ms = now_ms + RETRY_MS;
    }
    return told ? CONNECTOR_NOTHING : CONNECTOR_UNRESOLVED;
}

/* The address that is being tried stays, if it is among the new addresses. */
static void take_addresses(connector_t *connector, connector_host_t *host,
                           const lookup_answer_t *answer, uint64_t now_ms)
{
    bool stays = connector->connected ||
                 (connector->known && has_address(answer, address_of_turn(connector)));
    lookup_destroy(&connector->known);
    connector->known = connector->lookup;
    connector->lookup = NULL;
    connector->slow_at_ms = 0;
    connector->failure_told = false;
    if (!stays) {
        open_sockets(connector, host, now_ms);
    }
}

static connector_event_t tick_lookup(connector_t *connector, connector_host_t *host,
                                     uint64_t now_ms, reason_t *reason)
{
    const lookup_answer_t *answer = lookup_answer(connector->lookup);
    if (answer && answer->count == 0) {
        return take_failure(connector, answer, now_ms, reason);
    }
    if (answer) {
        take_addresses(connector, host, answer, now_ms);
    } else if (now_ms >= connector->slow_at_ms) {
        connector->slow_at_ms = UINT64_MAX;
        (void)reason_set(reason, FABRIC_OK, "%s: no name server has answered yet",
                         connector->endpoint);
        return CONNECTOR_UNRESOLVED;
    }
    return CONNECTOR_NOTHING;
}

/* ---- life ---- */

void connector_open(connector_t *connector, connector_host_t *host, const char *endpoint,
                    uint64_t now_ms)
{
    char name[LIMIT_ENDPOINT_BYTES_MAX + 1];
    char port[ENDPOINT_PORT_SIZE];
    if (strcmp(connector->endpoint, endpoint) != 0) {
        connector_close(connector, 0);
        snprintf(connector->endpoint, sizeof connector->endpoint, "%s", endpoint);
    } else if (!connector->connected) {
        connector->turn++;
    }
    close_sockets(connector);
    connector->named = endpoint_has_name(connector->endpoint, name, port);
    if (connector->named) {
        look_up(connector, host, now_ms);
    }
    if (connector->known || !connector->named) {
        open_sockets(connector, host, now_ms);
    }
}

void connector_close(connector_t *connector, int linger_ms)
{
    if (connector->socket) {
        set_option(connector->socket, ZMQ_LINGER, linger_ms);
    }
    close_sockets(connector);
    lookup_destroy(&connector->lookup);
    lookup_destroy(&connector->known);
    *connector = (connector_t){0};
}

connector_event_t connector_tick(connector_t *connector, connector_host_t *host, uint64_t now_ms,
                                 reason_t *reason)
{
    connector_event_t event = CONNECTOR_NOTHING;
    if (connector->lookup) {
        event = tick_lookup(connector, host, now_ms, reason);
    }
    if (connector->open_at_ms != 0 && now_ms >= connector->open_at_ms) {
        connector->open_at_ms = 0;
        if (connector->known || !connector->named) {
            open_sockets(connector, host, now_ms);
        } else {
            look_up(connector, host, now_ms);
        }
    }
    return event;
}

uint64_t connector_deadline(const connector_t *connector)
{
    uint64_t open_ms = connector->open_at_ms ? connector->open_at_ms : UINT64_MAX;
    uint64_t slow_ms = connector->lookup ? connector->slow_at_ms : UINT64_MAX;
    return open_ms < slow_ms ? open_ms : slow_ms;
}

/* ---- events ---- */

/* One event: a part that begins with its number, and a part with the endpoint. */
static bool take_event(void *monitor, uint16_t *number)
{
    uint8_t head[6];
    char endpoint[512];
    if (!monitor || zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT) != sizeof head) {
        return false;
    }
    memcpy(number, head, sizeof *number);
    return zmq_recv(monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT) >= 0;
}

/* libzmq will try the same address again: the next address gets its turn. After a connection broke,
 * the same address is tried once more. */
static void take_retry(connector_t *connector, uint64_t now_ms)
{
    if (connector->broken) {
        connector->broken = false;
        return;
    }
    uint64_t pause_ms = 0;
    if (++connector->turn % lookup_answer(connector->known)->count == 0) {
        pause_ms = connector->pause_ms ? 2 * connector->pause_ms : RECONNECT_MS;
        pause_ms = pause_ms < RECONNECT_MS_MAX ? pause_ms : RECONNECT_MS_MAX;
        connector->pause_ms = pause_ms;
    }
    connector->open_at_ms = now_ms + pause_ms;
}

connector_event_t connector_next_event(connector_t *connector, uint64_t now_ms)
{
    uint16_t number;
    while (take_event(connector->monitor, &number)) {
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            connector->connected = true;
            connector->broken = false;
            connector->open_at_ms = 0;
            connector->pause_ms = 0;
            return CONNECTOR_CONNECTED;
        }
        if (number == ZMQ_EVENT_DISCONNECTED) {
            connector->broken = connector->connected;
            connector->connected = false;
            return CONNECTOR_DISCONNECTED;
        }
        take_retry(connector, now_ms);
    }
    return CONNECTOR_NOTHING;
}
