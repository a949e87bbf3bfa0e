/* Histories survive what kills their writers: records of several files, in order of time, without a
 * torn last one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/checker/history.h"

static char folder[] = "/tmp/history-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void append(uint64_t number)
{
    history_record_t record = {.kind = HISTORY_INVOKED, .client = 1, .number = number};
    history_append(folder, &record);
}

/* What a process killed in the middle of a write would leave; the system writes such records
 * whole. */
static void leave_torn_record(uint64_t number)
{
    char path[600];
    append(number);
    snprintf(path, sizeof path, "%s/history-%llx", folder, (unsigned long long)history_process());
    if (truncate(path, (off_t)(2 * sizeof(history_record_t) - 1)) != 0) {
        abort();
    }
}

static void files_are_merged_and_torn_records_left_out(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork(); /* before this process has named itself */
    if (child == 0) {
        append(1);
        leave_torn_record(2);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    append(3);
    append(4);
    history_t history = history_read(folder);
    assert_int_equal(history.count, 3);
    assert_int_equal(history.records[0].number, 1);
    assert_int_equal(history.records[1].number, 3);
    assert_int_equal(history.records[2].number, 4);
    assert_true(history.records[0].at_us <= history.records[1].at_us);
    history_free(&history);
}

static void chains_tell_orders_apart(void **state)
{
    (void)state;
    uint64_t one_two = history_chain(history_chain(0, 1, 1), 1, 2);
    uint64_t two_one = history_chain(history_chain(0, 1, 2), 1, 1);
    assert_true(one_two != two_one);
    assert_true(history_chain(0, 1, 2) != history_chain(0, 2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_merged_and_torn_records_left_out),
        cmocka_unit_test(chains_tell_orders_apart),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
