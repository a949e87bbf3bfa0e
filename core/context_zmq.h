/* A ZeroMQ context with its threads.
 *
 * libzmq aborts the process if a context finds no descriptors or threads for itself, which it takes
 * with its first socket. A program that links our libraries must not end that way. Therefore as
 * many descriptors and threads are taken and given back first, and the first socket is opened at
 * once.
 *
 * Threading: any thread.
 */
#ifndef CORE_CONTEXT_ZMQ_H
#define CORE_CONTEXT_ZMQ_H

#include "core/reason.h"

enum { CONTEXT_PROBE_MAX = 64 };
/* Whether the system gives the process so many more descriptors: NO_RESOURCES with a reason. */
FABRIC_MUST_USE fabric_error_t context_probe_descriptors(int needed, reason_t *reason);
/* Opens a context for at most `sockets_max` sockets, whose threads run on return. NO_RESOURCES,
 * also if there is enough for the context but not for a connection and a thread that serves it. */
FABRIC_MUST_USE
fabric_error_t context_open(int sockets_max, reason_t *reason, void **zmq);
/* Waits until all sockets are closed and their messages are sent or given up. *zmq may be NULL. */
void context_close(void **zmq);

#endif
