/* Named crash points: FABRIC_CRASH=name:n makes a test build kill itself with SIGKILL when it
 * passes that point for the n-th time. Nothing is flushed and no peer is told. With
 * FABRIC_CRASH=name:n:freeze the build stops itself there with SIGSTOP instead, and goes on after
 * SIGCONT.
 * core/crash_points.def names the points; a program prints its own for --list-crash-points.
 *
 * Test builds define FABRIC_TEST_BUILD (make VARIANT=debug, asan or tsan). In other builds a point
 * is no code at all, there is no list, and FABRIC_CRASH is refused: a test that injects nothing
 * proves nothing.
 *
 * Points stand in shells, lanes and store adapters. A pure core has one only if its shell cannot
 * see the moment.
 *
 * Threading: arm before there are threads; points are passed on any thread.
 */
#ifndef CORE_CRASH_POINT_H
#define CORE_CRASH_POINT_H

#include <stdbool.h>

#include "core/reason.h"

typedef enum crash_program { CRASH_IN_BROKER, CRASH_IN_WORKER } crash_program_t;

/* Reads FABRIC_CRASH, for main. INVALID_CONFIGURATION with a reason for a point that `program` does
 * not have, for a count that is no number, and for any value in a build without points. */
FABRIC_MUST_USE
fabric_error_t crash_point_arm(crash_program_t program, reason_t *reason);

#ifdef FABRIC_TEST_BUILD

typedef enum crash_point {
#define CRASH_POINT_ROW(name, text, program, meaning) CRASH_POINT_##name,
#include "core/crash_points.def"
#undef CRASH_POINT_ROW
    CRASH_POINT_COUNT
} crash_point_t;

#define CRASH_POINT(name) crash_point_pass(CRASH_POINT_##name)

void crash_point_pass(crash_point_t point);
/* Calls `passed` at each point from now on, for tests that run the cores in one thread. NULL ends
 * it. */
void crash_point_watch(void (*passed)(crash_point_t point));
/* Prints the program's points if the command line asks for nothing else. true: main is done. */
bool crash_point_list(crash_program_t program, int argc, char **argv);

#else

#define CRASH_POINT(name) ((void)0)

static inline bool crash_point_list(crash_program_t program, int argc, char **argv)
{
    (void)program;
    (void)argc;
    (void)argv;
    return false;
}

#endif

#endif
