/* A client in the background of a fault test: see background_client.h. */
#include "tests/harness/background_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

enum { CALL_MS = 60000, CHECK_MS = 90000, CHECK_ANSWERS = 10 };

struct background_client {
    fabric_client_t *client;
    pthread_t thread;
    atomic_bool stopping;
    atomic_bool failed;
    atomic_uint_least64_t answers;
    atomic_uint_least64_t worst_ms;
    char failure[300]; /* written before `failed` is set */
};

static fabric_error_t ask(background_client_t *background, const fabric_message_type_t *message,
                          uint64_t number, fabric_outcome_t *outcome)
{
    probe_text_t request = {{0}};
    probe_text_t reply = {{0}};
    snprintf(request.text, sizeof request.text, "%s %llu", message->tag,
             (unsigned long long)number);
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "background"),
                          .message = message,
                          .request = &request,
                          .timeout_ms = CALL_MS};
    fabric_error_t error =
        fabric_client_call(background->client, &call, &reply, NULL, NULL, outcome);
    return !error && strcmp(request.text, reply.text) != 0 ? FABRIC_ERROR_INTERNAL : error;
}

static void *run(void *argument)
{
    background_client_t *background = (background_client_t *)argument;
    for (uint64_t number = 1; !atomic_load(&background->stopping); number++) {
        fabric_outcome_t outcome = {0};
        uint64_t before_ms = clock_monotonic_ms();
        fabric_error_t error = ask(background, &probe_volatile_echo, number, &outcome);
        error = error ? error : ask(background, &probe_echo, number, &outcome);
        uint64_t took_ms = clock_monotonic_ms() - before_ms;
        if (error) {
            snprintf(background->failure, sizeof background->failure, "call %llu: %s: %.200s",
                     (unsigned long long)number, fabric_error_name(error), outcome.text);
            atomic_store(&background->failed, true);
            return NULL;
        }
        if (took_ms > atomic_load(&background->worst_ms)) {
            atomic_store(&background->worst_ms, took_ms);
        }
        atomic_fetch_add(&background->answers, 1);
    }
    return NULL;
}

background_client_t *background_client_start(testbed_t *bed)
{
    fabric_outcome_t outcome = {0};
    fabric_client_options_t options = {
        .cluster_name = "fabric", .name = "background", .connect_timeout_ms = CALL_MS};
    background_client_t *background = (background_client_t *)calloc(1, sizeof *background);
    assert_non_null(background);
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &background->client, &outcome),
                     FABRIC_OK);
    assert_int_equal(pthread_create(&background->thread, NULL, run, background), 0);
    return background;
}

static bool goes_on(background_client_t *background)
{
    uint64_t goal = atomic_load(&background->answers) + CHECK_ANSWERS;
    uint64_t deadline_ms = clock_monotonic_ms() + CHECK_MS;
    while (!atomic_load(&background->failed) && atomic_load(&background->answers) < goal &&
           clock_monotonic_ms() < deadline_ms) {
        testbed_poll(UINT64_MAX, "an answer to the background client");
    }
    return !atomic_load(&background->failed) && atomic_load(&background->answers) >= goal;
}

void background_client_check(background_client_t *background)
{
    if (!goes_on(background)) {
        fail_msg("the background client after %llu answers: %s",
                 (unsigned long long)atomic_load(&background->answers),
                 atomic_load(&background->failed) ? background->failure : "is not answered");
    }
}

uint64_t background_client_worst_ms(const background_client_t *background)
{
    return atomic_load(&background->worst_ms);
}

void background_client_end(background_client_t **at)
{
    background_client_t *background = *at;
    char failure[sizeof background->failure + 64];
    bool fine = goes_on(background);
    snprintf(failure, sizeof failure, "the background client after %llu answers: %s",
             (unsigned long long)atomic_load(&background->answers),
             atomic_load(&background->failed) ? background->failure : "is not answered");
    atomic_store(&background->stopping, true);
    pthread_join(background->thread, NULL);
    fabric_client_close(&background->client);
    free(background);
    *at = NULL;
    if (!fine) {
        fail_msg("%s", failure);
    }
}
