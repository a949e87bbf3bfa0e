/* Exit codes and error lines of fabricctl. */
#include "cli/report.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/printable.h"

#define LINE_BYTES_MAX 2048

static int exit_code_of_class(fabric_error_class_t error_class)
{
    switch (error_class) {
    case FABRIC_CLASS_OK:
        return CLI_DONE;
    case FABRIC_CLASS_FAILURE:
        return CLI_ENTITY_FAILED;
    case FABRIC_CLASS_UNKNOWN:
        return CLI_NO_OUTCOME;
    case FABRIC_CLASS_USAGE:
        return CLI_USAGE;
    case FABRIC_CLASS_RETRY:
    case FABRIC_CLASS_REJECTED:
    case FABRIC_CLASS_FENCED:
    case FABRIC_CLASS_FATAL:
        return CLI_REFUSED;
    }
    return CLI_REFUSED;
}

int cli_exit_code(fabric_error_t error)
{
    static const struct {
        fabric_error_t error;
        int code;
    } own[] = {
        {FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, CLI_NOT_FOUND},
        {FABRIC_ERROR_UNKNOWN_MESSAGE, CLI_NOT_FOUND},
        {FABRIC_ERROR_NOT_FOUND, CLI_NOT_FOUND},
        {FABRIC_ERROR_NOT_CONNECTED, CLI_CANNOT_CONNECT},
        {FABRIC_ERROR_NO_RESOURCES, CLI_CANNOT_CONNECT},
        {FABRIC_ERROR_STORE_UNAVAILABLE, CLI_CANNOT_CONNECT},
        {FABRIC_ERROR_TIMEOUT, CLI_NO_OUTCOME},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (own[i].error == error) {
            return own[i].code;
        }
    }
    return exit_code_of_class(fabric_error_class(error));
}

const char *cli_outcome_text(const fabric_outcome_t *outcome)
{
    return outcome->text[0] ? outcome->text : fabric_error_meaning(outcome->error);
}

void cli_error_line(fabric_error_t error, const char *what, const char *remedy, char *line,
                    size_t line_size)
{
    char text[LINE_BYTES_MAX + 512];
    snprintf(text, sizeof text, "fabricctl: %s (%s): %s",
             what && *what ? what : fabric_error_meaning(error), fabric_error_name(error),
             remedy ? remedy : fabric_error_remedy(error));
    for (char *next = text; *next; next++) {
        if (isspace((unsigned char)*next)) {
            *next = ' ';
        }
    }
    printable_copy(text, line, line_size);
}

int cli_fail(fabric_error_t error, const char *remedy, const char *format, ...)
{
    char what[LINE_BYTES_MAX];
    char line[PRINTABLE_SIZE(LINE_BYTES_MAX + 512)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    cli_error_line(error, what, remedy, line, sizeof line);
    fprintf(stderr, "%s\n", line);
    return cli_exit_code(error);
}
