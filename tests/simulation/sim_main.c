/* make sim: runs of the simulation at full size, seed after seed. See README.md here.
 *
 * sim [SEEDS]: so many seeds (2000) from a fresh one on, in as many processes as there are
 * processors. FABRIC_SIM_SEED=S runs that seed only, FABRIC_SIM_TRACE=1 writes its events to
 * standard error, FABRIC_SIM_FIRST=S begins with that seed, FABRIC_SIM_JOBS=N bounds the processes.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/random.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/simulation_steps.h"

#define SEEDS_DEFAULT 2000
#define JOBS_MAX      64
#define TWICE_EVERY   50 /* seeds */
#define EMPTY_OF_100  20

typedef unsigned long long ull;

/* What a number of runs has come to. */
typedef struct total {
    uint64_t runs, messages, faults, at_steps, violations, empty, events, virtual_ms;
    uint64_t served_ms; /* of all runs together */
    uint64_t hand_overs, lost_frames, relayed, repeated, kept, outlived, fenced, stale, terms,
        entries, checkpoints, unknown, rejected, cancelled, interrupted;
    simulation_steps_t steps;
} total_t;

static uint64_t present_seed;

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

/* An assertion of the code under test ends the process: the seed must have been printed by then. */
static void on_signal(int number)
{
    char text[120];
    int size =
        snprintf(text, sizeof text, "sim: seed %llu: signal %d; replay with make sim SEED=%llu\n",
                 (ull)present_seed, number, (ull)present_seed);
    ssize_t written = write(STDERR_FILENO, text, (size_t)size);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void add(total_t *total, const simulation_result_t *r)
{
    total->runs++;
    total->messages += r->calls;
    total->faults += r->faults;
    total->at_steps += r->at_steps;
    total->violations += r->failed;
    total->empty += r->lost_frames == 0 && r->repeated == 0 && r->fenced == 0;
    total->events += r->events;
    total->virtual_ms += r->virtual_ms;
    total->served_ms += r->served_ms;
    total->hand_overs += r->hand_overs;
    total->relayed += r->relayed;
    total->lost_frames += r->lost_frames;
    total->repeated += r->repeated;
    total->kept += r->kept;
    total->outlived += r->outlived;
    total->fenced += r->fenced;
    total->stale += r->stale;
    total->terms += r->takeovers;
    total->entries += r->entries;
    total->checkpoints += r->checkpoints;
    total->unknown += r->unknown;
    total->rejected += r->rejected;
    total->cancelled += r->cancelled;
    total->interrupted += r->interrupted;
    for (size_t i = 0; i < SIMULATION_STEPS_MAX; i++) {
        total->steps.passed[i] += r->steps.passed[i];
        total->steps.struck[i] += r->steps.struck[i];
    }
}

static void run(uint64_t seed, bool trace, simulation_result_t *result)
{
    simulation_options_t options = {.seed = seed, .full = true, .trace = trace};
    present_seed = seed;
    simulation_run(&options, result);
    if (result->failed) {
        fprintf(stderr, "sim: seed %llu: %s; replay with make sim SEED=%llu\n", (ull)seed,
                result->what, (ull)seed);
    }
}

/* One run in fifty is made twice. */
static void run_seed(uint64_t seed, total_t *total)
{
    simulation_result_t result, again;
    run(seed, false, &result);
    add(total, &result);
    if (seed % TWICE_EVERY == 0) {
        run(seed, false, &again);
        if (again.trace_hash != result.trace_hash || again.events != result.events) {
            fprintf(stderr, "sim: seed %llu: two runs differ: trace %llx and %llx\n", (ull)seed,
                    (ull)result.trace_hash, (ull)again.trace_hash);
            total->violations++;
        }
    }
}

static void print(const total_t *t)
{
    printf(
        "sim: events %llu, virtual s %llu, entries %llu, checkpoints %llu, terms %llu, hand-overs "
        "%llu, faults at "
        "steps %llu, frames relayed %llu, lost %llu, messages handled again %llu, answered again "
        "%llu, handled by "
        "instances that outlived a home %llu, fenced %llu, "
        "stale results "
        "%llu, calls unknown %llu, rejected %llu, cancelled %llu (handlers that stopped %llu), "
        "empty runs %llu; ms until all lanes are served "
        "again %llu\n",
        (ull)t->events, (ull)t->virtual_ms / 1000, (ull)t->entries, (ull)t->checkpoints,
        (ull)t->terms, (ull)t->hand_overs, (ull)t->at_steps, (ull)t->relayed, (ull)t->lost_frames,
        (ull)t->repeated, (ull)t->kept, (ull)t->outlived, (ull)t->fenced, (ull)t->stale,
        (ull)t->unknown, (ull)t->rejected, (ull)t->cancelled, (ull)t->interrupted, (ull)t->empty,
        (ull)(t->served_ms / (t->runs > 0 ? t->runs : 1)));
}

enum { STEPS_OF_A_LINE = 4 };

/* How often each step was taken (messages: while a fault waited for one), and struck. */
static void print_steps(const simulation_steps_t *steps)
{
    char text[80];
    printf("sim: steps, passed/struck:\n");
    for (size_t i = 0; step_describe(i, steps, text, sizeof text); i++) {
        printf("%s%-30s%s", i % STEPS_OF_A_LINE == 0 ? "  " : "", text,
               i % STEPS_OF_A_LINE == STEPS_OF_A_LINE - 1 ? "\n" : "");
    }
    printf("\n");
}

/* ---- processes ---- */

/* Every `jobs`th seed, in a process of its own, whose total comes through the pipe. */
static int start_job(uint64_t first, uint64_t seeds, uint64_t jobs)
{
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) {
        perror("sim");
        exit(1);
    }
    pid_t child = fork();
    if (child < 0) {
        perror("sim");
        exit(1);
    }
    if (child > 0) {
        close(ends[1]);
        return ends[0];
    }
    total_t total = {0};
    for (uint64_t i = 0; i < seeds; i += jobs) {
        run_seed(first + i, &total);
    }
    _exit(write(ends[1], &total, sizeof total) != sizeof total);
}

