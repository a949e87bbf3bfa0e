/* The conformance suite of the store port: the exclusive lock, of those stores that have one. */
#include "tests/conformance/store_fixture.h"

static void exclusive_lock_names_its_holder_and_ends_with_it(void **state)
{
    store_fixture_t *fixture = *state;
    store_t *holder = fixture_open(fixture, true);
    assert_non_null(holder);
    store_options_t options = {
        .url = fixture->url, .io_timeout_ms = 1000, .exclusive = true, .holder = "another"};
    reason_t reason = {""};
    store_t *other = NULL;
    fabric_error_t error = fixture->driver->open(&options, &reason, &other);
    uint32_t version = 99;
    fabric_error_t tool_error = fixture->driver->schema_status(fixture->second, NULL, &version);
    store_close(&holder);
    assert_error(FABRIC_ERROR_STORE_LOCKED, error);
    assert_non_null(strstr(reason.text, "the suite's broker"));
    assert_ok(tool_error);
    assert_ok(fixture->driver->open(&options, &reason, &other));
    store_close(&other);
}

static void join_on_an_exclusive_store_forgets_all_others(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    store_broker_t other = broker_of(2, 2);
    store_broker_t third = broker_of(3, 3);
    fixture_join(fixture, &third);
    store_t *exclusive = fixture_open(fixture, true);
    assert_non_null(exclusive);
    fabric_error_t error = fixture->driver->broker_join(exclusive, &other, &join);
    store_close(&exclusive);
    assert_ok(error);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 1);
    assert_true(incarnation_equal(fixture->brokers[0].incarnation, other.incarnation));
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->broker_renew(fixture->store, fixture->broker.incarnation, 1));
}

int store_suite_exclusive(void)
{
    static const struct CMUnitTest tests[] = {
        EMPTY_TEST(exclusive_lock_names_its_holder_and_ends_with_it),
        FOUNDED_TEST(join_on_an_exclusive_store_forgets_all_others),
    };
    return cmocka_run_group_tests_name("exclusive", tests, NULL, NULL);
}
