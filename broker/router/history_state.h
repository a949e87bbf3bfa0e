/* The history of one entity whose type appends events: what memory has of its events, and what its
 * next activation begins with. history.c owns the structs; persisted.c finds histories by the names
 * of their entities.
 *
 * `values` are the events of results that count, in order, from the result on until a settled slice
 * has their rows: those without a number are not durable yet. An activation begins with the
 * entity's snapshot and the events behind it: these are read from rows, in as many reads as they
 * need, and joined with `values` when they are given. What is settled meanwhile stays in `values`,
 * since the read may not have seen it.
 */
#ifndef BROKER_ROUTER_HISTORY_STATE_H
#define BROKER_ROUTER_HISTORY_STATE_H

#include "broker/events_value.h"
#include "broker/router/router.h"
#include "core/store.h"

typedef struct ownership ownership_t;

typedef enum history_stage {
    HISTORY_RESTS,  /* nothing is read */
    HISTORY_WANTED, /* it is to be read, or to be read on */
    HISTORY_READ,   /* it is being read */
    HISTORY_READY   /* `loaded` and `values` are what comes behind `after` */
} history_stage_t;

/* What its owner, the `reader`, begins with where there is a snapshot. */
typedef enum history_begin {
    BEGIN_SNAPSHOT, /* with that, and the events behind it */
    /* With all events: it made no instance of the snapshot, and did not say why. */
    BEGIN_ALL_TRIED,
    BEGIN_SNAPSHOT_AGAIN, /* with the snapshot: it made none of all events, either */
    BEGIN_ALL             /* with all events: it has said that it cannot read the snapshot */
} history_begin_t;

/* Why a history cannot be given to an owner. Zeroed: it can. */
typedef struct history_fault {
    uint64_t gap;    /* a sequence that is nowhere; 0: none is missing */
    uint64_t excess; /* so many bytes, or more, are too many; 0: they are not */
} history_fault_t;

typedef struct history {
    fabric_bytes_t type, id; /* views of whoever made it */
    events_value_t *values;
    events_value_t *loaded;
    uint64_t bytes; /* of both, and of this */
    history_stage_t stage;
    uint64_t after;        /* sequence behind which the activation begins */
    uint64_t reached;      /* the last one that was read */
    history_fault_t fault; /* READY: why it is not given */
    bool located;          /* `last` is set: an activation has begun since the history is here */
    uint64_t last;         /* the sequence of the last event that counts */
    bool in_flight;        /* messages of the entity are */
    uint32_t readers;      /* that join what they read with `values` */
    history_begin_t begin;
    token_t reader;        /* of whom `begin` is true */
    bool owed;             /* it is to get all events, and has not: not to be forgotten */
    struct history **slot; /* READ: its place in lane_history_t.read; else NULL */
    struct history **list; /* WANTED, READ: that it is in */
    struct history *prev, *next;
    struct history **changes; /* `next` or `current`, that it is in; NULL: slices have all of it */
    struct history *change_prev, *change_next;
} history_t;

typedef struct lane_history {
    history_t *wanted, *reading;
    history_t *next, *current;  /* whose rows do not say what is durable: see checkpoint_state.h */
    store_history_t *histories; /* of the read that was taken last: views into `name_bytes` */
    history_t **read;           /* the same ones; NULL: it is gone meanwhile */
    uint8_t *name_bytes;
    size_t count;
    bool running; /* that read */
} lane_history_t;

history_t *history_new(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
void history_destroy(router_t *router, history_t **history);

/* Whether memory must not forget it. */
bool history_is_held(const history_t *history);

/* Messages of the entity are in flight, or are none any more. */
void history_begin_flight(history_t *history);
void history_end_flight(history_t *history);

/* ---- activations ---- */

/* Whether all is here that an activation behind this sequence begins with. If not, it is read. */
bool history_is_ready(router_t *router, lane_history_t *lane, history_t *history, uint64_t after);
/* The history is ready: tells the owner the events behind the sequence, in as many messages as they
 * need. */
void history_give(router_t *router, const ownership_t *ownership, history_t *history,
                  uint64_t after, uint64_t activation);
/* Whether a result with these events, or with a snapshot alone, goes on where the entity is. */
bool history_goes_on(const history_t *history, const journal_effects_t *effects);

/* ---- events ---- */

/* They count from now on; takes the reference. */
void history_append(router_t *router, history_t *history, events_value_t *value);
/* They are durable with this entry. */
void history_commit(lane_history_t *lane, history_t *history, events_value_t *value,
                    uint64_t number);
/* The journal has them, and rows may not; takes the reference. */
void history_adopt(router_t *router, lane_history_t *lane, history_t *history,
                   events_value_t *value);
/* Those that are not durable do not count any more. */
void history_revert(router_t *router, history_t *history);

/* ---- reads ---- */

bool history_take_read(lane_history_t *lane, router_events_t *read);
/* Joins what was read, and takes the values. Returns how many histories it was about:
 * lane_history_t.histories, until the next read. */
size_t history_loaded(router_t *router, lane_history_t *lane, fabric_error_t error,
                      events_value_t **values, size_t count, size_t done);
/* What was read of it is not given, since there is something wrong with it. */
void history_rest(router_t *router, history_t *history);
/* Values stay, though they are settled, until as many have released as held. */
void history_hold(history_t *history);
void history_release(router_t *router, history_t *history);
void history_lane_destroy(lane_history_t *lane);

/* ---- checkpoints ---- */

void history_checkpoint_begins(lane_history_t *lane);
/* The next events that are durable and in no slice; NULL: there are none, and the history waits for
 * no slice any more. `before`: those that this slice has taken last of the history; NULL: none. */
events_value_t *history_next_value(history_t *history, events_value_t *before);
/* The slice has them up to so many of the value. */
void history_take(events_value_t *value, uint32_t taken, uint64_t slice);
/* All slices up to this one are settled. */
void history_settled(router_t *router, history_t *history, uint64_t slice);

#endif
