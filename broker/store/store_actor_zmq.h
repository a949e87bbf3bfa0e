/* What the store actors share: a thread, the world that an actor's logic sees, and log lines when
 * its connection breaks and works again.
 *
 * Threading: start and stop on the router's thread.
 */
#ifndef BROKER_STORE_STORE_ACTOR_ZMQ_H
#define BROKER_STORE_STORE_ACTOR_ZMQ_H

#include "broker/actor.h"
#include "broker/store/connection.h"
#include "core/log.h"

/* The database's Unix time, and the monotonic time when it was read. */
typedef struct store_clock {
    int64_t store_ms;
    uint64_t at_ms;
} store_clock_t;

/* The first member of each store actor. */
typedef struct store_actor {
    actor_t actor;
    const char *name; /* for the log: connection=NAME */
    int halt_fd;      /* readable: give up at once; borrowed */
    store_clock_t clock;
    log_limiter_t outages;
} store_actor_t;

void store_actor_init(store_actor_t *self, const char *name, int halt_fd, store_clock_t clock);
/* The world of the actor's logic; its context is `self`, and `available` writes log lines. */
store_world_t store_actor_world(store_actor_t *self);

#endif
