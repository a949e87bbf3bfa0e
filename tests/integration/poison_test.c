/* Messages whose handlers end their process, again and again, however much else is in flight: each
 * becomes a dead letter, its caller gets the failure, its entity goes on, and no other message is
 * blamed. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/address.h"
#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

/* A sanitizer needs all addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum {
    WAIT_MAX_MS = 90000,
    ENTITIES = 64,
    INFLIGHT = 256,
    WORKERS = 2,
    BROKERS = 3,
    CRASHES_MAX = 3,
    UNEXPLAINED =
        2, /* deaths of which nobody knows the cause, before a message is delivered in isolation */
    /* Ends on a loaded machine: a broker without processor for a lease takes the time for a
     * handler's. */
    MORE = 3,
    POISONS_MAX = 2,
    MEMORY_MORE = 1 << 29, /* bytes that a worker may take beyond those that it has */
    KILLS = 10,
    ROUNDS = 7,
    DELAY_SLACK_MS = 150,
    FOR_EVER = 1000000
};

static const char *const broker_arguments[] = {"--backoff-ms", "50", "--backoff-max-ms", "200",
                                               NULL};

typedef struct asked {
    bool ended;
    fabric_outcome_t outcome;
} asked_t;

/* Not on the stack: calls that are open when a test fails end while it is torn down. */
static probe_load_t load;
static asked_t poisons[POISONS_MAX], behind[POISONS_MAX], held, crashed_once[ROUNDS];

static void on_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    asked_t *asked = context;
    (void)payload;
    asked->ended = true;
    asked->outcome = *outcome;
}

static void ask(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                const void *request, asked_t *asked)
{
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = message,
                          .request = request,
                          .timeout_ms = 2 * WAIT_MAX_MS};
    *asked = (asked_t){.ended = false};
    assert_int_equal(fabric_client_start(bed->client, &call, on_end, asked, NULL), FABRIC_OK);
}

/* Sanitizers would report a crash that is meant to be. */
static void silence_sanitizers(testbed_t *bed)
{
    static const char *const names[] = {"ASAN_OPTIONS", "TSAN_OPTIONS", NULL};
    static char options[2][1024];
    static const char *environment[3];
    for (size_t i = 0; names[i]; i++) {
        const char *given = getenv(names[i]);
        snprintf(options[i], sizeof options[i], "%s=%s:handle_segv=0", names[i],
                 given ? given : "");
        environment[i] = options[i];
    }
    bed->worker_environment = environment;
}

static void start(testbed_t *bed)
{
    silence_sanitizers(bed);
    bed->broker_arguments = broker_arguments;
    testbed_start(bed, WORKERS);
    load = (probe_load_t){
        .client = bed->client, .prefix = "load", .entities = ENTITIES, .inflight = INFLIGHT};
}

static char poison_ids[POISONS_MAX][16] = {"poison-0", "poison-1"};

static const char *poison_id(size_t index)
{
    return poison_ids[index];
}

/* Sends messages that crash their worker in these ways, each with one behind it. */
static void poison(testbed_t *bed, const char *const *ways, size_t count)
{
    probe_text_t text = {"gate"};
    ask(bed, "held", &probe_hold, &text, &held); /* pending all the time, at one of the workers */
    for (size_t i = 0; i < count; i++) {
        probe_end_t end = {FOR_EVER, ""};
        snprintf(end.way, sizeof end.way, "%s", ways[i]);
        ask(bed, poison_id(i), &probe_crash, &end, &poisons[i]);
        ask(bed, poison_id(i), &probe_echo, &text, &behind[i]);
    }
}

/* Starts again the workers that have ended; returns how many. */
static unsigned restart_workers(testbed_t *bed)
{
    unsigned ended = 0;
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        if (!process_runs(&bed->cluster.workers[i])) {
            reason_t reason = {{0}};
            assert_int_equal(cluster_restart_worker(&bed->cluster, i, &reason), FABRIC_OK);
            ended++;
        }
    }
    return ended;
}

/* Keeps the load up until the poison has ended. Returns how many workers ended, supervisor and all.
 */
static unsigned run_until_ended(testbed_t *bed, size_t count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    unsigned ended = 0;
    for (size_t i = 0; i < count; i++) {
        while (!poisons[i].ended) {
            probe_load_step(&load, 5);
            ended += restart_workers(bed);
            if (clock_monotonic_ms() > deadline_ms) {
                cluster_print_logs(&bed->cluster, stderr);
                fail_msg("the poison has not ended");
            }
        }
    }
    return ended;
}

