/* Two brokers, and a client that is connected to the one that stands by: what it asks is carried
 * to the home and back. Either broker dies meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/document.h"
#include "core/limits.h"
#include "tests/checker/table_count.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/raw_fabric.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 90000, ENTITIES = 32, INFLIGHT = 64, CALLS = 512, QUERIES = 64 };

static probe_load_t load;

/* Opens the testbed's client again, so that it knows one broker only, and connects to no other. */
static void connect_to(testbed_t *bed, const char *url)
{
    fabric_outcome_t outcome = {0};
    fabric_client_options_t options = {
        .name = "far", .connect_timeout_ms = WAIT_MAX_MS, .forward = FABRIC_FORWARD_ALWAYS};
    fabric_client_close(&bed->client);
    if (fabric_client_open(url, &options, &bed->client, &outcome)) {
        fail_msg("%s: %s", url, outcome.text);
    }
}

static void start(testbed_t *bed)
{
    testbed_start_pair(bed, 1);
    connect_to(bed, bed->cluster.standby_url);
    load = (probe_load_t){
        .client = bed->client, .prefix = "far", .entities = ENTITIES, .inflight = INFLIGHT};
}

/* Each call of the load stands in the store once, with its end, and the handlers ran in order. */
static void check_everything_once(testbed_t *bed)
{
    testbed_wait_drained(bed);
    testbed_stop_processes(bed);
    probe_starts_t starts = probe_starts_read(bed->folder);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
    table_count_expect_all_answered(bed, load.started);
}

static void ask_volatile(testbed_t *bed, const char *text)
{
    static probe_text_t reply;
    probe_text_t request = {""};
    fabric_outcome_t outcome = {0};
    snprintf(request.text, sizeof request.text, "%s", text);
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "volatile"),
                          .message = &probe_volatile_echo,
                          .request = &request,
                          .timeout_ms = WAIT_MAX_MS};
    if (fabric_client_call(bed->client, &call, &reply, NULL, NULL, &outcome)) {
        fail_msg("%s", outcome.text);
    }
    assert_string_equal(reply.text, text);
}

static void a_client_of_one_broker_reaches_all_entities(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    ask_volatile(bed, "one");
    probe_load_run(&load, CALLS);
    ask_volatile(bed, "two");
    probe_load_end(&load);
    check_everything_once(bed);
}

/* A call that begins, and does not end before its gate opens. */
static struct {
    unsigned count;
    fabric_error_t error;
} held;

static void held_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context;
    (void)payload;
    held.count++;
    held.error = outcome->error;
}

static void hold(testbed_t *bed)
{
    static const probe_text_t gate = {"gate"};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "held"),
                          .message = &probe_volatile_hold,
                          .request = &gate,
                          .timeout_ms = WAIT_MAX_MS};
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    size_t started = 0;
    held.count = 0;
    assert_int_equal(fabric_client_start(bed->client, &call, held_ended, NULL, NULL), FABRIC_OK);
    while (started == 0) {
        (void)fabric_client_wait(bed->client, 5);
        probe_starts_t starts = probe_starts_read(bed->folder);
        started = probe_starts_count(&starts, "held");
        probe_starts_free(&starts);
        testbed_poll(deadline_ms, "the start of a handler");
    }
}

static void expect_unknown(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS / 2;
    while (held.count == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the end of a volatile call");
    }
    assert_int_equal(held.error, FABRIC_ERROR_OUTCOME_UNKNOWN);
}

static void the_broker_between_is_killed(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    hold(bed);
    for (int i = 0; i < 2; i++) {
        probe_load_run(&load, INFLIGHT);
        testbed_kill(&bed->cluster.standby);
        expect_unknown(bed);
        testbed_restart_standby(bed);
        probe_load_run(&load, 2 * INFLIGHT);
    }
    testbed_open_gate(bed, "gate");
    probe_load_end(&load);
    check_everything_once(bed);
}

static void the_home_is_killed(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    hold(bed);
    probe_load_run(&load, INFLIGHT);
    testbed_kill(&bed->cluster.broker);
    expect_unknown(bed);
    probe_load_run(&load, 2 * INFLIGHT); /* the standby is home now */
    testbed_open_gate(bed, "gate");
    probe_load_end(&load);
    testbed_restart_broker(bed); /* it stands by, and carries frames to the other one */
    connect_to(bed, bed->cluster.url);
    load.client = bed->client;
    probe_load_run(&load, 2 * INFLIGHT);
    probe_load_end(&load);
    check_everything_once(bed);
}

static void large_messages_are_carried(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    static probe_padded_t request;
    for (uint64_t i = 1; i <= 8; i++) {
        request.number = i;
        padding_fill(&request.padding, PADDING_BYTES_MAX, i);
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "large"),
                              .message = &probe_padded_append,
                              .request = &request,
                              .timeout_ms = WAIT_MAX_MS};
        probe_place_t place;
        assert_int_equal(fabric_client_call(bed->client, &call, &place, NULL, NULL, NULL),
                         FABRIC_OK);
        assert_int_equal(place.position, i);
    }
    /* The largest payload arrives too: the home reads it, and finds that it is none. */
    static uint8_t bulk[LIMIT_PAYLOAD_BYTES_MAX];
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "large"),
                          .message = &probe_padded_append,
                          .payload = fabric_bytes(bulk, sizeof bulk),
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, NULL),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
}

/* ---- questions to a certain broker ---- */

