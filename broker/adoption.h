/* What a new holder finds in a lane: made by the loader, taken over by the router.
 *
 * Everything that stands in the lane is either in memory (`messages`), or has a row (counted in
 * `backlogs`). Rows that the journal has overruled are named in `overruled`.
 */
#ifndef BROKER_ADOPTION_H
#define BROKER_ADOPTION_H

#include "broker/message_record.h"
#include "broker/outgoing_value.h"

/* A row that no longer says what stands. */
typedef struct overruled_row {
    request_id_t id;
    uint64_t position;
    int64_t due_ms; /* not 0: it is the row of a scheduled message, which has ended or come due */
    uint64_t entity_hash;
    bool ended; /* the row is to be deleted; else its counts are these: */
    journal_attempts_t attempts;
} overruled_row_t;

/* An entity that was cleared: its rows with smaller ids do not stand. */
typedef struct adopted_clear {
    request_id_t id;
    shard_id_t shard;
    uint64_t entity_hash;
    fabric_bytes_t type, entity; /* owned, one allocation; see journal_clear_t */
} adopted_clear_t;

typedef struct adoption {
    store_hold_t hold;
    uint64_t number;     /* of the ADOPT entry: the lane's last one */
    uint64_t log_bytes;  /* of that entry */
    uint64_t last_id;    /* no message of the lane has a larger id */
    uint64_t checkpoint; /* the rows are complete as of this entry */
    uint64_t tail_bytes; /* of the entries above the checkpoint */
    /* The pending messages of these entries, chained by position. `has_row` is set in those that
     * also have rows. */
    message_t *messages;
    /* Dead letters of these entries, which have no rows yet, chained: state ENDED, with their
     * replies. */
    message_t *dead;
    /* The other messages with primary keys that have ended in these entries, chained: state ENDED,
     * with their replies and without their contents. */
    message_t *ended;
    /* For each entity with rows: how many of them stand and are not among `messages`. */
    store_backlog_t *backlogs;
    size_t backlog_count;
    uint64_t scheduled;         /* the same of scheduled messages, of the whole lane */
    overruled_row_t *overruled; /* by id */
    size_t overruled_count;
    adopted_clear_t *clears; /* by id */
    size_t clear_count;
    state_value_t **states; /* of entities that have changed theirs in these entries, each once */
    size_t state_count;
    events_value_t **events; /* of these entries; of each entity in the order of their sequences */
    size_t event_count;
    /* Entities that are to be kept alive, and those of which only the entries say that they are not
     * any more; each once. The number is 0 where the entries speak of the entity: then its row is
     * to be written, or deleted. */
    store_kept_t *kept;
    size_t kept_count;
    uint8_t *kept_names;  /* what the views point into */
    request_id_t *direct; /* transactional messages that have ended in these entries */
    size_t direct_count;
    /* Outgoing messages of these entries that have not ended, by their keys. Their target lanes are
     * set. */
    outgoing_copy_t **outgoing;
    size_t outgoing_count;
    /* Those that these entries have ended, by their keys: their rows, if they have any, do not
     * stand, and are to be deleted. */
    store_outgoing_key_t *sent;
    size_t sent_count;
    /* Rows of outgoing messages, by target lane. The counts contain rows that do not stand, and,
     * where a checkpoint was cut off, rows of messages in `outgoing`. */
    store_outbox_t *outboxes;
    size_t outbox_count;
} adoption_t;

/* Frees what it owns. */
void adoption_clear(adoption_t *adoption);

#endif
