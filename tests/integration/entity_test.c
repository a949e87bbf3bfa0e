/* How entities live in a worker: how many at once, for how long, and how long a handler may take.
 * The names begin with the ids of the behaviours that are ported. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/guest.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 60000, ASK_MS = 30000, SHORT_MS = 3000 };

typedef struct call {
    bool ended;
    fabric_error_t error;
    guest_visit_t visit;
} call_t;

static const char *type = GUEST_TYPE; /* of the entities that a test talks to */

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = (call_t *)context;
    call->ended = true;
    call->error = outcome->error;
    if (outcome->error == FABRIC_OK) {
        assert_int_equal(fabric_schema_decode(&guest_visit_schema, payload, NULL, &call->visit),
                         FABRIC_OK);
    }
}

static void begin(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                  const void *request, call_t *call)
{
    fabric_call_t begun = {.entity = fabric_entity(type, id),
                           .message = message,
                           .request = request,
                           .timeout_ms = WAIT_MAX_MS};
    *call = (call_t){.ended = false};
    assert_int_equal(fabric_client_start(bed->client, &begun, call_ended, call, NULL), FABRIC_OK);
}

static void expect_end(testbed_t *bed, const call_t *call)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!call->ended) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "an answer");
    }
    assert_int_equal(call->error, FABRIC_OK);
}

static guest_visit_t ask(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                         const void *request)
{
    guest_visit_t visit = {0};
    fabric_outcome_t outcome = {0};
    fabric_call_t call = {.entity = fabric_entity(type, id),
                          .message = message,
                          .request = request,
                          .timeout_ms = ASK_MS};
    fabric_error_t error = fabric_client_call(bed->client, &call, &visit, NULL, NULL, &outcome);
    if (error != FABRIC_OK) {
        print_error("%s: %s\n", fabric_error_name(error), outcome.text);
    }
    assert_int_equal(error, FABRIC_OK);
    return visit;
}

static fabric_error_t try_volatile(testbed_t *bed, const char *id)
{
    fabric_outcome_t outcome = {0};
    fabric_call_t call = {.entity = fabric_entity(type, id),
                          .message = &guest_volatile_greet,
                          .timeout_ms = SHORT_MS};
    return fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome);
}

static void start(testbed_t *bed, const char *const *arguments)
{
    type = GUEST_TYPE;
    testbed_start(bed, 0);
    bed->options.module = GUEST_MODULE;
    bed->options.worker_arguments = arguments;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
}

static const guest_gate_t gate = {"gate"};

/* ---- residents ---- */

static const char *const places_for_two[] = {"--residents", "2", "--executors", "1", NULL};
static const char *const places_for_one[] = {"--residents", "1", NULL};

/* Six entities, which wait for a gate, end with room for two. */
static void test_sh_33_six_entities_end_with_places_for_two(void **state)
{
    testbed_t *bed = *state;
    call_t calls[6];
    start(bed, places_for_two);
    for (int i = 0; i < 6; i++) {
        char id[] = {(char)('a' + i), '\0'};
        begin(bed, id, &guest_wait, &gate, &calls[i]);
    }
    testbed_open_gate(bed, "gate");
    for (int i = 0; i < 6; i++) {
        expect_end(bed, &calls[i]);
        assert_true(calls[i].visit.most <= 2);
    }
}

static void wait_for_start(testbed_t *bed, const char *id, call_t *call)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    begin(bed, id, &guest_wait, &gate, call);
    while (try_volatile(bed, "probe") != FABRIC_ERROR_MAILBOX_FULL) {
        testbed_poll(deadline_ms, "the handler to begin");
    }
}

static void test_sh_34_without_a_place_volatile_is_refused_and_durable_waits(void **state)
{
    testbed_t *bed = *state;
    call_t held, waiting;
    start(bed, places_for_one);
    wait_for_start(bed, "a", &held);
    assert_int_equal(try_volatile(bed, "b"), FABRIC_ERROR_MAILBOX_FULL);
    begin(bed, "c", &guest_greet, NULL, &waiting);
    (void)fabric_client_wait(bed->client, GUEST_MS);
    assert_false(waiting.ended);
    assert_false(held.ended);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &held);
    expect_end(bed, &waiting);
    assert_int_equal(try_volatile(bed, "b"), FABRIC_OK);
}

