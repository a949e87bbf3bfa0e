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

#endif
