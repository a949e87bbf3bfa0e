/* Entities that are kept alive: each is to have an instance at its owner, also while no message
 * waits for it. alives.c owns the structs, but for the pauses and refusals of an ownership, which
 * alive.c owns.
 *
 * A worker says what keeps an entity of its alive, and that nothing does any more (ALIVE). That
 * becomes durable as a record, and a row at the next checkpoint, so every home of the lane knows
 * it. Whenever an ownership gets an owner, the home wakes such entities there: it asks the owner to
 * make their instances, a few at a time, and goes on as they are answered. An owner that has no
 * room for an instance, or cannot build it, is asked again after a pause, and then for one at a
 * time until it has made one.
 *
 * A record here and its ownership are of the same shard; records are found by type and id.
 */
#ifndef BROKER_ROUTER_ALIVE_STATE_H
#define BROKER_ROUTER_ALIVE_STATE_H

#include "broker/router/router.h"
#include "core/hash.h"
#include "core/timers.h"

typedef struct ownership ownership_t;
typedef struct runner runner_t;

typedef enum alive_state {
    ALIVE_ASLEEP, /* its owner is to be asked to make its instance */
    ALIVE_WAKING, /* its owner has been asked */
    ALIVE_AWAKE,  /* it has an instance, as far as is known, or is to have none any more */
    ALIVE_LEFT,   /* it was AWAKE when its ownership lost its owner */
    ALIVE_ASIDE   /* owners died while they made its instance: this home does not ask again */
} alive_state_t;

typedef struct alive {
    ownership_t *ownership;
    alive_state_t state; /* as of `owner`: see alive_now */
    uint32_t owner;
    uint32_t wanted;           /* enum alive_cause: as its owner has said last */
    uint32_t stands;           /* the same, as it is durable */
    uint32_t changes;          /* that are not durable yet */
    uint32_t losses;           /* owners in a row that died while they made its instance */
    uint8_t changed;           /* in which list of rows it is: 0: in none, 1: next, 2: current */
    struct alive *prev, *next; /* of the ownership's list for its state */
    struct alive *lane_prev, *lane_next;       /* of its lane */
    struct alive *changed_prev, *changed_next; /* of the rows to correct */
    UT_hash_handle by_name;
    uint16_t name_size;
    uint8_t name[]; /* one byte with the size of the type, then type and id */
} alive_t;

/* An ownership's part. */
typedef struct alive_part {
    alive_t *lists[ALIVE_ASIDE + 1]; /* by state */
    uint32_t owner;      /* how many owners were lost: those that were AWAKE have LEFT */
    uint32_t waking;     /* of them WAKING */
    uint32_t refusals;   /* in a row: no instance could be made */
    timer_entry_t pause; /* while it is set, the owner is asked for none */
    bool reads;          /* the pause ends as soon as a persisted state is read */
} alive_part_t;

/* A lane's part. */
typedef struct lane_alive {
    alive_t *all;
    uint64_t count;
    alive_t *next, *current; /* whose rows do not say what stands: see checkpoint_state.h */
} lane_alive_t;

/* ---- alives.c: the records ---- */

fabric_bytes_t alive_type(const alive_t *alive);
fabric_bytes_t alive_id(const alive_t *alive);
/* NULL: the entity is not kept alive. */
alive_t *alive_find(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
/* Its state. It is LEFT without being touched, so that an owner with many of them is lost at once.
 */
alive_state_t alive_now(const alive_t *alive);
/* All that are AWAKE have LEFT. */
void alive_leave(alive_part_t *part);
/* It is ASLEEP. */
alive_t *alive_add(router_t *router, ownership_t *ownership, fabric_bytes_t id);
void alive_set_state(router_t *router, alive_t *alive, alive_state_t state);
/* Behind the others of its ownership that are in its state. */
void alive_put_last(alive_t *alive);
/* Its row does not say what stands. */
void alive_note_row(router_t *router, alive_t *alive);
/* Frees the record if nothing keeps the entity alive, and no row is to be corrected. */
void alive_release(router_t *router, alive_t *alive);

/* ---- alive.c: what workers say ---- */

fabric_error_t alive_received(router_t *router, runner_t *runner, const message_alive_t *message);
/* Nothing keeps the entity alive any more; does nothing if nothing did. */
void alive_end(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
/* The entity was cleared, which is durable: nothing keeps it alive. Its worker is to say so, too,
 * and may have said otherwise meanwhile. */
void alive_cleared(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
/* What a worker has said is durable. */
void alive_committed(router_t *router, const store_kept_t *kept);

/* ---- alive.c: owners ---- */

/* The ownership has got an owner. */
void alive_owned(router_t *router, ownership_t *ownership);
/* It loses its owner, which is still noted in it. */
void alive_lost(router_t *router, ownership_t *ownership);
/* The persisted state of the entity has been read. */
void alive_state_known(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
/* What its instance is to begin with cannot be given: the others of the ownership come first. */
void alive_not_built(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
/* The owner is told the persisted state with a message: an instance that it has of the entity ends,
 * and another one is wanted, whether or not the message makes it. */
void alive_state_given(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
/* Goes on after pauses. */
void alive_tick(router_t *router);

/* ---- alives.c: checkpoints ---- */

/* What waits is for the checkpoint that begins. */
void alive_checkpoint_begins(lane_alive_t *lane);
/* The next one whose row is to be corrected; its name is valid until alive_take. NULL: none. */
const alive_t *alive_next(const lane_alive_t *lane, store_kept_t *row);
/* Its row is in a slice. */
void alive_take(router_t *router, lane_alive_t *lane);

/* ---- alives.c: lanes ---- */

/* Takes over what an adoption says of some entities. */
void alive_adopt(router_t *router, uint32_t lane, const store_kept_t *kept, size_t count);
/* The lane is dropped: frees one of its entities; false: there is none. */
bool alive_drop_next(router_t *router, uint32_t lane);
void alives_destroy(router_t *router);

#endif
