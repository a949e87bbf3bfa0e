/* Entities that ask and tell entities of other workers. Names that begin with ids of behaviours
 * are of those that are ported. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/liaison.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 60000, LIAISONS = 0, CONTACTS = 1 };

typedef struct call {
    unsigned ends;
    fabric_error_t error;
    liaison_reply_t reply;
    fabric_call_key_t key;
} call_t;

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = (call_t *)context;
    call->ends++;
    call->error = outcome->error;
    if (outcome->error == FABRIC_OK) {
        assert_int_equal(fabric_schema_decode(&liaison_reply_schema, payload, NULL, &call->reply),
                         FABRIC_OK);
    }
}

static void begin(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                  const liaison_request_t *request, call_t *call)
{
    fabric_call_t begun = {.entity = fabric_entity(LIAISON_TYPE, id),
                           .message = message,
                           .request = request,
                           .timeout_ms = WAIT_MAX_MS};
    *call = (call_t){0};
    assert_int_equal(fabric_client_start(bed->client, &begun, call_ended, call, &call->key),
                     FABRIC_OK);
}

static void expect_end(testbed_t *bed, const call_t *call, fabric_error_t error)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (call->ends == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the end of a call");
    }
    assert_int_equal(call->ends, 1);
    assert_string_equal(fabric_error_name(call->error), fabric_error_name(error));
}

/* How many lines of the modules' notes begin with this text. */
static unsigned count_notes(const testbed_t *bed, const char *text)
{
    char path[FOLDER_PATH_SIZE + 16];
    char line[128];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/liaisons", bed->folder);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        count += strncmp(line, text, strlen(text)) == 0;
    }
    if (file) {
        fclose(file);
    }
    return count;
}

static void wait_for_note(testbed_t *bed, const char *text, unsigned count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (count_notes(bed, text) < count) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, text);
    }
}

/* One worker runs liaisons, the next one contacts. */
static void start(testbed_t *bed)
{
    testbed_start(bed, 0);
    bed->options.module = LIAISON_MODULE;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
    bed->options.module = CONTACT_MODULE;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
}

/* ---- asks ---- */

static void entities_of_other_workers_answer(void **state)
{
    enum { CALLS = 24 };
    testbed_t *bed = *state;
    static call_t calls[CALLS];
    start(bed);
    for (int i = 0; i < CALLS; i++) {
        char id[32];
        liaison_request_t request = {.gate = ""};
        snprintf(id, sizeof id, "l-%d", i);
        /* One of three by way of another liaison. */
        if (i % 3 == 0) {
            snprintf(request.whom, sizeof request.whom, "=m-%d>c-%d", i, i);
        } else {
            snprintf(request.whom, sizeof request.whom, "c-%d", i);
        }
        begin(bed, id, i % 2 ? &liaison_meet : &liaison_glance, &request, &calls[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        expect_end(bed, &calls[i], FABRIC_OK);
        assert_int_equal(calls[i].reply.error, FABRIC_OK);
        assert_int_equal(calls[i].reply.meetings, i % 2);
    }
}

/* While one message waits, the executors run others, also of more entities than there are. */
static void many_wait_at_once(void **state)
{
    enum { CALLS = 50 };
    testbed_t *bed = *state;
    static call_t calls[CALLS];
    start(bed);
    for (int i = 0; i < CALLS; i++) {
        char id[32];
        liaison_request_t request = {.gate = "gate", .timeout_ms = WAIT_MAX_MS};
        snprintf(id, sizeof id, "l-%d", i);
        snprintf(request.whom, sizeof request.whom, "c-%d", i);
        begin(bed, id, &liaison_meet, &request, &calls[i]);
    }
    wait_for_note(bed, "meet", CALLS);
    testbed_open_gate(bed, "gate");
    for (int i = 0; i < CALLS; i++) {
        expect_end(bed, &calls[i], FABRIC_OK);
        assert_int_equal(calls[i].reply.error, FABRIC_OK);
    }
}

static void the_worker_of_the_asked_is_killed(void **state)
{
    testbed_t *bed = *state;
    static call_t call;
    const liaison_request_t request = {.whom = "c", .gate = "gate"};
    start(bed);
    begin(bed, "l", &liaison_meet, &request, &call);
    wait_for_note(bed, "meet c 1", 1);
    testbed_kill(&bed->cluster.workers[CONTACTS]);
    testbed_add_worker(bed);
    wait_for_note(bed, "meet c 2", 1);
    assert_int_equal(call.ends, 0);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &call, FABRIC_OK);
    assert_int_equal(call.reply.error, FABRIC_OK);
    assert_int_equal(call.reply.meetings, 1);
    assert_int_equal(call.reply.delivery, 1);
    assert_int_equal(count_notes(bed, "ask"), 1);
}

/* The next attempt asks by the same key: the contact is met once. */
static void the_worker_of_the_asker_is_killed(void **state)
{
    testbed_t *bed = *state;
    static call_t call;
    const liaison_request_t request = {.whom = "c", .gate = "gate"};
    start(bed);
    begin(bed, "l", &liaison_meet, &request, &call);
    wait_for_note(bed, "meet c 1", 1);
    testbed_kill(&bed->cluster.workers[LIAISONS]);
    bed->options.module = LIAISON_MODULE;
    testbed_add_worker(bed);
    wait_for_note(bed, "ask l 2", 1);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &call, FABRIC_OK);
    assert_int_equal(call.reply.error, FABRIC_OK);
    assert_int_equal(call.reply.meetings, 1);
    assert_int_equal(call.reply.delivery, 2);
    assert_int_equal(count_notes(bed, "meet"), 1);
}

