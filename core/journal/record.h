/* Records: what a home has decided, one after the other, in the body of a journal's entry.
 *
 * schemas/records.def numbers the kinds and their fields; schemas/protocol.md describes the bytes.
 *
 * Threading: none of its own. Views of a decoded record point into the bytes that were decoded.
 */
#ifndef CORE_JOURNAL_RECORD_H
#define CORE_JOURNAL_RECORD_H

#include <fabric/error.h>

#include "core/journal/events.h"
#include "core/reason.h"
#include "core/store_message.h"

typedef enum journal_record_kind {
#define JOURNAL_RECORD_ROW(number, name, meaning) RECORD_##name = (number),
#include "schemas/records.def"
#undef JOURNAL_RECORD_ROW
} journal_record_kind_t;

/* What has become of a message, as far as its attempts go. */
typedef struct journal_attempts {
    uint32_t attempts; /* defects */
    uint32_t crashes;  /* worker processes that crashed on it */
} journal_attempts_t;

/* A record, decoded. Which fields are set follows from `kind`. */
typedef struct journal_record {
    journal_record_kind_t kind;
    request_id_t id;         /* all kinds but ADOPT and ALIVE */
    shard_id_t shard;        /* all kinds but ADOPT */
    uint64_t entity_hash;    /* the same: journal_entity_hash; see journal_record_decode */
    store_message_t message; /* MESSAGE, MOVE, DEAD: all of it; CLEAR: type and entity */
    /* In the lane: MESSAGE, MOVE; also RESULT, ATTEMPT and DEAD of a message with a time of
     * delivery. Of all others it is the id. */
    uint64_t position;
    int64_t deliver_at_ms;   /* RESULT, ATTEMPT: of the message */
    call_key_t call;         /* RESULT: of the message; DEAD: in `message` */
    uint64_t contents;       /* RESULT: journal_contents_hash of the message */
    uint32_t message_flags;  /* RESULT: of the message */
    const uint8_t *key_hash; /* RESULT: of the message; NULL: it has no primary key */
    store_reply_t reply;     /* RESULT, DEAD */
    /* RESULT: of its entity. Its type and id are set where `events` or `outgoing` has some, too;
     * without a state, it has changed none, or the events say how. */
    store_state_t state;
    journal_events_t events;     /* RESULT: that it has appended */
    journal_outgoing_t outgoing; /* RESULT: that it has told */
    journal_sent_t sent;         /* SENT: what became of those of the message with this id */
    journal_attempts_t attempts; /* MESSAGE (those of a row's body), MOVE, ATTEMPT, DEAD: in all */
    uint32_t cause;              /* DEAD: fabric_error_t */
    fabric_bytes_t text;         /* DEAD: the last error */
    store_kept_t kept;           /* ALIVE: type, entity, shard, causes */
    incarnation_t broker;        /* ADOPT */
    uint64_t epoch;              /* ADOPT */
    fabric_bytes_t name;         /* ADOPT: of the broker, for people */
} journal_record_t;

/* "MESSAGE"; "?" for a number that is no kind. */
const char *journal_record_kind_name(unsigned kind);

/* XXH3_64 of the id, seeded with that of the type: entities with the same hash are queued
 * together. */
uint64_t journal_entity_hash(fabric_bytes_t type, fabric_bytes_t id);
/* XXH3_64 of the payload, seeded with that of the tag, which is seeded with the entity's hash:
 * whether a resend is the same call. */
uint64_t journal_contents_hash(const store_message_t *message);

#endif
