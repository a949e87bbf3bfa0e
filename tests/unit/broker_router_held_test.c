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
