/* The router: makes and ends it, reads frames, keeps time. See router.h, and router_state.h for its parts. */
#include "broker/router/router.h"

#include <assert.h>
#include <utlist.h>

#include "broker/router/admission.h"
#include "broker/router/crash_report.h"
#include "broker/router/dispatch.h"
#include "broker/router/hello.h"
#include "broker/router/membership.h"
#include "broker/router/messages.h"
#include "broker/router/orders.h"
#include "broker/router/protocol_violation.h"
#include "broker/router/result.h"
#include "broker/router/router_state.h"
#include "broker/router/status.h"

/* HELLOS_PER_FRAME: each is answered by a whole map, and nobody needs more than one. */
enum { TICK_MS = 10, SWEEP_MS = 1000, HELLOS_PER_FRAME = 4 };

void router_config_defaults(router_config_t *config)
{
    config->lanes = 1;
    config->lease_ms = 3000;
    config->client_heartbeat_ms = 1000;
    config->worker_heartbeat_ms = 50;
    config->unreachable_grace_ms = 100;
    config->crash_report_grace_ms = 250;
    config->registration_ms = 5000;
    config->release_grace_ms = 5000;
    config->attempts_max = 10;
    config->crashes_max = 3;
    config->backoff_ms = 100;
    config->backoff_max_ms = 30000;
    config->pending_max = 1000000;
    config->entity_pending_max = 100000;
    config->memory_bytes_max = UINT64_C(1) << 30;
    config->batch_items_max = 4096;
    config->batch_bytes_max = UINT64_C(8) << 20;
    config->client_memory_ms = 60000;
    config->peers_max = 10000;
}

router_t *router_new(const router_config_t *config, uint64_t now_ms)
{
    assert(config->lanes >= 1 && config->lanes <= LIMIT_LANES_MAX);
    assert(config->machine < SNOWFLAKE_MACHINES && config->shards_per_group >= 1);
    router_t *router = calloc(1, sizeof *router);
    if (!router) {
        abort();
    }
    router->config = *config;
    router->started_ms = router->now_ms = now_ms;
    router->last_tick_ms = router->last_sweep_ms = router->mark_ms = now_ms;
    fabric_error_t error = snowflake_generator_init(&router->generator, config->machine);
    assert(!error);
    (void)error;
    snowflake_lift(&router->generator, (request_id_t){config->high_id});
    router->high_id_stored = config->high_id;
    for (uint32_t i = 0; i < config->lanes; i++) {
        router->lanes[i].available = true;
    }
    router->map = shard_map_new();
    shard_map_set_shards_per_group(router->map, config->shards_per_group);
    return router;
}

static void types_destroy(router_t *router)
{
    known_type_t *type, *next;
    HASH_ITER(by_name, router->types, type, next)
    {
        HASH_DELETE(by_name, router->types, type);
        type_description_destroy(&type->description);
        free(type);
    }
}

void router_destroy(router_t **at)
{
    router_t *router = *at;
    if (!router) {
        return;
    }
    client_t *client, *next_client;
    HASH_ITER(by_number, router->clients, client, next_client)
    {
        client_destroy(router, client);
    }
    peers_destroy(router);
    entities_destroy(router);
    messages_destroy(router);
    runner_t *runner, *next_runner;
    HASH_ITER(by_incarnation, router->runners, runner, next_runner)
    {
        runner_remove(router, runner);
        runner_destroy(runner);
    }
    types_destroy(router);
    orders_destroy(router);
    shards_destroy(router);
    batches_destroy(router);
    lookups_destroy(router);
    shard_map_destroy(&router->map);
    wire_writer_destroy(&router->scratch);
    free(router);
    *at = NULL;
}

/* ---- frames ---- */

