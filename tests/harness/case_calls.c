/* Calls of tests that share a cluster: see case_calls.h. */
#include "tests/harness/case_calls.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/folder.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/process_facts.h"

static case_call_t calls[CASE_CALLS_MAX];
static size_t call_count;
static uint32_t ended_count;

void case_add_worker(testbed_t *bed)
{
    char programs[FOLDER_PATH_SIZE];
    char guest[FOLDER_PATH_SIZE + 64];
    char user[FOLDER_PATH_SIZE + 64];
    reason_t reason;
    assert_int_equal(folder_of_programs(&reason, programs), FABRIC_OK);
    snprintf(guest, sizeof guest, "%s/%s", programs, GUEST_MODULE);
    snprintf(user, sizeof user, "%s/%s", programs, USER_MODULE);
    const char *const arguments[] = {"--module", guest, "--module", user, NULL};
    bed->options.worker_arguments = arguments;
    testbed_add_worker(bed);
    bed->options.worker_arguments = NULL;
}

void case_start(testbed_t *bed)
{
    testbed_start(bed, 0);
    case_add_worker(bed);
    case_add_worker(bed);
    testbed_wait_ready(bed, 2);
}

void case_begin(void)
{
    call_count = 0;
    ended_count = 0;
    memset(calls, 0, sizeof calls);
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    case_call_t *call = (case_call_t *)context;
    call->ended = true;
    call->place = ++ended_count;
    call->outcome = *outcome;
    call->size = payload.size < CASE_PAYLOAD_MAX ? payload.size : CASE_PAYLOAD_MAX;
    if (call->size > 0) {
        memcpy(call->payload, payload.data, call->size);
    }
}

case_call_t *case_call(testbed_t *bed, const fabric_call_t *call)
{
    fabric_call_t started = *call;
    assert_true(call_count < CASE_CALLS_MAX);
    case_call_t *made = &calls[call_count++];
    started.timeout_ms = call->timeout_ms ? call->timeout_ms : CASE_WAIT_MAX_MS;
    assert_int_equal(fabric_client_start(bed->client, &started, call_ended, made, NULL), FABRIC_OK);
    return made;
}

case_call_t *case_ask(testbed_t *bed, const char *type, const char *id,
                      const fabric_message_type_t *message, const void *request)
{
    fabric_call_t call = {
        .entity = fabric_entity(type, id), .message = message, .request = request};
    return case_call(bed, &call);
}

case_call_t *case_tell(testbed_t *bed, const char *type, const char *id,
                       const fabric_message_type_t *message, const void *request)
{
    fabric_call_t call = {
        .entity = fabric_entity(type, id), .message = message, .request = request, .tell = true};
    return case_call(bed, &call);
}

void case_step(testbed_t *bed)
{
    (void)fabric_client_wait(bed->client, 5);
}

void case_expect(testbed_t *bed, const case_call_t *call, fabric_error_t error)
{
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * (uint64_t)CASE_WAIT_MAX_MS;
    while (!call->ended) {
        case_step(bed);
        testbed_poll(deadline_ms, "the end of a call");
    }
    if (call->outcome.error != error) {
        fail_msg("%s: %s, not %s", fabric_error_name(call->outcome.error), call->outcome.text,
                 fabric_error_name(error));
    }
}

user_visit_t case_user(const case_call_t *call)
{
    user_visit_t visit;
    assert_int_equal(fabric_schema_decode(&user_visit_schema,
                                          fabric_bytes(call->payload, call->size), NULL, &visit),
                     FABRIC_OK);
    return visit;
}

guest_visit_t case_guest(const case_call_t *call)
{
    guest_visit_t visit;
    assert_int_equal(fabric_schema_decode(&guest_visit_schema,
                                          fabric_bytes(call->payload, call->size), NULL, &visit),
                     FABRIC_OK);
    return visit;
}

user_visit_t case_visit(testbed_t *bed, const char *id, const fabric_message_type_t *message)
{
    const case_call_t *call = case_ask(bed, USER_TYPE, id, message, NULL);
    case_expect(bed, call, FABRIC_OK);
    return case_user(call);
}

size_t case_starts(testbed_t *bed, const char *id)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t count = probe_starts_count(&starts, id);
    probe_starts_free(&starts);
    return count;
}

void case_wait_started(testbed_t *bed, const char *id, size_t wanted)
{
    uint64_t deadline_ms = clock_monotonic_ms() + CASE_WAIT_MAX_MS;
    while (case_starts(bed, id) < wanted) {
        case_step(bed);
        testbed_poll(deadline_ms, "the start of a handler");
    }
}

process_t *case_worker_of(testbed_t *bed, const char *id)
{
    int process = 0;
    probe_starts_t starts = probe_starts_read(bed->folder);
    for (size_t i = 0; i < starts.count; i++) {
        process = strcmp(starts.items[i].id, id) == 0 ? starts.items[i].process : process;
    }
    probe_starts_free(&starts);
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        process_t *worker = &bed->cluster.workers[i];
        if (process_runs(worker) && process_child(worker) == process) {
            return worker;
        }
    }
    fail_msg("no worker has started a handler of %s", id);
    return NULL;
}