static void wait_for(testbed_t *bed, const asked_t *asked)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!asked->ended) {
        (void)fabric_client_wait(bed->client, 20);
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
    if (asked->outcome.error) {
        fail_msg("%s: %s", fabric_error_name(asked->outcome.error), asked->outcome.text);
    }
}

static unsigned count_crashes(testbed_t *bed)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        char log[32];
        snprintf(log, sizeof log, "worker-%u.log", i);
        count += testbed_count_events(bed, log, "worker.crashed");
    }
    return count;
}

/* ---- what is left ---- */

static bool is_poison(const char *id)
{
    return strncmp(id, "poison", 6) == 0;
}

/* How often the handlers of poison started, all of which are crashes but those behind them. */
static size_t check_starts(testbed_t *bed, size_t count)
{
    size_t crashes = 0;
    probe_starts_t starts = probe_starts_read(bed->folder);
    for (size_t i = 0; i < starts.count; i++) {
        bool crash = strcmp(starts.items[i].tag, "Crash") == 0;
        crashes += crash;
        assert_true(crash || starts.items[i].attempt == 1);
        assert_true(is_poison(starts.items[i].id) || !crash);
    }
    for (size_t i = 0; i < count; i++) { /* the one behind it started once, and last */
        const char *last = "";
        for (size_t k = 0; k < starts.count; k++) {
            last = strcmp(starts.items[k].id, poison_id(i)) == 0 ? starts.items[k].tag : last;
        }
        assert_string_equal(last, "Echo");
    }
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
    return crashes;
}

/* Only poison was blamed, and each as often as it takes. */
static void check_tables(testbed_t *bed, size_t count)
{
    uint64_t messages = load.started + 2 * count + 1;
    char query[300];
    snprintf(query, sizeof query,
             "SELECT COUNT(*) FROM dead_letter WHERE error = %d AND attempts = %d AND "
             "CAST(text AS CHAR) LIKE 'the worker crashed %d times%%'",
             FABRIC_ERROR_RUNNER_UNAVAILABLE, CRASHES_MAX, CRASHES_MAX);
    testbed_stop_processes(bed);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM dead_letter"), count);
    assert_int_equal(testbed_query_number(bed, query), count);
    table_count_t counted = table_count_read(bed, NULL);
    assert_int_equal(counted.messages, messages);
    assert_int_equal(counted.ended, messages);
    assert_int_equal(counted.answered, messages - count);
    assert_int_equal(counted.dead, count);
}

/* A counter, of all brokers together. */
static uint64_t count_all(testbed_t *bed, const char *name)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        json_t *status = testbed_status_of(bed->cluster.broker_urls[i]);
        const json_t *value = json_object_get(json_object_get(status, "counters"), name);
        assert_true(json_is_integer(value));
        sum += (uint64_t)json_integer_value(value);
        json_decref(status);
    }
    return sum;
}

/* Ends the load and the rest. Returns how many crashes there were. */
static size_t check_all(testbed_t *bed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        print_message("%s\n", poisons[i].outcome.text);
        assert_int_equal(poisons[i].outcome.error, FABRIC_ERROR_DEAD_LETTER);
        assert_non_null(strstr(poisons[i].outcome.text, "the worker crashed 3 times"));
        wait_for(bed, &behind[i]); /* the entity goes on */
    }
    testbed_open_gate(bed, "gate");
    wait_for(bed, &held);
    probe_load_end(&load);
    testbed_wait_drained(bed);
    assert_int_equal(count_all(bed, "dead_letters"), count);
    assert_int_equal(count_all(bed, "crashes"), CRASHES_MAX * count);
    size_t crashes = check_starts(bed, count);
    print_message("%zu crashes; %" PRIu64 " other calls ended\n", crashes, load.ended);
    check_tables(bed, count);
    return crashes;
}

/* ---- a supervisor knows ---- */

/* Exactly as many crashes as it takes, each of which the supervisor has told. */
static void known_poison(testbed_t *bed, const char *way, const char *text)
{
    start(bed);
    poison(bed, &way, 1);
    assert_int_equal(run_until_ended(bed, 1), 0); /* no supervisor ends */
    assert_non_null(strstr(poisons[0].outcome.text, text));
    assert_int_equal(check_all(bed, 1), CRASHES_MAX);
    assert_int_equal(count_crashes(bed), CRASHES_MAX);
}

static void null_pointer(void **state)
{
    known_poison(*state, "null", "signal 11 (Segmentation fault)");
}

static void call_of_abort(void **state)
{
    known_poison(*state, "abort", "signal 6 (Aborted)");
}

static void stack_overflow(void **state)
{
    known_poison(*state, "stack", "signal 11 (Segmentation fault)");
}

