/* Configuration files: reading one in ZPL (https://rfc.zeromq.org/spec/4/), without nesting.
 *
 *     # a comment
 *     lease_ms = 3000    # another
 *     store = "sqlite:/var/lib/fabric/hash#1.db"
 *
 * Rules:
 *  1. A name begins its line. Spaces and tabs around a value are no part of the value.
 *  2. A comment in a line stands behind white space or behind a closing quote.
 *  3. A value that is empty or contains #, " or ' stands in quotes of a kind that it does not
 *     contain. There are no escapes.
 *  4. A line that could be read in two ways is refused.
 *  5. Lines end with LF or CR LF. A byte order mark of UTF-8 at the start of the file is skipped.
 *
 * Threading: none of its own.
 */
#ifndef CORE_CONFIG_FILE_H
#define CORE_CONFIG_FILE_H

#include <stdbool.h>

#include "core/reason.h"

#define CONFIG_FILE_BYTES_MAX      1048576
#define CONFIG_FILE_LINE_BYTES_MAX 1024 /* czmq before 4.2.1 cuts longer lines */

/* Called for each line in order, with views that last for the call; `open_to_others` tells whether
 * the file's group or all the world may read it. An error ends the reading. */
typedef fabric_error_t (*config_file_line_t)(void *context, const char *name, const char *value,
                                             bool open_to_others, reason_t *reason);

/* INVALID_CONFIGURATION with a reason where the file cannot be read, is too large or malformed;
 * else what `line` returns. */
FABRIC_MUST_USE
fabric_error_t config_file_read(const char *path, reason_t *reason, config_file_line_t line,
                                void *context);

#endif
