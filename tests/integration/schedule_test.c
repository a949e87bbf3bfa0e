/* Messages with a time of delivery: they are handled once, not before it and soon after, also when
 * brokers die meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

/* AHEAD_MS: time enough to tell them. LATE_MS_MAX: far less than any pause or checkpoint. */
enum { MESSAGES = 60, AHEAD_MS = 2000, LATE_MS_MAX = 50 };

static int64_t due_ms[MESSAGES];

/* Tells `count` entities, each with a time of its own. */
static void schedule(testbed_t *bed, unsigned count, int64_t first_ms, int64_t step_ms)
{
    for (unsigned i = 0; i < count; i++) {
        char id[32];
        probe_number_t request = {i + 1};
        fabric_outcome_t outcome = {0};
        due_ms[i] = first_ms + step_ms * i;
        snprintf(id, sizeof id, "later-%u", i);
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                              .message = &probe_append,
                              .request = &request,
                              .tell = true,
                              .deliver_at_ms = due_ms[i]};
        if (fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome)) {
            fail_msg("%s", outcome.text);
        }
    }
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Each was handled once, and none before its time. Returns how late the median was. */
static int64_t check_starts(testbed_t *bed, unsigned count)
{
    int64_t ahead_us = clock_wall_ms() * 1000 - (int64_t)clock_monotonic_us();
    int64_t late_ms[MESSAGES];
    unsigned firsts = 0;
    probe_starts_t starts = probe_starts_read(bed->folder);
    for (size_t i = 0; i < starts.count; i++) {
        const probe_start_t *start = &starts.items[i];
        int64_t late_us = (int64_t)start->at_us + ahead_us - due_ms[start->number - 1] * 1000;
        assert_true(late_us >= -1000); /* the clocks are read in milliseconds */
        if (start->delivery == 1) {
            assert_true(firsts < count);
            late_ms[firsts++] = late_us / 1000;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "later-%u", i);
        assert_true(probe_starts_count(&starts, id) >= 1);
    }
    probe_starts_free(&starts);
    qsort(late_ms, firsts, sizeof late_ms[0], compare);
    print_message("late by: median %lld ms, most %lld ms\n", (long long)late_ms[firsts / 2],
                  (long long)late_ms[firsts - 1]);
    return late_ms[firsts / 2];
}

static void start(testbed_t *bed)
{
    machine_measure();
    testbed_start(bed, 2);
}

static void test_ip_15_not_before_its_time_and_soon_after(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    schedule(bed, MESSAGES, clock_wall_ms() + (int64_t)machine_scaled(AHEAD_MS), 20);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
    testbed_wait_drained(bed);
    int64_t late_ms = check_starts(bed, MESSAGES);
    assert_true(late_ms <= (int64_t)machine_scaled(LATE_MS_MAX));
}

/* What is in journals only, and what has rows; then a broker is killed, and comes back or not. */
static void schedules_survive_brokers(void **state)
{
    testbed_t *bed = *state;
    bool alone = strcmp(bed->store, "sqlite") == 0;
    start(bed);
    schedule(bed, MESSAGES / 2, clock_wall_ms() + 4000, 10);
    if (alone) {
        testbed_wait_checkpoint(bed);
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
    } else {
        testbed_kill(&bed->cluster.brokers[0]);
    }
    testbed_wait_ready(bed, 2);
    testbed_wait_drained(bed);
    (void)check_starts(bed, MESSAGES / 2);
}

/* An ask waits for the reply. */
static void an_ask_waits(void **state)
{
    testbed_t *bed = *state;
    probe_number_t request = {1};
    probe_place_t place = {0};
    fabric_outcome_t outcome = {0};
    testbed_start(bed, 1);
    due_ms[0] = clock_wall_ms() + 700;
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "later-0"),
                          .message = &probe_append,
                          .request = &request,
                          .deliver_at_ms = due_ms[0]};
    assert_int_equal(fabric_client_call(bed->client, &call, &place, NULL, NULL, &outcome),
                     FABRIC_OK);
    assert_true(clock_wall_ms() >= due_ms[0] - 1);
    assert_int_equal(place.position, 1);
    (void)check_starts(bed, 1);
    call.deliver_at_ms = -1;
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    call.deliver_at_ms = INT64_C(253402300800000);
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    call.message = &probe_volatile_append;
    call.deliver_at_ms = due_ms[0];
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_INVALID_ARGUMENT);
}

static void note_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)payload;
    *(fabric_error_t *)context = outcome->error;
}

/* The caller of an ask cancels it before its time. Another one gives up at a deadline before that.
 * Both messages end at once. */
