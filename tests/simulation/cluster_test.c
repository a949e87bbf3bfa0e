/* The whole cluster under virtual time, seed by seed. See README.md here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/random.h"
#include "tests/simulation/simulation.h"

#define SECONDS_DEFAULT 30
#define USUAL_SEEDS     100  /* in which usual events do not fail to happen */
#define RARE_SEEDS      2000 /* and rare ones; a stale result comes in one of sixty */
#define TAKEOVER_SEEDS  120
#define APART_SEEDS     40
#define KEYED_SEEDS     120
#define ROLLING_SEEDS   60
#define SCHEDULED_SEEDS 60
#define FAILING_SEEDS   60
#define CLEARED_SEEDS   60
#define PERSISTED_SEEDS 75
#define EARLY_SEEDS     80
#define EVENTS_SEEDS    80
#define TOLD_SEEDS      84

/* What a run is about, for FABRIC_SIMULATION_KIND. */
typedef struct kind {
    const char *name;
    simulation_options_t options; /* but for the seed */
} kind_t;

static const kind_t usual = {"usual", {0}};
static const kind_t calm_runs = {"calm", {.calm = true}};
static const kind_t poison = {"poison", {.calm = true, .poison = true}};
static const kind_t loss = {"loss", {.calm = true, .loses = true}};
static const kind_t takeovers = {"takeovers", {.takeovers = true}};
static const kind_t apart = {"apart", {.apart = true}};
static const kind_t rolling = {"rolling", {.calm = true, .rolling = true}};
static const kind_t rolling_brokers = {"rolling_brokers", {.calm = true, .rolling_brokers = true}};

static const kind_t keys = {"keys", {.keyed = true}};
static const kind_t taken_keys = {"taken_keys", {.keyed = true, .takeovers = true}};

/* Messages with times of delivery, where nothing fails, and elsewhere. */
static const kind_t punctual = {"punctual", {.calm = true, .scheduled = true}};
static const kind_t schedules = {"schedules", {.scheduled = true}};
static const kind_t taken_schedules = {"taken_schedules", {.scheduled = true, .takeovers = true}};

/* Messages that fail; where nothing else fails, their workers do not crash either. */
static const kind_t defects = {"defects", {.calm = true, .failing = true}};
static const kind_t failing = {"failing", {.failing = true}};
static const kind_t taken_failing = {"taken_failing", {.failing = true, .takeovers = true}};
static const kind_t late_failing = {"late_failing",
                                    {.failing = true, .scheduled = true, .keyed = true}};

/* Operators clear entities. */
static const kind_t clears = {"clears", {.clearing = true}};
static const kind_t taken_clears = {"taken_clears", {.clearing = true, .takeovers = true}};
static const kind_t late_clears = {"late_clears",
                                   {.clearing = true, .failing = true, .scheduled = true}};

/* All types have persisted states. */
static const kind_t states = {"states", {.persisting = true}};
static const kind_t taken_states = {"taken_states", {.persisting = true, .takeovers = true}};
static const kind_t failing_states = {"failing_states", {.persisting = true, .failing = true}};
static const kind_t cleared_states = {"cleared_states", {.persisting = true, .clearing = true}};
static const kind_t restarted_states = {
    "restarted_states", {.calm = true, .persisting = true, .rolling_brokers = true}};

/* All types have early delivery. */
static const kind_t early = {"early", {.early = true}};
static const kind_t taken_early = {"taken_early", {.early = true, .takeovers = true}};
static const kind_t early_states = {"early_states", {.early = true, .persisting = true}};
static const kind_t taken_early_states = {"taken_early_states",
                                          {.early = true, .persisting = true, .takeovers = true}};
static const kind_t failing_early = {"failing_early", {.early = true, .failing = true}};
static const kind_t cleared_early = {"cleared_early",
                                     {.early = true, .persisting = true, .clearing = true}};
static const kind_t keyed_early = {"keyed_early", {.early = true, .keyed = true}};
static const kind_t restarted_early = {"restarted_early",
                                       {.calm = true, .early = true, .rolling_brokers = true}};

/* All types append events. */
static const kind_t events = {"events", {.appending = true}};
static const kind_t taken_events = {"taken_events", {.appending = true, .takeovers = true}};
static const kind_t failing_events = {"failing_events", {.appending = true, .failing = true}};
static const kind_t cleared_events = {"cleared_events", {.appending = true, .clearing = true}};
static const kind_t restarted_events = {"restarted_events",
                                        {.calm = true, .appending = true, .rolling_brokers = true}};
