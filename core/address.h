/* Entity addresses: (type, id, shard), their text form, and the function from id to shard.
 *
 * Text form: EntityAddress(Order, order-123, default:7). Bytes other than printable ASCII, and the
 * characters ( ) , \ and space at either end, are escaped as \xHH, so that every address has one
 * text and every text at most one address.
 */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <fabric/bytes.h>
#include <fabric/error.h>

#include "core/ids.h"
#include "core/wire.h"

typedef struct address {
    fabric_bytes_t type;   /* 1-255 bytes */
    fabric_bytes_t id;     /* 1-255 bytes */
    fabric_bytes_t group;  /* 1-255 bytes */
    uint32_t shard_number; /* 1.. */
} address_t;

/* XXH3_64bits(id) mod shards_per_group + 1, over the id's exact bytes. */
uint32_t address_shard_number(fabric_bytes_t id, uint32_t shards_per_group);
/* LIMIT_EXCEEDED unless 1-255 bytes. */
FABRIC_MUST_USE
fabric_error_t address_check_name(fabric_bytes_t name);
/* Appends the text form (not terminated). */
void address_format(const address_t *address, wire_writer_t *text);
/* Parses exactly what address_format makes, with names of 1-255 bytes and a shard number of
 * 1..LIMIT_SHARDS_PER_GROUP_MAX. The unescaped bytes are appended to `storage`; the views of
 * `address` point into it and are good until it grows next. INVALID_ARGUMENT for any other text. */
FABRIC_MUST_USE
fabric_error_t address_parse(const char *text, wire_writer_t *storage, address_t *address);
/* Writes `bytes` for a log line or a message to people into `text`, which has `max` (at least 4)
 * bytes with the terminator: printable ASCII except the backslash as it is, all other bytes as
 * \xHH, and "..." at the end of a text that was cut. */
void bytes_escape(fabric_bytes_t bytes, char *text, size_t max);

#endif
