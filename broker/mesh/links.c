/* Links: the connections to other brokers, their phases, and what is due on them. */
#include <stdlib.h>

#include "broker/broker_proof.h"
#include "broker/mesh/mesh_state.h"
#include "core/memory.h"
#include "core/state_machine.h"

enum {
    HELLO_MS = 1000,      /* how long a hello may go unanswered before it is said again */
    HELLOS_MAX = 5,       /* after so many a socket is opened anew */
    REFUSED_MS = 200,     /* a broker that has just joined is not known everywhere at once */
    CONNECTING_MS = 4000, /* after which a socket is opened anew */
    REFUSALS_TOLD = 50,   /* of so many refusals the first one is told: one in 10 s */
    MAP_ASK_MS = 100,
    HEARTBEAT_MS_MIN = 10,
    OUTGOING_BYTES_MAX = 16 << 20, /* of a link's outgoing messages that wait */
    OUTGOING_FIELDS_BYTES = 256    /* of one, beside its strings */
};

static const state_description_t phases[] = {
    [LINK_FREE] = {"free", STATE_BIT(LINK_DOWN)},
    [LINK_DOWN] = {"down", STATE_BIT(LINK_FREE) | STATE_BIT(LINK_GREETING)},
    [LINK_GREETING] = {"greeting", STATE_BIT(LINK_DOWN) | STATE_BIT(LINK_GREETING) |
                                       STATE_BIT(LINK_WELCOMED) | STATE_BIT(LINK_REFUSED)},
    [LINK_WELCOMED] = {"welcomed", STATE_BIT(LINK_DOWN)},
    [LINK_REFUSED] = {"refused", STATE_BIT(LINK_DOWN) | STATE_BIT(LINK_GREETING)},
};
static const state_machine_t machine = {"mesh link", phases, sizeof phases / sizeof *phases};

static void set_phase(mesh_link_t *link, link_phase_t phase)
{
    state_machine_check(&machine, link->phase, phase);
    link->phase = phase;
}

static void want_socket(mesh_link_t *link, mesh_socket_t action)
{
    link->socket_wanted = true;
    link->socket_action = action;
}

/* ---- finding, opening and closing ---- */

uint32_t mesh_link_find(const mesh_t *mesh, incarnation_t broker)
{
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        const mesh_link_t *link = &mesh->links[i];
        if (link->phase != LINK_FREE && incarnation_equal(link->broker.incarnation, broker)) {
            return i;
        }
    }
    return MESH_LINKS_MAX;
}

/* A link whose socket is still to be closed is free: opening a socket closes the one before. */
void mesh_link_open(mesh_t *mesh, const map_broker_t *broker)
{
    for (uint32_t i = 0; i < MESH_LINKS_MAX; i++) {
        mesh_link_t *link = &mesh->links[i];
        if (link->phase == LINK_FREE) {
            link->broker = *broker;
            link->due_ms = 0;
            link->refusals = 0;
            set_phase(link, LINK_DOWN);
            want_socket(link, MESH_SOCKET_OPEN);
            mesh->link_count = i < mesh->link_count ? mesh->link_count : i + 1;
            return;
        }
    }
}

/* What waits on the connection is not sent any more. */
static void clear(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    mesh_queue_clear(&link->control);
    mesh_queue_clear(&link->outgoing);
    wire_writer_reset(&link->frame);
    link->blocked = false;
    mesh_routes_lose(mesh, index);
}

static void go_down(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    clear(mesh, index);
    if (link->phase != LINK_DOWN) {
        set_phase(link, LINK_DOWN);
    }
    link->due_ms = mesh->now_ms + CONNECTING_MS;
}

void mesh_link_close(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    mesh_link_lose(mesh, index, "the broker is no member any more");
    set_phase(link, LINK_FREE);
    want_socket(link, MESH_SOCKET_CLOSE);
}

void mesh_links_destroy(mesh_t *mesh)
{
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        mesh_queue_clear(&mesh->links[i].control);
        mesh_queue_clear(&mesh->links[i].outgoing);
        wire_writer_destroy(&mesh->links[i].frame);
    }
}

bool mesh_next_socket(mesh_t *mesh, uint32_t *index, mesh_socket_t *action)
{
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        mesh_link_t *link = &mesh->links[i];
        if (link->socket_wanted) {
            link->socket_wanted = false;
            *index = i;
            *action = link->socket_action;
            return true;
        }
    }
    return false;
}

uint32_t mesh_link_count(const mesh_t *mesh)
{
    return mesh->link_count;
}

const char *mesh_endpoint(const mesh_t *mesh, uint32_t link)
{
    return mesh->links[link].broker.router_endpoint;
}

/* ---- greeting ---- */

