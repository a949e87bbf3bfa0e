/* Persisted states: what was answered is there after workers and brokers were killed, and nothing
 * else is. On SQLite with one broker, and on MariaDB with three. At the end of each test rows and
 * journals are compared. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/invocation.h"
#include "tests/harness/purse.h"
#include "tests/harness/testbed.h"

enum { BROKERS = 3, WAIT_MAX_MS = 60000, PURSES = 24, CALLS = 600, KILL_EACH = 150, BURST = 64 };

static const char *const quick[] = {"--backoff-ms", "20", "--backoff-max-ms", "100", NULL};

static void start(testbed_t *bed, uint32_t workers)
{
    bed->broker_arguments = quick;
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, BROKERS, 0);
    }
    bed->options.module = PURSE_MODULE;
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
    testbed_wait_ready(bed, workers);
}

static purse_content_t ask(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                           int64_t amount)
{
    purse_content_t content = {0};
    purse_amount_t request = {amount};
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity(PURSE_TYPE, id),
                          .message = message,
                          .request = message->request->field_count > 0 ? &request : NULL,
                          .timeout_ms = WAIT_MAX_MS};
    fabric_error_t error = fabric_client_call(bed->client, &call, &content, NULL, NULL, &outcome);
    if (error) {
        fail_msg("%s %s: %s: %s", message->tag, id, fabric_error_name(error), outcome.text);
    }
    return content;
}

/* By a durable message: a volatile one would fail while workers come back. */
static void expect(testbed_t *bed, const char *id, int64_t amount)
{
    purse_content_t content = ask(bed, id, &purse_put, 0);
    assert_int_equal(content.amount, amount);
    assert_int_equal(content.builds, 1);
}

static void kill_worker(testbed_t *bed, uint32_t number)
{
    testbed_kill(&bed->cluster.workers[number]);
    testbed_restart_worker(bed, number);
}

/* On SQLite the one broker is started again; on MariaDB the others take over. */
static void kill_broker(testbed_t *bed, uint32_t number)
{
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
    } else {
        testbed_kill(&bed->cluster.brokers[number]);
        testbed_restart_number(bed, number);
    }
}

static bool is_checkpointed(void *context)
{
    testbed_t *bed = context;
    return testbed_sum(bed, "journal_bytes") == 0;
}

/* ---- what is stored ---- */

/* Of so many entities, or more. No broker runs. */
static void audit(testbed_t *bed, uint64_t states)
{
    assert_in_range(table_count_read(bed, NULL).states, states, UINT64_MAX);
}

static void stop_and_audit(testbed_t *bed, uint64_t states)
{
    testbed_stop_processes(bed); /* the last checkpoints are whole */
    audit(bed, states);
}

static void kill_and_audit(testbed_t *bed, uint64_t states)
{
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        testbed_kill(&bed->cluster.brokers[i]);
    }
    testbed_wait_disconnected(bed);
    audit(bed, states);
}

/* ---- one purse ---- */

static void a_state_outlives_workers_and_brokers(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    assert_int_equal(ask(bed, "alice", &purse_put, 100).amount, 100);
    kill_worker(bed, 0);
    assert_int_equal(ask(bed, "alice", &purse_put, -30).amount, 70); /* from the home's memory */
    kill_broker(bed, 0);
    kill_broker(bed, 1);
    kill_worker(bed, 0);
    purse_content_t last = ask(bed, "alice", &purse_put, 50); /* from the journal */
    assert_int_equal(last.amount, 120);
    assert_int_equal(last.builds, 1);
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    kill_broker(bed, 2);
    kill_broker(bed, 0);
    kill_worker(bed, 0);
    expect(bed, "alice", 120); /* from its row */
    expect(bed, "bob", 0);
    stop_and_audit(bed, 1);
}

static void a_defect_goes_back_to_what_is_stored(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome;
    purse_content_t content;
    start(bed, 1);
    ask(bed, "alice", &purse_put, 100);
    content = ask(bed, "alice", &purse_spoil, 2);
    assert_int_equal(content.amount, 100);
    assert_int_equal(content.handled, 1);
    assert_int_equal(fabric_client_ask(bed->client, fabric_entity(PURSE_TYPE, "alice"),
                                       &purse_snatch, &(purse_amount_t){5}, &content, &outcome),
                     FABRIC_ERROR_ENTITY_DEFECT);
    expect(bed, "alice", 100);
    stop_and_audit(bed, 1);
}

