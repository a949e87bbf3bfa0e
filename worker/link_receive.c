/* What the link does with a frame from a broker. */
#include "worker/link_state.h"

#include <stdlib.h>
#include <string.h>

/* Bounds for what a welcome may set. */
#define LEASE_MS_MIN     100u
#define LEASE_MS_MAX     600000u
#define HEARTBEAT_MS_MIN 5u

void link_malformed(link_t *link, uint32_t index, fabric_error_t error)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    link_count_dropped(link);
    if (!endpoint->malformed) {
        endpoint->malformed = true;
        link_event(link, LINK_EVENT_MALFORMED, endpoint, error, (fabric_bytes_t){0});
    }
}

void link_count_dropped(link_t *link)
{
    atomic_fetch_add_explicit(&link->dropped, 1, memory_order_relaxed);
}

static void note_heard(link_endpoint_t *endpoint, uint64_t now_ms)
{
    endpoint->heard_ms = now_ms;
    atomic_store_explicit(&endpoint->lease.start_until_ms, now_ms + endpoint->lease_ms / 2,
                          memory_order_relaxed);
}

bool link_may_retry(const link_t *link, fabric_error_t error)
{
    return fabric_error_class(error) == FABRIC_CLASS_RETRY || link->welcomed_once;
}

static void refuse(link_t *link, uint32_t index, fabric_error_t error, fabric_bytes_t text,
                   uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (endpoint->phase == PHASE_WELCOMED) {
        link_lose(link, index, now_ms);
        link_want_socket(endpoint, LINK_SOCKET_REOPEN);
    } else {
        link_set_phase(endpoint, PHASE_REFUSED);
        endpoint->hello_ms =
            link_may_retry(link, error) ? now_ms + LINK_HELLO_RETRY_MS : UINT64_MAX;
    }
    link_event(link, LINK_EVENT_REFUSED, endpoint, error, text);
}

static void map_apply(link_t *link, uint32_t index, fabric_bytes_t encoded)
{
    bool changed = false;
    fabric_error_t error = shard_map_apply(link->map, encoded, &changed);
    if (error == FABRIC_ERROR_NOT_FOUND) {
        map_version_t version = shard_map_version(link->map);
        message_map_wanted_t wanted = {version.term, version.sequence};
        message_put_map_wanted(link_out(&link->endpoints[index]), &wanted);
    } else if (error != FABRIC_OK) {
        link_malformed(link, index, error);
    }
    if (changed) {
        link_follow_map(link);
    }
}

/* A second way to a broker that is connected already: it listens to the newer connection only. */
static void close_duplicates(link_t *link, uint32_t index, uint64_t now_ms)
{
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        link_endpoint_t *other = &link->endpoints[i];
        if (i != index && other->phase == PHASE_WELCOMED &&
            incarnation_equal(other->broker, link->endpoints[index].broker)) {
            link_lose(link, i, now_ms);
            link_set_phase(other, PHASE_CLOSED);
            link_want_socket(other, LINK_SOCKET_CLOSE);
        }
    }
}

static bool welcome_valid(const message_welcome_t *welcome)
{
    return welcome->cluster_id.size == 16 && welcome->broker.size == 16 &&
           welcome->shards_per_group >= 1 &&
           welcome->shards_per_group <= LIMIT_SHARDS_PER_GROUP_MAX &&
           welcome->lease_ms >= LEASE_MS_MIN && welcome->lease_ms <= LEASE_MS_MAX &&
           welcome->heartbeat_ms >= HEARTBEAT_MS_MIN &&
           welcome->heartbeat_ms <= welcome->lease_ms / 2;
}

/* FOREIGN_CLUSTER, SHARDS_MISMATCH. */
static fabric_error_t welcome_fits(const link_t *link, const message_welcome_t *welcome)
{
    if (link->cluster_known && memcmp(welcome->cluster_id.data, link->cluster_id, 16) != 0) {
        return FABRIC_ERROR_FOREIGN_CLUSTER;
    }
    if (link->config.cluster_name.size > 0 &&
        !fabric_bytes_equal(link->config.cluster_name, welcome->cluster_name)) {
        return FABRIC_ERROR_FOREIGN_CLUSTER;
    }
    if (link->cluster_known && welcome->shards_per_group != link->shards_per_group) {
        return FABRIC_ERROR_SHARDS_MISMATCH;
    }
    return FABRIC_OK;
}

