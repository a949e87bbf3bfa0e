/* Child processes. Each has a process group of its own, so that a terminal's Ctrl-C reaches only
 * the parent, which stops the children in order; the kernel kills them if the parent dies.
 *
 * Threading: the main thread only; a child dies with the thread that started it.
 */
#ifndef TESTS_HARNESS_PROCESS_H
#define TESTS_HARNESS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/reason.h"

typedef struct process {
    pid_t pid;  /* 0: none */
    int output; /* read end of its standard output; -1: none */
    int status; /* as from waitpid, once it has ended */
} process_t;

#define PROCESS_NONE ((process_t){.output = -1})

/* Starts arguments[0], which is looked up in PATH. Standard error, and standard output unless
 * `pipe_output`, are appended to `log_path`. FABRIC_ variables are not handed down. INTERNAL where
 * the system does not let it. */
FABRIC_MUST_USE fabric_error_t process_start(const char *const *arguments, const char *log_path,
                                             bool pipe_output, reason_t *reason,
                                             process_t *process);
/* The same with variables of its own, "NAME=value", NULL-terminated and constant; NULL: none. */
FABRIC_MUST_USE fabric_error_t process_start_with(const char *const *arguments,
                                                  const char *const *environment,
                                                  const char *log_path, bool pipe_output,
                                                  reason_t *reason, process_t *process);
/* Whether the process still runs; collects it when it has ended. */
bool process_runs(process_t *process);
/* The process that does its work: the child of a supervisor of the same name, or the process
 * itself. It must run. */
pid_t process_child(const process_t *process);
/* Reads one line of its output, without the newline, within `timeout_ms`. TIMEOUT, CLOSED when it
 * has ended its output, LIMIT_EXCEEDED, SHUTTING_DOWN on a signal. */
FABRIC_MUST_USE fabric_error_t process_read_line(process_t *process, uint32_t timeout_ms,
                                                 char *line, size_t line_size);
/* Waits until the process has ended. TIMEOUT, SHUTTING_DOWN on a signal; INTERNAL with a reason
 * where its exit status is not 0. */
FABRIC_MUST_USE fabric_error_t process_wait(process_t *process, uint32_t timeout_ms,
                                            reason_t *reason);
/* Sends SIGTERM to the whole process group, and SIGKILL when the process has ended or after
 * `grace_ms`; returns when the whole group is gone. Takes a process that never ran. */
void process_stop(process_t *process, uint32_t grace_ms);
/* SIGKILL to its whole group, also when it is frozen by SIGSTOP; returns when the process is gone.
 * Takes one that never ran. */
void process_kill(process_t *process);

#endif