/* What its handler has changed is gone for the next message, and after a crash. */
static void a_failure_changes_nothing(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome;
    purse_content_t content;
    start(bed, 1);
    ask(bed, "alice", &purse_put, 100);
    assert_int_equal(ask(bed, "alice", &purse_take, 30).amount, 70);
    assert_int_equal(fabric_client_ask(bed->client, fabric_entity(PURSE_TYPE, "alice"), &purse_take,
                                       &(purse_amount_t){80}, &content, &outcome),
                     FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, PURSE_TOO_LITTLE);
    expect(bed, "alice", 70);
    kill_broker(bed, 0);
    kill_worker(bed, 0);
    expect(bed, "alice", 70);
    stop_and_audit(bed, 1);
}

/* Nobody sends it anything. Another purse tells what its worker has done. */
static void wait_restored(testbed_t *bed, int64_t amount)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    purse_content_t content;
    while ((content = ask(bed, "bob", &purse_put, 0)).restored == 0) {
        testbed_poll(deadline_ms, "the kept purse");
    }
    assert_int_equal(content.restored, 1);
    assert_int_equal(content.restored_amount, amount);
}

static void a_kept_entity_comes_back_with_its_state(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    ask(bed, "alice", &purse_put, 100);
    assert_int_equal(ask(bed, "alice", &purse_keep, 20).amount, 120);
    kill_worker(bed, 0);
    wait_restored(bed, 120); /* from the home's memory */
    ask(bed, "alice", &purse_put, 3);
    kill_broker(bed, 0);
    kill_broker(bed, 1);
    kill_worker(bed, 0);
    wait_restored(bed, 123); /* from the journal */
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    kill_broker(bed, 2);
    kill_broker(bed, 0);
    kill_worker(bed, 0);
    wait_restored(bed, 123); /* from its row */
    purse_content_t content = ask(bed, "alice", &purse_put, 0);
    assert_int_equal(content.amount, 123);
    assert_int_equal(content.handled, 1);
    assert_int_equal(content.restored, 1); /* it is this instance */
    stop_and_audit(bed, 1);
}

/* An instance stays while its owner stays: its state is sent once. */
static void reads_write_nothing_and_instances_stay(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    ask(bed, "alice", &purse_put, 100);
    for (uint64_t i = 2; i < 10; i++) {
        assert_int_equal(ask(bed, "alice", &purse_look, 0).handled, i);
    }
    assert_int_equal(ask(bed, "alice", &purse_put, 0).handled, 10);
    assert_int_equal(testbed_sum(bed, "states_changed"), 1);
    assert_int_equal(testbed_sum(bed, "states_given"), 1);
    stop_and_audit(bed, 1);
}

static int64_t fill(testbed_t *bed, int64_t byte)
{
    purse_amount_t before = {-1};
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity(CHEST_TYPE, "chest"),
                          .message = &chest_fill,
                          .request = &(purse_amount_t){byte},
                          .timeout_ms = WAIT_MAX_MS};
    if (fabric_client_call(bed->client, &call, &before, NULL, NULL, &outcome)) {
        fail_msg("Fill: %s", outcome.text);
    }
    return before.amount;
}

static void a_large_state_comes_back(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    assert_int_equal(fill(bed, 7), 0);
    kill_broker(bed, 0);
    kill_broker(bed, 1);
    kill_worker(bed, 0);
    assert_int_equal(fill(bed, 8), 7);
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    kill_broker(bed, 2);
    kill_broker(bed, 0);
    kill_worker(bed, 0);
    assert_int_equal(fill(bed, 9), 8);
    stop_and_audit(bed, 1);
}

static invocation_t invocation;

