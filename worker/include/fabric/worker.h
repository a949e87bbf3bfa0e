/** @file
 * The worker: runs entities. An entity is a few C functions over a state struct, described by a
 * table. Entities are built as a module for `fabric-worker --module FILE.so`, or run by a worker
 * in a program of your own. See <fabric/testing.h> for tests of an entity alone.
 *
 * @code{.c}
 * #include <fabric/worker.h>
 *
 * typedef struct counter {
 *     int64_t value;
 * } counter_t;
 *
 * static fabric_result_t increment(fabric_context_t *context, void *state, const void *request,
 *                                  void *reply)
 * {
 *     counter_t *counter = (counter_t *)state;
 *     const counter_increment_request_t *by = (const counter_increment_request_t *)request;
 *     if (by->amount < 0) {
 *         return fabric_fail(context, 1, "a counter only grows");
 *     }
 *     counter->value += by->amount;
 *     ((counter_value_t *)reply)->value = counter->value;
 *     return FABRIC_REPLY;
 * }
 *
 * static const fabric_handler_t handlers[] = {{&counter_increment, increment}};
 * static const fabric_entity_type_t counter_type = {
 *     .name = "Counter",
 *     .state_size = sizeof(counter_t),
 *     .handlers = handlers,
 *     .handler_count = 1,
 * };
 *
 * // In a module:
 * FABRIC_MODULE(&counter_type);
 *
 * // Or in a program of your own:
 * static fabric_error_t run_counters(const char *url, void (*wait_for_the_end)(void))
 * {
 *     static const fabric_entity_type_t *const types[] = {&counter_type, NULL};
 *     fabric_worker_t *worker;
 *     fabric_outcome_t outcome;
 *     fabric_error_t error = fabric_worker_open(url, types, NULL, &worker, &outcome);
 *     if (error) {
 *         fprintf(stderr, "%s: %s\n", fabric_error_name(error), outcome.text);
 *         return error;
 *     }
 *     wait_for_the_end();
 *     fabric_worker_close(&worker);
 *     return FABRIC_OK;
 * }
 * @endcode
 *
 * Rules:
 *  1. All handlers of one entity run one after another on one executor thread; handlers of
 *     different entities run at the same time. A handler that blocks holds up the entities of its
 *     executor: return FABRIC_PENDING for what takes long. An entity's next message begins when no
 *     handler of it is pending, unless its type has a larger concurrency, or names the message as
 *     concurrent. Results of such a type come in the order in which its handlers end. Only
 *     handlers touch the state then, and only until they return: others run before the handle is
 *     completed. A defect ends the state at once; messages whose handlers are pending are handled
 *     again if they are durable, and end as unknown otherwise.
 *  2. Before the first handler the state is zeroed and `build` is called. It may fail, and is then
 *     called again later. `stop` and the instance's finalizers are called when the entity has been
 *     idle for idle_ms, when its shard moves away, after a defect, when other entities need its
 *     room (`residents` of the options), after fabric_context_terminate(), and when the worker
 *     stops. The state lives in the worker's memory and is gone afterwards, unless its type is
 *     persisted or has events, see rules 12 and 13. See <fabric/instance.h>.
 *  3. A durable message is handled at least once: fabric_context_delivery() > 1 tells that this may
 *     not be the first time.
 *  4. A failure is an answer: the entity goes on, and whoever sends the message again under its key
 *     gets the same failure. A typed failure (fabric_fail_with) is one of those that the message
 *     type declares, with values; any other (fabric_fail) has a code and a text. A defect
 *     (fabric_defect) ends the entity's state. A durable message is then tried again on fresh
 *     state; a volatile one fails.
 *  5. Request and reply structs belong to the worker and are valid until the handler returns, and
 *     so are the request's views. The reply is zeroed before. What its views point to must be there
 *     when the handler returns: state, constants, the request, or fabric_context_allocate().
 *  6. A context belongs to its handler's call and thread; only a fabric_pending_t may go elsewhere.
 *  7. A worker belongs to the process that opened it. In a child of fork()
 *     fabric_worker_wait_ready() returns FABRIC_ERROR_INVALID_ARGUMENT, fabric_worker_stop() does
 *     nothing, fabric_worker_close() sets *worker to NULL and does nothing else, and the numbers
 *     are zeroes: the parent's worker goes on. The child may open a worker of its own. A child that
 *     a handler forks must not touch the message.
 *  8. No function of a worker is a cancellation point: a thread that is cancelled (pthread_cancel)
 *     while it is inside a function first returns from it.
 *  9. Workers may bring different entity types: each type's entities are shared out among the
 *     workers that bring the type.
 *  10. The log callback of the options is called on threads of the worker and inside
 *      fabric_worker_stop() and fabric_worker_close(), one event at a time, and never after
 *      fabric_worker_close() has returned, unless a handler did not return. It must not call
 *      functions of the worker, nor wait: the worker waits with it, and loses its shards when that
 *      lasts.
 *  11. The library prints nothing.
 *  12. A type with `persisted` state: an instance begins with the state that was stored last, and
 *      `build` is called only where none is. After each message the worker looks whether the
 *      handler has changed what the schema describes. If so, the new state is stored together with
 *      the reply and the end of the message, all or nothing; a message that only reads writes
 *      nothing. Only a reply stores: after a failure, typed or not, or a cancel, the state is as it
 *      was before the message. If the handler has changed it, another instance handles the next
 *      message. After a defect, and where what was answered was not stored, the next instance has
 *      the state that was stored last. Only durable messages may change the state: a volatile one
 *      that does ends with a defect. A handler that returned FABRIC_PENDING has changed the state
 *      before that, if at all. A state has at most as many bytes as a payload (1 MiB), encoded; one
 *      that does not fit makes a defect of its message. One handler of an entity runs at a time:
 *      such a type has neither a larger concurrency nor concurrent messages.
 *  13. A type with `events`: a handler appends what has happened by fabric_context_append(), and
 *      the state is what the events make of it, in their order. Nothing else may change the state,
 *      which nobody checks but <fabric/testing.h>: an instance begins with what `build` makes, or
 *      with a snapshot, and then `apply` is called for each event of the entity that is not in it.
 *      So `build` always makes the same. The events of a message are stored together with its reply
 *      and its end, all or nothing, and stay for ever. Only a reply to a durable message stores
 *      any: after a failure, typed or not, a cancel or a defect there are none of that message, and
 *      where it had appended some, another instance handles the next message. A volatile message
 *      that replies and has appended some ends with a defect. A handler that returned
 *      FABRIC_PENDING has appended before that, if at all. Events and reply of a message have
 *      almost 4 MiB together, encoded; what is more makes a defect of it. Such a type is not
 *      persisted, and has neither a larger concurrency nor concurrent messages.
 */
