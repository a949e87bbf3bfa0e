/* What one lane of the router has to append: the contents of its next journal entry. The router
 * fills it, and an appender encodes it.
 *
 * The arrays hold pointers; nothing is copied or changed. Everything that they point to stays as it
 * is until the append is answered.
 */
#ifndef BROKER_LANE_BATCH_H
#define BROKER_LANE_BATCH_H

#include "core/journal/record.h"

/* The time of a scheduled message has come. */
typedef struct batch_move {
    const store_message_t *message;
    uint64_t position; /* its new one */
} batch_move_t;

/* New counts of a message's attempts. */
typedef struct batch_attempt {
    const store_message_t *message;
    uint64_t position; /* 0: its id */
    journal_attempts_t attempts;
} batch_attempt_t;

typedef struct batch_end {
    const store_message_t *message;
    uint64_t position; /* 0: its id */
    const store_reply_t *reply;
    /* That the message leaves its entity; NULL: it changed none, or an end behind it has a newer
     * one. */
    const store_state_t *state;
    const journal_events_t *events;     /* that the message has appended; NULL: none */
    const journal_outgoing_t *outgoing; /* that its handler has told; NULL: none */
    bool dead;                   /* the message becomes a dead letter; so are the next three */
    journal_attempts_t attempts; /* in all */
    uint32_t cause;              /* fabric_error_t */
    fabric_bytes_t text;         /* the last error */
} batch_end_t;

/* What the end, which makes no dead letter, leaves beside its reply. */
static inline journal_effects_t batch_end_effects(const batch_end_t *end)
{
    journal_effects_t effects = {.version = 0};
    if (end->state) {
        effects.version = end->state->version;
        effects.state = end->state->state;
        effects.sequence = end->state->sequence;
    }
    if (end->events) {
        effects.events = *end->events;
    }
    if (end->outgoing) {
        effects.outgoing = *end->outgoing;
    }
    return effects;
}

/* An entity is cleared: its messages with ids below this one end with this entry, unless another
 * end of theirs is in it. */
typedef struct batch_clear {
    request_id_t id;
    shard_id_t shard;
    fabric_bytes_t type, entity;
} batch_clear_t;

/* An outgoing message has come to its end. Those of one source stand together where they can. */
typedef struct batch_sent {
    request_id_t source;
    shard_id_t shard; /* of the source, as its entity's hash */
    uint64_t entity_hash;
    uint64_t outgoing_id;
    uint32_t target_lane;
    store_sent_t end;
    const store_message_t *dead; /* it becomes a dead letter, with this reply; NULL: accepted */
    const store_reply_t *reply;
} batch_sent_t;

/* Records stand in the entry in this order: messages by increasing id, moves by increasing
 * position, attempts, ends, dead letters of outgoing messages and what they are named by, what
 * keeps entities alive, clears. Messages and moves take effect in the order of their positions. */
typedef struct lane_batch {
    uint64_t epoch;   /* under which the lane is held */
    uint64_t last_id; /* the highest id made so far */
    const store_message_t *const *messages;
    size_t message_count;
    const batch_move_t *moves;
    size_t move_count;
    const batch_attempt_t *attempts;
    size_t attempt_count;
    const batch_end_t *ends;
    size_t end_count;
    const batch_sent_t *sents;
    size_t sent_count;
    store_kept_t *const *kept; /* without their numbers */
    size_t kept_count;
    const batch_clear_t *clears; /* by increasing id */
    size_t clear_count;
} lane_batch_t;

#endif
