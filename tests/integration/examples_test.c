/* The examples do what they say. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/testbed.h"

enum { LINE_SIZE = 400, LINES_MAX = 10, PATH_SIZE = FOLDER_PATH_SIZE + 100, STEP_MS = 60000 };

static const char *example(const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/examples/%s", getenv("FABRIC_BUILD"), name);
    return path;
}

/* Runs an example to its end, which must be a good one, and keeps what it prints. */
static size_t run(testbed_t *bed, const char *name, char lines[LINES_MAX][LINE_SIZE])
{
    char path[PATH_SIZE];
    char log[PATH_SIZE];
    size_t count = 0;
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    const char *url = bed->cluster.url;
    const char *const arguments[] = {example(name, path), *url ? url : NULL, NULL};
    snprintf(log, sizeof log, "%s/log", bed->folder);
    fabric_error_t error = process_start(arguments, log, true, &reason, &process);
    while (!error && count < LINES_MAX &&
           process_read_line(&process, STEP_MS, lines[count], LINE_SIZE) == FABRIC_OK) {
        count++;
    }
    error = error ? error : process_wait(&process, STEP_MS, &reason);
    process_stop(&process, 0);
    if (error) {
        folder_print_end(bed->folder, "log", stderr);
        fail_msg("%s: %s: %s", name, fabric_error_name(error), reason.text);
    }
    return count;
}

static void counter_example_works(void **state)
{
    testbed_t *bed = *state;
    char module[PATH_SIZE];
    char lines[LINES_MAX][LINE_SIZE];
    assert_non_null(getenv("FABRIC_BUILD"));
    assert_int_equal(run(bed, "counter/counter_test", lines), 3);
    assert_string_equal(lines[0], "ok: a counter starts at 0");
    bed->worker_arguments =
        (const char *const[]){"--module", example("counter/counter.so", module), NULL};
    testbed_start(bed, 1);
    assert_int_equal(run(bed, "counter/counter_client", lines), 7);
    assert_string_equal(lines[0], "counter-1: incremented by 5 to 5");
    assert_string_equal(lines[4], "counter-1 = 6");
    assert_int_equal(run(bed, "counter/counter_async_client", lines), 1);
    assert_string_equal(lines[0],
                        "1000 increments of 10 counters, 0 failed; the highest value is 100");
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"counter_example_works", counter_example_works, TESTBED_SQLITE},
    };
    return testbed_run("examples", tests, sizeof tests / sizeof tests[0]);
}
