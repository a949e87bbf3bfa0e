/* One accepted message as the router keeps it: see message_record.h. */
#include "broker/message_record.h"

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
    size_t hash_size = stored->key_hash ? 32 : 0;
    size_t size = stored->type.size + stored->entity.size + stored->tag.size +
                  stored->payload.size + stored->traceparent.size + stored->headers.size +
                  hash_size;
    message_t *message = malloc(sizeof *message + size);
    if (!message) {
        abort();
    }
    memset(message, 0, sizeof *message);
    message->size = (uint32_t)(sizeof *message + size);
    uint8_t *at = message->bytes;
    message->stored = *stored;
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

void message_set_reply(message_t *message, const store_reply_t *reply)
{
    uint8_t *payload = NULL;
    if (reply->payload.size > 0) {
        payload = malloc(reply->payload.size);
        if (!payload) {
            abort();
        }
        memcpy(payload, reply->payload.data, reply->payload.size);
    }
    message->size += (uint32_t)reply->payload.size;
    message->size -= message->reply_payload ? (uint32_t)message->reply.payload.size : 0;
    free(message->reply_payload);
    message->reply_payload = payload;
    message->reply = *reply;
    message->reply.payload = fabric_bytes(payload, reply->payload.size);
}

void message_destroy(message_t **message)
{
    if (*message) {
        free((*message)->reply_payload);
        free(*message);
    }
    *message = NULL;
}

void message_chain_add(message_chain_t *chain, const store_message_t *stored, store_tally_t tally,
                       const store_reply_t *reply)
{
    message_t *message = message_new(stored);
    message->tally = tally;
    if (reply) {
        message_set_reply(message, reply);
        message->state = MESSAGE_ENDED;
    }
    *(chain->last ? &chain->last->chain : &chain->first) = message;
    chain->last = message;
    chain->bytes += message->size;
}

void message_chain_destroy(message_t **first)
{
    while (*first) {
        message_t *message = *first;
        *first = message->chain;
        message_destroy(&message);
    }
}
