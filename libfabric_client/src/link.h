/* The link: the one background thread of a client, which drives the session and owns the sockets.
 *
 * Threading: the thread that opens and closes the client. The link's thread blocks all signals, and
 * so do the threads that libzmq starts from it.
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "libfabric_client/src/exchange.h"

typedef struct client_link client_link_t;

/* The exchange outlives the link. `log`, which may be NULL, is called on the link's thread.
 * NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t client_link_new(const session_config_t *config, exchange_t *exchange,
                                               fabric_log_fn *log, void *log_context,
                                               reason_t *reason, client_link_t **link);
/* Before client_link_start. LIMIT_EXCEEDED. */
FABRIC_MUST_USE fabric_error_t client_link_add_endpoint(client_link_t *link, const char *endpoint);
/* NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t client_link_start(client_link_t *link, reason_t *reason);
/* Ends all calls and the thread. Completed calls can still be taken. */
void client_link_stop(client_link_t *link);
/* Stops it if need be, and frees it. */
void client_link_destroy(client_link_t **link);

#endif
