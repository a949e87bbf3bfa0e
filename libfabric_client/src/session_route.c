/* Which peer each call goes to, and when volatile ones and queries are tried again.
 *
 * A call that is CALL_WAITING is in no send list. A durable one waits in its shard's queue: see session_queue.c. A
 * volatile one or a query is in session->waiting: for its route (retry_at_ms 0) or for its own retry.
 */
#include "libfabric_client/src/session_state.h"

/* ---- shards ---- */

static shard_queue_t *new_queues(size_t count)
{
    shard_queue_t *queues = session_allocate(count, sizeof *queues);
    for (size_t i = 0; i < count; i++) {
        queues[i].peer = NO_PEER;
        queues[i].override = NO_PEER;
        queues[i].starved_at = NO_PEER;
    }
    return queues;
}

shard_queue_t *session_queue(session_t *session, shard_id_t shard)
{
    uint16_t group = shard_id_group(shard);
    assert(group <= LIMIT_GROUPS_MAX);
    if (!session->queues[group]) {
        session->queues[group] = new_queues(
            group == 0 ? UNLOCATED_QUEUES : shard_map_shards_per_group(session->map) + 1u);
    }
    return &session->queues[group][shard_id_number(shard)];
}

/* Entities of a type that the map does not know yet share a few queues, in which one call at a time
 * is under way: so their order is kept without naming predecessors of what may be another shard. */
shard_id_t session_locate(const session_t *session, const call_t *call)
{
    uint16_t group = shard_map_type_group(session->map, call->type);
    if (group == 0) {
        uint32_t hash = 2166136261u; /* FNV-1a: only spreads, never leaves the process */
        for (size_t i = 0; i < call->id.size; i++) {
            hash = (hash ^ call->id.data[i]) * 16777619u;
        }
        return shard_id_make(0, (uint16_t)(hash % UNLOCATED_QUEUES));
    }
    return shard_map_locate(session->map, group, call->id);
}

/* ---- routes ---- */

bool session_peer_is_welcome(const session_t *session, uint32_t peer)
{
    return peer != NO_PEER && session->peers[peer].state == PEER_WELCOME;
}

static uint32_t any_welcome(const session_t *session)
{
    for (uint32_t i = 0; i < session->peer_count; i++) {
        if (session_peer_is_welcome(session, i)) {
            return i;
        }
    }
    return NO_PEER;
}

static uint32_t route_by_map(session_t *session, shard_id_t shard)
{
    const map_shard_t *entry = shard_map_shard(session->map, shard);
    if (!entry || incarnation_is_none(entry->home)) {
        return entry ? NO_PEER : any_welcome(session);
    }
    uint32_t peer = session_find_broker(session, entry->home);
    if (peer != NO_PEER) {
        return peer;
    }
    const map_broker_t *broker = shard_map_broker(session->map, entry->home);
    return broker ? session_learn(session, broker->router_endpoint) : NO_PEER;
}

/* The peer for a shard, connected or not; NO_PEER where no home is known. */
uint32_t session_route(session_t *session, shard_id_t shard)
{
    shard_queue_t *queue = session_queue(session, shard);
    if (queue->generation == session->route_generation) {
        return queue->peer;
    }
    if (queue->override != NO_PEER && !session_peer_is_welcome(session, queue->override) &&
        session->now_ms >= queue->override_until_ms) {
        queue->override = NO_PEER;
    }
    queue->peer = queue->override != NO_PEER ? queue->override : route_by_map(session, shard);
    queue->generation = session->route_generation;
    return queue->peer;
}

/* ---- dispatching ---- */

void session_make_ready(session_t *session, call_t *call, uint32_t peer)
{
    call->state = CALL_READY;
    call->peer = peer;
    ready_list_append(&session->peers[peer].ready, call);
}

void session_look_for_route(session_t *session)
{
    if (session->probe_at_ms == NEVER) {
        session->probe_at_ms = session->now_ms + PROBE_MS / 2 + session_random(session, PROBE_MS);
    }
}

void session_dispatch(session_t *session, call_t *call)
{
    assert(call->state == CALL_WAITING);
    if (call->flags & REQUEST_DURABLE) {
        session_send_queue(session, session_queue(session, call->shard));
        return;
    }
    uint32_t peer = call->query ? any_welcome(session) : session_route(session, call->shard);
    if (session_peer_is_welcome(session, peer)) {
        queue_list_remove(&session->waiting, call);
        session_make_ready(session, call, peer);
    } else {
        call->retry_at_ms = 0;
        session_look_for_route(session);
    }
}

void session_take_back(session_t *session, call_t *call)
{
    assert(call->state == CALL_READY || call->state == CALL_SENT);
    if (call->state == CALL_READY) {
        ready_list_remove(&session->peers[call->peer].ready, call);
    }
    if (call->flags & REQUEST_DURABLE) {
        session_leave_windows(session, call, false);
    }
    call->state = CALL_WAITING;
    call->peer = NO_PEER;
    if (call->flags & REQUEST_DURABLE) {
        session_queue_waits(session, call);
    } else {
        session_park(session, call, 0);
    }
}

/* ---- retries ---- */

void session_park(session_t *session, call_t *call, uint64_t retry_at_ms)
{
    call->retry_at_ms = retry_at_ms;
    queue_list_append(&session->waiting, call);
}

static void retry_waiting(session_t *session)
{
    session->waiting_due_ms = NEVER;
    for (call_t *call = session->waiting.first; call;) {
        call_t *next = call->queue.next;
        if (call->retry_at_ms != 0 && call->retry_at_ms <= session->now_ms) {
            session_dispatch(session, call);
        } else if (call->retry_at_ms != 0) {
            session->waiting_due_ms = session_earlier(session->waiting_due_ms, call->retry_at_ms);
        }
        call = next;
    }
}

void session_retry_due(session_t *session)
{
    session_retry_queues(session);
    if (session->now_ms >= session->waiting_due_ms) {
        retry_waiting(session);
    }
}

/* ---- when routes change ---- */

/* The map may have learnt the call's type. */
static void relocate(session_t *session, call_t *call)
{
    shard_id_t shard = session_locate(session, call);
    if (shard_id_group(shard) == 0) {
        return;
    }
    if (call->flags & REQUEST_DURABLE) {
        if (call->state == CALL_READY) {
            session_take_back(session, call);
        }
        session_queue_leave(session, call);
        call->shard = shard;
        session_queue_enter(session, call);
    } else {
        call->shard = shard;
    }
}

/* A durable call moves with its shard's home, sent or not: the new home knows it by its key. A
 * volatile one moves only while it is unsent. */
static void fetch_back(session_t *session, call_t *call)
{
    if (!call->query && shard_id_group(call->shard) == 0) {
        relocate(session, call);
    }
    uint32_t peer = call->query ? any_welcome(session) : session_route(session, call->shard);
    bool durable = (call->flags & REQUEST_DURABLE) != 0;
    bool moved = call->peer != peer;
    if ((call->state == CALL_READY && moved) ||
        (call->state == CALL_SENT && moved && durable && session_peer_is_welcome(session, peer))) {
        session_take_back(session, call);
    }
}

void session_reroute(session_t *session)
{
    session->route_generation++;
    for (call_t *call = session->open.first; call; call = call->open.next) {
        fetch_back(session, call);
    }
    for (call_t *call = session->open.first; call;) {
        call_t *next = call->open.next;
        if (call->state == CALL_WAITING &&
            (call->flags & REQUEST_DURABLE || call->retry_at_ms == 0)) {
            session_dispatch(session, call);
        }
        call = next;
    }
}
