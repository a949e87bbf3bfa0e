/** @file
 * The name of an entity, as clients and handlers that send messages give it.
 */
#ifndef FABRIC_ENTITY_H
#define FABRIC_ENTITY_H

#include <fabric/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The name of an entity: type and id, each 1-255 bytes. Borrowed. */
typedef struct fabric_entity {
    fabric_bytes_t type; /**< entity type */
    fabric_bytes_t id;   /**< entity id, compared bytewise */
} fabric_entity_t;

/** The entity with a type and an id given as C strings. */
static inline fabric_entity_t fabric_entity(const char *type, const char *id)
{
    fabric_entity_t entity = {fabric_bytes_of(type), fabric_bytes_of(id)};
    return entity;
}

#ifdef __cplusplus
}
#endif
#endif
