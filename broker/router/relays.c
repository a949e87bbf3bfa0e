/* Relays: frames that clients of this broker exchange with other brokers. The router reads nothing
 * of them; the mesh carries them. */
#include "broker/router/router_state.h"
#include "core/memory.h"

enum { WRAPPING_BYTES = 64 }; /* the most that RELAYED adds to its frame */

static void put_ended(router_t *router, peer_t *peer, fabric_bytes_t broker, fabric_error_t error,
                      const char *text)
{
    message_relay_ended_t ended = {broker, (uint64_t)error, fabric_bytes_of(text)};
    message_put_relay_ended(peer_writer(router, peer), &ended);
}

void relay_received(router_t *router, peer_t *peer, const message_relay_t *relay)
{
    router_relays_t *relays = &router->relays;
    if (relay->broker.size != sizeof(incarnation_t) || peer->carrier) {
        put_ended(router, peer, relay->broker, FABRIC_ERROR_INVALID_ARGUMENT,
                  "a relayed frame names another broker, and is relayed once");
        return;
    }
    if (relays->count == relays->capacity) {
        relays->capacity = relays->capacity ? 2 * relays->capacity : 8;
        relays->frames = memory_resize(relays->frames, relays->capacity, sizeof *relays->frames);
    }
    router_relay_t *added = &relays->frames[relays->count++];
    *added = (router_relay_t){.origin = peer_origin(router, peer), .frame = relay->frame};
    memcpy(added->broker.bytes, relay->broker.data, sizeof added->broker.bytes);
}

void relays_begin_frame(router_t *router)
{
    router_relays_t *relays = &router->relays;
    router->counters.unsent += relays->count - relays->first;
    relays->first = relays->count = 0;
}

bool router_next_relay(router_t *router, router_relay_t *relay)
{
    router_relays_t *relays = &router->relays;
    if (relays->first == relays->count) {
        return false;
    }
    *relay = relays->frames[relays->first++];
    return true;
}

void router_relayed(router_t *router, uint64_t origin, incarnation_t broker, fabric_bytes_t frame)
{
    peer_t *peer = peer_of_origin(router, origin);
    if (!peer || peer->phase != PEER_CLIENT) {
        router->counters.unsent++;
        return;
    }
    message_relayed_t relayed = {fabric_bytes(broker.bytes, sizeof broker.bytes), frame};
    message_put_relayed(peer_long_writer(router, peer, frame.size + WRAPPING_BYTES), &relayed);
}

void router_relay_ended(router_t *router, uint64_t origin, incarnation_t broker,
                        fabric_error_t error, const char *text)
{
    peer_t *peer = peer_of_origin(router, origin);
    if (peer && peer->phase == PEER_CLIENT) {
        put_ended(router, peer, fabric_bytes(broker.bytes, sizeof broker.bytes), error, text);
    }
}

void relays_forget(router_t *router, const peer_t *peer)
{
    router_relays_t *relays = &router->relays;
    if (peer->origin == 0) {
        return;
    }
    if (relays->gone_count == relays->gone_capacity) {
        relays->gone_capacity = relays->gone_capacity ? 2 * relays->gone_capacity : 8;
        relays->gone = memory_resize(relays->gone, relays->gone_capacity, sizeof *relays->gone);
    }
    relays->gone[relays->gone_count++] = peer->origin;
}

bool router_next_gone(router_t *router, uint64_t *origin)
{
    router_relays_t *relays = &router->relays;
    if (relays->gone_count == 0) {
        return false;
    }
    *origin = relays->gone[--relays->gone_count];
    return true;
}

void relays_destroy(router_t *router)
{
    free(router->relays.frames);
    free(router->relays.gone);
}
