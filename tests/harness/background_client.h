/* A client on a thread of its own that calls Probe entities without pause while other peers
 * misbehave. Volatile and durable calls take turns, and each must get its right answer.
 *
 * Threading: the functions are for the test's thread; they fail the running cmocka test.
 */
#ifndef TESTS_HARNESS_BACKGROUND_CLIENT_H
#define TESTS_HARNESS_BACKGROUND_CLIENT_H

#include "tests/harness/testbed.h"

typedef struct background_client background_client_t;

background_client_t *background_client_start(testbed_t *bed);
/* Expects that the client goes on getting right answers. */
void background_client_check(background_client_t *background);
/* The longest that a call took so far. */
uint64_t background_client_worst_ms(const background_client_t *background);
/* Checks the client a last time and ends it. A client that has failed is freed as well. */
void background_client_end(background_client_t **background);

#endif
