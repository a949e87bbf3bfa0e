/* Compares what the tables of lanes say with each other: the journal, which must be whole from its
 * first entry on, and the rows that checkpoints have written. It is pure, and its rules are those
 * of docs/store.md, applied one by one:
 *
 *  - Entries have numbers without gaps and sums of bytes that add up. An epoch belongs to one
 *    incarnation, begins with an ADOPT entry, and is never followed by a smaller one (I9).
 *  - A message begins once, and ends at most once, after it has begun (I5).
 *  - What had not ended at the checkpoint has a row, and what had ended has none. A row is of a
 *    message that had begun by the row's number, and had not ended. Dead letters have rows.
 *  - An entity whose last ALIVE up to the checkpoint says that it is kept alive has a row that says
 *    the same, and no other entity has one.
 *  - Rows of persisted states, and of events, say what the journal does: see state_audit.h and
 *    event_audit.h. What entities have told others has become their messages: see outbox_audit.h.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_CHECKER_JOURNAL_AUDIT_H
#define TESTS_CHECKER_JOURNAL_AUDIT_H

#include "tests/checker/event_audit.h"
#include "tests/checker/journal_decoder.h"
#include "tests/checker/outbox_audit.h"
#include "tests/checker/state_audit.h"

typedef struct journal_audit journal_audit_t;

/* Who is told: of each record of a message, and of each fault, as one line. */
typedef struct audit_listener {
    decoded_record_fn *record;
    void (*fault)(void *context, const char *text);
    void *context;
} audit_listener_t;

/* A row of `pending`. */
typedef struct audit_pending {
    uint64_t lane, position, entity_hash, request_id, number;
    fabric_bytes_t body;
} audit_pending_t;

/* A row of `kept_alive`. */
typedef struct audit_kept {
    uint64_t lane, shard, number, causes;
    fabric_bytes_t type, entity;
} audit_kept_t;

journal_audit_t *journal_audit_new(const audit_listener_t *listener);
void journal_audit_destroy(journal_audit_t **audit);

/* To be called in this order: each row of `checkpoint`, each entry by lane and number, each row of
 * `pending`, `dead_letter`, `kept_alive`, `entity_state`, `event` and `outbox`; then the end. */
void journal_audit_checkpoint(journal_audit_t *audit, uint64_t lane, uint64_t number,
                              uint64_t begun);
void journal_audit_entry(journal_audit_t *audit, const decoded_row_t *row);
void journal_audit_pending(journal_audit_t *audit, const audit_pending_t *row);
void journal_audit_dead(journal_audit_t *audit, uint64_t lane, uint64_t request_id,
                        fabric_bytes_t body);
void journal_audit_kept(journal_audit_t *audit, const audit_kept_t *row);
void journal_audit_state(journal_audit_t *audit, const audit_state_t *row);
void journal_audit_event(journal_audit_t *audit, const audit_event_t *row);
void journal_audit_outgoing(journal_audit_t *audit, const audit_outgoing_t *row);
void journal_audit_end(journal_audit_t *audit);
/* After the end. */
outbox_count_t journal_audit_outbox(const journal_audit_t *audit);

#endif
