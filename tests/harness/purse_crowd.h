/* A crowd of clients, each in a thread of its own, that put amounts into a few Purses: with
 * blocking calls, and a short time for each. A call whose end is unknown is sent again under its
 * call key until its end is known. At the end the replies, and what the purses hold, are compared:
 * the replies of a purse are one chain, in which each says the sum of itself and all before it.
 *
 * Threading: the test's thread, while the crowd's own threads run. What they find is told to the
 * test's thread, which fails.
 */
#ifndef TESTS_HARNESS_PURSE_CROWD_H
#define TESTS_HARNESS_PURSE_CROWD_H

#include "tests/harness/purse.h"
#include "tests/harness/testbed.h"

enum { PURSE_CROWD_PURSES = 10 };

typedef struct purse_crowd purse_crowd_t;

typedef struct purse_crowd_counts {
    uint64_t calls;   /* that ended with a reply */
    uint64_t refused; /* sendings that were certainly not accepted */
    uint64_t unknown; /* sendings whose end was unknown */
    uint64_t settled; /* calls that had such sendings, and ended with a reply */
} purse_crowd_counts_t;

/* Opens so many clients of all brokers, and starts their threads. `timeout_ms`: of each sending. */
purse_crowd_t *purse_crowd_start(testbed_t *bed, unsigned clients, uint32_t timeout_ms);
/* Starts no more calls, and waits until each has ended, with a longer time for each sending. */
purse_crowd_counts_t purse_crowd_end(purse_crowd_t *crowd);
/* Compares the replies with each other and with what the purses hold, at their worker and at their
 * home, and fails the test where they differ. */
void purse_crowd_check(purse_crowd_t *crowd, testbed_t *bed);
/* Ends the threads, if they run. `crowd`: a purse_crowd_t; it is freed. */
void purse_crowd_destroy(void *crowd);

#endif
