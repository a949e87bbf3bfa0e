/* Fibers: code that blocks - a store actor, a coordinator's store calls - on a stack of its own, so
 * that virtual time passes meanwhile. See simulation_world.h.
 */
#undef _FORTIFY_SOURCE /* its longjmp refuses to go to another stack */
#include "tests/simulation/simulation_world.h"

#include <assert.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

enum { STACK_BYTES = 512 * 1024, WAKE_US_MAX = 30 };

typedef enum fiber_state {
    FIBER_WAITING,
    FIBER_SLEEPING,
    FIBER_IN_DATABASE,
    FIBER_OVER
} fiber_state_t;

struct fiber {
    fiber_t *next;
    ucontext_t context;
    jmp_buf place; /* where it goes on */
    bool begun;
    void *stack;
    process_t *process;
    uint64_t life;
    fiber_fn *run;
    void *argument;
    void (*ended)(void *argument);
    fiber_state_t state;
    uint64_t serial; /* of the wake-up that counts */
    bool killed;
    bool woken; /* while it did not wait */
};

static fiber_t *fibers;
static fiber_t *current;
static ucontext_t outside;
#if !defined(__SANITIZE_ADDRESS__)
static jmp_buf outside_place;
#endif
static void *spare_stacks[64];
static size_t spare_count;

static void *stack_new(void)
{
    if (spare_count > 0) {
        return spare_stacks[--spare_count];
    }
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) {
        abort();
    }
    return stack;
}

static void stack_free(void *stack)
{
#if defined(__SANITIZE_ADDRESS__) /* a fiber that was ended leaves poisoned frames */
    __asan_unpoison_memory_region(stack, STACK_BYTES);
#endif
    if (spare_count < sizeof spare_stacks / sizeof spare_stacks[0]) {
        spare_stacks[spare_count++] = stack;
    } else {
        munmap(stack, STACK_BYTES);
    }
}

/* ---- from one stack to another ----
 *
 * swapcontext makes a system call each time, so only the first switch to a fiber uses it. The
 * sanitizers know of swapcontext, not of jumps between stacks. */

static void go_outside(fiber_t *self)
{
#if defined(__SANITIZE_ADDRESS__)
    swapcontext(&self->context, &outside);
#else
    if (_setjmp(self->place) == 0) {
        _longjmp(outside_place, 1);
    }
#endif
}

static void go_into(fiber_t *fiber)
{
#if defined(__SANITIZE_ADDRESS__)
    swapcontext(&outside, &fiber->context);
#else
    if (_setjmp(outside_place) != 0) {
        return;
    }
    if (fiber->begun) {
        _longjmp(fiber->place, 1);
    }
    fiber->begun = true;
    swapcontext(&outside, &fiber->context);
#endif
}

static void fiber_main(void)
{
    fiber_t *self = current;
    self->run(self->argument);
    self->state = FIBER_OVER;
    go_outside(self);
}

static void fiber_resume(fiber_t *fiber)
{
    assert(!current && fiber->state != FIBER_OVER);
    current = fiber;
    go_into(fiber);
    current = NULL;
    if (fiber->state == FIBER_OVER) {
        stack_free(fiber->stack);
        fiber->stack = NULL;
        fiber->ended(fiber->argument);
    }
}

static void on_resume(event_t *event)
{
    fiber_t *fiber = event->subject;
    if (event->number == fiber->serial && fiber->state != FIBER_OVER) {
        fiber_resume(fiber);
    }
}

static void resume_at(fiber_t *fiber, uint64_t at_us, bool whatever)
{
    event_t *event = event_new(whatever ? NULL : fiber->process, on_resume, fiber, 0);
    event->number = ++fiber->serial;
    event_schedule(event, at_us);
}

fiber_t *fiber_new(process_t *process, fiber_fn *run, void *argument, void (*ended)(void *argument))
{
    fiber_t *fiber = calloc(1, sizeof *fiber);
    if (!fiber) {
        abort();
    }
    fiber->next = fibers;
    fibers = fiber;
    fiber->process = process;
    fiber->life = process->life;
    fiber->run = run;
    fiber->argument = argument;
    fiber->ended = ended;
    fiber->stack = stack_new();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, fiber_main, 0);
    return fiber;
}

void fiber_wake(fiber_t *fiber)
{
    if (fiber->state == FIBER_WAITING && !fiber->killed) {
        if (!fiber->woken) {
            resume_at(fiber, world.now_us + world_between(1, WAKE_US_MAX), false);
        }
    }
    fiber->woken = true;
}

void fiber_kill(fiber_t *fiber)
{
    if (fiber->killed || fiber->state == FIBER_OVER) {
        return;
    }
    fiber->killed = true;
    if (fiber->state != FIBER_IN_DATABASE && fiber != current) {
        resume_at(fiber, world.now_us, true);
    }
}

bool fiber_is_killed(const fiber_t *fiber)
{
    return fiber->killed;
}

fiber_t *fiber_current(void)
{
    return current;
}

process_t *fiber_process(const fiber_t *fiber)
{
    return fiber->process;
}

static void leave(fiber_state_t state)
{
    fiber_t *self = current;
    self->state = state;
    go_outside(self);
}

void fiber_sleep(uint64_t us)
{
    if (!current->killed) {
        resume_at(current, world.now_us + us, false);
        leave(FIBER_SLEEPING);
    }
}

void fiber_sleep_database(uint64_t us)
{
    if (!current->killed) {
        resume_at(current, world.now_us + us, true);
        leave(FIBER_IN_DATABASE);
    }
}

void fiber_wait_until(uint64_t at_us)
{
    if (!current->killed && !current->woken) {
        if (at_us != UINT64_MAX) {
            resume_at(current, at_us, false);
        }
        leave(FIBER_WAITING);
    }
    current->woken = false;
}

void fiber_wait(void)
{
    fiber_wait_until(UINT64_MAX);
}

void fibers_free_all(void)
{
    while (fibers) {
        fiber_t *fiber = fibers;
        assert(fiber->state == FIBER_OVER);
        fibers = fiber->next;
        free(fiber);
    }
    while (spare_count > 0) {
        munmap(spare_stacks[--spare_count], STACK_BYTES);
    }
}