static int show(testbed_t *bed, const char *type, const char *id)
{
    const char *const arguments[] = {
        "fabricctl", "--url", bed->cluster.urls, "entity", "state", type, id, NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    return invocation.status;
}

/* The command line shows what is stored, as JSON, also what only the database has. */
static void the_state_is_shown(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    assert_int_not_equal(show(bed, PURSE_TYPE, "alice"), 0);
    assert_non_null(strstr(invocation.complaints, "Purse alice has no stored state"));
    ask(bed, "alice", &purse_put, 100);
    assert_int_equal(show(bed, PURSE_TYPE, "alice"), 0);
    assert_string_equal(invocation.output, "{\"amount\": 100, \"builds\": 1}\n");
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        kill_broker(bed, i);
    }
    testbed_wait_ready(bed, 1);
    assert_int_equal(show(bed, PURSE_TYPE, "alice"), 0);
    assert_string_equal(invocation.output, "{\"amount\": 100, \"builds\": 1}\n");
    assert_int_not_equal(show(bed, "Nonsense", "alice"), 0);
    stop_and_audit(bed, 1);
}

/* ---- many purses ---- */

typedef struct load {
    const fabric_message_type_t *message;
    uint64_t started, ended;
    int64_t amounts[PURSES];
    bool wrong;
} load_t;

static load_t load;

static void ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)payload;
    load.wrong = load.wrong || outcome->error;
    load.amounts[(size_t)(uintptr_t)context]++;
    load.ended++;
}

static void begin_one(testbed_t *bed, size_t number)
{
    static const purse_amount_t one = {1};
    char id[16];
    snprintf(id, sizeof id, "purse-%zu", number);
    fabric_call_t call = {.entity = fabric_entity(PURSE_TYPE, id),
                          .message = load.message,
                          .request = &one,
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(
        fabric_client_start(bed->client, &call, ended, (void *)(uintptr_t)number, NULL), FABRIC_OK);
    load.started++;
}

/* Each call counts once, whatever is killed between its handler, its commit and its answer. */
static void run_load(testbed_t *bed, const fabric_message_type_t *message)
{
    start(bed, 2);
    load = (load_t){.message = message};
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    while (load.ended < CALLS) {
        while (load.started < CALLS && load.started - load.ended < 64) {
            begin_one(bed, (size_t)(load.started % PURSES));
            uint64_t turn = load.started / KILL_EACH;
            if (load.started % KILL_EACH == 0 && turn % 2 == 0) {
                kill_broker(bed, (uint32_t)(turn / 2 % BROKERS));
            } else if (load.started % KILL_EACH == 0) {
                kill_worker(bed, (uint32_t)(turn / 2 % 2));
            }
        }
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the ends of all calls");
    }
    assert_false(load.wrong);
    for (size_t i = 0; i < PURSES; i++) {
        char id[16];
        snprintf(id, sizeof id, "purse-%zu", i);
        expect(bed, id, load.amounts[i]);
    }
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    while (load.started < CALLS + BURST) {
        begin_one(bed, (size_t)(load.started % PURSES));
    }
    while (load.ended < CALLS + BURST / 2) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the ends of half the calls");
    }
    assert_int_equal(testbed_sum(bed, "delivered_early") > 0, message->early_delivery);
    kill_and_audit(bed, PURSES); /* while rows and journal say different things */
}

static void states_equal_the_replies(void **state)
{
    run_load(*state, &purse_put);
}

/* Also where messages are handled before they are stored. */
static void states_equal_the_replies_of_early_messages(void **state)
{
    run_load(*state, &purse_put_early);
}

#define PERSISTED_TEST(name)                                                                       \
    {                                                                                              \
#name, name, TESTBED_BOTH                                                                  \
    }

int main(void)
{
    static const testbed_test_t tests[] = {
        PERSISTED_TEST(a_state_outlives_workers_and_brokers),
        PERSISTED_TEST(a_defect_goes_back_to_what_is_stored),
        PERSISTED_TEST(a_failure_changes_nothing),
        PERSISTED_TEST(a_kept_entity_comes_back_with_its_state),
        PERSISTED_TEST(reads_write_nothing_and_instances_stay),
        PERSISTED_TEST(a_large_state_comes_back),
        PERSISTED_TEST(the_state_is_shown),
        PERSISTED_TEST(states_equal_the_replies),
        PERSISTED_TEST(states_equal_the_replies_of_early_messages),
    };
    return testbed_run("persisted", tests, sizeof tests / sizeof tests[0]);
}
