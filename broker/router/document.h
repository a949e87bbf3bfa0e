/* Members of the maps in documents: a key and its value. */
#ifndef BROKER_ROUTER_DOCUMENT_H
#define BROKER_ROUTER_DOCUMENT_H

#include "core/ids.h"
#include "core/wire.h"

static inline void document_put_text(wire_writer_t *document, const char *key, const char *value)
{
    wire_put_text(document, key);
    wire_put_text(document, value);
}

static inline void document_put_uint(wire_writer_t *document, const char *key, uint64_t value)
{
    wire_put_text(document, key);
    wire_put_uint(document, value);
}

static inline void document_put_bool(wire_writer_t *document, const char *key, bool value)
{
    wire_put_text(document, key);
    wire_put_bool(document, value);
}

/* nil where there is none. */
static inline void document_put_incarnation(wire_writer_t *document, const char *key,
                                            incarnation_t incarnation)
{
    char text[33];
    wire_put_text(document, key);
    if (incarnation_is_none(incarnation)) {
        wire_put_nil(document);
    } else {
        wire_put_text(document, incarnation_text(incarnation, text));
    }
}

#endif
