/* Checkpoints of a lane: the rows that do not say what stands, and the slices that correct them.
 * slice.c owns checkpoint_slice_t, row_changes.c the changes that wait in `next`, and checkpoint.c
 * the rest.
 *
 * A checkpoint begins with all changes that wait: they move from `next` to `current`, from where
 * slices take them. What changes afterwards waits in `next` for the next checkpoint. So a
 * checkpoint ends under any load, and a row is never deleted before a slice that puts it.
 *
 * A row bears the number of the lane's last durable entry when its slice is made, and says what is
 * durable as of that entry.
 */
#ifndef BROKER_ROUTER_CHECKPOINT_STATE_H
#define BROKER_ROUTER_CHECKPOINT_STATE_H

#include "broker/router/router.h"
#include "broker/events_value.h"
#include "broker/state_value.h"
#include "core/limits.h"
#include "core/journal/entry.h"

/* New counts of a row whose message is not in memory. */
typedef struct row_amendment {
    store_row_key_t key;
    journal_attempts_t attempts;
    bool over; /* the message has come into memory, and has its own counts */
} row_amendment_t;

/* A dead letter that has no row of its own yet. */
typedef struct dead_row {
    message_t *message; /* a copy, owned; `has_row`: the pending message had a row */
    int64_t ended_ms;   /* Unix time */
} dead_row_t;

/* Changes of rows whose messages are not pending in memory, in the order in which they came up. */
typedef struct row_changes {
    row_amendment_t *amendments; /* by position */
    size_t amendment_count, amendment_capacity;
    store_row_key_t *deletes; /* of messages that have ended */
    size_t delete_count, delete_capacity;
    dead_row_t *dead;
    size_t dead_count, dead_capacity;
    store_due_key_t *unscheduled; /* of scheduled messages that came due, or have ended */
    size_t unscheduled_count, unscheduled_capacity;
    request_id_t *direct; /* transactional messages that have ended */
    size_t direct_count, direct_capacity;
} row_changes_t;

typedef struct checkpoint_slice checkpoint_slice_t;

/* The slice that was taken last. */
struct checkpoint_slice {
    router_slice_t taken;
    bool running;    /* it is not answered yet */
    bool dropped;    /* the lane was dropped meanwhile: the answer does not matter */
    uint64_t number; /* of slices taken so far */
    size_t rows;     /* changes in it */
    uint64_t bytes;  /* of bodies and names in it, about */
    store_pending_t *puts;
    size_t put_count, put_capacity;
    store_pending_t *scheduled;
    size_t scheduled_count, scheduled_capacity;
    store_due_key_t *unscheduled;
    size_t unscheduled_count, unscheduled_capacity;
    store_amendment_t *amendments;
    size_t amendment_count, amendment_capacity;
    store_row_key_t *deletes;
    size_t delete_count, delete_capacity;
    store_dead_row_t *dead;
    dead_row_t *dead_messages; /* what `dead` points into */
    size_t dead_count, dead_capacity, dead_message_capacity;
    store_key_t *keys;
    size_t key_count, key_capacity;
    uint8_t *replies; /* of the keys, one after the other */
    size_t reply_bytes, reply_capacity;
    store_state_t *states;
    state_value_t **state_values; /* what these point into */
    size_t state_count, state_capacity, state_value_capacity;
    store_event_t *events;
    size_t event_count, event_capacity;
    events_value_t **event_values; /* what these point into */
    size_t event_value_count, event_value_capacity;
    store_kept_t *kept;
    size_t kept_count, kept_capacity;
    request_id_t *direct;
    size_t direct_count, direct_capacity;
    store_outgoing_t *outgoing;
    size_t outgoing_count, outgoing_capacity;
    struct outbox_told **told; /* what these point into */
    size_t told_count, told_capacity;
    store_outgoing_key_t *sent;
    size_t sent_count, sent_capacity;
    /* Of the puts, then of `kept`: types, entities and tags, one after the other. */
    uint8_t *names;
    size_t name_bytes, name_capacity;
    uint64_t *entities; /* the hashes of the entities whose messages are put or amended */
    size_t entity_count, entity_capacity;
    journal_writer_t *writer; /* the bodies: of the puts, then of the dead letters */
    /* The clear whose rows it deletes, and what came of it; its names are copies. */
    store_clear_t clear;
    store_cleared_t cleared;
    request_id_t cleared_id;
    uint8_t clear_names[2 * LIMIT_NAME_BYTES_MAX];
};

