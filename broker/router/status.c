/* Answers to queries: what the router knows, as msgpack documents for people and tools. */
#include "broker/router/status.h"

#include <utlist.h>

#include "broker/router/document.h"
#include "broker/router/health.h"
#include "broker/router/operations.h"
#include "broker/router/router_state.h"

static void put_brokers(const router_t *router, wire_writer_t *document)
{
    size_t count = shard_map_broker_count(router->map);
    wire_put_text(document, "brokers");
    wire_put_array(document, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const map_broker_t *broker = shard_map_broker_at(router->map, i);
        wire_put_map(document, 4);
        document_put_incarnation(document, "incarnation", broker->incarnation);
        document_put_text(document, "name", broker->name);
        document_put_text(document, "router", broker->router_endpoint);
        document_put_text(document, "pub", broker->pub_endpoint);
    }
}

/* ---- shards ---- */

/* The types that some runner may own entities of, by their indexes. */
typedef struct brought {
    bool types[LIMIT_TYPES_MAX];
} brought_t;

static brought_t find_brought(router_t *router)
{
    brought_t brought = {{0}};
    for (const known_type_t *type = NULL; (type = types_next(router, type));) {
        for (const runner_t *runner = router->runners; runner;
             runner = runner->by_incarnation.next) {
            brought.types[type->index] |= runner_may_own(runner, fabric_bytes_of(type->name));
        }
    }
    return brought;
}

static bool is_served(const ownership_t *ownership)
{
    return ownership && ownership->state == OWNERSHIP_OWNED &&
           ownership->owner->state == RUNNER_JOINED;
}

/* Whether all types that runners bring are served in the shard. */
static bool is_healthy(router_t *router, const shard_t *shard, const brought_t *brought)
{
    bool any = false;
    for (const known_type_t *type = NULL; (type = types_next(router, type));) {
        if (type->group == shard_id_group(shard->id) && brought->types[type->index]) {
            if (!is_served(ownership_of(router, shard, fabric_bytes_of(type->name)))) {
                return false;
            }
            any = true;
        }
    }
    return any && shard_serves(router, shard);
}

static void put_own_owners(const shard_t *shard, wire_writer_t *document)
{
    const ownership_t *ownership;
    uint32_t count = 0;
    char text[33];
    DL_FOREACH(shard->ownerships, ownership)
    {
        count += ownership->owner != NULL;
    }
    wire_put_map(document, count);
    DL_FOREACH(shard->ownerships, ownership)
    {
        if (ownership->owner) {
            wire_put_str(document, ownership_type(ownership));
            wire_put_text(document, incarnation_text(ownership->owner->incarnation, text));
        }
    }
}

/* Another broker's shard: the map tells all that is known. */
static void put_mapped_owners(const router_t *router, shard_id_t shard, wire_writer_t *document)
{
    size_t types = shard_map_type_count(router->map);
    uint32_t count = 0;
    char text[33];
    for (size_t i = 0; i < types; i++) {
        fabric_bytes_t type = shard_map_type_name(router->map, i);
        count += !incarnation_is_none(shard_map_owner(router->map, type, shard));
    }
    wire_put_map(document, count);
    for (size_t i = 0; i < types; i++) {
        fabric_bytes_t type = shard_map_type_name(router->map, i);
        incarnation_t owner = shard_map_owner(router->map, type, shard);
        if (!incarnation_is_none(owner)) {
            wire_put_str(document, type);
            wire_put_text(document, incarnation_text(owner, text));
        }
    }
}

static void put_shard(router_t *router, shard_id_t id, const brought_t *brought,
                      wire_writer_t *document)
{
    const map_lane_t *lane = shard_map_lane_of(router->map, id);
    const shard_t *shard = shard_find(router, id);
    bool ours = shard && shard_is_home(shard);
    wire_put_map(document, 6);
    wire_put_text(document, "group");
    wire_put_str(document, shard_map_group_name(router->map, shard_id_group(id)));
    document_put_uint(document, "number", shard_id_number(id));
    document_put_incarnation(document, "home", ours ? router->config.incarnation : lane->home);
    document_put_uint(document, "home_epoch", ours ? shard->epoch : lane->epoch);
    wire_put_text(document, "owners");
    if (ours) {
        put_own_owners(shard, document);
        wire_put_text(document, "healthy");
        wire_put_bool(document, is_healthy(router, shard, brought));
    } else {
        put_mapped_owners(router, id, document);
        wire_put_text(document, "healthy");
        wire_put_nil(document); /* only the shard's home knows */
    }
}

