/* What peers did that they must not do: the first since the shell last asked, and how many followed. The shell says so in the
 * log, now and then.
 */
#include "broker/router/protocol_violation.h"

#include <stdio.h>

#include "broker/router/router_state.h"

void violation(router_t *router, const peer_t *peer, fabric_error_t error, const char *text)
{
    router_violation_t *first = &router->violation;
    if (first->count++ > 0) {
        return;
    }
    first->error = error;
    first->role = peer->client ? "client" : peer->runner ? "worker" : "unidentified";
    first->routing_id_size = peer->routing_id_size;
    memcpy(first->routing_id, peer->routing_id, peer->routing_id_size);
    snprintf(first->text, sizeof first->text, "%s", text);
}

bool router_take_violation(router_t *router, router_violation_t *violation)
{
    if (router->violation.count == 0) {
        return false;
    }
    *violation = router->violation;
    router->violation.count = 0;
    return true;
}

void router_unreadable(router_t *router, fabric_bytes_t routing_id, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router->counters.malformed++;
    const peer_t *known = peer_find(router, routing_id);
    peer_t unidentified = {.routing_id_size = routing_id.size};
    if (!known && routing_id.size > sizeof unidentified.routing_id) {
        unidentified.routing_id_size = 0;
    }
    if (unidentified.routing_id_size > 0) {
        memcpy(unidentified.routing_id, routing_id.data, unidentified.routing_id_size);
    }
    violation(router, known ? known : &unidentified, FABRIC_ERROR_MALFORMED_MESSAGE,
              "a message has one part, the frame");
}
