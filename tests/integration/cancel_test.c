/* Callers cancel calls that wait or run, and workers stop handlers. The names begin with the ids of
 * the behaviours that are ported. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/errand.h"
#include "tests/harness/invocation.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 60000, SHORT_MS = 500 };

typedef struct call {
    unsigned ends;
    fabric_error_t error;
    char text[256]; /* of an error */
    errand_answer_t answer;
    fabric_call_key_t key;
} call_t;

static const char *type = ERRAND_TYPE;

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = (call_t *)context;
    call->ends++;
    call->error = outcome->error;
    snprintf(call->text, sizeof call->text, "%s", outcome->text);
    if (outcome->error == FABRIC_OK) {
        assert_int_equal(fabric_schema_decode(&errand_answer_schema, payload, NULL, &call->answer),
                         FABRIC_OK);
    }
}

static const errand_gate_t gate = {"gate"};

static void begin_keyed(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                        fabric_call_key_t key, call_t *call)
{
    fabric_call_t begun = {.entity = fabric_entity(type, id),
                           .message = message,
                           .request = &gate,
                           .timeout_ms = WAIT_MAX_MS,
                           .key = key};
    *call = (call_t){0};
    assert_int_equal(fabric_client_start(bed->client, &begun, call_ended, call, &call->key),
                     FABRIC_OK);
}

static void begin(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                  call_t *call)
{
    begin_keyed(bed, id, message, (fabric_call_key_t){0}, call);
}

static void cancel(testbed_t *bed, const call_t *call)
{
    assert_int_equal(fabric_client_cancel(bed->client, call->key), FABRIC_OK);
}

static void expect_end(testbed_t *bed, const call_t *call, fabric_error_t error)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (call->ends == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the end of a call");
    }
    assert_int_equal(call->ends, 1);
    if (call->error != error) {
        print_error("the call ended: %s\n", call->text);
    }
    assert_string_equal(fabric_error_name(call->error), fabric_error_name(error));
}

/* How many lines of the module's notes begin with this text. */
static unsigned count_notes(const testbed_t *bed, const char *text)
{
    char path[FOLDER_PATH_SIZE + 16];
    char line[128];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/errands", bed->folder);
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

static void start(testbed_t *bed)
{
    type = ERRAND_TYPE;
    testbed_start(bed, 0);
    bed->options.module = ERRAND_MODULE;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
}

/* Of all brokers. */
static uint64_t count(testbed_t *bed, const char *counter)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        json_t *status = testbed_status_of(bed->cluster.broker_urls[i]);
        assert_non_null(status);
        sum += (uint64_t)json_integer_value(
            json_object_get(json_object_get(status, "counters"), counter));
        json_decref(status);
    }
    return sum;
}

/* ---- callers ---- */

static void test_sh_05_a_running_handler_is_interrupted_once(void **state)
{
    static const fabric_message_type_t *const messages[] = {&errand_block, &errand_wait,
                                                            &errand_idle};
    testbed_t *bed = *state;
    start(bed);
    for (unsigned i = 0; i < 3; i++) {
        call_t call, again, next;
        char id[32], note[64];
        snprintf(id, sizeof id, "run-%u", i);
        begin(bed, id, messages[i], &call);
        snprintf(note, sizeof note, "start %s 1", id);
        wait_for_note(bed, note, 1);
        cancel(bed, &call);
        cancel(bed, &call);
        expect_end(bed, &call, FABRIC_ERROR_CANCELLED);
        snprintf(note, sizeof note, "interrupt %s 1", id);
        assert_int_equal(count_notes(bed, note), 1);
        if (messages[i]->durable) { /* the end is stored, and told to whoever asks again */
            begin_keyed(bed, id, messages[i], call.key, &again);
            expect_end(bed, &again, FABRIC_ERROR_CANCELLED);
        }
        snprintf(note, sizeof note, "start %s", id);
        assert_int_equal(count_notes(bed, note), 1);
        begin(bed, id, &errand_block, &next); /* its entity goes on */
        wait_for_note(bed, note, 2);
        cancel(bed, &next);
        expect_end(bed, &next, FABRIC_ERROR_CANCELLED);
    }
    assert_int_equal(count(bed, "cancelled"), 6);
    testbed_wait_drained(bed);
}

