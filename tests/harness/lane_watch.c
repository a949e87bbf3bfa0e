/* How long each lane does not answer: see lane_watch.h. */
#include "tests/harness/lane_watch.h"

#include <stdio.h>
#include <string.h>

#include "core/address.h"
#include "core/clock.h"
#include "tests/harness/stop.h"

enum { SHARDS = 300, CALL_MS = 60000, STEP_MS = 5, END_MS = 90000 };

static void note_failure(lane_caller_t *caller, const fabric_outcome_t *outcome)
{
    lane_watch_t *watch = caller->watch;
    watch->failed[caller->durable]++;
    if (!watch->failure[0]) {
        snprintf(watch->failure, sizeof watch->failure, "%s call to %s: %s: %.200s",
                 caller->durable ? "durable" : "volatile", caller->entity,
                 fabric_error_name(outcome->error), outcome->text);
    }
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    lane_caller_t *caller = context;
    (void)payload;
    uint64_t now_ms = clock_monotonic_ms();
    uint32_t gap_ms = (uint32_t)(now_ms - caller->replied_ms);
    caller->open = false;
    caller->watch->open--;
    if (outcome->error) {
        note_failure(caller, outcome);
        return;
    }
    caller->gap_ms = gap_ms > caller->gap_ms ? gap_ms : caller->gap_ms;
    caller->replied_ms = now_ms;
    caller->watch->replied++;
}

static void start_call(lane_caller_t *caller)
{
    probe_text_t request = {"watch"};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, caller->entity),
                          .message = caller->durable ? &probe_echo : &probe_volatile_echo,
                          .request = &request,
                          .timeout_ms = CALL_MS};
    caller->open =
        fabric_client_start(caller->watch->client, &call, call_ended, caller, NULL) == FABRIC_OK;
    caller->watch->open += caller->open;
}

/* An entity of the lane. */
static void name_entity(lane_caller_t *caller, uint32_t lane)
{
    for (unsigned i = 0;; i++) {
        snprintf(caller->entity, sizeof caller->entity, "watch-%u", i);
        fabric_bytes_t id = fabric_bytes_of(caller->entity);
        if (address_shard_number(id, SHARDS) % TESTBED_LANES == lane) {
            return;
        }
    }
}

void lane_watch_start(lane_watch_t *watch, testbed_t *bed)
{
    fabric_client_options_t options = {.name = "lanes", .connect_timeout_ms = END_MS};
    *watch = (lane_watch_t){.client = NULL};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &watch->client, NULL),
                     FABRIC_OK);
    for (uint32_t i = 0; i < 2 * TESTBED_LANES; i++) {
        lane_caller_t *caller = &watch->callers[i];
        caller->watch = watch;
        caller->durable = i % 2 == 0;
        name_entity(caller, i / 2);
    }
    lane_watch_mark(watch);
}

static void step(lane_watch_t *watch)
{
    for (uint32_t i = 0; i < 2 * TESTBED_LANES && !watch->stopping; i++) {
        if (!watch->callers[i].open) {
            start_call(&watch->callers[i]);
        }
    }
    (void)fabric_client_wait(watch->client, STEP_MS);
}

bool lane_watch_until(lane_watch_t *watch, bool (*done)(void *context), void *context,
                      uint32_t timeout_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (!done(context)) {
        if (stop_requested() || clock_monotonic_ms() >= deadline_ms) {
            return false;
        }
        step(watch);
    }
    return true;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

void lane_watch_run(lane_watch_t *watch, uint32_t ms)
{
    (void)lane_watch_until(watch, never, NULL, ms);
}

void lane_watch_mark(lane_watch_t *watch)
{
    for (uint32_t i = 0; i < 2 * TESTBED_LANES; i++) {
        watch->callers[i].gap_ms = 0;
        watch->callers[i].replied_ms = clock_monotonic_ms();
    }
}

uint32_t lane_watch_gap_ms(const lane_watch_t *watch, bool durable)
{
    uint32_t longest_ms = 0;
    for (uint32_t i = 0; i < 2 * TESTBED_LANES; i++) {
        const lane_caller_t *caller = &watch->callers[i];
        uint32_t now_ms = (uint32_t)(clock_monotonic_ms() - caller->replied_ms);
        uint32_t gap_ms = now_ms > caller->gap_ms ? now_ms : caller->gap_ms;
        longest_ms = caller->durable == durable && gap_ms > longest_ms ? gap_ms : longest_ms;
    }
    return longest_ms;
}

static bool is_over(void *context)
{
    const lane_watch_t *watch = context;
    return watch->open == 0;
}

void lane_watch_end(lane_watch_t *watch)
{
    watch->stopping = true;
    bool over = lane_watch_until(watch, is_over, watch, END_MS);
    fabric_client_close(&watch->client);
    assert_true(over);
}
