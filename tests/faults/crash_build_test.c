/* Crash points exist in test builds only, and a mistake in FABRIC_CRASH is refused. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/clock.h"
#include "tests/harness/folder.h"
#include "tests/harness/crash_points.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 60000 };

/* Runs a program to its end. `line` gets its first line, on either output. Returns its status. */
static int run_program(testbed_t *bed, const char *const *arguments, const char *const *environment,
                       char line[300])
{
    char log[FOLDER_PATH_SIZE + 20];
    reason_t reason = {{0}};
    process_t process;
    snprintf(log, sizeof log, "%s/program.log", bed->folder);
    remove(log);
    assert_int_equal(process_start_with(arguments, environment, log, false, &reason, &process),
                     FABRIC_OK);
    fabric_error_t error = process_wait(&process, WAIT_MAX_MS, &reason);
    assert_int_not_equal(error, FABRIC_ERROR_TIMEOUT);
    FILE *file = fopen(log, "r");
    line[0] = '\0';
    if (file) {
        char *taken = fgets(line, 300, file);
        (void)taken; /* an empty file has no first line */
        fclose(file);
    }
    return process.status;
}

static void expect_refused(testbed_t *bed, const char *folder, const char *crash, const char *words)
{
    static const char *const names[] = {"fabric-broker", "fabric-worker"};
    char path[FOLDER_PATH_SIZE + 40];
    char line[300];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        const char *arguments[] = {path, i == 1 ? "--module" : NULL, "none", NULL};
        const char *environment[] = {crash, NULL};
        int status = run_program(bed, arguments, environment, line);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 78);
        if (!strstr(line, "FABRIC_CRASH: ") || !strstr(line, words)) {
            fail_msg("%s with %s says: %s", names[i], crash, line);
        }
    }
}

static void mistakes_are_refused(void **state)
{
    static const char *const wrong_numbers[] = {
        "0", "", "-1", "1x", " 1", "99999999999999999999999", "1:1", "1:", "1:freez", "0:freeze",
    };
    char crash[100];
    testbed_t *bed = *state;
    expect_refused(bed, crash_programs(), "FABRIC_CRASH=nowhere:1",
                   "is no crash point of this program");
    expect_refused(bed, crash_programs(), "FABRIC_CRASH=", "is no crash point of this program");
    expect_refused(bed, crash_programs(), "FABRIC_CRASH=join.befor:1", "is no crash point");
    const char *arguments[] = {NULL, NULL};
    const char *environment[] = {crash, NULL};
    char path[FOLDER_PATH_SIZE + 40];
    char line[300];
    snprintf(path, sizeof path, "%s/fabric-broker", crash_programs());
    arguments[0] = path;
    for (size_t i = 0; i < sizeof wrong_numbers / sizeof wrong_numbers[0]; i++) {
        snprintf(crash, sizeof crash, "FABRIC_CRASH=join.before:%s", wrong_numbers[i]);
        int status = run_program(bed, arguments, environment, line);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 78);
        assert_non_null(strstr(line, "a whole number from 1 on"));
    }
    snprintf(crash, sizeof crash, "FABRIC_CRASH=link.left:1"); /* the other program's */
    int status = run_program(bed, arguments, environment, line);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 78);
}

/* A process that freezes at a point stays there until SIGCONT, and then goes on. */
static void a_process_freezes_at_its_point(void **state)
{
    testbed_t *bed = *state;
    char path[FOLDER_PATH_SIZE + 40];
    char store[FOLDER_PATH_SIZE + 40];
    char log[FOLDER_PATH_SIZE + 20];
    snprintf(path, sizeof path, "%s/fabric-broker", crash_programs());
    snprintf(store, sizeof store, "sqlite:%s/frozen.db", bed->folder);
    snprintf(log, sizeof log, "%s/frozen.log", bed->folder);
    const char *arguments[] = {
        path,  "--listen", "tcp://127.0.0.1:*", "--publish", "tcp://127.0.0.1:*", "--store",
        store, NULL};
    static const char *const environment[] = {"FABRIC_CRASH=join.before:1:freeze", NULL};
    reason_t reason = {{0}};
    process_t process;
    int status = 0;
    char line[300];
    assert_int_equal(process_start_with(arguments, environment, log, true, &reason, &process),
                     FABRIC_OK);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (waitpid(process.pid, &status, WUNTRACED | WNOHANG) == 0) {
        testbed_poll(deadline_ms, "a process that freezes");
    }
    bool stopped = WIFSTOPPED(status);
    bool told = stopped && kill(process.pid, SIGCONT) == 0 &&
                process_read_line(&process, WAIT_MAX_MS, line, sizeof line) == FABRIC_OK;
    process_kill(&process);
    assert_true(stopped);
    assert_true(told); /* it is ready now */
}

/* How many of the words a file has, each at the end of a text. */
static size_t count_words(const char *path, const crash_points_t *words)
{
    size_t found = 0;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    char *bytes = malloc(size);
    rewind(file);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    for (size_t i = 0; i < words->count; i++) {
        size_t length = strlen(words->names[i]) + 1; /* with the end of its text */
        found += memmem(bytes, size, words->names[i], length) != NULL;
    }
    free(bytes);
    return found;
}

static void release_builds_have_none(void **state)
{
    static const char *const names[] = {"fabric-broker", "fabric-worker"};
    testbed_t *bed = *state;
    char shipped[FOLDER_PATH_SIZE];
    char path[FOLDER_PATH_SIZE + 40];
    assert_int_equal(folder_of_programs(NULL, shipped), FABRIC_OK);
    bool is_test_build = strcmp(shipped, crash_programs()) == 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        crash_points_t words = crash_points_of(names[i]);
        snprintf(words.names[words.count++], CRASH_NAME_SIZE, "--list-crash-points");
        snprintf(words.names[words.count++], CRASH_NAME_SIZE, "crash_point_pass");
        snprintf(path, sizeof path, "%s/%s", crash_programs(), names[i]);
        assert_int_equal(count_words(path, &words), words.count);
        snprintf(path, sizeof path, "%s/%s", shipped, names[i]);
        assert_int_equal(count_words(path, &words), is_test_build ? words.count : 0);
    }
    if (is_test_build) {
        return;
    }
    expect_refused(bed, shipped, "FABRIC_CRASH=join.before:1", "needs a test build");
    snprintf(path, sizeof path, "%s/fabric-broker", shipped);
    const char *arguments[] = {path, "--list-crash-points", NULL};
    char line[300];
    int status = run_program(bed, arguments, NULL, line);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 64);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"mistakes_are_refused", mistakes_are_refused, TESTBED_SQLITE},
        {"a_process_freezes_at_its_point", a_process_freezes_at_its_point, TESTBED_SQLITE},
        {"release_builds_have_none", release_builds_have_none, TESTBED_SQLITE},
    };
    return testbed_run("crash builds", tests, sizeof tests / sizeof tests[0]);
}