/* The same with an answer that was there before the asker was lost. */
static void a_stored_answer_comes_again(void **state)
{
    testbed_t *bed = *state;
    static call_t call;
    const liaison_request_t request = {.whom = "c", .gate = "gate"};
    start(bed);
    begin(bed, "l", &liaison_meet, &request, &call);
    wait_for_note(bed, "meet c 1", 1);
    testbed_freeze(&bed->cluster.workers[LIAISONS]);
    testbed_open_gate(bed, "gate");
    testbed_kill(&bed->cluster.workers[LIAISONS]);
    bed->options.module = LIAISON_MODULE;
    testbed_add_worker(bed);
    expect_end(bed, &call, FABRIC_OK);
    assert_int_equal(call.reply.error, FABRIC_OK);
    assert_int_equal(call.reply.meetings, 1);
    assert_int_equal(call.reply.delivery, 2);
    assert_int_equal(count_notes(bed, "meet"), 1);
}

static void entities_that_ask_each_other_end_at_their_deadlines(void **state)
{
    testbed_t *bed = *state;
    static call_t call, next;
    const liaison_request_t request = {.whom = "=b>=a>c", .timeout_ms = 700};
    const liaison_request_t sound = {.whom = "c"};
    start(bed);
    begin(bed, "a", &liaison_meet, &request, &call);
    expect_end(bed, &call, FABRIC_OK);
    assert_int_not_equal(call.reply.error, FABRIC_OK);
    begin(bed, "a", &liaison_meet, &sound, &next); /* nothing is left behind */
    expect_end(bed, &next, FABRIC_OK);
    assert_int_equal(next.reply.error, FABRIC_OK);
}

