/** @file
 * Messages of entities to other entities. An entity is addressed by its name; where it lives does
 * not matter.
 *
 * A handler asks, returns, and goes on in another function when the answer is there. Meanwhile its
 * executor runs other entities.
 *
 * @code{.c}
 * #include <fabric/ask.h>
 *
 * // Asks the counter that the request names, and replies with its value.
 * static fabric_result_t counted(fabric_context_t *context, void *state, const void *request,
 *                                const fabric_answer_t *answer, void *reply)
 * {
 *     (void)state;
 *     (void)request;
 *     if (answer->outcome->error) {
 *         return fabric_fail(context, 1, "the counter: %s", answer->outcome->text);
 *     }
 *     *(counter_value_t *)reply = *(const counter_value_t *)answer->reply;
 *     return FABRIC_REPLY;
 * }
 *
 * static fabric_result_t count(fabric_context_t *context, void *state, const void *request,
 *                              void *reply)
 * {
 *     (void)state;
 *     (void)request;
 *     (void)reply;
 *     counter_increment_request_t by = {.amount = 5};
 *     return fabric_ask(context, &(fabric_ask_t){.entity = fabric_entity("Counter", "counter-1"),
 *                                                .message = &counter_increment,
 *                                                .request = &by,
 *                                                .then = counted});
 * }
 * @endcode
 *
 * Rules:
 *  1. A handler that has asked returns FABRIC_WAITING. Each answer, also the refusal of an ask that
 *     could not be sent, is given to the ask's function, on the entity's executor, one after
 *     another. The function returns what a handler returns: it may ask again, and FABRIC_WAITING
 *     says that an answer is still to come. Any other result ends the message: answers that have
 *     not come by then are given to nobody, and asks that are not keyed (rule 6) are cancelled.
 *     FABRIC_WAITING without an open ask is a defect, and so is FABRIC_PENDING once the handler has
 *     asked.
 *  2. An entity that waits is one with a pending handler: rules 1 and 12 of <fabric/worker.h> hold
 *     for it. Its next message begins when the waiting one has ended, unless its type has a larger
 *     concurrency. So an entity that is asked by the one that it asks itself does not answer: the
 *     asks end at their deadlines. All functions of one message may change the state; of a
 *     persisted type what they have changed is stored with the reply, or not at all.
 *  3. The context of the function is the one of the message. What fabric_context_allocate() has
 *     returned in the handler, or in a function before, stays until the message has ended.
 *  4. An ask ends at the latest after its timeout_ms, or when the caller of the handler's message
 *     does not wait any more, whichever is sooner (fabric_context_left_ms()). A durable message
 *     that is handled although its caller waits no more asks for timeout_ms.
 *  5. When the handler's caller cancels its call, and the entity type hears of that, the asks are
 *     cancelled, and end as fabric_client_cancel() says. Their functions are called, and may return
 *     FABRIC_INTERRUPTED. A stop of the worker, or of the shard, lets the handler wait for the
 *     grace time.
 *  6. A durable message may be handled more than once (rule 3 of <fabric/worker.h>), and then it
 *     asks more than once. Its asks by durable messages are keyed: each has a primary key
 *     (fabric_message_type_t) that is made of the handler's message and the ask's number, 1, 2, ...
 *     in the order in which the message asks, or its name. So they are handled once, and the second
 *     time brings the answers of the first, as long as primary keys stand: for a day, unless the
 *     asked type or its brokers say otherwise. The answer is also the same where the second time
 *     asks by the same number with another request; asks whose order may change have names. A
 *     message type that has primary keys of its own keeps those.
 *  7. Requests are encoded before a function here returns.
 *  8. A message has at most FABRIC_ASKS_MAX open asks, else the answer is LIMIT_EXCEEDED; all
 *     entities of a worker together have at most 16,384 asks and tells under way, else BUSY.
 *  9. A durable message that the handler of a durable one tells (fabric_tell()) is part of its
 *     result. It is stored with the reply, or never was: after a failure, typed or not, a cancel or
 *     a defect, and where the result is not stored, the handler has told nothing. It is sent only
 *     then, by the broker, for as long as it takes: until it is accepted, or cannot be any more and
 *     is kept as a dead letter. It is accepted once, however often the handler runs. What one
 *     entity tells another one is accepted in the order in which it was told. The type of the
 *     handler's entity says `tells` (fabric_entity_type_t). Functions that go on with a message
 *     tell as its handler does; a handler that returned FABRIC_PENDING has told before that, if at
 *     all. A message tells at most 1,000, with 2.9 MiB together, or 1.9 MiB of a persisted type,
 *     and less by what it has appended as events: the one that would be too many is LIMIT_EXCEEDED,
 *     and the handler may still reply.
 *  10. A message with early delivery neither asks nor tells, since nothing may leave before it is
 *     stored: fabric_ask() makes a defect of it, and fabric_tell() returns INVALID_ARGUMENT.
 *  11. The worker opens connections for its messages when the first one is sent.
 */
#ifndef FABRIC_ASK_H
#define FABRIC_ASK_H

#include <fabric/entity.h>
#include <fabric/header.h>
#include <fabric/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How many answers one message may wait for at once. */
#define FABRIC_ASKS_MAX 256

