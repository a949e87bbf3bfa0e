/** @file
 * The client: sends messages to entities and brings their replies back.
 *
 * @code{.c}
 * #include <fabric/client.h>
 *
 * static fabric_error_t add_five(const char *url)
 * {
 *     fabric_client_t *client;
 *     fabric_outcome_t outcome;
 *     counter_increment_request_t request = {.amount = 5};
 *     counter_value_t reply;
 *     fabric_error_t error = fabric_client_open(url, NULL, &client, &outcome);
 *     if (!error) {
 *         error = fabric_client_ask(client, fabric_entity("Counter", "counter-1"),
 *                                   &counter_increment, &request, &reply, &outcome);
 *     }
 *     if (error) {
 *         fprintf(stderr, "%s: %s\n", fabric_error_name(error), outcome.text);
 *     }
 *     fabric_client_close(&client);
 *     return error;
 * }
 * @endcode
 *
 * Rules of ownership and threading:
 *  1. A client may be used from any number of threads at once. It has one background thread of its
 *     own, which does all input and output and takes no signals.
 *  2. Arguments are borrowed for the call only: requests are encoded and copied before a function
 *     returns.
 *  3. A blocking call returns at the latest at its deadline.
 *  4. A completion callback runs exactly once for each asynchronous call whose start returned
 *     FABRIC_OK, and never for a call whose start returned an error. It runs only inside
 *     fabric_client_process(), fabric_client_wait() or fabric_client_close(), on the thread that
 *     called that function. It may start further calls; it must not call process, wait or close.
 *  5. What a callback is given is valid until the callback returns.
 *  6. fabric_client_close() ends every open call with FABRIC_ERROR_OUTCOME_UNKNOWN (if the message
 *     may have been accepted) or FABRIC_ERROR_CLOSED (if it certainly was not), and refuses the
 *     calls that completion callbacks start meanwhile with FABRIC_ERROR_CLOSED. No other thread may
 *     be inside a function of the client then.
 *  7. Two durable messages to one entity are handled in the order in which they were started on one
 *     client, retries and takeovers included. A call that ended with FABRIC_ERROR_OUTCOME_UNKNOWN
 *     and is sent again under its key takes its place when it is accepted, if it had not been
 *     accepted before: a message that was started later may then be handled before it. Volatile
 *     messages have no such order: around an outage other messages may overtake them.
 *  8. A client belongs to the process that opened it. In a child of fork() calls end at once with
 *     FABRIC_ERROR_INVALID_ARGUMENT, fabric_client_process() and fabric_client_wait() return 0,
 *     fabric_client_fd() returns -1, and fabric_client_close() sets *client to NULL and does
 *     nothing else: the parent's client and its calls go on. The child may open a client of its
 *     own.
 *  9. No function of a client is a cancellation point: a thread that is cancelled (pthread_cancel)
 *     while it is inside a function first returns from it, with the callbacks that the function
 *     runs, at the latest at the call's deadline.
 *  10. The log callback of the options is called on the client's background thread, one event at a
 *      time, and never after fabric_client_close() has returned. It must not call functions of the
 *      client, nor wait: all calls of the client wait with it.
 */
#ifndef FABRIC_CLIENT_H
#define FABRIC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>
#include <fabric/entity.h>
#include <fabric/error.h>
#include <fabric/header.h>
#include <fabric/health.h>
#include <fabric/log.h>
#include <fabric/message_type.h>
#include <fabric/outcome.h>
#include <fabric/schema.h>
#include <fabric/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A client. Opaque. */
typedef struct fabric_client fabric_client_t;

/** For fabric_client_options.spin_us: sleep at once. */
#define FABRIC_SPIN_NEVER UINT32_MAX

/** Which brokers a client reaches by way of others. A broker forwards what a client sends to
 *  another one: a client that can reach one broker only reaches all entities. */
