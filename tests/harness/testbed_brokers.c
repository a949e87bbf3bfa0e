/* What all brokers of a testbed say together: each knows only the shards of its own lanes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/document.h"
#include "tests/harness/stop.h"
#include "tests/harness/testbed.h"

enum { QUERY_MS = 5000, WAIT_MS = 60000 };

static json_t *ask_status(fabric_client_t *client)
{
    uint8_t *document = NULL;
    size_t size = 0;
    char *text = NULL;
    json_t *status = NULL;
    if (!fabric_client_query(client, "status", fabric_bytes(NULL, 0), QUERY_MS, &document, &size,
                             NULL) &&
        !document_to_json(fabric_bytes(document, size), &text)) {
        status = json_loads(text, 0, NULL);
    }
    free(document);
    free(text);
    return status;
}

json_t *testbed_status_of(const char *url)
{
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {.name = "questions", .connect_timeout_ms = QUERY_MS};
    if (fabric_client_open(url, &options, &client, NULL)) {
        return NULL;
    }
    json_t *status = ask_status(client);
    fabric_client_close(&client);
    return status;
}

/* A broker's status; NULL: it does not answer. An only broker is asked by the testbed's own client:
 * a client of its own for each question would remain among the broker's peers for a while. */
static json_t *status_at(testbed_t *bed, uint32_t broker)
{
    return bed->cluster.broker_count == 1 && bed->client
               ? ask_status(bed->client)
               : testbed_status_of(bed->cluster.broker_urls[broker]);
}

uint64_t testbed_sum(testbed_t *bed, const char *name)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        json_t *status = process_runs(&bed->cluster.brokers[i]) ? status_at(bed, i) : NULL;
        const json_t *value = json_object_get(json_object_get(status, "counters"), name);
        assert_true(!process_runs(&bed->cluster.brokers[i]) || json_is_integer(value));
        sum += (uint64_t)json_integer_value(value);
        json_decref(status);
    }
    return sum;
}

static bool is_healthy(const json_t *runner)
{
    const char *state = json_string_value(json_object_get(runner, "state"));
    return state && strcmp(state, "healthy") == 0;
}

/* What the brokers that run say together. */
typedef struct words {
    uint32_t brokers; /* that answered */
    size_t shards, healthy;
    size_t runners; /* healthy, at the broker that has the fewest */
    uint64_t pending;
} words_t;

static void add_words(words_t *words, const json_t *status)
{
    size_t index;
    size_t runners = 0;
    json_t *item;
    json_array_foreach(json_object_get(status, "runners"), index, item)
    {
        runners += is_healthy(item);
    }
    json_array_foreach(json_object_get(status, "shards"), index, item)
    {
        words->healthy += json_is_true(json_object_get(item, "healthy"));
    }
    const json_t *counters = json_object_get(status, "counters");
    words->shards = json_array_size(json_object_get(status, "shards"));
    words->runners = words->brokers == 0 || runners < words->runners ? runners : words->runners;
    words->pending += (uint64_t)json_integer_value(json_object_get(counters, "pending"));
    words->brokers++;
}

/* false: a broker that runs did not answer. */
static bool ask_all(testbed_t *bed, words_t *words)
{
    *words = (words_t){0};
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        if (!process_runs(&bed->cluster.brokers[i])) {
            continue;
        }
        json_t *status = status_at(bed, i);
        if (!status) {
            return false;
        }
        add_words(words, status);
        json_decref(status);
    }
    return words->brokers > 0;
}

static void give_up(testbed_t *bed, const words_t *words, const char *missing)
{
    cluster_print_logs(&bed->cluster, stderr);
    fail_msg("waited in vain for %s: %u brokers answer, %zu of %zu shards are healthy, %zu "
             "workers are, %llu messages are pending",
             missing, words->brokers, words->healthy, words->shards, words->runners,
             (unsigned long long)words->pending);
}