/* Of five places four are taken by handlers that wait: the others' messages are handled all the
 * same, whatever has gathered. */
static void test_sh_38_one_place_serves_a_backlog(void **state)
{
    enum { HELD = 4, BEHIND = 20 };
    static const char *const places_for_five[] = {"--residents", "5", "--executors", "1", NULL};
    testbed_t *bed = *state;
    call_t held[HELD];
    call_t behind[BEHIND];
    start(bed, places_for_five);
    for (int i = 0; i < HELD; i++) {
        char id[] = {(char)('a' + i), '\0'};
        begin(bed, id, &guest_wait, &gate, &held[i]);
    }
    for (int i = 0; i < BEHIND; i++) {
        char id[] = {'x', (char)('a' + i), '\0'};
        begin(bed, id, &guest_greet, NULL, &behind[i]);
    }
    for (int i = 0; i < BEHIND; i++) {
        expect_end(bed, &behind[i]);
        assert_true(behind[i].visit.most <= HELD + 1);
    }
    assert_false(held[0].ended || held[HELD - 1].ended);
    testbed_open_gate(bed, "gate");
    for (int i = 0; i < HELD; i++) {
        expect_end(bed, &held[i]);
    }
}

/* The one resident is served, though messages to many others wait, durably, for its room. */
static void a_resident_is_served_before_a_backlog_for_others(void **state)
{
    enum { BEHIND = 200, VISITS = 20 };
    static const char *const small[] = {"--residents", "1",  "--executors", "1",
                                        "--window",    "64", NULL};
    static call_t behind[BEHIND]; /* they may end after the test has failed */
    testbed_t *bed = *state;
    call_t held;
    start(bed, small);
    type = GUEST_BESIDE;
    begin(bed, "a", &guest_wait, &gate, &held);
    (void)ask(bed, "a", &guest_greet, NULL); /* it is the resident, behind its first message */
    for (int i = 0; i < BEHIND; i++) {
        char id[16];
        snprintf(id, sizeof id, "b-%d", i);
        begin(bed, id, &guest_greet, NULL, &behind[i]);
    }
    for (int i = 0; i < VISITS; i++) {
        assert_int_equal(ask(bed, "a", &guest_greet, NULL).visit, i + 3);
    }
    for (int i = 0; i < BEHIND; i++) {
        assert_false(behind[i].ended);
    }
    assert_false(held.ended);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &held);
    for (int i = 0; i < BEHIND; i++) {
        expect_end(bed, &behind[i]);
        assert_int_equal(behind[i].visit.most, 1);
    }
}

static void test_sh_41_without_a_bound_all_have_places(void **state)
{
    enum { ENTITIES = 15 };
    static const char *const unbounded[] = {"--residents", "1000000000", NULL};
    testbed_t *bed = *state;
    call_t calls[ENTITIES];
    uint64_t most = 0;
    start(bed, unbounded);
    for (int i = 0; i < ENTITIES; i++) {
        char id[] = {(char)('a' + i), '\0'};
        begin(bed, id, &guest_wait, &gate, &calls[i]);
    }
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (most < ENTITIES + 1) { /* with the one that tells */
        most = ask(bed, "z", &guest_greet, NULL).most;
        testbed_poll(deadline_ms, "all entities to be there");
    }
    assert_false(calls[0].ended || calls[ENTITIES - 1].ended);
    testbed_open_gate(bed, "gate");
    for (int i = 0; i < ENTITIES; i++) {
        expect_end(bed, &calls[i]);
    }
}

/* An entity that was idle, and stopped, is another instance at its next message. */
static void test_ie_11_idle_entities_come_back_fresh(void **state)
{
    testbed_t *bed = *state;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    start(bed, places_for_one);
    guest_visit_t first = ask(bed, "a", &guest_greet, NULL);
    guest_visit_t next = first;
    while (next.instance == first.instance) { /* a message in time begins the time anew */
        testbed_pause(2 * GUEST_MS);
        next = ask(bed, "a", &guest_greet, NULL);
        testbed_poll(deadline_ms, "a fresh instance");
    }
    assert_int_equal(next.visit, 1);
    guest_visit_t other = ask(bed, "b", &guest_greet, NULL); /* takes the only room at once */
    assert_int_equal(other.visit, 1);
    next = ask(bed, "a", &guest_greet, NULL);
    assert_int_equal(next.visit, 1);
    assert_true(next.instance > other.instance);
}

