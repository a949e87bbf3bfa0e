/* The command line of fabric-bench.
 *
 * Threading: the main thread only.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"

/* Texts live as long as the config. */
typedef struct options {
    bool tell;
    bool durable;
    uint32_t entities;
    uint32_t inflight;
    uint32_t size;
    uint32_t duration_s;
    uint32_t warmup_s;
    uint32_t workers;
    bool json;
    const char *url;   /* NULL with spawn */
    const char *spawn; /* see database_start; NULL: not */
    const char *store; /* NULL: not told */
    const char *store_password;
    bool allow_plaintext;
    bool help;
    bool version;
} options_t;

extern const config_key_t options_keys[];

/* Reads command line, environment and file. INVALID_ARGUMENT, INVALID_CONFIGURATION. */
FABRIC_MUST_USE fabric_error_t options_load(options_t *options, config_t *config, int argc,
                                            char **argv, reason_t *reason);
void options_print_usage(void);

#endif