#ifndef FABRIC_WORKER_H
#define FABRIC_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>
#include <fabric/error.h>
#include <fabric/instance.h>
#include <fabric/log.h>
#include <fabric/message_type.h>
#include <fabric/outcome.h>
#include <fabric/schema.h>
#include <fabric/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a handler is told about the message at hand. Opaque. */
typedef struct fabric_context fabric_context_t;

/** A handle by which a message is answered after its handler has returned. Opaque. */
typedef struct fabric_pending fabric_pending_t;

/** What a handler returns. */
typedef enum fabric_result {
    FABRIC_REPLY = 0,       /**< done: the reply struct is the answer */
    FABRIC_FAILURE = 1,     /**< a failure was set by fabric_fail_with() or fabric_fail() */
    FABRIC_DEFECT = 2,      /**< the handler broke; see fabric_defect() */
    FABRIC_PENDING = 3,     /**< the handle of fabric_later() will be completed */
    FABRIC_INTERRUPTED = 4, /**< it has stopped because of fabric_context_interrupt() */
    FABRIC_WAITING = 5      /**< it waits for the answers to its asks, see <fabric/ask.h> */
} fabric_result_t;

/** Handles one message. `state` is the entity's state; `request` and `reply` are structs by the
 *  message type's schemas (NULL where the schema is empty). */
typedef fabric_result_t fabric_handle_fn(fabric_context_t *context, void *state,
                                         const void *request, void *reply);

/** One message that an entity type handles. */
typedef struct fabric_handler {
    const fabric_message_type_t *message; /**< what it handles */
    fabric_handle_fn *handle;             /**< how */
} fabric_handler_t;

/** What becomes of an entity whose first durable message fails: its handler breaks (a defect), or
 *  ends its process (a crash). The messages behind it never overtake it. */
