/* The client library with its real thread and sockets, against a fake broker. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fabric/client.h>

#include "core/clock.h"
#include "core/limits.h"
#include "tests/harness/fake_broker.h"

#define WAIT_MAX_MS 10000

typedef struct number {
    int64_t value;
} number_t;

static const fabric_field_t number_fields[] = {FABRIC_I64(number_t, value)};
static const fabric_schema_t number_schema = FABRIC_SCHEMA("Number", number_t, number_fields);

static const fabric_message_type_t echo = {
    .tag = "echo", .request = &number_schema, .reply = &number_schema};
static const fabric_message_type_t durable_echo = {
    .tag = "echo", .request = &number_schema, .reply = &number_schema, .durable = true};
static const fabric_message_type_t fail = {
    .tag = "fail", .request = &number_schema, .reply = &number_schema};
static const fabric_message_type_t busy = {
    .tag = "busy", .request = &number_schema, .reply = &number_schema};
static const fabric_message_type_t silent = {
    .tag = "silent", .request = &number_schema, .reply = &number_schema};
static const fabric_message_type_t durable_silent = {
    .tag = "silent", .request = &number_schema, .reply = &number_schema, .durable = true};
static const fabric_message_type_t empty_echo = {
    .tag = "echo", .request = &fabric_schema_empty, .reply = &fabric_schema_empty};

typedef struct ends {
    size_t count;
    size_t good;
    fabric_error_t last;
} ends_t;

typedef struct fixture {
    fake_broker_t *broker;
    fabric_client_t *client;
    ends_t ends; /* not on a test's stack: open calls complete in the teardown's close */
    ends_t other;
} fixture_t;

static int setup(void **state)
{
    fixture_t *f = (fixture_t *)calloc(1, sizeof *f);
    f->broker = fake_broker_start();
    fabric_error_t error =
        fabric_client_open(fake_broker_endpoint(f->broker), NULL, &f->client, NULL);
    *state = f;
    return (int)error;
}

static int teardown(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_client_close(&f->client);
    fake_broker_destroy(&f->broker);
    free(f);
    return 0;
}

static fabric_entity_t counter(void)
{
    return fabric_entity("Counter", "counter-1");
}

static void wait_for_requests(const fake_broker_t *broker, uint64_t count)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (fake_broker_requests(broker) < count) {
        assert_true(clock_monotonic_ms() < end_ms);
        poll(NULL, 0, 1);
    }
}

/* A call that nobody answers. It is to end unknown, so it must be sent before its deadline: on a
 * slow machine it gets more time. */
static fabric_error_t call_in_vain(fabric_client_t *client, fabric_call_t *call,
                                   fabric_outcome_t *outcome)
{
    fabric_error_t error = fabric_client_call(client, call, NULL, NULL, NULL, outcome);
    while (error == FABRIC_ERROR_TIMEOUT && call->timeout_ms < WAIT_MAX_MS) {
        call->timeout_ms *= 2;
        error = fabric_client_call(client, call, NULL, NULL, NULL, outcome);
    }
    return error;
}

/* ---- blocking ---- */

static void ask(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {5};
    number_t reply = {0};
    fabric_outcome_t outcome;
    fabric_error_t error =
        fabric_client_ask(f->client, counter(), &echo, &request, &reply, &outcome);
    assert_int_equal(error, FABRIC_OK);
    assert_int_equal(reply.value, 5);
    assert_int_equal(outcome.error, FABRIC_OK);
    assert_int_equal(outcome.key.sequence, 1);
    assert_int_not_equal(outcome.key.client, 0);
    assert_int_equal(outcome.request_id, 1);
    assert_string_equal(outcome.text, "");
    assert_int_equal(fabric_client_ask(f->client, counter(), &empty_echo, NULL, NULL, NULL),
                     FABRIC_OK);
}

static void tell(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {5};
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_tell(f->client, counter(), &durable_echo, &request, &outcome),
                     FABRIC_OK);
    assert_int_equal(outcome.request_id, 1);
    fabric_call_t call = {
        .entity = counter(), .message = &empty_echo, .tell = true, .handled = true};
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, NULL), FABRIC_OK);
}

