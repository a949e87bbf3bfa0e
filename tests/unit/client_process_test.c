/* The client library and the process around it: outputs after a failure, fork(), and threads that
 * are cancelled. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fabric/client.h>

#include "core/clock.h"
#include "tests/harness/fake_broker.h"

#define WAIT_MAX_MS 20000

static const fabric_message_type_t echo = {
    .tag = "echo", .request = &fabric_schema_empty, .reply = &fabric_schema_empty};
static const fabric_message_type_t silent = {
    .tag = "silent", .request = &fabric_schema_empty, .reply = &fabric_schema_empty};

typedef struct fixture {
    fake_broker_t *broker;
    fabric_client_t *client;
    unsigned completions;
} fixture_t;

static int setup(void **state)
{
    fixture_t *f = (fixture_t *)calloc(1, sizeof *f);
    f->broker = fake_broker_start();
    *state = f;
    return (int)fabric_client_open(fake_broker_endpoint(f->broker), NULL, &f->client, NULL);
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

static void count_completion(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)outcome;
    (void)payload;
    ++*(unsigned *)context;
}

static void wait_for_requests(const fake_broker_t *broker, uint64_t count)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (fake_broker_requests(broker) < count) {
        assert_true(clock_monotonic_ms() < end_ms);
        poll(NULL, 0, 1);
    }
}

/* ---- outputs after a failure ---- */

/* A pointer that a caller may have left in a variable. */
static void *rubbish(void)
{
    static char byte;
    return &byte;
}

static void a_failed_open_leaves_nothing_to_close(void **state)
{
    (void)state;
    fabric_client_t *client = (fabric_client_t *)rubbish();
    fabric_client_options_t hasty = {.connect_timeout_ms = 20};
    const char *const urls[] = {NULL, "", "carrier-pigeon", "tcp://192.0.2.1:5700",
                                "tcp://127.0.0.1:1"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        client = (fabric_client_t *)rubbish();
        assert_int_not_equal(fabric_client_open(urls[i], &hasty, &client, NULL), FABRIC_OK);
        assert_null(client);
        fabric_client_close(&client);
    }
}

