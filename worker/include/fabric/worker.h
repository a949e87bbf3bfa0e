/** @file
 * The worker: runs entities. Write an entity as plain C functions over a state struct, describe it
 * by a table, and either build it as a module for `fabric-worker --module FILE.so` or embed a
 * worker in your own program.
 *
 *     typedef struct counter { int64_t value; } counter_t;
 *     static fabric_result_t increment(fabric_context_t *context, void *state, const void *request,
 * void *reply) { ... } static const fabric_handler_t handlers[] = {{&counter_increment, increment},
 * ...}; static const fabric_entity_type_t counter_type = { .name = "Counter", .state_size =
 * sizeof(counter_t), .handlers = handlers, .handler_count = 2}; FABRIC_MODULE(&counter_type);
 *
 * Rules:
 *  1. All handlers of one entity run one after another on one executor thread; handlers of
 * different entities run at the same time. A handler that blocks holds up the entities of its
 * executor: return FABRIC_PENDING for what takes long.
 *  2. State is zeroed, then `start` is called, before the first handler; `stop` is called when the
 * entity is idle for idle_ms, when its shard moves away, after a defect, and when the worker stops.
 * The state lives in the worker's memory and is gone afterwards; what must survive belongs in a
 * database of your own for now.
 *  3. A durable message is handled at least once: fabric_context_delivery() > 1 tells that this may
 * not be the first time.
 *  4. A typed failure (fabric_fail) is an answer: the entity goes on. A defect (fabric_defect, or a
 * start that fails) ends the entity's state; a durable message is tried again on a fresh one, a
 * volatile one fails.
 *  5. request and reply structs belong to the worker and are valid until the handler returns; reply
 * is zeroed before.
 *  6. A context belongs to its handler's call and thread; only fabric_pending_t may go elsewhere.
 *  7. A started worker belongs to the process that started it. In a child of fork() start and
 * wait_ready return FABRIC_ERROR_INVALID_ARGUMENT, stop and destroy leave all as it is, and the numbers
 * are zeroes: the parent's worker goes on. A child that a handler forks must not touch the message.
 *  8. No function of a worker is a cancellation point: a thread that is cancelled (pthread_cancel) while
 * it is inside one first returns from it.
 *  9. All workers of one shard group bring the same types. The shards of a group are shared out among
 * its workers whatever they bring, so a message of a type that the owner of its shard does not bring
 * waits (durable) or is refused (volatile) until another worker owns the shard. Put types that only
 * some workers bring into a group of their own (fabric_entity_type_t, group).
 */
#ifndef FABRIC_WORKER_H
#define FABRIC_WORKER_H

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

/** What a handler is told about the message at hand. Opaque. */
typedef struct fabric_context fabric_context_t;

/** A handler's message that will be answered later. Opaque. */
typedef struct fabric_pending fabric_pending_t;

/** What a handler returns. */
typedef enum fabric_result {
    FABRIC_REPLY = 0,   /**< done: the reply struct is the answer */
    FABRIC_FAILURE = 1, /**< a typed failure was set by fabric_fail() */
    FABRIC_DEFECT = 2,  /**< the handler broke; see fabric_defect() */
    FABRIC_PENDING = 3  /**< will be completed through fabric_later()'s handle */
} fabric_result_t;

/** Handles one message. `state` is the entity's state, `request` and `reply` are structs by the
 * message type's schemas (NULL where the schema is empty). */
typedef fabric_result_t fabric_handle_fn(fabric_context_t *context, void *state,
                                         const void *request, void *reply);

/** One message that an entity type handles. */
typedef struct fabric_handler {
    const fabric_message_type_t *message; /**< what it handles */
    fabric_handle_fn *handle;             /**< how */
} fabric_handler_t;

/** An entity type. Constant data that must stay valid while a worker uses it; zero means the
 * default. */
typedef struct fabric_entity_type {
    const char *name;  /**< 1-255 bytes */
    const char *group; /**< shard group, see rule 9; default "default" */
    size_t state_size; /**< sizeof the state struct; 0: no state, and handlers get NULL */
    /** Sets the initial state; false is a defect. May be NULL: zeroes are the initial state. `id`
     * is valid during the call. */
    bool (*start)(void *state, fabric_bytes_t id);
    void (*stop)(void *state, fabric_bytes_t id); /**< finalizer, may be NULL */
    const fabric_handler_t *handlers;             /**< its messages */
    size_t handler_count;                         /**< at most 128 */
    uint32_t mailbox_capacity; /**< volatile messages waiting for one entity; default 4,096 */
    uint32_t idle_ms; /**< an entity without messages for so long is stopped; default 60,000 */
} fabric_entity_type_t;

