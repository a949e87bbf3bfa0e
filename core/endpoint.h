/* Endpoints: which ZeroMQ addresses may be used, and broker lists.
 *
 * An endpoint is tcp://HOST:PORT (a name, an IPv4 address or an IPv6 address in []) or ipc://PATH.
 * To listen, the host, the port or the whole path may be *, as ZeroMQ has it.
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

/* A comma-separated list of brokers, each an endpoint or HOST or HOST:PORT (port 5700 where none is
 * given), each of them after "fabric://" or not: fabric://h1:5700,h2 is one,
 * tcp://h1:5700,ipc:///run/fabric.sock another. Calls `add` for each, as an endpoint that lasts for
 * the call; for none at all when one is wrong: INVALID_ARGUMENT with a reason. */
FABRIC_MUST_USE fabric_error_t endpoint_list_parse(const char *url, reason_t *reason,
                                                   void (*add)(void *context, const char *endpoint),
                                                   void *context);
/* Whether an endpoint stays on this machine: ipc://, tcp://127.x.x.x, tcp://[::1], tcp://localhost.
 */
bool endpoint_is_local(const char *endpoint);
/* INVALID_ARGUMENT with a reason unless it is an endpoint of at most LIMIT_ENDPOINT_BYTES_MAX
 * bytes. */
FABRIC_MUST_USE fabric_error_t endpoint_check(const char *endpoint, reason_t *reason);

/* Whether the host of a checked endpoint is a name, which must be looked up, and neither an address nor a wildcard; if so,
 * `host` and `port` get its parts. */
bool endpoint_has_name(const char *endpoint, char host[LIMIT_ENDPOINT_BYTES_MAX + 1],
                       char port[ENDPOINT_PORT_SIZE]);

#endif