typedef enum fabric_forward {
    FABRIC_FORWARD_AUTO = 0, /**< those that it cannot connect to, or not within 500 ms */
    FABRIC_FORWARD_ALWAYS,   /**< all but those that its URL names */
    FABRIC_FORWARD_NEVER     /**< none: it waits until it can connect */
} fabric_forward_t;

/** Options of a client; zero means the default everywhere. */
typedef struct fabric_client_options {
    const char *cluster_name; /**< refuse other clusters; default: any */
    const char *name;         /**< shown in status; default: program and process id */
    /** How long fabric_client_open() waits for a broker; default 5,000. FABRIC_CONNECT_LATER: it
     *  does not wait. */
    uint32_t connect_timeout_ms;
    uint32_t call_timeout_ms; /**< default time limit of a call; default 30,000 */
    uint32_t pending_max;     /**< calls open at once; default and maximum 65,536 */
    /** For so many microseconds a waiting call yields the processor again and again before it
     *  sleeps: answers come sooner, for some processor time. At most one thread of a client does
     *  so at a time, and none while all open calls are durable ones, whose answers wait for the
     *  store. Default 2,000; FABRIC_SPIN_NEVER: none. */
    uint32_t spin_us;
    uint64_t client_number; /**< to settle calls of a former process; default: random */
    /** With client_number: above all sequences that this number has used. A new call under a
     *  sequence that the brokers remember as settled ends with OUTCOME_UNKNOWN. */
    uint64_t first_sequence;
    bool allow_plaintext;     /**< connect to addresses beyond this machine without encryption */
    fabric_forward_t forward; /**< which brokers are reached by way of others */
    /** Is told of each event worth a log line, see rule 10; NULL: nobody is. Of each code at most
     *  10 events a second are told; the next one says how many were left out. The codes:
     *  - client.welcomed (info): a broker has taken the client in;
     *  - client.disconnected (warn): a connection to a broker that had welcomed the client is lost,
     *    and is made anew; the text says why;
     *  - client.deferred (warn): a broker refused the client at present; the client tries again;
     *  - client.refused (error): a broker refused the client and will refuse it again;
     *  - client.unresolved (warn): the host name of a broker cannot be looked up;
     *  - client.malformed (warn): a broker sent what the protocol does not allow, and it was
     *    dropped. */
    fabric_log_fn *log;
    void *log_context; /**< given to log */
} fabric_client_options_t;

/** One call. Zero means the default everywhere but in `entity` and `message`. */
typedef struct fabric_call {
    fabric_entity_t entity;               /**< whom the message is for */
    const fabric_message_type_t *message; /**< must stay valid until the call has ended */
    const void *request;    /**< struct by message->request; NULL: `payload` is sent */
    fabric_bytes_t payload; /**< encoded request, where `request` is NULL */
    /** No reply is wanted: the call ends when the message is accepted (durable) or given to the
     *  entity's runner (volatile). */
    bool tell;
    bool handled; /**< with tell, volatile: the call ends when the handler has run */
    /** Time limit of the call; default: the client's call_timeout_ms. A durable call that is
     *  refused as BUSY or MAILBOX_FULL is tried again for the first half of this time, then it ends
     *  with that error. */
    uint32_t timeout_ms;
    /** Settles a former call: the same contents under the same key. Default: a new key. */
    fabric_call_key_t key;
    const char *traceparent;        /**< W3C trace context, or NULL */
    const fabric_header_t *headers; /**< up to 64, no two of the same name */
    size_t header_count;            /**< number of headers */
    /** Unix time in milliseconds before which the message is not delivered, by the clock of its
     *  home; 0, or a time that has passed: at once. Then it takes its place behind what the entity
     *  has got meanwhile. Durable messages only, up to the end of the year 9999. An ask waits for
     *  its reply all the same, for its time limit; a tell ends when the message is accepted. */
    int64_t deliver_at_ms;
    /** At its deadline an ask is also cancelled, as by fabric_client_cancel(): it ends as it would
     *  end otherwise, no handler begins its message afterwards, and one that runs is told, as far
     *  as the broker that has the message lives. */
    bool cancel_at_deadline;
    /** Blocking calls: takes the values of a typed failure, whose schema and number the outcome
     *  has: the structs of all failures that the message declares, usually as a C union. NULL: they
     *  are not wanted. */
    void *failure;
    size_t failure_size; /**< sizeof what `failure` points to */
    /** The primary key of a durable message (fabric_message_type_t), where its message type gives
     *  it none; at most 1,024 bytes. Default: none. */
    fabric_bytes_t primary_key;
} fabric_call_t;

