/* Other brokers: which of them are members, and what they tell this one. */
#include "broker/router/brokers.h"

#include <utlist.h>

#include "broker/router/connections.h"
#include "broker/router/orders.h"
#include "broker/router/outgoing_requests.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

static bool is_listed(const broker_credential_t *brokers, size_t count, incarnation_t broker)
{
    for (size_t i = 0; i < count; i++) {
        if (incarnation_equal(brokers[i].broker, broker)) {
            return true;
        }
    }
    return false;
}

void router_members(router_t *router, const broker_credential_t *brokers, size_t count,
                    uint64_t now_ms)
{
    router->now_ms = now_ms;
    member_t *member, *next;
    LL_FOREACH_SAFE(router->members, member, next)
    {
        if (!is_listed(brokers, count, member->incarnation)) {
            if (member->peer) {
                connection_end(router, member->peer);
            }
            member_remove(router, member);
        }
    }
    for (size_t i = 0; i < count; i++) {
        incarnation_t broker = brokers[i].broker;
        if (!incarnation_equal(broker, router->config.incarnation) &&
            !member_find(router, broker)) {
            member_add(router, &brokers[i]);
        }
    }
}

static fabric_error_t state_received(router_t *router, member_t *member, wire_reader_t *body)
{
    message_broker_state_t state;
    fabric_error_t error = message_get_broker_state(body, &state);
    if (error || state.draining > 1) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    member_set_draining(member, state.draining == 1);
    order_add(router, &(router_order_t){.kind = ROUTER_BROKER_STATE,
                                        .broker = member->incarnation,
                                        .draining = state.draining == 1});
    return FABRIC_OK;
}

static fabric_error_t owners_received(router_t *router, const member_t *member, wire_reader_t *body)
{
    message_owners_t owners;
    fabric_error_t error = message_get_owners(body, &owners);
    if (error) {
        return error;
    }
    router_order_t order = {.kind = ROUTER_OWNERS,
                            .broker = member->incarnation,
                            .owners = memory_allocate(owners.owners.size),
                            .owners_size = owners.owners.size};
    memcpy(order.owners, owners.owners.data, owners.owners.size);
    order_add(router, &order);
    return FABRIC_OK;
}

fabric_error_t broker_message_received(router_t *router, peer_t *peer, message_kind_t kind,
                                       wire_reader_t *body)
{
    if (kind == KIND_BROKER_STATE) {
        return state_received(router, peer->member, body);
    }
    if (kind == KIND_OWNERS) {
        return owners_received(router, peer->member, body);
    }
    if (kind == KIND_OUTGOING) {
        message_outgoing_t outgoing;
        fabric_error_t error = message_get_outgoing(body, &outgoing);
        if (!error) {
            outgoing_request_received(router, peer, &outgoing);
        }
        return error;
    }
    if (kind == KIND_TUNNEL_ENDED) {
        message_tunnel_ended_t ended;
        fabric_error_t error = message_get_tunnel_ended(body, &ended);
        if (!error) {
            connection_end_tunnelled(router, peer, ended.route);
        }
        return error;
    }
    if (kind == KIND_BYE) {
        message_bye_t bye;
        fabric_error_t error = message_get_bye(body, &bye);
        if (!error) {
            connection_end(router, peer);
        }
        return error;
    }
    return FABRIC_ERROR_UNKNOWN_KIND;
}