static const kind_t early_events = {"early_events", {.early = true, .appending = true}};
static const kind_t taken_early_events = {"taken_early_events",
                                          {.early = true, .appending = true, .takeovers = true}};
static const kind_t cleared_early_events = {"cleared_early_events",
                                            {.early = true, .appending = true, .clearing = true}};

/* Handlers tell other entities something. */
static const kind_t tells = {"tells", {.telling = true}};
static const kind_t taken_tells = {"taken_tells", {.telling = true, .takeovers = true}};
static const kind_t early_tells = {"early_tells", {.telling = true, .early = true}};
static const kind_t state_tells = {"state_tells", {.telling = true, .persisting = true}};
static const kind_t failing_tells = {"failing_tells", {.telling = true, .failing = true}};
static const kind_t apart_tells = {"apart_tells", {.telling = true, .apart = true}};
static const kind_t restarted_tells = {"restarted_tells",
                                       {.calm = true, .telling = true, .rolling_brokers = true}};

static const kind_t *const kinds[] = {&usual,
                                      &calm_runs,
                                      &poison,
                                      &loss,
                                      &takeovers,
                                      &apart,
                                      &rolling,
                                      &keys,
                                      &punctual,
                                      &defects,
                                      &rolling_brokers,
                                      &taken_keys,
                                      &schedules,
                                      &failing,
                                      &taken_schedules,
                                      &taken_failing,
                                      &late_failing,
                                      &clears,
                                      &taken_clears,
                                      &late_clears,
                                      &states,
                                      &taken_states,
                                      &failing_states,
                                      &cleared_states,
                                      &restarted_states,
                                      &early,
                                      &taken_early,
                                      &early_states,
                                      &taken_early_states,
                                      &failing_early,
                                      &cleared_early,
                                      &keyed_early,
                                      &restarted_early,
                                      &events,
                                      &taken_events,
                                      &failing_events,
                                      &cleared_events,
                                      &restarted_events,
                                      &early_events,
                                      &taken_early_events,
                                      &cleared_early_events,
                                      &tells,
                                      &taken_tells,
                                      &early_tells,
                                      &state_tells,
                                      &failing_tells,
                                      &apart_tells,
                                      &restarted_tells};

static const kind_t *present_kind;
static uint64_t present_seed;

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

/* The kind that was asked for: the usual one where none was. */
static const kind_t *wanted_kind(void)
{
    const char *name = getenv("FABRIC_SIMULATION_KIND");
    if (!name || !name[0]) {
        return &usual;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(name, kinds[i]->name) == 0) {
            return kinds[i];
        }
    }
    fail_msg("FABRIC_SIMULATION_KIND=%s: there is no such kind of run", name);
    return NULL;
}

/* The line that names the seed that failed, and how it is replayed. Its length is returned. */
static size_t describe_failure(const char *what, char *to, size_t capacity)
{
    unsigned long long seed = present_seed;
    bool is_usual = present_kind == &usual;
    int size = snprintf(to, capacity,
                        "simulation: seed %llu failed: %s; replay with %s%s%s"
                        "FABRIC_SIMULATION_SEED=%llu build/tests/simulation/cluster_test\n",
                        seed, what, is_usual ? "" : "FABRIC_SIMULATION_KIND=",
                        is_usual ? "" : present_kind->name, is_usual ? "" : " ", seed);
    assert_in_range(size, 1, capacity - 1);
    return (size_t)size;
}

