/* Load for fault tests of outgoing messages: keeps durable calls open to a few Tellers, whose
 * handlers give something to other tellers, or tell the next one numbers. At the end it compares
 * what the tellers hold with the replies, and with each other.
 *
 * A call that fails, and a teller that holds something else, fail the cmocka test.
 *
 * Threading: the thread that uses the client.
 */
#ifndef TESTS_HARNESS_TELLER_LOAD_H
#define TESTS_HARNESS_TELLER_LOAD_H

#include <fabric/client.h>

#include "tests/harness/teller.h"
#include "tests/harness/testbed.h"

/* EACH_MS: between two calls to a teller, at least. Each other call tells so many NUMBERS. */
enum {
    TELLER_LOAD_TELLERS = 8,
    TELLER_LOAD_OPEN = 2,
    TELLER_LOAD_EACH_MS = 10,
    TELLER_LOAD_NUMBERS = 3
};

typedef struct teller_load_teller {
    struct teller_load *load;
    uint32_t open; /* calls, at most TELLER_LOAD_OPEN */
    uint64_t started;
    uint64_t replies;
} teller_load_teller_t;

typedef struct teller_load {
    fabric_client_t *client;
    bool ending; /* no more calls are started */
    uint32_t open;
    uint64_t due_ms; /* of the next calls */
    teller_load_teller_t tellers[TELLER_LOAD_TELLERS];
    char failure[300]; /* of the first that failed */
} teller_load_t;

void teller_load_start(teller_load_t *load, fabric_client_t *client);
/* Takes what has come, and starts a call to each teller, if it is time and there is room for one.
 * Does not wait. */
void teller_load_step(teller_load_t *load);
/* The same, but starts no more. True when no call is open any more. `load`: a teller_load_t. */
bool teller_load_ends(void *load);
/* Waits until all that was told has been handled: each once, and in order between two tellers.
 * Only after the end. */
void teller_load_check(teller_load_t *load);

#endif
