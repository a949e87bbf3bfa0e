/* What operators want of a broker: that it drains, and that runners are cordoned, drained or opened
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include <stdlib.h>
#include <string.h>

#include "core/document.h"
#include "core/limits.h"
#include "tests/unit/router_driver.h"

enum { OTHER = 0xb2, THIRD = 0xb3 };

/* Asks as a client, and takes the answer. */
static const message_answer_t *ask(driver_t *driver, const char *name, fabric_bytes_t argument)
{
    message_query_t query = {.sequence = 5, .name = fabric_bytes_of(name), .argument = argument};
    driver_send(driver, "c1", query, &query);
    const message_answer_t *answer = &driver_take(driver, "c1", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->sequence, 5);
    return answer;
}

static const message_answer_t *order(driver_t *driver, unsigned runner, uint64_t standing)
{
    incarnation_t id = driver_runner(runner);
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes(id.bytes, sizeof id.bytes));
    wire_put_uint(&argument, standing);
    const message_answer_t *answer = ask(driver, "runner", wire_writer_bytes(&argument));
    wire_writer_destroy(&argument);
    return answer;
}

static void stand(driver_t *driver, const char *peer, uint64_t standing)
{
    driver_send(driver, peer, runner_standing, &(message_runner_standing_t){standing});
}

/* The orders of this kind; *last: the last of them. */
static size_t count_orders(const driver_t *driver, router_order_kind_t kind,
                           const router_order_t **last)
{
    size_t count = 0;
    for (size_t i = 0; i < driver->order_count; i++) {
        if (driver->orders[i].kind == kind) {
            *last = &driver->orders[i];
            count++;
        }
    }
    return count;
}

/* ---- this broker ---- */

static driver_t *open_with_members(void)
{
    driver_t *driver = driver_open();
    broker_credential_t brokers[] = {driver_credential(OTHER), driver_credential(THIRD)};
    router_members(driver->router, brokers, 2, driver->now_ms);
    driver_client(driver, "c1", 1);
    return driver;
}

static void a_broker_without_a_successor_does_not_drain(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    assert_int_equal(ask(driver, "drain", fabric_bytes(NULL, 0))->error,
                     FABRIC_ERROR_NO_SUCCESSOR); /* no other broker is connected */
    driver_broker_hello(driver, "b", OTHER, 1);
    driver_take(driver, "b", KIND_WELCOME);
    driver_send(driver, "b", broker_state, &(message_broker_state_t){1});
    const message_answer_t *answer = ask(driver, "drain", fabric_bytes(NULL, 0));
    assert_int_equal(answer->error, FABRIC_ERROR_NO_SUCCESSOR); /* that one drains itself */
    assert_true(answer->text.size > 0);
    assert_false(router_drain_asked(driver->router));
    driver_broker_hello(driver, "d", THIRD, 1);
    assert_int_equal(ask(driver, "drain", fabric_bytes(NULL, 0))->error, FABRIC_OK);
    assert_true(router_drain_asked(driver->router));
    assert_int_equal(ask(driver, "drain", fabric_bytes(NULL, 0))->error, FABRIC_OK); /* again */
    driver_close(&driver);
}

/* ---- runners ---- */

static void an_order_goes_to_the_runner(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_worker_hello(driver, "w2", 102, 1, 10);
    assert_int_equal(order(driver, 101, RUNNER_CORDONED)->error, FABRIC_OK);
    const note_t *note = driver_take(driver, "w1", KIND_RUNNER_ORDER);
    assert_int_equal(note->as.runner_order.standing, RUNNER_CORDONED);
    assert_int_equal(driver_count(driver, "w2", KIND_RUNNER_ORDER), 0);
    driver_close(&driver);
}

static void orders_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    assert_int_equal(order(driver, 103, RUNNER_CORDONED)->error, FABRIC_ERROR_NOT_FOUND);
    assert_int_equal(order(driver, 101, 3)->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(ask(driver, "runner", fabric_bytes_of("\x92"))->error,
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_count(driver, "w1", KIND_RUNNER_ORDER), 0);
    driver_close(&driver);
}