/* An assertion of the code under test ends the program: the seed must have been printed by then. */
static void on_abort(int number)
{
    char text[256];
    size_t size = describe_failure("aborted", text, sizeof text);
    ssize_t written = write(STDERR_FILENO, text, size);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static bool run(const kind_t *kind, uint64_t seed, bool trace, simulation_result_t *result)
{
    char text[sizeof result->what + 256];
    simulation_options_t options = kind->options;
    options.seed = seed;
    options.trace = trace;
    present_kind = kind;
    present_seed = seed;
    simulation_run(&options, result);
    if (result->failed) {
        describe_failure(result->what, text, sizeof text);
        fputs(text, stderr);
    }
    return !result->failed;
}

static void print_result(const simulation_result_t *r)
{
    typedef unsigned long long ull;
    printf(
        "events %llu, virtual ms %llu, calls %llu (durable %llu, unknown %llu, rejected %llu), "
        "runs %llu (repeated %llu, answered again %llu, outlived a home %llu), entries %llu, "
        "checkpoints %llu (rows %llu, came due %llu, loaded %llu, "
        "purged %llu), faults %llu, store errors %llu, terms %llu (%llu refusals), "
        "hand-overs %llu, "
        "stale results %llu, late frames %llu, duplicates %llu, dead letters %llu, crashes %llu, "
        "failed builds %llu, kept alive %llu, cancelled %llu, interrupted %llu, attempts %llu, "
        "parked %llu, resumed %llu, unharmed %llu, late us %llu, clears %llu (messages %llu), "
        "states "
        "%llu (given %llu, read %llu), early %llu (never stored %llu), "
        "events %llu (snapshots %llu, parts %llu, unreadable %llu, read %llu), "
        "told %llu\n",
        (ull)r->events, (ull)r->virtual_ms, (ull)r->calls, (ull)r->durable, (ull)r->unknown,
        (ull)r->rejected, (ull)r->runs, (ull)r->repeated, (ull)r->kept, (ull)r->outlived,
        (ull)r->entries, (ull)r->checkpoints, (ull)r->rows, (ull)r->moves, (ull)r->loaded,
        (ull)r->purged, (ull)r->faults, (ull)r->store_errors, (ull)r->takeovers, (ull)r->refusals,
        (ull)r->hand_overs, (ull)r->stale, (ull)r->late, (ull)r->duplicates, (ull)r->dead_letters,
        (ull)r->crashes, (ull)r->unbuilt, (ull)r->alive, (ull)r->cancelled, (ull)r->interrupted,
        (ull)r->attempts, (ull)r->parked, (ull)r->resumed, (ull)r->unharmed, (ull)r->late_us,
        (ull)r->clears, (ull)r->cleared, (ull)r->states, (ull)r->given, (ull)r->reread,
        (ull)r->early, (ull)r->unstored, (ull)r->appended, (ull)r->snapshots, (ull)r->parts,
        (ull)r->unreadable, (ull)r->read, (ull)r->told);
}

static void add(simulation_result_t *sum, const simulation_result_t *one)
{
    sum->events += one->events;
    sum->virtual_ms += one->virtual_ms;
    sum->calls += one->calls;
    sum->durable += one->durable;
    sum->unknown += one->unknown;
    sum->rejected += one->rejected;
    sum->runs += one->runs;
    sum->entries += one->entries;
    sum->checkpoints += one->checkpoints;
    sum->rows += one->rows;
    sum->moves += one->moves;
    sum->loaded += one->loaded;
    sum->purged += one->purged;
    sum->faults += one->faults;
    sum->takeovers += one->takeovers;
    sum->hand_overs += one->hand_overs;
    sum->refusals += one->refusals;
    sum->repeated += one->repeated;
    sum->unbuilt += one->unbuilt;
    sum->attempts += one->attempts;
    sum->parked += one->parked;
    sum->clears += one->clears;
    sum->states += one->states;
    sum->given += one->given;
    sum->reread += one->reread;
    sum->appended += one->appended;
    sum->snapshots += one->snapshots;
    sum->parts += one->parts;
    sum->unreadable += one->unreadable;
    sum->read += one->read;
    sum->early += one->early;
    sum->unstored += one->unstored;
    sum->told += one->told;
    sum->cleared += one->cleared;
    sum->resumed += one->resumed;
    sum->unharmed += one->unharmed;
    sum->late_us = one->late_us > sum->late_us ? one->late_us : sum->late_us;
    sum->alive += one->alive;
    sum->kept += one->kept;
    sum->outlived += one->outlived;
    sum->stale += one->stale;
    sum->late += one->late;
    sum->duplicates += one->duplicates;
    sum->dead_letters += one->dead_letters;
    sum->crashes += one->crashes;
    sum->cancelled += one->cancelled;
    sum->interrupted += one->interrupted;
    sum->store_errors += one->store_errors;
}

static void calm(void **state)
{
    (void)state;
    simulation_result_t result;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        assert_true(run(&calm_runs, seed, false, &result));
        assert_int_equal(result.unknown, 0);
        assert_true(result.runs >= result.durable);
    }
}

/* Whenever the reports arrive: each crash of the poison message is counted, no other message gets a
 * count, and the last crash makes a dead letter. */
