/* Operators' commands against real processes: brokers and runners are listed, drained and cordoned,
 * under load, and no call fails. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/lane_watch.h"

enum {
    WAIT_MAX_MS = 90000,
    BROKERS = 3,
    CALM_CALLS = 100,
    PAIRS = 2 * 300 /* of two types and 300 shards */
};

static invocation_t invocation;
static lane_watch_t *watch;

/* Lets the load go on until some more calls have been answered. */
static void let_it_run(void)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    uint64_t enough = lane_watch_replied(watch, true) + CALM_CALLS;
    while (lane_watch_replied(watch, true) < enough) {
        testbed_poll(deadline_ms, "replies under load");
    }
}

/* ---- commands ---- */

/* Runs fabricctl with up to five arguments, and expects this exit code. */
static void command(testbed_t *bed, int code, const char *const arguments[5])
{
    const char *all[12] = {"fabricctl", "--url", bed->cluster.urls, "-o", "json"};
    for (size_t i = 0; i < 5 && arguments[i]; i++) {
        all[5 + i] = arguments[i];
    }
    invocation_run(bed, all, NULL, &invocation);
    if (invocation.status != code) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("fabricctl %s %s: code %d, %s", arguments[0], arguments[1], invocation.status,
                 invocation.complaints);
    }
}

#define COMMAND(bed, code, ...) command(bed, code, (const char *const[5]){__VA_ARGS__})

/* What the command printed. */
static json_t *printed(void)
{
    json_t *value = json_loads(invocation.output, 0, NULL);
    assert_non_null(value);
    return value;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    return value;
}

static long long number(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

/* Scripts rest on these keys. */
static void expect_keys(const json_t *object, const char *const *keys)
{
    size_t count = 0;
    for (; keys[count]; count++) {
        assert_non_null(json_object_get(object, keys[count]));
    }
    assert_int_equal(json_object_size(object), count);
}

/* ---- brokers ---- */

/* The rows of broker ls; the caller's. */
static json_t *brokers(testbed_t *bed, size_t count)
{
    COMMAND(bed, 0, "broker", "ls");
    json_t *rows = printed();
    assert_int_equal(json_array_size(rows), count);
    return rows;
}

/* The broker that holds the term, by its id. */
static void find_holder(testbed_t *bed, size_t count, char id[33])
{
    json_t *rows = brokers(bed, count);
    size_t index;
    const json_t *row;
    unsigned found = 0;
    json_array_foreach(rows, index, row)
    {
        if (json_is_true(json_object_get(row, "holder"))) {
            snprintf(id, 33, "%s", text(row, "incarnation"));
            found++;
        }
    }
    json_decref(rows);
    assert_int_equal(found, 1);
}

static uint32_t number_of(testbed_t *bed, const char *id)
{
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        json_t *status = process_runs(&bed->cluster.brokers[i])
                             ? testbed_status_of(bed->cluster.broker_urls[i])
                             : NULL;
        bool found = status && strcmp(text(status, "broker"), id) == 0;
        json_decref(status);
        if (found) {
            return i;
        }
    }
    fail_msg("no broker is %s", id);
    return 0;
}

static void expect_end(testbed_t *bed, uint32_t broker)
{
    reason_t reason = {{0}};
    if (process_wait(&bed->cluster.brokers[broker], WAIT_MAX_MS, &reason)) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("broker %u: %s", broker, reason.text); /* its exit code is not 0 */
    }
}

static void brokers_are_listed(void **state)
{
    static const char *const keys[] = {"name",  "incarnation", "router",   "state",
                                       "lanes", "holder",      "draining", NULL};
    testbed_t *bed = *state;
    testbed_start_brokers(bed, BROKERS, 1);
    json_t *rows = brokers(bed, BROKERS);
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        expect_keys(row, keys);
        assert_string_equal(text(row, "state"), "serving");
        assert_int_equal(number(row, "lanes"), TESTBED_LANES / BROKERS);
        assert_true(json_is_false(json_object_get(row, "draining")));
    }
    json_decref(rows);
}

/* Under load, the holder of the term first. */
static void brokers_drain_until_one_is_left(void **state)
{
    testbed_t *bed = *state;
    char id[33] = "";
    char prefix[9] = "";
    testbed_start_brokers(bed, BROKERS, 2);
    watch = lane_watch_start(bed, LANE_WATCH_LANES);
    let_it_run();
    for (size_t left = BROKERS; left > 1; left--) {
        find_holder(bed, left, id);
        uint32_t broker = number_of(bed, id);
        snprintf(prefix, sizeof prefix, "%.8s", id);
        COMMAND(bed, 0, "broker", "drain", prefix);
        expect_end(bed, broker);
        let_it_run();
        json_decref(brokers(bed, left - 1)); /* it has left when the command has ended */
    }
    find_holder(bed, 1, id);
    COMMAND(bed, 6, "broker", "drain", id);
    assert_non_null(strstr(invocation.complaints, "NoSuccessor"));
    let_it_run();
    lane_watch_expect_none_failed(watch, true);
    lane_watch_end(&watch);
    testbed_wait_drained(bed);
}