/* What the broker of this incarnation says of itself; the document is to be released. */
static json_t *status_at(testbed_t *bed, const char *broker)
{
    uint8_t *document = NULL;
    size_t size = 0;
    char *text = NULL;
    fabric_outcome_t outcome = {0};
    if (fabric_client_query_at(bed->client, broker, "status", fabric_bytes(NULL, 0), WAIT_MAX_MS,
                               &document, &size, &outcome)) {
        fail_msg("%s: %s: %s", broker, fabric_error_name(outcome.error), outcome.text);
    }
    assert_int_equal(document_to_json(fabric_bytes(document, size), &text), FABRIC_OK);
    json_t *status = json_loads(text, 0, NULL);
    free(document);
    free(text);
    assert_string_equal(json_string_value(json_object_get(status, "broker")), broker);
    return status;
}

/* Whether all brokers were asked at the same time, and all answered but the broker `silent`. */
static void ask_all(testbed_t *bed, const char *silent, uint32_t timeout_ms)
{
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    uint64_t begun_ms = clock_monotonic_ms();
    assert_int_equal(fabric_client_query_all(bed->client, "status", fabric_bytes(NULL, 0),
                                             timeout_ms, &answers, &count, NULL),
                     FABRIC_OK);
    assert_in_range(clock_monotonic_ms() - begun_ms, 0, timeout_ms + 1000);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        bool is_silent = strcmp(answers[i].broker, silent) == 0;
        assert_int_equal(answers[i].outcome.error != FABRIC_OK, is_silent);
        assert_int_equal(answers[i].document == NULL, is_silent);
    }
    fabric_broker_answers_free(&answers, &count);
}

static void a_certain_broker_is_asked_by_way_of_another(void **state)
{
    testbed_t *bed = *state;
    char far[33];
    char near[33];
    uint8_t *document = NULL;
    size_t size = 0;
    start(bed);
    assert_true(testbed_lanes_held(bed, bed->cluster.url, far) > 0);
    assert_int_equal(testbed_lanes_held(bed, bed->cluster.standby_url, near), 0);
    json_t *status = status_at(bed, far);
    assert_int_equal(json_array_size(json_object_get(status, "lanes")), 1);
    json_decref(status);
    status = status_at(bed, near);
    assert_int_equal(json_array_size(json_object_get(status, "lanes")), 0);
    json_decref(status);
    ask_all(bed, "", WAIT_MAX_MS);
    assert_int_equal(fabric_client_query_at(bed->client, "0123456789abcdef0123456789abcdef",
                                            "status", fabric_bytes(NULL, 0), WAIT_MAX_MS, &document,
                                            &size, NULL),
                     FABRIC_ERROR_NOT_FOUND);
    testbed_freeze(&bed->cluster.broker);
    ask_all(bed, far, 700);
    testbed_thaw(&bed->cluster.broker);
}

/* ---- a client that does not read ---- */

static bool say_relayed(raw_fabric_t *client, fabric_bytes_t broker,
                        void (*put)(wire_writer_t *, const void *), const void *message)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    put(&frame, message);
    message_relay_t relay = {broker, wire_writer_bytes(&frame)};
    bool said = raw_say(client, relay, &relay);
    wire_writer_destroy(&frame);
    return said;
}

#define relayed(client, broker, name, message)                                                     \
    say_relayed(client, broker, (void (*)(wire_writer_t *, const void *))message_put_##name,       \
                message)

/* The incarnation of the broker at this endpoint, as its own welcome says. */
static incarnation_t broker_at(const char *url)
{
    incarnation_t broker = {{0}};
    message_welcome_t welcome;
    wire_reader_t body;
    message_hello_t hello = raw_client_hello(901, 1);
    raw_fabric_t client = raw_fabric_connect(url);
    assert_true(raw_say(&client, hello, &hello));
    assert_true(raw_hear(&client, KIND_WELCOME, WAIT_MAX_MS, &body));
    assert_int_equal(message_get_welcome(&body, &welcome), FABRIC_OK);
    memcpy(broker.bytes, welcome.broker.data, sizeof broker.bytes);
    raw_fabric_close(&client);
    return broker;
}

/* Nothing is read of what comes by way of the standby. It gives that client up, and others go
 * on. */
static void a_client_that_does_not_read_disturbs_nobody(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    incarnation_t home = broker_at(bed->cluster.url);
    fabric_bytes_t broker = fabric_bytes(home.bytes, sizeof home.bytes);
    raw_fabric_t client = raw_client(bed->cluster.standby_url, 902);
    message_hello_t hello = raw_client_hello(902, 2);
    message_query_t query = {.name = fabric_bytes_of("status")};
    assert_true(relayed(&client, broker, hello, &hello));
    unsigned before = testbed_count_events(bed, "broker-1.log", "peer.violation");
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_count_events(bed, "broker-1.log", "peer.violation") == before) {
        for (int i = 0; i < QUERIES; i++) {
            query.sequence++;
            (void)relayed(&client, broker, query, &query);
        }
        ask_volatile(bed, "others go on");
        testbed_poll(deadline_ms, "the end of a client that does not read");
    }
    ask_volatile(bed, "afterwards, too");
    raw_fabric_close(&client);
    probe_load_run(&load, INFLIGHT);
    probe_load_end(&load);
    check_everything_once(bed);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_client_of_one_broker_reaches_all_entities", a_client_of_one_broker_reaches_all_entities,
         TESTBED_MYSQL},
        {"the_broker_between_is_killed", the_broker_between_is_killed, TESTBED_MYSQL},
        {"the_home_is_killed", the_home_is_killed, TESTBED_MYSQL},
        {"large_messages_are_carried", large_messages_are_carried, TESTBED_MYSQL},
        {"a_certain_broker_is_asked_by_way_of_another", a_certain_broker_is_asked_by_way_of_another,
         TESTBED_MYSQL},
        {"a_client_that_does_not_read_disturbs_nobody", a_client_that_does_not_read_disturbs_nobody,
         TESTBED_MYSQL},
    };
    return testbed_run("mesh", tests, sizeof tests / sizeof tests[0]);
}
