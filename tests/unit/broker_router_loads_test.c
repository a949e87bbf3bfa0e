/* Loads: which rows come into memory, and what follows from what was read. Entities have windows of
 * 4 messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/address.h"
#include "tests/unit/lane_driver.h"

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    return home_open(&config);
}

static router_load_t take_load(home_t *home)
{
    router_load_t load;
    assert_true(router_take_load(home->driver->router, 0, &load));
    return load;
}

static message_t *read_rows(home_t *home, const router_load_t *load, size_t *done)
{
    return lane_model_load(&home->store, 0, load->ranges, load->count, SIZE_MAX, done);
}

static void loaded(home_t *home, fabric_error_t error, message_t *rows, size_t done)
{
    router_loaded(home->driver->router, 0, error, rows, done, home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
}

/* ---- what was read ---- */

static void a_load_that_fails_is_asked_again(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 20);
    home_kill(home);
    home_worker(home);
    router_load_t load = take_load(home);
    uint64_t after = load.ranges[0].after;
    router_load_t other;
    assert_false(router_take_load(home->driver->router, 0, &other)); /* one at a time */
    loaded(home, FABRIC_ERROR_STORE_UNAVAILABLE, NULL, 0);
    load = take_load(home);
    assert_int_equal(load.ranges[0].after, after);
    size_t done;
    message_t *rows = read_rows(home, &load, &done);
    message_chain_destroy(&rows->chain); /* the load's bound cut the range off */
    loaded(home, FABRIC_OK, rows, 0);
    assert_int_equal(home_counters(home).stored, 19);
    assert_int_equal(home_work_off(home), 20);
    home_close(&home);
}

static void what_is_dropped_during_a_load_is_loaded_later(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 6);
    home_kill(home);
    home_worker(home);
    router_load_t load = take_load(home);
    home_tell_rows(home, "a", 3);
    assert_int_equal(home_counters(home).stored, 9);
    size_t done;
    message_t *rows = read_rows(home, &load, &done);
    loaded(home, FABRIC_OK, rows, done);
    assert_int_equal(home_work_off(home), 9);
    home_close(&home);
}

static void rows_that_the_journal_has_overruled_do_not_come_back(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 6);
    home_worker(home);
    for (int i = 0; i < 3; i++) {
        driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
    }
    home_append(home);
    home_kill(home);
    home_worker(home);
    router_load_t load = take_load(home);
    size_t done;
    message_t *rows = read_rows(home, &load, &done); /* before they are deleted */
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 3);
    loaded(home, FABRIC_OK, rows, done);
    assert_int_equal(home_work_off(home), 3);
    home_close(&home);
}

static void rows_that_somebody_has_deleted_are_not_waited_for(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 6);
    home_kill(home);
    home_worker(home);
    home_tell(home, "a", 1);
    home_append(home);
    take_load(home);
    loaded(home, FABRIC_OK, NULL, 1);
    assert_int_equal(home_counters(home).stored, 0);
    assert_int_equal(home_counters(home).pending, 1);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 1);
    home_close(&home);
}

static void what_is_dropped_while_rows_are_missed_is_loaded(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 6);
    home_kill(home);
    home_worker(home);
    take_load(home);
    home_tell_rows(home, "a", 2);
    assert_int_equal(home_counters(home).stored, 8);
    loaded(home, FABRIC_OK, NULL, 1); /* somebody has deleted the six rows */
    router_load_t load = take_load(home);
    size_t done;
    message_t *rows = read_rows(home, &load, &done);
    loaded(home, FABRIC_OK, rows, done);
    assert_int_equal(home_counters(home).pending, 2);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 2);
    home_close(&home);
}

/* A message in memory may have a row in the range of the rows that are not: its home was cut off in
 * the middle of a checkpoint. */
static void what_is_in_memory_comes_after_the_gap(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell(home, "a", 3);
    home_append(home);
    lane_message_t *at = home->store.messages;
    uint64_t first = at->message->position;
    lane_message_t *last = at;
    while (last->by_id.next) {
        last = last->by_id.next;
    }
    last->attempts.attempts = 1; /* so its row is to be amended before it is dropped */
    message_chain_t chain = {0};
    message_t *message = message_chain_add(&chain, &last->message->stored, last->attempts, NULL);
    message->has_row = true;
    store_backlog_t *backlog = calloc(1, sizeof *backlog);
    assert_non_null(backlog);
    *backlog = (store_backlog_t){message->entity_hash, 2, first, message->position};
    driver_hold(home->driver, 0, ++home->epoch);
    adoption_t adoption = {.hold = {0, home->driver->config.incarnation, home->epoch},
                           .number = 10,
                           .last_id = message->position,
                           .messages = chain.first,
                           .backlogs = backlog,
                           .backlog_count = 1};
    router_adopted(home->driver->router, &adoption, home->driver->now_ms);
    driver_check(home->driver);
    home_close(&home);
}

