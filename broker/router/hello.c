/* Handshakes: hellos of clients, workers and other brokers, and the welcome or refusal that answers
 * them. */
#include "broker/router/hello.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/router/connections.h"
#include "broker/router/membership.h"
#include "broker/router/orders.h"
#include "broker/router/router_state.h"
#include "broker/router/runner_id.h"
#include "core/memory.h"

/* A client counts as alive for this many heartbeats after its last message. */
enum { LIVE_HEARTBEATS = 3 };

static void welcome(router_t *router, peer_t *peer, uint64_t connection, uint32_t heartbeat_ms)
{
    const router_config_t *config = &router->config;
    wire_writer_t map = {0};
    shard_map_encode_snapshot(router->map, &map);
    message_welcome_t message = {
        .protocol = LIMIT_PROTOCOL_VERSION,
        .cluster_id = fabric_bytes(config->cluster_id, sizeof config->cluster_id),
        .cluster_name = fabric_bytes_of(config->cluster_name),
        .broker = fabric_bytes(config->incarnation.bytes, sizeof config->incarnation.bytes),
        .connection = connection,
        .shards_per_group = config->shards_per_group,
        .lease_ms = config->lease_ms,
        .heartbeat_ms = heartbeat_ms,
        .pub_endpoint = fabric_bytes_of(config->pub_endpoint),
        .map = wire_writer_bytes(&map),
    };
    message_put_welcome(peer_writer(router, peer), &message);
    wire_writer_destroy(&map);
}

/* Whether the peer may talk to this cluster at all. If it may not, it is told why. */
static bool check_hello(router_t *router, peer_t *peer, const message_hello_t *hello)
{
    const router_config_t *config = &router->config;
    char text[512];
    if (hello->protocol_min > LIMIT_PROTOCOL_VERSION ||
        hello->protocol_max < LIMIT_PROTOCOL_VERSION) {
        snprintf(text, sizeof text, "this broker speaks protocol version %d",
                 LIMIT_PROTOCOL_VERSION);
        peer_refuse(router, peer, FABRIC_ERROR_UNSUPPORTED_VERSION, text);
        return false;
    }
    bool foreign_id =
        hello->cluster_id.size > 0 &&
        !fabric_bytes_equal(hello->cluster_id,
                            fabric_bytes(config->cluster_id, sizeof config->cluster_id));
    bool foreign_name =
        hello->cluster_name.size > 0 &&
        !fabric_bytes_equal(hello->cluster_name, fabric_bytes_of(config->cluster_name));
    if (foreign_id || foreign_name) {
        snprintf(text, sizeof text, "this broker belongs to cluster '%s'%s", config->cluster_name,
                 foreign_name ? "" : " with another id");
        peer_refuse(router, peer, FABRIC_ERROR_FOREIGN_CLUSTER, text);
        return false;
    }
    if (hello->incarnation.size != 16 || hello->connection == 0 ||
        hello->name.size > LIMIT_NAME_BYTES_MAX) {
        peer_refuse(
            router, peer, FABRIC_ERROR_MALFORMED_MESSAGE,
            "a hello needs an incarnation of 16 bytes, a connection number and a short name");
        return false;
    }
    return true;
}

static incarnation_t incarnation_of(const message_hello_t *hello)
{
    incarnation_t incarnation;
    memcpy(incarnation.bytes, hello->incarnation.data, sizeof incarnation.bytes);
    return incarnation;
}

/* A hello whose number is not larger than that of an earlier hello of the same process. On the
 * current connection the same number means a repeated hello, which gets the same answer. On any
 * other connection the hello is late or forged, and must not disturb the current connection. True:
 * the hello is welcome. */
static bool hello_again(router_t *router, peer_t *peer, bool counts, uint64_t number,
                        uint64_t known)
{
    if (counts) {
        peer_reinstate(peer);
    } else {
        peer_retire(peer);
    }
    if (counts && number == known) {
        return true;
    }
    char text[128];
    snprintf(text, sizeof text,
             "this process has said hello with connection number %" PRIu64 ": say a larger one",
             known);
    router->counters.refused++;
    message_refused_t refused = {.error = FABRIC_ERROR_OUTDATED_CONNECTION,
                                 .text = fabric_bytes_of(text)};
    message_put_refused(peer_writer(router, peer), &refused);
    return false;
}

/* ---- clients ---- */

/* Whether another process is connected under this number and lives. A dead process is noticed by
 * what is sent to it, or by its silence, so that the next try of the new process succeeds.
 */
