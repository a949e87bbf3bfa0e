/* The entity types that are registered, by name. */
#include <assert.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* A forgotten type as well. */
static known_type_t *find_any(router_t *router, fabric_bytes_t name)
{
    known_type_t *type = NULL;
    HASH_FIND(by_name, router->types, name.data, name.size, type);
    return type;
}

known_type_t *type_find(router_t *router, fabric_bytes_t name)
{
    known_type_t *type = find_any(router, name);
    return type && !type->forgotten ? type : NULL;
}

/* Runners that bring the type may not have reached this broker yet. */
static uint64_t fresh_until(const router_t *router)
{
    return router->types_listed ? router->now_ms + router->config.lease_ms : 0;
}

/* The type has a description for the first time, or another one. */
static void describe(router_t *router, known_type_t *type, type_description_t *description)
{
    type_description_destroy(&type->description);
    type->description = description;
    if (type->forgotten) {
        type->forgotten = type->brought = false;
        type->fresh_until_ms = fresh_until(router);
        unregistered_note_type(router, type->name);
    }
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
    known_type_t *type = find_any(router, fabric_bytes_of(parsed->name));
    if (type) {
        describe(router, type, parsed);
        return;
    }
    type = memory_allocate_zeroed(1, sizeof *type);
    type->description = parsed;
    type->group = group;
    type->index = HASH_CNT(by_name, router->types);
    type->fresh_until_ms = fresh_until(router);
    assert(group >= 1 && group <= LIMIT_GROUPS_MAX &&
           type->index < LIMIT_TYPES_MAX); /* as the map */
    memcpy(type->name, parsed->name, sizeof type->name);
    HASH_ADD_KEYPTR(by_name, router->types, type->name, strlen(type->name), type);
    unregistered_note_type(router, type->name);
}

void type_forget(router_t *router, fabric_bytes_t name)
{
    known_type_t *type = find_any(router, name);
    if (type) {
        type->forgotten = true;
    }
}

bool type_is_forgotten(router_t *router, fabric_bytes_t name)
{
    const known_type_t *type = find_any(router, name);
    return type && type->forgotten;
}

known_type_t *types_next(router_t *router, const known_type_t *type)
{
    known_type_t *next = type ? type->by_name.next : router->types;
    while (next && next->forgotten) {
        next = next->by_name.next;
    }
    return next;
}

uint32_t types_count(router_t *router)
{
    uint32_t count = 0;
    for (const known_type_t *type = NULL; (type = types_next(router, type));) {
        count++;
    }
    return count;
}

void type_close(router_t *router, fabric_bytes_t name, bool closed)
{
    known_type_t *type = find_any(router, name);
    if (type && type->closed != closed) {
        type->closed = closed;
        router->closed_types += closed ? 1 : UINT32_MAX;
    }
}

bool type_is_closed(router_t *router, fabric_bytes_t name)
{
    const known_type_t *type = find_any(router, name);
    return type && type->closed;
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

bool type_persists(router_t *router, fabric_bytes_t name)
{
    const known_type_t *type = type_find(router, name);
    return type && type->description->event_count == 0 && type->description->state;
}

bool type_appends(router_t *router, fabric_bytes_t name)
{
    const known_type_t *type = type_find(router, name);
    return type && type->description->event_count > 0;
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