void testbed_wait_ready(testbed_t *bed, uint32_t workers)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    words_t words;
    while (!ask_all(bed, &words) || words.runners < workers || words.shards == 0 ||
           words.healthy < words.shards) {
        if (stop_requested() || clock_monotonic_ms() >= deadline_ms) {
            give_up(bed, &words, "workers and owners");
        }
        testbed_poll(UINT64_MAX, "workers and owners");
    }
}

void testbed_wait_drained(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    words_t words;
    while (!ask_all(bed, &words) || words.pending > 0) {
        if (stop_requested() || clock_monotonic_ms() >= deadline_ms) {
            give_up(bed, &words, "the end of all messages");
        }
        testbed_poll(UINT64_MAX, "the end of all messages");
    }
}

/* Whether all brokers that run answer, and none has entries that wait for a checkpoint. */
static bool has_rows_of_all(testbed_t *bed)
{
    bool all = true;
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        if (process_runs(&bed->cluster.brokers[i])) {
            json_t *status = status_at(bed, i);
            const json_t *counters = json_object_get(status, "counters");
            const json_t *bytes = json_object_get(counters, "journal_bytes");
            all = all && json_is_integer(bytes) && json_integer_value(bytes) == 0;
            json_decref(status);
        }
    }
    return all;
}

void testbed_wait_checkpoint(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (!has_rows_of_all(bed)) {
        testbed_poll(deadline_ms, "a checkpoint");
    }
}

void testbed_wait_removed(testbed_t *bed, const char *endpoint)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    char incarnation[33];
    while (testbed_lanes_held(bed, endpoint, incarnation) >= 0) {
        testbed_poll(deadline_ms, "the end of a dead broker's membership");
    }
}

void testbed_wait_spread(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    uint32_t running = 0;
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        running += process_runs(&bed->cluster.brokers[i]);
    }
    for (uint32_t even = 0; even < running;) {
        even = 0;
        for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
            char incarnation[33];
            int64_t held = process_runs(&bed->cluster.brokers[i])
                               ? testbed_lanes_held(bed, bed->cluster.broker_urls[i], incarnation)
                               : -1;
            even +=
                held >= TESTBED_LANES / running && held <= (TESTBED_LANES + running - 1) / running;
        }
        testbed_poll(deadline_ms, "an even spread of the lanes");
    }
}

/* How many shards, whose home answers here, have the runner as an owner. */
static int64_t count_owned(const json_t *status, const char *runner)
{
    int64_t owned = 0;
    size_t index;
    const json_t *shard;
    const json_t *broker = json_object_get(status, "broker");
    json_array_foreach(json_object_get(status, "shards"), index, shard)
    {
        bool owner = false;
        const char *type;
        const json_t *found;
        json_object_foreach(json_object_get(shard, "owners"), type, found)
        {
            owner |= strcmp(json_string_value(found), runner) == 0;
        }
        owned += owner && json_equal(json_object_get(shard, "home"), broker);
    }
    return owned;
}

/* The shards of the worker process by one broker's words; -1: it is no healthy member there. */
static int64_t shards_by(const json_t *status, const char *process)
{
    size_t index;
    json_t *runner;
    json_array_foreach(json_object_get(status, "runners"), index, runner)
    {
        const char *name = json_string_value(json_object_get(runner, "name"));
        const char *colon = name ? strrchr(name, ':') : NULL;
        if (colon && strcmp(colon, process) == 0 && is_healthy(runner)) {
            return count_owned(status, json_string_value(json_object_get(runner, "incarnation")));
        }
    }
    return -1;
}

int64_t testbed_shards_owned(testbed_t *bed, const process_t *worker)
{
    char process[32];
    int64_t shards = -1;
    snprintf(process, sizeof process, ":%ld", (long)process_child(worker));
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        json_t *status = process_runs(&bed->cluster.brokers[i]) ? status_at(bed, i) : NULL;
        int64_t more = shards_by(status, process);
        shards = more < 0 ? shards : shards < 0 ? more : shards + more;
        json_decref(status);
    }
    return shards;
}