/** The entity's type. Valid during the handler. */
FABRIC_PUBLIC fabric_bytes_t fabric_context_type(const fabric_context_t *context);
/** The entity's id. Valid during the handler. */
FABRIC_PUBLIC fabric_bytes_t fabric_context_id(const fabric_context_t *context);
/** The message's request id, a snowflake. */
FABRIC_PUBLIC uint64_t fabric_context_request_id(const fabric_context_t *context);
/** Which delivery of the message this is: 1, 2, ... as far as the broker knows. */
FABRIC_PUBLIC uint32_t fabric_context_delivery(const fabric_context_t *context);
/** Which attempt: 1 + those used up so far, by defects and by deaths of a process that ran the message alone. */
FABRIC_PUBLIC uint32_t fabric_context_attempt(const fabric_context_t *context);
/** A fencing token: it grows each time the entity's shard gets another home broker or another worker,
 * and is the same while neither changes. */
typedef struct fabric_token {
    uint64_t home_epoch;     /**< counts the home brokers of the shard; decides first */
    uint64_t owner_sequence; /**< counts the workers under one home */
} fabric_token_t;

/** Whether token `a` is older than `b`: what comes under `a` after something came under `b` was sent
 * by a worker that had lost the entity. */
static inline bool fabric_token_less(fabric_token_t a, fabric_token_t b)
{
    return a.home_epoch < b.home_epoch ||
           (a.home_epoch == b.home_epoch && a.owner_sequence < b.owner_sequence);
}

/** The token under which the message was delivered. A worker that froze or was cut off may be replaced
 * while its handler goes on; the fabric refuses what comes of that, but a resource of your own (a
 * table, a file, a device) does not know. Hand it the token with each write, let it remember the
 * highest that it saw for this entity, and let it refuse smaller ones. The lease alone is no
 * protection: it runs out while the handler stands still (C. Gray, D. Cheriton, "Leases", SOSP 1989;
 * M. Kleppmann, "How to do distributed locking", 2016, on fencing tokens). */
FABRIC_PUBLIC fabric_token_t fabric_context_token(const fabric_context_t *context);
/** Whether the message is a durable one. */
FABRIC_PUBLIC bool fabric_context_is_durable(const fabric_context_t *context);
/** The W3C traceparent it came with; empty when none. Valid during the handler. */
FABRIC_PUBLIC fabric_bytes_t fabric_context_traceparent(const fabric_context_t *context);
/** The value of a header; false when there is none. Valid during the handler. */
FABRIC_PUBLIC bool fabric_context_header(const fabric_context_t *context, const char *name,
                                         fabric_bytes_t *value);

/** Sets a typed failure with the entity's own code and a text for people, and returns
 * FABRIC_FAILURE, for `return`. */
