/* What a worker is started with: the room for residents and how executors share it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "worker/worker_setup.h"

static fabric_result_t handle(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    (void)reply;
    return FABRIC_REPLY;
}

static const fabric_message_type_t message = {
    "One", &fabric_schema_empty, &fabric_schema_empty, true, NULL, NULL, false, false};
static const fabric_handler_t handlers[] = {{&message, handle}};
static const fabric_entity_type_t type = {.name = "Type", .handlers = handlers, .handler_count = 1};
static const fabric_entity_type_t *const types[] = {&type, NULL};

static void make(worker_setup_t *setup, uint32_t executors, uint32_t residents, uint32_t window)
{
    fabric_worker_options_t options = {
        .executors = executors, .residents = residents, .window = window};
    memset(setup, 0, sizeof *setup);
    assert_int_equal(worker_setup_make(setup, "fabric://127.0.0.1:1", types, &options, NULL),
                     FABRIC_OK);
}

static void executors_share_the_places(void **state)
{
    worker_setup_t setup;
    uint64_t sum = 0;
    (void)state;
    make(&setup, 3, 11, 960);
    for (uint32_t i = 0; i < setup.config.executors; i++) {
        executor_limits_t limits = worker_setup_limits(&setup, i);
        assert_in_range(limits.residents_max, 3, 4);
        assert_int_equal(limits.outside_max, 10); /* a sixth of the window, by 16 messages each */
        sum += limits.residents_max;
    }
    assert_int_equal(sum, 11);
    worker_setup_clear(&setup);
}

static void each_executor_has_places_for_one(void **state)
{
    worker_setup_t setup;
    (void)state;
    make(&setup, 8, 2, 0);
    assert_int_equal(setup.config.executors, 2);
    assert_int_equal(worker_setup_limits(&setup, 1).residents_max, 1);
    worker_setup_clear(&setup);
}

static void test_cf_01_there_is_a_default_and_no_bound(void **state)
{
    worker_setup_t setup;
    (void)state;
    make(&setup, 1, 0, 0);
    assert_int_equal(worker_setup_limits(&setup, 0).residents_max, 10000);
    worker_setup_clear(&setup);
    make(&setup, 2, FABRIC_UNBOUNDED, 0);
    assert_int_equal(worker_setup_limits(&setup, 1).residents_max, UINT32_MAX);
    assert_int_equal(worker_setup_limits(&setup, 1).outside_max, UINT32_MAX);
    worker_setup_clear(&setup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executors_share_the_places),
        cmocka_unit_test(each_executor_has_places_for_one),
        cmocka_unit_test(test_cf_01_there_is_a_default_and_no_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
