/* The persisted states of a lane's entities that memory knows. persisted.c owns the structs.
 *
 * A state is here from the first delivery to its entity on. It stays while its row does not say
 * what is known of it, and after that as long as there is room. A state that is not here is read
 * from its row before anything is delivered to its entity.
 *
 * The owner gets the state with the first delivery of an activation, and sends it back with each
 * result that has changed it. Results count in order, so the `newest` state is what the entity's
 * next activation begins with, whether its result is durable yet or not: if that result is never
 * stored, the lane is dropped, and all that rests on it is refused. A new activation gets its state
 * only when nothing of the entity is in flight.
 *
 * What a read brings is joined with what is here when it returns: a state that has become known
 * meanwhile is newer. A state is forgotten only when its row is settled, so a read that is taken
 * later sees it.
 */
#ifndef BROKER_ROUTER_PERSISTED_STATE_H
#define BROKER_ROUTER_PERSISTED_STATE_H

#include "broker/adoption.h"
#include "broker/router/history_state.h"
#include "broker/router/router.h"
#include "broker/state_value.h"
#include "core/hash.h"

typedef struct ownership ownership_t;

typedef struct persisted persisted_t;

/* Whose state is meant. `place`: where the entity's record keeps what was found, so that it is
 * found at once the next time; NULL: nowhere. */
typedef struct persisted_key {
    fabric_bytes_t type, id;
    persisted_t **place;
} persisted_key_t;

struct persisted {
    bool known;  /* else it is to be read, or is being read */
    bool given;  /* the owner with the token `given_to` has an instance with it */
    bool unread; /* known: only what was changed is, and not what is stored */
    token_t given_to;
    history_t *history;     /* of a type that appends events; NULL: nobody has asked for it */
    state_value_t *newest;  /* known: after all results that count; NULL: there is no state */
    state_value_t *durable; /* known: the same as of what is stored */
    uint64_t slice;         /* the lane's last slice with its row; 0: none */
    persisted_t **place;    /* that refers to it, of the entity's record; NULL: none */
    persisted_t **list;     /* that it is in; NULL: its row is in a slice */
    persisted_t *prev, *next;
    UT_hash_handle by_name;
    uint16_t name_size;
    uint8_t name[]; /* one byte with the size of the type, then type and id */
};

typedef struct lane_persisted {
    persisted_t *by_name;
    persisted_t *next, *current;   /* whose rows do not say what is known: see checkpoint_state.h */
    persisted_t *settled;          /* whose rows do, the one that was used longest ago first */
    persisted_t *wanted, *reading; /* that are to be read, and are being read */
    store_entity_name_t *names;    /* of those: views into `name_bytes` */
    uint8_t *name_bytes;
    size_t count;
    bool running, dropped; /* of the read that was taken last */
    lane_history_t history;
} lane_persisted_t;

/* Whether something may be delivered to the entity: its state is known, and its owner has it, or
 * gets it now that nothing is in flight. If it is not known, it is going to be read. */
bool persisted_is_ready(router_t *router, const ownership_t *ownership, persisted_key_t key,
                        uint32_t in_flight);
/* Whether the owner has the state, as far as is known here. */
bool persisted_is_given(router_t *router, const ownership_t *ownership, persisted_key_t key);
/* A message is about to be delivered to the entity, which is ready, or its instance is about to be
 * asked for: tells the owner the state, and returns true, unless the owner has it. */
bool persisted_deliver(router_t *router, const ownership_t *ownership, persisted_key_t key,
                       uint64_t activation);
/* The entity's next activation is to begin with its state. */
void persisted_restart(router_t *router, const ownership_t *ownership, persisted_key_t key);
/* A result that counts has left this state. Returns it, with a reference for the message. */
state_value_t *persisted_change(router_t *router, persisted_key_t key, const store_state_t *state);
/* It is durable. Takes the reference. */
void persisted_commit(router_t *router, persisted_key_t key, state_value_t **value);
/* The entity's record ends, with its place. */
void persisted_leave(persisted_t **place);
/* The entity is cleared: what its results that are not durable have changed does not count. */
void persisted_revert(router_t *router, shard_id_t shard, fabric_bytes_t type, fabric_bytes_t id);

