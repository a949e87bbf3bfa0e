/* Sending the outgoing messages of one lane: which one goes to which home, when, and what follows
 * from the answers. docs/decisions/0041-outgoing-messages.md says what it is for.
 *
 *     sender_add(sender, &message, false);                     its RESULT is durable
 *     while (sender_take(sender, target_lane, now_ms, &order)) { ... a frame to that lane's home }
 *     sender_answer(sender, &answer, now_ms);                  accepted, rejected, or unknown
 *     while (sender_take_end(sender, &end)) { ... into a SENT, and a DEAD where it says so }
 *     sender_end_durable(sender, end.message->key);            forgotten
 *
 * Messages go to their target lanes independently of each other. Between two entities they are
 * accepted in the order in which they were told: those of one result go together, each naming its
 * predecessor, until one is refused: then those behind it wait for its end. Those of the next
 * result wait until these have ended.
 *
 * In memory there is a window of messages for each target lane. What comes when it is full is
 * refused, and is read again from rows: once one is refused, all later ones are, until the reads
 * have caught up. So the order stays, and memory is bounded.
 *
 * Threading: belongs to one thread. Nothing here waits, reads a clock, or knows a connection.
 */
#ifndef BROKER_ROUTER_SENDER_H
#define BROKER_ROUTER_SENDER_H

#include <stdbool.h>

#include <fabric/error.h>

#include "core/store_message.h"

typedef struct sender_options {
    uint32_t lanes;      /* of the cluster */
    uint32_t window;     /* messages in memory for each target lane */
    size_t window_bytes; /* of all that these say; a larger one comes alone */
    uint32_t backoff_ms; /* after a first answer of class retry; twice as long after each other */
    uint32_t backoff_max_ms;
    uint32_t answer_ms; /* without an answer for so long, a message is sent again; 0: it is not */
} sender_options_t;

typedef struct sender sender_t;

sender_t *sender_new(const sender_options_t *options);
void sender_destroy(sender_t **sender);

/* ---- messages ---- */

/* A message that is durable now. Those of one target lane come in the order of their keys.
 * `resend`: it may have been sent before, by another home. false: the window is full; it has a row,
 * or will have one with the next checkpoint. */
bool sender_add(sender_t *sender, const store_outgoing_t *message, bool resend);
/* At adoption: there are so many rows of messages to this lane. */
void sender_has_rows(sender_t *sender, uint32_t target_lane, uint64_t count);
/* Whether rows behind `*after` are to be read now. A read is under way from then on. */
bool sender_wants_rows(sender_t *sender, uint32_t target_lane, store_outgoing_key_t *after);
/* A row that the read has found. One that is known is ignored, as one that does not fit: then it is
 * read again, once a message to the lane was forgotten, and the answer is false. One whose call is
 * in memory is skipped. */
bool sender_row(sender_t *sender, const store_outgoing_t *message);
/* A row that the read has found, and that nobody is to be told of: later reads begin behind it. */
void sender_skip(sender_t *sender, uint32_t target_lane, store_outgoing_key_t key);
/* The read is over. `ended`: there were no more rows. */
void sender_rows_end(sender_t *sender, uint32_t target_lane, bool ended);
/* Rows were written: messages that were refused may have some now. */
void sender_checkpointed(sender_t *sender);

/* ---- sending ---- */

/* What is to be sent. `message` is valid until it is forgotten. */
typedef struct sender_order {
    const store_outgoing_t *message;
    call_key_t call;
    uint64_t predecessor; /* the call's second half of the one that is to be accepted before; 0 */
    uint64_t floor;
    bool resend;
} sender_order_t;

bool sender_take(sender_t *sender, uint32_t target_lane, uint64_t now_ms, sender_order_t *order);
/* When there is something to be sent to the lane; UINT64_MAX: an answer, or a message, comes
 * first. */
uint64_t sender_due_ms(const sender_t *sender, uint32_t target_lane);
/* The lane's home has changed, or the connection to it: what was sent and not answered is sent
 * again. */
void sender_lost(sender_t *sender, uint32_t target_lane);

/* ---- answers ---- */

typedef struct sender_answer {
    store_outgoing_key_t key;
    uint32_t target_lane;
    fabric_error_t error;    /* OK: accepted */
    request_id_t id;         /* of the accepted message */
    uint32_t retry_after_ms; /* class retry: at least so long, up to backoff_max_ms */
} sender_answer_t;

/* The message with this call, if it is in memory. */
bool sender_find(const sender_t *sender, call_key_t call, store_outgoing_key_t *key,
                 uint32_t *target_lane);
/* An error of class retry or fenced is no end. About messages that are not in flight only one
 * counts, that they were accepted: that stays true. */
void sender_answer(sender_t *sender, const sender_answer_t *answer, uint64_t now_ms);

/* ---- ends ---- */

typedef struct sender_end {
    const store_outgoing_t *message;
    fabric_error_t error; /* OK: accepted; else it is to become a dead letter */
    request_id_t id;      /* of the accepted message */
} sender_end_t;

/* The next one that has ended, in that order, once each. */
bool sender_take_end(sender_t *sender, sender_end_t *end);
/* Its SENT is durable. */
void sender_end_durable(sender_t *sender, uint32_t target_lane, store_outgoing_key_t key);

/* ---- what there is ---- */

/* Messages that have not ended, in memory, in rows, and refused. Rows that do not stand count until
 * the reads have come by them. */
uint64_t sender_open(const sender_t *sender);
/* The smallest outgoing id of those in memory whose ends are not durable; 0: there are none. */
uint64_t sender_oldest(const sender_t *sender);
/* Whether there are messages to the lane that its window has no room for. */
bool sender_is_full(const sender_t *sender, uint32_t target_lane);
/* What it takes of memory. */
size_t sender_bytes(const sender_t *sender);

#endif
