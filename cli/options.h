/* The command line of fabricctl: options, the command and its arguments.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <fabric/client.h>

#include "core/config.h"
#include "core/reason.h"

/* Texts live as long as the options. */
typedef struct cli_options {
    const char *url;
    uint32_t timeout_ms;
    const char *cluster_name; /* NULL: any */
    bool allow_plaintext;
    fabric_forward_t forward;
    bool json;             /* -o json */
    bool json_schema;      /* -o jsonschema: of type only */
    fabric_call_key_t key; /* --key; all zero: none */
    uint64_t delay_ms;     /* call, send */
    int64_t deliver_at_ms; /* call, send: Unix time; 0: not given */
    const char *store;     /* NULL: not given */
    const char *store_password;
    uint32_t shards_per_group; /* 0: not given */
    uint32_t lanes;            /* 0: not given */
    const char *type;          /* journal tail, shard ls; NULL: any */
    const char *id;            /* journal tail; NULL: any */
    const char *group;         /* shard ls; NULL: any */
    const char *add, *drain;   /* shard plan; NULL: not given */
    bool broker, runner;       /* shard plan */
    const char *types;         /* shard plan: of the runner that is added; NULL: all */
    uint32_t weight;           /* likewise */
    uint64_t app_version;      /* likewise */
    uint32_t entries;          /* journal tail: of each lane to begin with; 0: all */
    const char *after; /* scheduled ls, entity events: where to begin; NULL: with the first */
    uint64_t limit;    /* entity events: so many at most; 0: all */
    bool follow;       /* journal tail, entity events */
    bool yes;          /* journal repair */
    bool check;        /* status */
    bool cancel;       /* call: at its deadline */
    bool no_wait;      /* broker drain, runner */
    uint32_t wait_ms;  /* broker drain, runner */
    char **arguments;  /* the command and what follows it */
    size_t argument_count;
    bool help;
    bool version;
    config_t *config; /* owns the texts */
    char **argv;      /* owns the arguments */
    size_t argv_count;
} cli_options_t;

/* Reads the command line, the environment and the file. INVALID_ARGUMENT or INVALID_CONFIGURATION
 * with a reason. `options` is to be destroyed in either case. */
FABRIC_MUST_USE
fabric_error_t cli_options_load(cli_options_t *options, int argc, char **argv, reason_t *reason);
void cli_options_destroy(cli_options_t *options);

/* "CLIENT:SEQUENCE", both decimal and not 0. INVALID_ARGUMENT. */
FABRIC_MUST_USE
fabric_error_t cli_key_parse(const char *text, fabric_call_key_t *key);

void cli_print_usage(FILE *file);

#endif
