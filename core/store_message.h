/* An accepted message and its reply, as they are kept in memory and in records of the journal. */
#ifndef CORE_STORE_MESSAGE_H
#define CORE_STORE_MESSAGE_H

#include <fabric/bytes.h>

#include "core/ids.h"

/* Of the hash of a primary key: see broker/primary_key.h. */
#define STORE_KEY_BYTES 32u

/* One accepted message. Written once, never changed. */
typedef struct store_message {
    request_id_t id;
    shard_id_t shard;
    uint32_t flags; /* enum request_flag, REQUEST_DURABLE set */
    fabric_bytes_t type;
    fabric_bytes_t entity;
    fabric_bytes_t tag;
    fabric_bytes_t payload;
    fabric_bytes_t traceparent;
    fabric_bytes_t headers;
    call_key_t call;
    const uint8_t *key_hash; /* STORE_KEY_BYTES, or NULL: no primary key */
    int64_t deliver_at_ms;   /* 0: at once */
} store_message_t;

/* The one final reply of a message, or the bare end mark of a tell (status ok, empty payload). */
typedef struct store_reply {
    request_id_t id;
    shard_id_t shard;
    uint8_t status; /* enum reply_status: ok, failure or defect */
    uint32_t error; /* fabric_error_t */
    uint64_t code;  /* the entity's own failure code */
    fabric_bytes_t payload;
    int64_t kept_until_ms; /* Unix time: for how long its message's primary key stands; 0: none */
} store_reply_t;

/* The persisted state of an entity. */
typedef struct store_state {
    fabric_bytes_t type, entity;
    shard_id_t shard;
    uint64_t number;      /* of a row: of the entry as of which it is true */
    uint32_t version;     /* of its schema, as its type counts */
    uint64_t sequence;    /* of the last event that it contains; 0: its type appends none */
    fabric_bytes_t state; /* by that schema; never empty */
} store_state_t;

/* An event that an entity has appended. Written once, never changed, never deleted. */
typedef struct store_event {
    fabric_bytes_t type, entity;
    shard_id_t shard;
    uint64_t sequence;      /* 1, 2, ... of its entity, without gaps; at most STORE_SEQUENCE_MAX */
    uint64_t number;        /* of the entry that has it */
    request_id_t id;        /* of the message whose handler has appended it */
    int64_t recorded_ms;    /* Unix time */
    fabric_bytes_t tag;     /* what kind of event it is; never empty */
    uint32_t version;       /* of the tag's schema, as the type counts */
    fabric_bytes_t payload; /* by that schema */
} store_event_t;

#define STORE_SEQUENCE_MAX ((uint64_t)INT64_MAX)

/* What an event takes in the memory of who reads it, more or less: small ones take most of it
 * beside their payloads. */
static inline uint64_t store_event_bytes(const store_event_t *event)
{
    enum { BESIDE = 200 };
    return BESIDE + event->tag.size + event->payload.size;
}

/* Which outgoing message. The id was made for the RESULT that has it. It is larger than those of
 * all RESULTs before, so it says the order. */
typedef struct store_outgoing_key {
    uint64_t id;
    uint32_t index; /* among those of its RESULT: 0, 1, ... */
} store_outgoing_key_t;

/* A message that the handler of a durable one, its source, has told. Written once, never changed,
 * until its target's home has accepted it, or it is a dead letter. */
typedef struct store_outgoing {
    store_outgoing_key_t key;
    uint64_t number; /* of the entry that has it */
    request_id_t source;
    shard_id_t source_shard;
    fabric_bytes_t source_type, source_entity, source_tag;
    shard_id_t shard;     /* of the target */
    uint32_t target_lane; /* of a row: the lane of that shard */
    uint32_t flags;       /* enum request_flag */
    fabric_bytes_t type, entity, tag;
    fabric_bytes_t payload;
    fabric_bytes_t primary_key; /* empty: none */
    fabric_bytes_t traceparent; /* of the source's handler; empty: none */
    fabric_bytes_t headers;
    int64_t deliver_at_ms; /* 0: at once */
} store_outgoing_t;

/* Of one RESULT. With all else that its message changes they fit into one slice of a checkpoint. */
#define STORE_OUTGOING_MAX 1000u

/* How an outgoing message ended. */
typedef struct store_sent {
    uint32_t index;
    request_id_t id; /* of the accepted message, or of the dead letter */
    uint32_t cause;  /* fabric_error_t, of the dead letter; 0: it was accepted */
} store_sent_t;

/* What keeps an entity alive, so that it comes back without a message; bits. */
typedef enum alive_cause {
    ALIVE_BY_HANDLER = 1, /* a handler has asked for it */
    ALIVE_BY_RESOURCE = 2 /* it has resources */
} alive_cause_t;

/* An entity that is to be kept alive, or is not to be any more. */
typedef struct store_kept {
    fabric_bytes_t type, entity;
    shard_id_t shard;
    uint64_t number; /* of a row: of the entry as of which it is true */
    uint32_t causes; /* enum alive_cause; 0: it is not, and never so in a row */
} store_kept_t;

#endif
