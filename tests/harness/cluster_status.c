/* Questions to a broker: see cluster_status.h. */
#include "tests/harness/cluster_status.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "core/document.h"

enum { QUERY_MS = 5000, READY_POLL_MS = 50, DRAIN_POLL_MS = 2 };

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

static bool is_ready(const json_t *status, uint32_t workers, reason_t *reason)
{
    size_t index;
    size_t runners = 0;
    size_t healthy = 0;
    const json_t *shards = json_object_get(status, "shards");
    const json_t *item;
    json_array_foreach(json_object_get(status, "runners"), index, item)
    {
        const char *state = json_string_value(json_object_get(item, "state"));
        runners += state && strcmp(state, "healthy") == 0;
    }
    json_array_foreach((json_t *)shards, index, item)
    {
        healthy += json_is_true(json_object_get(item, "healthy"));
    }
    (void)reason_set(reason, FABRIC_ERROR_TIMEOUT,
                     "the cluster does not become ready: %zu of %u workers, %zu of %zu shards",
                     runners, workers, healthy, json_array_size(shards));
    return runners >= workers && healthy > 0 && healthy == json_array_size(shards);
}

fabric_error_t status_wait_ready(fabric_client_t *client, uint32_t workers, uint32_t timeout_ms,
                                 reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!stop_requested()) {
        json_t *status = ask(client, "status", timeout_ms, reason);
        bool ready = status && is_ready(status, workers, reason);
        json_decref(status);
        if (ready) {
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

fabric_error_t status_counters(fabric_client_t *client, reason_t *reason,
                               status_counters_t *counters)
{
    status_counters_t found = {0};
    json_t *answer = ask(client, "counters", QUERY_MS, reason);
    const json_t *values = json_object_get(answer, "counters");
    bool complete = take_number(values, "pending", &found.pending) &&
                    take_number(values, "dead_letters", &found.dead_letters) &&
                    take_number(values, "redelivered", &found.redelivered) &&
                    take_number(values, "ended", &found.ended) &&
                    take_number(values, "journal_bytes", &found.journal_bytes);
    if (complete) {
        *counters = found;
    } else if (answer) {
        (void)reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                         "the broker's counters are not complete");
    }
    json_decref(answer);
    return complete ? FABRIC_OK : FABRIC_ERROR_NOT_CONNECTED;
}

fabric_error_t status_outstanding(fabric_client_t *client, long pid, reason_t *reason,
                                  uint64_t *outstanding)
{
    char process[32];
    snprintf(process, sizeof process, ":%ld", pid);
    json_t *status = ask(client, "status", QUERY_MS, reason);
    fabric_error_t error =
        status ? reason_set(reason, FABRIC_ERROR_NOT_FOUND, "no runner is process %ld", pid)
               : FABRIC_ERROR_NOT_CONNECTED;
    size_t index;
    const json_t *runner;
    json_array_foreach(json_object_get(status, "runners"), index, runner)
    {
        const char *name = json_string_value(json_object_get(runner, "name"));
        const char *colon = name ? strrchr(name, ':') : NULL;
        if (colon && strcmp(colon, process) == 0 &&
            take_number(runner, "outstanding", outstanding)) {
            error = FABRIC_OK;
        }
    }
    json_decref(status);
    return error;
}

/* Whether the counters are what is waited for; false with a reason. */
typedef bool reached_fn(const status_counters_t *counters, uint64_t limit, reason_t *reason);

static fabric_error_t wait_for(fabric_client_t *client, reached_fn *reached, uint64_t limit,
                               uint32_t timeout_ms, reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!stop_requested()) {
        status_counters_t counters = {0};
        fabric_error_t error = status_counters(client, reason, &counters);
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

fabric_error_t status_wait_pending(fabric_client_t *client, uint64_t pending, uint32_t timeout_ms,
                                   reason_t *reason)
{
    return wait_for(client, is_worked_off, pending, timeout_ms, reason);
}

fabric_error_t status_wait_drained(fabric_client_t *client, uint32_t timeout_ms, reason_t *reason)
{
    return wait_for(client, is_worked_off, 0, timeout_ms, reason);
}

static bool is_checkpointed(const status_counters_t *counters, uint64_t limit, reason_t *reason)
{
    (void)reason_set(reason, FABRIC_ERROR_TIMEOUT, "%llu bytes of journals wait for checkpoints",
                     (unsigned long long)counters->journal_bytes);
    return counters->journal_bytes <= limit;
}

fabric_error_t status_wait_checkpointed(fabric_client_t *client, uint32_t timeout_ms,
                                        reason_t *reason)
{
    return wait_for(client, is_checkpointed, 0, timeout_ms, reason);
}
