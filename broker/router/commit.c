/* What follows from a commit: nothing leaves the broker before it is durable (I10). The accepted
 * messages of a batch enter their entities' queues, and the messages whose replies it held have
 * ended.
 */
#include <assert.h>

#include "broker/router/answers.h"
#include "broker/router/dispatch.h"
#include "broker/router/messages.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"
#include "broker/router/unserved.h"

static void attempt_committed(router_t *router, request_id_t id)
{
    const message_t *message = message_find(router, id);
    assert(message && message->entity); /* its reply is committed later, or with its attempt */
    entity_t *entity = message->entity;
    entity_unhold(entity);
    entity_dispatch(router, entity);
}

static void message_committed(router_t *router, message_t *message)
{
    message_left_lane(router, message);
    router->counters.accepted++;
    if (message->stored.flags & REQUEST_WANT_ACCEPTED) {
        message_send_accepted(router, message);
    }
    if (message->entity->unserved || shard_is_deserted(message->entity->shard)) {
        message_tell_wait(router, message);
    }
    entity_append(message->entity, message);
    entity_dispatch(router, message->entity);
}

/* Takes a message out of everything but its calls. The calls get `error` if the message was not
 * accepted. */
static void message_end(router_t *router, message_t *message, fabric_error_t error)
{
    message_dismiss(router, message);
    message_set_state(message, MESSAGE_ENDED);
    if (!message_end_calls(router, message, error)) {
        message_destroy(&message);
    }
}

/* What was refused, and what the database said. */
static reason_t refusal_by_store(const char *what, const store_rejection_t *rejection)
{
    reason_t text;
    const char *words = rejection->reason.text;
    (void)reason_set(&text, FABRIC_OK, "the database refused the %s%s%s", what,
                     words[0] ? ": " : "", words);
    return text;
}

static void message_refused_by_store(router_t *router, message_t *message,
                                     const store_rejection_t *rejection)
{
    entity_t *entity = message->entity;
    message_left_lane(router, message);
    message_reject(router, message, FABRIC_ERROR_STORE_REJECTED, 0,
                   refusal_by_store("message", rejection).text);
    message_end(router, message, FABRIC_ERROR_STORE_REJECTED);
    entity_release(router, entity);
}

/* Not even the message's defect can be stored: the message stays pending in the store, and the
 * low-water mark stays below it. */
static void message_strand(router_t *router, message_t *message, const store_rejection_t *rejection)
{
    message_reject(router, message, FABRIC_ERROR_OUTCOME_UNKNOWN, 0,
                   refusal_by_store("reply", rejection).text);
    entity_t *entity = message->entity;
    if (entity) { /* the message is not from a damaged row */
        entity_remove(message);
        entity_flush(router, entity);
    }
}

/* A result that cannot be stored becomes a stored defect. */
static void reply_refused_by_store(router_t *router, message_t *message,
                                   const store_rejection_t *rejection)
{
    if (message->reply.error == FABRIC_ERROR_STORE_REJECTED) {
        message_strand(router, message, rejection);
        return;
    }
    reason_t text = refusal_by_store("reply", rejection);
    store_reply_t reply = message->reply;
    reply.status = STATUS_DEFECT;
    reply.error = FABRIC_ERROR_STORE_REJECTED;
    reply.code = 0;
    reply.payload = fabric_bytes_of(text.text);
    message_add_reply(router, message, &reply);
    batch_add_reply(router, message);
}

static void reply_committed(router_t *router, message_t *message)
{
    router->counters.ended++;
    entity_t *entity = message->entity;
    if (!(message->stored.flags & REQUEST_TELL)) {
        message_send_reply(router, message);
    }
    if (!entity) { /* the message is from a damaged row */
        message_end(router, message, FABRIC_OK);
        return;
    }
    entity_remove(message);
    message_end(router, message, FABRIC_OK);
    entity_flush(router, entity);
    entity_dispatch(router, entity);
    entity_release(router, entity);
}

/* NULL: the item was not rejected. The search is linear, as rejected items are rare. */
static const store_rejection_t *rejection_of(const store_rejection_t *rejected, size_t count,
                                             int item, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        if ((int)rejected[i].item == item && rejected[i].index == index) {
            return &rejected[i];
        }
    }
    return NULL;
}

void router_batch_done(router_t *router, uint32_t number, const store_rejection_t *rejected,
                       size_t rejected_count, uint64_t now_ms)
{
    router->now_ms = now_ms;
    const store_batch_t *batch = batch_end(router, number);
    for (size_t i = 0; i < batch->attempt_count; i++) {
        attempt_committed(router, batch->attempts[i].id); /* also where its counts were refused */
    }
    for (size_t i = 0; i < batch->message_count; i++) {
        message_t *message = message_of(batch->messages[i]);
        const store_rejection_t *rejection =
            rejection_of(rejected, rejected_count, STORE_ITEM_MESSAGE, i);
        if (rejection) {
            message_refused_by_store(router, message, rejection);
        } else {
            message_committed(router, message);
        }
    }
    for (size_t i = 0; i < batch->reply_count; i++) {
        message_t *message = message_of_reply(batch->replies[i]);
        const store_rejection_t *rejection =
            rejection_of(rejected, rejected_count, STORE_ITEM_REPLY, i);
        if (rejection) {
            reply_refused_by_store(router, message, rejection);
        } else {
            reply_committed(router, message);
        }
    }
}