static void a_call_that_waits_never_runs(void **state)
{
    enum { WAITING = 40 }; /* more than an owner is given at once */
    testbed_t *bed = *state;
    call_t first, waiting[WAITING];
    start(bed);
    begin(bed, "a", &errand_wait, &first);
    wait_for_note(bed, "start a 1", 1);
    for (int i = 0; i < WAITING; i++) {
        begin(bed, "a", i % 2 ? &errand_block : &errand_idle, &waiting[i]);
    }
    for (int i = WAITING; i-- > 0;) {
        cancel(bed, &waiting[i]);
    }
    for (int i = 0; i < WAITING; i++) {
        expect_end(bed, &waiting[i], FABRIC_ERROR_CANCELLED);
    }
    assert_int_equal(first.ends, 0);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &first, FABRIC_OK);
    testbed_wait_drained(bed);
    assert_int_equal(count_notes(bed, "start"), 1);
    assert_int_equal(count_notes(bed, "interrupt"), 0);
}

static void an_uninterruptible_handler_goes_on(void **state)
{
    testbed_t *bed = *state;
    call_t first, second;
    start(bed);
    type = STUBBORN_TYPE;
    begin(bed, "a", &errand_wait, &first);
    wait_for_note(bed, "start a 1", 1);
    begin(bed, "a", &errand_block, &second);
    cancel(bed, &first);
    cancel(bed, &second);
    expect_end(bed, &second, FABRIC_ERROR_CANCELLED); /* its handler had not begun */
    assert_int_equal(first.ends, 0);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &first, FABRIC_OK);
    assert_int_equal(count_notes(bed, "interrupt"), 0);
}

static void a_call_gives_up_at_its_deadline(void **state)
{
    testbed_t *bed = *state;
    errand_answer_t answer;
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity(ERRAND_TYPE, "a"),
                          .message = &errand_block,
                          .request = &gate,
                          .timeout_ms = SHORT_MS,
                          .cancel_at_deadline = true};
    start(bed);
    fabric_error_t error = fabric_client_call(bed->client, &call, &answer, NULL, NULL, &outcome);
    assert_int_equal(error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    wait_for_note(bed, "interrupt a 1", 1);
    testbed_wait_drained(bed);
    call_t again; /* what has become of it */
    begin_keyed(bed, "a", &errand_block, outcome.key, &again);
    expect_end(bed, &again, FABRIC_ERROR_CANCELLED);
}

/* Nobody cancels it at its deadline: its client is gone. It is not begun afterwards. */
static void what_is_late_is_not_begun(void **state)
{
    testbed_t *bed = *state;
    call_t held, late, next;
    fabric_call_t call = {.entity = fabric_entity(ERRAND_TYPE, "a"),
                          .message = &errand_wait,
                          .request = &gate,
                          .timeout_ms = SHORT_MS,
                          .cancel_at_deadline = true};
    start(bed);
    begin(bed, "a", &errand_wait, &held);
    wait_for_note(bed, "start a 1", 1);
    fabric_client_t *client = NULL;
    assert_int_equal(fabric_client_open(bed->cluster.urls, NULL, &client, NULL), FABRIC_OK);
    late = (call_t){0};
    assert_int_equal(fabric_client_start(client, &call, call_ended, &late, NULL), FABRIC_OK);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (count(bed, "pending") < 2) {
        testbed_poll(deadline_ms, "the second call to be accepted");
    }
    fabric_client_close(&client);
    assert_int_equal(late.ends, 1); /* as unknown */
    begin(bed, "a", &errand_wait, &next);
    testbed_pause(2 * SHORT_MS);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &held, FABRIC_OK);
    expect_end(bed, &next, FABRIC_OK);
    testbed_wait_drained(bed);
    assert_int_equal(count_notes(bed, "start a"), 2);
    assert_int_equal(count(bed, "cancelled"), 1);
}

