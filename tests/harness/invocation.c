/* One run of a program: see invocation.h. */
#include "tests/harness/invocation.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/stop.h"
#include "core/clock.h"

enum { WAIT_MAX_MS = 30000, ARGUMENTS_MAX = 20 };

const char *invocation_path(const testbed_t *bed, const char *name, char path[INVOCATION_PATH_SIZE])
{
    snprintf(path, INVOCATION_PATH_SIZE, "%s/%s", bed->folder, name);
    return path;
}

void invocation_write_file(const testbed_t *bed, const char *name, const char *text, unsigned mode,
                           char path[INVOCATION_PATH_SIZE])
{
    FILE *file = fopen(invocation_path(bed, name, path), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

const char *invocation_program(const char *name, char path[INVOCATION_PATH_SIZE])
{
    char folder[FOLDER_PATH_SIZE];
    if (strncmp(name, "fabric", 6) != 0) {
        return name;
    }
    assert_int_equal(folder_of_programs(NULL, folder), FABRIC_OK);
    snprintf(path, INVOCATION_PATH_SIZE, "%s/%s", folder, name);
    return path;
}

/* Reads a program's standard error, without log lines of level info. */
static void read_complaints(const char *path, invocation_t *invocation)
{
    char line[INVOCATION_TEXT_SIZE];
    size_t used = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strstr(line, "Z info ")) {
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        used += (size_t)snprintf(invocation->complaints + used, INVOCATION_TEXT_SIZE - used, "%s%s",
                                 invocation->lines ? "\n" : "", line);
        used = used < INVOCATION_TEXT_SIZE ? used : INVOCATION_TEXT_SIZE - 1;
        invocation->lines++;
    }
    fclose(file);
}

/* Reads the output while the program runs: a pipe holds little. */
static void take_output(int output, invocation_t *invocation)
{
    ssize_t got = 0;
    do {
        invocation->output_size += (size_t)got;
        got = read(output, invocation->output + invocation->output_size,
                   INVOCATION_OUTPUT_SIZE - 1 - invocation->output_size);
    } while (got > 0);
}

void invocation_run(const testbed_t *bed, const char *const *arguments,
                    const char *const *environment, invocation_t *invocation)
{
    const char *started[ARGUMENTS_MAX] = {NULL};
    char path[INVOCATION_PATH_SIZE];
    char log[INVOCATION_PATH_SIZE];
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    started[0] = invocation_program(arguments[0], path);
    for (size_t i = 1; arguments[i]; i++) {
        assert_true(i + 1 < ARGUMENTS_MAX);
        started[i] = arguments[i];
    }
    *invocation = (invocation_t){0};
    unlink(invocation_path(bed, "complaints", log));
    assert_int_equal(process_start_with(started, environment, log, true, &reason, &process),
                     FABRIC_OK);
    fcntl(process.output, F_SETFL, O_NONBLOCK);
    bool ended = false;
    while (!ended && clock_monotonic_ms() < deadline_ms && !stop_requested()) {
        ended = !process_runs(&process);
        take_output(process.output, invocation);
        poll(NULL, 0, ended ? 0 : 2);
    }
    process_stop(&process, 0);
    invocation->status = ended && WIFEXITED(process.status) ? WEXITSTATUS(process.status) : -1;
    read_complaints(log, invocation);
}

void invocation_check(const invocation_t *invocation, int line, int status, const char *pattern,
                      const char *const *arguments)
{
    const char *said = invocation->complaints;
    bool fits =
        pattern ? invocation->lines == 1 && fnmatch(pattern, said, 0) == 0 : invocation->lines == 0;
    bool quiet = status == 0 || invocation->output_size == 0;
    if (invocation->status == status && fits && quiet) {
        return;
    }
    print_error("line %d:", line);
    for (size_t i = 0; arguments[i]; i++) {
        print_error(" %.200s", arguments[i]);
    }
    print_error(": exit status %d, not %d; it says:\n%s\n", invocation->status, status, said);
    print_error("expected: %s\n", pattern ? pattern : "nothing");
    if (!quiet) {
        print_error("and nothing on standard output, where it is:\n%s\n", invocation->output);
    }
    fail();
}

void invocation_expect(const testbed_t *bed, int line, int status, const char *pattern,
                       const char *name, ...)
{
    static invocation_t invocation;
    const char *arguments[ARGUMENTS_MAX] = {name};
    size_t count = 1;
    va_list rest;
    va_start(rest, name);
    while ((arguments[count] = va_arg(rest, const char *)) != NULL) {
        count++;
        assert_true(count < ARGUMENTS_MAX);
    }
    va_end(rest);
    invocation_run(bed, arguments, NULL, &invocation);
    invocation_check(&invocation, line, status, pattern, arguments);
}