static void keep_alive_outlasts_idleness(void **state)
{
    static const guest_flag_t on = {true}, off = {false};
    testbed_t *bed = *state;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    start(bed, NULL);
    guest_visit_t kept = ask(bed, "kept", &guest_keep, &on);
    guest_visit_t idle = ask(bed, "idle", &guest_greet, NULL);
    guest_visit_t next = idle;
    while (next.instance == idle.instance) {
        testbed_pause(2 * GUEST_MS);
        next = ask(bed, "idle", &guest_greet, NULL);
        testbed_poll(deadline_ms, "the other one to be stopped");
    }
    next = ask(bed, "kept", &guest_keep, &off);
    assert_int_equal(next.instance, kept.instance);
    assert_int_equal(next.visit, 2);
    while (next.instance == kept.instance) {
        testbed_pause(2 * GUEST_MS);
        next = ask(bed, "kept", &guest_greet, NULL);
        testbed_poll(deadline_ms, "it to be stopped, too");
    }
}

static void terminate_makes_the_next_instance_fresh(void **state)
{
    testbed_t *bed = *state;
    start(bed, NULL);
    guest_visit_t first = ask(bed, "a", &guest_greet, NULL);
    guest_visit_t last = ask(bed, "a", &guest_leave, NULL);
    guest_visit_t next = ask(bed, "a", &guest_greet, NULL);
    assert_int_equal(last.instance, first.instance);
    assert_true(next.instance != first.instance);
    assert_int_equal(next.visit, 1);
}

/* ---- slow handlers ---- */

static bool is_told(testbed_t *bed)
{
    return testbed_count_events(bed, "worker-0.log", "worker.slow") > 0;
}

static void expect_line(testbed_t *bed, const char *code, const char *const *parts)
{
    char line[1000];
    assert_true(process_log_last(&bed->cluster, "worker-0.log", code, line, sizeof line));
    for (; *parts; parts++) {
        if (!strstr(line, *parts)) {
            fail_msg("no %s in: %s", *parts, line);
        }
    }
}

/* Waits until the log tells of the one handler, which goes on meanwhile. */
static void expect_told_while_it_takes(testbed_t *bed, const fabric_message_type_t *message)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    call_t call;
    start(bed, NULL);
    (void)ask(bed, "quick", &guest_greet, NULL);
    begin(bed, "slow", message, &gate, &call);
    while (!is_told(bed)) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "worker.slow");
    }
    assert_false(call.ended);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &call);
    assert_int_equal(testbed_count_events(bed, "worker-0.log", "worker.slow"), 1);
    expect_line(bed, "worker.slow",
                (const char *const[]){GUEST_TYPE "/slow", message->tag, "request ", " ms", NULL});
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    expect_line(bed, "worker.stopped", (const char *const[]){" slow=1", NULL});
}

static void a_slow_pending_handler_is_told(void **state)
{
    expect_told_while_it_takes(*state, &guest_wait);
}

static void a_slow_running_handler_is_told(void **state)
{
    expect_told_while_it_takes(*state, &guest_block);
}

/* ---- more than one handler of an entity ---- */

static const guest_gate_t other_gate = {"other-gate"};