static void errors_of_entity_and_broker(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {5};
    number_t reply;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_ask(f->client, counter(), &fail, &request, &reply, &outcome),
                     FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, 42);
    assert_string_equal(outcome.text, "no");
    assert_int_equal(fabric_client_ask(f->client, counter(), &busy, &request, &reply, &outcome),
                     FABRIC_ERROR_MAILBOX_FULL);
    assert_string_equal(outcome.text, "full");
}

static void deadline(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {5};
    fabric_outcome_t outcome;
    fabric_call_t call = {
        .entity = counter(), .message = &silent, .request = &request, .timeout_ms = 30};
    uint64_t start_ms = clock_monotonic_ms();
    assert_int_equal(call_in_vain(f->client, &call, &outcome), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_true(clock_monotonic_ms() - start_ms >= 30);
    assert_true(clock_monotonic_ms() - start_ms < WAIT_MAX_MS);
    assert_string_not_equal(outcome.text, "");
}

static void payload_as_encoded(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_call_t call = {
        .entity = counter(), .message = &echo, .payload = fabric_bytes("\x91\x07", 2)};
    uint8_t *payload = NULL;
    size_t size = 0;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, &payload, &size, NULL), FABRIC_OK);
    assert_int_equal(size, 2);
    assert_memory_equal(payload, "\x91\x07", 2);
    free(payload);
}

static void on_malformed(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    ends_t *ends = (ends_t *)context;
    ends->count++;
    ends->last = outcome->error;
    ends->good += payload.size > 0;
}

/* No broker has checked a volatile reply. A caller that does not decode it must get the error,
 * too. */
static void a_volatile_reply_fits_its_schema(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_call_t call = {
        .entity = counter(), .message = &echo, .payload = fabric_bytes("\x91\xa1x", 3)};
    uint8_t *payload = NULL;
    number_t reply;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_call(f->client, &call, &reply, NULL, NULL, NULL),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(fabric_client_call(f->client, &call, NULL, &payload, NULL, &outcome),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_null(payload);
    assert_non_null(strstr(outcome.text, "value"));
    assert_int_equal(fabric_client_broadcast(f->client, &call, 1, NULL, 0, &outcome),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    ends_t ends = {0};
    assert_int_equal(fabric_client_start(f->client, &call, on_malformed, &ends, NULL), FABRIC_OK);
    while (ends.count == 0) {
        assert_int_equal(fabric_client_wait(f->client, WAIT_MAX_MS), 1);
    }
    assert_int_equal(ends.last, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(ends.good, 0);
}

static void large_payload(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    size_t size = 1048576;
    uint8_t *bytes = (uint8_t *)calloc(1, size + 1);
    fabric_call_t call = {
        .entity = counter(), .message = &durable_echo, .payload = fabric_bytes(bytes, size)};
    uint8_t *payload = NULL;
    size_t got = 0;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, &payload, &got, NULL), FABRIC_OK);
    assert_int_equal(got, size);
    free(payload);
    call.payload.size++;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, NULL),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    free(bytes);
}

static void bad_arguments(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {5};
    fabric_outcome_t outcome;
    fabric_call_t call = {
        .entity = fabric_entity("Counter", ""), .message = &echo, .request = &request};
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_string_not_equal(outcome.text, "");
    call.entity = counter();
    call.message = NULL;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, NULL),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    call.message = &durable_echo;
    call.key = (fabric_call_key_t){1, 1};
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, NULL),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    fabric_header_t header = {"x", fabric_bytes("y", 1)};
    call.key = (fabric_call_key_t){0, 0};
    call.headers = &header;
    call.header_count = 65;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, NULL),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    const fabric_header_t twice[] = {{"x", fabric_bytes("y", 1)}, {"x", fabric_bytes("z", 1)}};
    call.headers = twice;
    call.header_count = 2;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(outcome.text, "headers[1]: the name is that of headers[0]");
    header.value.size = 1000000;
    call.headers = &header;
    call.header_count = 1;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, NULL),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(fake_broker_requests(f->broker), 0);
}

/* A primary key that is as long as the request says. */
static size_t key_of(const void *request, uint8_t *key, size_t capacity)
{
    size_t size = (size_t)((const number_t *)request)->value;
    memset(key, 'k', size < capacity ? size : capacity);
    return size;
}

