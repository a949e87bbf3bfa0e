/* Workers die, leave and join under load: nothing is lost or out of order, and few shards move. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum {
    WAIT_MAX_MS = 60000,
    ENTITIES = 64,
    INFLIGHT = 256,
    KILLS = 8, /* unless FABRIC_FAULT_REPEAT says more */
    KILLS_MAX = 60,
    SHARDS = 300,
    WORK_US = 1000,          /* so that a kill finds handlers at work */
    RESTART_US_MAX = 1000000 /* 250 ms is promised where the supervisor lives, else 450 ms */
};

static probe_load_t load;

static void set_load(testbed_t *bed, const char *prefix)
{
    load = (probe_load_t){
        .client = bed->client, .prefix = prefix, .entities = ENTITIES, .inflight = INFLIGHT};
}

/* ---- who owns what ---- */

typedef struct owners {
    char of[SHARDS][33]; /* incarnations, by shard */
} owners_t;

static void read_owners(testbed_t *bed, owners_t *owners)
{
    size_t index;
    json_t *shard;
    json_t *status = testbed_status(bed->client);
    json_t *shards = json_object_get(status, "shards");
    assert_int_equal(json_array_size(shards), SHARDS);
    json_array_foreach(shards, index, shard)
    {
        const char *owner = testbed_owner(shard, PROBE_TYPE);
        snprintf(owners->of[index], sizeof owners->of[index], "%s", owner ? owner : "");
    }
    json_decref(status);
}

static unsigned count_moves(const owners_t *before, const owners_t *after)
{
    unsigned moves = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        moves += strcmp(before->of[i], after->of[i]) != 0;
    }
    return moves;
}

/* Fails unless each owner has its share, and there are `workers` of them. */
static void check_shares(const owners_t *owners, unsigned workers)
{
    unsigned counted = 0;
    unsigned seen = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        unsigned share = 0;
        bool first = true;
        for (size_t k = 0; k < SHARDS; k++) {
            bool same = strcmp(owners->of[i], owners->of[k]) == 0;
            first = first && !(same && k < i);
            share += same;
        }
        if (first) {
            assert_in_range(share, SHARDS / workers, SHARDS / workers + 1);
            counted += share;
            seen++;
        }
    }
    assert_int_equal(counted, SHARDS);
    assert_int_equal(seen, workers);
}

/* ---- a worker is killed ---- */

typedef struct kill_mark {
    uint64_t at_us;
    int process;
} kill_mark_t;

/* Kills a worker under load. Its supervisor starts another child, or dies with it and another
 * worker is started. */
static kill_mark_t kill_one(testbed_t *bed, uint32_t number, bool child)
{
    process_t *worker = &bed->cluster.workers[child ? number % 2 : number];
    kill_mark_t mark = {.process = process_child(worker)};
    probe_load_run(&load, ENTITIES);
    mark.at_us = clock_monotonic_us();
    if (child) {
        testbed_kill_child(worker);
    } else {
        testbed_kill(worker);
        testbed_add_worker(bed);
    }
    probe_load_run(&load, 2 * INFLIGHT);
    testbed_wait_ready(bed, 2);
    return mark;
}

/* Whether the last start of an entity before `end` was in a process. */
static bool ran_last_in(const probe_starts_t *starts, size_t end, const char *id, int process)
{
    for (size_t i = end; i > 0; i--) {
        if (strcmp(starts->items[i - 1].id, id) == 0) {
            return starts->items[i - 1].process == process;
        }
    }
    return false;
}

