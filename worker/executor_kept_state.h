/* Results that a former home of an ownership may not have committed. When the new home delivers
 * their messages again, these are answered from here, so that an instance sees no message twice.
 */
#ifndef WORKER_EXECUTOR_KEPT_STATE_H
#define WORKER_EXECUTOR_KEPT_STATE_H

#include "core/hash.h"
#include "core/message.h"

typedef struct kept_result {
    UT_hash_handle hh; /* in the table, by request_id */
    uint64_t request_id;
    uint64_t home_epoch; /* of the home whose delivery was handled */
    bool held;           /* it never left this executor: it is newer than what the link has sent */
    uint64_t status, error, code;
    uint32_t payload_size;
    uint8_t payload[];
} kept_result_t;

typedef struct kept_results {
    kept_result_t *by_request;
    uint64_t until_ms; /* when they are let go: the new home has delivered what it was to deliver */
} kept_results_t;

/* Adds results that the link had sent or was about to send: RESULT messages, in their order. Of
 * several results of one message the last one counts. */
void kept_results_add_sent(kept_results_t *kept, fabric_bytes_t messages, uint64_t until_ms);
/* Adds the result of a handler that ended when the home was gone. */
void kept_results_hold(kept_results_t *kept, const message_result_t *result);
/* Whether the result of a message is kept. */
bool kept_results_have(const kept_results_t *kept, uint64_t request_id);
/* Takes the result of a message, which is the caller's to free(); NULL: none is kept. */
kept_result_t *kept_results_take(kept_results_t *kept, uint64_t request_id, uint64_t now_ms);
/* Lets the result of a message go if it is of a delivery by the home of this epoch. */
void kept_results_forget(kept_results_t *kept, uint64_t request_id, uint64_t home_epoch);
/* Lets all go. */
void kept_results_clear(kept_results_t *kept);

#endif