static void receive_welcome(link_t *link, uint32_t index, const message_welcome_t *welcome,
                            uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (endpoint->phase != PHASE_HELLO || welcome->connection != endpoint->connection) {
        link_count_dropped(link); /* the answer to an earlier hello */
        return;
    }
    if (!welcome_valid(welcome)) {
        link_malformed(link, index, FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    fabric_error_t error = welcome_fits(link, welcome);
    if (error != FABRIC_OK) {
        refuse(link, index, error, fabric_bytes_of(fabric_error_meaning(error)), now_ms);
        return;
    }
    if (!link->cluster_known) {
        link->cluster_known = true;
        memcpy(link->cluster_id, welcome->cluster_id.data, 16);
        link->shards_per_group = (uint32_t)welcome->shards_per_group;
        shard_map_set_shards_per_group(link->map, link->shards_per_group);
    }
    link_set_phase(endpoint, PHASE_WELCOMED);
    link->welcomed_once = true;
    memcpy(endpoint->broker.bytes, welcome->broker.data, 16);
    endpoint->lease_ms = (uint32_t)welcome->lease_ms;
    endpoint->heartbeat_ms = (uint32_t)welcome->heartbeat_ms;
    note_heard(endpoint, now_ms);
    endpoint->ping_ms = now_ms;
    endpoint->map_wanted = (map_version_t){0};
    link_event(link, LINK_EVENT_WELCOMED, endpoint, FABRIC_OK, welcome->cluster_name);
    close_duplicates(link, index, now_ms);
    map_apply(link, index, welcome->map);
    if (link->leaving) {
        message_bye_t bye = {.reason = fabric_bytes_of("leaving")};
        message_put_bye(link_out(endpoint), &bye);
    }
}

/* The broker's map version, as told by its heartbeats. */
static void map_seen(link_t *link, uint32_t index, uint64_t term, uint64_t sequence)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    map_version_t own = shard_map_version(link->map);
    bool newer = term > own.term || (term == own.term && sequence > own.sequence);
    bool asked = endpoint->map_wanted.term == term && endpoint->map_wanted.sequence == sequence;
    if (newer && !asked) {
        endpoint->map_wanted = (map_version_t){term, sequence};
        message_map_wanted_t wanted = {own.term, own.sequence};
        message_put_map_wanted(link_out(endpoint), &wanted);
    }
}

static void receive_who(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (link->leaving) {
        if (endpoint->phase == PHASE_WELCOMED) {
            link_lose(link, index, now_ms);
        }
        return;
    }
    if (endpoint->phase == PHASE_WELCOMED) {
        link_lose(link, index, now_ms);
        endpoint->hello_tries = 0;
        link_say_hello(link, index, now_ms);
    }
}

static void receive_bye(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (endpoint->phase != PHASE_WELCOMED) {
        return;
    }
    link_lose(link, index, now_ms);
    if (link->leaving) {
        link_set_phase(endpoint, PHASE_LEFT);
    } else {
        /* The broker is going; it, or its successor, is greeted on a new connection. */
        link_event(link, LINK_EVENT_DISCONNECTED, endpoint, FABRIC_OK, (fabric_bytes_t){0});
        link_want_socket(endpoint, LINK_SOCKET_REOPEN);
    }
}

static fabric_error_t receive_welcomed(link_t *link, uint32_t index, message_kind_t kind,
                                       wire_reader_t *body, work_frame_t *frame, uint64_t now_ms);

/* One message; an error means that it was malformed. */
static fabric_error_t receive_message(link_t *link, uint32_t index, message_kind_t kind,
                                      wire_reader_t *body, work_frame_t *frame, uint64_t now_ms)
{
    fabric_error_t error;
    if (kind == KIND_WELCOME) {
        message_welcome_t welcome;
        if ((error = message_get_welcome(body, &welcome)) == FABRIC_OK) {
            receive_welcome(link, index, &welcome, now_ms);
        }
        return error;
    }
    if (kind == KIND_REFUSED) {
        message_refused_t refused;
        if ((error = message_get_refused(body, &refused)) == FABRIC_OK &&
            (link->endpoints[index].phase == PHASE_HELLO ||
             link->endpoints[index].phase == PHASE_WELCOMED)) {
            refuse(link, index, fabric_error_from_number(refused.error), refused.text, now_ms);
        }
        return error;
    }
    if (kind == KIND_WHO) {
        message_who_t who;
        if ((error = message_get_who(body, &who)) == FABRIC_OK) {
            receive_who(link, index, now_ms);
        }
        return error;
    }
    if (link->endpoints[index].phase != PHASE_WELCOMED) {
        link_count_dropped(link); /* of an older connection */
        return FABRIC_OK;
    }
    return receive_welcomed(link, index, kind, body, frame, now_ms);
}

static fabric_error_t receive_welcomed(link_t *link, uint32_t index, message_kind_t kind,
                                       wire_reader_t *body, work_frame_t *frame, uint64_t now_ms)
{
    union {
        message_deliver_t deliver;
        message_assign_t assign;
        message_release_t release;
        message_ping_t ping;
        message_map_t map;
        message_bye_t bye;
    } message;
    fabric_error_t error = FABRIC_ERROR_UNKNOWN_KIND; /* one that a worker is not sent */
    if (kind == KIND_DELIVER) {
        if ((error = message_get_deliver(body, &message.deliver)) == FABRIC_OK) {
            uint64_t left_ms = message.deliver.deadline_ms; /* a time of ours from here on */
            message.deliver.deadline_ms =
                left_ms > 0 && left_ms < UINT64_MAX - now_ms ? now_ms + left_ms : 0;
            link_deliver(link, index, frame, &message.deliver);
        }
    } else if (kind == KIND_ASSIGN) {
        if ((error = message_get_assign(body, &message.assign)) == FABRIC_OK) {
            link_assign(link, index, &message.assign, now_ms);
        }
    } else if (kind == KIND_RELEASE) {
        if ((error = message_get_release(body, &message.release)) == FABRIC_OK) {
            link_release(link, index, &message.release, now_ms);
        }
    } else if (kind == KIND_PING) {
        if ((error = message_get_ping(body, &message.ping)) == FABRIC_OK) {
            map_seen(link, index, message.ping.map_term, message.ping.map_sequence);
        }
    } else if (kind == KIND_MAP) {
        if ((error = message_get_map(body, &message.map)) == FABRIC_OK) {
            map_apply(link, index, message.map.map);
        }
    } else if (kind == KIND_BYE) {
        if ((error = message_get_bye(body, &message.bye)) == FABRIC_OK) {
            receive_bye(link, index, now_ms);
        }
    } else if (kind == KIND_PONG) {
        link_count_dropped(link); /* a worker's pings are not answered; one that is, does no harm */
        error = FABRIC_OK;
    }
    return error;
}

/* Whether frames of the endpoint count. */
static bool receive_alive(link_t *link, uint32_t index, uint64_t now_ms)
{
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (endpoint->phase != PHASE_WELCOMED) {
        return endpoint->phase == PHASE_HELLO;
    }
    if (now_ms - endpoint->heard_ms >= endpoint->lease_ms) {
        /* This process stood still beyond the lease: what was sent meanwhile is out of date. */
        link_tick(link, now_ms);
        return false;
    }
    return true;
}

void link_receive(link_t *link, uint32_t index, fabric_bytes_t bytes, uint64_t now_ms)
{
    wire_reader_t reader, body;
    frame_head_t head;
    if (index >= link->endpoint_count || !receive_alive(link, index, now_ms)) {
        link_count_dropped(link);
        return;
    }
    work_frame_t *frame = work_frame_new(bytes);
    fabric_error_t error = frame_open(fabric_bytes(frame->bytes, bytes.size), &reader, &head);
    if (error == FABRIC_ERROR_UNSUPPORTED_VERSION) {
        refuse(link, index, error, fabric_bytes_of(fabric_error_meaning(error)), now_ms);
    } else if (error != FABRIC_OK) {
        link_unreadable(link, index, now_ms);
    } else {
        if (link->endpoints[index].phase == PHASE_WELCOMED) {
            note_heard(&link->endpoints[index], now_ms);
        }
        link->high_id = head.high_id > link->high_id ? head.high_id : link->high_id;
        while (frame_next(&reader, &body)) {
            message_kind_t kind;
            error = message_open(&body, &kind);
            if (error == FABRIC_OK) {
                error = receive_message(link, index, kind, &body, frame, now_ms);
            }
            if (error != FABRIC_OK) {
                link_malformed(link, index, error);
            }
        }
        if (reader.failed) {
            link_unreadable(link, index, now_ms);
        }
    }
    link_flush_staged(link);
    work_frame_drop(frame);
}
