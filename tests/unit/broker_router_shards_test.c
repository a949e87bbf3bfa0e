/* Homes and owners in the router: how a shard passes from one runner to the next, and what a home
 * loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/address.h"
#include "tests/unit/router_driver.h"

static const char *const alive[] = {"c1", "w1", "w2", NULL};

static message_released_t released_of(const note_t *note)
{
    return (message_released_t){note->as.release.shard, note->as.release.home_epoch,
                                note->as.release.owner_sequence};
}

static void a_shard_moves_by_release_and_its_token_grows(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_worker_hello(driver, "w2", 102, 1, 10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    driver_orders_forget(driver);
    driver_desire(driver, 102);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE); /* waits for the new owner */
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_int_equal(driver_count(driver, "w2", KIND_ASSIGN), 0);
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK); /* a handler that was running */
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        const note_t *note = driver_take(driver, "w1", KIND_RELEASE);
        assert_int_equal(note->as.release.home_epoch, 3);
        message_released_t released = released_of(note);
        driver_send(driver, "w1", released, &released);
        const message_assign_t *assign = &driver_take(driver, "w2", KIND_ASSIGN)->as.assign;
        assert_int_equal(assign->shard, released.shard);
        assert_true(assign->owner_sequence > released.owner_sequence);
        driver_send(driver, "w1", released, &released); /* again: of a deposed owner */
    }
    assert_true(driver_ordered(driver, ROUTER_OWNER_CHANGED, 102));
    assert_int_equal(driver_delivery(driver, "w2")->delivery, 1);
    assert_int_equal(driver_count(driver, "w2", KIND_DELIVER), 0);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

static void a_release_has_a_deadline(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_worker_hello(driver, "w2", 102, 1, 10);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    driver_desire(driver, 102);
    driver_pass_alive(driver, 5400, alive);
    assert_int_equal(driver_count(driver, "w2", KIND_ASSIGN), 0);
    driver_pass_alive(driver, 200, alive);
    assert_int_equal(driver_count(driver, "w2", KIND_ASSIGN), DRIVER_SHARDS);
    const message_deliver_t *again = driver_delivered(driver, "w2", delivery->request_id, 2);
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, 1);
    driver_result(driver, "w2", again, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

/* A worker that comes back owns its shards under larger tokens. A release under a smaller token has
 * no effect on them. */
static void a_released_of_an_older_token_releases_nothing(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker_hello(driver, "w1", 101, 1, 10);
    driver_desire(driver, 101);
    message_assign_t first = driver_take(driver, "w1", KIND_ASSIGN)->as.assign;
    driver_worker_hello(driver, "w1b", 101, 2, 10);
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        message_assign_t second = driver_take(driver, "w1b", KIND_ASSIGN)->as.assign;
        assert_true(second.owner_sequence > first.owner_sequence);
    }
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w1b");
    for (uint64_t sequence = 0; sequence <= first.owner_sequence; sequence++) {
        for (uint16_t i = 1; i <= DRIVER_SHARDS; i++) {
            message_released_t released = {shard_id_make(1, i).value, first.home_epoch, sequence};
            driver_send(driver, "w1b", released, &released);
            released.home_epoch--;
            driver_send(driver, "w1b", released, &released);
        }
    }
    assert_int_equal(driver_count(driver, "w1b", KIND_ASSIGN), 0);
    assert_int_equal(driver_count(driver, "w1b", KIND_DELIVER),
                     0); /* it keeps the messages that it handles */
    driver_result(driver, "w1b", delivery, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    assert_int_equal(driver_counters(driver).redelivered, 0);
    assert_int_equal(driver_counters(driver).unexpected,
                     2 * DRIVER_SHARDS * (first.owner_sequence + 1));
    driver_close(&driver);
}

static void who_says_bye_gives_back_and_hears_bye(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_worker(driver, "w1", 101);
    driver_send(driver, "w1", bye, &(message_bye_t){.reason.data = NULL});
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    driver_desire(driver, 0);
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        assert_int_equal(driver_count(driver, "w1", KIND_BYE), 0);
        message_released_t released = released_of(driver_take(driver, "w1", KIND_RELEASE));
        driver_send(driver, "w1", released, &released);
    }
    driver_take(driver, "w1", KIND_BYE);
    driver_ping(driver, "w1");
    driver_take(driver, "w1", KIND_WHO);
    driver_worker(driver, "w2", 102);
    driver_send(driver, "w2", bye, &(message_bye_t){.reason.data = NULL});
    driver_worker_hello(driver, "w2b", 102, 2,
                        10); /* while it leaves: nothing is left to wait for */
    driver_take(driver, "w2b", KIND_WELCOME);
    driver_take(driver, "w2b", KIND_BYE);
    assert_int_equal(driver_count(driver, "w2b", KIND_ASSIGN), 0);
    driver_worker(driver, "w3", 103);
    driver_send(driver, "w3", bye, &(message_bye_t){.reason.data = NULL});
    driver_desire(driver, 0);
    driver_pass_alive(driver, 5600, (const char *const[]){"w3", NULL}); /* never releases */
    driver_take(driver, "w3", KIND_BYE);
    driver_close(&driver);
}