/** Takes the end of an asynchronous call. `payload` is the encoded reply: decode it with
 *  fabric_schema_decode() and the message's reply schema; or, where outcome->failure is set, the
 *  values of that failure, with the schema of it. It is valid during the call. A volatile
 *  reply that does not fit that schema ends the call with MALFORMED_MESSAGE; brokers check durable
 *  ones. */
typedef void fabric_completion_fn(void *context, const fabric_outcome_t *outcome,
                                  fabric_bytes_t payload);

/** Opens a client, and waits until a broker has welcomed it; see <fabric/outcome.h> for the life
 *  cycle.
 *
 *  `url` is fabric://h1:5700,h2:5700, or ZeroMQ endpoints separated by commas; NULL: the
 *  environment variable CLUSTER_NODES has such a list. Host names are
 *  looked up in the background each time a connection is begun anew, and all addresses of a name
 *  are tried. `options` may be NULL and is borrowed for the call. `outcome` may be NULL. On an
 *  error its text says what went wrong, with the last word of each broker that was named, and
 *  *client is NULL, which fabric_client_close() takes.
 *
 *  INVALID_ARGUMENT, PLAINTEXT_REFUSED, LIMIT_EXCEEDED (too many brokers are named), NO_RESOURCES
 *  (the process has no more descriptors or threads), and the errors of
 *  fabric_client_wait_ready(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_open(const char *url, const fabric_client_options_t *options,
                                  fabric_client_t **client, fabric_outcome_t *outcome);

/** Waits until a broker has welcomed the client since it was opened, or all brokers that were named
 *  have refused it for good, at most for `timeout_ms`. `outcome` may be NULL.
 *
 *  FOREIGN_CLUSTER, UNSUPPORTED_VERSION: refused for good. NOT_CONNECTED: no broker has welcomed it
 *  in time; or instead the error by which one refuses it at present: BUSY (the broker has as many
 *  peers as it may have, or another process is connected under client_number). INVALID_ARGUMENT in
 *  a child of fork(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_wait_ready(fabric_client_t *client, uint32_t timeout_ms,
                                        fabric_outcome_t *outcome);

/** Ends all calls (rule 6), stops the background thread, frees the client and sets *client to NULL.
 *  *client may be NULL. */
FABRIC_PUBLIC
void fabric_client_close(fabric_client_t **client);

