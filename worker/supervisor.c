/* A process that starts another one again: see supervisor.h. */
#include "worker/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/exit_codes.h"
#include "core/log.h"
#include "core/reason.h"
#include "core/stop_signals.h"

enum {
    RESTART_MS_MIN = 100,
    RESTART_MS_MAX = 10000,
    CALM_MS = 10000, /* after which a crash is a first one again */
    FORK_AGAIN_MS = 1000
};

typedef struct supervisor {
    supervisor_child_fn *work;
    const void *context;
    crash_notes_t *notes;
    sigset_t blocked_before; /* the signals that were blocked when the supervisor was started */
    pid_t child;
    uint64_t started_ms;
    uint32_t crashes; /* since a child was last calm */
    uint32_t wait_ms; /* of the child */
    int stop;         /* the signal that asked for a stop last; 0: none has */
    int stops;        /* requests to stop so far */
} supervisor_t;

static void log_failure(const char *text)
{
    reason_t reason;
    fabric_error_t error =
        reason_set(&reason, FABRIC_ERROR_NO_RESOURCES, "%s: %s", text, strerror(errno));
    log_event(LOG_ERROR_LEVEL, "worker.failed", log_text("error", fabric_error_name(error)),
              log_text("reason", reason.text));
}

/* ---- the child ---- */

/* The signals that the supervisor passes on. */
static void add_passed_on(sigset_t *set)
{
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

/* In the child. The signals that are passed on were blocked in the supervisor, and never are
 * unblocked here: one that has come already waits for the child's thread for signals. */
static _Noreturn void run_child(const supervisor_t *self, pid_t parent)
{
    sigset_t blocked = self->blocked_before;
    add_passed_on(&blocked);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { /* the supervisor died before that */
        _exit(EXIT_INTERNAL);
    }
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
    stop_signals_are_passed_on();
    int exit_code = self->work(self->context, self->notes, self->wait_ms);
    crash_notes_end(self->notes, exit_code);
    exit(exit_code);
}

/* ---- signals ---- */

static sigset_t awaited_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    add_passed_on(&set);
    sigaddset(&set, SIGCHLD);
    return set;
}

/* Numbers the requests to stop: see stop_signals_are_passed_on. */
static void send_to_child(const supervisor_t *self, int number)
{
    if (self->child > 0) {
        (void)sigqueue(self->child, number, (union sigval){.sival_int = self->stops});
    }
}

static void pass_on(supervisor_t *self, int number)
{
    if (number != SIGHUP) {
        self->stop = number;
        self->stops++;
    }
    send_to_child(self, number);
}

/* Waits for a signal, for so long at most (UINT64_MAX: without end), and passes it on. */
static void serve_signal(supervisor_t *self, uint64_t timeout_ms)
{
    sigset_t set = awaited_set();
    struct timespec timeout = {(time_t)(timeout_ms / 1000), (long)(timeout_ms % 1000) * 1000000};
    int taken = sigtimedwait(&set, NULL, timeout_ms == UINT64_MAX ? NULL : &timeout);
    if (taken > 0 && taken != SIGCHLD) {
        pass_on(self, taken);
    }
}

/* ---- the end of a child ---- */

/* Collects all processes that have ended; true: the child has, with that status. */
static bool collect(supervisor_t *self, int *status)
{
    int one;
    pid_t ended;
    bool found = false;
    while ((ended = waitpid(-1, &one, WNOHANG)) > 0) {
        if (ended == self->child) {
            *status = one;
            found = true;
        }
    }
    return found;
}

static bool ended_in_order(const supervisor_t *self, int status, int *exit_code)
{
    uint64_t culprits[CRASH_SLOTS_MAX];
    if (crash_notes_ended(self->notes, exit_code)) {
        return true;
    }
    if (self->stops > 1) { /* another child would be ended before it could report anything */
        *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + self->stop;
        return true;
    }
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return WIFEXITED(status) && (self->stop != 0 || crash_notes_stopping(self->notes)) &&
           crash_notes_culprits(self->notes, culprits) == 0;
}

