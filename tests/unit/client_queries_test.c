/* Questions to brokers by the client library with its real thread and sockets, against a fake
 * broker. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include <fabric/client.h>

#include "tests/harness/fake_broker.h"

typedef struct fixture {
    fake_broker_t *broker;
    fabric_client_t *client;
} fixture_t;

static int setup(void **state)
{
    fixture_t *f = (fixture_t *)calloc(1, sizeof *f);
    f->broker = fake_broker_start();
    *state = f;
    return (int)fabric_client_open(fake_broker_endpoint(f->broker), NULL, &f->client, NULL);
}

static int teardown(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_client_close(&f->client);
    fake_broker_destroy(&f->broker);
    free(f);
    return 0;
}

static void query(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint8_t *document = NULL;
    size_t size = 0;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_query(f->client, "status", fabric_bytes("abc", 3), 0, &document,
                                         &size, &outcome),
                     FABRIC_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(document, "abc", 3);
    free(document);
    assert_int_equal(fabric_client_query(f->client, "nothing", fabric_bytes("", 0), 0, &document,
                                         &size, &outcome),
                     FABRIC_ERROR_NOT_FOUND);
}

static void query_at(void **state)
{
    static const char self[] = "01000000000000000000000000000000";
    static const struct {
        const char *broker;
        fabric_error_t error;
    } others[] = {
        {"02000000000000000000000000000000", FABRIC_ERROR_NOT_FOUND},
        {"00000000000000000000000000000000", FABRIC_ERROR_INVALID_ARGUMENT},
        {"0100000000000000000000000000000", FABRIC_ERROR_INVALID_ARGUMENT},
        {"0100000000000000000000000000000g", FABRIC_ERROR_INVALID_ARGUMENT},
        {"", FABRIC_ERROR_INVALID_ARGUMENT},
    };
    fixture_t *f = (fixture_t *)*state;
    uint8_t *document = NULL;
    size_t size = 0;
    fabric_outcome_t outcome;
    fabric_bytes_t argument = fabric_bytes("abc", 3);
    assert_int_equal(
        fabric_client_query_at(f->client, self, "status", argument, 0, &document, &size, &outcome),
        FABRIC_OK);
    assert_int_equal(size, 3);
    free(document);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(fabric_client_query_at(f->client, others[i].broker, "status", argument, 0,
                                                &document, &size, &outcome),
                         others[i].error);
        assert_int_equal(outcome.error, others[i].error);
        assert_null(document);
    }
}

static void query_all(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_query_all(f->client, "status", fabric_bytes("abc", 3), 0,
                                             &answers, &count, &outcome),
                     FABRIC_OK);
    assert_int_equal(count, 1);
    assert_string_equal(answers[0].broker, "01000000000000000000000000000000");
    assert_int_equal(answers[0].outcome.error, FABRIC_OK);
    assert_int_equal(answers[0].size, 3);
    assert_memory_equal(answers[0].document, "abc", 3);
    fabric_broker_answers_free(&answers, &count);
    assert_null(answers);
    fabric_broker_answers_free(&answers, &count);
    assert_int_equal(fabric_client_query_all(f->client, "nothing", fabric_bytes("", 0), 0, &answers,
                                             &count, NULL),
                     FABRIC_OK);
    assert_int_equal(answers[0].outcome.error, FABRIC_ERROR_NOT_FOUND);
    assert_null(answers[0].document);
    fabric_broker_answers_free(&answers, &count);
    assert_int_equal(
        fabric_client_query_all(f->client, "", fabric_bytes("", 0), 0, &answers, &count, &outcome),
        FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_null(answers);
    assert_int_equal(count, 0);
}

/* The fake broker's answer is no document. */
static void a_broker_that_cannot_be_understood_counts_as_silent(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_health_t health;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_health(f->client, 0, &health, &outcome), FABRIC_OK);
    assert_int_equal(outcome.error, FABRIC_OK);
    assert_false(health.healthy);
    assert_int_equal(health.brokers, 1);
    assert_int_equal(health.brokers_answering, 0);
    assert_int_equal(health.silent_count, 1);
}

static void without_a_broker_nothing_is_known(void **state)
{
    (void)state;
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {.connect_timeout_ms = FABRIC_CONNECT_LATER};
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    fabric_health_t health = {.brokers = 7};
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_open("tcp://127.0.0.1:1", &options, &client, NULL), FABRIC_OK);
    assert_int_equal(fabric_client_query_all(client, "status", fabric_bytes("", 0), 50, &answers,
                                             &count, &outcome),
                     FABRIC_ERROR_NOT_CONNECTED);
    assert_null(answers);
    assert_int_equal(fabric_client_health(client, 50, &health, &outcome),
                     FABRIC_ERROR_NOT_CONNECTED);
    assert_int_equal(outcome.error, FABRIC_ERROR_NOT_CONNECTED);
    assert_int_equal(health.brokers, 7); /* untouched */
    fabric_client_close(&client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(query),
        TEST(query_at),
        TEST(query_all),
        TEST(a_broker_that_cannot_be_understood_counts_as_silent),
        cmocka_unit_test(without_a_broker_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
