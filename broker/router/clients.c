/* The clients that are connected, and those that were connected until some time ago. */
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* How many of the clients that are away longest are examined to find one that can be forgotten
 * early. */
enum { EVICT_TRIES = 8 };

client_t *client_find(router_t *router, uint64_t number)
{
    client_t *client = NULL;
    HASH_FIND(by_number, router->clients, &number, sizeof number, client);
    return client;
}

static void client_destroy(router_t *router, client_t *client)
{
    message_t *held = requests_take_held(router, client);
    message_chain_destroy(&held);
    calls_destroy(router, client);
    settled_calls_destroy(client);
    if (client->peer) {
        peer_set_client(client->peer, NULL);
    } else {
        DL_DELETE2(router->away, client, away_prev, away_next);
    }
    HASH_DELETE(by_number, router->clients, client);
    free(client);
}

/* A look-up in the store would not find held or uncommitted calls. */
static bool may_be_forgotten(const client_t *client)
{
    return !client->held.first && !calls_are_uncommitted(client);
}

/* Forgets the clients that are away longest, if more clients are remembered than twice the number
 * that can be connected. */
static void evict_clients(router_t *router)
{
    client_t *client = router->away;
    for (int i = 0; i < EVICT_TRIES && client; i++) {
        client_t *next = client->away_next;
        if (HASH_CNT(by_number, router->clients) < 2 * (unsigned)router->config.peers_max) {
            return;
        }
        if (may_be_forgotten(client)) {
            client_destroy(router, client);
        }
        client = next;
    }
}

static void set_away(router_t *router, client_t *client)
{
    client->peer = NULL;
    client->hears_waits = false;
    client->away_since_ms = router->now_ms;
    DL_APPEND2(router->away, client, away_prev, away_next);
}

client_t *client_add(router_t *router, uint64_t number)
{
    evict_clients(router);
    client_t *client = memory_allocate_zeroed(1, sizeof *client);
    client->number = number;
    HASH_ADD(by_number, router->clients, number, sizeof client->number, client);
    calls_init(router, client);
    set_away(router, client);
    return client;
}

void client_connect(router_t *router, client_t *client, peer_t *peer, incarnation_t incarnation,
                    uint64_t connection)
{
    if (!incarnation_equal(client->incarnation, incarnation)) {
        client_end_life(client);
    }
    if (!client->peer) {
        DL_DELETE2(router->away, client, away_prev, away_next);
    }
    client->incarnation = incarnation;
    client->connection = connection;
    client->peer = peer;
    peer_set_client(peer, client);
}

void client_disconnect(router_t *router, client_t *client)
{
    peer_set_client(client->peer, NULL);
    set_away(router, client);
}

void client_end_life(client_t *client)
{
    client->life++;
}

void client_hear_waits(client_t *client, uint64_t sequence)
{
    client->hears_waits = true;
    client->waits_sequence = sequence;
}

void clients_sweep(router_t *router)
{
    client_t *client, *next;
    DL_FOREACH_SAFE2(router->away, client, next, away_next)
    {
        if (router->now_ms - client->away_since_ms <= router->config.client_memory_ms) {
            return;
        }
        if (may_be_forgotten(client)) {
            client_destroy(router, client);
        }
    }
}

void clients_destroy(router_t *router)
{
    client_t *client, *next;
    HASH_ITER(by_number, router->clients, client, next)
    {
        client_destroy(router, client);
    }
}
