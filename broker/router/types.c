/* The entity types that are registered, by name. */
#include <assert.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

known_type_t *type_find(router_t *router, fabric_bytes_t name)
{
    known_type_t *type = NULL;
    HASH_FIND(by_name, router->types, name.data, name.size, type);
    return type;
}

void type_set(router_t *router, uint16_t group, fabric_bytes_t description)
{
    wire_reader_t reader = wire_reader(description);
    type_description_t *parsed = NULL;
    if (type_description_parse(&reader, &parsed)) {
        router->counters.damaged++; /* the type stays unknown */
        return;
    }
    assert(parsed);
    if (parsed->mailbox_capacity < router->mailbox_capacity_min) {
        router->mailbox_capacity_min = parsed->mailbox_capacity;
    }
    known_type_t *type = type_find(router, fabric_bytes_of(parsed->name));
    if (type) {
        type_description_destroy(&type->description);
        type->description = parsed;
        return;
    }
    type = memory_allocate_zeroed(1, sizeof *type);
    type->description = parsed;
    type->group = group;
    type->index = HASH_CNT(by_name, router->types);
    type->fresh_until_ms = router->types_listed ? router->now_ms + router->config.lease_ms : 0;
    assert(group >= 1 && group <= LIMIT_GROUPS_MAX &&
           type->index < LIMIT_TYPES_MAX); /* as the map */
    memcpy(type->name, parsed->name, sizeof type->name);
    HASH_ADD_KEYPTR(by_name, router->types, type->name, strlen(type->name), type);
    unregistered_note_type(router, type->name);
}

void type_brought(router_t *router, fabric_bytes_t name)
{
    known_type_t *type = type_find(router, name);
    if (type) {
        type->brought = true;
    }
}

uint32_t type_concurrency(router_t *router, fabric_bytes_t name)
{
    const known_type_t *type = type_find(router, name);
    return type ? type->description->concurrency : 1;
}

uint32_t type_mailbox_capacity(router_t *router, fabric_bytes_t name)
{
    const known_type_t *type = type_find(router, name);
    return type ? type->description->mailbox_capacity : UINT32_MAX;
}

type_options_t type_options(router_t *router, fabric_bytes_t name)
{
    const known_type_t *type = type_find(router, name);
    return type ? type->description->options : (type_options_t){.failure = FAILURE_BLOCK};
}

void types_destroy(router_t *router)
{
    known_type_t *type, *next;
    HASH_ITER(by_name, router->types, type, next)
    {
        HASH_DELETE(by_name, router->types, type);
        type_description_destroy(&type->description);
        free(type);
    }
}
