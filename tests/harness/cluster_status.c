/* Questions to the brokers of a cluster: see cluster_status.h. */
#include "tests/harness/cluster_status.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "core/document.h"

enum { QUERY_MS = 5000, READY_POLL_MS = 50, DRAIN_POLL_MS = 2 };

/* ---- connections ---- */

fabric_error_t status_open(status_brokers_t *brokers, const char *urls,
                           const fabric_client_options_t *options, reason_t *reason)
{
    fabric_client_options_t only = *options;
    only.forward = FABRIC_FORWARD_ALWAYS; /* which connects to no other broker */
    status_close(brokers);
    for (size_t size; *urls; urls += size + (urls[size] == ',')) {
        char url[CLUSTER_URL_SIZE];
        fabric_outcome_t outcome = {0};
        size = strcspn(urls, ",");
        if (brokers->count == CLUSTER_BROKERS_MAX || size >= sizeof url) {
            return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "too many brokers, or too long");
        }
        snprintf(url, sizeof url, "%.*s", (int)size, urls);
        fabric_error_t error =
            fabric_client_open(url, &only, &brokers->clients[brokers->count], &outcome);
        if (error) {
            return reason_set(reason, error, "%.100s: %s (%s)", url,
                              outcome.text[0] ? outcome.text : fabric_error_meaning(error),
                              fabric_error_name(error));
        }
        brokers->count++;
    }
    return FABRIC_OK;
}

void status_close(status_brokers_t *brokers)
{
    for (uint32_t i = 0; i < brokers->count; i++) {
        fabric_client_close(&brokers->clients[i]);
    }
    brokers->count = 0;
}

status_brokers_t status_at(fabric_client_t *client)
{
    return (status_brokers_t){{client}, 1};
}

/* ---- questions ---- */

/* A query's answer, or NULL with a reason. Waits for no longer than QUERY_MS, whatever the
 * timeout. */
static json_t *ask(fabric_client_t *client, const char *name, uint32_t timeout_ms, reason_t *reason)
{
    uint8_t *document = NULL;
    size_t size = 0;
    char *text = NULL;
    fabric_outcome_t outcome = {0};
    fabric_error_t error = fabric_client_query(client, name, fabric_bytes(NULL, 0),
                                               timeout_ms < QUERY_MS ? timeout_ms : QUERY_MS,
                                               &document, &size, &outcome);
    if (error) {
        (void)reason_set(reason, error, "the broker does not answer the query %s: %s", name,
                         fabric_error_name(error));
        return NULL;
    }
    json_t *answer = NULL;
    error = document_to_json(fabric_bytes(document, size), &text);
    free(document);
    if (!error) {
        answer = json_loads(text, 0, NULL);
        free(text);
    }
    if (!answer) {
        (void)reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                         "the broker's answer to the query %s cannot be read", name);
    }
    return answer;
}

/* What all brokers say. */
typedef struct readiness {
    size_t shards, healthy;
    size_t runners;                 /* healthy, at the broker that has the fewest */
    size_t lanes_least, lanes_most; /* that a broker holds */
} readiness_t;

static size_t count_healthy(const json_t *runners)
{
    size_t index;
    size_t healthy = 0;
    const json_t *runner;
    json_array_foreach((json_t *)runners, index, runner)
    {
        const char *state = json_string_value(json_object_get(runner, "state"));
        healthy += state && strcmp(state, "healthy") == 0;
    }
    return healthy;
}

static void add_readiness(readiness_t *sum, const json_t *status, bool first)
{
    size_t index;
    const json_t *shard;
    const json_t *shards = json_object_get(status, "shards");
    size_t runners = count_healthy(json_object_get(status, "runners"));
    size_t lanes = json_array_size(json_object_get(status, "lanes"));
    json_array_foreach((json_t *)shards, index, shard)
    {
        sum->healthy += json_is_true(json_object_get(shard, "healthy"));
    }
    sum->shards = json_array_size(shards);
    sum->runners = first || runners < sum->runners ? runners : sum->runners;
    sum->lanes_least = first || lanes < sum->lanes_least ? lanes : sum->lanes_least;
    sum->lanes_most = lanes > sum->lanes_most ? lanes : sum->lanes_most;
}

