/* Overflow: entities with more messages than memory holds. overflow.c owns overflow_t, and loads.c
 * owns loads_t.
 *
 * The accepted messages of such an entity stand in this order:
 *   1. its queue, in memory;
 *   2. the gap: messages that only the store has, at positions after < position <= until;
 *   3. the tail: messages in memory that were accepted behind the gap.
 *
 * So a message never passes an older one of its entity. The tail's first messages are dropped from
 * memory, and join the gap, when the store certainly has their rows. Rows of the gap are loaded
 * when the queue has room and the entity has an owner. When the gap is empty, the tail
 * moves to the queue.
 *
 * An overflow is kept by the entity's hash, since that is all that a new home knows of rows before
 * it has read them. Entities with the same hash have one overflow.
 */
#ifndef BROKER_ROUTER_OVERFLOW_STATE_H
#define BROKER_ROUTER_OVERFLOW_STATE_H

#include "broker/router/checkpoint_state.h"
#include "broker/router/ownership_state.h"

typedef struct router_lane router_lane_t;

typedef struct overflow {
    uint64_t hash;
    ownership_t *ownership; /* NULL: not known yet, as no row was read */
    uint64_t count;         /* of messages in the gap */
    uint64_t after, until;
    uint64_t delivered_until; /* messages of the gap up to here may have been delivered before */
    uint32_t queued;          /* messages in the queue */
    bool clearing;            /* rows of it are being deleted: it is not loaded meanwhile */
    bool look_again;          /* some may be gone: it is loaded also where nobody owns the entity */
    bool looking;             /* so they are being read, and will be known then */
    bool loading;             /* rows are being read; so are the next four */
    bool refused;             /* the rest of these rows stays in the store */
    uint32_t rows_read;
    uint64_t load_until;
    uint64_t load_count;    /* messages up to there that have not been loaded */
    message_t *tail;        /* in order */
    struct overflow **list; /* of overflows to load, that it is in; NULL: it is in none */
    struct overflow *prev, *next;
    UT_hash_handle by_hash;
} overflow_t;

/* Those of one lane. */
typedef struct overflows {
    overflow_t *by_hash;
    /* To be loaded in turn: overflows without a known ownership, and ownerships with an owner. */
    overflow_t *unknown;
    ownership_t *ownerships;
    bool unknown_first; /* whose turn it is */
} overflows_t;

/* ---- messages ---- */

/* The message is durable, or adopted: it is put behind all messages of its entity, and the entity
 * is dispatched if that was its queue. */
void overflow_enqueue(router_t *router, message_t *message);
/* Whether the entity's next message goes to its queue. */
bool overflow_queues_next(router_t *router, const entity_t *entity);
/* A cancelled message, in no queue, ends before what its entity has. */
void overflow_end_early(router_t *router, message_t *message);
/* A message of a tail is cancelled, and ends now. */
void overflow_cancelled(router_t *router, message_t *message);
/* A message of the queue of an entity with this hash has ended. */
void overflow_message_ended(router_t *router, overflows_t *overflows, uint64_t entity_hash);
/* How many messages of the entity only the store has. */
uint64_t overflow_stored(const overflows_t *overflows, uint64_t entity_hash);
/* Whether the message at this position is one that only the store has. */
bool overflow_has(const overflows_t *overflows, uint64_t entity_hash, uint64_t position);
/* Whether only the store has messages of the entity at this position, or behind it. */
bool overflow_reaches(const overflows_t *overflows, uint64_t entity_hash, uint64_t position);
/* The slice is settled: what has rows now is dropped from tails. */
void overflow_settled(router_t *router, uint32_t lane, const checkpoint_slice_t *slice);

/* ---- clears ---- */

/* Takes the entity's messages with ids below this one from its tail, chained. */
message_t *overflow_take_tail(router_t *router, router_lane_t *lane, const entity_t *entity,
                              request_id_t below);
/* So many messages of the entity's queue have been cleared, and so are rows of it. Those are
 * deleted before it is loaded again. */
void overflow_cleared(router_t *router, overflows_t *overflows, uint64_t entity_hash,
                      uint32_t queued);
/* The rows are deleted. A load finds out what is left, as entities with the same hash have one
 * overflow. */
void overflow_look_again(router_t *router, overflows_t *overflows, uint64_t entity_hash);

/* ---- ownerships and lanes ---- */

/* The ownership has an owner. */
void overflow_owned(router_t *router, ownership_t *ownership);
/* The lane is adopted, and has these messages that are not in memory. */
void overflow_adopt(router_t *router, uint32_t lane, const store_backlog_t *backlogs, size_t count);
/* The lane's messages are adopted, and enqueued: what has rows is dropped from tails. */
void overflow_adopted(router_t *router, uint32_t lane);
/* The lane is dropped: nothing more is loaded. */
void overflow_drop(overflows_t *overflows);
/* Takes one message from a tail of the dropped lane, or else forgets an overflow without a tail and
 * sets *message to NULL. false: nothing is left. */
bool overflow_drop_next(router_t *router, uint32_t lane, message_t **message);

void overflows_destroy(router_t *router);

/* ---- for loads ---- */

/* The next entity with room for rows; false: there is none. At most *rows_left messages are asked
 * for, which become fewer by those that stand there. */
bool overflow_take(router_t *router, uint32_t lane, uint32_t *rows_left, store_range_t *range);
/* The overflow that waits for this row; NULL: the row does not count. */
overflow_t *overflow_of_row(const overflows_t *overflows, const message_t *row);
/* The row's ownership is known now. Whether the row is wanted in memory; if not, it stays in the
 * store, and so do all that come after it. */
bool overflow_wants_row(const router_t *router, overflow_t *overflow, ownership_t *ownership);
/* The row does not stand: its message has ended, or is in memory. */
void overflow_pass(overflow_t *overflow, uint64_t position);
/* The row's message is not in the gap any more: it was cleared, or comes into memory. */
void overflow_leave_gap(router_t *router, overflow_t *overflow, uint64_t position);
/* The row's message comes into memory. */
void overflow_row_loaded(router_t *router, overflow_t *overflow, message_t *row);
/* The row's message, which is in the gap, comes into memory out of its turn. */
void overflow_take_out(router_t *router, overflows_t *overflows, const message_t *row);
/* The loaded message is the next one in its entity's queue, and the entity is dispatched. */
void overflow_queue(router_t *router, overflow_t *overflow, message_t *message);
/* The load of this range is over. `complete`: it was read to its end. */
void overflow_loaded(router_t *router, uint32_t lane, const store_range_t *range, bool complete);

/* ---- loads.c ---- */

typedef struct loads {
    store_range_t *ranges;
    size_t count;
    bool running;
    bool dropped;      /* the lane was dropped meanwhile: the answer does not matter */
    uint64_t answered; /* loads so far */
    /* Rows that the journal has overruled, by position, until the lane's first checkpoint is
     * settled and no load is under way that began before. */
    overruled_row_t *overruled;
    size_t overruled_count;
    bool corrected; /* that checkpoint is settled */
} loads_t;

/* The row of a cancelled message, of which nothing is in memory: if it stands, its message comes
 * into memory, and ends. false: it does not stand, and is still the caller's. */
bool loads_take_out(router_t *router, uint32_t lane, message_t *row);
/* The lane is adopted; takes what the adoption names as overruled. */
void loads_adopt(router_t *router, adoption_t *adoption);
void loads_drop(loads_t *loads);
void loads_destroy(router_t *router);

#endif
