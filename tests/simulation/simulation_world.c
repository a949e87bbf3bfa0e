/* Virtual time: chance, events and processes. See simulation_world.h. */
#include "tests/simulation/simulation_world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/random.h"

world_t world;

/* ---- chance ---- */

uint64_t world_random(void)
{
    return random_next(&world.random);
}

uint64_t world_between(uint64_t low, uint64_t high)
{
    return low + world_random() % (high - low + 1);
}

uint64_t world_us_of(uint64_t low_ms, uint64_t high_ms)
{
    return world_between(low_ms * 1000, high_ms * 1000);
}

bool world_chance(uint32_t of_10000)
{
    return world_random() % 10000 < of_10000;
}

incarnation_t world_incarnation(void)
{
    incarnation_t incarnation;
    uint64_t halves[2] = {world_random(), world_random() | 1};
    memcpy(incarnation.bytes, halves, sizeof incarnation.bytes);
    return incarnation;
}

/* ---- what happens ---- */

static void hash_in(uint64_t value)
{
    uint64_t *hash = &world.result->trace_hash;
    *hash = (*hash ^ value) * UINT64_C(0x100000001b3);
    *hash ^= *hash >> 29;
}

void world_note(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    for (const char *at = what; *at; at++) {
        hash_in((uint8_t)*at);
    }
    hash_in(world.now_us);
    hash_in(a);
    hash_in(b);
    hash_in(c);
    if (world.trace) {
        fprintf(stderr, "%12.3f %-24s %llu %llu %llx\n", (double)world.now_us / 1000.0, what,
                (unsigned long long)a, (unsigned long long)b, (unsigned long long)c);
    }
}

void world_fail(const char *format, ...)
{
    char text[sizeof world.result->what - 32];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (world.trace) {
        fprintf(stderr, "%12.3f FAILED: %s\n", (double)world.now_us / 1000.0, text);
    }
    if (!world.result->failed && !world.forgot) {
        world.result->failed = true;
        snprintf(world.result->what, sizeof world.result->what, "%s (at %llu ms)", text,
                 (unsigned long long)(world.now_us / 1000));
    }
}

/* ---- events: a binary heap ---- */

event_t *event_new(process_t *process, void (*run)(event_t *event), void *subject, size_t size)
{
    event_t *event = calloc(1, sizeof *event + size);
    if (!event) {
        abort();
    }
    event->run = run;
    event->process = process;
    event->life = process ? process->life : 0;
    event->subject = subject;
    event->size = size;
    return event;
}

static bool is_before(const event_t *a, const event_t *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void sift_up(size_t at)
{
    event_t *event = world.heap[at];
    while (at > 0 && is_before(event, world.heap[(at - 1) / 2])) {
        world.heap[at] = world.heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world.heap[at] = event;
}

static void sift_down(size_t at)
{
    event_t *event = world.heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world.heap_size) {
            break;
        }
        if (child + 1 < world.heap_size && is_before(world.heap[child + 1], world.heap[child])) {
            child++;
        }
        if (!is_before(world.heap[child], event)) {
            break;
        }
        world.heap[at] = world.heap[child];
        at = child;
    }
    world.heap[at] = event;
}

void event_schedule(event_t *event, uint64_t at_us)
{
    if (world.heap_size == world.heap_capacity) {
        world.heap_capacity = world.heap_capacity ? 2 * world.heap_capacity : 1024;
        world.heap = realloc(world.heap, world.heap_capacity * sizeof *world.heap);
        if (!world.heap) {
            abort();
        }
    }
    event->at_us = at_us > world.now_us ? at_us : world.now_us;
    event->order = ++world.order;
    world.heap[world.heap_size] = event;
    sift_up(world.heap_size++);
}

static event_t *take_first(void)
{
    event_t *first = world.heap[0];
    world.heap[0] = world.heap[--world.heap_size];
    if (world.heap_size > 0) {
        sift_down(0);
    }
    return first;
}

void event_drop(event_t *event)
{
    if (event->drop) {
        event->drop(event);
    }
    free(event);
}

