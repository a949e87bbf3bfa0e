/* Wall clocks that tests move: libfaketime shifts the wall clock of one process by an offset that
 * it reads from a file. The monotonic clock is not changed, as it is not when somebody sets a
 * machine's clock. (A speed other than 1 also shortens the waits of the C library: libfaketime
 * cannot do one without the other.)
 *
 *     static fake_clock_t clock;
 *     if (!fake_clock_open(&clock, "broker", reason)) { ... }
 *     bed->broker_environment = clock.environment;
 *     fake_clock_set(&clock, "-1d");
 *     fake_clock_close(&clock);
 *
 * Threading: none of its own.
 */
#ifndef TESTS_HARNESS_FAKE_CLOCK_H
#define TESTS_HARNESS_FAKE_CLOCK_H

#include <stdbool.h>

enum { FAKE_CLOCK_PATH_SIZE = 128, FAKE_CLOCK_VARIABLES = 5 };

typedef struct fake_clock {
    char path[FAKE_CLOCK_PATH_SIZE]; /* of the file */
    char variables[FAKE_CLOCK_VARIABLES][FAKE_CLOCK_PATH_SIZE + 64];
    const char *environment[FAKE_CLOCK_VARIABLES + 1]; /* "NAME=value", NULL-terminated */
} fake_clock_t;

/* Makes a clock without an offset; the struct must not be moved afterwards. False with a reason
 * where libfaketime is not installed, or where the program is built with a sanitizer, which must be
 * loaded first as well. */
bool fake_clock_open(fake_clock_t *clock, const char *name, char reason[256]);
/* Sets the offset: "+0", "-1d", "+1h", "+0 x10" (ten times as fast from now on). */
void fake_clock_set(const fake_clock_t *clock, const char *offset);
/* Puts the variables into this process's own environment, for programs that it starts. */
void fake_clock_export(const fake_clock_t *clock);
void fake_clock_close(fake_clock_t *clock);

#endif
