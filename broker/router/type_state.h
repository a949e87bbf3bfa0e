/* The entity types that are registered. types.c owns the struct. */
#ifndef BROKER_ROUTER_TYPE_STATE_H
#define BROKER_ROUTER_TYPE_STATE_H

#include "broker/router/router.h"
#include "core/type_description.h"

/* Within so long every broker learns of a type that is registered. */
enum { TYPE_LEARNED_MS = 60000 };

typedef struct known_type {
    char name[256];
    type_description_t *description;
    uint16_t group;
    bool brought; /* a runner that brings the type has joined this broker */
    bool closed;  /* its messages are not accepted for a while: see forgetting.h */
    /* It is not registered any more. It keeps its place, as the map's types do, and is not found.
     */
    bool forgotten;
    /* The type was registered a moment ago: runners that bring it may not have reached this broker
     * until then. 0: it has been there for longer. */
    uint64_t fresh_until_ms;
    uint32_t index; /* in the order of router->types, from 0 to LIMIT_TYPES_MAX - 1 */
    UT_hash_handle by_name;
} known_type_t;

/* NULL: no such type is registered. */
known_type_t *type_find(router_t *router, fabric_bytes_t name);
/* The type is registered in the group, or its description has changed. */
void type_set(router_t *router, uint16_t group, fabric_bytes_t description);
/* The type is not registered any more. */
void type_forget(router_t *router, fabric_bytes_t name);
/* Whether the type was registered, and is not any more. */
bool type_is_forgotten(router_t *router, fabric_bytes_t name);
/* The next registered type after this one, or the first one (NULL); NULL: there are no more. */
known_type_t *types_next(router_t *router, const known_type_t *type);
/* How many are registered. */
uint32_t types_count(router_t *router);
/* From now on messages of the type are accepted, or not. */
void type_close(router_t *router, fabric_bytes_t name, bool closed);
/* Whether they are not. */
bool type_is_closed(router_t *router, fabric_bytes_t name);
/* A runner that brings the type has joined this broker. */
void type_brought(router_t *router, fabric_bytes_t name);
/* How many handlers of one entity may be pending at once, as the type's description says; 1 for a
 * type that is not registered. */
uint32_t type_concurrency(router_t *router, fabric_bytes_t name);
/* How many messages of one entity may be in memory, as the type's description says; any number for
 * a type that is not registered. */
uint32_t type_mailbox_capacity(router_t *router, fabric_bytes_t name);
/* The options of the type; the defaults for one that is not registered. */
type_options_t type_options(router_t *router, fabric_bytes_t name);
/* Whether the type's state is persisted as it is; whether the type appends events. false as well
 * for a type that is not registered. */
bool type_persists(router_t *router, fabric_bytes_t name);
bool type_appends(router_t *router, fabric_bytes_t name);
void types_destroy(router_t *router);

#endif