static void the_coordinator_is_told_each_change_once(void **state)
{
    (void)state;
    const router_order_t *last = NULL;
    driver_t *driver = driver_open();
    driver_worker(driver, "w1", 101);
    stand(driver, "w1", RUNNER_CORDONED);
    stand(driver, "w1", RUNNER_CORDONED);
    assert_int_equal(count_orders(driver, ROUTER_RUNNER_STANDING, &last), 1);
    assert_true(incarnation_equal(last->runner, driver_runner(101)));
    assert_int_equal(last->standing, RUNNER_CORDONED);
    stand(driver, "w1", RUNNER_OPEN);
    assert_int_equal(count_orders(driver, ROUTER_RUNNER_STANDING, &last), 2);
    assert_int_equal(last->standing, RUNNER_OPEN);
    uint64_t malformed = driver_counters(driver).malformed;
    stand(driver, "w1", 3);
    assert_int_equal(driver_counters(driver).malformed, malformed + 1);
    assert_int_equal(count_orders(driver, ROUTER_RUNNER_STANDING, &last), 2);
    driver_close(&driver);
}

/* A runner tells its standing behind its hello: the coordinator knows it before the runner joins,
 * and gives it nothing in between. */
static void the_standing_is_known_before_the_runner_joins(void **state)
{
    (void)state;
    const router_order_t *standing = NULL;
    const router_order_t *joined = NULL;
    driver_t *driver = driver_open();
    driver->admit = false;
    driver_worker_hello(driver, "w1", 101, 1, 10);
    stand(driver, "w1", RUNNER_DRAINING);
    router_admitted(driver->router, driver_runner(101), FABRIC_OK, "", driver->now_ms);
    driver_pull(driver);
    assert_int_equal(count_orders(driver, ROUTER_RUNNER_STANDING, &standing), 1);
    assert_int_equal(count_orders(driver, ROUTER_RUNNER_JOINED, &joined), 1);
    assert_true(standing < joined);
    driver_close(&driver);
}

static json_t *status_of(driver_t *driver)
{
    char *text = NULL;
    const message_answer_t *answer = ask(driver, "status", fabric_bytes(NULL, 0));
    assert_int_equal(document_to_json(answer->document, &text), FABRIC_OK);
    json_t *status = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(status);
    return status;
}

static void status_tells_standings_types_and_who_holds_the_term(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    stand(driver, "w1", RUNNER_CORDONED);
    router_holder(driver->router, (incarnation_t){{0xb1}});
    json_t *status = status_of(driver);
    const json_t *runner = json_array_get(json_object_get(status, "runners"), 0);
    const json_t *types = json_object_get(runner, "types");
    assert_string_equal(json_string_value(json_object_get(runner, "standing")), "cordoned");
    assert_int_equal(json_array_size(types), 1);
    assert_string_equal(json_string_value(json_array_get(types, 0)), "Counter");
    assert_string_equal(json_string_value(json_object_get(status, "holder")),
                        "b1000000000000000000000000000000");
    assert_true(json_is_false(json_object_get(status, "draining")));
    assert_int_equal(json_integer_value(json_object_get(status, "lanes_of_cluster")),
                     driver->config.lanes);
    json_decref(status);
    driver_close(&driver);
}

/* What only a cordoned runner brings waits, and its callers are told which runner that is. */
static void callers_are_told_of_a_runner_that_is_cordoned(void **state)
{
    (void)state;
    char text[LIMIT_TEXT_BYTES_MAX + 1];
    router_unserved_t unserved;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker_hello(driver, "w1", 101, 1, 10);
    stand(driver, "w1", RUNNER_CORDONED);
    driver_ask(driver, "c1", 1, "a", 0);
    const message_rejected_t *rejected = &driver_take(driver, "c1", KIND_REJECTED)->as.rejected;
    assert_int_equal(rejected->error, FABRIC_ERROR_RUNNER_UNAVAILABLE);
    snprintf(text, sizeof text, "%.*s", (int)rejected->text.size, rejected->text.data);
    assert_non_null(strstr(text, "uncordon runner w1, which is cordoned"));
    assert_true(router_take_unserved(driver->router, &unserved));
    assert_string_equal(unserved.type, "Counter");
    assert_string_equal(unserved.runner, "w1");
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_without_a_successor_does_not_drain),
        cmocka_unit_test(an_order_goes_to_the_runner),
        cmocka_unit_test(orders_that_make_no_sense_are_refused),
        cmocka_unit_test(the_coordinator_is_told_each_change_once),
        cmocka_unit_test(the_standing_is_known_before_the_runner_joins),
        cmocka_unit_test(status_tells_standings_types_and_who_holds_the_term),
        cmocka_unit_test(callers_are_told_of_a_runner_that_is_cordoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