/* ---- volatile calls while a runner leaves ---- */

static void say_goodbye(driver_t *driver, const char *peer)
{
    driver_send(driver, peer, bye, &(message_bye_t){.reason.data = NULL});
}

/* Gives back all that the worker was asked for. */
static void give_back(driver_t *driver, const char *peer)
{
    while (driver_count(driver, peer, KIND_RELEASE) > 0) {
        message_released_t released = released_of(driver_take(driver, peer, KIND_RELEASE));
        driver_send(driver, peer, released, &released);
    }
}

static driver_t *open_with_two(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_worker_hello(driver, "w2", 102, 1, 10);
    return driver;
}

static void expect_calls_of_w2(driver_t *driver, unsigned calls)
{
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    assert_int_equal(driver_count(driver, "w2", KIND_DELIVER), calls);
    while (calls-- > 0) {
        driver_result(driver, "w2", driver_delivery(driver, "w2"), STATUS_OK, FABRIC_OK);
    }
}

/* The coordinator is slow to say who owns the shards after the runner that leaves. */
static void a_volatile_call_waits_for_the_successor_of_a_runner_that_leaves(void **state)
{
    (void)state;
    driver_t *driver = open_with_two();
    say_goodbye(driver, "w1");
    driver_ask(driver, "c1", 1, "a", 0);
    driver_pass_alive(driver, 500, alive);
    driver_ask(driver, "c1", 2, "a", 0);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_desire(driver, 102);
    driver_ask(driver, "c1", 3, "a", 0);
    give_back(driver, "w1");
    driver_take(driver, "w1", KIND_BYE);
    expect_calls_of_w2(driver, 3);
    driver_close(&driver);
}

/* Its time was over before the coordinator was heard of. */
static void a_volatile_call_waits_for_the_successor_of_a_runner_that_has_left(void **state)
{
    (void)state;
    driver_t *driver = open_with_two();
    say_goodbye(driver, "w1");
    driver_ask(driver, "c1", 1, "a", 0);
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 1000, alive);
    driver_ask(driver, "c1", 2, "a", 0);
    driver_desire(driver, 102);
    expect_calls_of_w2(driver, 2);
    driver_close(&driver);
}

/* Shards are moved to a runner that has left before the old owner has given them back. */
static void a_volatile_call_waits_where_the_next_owner_has_left(void **state)
{
    (void)state;
    driver_t *driver = open_with_two();
    driver_worker_hello(driver, "w3", 103, 1, 10);
    driver_desire(driver, 103);
    driver_ask(driver, "c1", 1, "a", 0);
    say_goodbye(driver, "w3");
    driver_take(driver, "w3", KIND_BYE);
    give_back(driver, "w1");
    driver_ask(driver, "c1", 2, "a", 0);
    driver_desire(driver, 102);
    expect_calls_of_w2(driver, 2);
    driver_close(&driver);
}