static void the_only_broker_is_not_drained(void **state)
{
    testbed_t *bed = *state;
    char id[33] = "";
    testbed_start(bed, 1);
    find_holder(bed, 1, id);
    COMMAND(bed, 6, "broker", "drain", id);
    json_t *rows = brokers(bed, 1);
    assert_string_equal(text(json_array_get(rows, 0), "state"), "serving");
    json_decref(rows);
}

static void names_that_are_none_are_refused(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 1);
    COMMAND(bed, 3, "broker", "drain", "nobody");
    assert_non_null(strstr(invocation.complaints, "no broker is called 'nobody'"));
    assert_int_equal(invocation.lines, 1);
    COMMAND(bed, 3, "runner", "cordon", "nobody");
    COMMAND(bed, 2, "broker", "drain");
    COMMAND(bed, 2, "runner", "stop", "nobody");
}

static void a_broker_that_does_not_answer_is_named(void **state)
{
    testbed_t *bed = *state;
    testbed_start_brokers(bed, 2, 1);
    testbed_freeze(&bed->cluster.brokers[1]);
    command(bed, 0, (const char *const[5]){"broker", "ls", "--timeout-ms", "1000"});
    json_t *rows = printed();
    testbed_thaw(&bed->cluster.brokers[1]);
    size_t index;
    const json_t *row;
    unsigned silent = 0;
    json_array_foreach(rows, index, row)
    {
        silent += strcmp(text(row, "state"), "silent") == 0;
    }
    json_decref(rows);
    assert_int_equal(silent, 1);
    assert_non_null(strstr(invocation.complaints, "does not answer"));
}

/* ---- runners ---- */

static void add_worker(testbed_t *bed, const char *name)
{
    static const char *arguments[] = {"--name", NULL, NULL};
    arguments[1] = name;
    bed->options.worker_arguments = arguments;
    testbed_add_worker(bed);
    bed->options.worker_arguments = NULL;
}

/* The row of the runner of that name; the caller's. */
static json_t *runner(testbed_t *bed, const char *name)
{
    COMMAND(bed, 0, "runner", "ls");
    json_t *rows = printed();
    json_t *found = NULL;
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        if (strcmp(text(row, "name"), name) == 0) {
            found = json_incref(row);
        }
    }
    json_decref(rows);
    return found;
}

static long long owned(testbed_t *bed, const char *name)
{
    json_t *row = runner(bed, name);
    long long count = row ? number(row, "owned") : -1;
    json_decref(row);
    return count;
}

static void expect_standing(testbed_t *bed, const char *name, const char *standing)
{
    json_t *row = runner(bed, name);
    assert_non_null(row);
    assert_string_equal(text(row, "standing"), standing);
    json_decref(row);
}

static void wait_owned(testbed_t *bed, const char *name, long long count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (owned(bed, name) != count) {
        testbed_poll(deadline_ms, name);
    }
}

static void start_two(testbed_t *bed)
{
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, BROKERS, 0);
    }
    add_worker(bed, "one");
    add_worker(bed, "two");
    testbed_wait_ready(bed, 2);
    wait_owned(bed, "one", PAIRS / 2);
}

static void runners_are_listed(void **state)
{
    static const char *const keys[] = {"id",          "name",  "standing",    "state", "weight",
                                       "app_version", "owned", "outstanding", "types", NULL};
    testbed_t *bed = *state;
    start_two(bed);
    json_t *row = runner(bed, "two");
    expect_keys(row, keys);
    assert_string_equal(text(row, "standing"), "open");
    assert_string_equal(text(row, "state"), "healthy");
    assert_int_equal(number(row, "weight"), 100);
    assert_int_equal(number(row, "owned"), PAIRS / 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(row, "types"), 0)),
                        PROBE_TYPE);
    json_decref(row);
}

/* Under load: its shards go to the other one, and back. */
static void a_runner_drains_and_comes_back(void **state)
{
    testbed_t *bed = *state;
    start_two(bed);
    watch = lane_watch_start(bed, LANE_WATCH_LANES);
    let_it_run();
    COMMAND(bed, 0, "runner", "drain", "one");
    assert_int_equal(owned(bed, "one"), 0);
    assert_int_equal(owned(bed, "two"), PAIRS);
    expect_standing(bed, "one", "draining");
    let_it_run();
    COMMAND(bed, 0, "runner", "uncordon", "one");
    wait_owned(bed, "one", PAIRS / 2);
    let_it_run();
    lane_watch_expect_none_failed(watch, true);
    lane_watch_end(&watch);
    testbed_wait_drained(bed);
}

