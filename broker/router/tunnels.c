/* Which frame is sent next. The frames of tunnelled peers leave inside frames to the brokers that
 * carry them. */
#include "broker/router/protocol_violation.h"
#include "broker/router/router_state.h"

enum {
    CARRIER_BYTES_MAX = 1 << 20, /* of a carrier's frames: more wait with their tunnelled peers */
    WRAPPING_BYTES = 128         /* the most that TUNNEL, and RELAYED later, add to a frame */
};

/* Puts the first frame of a tunnelled peer into the carrier's last one. The peer waits while its
 * carrier has enough to send. */
static void carry_frame(router_t *router, peer_t *peer)
{
    peer_t *carrier = peer->carrier;
    fabric_bytes_t frame = wire_writer_bytes(&peer->first->writer);
    if (carrier->blocked) {
        router_frame_blocked(router, peer->handle);
    } else if (carrier->queued_bytes > CARRIER_BYTES_MAX) {
        peer_offer_later(router, peer);
    } else if (frame.size + WRAPPING_BYTES > LIMIT_FRAME_BYTES_MAX) {
        violation_note(router, peer, FABRIC_ERROR_LIMIT_EXCEEDED,
                       "a frame is too long for another broker to carry it");
        router->counters.unsent++;
        router_frame_sent(router, peer->handle);
    } else {
        message_put_tunnel(peer_long_writer(router, carrier, frame.size + WRAPPING_BYTES),
                           &(message_tunnel_t){peer->route, frame});
        router_frame_sent(router, peer->handle);
    }
}

bool router_next_frame(router_t *router, router_frame_t *frame)
{
    peer_t *peer;
    while ((peer = router->offered) && peer->carrier) {
        carry_frame(router, peer);
    }
    if (!peer) {
        return false;
    }
    *frame = (router_frame_t){
        .routing_id = fabric_bytes(peer->routing_id, peer->routing_id_size),
        .bytes = wire_writer_bytes(&peer->first->writer),
        .peer = peer->handle,
    };
    return true;
}
