/* A standby knows little of runners and shards: its own status says so, and fabricctl asks all
 * brokers, whichever it can connect to. */
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
    static const char *const command[] = {"status", "-o", "json", "--timeout-ms", "5000", NULL};
    run_at(bed, url, command);
    json_t *status = json_loads(invocation.output, 0, NULL);
    assert_non_null(status);
    return status;
}

/* The status of one broker, in its own words. */
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

static bool knows(const char *asked, const char *wanted)
{
    size_t index;
    const json_t *broker;
    bool known = false;
    json_t *status = own_words(asked);
    json_array_foreach(json_object_get(status, "brokers"), index, broker)
    {
        known |= strcmp(json_string_value(json_object_get(broker, "router")), wanted) == 0;
    }
    json_decref(status);
    return known;
}

/* Waits until both brokers know both: the map with one that has joined comes a little later. */
static void wait_for_members(const char *const *urls)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (size_t known = 0; known < 4; testbed_poll(deadline_ms, "the brokers of the map")) {
        known = 0;
        for (size_t i = 0; i < 4; i++) {
            known += knows(urls[i / 2], urls[i % 2]);
        }
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

/* Whether the broker at this address answers, by the words of fabricctl. */
static bool answers(const json_t *brokers, const char *url)
{
    size_t index;
    const json_t *broker;
    json_array_foreach((json_t *)brokers, index, broker)
    {
        if (strcmp(json_string_value(json_object_get(broker, "router")), url) == 0) {
            return json_is_true(json_object_get(broker, "answers"));
        }
    }
    fail_msg("%s is no broker", url);
    return false;
}

static const char *state_of(const json_t *brokers, const char *url)
{
    size_t index;
    const json_t *broker;
    json_array_foreach((json_t *)brokers, index, broker)
    {
        if (strcmp(json_string_value(json_object_get(broker, "router")), url) == 0) {
            return json_string_value(json_object_get(broker, "state"));
        }
    }
    return "absent";
}

/* The broker at `standby` stands by for the one at `home`: fabricctl prints the same truth
 * whichever of them it asks. */
static void check_pair(testbed_t *bed, const char *standby, const char *home)
{
    static const char *const command[] = {"status", NULL};
    const char *const urls[] = {standby, home};
    wait_for_state(home, "serving");
    wait_for_home(standby, home);
    wait_for_members(urls);
    wait_for_owners(home);
    json_t *status = own_words(standby);
    size_t index;
    json_t *shard;
    json_array_foreach(json_object_get(status, "shards"), index, shard)
    {
        assert_true(json_is_null(json_object_get(shard, "healthy")));
    }
    json_decref(status);
    for (size_t i = 0; i < 2; i++) {
        status = status_at(bed, urls[i]);
        const json_t *brokers = json_object_get(status, "brokers");
        assert_string_equal(state_of(brokers, standby), "standby");
        assert_string_equal(state_of(brokers, home), "serving");
        json_decref(status);
        run_at(bed, urls[i], command);
        assert_non_null(strstr(invocation.output, " is healthy\n"));
        assert_non_null(strstr(invocation.output, " served, 0 moving, 0 unserved)"));
        assert_non_null(
            strstr(invocation.output, "default                      300      300         0\n"));
    }
}

static void all_brokers_are_asked_whichever_is_connected(void **state)
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
static void a_broker_that_does_not_answer_is_named(void **state)
{
    static const char *const lease[] = {"--lease-ms", "30000", NULL};
    testbed_t *bed = *state;
    char pattern[700];
    bed->broker_arguments = lease;
    testbed_start_pair(bed, 1);
    wait_for_home(bed->cluster.standby_url, bed->cluster.url);
    testbed_freeze(&bed->cluster.broker); /* a dead one would be replaced at once */
    json_t *status = status_at(bed, bed->cluster.standby_url);
    assert_string_equal(state_of(json_object_get(status, "brokers"), bed->cluster.standby_url),
                        "standby");
    assert_false(answers(json_object_get(status, "brokers"), bed->cluster.url));
    json_decref(status);
    snprintf(pattern, sizeof pattern, "fabricctl: Nobody: %s cannot be reached* (NotConnected): *",
             bed->cluster.url);
    invocation_expect(bed, __LINE__, 4, pattern, "fabricctl", "call", "Nobody", "x", "Peek",
                      "--url", bed->cluster.standby_url, "--timeout-ms", "1000",
                      NULL); /* not: no such type */
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
        {"all_brokers_are_asked_whichever_is_connected",
         all_brokers_are_asked_whichever_is_connected, TESTBED_MYSQL},
        {"a_broker_that_does_not_answer_is_named", a_broker_that_does_not_answer_is_named,
         TESTBED_MYSQL},
        {"a_type_that_a_standby_does_not_know_yet_is_found",
         a_type_that_a_standby_does_not_know_yet_is_found, TESTBED_MYSQL},
    };
    return testbed_run("standby", tests, sizeof tests / sizeof tests[0]);
}
