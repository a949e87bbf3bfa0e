/* Reading the history of an entity: what is in the database, in the journal and in memory, by the
 * command line and by the client, also across the deaths of its homes. On SQLite with one broker,
 * and on MariaDB with three. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/invocation.h"
#include "tests/harness/ledger.h"
#include "tests/harness/testbed.h"

enum { BROKERS = 3, WAIT_MAX_MS = 60000, EVENTS = 120, KILL_EACH = 30, MANY = 2500 };

static const char *const quick[] = {"--backoff-ms", "20", "--backoff-max-ms", "100", NULL};

static void start(testbed_t *bed)
{
    bed->broker_arguments = quick;
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, BROKERS, 0);
    }
    bed->options.module = LEDGER_MODULE;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
}

/* Rows and journal agree on all events. */
static void stop(testbed_t *bed)
{
    testbed_stop_processes(bed);
    assert_true(table_count_read(bed, NULL).answered > 0);
}

static void add(testbed_t *bed, const char *id, int64_t amount, uint32_t events)
{
    ledger_sum_t sum = {0};
    ledger_amount_t request = {amount, events};
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity(LEDGER_TYPE, id),
                          .message = &ledger_add,
                          .request = &request,
                          .timeout_ms = WAIT_MAX_MS};
    fabric_error_t error = fabric_client_call(bed->client, &call, &sum, NULL, NULL, &outcome);
    if (error) {
        fail_msg("Add %s: %s: %s", id, fabric_error_name(error), outcome.text);
    }
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

static void kill_brokers(testbed_t *bed)
{
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        kill_broker(bed, i);
    }
}

static bool is_checkpointed(void *context)
{
    testbed_t *bed = context;
    return testbed_sum(bed, "journal_bytes") == 0;
}

/* ---- the command line ---- */

static invocation_t invocation;

static int list(testbed_t *bed, const char *id, const char *after, const char *limit,
                const char *form)
{
    const char *const arguments[] = {
        "fabricctl", "--url", bed->cluster.urls, "entity", "events", LEDGER_TYPE, id,
        "--after",   after,   "--limit",         limit,    "-o",     form,        NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    return invocation.status;
}

/* The lines are those of events `first` to `last`, each of which has added 5. */
static void expect_listed(testbed_t *bed, const char *id, uint64_t first, uint64_t last)
{
    char after[24];
    snprintf(after, sizeof after, "%llu", (unsigned long long)(first - 1));
    assert_int_equal(list(bed, id, after, "0", "json"), 0);
    const char *line = invocation.output;
    for (uint64_t i = first; i <= last; i++) {
        json_error_t error;
        json_t *object = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);
        const json_t *event = json_object_get(object, "event");
        assert_int_equal(json_integer_value(json_object_get(object, "sequence")), i);
        assert_string_equal(json_string_value(json_object_get(object, "tag")), LEDGER_ADDED);
        assert_int_equal(json_integer_value(json_object_get(event, "sum")), 5 * i);
        json_decref(object);
        line = strchr(line, '\n');
        assert_non_null(line++);
    }
    assert_string_equal(line, "");
}

static void events_are_listed_wherever_they_are(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    expect_listed(bed, "alice", 1, 0);
    add(bed, "alice", 5, 3);
    expect_listed(bed, "alice", 1, 3); /* from memory */
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    expect_listed(bed, "alice", 1, 3);
    kill_brokers(bed);
    testbed_wait_ready(bed, 1);
    expect_listed(bed, "alice", 1, 3); /* from rows */
    add(bed, "alice", 5, 2);
    expect_listed(bed, "alice", 1, 5); /* from both */
    expect_listed(bed, "alice", 3, 5);
    kill_brokers(bed);
    testbed_wait_ready(bed, 1);
    expect_listed(bed, "alice", 1, 5); /* from rows and the journal */
    expect_listed(bed, "bob", 1, 0);
    assert_int_equal(list(bed, "alice", "1", "2", "text"), 0);
    assert_non_null(strstr(invocation.output, "Added 1  {\"amount\": 5, \"sum\": 10}\n3  "));
    assert_non_null(strstr(invocation.output, "\nmore: --after 3\n"));
    assert_int_equal(list(bed, "alice", "nonsense", "0", "text"), 2);
    stop(bed);
}