/** Sends a message and waits for its reply, which is decoded into `reply` (a struct by
 *  message->reply, or NULL to drop it; one with views needs fabric_client_call()). `outcome` may be
 *  NULL. Returns outcome->error. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_ask(fabric_client_t *client, fabric_entity_t entity,
                                 const fabric_message_type_t *message, const void *request,
                                 void *reply, fabric_outcome_t *outcome);

/** Sends a message without a reply: returns when the message is accepted (durable) or given to the
 *  entity's runner (volatile). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_tell(fabric_client_t *client, fabric_entity_t entity,
                                  const fabric_message_type_t *message, const void *request,
                                  fabric_outcome_t *outcome);

/** The blocking call with all options. `reply` as for fabric_client_ask(). `payload`, if not NULL,
 *  gets a copy of the encoded reply, or of the values of a typed failure (outcome->failure), that
 *  is the caller's to free(), and NULL on any other error. The views of `reply` and call->failure
 *  point into this copy: where they have any, INVALID_ARGUMENT if `payload` is NULL. So it is where
 *  call->failure_size is too small for a failure that the message declares. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_call(fabric_client_t *client, const fabric_call_t *call, void *reply,
                                  uint8_t **payload, size_t *payload_size,
                                  fabric_outcome_t *outcome);

/** Sends many calls at once and waits for all of them: the broadcast. `replies`, if not NULL, is an
 *  array of `count` reply structs, without views, of `reply_size` bytes each; `outcomes` is an
 *  array of `count`.
 *  Returns FABRIC_OK when all calls ended well, else the first error. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_broadcast(fabric_client_t *client, const fabric_call_t *calls,
                                       size_t count, void *replies, size_t reply_size,
                                       fabric_outcome_t *outcomes);

/** Starts a call; `complete` is called when it ends (rule 4). `key`, if not NULL, gets the call's
 *  key. Never blocks.
 *
 *  INVALID_ARGUMENT (also where call->failure is set), MALFORMED_MESSAGE, LIMIT_EXCEEDED, BUSY
 *  (pending_max calls are open), CLOSED
 *  (rule 6). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_start(fabric_client_t *client, const fabric_call_t *call,
                                   fabric_completion_fn *complete, void *context,
                                   fabric_call_key_t *key);

/** Asks for the end of a call that fabric_client_start() has started. The call ends once, by its
 *  callback: with FABRIC_ERROR_CANCELLED, or as it would have ended. A message that no handler has
 *  begun is never handled; a handler that runs is told, and may stop or go on to its end (see
 *  fabric_context_interrupt() of <fabric/worker.h>). Of a durable call the end is stored, so that
 *  the call hears the same when it is sent again under its key. The client goes on asking, also
 *  another broker that takes the message over, until the call has ended. A tell ends when it is
 *  accepted: only one that was not sent yet can be cancelled. Never blocks; any thread. It may be
 *  called inside completion callbacks.
 *
 *  FABRIC_OK also where the call has ended before. INVALID_ARGUMENT: the key is of another client,
 *  or of no call that was started. BUSY: pending_max cancels have not been looked at yet. CLOSED
 *  (rule 6). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_cancel(fabric_client_t *client, fabric_call_key_t key);

/** A file descriptor (an eventfd) that is readable while ended calls wait for
 *  fabric_client_process(): for poll, epoll and other event loops. It stays the client's; do not
 *  read from it. */
FABRIC_PUBLIC
int fabric_client_fd(const fabric_client_t *client);

/** Runs the callbacks of all calls that have ended, and returns how many. Never blocks. */
FABRIC_PUBLIC
size_t fabric_client_process(fabric_client_t *client);

/** Waits until calls have ended or `timeout_ms` is over, then runs their callbacks. Returns how
 *  many. */
FABRIC_PUBLIC
size_t fabric_client_wait(fabric_client_t *client, uint32_t timeout_ms);

/** Asks a broker about itself: "status" or "health", or "describe" with an entity type as argument.
 *  `document` gets msgpack that is the caller's to free(), and NULL on an error. NOT_FOUND for a
 *  name or type that does not exist. Any connected broker is asked; it answers for itself only.
 *  `timeout_ms` is the whole time limit; 0: the client's call_timeout_ms. `outcome` may be NULL.
 *  Any thread. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_query(fabric_client_t *client, const char *name,
                                   fabric_bytes_t argument, uint32_t timeout_ms, uint8_t **document,
                                   size_t *size, fabric_outcome_t *outcome);

/** The same question to one certain broker. `broker` is its incarnation, 32 hexadecimal digits as
 *  in status documents; NULL: any connected broker, as for fabric_client_query(). The broker is
 *  asked directly or by way of another one, by the same rules as for calls (options.forward). A
 *  question that was not answered when its connection broke is sent again.
 *
 *  NOT_FOUND: no broker of the cluster has this incarnation (its process has ended, for instance),
 *  or what is asked for does not exist there. NOT_CONNECTED: the broker was not reached in time.
 *  TIMEOUT: it was reached and did not answer in time. BUSY: it answers too many questions at
 *  present. INVALID_ARGUMENT: `broker` is no incarnation. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_query_at(fabric_client_t *client, const char *broker, const char *name,
                                      fabric_bytes_t argument, uint32_t timeout_ms,
                                      uint8_t **document, size_t *size, fabric_outcome_t *outcome);

/** What one broker answers to fabric_client_query_all(). */
typedef struct fabric_broker_answer {
    char broker[33];          /**< the broker's incarnation, 32 hexadecimal digits */
    char name[256];           /**< its name, for people */
    char endpoint[256];       /**< where it listens for clients */
    fabric_outcome_t outcome; /**< FABRIC_OK, or the errors of fabric_client_query_at() */
    uint8_t *document;        /**< msgpack; NULL on an error */
    size_t size;              /**< bytes of it */
} fabric_broker_answer_t;

