/* Processes with few descriptors or threads left: each works, or says in one line what is missing.
 * None is aborted, neither by libzmq nor by an assertion.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/testbed.h"

enum {
    DESCRIPTORS_MAX = 60, /* enough for each program */
    THREADS_MAX = 10,     /* likewise */
    LOADER_FAILED = 127,  /* the program's libraries were not found */
    WAIT_MAX_MS = 30000,
    ARGUMENTS_MAX = 16
};

static testbed_t *bed;
static invocation_t invocation;

/* ---- starting with little ---- */

/* What comes before a program's own arguments: a shell that lowers the limit. */
static void limit_descriptors(unsigned count, const char **arguments)
{
    static char script[64];
    snprintf(script, sizeof script, "ulimit -n %u; exec \"$0\" \"$@\"", count);
    arguments[0] = "sh";
    arguments[1] = "-c";
    arguments[2] = script;
}

static const char *const *limit_threads(unsigned count)
{
    static char preload[FOLDER_PATH_SIZE + 64];
    static char limit[32];
    static char sanitizer[1000];
    static const char *const environment[] = {preload, limit, sanitizer, NULL};
    char programs[FOLDER_PATH_SIZE];
    const char *options = getenv("ASAN_OPTIONS");
    assert_int_equal(folder_of_programs(NULL, programs), FABRIC_OK);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s/../tests/thread_limit_module.so", programs);
    snprintf(limit, sizeof limit, "THREADS_MAX=%u", count);
    snprintf(sanitizer, sizeof sanitizer, "ASAN_OPTIONS=%s:verify_asan_link_order=0",
             options ? options : "");
    return environment;
}

/* Runs the program under one limit, and returns its exit status. The program must end by itself. */
static int run_with(unsigned count, bool descriptors, const char *const *program)
{
    const char *arguments[ARGUMENTS_MAX] = {NULL};
    char path[INVOCATION_PATH_SIZE];
    size_t used = descriptors ? 3 : 0;
    if (descriptors) {
        limit_descriptors(count, arguments);
    }
    arguments[used++] = invocation_program(program[0], path);
    for (size_t i = 1; program[i]; i++) {
        arguments[used++] = program[i];
    }
    invocation_run(bed, arguments, descriptors ? NULL : limit_threads(count), &invocation);
    if (invocation.status < 0) {
        fail_msg("%s with %u %s: ended by a signal or not at all: %s", program[0], count,
                 descriptors ? "descriptors" : "threads", invocation.complaints);
    }
    return invocation.status;
}

/* Raises the limit from 0 on: the program must exit with a status of its own and a reason, until
 * the limit suffices. */
static void sweep(const char *const *program, int done, const char *sign)
{
    for (int kind = 0; kind < 2; kind++) {
        bool descriptors = kind == 0;
        unsigned most = descriptors ? DESCRIPTORS_MAX : THREADS_MAX;
        unsigned works = 0;
        unsigned refused = 0;
        for (unsigned count = descriptors ? 3 : 0; count <= most; count++) {
            int status = run_with(count, descriptors, program);
            bool enough = status == done && (!sign || strstr(invocation.complaints, sign));
            works += enough;
            refused += strstr(invocation.complaints, "NoResources") != NULL;
            assert_true(enough || works == 0);
            if (!enough && status != LOADER_FAILED && strlen(invocation.complaints) == 0) {
                fail_msg("%s with %u: status %d without a word", program[0], count, status);
            }
            if (strstr(invocation.complaints, "reason=\"\"")) {
                fail_msg("%s with %u: no reason: %s", program[0], count, invocation.complaints);
            }
        }
        print_message("%s: works with the last %u of the limits up to %u, %u times NoResources\n",
                      program[0], works, most, refused);
        assert_true(works > 0);
        assert_true(refused > 0);
    }
}

/* ---- tests ---- */

static void clients(void **state)
{
    bed = *state;
    testbed_start(bed, 0);
    const char *const program[] = {"fabricctl", "--url", bed->cluster.url, "status", NULL};
    sweep(program, 0, NULL);
}

/* A worker works if it gets as far as being refused by the broker. */
static void workers(void **state)
{
    char module[FOLDER_PATH_SIZE + 64];
    char programs[FOLDER_PATH_SIZE];
    bed = *state;
    testbed_start(bed, 0);
    assert_int_equal(folder_of_programs(NULL, programs), FABRIC_OK);
    snprintf(module, sizeof module, "%s/../tests/probe_module.so", programs);
    const char *const program[] = {
        "fabric-worker",  "--module", module,        "--url", bed->cluster.url,
        "--cluster-name", "other",    "--executors", "2",     NULL};
    sweep(program, 78, "ForeignCluster");
}

/* Whether a broker becomes ready; it must end in order, or by itself and without a signal. */
static bool gets_ready(const char *store, unsigned count, bool descriptors)
{
    const char *arguments[ARGUMENTS_MAX] = {NULL};
    char path[INVOCATION_PATH_SIZE];
    char log[INVOCATION_PATH_SIZE];
    char line[1000];
    reason_t reason = {{0}};
    process_t broker = PROCESS_NONE;
    size_t used = descriptors ? 3 : 0;
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    if (descriptors) {
        limit_descriptors(count, arguments);
    }
    const char *const own[] = {invocation_program("fabric-broker", path),
                               "--listen",
                               "tcp://127.0.0.1:*",
                               "--publish",
                               "tcp://127.0.0.1:*",
                               "--store",
                               store};
    memcpy(arguments + used, own, sizeof own);
    assert_int_equal(process_start_with(arguments, descriptors ? NULL : limit_threads(count),
                                        invocation_path(bed, "little.log", log), true, &reason,
                                        &broker),
                     FABRIC_OK);
    bool ready = process_read_line(&broker, WAIT_MAX_MS, line, sizeof line) == FABRIC_OK;
    while (!ready && process_runs(&broker)) {
        testbed_poll(deadline_ms, "the end of a broker");
    }
    process_stop(&broker, WAIT_MAX_MS);
    if (!WIFEXITED(broker.status) || (ready && WEXITSTATUS(broker.status) != 0)) {
        folder_print_end(bed->folder, "little.log", stderr);
        fail_msg("%u %s: the broker ended with status %d", count,
                 descriptors ? "descriptors" : "threads", broker.status);
    }
    return ready;
}

static void brokers(void **state)
{
    char store[INVOCATION_PATH_SIZE + 8];
    char path[INVOCATION_PATH_SIZE];
    bed = *state;
    snprintf(store, sizeof store, "sqlite:%s", invocation_path(bed, "little.db", path));
    for (unsigned count = 3; count <= DESCRIPTORS_MAX; count++) {
        bool ready = gets_ready(store, count, true);
        assert_true(ready || count < DESCRIPTORS_MAX);
    }
    for (unsigned count = 0; count <= THREADS_MAX; count++) {
        bool ready = gets_ready(store, count, false);
        assert_true(ready || count < THREADS_MAX);
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"clients", clients, TESTBED_SQLITE},
        {"workers", workers, TESTBED_SQLITE},
        {"brokers", brokers, TESTBED_SQLITE},
    };
    return testbed_run("resources", tests, sizeof tests / sizeof tests[0]);
}