static void only_the_poison_message_is_counted(void **state)
{
    (void)state;
    simulation_result_t result;
    uint64_t dead_letters = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        assert_true(run(&poison, seed, false, &result));
        assert_int_equal(result.crashes, 3 * result.dead_letters);
        dead_letters += result.dead_letters;
    }
    assert_in_range(dead_letters, 1, 100);
}

/* A broker goes on serving until it notices; then it stops for good. It tells nobody of an entry
 * behind what is lost, on an old connection or on a new one, unless the loss was a matter of a few
 * milliseconds. Where only an entry was lost of which the broker had not heard yet, the broker
 * appends that entry again, and nothing is lost. */
static void lost_commits_are_noticed(void **state)
{
    (void)state;
    simulation_result_t result;
    uint64_t noticed = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        assert_true(run(&loss, seed, false, &result));
        assert_in_range(result.lost, 0, 1);
        assert_int_equal(result.misplaced, 0);
        noticed += result.lost;
    }
    assert_in_range(noticed, 95, 100);
}

/* Whatever of theirs is still on its way to the store, and however much of theirs is purged. */
static void earlier_holders_change_nothing(void **state)
{
    (void)state;
    simulation_result_t sum = {0};
    for (uint64_t seed = 1; seed <= TAKEOVER_SEEDS; seed++) {
        simulation_result_t result;
        assert_true(run(&takeovers, seed, false, &result));
        add(&sum, &result);
    }
    print_result(&sum);
    assert_true(sum.takeovers > 2 * TAKEOVER_SEEDS && sum.purged > 0 && sum.loaded > 0);
    assert_true(sum.moves > 0);
}

/* A primary key has one message, whoever sends it when, and whatever fails (I8). */
static void a_primary_key_has_one_message(void **state)
{
    (void)state;
    simulation_result_t sum = {0};
    for (uint64_t seed = 1; seed <= KEYED_SEEDS; seed++) {
        simulation_result_t result;
        assert_true(run(seed % 2 ? &keys : &taken_keys, seed, false, &result));
        add(&sum, &result);
    }
    print_result(&sum);
    assert_true(sum.duplicates > 20 * KEYED_SEEDS && sum.takeovers > KEYED_SEEDS);
}

static void run_in_turn(const kind_t *const *all, size_t count, uint64_t seeds,
                        simulation_result_t *sum)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        simulation_result_t result;
        assert_true(run(all[seed % count], seed, false, &result));
        add(sum, &result);
    }
    print_result(sum);
}

/* None before its time, each once, in the order of the times, whoever is their home by then. */
static void scheduled_messages_come_at_their_times(void **state)
{
    (void)state;
    static const kind_t *const all[] = {&punctual, &schedules, &taken_schedules};
    simulation_result_t sum = {0};
    run_in_turn(all, 3, SCHEDULED_SEEDS, &sum);
    assert_true(sum.moves > 20 * SCHEDULED_SEEDS && sum.takeovers > SCHEDULED_SEEDS);
    assert_true(sum.loaded > SCHEDULED_SEEDS);
}

/* All messages of an entity that were accepted before its clear end with it, and none else. */
static void a_clear_ends_what_its_entity_has(void **state)
{
    (void)state;
    static const kind_t *const all[] = {&clears, &taken_clears, &late_clears};
    simulation_result_t sum = {0};
    run_in_turn(all, 3, CLEARED_SEEDS, &sum);
    assert_true(sum.clears > 4 * CLEARED_SEEDS && sum.cleared > 4 * CLEARED_SEEDS);
}

/* They are tried as often as their types say, and nothing overtakes them. */
static void failing_messages_keep_their_place(void **state)
{
    (void)state;
    static const kind_t *const all[] = {&defects, &failing, &taken_failing, &late_failing};
    simulation_result_t sum = {0};
    run_in_turn(all, 4, FAILING_SEEDS, &sum);
    assert_true(sum.attempts > 20 * FAILING_SEEDS && sum.crashes > 0 && sum.dead_letters > 0);
    assert_true(sum.parked > FAILING_SEEDS && sum.resumed > FAILING_SEEDS);
    assert_true(sum.unbuilt > FAILING_SEEDS && sum.unharmed > FAILING_SEEDS);
}

/* Each once, in the order of the lane, and nothing else; a state never goes back (I4). */
static void a_state_is_what_its_stored_messages_make(void **state)
{
    (void)state;
    static const kind_t *const all[] = {&states, &taken_states, &failing_states, &cleared_states,
                                        &restarted_states};
    simulation_result_t sum = {0};
    run_in_turn(all, 5, PERSISTED_SEEDS, &sum);
    assert_true(sum.states > 50 * PERSISTED_SEEDS && sum.given > 20 * PERSISTED_SEEDS);
    assert_true(sum.reread > 10 * PERSISTED_SEEDS && sum.takeovers > PERSISTED_SEEDS);
}

