/* Processes of a test build die at each of their crash points: what was accepted is handled once
 * and in order, every call ends, and service resumes as soon as the process is started again. What
 * persisted entities hold is what their replies have said, and what their handlers have told others
 * has been handled once and in order.
 *
 * The programs print their points, so a new point is tested as soon as it exists. In one cluster
 * one process dies again and again, each time at another point, and is started without a point in
 * between. The test does not know how to reach a point: it does one thing after another to the
 * cluster (the rungs of a ladder) until the process dies. A point that no rung reaches fails the
 * test.
 */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/random.h"
#include "tests/harness/cluster_status.h"
#include "tests/harness/stop.h"
#include "core/clock.h"
#include "tests/harness/crash_points.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/entity_load.h"
#include "tests/checker/workload.h"

enum {
    WAIT_MAX_MS = 180000,
    STEP_MS = 5,
    READY_MS = 100, /* for a question to a broker that may be dead */
    LEASE_MS = 600, /* where a standby is to take over soon */
    INFLIGHT = 40,
    RATE = 5000,
    SERVED = 300,      /* calls, in proof of service: more than are ever open */
    PASSINGS_MAX = 24, /* of a point that is passed often */
    CLIMBS = 8,        /* of the whole ladder, before a point counts as not reached */
    REPETITIONS = 1,   /* with a passing by chance, unless FABRIC_FAULT_REPEAT says more */
    WORKERS = 2,
    VISITOR = 2 /* the worker that comes and goes */
};

static workload_t *load;       /* NULL: not yet */
static entity_load_t entities; /* beside it */

/* ---- the load ---- */

static void start_load(testbed_t *bed)
{
    const workload_options_t options = {.inflight = INFLIGHT, .rate = RATE};
    load = workload_start(bed, &options);
    entity_load_start(&entities, bed->client);
}

static void end_load_and_check(testbed_t *bed)
{
    if (!workload_run_until(load, entity_load_ends, &entities, WAIT_MAX_MS)) {
        fail_msg("%u calls to entities stay open", entity_load_open(&entities));
    }
    entity_load_check(&entities, bed);
    workload_end_and_check(&load);
}

/* Calls that ended well. */
static uint64_t served(void)
{
    workload_counts_t counts = workload_counts(load);
    return counts.accepted + counts.replied;
}

static bool has_served_up_to(void *wanted)
{
    entity_load_step(&entities);
    return served() >= *(uint64_t *)wanted || stop_requested();
}

/* More calls than were open end well: service has resumed. */
static void check_service(void)
{
    uint64_t wanted = served() + SERVED;
    if (!workload_run_until(load, has_served_up_to, &wanted, WAIT_MAX_MS)) {
        fail_msg("service does not resume");
    }
}

/* ---- one process and one point ---- */

typedef struct trial {
    testbed_t *bed;
    process_t *victim;
    char crash[CRASH_NAME_SIZE + 40]; /* FABRIC_CRASH=name:n */
    const char *environment[5];
    uint64_t wanted;                   /* calls served, for who waits for some */
    bool (*over)(struct trial *trial); /* of run_until */
} trial_t;

static void arm(trial_t *trial, const char *name, unsigned passing)
{
    snprintf(trial->crash, sizeof trial->crash, "FABRIC_CRASH=%s:%u", name, passing);
    trial->environment[0] = trial->crash;
    trial->environment[1] = "FABRIC_NO_SUPERVISOR=yes"; /* of a worker: it is to stay dead */
    trial->environment[2] =
        "FABRIC_ENTITY_WINDOW=1"; /* of a broker: messages go and come by rows */
    trial->environment[3] = "FABRIC_CHECKPOINT_MS=20";
}

static bool is_killed(const process_t *process)
{
    return process->pid == 0 && WIFSIGNALED(process->status) &&
           WTERMSIG(process->status) == SIGKILL;
}

static bool has_exited_well(const process_t *process)
{
    return process->pid == 0 && WIFEXITED(process->status) && WEXITSTATUS(process->status) == 0;
}

