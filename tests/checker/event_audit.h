/* Compares the rows of `event` with the events that the RESULT records of a whole journal have: the
 * part of journal_audit.h about histories.
 *
 *  - The events of an entity have the sequences 1, 2, ... in the order of the journal.
 *  - A row says of its event what the journal does: shard, entry, message, time, tag, version and
 *    payload. No event has two.
 *  - The events that have rows are the first ones of their entity, and all up to the checkpoint
 *    are among them. Those that came later may be: with a snapshot, or of a checkpoint that was cut
 *    off.
 *  - A row of `entity_state` contains no event that has no row.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_CHECKER_EVENT_AUDIT_H
#define TESTS_CHECKER_EVENT_AUDIT_H

#include "tests/checker/journal_decoder.h"
#include "tests/checker/state_audit.h"

typedef struct event_audit event_audit_t;

/* A row of `event`. */
typedef struct audit_event {
    uint64_t lane, sequence, shard, number, request_id, version;
    int64_t recorded_ms;
    fabric_bytes_t type, entity, tag, payload;
} audit_event_t;

event_audit_t *event_audit_new(state_audit_fault_fn *fault, void *context);
void event_audit_destroy(event_audit_t **audit);

/* Each RESULT that has events, in the journal's order; then each row of either table, and the end
 * of each lane. */
void event_audit_result(event_audit_t *audit, uint64_t lane, uint64_t number,
                        const decoded_record_t *record);
void event_audit_row(event_audit_t *audit, const audit_event_t *row);
void event_audit_state(event_audit_t *audit, const audit_state_t *row);
void event_audit_end(event_audit_t *audit, uint64_t lane, const audit_progress_t *progress);

#endif