/** Asks all brokers of the cluster at the same time, those of the newest shard map that the client
 *  knows, and waits until each has answered or `timeout_ms` is over (0: the client's
 *  call_timeout_ms). `answers` gets an array of `count` answers, at most 64, which is the caller's
 *  to free with fabric_broker_answers_free(); a broker that does not answer is part of it with its
 *  error. `outcome` may be NULL. Any thread.
 *
 *  FABRIC_OK also where some brokers, or all of them, do not answer. NOT_CONNECTED, TIMEOUT: the
 *  client has got no map in time. INVALID_ARGUMENT, LIMIT_EXCEEDED, BUSY, CLOSED as for calls. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_query_all(fabric_client_t *client, const char *name,
                                       fabric_bytes_t argument, uint32_t timeout_ms,
                                       fabric_broker_answer_t **answers, size_t *count,
                                       fabric_outcome_t *outcome);

/** Frees answers, and sets *answers to NULL and *count to 0. *answers may be NULL. */
FABRIC_PUBLIC
void fabric_broker_answers_free(fabric_broker_answer_t **answers, size_t *count);

/** Tells how the cluster is (<fabric/health.h>): asks all brokers at the same time, as
 *  fabric_client_query_all() does, and sums what they say. `timeout_ms` is the whole time limit; 0:
 *  the client's call_timeout_ms. A broker that does not answer within it is counted and named in
 *  *health. `health` is the caller's and refers to nothing; it is untouched on an error. `outcome`
 *  may be NULL. Any thread.
 *
 *  FABRIC_OK also for a cluster that is not healthy. The errors of fabric_client_query_all(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_health(fabric_client_t *client, uint32_t timeout_ms,
                                    fabric_health_t *health, fabric_outcome_t *outcome);

/** Sums what brokers have answered to the question "health" or "status", which were asked by
 *  fabric_client_query_all(). Any thread; needs no client. */
FABRIC_PUBLIC
void fabric_health_of_answers(const fabric_broker_answer_t *answers, size_t count,
                              fabric_health_t *health);

/** One event of an entity whose type appends events. */
typedef struct fabric_entity_event {
    /** Its number among the entity's events: 1, 2, ... Where one is left out, the record that had
     *  the events between is damaged, and they are lost. */
    uint64_t sequence;
    fabric_bytes_t tag;     /**< what kind of event it is */
    uint32_t version;       /**< of the tag's schema, as the entity's type counts */
    int64_t recorded_ms;    /**< when the entity's home recorded it, Unix time in milliseconds */
    uint64_t request_id;    /**< of the message whose handler has appended it */
    fabric_bytes_t payload; /**< by the schema of tag and version: see fabric_schema_decode() */
} fabric_entity_event_t;

/** A part of an entity's events, in the order of their sequences. */
typedef struct fabric_entity_events {
    fabric_entity_event_t *events; /**< `count` of them; NULL where there are none */
    size_t count;                  /**< number of events */
    uint64_t last;                 /**< the next part begins behind this sequence */
    bool more;                     /**< there may be more already; false: there are not */
    uint8_t *document;             /**< what the events point into */
} fabric_entity_events_t;

