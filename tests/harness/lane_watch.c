/* How long lanes and shards do not answer: see lane_watch.h. */
#include "tests/harness/lane_watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/clock.h"

enum {
    SHARDS = 300,
    CALL_MS = 60000, /* durable calls outlast everything that a test does */
    STEP_MS = 5,
    PERIOD_MS = 50, /* between two calls to the same shard */
    END_MS = 90000
};

/* Programs that a sanitizer watches manage fewer calls. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 5 };
#else
enum { STRIDE = 1 };
#endif

/* When something answered the last time, and for how long it did not since the mark. */
typedef struct gap {
    uint64_t replied_ms;
    uint64_t longest_ms;
} gap_t;

/* One call after the other to the same entity. */
typedef struct caller {
    lane_watch_t *watch;
    uint32_t lane;
    bool durable;
    bool open;
    char entity[32];
    uint64_t started_ms;
    gap_t gap; /* under the watch's lock */
} caller_t;

struct lane_watch {
    testbed_t *bed;
    fabric_client_t *client;
    pthread_t thread;
    uint32_t period_ms;
    uint32_t count;
    uint32_t open;
    pthread_mutex_t lock;
    /* The fields below are used under the lock. */
    bool stopping;
    gap_t lanes[2][TESTBED_LANES]; /* of volatile calls, of durable ones */
    uint64_t replied[2];           /* likewise */
    uint64_t failed[2];
    char failure[2][300]; /* the first one */
    caller_t callers[2 * SHARDS];
};

/* ---- the thread ---- */

static void end_gap(gap_t *gap, uint64_t now_ms)
{
    uint64_t gap_ms = now_ms - gap->replied_ms;
    gap->longest_ms = gap_ms > gap->longest_ms ? gap_ms : gap->longest_ms;
    gap->replied_ms = now_ms;
}

static void note_failure(const caller_t *caller, const fabric_outcome_t *outcome)
{
    lane_watch_t *watch = caller->watch;
    if (watch->failed[caller->durable]++ == 0) {
        snprintf(watch->failure[caller->durable], sizeof watch->failure[0],
                 "a %s call to %s: %s: %.200s", caller->durable ? "durable" : "volatile",
                 caller->entity, fabric_error_name(outcome->error), outcome->text);
    }
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    caller_t *caller = context;
    lane_watch_t *watch = caller->watch;
    uint64_t now_ms = clock_monotonic_ms();
    (void)payload;
    caller->open = false;
    watch->open--;
    pthread_mutex_lock(&watch->lock);
    if (outcome->error) {
        note_failure(caller, outcome);
    } else {
        watch->replied[caller->durable]++;
        end_gap(&caller->gap, now_ms);
        end_gap(&watch->lanes[caller->durable][caller->lane], now_ms);
    }
    pthread_mutex_unlock(&watch->lock);
}

static void start_call(caller_t *caller, uint64_t now_ms)
{
    probe_text_t request = {"watch"};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, caller->entity),
                          .message = caller->durable ? &probe_echo : &probe_volatile_echo,
                          .request = &request,
                          .timeout_ms = CALL_MS};
    caller->open =
        fabric_client_start(caller->watch->client, &call, call_ended, caller, NULL) == FABRIC_OK;
    caller->watch->open += caller->open;
    caller->started_ms = now_ms;
}

static bool is_stopping(lane_watch_t *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool stopping = watch->stopping;
    pthread_mutex_unlock(&watch->lock);
    return stopping;
}

static void start_calls(lane_watch_t *watch)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (uint32_t i = 0; i < watch->count; i++) {
        caller_t *caller = &watch->callers[i];
        if (!caller->open && now_ms >= caller->started_ms + watch->period_ms) {
            start_call(caller, now_ms);
        }
    }
}

static void *run(void *context)
{
    lane_watch_t *watch = context;
    while (!is_stopping(watch)) {
        start_calls(watch);
        (void)fabric_client_wait(watch->client, STEP_MS);
    }
    return NULL;
}

/* ---- starting and stopping ---- */

/* An entity of the shard. */
static void name_entity(caller_t *caller, uint32_t shard)
{
    for (unsigned i = 0;; i++) {
        snprintf(caller->entity, sizeof caller->entity, "watch-%u", i);
        if (address_shard_number(fabric_bytes_of(caller->entity), SHARDS) == shard) {
            return;
        }
    }
}

static void name_entities(lane_watch_t *watch, lane_watch_scope_t scope)
{
    uint32_t shards = scope == LANE_WATCH_LANES ? TESTBED_LANES : SHARDS;
    for (uint32_t shard = 1; shard <= shards; shard += scope == LANE_WATCH_LANES ? 1 : STRIDE) {
        for (int durable = 0; durable < 2; durable++) {
            caller_t *caller = &watch->callers[watch->count++];
            *caller =
                (caller_t){.watch = watch, .lane = shard % TESTBED_LANES, .durable = durable != 0};
            name_entity(caller, shard);
        }
    }
}

