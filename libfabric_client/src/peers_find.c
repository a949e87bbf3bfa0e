/* Which brokers of the table are which, and which are connected: see peers_state.h. */
#include <assert.h>
#include <string.h>

#include "libfabric_client/src/peers_state.h"

uint32_t peers_find_endpoint(const peers_t *peers, const char *endpoint)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        const peer_t *peer = &peers->list[i];
        if (peer->phase != PEER_UNUSED && strcmp(peer->endpoint, endpoint) == 0) {
            return i;
        }
    }
    return NO_PEER;
}

uint32_t peers_find_broker(const peers_t *peers, incarnation_t broker)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        const peer_t *peer = &peers->list[i];
        if (peer->phase == PEER_WELCOMED && incarnation_equal(peer->broker, broker)) {
            return i;
        }
    }
    return NO_PEER;
}

uint32_t peers_any_welcomed(const peers_t *peers)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        if (peers_is_welcomed(peers, i)) {
            return i;
        }
    }
    return NO_PEER;
}

size_t peers_count_welcomed(const peers_t *peers)
{
    size_t count = 0;
    for (uint32_t i = 0; i < peers->count; i++) {
        count += peers_is_welcomed(peers, i) && !peer_is_relayed(&peers->list[i]);
    }
    return count;
}

bool peers_is_current(const peers_t *peers, size_t index)
{
    assert(index < SESSION_PEERS_MAX);
    return index < peers->count && !peers->list[index].action_due;
}

uint32_t peers_find_relayed(const peers_t *peers, incarnation_t broker)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        const peer_t *peer = &peers->list[i];
        if (peer_is_relayed(peer) && incarnation_equal(peer->target, broker)) {
            return i;
        }
    }
    return NO_PEER;
}

uint32_t peers_find_predecessor(const peers_t *peers, uint32_t successor)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        if (peer_is_relayed(&peers->list[i]) && peers->list[i].successor == successor) {
            return i;
        }
    }
    return NO_PEER;
}

uint32_t peers_find_carrier(const peers_t *peers, incarnation_t broker)
{
    uint32_t found = NO_PEER;
    uint32_t last = NO_PEER; /* the one that carried the broker's frames last has its turn last */
    uint32_t relayed = peers_find_relayed(peers, broker);
    for (uint32_t i = 0; i < peers->count && found == NO_PEER; i++) {
        const peer_t *peer = &peers->list[i];
        if (peer->phase != PEER_WELCOMED || peer_is_relayed(peer) ||
            incarnation_equal(peer->broker, broker)) {
            continue;
        }
        if (relayed != NO_PEER && peers->list[relayed].carrier == i) {
            last = i;
        } else {
            found = i;
        }
    }
    return found != NO_PEER ? found : last;
}

bool peers_carries_due(const peers_t *peers, uint32_t carrier, peer_due_t due)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        const peer_t *peer = &peers->list[i];
        if (peer->carrier == carrier && (peer->due & due) != 0) {
            return true;
        }
    }
    return false;
}
