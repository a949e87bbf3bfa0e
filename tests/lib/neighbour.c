/* A client that behaves: see neighbour.h. */
#include "tests/lib/neighbour.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

enum { CALL_MS = 20000, CHECK_MS = 25000, CHECK_ANSWERS = 10 };

struct neighbour {
    fabric_client_t *client;
    pthread_t thread;
    atomic_bool stopping;
    atomic_bool failed;
    atomic_uint_least64_t answers;
    atomic_uint_least64_t worst_ms;
    char failure[300]; /* written before `failed` is set */
};

static fabric_error_t ask(neighbour_t *neighbour, const fabric_message_type_t *message,
                          uint64_t number, fabric_outcome_t *outcome)
{
    probe_text_t request = {{0}};
    probe_text_t reply = {{0}};
    snprintf(request.text, sizeof request.text, "%s %llu", message->tag,
             (unsigned long long)number);
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "neighbour"),
                          .message = message,
                          .request = &request,
                          .timeout_ms = CALL_MS};
    fabric_error_t error =
        fabric_client_call(neighbour->client, &call, &reply, NULL, NULL, outcome);
    return !error && strcmp(request.text, reply.text) != 0 ? FABRIC_ERROR_INTERNAL : error;
}

static void *run(void *argument)
{
    neighbour_t *neighbour = (neighbour_t *)argument;
    for (uint64_t number = 1; !atomic_load(&neighbour->stopping); number++) {
        fabric_outcome_t outcome = {0};
        uint64_t before_ms = clock_monotonic_ms();
        fabric_error_t error = ask(neighbour, &probe_volatile_echo, number, &outcome);
        error = error ? error : ask(neighbour, &probe_echo, number, &outcome);
        uint64_t took_ms = clock_monotonic_ms() - before_ms;
        if (error) {
            snprintf(neighbour->failure, sizeof neighbour->failure, "call %llu: %s: %.200s",
                     (unsigned long long)number, fabric_error_name(error), outcome.text);
            atomic_store(&neighbour->failed, true);
            return NULL;
        }
        if (took_ms > atomic_load(&neighbour->worst_ms)) {
            atomic_store(&neighbour->worst_ms, took_ms);
        }
        atomic_fetch_add(&neighbour->answers, 1);
    }
    return NULL;
}

neighbour_t *neighbour_start(testbed_t *bed)
{
    fabric_outcome_t outcome = {0};
    fabric_client_options_t options = {
        .cluster_name = "fabric", .name = "neighbour", .connect_timeout_ms = CALL_MS};
    neighbour_t *neighbour = (neighbour_t *)calloc(1, sizeof *neighbour);
    assert_non_null(neighbour);
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &neighbour->client, &outcome),
                     FABRIC_OK);
    assert_int_equal(pthread_create(&neighbour->thread, NULL, run, neighbour), 0);
    return neighbour;
}

static bool goes_on(neighbour_t *neighbour)
{
    uint64_t goal = atomic_load(&neighbour->answers) + CHECK_ANSWERS;
    uint64_t deadline_ms = clock_monotonic_ms() + CHECK_MS;
    while (!atomic_load(&neighbour->failed) && atomic_load(&neighbour->answers) < goal &&
           clock_monotonic_ms() < deadline_ms) {
        testbed_poll(UINT64_MAX, "the neighbour");
    }
    return !atomic_load(&neighbour->failed) && atomic_load(&neighbour->answers) >= goal;
}

void neighbour_check(neighbour_t *neighbour)
{
    if (!goes_on(neighbour)) {
        fail_msg("the neighbour after %llu answers: %s",
                 (unsigned long long)atomic_load(&neighbour->answers),
                 atomic_load(&neighbour->failed) ? neighbour->failure : "is not answered");
    }
}

uint64_t neighbour_worst_ms(const neighbour_t *neighbour)
{
    return atomic_load(&neighbour->worst_ms);
}

void neighbour_end(neighbour_t **at)
{
    neighbour_t *neighbour = *at;
    char failure[sizeof neighbour->failure + 64];
    bool fine = goes_on(neighbour);
    snprintf(failure, sizeof failure, "the neighbour after %llu answers: %s",
             (unsigned long long)atomic_load(&neighbour->answers),
             atomic_load(&neighbour->failed) ? neighbour->failure : "is not answered");
    atomic_store(&neighbour->stopping, true);
    pthread_join(neighbour->thread, NULL);
    fabric_client_close(&neighbour->client);
    free(neighbour);
    *at = NULL;
    if (!fine) {
        fail_msg("%s", failure);
    }
}
