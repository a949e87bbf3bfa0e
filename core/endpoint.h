/* Endpoints: which ZeroMQ addresses may be used, and broker lists.
 *
 * An endpoint is tcp://HOST:PORT (a name, an IPv4 address or an IPv6 address in []) or ipc://PATH.
 * In an endpoint to listen on, the host, the port or the whole path may be *, as in ZeroMQ.
 *
 * Threading: pure functions.
 */
#ifndef CORE_ENDPOINT_H
#define CORE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/limits.h"
#include "core/reason.h"

#define ENDPOINT_DEFAULT_PORT 5700
#define ENDPOINT_PORT_SIZE    6 /* "65535" */

/* Parses a comma-separated list of brokers. Each is an endpoint, HOST:PORT or HOST (port 5700),
 * with "fabric://" before it or not: fabric://h1:5700,h2 and tcp://h1:5700,ipc:///run/fabric.sock
 * are such lists. Calls `add` for each broker, with an endpoint that is valid during the call; if
 * one is wrong, `add` is not called at all: INVALID_ARGUMENT with a reason. */
FABRIC_MUST_USE
fabric_error_t endpoint_list_parse(const char *url, reason_t *reason,
                                   void (*add)(void *context, const char *endpoint), void *context);
/* $CLUSTER_NODES, such a list, for programs that are told no other; NULL: it is not set. */
const char *endpoint_cluster_nodes(void);
/* Whether an endpoint stays on this machine: ipc://, tcp://127.x.x.x, tcp://[::1], tcp://localhost.
 */
bool endpoint_is_local(const char *endpoint);
/* INVALID_ARGUMENT with a reason unless it is an endpoint of at most LIMIT_ENDPOINT_BYTES_MAX
 * bytes. */
FABRIC_MUST_USE
fabric_error_t endpoint_check(const char *endpoint, reason_t *reason);

/* Whether the host of a checked endpoint is a name, which must be looked up, and neither an address
 * nor a wildcard. If it is, `host` and `port` get the endpoint's parts. */
bool endpoint_has_name(const char *endpoint, char host[LIMIT_ENDPOINT_BYTES_MAX + 1],
                       char port[ENDPOINT_PORT_SIZE]);

#endif
