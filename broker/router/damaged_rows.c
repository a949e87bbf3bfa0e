/* Damaged rows: the checks of loaded rows, and what becomes of a row that fails them. Somebody may
 * have edited the row by hand, or a disk may have lost bits. A damaged row ends as a dead letter
 * with its cause, and no entity ever sees it. All other rows go on. */
#include "broker/router/damaged_rows.h"

#include <stdio.h>

#include "broker/router/request_checks.h"
#include "broker/router/request_ids.h"
#include "broker/router/router_state.h"
#include "core/address.h"

static bool name_is_bad(fabric_bytes_t name)
{
    return name.size == 0 || name.size > LIMIT_NAME_BYTES_MAX;
}

/* What is wrong with the row's fields; NULL: nothing. */
static const char *fault_of_fields(const store_message_t *stored)
{
    if (name_is_bad(stored->type) || name_is_bad(stored->entity) || name_is_bad(stored->tag)) {
        return "entity type, id or tag is empty or over 255 bytes";
    }
    if (stored->payload.size > LIMIT_PAYLOAD_BYTES_MAX ||
        stored->headers.size > LIMIT_HEADER_BYTES_MAX ||
        stored->traceparent.size > LIMIT_TRACEPARENT_BYTES_MAX) {
        return "payload, headers or traceparent is over its limit";
    }
    if (!(stored->flags & REQUEST_DURABLE) ||
        stored->flags & ~(uint32_t)(REQUEST_FLAGS | MESSAGE_TRANSACTIONAL)) {
        return "its flags are those of no durable message";
    }
    const char *text = NULL;
    if (headers_check(stored->headers, &text)) {
        return text;
    }
    return stored->deliver_at_ms < 0 ? "its time of delivery is negative" : NULL;
}

/* What the row's type contradicts; NULL: nothing. Whether tag and payload suit the type is left to
 * the worker that gets the message: the description known here may be older or newer than the row.
 * A type that is not known here may be registered yet; its messages wait.
 */
static const char *fault_by_type(router_t *router, const store_message_t *stored)
{
    const known_type_t *type = type_find(router, stored->type);
    return type && type->group != shard_id_group(stored->shard)
               ? "its shard is in another group than its entity type"
               : NULL;
}

const char *row_fault(router_t *router, uint32_t lane, const store_message_t *stored)
{
    if (stored->id.value == 0 || request_id_is_too_high(router, stored->id)) {
        return "its request id is 0, or ahead of the time and of all that brokers have made";
    }
    if (!shard_find(router, stored->shard)) {
        return "it is in a shard that does not exist";
    }
    if (lane_number(router, stored->shard) != lane) {
        return "its shard belongs to another lane";
    }
    const char *text = fault_of_fields(stored);
    if (text) {
        return text;
    }
    if (address_shard_number(stored->entity, router->config.shards_per_group) !=
        shard_id_number(stored->shard)) {
        return "its shard is not the one of its entity id";
    }
    return fault_by_type(router, stored);
}

static void note_damage(router_t *router, const store_message_t *stored, const char *cause)
{
    router->counters.damaged++;
    if (router->damage_count == ROUTER_DAMAGES_MAX) {
        return; /* the counter has it */
    }
    router_damage_t *damage = &router->damages[router->damage_count++];
    *damage = (router_damage_t){.id = stored->id, .shard = stored->shard};
    snprintf(damage->cause, sizeof damage->cause, "%s", cause);
}

bool router_next_damage(router_t *router, router_damage_t *damage)
{
    if (router->damage_count == 0) {
        return false;
    }
    *damage = router->damages[0];
    memmove(router->damages, router->damages + 1, --router->damage_count * sizeof *damage);
    return true;
}

/* The message waits in its lane like a message with a result, but belongs to no entity. */
void row_set_aside(router_t *router, uint32_t lane, message_t *message, const char *cause)
{
    char text[LIMIT_TEXT_BYTES_MAX];
    int size = snprintf(text, sizeof text, "damaged row: %s", cause);
    store_reply_t reply = {
        .id = message->stored.id,
        .shard = message->stored.shard,
        .status = STATUS_DEFECT,
        .error = FABRIC_ERROR_DEAD_LETTER,
        .payload = fabric_bytes(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1)};
    message_set_reply(message, &reply);
    message_set_state(message, MESSAGE_RESULT);
    message_admit(router, message, NULL);
    batch_add_dead(&router->lanes[lane].batches, message, FABRIC_ERROR_DEAD_LETTER);
    note_damage(router, &message->stored, cause);
}

bool stored_reply_is_sound(router_t *router, const store_message_t *stored,
                           const store_reply_t *reply)
{
    bool ok = reply->status == STATUS_OK && reply->error == FABRIC_OK && reply->code == 0;
    bool cancelled = reply->status == STATUS_FAILURE && reply->error == FABRIC_ERROR_CANCELLED;
    bool failure =
        cancelled || ((reply->status == STATUS_FAILURE || reply->status == STATUS_TYPED_FAILURE) &&
                      reply->error == FABRIC_ERROR_ENTITY_FAILURE);
    bool defect = reply->status == STATUS_DEFECT && reply->error != 0 &&
                  (uint32_t)fabric_error_from_number(reply->error) == reply->error;
    if ((ok || failure || defect) && reply->payload.size <= LIMIT_PAYLOAD_BYTES_MAX) {
        return true;
    }
    note_damage(
        router, stored,
        "its reply has a status, error and code that do not belong together, or is too long");
    return false;
}
