/* fabric-bench: each way to measure, once, with small numbers. */
#include <stdio.h>
#include <string.h>

#include "tests/harness/invocation.h"

enum { ARGUMENTS_MAX = 24, RUN_MS = 240000, LINE_SIZE = 8192 };

static process_t running = PROCESS_NONE;

static void stop_running(void *context)
{
    (void)context;
    process_stop(&running, 0);
    running = PROCESS_NONE;
}

/* The line of JSON in the program's output; NULL: there is none. */
static json_t *read_report(const char *path)
{
    static char line[LINE_SIZE];
    json_t *found = NULL;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file)) {
        found = line[0] == '{' ? json_loads(line, 0, NULL) : NULL;
    }
    fclose(file);
    return found;
}

/* Runs fabric-bench on the testbed's store. `arguments` are NULL-terminated. */
static json_t *measure(testbed_t *bed, const char *const *arguments)
{
    char program[INVOCATION_PATH_SIZE];
    char path[INVOCATION_PATH_SIZE];
    reason_t reason = {{0}};
    const char *all[ARGUMENTS_MAX] = {invocation_program("fabric-bench", program),
                                      "--json",
                                      "--workers",
                                      "1",
                                      "--inflight",
                                      "64",
                                      "--entities",
                                      "20",
                                      "--spawn",
                                      bed->database[0] ? bed->database : "sqlite"};
    size_t count = 10;
    for (; *arguments; arguments++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        all[count++] = *arguments;
    }
    bed->at_end = stop_running;
    fabric_error_t error =
        process_start(all, invocation_path(bed, "output", path), false, &reason, &running);
    error = error ? error : process_wait(&running, RUN_MS, &reason);
    json_t *report = read_report(path);
    if (error || !report) {
        folder_print_end(bed->folder, "output", stderr);
        fail_msg("%s", reason.text);
    }
    running = PROCESS_NONE;
    return report;
}

static double number(const json_t *report, const char *name)
{
    const json_t *value = json_object_get(report, name);
    if (!json_is_number(value)) {
        fail_msg("the report has no number %s", name);
    }
    return json_number_value(value);
}

static void expect_calls(const json_t *report, unsigned calls)
{
    assert_int_equal((int)number(report, "started"), calls);
    assert_int_equal((int)number(report, "completed"), calls);
    assert_int_equal((int)number(report, "errors"), 0);
    assert_true(number(report, "broker_peak_kib") > 0);
}

static void ends_after_calls(void **state)
{
    const char *const arguments[] = {"ask", "--calls",   "300",  "--warmup",
                                     "0",   "--payload", "text", NULL};
    json_t *report = measure(*state, arguments);
    expect_calls(report, 300);
    assert_string_equal(json_string_value(json_object_get(report, "payload")), "text");
    json_decref(report);
}

static void asks_with_primary_keys(void **state)
{
    const char *const arguments[] = {"ask",  "--keyed",  "--ended", "500", "--calls",
                                     "1000", "--warmup", "0",       NULL};
    json_t *report = measure(*state, arguments);
    expect_calls(report, 1000);
    assert_true(json_is_true(json_object_get(report, "keyed")));
    json_decref(report);
}

/* The program counts the states that were changed: at least one for each call. */
static void changes_persisted_states(void **state)
{
    const char *const asks[] = {"ask",     "--state", "100",      "--ended", "100",
                                "--calls", "300",     "--warmup", "0",       NULL};
    const char *const tells[] = {"tell", "--state",  "4096", "--calls",
                                 "300",  "--warmup", "0",    NULL};
    json_t *report = measure(*state, asks);
    expect_calls(report, 300);
    assert_int_equal((int)number(report, "state"), 100);
    json_decref(report);
    report = measure(*state, tells);
    expect_calls(report, 300);
    json_decref(report);
}

static void tells_without_a_worker(void **state)
{
    const char *const arguments[] = {"tell", "--without-worker", "--calls", "3000", "--warmup", "0",
                                     NULL};
    json_t *report = measure(*state, arguments);
    expect_calls(report, 3000);
    assert_true(json_is_true(json_object_get(report, "without_worker")));
    assert_true(number(report, "accepted_per_s") > 0);
    assert_true(number(report, "drained_per_s") > 0);
    assert_true(number(report, "throughput_per_s") < number(report, "accepted_per_s"));
    assert_true(number(report, "throughput_per_s") < number(report, "drained_per_s"));
    json_decref(report);
}

