/* Questions to brokers: to any one, to a certain one, and to all of them at the same time. */
#include "libfabric_client/src/client_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"

static void copy_answer(const call_t *call, uint8_t **document, size_t *size)
{
    *document = memory_allocate(call->answer.size);
    if (call->answer.size > 0) {
        memcpy(*document, call->answer.data, call->answer.size);
    }
    *size = call->answer.size;
}

/* ---- one broker ---- */

static fabric_error_t build(fabric_client_t *client, const char *broker, const char *name,
                            fabric_bytes_t argument, reason_t *reason, call_t **call)
{
    incarnation_t incarnation = {{0}};
    fabric_error_t error = client_check_process(client, reason);
    if (error) {
        return error;
    }
    if (broker && (!incarnation_parse(broker, &incarnation) || incarnation_is_none(incarnation))) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "a broker is named by 32 hexadecimal digits");
    }
    error = request_build_query(name, argument, reason, call);
    if (!error) {
        (*call)->broker = incarnation;
    }
    return error;
}

/* Runs a query to its end and destroys it. */
static void run(fabric_client_t *client, call_t **call, uint8_t **document, size_t *size,
                fabric_outcome_t *outcome)
{
    reason_t reason = {{0}};
    call_list_t calls = {0};
    ready_list_append(&calls, *call);
    fabric_error_t error = client_run_calls(client, &calls, &reason);
    if (error) {
        outcome_of_reason(error, &reason, outcome);
        call_destroy(call);
        return;
    }
    outcome_of(*call, client->number, outcome);
    if (!outcome->error) {
        copy_answer(*call, document, size);
    }
    exchange_release(client->exchange, call);
}

void client_ask_home(fabric_client_t *client, fabric_entity_t entity, const char *name,
                     fabric_bytes_t argument, uint64_t deadline_ms, uint8_t **document,
                     size_t *size, fabric_outcome_t *outcome)
{
    reason_t reason = {{0}};
    call_t *call = NULL;
    *document = NULL;
    fabric_error_t error = client_check_process(client, &reason);
    error = error ? error : request_build_home_query(entity, name, argument, &reason, &call);
    if (error) {
        outcome_of_reason(error, &reason, outcome);
        return;
    }
    call->deadline_ms = deadline_ms;
    run(client, &call, document, size, outcome);
}

fabric_error_t fabric_client_query_at(fabric_client_t *client, const char *broker, const char *name,
                                      fabric_bytes_t argument, uint32_t timeout_ms,
                                      uint8_t **document, size_t *size, fabric_outcome_t *outcome)
{
    reason_t reason = {{0}};
    fabric_outcome_t result;
    call_t *call = NULL;
    int cancel = thread_hold_cancel();
    *document = NULL;
    fabric_error_t error = build(client, broker, name, argument, &reason, &call);
    if (error) {
        outcome_of_reason(error, &reason, &result);
    } else {
        call->deadline_ms = client_deadline(client, timeout_ms);
        run(client, &call, document, size, &result);
    }
    if (outcome) {
        *outcome = result;
    }
    thread_allow_cancel(cancel);
    return result.error;
}

fabric_error_t fabric_client_query(fabric_client_t *client, const char *name,
                                   fabric_bytes_t argument, uint32_t timeout_ms, uint8_t **document,
                                   size_t *size, fabric_outcome_t *outcome)
{
    return fabric_client_query_at(client, NULL, name, argument, timeout_ms, document, size,
                                  outcome);
}

/* ---- all brokers ---- */

static void take_text(wire_reader_t *reader, char *text, size_t size)
{
    fabric_bytes_t bytes = wire_get_str(reader);
    snprintf(text, size, "%.*s", (int)bytes.size, bytes.size > 0 ? (const char *)bytes.data : "");
}

