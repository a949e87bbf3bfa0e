/** @file
 * Message types: what a worker handles and a client sends, described once and shared by both,
 * usually in a header of the entity's own.
 */
#ifndef FABRIC_MESSAGE_TYPE_H
#define FABRIC_MESSAGE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/schema.h>

/** A message type of an entity type. Constant data; all pointers must stay valid as long as it is
 * in use. */
typedef struct fabric_message_type {
    const char *tag; /**< its name within the entity type, 1-255 bytes */
    const fabric_schema_t
        *request;                 /**< what the message carries; &fabric_schema_empty for nothing */
    const fabric_schema_t *reply; /**< what its reply carries; &fabric_schema_empty for nothing */
    bool durable; /**< stored before it is delivered, redelivered until it has a final reply */
    /** Writes the message's primary key for `request` to `key` (at most `capacity` bytes) and
     * returns its size; 0 or a NULL function: the message has none. */
    size_t (*primary_key)(const void *request, uint8_t *key, size_t capacity);
} fabric_message_type_t;

#endif
