/* What the other checkers ask, and tell, of messages that fail: see simulation_check_failing.c. */
#ifndef TESTS_SIMULATION_SIMULATION_CHECK_FAILING_H
#define TESTS_SIMULATION_SIMULATION_CHECK_FAILING_H

#include "core/journal/record.h"
#include "core/store.h"
#include "tests/simulation/simulation_check_state.h"

/* A handler of the call begins. */
void check_failing_run(watched_call_t *call, token_t token);
/* A broker sends the message; `call` NULL: a volatile one. */
void check_failing_delivered(const process_t *broker, watched_call_t *call,
                             const message_deliver_t *deliver);
/* A broker assigns types' parts of this shard to a worker. */
void check_failing_assigned(uint32_t shard);
/* An entry has new counts of the message. */
void check_attempt_stored(const store_entry_t *entry, watched_call_t *call,
                          journal_attempts_t counts);
/* The message's row when the checkpoint of this entry is complete. */
void check_row_counts(const watched_call_t *call, uint64_t checkpoint, const store_pending_t *row);
/* Whether the message may end with this reply, which says that it is broken. */
bool check_defect_is_end(const watched_call_t *call, const store_reply_t *reply);
/* Whether the message may become this dead letter. */
bool check_is_buried_rightly(const watched_call_t *call, const journal_record_t *record);
void check_failing_at_end(void);
/* The entity of this type and id; UINT32_MAX: none of the plan. */
unsigned check_entity_of(fabric_bytes_t type, fabric_bytes_t id);

/* ---- simulation_check_clears.c ---- */

/* Whether an operator may have cleared the call's entity. */
bool check_may_be_cleared(const watched_call_t *call);
/* An entry clears an entity; all records of an entry have been seen. */
void check_clear_stored(const store_entry_t *entry, const journal_record_t *record);
void check_clears_end(const store_entry_t *entry);
/* A message is stored with this id, delivered, or handled. */
void check_not_cleared(const watched_call_t *call, uint64_t request_id);
void check_cleared_delivered(const process_t *broker, watched_call_t *call,
                             const message_deliver_t *deliver);
void check_cleared_run(const watched_call_t *call, token_t token);

#endif
