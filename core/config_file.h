/* Configuration files: reading one in ZPL (https://rfc.zeromq.org/spec/4/), without nesting: lines
 * of `name = value`, where a value may stand in quotes, and comments after #.
 *
 * Threading: none of its own.
 */
#ifndef CORE_CONFIG_FILE_H
#define CORE_CONFIG_FILE_H

#include <stdbool.h>

#include "core/reason.h"

#define CONFIG_FILE_BYTES_MAX 1048576

/* Called for each line in order, with views that last for the call; `open_to_others` tells whether
 * the file's group or all the world may read it. An error ends the reading. */
typedef fabric_error_t (*config_file_line_t)(void *context, const char *name, const char *value,
                                             bool open_to_others, reason_t *reason);

/* INVALID_CONFIGURATION with a reason where the file cannot be read, is too large or malformed;
 * else what `line` returns. */
FABRIC_MUST_USE fabric_error_t config_file_read(const char *path, reason_t *reason,
                                                config_file_line_t line, void *context);

#endif