static void a_damaged_row_becomes_a_dead_letter(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 6);
    home_kill(home);
    home_worker(home);
    router_load_t load = take_load(home);
    size_t done;
    message_t *rows = read_rows(home, &load, &done);
    rows->stored.flags = 0; /* the first one */
    loaded(home, FABRIC_OK, rows, done);
    assert_int_equal(home_counters(home).damaged, 1);
    assert_int_equal(home_counters(home).pending, 6);
    home_append(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.dead_count, 1);
    assert_int_equal(slice->slice.delete_count, 1);
    router_slice_done(home->driver->router, 0, FABRIC_OK, home->driver->now_ms);
    assert_int_equal(home_work_off(home), 5);
    assert_int_equal(home_counters(home).pending, 0);
    home_close(&home);
}

static void a_row_under_a_wrong_entity_hash_becomes_a_dead_letter(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 5);
    home_kill(home);
    router_load_t load = take_load(home);
    size_t done;
    message_t *rows = read_rows(home, &load, &done);
    uint8_t *name = (uint8_t *)rows->stored.entity.data;
    uint32_t shard = address_shard_number(rows->stored.entity, DRIVER_SHARDS);
    do { /* another entity of the shard */
        name[0]++;
    } while (address_shard_number(rows->stored.entity, DRIVER_SHARDS) != shard);
    store_row_key_t key = message_row_key(rows);
    loaded(home, FABRIC_OK, rows, done);
    assert_int_equal(home_counters(home).damaged, 1);
    home_append(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.delete_count, 1);
    assert_memory_equal(&slice->slice.deletes[0], &key, sizeof key); /* the row's, not the names' */
    home_close(&home);
}

static void a_load_of_a_lane_that_is_dropped_does_not_count(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 9);
    home_worker(home);
    for (int i = 0; i < 3; i++) {
        driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
    }
    home_append(home);
    router_load_t load = take_load(home);
    size_t done;
    message_t *rows = read_rows(home, &load, &done);
    driver_hold(home->driver, 0, 0);
    driver_check(home->driver);
    assert_int_equal(home_counters(home).pending, 0);
    home_adopt(home, 0);
    router_load_t other;
    assert_false(router_take_load(home->driver->router, 0, &other)); /* it is not answered yet */
    loaded(home, FABRIC_OK, rows, done);
    assert_int_equal(home_counters(home).pending, 6);
    assert_int_equal(home_counters(home).stored, 6);
    assert_true(home_load(home, 0));
    home_close(&home);
}

/* ---- what is read ---- */

static void a_parked_entity_with_many_messages_delays_no_other(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    home_t *home = home_open(&config);
    home_tell(home, "a", 1000);
    home_tell_rows(home, "b", 10);
    home_kill(home);
    home_worker(home);
    assert_true(home_load(home, 0)); /* four messages of each of them */
    size_t handled = 0;
    while (handled < 10) { /* the worker keeps the messages of "a" */
        size_t held = driver_count(home->driver, "w", KIND_DELIVER);
        assert_true(held > 0);
        for (size_t i = 0; i < held; i++) {
            const message_deliver_t *deliver = driver_delivery(home->driver, "w");
            if (fabric_bytes_equal(deliver->id, fabric_bytes_of("b"))) {
                driver_result(home->driver, "w", deliver, STATUS_OK, FABRIC_OK);
                handled++;
            }
        }
        home_append(home);
        home_load(home, 0);
    }
    assert_true(home->store.loads <= 7);
    home_close(&home);
}

static void a_load_waits_until_half_of_the_window_is_free(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 12);
    home_worker(home);
    router_load_t load;
    for (int i = 0; i < 3; i++) {
        assert_false(router_take_load(home->driver->router, 0, &load));
        driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
        home_append(home);
    }
    load = take_load(home);
    assert_int_equal(load.ranges[0].limit, 3);
    loaded(home, FABRIC_OK, NULL, 0);
    home_close(&home);
}

