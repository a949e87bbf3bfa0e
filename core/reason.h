/* A reason: the one clear line that goes with an error, for people. Kept by value, never allocated.
 */
#ifndef CORE_REASON_H
#define CORE_REASON_H

#include <stdarg.h>

#include <fabric/error.h>

/* NUL-terminated; empty when there is nothing to add to the error's own meaning. */
typedef struct reason {
    char text[512];
} reason_t;

/* Formats the line and returns `error`, so that a failing function can end with `return
 * reason_set(reason, FABRIC_ERROR_X, "...", ...)`. A line that is too long is cut, and control
 * characters become `?`. `reason` may be NULL. */
FABRIC_PRINTF(3, 4)
fabric_error_t reason_set(reason_t *reason, fabric_error_t error, const char *format, ...);

#endif
