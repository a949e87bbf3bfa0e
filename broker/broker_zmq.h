/* One incarnation of a broker, from an open store to an orderly stop. It puts membership, sockets,
 * lanes, coordinator and router together.
 *
 * Threading: one thread makes, runs and destroys it. Its lanes and its coordinator have threads of
 * their own as long as it is open.
 */
#ifndef BROKER_BROKER_ZMQ_H
#define BROKER_BROKER_ZMQ_H

#include "broker/broker_config.h"
#include "broker/coordinator/durable_term.h"

typedef struct broker broker_t;

typedef struct broker_identity {
    incarnation_t incarnation;
    const char *router_endpoint; /* as told to others */
    const char *pub_endpoint;
    const char *bound_router; /* as bound, with real ports */
    const char *bound_pub;
} broker_identity_t;

/* `drivers` ends with NULL. `durable` is what earlier incarnations of this process have learnt, and
 * is kept for later ones. All must outlive the broker. */
broker_t *broker_new(const broker_config_t *config, const store_driver_t *const *drivers,
                     durable_term_t *durable);
/* Stops the threads that run. `*broker` may be NULL. */
void broker_destroy(broker_t **broker);

/* Opens and checks the store (and migrates it if that is allowed), binds the sockets, joins the
 * cluster, connects the lanes and starts the threads. Each failure comes with a reason that says
 * what to do: STORE_UNAVAILABLE, STORE_LOCKED, WRONG_SCHEMA_VERSION, FOREIGN_DATABASE,
 * SHARDS_MISMATCH, STORE_UNSAFE, STORE_LOST (the store has forgotten commits),
 * INVALID_CONFIGURATION, PLAINTEXT_REFUSED, ADDRESS_IN_USE, STORE_BUSY (no free machine number),
 * INTERNAL. */
FABRIC_MUST_USE
fabric_error_t broker_open(broker_t *broker, reason_t *reason);
/* Views that last as long as the open broker. */
broker_identity_t broker_identity(const broker_t *broker);
/* Runs the broker. `ready` is called once, on this thread, when the broker serves or redirects.
 * Returns
 *  - OK: `stop_fd` became readable or an operator asked for the end, and the broker has drained,
 *    as far as drain_ms allowed, and left the cluster;
 *  - FENCED: another broker has taken over; destroy this one and open a new one;
 *  - STORE_LOST: the database has forgotten commits: stop. */
FABRIC_MUST_USE
fabric_error_t broker_run(broker_t *broker, int stop_fd, void (*ready)(void *context),
                          void *context);
/* Whether the broker's end was asked for while it ran. */
bool broker_drains(const broker_t *broker);

#endif