static void call_of_exit(void **state)
{
    known_poison(*state, "exit", "exit status 99");
}

static void two_at_once(void **state)
{
    static const char *const ways[] = {"null", "abort"};
    testbed_t *bed = *state;
    start(bed);
    poison(bed, ways, 2);
    assert_int_equal(run_until_ended(bed, 2), 0);
    size_t crashes = check_all(bed, 2);
    assert_in_range(crashes, 2 * CRASHES_MAX, 2 * CRASHES_MAX + 2);
    assert_in_range(count_crashes(bed), CRASHES_MAX, crashes); /* two may crash in one process */
}

/* ---- nobody knows ---- */

static uint64_t address_space(pid_t pid)
{
    char path[64];
    unsigned long long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu", &pages), 1);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* No other thread gets memory either, so any of them may be the one that ends the process. */
static void memory_beyond_its_limit(void **state)
{
    static const char *const way = "memory";
    testbed_t *bed = *state;
    start(bed);
    for (uint32_t i = 0; i < WORKERS; i++) {
        const process_t *worker = &bed->cluster.workers[i];
        struct rlimit limit = {0};
        limit.rlim_cur = limit.rlim_max = address_space(process_child(worker)) + MEMORY_MORE;
        assert_int_equal(prlimit(worker->pid, RLIMIT_AS, &limit, NULL), 0);
        assert_int_equal(prlimit(process_child(worker), RLIMIT_AS, &limit, NULL), 0);
    }
    poison(bed, &way, 1);
    assert_int_equal(run_until_ended(bed, 1), 0);
    size_t crashes = check_all(bed, 1);
    assert_in_range(crashes, CRASHES_MAX, UNEXPLAINED + CRASHES_MAX);
    assert_int_equal(count_crashes(bed), crashes);
}

/* An end that nobody can note, in a worker that nobody supervises, as in a program that embeds one.
 */
static void embedded_worker(void **state)
{
    static const char *const arguments[] = {"--no-supervisor", NULL};
    static const char *const way = "_exit";
    testbed_t *bed = *state;
    bed->worker_arguments = arguments;
    start(bed);
    poison(bed, &way, 1);
    unsigned ended = run_until_ended(bed, 1);
    assert_int_equal(check_all(bed, 1), ended);
    assert_in_range(ended, UNEXPLAINED + CRASHES_MAX, UNEXPLAINED + CRASHES_MAX + MORE);
}

typedef struct holders {
    uint32_t lanes;
    char of[TESTBED_LANES][33];
} holders_t;

static void take_holder(void *context, const fabric_bytes_t *columns)
{
    holders_t *holders = context;
    assert_true(holders->lanes < TESTBED_LANES);
    snprintf(holders->of[holders->lanes++], 33, "%.*s", (int)columns[0].size,
             (const char *)columns[0].data);
}

/* Chooses poison whose homes are different brokers. */
static void spread_poison(testbed_t *bed)
{
    holders_t holders = {.lanes = 0};
    testbed_query_rows(bed, "SELECT HEX(holder) FROM lane ORDER BY lane", take_holder, &holders);
    assert_int_equal(holders.lanes, TESTBED_LANES);
    uint32_t shards =
        (uint32_t)testbed_query_number(bed, "SELECT MAX(shards_per_group) FROM cluster");
    const char *taken = "";
    unsigned number = 0;
    for (size_t i = 0; i < POISONS_MAX; i++) {
        const char *holder;
        do {
            snprintf(poison_ids[i], sizeof poison_ids[i], "poison-%u", number++);
            uint32_t shard = address_shard_number(fabric_bytes_of(poison_ids[i]), shards);
            holder = holders.of[shard % TESTBED_LANES];
        } while (strcmp(holder, taken) == 0);
        taken = holder;
    }
}

/* Three homes share one worker that nobody supervises. Messages of different homes run alone there,
 * one after another, so each end counts for the message that has caused it. */
static void poison_of_two_homes(void **state)
{
    static const char *const arguments[] = {"--no-supervisor", NULL};
    static const char *const ways[] = {"_exit", "_exit"};
    testbed_t *bed = *state;
    bed->worker_arguments = arguments;
    silence_sanitizers(bed);
    bed->broker_arguments = broker_arguments;
    testbed_start_brokers(bed, BROKERS, 1);
    load = (probe_load_t){
        .client = bed->client, .prefix = "load", .entities = ENTITIES, .inflight = INFLIGHT};
    spread_poison(bed);
    testbed_open_gate(bed, "gate"); /* no handler is pending */
    poison(bed, ways, POISONS_MAX);
    unsigned ended = run_until_ended(bed, POISONS_MAX);
    print_message("%u processes ended\n", ended);
    /* On a busy machine a turn ends before its message has crashed, and another one's begins. */
    assert_in_range(ended, UNEXPLAINED + POISONS_MAX * CRASHES_MAX,
                    POISONS_MAX * (UNEXPLAINED + CRASHES_MAX + 3 * MORE));
    size_t crashes = check_all(bed, POISONS_MAX);
    assert_in_range(crashes, ended, POISONS_MAX * ended); /* two may crash in one process */
}

/* ---- kills ---- */

/* An operator who kills workers makes no dead letter, though a message may have been there each
 * time. */
static void kills_are_no_crashes(void **state)
{
    testbed_t *bed = *state;
    bed->work_us = 1000; /* a kill finds handlers at work */
    start(bed);
    for (uint32_t i = 0; i < KILLS; i++) {
        probe_load_run(&load, 2 * INFLIGHT);
        testbed_kill_child(&bed->cluster.workers[i % WORKERS]);
        testbed_wait_ready(bed, WORKERS);
    }
    probe_load_run(&load, INFLIGHT);
    probe_load_end(&load);
    testbed_wait_drained(bed);
    print_message("%" PRIu64 " delivered again\n", testbed_counter(bed->client, "redelivered"));
    assert_true(testbed_counter(bed->client, "redelivered") > 0);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
    assert_int_equal(count_crashes(bed), KILLS);
    probe_starts_t starts = probe_starts_read(bed->folder);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
    testbed_stop_processes(bed);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM dead_letter"), 0);
}

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static uint64_t median(uint64_t times_ms[ROUNDS])
{
    qsort(times_ms, ROUNDS, sizeof *times_ms, compare_times);
    return times_ms[ROUNDS / 2];
}

/* How long it takes until all calls have ended that are open now. */
static uint64_t drain_ms(void)
{
    uint64_t begun_ms = clock_monotonic_ms();
    probe_load_end(&load);
    return clock_monotonic_ms() - begun_ms;
}

static void a_crash_delays_others_no_longer_than_a_kill(void **state)
{
    testbed_t *bed = *state;
    probe_end_t end = {1, "null"};
    uint64_t killed_ms[ROUNDS];
    uint64_t crashed_ms[ROUNDS];
    machine_measure();
    bed->work_us = 1000;
    start(bed);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        char id[32];
        snprintf(id, sizeof id, "poison-%u", i);
        probe_load_run(&load, 2 * INFLIGHT);
        testbed_kill_child(&bed->cluster.workers[i % WORKERS]);
        killed_ms[i] = drain_ms();
        testbed_wait_ready(bed, WORKERS);
        probe_load_run(&load, 2 * INFLIGHT);
        ask(bed, id, &probe_crash, &end, &crashed_once[i]);
        crashed_ms[i] = drain_ms();
        wait_for(bed, &crashed_once[i]);
        testbed_wait_ready(bed, WORKERS);
    }
    machine_measure();
    assert_int_equal(count_crashes(bed), 2 * ROUNDS);
    uint64_t killed = median(killed_ms);
    uint64_t crashed = median(crashed_ms);
    print_message("until all calls that were open had ended, ms: median %" PRIu64
                  " after a kill (up to %" PRIu64 "), %" PRIu64 " after a crash (up to %" PRIu64
                  ")\n",
                  killed, killed_ms[ROUNDS - 1], crashed, crashed_ms[ROUNDS - 1]);
    assert_in_range(crashed, 0, killed + machine_scaled(DELAY_SLACK_MS));
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"null_pointer", null_pointer, TESTBED_BOTH},
        {"call_of_abort", call_of_abort, TESTBED_SQLITE},
        {"stack_overflow", stack_overflow, TESTBED_SQLITE},
        {"call_of_exit", call_of_exit, TESTBED_SQLITE},
        {"two_at_once", two_at_once, TESTBED_BOTH},
        {"embedded_worker", embedded_worker, TESTBED_BOTH},
        {"poison_of_two_homes", poison_of_two_homes, TESTBED_MYSQL},
        {"kills_are_no_crashes", kills_are_no_crashes, TESTBED_BOTH},
        {"a_crash_delays_others_no_longer_than_a_kill", a_crash_delays_others_no_longer_than_a_kill,
         TESTBED_SQLITE},
        {"memory_beyond_its_limit", memory_beyond_its_limit, TESTBED_BOTH},
    };
    size_t count = sizeof tests / sizeof tests[0];
    return testbed_run("poison", tests, SANITIZED ? count - 1 : count);
}
