/* Types that nobody has registered: see unregistered.h. */
#include "broker/router/unregistered.h"

#include <assert.h>

#include "broker/router/document.h"
#include "broker/router/router_state.h"
#include "core/printable.h"

/* A client sends a request again much sooner than that. */
enum { RECENT_MS = 30000 };

static bool is_recent(const router_t *router, const unregistered_type_t *type)
{
    return router->now_ms - type->last_ms < RECENT_MS;
}

void unregistered_note_registration(router_t *router, uint64_t ago_ms)
{
    uint32_t hold_ms = router->config.registration_ms;
    router->unregistered.any_registered = true;
    router->unregistered.held_until_ms = router->now_ms + (ago_ms < hold_ms ? hold_ms - ago_ms : 0);
}

void unregistered_note_type(router_t *router, const char *name)
{
    unregistered_t *self = &router->unregistered;
    if (!self->any_registered) {
        unregistered_note_registration(router, 0);
    }
    for (uint32_t i = self->count; i-- > 0;) {
        if (strcmp(self->types[i].name, name) == 0) {
            self->types[i] = self->types[--self->count];
        }
    }
}

/* The entry of that name; else a new one, in place of the one that was asked for longest ago. */
static unregistered_type_t *entry_of(unregistered_t *self, const char *name)
{
    unregistered_type_t *oldest = &self->types[0];
    for (uint32_t i = 0; i < self->count; i++) {
        if (strcmp(self->types[i].name, name) == 0) {
            return &self->types[i];
        }
        oldest = self->types[i].last_ms < oldest->last_ms ? &self->types[i] : oldest;
    }
    unregistered_type_t *entry =
        self->count < UNREGISTERED_TYPES_MAX ? &self->types[self->count++] : oldest;
    *entry = (unregistered_type_t){.name = ""};
    memcpy(entry->name, name, sizeof entry->name);
    return entry;
}

void unregistered_note_request(router_t *router, fabric_bytes_t type)
{
    char text[LIMIT_NAME_BYTES_MAX + 1];
    char name[LIMIT_NAME_BYTES_MAX + 1] = "";
    assert(type.size < sizeof text);
    memcpy(text, type.data, type.size);
    text[type.size] = '\0';
    printable_copy(text, name, sizeof name);
    unregistered_type_t *entry = entry_of(&router->unregistered, name);
    if (entry->refused == 0 || !is_recent(router, entry)) {
        entry->first_ms = router->now_ms;
        entry->refused = 0;
    }
    entry->refused++;
    entry->last_ms = router->now_ms;
}

uint64_t unregistered_held_ms(const router_t *router)
{
    const unregistered_t *self = &router->unregistered;
    if (!self->any_registered) {
        return UINT64_MAX;
    }
    return self->held_until_ms > router->now_ms ? self->held_until_ms - router->now_ms : 0;
}

void unregistered_put(const router_t *router, wire_writer_t *document)
{
    const unregistered_t *self = &router->unregistered;
    uint64_t held_ms = unregistered_held_ms(router);
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        count += is_recent(router, &self->types[i]);
    }
    wire_put_text(document, "unregistered");
    wire_put_array(document, count);
    for (uint32_t i = 0; i < self->count; i++) {
        const unregistered_type_t *type = &self->types[i];
        if (is_recent(router, type)) {
            wire_put_map(document, 4);
            document_put_text(document, "name", type->name);
            document_put_uint(document, "asked_ms", router->now_ms - type->first_ms);
            document_put_uint(document, "refused", type->refused);
            wire_put_text(document, "held_ms");
            if (held_ms == UINT64_MAX) {
                wire_put_nil(document);
            } else {
                wire_put_uint(document, held_ms);
            }
        }
    }
}
