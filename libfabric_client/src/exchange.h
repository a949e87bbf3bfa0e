/* What the threads of a client exchange: submitted calls, which the link takes, and completed
 * calls, which come back.
 *
 * A call that was submitted comes back in one of two ways. Where its `waiter` is set, the waiter is
 * told, and the thread that waits has the call again. Otherwise exchange_take_completed returns it.
 * In both cases exchange_release destroys it.
 *
 * Threads: the link's thread calls the functions of the second part. Any thread may call the
 * others, except for exchange_destroy, which only one thread calls after all others have finished.
 */
#ifndef CLIENT_EXCHANGE_H
#define CLIENT_EXCHANGE_H

#include <semaphore.h>
#include <stdatomic.h>

#include "core/reason.h"
#include "libfabric_client/src/list.h"
#include "libfabric_client/src/session.h"

typedef struct exchange exchange_t;

/* Lives on the stack of a thread that waits for its calls. */
struct call_waiter {
    sem_t done; /* posted once, when `open` has become 0 */
    atomic_size_t open;
};

/* NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t exchange_new(uint32_t pending_max, uint64_t first_sequence,
                                            reason_t *reason, exchange_t **exchange);
/* Destroys all calls that nobody has taken, too. */
void exchange_destroy(exchange_t **exchange);

/* Hands over calls (linked by `ready`), and gives them their sequences where they have none.
 * `first`, if not NULL, gets the first call's sequence before any call can end. On an error all
 * calls stay the caller's, and `reason`, if not NULL, says why: BUSY when more than pending_max
 * calls would be open, INVALID_ARGUMENT for a `keyed` call whose sequence was never given out,
 * CLOSED after exchange_stop. */
FABRIC_MUST_USE fabric_error_t exchange_submit(exchange_t *exchange, call_list_t *calls,
                                               uint64_t *first, reason_t *reason);
/* Asks for the end of an open call. INVALID_ARGUMENT: the sequence was never given out; BUSY: as
 * many cancels as calls may be open have not been taken yet; CLOSED after exchange_stop. */
FABRIC_MUST_USE fabric_error_t exchange_cancel(exchange_t *exchange, uint64_t sequence);
/* All completed calls, in the order of their ends. */
call_list_t exchange_take_completed(exchange_t *exchange);
/* Destroys an ended call, so that another may be submitted. */
void exchange_release(exchange_t *exchange, call_t **call);
/* An eventfd, readable while completed calls wait. */
int exchange_completed_fd(const exchange_t *exchange);
/* Waits until a broker has welcomed the client or all have refused it for good, at most timeout_ms.
 * On an error `reason` says what each first contact said last. */
FABRIC_MUST_USE fabric_error_t exchange_wait_welcome(exchange_t *exchange, uint32_t timeout_ms,
                                                     reason_t *reason);
fabric_client_stats_t exchange_stats(const exchange_t *exchange);
/* Whether calls that are not durable have been submitted and have not ended. */
bool exchange_has_quick_calls(const exchange_t *exchange);
/* Asks the link's thread to end. */
void exchange_stop(exchange_t *exchange);
/* Wakes the link's thread; the argument is the exchange. */
void exchange_wake(void *exchange);

/* ---- the link's thread ---- */

/* What callers want of the link. */
typedef struct exchange_wishes {
    call_list_t calls; /* submitted */
    uint64_t *cancels; /* sequences of calls that are to end; to be freed; NULL: none */
    size_t cancel_count;
} exchange_wishes_t;

/* Takes all that is there, at one moment: a call that is to end is among the calls of this or of an
 * earlier taking. */
exchange_wishes_t exchange_take_wishes(exchange_t *exchange);
bool exchange_is_stopping(exchange_t *exchange);
/* An eventfd that wakes the thread. */
int exchange_wake_fd(const exchange_t *exchange);
/* The thread is about to sleep: submitters wake it from now on. False: it must not sleep, since
 * calls are submitted, or it is to end. */
bool exchange_begin_sleep(exchange_t *exchange);
/* The thread does not sleep any longer. `signalled`: its eventfd is readable. */
void exchange_end_sleep(exchange_t *exchange, bool signalled);
/* Hands out what the session has come to: its numbers, its welcome and the ended calls. */
void exchange_publish(exchange_t *exchange, session_t *session);

#endif
