/** @file
 * Outcomes: how a call ended, and how opening a client or a worker ended. What clients and workers
 * say in the same way stands here.
 *
 * Clients and workers have one life cycle:
 *  1. fabric_client_open() and fabric_worker_open() check their arguments, start threads and
 *     connect in the background, for as long as the client or worker is open. They wait until a
 *     broker has welcomed it, at most for connect_timeout_ms of the options, and fail if none does.
 *  2. With FABRIC_CONNECT_LATER they do not wait: a program may start before its brokers.
 *     fabric_client_wait_ready() and fabric_worker_wait_ready() wait afterwards, as often as the
 *     program wants.
 *  3. fabric_client_close() and fabric_worker_close() end the work, disconnect and free everything.
 *  4. Options that are zero mean the default, so a zeroed struct is a complete one.
 *  5. A function that fails returns the error and, where the caller gives it an outcome, writes the
 *     same error and one line for people there.
 */
#ifndef FABRIC_OUTCOME_H
#define FABRIC_OUTCOME_H

#include <stdint.h>

#include <fabric/error.h>
#include <fabric/schema.h>

/** For connect_timeout_ms: opening does not wait for a broker. */
#define FABRIC_CONNECT_LATER UINT32_MAX

/** A client's own name for one call. It is the same on every resend, so that a call whose outcome
 *  is unknown can be sent again safely. All zero: none. */
typedef struct fabric_call_key {
    uint64_t client;   /**< the client's number, random unless given in the options */
    uint64_t sequence; /**< 1, 2, ... along the client */
} fabric_call_key_t;

/** How something ended. */
typedef struct fabric_outcome {
    fabric_error_t error; /**< FABRIC_OK, or why not; switch on fabric_error_class() */
    /** With FABRIC_ERROR_ENTITY_FAILURE: the entity's own code; of a typed failure its number. */
    uint64_t code;
    uint64_t request_id;   /**< the id of an accepted message, 0 where it is not known */
    fabric_call_key_t key; /**< of a call, to send it again when its outcome is unknown */
    char text[256];        /**< one line for people, NUL-terminated; may be empty */
    /** With FABRIC_ERROR_ENTITY_FAILURE: which of the failures that the message type declares it
     *  is, with its name and the schema of its values; valid as the message type is. NULL: another
     *  failure. */
    const fabric_choice_t *failure;
} fabric_outcome_t;

#endif