static fabric_error_t call_with(fixture_t *f, const fabric_call_t *call)
{
    return fabric_client_call(f->client, call, NULL, NULL, NULL, NULL);
}

static void arguments_at_their_limits(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    static const fabric_message_type_t keyed = {.tag = "echo",
                                                .request = &number_schema,
                                                .reply = &number_schema,
                                                .durable = true,
                                                .primary_key = key_of};
    static uint8_t zeros[LIMIT_PAYLOAD_BYTES_MAX + 1];
    char text[LIMIT_NAME_BYTES_MAX + 2];
    fabric_header_t headers[LIMIT_HEADERS_MAX + 1];
    char names[LIMIT_HEADERS_MAX + 1][8];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i <= LIMIT_HEADERS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "x%zu", i);
        headers[i] = (fabric_header_t){names[i], fabric_bytes("y", 1)};
    }
    for (size_t over = 0; over <= 1; over++) { /* at the limit, and above it */
        fabric_error_t expected = over ? FABRIC_ERROR_LIMIT_EXCEEDED : FABRIC_OK;
        number_t request = {5};
        fabric_call_t usual = {.entity = counter(), .message = &echo, .request = &request};
        fabric_call_t call = usual;
        call.entity.id = fabric_bytes(text, LIMIT_NAME_BYTES_MAX + over);
        assert_int_equal(call_with(f, &call), expected);
        call = usual;
        call.headers = headers;
        call.header_count = LIMIT_HEADERS_MAX + over;
        assert_int_equal(call_with(f, &call), expected);
        fabric_header_t large = {"n", fabric_bytes(zeros, LIMIT_HEADER_BYTES_MAX - 6 + over)};
        call.headers = &large;
        call.header_count = 1;
        assert_int_equal(call_with(f, &call), expected);
        call = usual;
        text[LIMIT_TRACEPARENT_BYTES_MAX + over] = '\0';
        call.traceparent = text;
        assert_int_equal(call_with(f, &call), expected);
        text[LIMIT_TRACEPARENT_BYTES_MAX + over] = 'x';
        call = usual;
        call.message = &keyed;
        request.value = (int64_t)(LIMIT_PRIMARY_KEY_BYTES_MAX + over);
        assert_int_equal(call_with(f, &call), expected);
        call = usual;
        call.request = NULL;
        call.payload = fabric_bytes(zeros, LIMIT_PAYLOAD_BYTES_MAX + over);
        fabric_error_t error = call_with(f, &call);
        assert_true(over ? error == FABRIC_ERROR_LIMIT_EXCEEDED
                         : error != FABRIC_ERROR_LIMIT_EXCEEDED);
    }
}

static void settling_a_former_call(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {5};
    fabric_outcome_t outcome;
    fabric_call_t call = {
        .entity = counter(), .message = &durable_silent, .request = &request, .timeout_ms = 20};
    assert_int_equal(call_in_vain(f->client, &call, &outcome), FABRIC_ERROR_OUTCOME_UNKNOWN);
    call.key = outcome.key;
    call.message = &durable_echo;
    call.timeout_ms = 0;
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, &outcome), FABRIC_OK);
    assert_int_equal(outcome.key.sequence, call.key.sequence);
    assert_int_equal(fake_broker_resends(f->broker), 1);
    call.key.sequence = 100; /* never given out */
    assert_int_equal(fabric_client_call(f->client, &call, NULL, NULL, NULL, NULL),
                     FABRIC_ERROR_INVALID_ARGUMENT);
}

/* ---- asynchronous ---- */

static void count_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    ends_t *ends = (ends_t *)context;
    ends->count++;
    ends->good += outcome->error == FABRIC_OK && payload.size > 0;
    ends->last = outcome->error;
}

static void async(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    enum { COUNT = 20000 };
    size_t started = 0;
    uint64_t end_ms = clock_monotonic_ms() + 3 * WAIT_MAX_MS;
    while (f->ends.count < COUNT) {
        while (started < COUNT && started - f->ends.count < 1024) {
            number_t request = {(int64_t)started};
            fabric_call_key_t key;
            fabric_call_t call = {.entity = counter(), .message = &echo, .request = &request};
            assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->ends, &key),
                             FABRIC_OK);
            assert_int_equal(key.sequence, ++started);
        }
        fabric_client_wait(f->client, 100);
        assert_true(clock_monotonic_ms() < end_ms);
    }
    assert_int_equal(f->ends.good, COUNT);
    assert_true(fake_broker_frames(f->broker) < COUNT); /* calls that wait together share a frame */
    fabric_client_stats_t stats;
    fabric_client_stats(f->client, &stats);
    assert_int_equal(stats.started, COUNT);
    assert_int_equal(stats.completed, COUNT);
    assert_int_equal(stats.connections, 1);
}

