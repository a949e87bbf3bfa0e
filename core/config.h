/* Configuration: each key is described once in a table. Values come from, in rising order of
 * precedence: defaults, CLUSTER_NODES and NODE_ID in the environment (for the keys `url` and
 * `name`), a file (core/config_file.h), the FABRIC_* environment, the command line. An
 * unknown key and a value out of range are refused in one line that names the key and its source.
 *
 * A key "lease_ms" is --lease-ms on the command line, FABRIC_LEASE_MS in the environment, and
 * `lease_ms = 3000` in the file, which is named by --config or FABRIC_CONFIG. A program's usage
 * text and its reference page are made from the table.
 *
 * Programs share an environment with each other and with others: Kubernetes, for example, sets
 * FABRIC_PORT for a service that is named fabric. schemas/environment.def lists the variables of
 * all Fabric programs. A FABRIC_ variable that no program knows is refused if it is nearly a known
 * one, since it is then probably misspelt; else it is ignored, and its name is kept for one
 * warning. A file belongs to one program, so an unknown key in it is always refused.
 *
 * Threading: read at start by one thread; constant afterwards.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/reason.h"

typedef enum config_type {
    CONFIG_TEXT,
    CONFIG_UINT, /* decimal digits */
    CONFIG_BOOL, /* yes/no, true/false, on/off, 1/0; on the command line --key or --key=no */
    /* Texts that are not empty: separated by commas, or given repeatedly on the command line or in
     * the file. */
    CONFIG_LIST,
    /* A text that no reason and no usage text shows. It is taken from the environment or from a
     * file that only its owner can read, and refused on the command line. */
    CONFIG_SECRET
} config_type_t;

typedef struct config_key {
    const char *name; /* lower case with underscores; not "config", "help" or "version" */
    config_type_t type;
    const char *default_value; /* as text; NULL: none, and then the key is unset unless given */
    uint64_t min, max;         /* CONFIG_UINT */
    const char *value_name;    /* for usage: "MS", "ENDPOINT"; NULL: none */
    const char *meaning;       /* one sentence with units */
} config_key_t;

typedef struct config config_t;

/* `keys` ends with a row whose name is NULL, has at most 128 others, and must outlive the config,
 * which starts with the defaults. */
config_t *config_new(const config_key_t *keys);
void config_destroy(config_t **config);

/* Applies file, environment and arguments; to be called once. Arguments are read with getopt_long,
 * without abbreviations. Arguments that are no options are moved to the end of argv, and
 * *rest_index gets the index of the first of them (argc: there is none). All arguments behind `--`
 * are such.
 *
 * *help is set for --help or -h, *version for --version. Nothing else was looked at then: the
 * caller prints and exits with 0.
 *
 * INVALID_ARGUMENT: the command line is wrong. INVALID_CONFIGURATION: the file or the environment
 * is wrong. Both come with a reason. */
FABRIC_MUST_USE
fabric_error_t config_load(config_t *config, int argc, char **argv, reason_t *reason,
                           int *rest_index, bool *help, bool *version);

/* Typed reads. The key must be one of the table and of the right type; texts live as long as the
 * config. */
const char *config_text(const config_t *config, const char *name); /* text or secret; NULL: unset */
uint64_t config_uint(const config_t *config, const char *name);    /* 0 where unset */
bool config_bool(const config_t *config, const char *name);        /* false where unset */
size_t config_list_size(const config_t *config, const char *name); /* 0 where unset */
const char *config_list_at(const config_t *config, const char *name, size_t index);
bool config_is_set(const config_t *config, const char *name); /* given anywhere, or has a default */

/* The place of the key's text among `choices`, which end with NULL. INVALID_ARGUMENT: it is none of
 * them. */
FABRIC_MUST_USE
fabric_error_t config_choice(const config_t *config, const char *name, const char *const *choices,
                             unsigned *chosen, reason_t *reason);

/* The names of the environment variables that were ignored, separated by commas and printable, for
 * a warning. Empty: none was. */
const char *config_ignored(const config_t *config);

/* Whether some Fabric program, not necessarily this one, knows the environment variable. */
bool config_known_elsewhere(const char *variable);

/* Usage: "  --lease-ms MS      meaning (default 3000)", a line for each key and for --config,
 * --help and --version. */
void config_print_usage(const config_key_t *keys, FILE *file);

#endif
