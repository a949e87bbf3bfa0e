/* The inside of a client, for client*.c alone: client.c calls the others, and all call
 * client_wait.c.
 *
 * Each public function that shares memory or a lock with the link's thread runs between
 * thread_hold_cancel() and thread_allow_cancel(): a cancelled thread would leave locks held, and
 * memory in use that is gone with its stack.
 */
#ifndef CLIENT_STATE_H
#define CLIENT_STATE_H

#include <stdatomic.h>

#include "core/thread.h"
#include "libfabric_client/src/link.h"
#include "libfabric_client/src/request.h"

struct fabric_client {
    uint64_t number;
    uint32_t process; /* thread_process() where it was opened */
    uint32_t call_timeout_ms;
    uint32_t spin_us;     /* 0: none */
    atomic_bool spinning; /* a thread is in client_spin */
    exchange_t *exchange;
    client_link_t *link;
};

/* ---- client_completions.c ---- */

/* Runs the callbacks of all calls that have ended; returns how many. */
size_t client_run_completions(fabric_client_t *client);

/* ---- client_wait.c ---- */

/* Whether this is the process that opened the client: a child of fork() has no link thread. */
bool client_is_here(const fabric_client_t *client);
/* INVALID_ARGUMENT with a reason, which may be NULL, unless client_is_here. */
FABRIC_MUST_USE fabric_error_t client_check_process(const fabric_client_t *client,
                                                    reason_t *reason);
/* The deadline of a call that starts now; 0 means the client's default. */
uint64_t client_deadline(const fabric_client_t *client, uint32_t timeout_ms);
/* Submits calls (linked by `ready`; at least one) and waits until all of them have ended. On an
 * error, with a reason, none was submitted: all are still the caller's. */
FABRIC_MUST_USE fabric_error_t client_run_calls(fabric_client_t *client, call_list_t *calls,
                                                reason_t *reason);
/* Asks `ended` again and again, yielding the processor in between, until it says yes or the
 * client's spin_us are over; false at once where another thread of the client does so, or where all
 * open calls are durable and so take as long as the store does. Where idle processors halt, as in
 * virtual machines, sleeping and being woken costs more than all work of a round trip. */
bool client_spin(fabric_client_t *client, bool (*ended)(void *context), void *context);

/* ---- client_queries.c ---- */

/* Asks the home of the entity. The document is the caller's to free(), and NULL on an error. */
void client_ask_home(fabric_client_t *client, fabric_entity_t entity, const char *name,
                     fabric_bytes_t argument, uint64_t deadline_ms, uint8_t **document,
                     size_t *size, fabric_outcome_t *outcome);

/* ---- client_events.c ---- */

/* Reads a home's answer to the query "events", behind the sequence `after`, into what is empty. The
 * events point into the document. false: it cannot be read, and what there is is to be freed. */
bool client_read_events(fabric_bytes_t document, uint64_t after, fabric_entity_events_t *events);

#endif
