/* How fabricctl ends: the exit code (core/exit_codes.h) and the one line that go with each error.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stddef.h>

#include <fabric/client.h>

#include "core/exit_codes.h"

/* The exit code that stands for an error; CLI_DONE for FABRIC_OK. */
int cli_exit_code(fabric_error_t error);

/* The text of an outcome, or the error's meaning where it has none. */
const char *cli_outcome_text(const fabric_outcome_t *outcome);

/* Writes "fabricctl: <what> (<ErrorName>): <remedy>" without a newline into `line`. Line ends and
 * tabs become spaces and other control bytes escapes, so that it stays one line. `what` NULL or
 * empty: the error's meaning; `remedy` NULL: the error's own. Truncates. */
void cli_error_line(fabric_error_t error, const char *what, const char *remedy, char *line,
                    size_t line_size);

/* Prints that line, formatted, on standard error and returns the exit code. */
int cli_fail(fabric_error_t error, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
