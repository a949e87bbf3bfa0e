/* A standby knows little of runners and shards: its status says so and names the home, and
 * fabricctl asks the home. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"

enum { WAIT_MAX_MS = 90000, SHARDS = 300 };

static invocation_t invocation;

/* Runs fabricctl against one broker; it is to end well. */
static void run_at(testbed_t *bed, const char *url, const char *const *command)
{
    const char *arguments[12] = {"fabricctl", "--url", url};
    for (size_t i = 0; command[i]; i++) {
        arguments[3 + i] = command[i];
    }
    invocation_run(bed, arguments, NULL, &invocation);
    if (invocation.status != 0) {
        fail_msg("fabricctl: %d: %s", invocation.status, invocation.complaints);
    }
}

/* The status that fabricctl finds when it asks this broker; to be released by json_decref. */
static json_t *status_at(testbed_t *bed, const char *url)
{
    static const char *const command[] = {"status", "-o", "json", NULL};
    run_at(bed, url, command);
    json_t *status = json_loads(invocation.output, 0, NULL);
    assert_non_null(status);
    return status;
}

/* The status of one broker, without following it to the home. */
static json_t *own_words(const char *url)
{
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {.connect_timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_open(url, &options, &client, NULL), FABRIC_OK);
    json_t *status = testbed_status(client);
    fabric_client_close(&client);
    return status;
}

static void wait_for_state(const char *url, const char *wanted)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (bool is = false; !is; testbed_poll(deadline_ms, wanted)) {
        json_t *status = own_words(url);
        is = strcmp(json_string_value(json_object_get(status, "state")), wanted) == 0;
        json_decref(status);
    }
}

/* Waits until a standby names its home, which it learns from the map. */
static void wait_for_home(const char *standby, const char *home)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    wait_for_state(standby, "standby");
    for (bool is = false; !is; testbed_poll(deadline_ms, "the standby's home")) {
        json_t *status = own_words(standby);
        const char *named = json_string_value(json_object_get(status, "home"));
        is = named && strcmp(named, home) == 0;
        json_decref(status);
    }
}

/* Waits until the home says that all shards have healthy owners. */
static void wait_for_owners(const char *home)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (size_t healthy = 0; healthy < SHARDS; testbed_poll(deadline_ms, "owners")) {
        size_t index;
        json_t *shard;
        json_t *status = own_words(home);
        healthy = 0;
        json_array_foreach(json_object_get(status, "shards"), index, shard)
        {
            healthy += json_is_true(json_object_get(shard, "healthy"));
        }
        json_decref(status);
    }
}

/* The broker at `standby` stands by for the one at `home`: fabricctl prints the same truth
 * whichever of them it asks. */
static void check_pair(testbed_t *bed, const char *standby, const char *home)
{
    static const char *const command[] = {"status", NULL};
    char says[400];
    wait_for_state(home, "serving");
    wait_for_home(standby, home);
    wait_for_owners(home);
    json_t *status = own_words(standby);
    size_t index;
    json_t *shard;
    json_array_foreach(json_object_get(status, "shards"), index, shard)
    {
        assert_true(json_is_null(json_object_get(shard, "healthy")));
    }
    json_decref(status);
    status = status_at(bed, standby);
    assert_string_equal(json_string_value(json_object_get(status, "state")), "serving");
    json_decref(status);
    run_at(bed, standby, command);
    snprintf(says, sizeof says, "%s is a standby; this is the status of its home\n", standby);
    assert_int_equal(strncmp(invocation.output, says, strlen(says)), 0);
    assert_non_null(strstr(invocation.output, "shards 300 (300 healthy)"));
    assert_non_null(
        strstr(invocation.output, "default                      300      300         0\n"));
    run_at(bed, home, command);
    assert_null(strstr(invocation.output, "is a standby"));
    assert_non_null(strstr(invocation.output, "shards 300 (300 healthy)"));
}

static void a_standby_says_so_and_the_home_is_asked(void **state)
{
    static const char *const lease[] = {"--lease-ms", "1500", NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = lease;
    testbed_start_pair(bed, 2);
    check_pair(bed, bed->cluster.standby_url, bed->cluster.url);
    testbed_kill(&bed->cluster.broker);
    wait_for_state(bed->cluster.standby_url, "serving"); /* a takeover */
    testbed_restart_broker(bed);
    check_pair(bed, bed->cluster.url, bed->cluster.standby_url);
}

/* The standby waits for the frozen home's lease, which is a long one. */
static void a_home_that_does_not_answer_is_named(void **state)
{
    static const char *const lease[] = {"--lease-ms", "30000", NULL};
    static const char *const counter[] = {"call", "Nobody", "x", "Peek", NULL};
    testbed_t *bed = *state;
    char pattern[700];
    bed->broker_arguments = lease;
    testbed_start_pair(bed, 1);
    wait_for_home(bed->cluster.standby_url, bed->cluster.url);
    testbed_freeze(&bed->cluster.broker); /* a dead one would be replaced at once */
    snprintf(pattern, sizeof pattern,
             "fabricctl: %s is a standby, and its home %s cannot be asked: * "
             "(NotConnected): *",
             bed->cluster.standby_url, bed->cluster.url);
    invocation_expect(bed, __LINE__, 4, pattern, "fabricctl", "status", "--url",
                      bed->cluster.standby_url, "--timeout-ms", "1000", NULL);
    const char *arguments[10] = {"fabricctl", "--url", bed->cluster.standby_url, "--timeout-ms",
                                 "1000"};
    memcpy(arguments + 5, counter, sizeof counter);
    invocation_run(bed, arguments, NULL, &invocation);
    invocation_check(&invocation, __LINE__, 4, pattern, arguments); /* not: no such type */
}

/* A standby reads types only now and then; the home knows them first. */
static void a_type_that_a_standby_does_not_know_yet_is_found(void **state)
{
    static const char *const call[] = {"call",      "Counter",         "x",
                                       "Increment", "{\"amount\": 5}", NULL};
    testbed_t *bed = *state;
    const char *const lease[] = {"--lease-ms", "20000", NULL}; /* reads every 10 s */
    bed->broker_arguments = lease;
    testbed_start_pair(bed, 1);
    wait_for_home(bed->cluster.standby_url, bed->cluster.url);
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    bed->options.module = "../examples/counter/counter.so";
    testbed_add_worker(bed);
    wait_for_owners(bed->cluster.url);
    run_at(bed, bed->cluster.standby_url, call);
    assert_string_equal(invocation.output, "{\"value\": 5}\n");
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_standby_says_so_and_the_home_is_asked", a_standby_says_so_and_the_home_is_asked,
         TESTBED_MYSQL},
        {"a_home_that_does_not_answer_is_named", a_home_that_does_not_answer_is_named,
         TESTBED_MYSQL},
        {"a_type_that_a_standby_does_not_know_yet_is_found",
         a_type_that_a_standby_does_not_know_yet_is_found, TESTBED_MYSQL},
    };
    return testbed_run("standby", tests, sizeof tests / sizeof tests[0]);
}
