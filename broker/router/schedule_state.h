/* Schedules: accepted messages whose time of delivery has not come. schedule.c owns schedule_t.
 *
 * A lane's scheduled messages stand in the order of their times, then of their ids. Memory holds:
 *   1. the window: all of them up to the horizon;
 *   2. behind the horizon only those of which the store does not certainly have rows yet.
 * What else is behind the horizon is in the store only. It is loaded, the next first, when the
 * window runs low. So memory is bounded however many messages are scheduled.
 *
 * When a message's time comes, it gets a new position, the next one of its lane, and takes its
 * place in its entity's mailbox as if it was accepted now. That is a record of the journal (MOVE),
 * and the message is delivered only after it is durable. Messages fire in order, from the window
 * only. So a load, which reads rows behind the horizon, never meets the row of one that has fired.
 *
 * A message whose position is its id, and which has a time of delivery, is scheduled: that holds
 * for records, rows and memory alike.
 */
#ifndef BROKER_ROUTER_SCHEDULE_STATE_H
#define BROKER_ROUTER_SCHEDULE_STATE_H

#include "broker/router/checkpoint_state.h"
#include "broker/router/ownership_state.h"

typedef struct router_lane router_lane_t;

/* Messages by their times. */
typedef struct due_heap {
    struct due_place {
        store_due_key_t key;
        message_t *message;
    } * places;
    size_t count, capacity;
} due_heap_t;

typedef struct schedule {
    due_heap_t window;
    due_heap_t later;
    uint64_t window_bytes;
    size_t trim_count; /* the window is not trimmed before it has so many messages; 0: no matter */
    bool is_whole;     /* the store has no other rows: the horizon is endless */
    store_due_key_t horizon;
    uint64_t stored; /* messages in the store only, as far as is known */
    /* The largest keys that have left since a checkpoint ended, and in the time before that: their
     * rows may still be there, and the horizon stays behind them. */
    store_due_key_t left, left_before;
    bool loading;      /* rows are being read: nothing leaves memory for the store */
    bool dropped;      /* the lane was dropped meanwhile: the answer does not matter */
    bool sweep;        /* rows of messages behind the horizon were settled meanwhile */
    uint64_t answered; /* loads so far */
    /* Ids of rows that the journal has overruled, sorted, until the lane's first checkpoint is
     * settled and no load is under way that began before. */
    uint64_t *overruled;
    size_t overruled_count;
    bool corrected; /* that checkpoint is settled */
} schedule_t;

/* Whether the message's time has not come. */
static inline bool message_is_scheduled(const message_t *message)
{
    return message->stored.deliver_at_ms != 0 && message->position == message->stored.id.value;
}
static inline store_due_key_t message_due_key(const message_t *message)
{
    return (store_due_key_t){message->stored.deliver_at_ms, message->stored.id.value};
}

/* The time by the home's clock: Unix milliseconds. */
int64_t schedule_now_ms(const router_t *router);

/* ---- messages ---- */

/* The accepted message waits for its time. */
void schedule_add(router_t *router, message_t *message);
/* The message's new position is durable: it enters its entity's mailbox. */
void schedule_moved(router_t *router, message_t *message, uint64_t position);
/* The scheduled message is cancelled, and ends now. */
void schedule_cancelled(router_t *router, message_t *message);
/* The row of a cancelled message, of which nothing is in memory: if it stands, its message comes
 * into memory, and ends. false: it does not stand, and is still the caller's. */
bool schedule_take_out(router_t *router, uint32_t lane, message_t *row);
/* Whether only the store has the scheduled message. */
bool schedule_has(const schedule_t *schedule, store_due_key_t key);
/* Messages whose time has come get their new positions. */
void schedules_tick(router_t *router);
/* When the next message comes due, by the router's clock; UINT64_MAX: none, or one is due already.
 */
uint64_t schedules_deadline_ms(const router_t *router);

/* ---- clears ---- */

/* Takes the entity's scheduled messages with ids below this one out, chained: none of them fires.
 */
message_t *schedule_take_all(router_t *router, router_lane_t *lane, const entity_t *entity,
                             request_id_t below);
/* So many rows were deleted, whose messages may have been in the store only. */
void schedule_cleared(router_t *router, schedule_t *schedule, uint64_t rows);

/* ---- lanes ---- */

/* The slice is settled: what has a row now, and is not among the next, leaves memory. */
void schedule_settled(router_t *router, uint32_t lane, const checkpoint_slice_t *slice);
/* The lane's first checkpoint since its adoption is settled. */
void schedule_corrected(schedule_t *schedule);
/* The lane is adopted; takes what the adoption names as overruled among scheduled rows. */
void schedule_adopt(router_t *router, adoption_t *adoption);
/* The lane's messages are adopted: what is behind the horizon and has a row leaves memory. */
void schedule_adopted(router_t *router, uint32_t lane);
/* The lane is dropped: nothing more fires or is loaded. */
void schedule_drop(router_t *router, uint32_t lane);
/* Takes one message of the dropped lane; NULL: nothing is left. */
message_t *schedule_drop_next(router_t *router, uint32_t lane);
void schedules_destroy(router_t *router);

#endif
