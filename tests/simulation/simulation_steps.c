/* Steps at which faults strike. See simulation_steps.h. */
#include "tests/simulation/simulation_steps.h"

#include <assert.h>
#include <stdio.h>

#include "broker/coordinator/effects.h"
#include "core/crash_point.h"
#include "core/message.h"
#include "tests/memory/memory_store.h"

enum {
    WAIT_MS_MAX = 1000,
    CAUSED_WAIT_MS_MAX = 3000, /* for a step that was caused, or is rare */
    PASSES_MAX = 3,            /* of steps that are often taken */
    POINT_OF_100 = 50,
    STORE_OF_100 = 20,
    EFFECT_OF_100 = 10
};

typedef struct step {
    step_kind_t kind;
    unsigned number;
    step_cause_t cause;
    const char *name;
} step_t;

/* ---- the steps ---- */

#ifdef FABRIC_TEST_BUILD
#define POINT(point, cause, name)                                                                  \
    {                                                                                              \
        STEP_POINT, CRASH_POINT_##point, CAUSE_##cause, name                                       \
    }
#else
#define POINT(point, cause, name)                                                                  \
    {                                                                                              \
        STEP_KINDS, 0, CAUSE_##cause, name                                                         \
    }
#endif
#define STORE(operation, cause, name)                                                              \
    {STEP_STORE_SENT, MEMORY_STORE_##operation, CAUSE_##cause, name " sent"},                      \
    {                                                                                              \
        STEP_STORE_DONE, MEMORY_STORE_##operation, CAUSE_##cause, name " done"                     \
    }
#define EFFECT(effect, cause, name)                                                                \
    {                                                                                              \
        STEP_EFFECT, COORDINATOR_##effect, CAUSE_##cause, name                                     \
    }
#define FRAME(message, cause)                                                                      \
    {STEP_FRAME_SENT, KIND_##message, CAUSE_##cause, #message " sent"},                            \
    {                                                                                              \
        STEP_FRAME_ARRIVED, KIND_##message, CAUSE_##cause, #message " arrived"                     \
    }

/* Those of usual work stand beside those of elections, takeovers, hand-overs and changes of owners,
 * in groups of one kind. */
static const step_t points[] = {
    POINT(JOIN_BEFORE, RESTART, "join.before"),
    POINT(JOIN_AFTER, RESTART, "join.after"),
    POINT(TERM_TAKEN, ELECTION, "term.taken"),
    POINT(BROKER_REMOVED, ELECTION, "broker.removed"),
    POINT(LANE_ASSIGNED, RESTART, "lane.assigned"),
    POINT(ADOPT_BEFORE, RESTART, "adopt.before"),
    POINT(ADOPT_TAKEN, RESTART, "adopt.taken"),
    POINT(ADOPT_READ, RESTART, "adopt.read"),
    POINT(ADOPT_AFTER, RESTART, "adopt.after"),
    POINT(ADOPT_REPORTED, RESTART, "adopt.reported"),
    POINT(MAP_BEFORE, NOTHING, "map.before"),
    POINT(TYPE_PUT_AFTER, NOTHING, "type_put.after"),
    POINT(RUNNER_PUT_AFTER, RELEASE, "runner_put.after"),
    POINT(BATCH_TAKEN, NOTHING, "batch.taken"),
    POINT(APPEND_BEFORE, NOTHING, "append.before"),
    POINT(APPEND_AFTER, NOTHING, "append.after"),
    POINT(APPEND_REPORTED, NOTHING, "append.reported"),
    POINT(ANSWERS_QUEUED, NOTHING, "answers.queued"),
    POINT(SETTLE_BEFORE, NOTHING, "settle.before"),
    POINT(SETTLE_AFTER, NOTHING, "settle.after"),
    POINT(LOOKUP_FOUND, NOTHING, "lookup.found"),
    POINT(SLICE_BEFORE, NOTHING, "slice.before"),
    POINT(SLICE_AFTER, NOTHING, "slice.after"),
    POINT(PURGE_AFTER, NOTHING, "purge.after"),
    POINT(LOAD_INSIDE, NOTHING, "load.inside"),
    POINT(LOAD_AFTER, NOTHING, "load.after"),
    POINT(RELEASE_ASKED, RELEASE, "release.asked"),
    POINT(RELEASE_RECEIVED, RELEASE, "release.received"),
    POINT(OWNER_CHOSEN, RELEASE, "owner.chosen"),
    POINT(HAND_OVER_BEGUN, HAND_OVER, "hand_over.begun"),
    POINT(HAND_OVER_LEAVING, HAND_OVER, "hand_over.leaving"),
    POINT(HAND_OVER_READY, HAND_OVER, "hand_over.ready"),
    POINT(GIVE_UP_BEFORE, HAND_OVER, "give_up.before"),
    POINT(GIVE_UP_AFTER, HAND_OVER, "give_up.after"),
    POINT(HAND_OVER_REPORTED, HAND_OVER, "hand_over.reported"),
    POINT(DRAIN_BEGUN, HAND_OVER, "drain.begun"),
    POINT(LEAVE_BEFORE, HAND_OVER, "leave.before"),
    POINT(LEAVE_AFTER, HAND_OVER, "leave.after"),
    POINT(WORKER_HANDLED, NOTHING, "handler.returned"),
};
static const step_t stores[] = {
    STORE(JOIN, RESTART, "join"),
    STORE(RENEW, NOTHING, "renew"),
    STORE(LEAVE, HAND_OVER, "leave"),
    STORE(COORDINATE, ELECTION, "coordinate"),
    STORE(ASSIGN, RESTART, "assign"),
    STORE(GIVE_UP, HAND_OVER, "give_up"),
    STORE(TAKE, RESTART, "take"),
    STORE(READ_JOURNAL, RESTART, "read_journal"),
    STORE(CHECKPOINT, NOTHING, "checkpoint"),
    STORE(LOAD, NOTHING, "load"),
    STORE(PURGE, NOTHING, "purge"),
    STORE(APPEND, NOTHING, "append"),
};
static const step_t effects[] = {
    EFFECT(FENCED, RESTART, "effect fenced"),
    EFFECT(ELECTED, ELECTION, "effect elected"),
    EFFECT(HOLDER, ELECTION, "effect holder"),
    EFFECT(MEMBERS, RESTART, "effect members"),
    EFFECT(LANES, RESTART, "effect lanes"),
    EFFECT(LEASE, NOTHING, "effect lease"),
    EFFECT(TYPE, NOTHING, "effect type"),
    EFFECT(ADMITTED, RELEASE, "effect admitted"),
    EFFECT(DESIRE, RELEASE, "effect desire"),
    EFFECT(MAP, NOTHING, "effect map"),
    EFFECT(OWNERS, RELEASE, "effect owners"),
    EFFECT(NO_HEIR, HAND_OVER, "effect no heir"),
    EFFECT(MAP_REVISED, RESTART, "effect map revised"),
    EFFECT(MAP_WANTED, RESTART, "effect map wanted"),
};
static const step_t frames[] = {
    FRAME(HELLO, RESTART),         FRAME(WELCOME, RESTART),        FRAME(MAP, NOTHING),
    FRAME(MAP_WANTED, NOTHING),    FRAME(ASSIGN, RELEASE),         FRAME(RELEASE, RELEASE),
    FRAME(RELEASED, RELEASE),      FRAME(REDIRECT, HAND_OVER),     FRAME(DELIVER, NOTHING),
    FRAME(RESULT, NOTHING),        FRAME(RELAY, NOTHING),          FRAME(RELAYED, NOTHING),
    FRAME(RELAY_ENDED, RESTART),   FRAME(TUNNEL, NOTHING),         FRAME(TUNNEL_ENDED, RESTART),
    FRAME(OWNERS, RELEASE),        FRAME(BROKER_STATE, HAND_OVER), FRAME(RUNNER_ORDER, ORDER),
    FRAME(RUNNER_STANDING, ORDER), FRAME(ENTITY_STATE, NOTHING),   FRAME(RESULT_STATE, NOTHING),
    FRAME(ENTITY_EVENTS, NOTHING), FRAME(RESULT_EVENTS, NOTHING),
};

enum {
    POINTS = sizeof points / sizeof points[0],
    STORES = sizeof stores / sizeof stores[0],
    EFFECTS = sizeof effects / sizeof effects[0],
    FRAMES = sizeof frames / sizeof frames[0]
};

_Static_assert(POINTS + STORES + EFFECTS + FRAMES <= SIMULATION_STEPS_MAX, "too many steps");

static const step_t *step_at(size_t index)
{
    if (index < POINTS) {
        return &points[index];
    }
    index -= POINTS;
    if (index < STORES) {
        return &stores[index];
    }
    index -= STORES;
    if (index < EFFECTS) {
        return &effects[index];
    }
    index -= EFFECTS;
    return index < FRAMES ? &frames[index] : NULL;
}

/* By kind and number: the index + 1; 0: no fault waits for that. */
static uint16_t index_of[STEP_KINDS][256];

static size_t find(step_kind_t kind, unsigned number)
{
    return number < 256 ? index_of[kind][number] : 0;
}

static void fill_indexes(void)
{
    for (size_t i = 0; step_at(i); i++) {
        const step_t *step = step_at(i);
        if (step->kind < STEP_KINDS) {
            assert(step->number < 256);
            index_of[step->kind][step->number] = (uint16_t)(i + 1);
        }
    }
}

bool step_describe(size_t index, const simulation_steps_t *steps, char *text, size_t size)
{
    const step_t *step = step_at(index);
    if (step) {
        snprintf(text, size, "%s %llu/%llu", step->name, (unsigned long long)steps->passed[index],
                 (unsigned long long)steps->struck[index]);
    }
    return step != NULL;
}

/* ---- faults that wait ---- */

typedef struct waiting {
    size_t index;    /* of the step */
    uint64_t passes; /* so many are passed by first */
    uint64_t until_us;
} waiting_t;

static waiting_t waiting[FAULTS_MAX];
static size_t waiting_count, waiting_for_frames;

static bool is_of_frames(size_t index)
{
    return index >= POINTS + STORES + EFFECTS;
}

static waiting_t take_waiting(size_t place)
{
    waiting_t taken = waiting[place];
    waiting[place] = waiting[--waiting_count];
    waiting_for_frames -= is_of_frames(taken.index);
    return taken;
}

bool steps_wait_for_frames(void)
{
    return waiting_for_frames > 0;
}

static void on_strike(event_t *event)
{
    const step_t *step = step_at(event->number);
    faults_strike(event->subject, step->kind, step->number);
}

void steps_pass(process_t *process, step_kind_t kind, unsigned number)
{
    size_t found = find(kind, number);
    if (found == 0 || world.over) {
        return;
    }
    size_t index = found - 1;
    world.result->steps.passed[index]++;
    for (size_t i = 0; i < waiting_count; i++) {
        if (waiting[i].index == index && waiting[i].passes-- == 0) {
            world_note("step", kind, number, process->index);
            take_waiting(i);
            world.result->at_steps++;
            world.result->steps.struck[index]++;
            event_t *event = event_new(NULL, on_strike, process, 0);
            event->number = index;
            event_schedule(event, world.now_us);
            return;
        }
    }
}

/* Nobody has taken a step that faults have waited for long enough. */
static void on_waited(event_t *event)
{
    for (size_t i = waiting_count; i > 0; i--) {
        if (waiting[i - 1].until_us <= world.now_us) {
            take_waiting(i - 1);
            faults_strike_somebody();
        }
    }
    (void)event;
}

static size_t draw_index(void)
{
    uint64_t draw = world_random() % 100;
    if (draw < POINT_OF_100 && points[0].kind == STEP_POINT) {
        return world_random() % POINTS;
    }
    if (draw < POINT_OF_100 + STORE_OF_100) {
        return POINTS + world_random() % STORES;
    }
    if (draw < POINT_OF_100 + STORE_OF_100 + EFFECT_OF_100) {
        return POINTS + STORES + world_random() % EFFECTS;
    }
    return POINTS + STORES + EFFECTS + world_random() % FRAMES;
}

step_cause_t steps_wait(void)
{
    if (waiting_count == FAULTS_MAX) {
        return CAUSE_NOTHING;
    }
    size_t index = draw_index();
    step_cause_t cause = step_at(index)->cause;
    bool rare = cause != CAUSE_NOTHING;
    uint64_t wait_ms = rare ? CAUSED_WAIT_MS_MAX : WAIT_MS_MAX;
    waiting_t added = {index, rare ? world_between(0, 1) : world_between(0, PASSES_MAX),
                       world.now_us + world_us_of(wait_ms / 2, wait_ms)};
    waiting[waiting_count++] = added;
    waiting_for_frames += is_of_frames(index);
    event_schedule(event_new(NULL, on_waited, NULL, 0), added.until_us);
    return cause;
}

/* ---- crash points ---- */

#ifdef FABRIC_TEST_BUILD

/* Of the process whose fiber or event runs. */
static void pass_point(crash_point_t point)
{
    fiber_t *fiber = fiber_current();
    process_t *process = fiber ? fiber_process(fiber) : world.running;
    if (process && process->up && !(fiber && fiber_is_killed(fiber))) {
        steps_pass(process, STEP_POINT, point);
    }
}

static void watch_points(void)
{
    crash_point_watch(pass_point);
}

#else

static void watch_points(void)
{
}

#endif

void steps_begin(void)
{
    fill_indexes();
    steps_end();
    watch_points();
}

void steps_end(void)
{
    waiting_count = waiting_for_frames = 0;
}