static void two_handlers_may_be_pending(void **state)
{
    testbed_t *bed = *state;
    call_t first, second, third, fourth;
    start(bed, NULL);
    type = GUEST_PAIR;
    begin(bed, "a", &guest_wait, &gate, &first);
    guest_visit_t visit = ask(bed, "a", &guest_greet, NULL); /* one is pending */
    assert_int_equal(visit.visit, 2);
    begin(bed, "a", &guest_wait, &other_gate, &second);
    begin(bed, "a", &guest_wait, &gate, &third);
    begin(bed, "a", &guest_greet, NULL, &fourth);
    (void)fabric_client_wait(bed->client, GUEST_MS);
    assert_false(first.ended || second.ended || third.ended || fourth.ended);
    testbed_open_gate(bed, "other-gate");
    expect_end(bed, &second); /* before the first */
    assert_int_equal(second.visit.visit, 3);
    assert_false(first.ended || third.ended || fourth.ended); /* two are pending again */
    testbed_open_gate(bed, "gate");
    expect_end(bed, &first);
    expect_end(bed, &third);
    expect_end(bed, &fourth);
    assert_int_equal(fourth.visit.visit, 5);
    assert_int_equal(testbed_counter(bed->client, "results_refused"), 0);
    assert_int_equal(testbed_counter(bed->client, "redelivered"), 0);
}

/* More handlers are pending than an entity of another type has messages at its worker. */
static void concurrent_handlers_hold_up_nobody(void **state)
{
    enum { HELD = 40 };
    testbed_t *bed = *state;
    call_t held[HELD];
    start(bed, NULL);
    type = GUEST_BESIDE;
    for (int i = 0; i < HELD; i++) {
        begin(bed, "a", &guest_wait, &gate, &held[i]);
    }
    guest_visit_t visit = ask(bed, "a", &guest_greet, NULL);
    assert_int_equal(visit.visit, HELD + 1);
    testbed_open_gate(bed, "gate");
    for (int i = 0; i < HELD; i++) {
        expect_end(bed, &held[i]);
    }
    assert_int_equal(testbed_counter(bed->client, "results_refused"), 0);
}

static void test_sh_31_a_defect_makes_pending_messages_come_again(void **state)
{
    testbed_t *bed = *state;
    call_t held;
    start(bed, NULL);
    type = GUEST_BESIDE;
    begin(bed, "a", &guest_wait, &gate, &held);
    guest_visit_t before = ask(bed, "a", &guest_greet, NULL);
    guest_visit_t after = ask(bed, "a", &guest_break, NULL);
    assert_true(after.instance > before.instance);
    testbed_open_gate(bed, "gate");
    expect_end(bed, &held);
    assert_int_equal(held.visit.instance, after.instance);
    assert_int_equal(testbed_sum(bed, "redelivered"), 2);
    assert_int_equal(testbed_sum(bed, "results_refused"), 0);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_sh_33_six_entities_end_with_places_for_two",
         test_sh_33_six_entities_end_with_places_for_two, TESTBED_ALL},
        {"test_sh_34_without_a_place_volatile_is_refused_and_durable_waits",
         test_sh_34_without_a_place_volatile_is_refused_and_durable_waits, TESTBED_ALL},
        {"test_sh_38_one_place_serves_a_backlog", test_sh_38_one_place_serves_a_backlog,
         TESTBED_ALL},
        {"a_resident_is_served_before_a_backlog_for_others",
         a_resident_is_served_before_a_backlog_for_others, TESTBED_SQLITE},
        {"test_sh_41_without_a_bound_all_have_places", test_sh_41_without_a_bound_all_have_places,
         TESTBED_ALL},
        {"test_ie_11_idle_entities_come_back_fresh", test_ie_11_idle_entities_come_back_fresh,
         TESTBED_ALL},
        {"keep_alive_outlasts_idleness", keep_alive_outlasts_idleness, TESTBED_SQLITE},
        {"terminate_makes_the_next_instance_fresh", terminate_makes_the_next_instance_fresh,
         TESTBED_SQLITE},
        {"a_slow_pending_handler_is_told", a_slow_pending_handler_is_told, TESTBED_SQLITE},
        {"a_slow_running_handler_is_told", a_slow_running_handler_is_told, TESTBED_SQLITE},
        {"two_handlers_may_be_pending", two_handlers_may_be_pending, TESTBED_SQLITE},
        {"concurrent_handlers_hold_up_nobody", concurrent_handlers_hold_up_nobody, TESTBED_SQLITE},
        {"test_sh_31_a_defect_makes_pending_messages_come_again",
         test_sh_31_a_defect_makes_pending_messages_come_again, TESTBED_ALL},
    };
    return testbed_run("entity", tests, sizeof tests / sizeof tests[0]);
}