/* Until something of the killed worker's ran again; 0 when nothing had to. */
static uint64_t first_restart_us(const probe_starts_t *starts, const kill_mark_t *mark,
                                 uint64_t until_us)
{
    size_t i = 0;
    while (i < starts->count && starts->items[i].at_us <= mark->at_us) {
        i++;
    }
    for (size_t end = i; i < starts->count && starts->items[i].at_us < until_us; i++) {
        const probe_start_t *start = &starts->items[i];
        if (start->delivery > 1 && start->process != mark->process &&
            ran_last_in(starts, end, start->id, mark->process)) {
            return start->at_us - mark->at_us;
        }
    }
    return 0;
}

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void report(uint64_t *times, size_t count)
{
    qsort(times, count, sizeof *times, compare_times);
    assert_true(count > 0);
    uint64_t highest = times[count - 1];
    print_message("first redelivered start after kill -9, %zu kills, ms: min %.1f, median %.1f, "
                  "90th %.1f, max (99th) %.1f\n",
                  count, (double)times[0] / 1000, (double)times[count / 2] / 1000,
                  (double)times[count * 9 / 10] / 1000, (double)highest / 1000);
    machine_measure();
    assert_in_range(highest, 0, machine_scaled(RESTART_US_MAX));
}

static void check_no_process_ran_on(const probe_starts_t *starts, const kill_mark_t *mark)
{
    for (size_t i = 0; i < starts->count; i++) {
        assert_false(starts->items[i].process == mark->process &&
                     starts->items[i].at_us > mark->at_us + RESTART_US_MAX);
        /* One that was hit by two kills runs in isolation, and a third one counts. */
        assert_in_range(starts->items[i].attempt, 1, 2);
    }
}

static void kill_repeatedly(testbed_t *bed, uint32_t kills, bool child)
{
    kills = kills < KILLS_MAX ? kills : KILLS_MAX;
    kill_mark_t marks[KILLS_MAX + 1] = {{0}};
    uint64_t times[KILLS_MAX];
    size_t count = 0;
    machine_measure();
    bed->work_us = WORK_US;
    testbed_start(bed, 2);
    set_load(bed, "kill");
    for (uint32_t i = 0; i < kills; i++) {
        marks[i] = kill_one(bed, i, child);
    }
    marks[kills].at_us = clock_monotonic_us();
    probe_load_end(&load);
    testbed_wait_drained(bed);
    probe_starts_t starts = probe_starts_read(bed->folder);
    for (uint32_t i = 0; i < kills; i++) {
        uint64_t took_us = first_restart_us(&starts, &marks[i], marks[i + 1].at_us);
        if (took_us) {
            times[count++] = took_us;
        }
        check_no_process_ran_on(&starts, &marks[i]);
    }
    print_message("%llu calls, %zu starts\n", (unsigned long long)load.started, starts.count);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
    report(times, count);
    assert_true(count > kills / 4); /* otherwise the kills found no handler at work */
}

static void kills_of_workers(void **state)
{
    kill_repeatedly(*state, testbed_repeat(KILLS), false);
}

static void kills_of_children(void **state)
{
    kill_repeatedly(*state, testbed_repeat(KILLS), true);
}

static unsigned count_crashes(testbed_t *bed)
{
    return testbed_count_events(bed, "worker-0.log", "worker.crashed") +
           testbed_count_events(bed, "worker-1.log", "worker.crashed");
}

/* A handler ends its process: its message and all others run again elsewhere. */
static void handler_kills_its_worker(void **state)
{
    testbed_t *bed = *state;
    probe_end_t times = {1, "abort"};
    probe_number_t reply = {0};
    fabric_outcome_t outcome;
    testbed_start(bed, 2);
    fabric_error_t error = fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, "poison"),
                                             &probe_crash, &times, &reply, &outcome);
    if (error) {
        fail_msg("%s: %s", fabric_error_name(error), outcome.text);
    }
    assert_int_equal(reply.number, 2);
    assert_null(cluster_casualty(&bed->cluster)); /* a supervisor goes on */
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (count_crashes(bed) == 0) { /* the other worker may be faster than the supervisor */
        testbed_poll(deadline_ms, "the supervisor's word of the crash");
    }
    testbed_wait_ready(bed, 2);
    assert_int_equal(count_crashes(bed), 1);
}

/* A worker that is frozen for longer than the lease loses its shards, and its late results are
 * refused. */
