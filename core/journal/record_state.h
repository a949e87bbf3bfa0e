/* The bytes of one record, both ways: head and msgpack fields. Private to core/journal/;
 * schemas/protocol.md describes the bytes.
 */
#ifndef CORE_JOURNAL_RECORD_STATE_H
#define CORE_JOURNAL_RECORD_STATE_H

#include <endian.h>
#include <string.h>

#include "core/journal/record.h"
#include "core/wire.h"

/* Numbers of fixed width are big-endian, as in msgpack. */
static inline uint8_t *store_u32(uint8_t *place, uint32_t value)
{
    value = htobe32(value);
    memcpy(place, &value, sizeof value);
    return place + sizeof value;
}
static inline uint8_t *store_u64(uint8_t *place, uint64_t value)
{
    value = htobe64(value);
    memcpy(place, &value, sizeof value);
    return place + sizeof value;
}
static inline uint32_t load_u32(const uint8_t *place)
{
    uint32_t value;
    memcpy(&value, place, sizeof value);
    return be32toh(value);
}
static inline uint64_t load_u64(const uint8_t *place)
{
    uint64_t value;
    memcpy(&value, place, sizeof value);
    return be64toh(value);
}

/* The head of a record: length (of what follows it), checksum (of what follows that), kind, shard.
 */
enum {
    RECORD_LENGTH_BYTES = 4,
    RECORD_CHECKED_AT = RECORD_LENGTH_BYTES + 8,
    RECORD_HEAD_BYTES = RECORD_CHECKED_AT + 1 + 4
};

/* Each appends one whole record. */
void record_put_adopt(wire_writer_t *out, incarnation_t broker, uint64_t epoch,
                      fabric_bytes_t name);
void record_put_message(wire_writer_t *out, const store_message_t *message, uint64_t position,
                        journal_attempts_t attempts);
void record_put_move(wire_writer_t *out, const store_message_t *message, uint64_t position);
void record_put_result(wire_writer_t *out, const store_message_t *message, uint64_t position,
                       const store_reply_t *reply, const journal_effects_t *effects);
void record_put_attempt(wire_writer_t *out, const store_message_t *message, uint64_t position,
                        journal_attempts_t attempts);
void record_put_dead(wire_writer_t *out, const store_message_t *message, uint64_t position,
                     const store_reply_t *reply, journal_attempts_t attempts, uint32_t cause,
                     fabric_bytes_t text);
void record_put_clear(wire_writer_t *out, request_id_t id, shard_id_t shard, fabric_bytes_t type,
                      fabric_bytes_t entity);

void record_put_sent(wire_writer_t *out, request_id_t source, shard_id_t shard,
                     const journal_sent_t *sent);
void record_put_alive(wire_writer_t *out, const store_kept_t *kept);

/* Whether a number is that of a kind. */
bool record_kind_is_known(unsigned kind);

/* As journal_record_decode, but leaves the entity's hash to the caller, and something in `*record`
 * where it fails. */
FABRIC_MUST_USE fabric_error_t record_decode(fabric_bytes_t bytes, journal_record_t *record);

#endif
