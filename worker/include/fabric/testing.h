/** @file
 * Testing an entity type alone: one entity, without a cluster, sockets or a database, in a few
 * lines under any test framework. The entity runs as in a worker, and this header plays the broker
 * and its store. Link libfabric_worker and the object file of the entity.
 *
 * @code{.c}
 * #include <fabric/testing.h>
 *
 * // Whether a counter counts, and what it counted survives its worker.
 * static bool test_counter(const fabric_entity_type_t *counter_type)
 * {
 *     fabric_testing_t *testing;
 *     counter_increment_request_t request = {.amount = 5};
 *     counter_value_t reply = {0};
 *     if (fabric_testing_open(counter_type, "counter-1", &testing, NULL)) {
 *         return false;
 *     }
 *     bool counts = fabric_testing_send(testing, &counter_increment, &request, &reply, NULL) ==
 *                       FABRIC_REPLY &&
 *                   reply.value == 5;
 *     fabric_testing_restart(testing);
 *     bool survives = fabric_testing_send(testing, &counter_increment, &request, &reply, NULL) ==
 *                         FABRIC_REPLY &&
 *                     reply.value == 10;
 *     fabric_testing_close(&testing);
 *     return counts && survives;
 * }
 * @endcode
 *
 * Rules:
 *  1. One thread at a time uses a fabric_testing_t, and the entity's functions run on that thread,
 *     inside the functions here. Several may be open, each for one entity; they know nothing of
 *     each other. Interrupts are told on that thread, too.
 *  2. A message is handled before fabric_testing_send() returns; if its handler returned
 *     FABRIC_PENDING, the function waits until another thread has completed the handle. So a test
 *     has one message under way at a time.
 *  3. Requests, replies, failures and states pass through their schemas, as in a cluster.
 *  4. The clock stands still but for fabric_testing_advance(). It is the clock of deadlines
 *     (fabric_context_left_ms()), of idle entities and of idle resources, not the one of the
 *     operating system.
 *  5. What is stored is the state of a persisted type, or the events and snapshots of one with
 *     events. It is stored with the end of a message, if the message has changed it, or appended
 *     some. The state of any other type is in the instance, and ends with it.
 *  6. An entity that keeps itself alive, or that has resources, has an instance again when a
 *     function here returns, unless its build function fails.
 *  7. fabric_context_effect_key() gives the same key in each delivery of one message, and different
 *     ones for all other messages of the process. The token grows with each restart and each
 *     failure of the store.
 *  8. Of a type with events and a schema of the state a second instance is built behind each
 *     message, of all events and no snapshot, and the two states are compared. Where they differ,
 *     the message has changed the state without an event, or `build` and the apply functions do not
 *     always make the same: fabric_testing_send() returns FABRIC_DEFECT with ENTITY_DEFECT, and its
 *     text says which message, which member, and both states. What the message has appended is
 *     stored all the same, and the entity goes on as after fabric_testing_restart().
 *  9. What the entity sends (<fabric/ask.h>) waits until the test answers it, or goes to another
 *     entity under test: fabric_testing_connect(). While the entity waits for an answer,
 *     fabric_testing_send() returns FABRIC_WAITING. Asks end at their deadlines, by
 *     fabric_testing_advance(), with OUTCOME_UNKNOWN; so does one of fabric_sender_ask(), at once.
 *     What a handler tells with its reply (rule 9 there) is sent when that is stored, and not at
 *     all where it is not.
 *  10. Primary keys, calls that are sent again, dead letters and pauses between attempts are the
 *     broker's, and are not tested here: each fabric_testing_send() is another message.
 */
#ifndef FABRIC_TESTING_H
#define FABRIC_TESTING_H

#include <stdbool.h>
#include <stdint.h>

#include <fabric/ask.h>
#include <fabric/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One entity that is tested alone. Opaque. */
typedef struct fabric_testing fabric_testing_t;

/** Makes one entity. Its instance begins with its first message, and nothing is stored yet. `type`
 *  is borrowed until fabric_testing_close(), `id` for the call. `outcome` may be NULL. On an error
 *  its text says what went wrong, and *testing is NULL.
 *
 *  INVALID_ARGUMENT for a type that breaks a rule, or an id that does not have 1-255 bytes. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_testing_open(const fabric_entity_type_t *type, const char *id,
                                   fabric_testing_t **testing, fabric_outcome_t *outcome);

/** Ends the entity's instance as a worker that stops does, frees the entity and sets *testing to
 *  NULL. *testing may be NULL. */
FABRIC_PUBLIC
void fabric_testing_close(fabric_testing_t **testing);

/** From now on handlers of transactional messages are given this connection, a MYSQL * of the
 *  test's own, which the test keeps until it has closed the entity; NULL, as without this call:
 *  none. Nothing is begun, committed or rolled back: the test does that. */
