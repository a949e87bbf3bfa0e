/* Signals on a thread of their own: see stop_signals.h. */
#include "core/stop_signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"

static int stop_fd = -1;
static atomic_uint_least32_t limit = UINT32_MAX;
static pid_t parent; /* that passes signals on; 0: none */

static sigset_t taken_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

/* Waits for the next signal and fills in who sent it; 0: none came in time. */
static int wait_for_signal(uint64_t until_ms, siginfo_t *info)
{
    sigset_t set = taken_signals();
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t wait_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    struct timespec wait = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000};
    int taken = until_ms == UINT64_MAX ? sigwaitinfo(&set, info) : sigtimedwait(&set, info, &wait);
    return taken > 0 ? taken : 0;
}

static void ignore_hangup(void)
{
    static log_limiter_t limiter;
    uint32_t left_out = 0;
    if (log_limiter_pass(&limiter, 1, clock_monotonic_ms(), &left_out)) {
        log_event(LOG_WARN_LEVEL, "signal.ignored", log_text("signal", "SIGHUP"),
                  log_uint("left_out", left_out));
    }
}

static uint64_t deadline(uint64_t stop_ms)
{
    uint32_t limit_ms = atomic_load(&limit);
    return stop_ms == 0 || limit_ms == UINT32_MAX ? UINT64_MAX : stop_ms + limit_ms;
}

static void ask_for_stop(void)
{
    uint64_t one = 1;
    ssize_t written = write(stop_fd, &one, sizeof one);
    (void)written; /* the first write of an eventfd succeeds */
}

/* The parent numbers the requests that it passes on, since equal signals that are pending at the
 * same time arrive as one. */
static unsigned request_number(const siginfo_t *info, unsigned *others)
{
    if (parent != 0 && info->si_pid == parent && info->si_code == SI_QUEUE) {
        return (unsigned)info->si_value.sival_int;
    }
    return ++*others;
}

static void *run(void *unused)
{
    uint64_t stop_ms = 0; /* when a stop was asked for */
    unsigned others = 0;  /* requests to stop that did not come from the parent */
    siginfo_t info;
    for (;;) {
        int taken = wait_for_signal(deadline(stop_ms), &info);
        if (taken == SIGHUP) {
            ignore_hangup();
        } else if (taken && request_number(&info, &others) > 1) {
            _exit(128 + taken); /* without a log line: the log may be what hangs */
        } else if (taken && stop_ms == 0) {
            ask_for_stop();
            stop_ms = clock_monotonic_ms();
        } else if (taken) {
            continue; /* the same request on its other way */
        } else if (clock_monotonic_ms() >= deadline(stop_ms)) {
            log_event(LOG_WARN_LEVEL, "stop.forced", log_uint("limit_ms", atomic_load(&limit)));
            _exit(0);
        }
    }
    return unused;
}

int stop_signals_start(void)
{
    sigset_t set = taken_signals();
    sigset_t all;
    pthread_t thread;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigfillset(&all);
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0 || sigaction(SIGPIPE, &ignore, NULL) != 0) {
        return -1;
    }
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (!started) {
        return -1;
    }
    pthread_detach(thread);
    return stop_fd;
}

void stop_signals_limit(uint32_t limit_ms)
{
    atomic_store(&limit, limit_ms);
}

void stop_signals_are_passed_on(void)
{
    parent = getppid();
}

bool stop_signals_requested(void)
{
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    return poll(&stop, 1, 0) > 0;
}