/* Entities that a new home knows nothing of do not wait for others, and others not for them. */
static void known_and_unknown_entities_are_loaded_in_turn(void **state)
{
    (void)state;
    home_t *home = open_home();
    for (unsigned i = 0; i < 600; i++) {
        char id[8];
        snprintf(id, sizeof id, "e%u", i);
        home_tell(home, id, 1);
    }
    home_append(home);
    home_checkpoint(home);
    home_kill(home);
    home_worker(home);
    for (unsigned i = 0; i < 300; i++) { /* a new message tells the shard of its entity */
        char id[8];
        snprintf(id, sizeof id, "e%u", i);
        home_tell(home, id, 1);
    }
    home_append(home);
    router_load_t load = take_load(home);
    size_t known = 0;
    size_t at = 0;
    const lane_message_t *message = home->store.messages;
    for (unsigned i = 0; i < 300; i++, message = message->by_id.next) {
        for (at = 0; at < load.count; at++) {
            known += load.ranges[at].entity_hash == message->message->entity_hash;
        }
    }
    assert_int_equal(load.count, 256);
    assert_int_equal(known, 128);
    home_close(&home);
}

/* The lane is held anew, and 1,000 entities have 500 messages each in the store. */
static void adopt_backlogs(home_t *home, char (*ids)[8])
{
    store_backlog_t *backlogs = calloc(1000, sizeof *backlogs);
    assert_non_null(backlogs);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(ids[i], sizeof ids[i], "e%u", i);
        uint64_t hash = journal_entity_hash(fabric_bytes_of("Counter"), fabric_bytes_of(ids[i]));
        backlogs[i] = (store_backlog_t){hash, 500, 1 + i * 1000, 500 + i * 1000};
    }
    driver_hold(home->driver, 0, ++home->epoch);
    adoption_t adoption = {.hold = {0, home->driver->config.incarnation, home->epoch},
                           .number = 10,
                           .last_id = 1000000,
                           .checkpoint = 9,
                           .backlogs = backlogs,
                           .backlog_count = 1000};
    home->store.rows[0].number = 10;
    router_adopted(home->driver->router, &adoption, home->driver->now_ms);
    driver_pull(home->driver);
}

/* One load takes no more than the router can take over in one turn. */
static void a_load_is_bounded(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.entity_window = 3000;
    home_t *home = home_open(&config);
    char ids[1000][8];
    adopt_backlogs(home, ids);
    assert_int_equal(home_counters(home).pending, 500000);
    router_load_t load = take_load(home);
    assert_int_equal(load.count, 256);
    for (size_t i = 0; i < load.count; i++) {
        assert_true(load.ranges[i].limit <= 16); /* perhaps nobody handles them */
    }
    assert_true(load.bytes_max <= 4 << 20);
    loaded(home, FABRIC_OK, NULL, 0);
    home_worker(home);
    for (unsigned i = 0; i < 1000; i++) { /* a new message tells the shard of its entity */
        home_tell(home, ids[i], 1);
    }
    home_append(home);
    load = take_load(home);
    assert_true(load.count >= 8 && load.count <= 9);
    loaded(home, FABRIC_OK, NULL, 0);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_that_fails_is_asked_again),
        cmocka_unit_test(what_is_dropped_during_a_load_is_loaded_later),
        cmocka_unit_test(rows_that_the_journal_has_overruled_do_not_come_back),
        cmocka_unit_test(rows_that_somebody_has_deleted_are_not_waited_for),
        cmocka_unit_test(what_is_dropped_while_rows_are_missed_is_loaded),
        cmocka_unit_test(what_is_in_memory_comes_after_the_gap),
        cmocka_unit_test(a_damaged_row_becomes_a_dead_letter),
        cmocka_unit_test(a_row_under_a_wrong_entity_hash_becomes_a_dead_letter),
        cmocka_unit_test(a_load_of_a_lane_that_is_dropped_does_not_count),
        cmocka_unit_test(a_parked_entity_with_many_messages_delays_no_other),
        cmocka_unit_test(a_load_waits_until_half_of_the_window_is_free),
        cmocka_unit_test(known_and_unknown_entities_are_loaded_in_turn),
        cmocka_unit_test(a_load_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
