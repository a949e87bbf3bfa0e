/* Child processes: see process.h. */
#include "tests/harness/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/stop.h"
#include "core/clock.h"

enum { POLL_MS = 20, STRAGGLERS_MS = 5000, EXIT_NOT_FOUND = 127, EXIT_NOT_STARTED = 126 };

/* Programs take FABRIC_ variables as configuration; a benchmark measures their defaults. */
static void forget_configuration(void)
{
    char **kept = environ;
    for (char **next = environ; *next; next++) {
        if (strncmp(*next, "FABRIC_", 7) != 0) {
            *kept++ = *next;
        }
    }
    *kept = NULL;
}

/* Runs in the child and does not return. */
static void become(const char *const *arguments, const char *const *environment, int output,
                   int log, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { /* the parent died before that */
        _exit(EXIT_NOT_STARTED);
    }
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, 0) < 0 || dup2(output >= 0 ? output : log, 1) < 0 ||
        dup2(log, 2) < 0) {
        _exit(EXIT_NOT_STARTED);
    }
    forget_configuration();
    for (; environment && *environment; environment++) {
        putenv((char *)(uintptr_t)*environment);
    }
    execvp(arguments[0], (char *const *)arguments);
    _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_STARTED);
}

fabric_error_t process_start(const char *const *arguments, const char *log_path, bool pipe_output,
                             reason_t *reason, process_t *process)
{
    return process_start_with(arguments, NULL, log_path, pipe_output, reason, process);
}

fabric_error_t process_start_with(const char *const *arguments, const char *const *environment,
                                  const char *log_path, bool pipe_output, reason_t *reason,
                                  process_t *process)
{
    int ends[2] = {-1, -1};
    int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t parent = getpid();
    pid_t pid = -1;
    if (log >= 0 && (!pipe_output || pipe2(ends, O_CLOEXEC) == 0)) {
        pid = fork();
    }
    if (pid == 0) {
        become(arguments, environment, ends[1], log, parent);
    }
    int cause = errno;
    if (log >= 0) {
        close(log);
    }
    if (ends[1] >= 0) {
        close(ends[1]);
    }
    if (pid < 0) {
        if (ends[0] >= 0) {
            close(ends[0]);
        }
        return reason_set(reason, FABRIC_ERROR_INTERNAL, "%s cannot be started: %s", arguments[0],
                          strerror(cause));
    }
    setpgid(pid, pid); /* in parent and child, whichever runs first: signals must reach the group */
    *process = (process_t){.pid = pid, .output = ends[0]};
    return FABRIC_OK;
}

bool process_runs(process_t *process)
{
    if (process->pid == 0) {
        return false;
    }
    pid_t ended = waitpid(process->pid, &process->status, WNOHANG);
    if (ended == process->pid || (ended < 0 && errno == ECHILD)) {
        process->pid = 0;
    }
    return process->pid != 0;
}

/* Reads the beginning of a file of the process in /proc, up to a space or newline. */
static bool read_word(pid_t pid, const char *name, char word[64])
{
    char path[80];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    FILE *file = fopen(path, "re");
    bool read = file && fscanf(file, "%63s", word) == 1;
    if (file) {
        fclose(file);
    }
    return read;
}

pid_t process_child(const process_t *process)
{
    char name[64];
    char children[80];
    char word[64];
    snprintf(children, sizeof children, "task/%ld/children", (long)process->pid);
    if (!read_word(process->pid, "comm", name) || !read_word(process->pid, children, word)) {
        return process->pid;
    }
    pid_t child = (pid_t)strtol(word, NULL, 10);
    return read_word(child, "comm", word) && strcmp(word, name) == 0 ? child : process->pid;
}

fabric_error_t process_read_line(process_t *process, uint32_t timeout_ms, char *line,
                                 size_t line_size)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    size_t size = 0;
    while (!stop_requested()) {
        uint64_t now_ms = clock_monotonic_ms();
        struct pollfd item = {.fd = process->output, .events = POLLIN};
        if (now_ms >= deadline_ms) {
            return FABRIC_ERROR_TIMEOUT;
        }
        if (poll(&item, 1, (int)(deadline_ms - now_ms)) <= 0) {
            continue;
        }
        char byte = 0; /* one byte at a time: nothing behind the line is taken */
        if (read(process->output, &byte, 1) != 1) {
            return FABRIC_ERROR_CLOSED;
        }
        if (byte == '\n') {
            line[size] = '\0';
            return FABRIC_OK;
        }
        if (size + 1 >= line_size) {
            return FABRIC_ERROR_LIMIT_EXCEEDED;
        }
        line[size++] = byte;
    }
    return FABRIC_ERROR_SHUTTING_DOWN;
}

/* Waits until the process has ended, but not for longer than a moment. */
static void wait_briefly(const process_t *process)
{
    int handle = (int)syscall(SYS_pidfd_open, process->pid, 0);
    struct pollfd item = {.fd = handle, .events = POLLIN}; /* poll ignores a negative one */
    (void)poll(&item, 1, POLL_MS);
    if (handle >= 0) {
        close(handle);
    }
}

fabric_error_t process_wait(process_t *process, uint32_t timeout_ms, reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (process_runs(process)) {
        if (stop_requested()) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            return reason_set(reason, FABRIC_ERROR_TIMEOUT, "it does not end");
        }
        wait_briefly(process);
    }
    if (WIFEXITED(process->status) && WEXITSTATUS(process->status) == 0) {
        return FABRIC_OK;
    }
    if (WIFEXITED(process->status) && WEXITSTATUS(process->status) == EXIT_NOT_FOUND) {
        return reason_set(reason, FABRIC_ERROR_NOT_FOUND, "it is not installed");
    }
    return reason_set(reason, FABRIC_ERROR_INTERNAL, "it ended with status %d",
                      WIFEXITED(process->status) ? WEXITSTATUS(process->status)
                                                 : 128 + WTERMSIG(process->status));
}

/* Whether the process has ended, without collecting it: an uncollected process keeps its number,
 * which is also the number of its group, from being used again. */
static bool has_ended(pid_t pid)
{
    siginfo_t ended = {0};
    return waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           ended.si_pid == pid;
}

/* Ends the process and all others of its group. */
static void stop_group(process_t *process, uint32_t grace_ms)
{
    pid_t group = process->pid;
    uint64_t deadline_ms = clock_monotonic_ms() + grace_ms;
    kill(-group, SIGTERM);
    while (!has_ended(group) && clock_monotonic_ms() < deadline_ms) {
        poll(NULL, 0, POLL_MS);
    }
    kill(-group, SIGKILL);
    waitpid(group, &process->status, 0);
    process->pid = 0;
    deadline_ms = clock_monotonic_ms() + STRAGGLERS_MS;
    while (kill(-group, 0) == 0 && clock_monotonic_ms() < deadline_ms) {
        poll(NULL, 0, POLL_MS);
    }
}

void process_stop(process_t *process, uint32_t grace_ms)
{
    if (process_runs(process)) {
        stop_group(process, grace_ms);
    }
    if (process->output > 0) { /* 0 in a zeroed struct, which opened nothing */
        close(process->output);
        process->output = -1;
    }
}

void process_kill(process_t *process)
{
    if (process_runs(process)) {
        kill(-process->pid, SIGKILL);
        while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR) {
        }
        process->pid = 0;
    }
    process_stop(process, 0);
}