void mesh_link_greet(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    const mesh_config_t *config = &mesh->config;
    if (link->phase != LINK_GREETING) {
        link->hellos = 0;
    }
    set_phase(link, LINK_GREETING);
    link->hellos++;
    link->malformed = false;
    link->connection = ++mesh->connection;
    link->due_ms = mesh->now_ms + HELLO_MS;
    broker_credential_t self = {config->incarnation, config->secret};
    broker_proof_t proof = broker_proof_make(&self, link->broker.incarnation, link->connection);
    message_hello_t hello = {
        .protocol_min = LIMIT_PROTOCOL_VERSION,
        .protocol_max = LIMIT_PROTOCOL_VERSION,
        .role = ROLE_BROKER,
        .cluster_id = fabric_bytes(config->cluster_id, sizeof config->cluster_id),
        .cluster_name = fabric_bytes_of(config->cluster_name),
        .incarnation = fabric_bytes(config->incarnation.bytes, sizeof config->incarnation.bytes),
        .connection = link->connection,
        .name = fabric_bytes_of(config->name),
        .proof = fabric_bytes(proof.bytes, sizeof proof.bytes),
    };
    message_put_hello(mesh_queue_writer(&link->control, 1024), &hello);
    mesh_queue_put(&link->control);
}

void mesh_link_tell_state(mesh_t *mesh, uint32_t index)
{
    mesh_queue_t *control = &mesh->links[index].control;
    message_put_broker_state(mesh_queue_writer(control, 16),
                             &(message_broker_state_t){mesh->draining});
    mesh_queue_put(control);
}

void mesh_link_put_owners(mesh_t *mesh, uint32_t index, fabric_bytes_t owners)
{
    mesh_queue_t *control = &mesh->links[index].control;
    message_put_owners(mesh_queue_writer(control, owners.size + 16), &(message_owners_t){owners});
    mesh_queue_put(control);
}

bool mesh_link_put_outgoing(mesh_t *mesh, uint32_t index, const message_outgoing_t *message)
{
    mesh_queue_t *outgoing = &mesh->links[index].outgoing;
    if (outgoing->bytes >= OUTGOING_BYTES_MAX) {
        return false;
    }
    size_t bytes = message->type.size + message->id.size + message->tag.size +
                   message->payload.size + message->primary_key.size + message->traceparent.size +
                   message->headers.size;
    message_put_outgoing(mesh_queue_writer(outgoing, bytes + OUTGOING_FIELDS_BYTES), message);
    mesh_queue_put(outgoing);
    return true;
}

void mesh_link_welcome(mesh_t *mesh, uint32_t index, uint32_t heartbeat_ms)
{
    mesh_link_t *link = &mesh->links[index];
    set_phase(link, LINK_WELCOMED);
    link->heartbeat_ms = heartbeat_ms < HEARTBEAT_MS_MIN ? HEARTBEAT_MS_MIN : heartbeat_ms;
    link->due_ms = mesh->now_ms;
    link->map_ask_ms = 0;
    link->refusals = 0;
    mesh_link_tell_state(mesh, index);
    mesh_add_event(mesh, MESH_REACHED, &mesh->links[index].broker, FABRIC_OK, (fabric_bytes_t){0});
}

void mesh_link_refuse(mesh_t *mesh, uint32_t index, fabric_error_t error, fabric_bytes_t text)
{
    mesh_link_t *link = &mesh->links[index];
    set_phase(link, LINK_REFUSED);
    link->due_ms = mesh->now_ms + REFUSED_MS;
    if (link->refusals++ % REFUSALS_TOLD == 0) {
        mesh_add_event(mesh, MESH_REFUSED, &link->broker, error, text);
    }
}

void mesh_link_lose(mesh_t *mesh, uint32_t index, const char *why)
{
    if (mesh->links[index].phase == LINK_WELCOMED) {
        mesh_add_event(mesh, MESH_LOST, &mesh->links[index].broker, FABRIC_OK,
                       fabric_bytes_of(why));
    }
    go_down(mesh, index);
}

void mesh_link_renew(mesh_t *mesh, uint32_t index, const char *why)
{
    mesh_link_lose(mesh, index, why);
    want_socket(&mesh->links[index], MESH_SOCKET_OPEN);
}

/* ---- what is heard ---- */

void mesh_link_heard(mesh_t *mesh, uint32_t index)
{
    mesh->links[index].heard_ms = mesh->now_ms;
}

void mesh_link_note_malformed(mesh_t *mesh, uint32_t index, fabric_error_t error)
{
    mesh_link_t *link = &mesh->links[index];
    if (!link->malformed) {
        link->malformed = true;
        mesh_add_event(mesh, MESH_MALFORMED, &mesh->links[index].broker, error,
                       (fabric_bytes_t){0});
    }
}