FABRIC_PUBLIC
void fabric_testing_use_mysql(fabric_testing_t *testing, void *mysql);

/** Sends the entity one message, and returns what its handler returned, or completed the handle
 *  with. `request` and `reply` are structs by the message type's schemas, borrowed for the call;
 *  either may be NULL where its schema is empty, and `reply` where it is not wanted. `outcome` may
 *  be NULL, and gets what a caller gets.
 *
 *  - FABRIC_REPLY: the reply is filled. Its views are valid until the next message.
 *  - FABRIC_FAILURE: the outcome has the failure's error, code, name and text.
 *  - FABRIC_INTERRUPTED: it stopped, as its caller has cancelled the call.
 *  - FABRIC_DEFECT: the outcome's error tells which. ENTITY_DEFECT: the handler broke, the instance
 *    has ended, and fabric_testing_retry() delivers the message again if it is durable. NOT_BUILT:
 *    the build function, or the reading of a stored state, failed with this text;
 *    fabric_testing_retry() delivers the message again, and the next message builds as well.
 *    MALFORMED_MESSAGE: a request, reply or failure does not fit its schema; the entity goes on. */
FABRIC_PUBLIC
fabric_result_t fabric_testing_send(fabric_testing_t *testing, const fabric_message_type_t *message,
                                    const void *request, void *reply, fabric_outcome_t *outcome);

/** Delivers the last message again, as a broker does after a pause when the handler broke or the
 *  instance could not be built: the next delivery, and after a defect the next attempt. Otherwise
 *  as fabric_testing_send(). FABRIC_DEFECT with INVALID_ARGUMENT: no message is to be handled
 *  again. The last one has ended, or a broker would not try it again either: a volatile one after a
 *  defect, and one of a type with defects_to_caller or FABRIC_SKIP. */
FABRIC_PUBLIC
fabric_result_t fabric_testing_retry(fabric_testing_t *testing, void *reply,
                                     fabric_outcome_t *outcome);

/** A message that the entity under test has sent. */
typedef struct fabric_testing_sent {
    fabric_entity_t entity;               /**< whom it is for */
    const fabric_message_type_t *message; /**< its type */
    const void *request;                  /**< struct by message->request; NULL: that is empty */
    bool tell;                            /**< nobody waits for an answer */
    uint32_t timeout_ms;                  /**< how long its sender waits */
    fabric_bytes_t primary_key;           /**< see rule 6 of <fabric/ask.h>; empty: none */
    bool stored;           /**< with the reply of the message whose handler has told it */
    int64_t deliver_at_ms; /**< of a tell; 0: at once */
} fabric_testing_sent_t;

/** The oldest message that the entity has sent and that was not answered; valid until it is. NULL:
 *  there is none. */
FABRIC_PUBLIC
const fabric_testing_sent_t *fabric_testing_sent(const fabric_testing_t *testing);

/** Answers the message of fabric_testing_sent() with a reply, a struct by its reply schema (NULL
 *  where that is empty), or takes a tell away. What becomes of the entity's own message is
 *  returned, as by fabric_testing_send(): FABRIC_WAITING while answers are still to come. */
FABRIC_PUBLIC
fabric_result_t fabric_testing_answer(fabric_testing_t *testing, const void *answered, void *reply,
                                      fabric_outcome_t *outcome);

/** Answers with a typed failure of the message, and its values; otherwise the same. */
FABRIC_PUBLIC
fabric_result_t fabric_testing_answer_failure(fabric_testing_t *testing, int32_t number,
                                              const void *values, void *reply,
                                              fabric_outcome_t *outcome);

/** Answers with an error, such as FABRIC_ERROR_OUTCOME_UNKNOWN; otherwise the same. */
FABRIC_PUBLIC
fabric_result_t fabric_testing_answer_error(fabric_testing_t *testing, fabric_error_t error,
                                            void *reply, fabric_outcome_t *outcome);

/** What has become of the last message, as fabric_testing_send() returns it; FABRIC_WAITING: it has
 *  not ended. For messages that ended within another function. */
FABRIC_PUBLIC
fabric_result_t fabric_testing_result(fabric_testing_t *testing, void *reply,
                                      fabric_outcome_t *outcome);

/** From now on the entity of `other` handles what the entity of `testing` sends it, at once, while
 *  it has no other message at hand; what comes meanwhile waits. `other` stays open as long as
 *  `testing`. false: it is connected to 16 entities already. */
FABRIC_PUBLIC
FABRIC_MUST_USE
bool fabric_testing_connect(fabric_testing_t *testing, fabric_testing_t *other);

/** The values of the typed failure with which the last message ended, a struct by
 *  outcome.failure->schema. Valid until the next message. NULL: it ended otherwise, or the failure
 *  has no values. */