typedef enum fabric_on_failure {
    /** It is tried again after a pause: 0.5 s, and half as long again after each failure, up to
     *  10 s (`backoff_ms`, `backoff_max_ms` of the broker). After 10 defects or 3 crashes
     *  (`attempts_max`, `crashes_max`) it becomes a dead letter. */
    FABRIC_BLOCK = 0,
    /** The same, but after the last attempt the entity is parked: the message stays, those behind
     *  it wait, and an operator resumes the entity: fabricctl entity resume TYPE ID. Then the
     *  message has all its attempts again. */
    FABRIC_PARK = 1,
    /** It becomes a dead letter at its first failure, and the next message has its turn. */
    FABRIC_SKIP = 2
} fabric_on_failure_t;

/** As the bound of an option that says so: there is none. */
#define FABRIC_UNBOUNDED UINT32_MAX

/** Makes the state of a persisted type of what an older version of the type has stored: `version`
 *  is its state_version, and `stored` its payload, by the schema that the type had then
 *  (fabric_schema_decode()). The state is zeroed before. false: it cannot be read; see
 *  fabric_build_failed(). */
typedef bool fabric_migrate_fn(fabric_instance_t *instance, uint32_t version, fabric_bytes_t stored,
                               void *state);

/** Changes the state by one event, a struct by the event's schema (NULL where that is empty), which
 *  is valid during the call, as is what its views point to. It always does the same with the same
 *  state and event, and cannot fail: it reads no clock, sends nothing, and refuses nothing, as the
 *  event has happened. */
typedef void fabric_apply_fn(void *state, const void *event);

/** One kind of event that entities of a type append. */
typedef struct fabric_event_type {
    const char *tag;               /**< what has happened: 1-255 bytes, such as "Deposited" */
    uint32_t version;              /**< of the tag's schema, larger for newer ones */
    const fabric_schema_t *schema; /**< of its struct; &fabric_schema_empty: it has no values */
    fabric_apply_fn *apply;        /**< what it does to the state */
} fabric_event_type_t;

/** As snapshot_every of an entity type: there are no snapshots. */
#define FABRIC_NO_SNAPSHOTS UINT32_MAX

/** An entity type. Constant data that must stay valid while a worker uses it; zero means the
 *  default. */
typedef struct fabric_entity_type {
    const char *name;  /**< 1-255 bytes */
    const char *group; /**< shard group, see rule 9; default "default" */
    size_t state_size; /**< sizeof the state struct; 0: no state, and handlers get NULL */
    /** Sets the initial state, see <fabric/instance.h>. NULL: zeroes are the initial state. */
    fabric_build_fn *build;
    /** Ends the state, before the finalizers of the instance. May be NULL. `id` is valid during the
     *  call. */
    void (*stop)(void *state, fabric_bytes_t id);
    const fabric_handler_t *handlers; /**< its messages */
    size_t handler_count;             /**< at most 128 */
    /** Messages of one entity that may wait or be handled at once in its broker's memory; default
     *  4,096. A volatile message to a full mailbox ends with MAILBOX_FULL at once. At most so many
     *  durable ones are in memory; the others wait in the store, and come in order when there is
     *  room. */
    uint32_t mailbox_capacity;
    /** An entity without messages for so long is stopped; default 60,000. */
    uint32_t idle_ms;
    /** A handler that takes longer is slow: it is told in the log (worker.slow) and counted, once.
     *  The time counts from its start until it has returned, or until the handle of fabric_later()
     *  was completed. Nothing else follows from it. Default 30,000; FABRIC_NEVER_SLOW: no handler
     *  of the type is. */
    uint32_t slow_ms;
    /** How many handlers of one entity may be pending at once: its next message begins while there
     *  are fewer. See rule 1. All workers that bring the type should say the same. Default 1;
     *  FABRIC_UNBOUNDED: any number. */
    uint32_t concurrency;
    /** Those of its messages whose handlers may begin while others of their entity are pending,
     *  however many: they wait for none of them, and do not count in the concurrency. See rule 1.
     *  The list ends with NULL; NULL: none. */
    const fabric_message_type_t *const *concurrent;
    /** Which interrupts its handlers do not hear of: a sum of FABRIC_UNINTERRUPTIBLE_BY_CALLERS and
     *  FABRIC_UNINTERRUPTIBLE_BY_STOPS. A message that waits may be cancelled in any case. Default
     *  0: none. */
    uint32_t uninterruptible;
    /** What becomes of an entity whose first message fails; default FABRIC_BLOCK. All workers that
     *  bring the type should say the same, here and in the next line. */
    fabric_on_failure_t on_failure;
    /** A defect is the answer to its message: the caller gets ENTITY_DEFECT, and a durable message
     *  is not tried again, nor kept as a dead letter. `on_failure` is then about crashes only. */
    bool defects_to_caller;
    /** For how long a primary key of its messages stands, with the reply, after its message has
     *  ended, in milliseconds; at most a year. 0: as the brokers are configured (key_retention_ms,
     *  24 hours). All workers that bring the type should say the same. */
    uint64_t key_retention_ms;
    /** Schema of the state struct, of a persisted type, see rule 12, or of the snapshots of one
     *  with events; else NULL. Its size is state_size, and it has no views. Fields may be added to
     *  its end, optional or with a default, which they have where the stored state is older. */
    const fabric_schema_t *state;
    /** The state survives: it is stored with the reply of each message that has changed it, and is
     *  loaded when an instance begins. See rule 12. All workers that bring the type must say the
     *  same. */
    bool persisted;
    /** Version of the state's schema, larger for newer ones: for changes that `state` cannot read
     *  by itself. A worker does not build an entity whose stored state is of a larger version. */
    uint32_t state_version;
    /** Reads a stored state of a smaller version. NULL: such an entity is not built. */
    fabric_migrate_fn *migrate;
    /** Is called in the place of `build` for an instance whose state, or snapshot, was loaded, for
     *  what is not stored: members that the schema does not have, which are zeroed, finalizers and
     *  resources. May be NULL. */
    fabric_build_fn *restore;
    /** The events that its entities append, see rule 13; NULL: they append none. A row stays as
     *  long as such events exist, which is for ever: fields may be added to the end of its schema,
     *  optional or with a default; any other change is a row of its own, with the same tag and a
     *  larger version, or another tag. An entity with an event that has no row is not built. */
    const fabric_event_type_t *events;
    size_t event_count; /**< at most 512 */
    /** With a schema of the state: after so many events the state as it is then is stored as well,
     *  so that building an instance applies about that many at most. It saves time, and nothing
     *  else. A snapshot with another state_version is passed over: whatever changes what events
     *  make of the state, a field more or another apply function, needs another state_version.
     *  Default 100; FABRIC_NO_SNAPSHOTS: none. Without a schema of the state there are none. */
    uint32_t snapshot_every;
    /** Handlers of its durable messages tell other entities by durable messages, which are stored
     *  with the reply: see rule 9 of <fabric/ask.h>. Once a worker has said so of a type, brokers
     *  take it as true of the type. */
    bool tells;
} fabric_entity_type_t;