static void a_cancelled_ask_is_not_handled(void **state)
{
    testbed_t *bed = *state;
    probe_number_t request = {1};
    fabric_error_t ends[2] = {FABRIC_OK, FABRIC_OK};
    fabric_call_key_t keys[2];
    start(bed);
    uint64_t deadline_ms = clock_monotonic_ms() + 60000;
    int64_t at_ms = clock_wall_ms() + 600000;
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "later-0"),
                          .message = &probe_append,
                          .request = &request,
                          .deliver_at_ms = at_ms,
                          .timeout_ms = 60000};
    assert_int_equal(fabric_client_start(bed->client, &call, note_end, &ends[0], &keys[0]),
                     FABRIC_OK);
    while (testbed_sum(bed, "scheduled") == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the acceptance");
    }
    call.entity = fabric_entity(PROBE_TYPE, "later-1");
    call.timeout_ms = 2000; /* it is accepted before that */
    call.cancel_at_deadline = true;
    assert_int_equal(fabric_client_start(bed->client, &call, note_end, &ends[1], &keys[1]),
                     FABRIC_OK);
    assert_int_equal(fabric_client_cancel(bed->client, keys[0]), FABRIC_OK);
    while (ends[0] == FABRIC_OK || ends[1] == FABRIC_OK) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the ends of the calls");
    }
    assert_string_equal(fabric_error_name(ends[0]), fabric_error_name(FABRIC_ERROR_CANCELLED));
    testbed_wait_drained(bed);
    assert_int_equal(testbed_sum(bed, "scheduled"), 0);
    assert_int_equal(testbed_sum(bed, "cancelled"), 2);
    assert_true(clock_wall_ms() < at_ms);
    probe_starts_t starts = probe_starts_read(bed->folder);
    assert_int_equal(starts.count, 0);
    probe_starts_free(&starts);
}

/* With the command line; it lists what waits from the database. */
static void on_the_command_line(void **state)
{
    testbed_t *bed = *state;
    static invocation_t run;
    testbed_start(bed, 1);
    const char *url = bed->cluster.url;
    const char *later[] = {"fabricctl",       "send",           PROBE_TYPE, "later", "Append",
                           "{\"number\": 1}", "--delay-ms=300", "--url",    url,     NULL};
    invocation_run(bed, later, NULL, &run);
    invocation_check(&run, __LINE__, 0, NULL, later);
    testbed_wait_drained(bed);
    const char *far[] = {"fabricctl",
                         "send",
                         PROBE_TYPE,
                         "later",
                         "Append",
                         "{\"number\": 2}",
                         "--deliver-at=9999-12-31T23:59:59Z",
                         "--url",
                         url,
                         NULL};
    invocation_run(bed, far, NULL, &run);
    invocation_check(&run, __LINE__, 0, NULL, far);
    assert_int_equal(testbed_counter(bed->client, "scheduled"), 1);
    testbed_stop_processes(bed);
    const char *list[] = {"fabricctl",     "scheduled", "ls", "--store", bed->cluster.database.url,
                          "--output=json", NULL};
    invocation_run(bed, list, NULL, &run);
    invocation_check(&run, __LINE__, 0, NULL, list);
    run.output[run.output_size < sizeof run.output ? run.output_size : sizeof run.output - 1] =
        '\0';
    assert_non_null(strstr(run.output, "\"due_at\": \"9999-12-31T23:59:59.000Z\""));
    assert_non_null(strstr(run.output, "\"tag\": \"Append\""));
    probe_starts_t starts = probe_starts_read(bed->folder);
    assert_int_equal(starts.count, 1);
    probe_starts_free(&starts);
    invocation_expect(bed, __LINE__, 2, "fabricctl: --deliver-at: 'tomorrow'*", "fabricctl", "send",
                      PROBE_TYPE, "later", "Append", "{}", "--deliver-at=tomorrow", NULL);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_ip_15_not_before_its_time_and_soon_after",
         test_ip_15_not_before_its_time_and_soon_after, TESTBED_CLUSTERS},
        {"schedules_survive_brokers", schedules_survive_brokers, TESTBED_CLUSTERS},
        {"an_ask_waits", an_ask_waits, TESTBED_SQLITE},
        {"a_cancelled_ask_is_not_handled", a_cancelled_ask_is_not_handled, TESTBED_CLUSTERS},
        {"on_the_command_line", on_the_command_line, TESTBED_SQLITE},
    };
    return testbed_run("schedule", tests, sizeof tests / sizeof tests[0]);
}
