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

#ifdef __cplusplus
extern "C" {
#endif

/** A message type of an entity type. Constant data; all pointers must stay valid as long as the
 *  message type is in use. */
typedef struct fabric_message_type {
    /** Its name within the entity type, 1-255 bytes. */
    const char *tag;
    /** What the message carries; &fabric_schema_empty for nothing. */
    const fabric_schema_t *request;
    /** What the reply carries; &fabric_schema_empty for nothing. */
    const fabric_schema_t *reply;
    /** Whether the message is stored before it is delivered, and delivered again until it has a
     *  final reply. */
    bool durable;
    /** Writes the message's primary key for `request` to `key` (at most `capacity` bytes) and
     *  returns its size. NULL, or a returned 0: the message has no primary key. */
    size_t (*primary_key)(const void *request, uint8_t *key, size_t capacity);
} fabric_message_type_t;

#ifdef __cplusplus
}
#endif
#endif
