/* A ZeroMQ context with its threads.
 *
 * libzmq aborts the process where a context finds no descriptors or threads for itself, which is with its first socket.
 * That is no end for the program of somebody who links our libraries: so the same descriptors and threads are taken and
 * given back before, and the first socket follows at once.
 *
 * Threading: any thread.
 */
#ifndef CORE_CONTEXT_ZMQ_H
#define CORE_CONTEXT_ZMQ_H

#include "core/reason.h"

/* Opens a context for at most `sockets_max` sockets, whose threads run on return. NO_RESOURCES, also where there are enough
 * for the context but none for a connection and a thread that serves it. */
FABRIC_MUST_USE fabric_error_t context_open(int sockets_max, reason_t *reason, void **zmq);
/* Waits until all sockets are closed and what they had to send is sent or over. Takes NULL inside. */
void context_close(void **zmq);

#endif
