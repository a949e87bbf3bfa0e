/* A worker dies with thousands of messages in flight to thousands of entities: the test measures
 * how long it takes until they run elsewhere. The surviving worker has no other messages, because
 * those would run before the ones that it takes over.
 *
 * FABRIC_FAULT_REPEAT: how many workers are killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/clock.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum {
    KILLS = 2,
    KILLS_MAX = 50,
    ENTITIES = 6000,
    INFLIGHT = 12000, /* so that about 10,000 are in flight to one worker */
    WORK_US = 50,
    CALL_MS = 120000,
    WAIT_MAX_MS = 120000,
    RESTART_US_MAX = 1000000 /* 250 ms is promised */
};

typedef struct load {
    fabric_client_t *client;
    uint64_t random; /* for the sizes of messages */
    uint64_t started, ended, failed;
    uint32_t open;
    char failure[300];
    char ids[ENTITIES][32];
} load_t;

static load_t load;

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context;
    (void)payload;
    load.open--;
    load.ended++;
    if (outcome->error && load.failed++ == 0) {
        snprintf(load.failure, sizeof load.failure, "%s: %.200s", fabric_error_name(outcome->error),
                 outcome->text);
    }
}

/* Ids of entities that the worker owns. */
static void choose_entities(testbed_t *bed, const process_t *worker)
{
    char ending[32];
    const char *incarnation = NULL;
    size_t index;
    json_t *item;
    json_t *status = testbed_status(bed->client);
    snprintf(ending, sizeof ending, ":%ld", (long)process_child(worker));
    json_array_foreach(json_object_get(status, "runners"), index, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *colon = name ? strrchr(name, ':') : NULL;
        if (colon && strcmp(colon, ending) == 0) {
            incarnation = json_string_value(json_object_get(item, "incarnation"));
        }
    }
    assert_non_null(incarnation);
    const json_t *shards = json_object_get(status, "shards");
    size_t count = 0;
    for (uint64_t number = 0; count < ENTITIES; number++) {
        char *id = load.ids[count];
        snprintf(id, sizeof load.ids[count], "mass-%llu", (unsigned long long)number);
        size_t shard = address_shard_number(fabric_bytes_of(id), (uint32_t)json_array_size(shards));
        const char *owner = testbed_owner(json_array_get(shards, shard - 1), PROBE_TYPE);
        assert_true(number < UINT64_C(100) * ENTITIES);
        count += owner && strcmp(owner, incarnation) == 0;
    }
    json_decref(status);
}

static void keep_busy(uint32_t wait_ms)
{
    static probe_padded_t request; /* large */
    while (load.open < INFLIGHT) {
        const char *id = load.ids[load.started % ENTITIES];
        request.number = load.started + 1;
        padding_fill(&request.padding,
                     padding_size(padding_random(&load.random), PADDING_BYTES_MAX), request.number);
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                              .message = &probe_padded_append,
                              .request = &request,
                              .timeout_ms = CALL_MS};
        if (fabric_client_start(load.client, &call, call_ended, NULL, NULL) != FABRIC_OK) {
            break;
        }
        load.started++;
        load.open++;
    }
    (void)fabric_client_wait(load.client, wait_ms);
}

static void run_until_ended(uint64_t calls)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    uint64_t wanted = load.ended + calls;
    while (load.ended < wanted) {
        keep_busy(20);
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("%u calls stay open", load.open);
        }
    }
}

/* ---- one kill ---- */

typedef struct kill_mark {
    uint64_t at_us;
    int process;
    uint64_t redelivered;
} kill_mark_t;

static kill_mark_t kill_one(testbed_t *bed, uint32_t victim)
{
    process_t *worker = &bed->cluster.workers[victim];
    kill_mark_t mark = {.process = process_child(worker)};
    choose_entities(bed, worker);
    run_until_ended(2 * INFLIGHT);
    uint64_t before = testbed_counter(bed->client, "redelivered");
    mark.at_us = clock_monotonic_us();
    testbed_kill(worker);
    run_until_ended(INFLIGHT);
    mark.redelivered = testbed_counter(bed->client, "redelivered") - before;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    return mark;
}

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* Returns the time to the first redelivered start. */
static uint64_t report(const probe_starts_t *starts, const kill_mark_t *mark, uint64_t until_us)
{
    uint64_t *times = calloc(starts->count + 1, sizeof *times);
    size_t count = 0;
    assert_non_null(times);
    for (size_t i = 0; i < starts->count; i++) {
        const probe_start_t *start = &starts->items[i];
        bool after = start->at_us > mark->at_us && start->at_us < until_us;
        if (after && start->delivery > 1 && start->process != mark->process) {
            times[count++] = start->at_us - mark->at_us;
        }
    }
    assert_true(count > 0);
    qsort(times, count, sizeof *times, compare_times);
    uint64_t first_us = times[0];
    print_message(
        "%llu redelivered, %zu started again: first after %.0f ms, median %.0f, 99th %.0f, "
        "last %.0f\n",
        (unsigned long long)mark->redelivered, count, (double)first_us / 1000,
        (double)times[count / 2] / 1000, (double)times[count * 99 / 100] / 1000,
        (double)times[count - 1] / 1000);
    free(times);
    return first_us;
}

static void thousands_in_flight(void **state)
{
    testbed_t *bed = *state;
    kill_mark_t marks[KILLS_MAX + 1] = {{0}};
    uint32_t kills = testbed_repeat(KILLS);
    assert_in_range(kills, 1, KILLS_MAX);
    machine_measure();
    bed->work_us = WORK_US;
    testbed_start(bed, 2);
    fabric_client_options_t options = {.name = "mass", .pending_max = 2 * INFLIGHT};
    load = (load_t){.random = testbed_seed()};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &load.client, NULL),
                     FABRIC_OK);
    for (uint32_t i = 0; i < kills; i++) {
        marks[i] = kill_one(bed, i);
    }
    marks[kills].at_us = clock_monotonic_us();
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (load.open > 0 && clock_monotonic_ms() < deadline_ms) {
        (void)fabric_client_wait(load.client, 20);
    }
    uint32_t left = load.open;
    fabric_client_close(&load.client);
    assert_int_equal(left, 0);
    if (load.failed > 0) {
        fail_msg("%llu calls failed: %s", (unsigned long long)load.failed, load.failure);
    }
    probe_starts_t starts = probe_starts_read(bed->folder);
    uint64_t worst_us = 0;
    for (uint32_t i = 0; i < kills; i++) {
        uint64_t first_us = report(&starts, &marks[i], marks[i + 1].at_us);
        worst_us = first_us > worst_us ? first_us : worst_us;
    }
    probe_starts_free(&starts);
    machine_measure();
    assert_in_range(worst_us, 0, machine_scaled(RESTART_US_MAX));
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"thousands_in_flight", thousands_in_flight, TESTBED_BOTH}};
    return testbed_run("mass kill", tests, sizeof tests / sizeof tests[0]);
}
