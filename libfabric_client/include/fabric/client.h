/** @file
 * The client: sends messages to entities and brings their replies back.
 *
 *     fabric_client_t *client;
 *     if (fabric_client_open("fabric://127.0.0.1:5700", NULL, &client, NULL) != FABRIC_OK) { ... }
 *     increment_t request = {.amount = 5};
 *     value_t reply;
 *     fabric_error_t error = fabric_client_ask(client, fabric_entity("Counter", "counter-1"),
 *                                              &counter_increment, &request, &reply, NULL);
 *     fabric_client_close(&client);
 *
 * Rules of ownership and threading:
 *  1. A client may be used from any number of threads at once. It has one background thread of its
 * own, which does all input and output; it takes no signals and never prints.
 *  2. Arguments are borrowed for the call only: requests are encoded and copied before a function
 * returns.
 *  3. A blocking call returns at the latest at its deadline.
 *  4. A completion callback runs exactly once for each asynchronous call whose start returned
 * FABRIC_OK, and never for one whose start returned an error. It runs only inside
 * fabric_client_process() or fabric_client_close(), on the thread that called it. It may start
 * further calls; it must not call process or close.
 *  5. What a callback is handed is valid until the callback returns.
 *  6. fabric_client_close() ends every open call with FABRIC_ERROR_OUTCOME_UNKNOWN (if it may have
 * been accepted) or FABRIC_ERROR_CLOSED (if certainly not). No other thread may be inside a
 * function of the client then.
 *  7. Two durable messages to one entity are handled in the order in which they were started on one
 * client, retries and takeovers included. A call that ended with FABRIC_ERROR_OUTCOME_UNKNOWN and is sent again under
 * its key takes its place when it is accepted, if it had not been accepted before: one that was started later may then be
 * handled before it. Volatile messages have no such order: around an outage they may be overtaken by volatile and durable ones.
 *  8. A client belongs to the process that opened it. In a child of fork() calls end at once with
 * FABRIC_ERROR_INVALID_ARGUMENT, fabric_client_process() and fabric_client_wait() return 0, fabric_client_fd()
 * returns -1, and fabric_client_close() sets *client to NULL and does nothing else: the parent's client and its
 * calls go on. The child may open a client of its own.
 *  9. No function of a client is a cancellation point: a thread that is cancelled (pthread_cancel) while it is
 * inside one first returns from it, with the callbacks that it runs, at the latest at the call's deadline.
 */
#ifndef FABRIC_CLIENT_H
#define FABRIC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>
#include <fabric/error.h>
#include <fabric/log.h>
#include <fabric/message_type.h>
#include <fabric/schema.h>
#include <fabric/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A client. Opaque. */
typedef struct fabric_client fabric_client_t;

/** The name of an entity: type and id, each 1-255 bytes. Borrowed. */
typedef struct fabric_entity {
    fabric_bytes_t type; /**< entity type */
    fabric_bytes_t id;   /**< entity id, compared bytewise */
} fabric_entity_t;

/** The entity with a type and an id given as C strings. */
static inline fabric_entity_t fabric_entity(const char *type, const char *id)
{
    return (fabric_entity_t){fabric_bytes_of(type), fabric_bytes_of(id)};
}

/** The client's own name for one call; the same on every resend, so that a call whose outcome is
 * unknown can be sent again safely. All zero: none. */
typedef struct fabric_call_key {
    uint64_t client;   /**< the client's number, random unless given in the options */
    uint64_t sequence; /**< 1, 2, ... along the client */
} fabric_call_key_t;

/** How a call ended. */
typedef struct fabric_outcome {
    fabric_error_t error;  /**< FABRIC_OK, or why not; switch on fabric_error_class() */
    uint64_t code;         /**< with FABRIC_ERROR_ENTITY_FAILURE: the entity's own code */
    uint64_t request_id;   /**< the snowflake of an accepted message, 0 where it is not known */
    fabric_call_key_t key; /**< the call's key, to send it again when its outcome is unknown */
    char text[256];        /**< one line for people, may be empty */
} fabric_outcome_t;

