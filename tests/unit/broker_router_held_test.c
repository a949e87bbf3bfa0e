/* Calls that were looked up and are held behind a look-up of another lane, and calls that are sent
 * again though their client has settled on them: what happens to their messages meanwhile. Only the
 * store has most messages of the entity in lane 0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "broker/router/router_state.h"
#include "core/address.h"
#include "tests/unit/keys_driver.h"

enum { MANY = 30, STORED = 20 /* one of them that only the store has */ };

static const char *entity_in(uint32_t lane)
{
    static char names[2][16];
    for (unsigned i = 0;; i++) {
        snprintf(names[lane], sizeof names[lane], "e%u", i);
        if (address_shard_number(fabric_bytes_of(names[lane]), DRIVER_SHARDS) % 2 == lane) {
            return names[lane];
        }
    }
}

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    config.lanes = 2;
    return home_open(&config);
}

static void clear(home_t *home, const char *id)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of(id));
    message_query_t query = {
        .sequence = 77, .name = fabric_bytes_of("clear"), .argument = wire_writer_bytes(&argument)};
    driver_send(home->driver, "c", query, &query);
    wire_writer_destroy(&argument);
    home_append(home);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    driver_pull(home->driver);
    driver_check(home->driver);
    assert_int_equal(driver_take(home->driver, "c", KIND_ANSWER)->as.answer.error, FABRIC_OK);
}

static void ask_again(home_t *home, uint64_t sequence, uint32_t lane)
{
    driver_ask(home->driver, "c", sequence, entity_in(lane), AGAIN);
}

static void expect_cancelled(home_t *home, uint64_t sequence)
{
    const message_reply_t *reply = driver_replied(home->driver, "c", sequence);
    assert_int_equal(reply->status, STATUS_FAILURE);
    assert_int_equal(reply->error, FABRIC_ERROR_CANCELLED);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
}

/* A call of lane 0 has been looked up, and its client's look-up of lane 1 is under way. The home is
 * new, so that it knows no call, and a worker owns all shards. */
static home_t *open_held(uint64_t sequence, reading_t *slow)
{
    home_t *home = open_home();
    assert_int_equal(home_ask(home, entity_in(0), MANY), 1);
    uint64_t other = home_ask(home, entity_in(1), 1);
    home_append(home);
    home_checkpoint(home);
    home_kill(home);
    home_worker(home);
    ask_again(home, sequence, 0);
    ask_again(home, other, 1);
    reading_t quick;
    assert_true(keys_begin_reading(home, 0, &quick));
    assert_true(keys_begin_reading(home, 1, slow));
    keys_end_reading(home, 0, &quick, 0);
    return home;
}

/* ---- held calls ---- */

static void a_held_call_hears_of_a_clear(void **state)
{
    (void)state;
    reading_t slow;
    home_t *home = open_held(STORED, &slow);
    clear(home, entity_in(0));
    home_checkpoint(home);
    home_checkpoint(home); /* its rows are gone */
    keys_end_reading(home, 1, &slow, 0);
    assert_int_equal(driver_rejected(home->driver, "c", STORED), FABRIC_ERROR_NOT_HOME);
    ask_again(home, STORED, 0);
    keys_look_up(home);
    expect_cancelled(home, STORED);
    assert_null(home->driver->router->lanes[0].clears.first);
    home_close(&home);
}

static void a_held_call_hears_of_a_cancel(void **state)
{
    (void)state;
    reading_t slow;
    home_t *home = open_held(STORED, &slow);
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, STORED});
    search_add(home->driver->router, 0, at->message->stored.id);
    assert_true(home_search(home, 0));
    home_append(home);
    home_checkpoint(home);
    home_checkpoint(home);
    driver_forget(home->driver);
    keys_end_reading(home, 1, &slow, 0);
    assert_int_equal(driver_rejected(home->driver, "c", STORED), FABRIC_ERROR_NOT_HOME);
    ask_again(home, STORED, 0);
    keys_look_up(home);
    expect_cancelled(home, STORED);
    assert_null(home->driver->router->lanes[0].early_ends.by_id);
    home_close(&home);
}

/* Another home may have accepted the call, and this one again has its lane. */
static void a_held_call_that_was_not_found_is_looked_up_by_the_next_hold(void **state)
{
    (void)state;
    reading_t slow;
    uint64_t unknown = MANY + 9;
    home_t *home = open_held(unknown, &slow);
    driver_hold(home->driver, 0, home->epoch + 1);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    home->epoch++;
    home_adopt(home, 0);
    home_append(home);
    driver_forget(home->driver);
    keys_end_reading(home, 1, &slow, 0);
    assert_int_equal(router_waiting(home->driver->router, 0), 0);
    assert_int_equal(driver_take(home->driver, "c", KIND_REDIRECT)->as.redirect.sequence, unknown);
    home_close(&home);
}