static bool number_is_taken(router_t *router, const client_t *client, const peer_t *newcomer,
                            incarnation_t incarnation)
{
    peer_t *peer = client->peer;
    uint64_t silent_after_ms = LIVE_HEARTBEATS * (uint64_t)router->config.client_heartbeat_ms;
    if (!peer || peer == newcomer || incarnation_equal(client->incarnation, incarnation) ||
        router->now_ms - peer->heard_ms > silent_after_ms) {
        return false;
    }
    map_version_t version = shard_map_version(router->map);
    message_put_pong(peer_writer(router, peer),
                     &(message_pong_t){0, version.term, version.sequence});
    return true;
}

static void client_hello(router_t *router, peer_t *peer, const message_hello_t *hello)
{
    if (hello->client_number == 0) {
        peer_refuse(router, peer, FABRIC_ERROR_MALFORMED_MESSAGE, "a client needs a number");
        return;
    }
    if (router->farewell) {
        peer_refuse(router, peer, FABRIC_ERROR_SHUTTING_DOWN, "this broker is stopping");
        return;
    }
    incarnation_t incarnation = incarnation_of(hello);
    client_t *client = client_find(router, hello->client_number);
    if (!client) {
        client = client_add(router, hello->client_number);
    } else if (incarnation_equal(client->incarnation, incarnation) &&
               hello->connection <= client->connection) {
        if (hello_again(router, peer, client->peer == peer, hello->connection,
                        client->connection)) {
            welcome(router, peer, hello->connection, router->config.client_heartbeat_ms);
        }
        return;
    } else if (number_is_taken(router, client, peer, incarnation)) {
        peer_refuse(router, peer, FABRIC_ERROR_BUSY,
                    "another process is connected under this client number");
        return;
    }
    if (peer->client != client) {
        connection_end(router, peer); /* one client after the other under one routing id */
    }
    if (client->peer && client->peer != peer) {
        peer_retire(client->peer);
        client_disconnect(router, client);
    }
    client_connect(router, client, peer, incarnation, hello->connection);
    welcome(router, peer, hello->connection, router->config.client_heartbeat_ms);
}

/* ---- workers ---- */

typedef struct type_names {
    char names[LIMIT_TYPES_MAX][256];
    uint32_t count;
} type_names_t;

/* Reads one type. Its name must differ from the names of the types before it. */
static bool check_type(wire_reader_t *reader, type_names_t *seen)
{
    type_description_t *description = NULL;
    if (type_description_parse(reader, &description)) {
        return false;
    }
    bool is_new = true;
    for (uint32_t i = 0; i < seen->count && is_new; i++) {
        is_new = strcmp(seen->names[i], description->name) != 0;
    }
    memcpy(seen->names[seen->count++], description->name, sizeof description->name);
    type_description_destroy(&description);
    return is_new;
}

static bool check_types(fabric_bytes_t types)
{
    type_names_t seen = {.count = 0};
    wire_reader_t reader = wire_reader(types);
    uint32_t count = wire_get_array(&reader);
    bool good = !reader.failed && count <= LIMIT_TYPES_MAX;
    for (uint32_t i = 0; i < count && good; i++) {
        good = check_type(&reader, &seen);
    }
    return good && wire_finish(&reader) == FABRIC_OK;
}

static void ask_admission(router_t *router, const runner_t *runner, fabric_bytes_t types)
{
    router_order_t order = {.kind = ROUTER_ADMIT,
                            .runner = runner->incarnation,
                            .weight = runner->weight,
                            .app_version = runner->app_version,
                            .types_size = types.size};
    memcpy(order.name, runner->name, sizeof order.name);
    order.types = memory_allocate(types.size);
    memcpy(order.types, types.data, types.size);
    order_add(router, &order);
}