/* Homes that the client reaches by way of the one broker that it knows. */
static void a_cancel_goes_by_way_of_another_broker(void **state)
{
    enum { AFAR = 12 }; /* some of them live far away */
    testbed_t *bed = *state;
    fabric_client_options_t options = {.connect_timeout_ms = WAIT_MAX_MS,
                                       .forward = FABRIC_FORWARD_ALWAYS};
    call_t first[AFAR], second[AFAR];
    char id[32], note[64];
    start(bed);
    fabric_client_close(&bed->client);
    assert_int_equal(fabric_client_open(bed->cluster.broker_urls[0], &options, &bed->client, NULL),
                     FABRIC_OK);
    for (int i = 0; i < AFAR; i++) {
        snprintf(id, sizeof id, "far-%d", i);
        begin(bed, id, &errand_wait, &first[i]);
        snprintf(note, sizeof note, "start %s 1", id);
        wait_for_note(bed, note, 1);
        begin(bed, id, &errand_wait, &second[i]);
    }
    for (int i = 0; i < AFAR; i++) {
        cancel(bed, &second[i]);
        cancel(bed, &first[i]);
    }
    for (int i = 0; i < AFAR; i++) {
        expect_end(bed, &first[i], FABRIC_ERROR_CANCELLED);
        expect_end(bed, &second[i], FABRIC_ERROR_CANCELLED);
    }
    assert_int_equal(count_notes(bed, "start"), AFAR);
    assert_int_equal(count_notes(bed, "interrupt"), AFAR);
}

/* The command line cancels at its deadline. */
static void fabricctl_cancels(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    invocation_expect(bed, __LINE__, 5, "fabricctl: Errand/a Block: no answer *", "fabricctl",
                      "call", ERRAND_TYPE, "a", "Block", "{\"name\": \"gate\"}", "--url",
                      bed->cluster.broker_urls[0], "--timeout-ms", "500", "--cancel", NULL);
    wait_for_note(bed, "interrupt a 1", 1);
    testbed_wait_drained(bed);
}

/* ---- what dies or stops ---- */

/* The message is at its worker, with the wish to end it, and the worker dies. */
static void a_cancelled_call_of_a_dead_worker_is_not_run_again(void **state)
{
    testbed_t *bed = *state;
    call_t call, other;
    start(bed);
    type = STUBBORN_TYPE;
    begin(bed, "a", &errand_wait, &call);
    wait_for_note(bed, "start a 1", 1);
    cancel(bed, &call);
    type = ERRAND_TYPE; /* in the same shard: its home has heard of the wish when it begins */
    begin(bed, "a", &errand_wait, &other);
    wait_for_note(bed, "start a 1", 2);
    testbed_kill(&bed->cluster.workers[0]);
    expect_end(bed, &call, FABRIC_ERROR_CANCELLED);
    testbed_open_gate(bed, "gate");
    testbed_restart_worker(bed, 0);
    expect_end(bed, &other, FABRIC_OK);
    testbed_wait_drained(bed);
    assert_int_equal(count_notes(bed, "start a"), 3); /* the other one was */
}

static void test_sh_06_a_handler_that_a_stop_ends_stores_no_reply(void **state)
{
    testbed_t *bed = *state;
    call_t blocked, waiting;
    start(bed);
    begin(bed, "b", &errand_wait, &waiting);
    wait_for_note(bed, "start b 1", 1);
    begin(bed, "a", &errand_block, &blocked);
    wait_for_note(bed, "start a 1", 1);
    assert_int_equal(kill(bed->cluster.workers[0].pid, SIGTERM), 0);
    wait_for_note(bed, "interrupt a 2", 1);
    wait_for_note(bed, "interrupt b 2", 1);
    (void)fabric_client_wait(bed->client, SHORT_MS);
    assert_int_equal(blocked.ends + waiting.ends, 0);
    testbed_open_gate(bed, "gate");
    testbed_add_worker(bed);
    expect_end(bed, &blocked, FABRIC_OK);
    expect_end(bed, &waiting, FABRIC_OK);
    assert_int_equal(blocked.answer.delivery, 2);
    assert_int_equal(waiting.answer.delivery, 2);
    assert_int_equal(count(bed, "cancelled"), 0);
}

/* Another worker comes, and gets half of the shards: handlers of these entities are told, and
 * answer that they have stopped. Their messages run again at the other worker. */
