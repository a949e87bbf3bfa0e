/* Answers to queries: what the router knows, as msgpack documents for people and tools. */
#include "broker/router/status.h"

#include "broker/router/router_state.h"
#include "core/memory.h"

static void put_text(wire_writer_t *document, const char *key, const char *value)
{
    wire_put_text(document, key);
    wire_put_text(document, value);
}

static void put_uint(wire_writer_t *document, const char *key, uint64_t value)
{
    wire_put_text(document, key);
    wire_put_uint(document, value);
}

static void put_incarnation(wire_writer_t *document, const char *key, incarnation_t incarnation)
{
    char text[33];
    wire_put_text(document, key);
    if (incarnation_is_none(incarnation)) {
        wire_put_nil(document);
    } else {
        wire_put_text(document, incarnation_text(incarnation, text));
    }
}

static void put_brokers(const router_t *router, wire_writer_t *document)
{
    size_t count = shard_map_broker_count(router->map);
    wire_put_text(document, "brokers");
    wire_put_array(document, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const map_broker_t *broker = shard_map_broker_at(router->map, i);
        wire_put_map(document, 4);
        put_incarnation(document, "incarnation", broker->incarnation);
        put_text(document, "name", broker->name);
        put_text(document, "router", broker->router_endpoint);
        put_text(document, "pub", broker->pub_endpoint);
    }
}

static void put_runners(const router_t *router, wire_writer_t *document)
{
    wire_put_text(document, "runners");
    wire_put_array(document, HASH_CNT(by_incarnation, router->runners));
    for (const runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        wire_put_map(document, 6);
        put_incarnation(document, "incarnation", runner->incarnation);
        put_text(document, "name", runner->name);
        put_text(document, "state", runner_state_name(runner));
        put_uint(document, "weight", runner->weight);
        put_uint(document, "shards", runner->shards);
        put_uint(document, "outstanding", runner->outstanding);
    }
}

/* ---- types, and the runners that bring them ---- */

/* What one runner that is a member brings, by the indexes and groups of types. */
typedef struct bringer {
    const runner_t *runner;
    bool types[LIMIT_TYPES_MAX];
    bool groups[LIMIT_GROUPS_MAX + 1];
} bringer_t;

static void read_names(router_t *router, bringer_t *bringer)
{
    const wire_writer_t *names = &bringer->runner->types;
    for (size_t at = 0; at < names->size; at += 1u + names->data[at]) {
        const known_type_t *type =
            type_find(router, fabric_bytes(names->data + at + 1, names->data[at]));
        if (type) {
            bringer->types[type->index] = true;
            bringer->groups[type->group] = true;
        }
    }
}

/* All runners that may own shards. */
static bringer_t *find_bringers(router_t *router, size_t *count)
{
    bringer_t *bringers =
        memory_allocate_zeroed(HASH_CNT(by_incarnation, router->runners) + 1u, sizeof *bringers);
    *count = 0;
    for (const runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        if (runner->state == RUNNER_JOINED || runner->state == RUNNER_MISSING) {
            bringer_t *bringer = &bringers[(*count)++];
            bringer->runner = runner;
            read_names(router, bringer);
        }
    }
    return bringers;
}

/* Whether the runner brings a type of this type's group, and brings this type or not. */
static bool is_listed(const bringer_t *bringer, const known_type_t *type, bool bringing)
{
    return bringer->groups[type->group] && bringer->types[type->index] == bringing;
}

static void put_bringers(const known_type_t *type, const bringer_t *bringers, size_t count,
                         bool bringing, wire_writer_t *document)
{
    uint32_t listed = 0;
    for (size_t i = 0; i < count; i++) {
        listed += is_listed(&bringers[i], type, bringing);
    }
    wire_put_text(document, bringing ? "runners" : "missing");
    wire_put_array(document, listed);
    for (size_t i = 0; i < count; i++) {
        char text[33];
        if (is_listed(&bringers[i], type, bringing)) {
            wire_put_text(document, incarnation_text(bringers[i].runner->incarnation, text));
        }
    }
}

static void put_types(router_t *router, wire_writer_t *document)
{
    size_t count;
    bringer_t *bringers = find_bringers(router, &count);
    wire_put_text(document, "types");
    wire_put_array(document, HASH_CNT(by_name, router->types));
    for (const known_type_t *type = router->types; type; type = type->by_name.next) {
        wire_put_map(document, 4);
        put_text(document, "name", type->name);
        put_text(document, "group", type->description->group);
        put_bringers(type, bringers, count, true, document);
        put_bringers(type, bringers, count, false, document);
    }
    free(bringers);
}

/* ---- shards ---- */

/* The owner by the map: that of any type of the group. */
static incarnation_t find_owner(const router_t *router, shard_id_t id)
{
    incarnation_t owner = {{0}};
    for (size_t i = 0; i < shard_map_type_count(router->map) && incarnation_is_none(owner); i++) {
        owner = shard_map_owner(router->map, shard_map_type_name(router->map, i), id);
    }
    return owner;
}

