/* The router's driver for a router that is home of some lanes, while other brokers are homes of the
 * others. */
#ifndef TESTS_UNIT_LANES_DRIVER_H
#define TESTS_UNIT_LANES_DRIVER_H

#include "tests/unit/router_driver.h"

enum {
    LANES = 4,
    ASK = REQUEST_DURABLE,
    AGAIN = REQUEST_DURABLE | REQUEST_RESEND,
    TELL = REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED
};

shard_id_t lanes_shard_of(const char *entity);
/* An entity of the lane; each lane has its own. Entities of one name and lane lie in one shard. */
const char *lanes_entity_in(uint32_t lane);
/* A router that is home of no lane, with a client; other brokers are homes of all shards. */
driver_t *lanes_open_foreign(void);
/* The router is home of lanes 1 and 2, and a worker is to own all shards. */
driver_t *lanes_open_two(void);
void lanes_ask(driver_t *driver, uint64_t sequence, uint32_t lane, uint64_t flags);
void lanes_assert_redirected(driver_t *driver, uint64_t sequence);
size_t lanes_count_answers(driver_t *driver);
/* A message as it stands in the lane's journal. */
message_t *lanes_stored(uint64_t id, uint32_t lane, uint64_t sequence);
/* Whether the router has told that the lane is adopted under the epoch. */
bool lanes_adopted(const driver_t *driver, uint32_t lane, uint64_t epoch);

#endif