/* What any peer may say. */
static fabric_error_t common_message(router_t *router, peer_t *peer, message_kind_t kind,
                                     wire_reader_t *body)
{
    if (kind == KIND_PING) {
        message_ping_t ping;
        fabric_error_t error = message_get_ping(body, &ping);
        if (!error && peer->client) {
            map_version_t version = shard_map_version(router->map);
            message_pong_t pong = {ping.sequence, version.term, version.sequence};
            message_put_pong(peer_writer(router, peer), &pong);
        }
        return error;
    }
    if (kind == KIND_PONG) {
        message_pong_t pong;
        router->counters.unexpected++; /* pings of brokers are not answered */
        return message_get_pong(body, &pong);
    }
    if (kind == KIND_QUERY) {
        message_query_t query;
        fabric_error_t error = message_get_query(body, &query);
        if (!error) {
            query_received(router, peer, &query);
        }
        return error;
    }
    if (kind == KIND_MAP_WANTED) {
        message_map_wanted_t wanted;
        fabric_error_t error = message_get_map_wanted(body, &wanted);
        peer->map_due |= !error; /* once, however often it is asked for in one frame */
        return error;
    }
    return FABRIC_ERROR_UNKNOWN_KIND;
}

static fabric_error_t client_message(router_t *router, peer_t *peer, message_kind_t kind,
                                     wire_reader_t *body)
{
    if (kind == KIND_REQUEST) {
        wire_reader_t again = *body;
        message_request_t request;
        fabric_error_t error = message_get_request(body, &request);
        if (!error) {
            request_received(router, peer, &request);
        } else {
            uint64_t sequence = wire_get_uint(&again);
            uint64_t flags = wire_get_uint(&again);
            if (!again.failed) {
                request_malformed(router, peer->client, sequence, flags);
            }
        }
        return error;
    }
    if (kind == KIND_BYE) {
        message_bye_t bye;
        fabric_error_t error = message_get_bye(body, &bye);
        if (!error) {
            client_ends_life(peer->client);
            peer_detach(router, peer);
        }
        return error;
    }
    return common_message(router, peer, kind, body);
}

/* Of a result that cannot be read: which message it ends, as a defect. */
static bool read_result_head(wire_reader_t *body, message_result_t *result)
{
    static const char text[] = "the worker's result could not be read";
    *result = (message_result_t){.shard = wire_get_uint(body)};
    result->home_epoch = wire_get_uint(body);
    result->owner_sequence = wire_get_uint(body);
    result->activation = wire_get_uint(body);
    result->request_id = wire_get_uint(body);
    result->status = STATUS_DEFECT;
    result->error = FABRIC_ERROR_MALFORMED_MESSAGE;
    result->payload = fabric_bytes(text, sizeof text - 1);
    return !body->failed;
}

static void refuse_request_of_worker(router_t *router, peer_t *peer, uint64_t sequence)
{
    message_rejected_t rejected = {
        .sequence = sequence,
        .error = FABRIC_ERROR_UNKNOWN_KIND,
        .text = fabric_bytes_of("a worker sends no requests: a client does, on its own connection"),
    };
    message_put_rejected(peer_writer(router, peer), &rejected);
}

static fabric_error_t worker_message(router_t *router, peer_t *peer, message_kind_t kind,
                                     wire_reader_t *body)
{
    runner_t *runner = peer->runner;
    if (kind == KIND_RESULT) {
        message_result_t result;
        wire_reader_t again = *body;
        fabric_error_t error = message_get_result(body, &result);
        if (!error || read_result_head(&again, &result)) {
            result_received(router, runner, &result);
        }
        return error;
    }
    if (kind == KIND_REQUEST) {
        message_request_t request;
        if (message_get_request(body, &request) == FABRIC_OK) {
            refuse_request_of_worker(router, peer, request.sequence);
        }
        return FABRIC_ERROR_UNKNOWN_KIND;
    }
    if (kind == KIND_RELEASED) {
        message_released_t released;
        fabric_error_t error = message_get_released(body, &released);
        if (!error) {
            released_received(router, runner, &released);
        }
        return error;
    }
    if (kind == KIND_BYE) {
        message_bye_t bye;
        fabric_error_t error = message_get_bye(body, &bye);
        if (!error) {
            runner_leaves(router, runner);
        }
        return error;
    }
    return common_message(router, peer, kind, body);
}