/* Waits for the end of a process whose output has ended. */
static bool dies(process_t *process)
{
    reason_t reason = {{0}};
    fabric_error_t error = process_wait(process, WAIT_MAX_MS, &reason);
    return error && is_killed(process);
}

static bool has_ended(void *context)
{
    trial_t *trial = context;
    if (load) {
        entity_load_step(&entities);
    }
    return !process_runs(trial->victim) || trial->over(trial) || stop_requested();
}

/* Keeps the load up until the victim has ended, or this is over. */
static void run_until(trial_t *trial, bool (*over)(trial_t *trial))
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    trial->over = over;
    trial->wanted = load ? served() + SERVED : 0;
    while (!load && !has_ended(trial)) {
        testbed_poll(deadline_ms, trial->crash);
    }
    if (load && !workload_run_until(load, has_ended, trial, WAIT_MAX_MS)) {
        fail_msg("%s: the process does not end, or service does not resume", trial->crash);
    }
}

static bool has_served(trial_t *trial)
{
    return served() >= trial->wanted;
}

static bool is_ready(trial_t *trial, uint32_t workers)
{
    reason_t reason = {{0}};
    uint32_t wait_ms = (uint32_t)machine_scaled(READY_MS);
    status_brokers_t one = status_at(trial->bed->client);
    return status_wait_ready(&one, workers, wait_ms, &reason) == FABRIC_OK;
}

static bool are_two_ready(trial_t *trial)
{
    return is_ready(trial, WORKERS);
}

static bool are_three_ready(trial_t *trial)
{
    return is_ready(trial, WORKERS + 1);
}

static bool has_visitor_ended(trial_t *trial)
{
    return !process_runs(&trial->bed->cluster.workers[VISITOR]);
}

static bool never(trial_t *trial)
{
    (void)trial;
    return false;
}

/* Starts a worker again, without a crash point unless given. */
static void restart_worker(testbed_t *bed, uint32_t number, const char *const *environment)
{
    reason_t reason = {{0}};
    bed->options.worker_environment = environment;
    fabric_error_t error = number == bed->cluster.worker_count
                               ? cluster_add_worker(&bed->cluster, &reason)
                               : cluster_restart_worker(&bed->cluster, number, &reason);
    bed->options.worker_environment = NULL;
    if (error) {
        fail_msg("%s: %s", fabric_error_name(error), reason.text);
    }
}

typedef fabric_error_t restart_fn(cluster_t *cluster, reason_t *reason);

/* Starts a broker again; it may die of its crash point before it is ready. */
static void restart(testbed_t *bed, restart_fn *again, process_t *broker,
                    const char *const *environment)
{
    reason_t reason = {{0}};
    bed->options.broker_environment = environment;
    fabric_error_t error = again(&bed->cluster, &reason);
    bed->options.broker_environment = NULL;
    if (error && !(environment && dies(broker))) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s: %s", fabric_error_name(error), reason.text);
    }
}

static void restart_broker(testbed_t *bed, const char *const *environment)
{
    restart(bed, cluster_restart_broker, &bed->cluster.broker, environment);
}

static void restart_standby(testbed_t *bed, const char *const *environment)
{
    restart(bed, cluster_restart_standby, &bed->cluster.standby, environment);
}

/* ---- what happens to a broker ---- */

static void broker_starts(trial_t *trial)
{
    restart_broker(trial->bed, trial->environment);
    run_until(trial, has_served);
}

static void visitor_joins(trial_t *trial)
{
    restart_worker(trial->bed, VISITOR, NULL);
    run_until(trial, are_three_ready);
    run_until(trial, has_served);
}

static void visitor_leaves(trial_t *trial)
{
    process_t *visitor = &trial->bed->cluster.workers[VISITOR];
    if (process_runs(visitor)) {
        assert_int_equal(kill(visitor->pid, SIGTERM), 0);
        run_until(trial, has_visitor_ended);
    }
}

static void connections_break(trial_t *trial)
{
    if (trial->bed->database[0]) {
        testbed_break_connections(trial->bed);
        run_until(trial, has_served);
    }
}

