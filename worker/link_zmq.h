/* The link on a thread of its own: its sockets, and the exchange with the executors.
 *
 * The thread opens one DEALER for each broker, with a monitor, in a ZeroMQ context of its own. It
 * takes no signals, and ends when the worker has left the cluster.
 */
#ifndef WORKER_LINK_ZMQ_H
#define WORKER_LINK_ZMQ_H

#include "worker/executor_thread.h"
#include "worker/link.h"

typedef struct link_zmq link_zmq_t;

/* `on_event` is called on the link's thread. NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t link_zmq_new(const link_config_t *config,
                                            void (*on_event)(void *context,
                                                             const link_event_t *event),
                                            void *context, reason_t *reason, link_zmq_t **link);
/* Before start. LIMIT_EXCEEDED. */
FABRIC_MUST_USE fabric_error_t link_zmq_add_endpoint(link_zmq_t *link, const char *endpoint);
/* Wakes the link's thread: an executor has output. Any thread. */
void link_zmq_notify(void *link);
/* Starts the thread, with as many executors as configured; the array is copied. NO_RESOURCES when
 * the system gives none. */
FABRIC_MUST_USE fabric_error_t link_zmq_start(link_zmq_t *link,
                                              executor_thread_t *const *executors);
/* Leaves the cluster and waits for the thread to end. */
void link_zmq_stop(link_zmq_t *link);
/* Frees a link whose thread was not started or has ended. */
void link_zmq_destroy(link_zmq_t **link);
/* Shards owned now. Any thread. */
uint64_t link_zmq_shards(const link_zmq_t *link);
uint64_t link_zmq_dropped(const link_zmq_t *link);

#endif
