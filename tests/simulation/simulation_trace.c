/* Frames of the simulation for people who read a trace. */
#include "tests/simulation/simulation_network.h"

#include <stdio.h>

#include "core/message.h"

typedef unsigned long long ull;

static void print_request(wire_reader_t *body)
{
    message_request_t m;
    if (!message_get_request(body, &m)) {
        fprintf(stderr, " #%llu flags %llu after %llu floor %llu %.*s", (ull)m.sequence,
                (ull)m.flags, (ull)m.predecessor, (ull)m.floor, (int)m.id.size,
                (const char *)m.id.data);
    }
}

static void print_to_client(message_kind_t kind, wire_reader_t *body)
{
    message_accepted_t accepted;
    message_reply_t reply;
    message_rejected_t rejected;
    message_redirect_t redirect;
    if (kind == KIND_ACCEPTED && !message_get_accepted(body, &accepted)) {
        fprintf(stderr, " #%llu id %llu", (ull)accepted.sequence, (ull)accepted.request_id);
    } else if (kind == KIND_REPLY && !message_get_reply(body, &reply)) {
        fprintf(stderr, " #%llu id %llu status %llu", (ull)reply.sequence, (ull)reply.request_id,
                (ull)reply.status);
    } else if (kind == KIND_REJECTED && !message_get_rejected(body, &rejected)) {
        fprintf(stderr, " #%llu %s", (ull)rejected.sequence,
                fabric_error_name(fabric_error_from_number(rejected.error)));
    } else if (kind == KIND_REDIRECT && !message_get_redirect(body, &redirect)) {
        fprintf(stderr, " #%llu '%.*s'", (ull)redirect.sequence, (int)redirect.endpoint.size,
                (const char *)redirect.endpoint.data);
    }
}

static void print_of_shard(message_kind_t kind, wire_reader_t *body)
{
    message_assign_t assign;
    message_release_t release;
    message_deliver_t deliver;
    message_result_t result;
    if (kind == KIND_ASSIGN && !message_get_assign(body, &assign)) {
        fprintf(stderr, " %llu (%llu,%llu)", (ull)assign.shard & 0xffff, (ull)assign.home_epoch,
                (ull)assign.owner_sequence);
    } else if (kind == KIND_RELEASE && !message_get_release(body, &release)) {
        fprintf(stderr, " %llu (%llu,%llu)", (ull)release.shard & 0xffff, (ull)release.home_epoch,
                (ull)release.owner_sequence);
    } else if (kind == KIND_DELIVER && !message_get_deliver(body, &deliver)) {
        fprintf(stderr, " %llu (%llu,%llu) act %llu id %llu delivery %llu attempt %llu",
                (ull)deliver.shard & 0xffff, (ull)deliver.home_epoch, (ull)deliver.owner_sequence,
                (ull)deliver.activation, (ull)deliver.request_id, (ull)deliver.delivery,
                (ull)deliver.attempt);
    } else if (kind == KIND_RESULT && !message_get_result(body, &result)) {
        fprintf(stderr, " %llu (%llu,%llu) act %llu id %llu status %llu error %llu",
                (ull)result.shard & 0xffff, (ull)result.home_epoch, (ull)result.owner_sequence,
                (ull)result.activation, (ull)result.request_id, (ull)result.status,
                (ull)result.error);
    }
}

static void print_other(message_kind_t kind, wire_reader_t *body)
{
    message_hello_t hello;
    message_welcome_t welcome;
    message_refused_t refused;
    if (kind == KIND_HELLO && !message_get_hello(body, &hello)) {
        fprintf(stderr, " connection %llu", (ull)hello.connection);
    } else if (kind == KIND_WELCOME && !message_get_welcome(body, &welcome)) {
        fprintf(stderr, " connection %llu", (ull)welcome.connection);
    } else if (kind == KIND_REFUSED && !message_get_refused(body, &refused)) {
        fprintf(stderr, " %s %.*s", fabric_error_name(fabric_error_from_number(refused.error)),
                (int)refused.text.size, (const char *)refused.text.data);
    }
}

static const char *const kind_names[] = {
    [PROCESS_CLIENT] = "client", [PROCESS_WORKER] = "worker", [PROCESS_BROKER] = "broker"};

fabric_bytes_t network_inner_frame(message_kind_t kind, wire_reader_t *body)
{
    message_relay_t relay;
    message_relayed_t relayed;
    message_tunnel_t tunnel;
    if (kind == KIND_RELAY && !message_get_relay(body, &relay)) {
        return relay.frame;
    }
    if (kind == KIND_RELAYED && !message_get_relayed(body, &relayed)) {
        return relayed.frame;
    }
    if (kind == KIND_TUNNEL && !message_get_tunnel(body, &tunnel)) {
        return tunnel.frame;
    }
    return (fabric_bytes_t){NULL, 0};
}

static void print_body(message_kind_t kind, wire_reader_t *body)
{
    if (kind == KIND_REQUEST) {
        print_request(body);
    } else if (kind >= KIND_ASSIGN) {
        print_of_shard(kind, body);
    } else if (kind >= KIND_ACCEPTED) {
        print_to_client(kind, body);
    } else {
        print_other(kind, body);
    }
}

void network_trace(const char *what, const channel_t *connection, size_t direction,
                   fabric_bytes_t frame)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    if (!world.trace || frame_open(frame, &reader, &head)) {
        return;
    }
    while (frame_next(&reader, &body)) {
        if (message_open(&body, &kind)) {
            continue;
        }
        fprintf(stderr, "%12.3f   %s %s%u %s broker%u [%llu] %s", (double)world.now_us / 1000.0,
                what, kind_names[connection->peer->kind], connection->peer->index,
                direction == TO_BROKER ? "->" : "<-", connection->broker->index,
                (ull)connection->routing, message_kind_name(kind));
        wire_reader_t again = body;
        print_body(kind, &body);
        fputc('\n', stderr);
        network_trace(what, connection, direction, network_inner_frame(kind, &again));
    }
}
