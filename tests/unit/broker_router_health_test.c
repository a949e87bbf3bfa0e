/* What a broker says about its health: lanes whose steps wait, shards of each type, runners whose
 * executors are stuck, the oldest pending message and the last fence. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/document.h"
#include "tests/unit/router_driver.h"

enum { LEASE_MS = 3000 };

/* The document of a query; to be released. */
static json_t *ask(driver_t *driver, const char *name)
{
    char *text = NULL;
    message_query_t query = {.sequence = 99, .name = fabric_bytes_of(name)};
    driver_send(driver, "c1", query, &query);
    const message_answer_t *answer = &driver_take(driver, "c1", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, FABRIC_OK);
    assert_int_equal(document_to_json(answer->document, &text), FABRIC_OK);
    json_t *document = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(document);
    return document;
}

static json_int_t number(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

/* The first element of an array; the document is to be released. */
static const json_t *first(const json_t *document, const char *array)
{
    const json_t *element = json_array_get(json_object_get(document, array), 0);
    assert_non_null(element);
    return element;
}

static driver_t *open_driver(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    return driver;
}

/* A driver in whose lanes no checkpoint is due. */
static driver_t *open_without_checkpoints(void)
{
    router_config_t config;
    driver_config(&config);
    config.checkpoint_ms = 86400000;
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    return driver;
}

/* Passes time in which the peers stay alive. */
static void pass(driver_t *driver, uint64_t ms)
{
    static const char *const peers[] = {"c1", "w1", NULL};
    static const char *const client[] = {"c1", NULL};
    router_lease(driver->router, driver->now_ms + 100000, UINT64_MAX);
    driver_pass_alive(driver, ms, driver->order_count > 0 ? peers : client);
}

/* ---- lanes ---- */

static void expect_lane(driver_t *driver, const char *step, uint64_t least_ms, uint64_t most_ms,
                        bool stuck)
{
    json_t *document = ask(driver, "health");
    const json_t *lane = first(document, "lanes");
    assert_in_range(number(lane, step), least_ms, most_ms);
    if (json_is_true(json_object_get(lane, "stuck")) != stuck) {
        fail_msg("%s", json_dumps(lane, 0));
    }
    json_decref(document);
}

static void an_append_that_is_not_answered_makes_its_lane_stuck(void **state)
{
    (void)state;
    driver_t *driver = open_without_checkpoints();
    expect_lane(driver, "append_ms", 0, 0, false);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    assert_non_null(driver_take_batch(driver, 0));
    pass(driver, 1000);
    expect_lane(driver, "append_ms", 980, 1000, false);
    pass(driver, LEASE_MS);
    expect_lane(driver, "append_ms", 3980, 4000, true);
    json_t *document = ask(driver, "health");
    assert_in_range(number(json_object_get(document, "store"), "appender"), 3980, 4000);
    assert_int_equal(number(json_object_get(document, "store"), "loader"), 0);
    json_decref(document);
    driver_batch_done(driver, 0);
    pass(driver, 20);
    expect_lane(driver, "append_ms", 0, 0, false);
    driver_close(&driver);
}

/* Under load something always waits for an append; each append that ends is progress. */
static void appends_that_end_are_progress(void **state)
{
    (void)state;
    driver_t *driver = open_without_checkpoints();
    for (uint64_t i = 1; i <= 20; i++) {
        driver_ask(driver, "c1", i, "a", REQUEST_DURABLE);
        assert_non_null(driver_take_batch(driver, 0));
        pass(driver, 500);
        expect_lane(driver, "append_ms", 400, 520, false);
        driver_ask(driver, "c1", 1000 + i, "b", REQUEST_DURABLE);
        driver_batch_done(driver, 0);
        assert_non_null(driver_take_batch(driver, 0));
        driver_batch_done(driver, 0);
    }
    driver_commit(driver);
    driver_close(&driver);
}

static void a_record_that_nobody_takes_makes_its_lane_stuck(void **state)
{
    (void)state;
    driver_t *driver = open_without_checkpoints();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    pass(driver, LEASE_MS + 100);
    expect_lane(driver, "append_ms", 3080, 3100, true);
    driver_commit(driver);
    driver_close(&driver);
}

static void a_checkpoint_that_is_not_answered_makes_its_lane_stuck(void **state)
{
    (void)state;
    driver_t *driver = open_driver();
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    pass(driver, 2000);
    assert_non_null(router_take_slice(driver->router, 0, driver->now_ms));
    pass(driver, 2 * LEASE_MS);
    expect_lane(driver, "checkpoint_ms", LEASE_MS, 8000, true);
    router_slice_done(driver->router, 0, FABRIC_OK, driver->now_ms);
    pass(driver, 20);
    expect_lane(driver, "checkpoint_ms", 0, 0, false);
    driver_close(&driver);
}

static void an_adoption_that_does_not_end_makes_its_lane_stuck(void **state)
{
    (void)state;
    driver_t *driver = open_driver();
    driver_hold(driver, 0, DRIVER_EPOCH + 1);
    pass(driver, LEASE_MS + 500);
    expect_lane(driver, "adoption_ms", LEASE_MS, LEASE_MS + 500, true);
    json_t *document = ask(driver, "health");
    const json_t *type = first(document, "types");
    assert_int_equal(number(type, "moving"), DRIVER_SHARDS);
    assert_int_equal(number(type, "unserved"), 0);
    json_decref(document);
    driver_adopt(driver, 0, NULL, 0);
    pass(driver, 20);
    expect_lane(driver, "adoption_ms", 0, 0, false);
    driver_close(&driver);
}

/* ---- shards ---- */

static void expect_type(driver_t *driver, uint32_t served, uint32_t moving, uint32_t unserved,
                        uint32_t waiting)
{
    json_t *document = ask(driver, "health");
    const json_t *type = first(document, "types");
    assert_int_equal(number(type, "served"), served);
    assert_int_equal(number(type, "moving"), moving);
    assert_int_equal(number(type, "unserved"), unserved);
    assert_int_equal(number(type, "waiting"), waiting);
    json_decref(document);
}

static void shards_are_served_moving_or_unserved(void **state)
{
    (void)state;
    driver_t *driver = open_driver();
    expect_type(driver, 0, 0, DRIVER_SHARDS, 0);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    expect_type(driver, 0, 0, DRIVER_SHARDS, 1);
    driver_worker(driver, "w1", 101);
    expect_type(driver, DRIVER_SHARDS, 0, 0, 0);
    driver_desire(driver, 0);
    expect_type(driver, 0, DRIVER_SHARDS, 0, 0);
    router_lease(driver->router, driver->now_ms, UINT64_MAX);
    expect_type(driver, 0, 0, DRIVER_SHARDS, 1);
    driver_close(&driver);
}

/* ---- runners ---- */

static void expect_runner(driver_t *driver, uint32_t stuck, uint64_t least_ms, uint64_t most_ms)
{
    json_t *document = ask(driver, "status");
    const json_t *runner = first(document, "runners");
    assert_int_equal(number(runner, "stuck"), stuck);
    assert_in_range(number(runner, "stuck_ms"), least_ms, most_ms);
    json_decref(document);
}

static void expect_log(driver_t *driver, uint32_t stuck, uint64_t oldest_ms)
{
    router_runner_health_t health;
    assert_true(router_next_runner_health(driver->router, &health));
    assert_true(incarnation_equal(health.runner, driver_runner(101)));
    assert_int_equal(health.executors, 4);
    assert_int_equal(health.stuck, stuck);
    assert_int_equal(health.oldest_ms, oldest_ms);
    assert_false(router_next_runner_health(driver->router, &health));
}

static void what_a_runner_says_of_its_executors_is_shown_and_logged_once(void **state)
{
    (void)state;
    router_runner_health_t health;
    driver_t *driver = open_driver();
    driver_worker(driver, "w1", 101);
    expect_runner(driver, 0, 0, 0);
    message_runner_health_t message = {4, 2, 700};
    driver_send(driver, "w1", runner_health, &message);
    expect_runner(driver, 2, 700, 700);
    expect_log(driver, 2, 700);
    driver_send(driver, "w1", runner_health, &message);
    assert_false(router_next_runner_health(driver->router, &health));
    driver_pass(driver, 100);
    expect_runner(driver, 2, 800, 800);
    message = (message_runner_health_t){4, 0, 0};
    driver_send(driver, "w1", runner_health, &message);
    expect_runner(driver, 0, 0, 0);
    expect_log(driver, 0, 0);
    driver_close(&driver);
}

/* A new connection begins healthy, and numbers that make no sense do no harm. */
static void a_runner_that_comes_back_begins_healthy(void **state)
{
    (void)state;
    router_runner_health_t health;
    driver_t *driver = open_driver();
    driver_worker(driver, "w1", 101);
    message_runner_health_t message = {3, UINT64_MAX, UINT64_MAX};
    driver_send(driver, "w1", runner_health, &message);
    expect_runner(driver, 3, 0, UINT32_MAX);
    driver_worker_hello(driver, "w1", 101, 2, 10);
    expect_runner(driver, 0, 0, 0);
    message.stuck = 1;
    driver_send(driver, "w1", runner_health, &message);
    driver_gone(driver, "w1");
    driver_pass(driver, 1000); /* the runner is forgotten before the log has it */
    assert_false(router_next_runner_health(driver->router, &health));
    driver_close(&driver);
}

/* ---- messages and fences ---- */

static void the_oldest_pending_message_is_known(void **state)
{
    (void)state;
    driver_t *driver = open_driver();
    json_t *document = ask(driver, "health");
    assert_true(json_is_null(json_object_get(document, "oldest_pending_ms")));
    json_decref(document);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    pass(driver, 6000);
    driver_ask(driver, "c1", 2, "b", REQUEST_DURABLE);
    driver_commit(driver);
    document = ask(driver, "health");
    assert_in_range(number(document, "oldest_pending_ms"), 5700, 6050);
    assert_int_equal(number(document, "pending"), 2);
    json_decref(document);
    driver_worker(driver, "w1", 101);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    document = ask(driver, "health");
    assert_in_range(number(document, "oldest_pending_ms"), 0, 100);
    json_decref(document);
    driver_close(&driver);
}

static void the_last_fence_is_known(void **state)
{
    (void)state;
    driver_t *driver = open_driver();
    json_t *document = ask(driver, "health");
    assert_true(json_is_null(json_object_get(document, "fence")));
    json_decref(document);
    router_lane_fenced(driver->router, 0, DRIVER_EPOCH, driver->now_ms);
    driver_pass(driver, 500);
    document = ask(driver, "health");
    const json_t *fence = json_object_get(document, "fence");
    assert_int_equal(number(fence, "lane"), 0);
    assert_int_equal(number(fence, "ago_ms"), 500);
    assert_int_equal(json_array_size(json_object_get(document, "lanes")), 0);
    json_decref(document);
    driver_close(&driver);
}

static void an_incarnation_after_a_fenced_one_says_so(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.fenced_ms = 1;
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    driver_client(driver, "c1", 1);
    json_t *document = ask(driver, "health");
    const json_t *fence = json_object_get(document, "fence");
    assert_true(json_is_null(json_object_get(fence, "lane")));
    assert_int_equal(number(fence, "ago_ms"), driver->now_ms - 1);
    json_decref(document);
    driver_close(&driver);
}

/* ---- size ---- */

static void the_document_does_not_grow_with_pending_messages(void **state)
{
    (void)state;
    driver_t *driver = open_driver();
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        message_query_t query = {.sequence = 99, .name = fabric_bytes_of("health")};
        driver_send(driver, "c1", query, &query);
        sizes[i] = driver_take(driver, "c1", KIND_ANSWER)->as.answer.document.size;
        for (uint64_t sequence = 1; i == 0 && sequence <= 500; sequence++) {
            char id[16];
            snprintf(id, sizeof id, "e%llu", (unsigned long long)sequence);
            driver_ask(driver, "c1", sequence, id, REQUEST_DURABLE);
        }
        driver_commit(driver);
        driver_pass(driver, 10);
    }
    assert_in_range(sizes[1], sizes[0], sizes[0] + 64); /* numbers got longer */
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_that_is_not_answered_makes_its_lane_stuck),
        cmocka_unit_test(appends_that_end_are_progress),
        cmocka_unit_test(a_record_that_nobody_takes_makes_its_lane_stuck),
        cmocka_unit_test(a_checkpoint_that_is_not_answered_makes_its_lane_stuck),
        cmocka_unit_test(an_adoption_that_does_not_end_makes_its_lane_stuck),
        cmocka_unit_test(shards_are_served_moving_or_unserved),
        cmocka_unit_test(what_a_runner_says_of_its_executors_is_shown_and_logged_once),
        cmocka_unit_test(a_runner_that_comes_back_begins_healthy),
        cmocka_unit_test(the_oldest_pending_message_is_known),
        cmocka_unit_test(the_last_fence_is_known),
        cmocka_unit_test(an_incarnation_after_a_fenced_one_says_so),
        cmocka_unit_test(the_document_does_not_grow_with_pending_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
