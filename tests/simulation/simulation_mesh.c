/* The mesh of a simulated broker, driven as mesh_zmq.c does: its links to the other brokers, and
 * the map that the broker with the term has published. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/simulation_broker.h"

/* ---- events ---- */

static void tell_reached(broker_life_t *life, incarnation_t broker)
{
    broker_input_t input = {.order = {.kind = ROUTER_BROKER_REACHED, .broker = broker}};
    broker_add_input(life, &input);
}

static void tell_map(broker_life_t *life, fabric_bytes_t map)
{
    broker_input_t input = {.is_map = true, .order = {.owners = malloc(map.size + 1)}};
    if (!input.order.owners) {
        abort();
    }
    memcpy(input.order.owners, map.data, map.size);
    input.order.owners_size = map.size;
    broker_add_input(life, &input);
}

static void take_events(broker_life_t *life)
{
    mesh_event_t event;
    while (mesh_next_event(life->mesh, &event)) {
        world_note("mesh.event", life->process->index, event.kind, event.error);
        switch (event.kind) {
        case MESH_RELAYED:
            router_relayed(life->router, event.origin, event.broker, event.bytes);
            break;
        case MESH_RELAY_ENDED:
            router_relay_ended(life->router, event.origin, event.broker, event.error, event.text);
            break;
        case MESH_MAP:
            tell_map(life, event.bytes);
            break;
        case MESH_REACHED:
            tell_reached(life, event.broker);
            break;
        case MESH_LOST:
            router_outgoing_lost(life->router, event.broker, process_now_ms(life->process));
            break;
        case MESH_REFUSED:
            break;
        case MESH_OUTGOING_ANSWER:
            router_outgoing_answered(life->router, event.broker, &event.answer,
                                     process_now_ms(life->process));
            break;
        case MESH_MALFORMED:
        case MESH_PLAINTEXT:
            world_fail("broker %u blames a sound broker: %s", life->process->index, event.text);
            break;
        }
    }
}

/* ---- publications ---- */

bool broker_mesh_subscribes(const broker_life_t *life, const process_t *publisher)
{
    char endpoint[BROKER_PUB_BYTES];
    const char *wanted = mesh_pub_endpoint(life->mesh);
    broker_pub_endpoint(publisher->index, endpoint);
    return wanted && strcmp(wanted, endpoint) == 0;
}

void broker_mesh_receive_published(broker_life_t *life, fabric_bytes_t frame)
{
    mesh_receive_published(life->mesh, frame);
    take_events(life);
}

/* ---- links ---- */

static void follow_sockets(broker_life_t *life)
{
    uint32_t link;
    mesh_socket_t action;
    while (mesh_next_socket(life->mesh, &link, &action)) {
        assert(link < SOCKETS_MAX);
        if (action == MESH_SOCKET_OPEN) {
            dealer_open(life->process, link, mesh_endpoint(life->mesh, link));
        } else if (life->process->dealers[link].open) {
            dealer_close(life->process, link);
        }
    }
}

static void send_outgoing(broker_life_t *life)
{
    router_outgoing_t outgoing;
    while (router_next_outgoing(life->router, &outgoing)) {
        if (!mesh_send_outgoing(life->mesh, outgoing.broker, &outgoing.message)) {
            router_outgoing_unsent(life->router, &outgoing.message, process_now_ms(life->process));
        }
    }
}

static void send_frames(broker_life_t *life)
{
    uint32_t link;
    fabric_bytes_t frame;
    mesh_note_id(life->mesh, router_high_id(life->router));
    for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
        if (life->process->dealers[i].open && mesh_is_blocked(life->mesh, i) &&
            dealer_is_writable(life->process, i)) {
            mesh_writable(life->mesh, i);
        }
    }
    while (mesh_next_frame(life->mesh, &link, &frame)) {
        if (dealer_send(life->process, link, frame)) {
            mesh_frame_sent(life->mesh, link);
        } else {
            mesh_frame_blocked(life->mesh, link);
        }
    }
}

void broker_mesh_open(broker_life_t *life, const store_cluster_t *cluster)
{
    mesh_config_t config = {
        .incarnation = life->incarnation, .secret = life->secret, .lease_ms = world.plan.lease_ms};
    memcpy(config.cluster_id, cluster->id, sizeof config.cluster_id);
    snprintf(config.cluster_name, sizeof config.cluster_name, "%s", cluster->name);
    snprintf(config.name, sizeof config.name, "broker-%u", life->process->index);
    life->mesh = mesh_new(&config);
}

void broker_mesh_relay(broker_life_t *life)
{
    router_relay_t relay;
    while (router_next_relay(life->router, &relay)) {
        world.result->relayed++;
        mesh_relay(life->mesh, relay.origin, relay.broker, relay.frame);
    }
    take_events(life);
}

void broker_mesh_turn(broker_life_t *life)
{
    uint64_t origin;
    while (router_next_gone(life->router, &origin)) {
        mesh_forget(life->mesh, origin);
    }
    mesh_tick(life->mesh, process_now_ms(life->process));
    take_events(life);
    follow_sockets(life);
    send_outgoing(life);
    send_frames(life);
}

void broker_mesh_receive(broker_life_t *life, size_t link, fabric_bytes_t frame)
{
    mesh_receive(life->mesh, (uint32_t)link, frame, process_now_ms(life->process));
    take_events(life);
}

void broker_mesh_connected(broker_life_t *life, size_t link)
{
    mesh_connected(life->mesh, (uint32_t)link, process_now_ms(life->process));
    take_events(life);
}

void broker_mesh_disconnected(broker_life_t *life, size_t link)
{
    mesh_disconnected(life->mesh, (uint32_t)link, process_now_ms(life->process));
    take_events(life);
}
