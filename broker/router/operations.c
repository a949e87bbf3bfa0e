/* What operators want: that this broker drains, that runners are cordoned, drained or opened, that
 * parked entities are resumed, and entities cleared (clearing.c), and that types are forgotten
 * (forgetting.c).
 * The standing of a runner lives with the runner, which tells it to each broker.
 */
#include "broker/router/operations.h"

#include <utlist.h>

#include "broker/router/clearing.h"
#include "broker/router/failing.h"
#include "broker/router/forgetting.h"
#include "broker/router/orders.h"
#include "broker/router/router_state.h"
#include "core/address.h"

/* ---- this broker ---- */

/* Whether another broker is there that could take over the lanes of this one. */
static bool has_successor(const router_t *router)
{
    const member_t *member;
    LL_FOREACH(router->members, member)
    {
        if (member->peer && !member->draining) {
            return true;
        }
    }
    return false;
}

static fabric_error_t drain(router_t *router, wire_writer_t *answer, const char **text)
{
    if (!router->draining && !has_successor(router)) {
        *text = "no other broker is connected that could take over the lanes of this one";
        return FABRIC_ERROR_NO_SUCCESSOR;
    }
    router->drain_asked = true;
    char broker[33];
    wire_put_map(answer, 1);
    wire_put_text(answer, "draining");
    wire_put_text(answer, incarnation_text(router->config.incarnation, broker));
    return FABRIC_OK;
}

bool router_drain_asked(const router_t *router)
{
    return router->drain_asked;
}

/* ---- runners ---- */

/* The argument: array(2) of a runner id and a standing. */
static bool read_order(fabric_bytes_t argument, incarnation_t *id, runner_standing_t *standing)
{
    wire_reader_t reader = wire_reader(argument);
    uint32_t count = wire_get_array(&reader);
    fabric_bytes_t bytes = wire_get_bin(&reader);
    uint64_t number = wire_get_uint(&reader);
    if (wire_finish(&reader) || count != 2 || bytes.size != sizeof id->bytes ||
        !runner_standing_is(number)) {
        return false;
    }
    memcpy(id->bytes, bytes.data, sizeof id->bytes);
    *standing = (runner_standing_t)number;
    return true;
}

