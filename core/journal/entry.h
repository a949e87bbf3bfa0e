/* Entries: making the `calls` and `body` of a journal's row from records, and reading them.
 *
 * A body is an index, with a checksum of its own, of (offset, kind, request id, entity), and then
 * the records, each with its length, kind, shard, checksum and fields. `calls` holds the call keys
 * and request ids of the entry's messages and ends, and, in the place of a call key, the entity of
 * each CLEAR: a look-up has to know it. No call has the sequence 0, which tells them apart.
 *
 * Threading: a writer belongs to one thread at a time. Readers only read.
 */
#ifndef CORE_JOURNAL_ENTRY_H
#define CORE_JOURNAL_ENTRY_H

#include "core/journal/record.h"
#include "core/store.h"

/* An entry ends with the record that brings its body to this size. */
#define JOURNAL_ENTRY_BYTES_GOAL (256u << 10)
/* One record's largest size: a frame's, less what stands around it. */
#define JOURNAL_RECORD_BYTES_MAX ((4u << 20) - (64u << 10))
/* All entries of one append. */
#define JOURNAL_APPEND_BYTES_MAX (8u << 20)

/* ---- writing ---- */

typedef struct journal_writer journal_writer_t;

journal_writer_t *journal_writer_new(void);
void journal_writer_destroy(journal_writer_t **writer);
/* Begins a new entry, and keeps the buffers. */
void journal_writer_reset(journal_writer_t *writer);

void journal_put_message(journal_writer_t *writer, const store_message_t *message,
                         uint64_t position, journal_attempts_t attempts);
/* The time of a scheduled message has come: from now on this is its position. */
void journal_put_move(journal_writer_t *writer, const store_message_t *message, uint64_t position);
/* Of `kept` its number is not written. */
void journal_put_alive(journal_writer_t *writer, const store_kept_t *kept);
/* `message`: whose end this is; `position`: its last one. Only a message with a time of delivery
 * has another one than its id. The same of the next three. */
void journal_put_result(journal_writer_t *writer, const store_message_t *message, uint64_t position,
                        const store_reply_t *reply);
/* The same, with the state of the message's entity, which its handler has changed. An empty one:
 * it has not. */
void journal_put_result_with_state(journal_writer_t *writer, const store_message_t *message,
                                   uint64_t position, const store_reply_t *reply, uint32_t version,
                                   fabric_bytes_t state);
/* The same, with all that the handler has left: see journal_effects_t. */
void journal_put_result_with_effects(journal_writer_t *writer, const store_message_t *message,
                                     uint64_t position, const store_reply_t *reply,
                                     const journal_effects_t *effects);
void journal_put_attempt(journal_writer_t *writer, const store_message_t *message,
                         uint64_t position, journal_attempts_t attempts);
void journal_put_dead(journal_writer_t *writer, const store_message_t *message, uint64_t position,
                      const store_reply_t *reply, journal_attempts_t attempts, uint32_t cause,
                      fabric_bytes_t text);
/* The entity's messages with ids below this one have ended, and their primary keys are free. */
void journal_put_clear(journal_writer_t *writer, request_id_t id, shard_id_t shard,
                       fabric_bytes_t type, fabric_bytes_t entity);
/* What became of outgoing messages of `source`, whose entity has this hash. */
void journal_put_sent(journal_writer_t *writer, request_id_t source, shard_id_t shard,
                      uint64_t entity_hash, const journal_sent_t *sent);
void journal_put_adopt(journal_writer_t *writer, incarnation_t broker, uint64_t epoch,
                       fabric_bytes_t name);

/* Puts a record that was read, as it is; it is still in its bytes. */
void journal_put_record(journal_writer_t *writer, fabric_bytes_t bytes,
                        const journal_record_t *record);
/* Puts every record that can still be found in a body whose index cannot be read. Returns how many
 * there are. */
size_t journal_salvage(journal_writer_t *writer, fabric_bytes_t body);

size_t journal_writer_count(const journal_writer_t *writer); /* of records */
size_t journal_writer_bytes(const journal_writer_t *writer); /* of the body so far, about */

/* Ends the entry: sets calls, body, log_bytes (the former plus these) and checksum; everything else
 * is set by the caller before. The views are valid until the next put or reset. The same records
 * may be sealed again, for an entry with another number. */
void journal_seal(journal_writer_t *writer, store_entry_t *entry, uint64_t log_bytes_before);
/* Sets the checksum alone, of an entry whose columns were changed. */
void journal_seal_columns(store_entry_t *entry);

/* ---- reading ---- */

/* Whether the checksum is right. */
bool journal_entry_is_sound(const store_entry_t *entry);

typedef struct journal_reader {
    fabric_bytes_t body;
    uint32_t count; /* of records */
    uint32_t next;
} journal_reader_t;

/* MALFORMED_MESSAGE where the index cannot be read; then `reason` says what is wrong. An entry
 * whose own checksum is wrong may have a sound index. An empty body has no records. */
FABRIC_MUST_USE fabric_error_t journal_reader_open(journal_reader_t *reader, fabric_bytes_t body,
                                                   reason_t *reason);

typedef enum journal_read {
    JOURNAL_READ_END,
    JOURNAL_READ_RECORD,
    JOURNAL_READ_DAMAGED, /* kind, id and entity_hash are set, from the index; the rest is lost */
    JOURNAL_READ_UNKNOWN  /* a kind that this program does not know */
} journal_read_t;

/* The next record. */
journal_read_t journal_read_next(journal_reader_t *reader, journal_record_t *record);

/* One record by itself, as in store_pending.body and store_dead_row.body. The writer collects the
 * records; the bytes of each stay valid until the next put or reset. */
fabric_bytes_t journal_record_of(journal_writer_t *writer, size_t index);
/* MALFORMED_MESSAGE, or UNKNOWN_KIND. The entity's hash of an ATTEMPT or SENT, and of a RESULT that
 * does not name its entity, stands in the index only, and is 0 here. */
FABRIC_MUST_USE fabric_error_t journal_record_decode(fabric_bytes_t bytes,
                                                     journal_record_t *record);

/* ---- calls ---- */

typedef struct journal_call {
    call_key_t call;
    request_id_t id;
    bool ended;      /* the entry holds the end of the message, else the message */
    bool clears;     /* instead: a CLEAR with this id, of the entity with the hash call.client */
    uint32_t record; /* its index in the body */
} journal_call_t;

typedef struct journal_calls_reader {
    fabric_bytes_t rest;
    bool damaged;
} journal_calls_reader_t;

journal_calls_reader_t journal_calls_open(fabric_bytes_t calls);
/* false: the end. `*damaged` says whether the calls cannot be read: then there are none. */
bool journal_calls_next(journal_calls_reader_t *reader, journal_call_t *call, bool *damaged);
/* Reads one record of a body by its index. END: there is no such record. DAMAGED without kind and
 * id: the body's index cannot be read. */
journal_read_t journal_read_at(fabric_bytes_t body, uint32_t record, journal_record_t *result);

#endif
