/* Compares the rows of `entity_state` with the states that the RESULT records of a whole journal
 * have stored: the part of journal_audit.h about persisted states. The last state of an entity
 * counts, entry by entry; of the large ones an entry may have left out all but the last.
 *
 *  - A row has the state, its version, its sequence and its shard as of the entry whose number it
 *    bears.
 *  - It bears no number beyond the journal, and one no smaller than that of the entity's last
 *    change up to the checkpoint. So it is, with the records above its number, the last state.
 *  - An entity that has changed up to the checkpoint has a row. One that has changed only after the
 *    entry that the last checkpoint was to reach has none.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_CHECKER_STATE_AUDIT_H
#define TESTS_CHECKER_STATE_AUDIT_H

#include "tests/checker/journal_decoder.h"

typedef struct state_audit state_audit_t;

typedef void state_audit_fault_fn(void *context, const char *text);

/* A row of `entity_state`. */
typedef struct audit_state {
    uint64_t lane, shard, number, version, sequence;
    fabric_bytes_t type, entity, state;
} audit_state_t;

/* How far a lane is: what its row of `checkpoint` says, and its last entry. */
typedef struct audit_progress {
    uint64_t checkpoint, begun, last;
} audit_progress_t;

state_audit_t *state_audit_new(state_audit_fault_fn *fault, void *context);
void state_audit_destroy(state_audit_t **audit);

/* Each RESULT that has a state, in the journal's order; then each row, and the end of each lane. */
void state_audit_result(state_audit_t *audit, uint64_t lane, uint64_t number,
                        const decoded_record_t *record);
void state_audit_row(state_audit_t *audit, const audit_state_t *row,
                     const audit_progress_t *progress);
void state_audit_end(state_audit_t *audit, uint64_t lane, const audit_progress_t *progress);

#endif
