/* What calls see when workers and connections come and go, as docs/conformance.md has it: the names
 * begin with the ids of the cases that are ported. All tests of a set-up share one cluster, which
 * has two workers when a test begins. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/case_calls.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/proxy.h"

enum { STOP_MS = 60000 };

static const probe_text_t hello = {"hello"};

static void stop_workers(testbed_t *bed)
{
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        process_stop(&bed->cluster.workers[i], STOP_MS);
    }
}

static void start_workers(testbed_t *bed)
{
    case_add_worker(bed);
    case_add_worker(bed);
    testbed_wait_ready(bed, 2);
}

static void replace_worker(testbed_t *bed)
{
    case_add_worker(bed);
    testbed_wait_ready(bed, 2);
}

/* ---- nobody to run a type that is known ---- */

static void test_ip_01_ru_07_durable_messages_wait_for_a_runner(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    stop_workers(bed);
    const case_call_t *told = case_tell(bed, PROBE_TYPE, "ip-01", &probe_echo, &hello);
    const case_call_t *asked = case_ask(bed, PROBE_TYPE, "ip-01", &probe_echo, &hello);
    case_expect(bed, told, FABRIC_OK); /* accepted, though nobody is told of the message */
    assert_false(asked->ended);
    start_workers(bed);
    case_expect(bed, asked, FABRIC_OK);
    testbed_wait_drained(bed);
    assert_int_equal(case_starts(bed, "ip-01"), 2); /* each of them once */
}

static void test_ru_05_without_a_runner_a_volatile_ask_is_told_so(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    stop_workers(bed);
    const case_call_t *asked = case_ask(bed, PROBE_TYPE, "ru-05", &probe_volatile_echo, &hello);
    case_expect(bed, asked, FABRIC_ERROR_RUNNER_UNAVAILABLE);
    start_workers(bed);
    assert_int_equal(case_starts(bed, "ru-05"), 0);
}

/* The fabric sends no volatile message again: its sender learns that it was not delivered. */
static void test_sh_28_ru_06_a_volatile_tell_is_not_sent_again(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    stop_workers(bed);
    const case_call_t *told = case_tell(bed, PROBE_TYPE, "sh-28", &probe_volatile_echo, &hello);
    case_expect(bed, told, FABRIC_ERROR_RUNNER_UNAVAILABLE);
    start_workers(bed);
    const case_call_t *next = case_ask(bed, PROBE_TYPE, "sh-28", &probe_echo, &hello);
    case_expect(bed, next, FABRIC_OK);
    assert_int_equal(case_starts(bed, "sh-28"), 1);
}

/* ---- a runner goes while a handler runs ---- */

/* A handler that has not ended when its worker's grace time is over leaves no reply: its message is
 * handled by another worker. */
static void test_sh_06_a_runner_that_stops_stores_no_reply(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t ended = testbed_sum(bed, "ended");
    uint64_t dead = testbed_sum(bed, "dead_letters");
    const case_call_t *held =
        case_ask(bed, PROBE_TYPE, "sh-06", &probe_hold, &(probe_text_t){"sh-06"});
    case_wait_started(bed, "sh-06", 1);
    process_stop(case_worker_of(bed, "sh-06"), STOP_MS);
    case_wait_started(bed, "sh-06", 2);
    assert_false(held->ended);
    assert_int_equal(testbed_sum(bed, "ended"), ended);
    assert_int_equal(testbed_sum(bed, "pending"), 1);
    assert_int_equal(testbed_sum(bed, "dead_letters"), dead);
    testbed_open_gate(bed, "sh-06");
    case_expect(bed, held, FABRIC_OK);
    assert_int_equal(case_starts(bed, "sh-06"), 2);
    replace_worker(bed);
}

/* The other worker that runs. */
static process_t *other_worker(testbed_t *bed, const process_t *worker)
{
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        process_t *other = &bed->cluster.workers[i];
        if (other != worker && process_runs(other)) {
            return other;
        }
    }
    fail_msg("there is no other worker");
    return NULL;
}

/* An entity whose shard is handed over keeps the grace time for its handler. */
static void test_sh_43_a_hand_over_lets_handlers_end(void **state)
{
    testbed_t *bed = *state;
    uint64_t deadline_ms = clock_monotonic_ms() + CASE_WAIT_MAX_MS;
    case_begin();
    const case_call_t *held =
        case_ask(bed, PROBE_TYPE, "sh-43", &probe_hold, &(probe_text_t){"sh-43"});
    case_wait_started(bed, "sh-43", 1);
    process_t *worker = case_worker_of(bed, "sh-43");
    const process_t *other = other_worker(bed, worker);
    int64_t before = testbed_shards_owned(bed, other);
    assert_int_equal(kill(worker->pid, SIGTERM), 0);
    while (testbed_shards_owned(bed, other) <= before) {
        testbed_poll(deadline_ms, "the hand-over to begin");
    }
    testbed_open_gate(bed, "sh-43");
    case_expect(bed, held, FABRIC_OK);
    assert_int_equal(case_starts(bed, "sh-43"), 1);
    process_stop(worker, STOP_MS);
    replace_worker(bed);
}