static void victim_stops(trial_t *trial)
{
    assert_int_equal(kill(trial->victim->pid, SIGTERM), 0);
    run_until(trial, never);
}

/* ---- what happens to a worker ---- */

static void victim_joins(trial_t *trial)
{
    restart_worker(trial->bed, WORKERS - 1, trial->environment);
    run_until(trial, are_two_ready);
    run_until(trial, has_served);
}

/* ---- ladders ---- */

typedef void rung_t(trial_t *trial);

static rung_t *const broker_ladder[] = {broker_starts,     visitor_joins, visitor_leaves,
                                        connections_break, victim_stops,  NULL};
static rung_t *const worker_ladder[] = {victim_joins, visitor_joins, victim_stops, NULL};

static unsigned climb_once(trial_t *trial, rung_t *const *ladder, unsigned rungs)
{
    for (unsigned i = 0; i < rungs && ladder[i]; i++) {
        ladder[i](trial);
        if (!process_runs(trial->victim)) {
            return is_killed(trial->victim) ? i + 1 : 0;
        }
    }
    return 0;
}

/* Climbs until the victim dies; again and again after a ladder whose last rung has ended it, since
 * some points are passed only by chance (a call is looked up, a message dies). Returns the number
 * of rungs; 0: the victim did not die at its point. */
static unsigned climb(trial_t *trial, rung_t *const *ladder, unsigned rungs)
{
    unsigned reached = climb_once(trial, ladder, rungs);
    for (unsigned i = 1; reached == 0 && has_exited_well(trial->victim) && i < CLIMBS; i++) {
        print_message("%s: not reached in climb %u\n", trial->crash, i);
        reached = climb_once(trial, ladder, rungs);
    }
    return reached;
}

static void kill_if_running(process_t *process)
{
    if (process_runs(process)) {
        testbed_kill(process);
    }
}

static void kill_visitor(testbed_t *bed)
{
    if (bed->cluster.worker_count > VISITOR) {
        kill_if_running(&bed->cluster.workers[VISITOR]);
    }
}

/* Nothing breaks the connection to a file. Only a successor removes a broker. A broker that is
 * alone hands over no lane: see broker_dies_in_a_hand_over. Journals are not purged here, since the
 * checker reads them: see broker_dies_in_a_purge. */
static bool is_beyond(const testbed_t *bed, const char *name)
{
    return (!bed->database[0] && crash_begins_with(name, "settle.")) ||
           crash_begins_with(name, "remove.") || crash_begins_with(name, "broker.removed") ||
           crash_is_of_a_hand_over(name) || crash_is_of_a_purge(name);
}

static unsigned random_passing(void)
{
    uint32_t drawn = 0;
    random_bytes(&drawn, sizeof drawn);
    return 2 + drawn % (PASSINGS_MAX - 1);
}

static unsigned repetitions(void)
{
    const char *text = getenv("FABRIC_FAULT_REPEAT");
    long number = text ? strtol(text, NULL, 10) : REPETITIONS;
    return number < 0 ? 0 : (unsigned)number;
}

static void start_trials(trial_t *trial, testbed_t *bed, process_t *victim)
{
    *trial = (trial_t){.bed = bed, .victim = victim};
}

/* ---- brokers ---- */

/* Each point of the foundation once, on an empty database: one that is left uncommitted is reached
 * again, and each commit leads to the next. */
static void found(trial_t *trial, const crash_points_t *points)
{
    for (size_t i = 0; i < points->count; i++) {
        if (!crash_is_founding(points->names[i])) {
            continue;
        }
        kill_if_running(trial->victim);
        arm(trial, points->names[i], 1);
        restart_broker(trial->bed, trial->environment);
        if (trial->bed->cluster.worker_count == 0) {
            restart_worker(trial->bed, 0, NULL);
        }
        run_until(trial, never);
        if (!is_killed(trial->victim)) {
            fail_msg("%s: not reached", trial->crash);
        }
        print_message("%s: reached\n", trial->crash);
    }
    kill_if_running(trial->victim);
    restart_broker(trial->bed, NULL);
    restart_worker(trial->bed, 1, NULL);
    testbed_wait_ready(trial->bed, WORKERS);
}

