/* One message as the router keeps it: see message_record.h. */
#include "broker/message_record.h"

#include "broker/memory_cache.h"
#include "core/message.h"

static const state_description_t states[] = {
    [MESSAGE_NEW] = {"new", STATE_BIT(MESSAGE_IN_LANE) | STATE_BIT(MESSAGE_QUEUED) |
                                STATE_BIT(MESSAGE_OVERFLOWED) | STATE_BIT(MESSAGE_STORED) |
                                STATE_BIT(MESSAGE_SCHEDULED) | STATE_BIT(MESSAGE_RESULT) |
                                STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_IN_LANE] = {"in_lane", STATE_BIT(MESSAGE_QUEUED) | STATE_BIT(MESSAGE_OVERFLOWED) |
                                        STATE_BIT(MESSAGE_SCHEDULED)},
    [MESSAGE_QUEUED] = {"queued", STATE_BIT(MESSAGE_IN_FLIGHT) | STATE_BIT(MESSAGE_RESULT) |
                                      STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_IN_FLIGHT] = {"in_flight", STATE_BIT(MESSAGE_QUEUED) | STATE_BIT(MESSAGE_RESULT) |
                                            STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_RESULT] = {"result", STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_OVERFLOWED] = {"overflowed", STATE_BIT(MESSAGE_QUEUED) | STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_SCHEDULED] = {"scheduled", STATE_BIT(MESSAGE_DUE) | STATE_BIT(MESSAGE_QUEUED) |
                                            STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_DUE] = {"due", STATE_BIT(MESSAGE_QUEUED) | STATE_BIT(MESSAGE_OVERFLOWED) |
                                STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_STORED] = {"stored", STATE_BIT(MESSAGE_ENDED)},
    [MESSAGE_ENDED] = {"ended", 0},
};
const state_machine_t message_machine = {"message", states, sizeof states / sizeof *states};

static fabric_bytes_t copy(uint8_t **at, fabric_bytes_t bytes)
{
    uint8_t *start = *at;
    if (bytes.size > 0) {
        memcpy(start, bytes.data, bytes.size);
    }
    *at += bytes.size;
    return fabric_bytes(start, bytes.size);
}

message_t *message_new(const store_message_t *stored)
{
    size_t hash_size = stored->key_hash ? STORE_KEY_BYTES : 0;
    size_t size = stored->type.size + stored->entity.size + stored->tag.size +
                  stored->payload.size + stored->traceparent.size + stored->headers.size +
                  hash_size;
    message_t *message = memory_cache_allocate(sizeof *message + size);
    memset(message, 0, sizeof *message);
    message->size = (uint32_t)(sizeof *message + size);
    uint8_t *at = message->bytes;
    message->stored = *stored;
    message->position = stored->id.value;
    message->entity_hash = journal_entity_hash(stored->type, stored->entity);
    message->waiter.call = stored->call;
    message->waiter.flags = (uint8_t)stored->flags;
    message->stored.type = copy(&at, stored->type);
    message->stored.entity = copy(&at, stored->entity);
    message->stored.tag = copy(&at, stored->tag);
    message->stored.payload = copy(&at, stored->payload);
    message->stored.traceparent = copy(&at, stored->traceparent);
    message->stored.headers = copy(&at, stored->headers);
    if (hash_size > 0) {
        message->stored.key_hash = copy(&at, fabric_bytes(stored->key_hash, hash_size)).data;
    }
    return message;
}

/* The message has no reply any more. */
static void free_reply(message_t *message)
{
    if (message->reply_payload) {
        message->size -= (uint32_t)message->reply.payload.size;
        memory_cache_free(message->reply_payload, message->reply.payload.size);
        message->reply_payload = NULL;
    }
}

void message_set_reply(message_t *message, const store_reply_t *reply)
{
    uint8_t *payload = NULL;
    if (reply->payload.size > 0) {
        payload = memory_cache_allocate(reply->payload.size);
        memcpy(payload, reply->payload.data, reply->payload.size);
    }
    message->size += (uint32_t)reply->payload.size;
    free_reply(message);
    message->reply_payload = payload;
    message->reply = *reply;
    message->reply.payload = fabric_bytes(payload, reply->payload.size);
}

void message_destroy(message_t **message)
{
    if (*message) {
        while ((*message)->waiter.next) {
            message_remove_waiter(*message, (*message)->waiter.next);
        }
        free_reply(*message);
        state_value_drop(&(*message)->left);
        events_value_drop(&(*message)->events);
        told_value_destroy(&(*message)->outgoing);
        free((*message)->crash_text);
        memory_cache_free(*message, (*message)->size);
    }
    *message = NULL;
}

store_reply_t message_cleared_reply(request_id_t id, shard_id_t shard)
{
    static const char text[] = "an operator cleared the entity";
    return (store_reply_t){.id = id,
                           .shard = shard,
                           .status = STATUS_FAILURE,
                           .error = FABRIC_ERROR_CANCELLED,
                           .payload = fabric_bytes(text, sizeof text - 1)};
}

/* ---- waiters ---- */

waiter_t *message_add_waiter(message_t *message, call_key_t call)
{
    waiter_t *waiter = message_find_waiter(message, call);
    if (waiter) {
        return waiter;
    }
    waiter_t *last = &message->waiter;
    while (last->next) {
        last = last->next;
    }
    waiter = memory_allocate_zeroed(1, sizeof *waiter);
    waiter->call = call;
    waiter->flags = (uint8_t)message->stored.flags;
    last->next = waiter;
    return waiter;
}

void message_remove_waiter(message_t *message, waiter_t *waiter)
{
    waiter_t *before = &message->waiter;
    while (before->next != waiter) {
        before = before->next;
    }
    before->next = waiter->next;
    free(waiter);
}

message_t *message_chain_add(message_chain_t *chain, const store_message_t *stored,
                             journal_attempts_t attempts, const store_reply_t *reply)
{
    message_t *message = message_new(stored);
    message->attempts = attempts.attempts;
    message->crashes = attempts.crashes;
    message->counted = attempts;
    if (reply) {
        message_set_reply(message, reply);
        message_set_state(message, MESSAGE_ENDED);
    }
    *(chain->last ? &chain->last->chain : &chain->first) = message;
    chain->last = message;
    chain->bytes += message->size;
    return message;
}

void message_chain_destroy(message_t **first)
{
    while (*first) {
        message_t *message = *first;
        *first = message->chain;
        message_destroy(&message);
    }
}