/* The runner that leaves was the last one that brings the type. */
static void a_volatile_call_does_not_wait_where_nobody_comes(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    say_goodbye(driver, "w1");
    driver_ask(driver, "c1", 1, "a", 0);
    driver_desire(driver, 0);
    give_back(driver, "w1");
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_ask(driver, "c1", 2, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

/* Whether a runner comes back whose connection has broken is not known: its callers do not wait. */
static void a_volatile_call_does_not_wait_for_a_runner_that_is_away(void **state)
{
    (void)state;
    driver_t *driver = open_with_two();
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 100, alive);
    driver_ask(driver, "c1", 1, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

static message_t *row(uint64_t id, const char *entity, message_t *after)
{
    message_request_t request = driver_request(id, entity, REQUEST_DURABLE);
    uint16_t shard = (uint16_t)address_shard_number(request.id, DRIVER_SHARDS);
    message_t *message = message_new(&(store_message_t){.id = {id},
                                                        .shard = shard_id_make(1, shard),
                                                        .flags = REQUEST_DURABLE,
                                                        .type = request.type,
                                                        .entity = request.id,
                                                        .tag = request.tag,
                                                        .payload = request.payload,
                                                        .call = {1, id}});
    message->chain = after;
    return message;
}

static void what_is_loaded_is_delivered_as_perhaps_not_the_first(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    message_t *chain = row(700, "b", NULL);
    chain = row(600, "a", row(600, "a", chain)); /* read twice */
    driver_homes(driver, chain);
    assert_int_equal(driver_counters(driver).pending, 2);
    driver_worker(driver, "w1", 101);
    const message_deliver_t *one =
        driver_delivery(driver, "w1"); /* which entity comes first is open */
    const message_deliver_t *other = driver_delivery(driver, "w1");
    const message_deliver_t *first = one->request_id == 600 ? one : other;
    const message_deliver_t *second = one->request_id == 600 ? other : one;
    assert_int_equal(first->request_id, 600);
    assert_int_equal(second->request_id, 700);
    assert_true(first->delivery == 2 && second->delivery == 2);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    driver_result(driver, "w1", second, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static const uint64_t day = UINT64_C(86400000) << 22; /* of ids */

/* The database's clock went back between two homes. */
static void ids_are_above_those_of_any_home_before(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    uint64_t before = (UINT64_C(1000000) << 22) + day;
    driver_hold(driver, 0, 2);
    driver_adopt(driver, 0, NULL, before);
    router_lease(driver->router, UINT64_MAX, UINT64_MAX);
    driver_client(driver, "c1", 1);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_true(batch->messages[0]->id.value > before);
    assert_true(batch->last_id > before);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

static void nothing_is_dispatched_without_the_lease(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    router_lease(driver->router, driver->now_ms, UINT64_MAX);
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    router_lease(driver->router, driver->now_ms + 1000, UINT64_MAX);
    driver_pull(driver);
    driver_delivery(driver, "w1");
    driver_close(&driver);
}

static void a_type_may_be_described_anew(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    message_query_t query = {
        .sequence = 1, .name = fabric_bytes_of("describe"), .argument = fabric_bytes_of("Counter")};
    for (int i = 0; i < 3; i++) {
        driver_send(driver, "c1", query, &query);
        const note_t *note = driver_take(driver, "c1", KIND_ANSWER);
        assert_int_equal(note->as.answer.error, FABRIC_OK);
        router_type(driver->router, 1, note->as.answer.document);
    }
    query.argument = fabric_bytes_of("Nothing");
    driver_send(driver, "c1", query, &query);
    assert_int_equal(driver_take(driver, "c1", KIND_ANSWER)->as.answer.error,
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    query.name = fabric_bytes_of("status");
    driver_send(driver, "c1", query, &query);
    const note_t *note = driver_take(driver, "c1", KIND_ANSWER);
    wire_reader_t document = wire_reader(note->as.answer.document);
    wire_skip(&document);
    assert_int_equal(wire_finish(&document), FABRIC_OK);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shard_moves_by_release_and_its_token_grows),
        cmocka_unit_test(a_release_has_a_deadline),
        cmocka_unit_test(a_released_of_an_older_token_releases_nothing),
        cmocka_unit_test(who_says_bye_gives_back_and_hears_bye),
        cmocka_unit_test(a_volatile_call_waits_for_the_successor_of_a_runner_that_leaves),
        cmocka_unit_test(a_volatile_call_waits_for_the_successor_of_a_runner_that_has_left),
        cmocka_unit_test(a_volatile_call_waits_where_the_next_owner_has_left),
        cmocka_unit_test(a_volatile_call_does_not_wait_where_nobody_comes),
        cmocka_unit_test(a_volatile_call_does_not_wait_for_a_runner_that_is_away),
        cmocka_unit_test(what_is_loaded_is_delivered_as_perhaps_not_the_first),
        cmocka_unit_test(ids_are_above_those_of_any_home_before),
        cmocka_unit_test(nothing_is_dispatched_without_the_lease),
        cmocka_unit_test(a_type_may_be_described_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
