/* How fabricctl ends: its exit codes, and the one line that goes with each error.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stddef.h>

#include <fabric/error.h>

/* Released: scripts rest on these numbers. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_ENTITY_FAILED = 1,  /* the entity answered with a failure */
    CLI_USAGE = 2,          /* wrong arguments or configuration */
    CLI_NOT_FOUND = 3,      /* no such type, message, error or command's object */
    CLI_CANNOT_CONNECT = 4, /* no broker or database answers */
    CLI_NO_OUTCOME = 5,     /* not in time, or the outcome is unknown */
    CLI_REFUSED = 6         /* any other rejection */
};

/* The exit code that stands for an error; CLI_DONE for FABRIC_OK. */
int cli_exit_code(fabric_error_t error);

/* Writes "fabricctl: <what> (<ErrorName>): <remedy>" without a newline into `line`. Line ends and
 * tabs become spaces and other control bytes escapes, so that it stays one line. `what` NULL or
 * empty: the error's meaning; `remedy` NULL: the error's own. Truncates. */
void cli_error_line(fabric_error_t error, const char *what, const char *remedy, char *line,
                    size_t line_size);

/* Prints that line, formatted, on standard error and returns the exit code. */
int cli_fail(fabric_error_t error, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
