/* Admission: see admission.h. */
#include "broker/router/admission.h"

#include "broker/router/acceptance.h"
#include "broker/router/answers.h"
#include "broker/router/cancels.h"
#include "broker/router/early.h"
#include "broker/router/ghosts.h"
#include "broker/router/keyed.h"
#include "broker/router/request_checks.h"
#include "broker/router/router_state.h"

enum { RETRY_MS = 50 };

/* Refuses a request. A durable request that is refused for good is remembered, so that its
 * successors are accepted. */
static void refuse(router_t *router, client_t *client, const message_request_t *request,
                   fabric_error_t error, uint32_t retry_after_ms, const char *text)
{
    if (request->flags & REQUEST_DURABLE && fabric_error_class(error) == FABRIC_CLASS_REJECTED &&
        request->sequence >= client->calls.settled && !call_find(client, request->sequence)) {
        call_t *call = call_add(router, client, request->sequence);
        if (call) {
            call_refuse(call, request->predecessor, error);
        }
    }
    request_reject(router, client, request->sequence, error, retry_after_ms, text);
}

void request_malformed(router_t *router, client_t *client, uint64_t sequence, uint64_t flags)
{
    message_request_t request = {.sequence = sequence, .flags = flags};
    refuse(router, client, &request, FABRIC_ERROR_MALFORMED_MESSAGE, 0,
           "the request could not be read");
}

static bool holds_term(const router_t *router)
{
    return incarnation_equal(router->holder, router->config.incarnation);
}

/* The other broker that holds the term, and so learns of types first; NULL: there is none. */
static const map_broker_t *other_holder(const router_t *router)
{
    return holds_term(router) ? NULL : shard_map_broker(router->map, router->holder);
}

/* Whether the broker, if it holds the term, knows all types. One that was frozen may hold it no
 * more. */
static bool knows_all_types(const router_t *router)
{
    return router->types_read && router->now_ms < router->lease_until_ms;
}

/* Whether the broker may not have heard of a type that workers bring: one that has just started, or
 * has just been elected, has a map without the type, and reads the stored types a little later. */
static bool is_to_learn(const router_t *router, uint16_t group)
{
    return group != 0 || !knows_all_types(router);
}

/* The final word on a type that nobody has ever registered. A worker may bring it yet: clients send
 * a volatile request again until its deadline, and a durable one until the cluster should be
 * complete. */
static void refuse_unregistered(router_t *router, client_t *client,
                                const message_request_t *request)
{
    unregistered_note_request(router, request->type);
    if (request->flags & REQUEST_DURABLE && unregistered_held_ms(router) == 0) {
        refuse(router, client, request, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 0, "");
    } else {
        refuse(router, client, request, FABRIC_ERROR_RUNNER_NOT_REGISTERED, RETRY_MS,
               "no worker has registered the entity type yet");
    }
}

/* Whether an outgoing message was told so short a time ago that its source's home may know more
 * about the type than this broker. */
static bool is_told_just_now(const router_t *router, const client_t *client,
                             const message_request_t *request)
{
    return client->outgoing && request->floor >= request_id_before(router, TYPE_LEARNED_MS).value;
}

/* The type existed when the message was told. Either it was forgotten since, or registered a moment
 * ago. */
static void refuse_outgoing(router_t *router, client_t *client, const message_request_t *request)
{
    bool forgotten = type_is_forgotten(router, request->type);
    bool unknown = router->types_listed && shard_map_type_group(router->map, request->type) == 0;
    if ((forgotten || unknown) && !is_told_just_now(router, client, request)) {
        refuse(router, client, request, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 0,
               "the entity type was forgotten");
    } else {
        refuse(router, client, request, FABRIC_ERROR_RUNNER_NOT_REGISTERED, RETRY_MS,
               "this broker has not learned of the entity type yet");
    }
}

/* A broker that does not hold the term learns of new types only now and then, so it leaves the
 * final word to others: to the home of the entity's shard, where the map knows the type, else to
 * the holder of the term. */
static void refuse_unknown_type(router_t *router, client_t *client,
                                const message_request_t *request)
{
    bool forgotten = type_is_forgotten(router, request->type); /* the map still has its group */
    uint16_t group = forgotten ? 0 : shard_map_type_group(router->map, request->type);
    shard_id_t shard = shard_map_locate(router->map, group, request->id);
    const map_broker_t *holder = other_holder(router);
    if (group != 0 && router_other_home(router, shard)) {
        request_redirect(router, client, request->sequence, shard);
    } else if (group == 0 && holder) {
        request_redirect_to(router, client, request->sequence, shard_id_make(1, 1),
                            holder->router_endpoint);
    } else if (group == 0 && !holds_term(router)) { /* it has just started, and knows nobody yet */
        refuse(router, client, request, FABRIC_ERROR_NOT_HOME, RETRY_MS, "");
    } else if (is_to_learn(router, group)) {
        fabric_error_t error = request->flags & REQUEST_DURABLE ? FABRIC_ERROR_RUNNER_NOT_REGISTERED
                                                                : FABRIC_ERROR_NOT_HOME;
        refuse(router, client, request, error, RETRY_MS,
               "this broker has not learned of the entity type yet");
    } else {
        refuse_unregistered(router, client, request);
    }
}