/* What session_queries.c writes: the document never leaves the process. */
static void read_members(fabric_bytes_t document, fabric_broker_answer_t **answers, size_t *count)
{
    wire_reader_t reader = wire_reader(document);
    uint32_t brokers = wire_get_array(&reader);
    *answers = memory_allocate_zeroed(brokers, sizeof **answers);
    *count = brokers;
    for (uint32_t i = 0; i < brokers; i++) {
        incarnation_t incarnation = {{0}};
        (void)wire_get_array(&reader);
        fabric_bytes_t bytes = wire_get_bin(&reader);
        if (bytes.data && bytes.size == sizeof incarnation.bytes) {
            memcpy(incarnation.bytes, bytes.data, sizeof incarnation.bytes);
        }
        (void)incarnation_text(incarnation, (*answers)[i].broker);
        take_text(&reader, (*answers)[i].name, sizeof(*answers)[i].name);
        take_text(&reader, (*answers)[i].endpoint, sizeof(*answers)[i].endpoint);
    }
}

/* The brokers of the map, as soon as there is one, in answers that are still empty. */
static fabric_error_t find_members(fabric_client_t *client, uint64_t deadline_ms,
                                   fabric_broker_answer_t **answers, size_t *count,
                                   fabric_outcome_t *outcome)
{
    uint8_t *document = NULL;
    size_t size = 0;
    call_t *call;
    reason_t reason = {{0}};
    fabric_error_t error = build(client, NULL, "members", fabric_bytes(NULL, 0), &reason, &call);
    if (error) {
        outcome_of_reason(error, &reason, outcome);
        return error;
    }
    call->members = true;
    call->deadline_ms = deadline_ms;
    run(client, &call, &document, &size, outcome);
    if (!outcome->error) {
        read_members(fabric_bytes(document, size), answers, count);
    }
    free(document);
    return outcome->error;
}

/* Asks the brokers of the answers. On an error, with an outcome, none was asked. */
static fabric_error_t ask_all(fabric_client_t *client, const char *name, fabric_bytes_t argument,
                              uint64_t deadline_ms, fabric_broker_answer_t *answers, size_t count,
                              fabric_outcome_t *outcome)
{
    reason_t reason = {{0}};
    call_list_t list = {0};
    call_t **calls = memory_allocate_zeroed(count, sizeof *calls);
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; i < count && !error; i++) {
        error = build(client, answers[i].broker, name, argument, &reason, &calls[i]);
        if (!error) {
            calls[i]->deadline_ms = deadline_ms;
            ready_list_append(&list, calls[i]);
        }
    }
    if (!error) {
        error = client_run_calls(client, &list, &reason);
    }
    outcome_of_reason(error, &reason, outcome);
    for (size_t i = 0; i < count; i++) {
        if (error) {
            call_destroy(&calls[i]);
            continue;
        }
        outcome_of(calls[i], client->number, &answers[i].outcome);
        if (!answers[i].outcome.error) {
            copy_answer(calls[i], &answers[i].document, &answers[i].size);
        }
        exchange_release(client->exchange, &calls[i]);
    }
    free(calls);
    return error;
}

fabric_error_t fabric_client_query_all(fabric_client_t *client, const char *name,
                                       fabric_bytes_t argument, uint32_t timeout_ms,
                                       fabric_broker_answer_t **answers, size_t *count,
                                       fabric_outcome_t *outcome)
{
    fabric_outcome_t result;
    int cancel = thread_hold_cancel();
    uint64_t deadline_ms = client_deadline(client, timeout_ms);
    *answers = NULL;
    *count = 0;
    fabric_error_t error = find_members(client, deadline_ms, answers, count, &result);
    if (!error) {
        error = ask_all(client, name, argument, deadline_ms, *answers, *count, &result);
    }
    if (error) {
        fabric_broker_answers_free(answers, count);
    }
    if (outcome) {
        *outcome = result;
    }
    thread_allow_cancel(cancel);
    return error;
}

void fabric_broker_answers_free(fabric_broker_answer_t **answers, size_t *count)
{
    for (size_t i = 0; *answers && i < *count; i++) {
        free((*answers)[i].document);
    }
    free(*answers);
    *answers = NULL;
    *count = 0;
}