/* A process that was ended by a signal has no total, and counts as a violation. */
static void finish_job(int end, total_t *sum)
{
    total_t total = {.violations = 1};
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)&total;
    if (read(end, &total, sizeof total) != sizeof total) {
        total = (total_t){.violations = 1};
    }
    for (size_t i = 0; i < sizeof total / sizeof *to; i++) {
        to[i] += from[i];
    }
    close(end);
}

static void run_all(uint64_t first, uint64_t seeds, total_t *sum)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t jobs = number_from("FABRIC_SIM_JOBS", processors > 0 ? (uint64_t)processors : 1);
    int ends[JOBS_MAX];
    jobs = jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : jobs;
    for (uint64_t i = 0; i < jobs; i++) {
        ends[i] = start_job(first + i, seeds > i ? seeds - i : 0, jobs);
    }
    for (uint64_t i = 0; i < jobs; i++) {
        finish_job(ends[i], sum);
    }
    while (wait(NULL) > 0) {
    }
}

static int run_one(uint64_t seed)
{
    simulation_result_t result;
    total_t total = {0};
    run(seed, number_from("FABRIC_SIM_TRACE", 0) != 0, &result);
    add(&total, &result);
    print(&total);
    return result.failed;
}

int main(int argc, char **argv)
{
    uint64_t seed = number_from("FABRIC_SIM_SEED", 0);
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : SEEDS_DEFAULT;
    uint32_t drawn = 0;
    total_t sum = {0};
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    if (seed != 0) {
        return run_one(seed);
    }
    random_bytes(&drawn, sizeof drawn);
    uint64_t first = number_from("FABRIC_SIM_FIRST", UINT64_C(1) + drawn);
    printf("sim: %llu seeds from %llu on\n", (ull)seeds, (ull)first);
    uint64_t begin_ms = clock_monotonic_ms();
    run_all(first, seeds, &sum);
    uint64_t took_ms = clock_monotonic_ms() - begin_ms;
    print_steps(&sum.steps);
    print(&sum);
    bool is_empty = sum.empty * 100 > sum.runs * EMPTY_OF_100;
    if (is_empty) {
        printf("sim: more than %d %% of the runs are empty\n", EMPTY_OF_100);
    }
    printf("sim: %llu runs, %llu messages, %llu faults, %llu violations, %.1f runs/s\n",
           (ull)sum.runs, (ull)sum.messages, (ull)sum.faults, (ull)sum.violations,
           (double)sum.runs * 1000 / (double)(took_ms > 0 ? took_ms : 1));
    return sum.violations > 0 || sum.runs < seeds || is_empty;
}