static void eventfd(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {1};
    fabric_call_t call = {.entity = counter(), .message = &echo, .request = &request};
    struct pollfd item = {.fd = fabric_client_fd(f->client), .events = POLLIN};
    assert_int_equal(poll(&item, 1, 0), 0);
    assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->ends, NULL), FABRIC_OK);
    assert_int_equal(poll(&item, 1, WAIT_MAX_MS), 1);
    assert_int_equal(f->ends.count, 0); /* callbacks run only inside process */
    assert_int_equal(fabric_client_process(f->client), 1);
    assert_int_equal(f->ends.good, 1);
    assert_int_equal(poll(&item, 1, 0), 0);
    assert_int_equal(fabric_client_process(f->client), 0);
    assert_int_equal(fabric_client_wait(f->client, 5), 0);
}

static void broadcast(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    enum { COUNT = 500 };
    static number_t requests[COUNT];
    static number_t replies[COUNT];
    static fabric_call_t calls[COUNT];
    static fabric_outcome_t outcomes[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        requests[i].value = (int64_t)i;
        calls[i] = (fabric_call_t){.entity = counter(), .message = &echo, .request = &requests[i]};
    }
    assert_int_equal(
        fabric_client_broadcast(f->client, calls, COUNT, replies, sizeof replies[0], outcomes),
        FABRIC_OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].error, FABRIC_OK);
        assert_int_equal(replies[i].value, (int64_t)i);
    }
    calls[3].message = &fail;
    calls[5].entity.id.size = 0;
    assert_int_equal(
        fabric_client_broadcast(f->client, calls, COUNT, replies, sizeof replies[0], outcomes),
        FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcomes[4].error, FABRIC_OK);
    assert_int_equal(outcomes[5].error, FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(fabric_client_broadcast(f->client, calls, 0, NULL, 0, NULL), FABRIC_OK);
}

typedef struct asker {
    fabric_client_t *client;
    int64_t first;
    size_t good;
} asker_t;

static void *ask_often(void *argument)
{
    asker_t *asker = (asker_t *)argument;
    for (int64_t i = 0; i < 300; i++) {
        number_t request = {asker->first + i};
        number_t reply = {0};
        fabric_error_t error = fabric_client_ask(
            asker->client, counter(), i % 2 ? &echo : &durable_echo, &request, &reply, NULL);
        asker->good += error == FABRIC_OK && reply.value == request.value;
    }
    return NULL;
}

static void many_threads(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    asker_t askers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (asker_t){f->client, i * 1000, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(askers[i].good, 300);
    }
}

/* A caller hears of the end of its call while it spins and while it sleeps, however long it
 * spins. */
static void spinning_changes_no_outcome(void **state)
{
    static const uint32_t spins_us[] = {0, 1, FABRIC_SPIN_NEVER};
    fixture_t *f = (fixture_t *)*state;
    number_t request = {5};
    number_t reply;
    for (size_t i = 0; i < sizeof spins_us / sizeof spins_us[0]; i++) {
        fabric_client_options_t options = {.spin_us = spins_us[i]};
        fabric_client_t *client;
        assert_int_equal(
            fabric_client_open(fake_broker_endpoint(f->broker), &options, &client, NULL),
            FABRIC_OK);
        assert_int_equal(fabric_client_ask(client, counter(), &echo, &request, &reply, NULL),
                         FABRIC_OK);
        fabric_call_t call = {
            .entity = counter(), .message = &silent, .request = &request, .timeout_ms = 30};
        assert_int_equal(call_in_vain(client, &call, NULL), FABRIC_ERROR_OUTCOME_UNKNOWN);
        assert_int_equal(fabric_client_wait(client, 0), 0);
        f->ends = (ends_t){0};
        assert_int_equal(fabric_client_start(client, &call, count_end, &f->ends, NULL), FABRIC_OK);
        assert_int_equal(fabric_client_wait(client, WAIT_MAX_MS), 1);
        assert_int_equal(f->ends.count, 1);
        fabric_client_close(&client);
    }
}

