/* The outgoing messages of one RESULT, and what a SENT says of their ends. schemas/protocol.md
 * describes the bytes.
 *
 *     wire_writer_t list = {0};
 *     journal_outgoing_put(&list, &message);                            writing
 *     outgoing = (journal_outgoing_t){.id = id, .count = 1, .list = wire_writer_bytes(&list)};
 *
 *     reader = journal_outgoing_open(&outgoing);                        reading
 *     while (journal_outgoing_next(&reader, &message)) { ... message.key.index ... }
 *
 * The ends of a SENT are written and read alike.
 *
 * Threading: none of its own. Views of a message point into the list.
 */
#ifndef CORE_JOURNAL_OUTGOING_H
#define CORE_JOURNAL_OUTGOING_H

#include "core/store_message.h"
#include "core/wire.h"

typedef struct journal_outgoing {
    uint64_t id;        /* see store_outgoing_key_t; 0: there are none */
    uint32_t count;     /* at most STORE_OUTGOING_MAX */
    fabric_bytes_t tag; /* of the source. Where a RESULT is written, its message tells it */
    fabric_bytes_t traceparent;
    fabric_bytes_t list; /* `count` messages, encoded, one after the other */
} journal_outgoing_t;

/* Appends one message to a list: shard, type, entity, tag, payload, primary key, time of delivery,
 * flags and headers. */
void journal_outgoing_put(wire_writer_t *list, const store_outgoing_t *message);
/* Whether the list has `count` messages and nothing else, and no more than there may be. */
bool journal_outgoing_is_sound(const journal_outgoing_t *outgoing);
/* Reads the number of messages and the list where they stand, as above, and sets both; `id` is set
 * before. The reader fails where they are not sound. */
void journal_outgoing_get(wire_reader_t *reader, journal_outgoing_t *outgoing);

typedef struct journal_outgoing_reader {
    wire_reader_t list;
    uint32_t count, next;
    uint64_t id;
} journal_outgoing_reader_t;

/* Of sound ones. */
journal_outgoing_reader_t journal_outgoing_open(const journal_outgoing_t *outgoing);
/* Sets the key, and what is in the list, of the next one. false: there are no more. */
bool journal_outgoing_next(journal_outgoing_reader_t *reader, store_outgoing_t *message);

/* ---- ends ---- */

typedef struct journal_sent {
    uint64_t id;         /* of the outgoing messages */
    uint32_t count;      /* at least 1, at most STORE_OUTGOING_MAX */
    fabric_bytes_t list; /* `count` ends, encoded, one after the other */
} journal_sent_t;

void journal_sent_put(wire_writer_t *list, const store_sent_t *end);
/* As those of outgoing messages. */
bool journal_sent_is_sound(const journal_sent_t *sent);
void journal_sent_get(wire_reader_t *reader, journal_sent_t *sent);

typedef struct journal_sent_reader {
    wire_reader_t list;
    uint32_t left;
} journal_sent_reader_t;

journal_sent_reader_t journal_sent_open(const journal_sent_t *sent);
bool journal_sent_next(journal_sent_reader_t *reader, store_sent_t *end);

#endif
