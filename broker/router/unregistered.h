/* Entity types that requests name and nobody has ever registered: how long durable requests for
 * them are held, and which ones were asked for, for people.
 *
 * Nothing of such a request is kept: its client sends it again until the type is registered, it is
 * refused for good, or its deadline is over.
 */
#ifndef BROKER_ROUTER_UNREGISTERED_H
#define BROKER_ROUTER_UNREGISTERED_H

#include "broker/router/router.h"
#include "core/limits.h"

enum { UNREGISTERED_TYPES_MAX = 16 };

typedef struct unregistered_type {
    char name[LIMIT_NAME_BYTES_MAX + 1]; /* without bytes that are not harmless text */
    uint64_t first_ms, last_ms;          /* when it was asked for */
    uint64_t refused;                    /* requests, each time that they are sent */
} unregistered_type_t;

typedef struct unregistered {
    bool any_registered;    /* a type is registered, or was */
    uint64_t held_until_ms; /* with it: durable requests are held until then */
    uint32_t count;
    unregistered_type_t types[UNREGISTERED_TYPES_MAX];
} unregistered_t;

/* The first type was registered so long ago: registration_ms counts from then on. */
void unregistered_note_registration(router_t *router, uint64_t ago_ms);
/* The broker knows a type. It may have been registered just now. */
void unregistered_note_type(router_t *router, const char *name);
/* A request for the type was refused. */
void unregistered_note_request(router_t *router, fabric_bytes_t type);
/* For how many more milliseconds durable requests are held: registration_ms from the first
 * registration in the cluster on. UINT64_MAX: nothing is registered yet. */
uint64_t unregistered_held_ms(const router_t *router);
/* "unregistered", a member of a document's map: the types that were asked for of late. */
void unregistered_put(const router_t *router, wire_writer_t *document);

#endif