/* ---- one held call after the other ---- */

/* From now on some call that was looked up in lane 0 is always held, but none for long. */
static void hold_one_after_the_other(home_t *home, reading_t *slow)
{
    const router_lane_t *lane = &home->driver->router->lanes[0];
    for (uint64_t i = 0; i < 6; i++) {
        const char *peer = i % 2 ? "c" : "d";
        reading_t quick;
        driver_ask(home->driver, peer, 1000 + 2 * i, entity_in(0), AGAIN);
        driver_ask(home->driver, peer, 1001 + 2 * i, entity_in(1), AGAIN);
        assert_true(keys_begin_reading(home, 0, &quick));
        keys_end_reading(home, 0, &quick, 0);
        keys_end_reading(home, 1, slow, 0);
        assert_true(lane->rounds.held[0] + lane->rounds.held[1] > 0);
        assert_true(keys_begin_reading(home, 1, slow));
    }
}

static void a_clear_is_forgotten_though_calls_are_held(void **state)
{
    (void)state;
    reading_t slow;
    home_t *home = open_held(STORED, &slow);
    driver_client(home->driver, "d", 2);
    clear(home, entity_in(0));
    home_checkpoint(home);
    home_checkpoint(home);
    assert_non_null(home->driver->router->lanes[0].clears.first);
    hold_one_after_the_other(home, &slow);
    assert_null(home->driver->router->lanes[0].clears.first);
    home_close(&home);
}

static void end_early(home_t *home, uint64_t sequence)
{
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, sequence});
    search_add(home->driver->router, 0, at->message->stored.id);
    assert_true(home_search(home, 0));
    home_append(home);
}

static void an_early_end_is_forgotten_though_calls_are_held(void **state)
{
    (void)state;
    reading_t slow;
    home_t *home = open_held(STORED, &slow);
    driver_client(home->driver, "d", 2);
    end_early(home, STORED + 1);
    home_checkpoint(home);
    home_checkpoint(home);
    assert_non_null(home->driver->router->lanes[0].early_ends.by_id);
    hold_one_after_the_other(home, &slow);
    assert_null(home->driver->router->lanes[0].early_ends.by_id);
    home_close(&home);
}

static void begin_search(home_t *home)
{
    router_search_t search;
    search_add(home->driver->router, 0, (request_id_t){1});
    assert_true(router_take_search(home->driver->router, 0, &search));
}

static void end_search(home_t *home)
{
    router_searched(home->driver->router, 0, FABRIC_OK, NULL, home->driver->now_ms);
    driver_check(home->driver);
}

/* One read of the lane begins before another one has ended, all the time. */
static void an_early_end_is_forgotten_though_reads_overlap(void **state)
{
    (void)state;
    reading_t reading;
    home_t *home = open_held(STORED, &reading);
    keys_end_reading(home, 1, &reading, 0);
    end_early(home, STORED + 1);
    begin_search(home);
    home_checkpoint(home);
    home_checkpoint(home);
    for (uint64_t i = 0; i < 4; i++) {
        driver_ask(home->driver, "c", 1000 + i, entity_in(0), AGAIN);
        assert_true(keys_begin_reading(home, 0, &reading));
        end_search(home);
        begin_search(home);
        keys_end_reading(home, 0, &reading, 0);
    }
    assert_null(home->driver->router->lanes[0].early_ends.by_id);
    home_close(&home);
}

/* Ends of one checkpoint after the other are forgotten in their order. */
static void early_ends_of_several_checkpoints_are_forgotten(void **state)
{
    (void)state;
    reading_t reading;
    home_t *home = open_held(STORED, &reading);
    for (uint64_t i = 1; i <= 3; i++) {
        end_early(home, STORED + i);
        home_checkpoint(home);
        home_checkpoint(home);
    }
    end_early(home, STORED + 4); /* its row is there */
    assert_int_equal(HASH_CNT(by_id, home->driver->router->lanes[0].early_ends.by_id), 4);
    keys_end_reading(home, 1, &reading, 0);
    assert_int_equal(HASH_CNT(by_id, home->driver->router->lanes[0].early_ends.by_id), 1);
    home_checkpoint(home);
    home_checkpoint(home);
    assert_null(home->driver->router->lanes[0].early_ends.by_id);
    home_close(&home);
}

/* ---- settled calls ---- */

static void settle(home_t *home, uint64_t settled)
{
    driver_send_settling(home->driver, "c", settled, ping, &(message_ping_t){.sequence = 1});
}

/* The replies to calls whose messages memory had come first. */
static void expect_cancelled_after_others(home_t *home, uint64_t sequence)
{
    while (driver_count(home->driver, "c", KIND_REPLY) > 1) {
        driver_take(home->driver, "c", KIND_REPLY);
    }
    expect_cancelled(home, sequence);
}

