/* Brokers stop themselves in the middle of a transaction, whose locks the server takes away after
 * two seconds: another broker takes over in time, and what the frozen one does when it goes on
 * changes nothing. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/crash_points.h"
#include "tests/harness/late_append.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"

enum {
    WAIT_MAX_MS = 90000,
    TAKEOVER_MS_MAX = 4000, /* the lease of 3 s, and a second */
    ENTITIES = 64,
    INFLIGHT = 64,
    STEP_MS = 5
};

#define APPEND_POINT "append.before"

static probe_load_t load;

/* ---- waiting under load ---- */

typedef struct watch {
    testbed_t *bed;
    const process_t *process;
    const char *endpoint;
    char incarnation[33];
    unsigned count;
} watch_t;

static void wait_for(bool (*done)(watch_t *watch), watch_t *watch, const char *missing)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!done(watch)) {
        probe_load_step(&load, STEP_MS);
        if (clock_monotonic_ms() > deadline_ms) {
            cluster_print_logs(&watch->bed->cluster, stderr);
            fail_msg("waited in vain for %s", missing);
        }
    }
}

static bool is_stopped(watch_t *watch)
{
    char path[64];
    char state = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)watch->process->pid);
    FILE *file = fopen(path, "r");
    bool read = file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1;
    if (file) {
        fclose(file);
    }
    return read && state == 'T';
}

static bool holds_the_lane(watch_t *watch)
{
    char incarnation[33];
    return testbed_lanes_held(watch->bed, watch->endpoint, incarnation) == 1;
}

/* A new incarnation that holds nothing. */
static bool stands_by_again(watch_t *watch)
{
    char incarnation[33];
    return testbed_lanes_held(watch->bed, watch->endpoint, incarnation) == 0 &&
           strcmp(incarnation, watch->incarnation) != 0 &&
           testbed_count_events(watch->bed, "broker-1.log", "broker.ready") > watch->count;
}

/* ---- one broker that freezes ---- */

/* Starts a pair and the load; the standby will freeze at that passing of a point. */
static void begin(testbed_t *bed, const char *point, unsigned passing)
{
    char crash[80];
    const char *environment[] = {crash, "FABRIC_CHECKPOINT_MS=80", NULL};
    snprintf(crash, sizeof crash, "FABRIC_CRASH=%s:%u:freeze", point, passing);
    machine_measure();
    bed->programs = crash_programs();
    testbed_start_pair(bed, 2);
    testbed_kill(&bed->cluster.standby);
    bed->options.broker_environment = environment;
    testbed_restart_standby(bed);
    bed->options.broker_environment = NULL;
    load = (probe_load_t){
        .client = bed->client, .prefix = "call", .entities = ENTITIES, .inflight = INFLIGHT};
    probe_load_run(&load, INFLIGHT);
    testbed_kill(&bed->cluster.broker);
}

static void wait_for_freeze(testbed_t *bed, watch_t *frozen)
{
    *frozen = (watch_t){
        .bed = bed, .process = &bed->cluster.standby, .endpoint = bed->cluster.standby_url};
    wait_for(is_stopped, frozen, "the freeze");
    frozen->count = testbed_count_events(bed, "broker-1.log", "broker.ready");
    (void)testbed_lanes_held(bed, frozen->endpoint, frozen->incarnation);
}

static void run_load(void *context, uint32_t ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + ms;
    while (clock_monotonic_ms() < deadline_ms) {
        probe_load_step(context, STEP_MS);
    }
}

/* A broker that froze before an append runs that append before it hears of anything else. */
static void thaw(testbed_t *bed, const char *point)
{
    if (strcmp(point, APPEND_POINT) == 0) {
        unsigned fenced =
            late_append_thaw(bed, &bed->cluster.standby, "broker-1.log", run_load, &load);
        print_message("%u of its appends were fenced\n", fenced);
    } else {
        testbed_thaw(&bed->cluster.standby);
    }
}