FABRIC_PUBLIC
const void *fabric_testing_failure(const fabric_testing_t *testing);

/** The caller of the next message cancels its call as soon as the handler has begun: the handler
 *  finds FABRIC_INTERRUPT_CANCEL. */
FABRIC_PUBLIC
void fabric_testing_cancel_next(fabric_testing_t *testing);

/** The caller of the next message waits for so many milliseconds, see fabric_context_left_ms(); 0,
 *  and by default: as long as it takes. */
FABRIC_PUBLIC
void fabric_testing_timeout_next(fabric_testing_t *testing, uint32_t timeout_ms);

/** Adds a header to the next message, see fabric_context_header(). Name and value are copied. */
FABRIC_PUBLIC
void fabric_testing_header_next(fabric_testing_t *testing, const char *name, fabric_bytes_t value);

/** The entity goes on with another worker, as after the end of its worker's process: its instance
 *  ends, and the next one begins with what is stored. The `stop` function and the finalizers of the
 *  instance are called and its resources are left, as when a shard moves away. A kill would spare
 *  them: an entity must not rely on them. */
FABRIC_PUBLIC
void fabric_testing_restart(fabric_testing_t *testing);

/** The store refuses the next commit: the next end of a durable message by an answer, whether the
 *  message has changed the state or not. The handler has run, but what it answered and changed
 *  counts nowhere. The entity goes on with another worker (see fabric_testing_restart()), and the
 *  message is delivered to it again, within the same fabric_testing_send(). Then
 *  fabric_context_delivery() is larger by one, and fabric_context_attempt() is the same, since the
 *  handler has not failed. */
FABRIC_PUBLIC
void fabric_testing_fail_store(fabric_testing_t *testing);

/** Lets so many milliseconds pass. On the way instances that are idle for idle_ms end, and so do
 *  resources. */
FABRIC_PUBLIC
void fabric_testing_advance(fabric_testing_t *testing, uint64_t duration_ms);

/** Whether the entity has an instance now. */
FABRIC_PUBLIC
bool fabric_testing_has_instance(const fabric_testing_t *testing);

/** The state: of a persisted type what is stored, read by the type's schema, with zeroes in what
 *  the schema does not have; of any other type what the instance has in memory. Valid until the
 *  next call with `testing`. NULL: nothing is stored, or what is stored is of another version or
 *  does not fit the schema; there is no instance; the type has no state. */
FABRIC_PUBLIC
const void *fabric_testing_state(fabric_testing_t *testing);

/** What is stored of a persisted type as JSON text, as `fabricctl entity state` shows it. Valid
 *  until the next call with `testing`. NULL: nothing is stored. */
FABRIC_PUBLIC
const char *fabric_testing_state_json(fabric_testing_t *testing);

/** Stores a state as an older or newer version of the type would have left it: `version` is that
 *  one's state_version, and `state` a struct by its schema. The entity then goes on as after
 *  fabric_testing_restart(): its next instance reads the state, with the type's migrate function
 *  where the version is smaller than the type's. `schema` stays valid until another state is
 *  stored, `state` is borrowed for the call. `outcome` may be NULL, and gets the text of an error.
 *
 *  INVALID_ARGUMENT: the type is not persisted. Errors as fabric_schema_encode(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_testing_set_state(fabric_testing_t *testing, uint32_t version,
                                        const fabric_schema_t *schema, const void *state,
                                        fabric_outcome_t *outcome);

/** How many events the entity has appended, as far as they are stored. */
FABRIC_PUBLIC
uint64_t fabric_testing_event_count(const fabric_testing_t *testing);

/** An event of the entity, as it is stored. */
typedef struct fabric_appended_event {
    const char *tag;   /**< what has happened */
    uint32_t version;  /**< of the tag's schema */
    const void *event; /**< a struct by that schema; NULL: it has no values */
    const char *json;  /**< the same as JSON text */
} fabric_appended_event_t;

/** The event of this sequence: 1, 2, ... up to fabric_testing_event_count(). What `event` points to
 *  is valid until the next call with `testing`. false: there is none. */
FABRIC_PUBLIC
bool fabric_testing_event(fabric_testing_t *testing, uint64_t sequence,
                          fabric_appended_event_t *event);

/** Stores an event as an older or newer version of the type would have appended it: a struct by
 *  `schema`, which stays valid until fabric_testing_close(). The entity then goes on as after
 *  fabric_testing_restart(). `outcome` may be NULL, and gets the text of an error.
 *
 *  INVALID_ARGUMENT: the type has no events, or the tag does not have 1-255 bytes. Errors as
 *  fabric_schema_encode(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_testing_append_event(fabric_testing_t *testing, const char *tag,
                                           uint32_t version, const fabric_schema_t *schema,
                                           const void *event, fabric_outcome_t *outcome);

#ifdef __cplusplus
}
#endif
#endif
