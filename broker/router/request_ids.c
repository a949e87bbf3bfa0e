/* Request ids: see request_ids.h. */
#include "broker/router/request_ids.h"

#include "broker/router/router_state.h"

enum { ID_AHEAD_MS = 1000 };

/* The database's time, carried on by this broker's monotonic clock. */
static int64_t store_now_ms(const router_t *router)
{
    return router->config.store_now_ms + (int64_t)(router->now_ms - router->started_ms);
}

request_id_t request_id_make(router_t *router, request_id_t floor)
{
    snowflake_lift(&router->generator, floor);
    return snowflake_next(&router->generator, store_now_ms(router));
}

bool request_ids_are_used_up(const router_t *router)
{
    return snowflake_is_used_up(&router->generator);
}

/* An id that brokers have made is sound however high it is, since the database's clock may have
 * gone back. No other id above the time lifts the generator, so that clients cannot push the ids
 * ahead of the time with one floor after the other. */
bool request_id_is_too_high(const router_t *router, request_id_t id)
{
    return id.value > router->generator.last &&
           snowflake_timestamp_ms(id) > store_now_ms(router) + ID_AHEAD_MS;
}
