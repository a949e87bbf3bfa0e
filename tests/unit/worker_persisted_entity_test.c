/* An entity of a persisted type, alone and without a cluster, as a user would test it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <fabric/testing.h>

enum { CONTENT_BYTES = 1 << 20 };

typedef struct content {
    uint32_t size;
    uint8_t data[CONTENT_BYTES];
} content_t;

/* A chest holds bytes, and counts the messages of its instance, which is not stored. */
typedef struct chest {
    content_t left, right;
    uint32_t handled;
} chest_t;

typedef struct number {
    uint32_t number;
} number_t;

static const fabric_field_t chest_fields[] = {FABRIC_BYTES(chest_t, left),
                                              FABRIC_BYTES(chest_t, right)};
static const fabric_schema_t chest_schema = FABRIC_SCHEMA("Chest", chest_t, chest_fields);
static const fabric_field_t number_fields[] = {FABRIC_U32(number_t, number)};
static const fabric_schema_t number_schema = FABRIC_SCHEMA("Number", number_t, number_fields);

/* Puts so many bytes in, and says how many were there. Breaks beside for an odd number. */
static const fabric_message_type_t put_message = {
    .tag = "Put", .request = &number_schema, .reply = &number_schema, .durable = true};
/* Says how many messages the instance has handled before. */
static const fabric_message_type_t count_message = {
    .tag = "Count", .request = &fabric_schema_empty, .reply = &number_schema};

static fabric_result_t put(fabric_context_t *context, void *state, const void *request, void *reply)
{
    chest_t *chest = (chest_t *)state;
    uint32_t size = ((const number_t *)request)->number;
    chest->handled++;
    ((number_t *)reply)->number = chest->left.size + chest->right.size;
    chest->left.size = size < CONTENT_BYTES ? size : CONTENT_BYTES;
    chest->right.size = size - chest->left.size;
    memset(chest->left.data, 7, chest->left.size);
    memset(chest->right.data, 7, chest->right.size);
    return size % 2 == 1 ? fabric_defect(context, "odd") : FABRIC_REPLY;
}

static fabric_result_t count(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)context;
    (void)request;
    ((number_t *)reply)->number = ((chest_t *)state)->handled++;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&put_message, put}, {&count_message, count}};
static const fabric_entity_type_t chest_type = {.name = "Chest",
                                                .state_size = sizeof(chest_t),
                                                .handlers = handlers,
                                                .handler_count = 2,
                                                .state = &chest_schema,
                                                .persisted = true};

static int set_up(void **state)
{
    return (int)fabric_testing_open(&chest_type, "chest", (fabric_testing_t **)state, NULL);
}

static int tear_down(void **state)
{
    fabric_testing_close((fabric_testing_t **)state);
    return 0;
}

static fabric_result_t put_in(void **state, uint32_t size, uint32_t *before,
                              fabric_outcome_t *outcome)
{
    number_t reply = {0};
    fabric_result_t result = fabric_testing_send((fabric_testing_t *)*state, &put_message,
                                                 &(number_t){size}, &reply, outcome);
    *before = reply.number;
    return result;
}

static void expect_before(void **state, uint32_t size, uint32_t before)
{
    uint32_t found;
    assert_int_equal(put_in(state, size, &found, NULL), FABRIC_REPLY);
    assert_int_equal(found, before);
}

static uint32_t handled(void **state)
{
    number_t reply = {0};
    assert_int_equal(
        fabric_testing_send((fabric_testing_t *)*state, &count_message, NULL, &reply, NULL),
        FABRIC_REPLY);
    return reply.number;
}

static void a_defect_goes_back_to_the_state_before(void **state)
{
    uint32_t before;
    fabric_outcome_t outcome;
    expect_before(state, 10, 0);
    expect_before(state, 20, 10);
    assert_int_equal(handled(state), 2);
    assert_int_equal(put_in(state, 31, &before, &outcome), FABRIC_DEFECT);
    assert_int_equal(handled(state), 0); /* another instance, with what is stored */
    expect_before(state, 40, 20);
}

static void a_state_as_large_as_a_payload_is_kept(void **state)
{
    expect_before(state, 1048500, 0);
    expect_before(state, 2, 1048500);
}

static void a_state_that_is_too_large_is_a_defect(void **state)
{
    uint32_t before;
    fabric_outcome_t outcome;
    expect_before(state, 10, 0);
    assert_int_equal(put_in(state, 2 * CONTENT_BYTES, &before, &outcome), FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(outcome.text, "the state: "));
    expect_before(state, 20, 10);
}

#define ENTITY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENTITY_TEST(a_defect_goes_back_to_the_state_before),
        ENTITY_TEST(a_state_as_large_as_a_payload_is_kept),
        ENTITY_TEST(a_state_that_is_too_large_is_a_defect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
