/* A DEALER socket that connects to one broker, with its monitor: what the links of clients and workers share.
 *
 * libzmq gets addresses only. Where an endpoint has a name, a look-up (core/lookup.h) begins with each connector_open(), as
 * addresses change; until it ends, and where it fails, the addresses of the look-up before it are used. Where a name has
 * several addresses, they are tried in turn until one connects.
 *
 * A connector may open its sockets anew in connector_tick() as long as it is not connected; its owner notices nothing but other
 * sockets to poll.
 *
 * Threading: all connectors of one host belong to one thread; `wake` is called on others.
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
    uint64_t monitors; /* numbers their addresses; begins with 0 */
} connector_host_t;

/* Closed when it is zeroed. */
typedef struct connector {
    void *socket;  /* to send, receive and poll with; NULL: none at present */
    void *monitor; /* to be polled beside it */
    /* The rest is for connector_zmq.c alone. */
    char endpoint[LIMIT_ENDPOINT_BYTES_MAX + 1]; /* empty: closed */
    bool named;
    lookup_t *known;     /* the last that gave addresses; NULL: none */
    lookup_t *lookup;    /* under way; NULL: none */
    uint64_t slow_at_ms; /* when to say that it is; UINT64_MAX: has been said */
    bool failure_told;   /* since it last succeeded */
    size_t turn;         /* which of the addresses */
    bool connected;
    bool broken;         /* the connection; libzmq has not tried again yet */
    uint64_t open_at_ms; /* when to open the socket anew; 0: never */
    uint64_t pause_ms;   /* the last, after all addresses had their turn */
} connector_t;

typedef enum connector_event {
    CONNECTOR_NOTHING,
    CONNECTOR_CONNECTED, /* the handshake is done */
    CONNECTOR_DISCONNECTED,
    CONNECTOR_UNRESOLVED /* the name is not resolved, or not yet; `reason` says why. Said once until it is */
} connector_event_t;

/* Begins to connect to an endpoint; goes on, with reconnects, until connector_close(). Drops what was open before. */
void connector_open(connector_t *connector, connector_host_t *host, const char *endpoint,
                    uint64_t now_ms);
/* Drops it. What was sent has so long to leave. */
void connector_close(connector_t *connector, int linger_ms);
/* To be called after each poll, and when connector_deadline() has come: NOTHING or UNRESOLVED. */
connector_event_t connector_tick(connector_t *connector, connector_host_t *host, uint64_t now_ms,
                                 reason_t *reason);
/* Whether connector_tick() has nothing to do and there is no deadline. */
static inline bool connector_is_idle(const connector_t *connector)
{
    return !connector->lookup && connector->open_at_ms == 0;
}
/* UINT64_MAX: none. */
uint64_t connector_deadline(const connector_t *connector);
/* The next event of the monitor: NOTHING where there is none, CONNECTED or DISCONNECTED. */
connector_event_t connector_next_event(connector_t *connector, uint64_t now_ms);

#endif