/* What one frame has led to. */
typedef struct frame_effects {
    bool asked;   /* a stranger was asked who it is */
    int hellos;   /* so far */
    bool hello;   /* the message at hand is one */
    bool refused; /* the peer was: the rest of the frame is not worth an ear any more */
} frame_effects_t;

/* A peer that has not said hello, or whose runner was given up meanwhile. */
static void message_of_an_unidentified_peer(router_t *router, peer_t *peer, message_kind_t kind,
                                            bool *asked)
{
    router->counters.unidentified++;
    if (kind == KIND_RESULT) {
        router->counters.results_refused++; /* of a deposed owner */
    }
    if (!*asked) {
        message_who_t who = {LIMIT_PROTOCOL_VERSION};
        message_put_who(peer_writer(router, peer), &who);
        *asked = true;
    }
}

static fabric_error_t message_received(router_t *router, peer_t *peer, wire_reader_t *body,
                                       frame_effects_t *effects)
{
    message_kind_t kind = (message_kind_t)0;
    fabric_error_t error = message_open(body, &kind);
    effects->hello = kind == KIND_HELLO;
    if (error) {
        return error;
    }
    if (kind == KIND_HELLO) {
        message_hello_t hello;
        error = message_get_hello(body, &hello);
        effects->refused = !error && effects->hellos++ == HELLOS_PER_FRAME;
        if (effects->refused) {
            peer_refuse(router, peer, FABRIC_ERROR_BUSY, "too many hellos in one frame");
        } else if (!error) {
            hello_received(router, peer, &hello);
        }
    } else if (peer->retired) {
        router->counters.outdated++;
    } else if (kind == KIND_CRASHED && !peer->client && !peer->runner) {
        error = crash_report_received(router, peer, body);
    } else if (peer->client) {
        error = client_message(router, peer, kind, body);
    } else if (peer->runner) {
        error = worker_message(router, peer, kind, body);
    } else {
        message_of_an_unidentified_peer(router, peer, kind, &effects->asked);
    }
    return error;
}

/* Known peers are not refused as a whole: what cannot be read fails alone (I14), but for a hello, which has its answer. */
static void malformed(router_t *router, peer_t *peer, fabric_error_t error, const char *text,
                      frame_effects_t *effects)
{
    router->counters.malformed++;
    if (effects->hello || (!peer->client && !peer->runner)) {
        effects->refused = true;
        peer_refuse(router, peer, error, text);
    } else {
        violation(router, peer, error, text);
    }
}

/* Nobody knows what stood where a frame could not be read. A result that is lost so would be waited for as long as the connection
 * lives, so a runner is to come back by a new one, and what is in flight to it is delivered again. */
static void refuse_runner(router_t *router, peer_t *peer, fabric_error_t error, const char *text)
{
    peer_detach(router, peer);
    peer_refuse(router, peer, error, text);
}

static void read_messages(router_t *router, peer_t *peer, wire_reader_t *reader)
{
    frame_effects_t effects = {0};
    wire_reader_t body;
    while (!effects.refused && frame_next(reader, &body)) {
        fabric_error_t error = message_received(router, peer, &body, &effects);
        if (error) {
            malformed(router, peer, error, "a message could not be read", &effects);
        }
    }
    static const char rest[] = "the rest of a frame could not be read";
    effects.hello = false;
    if (reader->failed && peer->runner) {
        router->counters.malformed++;
        refuse_runner(router, peer, FABRIC_ERROR_MALFORMED_MESSAGE, rest);
    } else if (reader->failed) {
        malformed(router, peer, FABRIC_ERROR_MALFORMED_MESSAGE, rest, &effects);
    }
}

