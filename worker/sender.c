/* Messages that entities send outside of handlers: see <fabric/ask.h>. */
#include "worker/sender.h"

#include "core/outcome.h"
#include "core/schema_field.h"
#include "worker/executor_instance_state.h"

fabric_call_t sender_call_of_ask(const fabric_ask_t *ask)
{
    return (fabric_call_t){.entity = ask->entity,
                           .message = ask->message,
                           .request = ask->request,
                           .timeout_ms = ask->timeout_ms,
                           .cancel_at_deadline = ask->cancel_at_deadline};
}

fabric_call_t sender_call_of_tell(const fabric_tell_t *tell)
{
    return (fabric_call_t){.entity = tell->entity,
                           .message = tell->message,
                           .request = tell->request,
                           .timeout_ms = tell->timeout_ms,
                           .headers = tell->headers,
                           .header_count = tell->header_count,
                           .deliver_at_ms = tell->deliver_at_ms,
                           .primary_key = tell->primary_key,
                           .tell = true};
}

fabric_sender_t *fabric_instance_sender(const fabric_instance_t *instance)
{
    return instance->sender;
}

fabric_error_t fabric_sender_tell(fabric_sender_t *sender, const fabric_tell_t *tell)
{
    const fabric_call_t call = sender_call_of_tell(tell);
    return tell->message ? sender->tell(sender, &call) : FABRIC_ERROR_INVALID_ARGUMENT;
}

static fabric_error_t check(const fabric_ask_t *ask, const void *reply, reason_t *reason)
{
    if (!ask->message || !ask->message->reply || ask->then) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "the ask has no message type, or a function for its answer");
    }
    if (reply && schema_has_views(ask->message->reply)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "the reply has views");
    }
    return FABRIC_OK;
}

fabric_error_t fabric_sender_ask(fabric_sender_t *sender, const fabric_ask_t *ask, void *reply,
                                 fabric_outcome_t *outcome)
{
    fabric_outcome_t own;
    reason_t reason = {""};
    outcome = outcome ? outcome : &own;
    fabric_error_t error = check(ask, reply, &reason);
    if (error != FABRIC_OK) {
        outcome_of_reason(error, &reason, outcome);
        return error;
    }
    fabric_call_t call = sender_call_of_ask(ask);
    if (call.timeout_ms == 0 || call.timeout_ms > SENDER_WAIT_MS) {
        call.timeout_ms = SENDER_WAIT_MS;
    }
    sender->wait(sender, &call, reply, outcome);
    return outcome->error;
}