/* Nothing follows from a message that is handled before it is stored unless it is stored (I4, I10),
 * whatever is lost in between. */
static void what_is_handled_early_counts_once_it_is_stored(void **state)
{
    (void)state;
    static const kind_t *const all[] = {
        &early,         &taken_early,   &early_states, &taken_early_states,
        &failing_early, &cleared_early, &keyed_early,  &restarted_early};
    simulation_result_t sum = {0};
    run_in_turn(all, 8, EARLY_SEEDS, &sum);
    assert_true(sum.early > 50 * EARLY_SEEDS && sum.unstored > EARLY_SEEDS);
}

/* Of each message that is stored once, in the order of the lane, and nothing else, whoever reads
 * them (I4). */
static void an_entity_is_what_its_events_make(void **state)
{
    (void)state;
    static const kind_t *const all[] = {
        &events,           &taken_events, &failing_events,     &cleared_events,
        &restarted_events, &early_events, &taken_early_events, &cleared_early_events};
    simulation_result_t sum = {0};
    run_in_turn(all, 8, EVENTS_SEEDS, &sum);
    assert_true(sum.appended > 50 * EVENTS_SEEDS && sum.snapshots > 10 * EVENTS_SEEDS);
    assert_true(sum.read > 50 * EVENTS_SEEDS && sum.given > 20 * EVENTS_SEEDS);
    assert_true(sum.parts > 0 && sum.unreadable > 0);
}

/* With the end of its handler's message, or never (I4, I10); each once, and in order (I5, I7). */
static void what_handlers_tell_others_is_accepted_once(void **state)
{
    (void)state;
    static const kind_t *const all[] = {&tells,         &taken_tells, &early_tells,    &state_tells,
                                        &failing_tells, &apart_tells, &restarted_tells};
    simulation_result_t sum = {0};
    run_in_turn(all, 7, TOLD_SEEDS, &sum);
    assert_true(sum.told > 30 * TOLD_SEEDS && sum.takeovers > TOLD_SEEDS && sum.purged > 0);
}

/* A link that is cut proves nothing about the broker at its end. */
static void cut_links_between_brokers_fence_nobody(void **state)
{
    (void)state;
    simulation_result_t sum = {0};
    for (uint64_t seed = 1; seed <= APART_SEEDS; seed++) {
        simulation_result_t result;
        assert_true(run(&apart, seed, false, &result));
        assert_int_equal(result.takeovers, 1);
        assert_int_equal(result.fenced, 0);
        add(&sum, &result);
    }
    print_result(&sum);
    assert_true(sum.faults > APART_SEEDS);
}

/* At any time, also before all brokers have welcomed a worker, and several at once. One worker
 * stays. */
static void a_rolling_restart_of_workers_fails_no_call(void **state)
{
    (void)state;
    simulation_result_t sum = {0};
    for (uint64_t seed = 1; seed <= ROLLING_SEEDS; seed++) {
        simulation_result_t result;
        assert_true(run(&rolling, seed, false, &result));
        assert_true(result.restarts > 10);
        add(&sum, &result);
    }
    print_result(&sum);
}

/* Clients reach some brokers by way of others. Workers are restarted meanwhile. */
static void a_rolling_restart_of_brokers_fails_no_call(void **state)
{
    (void)state;
    simulation_result_t sum = {0};
    for (uint64_t seed = 1; seed <= ROLLING_SEEDS; seed++) {
        simulation_result_t result;
        assert_true(run(&rolling_brokers, seed, false, &result));
        assert_true(result.restarts > 5); /* a slow store drains a broker in seconds */
        add(&sum, &result);
    }
    print_result(&sum);
}

static void same_seed_same_trace(void **state)
{
    (void)state;
    simulation_result_t first, second, other;
    run(&usual, 3, false, &first);
    run(&usual, 3, false, &second);
    run(&usual, 4, false, &other);
    assert_int_equal(first.events, second.events);
    assert_true(first.trace_hash == second.trace_hash);
    assert_true(first.trace_hash != other.trace_hash);
}

/* The first seed: a random one, or 1 where a number of seeds was asked for, and with CI=true, where
 * a failure is to be that of the change. */
