/* A well-behaved client on a thread of its own, which asks Probe entities without pause while others
 * misbehave: volatile and durable calls in turn, each of which must get its right answer.
 *
 * Threading: the functions are for the test's thread; they fail the running cmocka test.
 */
#ifndef TESTS_LIB_NEIGHBOUR_H
#define TESTS_LIB_NEIGHBOUR_H

#include "tests/lib/testbed.h"

typedef struct neighbour neighbour_t;

neighbour_t *neighbour_start(testbed_t *bed);
/* Expects that it goes on being answered, rightly. */
void neighbour_check(neighbour_t *neighbour);
/* The longest that a call took so far. */
uint64_t neighbour_worst_ms(const neighbour_t *neighbour);
/* The same for the last time, then ends it. Also frees one that has failed. */
void neighbour_end(neighbour_t **neighbour);

#endif