static unsigned broker_dies_at(trial_t *trial, const char *name, unsigned passing, unsigned rungs)
{
    uint64_t begun_ms = clock_monotonic_ms();
    arm(trial, name, passing);
    kill_if_running(trial->victim);
    unsigned reached = climb(trial, broker_ladder, rungs);
    kill_if_running(trial->victim);
    kill_visitor(trial->bed);
    restart_broker(trial->bed, NULL);
    check_service();
    print_message("%s: rung %u, %llu ms\n", trial->crash, reached,
                  (unsigned long long)(clock_monotonic_ms() - begun_ms));
    return reached;
}

static void broker_dies(void **state)
{
    testbed_t *bed = *state;
    trial_t trial;
    crash_points_t points = crash_points_of("fabric-broker");
    unsigned missed = 0;
    machine_measure();
    crash_choose_programs(bed, PURSE_MODULE, TELLER_MODULE);
    testbed_start(bed, 0);
    start_trials(&trial, bed, &bed->cluster.broker);
    found(&trial, &points);
    start_load(bed);
    check_service();
    for (size_t i = 0; i < points.count; i++) {
        const char *name = points.names[i];
        if (crash_is_founding(name) || is_beyond(bed, name)) {
            continue;
        }
        unsigned rung = broker_dies_at(&trial, name, 1, UINT_MAX);
        if (rung == 0) {
            print_error("%s: not reached\n", name);
            missed++;
        }
        for (unsigned k = repetitions(); rung == 1 && k > 0; k--) {
            (void)broker_dies_at(&trial, name, random_passing(), 1);
        }
    }
    end_load_and_check(bed);
    assert_int_equal(missed, 0);
}

/* ---- purges ---- */

static probe_load_t calls;

static void run_calls_until_dead(trial_t *trial)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (process_runs(trial->victim)) {
        probe_load_step(&calls, STEP_MS);
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("%s: not reached", trial->crash);
        }
    }
    assert_true(is_killed(trial->victim));
}

static void broker_dies_in_a_purge(void **state)
{
    static const char *const arguments[] = {"--call-retention-ms", "1000", NULL};
    testbed_t *bed = *state;
    trial_t trial;
    crash_points_t points = crash_points_of("fabric-broker");
    unsigned reached = 0;
    machine_measure();
    crash_choose_programs(bed, PURSE_MODULE, TELLER_MODULE);
    bed->broker_arguments = arguments;
    testbed_start(bed, WORKERS);
    start_trials(&trial, bed, &bed->cluster.broker);
    calls = (probe_load_t){
        .client = bed->client, .prefix = "call", .entities = INFLIGHT, .inflight = INFLIGHT};
    for (size_t i = 0; i < points.count; i++) {
        if (crash_is_of_a_purge(points.names[i])) {
            kill_if_running(trial.victim);
            arm(&trial, points.names[i], 1 + reached);
            restart_broker(bed, trial.environment);
            run_calls_until_dead(&trial);
            restart_broker(bed, NULL);
            probe_load_run(&calls, 2 * INFLIGHT);
            print_message("%s: reached\n", trial.crash);
            reached++;
        }
    }
    assert_true(reached > 0);
    probe_load_end(&calls);
    testbed_wait_drained(bed);
    probe_starts_t starts = probe_starts_read(bed->folder);
    probe_starts_check(&starts, &calls);
    probe_starts_free(&starts);
}

/* ---- workers ---- */

static unsigned worker_dies_at(trial_t *trial, const char *name, unsigned passing, unsigned rungs)
{
    uint64_t begun_ms = clock_monotonic_ms();
    arm(trial, name, passing);
    kill_if_running(trial->victim);
    unsigned reached = climb(trial, worker_ladder, rungs);
    kill_if_running(trial->victim);
    check_service(); /* by the other one */
    kill_visitor(trial->bed);
    restart_worker(trial->bed, WORKERS - 1, NULL);
    testbed_wait_ready(trial->bed, WORKERS);
    check_service();
    print_message("%s: rung %u, %llu ms\n", trial->crash, reached,
                  (unsigned long long)(clock_monotonic_ms() - begun_ms));
    return reached;
}

