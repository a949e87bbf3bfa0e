/* The example's counter, alone and without a cluster, as a user would test an entity. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include <fabric/testing.h>

#include "examples/counter/counter_entity.c"

static fabric_testing_t *open_test(const fabric_entity_type_t *type, const char *id)
{
    fabric_testing_t *test;
    assert_int_equal(fabric_testing_open(type, id, &test, NULL), FABRIC_OK);
    return test;
}

static void test_ent_01_counter_counts(void **state)
{
    (void)state;
    fabric_testing_t *test = open_test(&counter_type, "counter-1");
    counter_increment_request_t request = {.amount = 5};
    counter_value_t reply = {0};
    assert_int_equal(fabric_testing_send(test, &counter_increment, &request, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(reply.value, 5);
    request.amount = -7;
    assert_int_equal(fabric_testing_send(test, &counter_increment, &request, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(reply.value, -2);
    reply.value = 0;
    assert_int_equal(fabric_testing_send(test, &counter_get_value, NULL, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(reply.value, -2);
    fabric_testing_close(&test);
    assert_null(test);
}

static void overflow_is_a_failure_and_changes_nothing(void **state)
{
    (void)state;
    fabric_testing_t *test = open_test(&counter_type, "counter-1");
    counter_increment_request_t request = {.amount = INT64_MAX};
    counter_value_t reply = {0};
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_send(test, &counter_increment, &request, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(fabric_testing_send(test, &counter_increment, &request, &reply, &outcome),
                     FABRIC_FAILURE);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, 1);
    assert_string_equal(outcome.text, "the counter would overflow");
    assert_int_equal(fabric_testing_send(test, &counter_peek, NULL, &reply, NULL), FABRIC_REPLY);
    assert_true(reply.value == INT64_MAX);
    fabric_testing_close(&test);
}

/* ---- an entity that answers later, and one that breaks ---- */

static void *complete(void *argument)
{
    fabric_pending_t *pending = (fabric_pending_t *)argument;
    counter_value_t reply = {.value = 11};
    fabric_pending_reply(&pending, &reply);
    return NULL;
}

static pthread_t thread;

static fabric_result_t later(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    assert_int_equal(pthread_create(&thread, NULL, complete, fabric_later(context)), 0);
    return FABRIC_PENDING;
}

static fabric_result_t broken(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)request;
    (void)reply;
    ((counter_t *)state)->value = 99;
    return fabric_defect(context, "out of order");
}

static const fabric_handler_t odd_handlers[] = {
    {&counter_peek, later},
    {&counter_get_value, get_value},
    {&counter_increment, broken},
};
static const fabric_entity_type_t odd_type = {
    .name = "Odd",
    .state_size = sizeof(counter_t),
    .handlers = odd_handlers,
    .handler_count = 3,
};

static void pending_is_waited_for(void **state)
{
    (void)state;
    fabric_testing_t *test = open_test(&odd_type, "x");
    counter_value_t reply = {0};
    assert_int_equal(fabric_testing_send(test, &counter_peek, NULL, &reply, NULL), FABRIC_REPLY);
    assert_int_equal(reply.value, 11);
    pthread_join(thread, NULL);
    fabric_testing_close(&test);
}

static void defect_ends_the_state(void **state)
{
    (void)state;
    fabric_testing_t *test = open_test(&odd_type, "x");
    counter_increment_request_t request = {.amount = 1};
    counter_value_t reply = {.value = 1};
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_send(test, &counter_increment, &request, &reply, &outcome),
                     FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_DEFECT);
    assert_string_equal(outcome.text, "out of order");
    assert_int_equal(fabric_testing_send(test, &counter_get_value, NULL, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(reply.value, 0);
    fabric_testing_close(&test);
}

static unsigned builds_left;

static bool build_later(fabric_instance_t *instance, void *state)
{
    ((counter_t *)state)->value = 40;
    return builds_left == 0 || fabric_build_failed(instance, "%u more", builds_left--);
}

static void a_failed_build_is_told_and_the_next_message_builds_again(void **state)
{
    (void)state;
    fabric_entity_type_t type = counter_type;
    type.build = build_later;
    builds_left = 1;
    fabric_testing_t *test = open_test(&type, "x");
    counter_increment_request_t request = {.amount = 2};
    counter_value_t reply = {0};
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_send(test, &counter_increment, &request, &reply, &outcome),
                     FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_NOT_BUILT);
    assert_string_equal(outcome.text, "1 more");
    assert_int_equal(fabric_testing_send(test, &counter_increment, &request, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(reply.value, 42);
    fabric_testing_close(&test);
}

static void wrong_descriptions_are_refused(void **state)
{
    (void)state;
    fabric_entity_type_t type = odd_type;
    type.name = NULL;
    fabric_testing_t *test = (fabric_testing_t *)&type; /* as a caller may leave it */
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_open(&type, "x", &test, NULL), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_null(test);
    assert_int_equal(fabric_testing_open(&odd_type, "", &test, &outcome),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(outcome.error, FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(outcome.text, "an id has 1-255 bytes");
    fabric_testing_close(&test);
    assert_int_equal(fabric_module.abi, FABRIC_MODULE_ABI);
    assert_ptr_equal(fabric_module.types[0], &counter_type);
}

/* What a resource of the user's own does with the token: it refuses what is older than the newest.
 */
static void tokens_are_compared_home_first(void **state)
{
    (void)state;
    fabric_token_t token = {2, 5};
    assert_false(fabric_token_less(token, token));
    assert_true(fabric_token_less((fabric_token_t){2, 4}, token));
    assert_false(fabric_token_less((fabric_token_t){2, 6}, token));
    assert_true(fabric_token_less((fabric_token_t){1, 9}, token));
    assert_false(fabric_token_less((fabric_token_t){3, 1}, token));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ent_01_counter_counts),
        cmocka_unit_test(overflow_is_a_failure_and_changes_nothing),
        cmocka_unit_test(pending_is_waited_for),
        cmocka_unit_test(defect_ends_the_state),
        cmocka_unit_test(a_failed_build_is_told_and_the_next_message_builds_again),
        cmocka_unit_test(wrong_descriptions_are_refused),
        cmocka_unit_test(tokens_are_compared_home_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
