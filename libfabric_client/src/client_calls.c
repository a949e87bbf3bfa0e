/* Calls of one message: started or waited for. */
#include "libfabric_client/src/client_state.h"

#include <stdlib.h>

#include "core/memory.h"

/* ---- asynchronous ---- */

static fabric_error_t submit_one(fabric_client_t *client, call_t *call, uint64_t *sequence,
                                 reason_t *reason)
{
    call_list_t calls = {0};
    ready_list_append(&calls, call);
    return exchange_submit(client->exchange, &calls, sequence, reason);
}

static fabric_error_t start(fabric_client_t *client, const fabric_call_t *description,
                            fabric_completion_fn *complete, void *context, fabric_call_key_t *key)
{
    reason_t reason;
    call_t *call;
    fabric_error_t error = client_check_process(client, &reason);
    if (!error) {
        error = request_build(description, client->number, &reason, &call);
    }
    if (error) {
        return error;
    }
    call->complete = complete;
    call->context = context;
    call->deadline_ms = client_deadline(client, description->timeout_ms);
    uint64_t sequence;
    error = submit_one(client, call, &sequence, NULL);
    if (error) {
        call_destroy(&call);
    } else if (key) {
        *key = (fabric_call_key_t){client->number, sequence};
    }
    return error;
}

fabric_error_t fabric_client_start(fabric_client_t *client, const fabric_call_t *description,
                                   fabric_completion_fn *complete, void *context,
                                   fabric_call_key_t *key)
{
    int cancel = thread_hold_cancel();
    fabric_error_t error = complete ? start(client, description, complete, context, key)
                                    : FABRIC_ERROR_INVALID_ARGUMENT;
    thread_allow_cancel(cancel);
    return error;
}

/* ---- blocking ---- */

/* Sends one call and waits for its end. On an error the call is gone. */
static fabric_error_t run(fabric_client_t *client, call_t **call, uint32_t timeout_ms,
                          reason_t *reason)
{
    call_waiter_t waiter;
    client_waiter_init(&waiter, 1);
    (*call)->waiter = &waiter;
    (*call)->deadline_ms = client_deadline(client, timeout_ms);
    fabric_error_t error = submit_one(client, *call, NULL, reason);
    if (error) {
        sem_destroy(&waiter.done);
        call_destroy(call);
        return error;
    }
    client_waiter_wait(client, &waiter);
    return FABRIC_OK;
}

static void copy_answer(const call_t *call, uint8_t **payload, size_t *size)
{
    uint8_t *copy = memory_allocate(call->answer.size);
    if (call->answer.size > 0) {
        memcpy(copy, call->answer.data, call->answer.size);
    }
    *payload = copy;
    *size = call->answer.size;
}

fabric_error_t fabric_client_call(fabric_client_t *client, const fabric_call_t *description,
                                  void *reply, uint8_t **payload, size_t *payload_size,
                                  fabric_outcome_t *outcome)
{
    fabric_outcome_t result;
    reason_t reason = {{0}};
    call_t *call;
    int cancel = thread_hold_cancel();
    if (payload) {
        *payload = NULL;
    }
    fabric_error_t error = client_check_process(client, &reason);
    if (!error) {
        error = request_build(description, client->number, &reason, &call);
    }
    if (!error) {
        error = run(client, &call, description->timeout_ms, &reason);
    }
    if (error) {
        outcome_of_reason(error, &reason, &result);
    } else {
        outcome_of(call, client->number, &result);
        outcome_decode(call, reply, &result);
        if (payload && !result.error) {
            size_t size;
            copy_answer(call, payload, payload_size ? payload_size : &size);
        }
        exchange_release(client->exchange, &call);
    }
    thread_allow_cancel(cancel);
    if (outcome) {
        *outcome = result;
    }
    return result.error;
}

fabric_error_t fabric_client_ask(fabric_client_t *client, fabric_entity_t entity,
                                 const fabric_message_type_t *message, const void *request,
                                 void *reply, fabric_outcome_t *outcome)
{
    fabric_call_t call = {.entity = entity, .message = message, .request = request};
    return fabric_client_call(client, &call, reply, NULL, NULL, outcome);
}

fabric_error_t fabric_client_tell(fabric_client_t *client, fabric_entity_t entity,
                                  const fabric_message_type_t *message, const void *request,
                                  fabric_outcome_t *outcome)
{
    fabric_call_t call = {.entity = entity, .message = message, .request = request, .tell = true};
    return fabric_client_call(client, &call, NULL, NULL, NULL, outcome);
}

fabric_error_t fabric_client_query(fabric_client_t *client, const char *name,
                                   fabric_bytes_t argument, uint32_t timeout_ms, uint8_t **document,
                                   size_t *size, fabric_outcome_t *outcome)
{
    fabric_outcome_t result;
    reason_t reason = {{0}};
    call_t *call;
    int cancel = thread_hold_cancel();
    *document = NULL;
    fabric_error_t error = client_check_process(client, &reason);
    if (!error) {
        error = request_build_query(name, argument, &reason, &call);
    }
    if (!error) {
        error = run(client, &call, timeout_ms, &reason);
    }
    if (error) {
        outcome_of_reason(error, &reason, &result);
    } else {
        outcome_of(call, client->number, &result);
        if (!result.error) {
            copy_answer(call, document, size);
        }
        exchange_release(client->exchange, &call);
    }
    thread_allow_cancel(cancel);
    if (outcome) {
        *outcome = result;
    }
    return result.error;
}