/* ---- bounds and ends ---- */

static void busy_at_pending_max(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_client_options_t options = {.pending_max = 2};
    fabric_client_t *client;
    number_t request = {1};
    fabric_call_t call = {.entity = counter(), .message = &silent, .request = &request};
    assert_int_equal(fabric_client_open(fake_broker_endpoint(f->broker), &options, &client, NULL),
                     FABRIC_OK);
    assert_int_equal(fabric_client_start(client, &call, count_end, &f->ends, NULL), FABRIC_OK);
    assert_int_equal(fabric_client_start(client, &call, count_end, &f->ends, NULL), FABRIC_OK);
    assert_int_equal(fabric_client_start(client, &call, count_end, &f->ends, NULL),
                     FABRIC_ERROR_BUSY);
    fabric_outcome_t outcome;
    assert_int_equal(fabric_client_ask(client, counter(), &silent, &request, NULL, &outcome),
                     FABRIC_ERROR_BUSY);
    assert_string_equal(outcome.text,
                        "this client would have more calls open than its pending_max of 2");
    fabric_client_close(&client);
    assert_null(client);
    assert_int_equal(f->ends.count, 2);
}

/* The link may look just between the two; no broker is there, so each call ends at once. */
static void a_cancel_comes_with_its_call(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    enum { COUNT = 50000 };
    fabric_client_options_t options = {.connect_timeout_ms = FABRIC_CONNECT_LATER};
    number_t request = {1};
    fabric_call_t call = {
        .entity = counter(), .message = &echo, .request = &request, .timeout_ms = WAIT_MAX_MS};
    fabric_call_key_t key;
    fabric_client_close(&f->client);
    fake_broker_kill(f->broker);
    assert_int_equal(
        fabric_client_open(fake_broker_endpoint(f->broker), &options, &f->client, NULL), FABRIC_OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->ends, &key),
                         FABRIC_OK);
        assert_int_equal(fabric_client_cancel(f->client, key), FABRIC_OK);
        while (i + 1 - f->ends.count > (i + 1 < COUNT ? 64 : 0)) {
            fabric_client_wait(f->client, WAIT_MAX_MS);
            assert_int_equal(f->ends.last, FABRIC_ERROR_CANCELLED);
        }
    }
}

static void close_with_open_calls(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {1};
    fabric_call_t call = {.entity = counter(), .message = &durable_silent, .request = &request};
    assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->ends, NULL), FABRIC_OK);
    wait_for_requests(f->broker, 1);
    fabric_client_close(&f->client);
    assert_int_equal(f->ends.count, 1);
    assert_int_equal(f->ends.last, FABRIC_ERROR_OUTCOME_UNKNOWN);
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (fake_broker_byes(f->broker) == 0) {
        assert_true(clock_monotonic_ms() < end_ms);
        poll(NULL, 0, 1);
    }
}

static void close_ends_unsent_calls_as_closed(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {1};
    fabric_call_t call = {.entity = counter(), .message = &silent, .request = &request};
    assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->ends, NULL), FABRIC_OK);
    wait_for_requests(f->broker, 1);
    fake_broker_kill(f->broker);
    fabric_client_wait(f->client, WAIT_MAX_MS);
    assert_int_equal(f->ends.last,
                     FABRIC_ERROR_OUTCOME_UNKNOWN); /* ended by the broken connection */
    assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->ends, NULL), FABRIC_OK);
    fabric_client_close(&f->client);
    assert_int_equal(f->ends.count, 2);
    assert_int_equal(f->ends.last, FABRIC_ERROR_CLOSED);
}

typedef struct last_calls {
    fabric_client_t *client;
    fabric_error_t started;
    fabric_outcome_t asked;
    ends_t ends;
} last_calls_t;