static void refuse_elsewhere(router_t *router, client_t *client, const message_request_t *request,
                             shard_id_t id)
{
    if (request->flags & REQUEST_DURABLE && shard_waits_for_store(router, id)) {
        refuse(router, client, request, FABRIC_ERROR_PERSISTENCE, RETRY_MS,
               lane_cause(router, id, FABRIC_ERROR_PERSISTENCE));
    } else {
        request_redirect(router, client, request->sequence, id);
    }
}

/* The type of a request that passes all checks; NULL: the request was refused. */
static const known_type_t *check(router_t *router, client_t *client,
                                 const message_request_t *request)
{
    const char *text = "";
    fabric_error_t error = request_check(request, &text);
    if (!error && request->sequence >= CALL_OUTGOING && !client->outgoing) {
        error = FABRIC_ERROR_MALFORMED_MESSAGE;
        text = "call sequences are less than 2 to the power of 63";
    }
    if (error) {
        refuse(router, client, request, error, 0, text);
        return NULL;
    }
    if (router->closing) {
        refuse(router, client, request, FABRIC_ERROR_SHUTTING_DOWN, RETRY_MS, "");
        return NULL;
    }
    const known_type_t *type = type_find(router, request->type);
    if (!type && client->outgoing) {
        refuse_outgoing(router, client, request);
        return NULL;
    }
    if (!type) {
        refuse_unknown_type(router, client, request);
        return NULL;
    }
    if (type->closed) {
        refuse(router, client, request, FABRIC_ERROR_RUNNER_NOT_REGISTERED, RETRY_MS,
               FORGETTING_TEXT);
        return NULL;
    }
    fabric_schema_fault_t fault;
    fault.text[0] = '\0';
    error = request_check_type(type, request, &fault);
    if (error && is_told_just_now(router, client, request)) {
        refuse(router, client, request, FABRIC_ERROR_RUNNER_NOT_REGISTERED, RETRY_MS,
               "this broker has not learned of such a message yet");
        return NULL;
    }
    if (error) {
        refuse(router, client, request, error, 0, fault.text);
        return NULL;
    }
    return type;
}

static void mark_transactional(const known_type_t *type, message_t *message)
{
    const message_description_t *known =
        type_description_message(type->description, message->stored.tag);
    message->stored.flags |= known && known->transactional ? MESSAGE_TRANSACTIONAL : 0u;
}

void request_received(router_t *router, client_t *client, const message_request_t *request)
{
    const known_type_t *type = check(router, client, request);
    if (!type) {
        return;
    }
    shard_id_t id = shard_map_locate(router->map, type->group, request->id);
    shard_t *shard = shard_find(router, id);
    if (!shard || !shard_serves(router, shard)) {
        refuse_elsewhere(router, client, request, id);
    } else if (request->flags & REQUEST_DURABLE) {
        message_t *message = durable_message(router, client, request, shard);
        message->may_be_early = type->description->early && early_is_allowed(type, request->tag);
        if (type->description->transactional) {
            mark_transactional(type, message);
        }
        durable_arrived(router, client, message);
    } else {
        volatile_accept(router, client, request, shard, type);
    }
}

/* The call's message is in a batch, though the client has settled on it as unknown. */
static void wait_for_batch(router_t *router, client_t *client, const message_t *again,
                           message_t *message)
{
    if (!message_has_contents(message, &again->stored)) {
        request_reject_conflict(router, client, again->stored.call.sequence);
    } else if (!(again->stored.flags & REQUEST_TELL)) {
        settled_call_came_again(router, client, message, &message->waiter);
    }
}

/* A call that the client has settled on as unknown may still be in a batch. Then its answers come,
 * and it is not looked up. */
static void look_up(router_t *router, client_t *client, message_t *message, call_t *call)
{
    const lane_batches_t *lane = &lane_of(router, message->stored.shard)->batches;
    message_t *pending = call ? NULL : batch_find_call(lane, message->stored.call);
    if (pending) {
        wait_for_batch(router, client, message, pending);
        message_destroy(&message);
        return;
    }
    request_hold(router, client, message, call);
    lookup_add(router, client, message, true);
}

void durable_arrived(router_t *router, client_t *client, message_t *message)
{
    call_decision_t decision = call_arrived(router, client, message);
    switch (decision.arrival) {
    case ARRIVAL_ACCEPT:
        if (message->stored.key_hash) {
            keyed_arrived(router, client, message);
        } else {
            durable_accept(router, client, message);
        }
        break;
    case ARRIVAL_KNOWN:
        call_answer_again(router, client, decision.call, message);
        if (message->cancelled) {
            call_cancel(router, client, decision.call);
        }
        message_destroy(&message);
        break;
    case ARRIVAL_LOOKUP:
        look_up(router, client, message, decision.call);
        break;
    case ARRIVAL_HOLD:
        request_hold(router, client, message, decision.call);
        if (message->stored.key_hash) {
            keyed_held(router, client, message);
        }
        break;
    case ARRIVAL_REFUSE:
        request_reject(router, client, message->stored.call.sequence, decision.error,
                       decision.retry_after_ms, decision.text);
        message_destroy(&message);
        break;
    }
}