/** One header of a message. */
typedef struct fabric_header {
    const char *name;     /**< 1-255 bytes */
    fabric_bytes_t value; /**< any bytes */
} fabric_header_t;

/** For fabric_client_options.spin_us: sleep at once. */
#define FABRIC_SPIN_NEVER UINT32_MAX

/** Options of a client; zero means the default everywhere. */
typedef struct fabric_client_options {
    const char *cluster_name;    /**< refuse other clusters; default: any */
    const char *name;            /**< shown in status; default: program and process id */
    uint32_t connect_timeout_ms; /**< for open to find a broker; default 5,000 */
    uint32_t call_timeout_ms;    /**< default deadline of a call; default 30,000 */
    uint32_t pending_max;        /**< calls open at once; default and maximum 65,536 */
    /** Before a waiting call sleeps it yields the processor again and again for so many microseconds: answers come sooner,
     *  for some processor time. At most one thread of a client does so at a time. Default 2,000; FABRIC_SPIN_NEVER. */
    uint32_t spin_us;
    uint64_t client_number; /**< to settle calls of a former process; default: random */
    /** With client_number: above all sequences that it used. A new call under one that the brokers remember as settled ends
     *  as OUTCOME_UNKNOWN. */
    uint64_t first_sequence;
    bool allow_plaintext; /**< connect to addresses beyond this machine without encryption */
} fabric_client_options_t;

/** One call. Zero means the default everywhere but in `entity` and `message`. */
typedef struct fabric_call {
    fabric_entity_t entity;               /**< whom it is for */
    const fabric_message_type_t *message; /**< must stay valid until the call ended */
    const void
        *request; /**< struct by message->request; NULL: `payload` is taken as encoded already */
    fabric_bytes_t payload; /**< encoded request, where `request` is NULL */
    bool tell;    /**< no reply is wanted: ends when accepted (durable) or handed to the entity's
                     runner */
    bool handled; /**< with tell, volatile: ends when the handler has run */
    /** Patience; default: the client's call_timeout_ms. A durable call that is refused as BUSY or MAILBOX_FULL is tried
     *  again for the first half of it, then it ends so. */
    uint32_t timeout_ms;
    fabric_call_key_t
        key; /**< settles a former call: the same contents under the same key; default: a new key */
    const char *traceparent;        /**< W3C trace context, or NULL */
    const fabric_header_t *headers; /**< up to 64, no two of the same name */
    size_t header_count;            /**< number of headers */
} fabric_call_t;

/** The end of an asynchronous call. `payload` is the encoded reply: decode it with
 * fabric_schema_decode and the message's reply schema. A volatile reply that does not fit that schema ends the call with
 * MALFORMED_MESSAGE; brokers check durable ones. */
typedef void fabric_completion_fn(void *context, const fabric_outcome_t *outcome,
                                  fabric_bytes_t payload);

/** Opens a client and waits until a broker has welcomed it.
 *  `url`: fabric://h1:5700,h2:5700 or ZeroMQ endpoints separated by commas. Host names are looked up in the background each
 * time a connection is begun anew, and all addresses of a name are tried. `options` may be NULL.
 * `outcome` may be NULL; on an error its text says what went wrong, with the last word of each broker
 * that was named, and *client is NULL, which fabric_client_close() takes. INVALID_ARGUMENT,
 * PLAINTEXT_REFUSED, FOREIGN_CLUSTER, UNSUPPORTED_VERSION, NO_RESOURCES (of the process: descriptors or threads); when no broker has welcomed it in time
 * NOT_CONNECTED, or the error by which one refuses it at present: BUSY (the broker has as many peers as
 * it may, or another process is connected under client_number). */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t
fabric_client_open(const char *url, const fabric_client_options_t *options,
                   fabric_client_t **client, fabric_outcome_t *outcome);

/** Ends all calls (rule 6), stops the background thread, frees the client and sets *client to NULL.
 * Takes NULL inside. */