static void test_ip_04_a_volatile_tell_dies_with_its_runner(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t accepted = testbed_sum(bed, "accepted");
    const case_call_t *told =
        case_tell(bed, PROBE_TYPE, "ip-04", &probe_volatile_hold, &(probe_text_t){"ip-04"});
    case_expect(bed, told, FABRIC_OK);
    case_wait_started(bed, "ip-04", 1);
    assert_int_equal(testbed_sum(bed, "accepted"), accepted);
    testbed_kill(case_worker_of(bed, "ip-04"));
    replace_worker(bed);
    const case_call_t *next = case_ask(bed, PROBE_TYPE, "ip-04", &probe_echo, &hello);
    case_expect(bed, next, FABRIC_OK);
    assert_int_equal(case_starts(bed, "ip-04"), 2); /* the tell once, and the ask */
}

static void test_is_1_another_runner_answers_after_a_kill(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    replace_worker(bed); /* the third one */
    testbed_wait_ready(bed, 3);
    uint64_t ended = testbed_sum(bed, "ended");
    const case_call_t *first = case_ask(bed, PROBE_TYPE, "is-1", &probe_echo, &hello);
    case_expect(bed, first, FABRIC_OK);
    testbed_kill(case_worker_of(bed, "is-1"));
    const case_call_t *second = case_ask(bed, PROBE_TYPE, "is-1", &probe_echo, &hello);
    case_expect(bed, second, FABRIC_OK);
    testbed_wait_ready(bed, 2);
    assert_int_equal(case_starts(bed, "is-1"), 2);
    assert_int_equal(testbed_sum(bed, "ended"), ended + 2);
}

/* ---- what stands is delivered again, and nothing else ---- */

enum { STANDING = 4, BEHIND = 5 };

/* A message whose handler waits for the gate, and others behind it. */
static case_call_t *stand(testbed_t *bed, const char *id, case_call_t *calls[STANDING])
{
    probe_text_t gate = {""};
    snprintf(gate.text, sizeof gate.text, "%s", id);
    case_call_t *held = case_ask(bed, PROBE_TYPE, id, &probe_hold, &gate);
    case_wait_started(bed, id, 1);
    for (uint64_t i = 0; i < STANDING; i++) {
        calls[i] = case_ask(bed, PROBE_TYPE, id, &probe_append, &(probe_number_t){i + 1});
    }
    const case_call_t *told =
        case_tell(bed, PROBE_TYPE, id, &probe_append, &(probe_number_t){STANDING + 1});
    case_expect(bed, told, FABRIC_OK); /* all before it are accepted, too */
    return held;
}

static void expect_places(testbed_t *bed, case_call_t *const *calls, size_t count, uint64_t first)
{
    for (size_t i = 0; i < count; i++) {
        probe_place_t place;
        case_expect(bed, calls[i], FABRIC_OK);
        assert_int_equal(fabric_schema_decode(&probe_place_schema,
                                              fabric_bytes(calls[i]->payload, calls[i]->size), NULL,
                                              &place),
                         FABRIC_OK);
        assert_int_equal(place.position, first + i);
    }
}

static void restart_broker(testbed_t *bed)
{
    testbed_kill(&bed->cluster.broker);
    testbed_restart_broker(bed);
    testbed_wait_ready(bed, 2);
}

/* Of messages that have ended none comes back with a new home; those that stand come in order, and
 * later ones behind them. */
static void test_sm_02_a_new_home_delivers_what_stands_in_order(void **state)
{
    testbed_t *bed = *state;
    case_call_t *calls[STANDING];
    case_call_t *behind[BEHIND];
    case_begin();
    case_call_t *held = stand(bed, "sm-02", calls);
    restart_broker(bed);
    for (uint64_t i = 0; i < BEHIND; i++) {
        behind[i] =
            case_ask(bed, PROBE_TYPE, "sm-02", &probe_append, &(probe_number_t){STANDING + 2 + i});
    }
    testbed_open_gate(bed, "sm-02");
    case_expect(bed, held, FABRIC_OK);
    expect_places(bed, calls, STANDING, 1);
    expect_places(bed, behind, BEHIND, STANDING + 2);
}

static void test_ms_06_sm_15_what_has_ended_does_not_come_back(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    for (unsigned i = 0; i < 5; i++) {
        const case_call_t *ended = case_ask(bed, PROBE_TYPE, "ms-06", &probe_echo, &hello);
        case_expect(bed, ended, FABRIC_OK);
    }
    restart_broker(bed);
    const case_call_t *next = case_ask(bed, PROBE_TYPE, "ms-06", &probe_echo, &hello);
    case_expect(bed, next, FABRIC_OK);
    testbed_wait_drained(bed);
    assert_int_equal(case_starts(bed, "ms-06"), 6);
}

