/* Formatting of reasons. */
#include "core/reason.h"

#include <stdio.h>

fabric_error_t reason_set(reason_t *reason, fabric_error_t error, const char *format, ...)
{
    if (reason) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(reason->text, sizeof reason->text, format, arguments);
        va_end(arguments);
    }
    return error;
}
