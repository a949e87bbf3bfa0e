/* What status documents say about health: lanes, entity types, runners, and what waits. */
#ifndef BROKER_ROUTER_HEALTH_H
#define BROKER_ROUTER_HEALTH_H

#include "broker/router/router.h"

/* Put one member of a document's map each, or HEALTH_MEMBERS of them: all are about this broker
 * alone. None costs more for more messages. */
enum { HEALTH_MEMBERS = 7 };
void health_put(const router_t *router, wire_writer_t *document);
/* "lanes": those that this broker holds, and for how long the steps of each have waited. */
void health_put_lanes(const router_t *router, wire_writer_t *document);
/* "types": with `runners`, also the ids of the runners that may own their entities. */
void health_put_types(router_t *router, bool runners, wire_writer_t *document);
/* "runners" */
void health_put_runners(const router_t *router, wire_writer_t *document);

#endif