static void measures_with_a_history(void **state)
{
    const char *const arguments[] = {"tell",    "--ended", "500",      "--held", "400",
                                     "--calls", "300",     "--warmup", "0",      NULL};
    json_t *report = measure(*state, arguments);
    expect_calls(report, 300);
    assert_int_equal((int)number(report, "ended_before"), 500);
    assert_int_equal((int)number(report, "held"), 400);
    json_decref(report);
}

static void restarts(void **state)
{
    const char *const arguments[] = {"restart", "--journal-mib", "1", NULL};
    json_t *report = measure(*state, arguments);
    assert_true(number(report, "journal_bytes") >= 1 << 20);
    assert_true(number(report, "pending") > 0);
    assert_true(number(report, "first_delivery_ms") > 0);
    json_decref(report);
}

/* So many that the workers have not handled all of them when the home is killed: what they have
 * handled, they answer without running a handler again. */
static void takes_over(void **state)
{
    const char *const arguments[] = {"takeover", "--held", "150000", NULL};
    json_t *report = measure(*state, arguments);
    assert_true(number(report, "pending") > 0);
    assert_true(number(report, "first_delivery_ms") > 0);
    json_decref(report);
}

/* The backlog is counted at both, or the drain would end too soon. */
static void two_brokers_share_the_lanes(void **state)
{
    const char *const arguments[] = {"tell", "--without-worker", "--brokers", "2", "--calls",
                                     "3000", "--warmup",         "0",         NULL};
    json_t *report = measure(*state, arguments);
    expect_calls(report, 3000);
    assert_true(number(report, "drained_per_s") > 0);
    json_decref(report);
}

static void forwards_all_calls(void **state)
{
    const char *const arguments[] = {"ask", "--forward", "always", "--calls",
                                     "300", "--warmup",  "0",      NULL};
    json_t *report = measure(*state, arguments);
    expect_calls(report, 300);
    json_decref(report);
}

static void refuses_what_it_cannot_do(void **state)
{
    testbed_t *bed = *state;
    invocation_expect(bed, __LINE__, 64, "*restart, takeover and --without-worker need --spawn",
                      "fabric-bench", "restart", NULL);
    invocation_expect(bed, __LINE__, 64, "*takeover needs a database that two brokers share",
                      "fabric-bench", "takeover", "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*--keyed is for durable asks and tells", "fabric-bench",
                      "ask", "--keyed", "--volatile", "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*--state is for durable asks and tells", "fabric-bench",
                      "ask", "--state", "100", "--volatile", "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*--state is for durable asks and tells", "fabric-bench",
                      "restart", "--state", "100", "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*state*16*", "fabric-bench", "ask", "--state", "15",
                      "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*--without-worker is for durable tells", "fabric-bench",
                      "ask", "--without-worker", "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*restart and takeover are for durable messages",
                      "fabric-bench", "restart", "--volatile", "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*--calls and --ended are for ask and tell",
                      "fabric-bench", "restart", "--calls", "5", "--spawn", "sqlite", NULL);
    invocation_expect(bed, __LINE__, 64, "*takeover needs at least one message that is held",
                      "fabric-bench", "takeover", "--held", "0", "--spawn", "mysql", NULL);
    invocation_expect(bed, __LINE__, 64, "*--brokers is for ask and tell with --spawn",
                      "fabric-bench", "ask", "--brokers", "2", NULL);
    invocation_expect(bed, __LINE__, 64, "*several brokers need a database that they share",
                      "fabric-bench", "ask", "--brokers", "2", "--spawn", "sqlite", NULL);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"ends_after_calls", ends_after_calls, TESTBED_BOTH},
        {"asks_with_primary_keys", asks_with_primary_keys, TESTBED_BOTH},
        {"changes_persisted_states", changes_persisted_states, TESTBED_BOTH},
        {"tells_without_a_worker", tells_without_a_worker, TESTBED_BOTH},
        {"measures_with_a_history", measures_with_a_history, TESTBED_BOTH},
        {"restarts", restarts, TESTBED_BOTH},
        {"takes_over", takes_over, TESTBED_MYSQL},
        {"two_brokers_share_the_lanes", two_brokers_share_the_lanes, TESTBED_MYSQL},
        {"forwards_all_calls", forwards_all_calls, TESTBED_MYSQL},
        {"refuses_what_it_cannot_do", refuses_what_it_cannot_do, TESTBED_SQLITE},
    };
    return testbed_run("bench", tests, sizeof tests / sizeof tests[0]);
}
