/* The end of connections: see connections.h. */
#include "broker/router/connections.h"

#include "broker/router/answers.h"
#include "broker/router/membership.h"
#include "broker/router/poison.h"
#include "broker/router/router_state.h"

static void carry_nobody(router_t *router, peer_t *peer);

void connection_end(router_t *router, peer_t *peer)
{
    if (peer->client) {
        client_disconnect(router, peer->client);
    }
    if (peer->runner) {
        runner_connection_ended(router, peer->runner);
    }
    if (peer->member) {
        member_disconnect(peer->member);
        carry_nobody(router, peer);
    }
}

static void remove_peer(router_t *router, peer_t *peer)
{
    connection_end(router, peer);
    relays_forget(router, peer);
    peer_remove(router, peer);
}

static void connection_remove(router_t *router, peer_t *peer)
{
    if (peer->carrier) {
        message_put_tunnel_ended(peer_writer(router, peer->carrier),
                                 &(message_tunnel_ended_t){peer->route});
    }
    remove_peer(router, peer);
}

void connection_end_tunnelled(router_t *router, peer_t *carrier, uint64_t route)
{
    peer_t *peer = peer_find_tunnelled(carrier, route);
    if (peer) {
        remove_peer(router, peer);
    }
}

/* The clients that the broker carried have to come by another way. */
static void carry_nobody(router_t *router, peer_t *peer)
{
    while (peer->tunnelled) {
        remove_peer(router, peer->tunnelled);
    }
}

void router_frame_sent(router_t *router, uint32_t handle)
{
    peer_t *peer = router->peers[handle];
    if (peer && peer_frame_sent(router, peer)) {
        connection_remove(router, peer);
    }
}

void router_frame_unreachable(router_t *router, uint32_t handle, uint64_t now_ms)
{
    router->now_ms = now_ms;
    peer_t *peer = router->peers[handle];
    if (!peer) {
        return;
    }
    if (peer->runner) {
        runner_note_unreachable(peer->runner); /* it was not given up because it is slow */
        poison_runner_unreachable(router, peer->runner);
    }
    connection_remove(router, peer);
}

static void connection_tick(router_t *router, peer_t *peer)
{
    if (peer_tick(router, peer)) {
        connection_remove(router, peer);
        return;
    }
    peer_send_map(router, peer);
    if (peer->client && router->now_ms >= peer->client->calls.deadline_ms) {
        client_tell_overdue(router, peer->client);
    }
}

void connections_tick(router_t *router)
{
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        if (router->peers[i]) {
            connection_tick(router, router->peers[i]);
        }
    }
}