/** A handler of the type goes on when its caller cancels the call. */
#define FABRIC_UNINTERRUPTIBLE_BY_CALLERS 1u
/** A handler of the type is not told when its worker stops or its shard moves away. */
#define FABRIC_UNINTERRUPTIBLE_BY_STOPS 2u

/** As slow_ms of an entity type: its handlers may take any time. */
#define FABRIC_NEVER_SLOW UINT32_MAX

/** The entity's type. Valid during the handler. */
FABRIC_PUBLIC
fabric_bytes_t fabric_context_type(const fabric_context_t *context);

/** The entity's id. Valid during the handler. */
FABRIC_PUBLIC
fabric_bytes_t fabric_context_id(const fabric_context_t *context);

/** The message's request id, a snowflake. */
FABRIC_PUBLIC
uint64_t fabric_context_request_id(const fabric_context_t *context);

/** A key for what the handler has done outside of the fabric, such as a payment service's
 *  idempotency key: the same in every delivery and attempt of this message, and for every call that
 *  is answered by it; another one for every other message of every cluster.
 *
 *  `name` tells several effects of one message apart: "charge", "mail". It is the key's end, behind
 *  50 bytes of printable ASCII, so keep it short: many services take 255 bytes at most. A handler
 *  that has the same effect more than once puts a number into the name, the same one in each
 *  attempt. The key is valid during the handler, as what fabric_context_allocate() returns. */
FABRIC_PUBLIC
const char *fabric_context_effect_key(fabric_context_t *context, const char *name);

/** Which delivery of the message this is: 1, 2, ... as far as the broker knows. */
FABRIC_PUBLIC
uint32_t fabric_context_delivery(const fabric_context_t *context);

/** Which attempt this is: 1 + those used up so far, by defects and by crashes of a worker process
 *  that the message is known to have caused. */
FABRIC_PUBLIC
uint32_t fabric_context_attempt(const fabric_context_t *context);

/** A fencing token: it grows each time the entity's shard gets another home broker or another
 *  worker, and is the same while neither changes. */