bool world_step(void)
{
    if (world.heap_size == 0) {
        return false;
    }
    event_t *event = take_first();
    assert(event->at_us >= world.now_us);
    world.now_us = event->at_us;
    process_t *process = event->process;
    if (process && process->life != event->life) {
        event_drop(event);
    } else if (process && process->frozen) {
        event->next = NULL;
        *process->held_end = event;
        process->held_end = &event->next;
    } else if (process && process->thaw_us == world.now_us && event->order <= process->thaw_order) {
        event_schedule(event, world.now_us); /* held events come before this one */
    } else {
        world.result->events++;
        world.running = process;
        event->run(event);
        world.running = NULL;
        free(event);
    }
    return true;
}

static void drop_held(process_t *process)
{
    while (process->held) {
        event_t *event = process->held;
        process->held = event->next;
        event_drop(event);
    }
    process->held_end = &process->held;
}

void world_clear_events(void)
{
    while (world.heap_size > 0) {
        event_drop(world.heap[--world.heap_size]);
    }
    free(world.heap);
    world.heap = NULL;
    world.heap_capacity = 0;
}

/* ---- processes ---- */

enum { TURN_US_MAX = 60, SOON_US = 300 };

int64_t world_unix_ms(void)
{
    return INT64_C(1764000000000) + (int64_t)(world.now_us / 1000);
}

uint64_t process_now_ms(const process_t *process)
{
    return process->origin_ms + world.now_us / 1000;
}

static void on_wake(event_t *event)
{
    process_t *process = event->process;
    if (event->number == process->wake_serial) {
        process->wake_us = 0;
        process_touch(process);
    }
}

static void schedule_wake(process_t *process)
{
    uint64_t deadline_ms = process->deadline_ms(process);
    if (deadline_ms == UINT64_MAX) {
        return;
    }
    uint64_t at_us =
        deadline_ms > process->origin_ms ? (deadline_ms - process->origin_ms) * 1000 : 0;
    if (at_us < world.now_us + SOON_US) {
        at_us = world.now_us + SOON_US;
    }
    if (process->wake_us != 0 && process->wake_us <= at_us) {
        return;
    }
    process->wake_us = at_us;
    event_t *event = event_new(process, on_wake, NULL, 0);
    event->number = ++process->wake_serial;
    event_schedule(event, at_us);
}

static void on_turn(event_t *event)
{
    process_t *process = event->process;
    uint64_t life = process->life;
    process->turn_due = false;
    process->turns++;
    process->turn(process);
    if (process->life == life) {
        schedule_wake(process);
    }
}

void process_touch(process_t *process)
{
    if (process->up && !process->turn_due) {
        process->turn_due = true;
        event_schedule(event_new(process, on_turn, NULL, 0),
                       world.now_us + world_between(1, TURN_US_MAX));
    }
}

void simulation_process_start(process_t *process)
{
    assert(!process->up);
    process->life++;
    process->up = true;
    process->frozen = false;
    process->turn_due = false;
    process->wake_us = 0;
    process->held_end = &process->held;
    process->origin_ms = world_between(1, 1000000);
    world_note("start", process->kind, process->index, process->life);
    process->start(process);
}

void process_crash(process_t *process)
{
    assert(process->up);
    world_note("crash", process->kind, process->index, process->life);
    process->stop(process);
    process->up = false;
    process->frozen = false;
    process->accepting = false;
    process->life++;
    drop_held(process);
}

void process_freeze(process_t *process)
{
    world_note("freeze", process->kind, process->index, process->life);
    process->frozen = true;
}

process_t *world_process(size_t index)
{
    const world_plan_t *plan = &world.plan;
    if (index < plan->brokers) {
        return world.brokers[index];
    }
    index -= plan->brokers;
    if (index < plan->workers) {
        return world.workers[index];
    }
    index -= plan->workers;
    return index < plan->clients ? world.clients[index] : NULL;
}

/* Events that were held while the process was frozen run now, in their order. */
void process_thaw(process_t *process)
{
    world_note("thaw", process->kind, process->index, process->life);
    process->frozen = false;
    process->thaw_us = world.now_us;
    process->thaw_order = world.order;
    event_t *event = process->held;
    process->held = NULL;
    process->held_end = &process->held;
    while (event) {
        event_t *next = event->next;
        event->next = NULL;
        event_schedule(event, world.now_us);
        event = next;
    }
}
