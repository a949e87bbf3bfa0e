/* An ownership: which runner owns one entity type's part of one shard. ownership.c owns the struct,
 * but for the lists of entities, which mailbox.c owns, for those that are kept alive, and for what
 * is to be loaded.
 *
 * Tokens grow along a shard over all of its types, so a token names one ownership of its shard.
 */
#ifndef BROKER_ROUTER_OWNERSHIP_STATE_H
#define BROKER_ROUTER_OWNERSHIP_STATE_H

#include "broker/router/alive_state.h"
#include "broker/router/runner_state.h"
#include "broker/router/shard_state.h"
#include "core/timers.h"

typedef enum ownership_state {
    OWNERSHIP_UNOWNED, /* it has no owner; always so while this broker is not the shard's home */
    OWNERSHIP_OWNED,
    OWNERSHIP_RELEASING /* its owner was asked to give it back */
} ownership_state_t;

struct ownership {
    shard_t *shard;
    ownership_state_t state;
    token_t token;         /* of the last change of owner */
    incarnation_t desired; /* the owner that the coordinator wants; none: nobody */
    bool placed;           /* the coordinator has wanted an owner since the lane is here */
    /* The last owner under the home before, as far as the map said when the first owner was
     * wanted. None: it is not known, or somebody has owned it under this home. */
    incarnation_t predecessor;
    runner_t *owner;       /* OWNED, RELEASING */
    bool persisted;        /* likewise: the type's states are persisted, or made of events */
    bool appends;          /* likewise: the type appends events */
    alive_part_t alive;    /* see alive.c */
    timer_entry_t release; /* RELEASING: when the ownership is taken back */
    entity_t *entities;    /* that have messages */
    entity_t *busy;        /* those of them with messages in flight */
    struct overflow
        *overflows;  /* of its entities: to be loaded; see overflow.c, also for the rest */
    bool is_loading; /* it is in its lane's list of such ownerships */
    struct ownership *load_prev, *load_next;
    struct ownership *prev, *next; /* of its shard */
    UT_hash_handle by_key;
    uint32_t key_size;
    uint8_t key[]; /* the shard's id, then the type */
};

/* NULL: the type has had neither an entity nor an owner in the shard. */
ownership_t *ownership_of(router_t *router, const shard_t *shard, fabric_bytes_t type);
ownership_t *ownership_make(router_t *router, shard_t *shard, fabric_bytes_t type);
/* The one with this token; NULL: there is none. */
ownership_t *ownership_of_token(const shard_t *shard, token_t token);
fabric_bytes_t ownership_type(const ownership_t *ownership);
/* Whether messages may be delivered to its owner. */
bool ownership_dispatches(const router_t *router, const ownership_t *ownership);
/* Whether volatile messages may wait for its owner: it has one that is not missing, or gets another
 * one as soon as the coordinator has said which. */
bool ownership_takes_volatile(router_t *router, const ownership_t *ownership);

/* The owner under the home before. */
void ownership_note_predecessor(ownership_t *ownership, incarnation_t runner);
/* This broker is not the home any more: nobody is wanted as an owner. */
void ownership_end_home(ownership_t *ownership);
/* The coordinator wants this owner. */
void ownership_desire(ownership_t *ownership, incarnation_t runner);
/* The runner owns it, under a new token. */
void ownership_give(router_t *router, ownership_t *ownership, runner_t *runner);
/* Its owner is asked to give it back by then. */
void ownership_begin_release(router_t *router, ownership_t *ownership, uint64_t deadline_ms);
/* Its owner is not its owner any more. */
void ownership_take(router_t *router, ownership_t *ownership);
/* The next one whose owner has not given it back in time; NULL: there is none. */
ownership_t *ownership_take_overdue(router_t *router);
void ownerships_destroy(router_t *router);

/* ---- owners.c ---- */

/* The lane is adopted: its shards serve, and their ownerships get the owners that they are to have.
 */
void owners_serve(router_t *router, uint32_t lane);
/* The shard's lane is dropped: no owner of it is an owner any more. None of its messages is in
 * flight. */
void owners_drop(router_t *router, shard_t *shard);
/* Nobody has the ownership any more: what was in flight comes back, and what the old owner still
 * sends is refused. Then the ownership gets the owner that it is to have. */
void owner_take_back(router_t *router, ownership_t *ownership);
/* owner_take_back for all that the runner owns. */
void owners_take_back(router_t *router, runner_t *runner);
/* The runner is connected anew: takes back what it owned, and gives it what it is to own. */
void owners_assign_again(router_t *router, const runner_t *runner);
/* Nobody is to own anything: all owners are asked to give back what they own. */
void owners_release(router_t *router);
/* Takes back what was not given back in time. */
void owners_tick(router_t *router);

#endif