/* What a runner that is gone had at hand is delivered to the next one, in order. */
static void test_ms_09_sm_14_the_next_runner_gets_all_in_order(void **state)
{
    testbed_t *bed = *state;
    case_call_t *calls[STANDING];
    case_begin();
    case_call_t *held = stand(bed, "ms-09", calls);
    testbed_kill(case_worker_of(bed, "ms-09"));
    case_wait_started(bed, "ms-09", 2);
    testbed_open_gate(bed, "ms-09");
    case_expect(bed, held, FABRIC_OK);
    expect_places(bed, calls, STANDING, 1);
    replace_worker(bed);
}

/* ---- a connection is cut ---- */

static proxy_t *proxy;

static void connect_through_proxy(testbed_t *bed)
{
    char url[64];
    fabric_client_options_t options = {.name = "behind a proxy",
                                       .connect_timeout_ms = CASE_WAIT_MAX_MS,
                                       .forward = FABRIC_FORWARD_ALWAYS};
    const char *colon = strrchr(bed->cluster.broker_urls[0], ':');
    assert_non_null(colon);
    proxy = proxy_start("127.0.0.1", (unsigned)strtoul(colon + 1, NULL, 10), PROXY_BYTES);
    assert_non_null(proxy);
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", proxy_port(proxy));
    fabric_client_close(&bed->client);
    assert_int_equal(fabric_client_open(url, &options, &bed->client, NULL), FABRIC_OK);
}

/* The durable call succeeds. The volatile one is not sent again: its outcome is unknown, and its
 * handler has run once. */
static void test_it_1_calls_in_flight_when_a_connection_is_cut(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    connect_through_proxy(bed);
    const case_call_t *durable =
        case_ask(bed, PROBE_TYPE, "it-1-durable", &probe_hold, &(probe_text_t){"it-1"});
    const case_call_t *lost =
        case_ask(bed, PROBE_TYPE, "it-1-volatile", &probe_volatile_hold, &(probe_text_t){"it-1"});
    case_wait_started(bed, "it-1-durable", 1);
    case_wait_started(bed, "it-1-volatile", 1);
    proxy_cut(proxy, PROXY_RESET);
    case_expect(bed, lost, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_false(durable->ended);
    testbed_open_gate(bed, "it-1");
    case_expect(bed, durable, FABRIC_OK);
    assert_int_equal(case_starts(bed, "it-1-durable"), 1);
    assert_int_equal(case_starts(bed, "it-1-volatile"), 1);
    testbed_wait_ready(bed, 2);
    fabric_client_close(&bed->client);
    proxy_stop(&proxy);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_ip_01_ru_07_durable_messages_wait_for_a_runner",
         test_ip_01_ru_07_durable_messages_wait_for_a_runner, TESTBED_ALL},
        {"test_ru_05_without_a_runner_a_volatile_ask_is_told_so",
         test_ru_05_without_a_runner_a_volatile_ask_is_told_so, TESTBED_ALL},
        {"test_sh_28_ru_06_a_volatile_tell_is_not_sent_again",
         test_sh_28_ru_06_a_volatile_tell_is_not_sent_again, TESTBED_ALL},
        {"test_sh_06_a_runner_that_stops_stores_no_reply",
         test_sh_06_a_runner_that_stops_stores_no_reply, TESTBED_ALL},
        {"test_sh_43_a_hand_over_lets_handlers_end", test_sh_43_a_hand_over_lets_handlers_end,
         TESTBED_ALL},
        {"test_ip_04_a_volatile_tell_dies_with_its_runner",
         test_ip_04_a_volatile_tell_dies_with_its_runner, TESTBED_ALL},
        {"test_is_1_another_runner_answers_after_a_kill",
         test_is_1_another_runner_answers_after_a_kill, TESTBED_ALL},
        {"test_sm_02_a_new_home_delivers_what_stands_in_order",
         test_sm_02_a_new_home_delivers_what_stands_in_order, TESTBED_ALL},
        {"test_ms_06_sm_15_what_has_ended_does_not_come_back",
         test_ms_06_sm_15_what_has_ended_does_not_come_back, TESTBED_ALL},
        {"test_ms_09_sm_14_the_next_runner_gets_all_in_order",
         test_ms_09_sm_14_the_next_runner_gets_all_in_order, TESTBED_ALL},
        {"test_it_1_calls_in_flight_when_a_connection_is_cut",
         test_it_1_calls_in_flight_when_a_connection_is_cut, TESTBED_ALL},
    };
    return testbed_run_shared("conformance_losses", case_start, tests,
                              sizeof tests / sizeof tests[0]);
}
