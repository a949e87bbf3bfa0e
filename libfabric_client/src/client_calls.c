/* Calls of one message: started or waited for. */
#include "libfabric_client/src/client_state.h"

#include "core/memory.h"
#include "core/schema_field.h"

/* ---- asynchronous ---- */

static fabric_error_t submit_one(fabric_client_t *client, call_t *call, uint64_t *sequence)
{
    call_list_t calls = {0};
    ready_list_append(&calls, call);
    return exchange_submit(client->exchange, &calls, sequence, NULL);
}

static fabric_error_t start(fabric_client_t *client, const fabric_call_t *description,
                            fabric_completion_fn *complete, void *context, fabric_call_key_t *key)
{
    call_t *call;
    fabric_error_t error = client_check_process(client, NULL);
    if (!error && description->failure) {
        error = FABRIC_ERROR_INVALID_ARGUMENT; /* there may be nothing there when the call ends */
    }
    if (!error) {
        error = request_build(description, client->number, NULL, &call);
    }
    if (error) {
        return error;
    }
    call->complete = complete;
    call->context = context;
    call->deadline_ms = client_deadline(client, description->timeout_ms);
    uint64_t sequence;
    error = submit_one(client, call, &sequence);
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

fabric_error_t fabric_client_cancel(fabric_client_t *client, fabric_call_key_t key)
{
    int cancel = thread_hold_cancel();
    fabric_error_t error = client_check_process(client, NULL);
    if (!error && key.client != client->number) {
        error = FABRIC_ERROR_INVALID_ARGUMENT;
    }
    if (!error) {
        error = exchange_cancel(client->exchange, key.sequence);
    }
    thread_allow_cancel(cancel);
    return error;
}

/* ---- blocking ---- */

/* A call whose end a thread waits for, and where the answer goes. */
typedef struct blocking_call {
    call_t *record;
    uint32_t timeout_ms;
    void *reply;          /* NULL: not wanted decoded */
    void *failure;        /* likewise */
    uint8_t **payload;    /* NULL: not wanted encoded */
    size_t *payload_size; /* may be NULL */
    reason_t reason;      /* why the call was not sent */
} blocking_call_t;

/* Sends the call and waits for its end. On an error the record is still the caller's. */
static fabric_error_t send_and_wait(fabric_client_t *client, blocking_call_t *call)
{
    call_list_t calls = {0};
    call->record->deadline_ms = client_deadline(client, call->timeout_ms);
    ready_list_append(&calls, call->record);
    return client_run_calls(client, &calls, &call->reason);
}

static void copy_payload(const blocking_call_t *call)
{
    fabric_bytes_t answer = call->record->answer;
    if (!*call->payload) { /* else it was copied where it was decoded */
        *call->payload = memory_allocate(answer.size);
        if (answer.size > 0) {
            memcpy(*call->payload, answer.data, answer.size);
        }
    }
    if (call->payload_size) {
        *call->payload_size = answer.size;
    }
}

/* Decodes the reply or typed failure. If the struct has views, they point into the payload, which
 * is copied. */
static void decode(const blocking_call_t *call, fabric_outcome_t *outcome)
{
    void *value = outcome->failure ? call->failure : call->reply;
    const fabric_schema_t *schema = outcome_schema(call->record, outcome);
    if (call->payload && value && schema && schema_has_views(schema)) {
        *call->payload = outcome_decode_views(call->record, value, outcome);
    } else {
        outcome_decode(call->record, value, outcome);
    }
}

/* Runs a call from its record to its outcome. `error`, if any, is why there is no record. `outcome`
 * may be NULL. */
static fabric_error_t run(fabric_client_t *client, blocking_call_t *call, fabric_error_t error,
                          fabric_outcome_t *outcome)
{
    fabric_outcome_t result;
    if (!error) {
        error = send_and_wait(client, call);
    }
    if (error) {
        outcome_of_reason(error, &call->reason, &result);
        call_destroy(&call->record);
    } else {
        outcome_of(call->record, client->number, &result);
        decode(call, &result);
        if (call->payload && (!result.error || result.failure)) {
            copy_payload(call);
        }
        exchange_release(client->exchange, &call->record);
    }
    if (outcome) {
        *outcome = result;
    }
    return result.error;
}

fabric_error_t fabric_client_call(fabric_client_t *client, const fabric_call_t *description,
                                  void *reply, uint8_t **payload, size_t *payload_size,
                                  fabric_outcome_t *outcome)
{
    blocking_call_t call = {.timeout_ms = description->timeout_ms,
                            .reply = reply,
                            .failure = description->failure,
                            .payload = payload,
                            .payload_size = payload_size};
    int cancel = thread_hold_cancel();
    if (payload) {
        *payload = NULL;
    }
    fabric_error_t error = client_check_process(client, &call.reason);
    if (!error) {
        error = request_check_structs(description, reply, payload != NULL, &call.reason);
    }
    if (!error) {
        error = request_build(description, client->number, &call.reason, &call.record);
    }
    error = run(client, &call, error, outcome);
    thread_allow_cancel(cancel);
    return error;
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