typedef struct fabric_token {
    uint64_t home_epoch;     /**< counts the home brokers of the shard; decides first */
    uint64_t owner_sequence; /**< counts the workers under one home */
} fabric_token_t;

/** Whether token `a` is older than `b`: what comes under `a` after something came under `b` was
 *  sent by a worker that had lost the entity. */
static inline bool fabric_token_less(fabric_token_t a, fabric_token_t b)
{
    return a.home_epoch < b.home_epoch ||
           (a.home_epoch == b.home_epoch && a.owner_sequence < b.owner_sequence);
}

/** The token under which the message was delivered.
 *
 *  A worker that froze or was cut off may be replaced while its handler goes on. The fabric refuses
 *  what comes of that, but a resource of your own (a table, a file, a device) does not know. Hand
 *  the token to the resource with each write, let the resource remember the highest token that it
 *  saw for this entity, and let it refuse smaller ones. The lease alone is no protection: it runs
 *  out while the handler stands still (C. Gray, D. Cheriton, "Leases", SOSP 1989; M. Kleppmann,
 *  "How to do distributed locking", 2016, on fencing tokens). */
FABRIC_PUBLIC
fabric_token_t fabric_context_token(const fabric_context_t *context);

/** Whether the message is a durable one. */
FABRIC_PUBLIC
bool fabric_context_is_durable(const fabric_context_t *context);

/** The connection of a transactional message's handler: a MYSQL * of the client library that
 *  fabric-worker uses, with an open transaction (isolation READ COMMITTED, strict SQL mode,
 *  character set binary). Valid until the handler returns. A reply commits it; everything else
 *  rolls it back. The handler reads all results of its statements. It must not end the transaction,
 *  by COMMIT, ROLLBACK or a statement that commits by itself, nor close the connection, nor change
 *  the default database (USE) or the session's settings, which later handlers would get, nor be
 *  silent towards the database for two seconds. NULL for other messages. */
FABRIC_PUBLIC
void *fabric_context_mysql(const fabric_context_t *context);

/** The W3C traceparent of the message; empty when there is none. Valid during the handler. */
FABRIC_PUBLIC
fabric_bytes_t fabric_context_traceparent(const fabric_context_t *context);

/** The caller waits as long as the handler takes, as far as the worker knows. */
#define FABRIC_NO_DEADLINE UINT64_MAX

/** For how many milliseconds the caller would still wait when the handler began: 0, and it waits no
 *  more; FABRIC_NO_DEADLINE. It is meant for the timeout_ms of calls that the handler makes. A
 *  volatile message whose deadline is over is not begun, nor is a durable one whose caller gives up
 *  at its deadline (cancel_at_deadline). Other durable messages are handled all the same. After a
 *  change of the home broker the deadline of a durable message is not known until its caller has
 *  asked again. */
FABRIC_PUBLIC
uint64_t fabric_context_left_ms(const fabric_context_t *context);

/** The value of a header; false when there is none. Valid during the handler. */
FABRIC_PUBLIC
bool fabric_context_header(const fabric_context_t *context, const char *name,
                           fabric_bytes_t *value);

/** Why a handler is to stop. */
typedef enum fabric_interrupt {
    FABRIC_NOT_INTERRUPTED = 0,
    /** The caller has cancelled the call (fabric_client_cancel()). */
    FABRIC_INTERRUPT_CANCEL = 1,
    /** The entity's shard moves to another worker, or this one stops. The handler may go on for the
     *  grace time; what it answers within it counts. Or the home broker has changed, and the entity
     *  begins anew with its persisted state: what a handler that is pending answers counts for
     *  nobody then, and its message is handled again. */
    FABRIC_INTERRUPT_STOP = 2
} fabric_interrupt_t;

/** Is told once that a handler is to stop. See fabric_context_on_interrupt(). */
typedef void fabric_interrupt_fn(void *argument, fabric_interrupt_t why);

/** Whether the handler is to stop, and why; to be asked now and then by a handler that takes long.
 *  The worker ends no handler by force: one that goes on answers as always, and its answer counts.
 *  One that stops returns FABRIC_INTERRUPTED. Its call has then ended as cancelled
 *  (FABRIC_INTERRUPT_CANCEL), for good; or it has no result (FABRIC_INTERRUPT_STOP): a durable
 *  message is handled again, by another worker as a rule, and the outcome of a volatile one is
 *  unknown. Where both reasons apply, it is the caller's. What the handler has changed in the
 *  entity's state stays, unless rule 12 or 13 takes it back. FABRIC_INTERRUPTED without an
 *  interrupt is a defect. */
