/* What peers did that they must not do: the first since the shell last asked, and how many followed. The shell says so in the
 * log, now and then.
 */
#include <stdio.h>

#include "broker/router_state.h"

void offence(router_t *router, const peer_t *peer, fabric_error_t error, const char *text)
{
    router_offence_t *first = &router->offence;
    if (first->count++ > 0) {
        return;
    }
    first->error = error;
    first->role = peer->client ? "client" : peer->runner ? "worker" : "stranger";
    first->routing_id_size = peer->routing_id_size;
    memcpy(first->routing_id, peer->routing_id, peer->routing_id_size);
    snprintf(first->text, sizeof first->text, "%s", text);
}

bool router_take_offence(router_t *router, router_offence_t *offence)
{
    if (router->offence.count == 0) {
        return false;
    }
    *offence = router->offence;
    router->offence.count = 0;
    return true;
}

void router_unreadable(router_t *router, fabric_bytes_t routing_id, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router->counters.malformed++;
    const peer_t *known = peer_find(router, routing_id);
    peer_t stranger = {.routing_id_size = routing_id.size};
    if (!known && routing_id.size > sizeof stranger.routing_id) {
        stranger.routing_id_size = 0;
    }
    if (stranger.routing_id_size > 0) {
        memcpy(stranger.routing_id, routing_id.data, stranger.routing_id_size);
    }
    offence(router, known ? known : &stranger, FABRIC_ERROR_MALFORMED_MESSAGE,
            "a message has one part, the frame");
}
