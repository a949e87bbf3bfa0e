/* Request ids: made by this broker's generator, and how far an id that came from elsewhere may be
 * above its time. */
#ifndef BROKER_ROUTER_REQUEST_IDS_H
#define BROKER_ROUTER_REQUEST_IDS_H

#include "broker/router/router.h"

/* An id that is larger than the floor, than all ids made before and than all other floors that were
 * passed before. */
request_id_t request_id_make(router_t *router, request_id_t floor);
/* No more ids can be made: ids end in the year 2164, or where a damaged row of the store says
 * so. */
bool request_ids_are_used_up(const router_t *router);
/* Whether an id is both above all ids that brokers have made, as far as this broker knows, and more
 * than a second above its time. */
bool request_id_is_too_high(const router_t *router, request_id_t id);

#endif
