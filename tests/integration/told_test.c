/* What handlers of durable messages tell other entities is stored with their replies, and handled
 * once. Contacts count in their persisted states how often they have been met. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/liaison.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 60000, LIAISONS = 24, CONTACTS = 4, TOLD = 5 };
enum { MEETINGS = LIAISONS / CONTACTS * TOLD }; /* of each contact */

typedef struct call {
    unsigned ends;
    fabric_error_t error;
    liaison_reply_t reply;
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

static void begin(testbed_t *bed, const char *type, const char *id,
                  const fabric_message_type_t *message, const liaison_request_t *request,
                  call_t *call)
{
    fabric_call_t begun = {.entity = fabric_entity(type, id),
                           .message = message,
                           .request = request,
                           .timeout_ms = WAIT_MAX_MS};
    fabric_call_key_t key;
    *call = (call_t){0};
    assert_int_equal(fabric_client_start(bed->client, &begun, call_ended, call, &key), FABRIC_OK);
}

static void expect_reply(testbed_t *bed, const call_t *call)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (call->ends == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the end of a call");
    }
    assert_string_equal(fabric_error_name(call->error), "OK");
    assert_int_equal(call->reply.error, FABRIC_OK);
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

static void tell_all(testbed_t *bed, call_t *calls)
{
    for (int i = 0; i < LIAISONS; i++) {
        char id[32];
        liaison_request_t request = {.end = TOLD};
        snprintf(id, sizeof id, "l-%d", i);
        snprintf(request.whom, sizeof request.whom, "c-%d", i % CONTACTS);
        begin(bed, LIAISON_TYPE, id, &liaison_pass, &request, &calls[i]);
    }
}

/* Each question is a meeting of its own. */
static void expect_meetings(testbed_t *bed, int contact)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    const liaison_request_t request = {.gate = ""};
    uint32_t asked = 0;
    uint32_t met;
    char id[32];
    snprintf(id, sizeof id, "c-%d", contact);
    do {
        static call_t call;
        begin(bed, CONTACT_TYPE, id, &liaison_meet, &request, &call);
        expect_reply(bed, &call);
        asked++;
        met = call.reply.meetings - asked;
        testbed_poll(deadline_ms, "all meetings");
    } while (met < MEETINGS);
    assert_int_equal(met, MEETINGS);
}

static void wait_until_sent(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_sum(bed, "outgoing") > 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the ends of all outgoing messages");
    }
}

static void what_is_told_is_handled_once(void **state)
{
    testbed_t *bed = *state;
    static call_t calls[LIAISONS];
    start(bed);
    tell_all(bed, calls);
    for (int i = 0; i < LIAISONS; i++) {
        expect_reply(bed, &calls[i]);
    }
    for (int i = 0; i < CONTACTS; i++) {
        expect_meetings(bed, i);
    }
    wait_until_sent(bed);
    assert_int_equal(testbed_sum(bed, "dead_letters"), 0);
}

/* Lanes of sources, and of targets, get new homes. */
static void a_broker_is_killed_meanwhile(void **state)
{
    testbed_t *bed = *state;
    static call_t calls[LIAISONS];
    start(bed);
    tell_all(bed, calls);
    expect_reply(bed, &calls[0]);
    testbed_kill(&bed->cluster.brokers[1]);
    for (int i = 0; i < LIAISONS; i++) {
        expect_reply(bed, &calls[i]);
    }
    for (int i = 0; i < CONTACTS; i++) {
        expect_meetings(bed, i);
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"what_is_told_is_handled_once", what_is_told_is_handled_once, TESTBED_SQLITE},
        {"what_is_told_is_handled_once_on_three_brokers", what_is_told_is_handled_once,
         TESTBED_MYSQL_3},
        {"a_broker_is_killed_meanwhile", a_broker_is_killed_meanwhile, TESTBED_MYSQL_3},
    };
    return testbed_run("told", tests, sizeof tests / sizeof tests[0]);
}