static void worker_hello(router_t *router, peer_t *peer, const message_hello_t *hello)
{
    if (!check_types(hello->types) || hello->weight > 1000000 || hello->window == 0 ||
        hello->window > 1000000 || hello->supervised > 1) {
        peer_refuse(router, peer, FABRIC_ERROR_MALFORMED_MESSAGE,
                    "a worker's types, weight, window or supervision are malformed, or a type is "
                    "given twice");
        return;
    }
    incarnation_t id = runner_id_of(incarnation_of(hello));
    runner_t *runner = runner_find(router, id);
    if (router->closing || (router->draining && !runner)) {
        peer_refuse(router, peer, FABRIC_ERROR_SHUTTING_DOWN, "this broker is stopping");
        return;
    }
    if (runner && hello->connection <= runner->connection) {
        if (hello_again(router, peer, runner->peer == peer, hello->connection,
                        runner->connection) &&
            runner->state != RUNNER_ADMITTING) {
            welcome(router, peer, hello->connection, router->config.worker_heartbeat_ms);
        }
        return;
    }
    if (peer->runner != runner) {
        connection_end(router, peer); /* one worker after the other under one routing id */
    }
    bool known = runner != NULL;
    if (!known) {
        runner_description_t description = {.incarnation = id,
                                            .weight = (uint32_t)hello->weight,
                                            .app_version = hello->app_version,
                                            .supervised = hello->supervised == 1,
                                            .name = hello->name,
                                            .types = hello->types};
        runner = runner_add(router, &description);
    }
    runner_connect(runner, peer, hello->connection, (uint32_t)hello->window);
    if (!known) {
        ask_admission(router, runner, hello->types);
    } else if (runner->state != RUNNER_ADMITTING) {
        if (runner->state != RUNNER_LEAVING) {
            runner_join(router, runner);
        }
        welcome(router, peer, hello->connection, router->config.worker_heartbeat_ms);
        runner_connected(router, runner);
    }
}

void router_admitted(router_t *router, incarnation_t incarnation, fabric_error_t error,
                     const char *text, uint64_t now_ms)
{
    router->now_ms = now_ms;
    runner_t *runner = runner_find(router, incarnation);
    if (!runner || runner->state != RUNNER_ADMITTING) {
        return; /* the runner went away meanwhile */
    }
    if (error) {
        peer_refuse(router, runner->peer, error, text);
        runner_forget(router, runner);
        return;
    }
    runner_join(router, runner);
    peer_heard(router, runner->peer); /* the lease begins now, however long admission took */
    welcome(router, runner->peer, runner->connection, router->config.worker_heartbeat_ms);
    router_order_t order = {
        .kind = ROUTER_RUNNER_JOINED, .runner = incarnation, .weight = runner->weight};
    memcpy(order.name, runner->name, sizeof order.name);
    order_add(router, &order);
    runner_connected(router, runner);
}

/* ---- brokers ---- */

static void broker_hello(router_t *router, peer_t *peer, const message_hello_t *hello)
{
    member_t *member = member_find(router, incarnation_of(hello));
    if (!member) {
        peer_refuse(router, peer, FABRIC_ERROR_NOT_CONNECTED,
                    "this broker does not know the other one as a member yet");
        return;
    }
    broker_credential_t sender = {member->incarnation, member->secret};
    if (!broker_proof_holds(&sender, router->config.incarnation, hello->connection, hello->proof)) {
        peer_refuse(router, peer, FABRIC_ERROR_NOT_CONNECTED,
                    "the hello does not prove that its sender is this member");
        return;
    }
    if (hello->connection <= member->connection) {
        if (hello_again(router, peer, member->peer == peer, hello->connection,
                        member->connection)) {
            welcome(router, peer, hello->connection, router->config.worker_heartbeat_ms);
        }
        return;
    }
    if (peer->member != member) {
        connection_end(router, peer);
    }
    if (member->peer) {
        peer_t *before = member->peer;
        connection_end(router, before);
        if (before != peer) {
            peer_retire(before);
        }
    }
    member_connect(member, peer, hello->connection);
    welcome(router, peer, hello->connection, router->config.worker_heartbeat_ms);
}

/* Whether a peer of this kind may have the role. A peer stays what it is; only clients come by way
 * of other brokers. */
static bool may_be(const peer_t *peer, peer_role_t role)
{
    switch (role) {
    case ROLE_CLIENT:
        return !peer->runner && !peer->member;
    case ROLE_WORKER:
        return !peer->client && !peer->member && !peer->carrier;
    case ROLE_BROKER:
        return !peer->client && !peer->runner && !peer->carrier;
    }
    return false;
}

void hello_received(router_t *router, peer_t *peer, const message_hello_t *hello)
{
    if (!check_hello(router, peer, hello)) {
        return;
    }
    peer_role_t role = hello->role <= ROLE_BROKER ? (peer_role_t)hello->role : (peer_role_t)0;
    if (!may_be(peer, role)) {
        peer_refuse(router, peer, FABRIC_ERROR_UNKNOWN_KIND,
                    "a peer is a client (1), a worker (2) or a broker (3), and stays what it is; "
                    "only a client comes by way of another broker");
    } else if (role == ROLE_CLIENT) {
        client_hello(router, peer, hello);
    } else if (role == ROLE_WORKER) {
        worker_hello(router, peer, hello);
    } else {
        broker_hello(router, peer, hello);
    }
}
