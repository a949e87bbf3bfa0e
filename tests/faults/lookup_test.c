/* The look-up of an old call by its key reads the journal of its lane. While the look-up is held
 * up, all other calls go on. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/outage.h"
#include "tests/harness/probe_load.h"

enum {
    CLIENT = 77,
    LATER = 1000, /* the first sequence of the client that comes later */
    WAIT_MAX_MS = 60000,
    CALLS = 500
};

/* The beginning of a look-up's statement, which no other statement of a broker contains. */
#define LOOK_UP "calls FROM journal WHERE lane = ? AND number <="

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

static void expect_echo(fabric_client_t *client, const char *id, fabric_call_key_t *key)
{
    probe_text_t reply;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_ask(client, fabric_entity(PROBE_TYPE, id), &probe_echo, &hello,
                                       &reply, &outcome),
                     FABRIC_OK);
    *key = outcome.key;
}

/* A call that its home has forgotten: a later one of the same client has said that it is
 * settled. */
static fabric_call_key_t leave_call(testbed_t *bed)
{
    fabric_call_key_t key;
    fabric_call_key_t other;
    fabric_client_t *client = open_client(bed, 1);
    expect_echo(client, "late", &key);
    expect_echo(client, "other", &other);
    expect_echo(client, "other", &other);
    fabric_client_close(&client);
    return key;
}

static bool is_held(void *context)
{
    const outage_t *outage = context;
    return proxy_held(outage->proxy) > 0;
}

typedef struct goal {
    const outage_t *outage;
    uint64_t durable;
} goal_t;

static bool is_reached(void *context)
{
    const goal_t *goal = context;
    return workload_counts(goal->outage->load).durable >= goal->durable;
}

static void others_go_on_while_a_look_up_is_held_up(void **state)
{
    static const char *const arguments[] = {"--io-timeout-ms", "120000", NULL};
    testbed_t *bed = *state;
    outage_options_t options = {
        .proxied = true, .broker_arguments = arguments, .load.timeout_ms = WAIT_MAX_MS};
    outage_t *outage = outage_start(bed, &options);
    fabric_call_key_t key = leave_call(bed);
    fabric_client_t *client = open_client(bed, LATER);
    fabric_call_t again = {.entity = fabric_entity(PROBE_TYPE, "late"),
                           .message = &probe_echo,
                           .request = &hello,
                           .key = key,
                           .timeout_ms = WAIT_MAX_MS};
    proxy_hold(outage->proxy, LOOK_UP);
    memset(&late, 0, sizeof late);
    assert_int_equal(fabric_client_start(client, &again, late_ended, NULL, NULL), FABRIC_OK);
    assert_true(workload_run_until(outage->load, is_held, outage, WAIT_MAX_MS));
    goal_t goal = {outage, workload_counts(outage->load).durable + CALLS};
    bool reached = workload_run_until(outage->load, is_reached, &goal, WAIT_MAX_MS / 2);
    (void)fabric_client_process(client);
    bool waited = !late.ended && proxy_held(outage->proxy) == 1;
    proxy_heal(outage->proxy);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!late.ended) {
        (void)fabric_client_wait(client, 20);
        testbed_poll(deadline_ms, "the answer to the late call");
    }
    fabric_client_close(&client);
    assert_true(reached);
    assert_true(waited);
    assert_int_equal(late.outcome.error, FABRIC_OK);
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t runs = probe_starts_count(&starts, "late");
    probe_starts_free(&starts);
    assert_int_equal(runs, 1);
    outage_end(&outage);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"others_go_on_while_a_look_up_is_held_up", others_go_on_while_a_look_up_is_held_up,
         TESTBED_MYSQL},
    };
    return testbed_run("look-ups", tests, sizeof tests / sizeof tests[0]);
}
