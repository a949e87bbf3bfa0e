/* Named crash points: see crash_point.h. */
#include "core/crash_point.h"

#include <stdlib.h>

#ifdef FABRIC_TEST_BUILD

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_COLUMN = 20 };

static const struct {
    const char *name;
    crash_program_t program;
    const char *meaning;
} points[CRASH_POINT_COUNT] = {
#define CRASH_POINT_ROW(name, text, program, meaning) {text, program, meaning},
#include "core/crash_points.def"
#undef CRASH_POINT_ROW
};

static crash_point_t armed = CRASH_POINT_COUNT; /* constant once there are threads */
static bool freezes;                            /* there, instead of dying */
static atomic_ulong passings_left;
static void (*watcher)(crash_point_t point); /* constant while there are threads */

void crash_point_watch(void (*passed)(crash_point_t point))
{
    watcher = passed;
}

void crash_point_pass(crash_point_t point)
{
    if (watcher) {
        watcher(point);
    }
    if (point != armed || atomic_fetch_sub_explicit(&passings_left, 1, memory_order_relaxed) != 1) {
        return;
    }
    if (freezes) {
        (void)raise(SIGSTOP);
        return;
    }
    kill(getpid(), SIGKILL);
    for (;;) { /* until the signal reaches this thread */
        pause();
    }
}

bool crash_point_list(crash_program_t program, int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], "--list-crash-points") != 0) {
        return false;
    }
    for (int i = 0; i < CRASH_POINT_COUNT; i++) {
        if (points[i].program == program) {
            printf("%-*s%s\n", NAME_COLUMN, points[i].name, points[i].meaning);
        }
    }
    return true;
}

/* The program's point with this name of `size` bytes; CRASH_POINT_COUNT: there is none. */
static crash_point_t find(crash_program_t program, const char *name, size_t size)
{
    for (int i = 0; i < CRASH_POINT_COUNT; i++) {
        if (points[i].program == program && strlen(points[i].name) == size &&
            memcmp(points[i].name, name, size) == 0) {
            return (crash_point_t)i;
        }
    }
    return CRASH_POINT_COUNT;
}

fabric_error_t crash_point_arm(crash_program_t program, reason_t *reason)
{
    const char *text = getenv("FABRIC_CRASH");
    if (!text) {
        return FABRIC_OK;
    }
    size_t size = strcspn(text, ":");
    crash_point_t point = find(program, text, size);
    if (point == CRASH_POINT_COUNT) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "FABRIC_CRASH: '%.*s' is no crash point of this program: "
                          "--list-crash-points names them",
                          size < 60 ? (int)size : 60, text);
    }
    const char *digits = text + size + (text[size] == ':');
    char *end = NULL;
    errno = 0;
    unsigned long passings = isdigit((unsigned char)*digits) ? strtoul(digits, &end, 10) : 0;
    bool freeze = passings > 0 && strcmp(end, ":freeze") == 0;
    if (passings == 0 || errno != 0 || (*end != '\0' && !freeze)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "FABRIC_CRASH: '%.100s' does not end in :n or :n:freeze, with a whole "
                          "number from 1 on",
                          text);
    }
    armed = point;
    freezes = freeze;
    atomic_store(&passings_left, passings);
    return FABRIC_OK;
}

#else

fabric_error_t crash_point_arm(crash_program_t program, reason_t *reason)
{
    (void)program;
    return getenv("FABRIC_CRASH")
               ? reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                            "FABRIC_CRASH: needs a test build (make VARIANT=debug): this program "
                            "has no crash points")
               : FABRIC_OK;
}

#endif
