/* Waiting for sockets and descriptors at once, like zmq_poll() but with fewer system calls.
 *
 * zmq_poll() polls twice and asks every socket for its events after each time, which takes two
 * system calls for each socket. Here sockets are asked before the one poll, and those that their
 * descriptor names after it. The result may be that nothing is ready before the time is over.
 *
 * Threading: the thread of the sockets.
 */
#ifndef CORE_POLL_ZMQ_H
#define CORE_POLL_ZMQ_H

#include <zmq.h>

enum { POLL_ITEMS_MAX = 512 };

/* Waits until one of the items (at most POLL_ITEMS_MAX) is ready, for at most `timeout_ms` (-1: for
 * ever), and sets `revents` of all. Returns how many are ready. */
int poll_zmq(zmq_pollitem_t *items, int count, long timeout_ms);

#endif