FABRIC_PUBLIC fabric_result_t fabric_fail(fabric_context_t *context, uint64_t code,
                                          const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Sets a defect's text and returns FABRIC_DEFECT, for `return`. */
FABRIC_PUBLIC fabric_result_t fabric_defect(fabric_context_t *context, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Makes a handle by which the message is completed later from any thread, exactly once; the
 * handler must then return FABRIC_PENDING. The entity handles no other message until then. Called more
 * than once for a message it makes a defect of it; each handle is to be completed all the same. */
FABRIC_PUBLIC fabric_pending_t *fabric_later(fabric_context_t *context);
/** Completes with a reply (a struct by the reply schema, borrowed for the call; NULL where it is
 * empty). Frees the handle and sets *pending to NULL. Takes NULL inside. */
FABRIC_PUBLIC void fabric_pending_reply(fabric_pending_t **pending, const void *reply);
/** Completes with a typed failure. Frees the handle and sets *pending to NULL. Takes NULL inside. */
FABRIC_PUBLIC void fabric_pending_fail(fabric_pending_t **pending, uint64_t code, const char *text);

/** A worker. Opaque. */
typedef struct fabric_worker fabric_worker_t;

/** Options of a worker; zero means the default. */
typedef struct fabric_worker_options {
    const char *url;          /**< brokers, as for a client; default fabric://127.0.0.1:5700 */
    const char *cluster_name; /**< refuse other clusters; default: any */
    const char *name;         /**< shown in status; default: host and process id */
    uint32_t executors;   /**< threads that run entities; default: number of cores, at most 64 */
    uint32_t weight;      /**< share of the shards compared with other workers; default 100 */
    uint32_t window;      /**< deliveries that may wait here at once; default 16,384 */
    uint32_t grace_ms;    /**< for running handlers, when a shard moves away or the worker stops;
                             default 5,000 */
    bool allow_plaintext; /**< connect to addresses beyond this machine without encryption */
    /** Called for each event worth a log line, on threads of the worker's own or during a call, one at a
     * time; NULL: silent. Codes: worker.defect (of a handler: entity, tag, request id and text; at most 10
     * a second for each executor), worker.waiting, worker.welcomed, worker.disconnected, worker.silent,
     * worker.refused (for good), worker.deferred (will be tried again), worker.malformed,
     * worker.unresolved (a broker's name), worker.plaintext, worker.stuck, worker.invalid. It must not call the worker's functions, nor
     * wait: the worker waits with it, and loses its shards when that lasts. */
    void (*log)(void *context, const char *code, const char *text);
    void *log_context; /**< handed to log */
} fabric_worker_options_t;

/** Makes a worker; nothing is connected yet. `options` may be NULL and is borrowed for the call.
 * INVALID_ARGUMENT, PLAINTEXT_REFUSED, LIMIT_EXCEEDED: the log gets a line that says why, and *worker is
 * NULL, which fabric_worker_destroy() takes. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t
fabric_worker_new(const fabric_worker_options_t *options, fabric_worker_t **worker);
/** Adds an entity type, before start. INVALID_ARGUMENT for a description that breaks a rule or a
 * name that is there; the log gets a line that says which. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_worker_add(fabric_worker_t *worker,
                                                               const fabric_entity_type_t *type);
/** Starts its threads and connects in the background, trying until a broker answers; returns at
 * once. INVALID_ARGUMENT without an entity type, or when it was started before; NO_RESOURCES, of which the log gets a line
 * that says more. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_worker_start(fabric_worker_t *worker);
/** Waits until a broker has welcomed the worker: OK, TIMEOUT, or the error of the last refusal
 * (FOREIGN_CLUSTER, TYPE_CONFLICT, UNSUPPORTED_VERSION). `text` (may be NULL) gets the line of the last
 * refusal, also of one that is no final word, and nothing where no broker has said anything. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_worker_wait_ready(fabric_worker_t *worker,
                                                                      uint32_t timeout_ms,
                                                                      char *text, size_t text_size);
/** Gives the shards back, lets running handlers end within the grace time, disconnects and ends the
 * threads. Returns about three seconds after the grace time at the latest: a handler that has not
 * returned by then is left behind with its thread, and the program should end. */
FABRIC_PUBLIC void fabric_worker_stop(fabric_worker_t *worker);
/** Stops if need be, frees the worker and sets *worker to NULL. Takes NULL inside. */
FABRIC_PUBLIC void fabric_worker_destroy(fabric_worker_t **worker);

/** Numbers about a worker since its start. */
typedef struct fabric_worker_stats {
    uint64_t handled;  /**< handlers that ended */
    uint64_t defects;  /**< of these, defects */
    uint64_t entities; /**< entities in memory now */
    uint64_t shards;   /**< shards owned now */
    uint64_t dropped;  /**< what brokers sent and could not be read or came too late, and results of
                          connections that are gone */
} fabric_worker_stats_t;
/** Not while fabric_worker_stop() runs on another thread. */
FABRIC_PUBLIC void fabric_worker_stats(const fabric_worker_t *worker, fabric_worker_stats_t *stats);

/** The number that changes whenever modules must be built anew. */
#define FABRIC_MODULE_ABI 1

/** What a module file exports under the name `fabric_module`. */
typedef struct fabric_module {
    uint32_t abi;                             /**< FABRIC_MODULE_ABI */
    const fabric_entity_type_t *const *types; /**< ends with NULL */
} fabric_module_t;

/** Exports entity types from a module: FABRIC_MODULE(&counter_type, &order_type); */
#define FABRIC_MODULE(...)                                                                         \
    static const fabric_entity_type_t *const fabric_module_types[] = {__VA_ARGS__, NULL};          \
    FABRIC_PUBLIC extern const fabric_module_t fabric_module;                                      \
    const fabric_module_t fabric_module = {FABRIC_MODULE_ABI, fabric_module_types}

/** An entity alone, without a cluster, for tests of entity code. Opaque. */
typedef struct fabric_entity_test fabric_entity_test_t;
/** Makes one entity on the calling thread; it starts with its first message. NULL, and a line on
 * standard error, for a description that breaks a rule or an id that is not 1-255 bytes. */
FABRIC_PUBLIC fabric_entity_test_t *fabric_entity_test_new(const fabric_entity_type_t *type,
                                                           const char *id);
/** Hands it one message and returns what its handler returned; a FABRIC_PENDING is waited for.
 * `code` and `text` (each may be NULL) get a failure's, `text` a defect's too. Request and reply
 * pass through their schemas, as in a cluster: what does not fit is a FABRIC_DEFECT. */
FABRIC_PUBLIC fabric_result_t fabric_entity_test_handle(fabric_entity_test_t *test,
                                                        const fabric_message_type_t *message,
                                                        const void *request, void *reply,
                                                        uint64_t *code, char *text,
                                                        size_t text_size);
/** Stops the entity and frees it. */
FABRIC_PUBLIC void fabric_entity_test_destroy(fabric_entity_test_t **test);

#ifdef __cplusplus
}
#endif
#endif