static fabric_error_t order_runner(router_t *router, fabric_bytes_t argument, wire_writer_t *answer,
                                   const char **text)
{
    incarnation_t id;
    runner_standing_t standing;
    if (!read_order(argument, &id, &standing)) {
        *text = "the argument is an array of a runner id and a standing";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const runner_t *runner = runner_find(router, id);
    if (!runner || !runner->peer || runner->state != RUNNER_JOINED) {
        *text = "the runner is not connected to this broker, or leaves";
        return FABRIC_ERROR_NOT_FOUND;
    }
    message_put_runner_order(peer_writer(router, runner->peer),
                             &(message_runner_order_t){standing});
    wire_put_map(answer, 1);
    wire_put_text(answer, "ordered");
    wire_put_text(answer, runner_standing_name(standing));
    return FABRIC_OK;
}

fabric_error_t standing_received(router_t *router, runner_t *runner,
                                 const message_runner_standing_t *message)
{
    if (!runner_standing_is(message->standing)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    runner_standing_t standing = (runner_standing_t)message->standing;
    if (runner_set_standing(runner, standing)) {
        router_order_t order = {
            .kind = ROUTER_RUNNER_STANDING, .runner = runner->incarnation, .standing = standing};
        memcpy(order.name, runner->name, sizeof order.name);
        order_add(router, &order);
    }
    return FABRIC_OK;
}

/* ---- entities ---- */

/* The argument: array(2) of a type and an id, as bytes. */
static bool read_entity(fabric_bytes_t argument, fabric_bytes_t *type, fabric_bytes_t *id)
{
    wire_reader_t reader = wire_reader(argument);
    uint32_t count = wire_get_array(&reader);
    *type = wire_get_bin(&reader);
    *id = wire_get_bin(&reader);
    return !wire_finish(&reader) && count == 2 && type->size >= 1 &&
           type->size <= LIMIT_NAME_BYTES_MAX && id->size >= 1 && id->size <= LIMIT_NAME_BYTES_MAX;
}

static fabric_error_t resume(router_t *router, fabric_bytes_t argument, wire_writer_t *answer,
                             const char **text)
{
    fabric_bytes_t type, id;
    request_id_t message;
    if (!read_entity(argument, &type, &id)) {
        *text = "the argument is an array of an entity's type and id";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    entity_t *entity = mailbox_find(router, type, id);
    if (!entity || failing_resume(router, entity, &message) != FABRIC_OK) {
        *text = "the entity is not parked at this broker";
        return FABRIC_ERROR_NOT_FOUND;
    }
    wire_put_map(answer, 1);
    wire_put_text(answer, "resumed");
    wire_put_uint(answer, message.value);
    return FABRIC_OK;
}

fabric_error_t operation_clear(router_t *router, const peer_t *peer, const message_query_t *query,
                               const char **text)
{
    fabric_bytes_t type, id;
    if (!read_entity(query->argument, &type, &id)) {
        *text = "the argument is an array of an entity's type and id";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    return clear_begin(router, peer, query->sequence, type, id, text);
}

/* The persisted state of an entity of a shard whose home this broker is, as it is stored. One that
 * memory does not know is read: whoever asks is to ask again. */
static fabric_error_t show_state(router_t *router, fabric_bytes_t argument, wire_writer_t *answer,
                                 const char **text)
{
    fabric_bytes_t type, id;
    if (!read_entity(argument, &type, &id)) {
        *text = "the argument is an array of an entity's type and id";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    const known_type_t *known = type_find(router, type);
    if (!known) {
        *text = "no worker has registered this entity type";
        return FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
    }
    uint32_t number = address_shard_number(id, router->config.shards_per_group);
    const shard_t *shard = shard_find(router, shard_id_make(known->group, (uint16_t)number));
    if (!shard || !shard_is_home(shard)) {
        *text = "this broker is not the home of the entity's shard";
        return FABRIC_ERROR_NOT_FOUND;
    }
    const state_value_t *value = NULL;
    if (!persisted_look(router, shard->id, type, id, &value)) {
        *text = "the state is not known here yet: ask again";
        return FABRIC_ERROR_BUSY;
    }
    wire_put_map(answer, value ? 3 : 1);
    wire_put_text(answer, "stored");
    wire_put_bool(answer, value);
    if (value) {
        wire_put_text(answer, "version");
        wire_put_uint(answer, value->row.version);
        wire_put_text(answer, "state");
        wire_put_bin(answer, value->row.state);
    }
    return FABRIC_OK;
}

/* ---- queries ---- */

bool operation_exists(fabric_bytes_t name)
{
    return fabric_bytes_equal(name, fabric_bytes_of("drain")) ||
           fabric_bytes_equal(name, fabric_bytes_of("runner")) ||
           fabric_bytes_equal(name, fabric_bytes_of("resume")) ||
           fabric_bytes_equal(name, fabric_bytes_of("state")) || forgetting_knows(name);
}

fabric_error_t operation_run(router_t *router, const message_query_t *query, wire_writer_t *answer,
                             const char **text)
{
    if (fabric_bytes_equal(query->name, fabric_bytes_of("drain"))) {
        return drain(router, answer, text);
    }
    if (fabric_bytes_equal(query->name, fabric_bytes_of("resume"))) {
        return resume(router, query->argument, answer, text);
    }
    if (fabric_bytes_equal(query->name, fabric_bytes_of("state"))) {
        return show_state(router, query->argument, answer, text);
    }
    if (forgetting_knows(query->name)) {
        return forgetting_run(router, query, answer, text);
    }
    return order_runner(router, query->argument, answer, text);
}
