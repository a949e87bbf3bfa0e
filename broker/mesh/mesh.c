/* The mesh: its life, its members, and the messages that it gets. See mesh.h. */
#include "broker/mesh/mesh.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/mesh/mesh_state.h"
#include "core/endpoint.h"
#include "core/memory.h"

#define PUBLISHED ((uint32_t)MESH_LINKS_MAX) /* in place of a link: from the holder's PUB */

mesh_t *mesh_new(const mesh_config_t *config)
{
    mesh_t *mesh = memory_allocate_zeroed(1, sizeof *mesh);
    mesh->config = *config;
    return mesh;
}

void mesh_destroy(mesh_t **at)
{
    mesh_t *mesh = *at;
    if (mesh) {
        mesh_routes_destroy(mesh);
        mesh_links_destroy(mesh);
        mesh_events_destroy(mesh);
        free(mesh);
        *at = NULL;
    }
}

/* ---- the cluster ---- */

static bool may_connect(const mesh_t *mesh, const map_broker_t *broker)
{
    reason_t reason;
    return endpoint_check(broker->router_endpoint, &reason) == FABRIC_OK &&
           !strchr(broker->router_endpoint, '*') &&
           (mesh->config.allow_plaintext || endpoint_is_local(broker->router_endpoint));
}

static void open_link(mesh_t *mesh, const map_broker_t *broker)
{
    if (may_connect(mesh, broker)) {
        mesh_link_open(mesh, broker);
    } else {
        mesh_add_event(mesh, MESH_PLAINTEXT, broker, FABRIC_ERROR_PLAINTEXT_REFUSED,
                       (fabric_bytes_t){0});
    }
}

void mesh_set_members(mesh_t *mesh, const map_broker_t *brokers, size_t count)
{
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        const mesh_link_t *link = &mesh->links[i];
        if (link->phase != LINK_FREE &&
            !map_broker_find(brokers, count, link->broker.incarnation)) {
            mesh_link_close(mesh, i);
        }
    }
    for (size_t i = 0; i < count; i++) {
        incarnation_t broker = brokers[i].incarnation;
        if (!incarnation_equal(broker, mesh->config.incarnation) &&
            mesh_link_find(mesh, broker) == MESH_LINKS_MAX) {
            open_link(mesh, &brokers[i]);
        }
    }
}

/* The link to the broker that holds the term; MESH_LINKS_MAX: there is none. */
static uint32_t holder_link(const mesh_t *mesh)
{
    return incarnation_is_none(mesh->holder) ? MESH_LINKS_MAX : mesh_link_find(mesh, mesh->holder);
}

const char *mesh_pub_endpoint(const mesh_t *mesh)
{
    uint32_t link = holder_link(mesh);
    return link < MESH_LINKS_MAX ? mesh->links[link].broker.pub_endpoint : NULL;
}

void mesh_note_id(mesh_t *mesh, uint64_t high_id)
{
    mesh->high_id = high_id;
}

void mesh_note_map(mesh_t *mesh, map_version_t version)
{
    mesh->map_version = version;
}

void mesh_want_map(mesh_t *mesh)
{
    uint32_t link = holder_link(mesh);
    if (link < MESH_LINKS_MAX) {
        mesh_link_want_map(mesh, link);
    }
}

/* The holder may have welcomed this broker before the holder was known as such. Its whole map tells
 * which owners it does not know. */
void mesh_set_holder(mesh_t *mesh, incarnation_t broker)
{
    bool changes = !incarnation_equal(mesh->holder, broker);
    mesh->holder = broker;
    if (changes) {
        mesh_want_map(mesh);
    }
}

void mesh_drain(mesh_t *mesh)
{
    mesh->draining = true;
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        if (mesh->links[i].phase == LINK_WELCOMED) {
            mesh_link_tell_state(mesh, i);
        }
    }
}

void mesh_send_owners(mesh_t *mesh, incarnation_t broker, fabric_bytes_t owners)
{
    uint32_t link = mesh_link_find(mesh, broker);
    if (link < MESH_LINKS_MAX && mesh->links[link].phase == LINK_WELCOMED) {
        mesh_link_put_owners(mesh, link, owners);
    }
}

bool mesh_send_outgoing(mesh_t *mesh, incarnation_t broker, const message_outgoing_t *message)
{
    uint32_t link = mesh_link_find(mesh, broker);
    return link < MESH_LINKS_MAX && mesh->links[link].phase == LINK_WELCOMED &&
           mesh_link_put_outgoing(mesh, link, message);
}

/* ---- relays ---- */

void mesh_relay(mesh_t *mesh, uint64_t origin, incarnation_t broker, fabric_bytes_t frame)
{
    uint32_t link = mesh_link_find(mesh, broker);
    if (link < MESH_LINKS_MAX && mesh->links[link].phase == LINK_WELCOMED) {
        mesh_route_put(mesh, link, origin, frame);
        return;
    }
    map_broker_t other = {.incarnation = broker};
    mesh_add_event(mesh, MESH_RELAY_ENDED, &other, FABRIC_ERROR_NOT_CONNECTED,
                   fabric_bytes_of("this broker is not connected to the other one"))
        ->origin = origin;
}

