/* A well-behaved client on a thread of its own, which asks Probe entities without pause while
 * others misbehave: volatile and durable calls in turn, each of which must get its right answer.
 *
 * Threading: the functions are for the test's thread; they fail the running cmocka test.
 */
#ifndef TESTS_HARNESS_BACKGROUND_CLIENT_H
#define TESTS_HARNESS_BACKGROUND_CLIENT_H

#include "tests/harness/testbed.h"

typedef struct background_client background_client_t;

background_client_t *background_client_start(testbed_t *bed);
/* Expects that it goes on being answered, rightly. */
void background_client_check(background_client_t *background);
/* The longest that a call took so far. */
uint64_t background_client_worst_ms(const background_client_t *background);
/* The same for the last time, then ends it. Also frees one that has failed. */
void background_client_end(background_client_t **background);

#endif