/* Tries to start a call and to wait for another one. */
static void call_again(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    last_calls_t *last = (last_calls_t *)context;
    number_t request = {1};
    fabric_call_t call = {.entity = counter(), .message = &echo, .request = &request};
    count_end(&last->ends, outcome, payload);
    last->started = fabric_client_start(last->client, &call, count_end, &last->ends, NULL);
    (void)!fabric_client_ask(last->client, counter(), &echo, &request, NULL, &last->asked);
}

static void callbacks_of_close_start_no_calls(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {1};
    fabric_call_t call = {.entity = counter(), .message = &silent, .request = &request};
    last_calls_t last = {.client = f->client};
    assert_int_equal(fabric_client_start(f->client, &call, call_again, &last, NULL), FABRIC_OK);
    wait_for_requests(f->broker, 1);
    fabric_client_close(&f->client);
    assert_int_equal(last.started, FABRIC_ERROR_CLOSED);
    assert_int_equal(last.asked.error, FABRIC_ERROR_CLOSED);
    assert_string_equal(last.asked.text, "the client is being closed");
    assert_int_equal(last.ends.count, 1);
}

static void reconnect(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    number_t request = {9};
    number_t reply = {0};
    fabric_call_t call = {.entity = counter(), .message = &durable_silent, .request = &request};
    assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->ends, NULL), FABRIC_OK);
    call.message = &silent;
    assert_int_equal(fabric_client_start(f->client, &call, count_end, &f->other, NULL), FABRIC_OK);
    wait_for_requests(f->broker, 2);
    fake_broker_kill(f->broker);
    assert_int_equal(fabric_client_wait(f->client, WAIT_MAX_MS), 1);
    assert_int_equal(f->other.last, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(f->ends.count, 0);
    fake_broker_revive(f->broker);
    assert_int_equal(fabric_client_ask(f->client, counter(), &durable_echo, &request, &reply, NULL),
                     FABRIC_OK);
    assert_int_equal(reply.value, 9);
    assert_int_equal(fake_broker_resends(f->broker), 1); /* the durable call, before the new one */
    assert_int_equal(fake_broker_requests(f->broker), 4);
    fabric_client_stats_t stats;
    fabric_client_stats(f->client, &stats);
    assert_int_equal(stats.connections, 2);
    assert_int_equal(stats.resent, 1);
}

/* The processor time of this thread while it waits 200 ms for a call that gets no answer, with
 * spinning allowed for all of that time. */
static uint64_t waiting_cpu_us(fixture_t *f, const fabric_message_type_t *message)
{
    fabric_client_options_t options = {.spin_us = 200000, .call_timeout_ms = 200};
    fabric_client_t *client = NULL;
    number_t request = {1};
    struct timespec before, after;
    assert_int_equal(fabric_client_open(fake_broker_endpoint(f->broker), &options, &client, NULL),
                     FABRIC_OK);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    assert_int_not_equal(fabric_client_ask(client, counter(), message, &request, NULL, NULL),
                         FABRIC_OK);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    fabric_client_close(&client);
    return (uint64_t)((after.tv_sec - before.tv_sec) * 1000000 +
                      (after.tv_nsec - before.tv_nsec) / 1000);
}

static void durable_calls_do_not_spin(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint64_t spinning_us = waiting_cpu_us(f, &silent);
    uint64_t sleeping_us = waiting_cpu_us(f, &durable_silent);
    assert_true(sleeping_us < spinning_us / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ask, setup, teardown),
        cmocka_unit_test_setup_teardown(tell, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_of_entity_and_broker, setup, teardown),
        cmocka_unit_test_setup_teardown(deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(payload_as_encoded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_volatile_reply_fits_its_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(large_payload, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_at_their_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(settling_a_former_call, setup, teardown),
        cmocka_unit_test_setup_teardown(async, setup, teardown),
        cmocka_unit_test_setup_teardown(eventfd, setup, teardown),
        cmocka_unit_test_setup_teardown(broadcast, setup, teardown),
        cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(spinning_changes_no_outcome, setup, teardown),
        cmocka_unit_test_setup_teardown(durable_calls_do_not_spin, setup, teardown),
        cmocka_unit_test_setup_teardown(busy_at_pending_max, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancel_comes_with_its_call, setup, teardown),
        cmocka_unit_test_setup_teardown(close_with_open_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(close_ends_unsent_calls_as_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(callbacks_of_close_start_no_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(reconnect, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
