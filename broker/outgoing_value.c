/* Outgoing messages in memory: see outgoing_value.h. */
#include "broker/outgoing_value.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static fabric_bytes_t copy_bytes(uint8_t **at, fabric_bytes_t bytes)
{
    uint8_t *start = *at;
    if (bytes.size > 0) {
        memcpy(start, bytes.data, bytes.size);
    }
    *at += bytes.size;
    return fabric_bytes(start, bytes.size);
}

size_t outgoing_bytes(const store_outgoing_t *message)
{
    const store_outgoing_t *m = message;
    return m->source_type.size + m->source_entity.size + m->source_tag.size + m->type.size +
           m->entity.size + m->tag.size + m->payload.size + m->primary_key.size +
           m->traceparent.size + m->headers.size;
}

store_outgoing_t outgoing_put(const store_outgoing_t *message, uint8_t *bytes)
{
    store_outgoing_t copy = *message;
    uint8_t *at = bytes;
    copy.source_type = copy_bytes(&at, message->source_type);
    copy.source_entity = copy_bytes(&at, message->source_entity);
    copy.source_tag = copy_bytes(&at, message->source_tag);
    copy.type = copy_bytes(&at, message->type);
    copy.entity = copy_bytes(&at, message->entity);
    copy.tag = copy_bytes(&at, message->tag);
    copy.payload = copy_bytes(&at, message->payload);
    copy.primary_key = copy_bytes(&at, message->primary_key);
    copy.traceparent = copy_bytes(&at, message->traceparent);
    copy.headers = copy_bytes(&at, message->headers);
    return copy;
}

outgoing_copy_t *outgoing_copy_new(const store_outgoing_t *message)
{
    size_t size = sizeof(outgoing_copy_t) + outgoing_bytes(message);
    outgoing_copy_t *copy = memory_allocate(size);
    copy->size = size;
    copy->message = outgoing_put(message, copy->bytes);
    return copy;
}

void outgoing_copy_destroy(outgoing_copy_t **copy)
{
    free(*copy);
    *copy = NULL;
}

void outgoing_copies_clear(outgoing_copy_t ***copies, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        outgoing_copy_destroy(&(*copies)[i]);
    }
    free((void *)*copies);
    *copies = NULL;
    *count = 0;
}