/* false with a reason: not yet. */
static bool is_ready(const status_brokers_t *brokers, uint32_t workers, uint32_t timeout_ms,
                     reason_t *reason)
{
    readiness_t sum = {0};
    for (uint32_t i = 0; i < brokers->count; i++) {
        json_t *status = ask(brokers->clients[i], "status", timeout_ms, reason);
        if (!status) {
            return false;
        }
        add_readiness(&sum, status, i == 0);
        json_decref(status);
    }
    (void)reason_set(reason, FABRIC_ERROR_TIMEOUT,
                     "the cluster does not become ready: %zu of %u workers, %zu of %zu shards, %zu "
                     "to %zu lanes at each broker",
                     sum.runners, workers, sum.healthy, sum.shards, sum.lanes_least,
                     sum.lanes_most);
    return sum.runners >= workers && sum.healthy > 0 && sum.healthy == sum.shards &&
           sum.lanes_most <= sum.lanes_least + 1;
}

fabric_error_t status_wait_ready(const status_brokers_t *brokers, uint32_t workers,
                                 uint32_t timeout_ms, reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!stop_requested()) {
        if (is_ready(brokers, workers, timeout_ms, reason)) {
            return FABRIC_OK;
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            return FABRIC_ERROR_TIMEOUT;
        }
        poll(NULL, 0, READY_POLL_MS);
    }
    return FABRIC_ERROR_SHUTTING_DOWN;
}

fabric_error_t status_wait_type(fabric_client_t *client, const char *type, uint32_t timeout_ms,
                                reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!stop_requested()) {
        uint8_t *document = NULL;
        size_t size = 0;
        fabric_error_t error = fabric_client_query(client, "describe", fabric_bytes_of(type),
                                                   QUERY_MS, &document, &size, NULL);
        free(document);
        if (!error) {
            return FABRIC_OK;
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            return reason_set(reason, FABRIC_ERROR_NOT_FOUND,
                              "no worker brings the entity type %s (%s): start fabric-worker "
                              "--module bench_module.so",
                              type, fabric_error_name(error));
        }
        poll(NULL, 0, READY_POLL_MS);
    }
    return FABRIC_ERROR_SHUTTING_DOWN;
}

/* A number of a document; false when it is not there. */
static bool take_number(const json_t *object, const char *name, uint64_t *number)
{
    const json_t *value = json_object_get(object, name);
    *number = (uint64_t)json_integer_value(value);
    return json_is_integer(value);
}

static fabric_error_t add_counters(fabric_client_t *client, reason_t *reason,
                                   status_counters_t *sum)
{
    status_counters_t found = {0};
    json_t *answer = ask(client, "counters", QUERY_MS, reason);
    const json_t *values = json_object_get(answer, "counters");
    bool complete = take_number(values, "pending", &found.pending) &&
                    take_number(values, "dead_letters", &found.dead_letters) &&
                    take_number(values, "redelivered", &found.redelivered) &&
                    take_number(values, "ended", &found.ended) &&
                    take_number(values, "journal_bytes", &found.journal_bytes);
    (void)take_number(values, "states_changed", &found.states_changed);
    if (answer && !complete) {
        (void)reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                         "the broker's counters are not complete");
    }
    sum->pending += found.pending;
    sum->dead_letters += found.dead_letters;
    sum->redelivered += found.redelivered;
    sum->ended += found.ended;
    sum->journal_bytes += found.journal_bytes;
    sum->states_changed += found.states_changed;
    json_decref(answer);
    return complete ? FABRIC_OK : FABRIC_ERROR_NOT_CONNECTED;
}