FABRIC_PUBLIC
fabric_interrupt_t fabric_context_interrupt(const fabric_context_t *context);

/** Has a function called when the handler is to stop: once, maybe at once, on a thread of the
 *  worker, while the handler runs. It is not called after the handler has returned, and the handler
 *  does not return while it runs; so the handler must not hold a lock that it takes when it
 *  returns. It is to be short: the worker waits for it. A second call replaces the first. */
FABRIC_PUBLIC
void fabric_context_on_interrupt(fabric_context_t *context, fabric_interrupt_fn *call,
                                 void *argument);

/** Zeroed memory, aligned as malloc() aligns, for what the reply's views point to. The worker frees
 *  it when the handler has returned and its reply is encoded. */
FABRIC_PUBLIC
void *fabric_context_allocate(fabric_context_t *context, size_t size);

/** The entity's instance, for the functions of <fabric/instance.h>. Valid during the handler. */
FABRIC_PUBLIC
fabric_instance_t *fabric_context_instance(fabric_context_t *context);

/** Whether the entity keeps itself alive, from now until it says otherwise or terminates itself.
 *  While it does, it is not stopped when it is idle, and it comes back by itself, without a
 *  message, whenever its instance has ended otherwise: on another worker when this one stops, dies
 *  or loses the shard, and on this one after a defect. Its build function then finds a fresh state.
 *  Messages come first: where a message needs room and no other resident rests, the one that keeps
 *  itself alive and has rested longest is stopped (worker.evicted), and comes back when there is
 *  room.
 *
 *  The wish is stored: for a durable message before its result is, so that who has the reply can
 *  rely on it; for a volatile message some milliseconds after the handler has returned. It holds
 *  also where the handler then fails or breaks. A worker that has no room for an instance (see
 *  `residents`), or whose build function fails, is asked again, after pauses of up to 10 s; an
 *  entity on whose building three workers in a row have died waits for its next message. Up to
 *  100,000 entities of each lane are kept alive; the broker refuses, and counts, what is beyond. */
FABRIC_PUBLIC
void fabric_context_keep_alive(fabric_context_t *context, bool keep);

/** Appends an event to the history of the entity, whose type has `events`: a struct by the schema
 *  of the tag's row, the one of the largest version where there are several (NULL where the schema
 *  is empty). The event is encoded and applied before the function returns, so the handler sees the
 *  state with it. It is stored with the reply, see rule 13. An event that the type does not have,
 *  or that does not fit its schema or the record, makes a defect of the message, whatever the
 *  handler returns. */
FABRIC_PUBLIC
void fabric_context_append(fabric_context_t *context, const char *tag, const void *event);

/** Ends the entity's state after this message: when the handler has returned, or its handle was
 *  completed, the entity is stopped. Its next message finds a fresh instance. An entity that kept
 *  itself alive does so no more; its resources stay. */
FABRIC_PUBLIC
void fabric_context_terminate(fabric_context_t *context);

/** Sets a typed failure, and returns FABRIC_FAILURE, for `return`: the one of the message type's
 *  `failures` that has this number, with its values, a struct by its schema (NULL where the schema
 *  is empty). The values are encoded before the function returns. A number that is not declared,
 *  or a value that does not fit the schema, makes the message end with MALFORMED_MESSAGE, as a
 *  reply that does not fit does; the entity goes on. */
FABRIC_PUBLIC
fabric_result_t fabric_fail_with(fabric_context_t *context, int32_t number, const void *values);

/** Sets a failure with the entity's own code and a text for people, and returns FABRIC_FAILURE, for
 *  `return`. */
FABRIC_PUBLIC
FABRIC_PRINTF(3, 4)
fabric_result_t fabric_fail(fabric_context_t *context, uint64_t code, const char *format, ...);

/** Sets a defect's text and returns FABRIC_DEFECT, for `return`. */
FABRIC_PUBLIC
FABRIC_PRINTF(2, 3)
fabric_result_t fabric_defect(fabric_context_t *context, const char *format, ...);

/** Makes a handle by which the message is completed later from any thread, exactly once. The
 *  handler must then return FABRIC_PENDING, and the entity handles no other message until the
 *  handle is completed, but for those of rule 1. A second call for the same message makes a defect
 *  of it; each handle is to be completed all the same. */
FABRIC_PUBLIC
fabric_pending_t *fabric_later(fabric_context_t *context);