static void put_shards(router_t *router, wire_writer_t *document)
{
    size_t groups = shard_map_group_count(router->map);
    brought_t brought = find_brought(router);
    wire_put_text(document, "shards");
    wire_put_array(document, (uint32_t)groups * router->config.shards_per_group);
    for (uint16_t group = 1; group <= groups; group++) {
        for (uint32_t i = 1; i <= router->config.shards_per_group; i++) {
            put_shard(router, shard_id_make(group, (uint16_t)i), &brought, document);
        }
    }
}

static void put_counters(const router_t *router, wire_writer_t *document)
{
    const router_counters_t *counters = &router->counters;
    wire_put_text(document, "counters");
    wire_put_map(document, 41);
    document_put_uint(document, "accepted", counters->accepted);
    document_put_uint(document, "ended", counters->ended);
    document_put_uint(document, "pending", counters->pending);
    document_put_uint(document, "delivered", counters->delivered);
    document_put_uint(document, "delivered_early", counters->delivered_early);
    document_put_uint(document, "redelivered", counters->redelivered);
    document_put_uint(document, "rejected", counters->rejected);
    document_put_uint(document, "volatile_handled", counters->volatile_handled);
    document_put_uint(document, "cancelled", counters->cancelled);
    document_put_uint(document, "results_refused", counters->results_refused);
    document_put_uint(document, "malformed", counters->malformed);
    document_put_uint(document, "refused", counters->refused);
    document_put_uint(document, "overflowed", counters->overflowed);
    document_put_uint(document, "dead_letters", counters->dead_letters);
    document_put_uint(document, "parked", counters->parked);
    document_put_uint(document, "kept_alive", counters->kept_alive);
    document_put_uint(document, "kept_aside", counters->kept_aside);
    document_put_uint(document, "kept_refused", counters->kept_refused);
    document_put_uint(document, "woken", counters->woken);
    document_put_uint(document, "runner_deaths", counters->runner_deaths);
    document_put_uint(document, "crashes", counters->crashes);
    document_put_uint(document, "entries", counters->entries);
    document_put_uint(document, "journal_bytes", counters->journal_bytes);
    document_put_uint(document, "checkpoints", counters->checkpoints);
    document_put_uint(document, "stored", counters->stored);
    document_put_uint(document, "scheduled", counters->scheduled);
    document_put_uint(document, "loaded", counters->loaded);
    document_put_uint(document, "states_changed", counters->states_changed);
    document_put_uint(document, "states_given", counters->states_given);
    document_put_uint(document, "events_appended", counters->events_appended);
    document_put_uint(document, "histories_broken", counters->histories_broken);
    document_put_uint(document, "damaged", counters->damaged);
    document_put_uint(document, "outgoing", counters->outgoing);
    document_put_uint(document, "outgoing_accepted", counters->outgoing_accepted);
    document_put_uint(document, "outgoing_dead", counters->outgoing_dead);
    document_put_uint(document, "outgoing_resent", counters->outgoing_resent);
    document_put_uint(document, "outdated", counters->outdated);
    document_put_uint(document, "unidentified", counters->unidentified);
    document_put_uint(document, "unexpected", counters->unexpected);
    document_put_uint(document, "unsent", counters->unsent);
    document_put_uint(document, "abandoned", counters->abandoned);
}

/* ---- lanes ---- */

/* The lanes that this broker holds. */
static uint32_t count_lanes(const router_t *router)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        count += router->lanes[i].state != LANE_FOREIGN;
    }
    return count;
}

/* The broker's role in the cluster, which tells the reader how complete the document is. */
static const char *state_name(const router_t *router)
{
    if (count_lanes(router) > 0) {
        return router_is_leased(router) ? "serving" : "unconfirmed";
    }
    bool elsewhere = !incarnation_is_none(router->holder) &&
                     !incarnation_equal(router->holder, router->config.incarnation);
    return elsewhere ? "standby" : "starting"; /* the lanes may be this broker's before long */
}

static void put_home(const router_t *router, wire_writer_t *document)
{
    const map_broker_t *home = shard_map_broker(router->map, router->holder);
    wire_put_text(document, "home");
    if (home) {
        wire_put_text(document, home->router_endpoint);
    } else {
        wire_put_nil(document);
    }
}