fabric_error_t status_counters(const status_brokers_t *brokers, reason_t *reason,
                               status_counters_t *counters)
{
    status_counters_t sum = {0};
    fabric_error_t error = FABRIC_OK;
    for (uint32_t i = 0; i < brokers->count && !error; i++) {
        error = add_counters(brokers->clients[i], reason, &sum);
    }
    if (!error) {
        *counters = sum;
    }
    return error;
}

/* What the runner named by `process` has not answered at this broker; NOT_FOUND: it has none. */
static fabric_error_t add_outstanding(fabric_client_t *client, const char *process,
                                      reason_t *reason, uint64_t *sum)
{
    json_t *status = ask(client, "status", QUERY_MS, reason);
    fabric_error_t error =
        status ? reason_set(reason, FABRIC_ERROR_NOT_FOUND, "no runner is process %s", process + 1)
               : FABRIC_ERROR_NOT_CONNECTED;
    size_t index;
    const json_t *runner;
    json_array_foreach(json_object_get(status, "runners"), index, runner)
    {
        uint64_t more = 0;
        const char *name = json_string_value(json_object_get(runner, "name"));
        const char *colon = name ? strrchr(name, ':') : NULL;
        if (colon && strcmp(colon, process) == 0 && take_number(runner, "outstanding", &more)) {
            *sum += more;
            error = FABRIC_OK;
        }
    }
    json_decref(status);
    return error;
}

fabric_error_t status_outstanding(const status_brokers_t *brokers, long pid, reason_t *reason,
                                  uint64_t *outstanding)
{
    char process[32];
    uint64_t sum = 0;
    fabric_error_t error = FABRIC_OK;
    snprintf(process, sizeof process, ":%ld", pid);
    for (uint32_t i = 0; i < brokers->count && !error; i++) {
        error = add_outstanding(brokers->clients[i], process, reason, &sum);
    }
    if (!error) {
        *outstanding = sum;
    }
    return error;
}

/* Whether the counters are what is waited for; false with a reason. */
typedef bool reached_fn(const status_counters_t *counters, uint64_t limit, reason_t *reason);

static fabric_error_t wait_for(const status_brokers_t *brokers, reached_fn *reached, uint64_t limit,
                               uint32_t timeout_ms, reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!stop_requested()) {
        status_counters_t counters = {0};
        fabric_error_t error = status_counters(brokers, reason, &counters);
        if (!error && reached(&counters, limit, reason)) {
            return FABRIC_OK;
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            return error ? error : FABRIC_ERROR_TIMEOUT;
        }
        poll(NULL, 0, DRAIN_POLL_MS);
    }
    return FABRIC_ERROR_SHUTTING_DOWN;
}

static bool is_worked_off(const status_counters_t *counters, uint64_t limit, reason_t *reason)
{
    (void)reason_set(reason, FABRIC_ERROR_TIMEOUT, "%llu accepted messages are still pending",
                     (unsigned long long)counters->pending);
    return counters->pending <= limit;
}

fabric_error_t status_wait_pending(const status_brokers_t *brokers, uint64_t pending,
                                   uint32_t timeout_ms, reason_t *reason)
{
    return wait_for(brokers, is_worked_off, pending, timeout_ms, reason);
}

fabric_error_t status_wait_drained(const status_brokers_t *brokers, uint32_t timeout_ms,
                                   reason_t *reason)
{
    return wait_for(brokers, is_worked_off, 0, timeout_ms, reason);
}

static bool is_checkpointed(const status_counters_t *counters, uint64_t limit, reason_t *reason)
{
    (void)reason_set(reason, FABRIC_ERROR_TIMEOUT, "%llu bytes of journals wait for checkpoints",
                     (unsigned long long)counters->journal_bytes);
    return counters->journal_bytes <= limit;
}

fabric_error_t status_wait_checkpointed(const status_brokers_t *brokers, uint32_t timeout_ms,
                                        reason_t *reason)
{
    return wait_for(brokers, is_checkpointed, 0, timeout_ms, reason);
}