static void test_sh_06_a_handler_that_a_hand_over_ends_stores_no_reply(void **state)
{
    enum { CALLS = 16 };
    testbed_t *bed = *state;
    static call_t calls[CALLS]; /* they may end after the test has failed */
    unsigned again = 0;
    start(bed);
    for (unsigned i = 0; i < CALLS; i++) {
        char id[32];
        snprintf(id, sizeof id, "run-%u", i);
        begin(bed, id, &errand_wait, &calls[i]);
    }
    wait_for_note(bed, "start", CALLS);
    uint64_t ended = count(bed, "ended");
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    wait_for_note(bed, "interrupt", 1);
    wait_for_note(bed, "start", CALLS + 1);
    assert_int_equal(count(bed, "ended"), ended);
    testbed_open_gate(bed, "gate");
    for (unsigned i = 0; i < CALLS; i++) {
        expect_end(bed, &calls[i], FABRIC_OK);
        again += calls[i].answer.delivery - 1;
    }
    assert_int_equal(count_notes(bed, "interrupt"), again);
    assert_int_equal(count_notes(bed, "start"), CALLS + again);
    assert_int_equal(count(bed, "cancelled"), 0);
}

/* A caller cancels while the worker, which waits for its handler, stops. */
static void test_sh_14_a_cancel_reaches_a_worker_that_stops(void **state)
{
    testbed_t *bed = *state;
    call_t call;
    start(bed);
    type = CALM_TYPE;
    begin(bed, "a", &errand_idle, &call);
    wait_for_note(bed, "start a 1", 1);
    assert_int_equal(kill(bed->cluster.workers[0].pid, SIGTERM), 0);
    cancel(bed, &call);
    expect_end(bed, &call, FABRIC_ERROR_CANCELLED);
    assert_int_equal(count_notes(bed, "interrupt a 1"), 1);
    assert_int_equal(count_notes(bed, "start a"), 1);
}

/* Its handler hears nothing, and is given up when the grace time is over. */
static void test_nt_16_what_a_stop_must_not_interrupt_runs_again(void **state)
{
    testbed_t *bed = *state;
    call_t call;
    start(bed);
    type = CALM_TYPE;
    begin(bed, "a", &errand_wait, &call);
    wait_for_note(bed, "start a 1", 1);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    assert_int_equal(kill(bed->cluster.workers[0].pid, SIGTERM), 0);
    wait_for_note(bed, "start a 2", 1);
    assert_int_equal(count_notes(bed, "interrupt"), 0);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &call, FABRIC_OK);
    assert_int_equal(call.answer.delivery, 2);
}

/* Handlers of the four kinds of types are cancelled by their callers, and others of them are
 * stopped with their worker. */
static void each_type_hears_of_what_it_is_to_hear(void **state)
{
    enum { TYPES = 4 };
    static const char *const types[] = {DEVOTED_TYPE, STUBBORN_TYPE, ERRAND_TYPE, CALM_TYPE};
    static const char *const short_grace[] = {"--grace-ms", "1000", NULL};
    testbed_t *bed = *state;
    static call_t cancelled[TYPES], stopped[TYPES]; /* they may end after the test has failed */
    bed->options.worker_arguments = short_grace;
    start(bed);
    for (int i = 0; i < TYPES; i++) {
        type = types[i];
        begin(bed, "cancelled", &errand_wait, &cancelled[i]);
        begin(bed, "stopped", &errand_wait, &stopped[i]);
    }
    wait_for_note(bed, "start", 2 * TYPES);
    for (int i = 0; i < TYPES; i++) {
        cancel(bed, &cancelled[i]);
    }
    expect_end(bed, &cancelled[2], FABRIC_ERROR_CANCELLED);
    expect_end(bed, &cancelled[3], FABRIC_ERROR_CANCELLED); /* cancelled after the others */
    assert_int_equal(count_notes(bed, "interrupt cancelled 1"), 2);
    assert_int_equal(cancelled[0].ends + cancelled[1].ends, 0);
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    assert_int_equal(count_notes(bed, "interrupt stopped 2"), 2);
    assert_int_equal(count_notes(bed, "interrupt cancelled 2"), 1); /* of the devoted one */
    assert_int_equal(count_notes(bed, "interrupt"), 5);
    testbed_open_gate(bed, "gate");
    testbed_add_worker(bed);
    for (int i = 0; i < TYPES; i++) {
        expect_end(bed, &cancelled[i], FABRIC_ERROR_CANCELLED);
        expect_end(bed, &stopped[i], FABRIC_OK);
        assert_int_equal(stopped[i].answer.delivery, 2);
    }
    assert_int_equal(count_notes(bed, "start cancelled"), TYPES);
}