static void an_ask_ends_at_its_deadline(void **state)
{
    testbed_t *bed = *state;
    static call_t call;
    const liaison_request_t request = {.whom = "c", .gate = "gate", .timeout_ms = 300};
    start(bed);
    begin(bed, "l", &liaison_glance, &request, &call);
    expect_end(bed, &call, FABRIC_OK);
    assert_int_equal(call.reply.error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    begin(bed, "l", &liaison_meet, &request, &call);
    expect_end(bed, &call, FABRIC_OK);
    assert_int_equal(call.reply.error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    testbed_open_gate(bed, "gate");
}

static void a_cancel_goes_on_to_what_was_asked(void **state)
{
    testbed_t *bed = *state;
    static call_t call;
    const liaison_request_t request = {.whom = "=m>c", .gate = "gate"};
    start(bed);
    for (unsigned durable = 0; durable < 2; durable++) {
        begin(bed, "l", durable ? &liaison_meet : &liaison_glance, &request, &call);
        wait_for_note(bed, durable ? "meet c" : "glance c", 1);
        assert_int_equal(fabric_client_cancel(bed->client, call.key), FABRIC_OK);
        expect_end(bed, &call, FABRIC_ERROR_CANCELLED);
        assert_int_equal(count_notes(bed, "cancelled c"), durable + 1);
    }
}

/* A worker stops in order while its entity waits; another one asks again, and gets the answer. */
static void a_worker_stops_while_asks_wait(void **state)
{
    static const char *const short_grace[] = {"--grace-ms", "500", NULL};
    testbed_t *bed = *state;
    static call_t call;
    const liaison_request_t request = {.whom = "c", .gate = "gate"};
    bed->options.worker_arguments = short_grace;
    start(bed);
    begin(bed, "l", &liaison_meet, &request, &call);
    wait_for_note(bed, "meet c 1", 1);
    process_stop(&bed->cluster.workers[LIAISONS], WAIT_MAX_MS);
    bed->options.module = LIAISON_MODULE;
    testbed_add_worker(bed);
    wait_for_note(bed, "ask l 2", 1);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &call, FABRIC_OK);
    assert_int_equal(call.reply.error, FABRIC_OK);
    assert_int_equal(call.reply.meetings, 1);
    assert_int_equal(count_notes(bed, "meet"), 1);
}

/* ---- messages of finalizers ---- */

/* Stops the worker of an entity whose finalizer sends; `pending`: while a handler of it waits. */
static void stop_with_a_tell(testbed_t *bed, bool durable, bool pending)
{
    static const char *const short_grace[] = {"--grace-ms", "300", NULL};
    static call_t call, waits;
    const liaison_request_t request = {.whom = "told", .end = END_BY_TELL};
    const liaison_request_t blocked = {.whom = "c", .gate = "gate"};
    bed->options.worker_arguments = short_grace;
    start(bed);
    begin(bed, "l", durable ? &liaison_prepare_durable : &liaison_prepare, &request, &call);
    expect_end(bed, &call, FABRIC_OK);
    if (pending) {
        begin(bed, "l", &liaison_glance, &blocked, &waits);
        wait_for_note(bed, "glance c", 1);
    }
    uint64_t began_ms = clock_monotonic_ms();
    process_stop(&bed->cluster.workers[LIAISONS], WAIT_MAX_MS);
    assert_in_range(clock_monotonic_ms() - began_ms, 0, 20000);
    assert_int_equal(count_notes(bed, "finalized l OK"), 1);
    wait_for_note(bed, durable ? "meet told 1" : "glance told 1", 1);
    assert_int_equal(count_notes(bed, durable ? "glance told" : "meet told"), 0);
    testbed_open_gate(bed, "gate");
}

static void test_sh_07_ie_02_a_durable_tell_of_a_finalizer_is_stored(void **state)
{
    stop_with_a_tell(*state, true, false);
}

static void test_sh_08_ie_03_a_volatile_tell_of_a_finalizer_is_handled(void **state)
{
    stop_with_a_tell(*state, false, false);
}

static void test_sh_09_ie_04_a_durable_tell_of_a_preempted_entity_is_stored(void **state)
{
    stop_with_a_tell(*state, true, true);
}

static void test_sh_10_ie_05_a_volatile_tell_of_a_preempted_entity_is_handled(void **state)
{
    stop_with_a_tell(*state, false, true);
}

/* The finalizer waits for an entity that nobody runs any more. */
static void stop_with_an_ask(testbed_t *bed, bool durable)
{
    static call_t call;
    const liaison_request_t request = {.whom = "asked", .end = END_BY_ASK, .timeout_ms = 700};
    start(bed);
    begin(bed, "l", durable ? &liaison_prepare_durable : &liaison_prepare, &request, &call);
    expect_end(bed, &call, FABRIC_OK);
    process_stop(&bed->cluster.workers[CONTACTS], WAIT_MAX_MS);
    process_stop(&bed->cluster.workers[LIAISONS], WAIT_MAX_MS);
    assert_int_equal(count_notes(bed, "finalized l"), 1);
    assert_int_equal(count_notes(bed, "finalized l OK"), 0);
    bed->options.module = CONTACT_MODULE;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
    if (durable) { /* it was stored, and its outcome was unknown */
        assert_int_equal(count_notes(bed, "finalized l OutcomeUnknown"), 1);
        wait_for_note(bed, "meet asked 1", 1);
    }
    testbed_wait_drained(bed);
    assert_int_equal(count_notes(bed, "glance asked"), 0);
    assert_int_equal(count_notes(bed, "meet asked"), durable);
}

static void test_sh_11_ie_01_a_durable_ask_of_a_finalizer_ends(void **state)
{
    stop_with_an_ask(*state, true);
}

static void test_sh_12_a_volatile_ask_of_a_finalizer_ends(void **state)
{
    stop_with_an_ask(*state, false);
}

/* The entity waits for a remote one when its worker stops: the remote handler is told. */
static void test_sh_14_the_ask_of_an_entity_that_stops_is_cancelled(void **state)
{
    static const char *const short_grace[] = {"--grace-ms", "300", NULL};
    testbed_t *bed = *state;
    static call_t call;
    const liaison_request_t request = {.whom = "c", .gate = "gate"};
    bed->options.worker_arguments = short_grace;
    start(bed);
    begin(bed, "l", &liaison_glance, &request, &call);
    wait_for_note(bed, "glance c", 1);
    process_stop(&bed->cluster.workers[LIAISONS], WAIT_MAX_MS);
    wait_for_note(bed, "cancelled c", 1);
    expect_end(bed, &call, FABRIC_ERROR_OUTCOME_UNKNOWN);
    testbed_open_gate(bed, "gate");
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"entities_of_other_workers_answer", entities_of_other_workers_answer, TESTBED_SQLITE},
        {"entities_of_other_workers_answer_on_three_brokers", entities_of_other_workers_answer,
         TESTBED_MYSQL_3},
        {"many_wait_at_once", many_wait_at_once, TESTBED_SQLITE},
        {"the_worker_of_the_asked_is_killed", the_worker_of_the_asked_is_killed, TESTBED_SQLITE},
        {"the_worker_of_the_asked_is_killed_on_three_brokers", the_worker_of_the_asked_is_killed,
         TESTBED_MYSQL_3},
        {"the_worker_of_the_asker_is_killed", the_worker_of_the_asker_is_killed, TESTBED_SQLITE},
        {"the_worker_of_the_asker_is_killed_on_three_brokers", the_worker_of_the_asker_is_killed,
         TESTBED_MYSQL_3},
        {"a_stored_answer_comes_again", a_stored_answer_comes_again, TESTBED_SQLITE},
        {"a_stored_answer_comes_again_on_three_brokers", a_stored_answer_comes_again,
         TESTBED_MYSQL_3},
        {"entities_that_ask_each_other_end_at_their_deadlines",
         entities_that_ask_each_other_end_at_their_deadlines, TESTBED_SQLITE},
        {"an_ask_ends_at_its_deadline", an_ask_ends_at_its_deadline, TESTBED_SQLITE},
        {"a_cancel_goes_on_to_what_was_asked", a_cancel_goes_on_to_what_was_asked, TESTBED_SQLITE},
        {"a_cancel_goes_on_to_what_was_asked_on_three_brokers", a_cancel_goes_on_to_what_was_asked,
         TESTBED_MYSQL_3},
        {"a_worker_stops_while_asks_wait", a_worker_stops_while_asks_wait, TESTBED_SQLITE},
        {"a_worker_stops_while_asks_wait_on_three_brokers", a_worker_stops_while_asks_wait,
         TESTBED_MYSQL_3},
        {"test_sh_07_ie_02_a_durable_tell_of_a_finalizer_is_stored",
         test_sh_07_ie_02_a_durable_tell_of_a_finalizer_is_stored, TESTBED_ALL},
        {"test_sh_08_ie_03_a_volatile_tell_of_a_finalizer_is_handled",
         test_sh_08_ie_03_a_volatile_tell_of_a_finalizer_is_handled, TESTBED_ALL},
        {"test_sh_09_ie_04_a_durable_tell_of_a_preempted_entity_is_stored",
         test_sh_09_ie_04_a_durable_tell_of_a_preempted_entity_is_stored, TESTBED_ALL},
        {"test_sh_10_ie_05_a_volatile_tell_of_a_preempted_entity_is_handled",
         test_sh_10_ie_05_a_volatile_tell_of_a_preempted_entity_is_handled, TESTBED_ALL},
        {"test_sh_11_ie_01_a_durable_ask_of_a_finalizer_ends",
         test_sh_11_ie_01_a_durable_ask_of_a_finalizer_ends, TESTBED_ALL},
        {"test_sh_12_a_volatile_ask_of_a_finalizer_ends",
         test_sh_12_a_volatile_ask_of_a_finalizer_ends, TESTBED_ALL},
        {"test_sh_14_the_ask_of_an_entity_that_stops_is_cancelled",
         test_sh_14_the_ask_of_an_entity_that_stops_is_cancelled, TESTBED_ALL},
    };
    return testbed_run("asks", tests, sizeof tests / sizeof tests[0]);
}