static uint64_t first_seed(uint64_t wanted)
{
    const char *ci = getenv("CI");
    bool same = wanted > 0 || (ci && strcmp(ci, "true") == 0);
    uint32_t drawn = 0;
    random_bytes(&drawn, sizeof drawn);
    return number_from("FABRIC_SIMULATION_FIRST", same ? 1 : UINT64_C(1) + drawn);
}

/* Faults and their consequences. A run without them proves nothing. */
static bool has_usual_events(const simulation_result_t *sum)
{
    return sum->faults > 0 && sum->repeated > 0 && sum->late > 0 && sum->store_errors > 0 &&
           sum->unbuilt > 0 && sum->alive > 0 && sum->unknown > 0 && sum->rows > 0 &&
           sum->loaded > 0 && sum->purged > 0 && sum->cancelled > 0 && sum->interrupted > 0 &&
           sum->states > 0 && sum->given > 0 && sum->reread > 0;
}

static bool has_rare_events(const simulation_result_t *sum)
{
    return sum->stale > 0 && sum->dead_letters > 0 && sum->refusals > 0 && sum->kept > 0 &&
           sum->outlived > 0;
}

/* FABRIC_SIMULATION_SEEDS of them, or as many as fit into FABRIC_SIMULATION_SECONDS; on a slow
 * machine more, until all events have happened. */
static void seeds(void **state)
{
    (void)state;
    const kind_t *kind = wanted_kind();
    uint64_t wanted = number_from("FABRIC_SIMULATION_SEEDS", 0);
    uint64_t seconds = number_from("FABRIC_SIMULATION_SECONDS", SECONDS_DEFAULT);
    uint64_t first = first_seed(wanted);
    uint64_t end_ms = clock_monotonic_ms() + 1000 * seconds;
    uint64_t seeds = 0;
    uint64_t failed = 0;
    simulation_result_t sum = {0};
    printf("simulation: seeds from %llu on\n", (unsigned long long)first);
    bool more;
    do {
        simulation_result_t result;
        failed += !run(kind, first + seeds, false, &result);
        add(&sum, &result);
        seeds++;
        bool complete = kind != &usual || (has_usual_events(&sum) && has_rare_events(&sum));
        more = wanted > 0 ? seeds < wanted
                          : clock_monotonic_ms() < end_ms || (!complete && seeds < RARE_SEEDS);
    } while (more);
    printf("simulation: %llu seeds from %llu on\n", (unsigned long long)seeds,
           (unsigned long long)first);
    print_result(&sum);
    assert_int_equal(failed, 0);
    assert_true(kind != &usual || seeds < USUAL_SEEDS || has_usual_events(&sum));
    assert_true(kind != &usual || seeds < RARE_SEEDS || has_rare_events(&sum));
}

static void one_seed(void **state)
{
    (void)state;
    simulation_result_t result;
    bool good = run(wanted_kind(), number_from("FABRIC_SIMULATION_SEED", 1), true, &result);
    print_result(&result);
    assert_true(good);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(calm),
        cmocka_unit_test(only_the_poison_message_is_counted),
        cmocka_unit_test(lost_commits_are_noticed),
        cmocka_unit_test(earlier_holders_change_nothing),
        cmocka_unit_test(a_primary_key_has_one_message),
        cmocka_unit_test(scheduled_messages_come_at_their_times),
        cmocka_unit_test(failing_messages_keep_their_place),
        cmocka_unit_test(a_clear_ends_what_its_entity_has),
        cmocka_unit_test(a_state_is_what_its_stored_messages_make),
        cmocka_unit_test(what_is_handled_early_counts_once_it_is_stored),
        cmocka_unit_test(an_entity_is_what_its_events_make),
        cmocka_unit_test(what_handlers_tell_others_is_accepted_once),
        cmocka_unit_test(cut_links_between_brokers_fence_nobody),
        cmocka_unit_test(a_rolling_restart_of_workers_fails_no_call),
        cmocka_unit_test(a_rolling_restart_of_brokers_fails_no_call),
        cmocka_unit_test(same_seed_same_trace),
        cmocka_unit_test(seeds),
    };
    const struct CMUnitTest one[] = {cmocka_unit_test(one_seed)};
    signal(SIGABRT, on_abort);
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    if (number_from("FABRIC_SIMULATION_SEED", 0)) {
        return cmocka_run_group_tests(one, NULL, NULL);
    }
    return cmocka_run_group_tests(all, NULL, NULL);
}
