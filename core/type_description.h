/* Type descriptions: what a worker tells the cluster about an entity type, as sent in hello.types,
 * kept in the store's entity_type table and handed to the command line.
 *
 * In msgpack: type = array [name, group, mailbox_capacity, concurrency, [message...]];
 * message = array [tag, durable, has_primary_key, request schema, reply schema]. hello.types is an
 * array of types.
 */
#ifndef CORE_TYPE_DESCRIPTION_H
#define CORE_TYPE_DESCRIPTION_H

#include "core/schema.h"

typedef struct message_description {
    char tag[256];
    bool durable;
    bool has_primary_key;
    fabric_schema_t *request;
    fabric_schema_t *reply;
} message_description_t;

typedef struct type_description {
    char name[256];
    char group[256];
    uint32_t mailbox_capacity;
    uint32_t concurrency;
    message_description_t *messages;
    size_t message_count;
} type_description_t;

/* Reads one type; bounded by LIMIT_MESSAGES_MAX, names 1..LIMIT_NAME_BYTES_MAX without NUL. The
 * result is the caller's. */
FABRIC_MUST_USE
fabric_error_t type_description_parse(wire_reader_t *reader, type_description_t **description);
void type_description_destroy(type_description_t **description);
void type_description_put(const type_description_t *description, wire_writer_t *writer);
/* The message with this tag, or NULL. Looks at all messages: a type does not have many. */
const message_description_t *type_description_message(const type_description_t *description,
                                                      fabric_bytes_t tag);
/* Whether `after` may replace `before`: it has the same group, and every message that both have is
 * compatible (see schema_compatible) and as durable as before. */
FABRIC_MUST_USE
fabric_error_t type_description_compatible(const type_description_t *before,
                                           const type_description_t *after,
                                           fabric_schema_fault_t *fault);

#endif
