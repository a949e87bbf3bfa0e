/* What operators want of this broker and of the runners that are connected to it. */
#ifndef BROKER_ROUTER_OPERATIONS_H
#define BROKER_ROUTER_OPERATIONS_H

#include "broker/router/peer_state.h"
#include "broker/router/runner_state.h"

/* Whether a query of this name is such a wish. */
bool operation_exists(fabric_bytes_t name);
/* Carries it out, or begins it. Writes the answer's document; or returns an error, with a text that
 * needs not be freed. */
fabric_error_t operation_run(router_t *router, const message_query_t *query, wire_writer_t *answer,
                             const char **text);
/* The query "clear" is answered when the entity is cleared. Otherwise an error, as above. */
fabric_error_t operation_clear(router_t *router, const peer_t *peer, const message_query_t *query,
                               const char **text);
/* The runner tells its standing. MALFORMED_MESSAGE. */
fabric_error_t standing_received(router_t *router, runner_t *runner,
                                 const message_runner_standing_t *message);

#endif
