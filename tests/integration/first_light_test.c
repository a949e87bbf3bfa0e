/* Messages from a client through a broker to a worker and back: each kind of call and of answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 30000 };

static const probe_text_t hello = {"hello"};

/* ---- calls that run beside the test ---- */

/* In static memory: it may end after a test has failed, when the client is closed. */
typedef struct call {
    bool ended;
    fabric_outcome_t outcome;
} call_t;

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = context;
    (void)payload;
    call->ended = true;
    call->outcome = *outcome;
}

static void start(testbed_t *bed, call_t *call, const char *id,
                  const fabric_message_type_t *message, const void *request, bool tell)
{
    fabric_call_t what = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = message,
                          .request = request,
                          .tell = tell,
                          .timeout_ms = WAIT_MAX_MS};
    *call = (call_t){0};
    assert_int_equal(fabric_client_start(bed->client, &what, call_ended, call, NULL), FABRIC_OK);
}

static void finish(testbed_t *bed, call_t *call)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    while (!call->ended) {
        (void)fabric_client_wait(bed->client, 20);
        if (clock_monotonic_ms() > deadline_ms || stop_requested()) {
            fail_msg("a call does not end");
        }
    }
}

/* Waits until so many handlers of an entity have started. */
static void wait_started(testbed_t *bed, const char *id, size_t wanted)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (;;) {
        probe_starts_t starts = probe_starts_read(bed->folder);
        size_t count = probe_starts_count(&starts, id);
        probe_starts_free(&starts);
        if (count >= wanted) {
            return;
        }
        testbed_poll(deadline_ms, "the start of a handler");
    }
}

static size_t count_started(testbed_t *bed, const char *id)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t count = probe_starts_count(&starts, id);
    probe_starts_free(&starts);
    return count;
}

static void expect_echo(testbed_t *bed, const char *id, const fabric_message_type_t *message)
{
    probe_text_t reply;
    fabric_outcome_t outcome;
    fabric_error_t error = fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, id), message,
                                             &hello, &reply, &outcome);
    if (error) {
        fail_msg("%s: %s: %s", message->tag, fabric_error_name(error), outcome.text);
    }
    assert_string_equal(reply.text, hello.text);
}

/* ---- tests ---- */

static void asks_and_tells(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    fabric_entity_t entity = fabric_entity(PROBE_TYPE, "told");
    testbed_start(bed, 2);
    expect_echo(bed, "asked", &probe_echo);
    expect_echo(bed, "asked", &probe_volatile_echo);
    assert_int_equal(fabric_client_tell(bed->client, entity, &probe_echo, &hello, &outcome),
                     FABRIC_OK);
    assert_true(outcome.request_id != 0);
    assert_int_equal(
        fabric_client_tell(bed->client, entity, &probe_volatile_echo, &hello, &outcome), FABRIC_OK);
    wait_started(bed, "told", 2);
    fabric_call_t handled = {.entity = fabric_entity(PROBE_TYPE, "handled"),
                             .message = &probe_volatile_echo,
                             .request = &hello,
                             .tell = true,
                             .handled = true};
    assert_int_equal(fabric_client_call(bed->client, &handled, NULL, NULL, NULL, &outcome),
                     FABRIC_OK);
    assert_int_equal(count_started(bed, "handled"), 1);
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
}

static void failures_and_defects(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    fabric_entity_t entity = fabric_entity(PROBE_TYPE, "breaks");
    testbed_start(bed, 1);
    probe_failure_t failure = {.code = 4711, .text = "out of cups"};
    assert_int_equal(fabric_client_ask(bed->client, entity, &probe_fail, &failure, NULL, &outcome),
                     FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, 4711);
    assert_string_equal(outcome.text, "out of cups");
    probe_number_t attempts = {3};
    probe_number_t reply = {0};
    assert_int_equal(
        fabric_client_ask(bed->client, entity, &probe_defect, &attempts, &reply, &outcome),
        FABRIC_OK);
    assert_int_equal(reply.number, 3);
    assert_int_equal(count_started(bed, "breaks"), 4); /* Fail, and three times Defect */
    expect_echo(bed, "breaks", &probe_echo);
}

