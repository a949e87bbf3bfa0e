/* Orders for the coordinator: see orders.h. */
#include "broker/router/orders.h"

#include "broker/router/router_state.h"
#include "core/memory.h"

struct order_item {
    order_item_t *next;
    router_order_t order;
};

void order_add(router_t *router, const router_order_t *order)
{
    order_item_t *item = memory_allocate_zeroed(1, sizeof *item);
    item->order = *order;
    if (router->orders) {
        router->orders_last->next = item;
    } else {
        router->orders = item;
    }
    router->orders_last = item;
}

bool router_next_order(router_t *router, router_order_t *order)
{
    order_item_t *item = router->orders;
    if (!item) {
        return false;
    }
    router->orders = item->next;
    *order = item->order;
    free(item);
    return true;
}

void orders_destroy(router_t *router)
{
    router_order_t order;
    while (router_next_order(router, &order)) {
        free(order.types);
        free(order.owners);
    }
}
