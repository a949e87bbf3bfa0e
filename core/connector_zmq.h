/* A DEALER socket that connects to one broker, with its monitor, or a SUB socket. The links of
 * clients, workers and brokers share it.
 *
 * libzmq gets addresses only. If an endpoint has a host name, each connector_open() begins a
 * look-up (core/lookup.h), since addresses change. Until the look-up ends, and if it fails, the
 * addresses of the look-up before are used. If a name has several addresses, they are tried in turn
 * until one connects.
 *
 * As long as it is not connected a connector may open its sockets anew in connector_tick(). Its
 * owner notices nothing but other sockets to poll.
 *
 * Threading: all connectors of one host belong to one thread; `wake` is called on other threads.
 */
#ifndef CORE_CONNECTOR_ZMQ_H
#define CORE_CONNECTOR_ZMQ_H

#include <stdint.h>

#include "core/lookup.h"

/* What all connectors of a link share. */
typedef struct connector_host {
    void *zmq;                   /* the context */
    void (*wake)(void *context); /* a connector wants connector_tick(); outlives the connectors */
    void *wake_context;
    bool subscribes;   /* its connectors are SUB sockets that get everything, no DEALERs */
    uint64_t monitors; /* numbers the monitors' addresses; begins with 0 */
} connector_host_t;

/* Closed when it is zeroed. */
typedef struct connector {
    void *socket;   /* to send, receive and poll with; NULL: none at present */
    int monitor_fd; /* to be polled beside the socket: readable when there may be events, all of
                     * which are to be taken then */
    /* Only connector_zmq.c uses the rest. */
    void *monitor;
    char endpoint[LIMIT_ENDPOINT_BYTES_MAX + 1]; /* empty: closed */
    bool named;
    lookup_t *known;     /* the last look-up that gave addresses; NULL: none */
    lookup_t *lookup;    /* under way; NULL: none */
    uint64_t slow_at_ms; /* when to report a slow look-up; UINT64_MAX: it was reported */
    bool failure_told;   /* since the last look-up that succeeded */
    size_t turn;         /* index of the address that is tried */
    bool connected;
    bool broken;         /* the connection broke, and libzmq has not tried again yet */
    uint64_t open_at_ms; /* when to open the socket anew; 0: never */
    uint64_t pause_ms;   /* the last pause after all addresses were tried */
} connector_t;

typedef enum connector_event {
    CONNECTOR_NOTHING,
    CONNECTOR_CONNECTED, /* the handshake is done */
    CONNECTOR_DISCONNECTED,
    /* The name is not resolved, or not yet; `reason` says why. Reported once until it is
     * resolved. */
    CONNECTOR_UNRESOLVED
} connector_event_t;

/* Begins to connect to an endpoint, and goes on, with reconnects, until connector_close(). Closes
 * what was open before. */
void connector_open(connector_t *connector, connector_host_t *host, const char *endpoint,
                    uint64_t now_ms);
/* Closes the connector. Messages that were sent have `linger_ms` to leave. */
void connector_close(connector_t *connector, int linger_ms);
/* To be called after each poll, and when connector_deadline() has come. Returns NOTHING or
 * UNRESOLVED. */
connector_event_t connector_tick(connector_t *connector, connector_host_t *host, uint64_t now_ms,
                                 reason_t *reason);
/* Whether connector_tick() has nothing to do and there is no deadline. */
static inline bool connector_is_idle(const connector_t *connector)
{
    return !connector->lookup && connector->open_at_ms == 0;
}
/* When connector_tick() has something to do; UINT64_MAX: never. */
uint64_t connector_deadline(const connector_t *connector);
/* The next event of the monitor: CONNECTED, DISCONNECTED, or NOTHING if there is none. */
connector_event_t connector_next_event(connector_t *connector, uint64_t now_ms);

#endif