/* All calls are settled. */
static home_t *open_settled(bool stored)
{
    home_t *home = open_home();
    assert_int_equal(home_ask(home, entity_in(0), MANY), 1);
    home_append(home);
    if (stored) {
        home_checkpoint(home);
    }
    settle(home, MANY + 1);
    ask_again(home, STORED, 0);
    assert_int_equal(keys_look_up(home), 1);
    home_checkpoint(home);
    assert_true(home_counters(home).stored > 0);
    return home;
}

static void check_cleared(bool stored)
{
    home_t *home = open_settled(stored);
    clear(home, entity_in(0));
    expect_cancelled_after_others(home, STORED);
    home_close(&home);
}

static void a_settled_call_that_only_the_store_has_hears_of_a_clear(void **state)
{
    (void)state;
    check_cleared(true);
}

static void a_settled_call_whose_message_leaves_memory_hears_of_a_clear(void **state)
{
    (void)state;
    check_cleared(false);
}

/* The client settles on its calls before any of them is durable, and sends one again. */
static void a_settled_call_that_is_in_a_batch_hears_of_a_clear(void **state)
{
    (void)state;
    home_t *home = open_home();
    assert_int_equal(home_ask(home, entity_in(0), MANY), 1);
    settle(home, MANY + 1);
    ask_again(home, STORED, 0);
    assert_int_equal(keys_look_up(home), 0);
    home_append(home);
    home_checkpoint(home);
    assert_true(home_counters(home).stored > 0);
    clear(home, entity_in(0));
    expect_cancelled_after_others(home, STORED);
    home_close(&home);
}

static void a_settled_call_in_a_batch_stands_for_one_message(void **state)
{
    (void)state;
    home_t *home = open_home();
    assert_int_equal(home_ask(home, entity_in(0), 2), 1);
    settle(home, 3);
    static const uint8_t item[] = {0x92, 0xa1, 'x', 0x07};
    message_request_t other = driver_request(2, entity_in(0), AGAIN);
    other.payload = fabric_bytes(item, sizeof item);
    driver_send(home->driver, "c", request, &other);
    assert_int_equal(driver_rejected(home->driver, "c", 2), FABRIC_ERROR_ALREADY_PROCESSING);
    ask_again(home, 2, 0);
    driver_check(home->driver);
    assert_int_equal(driver_count(home->driver, "c", KIND_REJECTED), 0);
    home_close(&home);
}

/* The store does not know the call, so that it is accepted. */
static void a_settled_call_that_is_accepted_hears_of_a_clear(void **state)
{
    (void)state;
    home_t *home = open_home();
    assert_int_equal(home_ask(home, entity_in(0), MANY), 1);
    home_append(home);
    settle(home, MANY + 2);
    ask_again(home, MANY + 1, 0);
    assert_int_equal(keys_look_up(home), 1);
    home_append(home);
    home_checkpoint(home);
    clear(home, entity_in(0));
    expect_cancelled_after_others(home, MANY + 1);
    home_close(&home);
}

static void a_settled_call_that_only_the_store_has_is_answered_once(void **state)
{
    (void)state;
    home_t *home = open_settled(true);
    home_worker(home);
    assert_int_equal(home_work_off(home), MANY);
    unsigned answers = 0;
    while (driver_count(home->driver, "c", KIND_REPLY) > 0) {
        answers += driver_take(home->driver, "c", KIND_REPLY)->as.reply.sequence == STORED;
    }
    assert_int_equal(answers, 1);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_call_hears_of_a_clear),
        cmocka_unit_test(a_held_call_hears_of_a_cancel),
        cmocka_unit_test(a_held_call_that_was_not_found_is_looked_up_by_the_next_hold),
        cmocka_unit_test(a_clear_is_forgotten_though_calls_are_held),
        cmocka_unit_test(an_early_end_is_forgotten_though_calls_are_held),
        cmocka_unit_test(an_early_end_is_forgotten_though_reads_overlap),
        cmocka_unit_test(early_ends_of_several_checkpoints_are_forgotten),
        cmocka_unit_test(a_settled_call_that_only_the_store_has_hears_of_a_clear),
        cmocka_unit_test(a_settled_call_whose_message_leaves_memory_hears_of_a_clear),
        cmocka_unit_test(a_settled_call_that_is_in_a_batch_hears_of_a_clear),
        cmocka_unit_test(a_settled_call_in_a_batch_stands_for_one_message),
        cmocka_unit_test(a_settled_call_that_is_accepted_hears_of_a_clear),
        cmocka_unit_test(a_settled_call_that_only_the_store_has_is_answered_once),
    };
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
