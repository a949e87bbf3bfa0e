/* The checker: see checker.h. This file makes the report, and compares what callers were told
 * with what is stored. */
#include "tests/checker/checker_state.h"

#include <stdarg.h>
#include <stdio.h>

typedef unsigned long long ull;

static const char *kind_name(checker_kind_t kind)
{
    static const char *const names[CHECKER_KINDS] = {
        "lost",      "falsely accepted", "invented", "doubled",     "chain", "reply", "order",
        "ownership", "volatile",         "liveness", "dead letter", "store", "bounds"};
    return names[kind];
}

void checker_say(checker_t *checker, checker_kind_t kind, const char *format, ...)
{
    checker_report_t *report = checker->report;
    report->violations++;
    report->of_kind[kind]++;
    if (report->line_count == CHECKER_LINES_MAX) {
        return;
    }
    char *line = report->lines[report->line_count++];
    int size = snprintf(line, CHECKER_LINE_SIZE, "%s: ", kind_name(kind));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + size, CHECKER_LINE_SIZE - (size_t)size, format, arguments);
    va_end(arguments);
}

/* ---- what callers were told ---- */

static void check_stored_as_told(checker_t *checker, const call_t *call)
{
    const history_record_t *invoked = call->invoked;
    const message_t *message = call->message == NOWHERE ? NULL : &checker->messages[call->message];
    if (!message) {
        checker_say(checker, CHECKER_LOST,
                    "call %u/%llu to entity %u was told to be accepted as request %llu, and is not "
                    "stored",
                    invoked->client, (ull)invoked->number, invoked->entity, (ull)call->request_id);
    } else if (message->row->request_id != call->request_id) {
        checker_say(checker, CHECKER_LOST,
                    "call %u/%llu was told to be accepted as request %llu, and is stored as %llu",
                    invoked->client, (ull)invoked->number, (ull)call->request_id,
                    (ull)message->row->request_id);
    }
    if (message && !message->reply && (call->reply || call->failures > 0)) {
        checker_say(checker, CHECKER_REPLY,
                    "call %u/%llu (request %llu) got a reply that is not "
                    "stored",
                    invoked->client, (ull)invoked->number, (ull)call->request_id);
    }
    if (message && message->reply && call->reply &&
        message->reply->payload_hash != call->reply->reply_hash) {
        checker_say(checker, CHECKER_REPLY,
                    "call %u/%llu (request %llu) got a reply that is not the stored one",
                    invoked->client, (ull)invoked->number, (ull)call->request_id);
    }
    if (message && message->reply && call->failures > 0 && message->reply->error != call->error) {
        checker_say(checker, CHECKER_REPLY,
                    "call %u/%llu (request %llu) got error %u, stored is error %u", invoked->client,
                    (ull)invoked->number, (ull)call->request_id, call->error,
                    message->reply->error);
    }
}

/* The reply of a volatile call must be what an execution of it said. */
static void check_volatile_reply(checker_t *checker, const call_t *call)
{
    const history_execution_t *execution = &call->reply->execution;
    size_t index = places_find(&checker->run_places, execution->process, execution->serial);
    if (index == NOWHERE || checker->runs[index].start->number != call->invoked->number ||
        checker->runs[index].start->client != call->invoked->client) {
        checker_say(checker, CHECKER_REPLY, "volatile call %u/%llu got a reply that nothing said",
                    call->invoked->client, (ull)call->invoked->number);
    }
}

static void check_call(checker_t *checker, const call_t *call)
{
    const history_record_t *invoked = call->invoked;
    bool durable = (call->flags & HISTORY_DURABLE) != 0;
    if (durable && call->request_id != 0) {
        check_stored_as_told(checker, call);
    } else if (durable && call->reply) {
        checker_say(checker, CHECKER_REPLY, "call %u/%llu got a reply without a request id",
                    invoked->client, (ull)invoked->number);
    } else if (!durable && call->reply) {
        check_volatile_reply(checker, call);
    }
    /* A refusal says something about one sending only: an earlier sending may have been
     * accepted. */
    bool certain = call->rejections > 0 && call->sends == 1;
    if (certain && (call->message != NOWHERE || call->starts > 0)) {
        checker_say(checker, CHECKER_FALSELY_ACCEPTED,
                    "call %u/%llu to entity %u was certainly not accepted, and was %s",
                    invoked->client, (ull)invoked->number, invoked->entity,
                    call->message != NOWHERE ? "stored" : "handled");
    }
}

/* ---- what is stored ---- */

static void check_message(checker_t *checker, const message_t *message, uint32_t *dead)
{
    if (!message->reply && !message->dead) {
        checker_say(checker, CHECKER_LIVENESS,
                    "request %llu (call %u/%llu to entity %u) is pending",
                    (ull)message->row->request_id, message->row->asked.client,
                    (ull)message->row->asked.number, message->row->entity);
    }
    bool failed = message->reply && message->reply->error;
    if ((message->dead || failed) && ++*dead > checker->input->dead_letters_max) {
        checker_say(checker, CHECKER_DEAD_LETTER, "request %llu (call %u/%llu) ended as error %u",
                    (ull)message->row->request_id, message->row->asked.client,
                    (ull)message->row->asked.number, message->reply ? message->reply->error : 0);
    }
}

static void check_process(checker_t *checker, const checker_process_t *process)
{
    const checker_input_t *input = checker->input;
    if (process->memory_kib > input->memory_kib_max ||
        process->descriptors > input->descriptors_max) {
        checker_say(checker, CHECKER_BOUNDS, "%s had %llu KiB of memory and %llu descriptors",
                    process->name, (ull)process->memory_kib, (ull)process->descriptors);
    }
}

void checker_run(const checker_input_t *input, checker_report_t *report)
{
    checker_t checker = {.input = input, .report = report};
    uint32_t dead = 0;
    *report = (checker_report_t){0};
    checker_index(&checker);
    checker_check_runs(&checker);
    for (size_t i = 0; i < checker.call_count; i++) {
        check_call(&checker, &checker.calls[i]);
    }
    for (size_t i = 0; i < checker.message_count; i++) {
        check_message(&checker, &checker.messages[i], &dead);
    }
    for (size_t i = 0; i < input->tables->fault_count; i++) {
        checker_say(&checker, CHECKER_STORE, "%s", input->tables->faults[i].text);
    }
    for (size_t i = 0; i < input->process_count; i++) {
        check_process(&checker, &input->processes[i]);
    }
    report->calls = checker.call_count;
    report->executions = checker.run_count;
    report->messages = checker.message_count;
    checker_index_free(&checker);
}

void checker_print(const checker_report_t *report)
{
    print_message("checker: %llu calls, %llu messages, %llu replies, %llu executions (%llu "
                  "count, %llu do not), %llu calls settled by sending again, %llu violations\n",
                  (ull)report->calls, (ull)report->messages, (ull)report->replies,
                  (ull)report->executions, (ull)report->counted, (ull)report->uncounted,
                  (ull)report->settled, (ull)report->violations);
    for (uint32_t i = 0; i < report->line_count; i++) {
        print_error("checker: %s\n", report->lines[i]);
    }
}
