/* Request ids: made by this broker's generator. An id from elsewhere may be only so far above the
 * generator's time. */
#ifndef BROKER_ROUTER_REQUEST_IDS_H
#define BROKER_ROUTER_REQUEST_IDS_H

#include "broker/router/router.h"

/* Makes an id that is larger than the floor, than all earlier ids and than all earlier floors. */
request_id_t request_id_make(router_t *router, request_id_t floor);
/* No more ids can be made: the year 2164 is over, or a damaged row of the store holds the last
 * id. */
bool request_ids_are_used_up(const router_t *router);
/* Whether an id is both above all ids that brokers have made, as far as this broker knows, and more
 * than a second above its time. */
bool request_id_is_too_high(const router_t *router, request_id_t id);

#endif