void mesh_forget(mesh_t *mesh, uint64_t origin)
{
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        mesh_route_forget(mesh, i, origin);
    }
}

/* ---- connections ---- */

void mesh_connected(mesh_t *mesh, uint32_t link, uint64_t now_ms)
{
    mesh->now_ms = now_ms;
    if (mesh->links[link].phase == LINK_FREE) {
        return;
    }
    mesh_link_lose(mesh, link, "the connection was made anew");
    mesh_link_greet(mesh, link);
}

void mesh_disconnected(mesh_t *mesh, uint32_t link, uint64_t now_ms)
{
    mesh->now_ms = now_ms;
    if (mesh->links[link].phase != LINK_FREE) {
        mesh_link_lose(mesh, link, "the connection broke");
    }
}

void mesh_unreadable(mesh_t *mesh, uint32_t link, uint64_t now_ms)
{
    mesh->now_ms = now_ms;
    if (mesh->links[link].phase != LINK_FREE) {
        mesh_link_note_malformed(mesh, link, FABRIC_ERROR_MALFORMED_MESSAGE);
        mesh_link_renew(mesh, link, "what it sent could not be read");
    }
}

void mesh_tick(mesh_t *mesh, uint64_t now_ms)
{
    mesh->now_ms = now_ms;
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        mesh_link_tick(mesh, i);
    }
}

uint64_t mesh_next_deadline(const mesh_t *mesh)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        uint64_t link_ms = mesh_link_deadline(mesh, i);
        deadline_ms = link_ms < deadline_ms ? link_ms : deadline_ms;
    }
    return deadline_ms;
}

/* ---- messages before the welcome ---- */

static void check_welcome(mesh_t *mesh, uint32_t index, const message_welcome_t *welcome,
                          mesh_event_t *event)
{
    const mesh_link_t *link = &mesh->links[index];
    fabric_bytes_t cluster = fabric_bytes(mesh->config.cluster_id, sizeof mesh->config.cluster_id);
    fabric_bytes_t broker =
        fabric_bytes(link->broker.incarnation.bytes, sizeof link->broker.incarnation.bytes);
    if (welcome->connection != link->connection) {
        return; /* it answers an older hello */
    }
    if (welcome->protocol != LIMIT_PROTOCOL_VERSION ||
        !fabric_bytes_equal(welcome->cluster_id, cluster)) {
        mesh_link_refuse(mesh, index, FABRIC_ERROR_FOREIGN_CLUSTER,
                         fabric_bytes_of("it belongs to another cluster"));
    } else if (!fabric_bytes_equal(welcome->broker, broker)) {
        mesh_link_refuse(mesh, index, FABRIC_ERROR_NOT_CONNECTED,
                         fabric_bytes_of("another broker answers at its endpoint"));
    } else {
        mesh_link_welcome(mesh, index, (uint32_t)welcome->heartbeat_ms);
        event->bytes = index == holder_link(mesh) ? welcome->map : (fabric_bytes_t){0};
    }
}

static fabric_error_t take_greeting(mesh_t *mesh, uint32_t index, message_kind_t kind,
                                    wire_reader_t *body, mesh_event_t *event)
{
    if (kind == KIND_WELCOME) {
        message_welcome_t welcome;
        fabric_error_t error = message_get_welcome(body, &welcome);
        if (!error) {
            check_welcome(mesh, index, &welcome, event);
        }
        return error;
    }
    if (kind == KIND_REFUSED) {
        message_refused_t refused;
        fabric_error_t error = message_get_refused(body, &refused);
        if (!error) {
            mesh_link_refuse(mesh, index, fabric_error_from_number(refused.error), refused.text);
        }
        return error;
    }
    return FABRIC_OK; /* meant for an older connection */
}

/* ---- messages after it ---- */

/* A version that is newer than this broker's map. */
static void compare_map(mesh_t *mesh, uint64_t term, uint64_t sequence)
{
    map_version_t own = mesh->map_version;
    if (term > own.term || (term == own.term && sequence > own.sequence)) {
        mesh_want_map(mesh);
    }
}

static fabric_error_t take_published(mesh_t *mesh, message_kind_t kind, wire_reader_t *body,
                                     mesh_event_t *event)
{
    if (kind == KIND_MAP) {
        message_map_t map;
        fabric_error_t error = message_get_map(body, &map);
        event->bytes = error ? (fabric_bytes_t){0} : map.map;
        return error;
    }
    if (kind == KIND_PING || kind == KIND_PONG) {
        message_ping_t ping; /* a PONG has the same fields */
        fabric_error_t error = message_get_ping(body, &ping);
        if (!error) {
            compare_map(mesh, ping.map_term, ping.map_sequence);
        }
        return error;
    }
    return FABRIC_ERROR_UNKNOWN_KIND;
}

