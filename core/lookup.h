/* Looks up the host name of an endpoint, on a thread of its own.
 *
 * getaddrinfo() blocks for as long as a name server is silent, which can be minutes, and nothing can cancel it. libzmq
 * calls it on the one thread that serves all its sockets. So libzmq is given addresses only, and each look-up has a
 * thread: a look-up that is destroyed before it has ended leaves that thread behind, which then frees what is left.
 * Neither closing a client or a worker nor the end of the process waits for it, and look-ups do not wait for each other.
 *
 * The code of this file must stay in memory for as long as such a thread runs: the shared libraries are linked with
 * `-z nodelete`.
 *
 * Threading: a look-up belongs to one thread; different ones to any threads.
 */
#ifndef CORE_LOOKUP_H
#define CORE_LOOKUP_H

#include "core/endpoint.h"

enum {
    LOOKUPS_MAX = 256, /* of a process at once, those that were left behind included */
    LOOKUP_ADDRESSES_MAX = 16,
    LOOKUP_ADDRESS_SIZE = 96 /* tcp://[an IPv6 address%an interface]:65535 */
};

typedef struct lookup lookup_t;

typedef struct lookup_answer {
    size_t count;     /* 0: `failure` says why */
    reason_t failure; /* "HOST: why" */
    /* Endpoints with addresses in place of the name, in the order in which the system recommends them; all different.
     * An IPv6 address stands in []. */
    char addresses[LOOKUP_ADDRESSES_MAX][LOOKUP_ADDRESS_SIZE];
} lookup_answer_t;

/* Begins to look up an endpoint for which endpoint_has_name() is true. `wake` is called once, on the look-up's thread,
 * when it has ended, but not after lookup_destroy(). Where the system gives no thread, or there are LOOKUPS_MAX look-ups,
 * it has failed at once, and `wake` is not called. */
lookup_t *lookup_start(const char *endpoint, void (*wake)(void *context), void *context);
/* NULL while it is under way. Valid until lookup_destroy(). */
const lookup_answer_t *lookup_answer(const lookup_t *lookup);
/* Frees it, or leaves it to its thread. Does not block. Takes NULL inside. */
void lookup_destroy(lookup_t **lookup);

#endif
