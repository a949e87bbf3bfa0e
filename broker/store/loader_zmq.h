/* The loader actor: a loader (loader.h) on a thread of its own, which adopts lanes and loads rows
 * in the order in which it is told.
 *
 * Threading: start and stop on the router's thread; see load_operation_t for who owns what when.
 */
#ifndef BROKER_STORE_LOADER_ZMQ_H
#define BROKER_STORE_LOADER_ZMQ_H

#include "broker/store/loader_search.h"
#include "broker/store/store_actor_zmq.h"

typedef enum load_operation_kind {
    LOADER_ADOPT,
    LOADER_LOAD,
    LOADER_SCHEDULED,
    LOADER_SEARCH,
    LOADER_STATES,
    LOADER_EVENTS,  /* for activations */
    LOADER_READING, /* the same for whoever reads a history */
    LOADER_OUTGOING
} load_operation_kind_t;

/* The router's thread owns it until loader_actor_send, the loader until it comes back. */
typedef struct load_operation {
    load_operation_kind_t kind;
    uint32_t lane;
    store_hold_t hold;           /* ADOPT */
    const store_range_t *ranges; /* LOAD: borrowed until it comes back */
    size_t range_count;
    uint64_t bytes_max;    /* LOAD, SCHEDULED, STATES, EVENTS, READING */
    store_due_key_t after; /* SCHEDULED; so is the next one */
    uint32_t limit;
    const store_entity_name_t *names; /* STATES: borrowed until it comes back */
    size_t name_count;
    const store_history_t *histories; /* EVENTS, READING: borrowed until it comes back */
    size_t history_count;
    outgoing_range_t outgoing;  /* OUTGOING */
    const wanted_row_t *wanted; /* SEARCH: borrowed until it comes back */
    size_t wanted_count;

    fabric_error_t error;   /* see loader_adopt, loader_load */
    adoption_t adoption;    /* ADOPT: whoever gets the operation back clears it */
    loader_fault_t fault;   /* ADOPT */
    loaded_states_t states; /* STATES: whoever gets the operation back clears it */
    loaded_events_t events; /* EVENTS, READING: the same */
    loaded_outgoing_t told; /* OUTGOING: the same */
    message_t
        *rows; /* LOAD, SCHEDULED, SEARCH: a chain that whoever gets the operation back owns */
    size_t done;
    bool ended; /* SCHEDULED: there are no more */
} load_operation_t;

typedef struct loader_actor {
    store_actor_t base;
    loader_t loader;
} loader_actor_t;

/* Starts the thread, named for logs; connects at the first operation. NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t loader_actor_start(loader_actor_t *self, const char *name,
                                                  const loader_config_t *config, int halt_fd,
                                                  store_clock_t clock);
void loader_actor_send(loader_actor_t *self, load_operation_t *operation);
/* The next operation that is over, or NULL. */
load_operation_t *loader_actor_take(loader_actor_t *self);
/* Ends the thread after the operations that it has; promptly when halt_fd is readable. What they
 * have brought is dropped. */
void loader_actor_stop(loader_actor_t *self);

#endif