/* The first broker takes over from the frozen one, which then goes on. */
static void end(testbed_t *bed, watch_t *frozen, uint64_t since_ms, const char *point)
{
    watch_t taken = {.bed = bed, .endpoint = bed->cluster.url};
    wait_for(holds_the_lane, &taken, "the takeover");
    uint64_t ended = load.ended;
    uint64_t moved_ms = clock_monotonic_ms() - since_ms;
    probe_load_run(&load, INFLIGHT + 1); /* not only what was on its way */
    uint64_t served_ms = clock_monotonic_ms() - since_ms;
    assert_true(load.ended > ended);
    assert_true(is_stopped(frozen));
    thaw(bed, point);
    wait_for(stands_by_again, frozen, "the thawed broker's next incarnation");
    probe_load_run(&load, INFLIGHT);
    assert_true(holds_the_lane(&taken));
    probe_load_end(&load);
    testbed_wait_drained(bed);
    print_message("frozen at %s: the lane moved after %llu ms, calls went on after %llu ms\n",
                  point, (unsigned long long)moved_ms, (unsigned long long)served_ms);
    probe_starts_t starts = probe_starts_read(bed->folder);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
    assert_in_range(moved_ms, 0, machine_scaled(TAKEOVER_MS_MAX));
}

/* A home freezes; its standby takes over. */
static void home_freezes(testbed_t *bed, const char *point, unsigned passing)
{
    watch_t frozen;
    begin(bed, point, passing);
    watch_t taken = {.bed = bed, .endpoint = bed->cluster.standby_url};
    wait_for(holds_the_lane, &taken, "the first takeover");
    testbed_restart_broker(bed);
    wait_for_freeze(bed, &frozen);
    end(bed, &frozen, clock_monotonic_ms(), point);
}

/* A standby freezes while it takes over from a dead home, which then starts again. */
static void taker_freezes(testbed_t *bed, const char *point)
{
    watch_t frozen;
    begin(bed, point, 1);
    wait_for_freeze(bed, &frozen);
    testbed_restart_broker(bed);
    end(bed, &frozen, clock_monotonic_ms(), point);
}

static void check_journal(testbed_t *bed)
{
    testbed_stop_processes(bed);
    table_count_expect_all_answered(bed, load.started);
}

/* ---- tests ---- */

/* Some dozen slices are made each second, of the only lane. */
enum { SLICE_PASSING = 50, PURGE_PASSING = 10 };

static void in_a_slice_before_it_writes(void **state)
{
    home_freezes(*state, "slice.locked", SLICE_PASSING);
    check_journal(*state);
}

static void in_a_slice_that_has_written(void **state)
{
    home_freezes(*state, "slice.inside", SLICE_PASSING);
    check_journal(*state);
}

static void before_the_commit_of_a_slice(void **state)
{
    home_freezes(*state, "slice.last", SLICE_PASSING);
    check_journal(*state);
}

/* Not in a transaction, but with an entry that comes too late. */
static void before_an_append(void **state)
{
    home_freezes(*state, APPEND_POINT, SLICE_PASSING);
    check_journal(*state);
}

static void in_a_purge(void **state)
{
    static const char *const arguments[] = {"--call-retention-ms", "1000", NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = arguments;
    home_freezes(bed, "purge.inside", PURGE_PASSING);
}

static void in_a_purge_that_has_deleted(void **state)
{
    static const char *const arguments[] = {"--call-retention-ms", "1000", NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = arguments;
    home_freezes(bed, "purge.deleted", PURGE_PASSING);
}

static void in_an_assignment(void **state)
{
    taker_freezes(*state, "assign.inside");
    check_journal(*state);
}

static void in_an_adoption_before_its_entry(void **state)
{
    taker_freezes(*state, "adopt.locked");
    check_journal(*state);
}

static void in_an_adoption_with_its_entry(void **state)
{
    taker_freezes(*state, "adopt.inside");
    check_journal(*state);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"in_a_slice_before_it_writes", in_a_slice_before_it_writes, TESTBED_MYSQL},
        {"in_a_slice_that_has_written", in_a_slice_that_has_written, TESTBED_MYSQL},
        {"before_the_commit_of_a_slice", before_the_commit_of_a_slice, TESTBED_MYSQL},
        {"before_an_append", before_an_append, TESTBED_MYSQL},
        {"in_a_purge", in_a_purge, TESTBED_MYSQL},
        {"in_a_purge_that_has_deleted", in_a_purge_that_has_deleted, TESTBED_MYSQL},
        {"in_an_assignment", in_an_assignment, TESTBED_MYSQL},
        {"in_an_adoption_before_its_entry", in_an_adoption_before_its_entry, TESTBED_MYSQL},
        {"in_an_adoption_with_its_entry", in_an_adoption_with_its_entry, TESTBED_MYSQL},
    };
    return testbed_run("frozen in a transaction", tests, sizeof tests / sizeof tests[0]);
}