/** What an ask brought. Valid until the function that is given it returns. */
typedef struct fabric_answer {
    /** FABRIC_OK, a failure of the entity, a rejection (certainly not accepted), or unknown: switch
     *  on fabric_error_class(). Like that of a client's call. */
    const fabric_outcome_t *outcome;
    /** The reply, a struct by the message type's reply schema. NULL on an error, and where the
     *  schema is empty. */
    const void *reply;
    /** The values of a typed failure, a struct by outcome->failure->schema; else NULL, as where the
     *  schema is empty. */
    const void *failure;
    void *argument; /**< as the ask says */
} fabric_answer_t;

/** Goes on with a message, given an answer. `state`, `request` and `reply` as for the handler. */
typedef fabric_result_t fabric_continue_fn(fabric_context_t *context, void *state,
                                           const void *request, const fabric_answer_t *answer,
                                           void *reply);

/** An ask. Zero means the default everywhere but in `entity`, `message` and `then`. */
typedef struct fabric_ask {
    fabric_entity_t entity;               /**< whom the message is for */
    const fabric_message_type_t *message; /**< must stay valid until the answer is there */
    const void *request;                  /**< struct by message->request */
    const char *name;                     /**< see rule 6, at most 255 bytes; default: its number */
    uint32_t timeout_ms;                  /**< see rule 4; default 30,000 */
    bool cancel_at_deadline;              /**< as in a client's call; not of keyed asks (rule 6) */
    fabric_continue_fn *then;             /**< gets the answer */
    void *argument; /**< given to `then`, such as what fabric_context_allocate() has returned */
} fabric_ask_t;

/** Asks an entity, and returns FABRIC_WAITING, for `return`: see the rules. An ask that could not
 *  be sent has its error as its answer: INVALID_ARGUMENT, MALFORMED_MESSAGE, LIMIT_EXCEEDED, BUSY,
 *  CLOSED (the worker stops), NO_RESOURCES. */
FABRIC_PUBLIC
fabric_result_t fabric_ask(fabric_context_t *context, const fabric_ask_t *ask);

/** A message without a reply. */
typedef struct fabric_tell {
    fabric_entity_t entity;               /**< whom the message is for */
    const fabric_message_type_t *message; /**< must stay valid as long as the worker is open */
    const void *request;                  /**< struct by message->request */
    /** Until it is accepted; default 30,000. What is stored with a reply has no such limit. */
    uint32_t timeout_ms;
    /** Of a durable message: as in a client's call, and so are the next three. */
    fabric_bytes_t primary_key;
    int64_t deliver_at_ms;          /**< Unix time before which it is not delivered; 0: at once */
    const fabric_header_t *headers; /**< up to 64, no two of the same name */
    size_t header_count;            /**< number of headers */
} fabric_tell_t;

/** Tells another entity something.
 *
 *  A durable message of the handler of a durable one is noted, encoded, and is stored with the
 *  reply: see rule 9. INVALID_ARGUMENT: also where the type of the handler's entity does not say
 *  `tells`. MALFORMED_MESSAGE: the request does not fit its schema. LIMIT_EXCEEDED: the message is
 *  larger than a client's may be, or one too many.
 *
 *  Any other message is sent at once, and is not taken back when the handler fails. One that is not
 *  accepted is told in the log (worker.untold). INVALID_ARGUMENT, MALFORMED_MESSAGE,
 *  LIMIT_EXCEEDED, BUSY, CLOSED, NO_RESOURCES. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_tell(fabric_context_t *context, const fabric_tell_t *tell);

/** Sends messages of a worker outside of handlers: in build functions, finalizers, functions of
 *  resources, and on threads of the entity's own. Opaque. */
typedef struct fabric_sender fabric_sender_t;

/** The sender of the worker that runs the instance; usually kept by the build function, for a
 *  finalizer. It stays until fabric_worker_close() has returned, and any thread may use it until
 *  the instance's finalizers have run. */
FABRIC_PUBLIC
fabric_sender_t *fabric_instance_sender(const fabric_instance_t *instance);

/** Sends a message, durable or not, at once. Otherwise as fabric_tell(). A worker that stops waits
 *  until its tells are accepted, for two seconds at most. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_sender_tell(fabric_sender_t *sender, const fabric_tell_t *tell);

/** Asks, and waits for the answer: ask->then is NULL. The calling thread runs nothing else
 *  meanwhile, and an entity of the same executor cannot answer; so this is for finalizers that
 *  cannot do without an answer, and for threads of the entity's own. Waits for timeout_ms, default
 *  and maximum 2,000. `reply` is a struct by the reply schema, without views, or NULL; `outcome`
 *  may be NULL. Returns outcome->error: those of a client's call, and CLOSED (the worker stops). An
 *  entity that no worker runs any more ends a volatile ask with RUNNER_NOT_REGISTERED or at its
 *  deadline, and a durable one at its deadline: it waits for a worker. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_sender_ask(fabric_sender_t *sender, const fabric_ask_t *ask, void *reply,
                                 fabric_outcome_t *outcome);

#ifdef __cplusplus
}
#endif
#endif
