/* One run of a program that ends by itself: its exit status, its output and its complaints. The
 * struct is large: keep it static.
 *
 *     invocation_expect(bed, __LINE__, 64, "fabric-broker: --nonsense: *", "fabric-broker",
 *                       "--nonsense", NULL);
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_INVOCATION_H
#define TESTS_HARNESS_INVOCATION_H

#include "tests/harness/testbed.h"

enum {
    INVOCATION_PATH_SIZE = FOLDER_PATH_SIZE + 64,
    INVOCATION_TEXT_SIZE = 4000,
    INVOCATION_OUTPUT_SIZE = 1 << 20
};

typedef struct invocation {
    int status;     /* exit status; -1: the program got a signal, or did not end in time */
    unsigned lines; /* on standard error, without log lines of level info */
    char complaints[INVOCATION_TEXT_SIZE];
    char output[INVOCATION_OUTPUT_SIZE]; /* standard output */
    size_t output_size;
} invocation_t;

/* The path of that name in the testbed's folder. */
const char *invocation_path(const testbed_t *bed, const char *name,
                            char path[INVOCATION_PATH_SIZE]);
/* Writes that file of the folder, with that mode. `path` gets its path. */
void invocation_write_file(const testbed_t *bed, const char *name, const char *text, unsigned mode,
                           char path[INVOCATION_PATH_SIZE]);
/* The path of the shipped program of that name; other names are looked up in PATH. */
const char *invocation_program(const char *name, char path[INVOCATION_PATH_SIZE]);

/* Runs arguments[0], looked up as above, until it ends; after 30 seconds it is killed.
 * `environment` as in process_start_with. */
void invocation_run(const testbed_t *bed, const char *const *arguments,
                    const char *const *environment, invocation_t *invocation);
/* Fails the test unless the program ended with that status and said one line that fits the pattern
 * of fnmatch(3), or nothing where there is none; and where the status is not 0, nothing on standard
 * output. `line` is the test's own. */
void invocation_check(const invocation_t *invocation, int line, int status, const char *pattern,
                      const char *const *arguments);
/* Runs and checks a program, with the program's name and its arguments, NULL-terminated. */
void invocation_expect(const testbed_t *bed, int line, int status, const char *pattern,
                       const char *name, ...);

#endif
