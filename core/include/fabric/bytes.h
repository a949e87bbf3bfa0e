/** @file
 * Byte views: a borrowed run of bytes with its size. A view never owns its bytes; the function that
 * hands a view out says for how long the bytes stay valid.
 */
#ifndef FABRIC_BYTES_H
#define FABRIC_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A borrowed run of bytes. */
typedef struct fabric_bytes {
    const uint8_t *data; /**< first byte; may be NULL only when size is 0 */
    size_t size;         /**< number of bytes */
} fabric_bytes_t;

/** A view of memory. */
static inline fabric_bytes_t fabric_bytes(const void *data, size_t size)
{
    fabric_bytes_t view = {(const uint8_t *)data, size};
    return view;
}

/** A view of a C string without its terminator; an empty view for NULL. */
static inline fabric_bytes_t fabric_bytes_of(const char *text)
{
    return fabric_bytes(text, text ? strlen(text) : 0);
}

/** Whether two views hold the same bytes. */
static inline bool fabric_bytes_equal(fabric_bytes_t a, fabric_bytes_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