/** Completes with a reply (a struct by the reply schema, borrowed for the call; NULL where the
 *  schema is empty). Frees the handle and sets *pending to NULL. *pending may be NULL. */
FABRIC_PUBLIC
void fabric_pending_reply(fabric_pending_t **pending, const void *reply);

/** Completes with a typed failure: see fabric_fail_with(). Frees the handle and sets *pending to
 *  NULL. *pending may be NULL. */
FABRIC_PUBLIC
void fabric_pending_fail_with(fabric_pending_t **pending, int32_t number, const void *values);

/** Completes with a failure that has a code and a text. Frees the handle and sets *pending to NULL.
 *  *pending may be NULL. */
FABRIC_PUBLIC
void fabric_pending_fail(fabric_pending_t **pending, uint64_t code, const char *text);

/** Whether the handler is to stop, as fabric_context_interrupt(), once it has returned
 *  FABRIC_PENDING. Any thread that has the handle. */
FABRIC_PUBLIC
fabric_interrupt_t fabric_pending_interrupt(const fabric_pending_t *pending);

/** As fabric_context_on_interrupt(), from the time on at which the handler has returned
 *  FABRIC_PENDING until the handle is completed. The function is called on a thread of the worker,
 *  or at once on this one, and may complete the handle. Where another thread completes the handle,
 *  it waits until the function has returned; so it must not hold a lock that the function takes. */
FABRIC_PUBLIC
void fabric_pending_on_interrupt(fabric_pending_t *pending, fabric_interrupt_fn *call,
                                 void *argument);

/** Completes as FABRIC_INTERRUPTED: the handler has stopped because of fabric_pending_interrupt().
 *  Frees the handle and sets *pending to NULL. *pending may be NULL. */
FABRIC_PUBLIC
void fabric_pending_interrupted(fabric_pending_t **pending);

/** A worker. Opaque. */
typedef struct fabric_worker fabric_worker_t;

/** Options of a worker; zero means the default everywhere. */
typedef struct fabric_worker_options {
    const char *cluster_name; /**< refuse other clusters; default: any */
    const char *name;         /**< shown in status; default: host and process id */
    /** How long fabric_worker_open() waits for a broker; default 5,000. FABRIC_CONNECT_LATER: it
     *  does not wait. */
    uint32_t connect_timeout_ms;
    uint32_t executors; /**< threads that run entities; default: number of cores, at most 64 */
    uint32_t weight;    /**< share of the shards compared with other workers; default 100 */
    uint32_t window;    /**< deliveries that may wait here at once; default 16,384 */
    /** Entities that may have state at once, shared out evenly among the executors, of which there
     *  are no more than that. At the bound the entity that has rested longest is stopped to make
     *  room for another; one rests while it has no message, no pending handler and no resource.
     *  Those that keep themselves alive are stopped after all others. While none rests, a volatile
     *  message to another entity ends with MAILBOX_FULL, and a durable one waits. Default 10,000;
     *  FABRIC_UNBOUNDED: any number. */
    uint32_t residents;
    /** Version of the program, larger for newer ones: what a worker of some version has run moves
     *  to one of a smaller version only where no worker that brings the entity type has an equal or
     *  larger one. Default 0, below all others. */
    uint64_t app_version;
    /** Time for running handlers, when a shard moves away or the worker stops; default 5,000. */
    uint32_t grace_ms;
    /** An executor whose present handler (or build or stop function of an entity) has taken longer
     *  than this counts as stuck: what waits for it waits on. It is told in the log and to the
     *  brokers, whose status shows the worker as stuck; nothing else follows from it. A handler
     *  that returned FABRIC_PENDING does not hold its executor. Default 10,000. */
    uint32_t stuck_ms;
    bool allow_plaintext; /**< connect to addresses beyond this machine without encryption */
    /** Is told of each event worth a log line, see rule 10; NULL: nobody is. The codes:
     *  - worker.welcomed (info): a broker has taken the worker in;
     *  - worker.waiting (warn): no broker has taken the worker in for a while;
     *  - worker.disconnected (warn): a connection to a broker that had welcomed the worker is lost;
     *  - worker.silent (warn): a broker was not heard for a lease, and its shards are given up;
     *  - worker.deferred (warn): a broker refused the worker at present; the worker tries again;
     *  - worker.refused (error): a broker refused the worker and will refuse it again;
     *  - worker.defect (warn): a handler broke, or a build failed: entity, tag, request id, text.
     *    At most 10 events a second are told for each executor; the next one says how many were
     *    left out;
     *  - worker.malformed (warn): a broker sent what the protocol does not allow, and it was
     *    dropped;
     *  - worker.unresolved (warn): the host name of a broker cannot be looked up;
     *  - worker.plaintext (warn): the map names a broker beyond this machine, and allow_plaintext
     *    is not set;
     *  - worker.stuck (warn): a handler has not returned for stuck_ms: the executor's number,
     *    entity, tag and request id; or one did not return while the worker stopped;
     *  - worker.recovered (info): an executor that was stuck goes on;
     *  - worker.slow (warn): a handler takes, or took, longer than slow_ms of its entity type:
     *    entity, tag, request id and for how long. At most 10 events a second are told for each
     *    executor; the next one says how many were left out;
     *  - worker.evicted (warn): all residents but entities that keep themselves alive have
     *    something to do, and the one of those that has rested longest made room for a message. At
     *    most 10 events a second, as above. */
    fabric_log_fn *log;
    void *log_context; /**< given to log */
} fabric_worker_options_t;

