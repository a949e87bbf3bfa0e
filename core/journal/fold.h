/* Folding: what stands after entries of one lane's journal, on top of the rows of its last
 * checkpoint. One pure function for adoption, look-ups, the tools and the simulator.
 *
 * What the entries say of a message overrules its row. A row that bears a larger number than the
 * checkpoint comes from a checkpoint that was cut off: it says what the entries up to that number
 * say, so it is overruled all the same.
 *
 *     fold = journal_fold_new(lane, checkpoint's number);
 *     for each entry above it, in order: journal_fold_entry(fold, entry, &reason);
 *     items = journal_fold_items(fold, &count);
 *
 * The end of a message is final: no later record counts for it.
 *
 * Threading: belongs to one thread.
 */
#ifndef CORE_JOURNAL_FOLD_H
#define CORE_JOURNAL_FOLD_H

#include "core/journal/entry.h"

typedef enum journal_standing {
    JOURNAL_PENDING,
    JOURNAL_ENDED,
    JOURNAL_DEAD,
    JOURNAL_CLEARED /* it has ended with its entity's CLEAR, without a reply */
} journal_standing_t;

/* What the entries say about one message. */
typedef struct journal_item {
    request_id_t id;
    uint64_t position;     /* its id where the entries do not tell */
    int64_t deliver_at_ms; /* of the message; 0: none, or the entries do not tell */
    uint64_t entity_hash;
    journal_standing_t standing;
    bool begun;     /* its MESSAGE or MOVE record is among the entries: `message` is set */
    bool accepted;  /* its MESSAGE record is */
    bool damaged;   /* none of these can be read; then `message` is not set */
    bool counted;   /* `attempts` is set */
    bool recounted; /* by an ATTEMPT: a row that was written before says less, or more */
    journal_attempts_t attempts; /* in all */
    store_message_t message;     /* begun, or DEAD */
    /* Of its primary key; NULL: none, it is not known, or a CLEAR has freed it. */
    const uint8_t *key_hash;
    store_reply_t reply; /* ENDED, DEAD */
    uint32_t cause;      /* DEAD */
    fabric_bytes_t text; /* DEAD */
    /* ENDED or DEAD by a record that cannot be read: reply, cause and text are not set, and the
     * message only if it has begun here. See docs/store.md, damage. */
    bool result_damaged;
    bool transactional; /* ENDED, DEAD: its direct result, if it has one, is in the journal now */
} journal_item_t;

/* That an entity was cleared: its messages with ids below this one have ended, and their primary
 * keys are free. Rows may say otherwise. */
typedef struct journal_clear {
    request_id_t id;
    shard_id_t shard; /* 0 where the record cannot be read */
    uint64_t entity_hash;
    fabric_bytes_t type, entity; /* empty where the record cannot be read: the hash tells alone */
} journal_clear_t;

typedef struct journal_fold journal_fold_t;

journal_fold_t *journal_fold_new(uint32_t lane, uint64_t checkpoint);
void journal_fold_destroy(journal_fold_t **fold);

/* What the entries say of entities that are kept alive, in order: the last one about an entity
 * counts. A CLEAR says that nothing keeps its entity alive. A record that cannot be read says
 * nothing. The array is valid until the fold is destroyed
 * or takes another entry. */
const store_kept_t *journal_fold_kept(const journal_fold_t *fold, size_t *count);

/* Takes the next entry, and keeps a copy of its body. STORE_LOST where its number is not the next
 * one. MALFORMED_MESSAGE where its index cannot be read, a kind is not known, or it is another
 * lane's: an operator decides. Then nothing of the entry counts, and `reason` says what is wrong.
 */
FABRIC_MUST_USE fabric_error_t journal_fold_entry(journal_fold_t *fold, const store_entry_t *entry,
                                                  reason_t *reason);

/* Of the last entry taken; before it, the checkpoint's number. */
uint64_t journal_fold_number(const journal_fold_t *fold);
/* The highest id that the entries tell of; an entry whose checksum is wrong tells its records'
 * only. */
uint64_t journal_fold_last_id(const journal_fold_t *fold);
/* How many of the entries are damaged: their checksum is wrong, or one of their records cannot be
 * read. */
uint64_t journal_fold_damaged(const journal_fold_t *fold);
uint64_t journal_fold_bytes(const journal_fold_t *fold); /* of bodies kept */
size_t journal_fold_count(const journal_fold_t *fold);   /* of items */

/* The items by position. The array and the views are valid until the fold is destroyed or takes
 * another entry. */
const journal_item_t *journal_fold_items(journal_fold_t *fold, size_t *count);
/* The clears, in the order of their ids. Valid as the items are. */
const journal_clear_t *journal_fold_clears(const journal_fold_t *fold, size_t *count);
/* The states of entities that the entries hold, in their order: the last one of an entity counts,
 * and overrules its row. Valid as the items are. */
const store_state_t *journal_fold_states(const journal_fold_t *fold, size_t *count);
/* The events that the entries hold, in the order of the records, which for each entity is that of
 * their sequences. Where a sequence is left out, a record that cannot be read had it. Valid as the
 * items are. */
const store_event_t *journal_fold_events(const journal_fold_t *fold, size_t *count);
/* The outgoing messages that the entries hold and do not end, in the order of their keys: the home
 * goes on with them, after those of rows, whose ids are smaller but where a checkpoint was cut off.
 * A damaged RESULT has taken its own with it. Valid as the items are. */
const store_outgoing_t *journal_fold_outgoing(journal_fold_t *fold, size_t *count);
/* Those that the entries end, in the same order, whether they are in these entries or in rows.
 * Valid as the items are. */
const store_outgoing_key_t *journal_fold_sent(journal_fold_t *fold, size_t *count);
/* NULL: the entries do not speak of it. */
const journal_item_t *journal_fold_find(const journal_fold_t *fold, request_id_t id);

#endif
