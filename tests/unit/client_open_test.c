/* Opening a client, against a fake broker: waiting for a broker or not, and why opening fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <fabric/client.h>

#include "core/clock.h"
#include "tests/harness/fake_broker.h"

#define WAIT_MAX_MS 10000

static void open_refused(void **state)
{
    (void)state;
    fake_broker_t *broker = fake_broker_start();
    fabric_client_options_t options = {.connect_timeout_ms = 50};
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fake_broker_kill(broker);
    assert_int_equal(fabric_client_open(fake_broker_endpoint(broker), &options, &client, &outcome),
                     FABRIC_ERROR_NOT_CONNECTED);
    assert_null(client);
    assert_string_not_equal(outcome.text, "");
    fake_broker_destroy(&broker);
}

static void test_ie_18_open_foreign_cluster(void **state)
{
    (void)state;
    fake_broker_t *broker = fake_broker_start();
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fabric_client_options_t options = {.cluster_name = "mine"};
    uint64_t start_ms = clock_monotonic_ms();
    assert_int_equal(fabric_client_open(fake_broker_endpoint(broker), &options, &client, &outcome),
                     FABRIC_ERROR_FOREIGN_CLUSTER); /* by the name in the welcome */
    fake_broker_be_foreign(broker, true);
    assert_int_equal(fabric_client_open(fake_broker_endpoint(broker), NULL, &client, &outcome),
                     FABRIC_ERROR_FOREIGN_CLUSTER); /* by the broker's refusal */
    assert_string_equal(outcome.text, "this is cluster other");
    assert_true(clock_monotonic_ms() - start_ms < 4000); /* at once, not by the timeout */
    assert_null(client);
    fake_broker_destroy(&broker);
}

