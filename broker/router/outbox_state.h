/* The outbox of a lane: what handlers of its messages have told others, until it has ended, and
 * rows say so. outbox.c and outbox_rows.c own the structs; outbox_turns.c sends.
 * docs/decisions/0041-outgoing-messages.md says what it is for.
 *
 * A message that was told is in memory twice for a while: in the window of its target lane
 * (sender.h), until its end is durable; and among what its source has told, until a settled
 * slice has it as a row. So what a window has no room for can be read again.
 *
 * A lane whose entities have told nothing has no sender, and pays nothing. */
#ifndef BROKER_ROUTER_OUTBOX_STATE_H
#define BROKER_ROUTER_OUTBOX_STATE_H

#include "broker/router/router.h"
#include "broker/router/sender.h"

typedef struct checkpoint_slice checkpoint_slice_t;

enum { OUTBOX_PLACES = 4096 }; /* of router_t.outbox_of; a power of two */

/* What the handler of one message has told, and rows do not say yet. Slices share it. */
typedef struct outbox_told {
    uint32_t shares;
    uint32_t count, open; /* messages; those whose ends are not durable */
    uint64_t id;          /* the outgoing id */
    bool is_adopted;      /* a checkpoint that was cut off may have written rows */
    bool has_row;         /* the source has one, which is to be deleted: */
    store_row_key_t row;
    store_due_key_t due; /* of a scheduled source; due_ms is 0 of others */
    uint64_t slice;      /* that has taken it; 0: none */
    size_t size;
    bool *ended; /* in the order of: */
    store_outgoing_t *messages;
} outbox_told_t;

/* Who is asked to take messages to a target lane. */
typedef struct outbox_home {
    incarnation_t broker; /* none: nobody */
    uint64_t epoch;
    uint64_t pause_until_ms; /* what was sent there is lost: not before */
} outbox_home_t;

typedef struct lane_outbox {
    sender_t *sender;     /* NULL: nothing was told */
    outbox_home_t *homes; /* by target lane */
    /* What was told, by id: `taken` are in slices, those up to `current` are for the checkpoint
     * under way. */
    outbox_told_t **told;
    size_t told_count, told_capacity, told_taken, told_current;
    size_t told_bytes;
    /* The same of rows whose messages have ended. */
    store_outgoing_key_t *sent;
    size_t sent_count, sent_capacity, sent_taken, sent_current;
    /* Rows that do not stand, as the journal said at adoption, by key; until a checkpoint has
     * deleted them. */
    store_outgoing_key_t *overruled;
    size_t overruled_count;
    bool corrected; /* it has */
    bool reading;   /* rows of: */
    bool dropped;   /* the lane was dropped meanwhile */
    bool forgot;    /* since the read began, what was told has got rows */
    uint32_t reading_lane;
    store_outgoing_key_t reading_after;
    size_t bytes;  /* as counted in router_t.outgoing_bytes */
    uint64_t open; /* as counted in the router's counters */
} lane_outbox_t;

/* Of the ids of outgoing messages. */
static inline bool outgoing_key_is_before(store_outgoing_key_t a, store_outgoing_key_t b)
{
    return a.id < b.id || (a.id == b.id && a.index < b.index);
}

/* ---- outbox.c ---- */

/* The RESULT of the message is durable, with what its handler has told: in this entry. Takes over
 * the change of the message's row. */
void outbox_committed(router_t *router, const message_t *source, const journal_outgoing_t *told,
                      uint64_t entry);
/* The lane is adopted: which rows it has, and which of them do not stand. */
void outbox_adopt(router_t *router, const adoption_t *adoption);
/* Takes over messages of the adoption from this one on: about so many. Returns how many. */
size_t outbox_adopt_some(router_t *router, const adoption_t *adoption, size_t from, size_t most);
/* Whether so much is open that no work may be taken that may tell more. */
bool outbox_is_full(const router_t *router, const lane_outbox_t *outbox);
/* How old the oldest open message in memory is, by its outgoing id; 0: there is none. */
uint64_t outbox_oldest_ms(const router_t *router, const lane_outbox_t *outbox);
/* The lane is dropped. What slices have stays. */
void outbox_drop(router_t *router, uint32_t lane);
void outboxes_destroy(router_t *router);
/* Counts again what the outbox takes of memory. */
void outbox_account(router_t *router, lane_outbox_t *outbox);

/* Where what was told begins whose outgoing id is not below this one. */
size_t outbox_find(const lane_outbox_t *outbox, uint64_t id);

/* ---- outbox_rows.c ---- */

void outbox_checkpoint_begins(lane_outbox_t *outbox);
/* What the checkpoint under way has to write next; NULL: nothing is left. */
outbox_told_t *outbox_next_told(const lane_outbox_t *outbox);
void outbox_take_told(lane_outbox_t *outbox, uint64_t slice);
/* The next key of a row that it has to delete; NULL: none is left. */
const store_outgoing_key_t *outbox_next_sent(const lane_outbox_t *outbox);
void outbox_take_sent(lane_outbox_t *outbox);
bool outbox_is_used_up(const lane_outbox_t *outbox);
/* The slice is settled. `last`: so is the checkpoint. */
void outbox_settled(router_t *router, lane_outbox_t *outbox, uint64_t slice, bool last);
/* The answer to a load: see router_outgoing_loaded. */
void outbox_rows_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                        outgoing_copy_t **messages, size_t count, bool ended);
void outbox_told_drop(outbox_told_t **told);
/* The SENT of this message is durable. */
void outbox_note_sent(lane_outbox_t *outbox, store_outgoing_key_t key);
/* The same, with what follows: the message is forgotten, and its dead letter gets a row. */
void outbox_ended(router_t *router, uint32_t lane, const batch_sent_t *sent);

#endif