/** Reads the events of an entity behind the sequence `after` (0: from the first one on), at most
 *  `limit` of them (0: as many as the home gives at once). A part also ends at about half a
 *  mebibyte, or at 1,000 events; it has one event at least where there is one. Only what is durable
 *  is read.
 *
 *  Where there is no event yet the home waits for one, up to `wait_ms` (a minute at most), and then
 *  answers with an empty part. `timeout_ms` is the time limit beyond that; 0: the client's
 *  call_timeout_ms. The entity's home is asked, whichever broker that is: the question goes to the
 *  next home where the home changes, and again to one that is busy. So who goes on behind
 *  events->last, after an error, too, reads each event once.
 *
 *  `events` is the caller's to free with fabric_entity_events_free(); it is empty on an error, and
 *  where there are no events, which a type that appends none never has. `outcome` may be NULL. Any
 *  thread.
 *
 *  UNKNOWN_ENTITY_TYPE: no worker has registered the type. TIMEOUT, NOT_CONNECTED: no home has
 *  answered in time. The same, and the last answer was: NOT_HOME; BUSY (each broker lets a bounded
 *  number of such questions wait); RUNNER_NOT_REGISTERED (a broker that has just started knows of
 *  no worker that brings the type); PERSISTENCE (the database did not answer). NOT_FOUND: the
 *  broker is of a release that does not know of events. MALFORMED_MESSAGE: the answer cannot be
 *  read. INVALID_ARGUMENT, LIMIT_EXCEEDED, CLOSED as for calls. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_read_events(fabric_client_t *client, fabric_entity_t entity,
                                         uint64_t after, uint32_t limit, uint32_t wait_ms,
                                         uint32_t timeout_ms, fabric_entity_events_t *events,
                                         fabric_outcome_t *outcome);

/** Frees the events, and makes *events empty. Takes an empty one, too. */
FABRIC_PUBLIC
void fabric_entity_events_free(fabric_entity_events_t *events);

/** Takes the next event; NULL: none has come for a second. Returns false where no more are wanted.
 *  The event is valid during the call. */
typedef bool fabric_entity_event_fn(void *context, const fabric_entity_event_t *event);

/** Follows the events of an entity: gives `take` those behind the sequence `after`, each once and
 *  in order, and then those that come, as soon as they are durable. It goes on over lost
 *  connections and changes of the entity's home. Returns FABRIC_OK when `take` has returned false,
 *  or the error of fabric_client_read_events() when there was no answer for `timeout_ms` (0: the
 *  client's call_timeout_ms); whoever calls it again behind the last event that `take` was given
 *  misses none and gets none twice.
 *
 *  `take` runs on the calling thread, and may call functions of the client. `outcome` may be NULL.
 *  Any thread. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_client_follow_events(fabric_client_t *client, fabric_entity_t entity,
                                           uint64_t after, uint32_t timeout_ms,
                                           fabric_entity_event_fn *take, void *context,
                                           fabric_outcome_t *outcome);

/** Numbers about a client since it was opened, for programs that watch themselves. */
typedef struct fabric_client_stats {
    uint64_t started;     /**< calls started */
    uint64_t completed;   /**< calls ended */
    uint64_t accepted;    /**< durable calls that a broker has accepted */
    uint64_t resent;      /**< requests sent a second or later time */
    uint64_t connections; /**< welcomes received: more than one for each broker means reconnects */
    uint64_t malformed;   /**< frames and messages of brokers dropped: they could not be read */
    uint64_t unexpected;  /**< messages of brokers dropped: they came after the call had ended */
} fabric_client_stats_t;

/** Reads a client's numbers. Any thread. */
FABRIC_PUBLIC
void fabric_client_stats(const fabric_client_t *client, fabric_client_stats_t *stats);

#ifdef __cplusplus
}
#endif
#endif
