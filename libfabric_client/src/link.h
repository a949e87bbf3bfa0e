/* The link: the one background thread of a client, which drives the session and owns the sockets.
 *
 * Threads: client_link_submit, client_link_take_completed, client_link_release, client_link_stats and client_link_fd may be called from
 * any thread; the others from the thread that opens and closes the client. The thread blocks all
 * signals, and so do those that libzmq starts from it.
 *
 * A call handed over by client_link_submit comes back in one of two ways: where `waiter` is set, the
 * waiter is told and the caller, who waits, has the call again; else it is found by
 * client_link_take_completed. Either way client_link_release ends it.
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include <semaphore.h>
#include <stdatomic.h>

#include "core/reason.h"
#include "libfabric_client/src/list.h"
#include "libfabric_client/src/session.h"

typedef struct client_link client_link_t;

/* Lives on the stack of a thread that waits for its calls. */
struct call_waiter {
    sem_t done; /* posted once, when `open` has become 0 */
    atomic_size_t open;
};

/* The link starts with client_link_start. `log`, which may be NULL, is called on the link's thread. NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t client_link_new(const session_config_t *config, fabric_log_fn *log,
                                               void *log_context, reason_t *reason,
                                               client_link_t **link);
/* Before client_link_start. */
FABRIC_MUST_USE fabric_error_t client_link_add_endpoint(client_link_t *link, const char *endpoint);
/* NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t client_link_start(client_link_t *link, reason_t *reason);
/* Waits until a broker has welcomed the client or all have refused it for good, at most timeout_ms. On an
 * error `reason` says what each first contact said last. */
FABRIC_MUST_USE fabric_error_t client_link_wait_welcome(client_link_t *link, uint32_t timeout_ms,
                                                        reason_t *reason);
/* Ends all calls and the thread. Completed calls can still be taken. */
void client_link_stop(client_link_t *link);
/* Stops it if need be; frees it with all completed calls. */
void client_link_destroy(client_link_t **link);

/* Hands over calls (linked by `ready`), and gives them their sequences where they have none.
 * BUSY when they would be more than pending_max open ones: then all stay the caller's.
 * INVALID_ARGUMENT for a `keyed` one whose sequence was never given out. `first`, if not NULL, gets
 * the first call's sequence before any call can end. `reason`, if not NULL, says why on an error. */
FABRIC_MUST_USE fabric_error_t client_link_submit(client_link_t *link, call_list_t *calls,
                                                  uint64_t *first, reason_t *reason);
/* All completed calls, in the order of their ends. */
call_list_t client_link_take_completed(client_link_t *link);
/* Destroys an ended call and makes room for another. */
void client_link_release(client_link_t *link, call_t **call);
/* An eventfd, readable while completed calls wait. */
int client_link_fd(const client_link_t *link);
fabric_client_stats_t client_link_stats(const client_link_t *link);

#endif