static void malformed_message_harms_no_other(void **state)
{
    static const fabric_schema_t wrong_schema =
        FABRIC_SCHEMA("Number", probe_number_t, probe_number_fields);
    static const fabric_message_type_t wrong = {
        .tag = "Echo", .request = &wrong_schema, .reply = &probe_text_schema, .durable = true};
    testbed_t *bed = *state;
    probe_number_t number = {7};
    static call_t calls[4];
    testbed_start(bed, 1);
    start(bed, &calls[0], "sound", &probe_echo, &hello, false);
    start(bed, &calls[1], "spoilt", &wrong, &number, false);
    start(bed, &calls[2], "spoilt", &probe_bad_reply, NULL, false);
    start(bed, &calls[3], "spoilt", &probe_echo, &hello, false);
    for (size_t i = 0; i < 4; i++) {
        finish(bed, &calls[i]);
    }
    assert_int_equal(calls[0].outcome.error, FABRIC_OK);
    assert_int_equal(calls[3].outcome.error, FABRIC_OK);
    assert_int_equal(calls[1].outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(calls[2].outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    print_message("at admission: %s\nreply: %s\n", calls[1].outcome.text, calls[2].outcome.text);
    assert_non_null(strstr(calls[1].outcome.text, "text: expected a string"));
    assert_non_null(strstr(calls[2].outcome.text, "text"));
    assert_int_equal(count_started(bed, "spoilt"), 2); /* BadReply once, Echo once */
}

static void unknown_names(void **state)
{
    static const fabric_message_type_t unknown = {
        .tag = "Nonsense", .request = &probe_text_schema, .reply = &probe_text_schema};
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    static call_t sibling;
    bed->broker_arguments = (const char *const[]){"--registration-ms", "1000", NULL};
    testbed_start(bed, 1);
    start(bed, &sibling, "held", &probe_volatile_hold, &(probe_text_t){"gate"}, false);
    assert_int_equal(fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, "x"), &unknown,
                                       &hello, NULL, &outcome),
                     FABRIC_ERROR_UNKNOWN_MESSAGE);
    assert_int_equal(fabric_client_ask(bed->client, fabric_entity("Nobody", "x"), &probe_echo,
                                       &hello, NULL, &outcome),
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    testbed_open_gate(bed, "gate");
    finish(bed, &sibling);
    assert_int_equal(sibling.outcome.error, FABRIC_OK);
}

/* Messages that are sent while no worker runs are kept, and delivered once. */
static void kept_until_a_worker_comes(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    static call_t kept;
    testbed_start(bed, 1); /* the type gets known */
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    start(bed, &kept, "kept", &probe_echo, &hello, false);
    assert_int_equal(fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, "kept"),
                                       &probe_volatile_echo, &hello, NULL, &outcome),
                     FABRIC_ERROR_RUNNER_UNAVAILABLE);
    assert_false(kept.ended);
    testbed_add_worker(bed);
    finish(bed, &kept);
    assert_int_equal(kept.outcome.error, FABRIC_OK);
    assert_int_equal(count_started(bed, "kept"), 1);
}

static void entities_run_beside_each_other(void **state)
{
    testbed_t *bed = *state;
    probe_text_t gate = {"first"};
    probe_text_t second_gate = {"second"};
    static call_t first;
    static call_t second;
    static call_t other;
    testbed_start(bed, 2);
    start(bed, &first, "one", &probe_hold, &gate, false);
    start(bed, &second, "one", &probe_hold, &second_gate, false);
    start(bed, &other, "two", &probe_hold, &gate, false);
    wait_started(bed, "one", 1);
    wait_started(bed, "two", 1); /* while the other is held */
    testbed_open_gate(bed, "second");
    expect_echo(bed, "three", &probe_echo);
    assert_int_equal(count_started(bed, "one"), 1); /* the second waits for the first */
    testbed_open_gate(bed, "first");
    finish(bed, &first);
    finish(bed, &other);
    finish(bed, &second);
    assert_int_equal(count_started(bed, "one"), 2);
}

/* A tell returns although its handler does not. */
static void tells_do_not_wait(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    probe_text_t gate = {"gate"};
    testbed_start(bed, 1);
    assert_int_equal(fabric_client_tell(bed->client, fabric_entity(PROBE_TYPE, "durable"),
                                        &probe_hold, &gate, &outcome),
                     FABRIC_OK);
    assert_int_equal(testbed_counter(bed->client, "pending"), 1);
    assert_int_equal(fabric_client_tell(bed->client, fabric_entity(PROBE_TYPE, "volatile"),
                                        &probe_volatile_hold, &gate, &outcome),
                     FABRIC_OK);
    wait_started(bed, "durable", 1);
    wait_started(bed, "volatile", 1);
    assert_int_equal(testbed_counter(bed->client, "pending"), 1);
    testbed_open_gate(bed, "gate");
    testbed_wait_drained(bed);
}

/* A worker that starts before its broker connects when the broker starts. */
/* Waits until the first worker has logged an event. */
static void wait_for_event(const testbed_t *bed, const char *code)
{
    char path[FOLDER_PATH_SIZE + 32];
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    snprintf(path, sizeof path, "%s/worker-0.log", bed->cluster.folder);
    for (bool found = false; !found; testbed_poll(deadline_ms, code)) {
        char line[1024];
        FILE *file = fopen(path, "r");
        while (file && !found && fgets(line, sizeof line, file)) {
            found = strstr(line, code) != NULL;
        }
        if (file) {
            fclose(file);
        }
    }
}

static void worker_before_broker(void **state)
{
    testbed_t *bed = *state;
    reason_t reason = {{0}};
    testbed_start(bed, 0);
    testbed_kill(&bed->cluster.broker);
    testbed_add_worker(bed);
    wait_for_event(bed, "worker.waiting"); /* its first tries have failed; none was its last */
    assert_true(process_runs(&bed->cluster.workers[0]));
    assert_int_equal(cluster_restart_broker(&bed->cluster, &reason), FABRIC_OK);
    testbed_wait_ready(bed, 1);
    expect_echo(bed, "early", &probe_echo);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"asks_and_tells", asks_and_tells, TESTBED_BOTH},
        {"failures_and_defects", failures_and_defects, TESTBED_BOTH},
        {"malformed_message_harms_no_other", malformed_message_harms_no_other, TESTBED_BOTH},
        {"unknown_names", unknown_names, TESTBED_SQLITE},
        {"kept_until_a_worker_comes", kept_until_a_worker_comes, TESTBED_BOTH},
        {"entities_run_beside_each_other", entities_run_beside_each_other, TESTBED_BOTH},
        {"tells_do_not_wait", tells_do_not_wait, TESTBED_SQLITE},
        {"worker_before_broker", worker_before_broker, TESTBED_SQLITE},
    };
    return testbed_run("first light", tests, sizeof tests / sizeof tests[0]);
}