typedef struct checkpoint {
    store_hold_t hold;
    uint64_t number;      /* of the lane's last entry that is durable */
    uint64_t settled;     /* the rows are complete as of this entry */
    uint64_t begun;       /* the entry that the checkpoint under way is to reach */
    bool under_way;       /* from the first slice to the answer to the last one */
    bool failed;          /* a slice was refused: the lane is going to be dropped */
    uint64_t due_ms;      /* when the next checkpoint begins */
    uint64_t new_bytes;   /* of entries that no checkpoint covers yet */
    uint64_t begun_bytes; /* of entries that the checkpoint under way covers */
    message_link_t next_messages, current_messages; /* rings: to be put, or amended */
    row_changes_t next, current;
    size_t amendments_taken, deletes_taken, dead_taken; /* of `current` */
    size_t unscheduled_taken, direct_taken;
    checkpoint_slice_t slice;
    uint64_t slices_settled; /* the number of the last slice that is known to be committed */
} checkpoint_t;

void checkpoints_init(router_t *router);
void checkpoints_destroy(router_t *router);

/* ---- slice.c ---- */

/* Fills the slice from what `current` has: whole changes, as many as one slice may hold. */
void slice_fill(router_t *router, checkpoint_t *checkpoint);
void slice_destroy(checkpoint_slice_t *slice);

/* ---- the lane ---- */

/* The lane is adopted; its rows are complete as of entry adoption->checkpoint. */
void checkpoint_open(router_t *router, const adoption_t *adoption);
/* The lane is dropped, and its messages are forgotten. A slice that was taken stays valid until it
 * is answered. */
void checkpoint_drop(router_t *router, uint32_t lane);
/* The next checkpoint begins as soon as it may. */
void checkpoint_hasten(const router_t *router, checkpoint_t *checkpoint);
/* An entry is durable. What follows from it is noted before the next slice is taken. */
void checkpoint_appended(router_t *router, uint32_t lane, uint64_t number, uint64_t bytes);

/* ---- row_changes.c ---- */

/* Whether the row of a message in memory does not say what stands, and no slice corrects that yet.
 */
static inline bool message_is_changed(const message_t *message)
{
    return message->changed.next != NULL;
}

/* The row of a pending message does not say what stands: there is none, or its counts are old. */
void checkpoint_note(checkpoint_t *checkpoint, message_t *message);
/* A row whose message is not in memory has got other counts. To be called in the order of
 * positions. */
void checkpoint_note_row(checkpoint_t *checkpoint, store_row_key_t key,
                         journal_attempts_t attempts);
/* The message of such a row has come into memory. It may end before the next checkpoint amends its
 * row, which then would say that the message stands. A checkpoint under way amends it: its entry
 * lies before the end. Whether it was noted for the next one: then the row is wrong. */
bool checkpoint_forget_row(checkpoint_t *checkpoint, uint64_t position);
/* A row's message has ended. */
void checkpoint_note_end(checkpoint_t *checkpoint, store_row_key_t key);
/* The same of the row of a scheduled message, which came due or has ended. */
void checkpoint_note_unscheduled(checkpoint_t *checkpoint, store_due_key_t key);
/* The transactional message has ended: its direct result is not needed any more. */
void checkpoint_note_direct(checkpoint_t *checkpoint, request_id_t id);
/* The pending message leaves memory. */
void checkpoint_forget(message_t *message);
/* A message has ended as a dead letter: with its reply and its cause. */
void checkpoint_note_dead(router_t *router, checkpoint_t *checkpoint, const message_t *message);

/* Whether the store certainly has a row that says all of the message that is durable. */
bool checkpoint_has_settled(const checkpoint_t *checkpoint, const message_t *message);
/* The slice that was taken is answered. The slice, if it is committed and the lane was not dropped;
 * else NULL. It is valid until the next slice is taken. */
const checkpoint_slice_t *checkpoint_slice_end(router_t *router, uint32_t lane,
                                               fabric_error_t error);

#endif
