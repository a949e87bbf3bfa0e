/* Looks up the host name of an endpoint, on a thread of its own.
 *
 * getaddrinfo() blocks for as long as a name server is silent, which can be minutes, and nothing
 * can cancel it. libzmq calls it on the one thread that serves all its sockets. Therefore libzmq is
 * given addresses only, and each look-up has a thread. A look-up that is destroyed before it has
 * ended leaves its thread behind, which then frees the rest. Neither closing a client or a worker
 * nor the end of the process waits for a look-up, and look-ups do not wait for each other.
 *
 * The code of this file must stay in memory for as long as such a thread runs: the shared libraries
 * are linked with `-z nodelete`.
 *
 * Threading: a look-up belongs to one thread; different look-ups may belong to different threads.
 */
#ifndef CORE_LOOKUP_H
#define CORE_LOOKUP_H

#include "core/endpoint.h"

enum {
    LOOKUPS_MAX = 256, /* of a process at once, threads that were left behind included */
    LOOKUP_ADDRESSES_MAX = 16,
    LOOKUP_ADDRESS_SIZE = 96 /* tcp://[an IPv6 address%an interface]:65535 */
};

typedef struct lookup lookup_t;

typedef struct lookup_answer {
    size_t count;     /* 0: `failure` says why */
    reason_t failure; /* "HOST: why" */
    /* Endpoints with addresses in place of the name, all different, in the order that the system
     * recommends. An IPv6 address stands in []. */
    char addresses[LOOKUP_ADDRESSES_MAX][LOOKUP_ADDRESS_SIZE];
} lookup_answer_t;

/* Begins to look up an endpoint for which endpoint_has_name() is true. `wake` is called once, on
 * the look-up's thread, when the look-up has ended, but not after lookup_destroy(). If the system
 * gives no thread, or LOOKUPS_MAX look-ups run, the look-up has failed at once, and `wake` is not
 * called. */
lookup_t *lookup_start(const char *endpoint, void (*wake)(void *context), void *context);
/* The answer, valid until lookup_destroy(). NULL while the look-up is under way. */
const lookup_answer_t *lookup_answer(const lookup_t *lookup);
/* Frees the look-up, or leaves it to its thread. Does not block. *lookup may be NULL. */
void lookup_destroy(lookup_t **lookup);

#endif
