/* A broker's connections to its database fall silent, all at once: they stay open, and nothing
 * comes through them any more. Its other connections, those that it makes then, work. Each of its
 * actors makes its connection anew, and the broker goes on; the old ones stay silent to the end. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/outage.h"
#include "tests/harness/probe_load.h"

enum { CLIENT = 77, LATER = 100000, WAIT_MAX_MS = 60000, BACKLOG = 100, ROUNDS = 2 };

/* That log when they are without the database. */
static const char *const actors[] = {"appender", "checkpointer", "loader", "coordinator"};
#define ACTORS (sizeof actors / sizeof actors[0])

/* A small window, so that a backlog is in the store only. */
static const char *const arguments[] = {"--lease-ms",
                                        "1500",
                                        "--io-timeout-ms",
                                        "1000",
                                        "--connect-timeout-ms",
                                        "1000",
                                        "--entity-window",
                                        "16",
                                        "--checkpoint-ms",
                                        "200",
                                        NULL};

static const probe_text_t hello = {"hello"};

/* In static memory: it may end after the test has failed, when the client is closed. */
static struct {
    bool ended;
    fabric_outcome_t outcome;
} late;

static void late_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context, (void)payload;
    late.ended = true;
    late.outcome = *outcome;
}

static fabric_client_t *open_client(testbed_t *bed, uint64_t first_sequence)
{
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome = {0};
    fabric_client_options_t options = {.name = "late",
                                       .client_number = CLIENT,
                                       .first_sequence = first_sequence,
                                       .connect_timeout_ms = WAIT_MAX_MS,
                                       .call_timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &client, &outcome), FABRIC_OK);
    return client;
}

static void expect_echo(fabric_client_t *client, fabric_call_key_t *key)
{
    probe_text_t reply;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_ask(client, fabric_entity(PROBE_TYPE, "late"), &probe_echo,
                                       &hello, &reply, &outcome),
                     FABRIC_OK);
    *key = outcome.key;
}

/* Calls that their home has forgotten: later ones of the same client have said that they are
 * settled. */
static void leave_calls(testbed_t *bed, fabric_call_key_t keys[ROUNDS])
{
    fabric_call_key_t other;
    fabric_client_t *client = open_client(bed, 1);
    for (int i = 0; i < ROUNDS; i++) {
        expect_echo(client, &keys[i]);
    }
    expect_echo(client, &other);
    expect_echo(client, &other);
    fabric_client_close(&client);
}

static bool most_is_in_the_store(void *context)
{
    const testbed_t *bed = context;
    return testbed_counter(bed->client, "stored") > BACKLOG / 2;
}

/* One entity's messages wait for a gate, most of them in the store only. */
static void make_backlog(testbed_t *bed, const char *gate)
{
    fabric_outcome_t outcome;
    fabric_entity_t held = fabric_entity(PROBE_TYPE, "held");
    probe_text_t request = {""};
    snprintf(request.text, sizeof request.text, "%s", gate);
    assert_int_equal(fabric_client_tell(bed->client, held, &probe_hold, &request, &outcome),
                     FABRIC_OK);
    for (uint64_t i = 0; i < BACKLOG; i++) {
        probe_number_t number = {i};
        assert_int_equal(fabric_client_tell(bed->client, held, &probe_append, &number, &outcome),
                         FABRIC_OK);
    }
    testbed_wait_until(bed, most_is_in_the_store, bed, "a backlog in the store");
}

static bool is_worked_off(void *context)
{
    const testbed_t *bed = context;
    return late.ended && testbed_counter(bed->client, "stored") == 0;
}

/* Under load an old call is sent again, and the backlog goes on: finder and loader have work. */
static void work_off(outage_t *outage, const char *gate, fabric_call_key_t key, uint64_t first)
{
    testbed_t *bed = outage->bed;
    fabric_client_t *client = open_client(bed, first);
    fabric_call_t again = {.entity = fabric_entity(PROBE_TYPE, "late"),
                           .message = &probe_echo,
                           .request = &hello,
                           .key = key,
                           .timeout_ms = WAIT_MAX_MS};
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    memset(&late, 0, sizeof late);
    testbed_open_gate(bed, gate);
    assert_int_equal(fabric_client_start(client, &again, late_ended, NULL, NULL), FABRIC_OK);
    while (!is_worked_off(bed)) {
        (void)fabric_client_process(client);
        workload_run(outage->load, 20);
        testbed_poll(deadline_ms, "the late answer and the end of the backlog");
    }
    fabric_client_close(&client);
    assert_int_equal(late.outcome.error, FABRIC_OK);
}

static uint32_t lines_of(const outage_t *outage, const char *event, const char *actor)
{
    char connection[64];
    snprintf(connection, sizeof connection, "connection=%s", actor);
    return outage_log_lines(outage, event, connection);
}

/* That each actor has been without the database, and has it again. */
static bool all_have_new_ones(void *context)
{
    const outage_t *outage = context;
    bool all = true;
    for (size_t i = 0; i < ACTORS; i++) {
        all = all && lines_of(outage, "store.unavailable", actors[i]) > 0 &&
              lines_of(outage, "store.available", actors[i]) > 0;
    }
    return all;
}

static void test_sr_02_each_actor_makes_its_silent_connection_anew(void **state)
{
    testbed_t *bed = *state;
    outage_options_t options = {.proxied = true, .broker_arguments = arguments};
    fabric_call_key_t keys[ROUNDS];
    outage_t *outage = outage_start(bed, &options);
    leave_calls(bed, keys);
    make_backlog(bed, "first");
    work_off(outage, "first", keys[0], LATER); /* all have their connections now */
    make_backlog(bed, "second");
    uint64_t accepted = proxy_accepted(outage->proxy);
    proxy_hold_present(outage->proxy);
    uint32_t held = proxy_held(outage->proxy);
    work_off(outage, "second", keys[1], 2 * LATER);
    assert_true(workload_run_until(outage->load, all_have_new_ones, outage, WAIT_MAX_MS));
    assert_true(held >= ACTORS + 1); /* the finder's, too */
    assert_true(proxy_accepted(outage->proxy) - accepted >= ACTORS + 1);
    assert_int_equal(proxy_held(outage->proxy), held);
    outage_end(&outage);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_sr_02_each_actor_makes_its_silent_connection_anew",
         test_sr_02_each_actor_makes_its_silent_connection_anew, TESTBED_MYSQL},
    };
    return testbed_run("silent store", tests, sizeof tests / sizeof tests[0]);
}
