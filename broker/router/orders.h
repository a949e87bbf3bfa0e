/* Orders for the coordinator that wait to be pulled: see router_next_order. */
#ifndef BROKER_ROUTER_ORDERS_H
#define BROKER_ROUTER_ORDERS_H

#include "broker/router/router.h"

/* Takes order->types. */
void order_add(router_t *router, const router_order_t *order);
void orders_destroy(router_t *router);

#endif
