/* The router's driver together with the model of the lanes: see lane_driver.h. */
#include "tests/unit/lane_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void home_config(router_config_t *config)
{
    driver_config(config);
    config->entity_window = 4;
    config->client_heartbeat_ms = config->worker_heartbeat_ms = config->lease_ms = 10000000;
}

static void begin(home_t *home, const router_config_t *config)
{
    home->driver = driver_new(config);
    for (uint32_t i = 0; i < config->lanes; i++) {
        home_adopt(home, i);
    }
    router_lease(home->driver->router, UINT64_MAX, UINT64_MAX);
    driver_client(home->driver, "c", 1);
}

home_t *home_open(const router_config_t *config)
{
    home_t *home = calloc(1, sizeof *home);
    assert_non_null(home);
    lane_model_init(&home->store, config->lanes, config->slice_rows_max);
    home->next = 1;
    begin(home, config);
    return home;
}

void home_kill(home_t *home)
{
    router_config_t config = home->driver->config;
    router_destroy(&home->driver->router);
    driver_free(&home->driver);
    begin(home, &config);
}

void home_adopt(home_t *home, uint32_t lane)
{
    store_hold_t hold = {lane, home->driver->config.incarnation, ++home->epoch};
    driver_hold(home->driver, lane, hold.epoch);
    adoption_t adoption;
    lane_model_adopt(&home->store, &hold, &adoption);
    router_adopted(home->driver->router, &adoption, home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
}

static uint64_t send(home_t *home, const char *id, unsigned count, uint64_t flags)
{
    uint64_t first = home->next;
    while (count-- > 0) {
        driver_ask(home->driver, "c", home->next++, id, REQUEST_DURABLE | flags);
    }
    return first;
}

uint64_t home_ask(home_t *home, const char *id, unsigned count)
{
    return send(home, id, count, 0);
}

uint64_t home_tell(home_t *home, const char *id, unsigned count)
{
    return send(home, id, count, REQUEST_TELL);
}

uint64_t home_tell_later(home_t *home, const char *id, int64_t delay_ms)
{
    uint64_t flags = REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED;
    message_request_t request = driver_request(home->next, id, flags);
    request.floor = home->driver->heard_id;
    request.deliver_at_ms = (uint64_t)(driver_unix_ms(home->driver) + delay_ms);
    driver_send(home->driver, "c", request, &request);
    return home->next++;
}

/* ---- the store ---- */

static bool append(home_t *home, uint32_t lane)
{
    const lane_batch_t *batch = router_take_batch(home->driver->router, lane, home->driver->now_ms);
    if (!batch) {
        return false;
    }
    uint64_t entry = lane_model_append(&home->store, lane, batch);
    router_batch_done(home->driver->router, lane, FABRIC_OK, entry,
                      home->store.rows[lane].entry_bytes, home->driver->now_ms);
    driver_pull(home->driver);
    return true;
}

void home_append(home_t *home)
{
    for (uint32_t i = 0; i < home->driver->config.lanes; i++) {
        while (append(home, i)) {
        }
    }
    driver_check(home->driver);
}

const router_slice_t *home_take_slice(home_t *home, uint32_t lane)
{
    const router_slice_t *slice =
        router_take_slice(home->driver->router, lane, home->driver->now_ms);
    assert_non_null(slice);
    driver_check(home->driver);
    return slice;
}

void home_settle_slice(home_t *home, uint32_t lane, const router_slice_t *slice)
{
    lane_model_commit(&home->store, lane, &slice->slice);
    router_slice_done(home->driver->router, lane, FABRIC_OK, home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
}

void home_checkpoint(home_t *home)
{
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    for (uint32_t i = 0; i < home->driver->config.lanes; i++) {
        const router_slice_t *slice;
        while ((slice = router_take_slice(home->driver->router, i, home->driver->now_ms))) {
            home_settle_slice(home, i, slice);
        }
    }
}

void home_tell_rows(home_t *home, const char *id, unsigned count)
{
    home_tell(home, id, count);
    home_append(home);
    home_checkpoint(home);
}

bool home_load(home_t *home, uint32_t lane)
{
    router_load_t load;
    if (!router_take_load(home->driver->router, lane, &load)) {
        return false;
    }
    size_t done;
    message_t *rows = lane_model_load(&home->store, lane, load.ranges, load.count, SIZE_MAX, &done);
    router_loaded(home->driver->router, lane, FABRIC_OK, rows, done, home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
    return true;
}

bool home_load_scheduled(home_t *home, uint32_t lane)
{
    router_scheduled_t load;
    if (!router_take_scheduled(home->driver->router, lane, &load)) {
        return false;
    }
    bool ended = false;
    message_t *rows = lane_model_load_scheduled(&home->store, lane, load.after, load.limit, &ended);
    router_scheduled_loaded(home->driver->router, lane, FABRIC_OK, rows, ended,
                            home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
    return true;
}

bool home_load_outgoing(home_t *home, uint32_t lane)
{
    router_outgoing_load_t load;
    if (!router_take_outgoing(home->driver->router, lane, &load)) {
        return false;
    }
    size_t count = 0;
    bool ended = false;
    outgoing_copy_t **rows = lane_told_load(home->store.told, lane, &load, &count, &ended);
    router_outgoing_loaded(home->driver->router, lane, FABRIC_OK, rows, count, ended,
                           home->driver->now_ms);
    free((void *)rows);
    driver_pull(home->driver);
    driver_check(home->driver);
    return true;
}

bool home_search(home_t *home, uint32_t lane)
{
    router_search_t search;
    if (!router_take_search(home->driver->router, lane, &search)) {
        return false;
    }
    message_t *rows = lane_model_search(&home->store, lane, search.wanted, search.count);
    router_searched(home->driver->router, lane, FABRIC_OK, rows, home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
    return true;
}

/* ---- the worker ---- */

void home_worker(home_t *home)
{
    driver_worker(home->driver, "w", 9);
}

unsigned home_work_off(home_t *home)
{
    unsigned handled = 0;
    for (bool busy = true; busy;) {
        busy = false;
        while (driver_count(home->driver, "w", KIND_DELIVER) > 0) {
            driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK,
                          FABRIC_OK);
            handled++;
            busy = true;
        }
        home_append(home);
        for (uint32_t i = 0; i < home->driver->config.lanes; i++) {
            busy |= home_load(home, i);
            busy |= home_load_scheduled(home, i);
        }
    }
    return handled;
}

router_counters_t home_counters(const home_t *home)
{
    return driver_counters(home->driver);
}
