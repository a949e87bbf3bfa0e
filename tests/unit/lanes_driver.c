#include "tests/unit/lanes_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/address.h"

shard_id_t lanes_shard_of(const char *entity)
{
    return shard_id_make(1, (uint16_t)address_shard_number(fabric_bytes_of(entity), DRIVER_SHARDS));
}

/* An entity of the lane; each lane has its own. Entities of one name and lane lie in one shard. */
const char *lanes_entity_in(uint32_t lane)
{
    static char names[LANES][16];
    for (unsigned i = 0;; i++) {
        snprintf(names[lane], sizeof names[lane], "e%u", i);
        if (shard_id_number(lanes_shard_of(names[lane])) % LANES == lane) {
            return names[lane];
        }
    }
}

/* A router that is home of no lane, with a client; other brokers are homes of all shards. */
driver_t *lanes_open_foreign(void)
{
    router_config_t config;
    driver_config(&config);
    config.lanes = LANES;
    driver_t *driver = driver_new(&config);
    router_lease(driver->router, UINT64_MAX, UINT64_MAX);
    driver_client(driver, "c1", 1);
    return driver;
}

/* The router is home of lanes 1 and 2, and a worker is to own all shards. */
driver_t *lanes_open_two(void)
{
    driver_t *driver = lanes_open_foreign();
    for (uint32_t lane = 1; lane <= 2; lane++) {
        driver_hold(driver, lane, DRIVER_EPOCH);
        driver_adopt(driver, lane, NULL, 0);
    }
    driver_worker_hello(driver, "w1", 101, 1, 1000);
    driver_desire(driver, 101);
    return driver;
}

void lanes_ask(driver_t *driver, uint64_t sequence, uint32_t lane, uint64_t flags)
{
    driver_ask(driver, "c1", sequence, lanes_entity_in(lane), flags);
}

void lanes_assert_redirected(driver_t *driver, uint64_t sequence)
{
    const message_redirect_t *redirect = &driver_take(driver, "c1", KIND_REDIRECT)->as.redirect;
    assert_int_equal(redirect->sequence, sequence);
    assert_true(fabric_bytes_equal(redirect->endpoint, fabric_bytes_of("tcp://there:1")));
}

size_t lanes_count_answers(driver_t *driver)
{
    return driver_count(driver, "c1", KIND_REDIRECT) + driver_count(driver, "c1", KIND_REJECTED) +
           driver_count(driver, "c1", KIND_ACCEPTED) + driver_count(driver, "c1", KIND_REPLY);
}

/* A message as it stands in the lane's journal. */
message_t *lanes_stored(uint64_t id, uint32_t lane, uint64_t sequence)
{
    message_request_t request = driver_request(sequence, lanes_entity_in(lane), ASK);
    return message_new(&(store_message_t){.id = {id},
                                          .shard = lanes_shard_of(lanes_entity_in(lane)),
                                          .flags = ASK,
                                          .type = request.type,
                                          .entity = request.id,
                                          .tag = request.tag,
                                          .payload = request.payload,
                                          .call = {1, sequence}});
}

bool lanes_adopted(const driver_t *driver, uint32_t lane, uint64_t epoch)
{
    for (size_t i = 0; i < driver->order_count; i++) {
        const router_order_t *order = &driver->orders[i];
        if (order->kind == ROUTER_LANE_ADOPTED && order->lane == lane && order->epoch == epoch) {
            return true;
        }
    }
    return false;
}
