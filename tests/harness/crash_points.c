/* Crash points of a test build: see crash_points.h. */
#include "tests/harness/crash_points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/folder.h"
#include "tests/harness/process.h"

enum { WAIT_MAX_MS = 60000 };

const char *crash_programs(void)
{
    const char *folder = getenv("FABRIC_TEST_PROGRAMS");
    if (!folder) {
        fail_msg("FABRIC_TEST_PROGRAMS does not say where a test build's programs are");
    }
    return folder;
}

crash_points_t crash_points_of(const char *program)
{
    char path[FOLDER_PATH_SIZE + 40];
    char line[300];
    reason_t reason = {{0}};
    process_t process;
    crash_points_t points = {.count = 0};
    snprintf(path, sizeof path, "%s/%s", crash_programs(), program);
    const char *arguments[] = {path, "--list-crash-points", NULL};
    assert_int_equal(process_start(arguments, "/dev/null", true, &reason, &process), FABRIC_OK);
    while (process_read_line(&process, WAIT_MAX_MS, line, sizeof line) == FABRIC_OK) {
        size_t size = strcspn(line, " ");
        assert_true(points.count < CRASH_POINTS_MAX && size > 0 && size < CRASH_NAME_SIZE);
        assert_true(strlen(line) > size + 10); /* its meaning follows its name */
        snprintf(points.names[points.count++], CRASH_NAME_SIZE, "%.*s", (int)size, line);
    }
    assert_int_equal(process_wait(&process, WAIT_MAX_MS, &reason), FABRIC_OK);
    process_stop(&process, 0);
    assert_true(points.count > 0);
    return points;
}

void crash_choose_programs(testbed_t *bed, const char *first, const char *second)
{
    static char paths[2][FOLDER_PATH_SIZE + 64];
    static const char *const arguments[] = {"--module", paths[0], "--module", paths[1], NULL};
    char programs[FOLDER_PATH_SIZE];
    reason_t reason = {{0}};
    assert_int_equal(folder_of_programs(&reason, programs), FABRIC_OK);
    snprintf(paths[0], sizeof paths[0], "%s/%s", programs, first);
    snprintf(paths[1], sizeof paths[1], "%s/%s", programs, second);
    bed->programs = crash_programs();
    bed->worker_arguments = arguments;
}

bool crash_begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool crash_is_founding(const char *name)
{
    return crash_begins_with(name, "group_put.") || crash_begins_with(name, "type_put.");
}

bool crash_is_of_a_purge(const char *name)
{
    return crash_begins_with(name, "purge.");
}

bool crash_is_of_a_transaction(const char *name)
{
    return crash_begins_with(name, "direct.");
}

bool crash_is_of_a_hand_over(const char *name)
{
    return crash_begins_with(name, "hand_over.") || crash_begins_with(name, "give_up.");
}