FABRIC_PUBLIC void fabric_client_close(fabric_client_t **client);

/** Sends a message and waits for its reply, which is decoded into `reply` (a struct by
 * message->reply, or NULL to drop it). `outcome` may be NULL. Returns outcome->error. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_client_ask(fabric_client_t *client,
                                                               fabric_entity_t entity,
                                                               const fabric_message_type_t *message,
                                                               const void *request, void *reply,
                                                               fabric_outcome_t *outcome);

/** Sends a message without a reply: returns when it is accepted (durable) or handed to the entity's
 * runner (volatile). */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_client_tell(
    fabric_client_t *client, fabric_entity_t entity, const fabric_message_type_t *message,
    const void *request, fabric_outcome_t *outcome);

/** The blocking call with all options. `reply` as for ask; `payload`, if not NULL, gets a copy of
 * the encoded reply that is the caller's to free(), and NULL on an error. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_client_call(fabric_client_t *client,
                                                                const fabric_call_t *call,
                                                                void *reply, uint8_t **payload,
                                                                size_t *payload_size,
                                                                fabric_outcome_t *outcome);

/** Sends many calls at once and waits for all of them: the broadcast. `replies`, if not NULL, is an
 * array of `count` reply structs of `reply_size` bytes each; `outcomes` an array of `count`.
 * Returns FABRIC_OK when all did, else the first error. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_client_broadcast(fabric_client_t *client,
                                                                     const fabric_call_t *calls,
                                                                     size_t count, void *replies,
                                                                     size_t reply_size,
                                                                     fabric_outcome_t *outcomes);

/** Starts a call; `complete` is called when it ends (rule 4). `key`, if not NULL, gets its call
 * key. Never blocks. INVALID_ARGUMENT, MALFORMED_MESSAGE, LIMIT_EXCEEDED, BUSY (pending_max calls
 * are open). */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_client_start(fabric_client_t *client,
                                                                 const fabric_call_t *call,
                                                                 fabric_completion_fn *complete,
                                                                 void *context,
                                                                 fabric_call_key_t *key);

/** A file descriptor (an eventfd) that is readable while completions wait: for poll, epoll and
 * other event loops. It stays the client's; do not read from it. */
FABRIC_PUBLIC int fabric_client_fd(const fabric_client_t *client);

/** Runs the callbacks of all calls that have ended, and returns how many. Never blocks. */
FABRIC_PUBLIC size_t fabric_client_process(fabric_client_t *client);

/** Waits until completions wait or `timeout_ms` is over, then runs their callbacks. Returns how
 * many. */
FABRIC_PUBLIC size_t fabric_client_wait(fabric_client_t *client, uint32_t timeout_ms);

/** Asks a broker about itself: "status", or "describe" with an entity type as argument. `document`
 * gets msgpack that is the caller's to free(), and NULL on an error. NOT_FOUND for a name or type that does not exist. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_client_query(
    fabric_client_t *client, const char *name, fabric_bytes_t argument, uint32_t timeout_ms,
    uint8_t **document, size_t *size, fabric_outcome_t *outcome);

/** Numbers about a client since it was opened, for programs that watch themselves. */
typedef struct fabric_client_stats {
    uint64_t started;     /**< calls started */
    uint64_t completed;   /**< calls ended */
    uint64_t accepted;    /**< accepted answers and replies to durable calls, each call once */
    uint64_t resent;      /**< requests sent a second or later time */
    uint64_t connections; /**< welcomes received: more than one per broker means reconnects */
    uint64_t malformed;   /**< frames and messages of brokers dropped, as they could not be read */
    uint64_t unexpected; /**< messages of brokers dropped that no open call waited for: late ones */
} fabric_client_stats_t;
/** Reads a client's numbers. Any thread. */
FABRIC_PUBLIC void fabric_client_stats(const fabric_client_t *client, fabric_client_stats_t *stats);

#ifdef __cplusplus
}
#endif
#endif