static void worker_dies(void **state)
{
    testbed_t *bed = *state;
    trial_t trial;
    crash_points_t points = crash_points_of("fabric-worker");
    unsigned missed = 0;
    machine_measure();
    crash_choose_programs(bed, PURSE_MODULE, TELLER_MODULE);
    testbed_start(bed, WORKERS);
    start_trials(&trial, bed, &bed->cluster.workers[WORKERS - 1]);
    start_load(bed);
    check_service();
    for (size_t i = 0; i < points.count; i++) {
        if (crash_is_of_a_transaction(points.names[i])) {
            continue; /* see transaction_test.c */
        }
        unsigned rung = worker_dies_at(&trial, points.names[i], 1, UINT_MAX);
        if (rung == 0) {
            print_error("%s: not reached\n", points.names[i]);
            missed++;
        }
        for (unsigned k = repetitions(); rung == 1 && k > 0; k--) {
            (void)worker_dies_at(&trial, points.names[i], random_passing(), 1);
        }
    }
    end_load_and_check(bed);
    assert_int_equal(missed, 0);
}

/* ---- two brokers ---- */

static void standby_waits(trial_t *trial)
{
    restart_standby(trial->bed, trial->environment);
    run_until(trial, has_served);
}

static void leader_is_killed(trial_t *trial)
{
    testbed_kill(&trial->bed->cluster.broker);
    run_until(trial, never);
}

/* The victim, which is started anew, dies on one of the rungs. */
static void dies_on(trial_t *trial, const char *name, process_t *victim, rung_t *const *ladder)
{
    trial->victim = victim;
    arm(trial, name, 1);
    kill_if_running(victim);
    unsigned reached = climb_once(trial, ladder, UINT_MAX);
    if (reached == 0) {
        fail_msg("%s: not reached", trial->crash);
    }
    print_message("%s: rung %u with two brokers\n", trial->crash, reached);
}

/* The standby dies while it takes over from a dead leader; the next broker takes over from both. */
static void successor_dies_at(trial_t *trial, const char *name)
{
    static rung_t *const ladder[] = {standby_waits, leader_is_killed, NULL};
    dies_on(trial, name, &trial->bed->cluster.standby, ladder);
    if (!process_runs(&trial->bed->cluster.broker)) {
        restart_broker(trial->bed, NULL);
    }
    check_service();
}

static void signal_workers(testbed_t *bed, int number)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(kill(-bed->cluster.workers[i].pid, number), 0);
    }
}

/* The leader dies while it admits workers, and the standby takes over. */
static void leader_dies_at(trial_t *trial, const char *name)
{
    testbed_t *bed = trial->bed;
    uint64_t begun_ms = clock_monotonic_ms();
    arm(trial, name, 1);
    trial->victim = &bed->cluster.broker;
    signal_workers(bed, SIGSTOP); /* so that the standby is there before they are admitted */
    kill_if_running(&bed->cluster.standby);
    kill_if_running(&bed->cluster.broker);
    restart_broker(bed, trial->environment);
    restart_standby(bed, NULL);
    signal_workers(bed, SIGCONT);
    run_until(trial, never);
    if (!is_killed(trial->victim)) {
        fail_msg("%s: not reached", trial->crash);
    }
    check_service(); /* by the standby */
    print_message("%s: leader, %llu ms\n", trial->crash,
                  (unsigned long long)(clock_monotonic_ms() - begun_ms));
    kill_if_running(&bed->cluster.standby);
    restart_broker(bed, NULL);
    check_service();
}

