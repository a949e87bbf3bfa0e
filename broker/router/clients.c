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

client_t *client_find_outgoing(router_t *router, uint64_t number)
{
    client_t *client = NULL;
    HASH_FIND(by_number, router->outgoing_by_number, &number, sizeof number, client);
    return client;
}

client_t *client_of_call(router_t *router, call_key_t call)
{
    return call.sequence < CALL_OUTGOING ? client_find(router, call.client)
                                         : client_find_outgoing(router, call.client);
}

/* The list that a client without a peer is in. */
static client_t **list_of(router_t *router, const client_t *client)
{
    if (!client->outgoing) {
        return &router->away;
    }
    return client->answered ? &router->outgoing_answered : &router->outgoing_clients;
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
        DL_DELETE2(*list_of(router, client), client, away_prev, away_next);
    }
    if (client->outgoing) {
        router->outgoing_client_count--;
        HASH_DELETE(by_number, router->outgoing_by_number, client);
    } else {
        HASH_DELETE(by_number, router->clients, client);
    }
    free(client);
}

/* A look-up in the store would not find held or uncommitted calls. */
static bool may_be_forgotten(const client_t *client)
{
    return !client->held.first && client->held.lookups == 0 && !calls_are_uncommitted(client);
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

static client_t *add(router_t *router, uint64_t number, bool outgoing)
{
    client_t *client = memory_allocate_zeroed(1, sizeof *client);
    client->number = number;
    client->outgoing = outgoing;
    if (outgoing) {
        HASH_ADD(by_number, router->outgoing_by_number, number, sizeof client->number, client);
    } else {
        HASH_ADD(by_number, router->clients, number, sizeof client->number, client);
    }
    calls_init(router, client);
    return client;
}

client_t *client_add(router_t *router, uint64_t number)
{
    evict_clients(router);
    client_t *client = add(router, number, false);
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

/* ---- clients of outgoing messages ---- */

client_t *client_add_outgoing(router_t *router, uint64_t number)
{
    client_t *client = add(router, number, true);
    router->outgoing_client_count++;
    DL_APPEND2(router->outgoing_clients, client, away_prev, away_next);
    return client;
}

static void move(router_t *router, client_t *client, bool answered)
{
    DL_DELETE2(*list_of(router, client), client, away_prev, away_next);
    client->answered = answered;
    DL_APPEND2(*list_of(router, client), client, away_prev, away_next);
}

void client_note_sender(router_t *router, client_t *client, incarnation_t sender)
{
    client->incarnation = sender;
    client->away_since_ms = router->now_ms;
    move(router, client, client->answered);
}

void client_note_answer(router_t *router, client_t *client)
{
    if (!client->answered) {
        move(router, client, true);
    }
}

void clients_forget_answered(router_t *router)
{
    client_t *client;
    while ((client = router->outgoing_answered)) {
        if (may_be_forgotten(client)) {
            client_destroy(router, client);
        } else {
            move(router, client, false);
        }
    }
}

/* Those whose calls have ended without an answer. */
static void sweep_outgoing(router_t *router)
{
    client_t *client, *next;
    DL_FOREACH_SAFE2(router->outgoing_clients, client, next, away_next)
    {
        if (router->now_ms - client->away_since_ms <= router->config.client_memory_ms) {
            return;
        }
        if (may_be_forgotten(client)) {
            client_destroy(router, client);
        }
    }
}

void clients_sweep(router_t *router)
{
    sweep_outgoing(router);
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
    HASH_ITER(by_number, router->outgoing_by_number, client, next)
    {
        client_destroy(router, client);
    }
}