void mesh_link_want_map(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    if (link->phase == LINK_WELCOMED && mesh->now_ms >= link->map_ask_ms) {
        message_map_wanted_t wanted = {mesh->map_version.term, mesh->map_version.sequence};
        link->map_ask_ms = mesh->now_ms + MAP_ASK_MS;
        message_put_map_wanted(mesh_queue_writer(&link->control, 32), &wanted);
        mesh_queue_put(&link->control);
    }
}

/* ---- time ---- */

static void tick_welcomed(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    if (mesh->now_ms - link->heard_ms >= mesh->config.lease_ms) {
        mesh_link_renew(mesh, index, "nothing was heard of the broker for a lease");
    } else if (link->blocked && mesh->now_ms - link->blocked_ms >= mesh->config.lease_ms) {
        mesh_link_renew(mesh, index, "the broker took nothing for a lease");
    } else if (mesh->now_ms >= link->due_ms) {
        link->due_ms = mesh->now_ms + link->heartbeat_ms;
        message_ping_t ping = {++link->ping_sequence, mesh->map_version.term,
                               mesh->map_version.sequence};
        message_put_ping(mesh_queue_writer(&link->control, 32), &ping);
        mesh_queue_put(&link->control);
    }
}

void mesh_link_tick(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    bool due = link->due_ms != 0 && mesh->now_ms >= link->due_ms;
    switch (link->phase) {
    case LINK_FREE:
        break;
    case LINK_DOWN:
        if (due) {
            want_socket(link, MESH_SOCKET_OPEN);
        }
        if (due || link->due_ms == 0) {
            link->due_ms = mesh->now_ms + CONNECTING_MS;
        }
        break;
    case LINK_GREETING:
        if (due && link->hellos >= HELLOS_MAX) {
            mesh_link_renew(mesh, index, "");
        } else if (due) {
            mesh_link_greet(mesh, index);
        }
        break;
    case LINK_REFUSED:
        if (due) {
            mesh_link_greet(mesh, index);
        }
        break;
    case LINK_WELCOMED:
        tick_welcomed(mesh, index);
        break;
    }
}

uint64_t mesh_link_deadline(const mesh_t *mesh, uint32_t index)
{
    const mesh_link_t *link = &mesh->links[index];
    uint64_t silent_ms = link->heard_ms + mesh->config.lease_ms;
    if (link->phase == LINK_FREE) {
        return UINT64_MAX;
    }
    return link->phase == LINK_WELCOMED && silent_ms < link->due_ms ? silent_ms : link->due_ms;
}

/* ---- frames ---- */

static void move_all(mesh_queue_t *queue, wire_writer_t *frame)
{
    while (mesh_queue_move(queue, frame) > 0) {
    }
}

/* Outgoing messages and routes get the room of a frame in turn. */
static void build_frame(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    move_all(&link->control, &link->frame);
    if (link->phase == LINK_WELCOMED && link->routes_first) {
        mesh_routes_move(mesh, index, &link->frame);
        move_all(&link->outgoing, &link->frame);
    } else if (link->phase == LINK_WELCOMED) {
        move_all(&link->outgoing, &link->frame);
        mesh_routes_move(mesh, index, &link->frame);
    }
    link->routes_first = !link->routes_first;
    if (link->frame.size > 0) {
        frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION, .high_id = mesh->high_id};
        frame_set_head(&link->frame, &head);
    }
}

bool mesh_next_frame(mesh_t *mesh, uint32_t *index, fabric_bytes_t *frame)
{
    for (uint32_t i = 0; i < mesh->link_count; i++) {
        uint32_t turn = (mesh->link_turn + i) % mesh->link_count;
        mesh_link_t *link = &mesh->links[turn];
        if (link->phase == LINK_FREE || link->blocked || link->socket_wanted) {
            continue;
        }
        if (link->frame.size == 0) {
            build_frame(mesh, turn);
        }
        if (link->frame.size > 0) {
            *index = turn;
            *frame = wire_writer_bytes(&link->frame);
            return true;
        }
    }
    return false;
}

void mesh_frame_sent(mesh_t *mesh, uint32_t index)
{
    wire_writer_reset(&mesh->links[index].frame);
    mesh->link_turn = index + 1;
}

void mesh_frame_blocked(mesh_t *mesh, uint32_t index)
{
    mesh_link_t *link = &mesh->links[index];
    link->blocked_ms = link->blocked ? link->blocked_ms : mesh->now_ms;
    link->blocked = true;
}

void mesh_writable(mesh_t *mesh, uint32_t index)
{
    mesh->links[index].blocked = false;
}

bool mesh_is_blocked(const mesh_t *mesh, uint32_t index)
{
    return mesh->links[index].blocked;
}
