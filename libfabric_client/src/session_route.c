/* Which peer the calls of a shard go to: by the map, or by a redirect that is newer than the
 * map. */
#include "libfabric_client/src/session_state.h"

enum {
    OVERRIDE_MS = 2000, /* how long a redirect to an unreachable broker is believed */
    PROBES_MAX = 15     /* without a newer map, before calls without a route go to any broker */
};

/* Entities of a type that the map does not know yet share a few queues, in which one call at a time
 * is under way: so their order is kept without naming predecessors that may belong to another
 * shard. */
shard_id_t session_locate(const session_t *session, const call_t *call)
{
    uint16_t group = shard_map_type_group(session->map, call->type);
    if (group == 0) {
        uint32_t hash = 2166136261u; /* FNV-1a: it only spreads, and never leaves the process */
        for (size_t i = 0; i < call->id.size; i++) {
            hash = (hash ^ call->id.data[i]) * 16777619u;
        }
        return shard_id_make(0, (uint16_t)(hash % UNLOCATED_QUEUES));
    }
    return shard_map_locate(session->map, group, call->id);
}

static uint32_t reach_by_way(session_t *session, const map_broker_t *broker)
{
    uint32_t known = peers_find_relayed(&session->peers, broker->incarnation);
    if (known != NO_PEER || session->peers.forward == SESSION_FORWARD_NEVER) {
        return known;
    }
    uint32_t carrier = peers_find_carrier(&session->peers, broker->incarnation);
    return carrier == NO_PEER
               ? NO_PEER
               : peers_add_relayed(&session->peers, broker->incarnation, broker->router_endpoint,
                                   carrier, session->now_ms);
}

uint32_t session_reach(session_t *session, const map_broker_t *broker)
{
    uint32_t welcomed = peers_find_broker(&session->peers, broker->incarnation);
    if (welcomed != NO_PEER) {
        return welcomed;
    }
    uint32_t direct = peers_learn(&session->peers, broker->router_endpoint);
    if (direct != NO_PEER && !peers_is_late(&session->peers, direct, session->now_ms)) {
        return direct;
    }
    uint32_t relayed = reach_by_way(session, broker);
    return relayed != NO_PEER ? relayed : direct;
}

/* The peer of a redirect that has not welcomed the client: its broker may be reached by another
 * way. */
static uint32_t reach_otherwise(session_t *session, uint32_t peer)
{
    for (size_t i = 0; i < shard_map_broker_count(session->map); i++) {
        const map_broker_t *broker = shard_map_broker_at(session->map, i);
        if (strcmp(broker->router_endpoint, session->peers.list[peer].endpoint) == 0) {
            return session_reach(session, broker);
        }
    }
    return peer;
}

static uint32_t route_by_map(session_t *session, shard_id_t shard)
{
    const map_lane_t *lane = shard_map_lane_of(session->map, shard);
    if (!lane || incarnation_is_none(lane->home)) {
        return lane ? NO_PEER : peers_any_welcomed(&session->peers);
    }
    const map_broker_t *broker = shard_map_broker(session->map, lane->home);
    return broker ? session_reach(session, broker) : peers_find_broker(&session->peers, lane->home);
}

static uint32_t route_of_shard(session_t *session, shard_id_t shard)
{
    shard_route_t *route = &shard_queues_get(&session->queues, shard)->route;
    if (route->generation == session->route_generation) {
        return route->peer;
    }
    if (route->override != NO_PEER && !peers_is_welcomed(&session->peers, route->override)) {
        route->override = session->now_ms >= route->override_until_ms
                              ? NO_PEER
                              : reach_otherwise(session, route->override);
    }
    route->peer = route->override != NO_PEER ? route->override : route_by_map(session, shard);
    if (session->probes >= PROBES_MAX && !peers_is_welcomed(&session->peers, route->peer)) {
        route->peer =
            peers_any_welcomed(&session->peers); /* which redirects the call, or takes it */
    }
    route->generation = session->route_generation;
    return route->peer;
}

/* Any broker knows whether a type is registered that the map does not have. */
static uint32_t route_to_home(session_t *session, const call_t *query)
{
    shard_id_t shard = session_locate(session, query);
    return shard_id_group(shard) == 0 ? peers_any_welcomed(&session->peers)
                                      : route_by_map(session, shard);
}

static uint32_t route_of_query(session_t *session, const call_t *query)
{
    if (call_asks_home(query)) {
        return route_to_home(session, query);
    }
    if (incarnation_is_none(query->broker)) {
        return peers_any_welcomed(&session->peers);
    }
    const map_broker_t *broker = shard_map_broker(session->map, query->broker);
    return broker ? session_reach(session, broker)
                  : peers_find_broker(&session->peers, query->broker);
}

uint32_t session_route(session_t *session, const call_t *call)
{
    return call->query ? route_of_query(session, call) : route_of_shard(session, call->shard);
}

void session_override_route(session_t *session, shard_queue_t *queue, uint32_t peer)
{
    queue->route.override = peer;
    queue->route.override_until_ms = session->now_ms + OVERRIDE_MS;
    queue->route.generation = 0;
}

void session_drop_overrides(session_t *session)
{
    for (size_t group = 0; group <= LIMIT_GROUPS_MAX; group++) {
        size_t count;
        shard_queue_t *queues = shard_queues_of_group(&session->queues, group, &count);
        for (size_t i = 0; i < count; i++) {
            queues[i].route.override = NO_PEER;
        }
    }
}

void session_forget_routes(session_t *session)
{
    session->route_generation++;
}

void session_look_for_route(session_t *session)
{
    if (session->probe_at_ms == NEVER) {
        session->probe_at_ms =
            session->now_ms + PROBE_MS / 2 + random_up_to(&session->random, PROBE_MS);
    }
}

bool session_take_probe(session_t *session)
{
    bool due = session->now_ms >= session->probe_at_ms;
    session->probes += due;
    session->probe_at_ms = due ? NEVER : session->probe_at_ms;
    return due;
}