/* A version that is not ours is refused, whoever speaks it; what is no frame at all is dropped. */
static void frame_refused(router_t *router, peer_t *peer, fabric_error_t error)
{
    static const char text[] = "the frame is none of this protocol version";
    router->counters.malformed++;
    if (peer->runner) {
        refuse_runner(router, peer, error, text);
    } else if (error == FABRIC_ERROR_UNSUPPORTED_VERSION || !peer->client) {
        peer_refuse(router, peer, error, text);
    } else {
        violation(router, peer, error, text);
    }
}

void router_receive(router_t *router, fabric_bytes_t routing_id, fabric_bytes_t frame,
                    uint64_t now_ms)
{
    router->now_ms = now_ms;
    peer_t *peer = peer_find_or_add(router, routing_id);
    if (!peer) {
        return; /* counted as refused */
    }
    if (peer->closing > 0) {
        router->counters.outdated++;
        return;
    }
    wire_reader_t reader;
    frame_head_t head;
    fabric_error_t error = frame_open(frame, &reader, &head);
    if (error) {
        frame_refused(router, peer, error);
        return; /* no sign of life: a spoilt byte may have shifted all frames of the connection */
    }
    if (peer->client) {
        client_settle(router, peer->client, head.settled);
    }
    read_messages(router, peer, &reader);
    if (!peer->retired) {
        peer->heard_ms = now_ms;
    }
    if (peer->map_due) {
        peer_send_map(router, peer);
    }
    if (peer->runner) {
        runner_dispatch_waiting(router, peer->runner);
    }
}

/* ---- time ---- */

void router_tick(router_t *router, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router->last_tick_ms = now_ms;
    router->documents = 0;
    runners_tick(router);
    entities_wake(router);
    peers_sweep(router);
    if (now_ms - router->last_sweep_ms >= SWEEP_MS) {
        router->last_sweep_ms = now_ms;
        clients_sweep(router);
    }
}

uint64_t router_next_deadline(const router_t *router)
{
    return router->last_tick_ms + TICK_MS;
}

void router_lease(router_t *router, uint64_t until_ms)
{
    bool was_over = router->now_ms >= router->lease_until_ms;
    router->lease_until_ms = until_ms;
    if (!was_over) {
        return;
    }
    entity_t *entity, *next;
    HASH_ITER(by_name, router->entities, entity, next)
    {
        entity_dispatch(router, entity);
        entity_release(router, entity);
    }
}

/* ---- types and map ---- */

void router_type(router_t *router, uint16_t group, fabric_bytes_t description)
{
    wire_reader_t reader = wire_reader(description);
    type_description_t *parsed = NULL;
    if (type_description_parse(&reader, &parsed)) {
        router->counters.damaged++; /* its type stays unknown */
        return;
    }
    assert(parsed);
    known_type_t *type = type_find(router, fabric_bytes_of(parsed->name));
    if (type) {
        type_description_destroy(&type->description);
        type->description = parsed;
        return;
    }
    type = calloc(1, sizeof *type);
    if (!type) {
        abort();
    }
    type->description = parsed;
    type->group = group;
    type->index = HASH_CNT(by_name, router->types);
    assert(group <= LIMIT_GROUPS_MAX && type->index < LIMIT_TYPES_MAX); /* the map takes no more */
    memcpy(type->name, parsed->name, sizeof type->name);
    HASH_ADD_KEYPTR(by_name, router->types, type->name, strlen(type->name), type);
}

void router_holder(router_t *router, incarnation_t broker)
{
    router->holder = broker;
}

void router_map(router_t *router, fabric_bytes_t encoded)
{
    fabric_error_t error = shard_map_apply(router->map, encoded, NULL);
    assert(!error); /* made by our own coordinator, in order */
    (void)error;
}

void router_counters(const router_t *router, router_counters_t *counters)
{
    *counters = router->counters;
}
