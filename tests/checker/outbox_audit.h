/* Compares the outgoing messages of whole journals with the messages that their targets have
 * accepted, and with the rows of `outbox`: the part of journal_audit.h about them.
 *
 *  - Outgoing ids grow in their lane. One is larger than all ids that the entries before knew, and
 *    no larger than its own entry's last id.
 *  - A SENT is about messages that its source has told before, in the same lane, each once. Where
 *    it says accepted, the target's lane has the message with that id, and with the call key
 *    (source's id, index + 1); one with a primary key may have joined another message. Where it
 *    tells a cause, that id is a dead letter of the same entry.
 *  - A call key of an outgoing message has one MESSAGE at most, in its target's lane, with what was
 *    told, and with an id above its outgoing id. No message has the id of another one in its call
 *    key, and was not told by it (I10).
 *  - Between two entities messages are accepted in the order in which they were told.
 *  - A row has what was told, and bears the number of the entry that holds it. What was told up to
 *    the checkpoint and has not ended has a row; what had ended up to it has none.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_CHECKER_OUTBOX_AUDIT_H
#define TESTS_CHECKER_OUTBOX_AUDIT_H

#include "tests/checker/state_audit.h"

typedef struct outbox_audit outbox_audit_t;

/* A row of `outbox`. */
typedef struct audit_outgoing {
    uint64_t lane, outgoing_id, index, number;
    uint64_t source, source_shard;
    fabric_bytes_t source_type, source_entity, source_tag;
    uint64_t target_lane;
    decoded_told_t told;
    fabric_bytes_t traceparent;
} audit_outgoing_t;

outbox_audit_t *outbox_audit_new(state_audit_fault_fn *fault, void *context);
void outbox_audit_destroy(outbox_audit_t **audit);

/* Each entry of each lane in the journal's order, with its records behind it; then each row; then
 * the end, with how far the lanes are. Of these there are so many. */
void outbox_audit_entry(outbox_audit_t *audit, uint64_t lane, uint64_t number, uint64_t last_id);
void outbox_audit_record(outbox_audit_t *audit, const decoded_record_t *record);
void outbox_audit_row(outbox_audit_t *audit, const audit_outgoing_t *row, uint64_t lane_count);
void outbox_audit_end(outbox_audit_t *audit, const audit_progress_t *lanes, uint64_t lane_count);

/* How many messages were told; how many of them no SENT names. */
typedef struct outbox_count {
    uint64_t told, open;
} outbox_count_t;
outbox_count_t outbox_audit_count(const outbox_audit_t *audit);

#endif
