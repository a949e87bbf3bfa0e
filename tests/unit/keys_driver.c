/* The router's driver for requests with primary keys: see keys_driver.h. */
#include "tests/unit/keys_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/router/router_state.h"

const char keys_k[] = "k";

home_t *keys_open_home(void)
{
    router_config_t config;
    home_config(&config);
    home_t *home = home_open(&config);
    driver_client(home->driver, "d", 2);
    return home;
}

void keys_take_over(home_t *home)
{
    home_kill(home);
    driver_client(home->driver, "d", 2);
}

void keys_send(home_t *home, const asked_t *asked)
{
    message_request_t request =
        driver_request(asked->sequence, asked->id ? asked->id : "a", asked->flags);
    request.floor = asked->floor                    ? asked->floor
                    : asked->flags & REQUEST_RESEND ? 0
                                                    : home->driver->heard_id;
    request.predecessor = asked->predecessor;
    request.primary_key = asked->key;
    driver_send(home->driver, asked->peer, request, &request);
    driver_check(home->driver);
}

void keys_ask(home_t *home, const char *peer, uint64_t sequence, uint64_t flags)
{
    asked_t asked = {peer, sequence, flags, 0, 0, NULL, fabric_bytes_of(keys_k)};
    keys_send(home, &asked);
}

/* ---- look-ups: what of them is with the finder ---- */

bool keys_begin_reading(home_t *home, uint32_t lane, reading_t *reading)
{
    *reading = (reading_t){.key_count = 0};
    if (!router_take_lookup(home->driver->router, lane, &reading->lookup)) {
        return false;
    }
    for (size_t i = 0; i < reading->lookup.key_count; i++) {
        assert_true(reading->key_count < 16);
        reading->key_count += lane_model_read_key(&home->store, &reading->lookup.keys[i],
                                                  &reading->keys[reading->key_count]);
    }
    return true;
}

void keys_end_reading(home_t *home, uint32_t lane, const reading_t *reading, uint64_t reached)
{
    for (size_t i = 0; i < reading->lookup.call_count; i++) {
        const lane_message_t *at = lane_model_find_call(&home->store, reading->lookup.calls[i]);
        if (at && reached == 0) {
            driver_lookup_found(home->driver, lane, &at->message->stored,
                                at->ended ? &at->message->reply : NULL);
        }
    }
    for (size_t i = 0; i < reading->key_count; i++) {
        router_lookup_key(home->driver->router, lane, &reading->keys[i]);
    }
    router_lookup_done(home->driver->router, lane, FABRIC_OK, (request_id_t){reached},
                       home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
}

unsigned keys_look_up(home_t *home)
{
    unsigned count = 0;
    reading_t reading;
    for (uint32_t lane = 0; lane < home->driver->config.lanes; lane++) {
        for (; keys_begin_reading(home, lane, &reading); count++) {
            keys_end_reading(home, lane, &reading, 0);
        }
    }
    return count;
}

/* The keys of the lane that have rows. */
static void list_keys(home_t *home, uint32_t lane)
{
    store_key_name_t names[16];
    size_t count = 0;
    store_key_t row;
    for (const lane_message_t *at = home->store.messages; at; at = at->by_id.next) {
        if (lane_model_key_row(at, &row) &&
            lane_of(home->driver->router, row.reply.shard) == &home->driver->router->lanes[lane]) {
            assert_true(count < 16);
            names[count].entity_hash = row.entity_hash;
            memcpy(names[count++].hash, row.hash, STORE_KEY_BYTES);
        }
    }
    router_lookup_listed(home->driver->router, lane, names, count, true);
}

unsigned keys_list(home_t *home)
{
    unsigned count = 0;
    reading_t reading;
    for (uint32_t lane = 0; lane < home->driver->config.lanes; lane++) {
        for (; keys_begin_reading(home, lane, &reading); count++) {
            assert_true(reading.lookup.page.limit > 0);
            list_keys(home, lane);
            keys_end_reading(home, lane, &reading, 0);
        }
    }
    return count;
}

uint64_t keys_in_memory(const home_t *home)
{
    return HASH_CNT(by_hash, home->driver->router->lanes[0].keys.by_hash);
}

uint64_t keys_accept_first(home_t *home)
{
    keys_ask(home, "c", 1, ASK_ACCEPTED);
    assert_int_equal(keys_look_up(home), 1);
    home_append(home);
    return driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
}

void keys_expect_reply(home_t *home, const char *peer, uint64_t sequence, uint64_t id)
{
    const message_reply_t *reply = driver_replied(home->driver, peer, sequence);
    assert_int_equal(reply->request_id, id);
    assert_int_equal(reply->status, STATUS_OK);
    const lane_message_t *at = lane_model_find(&home->store, id);
    assert_true(fabric_bytes_equal(reply->payload, at->message->reply.payload));
}

void keys_expect_one_message(home_t *home)
{
    assert_int_equal(HASH_CNT(by_id, home->store.messages), 1);
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(keys_look_up(home), 0);
}
