/* Load for fault tests of persisted states: keeps durable calls open to a few Purses, each of which
 * puts one in, and compares what the purses hold with the replies.
 *
 * A call that fails, and a purse that holds something else, fail the cmocka test.
 *
 * Threading: the thread that uses the client.
 */
#ifndef TESTS_HARNESS_PURSE_LOAD_H
#define TESTS_HARNESS_PURSE_LOAD_H

#include <fabric/client.h>

#include "tests/harness/purse.h"
#include "tests/harness/testbed.h"

/* EACH_MS: between two calls to a purse, at least. */
enum { PURSE_LOAD_PURSES = 8, PURSE_LOAD_OPEN = 2, PURSE_LOAD_EACH_MS = 5 };

typedef struct purse_load_purse {
    struct purse_load *load;
    uint32_t open; /* calls, at most PURSE_LOAD_OPEN */
    uint64_t replies;
    uint64_t sum; /* of the amounts that they say: 1, 2, ... */
} purse_load_purse_t;

typedef struct purse_load {
    fabric_client_t *client;
    bool ending; /* no more calls are started */
    uint32_t open;
    uint64_t due_ms; /* of the next calls */
    purse_load_purse_t purses[PURSE_LOAD_PURSES];
    char failure[300]; /* of the first that failed */
} purse_load_t;

void purse_load_start(purse_load_t *load, fabric_client_t *client);
/* Takes what has come, and starts a call to each purse, if it is time and there is room for one.
 * Does not wait. */
void purse_load_step(purse_load_t *load);
/* The same, but starts no more. True when no call is open any more. `load`: a purse_load_t. */
bool purse_load_ends(void *load);
/* Each call has counted once, in its turn, and the purses' homes say the same. Only after the end.
 */
void purse_load_check(purse_load_t *load, testbed_t *bed);

#endif