static void many_events_come_in_parts(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    for (int i = 0; i < 10; i++) {
        add(bed, "alice", 5, MANY / 10);
    }
    expect_listed(bed, "alice", 1, MANY);
    testbed_wait_until(bed, is_checkpointed, bed, "a checkpoint");
    kill_brokers(bed);
    testbed_wait_ready(bed, 1);
    expect_listed(bed, "alice", 1, MANY);
    stop(bed);
}

/* ---- following ---- */

/* A follower on a thread of its own, with a client of its own. */
typedef struct follower {
    pthread_t thread;
    fabric_client_t *client;
    atomic_ullong seen; /* the last sequence */
    atomic_bool wrong;  /* one was not the next one, or was another event */
    atomic_bool stop;
    fabric_error_t error;
} follower_t;

static bool see(void *context, const fabric_entity_event_t *event)
{
    follower_t *follower = context;
    if (event) {
        ledger_added_t added = {0};
        fabric_schema_fault_t fault;
        bool sound = !fabric_schema_decode(&ledger_added_schema, event->payload, &fault, &added) &&
                     event->sequence == atomic_load(&follower->seen) + 1 &&
                     added.sum == 5 * (int64_t)event->sequence;
        atomic_store(&follower->wrong, atomic_load(&follower->wrong) || !sound);
        atomic_store(&follower->seen, event->sequence);
    }
    return !atomic_load(&follower->stop) && !atomic_load(&follower->wrong);
}

static void *follow(void *context)
{
    follower_t *follower = context;
    follower->error =
        fabric_client_follow_events(follower->client, fabric_entity(LEDGER_TYPE, "alice"), 0,
                                    2 * WAIT_MAX_MS, see, follower, NULL);
    return NULL;
}

typedef struct progress {
    const follower_t *follower;
    uint64_t until;
} progress_t;

static bool has_seen(void *context)
{
    const progress_t *progress = context;
    return atomic_load(&progress->follower->seen) >= progress->until ||
           atomic_load(&progress->follower->wrong);
}

static void wait_seen(testbed_t *bed, const follower_t *follower, uint64_t until)
{
    progress_t progress = {follower, until};
    testbed_wait_until(bed, has_seen, &progress, "events at the follower");
}

/* An event that is appended while homes die is seen once, and in its place. */
static void a_follower_sees_each_event_once(void **state)
{
    testbed_t *bed = *state;
    static follower_t follower;
    start(bed);
    follower = (follower_t){0};
    assert_int_equal(fabric_client_open(bed->cluster.urls, NULL, &follower.client, NULL),
                     FABRIC_OK);
    assert_int_equal(pthread_create(&follower.thread, NULL, follow, &follower), 0);
    add(bed, "alice", 5, 1);
    wait_seen(bed, &follower, 1); /* it waits for the next one now, or is about to */
    for (uint32_t i = 2; i <= EVENTS; i++) {
        if (i % KILL_EACH == 0) {
            kill_broker(bed, i / KILL_EACH % BROKERS);
        }
        add(bed, "alice", 5, 1);
    }
    wait_seen(bed, &follower, EVENTS);
    atomic_store(&follower.stop, true);
    pthread_join(follower.thread, NULL);
    fabric_client_close(&follower.client);
    assert_false(atomic_load(&follower.wrong));
    assert_true(atomic_load(&follower.seen) == EVENTS);
    assert_int_equal(follower.error, FABRIC_OK);
    expect_listed(bed, "alice", 1, EVENTS);
    stop(bed);
}

#define HISTORY_TEST(name)                                                                         \
    {                                                                                              \
#name, name, TESTBED_BOTH                                                                  \
    }

int main(void)
{
    static const testbed_test_t tests[] = {
        HISTORY_TEST(events_are_listed_wherever_they_are),
        HISTORY_TEST(many_events_come_in_parts),
        HISTORY_TEST(a_follower_sees_each_event_once),
    };
    return testbed_run("history", tests, sizeof tests / sizeof tests[0]);
}