/* ---- events ---- */

/* The history of an entity to which something was delivered, whose type appends events. */
history_t *persisted_history(router_t *router, shard_id_t shard, fabric_bytes_t type,
                             fabric_bytes_t id);
/* Whether a result with these effects goes on where the entity is, which its type's owner has. */
bool persisted_goes_on(router_t *router, const ownership_t *ownership, fabric_bytes_t type,
                       fabric_bytes_t id, const journal_effects_t *effects);
/* A result that counts has appended these events; `first` says whose they are. Returns them, with a
 * reference for the message. */
events_value_t *persisted_append(router_t *router, const store_event_t *first,
                                 const journal_events_t *events);
/* They are durable with this entry. Takes the reference. */
void persisted_commit_events(router_t *router, events_value_t **value, uint64_t number);
/* The owner cannot read the entity's snapshot: it gets all events instead. */
void persisted_unreadable(router_t *router, const ownership_t *ownership, fabric_bytes_t type,
                          fabric_bytes_t id);
/* The owner was given what the entity's instance begins with, made none, and does not say why. The
 * next one begins with all events, if that was the snapshot, and else with the snapshot again,
 * unless the owner has said that it cannot read that. */
void persisted_refused(router_t *router, const ownership_t *ownership, fabric_bytes_t type,
                       fabric_bytes_t id);
/* The read about `histories` is over. Returns how many there were. */
size_t persisted_events_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                               events_value_t **values, size_t count, size_t done);
/* What is wrong with a history that was read, which then rests; zeroed: nothing. */
history_fault_t persisted_take_fault(router_t *router, uint32_t lane, fabric_bytes_t type,
                                     fabric_bytes_t id);

/* For those who read histories, beside activations. Between these two, what memory has of the
 * entity's events stays, whether a slice settles it or not: so a read that is taken in between and
 * what is here when it returns have all of them between them. Each hold wants one release, but for
 * those of a lane that is dropped meanwhile. */
void persisted_events_hold(router_t *router, shard_id_t shard, fabric_bytes_t type,
                           fabric_bytes_t id);
void persisted_events_release(router_t *router, shard_id_t shard, fabric_bytes_t type,
                              fabric_bytes_t id);
/* What memory has of the entity's events, in order, chained by `next`. They are durable up to the
 * first one whose number is 0. Rows may have some of them, too. NULL: there are none. */
const events_value_t *persisted_events(router_t *router, shard_id_t shard, fabric_bytes_t type,
                                       fabric_bytes_t id);

/* The state as it is stored, NULL: none is; false: it is not known, and is going to be read. */
bool persisted_look(router_t *router, shard_id_t shard, fabric_bytes_t type, fabric_bytes_t id,
                    const state_value_t **value);

/* ---- reads ---- */

/* Joins what was read, and takes the values. Returns of how many of the names that were read, from
 * the first on, the states are known now: lane_persisted_t.names, until the next read. */
size_t persisted_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                        state_value_t **values, size_t count, size_t done);
/* Forgets states whose rows say what is known, but for the one that was used last, while all take
 * too much. What was read is not forgotten before its entities had their turn. */
void persisted_trim(router_t *router, uint32_t lane);

/* ---- the lane ---- */

/* Takes the states over that the journal has and rows do not. */
void persisted_adopt(router_t *router, adoption_t *adoption);
/* What is read is of no use any more. */
void persisted_drop(lane_persisted_t *states);
/* false: no state is left. */
bool persisted_drop_next(router_t *router, lane_persisted_t *states);
void persisted_destroy(router_t *router);

/* ---- checkpoints ---- */

void persisted_checkpoint_begins(lane_persisted_t *states);
/* The next change of the checkpoint is in the slice. */
void persisted_take(lane_persisted_t *states, uint64_t slice);
/* The slice with this state is settled. */
void persisted_settled(router_t *router, const store_state_t *row, uint64_t slice);
/* The slice with some of these events is. */
void persisted_events_settled(router_t *router, const events_value_t *value, uint64_t slice);

#endif
