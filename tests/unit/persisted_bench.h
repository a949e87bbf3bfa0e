/* What the tests of persisted states at their home share: an entity "a" of a type with such states,
 * a client "c" and a worker "w". */
#ifndef TESTS_UNIT_PERSISTED_BENCH_H
#define TESTS_UNIT_PERSISTED_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/router_driver.h"

typedef struct sum {
    int64_t amount;
} sum_t;
static const fabric_field_t sum_fields[] = {FABRIC_I64(sum_t, amount)};
static const fabric_schema_t sum_schema = FABRIC_SCHEMA("Sum", sum_t, sum_fields);

/* Payloads: arrays with one small number. */
static const uint8_t payloads[][2] = {{0x91, 0}, {0x91, 1}, {0x91, 2}, {0x91, 3}, {0x91, 4},
                                      {0x91, 5}, {0x91, 6}, {0x91, 7}, {0x91, 8}, {0x91, 9}};

static inline fabric_bytes_t bytes_of(unsigned amount)
{
    return fabric_bytes(payloads[amount], 2);
}

typedef struct bench {
    driver_t *driver;
    uint32_t lane; /* of entity "a" */
    uint64_t next;
} bench_t;

/* Entity "a" lies in one of the lanes; it has a worker. */
static inline bench_t open_with(const router_config_t *config)
{
    bench_t bench = {.next = 1};
    driver_told = (driver_told_t){
        .mailbox_capacity = 4096, .concurrency = 1, .state = (fabric_schema_t *)&sum_schema};
    bench.driver = driver_new(config);
    driver_homes(bench.driver, NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    return bench;
}

static inline bench_t open(void)
{
    router_config_t config;
    driver_config(&config);
    return open_with(&config);
}

static inline void ask(bench_t *bench, uint64_t flags)
{
    driver_ask(bench->driver, "c", bench->next++, "a", flags);
    driver_commit(bench->driver);
}

/* Answers what the router wants to read: there is a state, or none (NULL). */
static inline bool read_states(bench_t *bench, const store_state_t *row)
{
    router_states_t read;
    for (uint32_t i = 0; i < bench->driver->config.lanes; i++) {
        if (router_take_states(bench->driver->router, i, &read)) {
            assert_int_equal(read.count, 1);
            assert_true(fabric_bytes_equal(read.names[0].type, fabric_bytes_of("Counter")));
            assert_true(fabric_bytes_equal(read.names[0].entity, fabric_bytes_of("a")));
            state_value_t *value = row ? state_value_new(row) : NULL;
            bench->lane = i;
            router_states_loaded(bench->driver->router, i, FABRIC_OK, &value, row ? 1 : 0, 1,
                                 bench->driver->now_ms);
            driver_pull(bench->driver);
            driver_check(bench->driver);
            return true;
        }
    }
    return false;
}

static inline store_state_t row_of(unsigned amount)
{
    return (store_state_t){.type = fabric_bytes_of("Counter"),
                           .entity = fabric_bytes_of("a"),
                           .number = 1,
                           .version = 1,
                           .state = bytes_of(amount)};
}

static inline bool is_given(bench_t *bench)
{
    return driver_count(bench->driver, "w", KIND_ENTITY_STATE) > 0;
}

static inline void expect_state(bench_t *bench, fabric_bytes_t state)
{
    assert_true(is_given(bench));
    const message_entity_state_t *given =
        &driver_take(bench->driver, "w", KIND_ENTITY_STATE)->as.entity_state;
    assert_true(fabric_bytes_equal(given->state, state));
}

/* The worker answers a delivery, and has left this state. */
static inline void change_to(bench_t *bench, const message_deliver_t *delivery, uint64_t version,
                             fabric_bytes_t state)
{
    message_result_state_t result = {.shard = delivery->shard,
                                     .home_epoch = delivery->home_epoch,
                                     .owner_sequence = delivery->owner_sequence,
                                     .activation = delivery->activation,
                                     .request_id = delivery->request_id,
                                     .payload = fabric_bytes("\x92\xa1x\x01", 4),
                                     .version = version,
                                     .state = state};
    driver_send(bench->driver, "w", result_state, &result);
    driver_check(bench->driver);
}

static inline void change(bench_t *bench, const message_deliver_t *delivery, unsigned amount)
{
    change_to(bench, delivery, 1, bytes_of(amount));
}

/* The state in the end of the lane's batch. */
static inline const store_state_t *appended(bench_t *bench)
{
    const lane_batch_t *batch = driver_take_batch(bench->driver, bench->lane);
    assert_non_null(batch);
    assert_int_equal(batch->end_count, 1);
    return batch->ends[0].state;
}

/* Begins with a state that is read, and changes it to so much. */
static inline bench_t open_changed(unsigned amount)
{
    bench_t bench = open();
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    expect_state(&bench, (fabric_bytes_t){NULL, 0});
    change(&bench, driver_delivery(bench.driver, "w"), amount);
    driver_commit(bench.driver);
    return bench;
}

static inline void answer(bench_t *bench, const message_deliver_t *delivery)
{
    driver_result(bench->driver, "w", delivery, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
}

#endif
