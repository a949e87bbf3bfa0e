/* The command line of fabric-bench.
 *
 * Threading: the main thread only.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <fabric/client.h>

#include "bench/payload.h"
#include "core/config.h"

typedef enum options_mode {
    MODE_ASK,
    MODE_TELL,
    MODE_RESTART,  /* of the broker */
    MODE_TAKEOVER, /* by a standby */
    MODE_COUNT
} options_mode_t;

/* Texts live as long as the config. */
typedef struct options {
    options_mode_t mode;
    bool tell; /* whether the messages that are measured are tells */
    bool durable;
    uint32_t entities;
    uint32_t inflight;
    uint32_t size;
    payload_kind_t payload;
    uint32_t duration_s;
    uint32_t warmup_s;
    uint64_t calls;       /* 0: as many as `duration_s` lets */
    bool early;           /* the messages have early delivery */
    bool keyed;           /* each message has a primary key of its own */
    bool without_worker;  /* the messages are accepted while no worker runs */
    uint32_t state_bytes; /* of the entities' persisted states; 0: they have none */
    uint32_t ended;       /* durable calls that end before */
    uint32_t held;        /* durable messages that stay pending during the measurement */
    uint32_t journal_mib;
    uint32_t workers;
    uint32_t brokers;
    uint32_t lanes; /* 0: the database's default */
    bool json;
    const char *url;   /* NULL with spawn */
    const char *spawn; /* see database_start; NULL: not */
    const char *store; /* NULL: not told */
    const char *store_password;
    bool allow_plaintext;
    fabric_forward_t forward;
    bool help;
    bool version;
} options_t;

extern const config_key_t options_keys[];
extern const char *const options_mode_names[MODE_COUNT];

/* Reads command line, environment and file. INVALID_ARGUMENT, INVALID_CONFIGURATION. */
FABRIC_MUST_USE fabric_error_t options_load(options_t *options, config_t *config, int argc,
                                            char **argv, reason_t *reason);
void options_print_usage(void);

#endif
