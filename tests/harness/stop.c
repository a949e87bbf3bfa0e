/* When to end early: see stop.h. */
#include "tests/harness/stop.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"

enum { ASK_EVERY_MS = 100 };

static volatile sig_atomic_t received;
static bool (*ask)(void *context);
static void *ask_context;
static uint64_t asked_ms;
static bool is_pointless;

static void remember(int signal)
{
    received = signal;
}

void stop_install(void)
{
    struct sigaction action = {.sa_handler = remember}; /* no SA_RESTART: waits end */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

bool stop_signalled(void)
{
    return received != 0;
}

void stop_when(bool (*pointless)(void *context), void *context)
{
    ask = pointless;
    ask_context = context;
    is_pointless = false;
    asked_ms = 0;
}

bool stop_requested(void)
{
    if (ask && !is_pointless && clock_monotonic_ms() >= asked_ms + ASK_EVERY_MS) {
        asked_ms = clock_monotonic_ms();
        is_pointless = ask(ask_context);
    }
    return is_pointless || stop_signalled();
}

void stop_die(void)
{
    if (received) {
        signal(received, SIG_DFL);
        raise(received);
    }
}