/* "4711,4712"; "unknown" where there is none. */
static void list_culprits(const crash_notes_t *notes, char *text, size_t size)
{
    uint64_t culprits[CRASH_SLOTS_MAX];
    uint32_t count = crash_notes_culprits(notes, culprits);
    size_t used = 0;
    snprintf(text, size, "unknown");
    for (uint32_t i = 0; i < count && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%llu", i > 0 ? "," : "",
                                 (unsigned long long)culprits[i]);
    }
}

/* How long the next child is to wait. */
static uint32_t next_wait_ms(supervisor_t *self)
{
    uint32_t wait_ms = RESTART_MS_MIN;
    if (clock_monotonic_ms() - self->started_ms >= CALM_MS + self->wait_ms) {
        self->crashes = 0;
    }
    if (self->crashes++ == 0) {
        return 0;
    }
    for (uint32_t i = 2; i < self->crashes && wait_ms < RESTART_MS_MAX; i++) {
        wait_ms *= 2;
    }
    return wait_ms < RESTART_MS_MAX ? wait_ms : RESTART_MS_MAX;
}

static void note_crash(supervisor_t *self, int status)
{
    char end[LIMIT_CRASH_TEXT_BYTES_MAX + 1];
    char requests[256];
    if (WIFSIGNALED(status)) {
        snprintf(end, sizeof end, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        snprintf(end, sizeof end, "exit status %d", WEXITSTATUS(status));
    }
    crash_notes_set_text(self->notes, end);
    self->wait_ms = next_wait_ms(self);
    list_culprits(self->notes, requests, sizeof requests);
    log_event(LOG_ERROR_LEVEL, "worker.crashed", log_text("end", end),
              log_text("request", requests), log_uint("process", (uint64_t)self->child),
              log_uint("restart_ms", self->wait_ms));
}

/* ---- life ---- */

static bool prepare(supervisor_t *self)
{
    sigset_t set = awaited_set();
    struct sigaction usual = {.sa_handler = SIG_DFL};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    self->notes = crash_notes_new();
    return self->notes && sigaction(SIGCHLD, &usual, NULL) == 0 &&
           sigaction(SIGPIPE, &ignore, NULL) == 0 &&
           sigprocmask(SIG_BLOCK, &set, &self->blocked_before) == 0;
}

/* Does not give up while the system has no process to give, as after a crash for want of memory. */
static void start_child(supervisor_t *self)
{
    pid_t parent = getpid();
    self->child = 0;
    while ((self->child = fork()) < 0 && self->stop == 0) {
        log_failure("no process can be started, trying again");
        serve_signal(self, FORK_AGAIN_MS);
    }
    if (self->child == 0) {
        run_child(self, parent);
    }
    self->started_ms = clock_monotonic_ms();
    if (self->stop != 0) {
        send_to_child(self, self->stop);
    }
}

/* Runs one child to its end; true: it was in order. */
static bool run_one(supervisor_t *self, int *exit_code)
{
    int status = 0;
    start_child(self);
    if (self->child < 0) { /* a stop was asked for meanwhile */
        *exit_code = 0;
        return true;
    }
    while (!collect(self, &status)) {
        serve_signal(self, UINT64_MAX);
    }
    if (ended_in_order(self, status, exit_code)) {
        return true;
    }
    note_crash(self, status);
    return false;
}

int supervisor_run(supervisor_child_fn *child, const void *context)
{
    supervisor_t self = {.work = child, .context = context};
    int exit_code = 0;
    if (!prepare(&self)) {
        log_failure("there is no memory to share with a child");
        exit_code = EXIT_INTERNAL;
    } else {
        while (!run_one(&self, &exit_code)) {
        }
    }
    crash_notes_destroy(&self.notes);
    return exit_code;
}