/** Opens a worker that runs some entity types, and waits until a broker has welcomed it; see
 *  <fabric/outcome.h> for the life cycle.
 *
 *  `url` is fabric://h1:5700,h2:5700, or ZeroMQ endpoints separated by commas. Host names are
 *  looked up in the background each time a connection is begun anew. `types` ends with NULL and is
 *  borrowed for the call; the entity types themselves must stay valid. `options` may be NULL and is
 *  borrowed for the call. `outcome` may be NULL. On an error its text says what went wrong, and
 *  *worker is NULL, which fabric_worker_close() takes.
 *
 *  INVALID_ARGUMENT (an option or an entity type breaks a rule, two types have the same name, or
 *  there is none), PLAINTEXT_REFUSED, LIMIT_EXCEEDED (too many brokers or types), NO_RESOURCES (the
 *  process has no more descriptors or threads), and the errors of fabric_worker_wait_ready(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_worker_open(const char *url, const fabric_entity_type_t *const *types,
                                  const fabric_worker_options_t *options, fabric_worker_t **worker,
                                  fabric_outcome_t *outcome);

/** Waits until a broker has welcomed the worker since it was opened, or one has refused it for
 *  good, at most for `timeout_ms`. `outcome` may be NULL.
 *
 *  FOREIGN_CLUSTER, TYPE_CONFLICT, UNSUPPORTED_VERSION and others: refused for good. NOT_CONNECTED:
 *  no broker has welcomed it in time; or instead the error by which one refuses it at present, such
 *  as BUSY. CLOSED after fabric_worker_stop(). INVALID_ARGUMENT in a child of fork(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_worker_wait_ready(fabric_worker_t *worker, uint32_t timeout_ms,
                                        fabric_outcome_t *outcome);

/** Gives the shards back, lets running handlers end within the grace time, disconnects and ends the
 *  threads; the numbers can still be read. For programs that want to know these:
 *  fabric_worker_close() stops a worker, too. Returns about three seconds after the grace time at
 *  the latest: a handler that has not returned by then is left behind with its thread, and the
 *  program should end. */
FABRIC_PUBLIC
void fabric_worker_stop(fabric_worker_t *worker);

/** Stops the worker unless it is stopped, frees it and sets *worker to NULL. *worker may be
 *  NULL. */
FABRIC_PUBLIC
void fabric_worker_close(fabric_worker_t **worker);

/** Numbers about a worker since it was opened. */
typedef struct fabric_worker_stats {
    uint64_t handled;  /**< handlers that ended */
    uint64_t defects;  /**< of these, defects */
    uint64_t slow;     /**< handlers that took longer than slow_ms of their entity type */
    uint64_t evicted;  /**< instances of entities that keep themselves alive, to make room */
    uint64_t entities; /**< entities in memory now */
    uint64_t shards;   /**< ownerships now: entity types of shards */
    /** Messages of brokers that could not be read or came too late, and results of connections that
     *  are gone. */
    uint64_t dropped;
} fabric_worker_stats_t;

/** Reads a worker's numbers. Not while fabric_worker_stop() runs on another thread. */
FABRIC_PUBLIC
void fabric_worker_stats(const fabric_worker_t *worker, fabric_worker_stats_t *stats);

/** The number that changes whenever modules must be built anew. */
#define FABRIC_MODULE_ABI 9

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

#ifdef __cplusplus
}
#endif
#endif
