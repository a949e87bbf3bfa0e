/* A decoder of journals, written from schemas/protocol.md alone: it shares nothing with
 * core/journal/, whose work the checker judges.
 *
 * Threading: none of its own. What is decoded points into the bytes that were given.
 */
#ifndef TESTS_CHECKER_JOURNAL_DECODER_H
#define TESTS_CHECKER_JOURNAL_DECODER_H

#include <fabric/bytes.h>

typedef enum decoded_kind {
    DECODED_ADOPT = 1,
    DECODED_MESSAGE,
    DECODED_RESULT,
    DECODED_ATTEMPT,
    DECODED_DEAD,
    DECODED_MOVE = 10,
    DECODED_CLEAR = 12,
    DECODED_SENT,
    DECODED_ALIVE
} decoded_kind_t;

/* A record. Fields that its kind has not are zero. */
typedef struct decoded_record {
    unsigned kind;
    uint64_t id, shard, position;
    uint64_t flags, client, sequence;
    fabric_bytes_t type, entity, tag, payload, traceparent, headers, key_hash;
    int64_t deliver_at_ms;
    uint64_t attempts, crashes;
    uint64_t contents; /* RESULT: as it says; MESSAGE, MOVE, DEAD: computed */
    uint64_t status, error, code, cause;
    int64_t kept_until_ms; /* RESULT with a key_hash */
    fabric_bytes_t state;  /* RESULT that has changed its entity's state; else empty */
    uint64_t state_version;
    uint64_t state_sequence; /* of the last event that the state contains; 0: the type has none */
    uint64_t first_event, event_count; /* RESULT that has appended events */
    int64_t recorded_ms;
    fabric_bytes_t events; /* as they stand in the record, one after the other */
    /* RESULT that has outgoing messages, with its own tag and traceparent; SENT: their ends. */
    uint64_t outgoing_id, outgoing_count;
    fabric_bytes_t outgoing; /* as they stand there */
    fabric_bytes_t reply, text;
    fabric_bytes_t incarnation; /* ADOPT, with the next two */
    uint64_t epoch;
    fabric_bytes_t name;
    uint64_t causes; /* ALIVE, with type and entity */
} decoded_record_t;

/* The columns of a row of `journal`. */
typedef struct decoded_row {
    uint64_t lane, number, epoch, last_id, log_bytes, checksum;
    int64_t created_ms;
    bool adopt;
    fabric_bytes_t incarnation; /* 16 bytes */
    fabric_bytes_t calls, body;
} decoded_row_t;

/* Each of these returns what is wrong, or NULL. */
const char *decode_record(fabric_bytes_t bytes, decoded_record_t *record);

/* An event of a RESULT. */
typedef struct decoded_event {
    fabric_bytes_t tag, payload;
    uint64_t version;
} decoded_event_t;
/* Takes the next event from the front of `events`, which begins as decoded_record_t.events. false:
 * there are no more, or they are damaged. */
bool decode_event(fabric_bytes_t *events, decoded_event_t *event);

/* A message of a RESULT that has told some. */
typedef struct decoded_told {
    uint64_t shard, flags;
    fabric_bytes_t type, entity, tag, payload, primary_key, headers;
    int64_t deliver_at_ms;
} decoded_told_t;
/* What a SENT says of one of them. */
typedef struct decoded_end {
    uint64_t index, id, cause;
} decoded_end_t;
/* Take the next one from the front of `list`, which begins as decoded_record_t.outgoing. false:
 * there are no more. */
bool decode_told(fabric_bytes_t *list, decoded_told_t *told);
bool decode_end(fabric_bytes_t *list, decoded_end_t *end);

typedef void decoded_record_fn(void *context, uint32_t number, const decoded_record_t *record);
/* Visits the records of a body; none after the first that is damaged. */
const char *decode_body(fabric_bytes_t body, decoded_record_fn *visit, void *context);
/* Whether the row's checksum is right, and `calls` has what the body has. */
const char *decode_check_row(const decoded_row_t *row);

uint64_t decoded_entity_hash(fabric_bytes_t type, fabric_bytes_t entity);

#endif