/* What the documents of "status" and "health" have in common. */
enum { COMMON_MEMBERS = 9 + HEALTH_MEMBERS + 3 };

static void put_common(router_t *router, bool runners, wire_writer_t *document)
{
    map_version_t version = shard_map_version(router->map);
    document_put_text(document, "cluster", router->config.cluster_name);
    document_put_incarnation(document, "broker", router->config.incarnation);
    document_put_text(document, "name", router->config.name);
    document_put_text(document, "state", state_name(router));
    put_home(router, document);
    document_put_incarnation(document, "holder", router->holder);
    document_put_bool(document, "draining", router->draining);
    document_put_uint(document, "map_term", version.term);
    document_put_uint(document, "map_sequence", version.sequence);
    health_put(router, document);
    health_put_runners(router, document);
    health_put_types(router, runners, document);
    health_put_lanes(router, document);
}

static void put_health(router_t *router, wire_writer_t *document)
{
    wire_put_map(document, COMMON_MEMBERS);
    put_common(router, false, document);
}

static void put_status(router_t *router, wire_writer_t *document)
{
    wire_put_map(document, COMMON_MEMBERS + 4);
    put_common(router, true, document);
    unregistered_put(router, document);
    put_brokers(router, document);
    put_shards(router, document);
    put_counters(router, document);
}

static void answer(router_t *router, peer_t *peer, uint64_t sequence, fabric_error_t error,
                   const char *text, fabric_bytes_t document)
{
    message_answer_t message = {.sequence = sequence,
                                .error = (uint64_t)error,
                                .text = fabric_bytes_of(text),
                                .document = document};
    message_put_answer(peer_writer(router, peer), &message);
}

void query_received(router_t *router, peer_t *peer, const message_query_t *query)
{
    wire_writer_t document = {0};
    fabric_error_t error = FABRIC_ERROR_NOT_FOUND;
    const char *text = "queries are: status, health, counters, describe, waits, drain, runner, "
                       "resume, clear, state, events, cancel, type_close, type_forget, type_open";
    if (peer->client && fabric_bytes_equal(query->name, fabric_bytes_of("waits"))) {
        client_hear_waits(peer->client, query->sequence);
        return; /* the query is answered for each call that turns out to wait */
    }
    if (fabric_bytes_equal(query->name, fabric_bytes_of("cancel"))) {
        operator_cancel_received(router, peer, query);
        return; /* it is answered when the messages have ended */
    }
    if (fabric_bytes_equal(query->name, fabric_bytes_of("events"))) {
        reader_received(router, peer, query);
        return; /* it is answered when rows are read, or an event has come */
    }
    if (!document_allowed(router)) {
        answer(router, peer, query->sequence, FABRIC_ERROR_BUSY, "too many queries at once",
               fabric_bytes(NULL, 0));
        return;
    }
    if (fabric_bytes_equal(query->name, fabric_bytes_of("status"))) {
        put_status(router, &document);
        error = FABRIC_OK;
    } else if (fabric_bytes_equal(query->name, fabric_bytes_of("health"))) {
        put_health(router, &document);
        error = FABRIC_OK;
    } else if (fabric_bytes_equal(query->name, fabric_bytes_of("counters"))) {
        wire_put_map(&document, 1);
        put_counters(router, &document);
        error = FABRIC_OK;
    } else if (fabric_bytes_equal(query->name, fabric_bytes_of("describe"))) {
        const known_type_t *type = type_find(router, query->argument);
        error = type ? FABRIC_OK : FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
        text = "no worker has registered this entity type";
        if (type) {
            type_description_put(type->description, &document);
        }
    } else if (fabric_bytes_equal(query->name, fabric_bytes_of("clear"))) {
        error = operation_clear(router, peer, query, &text);
        if (!error) {
            return; /* it is answered later */
        }
    } else if (operation_exists(query->name)) {
        error = operation_run(router, query, &document, &text);
    }
    if (document.size > LIMIT_FRAME_BYTES_MAX / 2) {
        error = FABRIC_ERROR_LIMIT_EXCEEDED;
        text = "the answer would be too long";
        wire_writer_reset(&document);
    }
    answer(router, peer, query->sequence, error, error ? text : "", wire_writer_bytes(&document));
    wire_writer_destroy(&document);
}