static void standby_takes_over(void **state)
{
    char lease_ms[24];
    const char *const arguments[] = {"--lease-ms", lease_ms, NULL};
    static const char *const successor_points[] = {
        "join.after",    "term.taken",   "remove.inside",  "broker.removed",    "assign.inside",
        "lane.assigned", "adopt.before", "adopt.locked",   "adopt.inside",      "adopt.taken",
        "adopt.read",    "adopt.after",  "adopt.reported", "runner_put.inside", "map.before",
        "owner.chosen",  "append.after", "slice.inside",   "slice.last",
    };
    static const char *const leader_points[] = {
        "runner_put.inside",
        "runner_put.after",
        "owner.chosen",
    };
    reason_t reason = {{0}};
    testbed_t *bed = *state;
    trial_t trial = {.bed = bed};
    machine_measure();
    snprintf(lease_ms, sizeof lease_ms, "%u", (unsigned)machine_scaled(LEASE_MS));
    crash_choose_programs(bed, PURSE_MODULE, TELLER_MODULE);
    bed->broker_arguments = arguments;
    bed->lanes = 1; /* which the leader keeps until it dies */
    testbed_start(bed, 0);
    assert_int_equal(cluster_start_standby(&bed->cluster, &reason), FABRIC_OK);
    restart_worker(bed, 0, NULL);
    restart_worker(bed, 1, NULL);
    testbed_connect(bed); /* to both */
    testbed_wait_ready(bed, WORKERS);
    start_load(bed);
    check_service();
    kill_if_running(&bed->cluster.standby);
    for (size_t i = 0; i < sizeof successor_points / sizeof successor_points[0]; i++) {
        successor_dies_at(&trial, successor_points[i]);
    }
    for (size_t i = 0; i < sizeof leader_points / sizeof leader_points[0]; i++) {
        leader_dies_at(&trial, leader_points[i]);
    }
    end_load_and_check(bed);
}

/* ---- hand-overs ---- */

static bool has_its_share(trial_t *trial)
{
    char incarnation[33];
    const cluster_t *cluster = &trial->bed->cluster;
    const char *url = trial->victim == &cluster->broker ? cluster->url : cluster->standby_url;
    return testbed_lanes_held(trial->bed, url, incarnation) == TESTBED_LANES / 2;
}

static void standby_gets_its_share(trial_t *trial)
{
    testbed_wait_removed(trial->bed, trial->bed->cluster.standby_url); /* its former life */
    restart_standby(trial->bed, trial->environment);
    run_until(trial, has_its_share);
}

/* It takes over what the other one had. */
static void only_broker_joins(trial_t *trial)
{
    restart_broker(trial->bed, trial->environment);
    kill_if_running(&trial->bed->cluster.standby);
    run_until(trial, has_served);
}

static void standby_joins(trial_t *trial)
{
    restart_standby(trial->bed, NULL);
    run_until(trial, has_its_share);
}

/* A broker dies when it drains; then the holder of the term, when the other one is to get lanes. */
static void broker_dies_in_a_hand_over(void **state)
{
    static rung_t *const drains[] = {standby_gets_its_share, victim_stops, NULL};
    static rung_t *const shares[] = {only_broker_joins, standby_joins, NULL};
    testbed_t *bed = *state;
    trial_t trial = {.bed = bed};
    crash_points_t points = crash_points_of("fabric-broker");
    unsigned reached = 0;
    machine_measure();
    crash_choose_programs(bed, PURSE_MODULE, TELLER_MODULE);
    testbed_start_brokers(bed, 2, WORKERS);
    start_load(bed);
    check_service();
    for (size_t i = 0; i < points.count; i++) {
        const char *name = points.names[i];
        if (crash_is_of_a_hand_over(name)) {
            dies_on(&trial, name, &bed->cluster.standby, drains);
            check_service(); /* by the other one */
            dies_on(&trial, name, &bed->cluster.broker, shares);
            check_service();
            restart_broker(bed, NULL);
            check_service();
            reached++;
        }
    }
    assert_true(reached > 0);
    end_load_and_check(bed);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"broker_dies", broker_dies, TESTBED_BOTH},
        {"broker_dies_in_a_purge", broker_dies_in_a_purge, TESTBED_BOTH},
        {"worker_dies", worker_dies, TESTBED_BOTH},
        {"standby_takes_over", standby_takes_over, TESTBED_MYSQL},
        {"broker_dies_in_a_hand_over", broker_dies_in_a_hand_over, TESTBED_MYSQL},
    };
    return testbed_run("crash points", tests, sizeof tests / sizeof tests[0]);
}
