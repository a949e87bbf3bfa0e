/* Notes crashes: see crash_handler.h. */
#include "worker/crash_handler.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/memory.h"

#define STACK_BYTES 65536u /* a sanitizer's handler, which may be called behind ours, needs a lot */

struct crash_stack {
    stack_t before;
    _Alignas(16) uint8_t bytes[STACK_BYTES];
};

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static struct sigaction before[SIGNALS]; /* constant once a handler is set */
static pid_t process;                    /* the one whose crashes are noted */
static atomic_bool exiting; /* exit() was called: what other threads do now is no crash of theirs */
/* Initial-exec, so that a signal handler reads it without a call that may allocate. */
static _Thread_local crash_slot_t *own_slot __attribute__((tls_model("initial-exec")));

/* A process that a handler has forked shares the memory of the slot, but it is not the worker. */
static void note_crash(void)
{
    if (own_slot && getpid() == process) {
        uint64_t at_hand = atomic_load_explicit(&own_slot->at_hand, memory_order_relaxed);
        atomic_store_explicit(&own_slot->crashed, at_hand, memory_order_relaxed);
    }
}

/* Async-signal-safe. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    bool fault =
        info->si_code > 0; /* the instruction is at fault; else raise() or a process sent it */
    (void)context;
    if ((fault || (info->si_code == SI_TKILL && info->si_pid == process)) &&
        !atomic_load_explicit(&exiting, memory_order_relaxed)) {
        note_crash();
    }
    for (int i = 0; i < SIGNALS; i++) {
        if (signals[i] == number) {
            (void)sigaction(number, &before[i], NULL);
        }
    }
    if (!fault) {
        (void)raise(number); /* comes when the handler has returned */
    }
}

static void on_exit_call(void)
{
    if (!atomic_exchange(&exiting, true)) {
        note_crash();
    }
}

void crash_handler_start(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    process = getpid();
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], &action, &before[i]);
    }
    if (atexit(on_exit_call) != 0) {
        abort();
    }
}

crash_stack_t *crash_handler_enter(crash_slot_t *slot)
{
    sigset_t set;
    crash_stack_t *stack = (crash_stack_t *)memory_allocate(sizeof *stack);
    stack_t own = {.ss_sp = stack->bytes, .ss_size = sizeof stack->bytes};
    (void)sigaltstack(&own, &stack->before);
    own_slot = slot;
    sigemptyset(&set);
    for (int i = 0; i < SIGNALS; i++) {
        sigaddset(&set, signals[i]);
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return stack;
}

void crash_handler_leave(crash_stack_t **stack)
{
    if (*stack) {
        own_slot = NULL;
        (void)sigaltstack(&(*stack)->before, NULL);
        free(*stack);
        *stack = NULL;
    }
}
