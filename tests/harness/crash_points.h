/* The crash points of a test build's programs, as these print them.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_CRASH_POINTS_H
#define TESTS_HARNESS_CRASH_POINTS_H

#include "tests/harness/testbed.h"

enum { CRASH_POINTS_MAX = 64, CRASH_NAME_SIZE = 40 };

typedef struct crash_points {
    char names[CRASH_POINTS_MAX][CRASH_NAME_SIZE];
    size_t count;
} crash_points_t;

/* The folder of a test build's programs, $FABRIC_TEST_PROGRAMS. Fails the test where it is not
 * set. */
const char *crash_programs(void);
/* The points of "fabric-broker" or "fabric-worker", in the program's order: that of a life. */
crash_points_t crash_points_of(const char *program);

/* Before a testbed starts: these programs, and workers with two more modules, as "../tests/...". */
void crash_choose_programs(testbed_t *bed, const char *first, const char *second);

bool crash_begins_with(const char *name, const char *prefix);
/* Whether a point is passed in making what a database gets once, so that only the first life of a
 * cluster can reach it. */
bool crash_is_founding(const char *name);
bool crash_is_of_a_purge(const char *name);
bool crash_is_of_a_transaction(const char *name);
bool crash_is_of_a_hand_over(const char *name);

#endif
