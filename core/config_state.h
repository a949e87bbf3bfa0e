/* The inside of a config: only for core/config.c (values and reads), core/config_load.c (where
 * values come from) and core/config_nearest.c (misspelt names). */
#ifndef CORE_CONFIG_STATE_H
#define CORE_CONFIG_STATE_H

#include "core/config.h"

enum { CONFIG_KEYS_MAX = 128, CONFIG_NAME_SIZE = 64 };

/* The source of a value. A higher source wins, in whatever order the sources are read. */
typedef enum config_origin {
    FROM_DEFAULT,
    FROM_ELSEWHERE, /* an environment variable that other programs have too */
    FROM_FILE,
    FROM_ENVIRONMENT,
    FROM_ARGUMENTS
} config_origin_t;

typedef struct config_value {
    char **texts;    /* one text, or the elements of a list */
    size_t count;    /* 0: unset */
    uint64_t number; /* CONFIG_UINT and CONFIG_BOOL */
    config_origin_t origin;
} config_value_t;

struct config {
    const config_key_t *keys;
    size_t key_count;
    config_value_t values[CONFIG_KEYS_MAX];
    char *file;            /* the configuration file's name; NULL: none */
    char ignored[512];     /* names of environment variables that are not Fabric's */
    unsigned ignored_more; /* how many names did not fit */
};

/* A terminated copy, to be freed. */
char *config_copy_text(const char *text, size_t size);
/* The index of a key; key_count where there is none. */
size_t config_find(const config_t *config, const char *name);
/* Checks and takes a value, unless a higher source has given one. `source` is the name of the key
 * as the source spells it, for the reason. INVALID_ARGUMENT for arguments, INVALID_CONFIGURATION
 * for other sources. */
FABRIC_MUST_USE
fabric_error_t config_set(config_t *config, size_t index, const char *text, config_origin_t origin,
                          const char *source, reason_t *reason);
/* Whether a name is probably a misspelling of another one; the first key that a name is probably a
 * misspelling of, or NULL. */
bool config_is_near(const char *given, const char *known);
const char *config_nearest(const config_t *config, const char *given);

#endif