static void a_failed_call_leaves_nothing_to_free(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_call_t call = {.entity = counter(), .message = &silent, .timeout_ms = 10};
    size_t size = 0;
    uint8_t *bytes;
    fabric_error_t error;
    do { /* a slow machine may not send it in time */
        call.timeout_ms *= 2;
        bytes = (uint8_t *)rubbish();
        error = fabric_client_call(f->client, &call, NULL, &bytes, &size, NULL);
        assert_null(bytes);
    } while (error == FABRIC_ERROR_TIMEOUT && call.timeout_ms < WAIT_MAX_MS);
    assert_int_equal(error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    call.message = NULL;
    bytes = (uint8_t *)rubbish();
    assert_int_equal(fabric_client_call(f->client, &call, NULL, &bytes, &size, NULL),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_null(bytes);
    bytes = (uint8_t *)rubbish();
    assert_int_equal(
        fabric_client_query(f->client, "nothing", fabric_bytes("", 0), 0, &bytes, &size, NULL),
        FABRIC_ERROR_NOT_FOUND);
    assert_null(bytes);
}

/* ---- fork ---- */

/* In a child every function of the parent's client must return at once. Returns the number of the
 * first step that went wrong, or 0: assertions work in the parent only. */
static int use_in_child(fixture_t *f)
{
    fabric_call_t call = {.entity = counter(), .message = &echo};
    fabric_outcome_t outcome;
    uint8_t *document = NULL;
    size_t size = 0;
    fabric_client_stats_t stats;
    const fabric_error_t refused = FABRIC_ERROR_INVALID_ARGUMENT;
    if (fabric_client_ask(f->client, counter(), &echo, NULL, NULL, &outcome) != refused ||
        !strstr(outcome.text, "fork")) {
        return 1;
    }
    if (fabric_client_tell(f->client, counter(), &echo, NULL, NULL) != refused) {
        return 2;
    }
    if (fabric_client_broadcast(f->client, &call, 1, NULL, 0, &outcome) != refused ||
        outcome.error != refused || !strstr(outcome.text, "fork")) {
        return 3;
    }
    if (fabric_client_start(f->client, &call, count_completion, &f->completions, NULL) != refused) {
        return 4;
    }
    if (fabric_client_query(f->client, "status", fabric_bytes("", 0), 0, &document, &size, NULL) !=
        refused) {
        return 5;
    }
    if (fabric_client_fd(f->client) != -1 || fabric_client_process(f->client) != 0 ||
        fabric_client_wait(f->client, 60000) != 0 || f->completions != 0) {
        return 6;
    }
    fabric_client_stats(f->client, &stats);
    fabric_client_close(&f->client);
    if (f->client) {
        return 7;
    }
    if (fabric_client_open(fake_broker_endpoint(f->broker), NULL, &f->client, NULL) != FABRIC_OK ||
        fabric_client_ask(f->client, counter(), &echo, NULL, NULL, NULL) != FABRIC_OK) {
        return 8;
    }
    fabric_client_close(&f->client);
    return f->client ? 9 : 0;
}

static void a_child_is_told_and_does_no_harm(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    fabric_call_t call = {.entity = counter(), .message = &echo};
    assert_int_equal(fabric_client_ask(f->client, counter(), &echo, NULL, NULL, NULL), FABRIC_OK);
    assert_int_equal(fabric_client_start(f->client, &call, count_completion, &f->completions, NULL),
                     FABRIC_OK);
    struct pollfd ended = {.fd = fabric_client_fd(f->client), .events = POLLIN};
    assert_int_equal(poll(&ended, 1, WAIT_MAX_MS), 1); /* a completion waits in both processes */
    pid_t child = fork();
    if (child == 0) {
        alarm(WAIT_MAX_MS / 1000); /* ends a child that hangs */
        _exit(use_in_child(f));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(fabric_client_process(f->client), 1);
    assert_int_equal(f->completions, 1);
    assert_int_equal(fabric_client_ask(f->client, counter(), &echo, NULL, NULL, NULL), FABRIC_OK);
    fabric_client_stats_t stats;
    fabric_client_stats(f->client, &stats);
    assert_int_equal(stats.connections, 1); /* the parent's connection did not break */
}

/* ---- cancellation ---- */

typedef struct caller {
    fabric_client_t *client;
    atomic_bool returned; /* the client's function returned before the cancellation */
} caller_t;

static void wait_to_be_cancelled(void)
{
    for (uint64_t end_ms = clock_monotonic_ms() + WAIT_MAX_MS; clock_monotonic_ms() < end_ms;) {
        poll(NULL, 0, 10); /* a cancellation point */
    }
}

static void *ask_without_an_answer(void *argument)
{
    caller_t *caller = (caller_t *)argument;
    fabric_call_t call = {.entity = counter(), .message = &silent, .timeout_ms = 300};
    fabric_error_t error = fabric_client_call(caller->client, &call, NULL, NULL, NULL, NULL);
    atomic_store(&caller->returned, error == FABRIC_ERROR_OUTCOME_UNKNOWN);
    wait_to_be_cancelled();
    return NULL;
}

static void *broadcast_without_an_answer(void *argument)
{
    caller_t *caller = (caller_t *)argument;
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = counter(), .message = &silent, .timeout_ms = 300};
    fabric_error_t error = fabric_client_broadcast(caller->client, &call, 1, NULL, 0, &outcome);
    atomic_store(&caller->returned, error == FABRIC_ERROR_OUTCOME_UNKNOWN);
    wait_to_be_cancelled();
    return NULL;
}

static void *wait_without_a_completion(void *argument)
{
    caller_t *caller = (caller_t *)argument;
    static unsigned completions;
    fabric_call_t call = {.entity = counter(), .message = &silent};
    fabric_error_t error =
        fabric_client_start(caller->client, &call, count_completion, &completions, NULL);
    size_t count = error ? 1 : fabric_client_wait(caller->client, 300);
    atomic_store(&caller->returned, count == 0);
    wait_to_be_cancelled();
    return NULL;
}

/* Cancels a thread that is inside a function of the client. The thread must return from the
 * function first, and nothing may use the thread's memory once it is gone. */
static void cancel_in(fixture_t *f, void *(*function)(void *argument))
{
    caller_t caller = {.client = f->client};
    pthread_t thread;
    void *result = NULL;
    uint64_t before = fake_broker_requests(f->broker);
    assert_int_equal(pthread_create(&thread, NULL, function, &caller), 0);
    wait_for_requests(f->broker, before + 1);
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_true(result == PTHREAD_CANCELED);
    assert_true(atomic_load(&caller.returned));
    assert_int_equal(fabric_client_ask(f->client, counter(), &echo, NULL, NULL, NULL), FABRIC_OK);
}

static void a_cancelled_thread_leaves_a_call_first(void **state)
{
    cancel_in((fixture_t *)*state, ask_without_an_answer);
    cancel_in((fixture_t *)*state, broadcast_without_an_answer);
}

static void a_cancelled_thread_leaves_a_wait_first(void **state)
{
    cancel_in((fixture_t *)*state, wait_without_a_completion);
}

static void *open_without_a_broker(void *argument)
{
    caller_t *caller = (caller_t *)argument;
    fabric_client_options_t hasty = {.connect_timeout_ms = 100};
    (void)pthread_cancel(pthread_self());
    fabric_error_t error = fabric_client_open("tcp://127.0.0.1:1", &hasty, &caller->client, NULL);
    atomic_store(&caller->returned, error == FABRIC_ERROR_NOT_CONNECTED);
    wait_to_be_cancelled();
    return NULL;
}

static void a_cancelled_thread_leaves_an_open_first(void **state)
{
    (void)state;
    caller_t caller = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_without_a_broker, &caller), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&caller.returned));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_open_leaves_nothing_to_close),
        TEST(a_failed_call_leaves_nothing_to_free),
        TEST(a_child_is_told_and_does_no_harm),
        TEST(a_cancelled_thread_leaves_a_call_first),
        TEST(a_cancelled_thread_leaves_a_wait_first),
        cmocka_unit_test(a_cancelled_thread_leaves_an_open_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
