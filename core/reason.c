/* Formatting of reasons. */
#include "core/reason.h"

#include <stdio.h>

/* A reason may quote any bytes, but stays one line and moves no terminal's cursor. */
static void keep_to_one_line(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) {
            *text = '?';
        }
    }
}

fabric_error_t reason_set(reason_t *reason, fabric_error_t error, const char *format, ...)
{
    if (reason) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(reason->text, sizeof reason->text, format, arguments);
        va_end(arguments);
        keep_to_one_line(reason->text);
    }
    return error;
}
