/* The part of the router's shell that deals with the store actors: it hands them the router's
 * batches, slices, loads, look-ups and adoptions, and brings their answers back.
 *
 * Threading: the router's thread.
 */
#ifndef BROKER_ROUTER_STORAGE_ZMQ_H
#define BROKER_ROUTER_STORAGE_ZMQ_H

#include <zmq.h>

#include "broker/router/router.h"
#include "broker/store/append_pacer.h"
#include "broker/store/appender_zmq.h"
#include "broker/store/checkpointer_zmq.h"
#include "broker/store/finder_zmq.h"
#include "broker/store/loader_zmq.h"
#include "core/limits.h"
#include "core/log.h"

/* One appender, and the lanes with number mod appender_count = its number; written by
 * storage_appends_zmq.c. */
typedef struct storage_appender {
    append_operation_t operation;
    bool appending;
    append_pacer_t pacer;
    log_limiter_t outages;
} storage_appender_t;

/* A lane's adoption, and its hold; written by storage_holds_zmq.c. */
typedef struct storage_hold {
    bool adoption_due;
    store_hold_t wanted;     /* what is to be adopted, */
    uint64_t adoption_at_ms; /* and when */
    bool adopting;
    load_operation_t adopt;
    bool adopted; /* and, as far as is known, still held: */
    store_hold_t hold;
    uint64_t log_bytes;  /* of its journal */
    uint64_t checkpoint; /* the rows are complete as of this entry */
    bool purging;
    uint64_t purge_at_ms;
    checkpoint_operation_t purge;
} storage_hold_t;

/* What else is under way for a lane; written by storage_zmq.c. */
typedef struct storage_lane {
    load_operation_t load;
    load_operation_t scheduled;
    load_operation_t search;
    load_operation_t states;
    load_operation_t reading;
    load_operation_t events;
    load_operation_t outgoing;
    find_operation_t find;
    bool slicing;
    checkpoint_operation_t slice;
    checkpoint_operation_t give_up;
} storage_lane_t;

typedef struct storage {
    /* set by the caller; borrowed, and started */
    router_t *router;
    uint32_t lane_count;
    appender_actor_t *appenders;
    uint32_t appender_count;
    checkpointer_actor_t *checkpointer;
    loader_actor_t *loader;
    loader_actor_t *adopter; /* a lane is worked off while others are adopted, or searched */
    finder_actor_t *finder;
    uint64_t call_retention_ms;

    /* its own */
    storage_appender_t appends[LIMIT_LANES_MAX];
    storage_hold_t holds[LIMIT_LANES_MAX];
    storage_lane_t lanes[LIMIT_LANES_MAX];
    int timer_fd; /* for appends that are held; -1: not open */
    log_limiter_t dead_letters;
    uint64_t purged_entries, purged_bytes;
    uint64_t now_ms;
    bool going_on;      /* the router takes over a lane, frees one, or sends, part by part */
    fabric_error_t end; /* not OK: the broker must not go on */
} storage_t;

/* NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t storage_open(storage_t *storage);
void storage_close(storage_t *storage);

/* This broker holds these lanes, as router_lanes_held was told. */
void storage_lanes_held(storage_t *storage, const store_hold_t *holds, size_t count);

/* What the loop polls for it. Returns how many items: at most STORAGE_POLL_MAX. */
enum { STORAGE_POLL_MAX = LIMIT_LANES_MAX + 5 };
uint32_t storage_poll_items(const storage_t *storage, zmq_pollitem_t *items);
/* Takes what has come from the actors whose items are readable. */
void storage_take(storage_t *storage, const zmq_pollitem_t *items, uint64_t now_ms);
/* Hands out everything that the router wants done now. */
void storage_feed(storage_t *storage, uint64_t now_ms);
/* When storage_feed has to be called at the latest. */
uint64_t storage_next_deadline(const storage_t *storage);

#endif
