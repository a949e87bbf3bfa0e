/* Clearing an entity: whatever it has, also in the database only, ends once, and the entity is as
 * new afterwards, also where a broker is killed at once. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 90000, BROKERS = 3, QUEUED = 60, HOUR_MS = 3600000 };

static size_t key_of_number(const void *request, uint8_t *key, size_t capacity)
{
    const probe_number_t *number = request;
    return (size_t)snprintf((char *)key, capacity, "payment-%llu",
                            (unsigned long long)number->number);
}

/* A message of Probe, as a program describes it that gives it keys. */
static const fabric_message_type_t keyed_append = {.tag = "Append",
                                                   .request = &probe_number_schema,
                                                   .reply = &probe_place_schema,
                                                   .durable = true,
                                                   .primary_key = key_of_number};

typedef struct ended {
    unsigned times;
    fabric_outcome_t outcome;
} ended_t;

static ended_t running, queued[QUEUED];
static invocation_t invocation;

static void note_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    ended_t *ended = context;
    (void)payload;
    ended->times++;
    ended->outcome = *outcome;
}

static void begin(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                  const void *request, ended_t *ended)
{
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = message,
                          .request = request,
                          .timeout_ms = WAIT_MAX_MS};
    *ended = (ended_t){.times = 0};
    assert_int_equal(fabric_client_start(bed->client, &call, note_end, ended, NULL), FABRIC_OK);
}

static uint64_t pay(testbed_t *bed, uint64_t number, probe_place_t *place)
{
    fabric_outcome_t outcome;
    probe_number_t request = {number};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "a"),
                          .message = &keyed_append,
                          .request = &request,
                          .timeout_ms = WAIT_MAX_MS};
    if (fabric_client_call(bed->client, &call, place, NULL, NULL, &outcome)) {
        fail_msg("%s", outcome.text);
    }
    return outcome.request_id;
}

static void tell_later(testbed_t *bed, uint64_t number)
{
    fabric_outcome_t outcome;
    probe_number_t request = {number};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "a"),
                          .message = &probe_append,
                          .request = &request,
                          .tell = true,
                          .deliver_at_ms = clock_wall_ms() + HOUR_MS};
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome), FABRIC_OK);
}

static void wait_for(testbed_t *bed, const ended_t *ended)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (ended->times == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the end of a call");
    }
}

static void expect_cancelled(testbed_t *bed, const ended_t *ended)
{
    wait_for(bed, ended);
    assert_int_equal(ended->times, 1);
    assert_int_equal(ended->outcome.error, FABRIC_ERROR_CANCELLED);
    assert_string_equal(ended->outcome.text, "an operator cleared the entity");
}

static size_t starts_of(testbed_t *bed, const char *id)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t count = probe_starts_count(&starts, id);
    probe_starts_free(&starts);
    return count;
}

static void wait_for_starts(testbed_t *bed, size_t count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (starts_of(bed, "a") < count) {
        testbed_poll(deadline_ms, "the start of a handler");
    }
}

static int clear(testbed_t *bed, const char *type, const char *id)
{
    const char *const arguments[] = {
        "fabricctl", "--url", bed->cluster.urls, "entity", "clear", type, id, NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    return invocation.status;
}

static void start(testbed_t *bed)
{
    static const char *const arguments[] = {"--entity-window", "4", NULL};
    bed->broker_arguments = arguments;
    testbed_start(bed, 2);
}

static bool has_stored(void *context)
{
    return testbed_sum(context, "stored") >= QUEUED / 2;
}

/* One message with a key has ended, one runs until the gate opens, many wait behind it, most of
 * them in the database only, and two wait for their time. */
static uint64_t fill(testbed_t *bed)
{
    static const probe_text_t gate = {"gate"};
    probe_place_t place;
    start(bed);
    uint64_t id = pay(bed, 1, &place);
    begin(bed, "a", &probe_hold, &gate, &running);
    for (uint64_t i = 0; i < QUEUED; i++) {
        probe_number_t request = {100 + i};
        begin(bed, "a", i == 0 ? &keyed_append : &probe_append, &request, &queued[i]);
    }
    tell_later(bed, 500);
    tell_later(bed, 501);
    wait_for_starts(bed, 2);
    testbed_wait_until(bed, has_stored, bed, "messages that only the store has");
    return id;
}

static void expect_all_cancelled(testbed_t *bed)
{
    expect_cancelled(bed, &running);
    for (unsigned i = 0; i < QUEUED; i++) {
        expect_cancelled(bed, &queued[i]);
    }
}

/* The keys are free, and the messages find a new instance. */
static void expect_new(testbed_t *bed, uint64_t before)
{
    probe_place_t place;
    assert_true(pay(bed, 1, &place) > before);
    assert_int_equal(place.position, 1);
    (void)pay(bed, 100, &place);
    assert_int_equal(place.position, 2);
    testbed_wait_drained(bed);
    assert_int_equal(starts_of(bed, "a"), 4); /* two keys, the one that was held, and the first */
    assert_int_equal(testbed_sum(bed, "scheduled"), 0);
}

static void test_ms_01_a_cleared_entity_is_as_new(void **state)
{
    testbed_t *bed = *state;
    uint64_t before = fill(bed);
    static ended_t other;
    probe_number_t request = {7};
    assert_int_equal(clear(bed, PROBE_TYPE, "a"), 0);
    assert_non_null(strstr(invocation.output, "a is cleared: "));
    expect_all_cancelled(bed);
    begin(bed, "b", &probe_append, &request, &other);
    wait_for(bed, &other);
    assert_int_equal(other.outcome.error, FABRIC_OK);
    testbed_open_gate(bed, "gate"); /* the handler that still runs has a result, which is refused */
    expect_new(bed, before);
    assert_int_equal(clear(bed, PROBE_TYPE, "nobody"), 0);
    assert_non_null(strstr(invocation.output, "0 messages"));
    assert_int_equal(clear(bed, "NoSuchType", "a"), 3);
    for (unsigned i = 0; i < QUEUED; i++) {
        assert_int_equal(queued[i].times, 1);
    }
}

/* The broker whose entity it was, or another one, dies when the operator has hardly heard. */
static void a_takeover_right_behind_a_clear_revives_nothing(void **state)
{
    testbed_t *bed = *state;
    uint64_t before = fill(bed);
    assert_int_equal(clear(bed, PROBE_TYPE, "a"), 0);
    bool alone = strcmp(bed->store, "sqlite") == 0;
    int home = -1;
    for (uint32_t i = 0; !alone && i < BROKERS; i++) {
        json_t *status = testbed_status_of(bed->cluster.broker_urls[i]);
        json_t *counters = json_object_get(status, "counters");
        home = json_integer_value(json_object_get(counters, "cancelled")) > 0 ? (int)i : home;
        json_decref(status);
    }
    if (alone) {
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
    } else {
        assert_true(home >= 0);
        testbed_kill(&bed->cluster.brokers[home]);
    }
    expect_all_cancelled(bed);
    testbed_open_gate(bed, "gate");
    expect_new(bed, before);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_ms_01_a_cleared_entity_is_as_new", test_ms_01_a_cleared_entity_is_as_new,
         TESTBED_CLUSTERS},
        {"a_takeover_right_behind_a_clear_revives_nothing",
         a_takeover_right_behind_a_clear_revives_nothing, TESTBED_CLUSTERS},
    };
    return testbed_run("clear", tests, sizeof tests / sizeof tests[0]);
}