static void frozen_beyond_its_lease(void **state)
{
    static const char *const arguments[] = {"--lease-ms", "1000", NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = arguments;
    bed->work_us = WORK_US;
    testbed_start(bed, 2);
    set_load(bed, "freeze");
    probe_load_run(&load, INFLIGHT);
    process_t *frozen = &bed->cluster.workers[0];
    uint64_t frozen_us = clock_monotonic_us();
    testbed_freeze(frozen);
    probe_load_end(&load); /* another worker has handled the frozen worker's messages */
    print_message("frozen: all calls ended after %.0f ms\n",
                  (double)(clock_monotonic_us() - frozen_us) / 1000);
    testbed_thaw(frozen);
    testbed_wait_ready(bed, 2); /* the thawed worker is a member again */
    probe_load_run(&load, 2 * INFLIGHT);
    probe_load_end(&load);
    testbed_wait_drained(bed);
    assert_true(process_runs(frozen));
    print_message("late results refused: %llu\n",
                  (unsigned long long)testbed_counter(bed->client, "results_refused"));
    testbed_stop_processes(bed);
    table_count_expect_all_answered(bed, load.started);
}

/* ---- a worker leaves, a worker joins ---- */

static void waits_for_end(process_t *process)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (process_runs(process)) {
        probe_load_step(&load, 20);
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("the worker does not end");
        }
    }
}

static void leaves_in_order(void **state)
{
    testbed_t *bed = *state;
    owners_t before;
    owners_t after;
    testbed_start(bed, 3);
    set_load(bed, "leave");
    probe_load_run(&load, INFLIGHT);
    read_owners(bed, &before);
    process_t *leaver = &bed->cluster.workers[1];
    assert_int_equal(kill(leaver->pid, SIGTERM), 0);
    waits_for_end(leaver);
    assert_int_equal(leaver->status, 0);
    probe_load_run(&load, 2 * INFLIGHT);
    testbed_wait_ready(bed, 2);
    read_owners(bed, &after);
    probe_load_end(&load);
    testbed_wait_drained(bed);
    unsigned moves = count_moves(&before, &after);
    print_message("%u of %d shards moved\n", moves, SHARDS);
    assert_in_range(moves, SHARDS / 3, SHARDS / 3 + 1);
    check_shares(&after, 2);
    probe_starts_t starts = probe_starts_read(bed->folder);
    for (size_t i = 0; i < starts.count; i++) {
        assert_int_equal(starts.items[i].attempt, 1);
    }
    /* What ran had time to end: each number has exactly one start. */
    assert_int_equal(starts.count, load.started);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
}

static void joins(void **state)
{
    testbed_t *bed = *state;
    owners_t before;
    owners_t after;
    testbed_start(bed, 1);
    set_load(bed, "join");
    for (unsigned workers = 2; workers <= 3; workers++) {
        probe_load_run(&load, INFLIGHT);
        read_owners(bed, &before);
        testbed_add_worker(bed);
        testbed_wait_ready(bed, workers);
        /* The newcomer is healthy before all its shards have come to it. */
        uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
        for (;;) {
            probe_load_run(&load, 1);
            read_owners(bed, &after);
            if (count_moves(&before, &after) >= SHARDS / workers) {
                break;
            }
            testbed_poll(deadline_ms, "the newcomer's share");
        }
        testbed_wait_ready(bed, workers);
        read_owners(bed, &after);
        print_message("%u of %d shards moved to worker %u\n", count_moves(&before, &after), SHARDS,
                      workers);
        assert_in_range(count_moves(&before, &after), SHARDS / workers, SHARDS / workers + 1);
        check_shares(&after, workers);
    }
    probe_load_end(&load);
    testbed_wait_drained(bed);
    probe_starts_t starts = probe_starts_read(bed->folder);
    assert_int_equal(starts.count, load.started);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"kills_of_workers", kills_of_workers, TESTBED_BOTH},
        {"kills_of_children", kills_of_children, TESTBED_BOTH},
        {"handler_kills_its_worker", handler_kills_its_worker, TESTBED_BOTH},
        {"frozen_beyond_its_lease", frozen_beyond_its_lease, TESTBED_BOTH},
        {"leaves_in_order", leaves_in_order, TESTBED_BOTH},
        {"joins", joins, TESTBED_BOTH},
    };
    return testbed_run("worker kill", tests, sizeof tests / sizeof tests[0]);
}