static fabric_error_t take_tunnel(mesh_t *mesh, uint32_t index, wire_reader_t *body,
                                  mesh_event_t *event)
{
    message_tunnel_t tunnel;
    fabric_error_t error = message_get_tunnel(body, &tunnel);
    const route_t *route = error ? NULL : mesh_route_find(mesh, index, tunnel.route);
    if (route) {
        *event = (mesh_event_t){.kind = MESH_RELAYED,
                                .broker = mesh->links[index].broker.incarnation,
                                .origin = route->client.origin,
                                .bytes = tunnel.frame};
    }
    return error;
}

static fabric_error_t take_outgoing_answer(mesh_t *mesh, uint32_t index, wire_reader_t *body,
                                           mesh_event_t *event)
{
    message_outgoing_answer_t answer;
    fabric_error_t error = message_get_outgoing_answer(body, &answer);
    if (!error) {
        *event = (mesh_event_t){.kind = MESH_OUTGOING_ANSWER,
                                .broker = mesh->links[index].broker.incarnation,
                                .answer = answer};
    }
    return error;
}

static fabric_error_t take_welcomed(mesh_t *mesh, uint32_t index, message_kind_t kind,
                                    wire_reader_t *body, mesh_event_t *event)
{
    if (kind == KIND_TUNNEL) {
        return take_tunnel(mesh, index, body, event);
    }
    if (kind == KIND_OUTGOING_ANSWER) {
        return take_outgoing_answer(mesh, index, body, event);
    }
    if (kind == KIND_TUNNEL_ENDED) {
        message_tunnel_ended_t ended;
        fabric_error_t error = message_get_tunnel_ended(body, &ended);
        if (!error) {
            mesh_route_ended(mesh, index, ended.route);
        }
        return error;
    }
    if (kind == KIND_WHO) {
        mesh_link_lose(mesh, index, "the broker does not know this connection");
        mesh_link_greet(mesh, index);
        return FABRIC_OK;
    }
    if (kind == KIND_WELCOME) {
        return FABRIC_OK; /* a late answer to the hello of an older connection */
    }
    if (kind == KIND_REFUSED || kind == KIND_BYE) {
        mesh_link_renew(mesh, index, "the broker has ended the connection");
        return FABRIC_OK;
    }
    if (index == holder_link(mesh)) {
        return take_published(mesh, kind, body, event);
    }
    return kind == KIND_PING || kind == KIND_PONG || kind == KIND_MAP ? FABRIC_OK
                                                                      : FABRIC_ERROR_UNKNOWN_KIND;
}

/* ---- frames and events ---- */

/* Takes a message, which may make an event at once, or add events. */
static void take_message(mesh_t *mesh, wire_reader_t *body, mesh_event_t *event)
{
    uint32_t index = mesh->reading_link;
    message_kind_t kind = (message_kind_t)0;
    fabric_error_t error = message_open(body, &kind);
    *event = (mesh_event_t){.kind = MESH_MAP};
    if (index == PUBLISHED) {
        if (!error) {
            (void)take_published(mesh, kind, body, event);
        }
        return; /* what is missing is noticed by the version */
    }
    if (!error && mesh->links[index].phase == LINK_WELCOMED) {
        error = take_welcomed(mesh, index, kind, body, event);
    } else if (!error && mesh->links[index].phase == LINK_GREETING) {
        error = take_greeting(mesh, index, kind, body, event);
    }
    if (error) {
        mesh_link_note_malformed(mesh, index, error);
    }
}

static bool take_next_message(mesh_t *mesh, mesh_event_t *event)
{
    wire_reader_t body;
    while (mesh->reading && frame_next(&mesh->reader, &body)) {
        take_message(mesh, &body, event);
        if (event->bytes.size > 0 || event->kind == MESH_OUTGOING_ANSWER) {
            return true;
        }
    }
    if (mesh->reading && mesh->reader.failed && mesh->reading_link != PUBLISHED) {
        mesh_link_note_malformed(mesh, mesh->reading_link, FABRIC_ERROR_MALFORMED_MESSAGE);
    }
    mesh->reading = false;
    return false;
}

bool mesh_next_event(mesh_t *mesh, mesh_event_t *event)
{
    return mesh_take_event(mesh, event) || take_next_message(mesh, event) ||
           mesh_take_event(mesh, event);
}

static fabric_error_t begin_reading(mesh_t *mesh, uint32_t index, fabric_bytes_t frame)
{
    frame_head_t head;
    assert(!mesh->reading); /* all events of the last frame were pulled */
    fabric_error_t error = frame_open(frame, &mesh->reader, &head);
    mesh->reading = !error;
    mesh->reading_link = index;
    return error;
}

void mesh_receive(mesh_t *mesh, uint32_t index, fabric_bytes_t frame, uint64_t now_ms)
{
    mesh->now_ms = now_ms;
    if (mesh->links[index].phase == LINK_FREE || mesh->links[index].socket_wanted) {
        return; /* of a connection that was given up */
    }
    fabric_error_t error = begin_reading(mesh, index, frame);
    if (error) {
        mesh_link_note_malformed(mesh, index, error);
    } else {
        mesh_link_heard(mesh, index);
    }
}

void mesh_receive_published(mesh_t *mesh, fabric_bytes_t frame)
{
    (void)begin_reading(mesh, PUBLISHED, frame);
}
