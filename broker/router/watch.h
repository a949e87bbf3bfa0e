/* What operators have to know about peers, damaged rows and descriptors: a line in the log now and
 * then, however often something happens.
 *
 * Threading: the router's thread.
 */
#ifndef BROKER_ROUTER_WATCH_H
#define BROKER_ROUTER_WATCH_H

#include "broker/router/router.h"
#include "core/log.h"

typedef struct router_watch {
    log_limiter_t violations;
    log_limiter_t unserved;
    log_limiter_t damages;
    log_limiter_t crashes;
    log_limiter_t parked;
    log_limiter_t runners;
    bool exhausted; /* the process had no descriptor left when it was last looked */
} router_watch_t;

/* Logs that a runner came or went, if the order is about that. */
void router_watch_order(const router_order_t *order);
/* Log the damaged rows and the crashes of workers that the router has noted. */
void router_watch_damages(router_watch_t *watch, router_t *router, uint64_t now_ms);
void router_watch_crashes(router_watch_t *watch, router_t *router, uint64_t now_ms);
/* Logs the entities that were parked. */
void router_watch_parked(router_watch_t *watch, router_t *router, uint64_t now_ms);
/* Logs the runners that have got stuck, or are not stuck any more. */
void router_watch_runners(router_watch_t *watch, router_t *router, uint64_t now_ms);
/* Logs a protocol violation of a peer, if there was any, at most once a second. `address` is the
 * peer's address, or NULL. */
void router_watch_violations(router_watch_t *watch, router_t *router, const char *address,
                             uint64_t now_ms);
/* Logs an entity type that messages were sent to and no runner brings, if there was any, at most
 * once in ten seconds. */
void router_watch_unserved(router_watch_t *watch, router_t *router, uint64_t now_ms);
/* Logs when the process has no descriptor left for a connection, and when that is over. To be
 * called now and then. */
void router_watch_descriptors(router_watch_t *watch);

#endif
