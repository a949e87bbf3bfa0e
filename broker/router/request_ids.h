/* Request ids: made by this broker's generator. An id from elsewhere may be only so far above the
 * generator's time. */
#ifndef BROKER_ROUTER_REQUEST_IDS_H
#define BROKER_ROUTER_REQUEST_IDS_H

#include "broker/router/router.h"

/* Makes an id that is larger than the floor, than all earlier ids and than all earlier floors. */
request_id_t request_id_make(router_t *router, request_id_t floor);
/* Another broker has made this id: the next ids are larger. One that is too high has to be heard
 * twice. */
void request_id_heard(router_t *router, request_id_t id);
/* Whether the store has reserved the ids that are made next, above the floor. */
bool request_ids_are_reserved(const router_t *router, request_id_t floor);
/* The highest id so far, or that of the present time if it is larger. */
uint64_t request_id_highest(const router_t *router);
/* Nobody makes an id as low as that now, or has made one for so long. */
request_id_t request_id_before(const router_t *router, uint64_t ms);
/* Whether an id is both above all ids that brokers have made, as far as this broker knows, and more
 * than a second above its time. */
bool request_id_is_too_high(const router_t *router, request_id_t id);

#endif