static fabric_error_t ask(testbed_t *bed, const char *id, fabric_outcome_t *outcome)
{
    static const probe_text_t hello = {"hello"};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_volatile_echo,
                          .request = &hello,
                          .timeout_ms = 2000};
    return fabric_client_call(bed->client, &call, NULL, NULL, NULL, outcome);
}

/* It gets nothing when the other one dies: callers are told why, and nobody else is meant. A child
 * that the supervisor starts after a crash stays cordoned. */
static void a_cordoned_runner_gets_no_shards(void **state)
{
    testbed_t *bed = *state;
    start_two(bed);
    COMMAND(bed, 0, "runner", "cordon", "one");
    assert_int_equal(owned(bed, "one"), PAIRS / 2);
    testbed_kill(&bed->cluster.workers[1]);
    wait_owned(bed, "two", -1);
    assert_int_equal(owned(bed, "one"), PAIRS / 2);
    unsigned refused = 0;
    for (int i = 0; i < 32; i++) {
        char id[16];
        fabric_outcome_t outcome = {0};
        snprintf(id, sizeof id, "id-%d", i);
        if (ask(bed, id, &outcome)) {
            assert_non_null(strstr(outcome.text, "uncordon runner one"));
            refused++;
        }
    }
    assert_in_range(refused, 1, 31);
    testbed_kill_child(&bed->cluster.workers[0]);
    wait_owned(bed, "one", 0);
    expect_standing(bed, "one", "cordoned");
    COMMAND(bed, 0, "runner", "uncordon", "one");
    wait_owned(bed, "one", PAIRS);
}

/* The last runner of a type: the command says whose messages will wait. */
static void draining_the_last_runner_warns(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 0);
    add_worker(bed, "only");
    testbed_wait_ready(bed, 1);
    COMMAND(bed, 0, "runner", "drain", "only");
    assert_non_null(
        strstr(invocation.complaints, "no other runner takes shards of type " PROBE_TYPE));
    assert_int_equal(owned(bed, "only"), 0);
}

/* ---- shards ---- */

/* The rows of shard ls when all shards are served; the caller's. */
static json_t *served_shards(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (;;) {
        size_t served = 0;
        size_t index;
        const json_t *row;
        COMMAND(bed, 0, "shard", "ls");
        json_t *rows = printed();
        json_array_foreach(rows, index, row)
        {
            served += strcmp(text(row, "state"), "served") == 0;
        }
        if (served == PAIRS / 2) {
            return rows;
        }
        json_decref(rows);
        testbed_poll(deadline_ms, "all shards to be served");
    }
}

static void shards_are_listed_and_shown(void **state)
{
    static const char *const keys[] = {"shard",     "group", "number",     "lane",   "home",
                                       "home_name", "state", "home_epoch", "owners", NULL};
    static const char *const details[] = {
        "shard", "group",  "number",     "lane",       "home",  "home_name",  "home_epoch",
        "state", "owners", "lane_state", "checkpoint", "entry", "tail_bytes", NULL};
    testbed_t *bed = *state;
    start_two(bed);
    json_t *rows = served_shards(bed);
    const json_t *row = json_array_get(rows, 6);
    expect_keys(row, keys);
    assert_string_equal(text(row, "shard"), "default:7");
    assert_int_equal(json_object_size(json_object_get(row, "owners")), 2);
    json_decref(rows);
    command(bed, 0, (const char *const[5]){"shard", "ls", "--type", PROBE_TYPE});
    rows = printed();
    assert_int_equal(json_object_size(json_object_get(json_array_get(rows, 0), "owners")), 1);
    json_decref(rows);
    COMMAND(bed, 0, "shard", "show", "default:7");
    json_t *shown = printed();
    expect_keys(shown, details);
    assert_int_equal(json_array_size(json_object_get(shown, "owners")), 2);
    json_decref(shown);
    COMMAND(bed, 3, "shard", "show", "default:301");
    COMMAND(bed, 2, "shard", "plan");
}

/* ---- plans ---- */

/* The moves of a plan for what is to go; the caller's. */
static json_t *plan(testbed_t *bed, const char *name)
{
    COMMAND(bed, 0, "shard", "plan", "--drain", name);
    json_t *plan = printed();
    json_t *moves = json_incref(json_object_get(plan, "moves"));
    assert_int_equal(json_array_size(moves), number(plan, "count"));
    json_decref(plan);
    return moves;
}

