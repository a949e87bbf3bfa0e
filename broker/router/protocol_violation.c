/* Protocol violations: the first one since the shell last asked for it, and how many followed. The
 * shell logs them now and then. */
#include "broker/router/protocol_violation.h"

#include <stdio.h>

#include "broker/router/router_state.h"

void violation_note(router_t *router, const peer_t *peer, fabric_error_t error, const char *text)
{
    router_violation_t *first = &router->violation;
    if (first->count++ > 0) {
        return;
    }
    first->error = error;
    first->role = peer->client   ? "client"
                  : peer->runner ? "worker"
                  : peer->member ? "broker"
                                 : "unidentified";
    const peer_t *connected = peer->carrier ? peer->carrier : peer;
    first->routing_id_size = connected->routing_id_size;
    memcpy(first->routing_id, connected->routing_id, connected->routing_id_size);
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
