/* Messages pile up while no worker is there. The broker accepts them in bounded memory, also when
 * it is killed meanwhile, and works them off in order of each entity when a worker comes.
 *
 * FABRIC_FAULT_REPEAT: the backlog is so many times as large; 25 makes a million messages. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/testbed.h"

enum {
    MESSAGES = 40000,
    MESSAGES_WITH_KILLS = 18000,
    ENTITIES = 200,
    INFLIGHT = 4000,
    STEP = 2000, /* calls from one look at the broker's memory to the next */
    POLL_EVERY_MS = 50,
    WAIT_MAX_MS = 600000,
    /* The bound of docs/limits.md with the arguments below. */
    MEMORY_KIB_MAX = 8 * 1024,
    CHECKPOINT_KIB_MAX = 16 * 1024,
    OTHER_KIB_MAX = 32 * 1024,
    RSS_GROWTH_KIB_MAX = MEMORY_KIB_MAX + CHECKPOINT_KIB_MAX + OTHER_KIB_MAX
};

static const char *const broker_arguments[] = {"--entity-window",
                                               "16",
                                               "--memory-bytes-max",
                                               "8388608",
                                               "--checkpoint-bytes",
                                               "4194304",
                                               "--checkpoint-bytes-max",
                                               "16777216",
                                               NULL};

typedef struct backlog {
    testbed_t *bed;
    probe_load_t load;
    uint64_t rss_before_kib, rss_most_kib;
} backlog_t;

/* In static memory: calls may end after the test has failed, when the client is closed. */
static backlog_t backlog;

static void look_at_memory(void)
{
    uint64_t rss_kib = process_rss_kib(&backlog.bed->cluster.broker);
    if (rss_kib > backlog.rss_most_kib) {
        backlog.rss_most_kib = rss_kib;
    }
}

static void check_memory(void)
{
    print_message("broker: %llu KiB before, %llu KiB at most\n",
                  (unsigned long long)backlog.rss_before_kib,
                  (unsigned long long)backlog.rss_most_kib);
    assert_in_range(backlog.rss_most_kib, 0, backlog.rss_before_kib + RSS_GROWTH_KIB_MAX);
}

/* Starts a cluster whose only worker has registered the type and has gone. */
static void start_without_worker(testbed_t *bed)
{
    bed->broker_arguments = broker_arguments;
    testbed_start(bed, 1);
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    backlog = (backlog_t){.bed = bed,
                          .load = {.client = bed->client,
                                   .prefix = "backlog",
                                   .entities = ENTITIES,
                                   .inflight = INFLIGHT,
                                   .tell = true},
                          .rss_before_kib = process_rss_kib(&bed->cluster.broker)};
}

/* Until so many calls have ended. */
static void accept_until(uint64_t calls)
{
    while (backlog.load.ended < calls) {
        uint64_t left = calls - backlog.load.ended;
        probe_load_run(&backlog.load, left < STEP ? left : STEP);
        look_at_memory();
    }
}

/* Waits until at most so many messages are pending. The counters of a broker that has just begun
 * count when its shards have owners. */
static void work_off_until(uint64_t pending)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    testbed_wait_ready(backlog.bed, 1);
    while (testbed_counter(backlog.bed->client, "pending") > pending) {
        look_at_memory();
        testbed_poll(deadline_ms, "the end of the backlog");
        (void)fabric_client_wait(backlog.bed->client, POLL_EVERY_MS);
    }
}

static void kill_broker(void)
{
    testbed_kill(&backlog.bed->cluster.broker);
    testbed_restart_broker(backlog.bed);
}

/* Each message was accepted once, and handled in the order of its entity. */
static void check_all(void)
{
    const probe_load_t *load = &backlog.load;
    assert_int_equal(testbed_counter(backlog.bed->client, "dead_letters"), 0);
    testbed_stop_processes(backlog.bed);
    probe_starts_t starts = probe_starts_read(backlog.bed->folder);
    probe_starts_check(&starts, load);
    probe_starts_free(&starts);
    table_count_expect_all_answered(backlog.bed, load->started);
}

static void a_backlog_is_accepted_in_bounded_memory(void **state)
{
    testbed_t *bed = *state;
    uint64_t messages = (uint64_t)MESSAGES * testbed_repeat(1);
    start_without_worker(bed);
    uint64_t start_ms = clock_monotonic_ms();
    accept_until(messages);
    probe_load_end(&backlog.load);
    uint64_t accepted_ms = clock_monotonic_ms();
    assert_int_equal(testbed_counter(bed->client, "pending"), backlog.load.started);
    /* If the messages were in memory, the test would prove nothing. */
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_counter(bed->client, "stored") <= messages / 2) {
        testbed_poll(deadline_ms, "the checkpoints of most messages");
    }
    testbed_add_worker(bed);
    work_off_until(0);
    print_message("%llu messages accepted in %llu ms, worked off in %llu ms\n",
                  (unsigned long long)backlog.load.started,
                  (unsigned long long)(accepted_ms - start_ms),
                  (unsigned long long)(clock_monotonic_ms() - accepted_ms));
    check_memory();
    check_all();
}

static void a_broker_is_killed_while_a_backlog_grows_and_shrinks(void **state)
{
    testbed_t *bed = *state;
    uint64_t messages = (uint64_t)MESSAGES_WITH_KILLS * testbed_repeat(1);
    start_without_worker(bed);
    accept_until(messages / 3);
    kill_broker();
    accept_until(messages * 2 / 3);
    kill_broker();
    accept_until(messages);
    probe_load_end(&backlog.load);
    testbed_add_worker(bed);
    work_off_until(messages * 2 / 3);
    kill_broker();
    work_off_until(messages / 3);
    kill_broker();
    work_off_until(0);
    check_memory();
    check_all();
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_backlog_is_accepted_in_bounded_memory", a_backlog_is_accepted_in_bounded_memory,
         TESTBED_BOTH},
        {"a_broker_is_killed_while_a_backlog_grows_and_shrinks",
         a_broker_is_killed_while_a_backlog_grows_and_shrinks, TESTBED_BOTH},
    };
    return testbed_run("backlogs", tests, sizeof tests / sizeof tests[0]);
}
