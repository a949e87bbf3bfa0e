/* A real broker answers every request and every hello, also those that come twice, too late, or
 * with old numbers. */
#include <string.h>

#include "core/clock.h"
#include "tests/harness/raw_fabric.h"
#include "tests/harness/testbed.h"

enum { SOON_MS = 10000 };

static const probe_text_t hello = {"hello"};

/* One run of a program that chooses its client number. */
static fabric_error_t run_program(testbed_t *bed, uint64_t first_sequence,
                                  fabric_outcome_t *outcome)
{
    fabric_client_options_t options = {
        .name = "seventy-seven", .client_number = 77, .first_sequence = first_sequence};
    fabric_client_t *client = NULL;
    probe_text_t reply = {""};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &client, outcome), FABRIC_OK);
    fabric_error_t error = fabric_client_ask(client, fabric_entity(PROBE_TYPE, "twice"),
                                             &probe_echo, &hello, &reply, outcome);
    fabric_client_close(&client);
    return error;
}

static void a_client_number_used_twice(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    testbed_start(bed, 1);
    assert_int_equal(run_program(bed, 0, &outcome), FABRIC_OK);
    uint64_t start_ms = clock_monotonic_ms();
    assert_int_equal(run_program(bed, 0, &outcome), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_true(clock_monotonic_ms() - start_ms < SOON_MS); /* of 30 s that it would wait */
    assert_non_null(strstr(outcome.text, "settled"));
    assert_int_equal(run_program(bed, 2, &outcome), FABRIC_OK);
}

/* A connection that begins at 1 again where the first one has not ended yet. */
static void hellos_with_old_numbers(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 0);
    raw_fabric_t first = raw_client(bed->cluster.urls, 5);
    raw_fabric_t second = raw_fabric_connect(bed->cluster.urls);
    message_hello_t again = raw_client_hello(5, 1);
    assert_int_equal(raw_hello(&second, &again), FABRIC_ERROR_OUTDATED_CONNECTION);
    assert_true(raw_ping(&first));
    again = raw_client_hello(5, 2);
    assert_int_equal(raw_hello(&second, &again), FABRIC_OK);
    assert_true(raw_ping(&second));
    raw_fabric_close(&first);
    raw_fabric_close(&second);
}

/* A call without a worker is stored, and its caller is told so at the call's deadline. */
static void a_durable_call_past_its_deadline(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 1);
    testbed_kill(&bed->cluster.workers[0]);
    raw_fabric_t client = raw_client(bed->cluster.urls, 6);
    message_request_t request = {.sequence = 1,
                                 .flags = REQUEST_DURABLE,
                                 .type = fabric_bytes_of(PROBE_TYPE),
                                 .id = fabric_bytes_of("late"),
                                 .tag = fabric_bytes_of("Echo"),
                                 .payload = fabric_bytes("\x91\xa2hi", 4),
                                 .deadline_ms = 200};
    assert_true(raw_say(&client, request, &request));
    assert_int_equal(raw_answer(&client, 1), FABRIC_OK);
    raw_fabric_close(&client);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_client_number_used_twice", a_client_number_used_twice, TESTBED_SQLITE},
        {"hellos_with_old_numbers", hellos_with_old_numbers, TESTBED_SQLITE},
        {"a_durable_call_past_its_deadline", a_durable_call_past_its_deadline, TESTBED_SQLITE},
    };
    return testbed_run("answers", tests, sizeof tests / sizeof tests[0]);
}
