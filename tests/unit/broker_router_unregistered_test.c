/* Requests for types that nobody has ever registered: durable ones are held until some time after
 * the cluster's first registration, volatile ones until their deadline. The status names them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>

#include "broker/router/unregistered.h"
#include "core/document.h"
#include "tests/unit/router_driver.h"

static const char *const alive[] = {"c1", NULL};

/* A router whose broker holds the term of a cluster in which nothing is registered. */
static driver_t *open_empty(void)
{
    router_config_t config;
    driver_config(&config);
    config.registration_ms = 2000;
    driver_t *driver = driver_new(&config);
    router_destroy(&driver->router);
    driver->router = router_new(&config, driver->now_ms);
    driver->mapped = NULL;
    driver_map(driver, 2, config.incarnation);
    driver_elect(driver);
    router_lease(driver->router, UINT64_MAX, UINT64_MAX);
    driver_client(driver, "c1", 1);
    return driver;
}

static fabric_error_t error_of(driver_t *driver, uint64_t sequence, const char *type,
                               uint64_t flags)
{
    message_request_t request = driver_request(sequence, "a", flags);
    request.type = fabric_bytes_of(type);
    driver_send(driver, "c1", request, &request);
    return driver_rejected(driver, "c1", sequence);
}

/* The home of the shard takes the request. */
static void expect_accepted(driver_t *driver, uint64_t sequence)
{
    message_request_t request =
        driver_request(sequence, "a", REQUEST_DURABLE | REQUEST_WANT_ACCEPTED);
    request.type = fabric_bytes_of("Strange");
    driver_homes(driver, NULL);
    driver_send(driver, "c1", request, &request);
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED);
}

/* What the status says of types that nobody has registered; the caller's. */
static json_t *unregistered(driver_t *driver)
{
    char *text = NULL;
    message_query_t query = {.sequence = 999999, .name = fabric_bytes_of("status")};
    driver_send(driver, "c1", query, &query);
    const message_answer_t *answer = &driver_take(driver, "c1", KIND_ANSWER)->as.answer;
    assert_int_equal(document_to_json(answer->document, &text), FABRIC_OK);
    json_t *status = json_loads(text, 0, NULL);
    json_t *list = json_incref(json_object_get(status, "unregistered"));
    json_decref(status);
    free(text);
    assert_true(json_is_array(list));
    return list;
}

static void expect_held(driver_t *driver, long long held_ms)
{
    json_t *list = unregistered(driver);
    const json_t *type = json_array_get(list, 0);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(json_object_get(type, "name")), "Strange");
    if (held_ms < 0) {
        assert_true(json_is_null(json_object_get(type, "held_ms")));
    } else {
        assert_int_equal(json_integer_value(json_object_get(type, "held_ms")), held_ms);
    }
    json_decref(list);
}

/* The time counts from the first registration on, however long that takes. */
static void test_sh_22_durable_requests_wait_for_the_first_registration(void **state)
{
    (void)state;
    driver_t *driver = open_empty();
    driver_pass_alive(driver, 10000, alive);
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_held(driver, -1);
    driver_type(driver, "Other");
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_held(driver, 2000);
    driver_pass_alive(driver, 1500, alive);
    driver_type(driver, "Another"); /* not the first one */
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_held(driver, 500);
    driver_type(driver, "Strange");
    expect_accepted(driver, 1);
    json_t *list = unregistered(driver);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    driver_close(&driver);
}

static void test_sh_23_durable_requests_of_a_type_that_never_comes_fail(void **state)
{
    (void)state;
    driver_t *driver = open_empty();
    driver_type(driver, "Other");
    driver_pass_alive(driver, 1990, alive);
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_pass_alive(driver, 10, alive);
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    expect_held(driver, 0);
    driver_type(driver, "Strange"); /* a worker may bring it later */
    expect_accepted(driver, 2);
    driver_close(&driver);
}

/* As after a restart of the whole cluster: the store says when the first registration was. */
static void the_time_counts_from_the_first_registration_in_the_cluster(void **state)
{
    (void)state;
    driver_t *driver = open_empty();
    router_registered(driver->router, 1500, driver->now_ms);
    driver_type(driver, "Other"); /* it was there before */
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_held(driver, 500);
    driver_close(&driver);
    driver = open_empty();
    driver_type(driver, "Other");
    router_registered(driver->router, UINT64_MAX, driver->now_ms);
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    expect_held(driver, 0);
    driver_close(&driver);
}

static void volatile_requests_are_never_refused_for_good(void **state)
{
    (void)state;
    driver_t *driver = open_empty();
    assert_int_equal(error_of(driver, 1, "Strange", 0), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_type(driver, "Other");
    driver_pass_alive(driver, 5000, alive);
    assert_int_equal(error_of(driver, 2, "Strange", 0), FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_close(&driver);
}

/* Anybody can send names: there is room for some, and they are harmless text. */
static void the_list_of_types_is_bounded_and_forgets(void **state)
{
    (void)state;
    char name[32];
    driver_t *driver = open_empty();
    for (unsigned i = 0; i < 3 * UNREGISTERED_TYPES_MAX; i++) {
        snprintf(name, sizeof name, "Strange-%u\033\xff", i);
        (void)error_of(driver, 1 + i, name, 0);
        driver_pass_alive(driver, 10, alive);
    }
    (void)error_of(driver, 100, name, 0);
    json_t *list = unregistered(driver);
    assert_int_equal(json_array_size(list), UNREGISTERED_TYPES_MAX);
    unsigned found = 0;
    size_t index;
    json_t *type;
    json_array_foreach(list, index, type)
    {
        if (strcmp(json_string_value(json_object_get(type, "name")), "Strange-47\\x1b\\xff") == 0) {
            found++;
            assert_int_equal(json_integer_value(json_object_get(type, "refused")), 2);
            assert_int_equal(json_integer_value(json_object_get(type, "asked_ms")), 10);
        }
    }
    assert_int_equal(found, 1);
    json_decref(list);
    driver_pass_alive(driver, 30000, alive);
    list = unregistered(driver);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    driver_close(&driver);
}

/* It may have been frozen meanwhile. */
static void a_holder_without_its_lease_has_no_final_word(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_pass(driver, 2 * (uint64_t)driver->config.registration_ms);
    driver_client(driver, "c1", 1);
    driver_elect(driver);
    router_lease(driver->router, driver->now_ms + 100, UINT64_MAX);
    assert_int_equal(error_of(driver, 1, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    driver_pass_alive(driver, 110, alive);
    assert_int_equal(error_of(driver, 2, "Strange", REQUEST_DURABLE),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    assert_int_equal(error_of(driver, 3, "Strange", 0), FABRIC_ERROR_NOT_HOME);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sh_22_durable_requests_wait_for_the_first_registration),
        cmocka_unit_test(test_sh_23_durable_requests_of_a_type_that_never_comes_fail),
        cmocka_unit_test(the_time_counts_from_the_first_registration_in_the_cluster),
        cmocka_unit_test(volatile_requests_are_never_refused_for_good),
        cmocka_unit_test(the_list_of_types_is_bounded_and_forgets),
        cmocka_unit_test(a_holder_without_its_lease_has_no_final_word),
    };
    return cmocka_run_group_tests_name("unregistered", tests, NULL, NULL);
}