/* The thread takes no signals: they are for the test. */
static void start_thread(lane_watch_t *watch)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->thread, NULL, run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        abort();
    }
}

static void stop_thread(lane_watch_t *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    watch->bed->at_end = NULL;
}

static void release(lane_watch_t *watch)
{
    fabric_client_close(&watch->client);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

/* Of a test that has failed. */
static void end_at_once(void *context)
{
    stop_thread(context);
    release(context);
}

static bool have_all_answered(lane_watch_t *watch)
{
    bool answered = true;
    pthread_mutex_lock(&watch->lock);
    for (uint32_t i = 0; i < watch->count; i++) {
        answered = answered && watch->callers[i].gap.replied_ms > 0;
    }
    pthread_mutex_unlock(&watch->lock);
    return answered;
}

lane_watch_t *lane_watch_start(testbed_t *bed, lane_watch_scope_t scope)
{
    fabric_client_options_t options = {.name = "watch", .connect_timeout_ms = END_MS};
    uint64_t deadline_ms = clock_monotonic_ms() + END_MS;
    lane_watch_t *watch = calloc(1, sizeof *watch);
    assert_non_null(watch);
    watch->bed = bed;
    watch->period_ms = scope == LANE_WATCH_SHARDS ? PERIOD_MS : 0;
    name_entities(watch, scope);
    pthread_mutex_init(&watch->lock, NULL);
    fabric_error_t error = fabric_client_open(bed->cluster.urls, &options, &watch->client, NULL);
    if (error) {
        release(watch);
    }
    assert_int_equal(error, FABRIC_OK);
    start_thread(watch);
    assert_null(bed->at_end);
    bed->at_end = end_at_once;
    bed->at_end_context = watch;
    while (!have_all_answered(watch)) {
        testbed_poll(deadline_ms, "an answer of each entity that is watched");
    }
    lane_watch_mark(watch);
    return watch;
}

void lane_watch_end(lane_watch_t **at)
{
    lane_watch_t *watch = *at;
    uint64_t deadline_ms = clock_monotonic_ms() + END_MS;
    stop_thread(watch);
    while (watch->open > 0 && clock_monotonic_ms() < deadline_ms) {
        (void)fabric_client_wait(watch->client, STEP_MS);
    }
    uint32_t open = watch->open;
    release(watch);
    *at = NULL;
    assert_int_equal(open, 0);
}

/* ---- figures ---- */

void lane_watch_mark(lane_watch_t *watch)
{
    gap_t none = {clock_monotonic_ms(), 0};
    pthread_mutex_lock(&watch->lock);
    for (uint32_t i = 0; i < watch->count; i++) {
        watch->callers[i].gap = none;
        watch->lanes[watch->callers[i].durable][watch->callers[i].lane] = none;
    }
    pthread_mutex_unlock(&watch->lock);
}

/* The longer one of the gap and `so_far_ms`; a gap may not have ended yet. */
static uint64_t longer(const gap_t *gap, uint64_t now_ms, uint64_t so_far_ms)
{
    uint64_t open_ms = now_ms - gap->replied_ms;
    uint64_t gap_ms = open_ms > gap->longest_ms ? open_ms : gap->longest_ms;
    return gap_ms > so_far_ms ? gap_ms : so_far_ms;
}

uint32_t lane_watch_gap_ms(lane_watch_t *watch, lane_watch_scope_t scope, bool durable)
{
    uint64_t longest_ms = 0;
    pthread_mutex_lock(&watch->lock);
    uint64_t now_ms = clock_monotonic_ms();
    for (uint32_t i = 0; i < watch->count; i++) {
        const caller_t *caller = &watch->callers[i];
        if (caller->durable == durable) {
            const gap_t *gap =
                scope == LANE_WATCH_LANES ? &watch->lanes[durable][caller->lane] : &caller->gap;
            longest_ms = longer(gap, now_ms, longest_ms);
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return (uint32_t)longest_ms;
}

static uint64_t read_count(lane_watch_t *watch, const uint64_t *count)
{
    pthread_mutex_lock(&watch->lock);
    uint64_t value = *count;
    pthread_mutex_unlock(&watch->lock);
    return value;
}

uint64_t lane_watch_replied(lane_watch_t *watch, bool durable)
{
    return read_count(watch, &watch->replied[durable]);
}

uint64_t lane_watch_failed(lane_watch_t *watch, bool durable)
{
    return read_count(watch, &watch->failed[durable]);
}

void lane_watch_expect_none_failed(lane_watch_t *watch, bool durable)
{
    char failure[sizeof watch->failure[0]];
    pthread_mutex_lock(&watch->lock);
    uint64_t failed = watch->failed[durable];
    memcpy(failure, watch->failure[durable], sizeof failure);
    pthread_mutex_unlock(&watch->lock);
    if (failed > 0) {
        fail_msg("%llu calls failed; first %s", (unsigned long long)failed, failure);
    }
}