/* Counts the shards whose homes are others than before: each has to move as the plan says. */
static size_t check_homes(const json_t *before, const json_t *after, const json_t *moves)
{
    size_t i;
    size_t k;
    const json_t *row;
    const json_t *move;
    size_t moved = 0;
    json_array_foreach((json_t *)before, i, row)
    {
        const char *from = text(row, "home");
        const char *to = text(json_array_get(after, i), "home");
        const char *planned = from;
        json_array_foreach((json_t *)moves, k, move)
        {
            if (number(move, "lane") == number(row, "lane")) {
                assert_string_equal(text(move, "from"), from);
                planned = text(move, "to");
            }
        }
        assert_string_equal(to, planned);
        moved += strcmp(from, to) != 0;
    }
    return moved;
}

/* The same for the owners of a type. */
static size_t check_owners(const json_t *before, const json_t *after, const json_t *moves,
                           const char *type)
{
    size_t i;
    size_t k;
    const json_t *row;
    const json_t *move;
    size_t moved = 0;
    json_array_foreach((json_t *)before, i, row)
    {
        const char *from = text(json_object_get(row, "owners"), type);
        const char *to = text(json_object_get(json_array_get(after, i), "owners"), type);
        const char *planned = from;
        json_array_foreach((json_t *)moves, k, move)
        {
            if (strcmp(text(move, "shard"), text(row, "shard")) == 0 &&
                strcmp(text(move, "type"), type) == 0) {
                assert_string_equal(text(move, "from"), from);
                planned = text(move, "to");
            }
        }
        assert_string_equal(to, planned);
        moved += strcmp(from, to) != 0;
    }
    return moved;
}

static void a_broker_drains_as_planned(void **state)
{
    testbed_t *bed = *state;
    char id[33] = "";
    testbed_start_brokers(bed, BROKERS, 2);
    find_holder(bed, BROKERS, id);
    uint32_t broker = number_of(bed, id);
    json_t *before = served_shards(bed);
    json_t *moves = plan(bed, id);
    assert_int_equal(json_array_size(moves), TESTBED_LANES / BROKERS);
    COMMAND(bed, 0, "broker", "drain", id);
    expect_end(bed, broker);
    json_t *after = served_shards(bed);
    assert_int_equal(check_homes(before, after, moves), PAIRS / 2 / BROKERS);
    json_decref(before);
    json_decref(moves);
    json_decref(after);
}

static void a_runner_drains_as_planned(void **state)
{
    testbed_t *bed = *state;
    start_two(bed);
    add_worker(bed, "three");
    testbed_wait_ready(bed, 3);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (owned(bed, "three") < PAIRS / 3 - 2 * BROKERS) {
        testbed_poll(deadline_ms, "a share of the third runner");
    }
    json_t *before = served_shards(bed);
    json_t *moves = plan(bed, "one");
    assert_int_equal(json_array_size(moves), owned(bed, "one"));
    COMMAND(bed, 0, "runner", "drain", "one");
    json_t *after = served_shards(bed);
    size_t moved = check_owners(before, after, moves, PROBE_TYPE);
    moved += check_owners(before, after, moves, "Fold");
    assert_int_equal(moved, json_array_size(moves));
    json_decref(before);
    json_decref(moves);
    json_decref(after);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"brokers_are_listed", brokers_are_listed, TESTBED_MYSQL},
        {"brokers_drain_until_one_is_left", brokers_drain_until_one_is_left, TESTBED_MYSQL},
        {"the_only_broker_is_not_drained", the_only_broker_is_not_drained, TESTBED_SQLITE},
        {"names_that_are_none_are_refused", names_that_are_none_are_refused, TESTBED_SQLITE},
        {"a_broker_that_does_not_answer_is_named", a_broker_that_does_not_answer_is_named,
         TESTBED_MYSQL},
        {"runners_are_listed", runners_are_listed, TESTBED_BOTH},
        {"a_runner_drains_and_comes_back", a_runner_drains_and_comes_back, TESTBED_BOTH},
        {"a_cordoned_runner_gets_no_shards", a_cordoned_runner_gets_no_shards, TESTBED_BOTH},
        {"draining_the_last_runner_warns", draining_the_last_runner_warns, TESTBED_SQLITE},
        {"shards_are_listed_and_shown", shards_are_listed_and_shown, TESTBED_BOTH},
        {"a_broker_drains_as_planned", a_broker_drains_as_planned, TESTBED_MYSQL},
        {"a_runner_drains_as_planned", a_runner_drains_as_planned, TESTBED_BOTH},
    };
    return testbed_run("operations", tests, sizeof tests / sizeof tests[0]);
}
