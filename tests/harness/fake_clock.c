/* Wall clocks that tests move: see fake_clock.h. */
#include "tests/harness/fake_clock.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static bool find_library(char path[FAKE_CLOCK_PATH_SIZE])
{
    static const char *const patterns[] = {"/usr/lib/*/faketime/libfaketimeMT.so.1",
                                           "/usr/lib*/faketime/libfaketimeMT.so.1",
                                           "/usr/local/lib/faketime/libfaketimeMT.so.1"};
    bool found = false;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0] && !found; i++) {
        glob_t files;
        if (glob(patterns[i], 0, NULL, &files) == 0) {
            found = snprintf(path, FAKE_CLOCK_PATH_SIZE, "%s", files.gl_pathv[0]) <
                    FAKE_CLOCK_PATH_SIZE;
        }
        globfree(&files);
    }
    return found;
}

bool fake_clock_open(fake_clock_t *clock, const char *name, char reason[256])
{
    char library[FAKE_CLOCK_PATH_SIZE];
    *clock = (fake_clock_t){0};
    if (SANITIZED) {
        snprintf(reason, 256, "libfaketime and a sanitizer cannot both be loaded first");
        return false;
    }
    if (!find_library(library)) {
        snprintf(reason, 256, "libfaketime is not installed");
        return false;
    }
    snprintf(clock->path, sizeof clock->path, "/tmp/fabric-clock-%ld-%.40s", (long)getpid(), name);
    snprintf(clock->variables[0], sizeof clock->variables[0], "LD_PRELOAD=%s", library);
    snprintf(clock->variables[1], sizeof clock->variables[1], "FAKETIME_TIMESTAMP_FILE=%s",
             clock->path);
    snprintf(clock->variables[2], sizeof clock->variables[2], "FAKETIME_DONT_FAKE_MONOTONIC=1");
    snprintf(clock->variables[3], sizeof clock->variables[3], "FAKETIME_NO_CACHE=1");
    /* libfaketime's workaround for an old C library takes monotonic deadlines of conditions for
     * past ones. */
    snprintf(clock->variables[4], sizeof clock->variables[4], "FAKETIME_FORCE_MONOTONIC_FIX=0");
    for (size_t i = 0; i < FAKE_CLOCK_VARIABLES; i++) {
        clock->environment[i] = clock->variables[i];
    }
    fake_clock_set(clock, "+0");
    return true;
}

void fake_clock_set(const fake_clock_t *clock, const char *offset)
{
    char next[FAKE_CLOCK_PATH_SIZE + 8];
    snprintf(next, sizeof next, "%s.next", clock->path);
    FILE *file = fopen(next, "w"); /* renamed, so that no process reads half of it */
    if (!file || fputs(offset, file) < 0 || fclose(file) != 0 || rename(next, clock->path) != 0) {
        abort();
    }
}

void fake_clock_export(const fake_clock_t *clock)
{
    for (size_t i = 0; i < FAKE_CLOCK_VARIABLES; i++) {
        const char *value = strchr(clock->variables[i], '=');
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(value - clock->variables[i]),
                 clock->variables[i]);
        setenv(name, value + 1, 1);
    }
}

void fake_clock_close(fake_clock_t *clock)
{
    if (clock->path[0]) {
        unlink(clock->path);
    }
    *clock = (fake_clock_t){0};
}
