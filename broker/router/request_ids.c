/* Request ids: see request_ids.h. */
#include "broker/router/request_ids.h"

#include "broker/router/router_state.h"

enum { ID_AHEAD_MS = 1000 };

#define AHEAD (UINT64_C(2) << 22) /* the next id is less than this above the last one */

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

uint64_t request_id_highest(const router_t *router)
{
    uint64_t now = snowflake_make((snowflake_parts_t){.timestamp_ms = store_now_ms(router)}).value;
    return router->generator.last > now ? router->generator.last : now;
}

request_id_t request_id_before(const router_t *router, uint64_t ms)
{
    int64_t then_ms = store_now_ms(router) - (int64_t)ms;
    return then_ms > SNOWFLAKE_EPOCH_MS
               ? snowflake_make((snowflake_parts_t){.timestamp_ms = then_ms})
               : (request_id_t){0};
}

bool request_ids_are_reserved(const router_t *router, request_id_t floor)
{
    uint64_t highest = request_id_highest(router);
    highest = floor.value > highest ? floor.value : highest;
    return router->id_mark >= AHEAD && highest <= router->id_mark - AHEAD;
}

/* An id that brokers have made is sound however high it is, since the database's clock may have
 * gone back. No other id above the time lifts the generator, so that clients cannot push the ids
 * ahead of the time with one floor after the other. */
bool request_id_is_too_high(const router_t *router, request_id_t id)
{
    return id.value > router->generator.last &&
           snowflake_timestamp_ms(id) > store_now_ms(router) + ID_AHEAD_MS;
}

static bool is_near(request_id_t a, request_id_t b)
{
    int64_t apart_ms = snowflake_timestamp_ms(a) - snowflake_timestamp_ms(b);
    return apart_ms <= ID_AHEAD_MS && apart_ms >= -ID_AHEAD_MS;
}

/* Another broker may be ahead of the time: it began above the mark of its slot's last holder, or
 * the database's clock has gone back. Clients that know its ids are to be served here, too. An id
 * that was damaged on its way is not heard again. */
void request_id_heard(router_t *router, request_id_t id)
{
    if (request_id_is_too_high(router, id) && !is_near(router->doubted_id, id)) {
        router->doubted_id = id;
    } else {
        snowflake_lift(&router->generator, id);
    }
}

uint64_t router_high_id(const router_t *router)
{
    return router->generator.last;
}