static void put_shard(const router_t *router, shard_id_t id, wire_writer_t *document)
{
    const map_lane_t *lane = shard_map_lane_of(router->map, id);
    const shard_t *shard = shard_find((router_t *)router, id);
    bool ours = shard && shard->state != SHARD_FOREIGN;
    bool owned = ours && shard->owner;
    wire_put_map(document, 7);
    wire_put_text(document, "group");
    wire_put_str(document, shard_map_group_name(router->map, shard_id_group(id)));
    put_uint(document, "number", shard_id_number(id));
    put_incarnation(document, "home", ours ? router->config.incarnation : lane->home);
    put_incarnation(document, "owner", owned ? shard->owner->incarnation : find_owner(router, id));
    put_uint(document, "home_epoch", ours ? shard->token.home_epoch : lane->epoch);
    wire_put_text(document, "owner_sequence");
    if (ours) {
        wire_put_uint(document, shard->token.owner_sequence);
    } else {
        wire_put_nil(document); /* only the shard's home knows */
    }
    wire_put_text(document, "healthy");
    if (ours) {
        wire_put_bool(document, owned && shard_serves(router, shard) &&
                                    shard->state == SHARD_OWNED &&
                                    shard->owner->state == RUNNER_JOINED);
    } else {
        wire_put_nil(document);
    }
}

static void put_shards(const router_t *router, wire_writer_t *document)
{
    size_t groups = shard_map_group_count(router->map);
    wire_put_text(document, "shards");
    wire_put_array(document, (uint32_t)groups * router->config.shards_per_group);
    for (uint16_t group = 1; group <= groups; group++) {
        for (uint32_t i = 1; i <= router->config.shards_per_group; i++) {
            put_shard(router, shard_id_make(group, (uint16_t)i), document);
        }
    }
}

static void put_counters(const router_t *router, wire_writer_t *document)
{
    const router_counters_t *counters = &router->counters;
    wire_put_text(document, "counters");
    wire_put_map(document, 25);
    put_uint(document, "accepted", counters->accepted);
    put_uint(document, "ended", counters->ended);
    put_uint(document, "pending", counters->pending);
    put_uint(document, "delivered", counters->delivered);
    put_uint(document, "redelivered", counters->redelivered);
    put_uint(document, "rejected", counters->rejected);
    put_uint(document, "volatile_handled", counters->volatile_handled);
    put_uint(document, "results_refused", counters->results_refused);
    put_uint(document, "malformed", counters->malformed);
    put_uint(document, "refused", counters->refused);
    put_uint(document, "overflowed", counters->overflowed);
    put_uint(document, "dead_letters", counters->dead_letters);
    put_uint(document, "runner_deaths", counters->runner_deaths);
    put_uint(document, "crashes", counters->crashes);
    put_uint(document, "entries", counters->entries);
    put_uint(document, "journal_bytes", counters->journal_bytes);
    put_uint(document, "checkpoints", counters->checkpoints);
    put_uint(document, "stored", counters->stored);
    put_uint(document, "loaded", counters->loaded);
    put_uint(document, "damaged", counters->damaged);
    put_uint(document, "outdated", counters->outdated);
    put_uint(document, "unidentified", counters->unidentified);
    put_uint(document, "unexpected", counters->unexpected);
    put_uint(document, "unsent", counters->unsent);
    put_uint(document, "abandoned", counters->abandoned);
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

static void put_lanes(const router_t *router, wire_writer_t *document)
{
    wire_put_text(document, "lanes");
    wire_put_array(document, count_lanes(router));
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        if (lane->state != LANE_FOREIGN) {
            const checkpoint_t *checkpoint = &lane->checkpoint;
            wire_put_map(document, 6);
            put_uint(document, "number", i);
            put_text(document, "state", lane_state_name(lane));
            put_uint(document, "epoch", lane->epoch);
            put_uint(document, "entry", checkpoint->number);
            put_uint(document, "checkpoint", checkpoint->settled);
            put_uint(document, "tail_bytes", checkpoint->new_bytes + checkpoint->begun_bytes);
        }
    }
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

static void put_status(router_t *router, wire_writer_t *document)
{
    map_version_t version = shard_map_version(router->map);
    wire_put_map(document, 13);
    put_text(document, "cluster", router->config.cluster_name);
    put_incarnation(document, "broker", router->config.incarnation);
    put_text(document, "name", router->config.name);
    put_text(document, "state", state_name(router));
    put_home(router, document);
    put_uint(document, "map_term", version.term);
    put_uint(document, "map_sequence", version.sequence);
    put_brokers(router, document);
    put_runners(router, document);
    put_types(router, document);
    put_lanes(router, document);
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
    const char *text = "queries are: status, counters, describe, waits";
    if (peer->client && fabric_bytes_equal(query->name, fabric_bytes_of("waits"))) {
        client_hear_waits(peer->client, query->sequence);
        return; /* the query is answered for each call that turns out to wait */
    }
    if (!document_allowed(router)) {
        answer(router, peer, query->sequence, FABRIC_ERROR_BUSY, "too many queries at once",
               fabric_bytes(NULL, 0));
        return;
    }
    if (fabric_bytes_equal(query->name, fabric_bytes_of("status"))) {
        put_status(router, &document);
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
    }
    if (document.size > LIMIT_FRAME_BYTES_MAX / 2) {
        error = FABRIC_ERROR_LIMIT_EXCEEDED;
        text = "the answer would be too long";
        wire_writer_reset(&document);
    }
    answer(router, peer, query->sequence, error, error ? text : "", wire_writer_bytes(&document));
    wire_writer_destroy(&document);
}