static void brokers_of_the_environment(void **state)
{
    (void)state;
    fake_broker_t *broker = fake_broker_start();
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    unsetenv("CLUSTER_NODES");
    assert_int_equal(fabric_client_open(NULL, NULL, &client, &outcome),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    setenv("CLUSTER_NODES", fake_broker_endpoint(broker), 1);
    assert_int_equal(fabric_client_open(NULL, NULL, &client, &outcome), FABRIC_OK);
    unsetenv("CLUSTER_NODES");
    fabric_client_close(&client);
    fake_broker_destroy(&broker);
}

static void open_arguments(void **state)
{
    (void)state;
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_open("tcp://10.1.2.3:5700", NULL, &client, &outcome),
                     FABRIC_ERROR_PLAINTEXT_REFUSED);
    assert_int_equal(fabric_client_open("http://x", NULL, &client, &outcome),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(fabric_client_open(NULL, NULL, &client, NULL), FABRIC_ERROR_INVALID_ARGUMENT);
    fabric_client_close(&client);
}

static void waiting_for_a_broker_is_optional(void **state)
{
    (void)state;
    fake_broker_t *broker = fake_broker_start();
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fabric_client_options_t options = {.connect_timeout_ms = FABRIC_CONNECT_LATER};
    fake_broker_kill(broker);
    assert_int_equal(fabric_client_open(fake_broker_endpoint(broker), &options, &client, &outcome),
                     FABRIC_OK);
    assert_int_equal(outcome.error, FABRIC_OK);
    assert_int_equal(fabric_client_wait_ready(client, 20, &outcome), FABRIC_ERROR_NOT_CONNECTED);
    assert_int_equal(outcome.error, FABRIC_ERROR_NOT_CONNECTED);
    assert_string_equal(outcome.text, "no broker answered within 20 ms");
    fake_broker_revive(broker);
    assert_int_equal(fabric_client_wait_ready(client, WAIT_MAX_MS, NULL), FABRIC_OK);
    assert_int_equal(fabric_client_wait_ready(client, 0, &outcome), FABRIC_OK);
    fabric_client_close(&client);
    fake_broker_destroy(&broker);
}

/* A client asks a broker that has refused it again. */
static void a_refusal_may_be_taken_back(void **state)
{
    (void)state;
    fake_broker_t *broker = fake_broker_start();
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fabric_client_options_t options = {.connect_timeout_ms = FABRIC_CONNECT_LATER};
    fake_broker_be_foreign(broker, true);
    assert_int_equal(fabric_client_open(fake_broker_endpoint(broker), &options, &client, NULL),
                     FABRIC_OK);
    assert_int_equal(fabric_client_wait_ready(client, WAIT_MAX_MS, &outcome),
                     FABRIC_ERROR_FOREIGN_CLUSTER);
    assert_string_equal(outcome.text, "this is cluster other");
    fake_broker_be_foreign(broker, false);
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (fabric_client_wait_ready(client, 1, NULL) != FABRIC_OK) {
        assert_true(clock_monotonic_ms() < end_ms);
        poll(NULL, 0, 1);
    }
    fabric_client_close(&client);
    fake_broker_destroy(&broker);
}

/* ---- the log callback ---- */

enum { LINES_MAX = 50 };

typedef struct line {
    fabric_log_level_t level;
    char code[40];
    char text[300];
} line_t;

typedef struct lines {
    atomic_uint count;
    line_t list[LINES_MAX];
} lines_t;

static void keep_line(void *context, fabric_log_level_t level, const char *code, const char *text)
{
    lines_t *lines = (lines_t *)context;
    unsigned count = atomic_load(&lines->count);
    if (count < LINES_MAX) {
        line_t *line = &lines->list[count];
        line->level = level;
        snprintf(line->code, sizeof line->code, "%s", code);
        snprintf(line->text, sizeof line->text, "%s", text);
        atomic_store(&lines->count, count + 1);
    }
}

/* The next line is this one, about the broker. */
static void expect_line(lines_t *lines, unsigned index, fabric_log_level_t level, const char *code,
                        const fake_broker_t *broker, const char *words)
{
    char text[sizeof lines->list[0].text];
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (atomic_load(&lines->count) <= index) {
        assert_true(clock_monotonic_ms() < end_ms);
        poll(NULL, 0, 1);
    }
    const line_t *line = &lines->list[index];
    snprintf(text, sizeof text, "%s: %s", fake_broker_endpoint(broker), words);
    assert_string_equal(line->code, code);
    assert_string_equal(line->text, text);
    assert_int_equal(line->level, level);
}

static void the_log_tells_of_connections(void **state)
{
    (void)state;
    static lines_t lines;
    fake_broker_t *broker = fake_broker_start();
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {.log = keep_line, .log_context = &lines};
    assert_int_equal(fabric_client_open(fake_broker_endpoint(broker), &options, &client, NULL),
                     FABRIC_OK);
    assert_int_equal(atomic_load(&lines.count), 1); /* told before open returns */
    expect_line(&lines, 0, FABRIC_LOG_INFO, "client.welcomed", broker, "welcomed to cluster: test");
    fake_broker_kill(broker);
    expect_line(&lines, 1, FABRIC_LOG_WARN, "client.disconnected", broker, "the connection broke");
    fake_broker_revive(broker);
    expect_line(&lines, 2, FABRIC_LOG_INFO, "client.welcomed", broker, "welcomed to cluster: test");
    fabric_client_close(&client);
    assert_int_equal(atomic_load(&lines.count), 3);
    fake_broker_destroy(&broker);
}

static void the_log_tells_a_refusal_once(void **state)
{
    (void)state;
    static lines_t lines;
    fake_broker_t *broker = fake_broker_start();
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {
        .connect_timeout_ms = FABRIC_CONNECT_LATER, .log = keep_line, .log_context = &lines};
    fake_broker_be_foreign(broker, true);
    assert_int_equal(fabric_client_open(fake_broker_endpoint(broker), &options, &client, NULL),
                     FABRIC_OK);
    expect_line(&lines, 0, FABRIC_LOG_ERROR, "client.refused", broker,
                "ForeignCluster: this is cluster other");
    uint64_t frames = fake_broker_frames(broker);
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (fake_broker_frames(broker) < frames + 2) { /* the client asks again */
        assert_true(clock_monotonic_ms() < end_ms);
        poll(NULL, 0, 10);
    }
    fake_broker_be_foreign(broker, false);
    expect_line(&lines, 1, FABRIC_LOG_INFO, "client.welcomed", broker, "welcomed to cluster: test");
    fabric_client_close(&client);
    fake_broker_destroy(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_refused),
        cmocka_unit_test(test_ie_18_open_foreign_cluster),
        cmocka_unit_test(brokers_of_the_environment),
        cmocka_unit_test(open_arguments),
        cmocka_unit_test(waiting_for_a_broker_is_optional),
        cmocka_unit_test(a_refusal_may_be_taken_back),
        cmocka_unit_test(the_log_tells_of_connections),
        cmocka_unit_test(the_log_tells_a_refusal_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