/* Homes die, and the next ones hear of what was cancelled: calls behind a handler that goes on. */
static void the_next_home_is_told(void **state)
{
    enum { HELD = 24 };
    testbed_t *bed = *state;
    call_t first[HELD], second[HELD];
    char id[32], note[64];
    start(bed);
    for (int i = 0; i < HELD; i++) {
        snprintf(id, sizeof id, "held-%d", i);
        begin(bed, id, &errand_wait, &first[i]);
        snprintf(note, sizeof note, "start %s 1", id);
        wait_for_note(bed, note, 1);
        begin(bed, id, &errand_wait, &second[i]);
    }
    assert_int_equal(fabric_client_wait(bed->client, 1), 0);
    for (uint32_t i = 1; i < bed->cluster.broker_count; i++) {
        testbed_freeze(&bed->cluster.brokers[i]);
    }
    for (int i = 0; i < HELD; i++) {
        cancel(bed, &second[i]);
    }
    (void)fabric_client_wait(bed->client, 50);
    for (uint32_t i = 1; i < bed->cluster.broker_count; i++) {
        testbed_kill(&bed->cluster.brokers[i]);
    }
    for (int i = 0; i < HELD; i++) {
        expect_end(bed, &second[i], FABRIC_ERROR_CANCELLED);
        assert_int_equal(first[i].ends, 0);
    }
    testbed_open_gate(bed, "gate");
    for (int i = 0; i < HELD; i++) {
        expect_end(bed, &first[i], FABRIC_OK);
        snprintf(note, sizeof note, "interrupt held-%d 1", i);
        assert_int_equal(count_notes(bed, note), 0); /* none was at its turn */
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_sh_05_a_running_handler_is_interrupted_once",
         test_sh_05_a_running_handler_is_interrupted_once, TESTBED_ALL},
        {"a_call_that_waits_never_runs", a_call_that_waits_never_runs, TESTBED_SQLITE},
        {"a_call_that_waits_never_runs_on_three_brokers", a_call_that_waits_never_runs,
         TESTBED_MYSQL_3},
        {"an_uninterruptible_handler_goes_on", an_uninterruptible_handler_goes_on, TESTBED_SQLITE},
        {"a_call_gives_up_at_its_deadline", a_call_gives_up_at_its_deadline, TESTBED_SQLITE},
        {"a_call_gives_up_at_its_deadline_on_three_brokers", a_call_gives_up_at_its_deadline,
         TESTBED_MYSQL_3},
        {"what_is_late_is_not_begun", what_is_late_is_not_begun, TESTBED_SQLITE},
        {"what_is_late_is_not_begun_on_three_brokers", what_is_late_is_not_begun, TESTBED_MYSQL_3},
        {"a_cancel_goes_by_way_of_another_broker", a_cancel_goes_by_way_of_another_broker,
         TESTBED_MYSQL_3},
        {"fabricctl_cancels", fabricctl_cancels, TESTBED_SQLITE},
        {"a_cancelled_call_of_a_dead_worker_is_not_run_again",
         a_cancelled_call_of_a_dead_worker_is_not_run_again, TESTBED_SQLITE},
        {"a_cancelled_call_of_a_dead_worker_is_not_run_again_on_three_brokers",
         a_cancelled_call_of_a_dead_worker_is_not_run_again, TESTBED_MYSQL_3},
        {"test_sh_06_a_handler_that_a_stop_ends_stores_no_reply",
         test_sh_06_a_handler_that_a_stop_ends_stores_no_reply, TESTBED_ALL},
        {"test_sh_06_a_handler_that_a_hand_over_ends_stores_no_reply",
         test_sh_06_a_handler_that_a_hand_over_ends_stores_no_reply, TESTBED_ALL},
        {"test_sh_14_a_cancel_reaches_a_worker_that_stops",
         test_sh_14_a_cancel_reaches_a_worker_that_stops, TESTBED_ALL},
        {"test_nt_16_what_a_stop_must_not_interrupt_runs_again",
         test_nt_16_what_a_stop_must_not_interrupt_runs_again, TESTBED_ALL},
        {"each_type_hears_of_what_it_is_to_hear", each_type_hears_of_what_it_is_to_hear,
         TESTBED_BOTH},
        {"the_next_home_is_told", the_next_home_is_told, TESTBED_MYSQL_3},
    };
    return testbed_run("cancel", tests, sizeof tests / sizeof tests[0]);
}
