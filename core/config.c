/* Configuration: the values of a key table, their checks, and typed reads. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_state.h"
#include "core/memory.h"

char *config_copy_text(const char *text, size_t size)
{
    char *copy = memory_allocate(size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* ---- values ---- */

static void clear_value(config_value_t *value)
{
    for (size_t i = 0; i < value->count; i++) {
        free(value->texts[i]);
    }
    free(value->texts);
    *value = (config_value_t){0};
}

static void add_text(config_value_t *value, const char *text, size_t size)
{
    char **texts = memory_resize(value->texts, value->count + 1, sizeof *texts);
    value->texts = texts;
    value->texts[value->count++] = config_copy_text(text, size);
}

static bool parse_uint(const char *text, uint64_t *number)
{
    uint64_t value = 0;
    for (const char *next = text; *next; next++) {
        uint64_t digit = (uint64_t)(*next - '0');
        if (!isdigit((unsigned char)*next) || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *number = value;
    return *text != '\0';
}

static bool parse_bool(const char *text, uint64_t *number)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *number = i % 2;
            return true;
        }
    }
    return false;
}

static bool list_is_valid(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && text[0] != ',' && text[size - 1] != ',' && !strstr(text, ",,");
}

static void add_list(config_value_t *value, const char *text)
{
    while (*text) {
        size_t size = strcspn(text, ",");
        add_text(value, text, size);
        text += size + (text[size] == ',');
    }
}

/* Checks a text against its key and fills `number`. `source` is how the source spells the key. */
static fabric_error_t check_text(const config_key_t *key, const char *text, const char *source,
                                 fabric_error_t error, reason_t *reason, uint64_t *number)
{
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        return FABRIC_OK;
    case CONFIG_UINT:
        if (!parse_uint(text, number) || *number < key->min || *number > key->max) {
            return reason_set(reason, error, "%s: '%.100s' is not a whole number of %llu..%llu",
                              source, text, (unsigned long long)key->min,
                              (unsigned long long)key->max);
        }
        return FABRIC_OK;
    case CONFIG_BOOL:
        if (!parse_bool(text, number)) {
            return reason_set(reason, error, "%s: '%.100s' is neither yes nor no", source, text);
        }
        return FABRIC_OK;
    case CONFIG_LIST:
        if (!list_is_valid(text)) {
            return reason_set(reason, error, "%s: '%.100s' has an empty element", source, text);
        }
        return FABRIC_OK;
    }
    abort(); /* no such type */
}

fabric_error_t config_set(config_t *config, size_t index, const char *text, config_origin_t origin,
                          const char *source, reason_t *reason)
{
    const config_key_t *key = &config->keys[index];
    config_value_t *value = &config->values[index];
    fabric_error_t error = origin == FROM_ARGUMENTS ? FABRIC_ERROR_INVALID_ARGUMENT
                                                    : FABRIC_ERROR_INVALID_CONFIGURATION;
    uint64_t number = 0;
    fabric_error_t wrong = check_text(key, text, source, error, reason, &number);
    if (wrong) {
        return wrong;
    }
    bool given_before = value->count > 0;
    if (given_before && value->origin > origin) {
        return FABRIC_OK;
    }
    if (given_before && value->origin == origin && key->type != CONFIG_LIST) {
        return reason_set(reason, error, "%s: is given twice", source);
    }
    if (given_before && value->origin < origin) {
        clear_value(value);
    }
    if (key->type == CONFIG_LIST) {
        add_list(value, text);
    } else {
        add_text(value, text, strlen(text));
    }
    value->number = number;
    value->origin = origin;
    return FABRIC_OK;
}

size_t config_find(const config_t *config, const char *name)
{
    size_t index = 0;
    while (index < config->key_count && strcmp(config->keys[index].name, name) != 0) {
        index++;
    }
    return index;
}

/* ---- life ---- */

config_t *config_new(const config_key_t *keys)
{
    config_t *config = memory_allocate_zeroed(1, sizeof *config);
    config->keys = keys;
    for (size_t i = 0; keys[i].name; i++) {
        assert(i < CONFIG_KEYS_MAX && strlen(keys[i].name) < CONFIG_NAME_SIZE);
        assert(config_find(config, keys[i].name) == config->key_count);
        config->key_count++;
        if (keys[i].default_value) {
            reason_t reason;
            fabric_error_t error =
                config_set(config, i, keys[i].default_value, FROM_DEFAULT, keys[i].name, &reason);
            assert(!error);
        }
    }
    return config;
}

void config_destroy(config_t **config)
{
    if (!*config) {
        return;
    }
    for (size_t i = 0; i < (*config)->key_count; i++) {
        clear_value(&(*config)->values[i]);
    }
    free((*config)->file);
    free(*config);
    *config = NULL;
}

/* ---- reads ---- */

static const config_value_t *value_of(const config_t *config, const char *name)
{
    size_t index = config_find(config, name);
    assert(index < config->key_count);
    return &config->values[index];
}

static config_type_t type_of(const config_t *config, const char *name)
{
    return config->keys[value_of(config, name) - config->values].type;
}

const char *config_text(const config_t *config, const char *name)
{
    config_type_t type = type_of(config, name);
    assert(type == CONFIG_TEXT || type == CONFIG_SECRET);
    const config_value_t *value = value_of(config, name);
    return value->count > 0 ? value->texts[0] : NULL;
}

uint64_t config_uint(const config_t *config, const char *name)
{
    assert(type_of(config, name) == CONFIG_UINT);
    return value_of(config, name)->number;
}

bool config_bool(const config_t *config, const char *name)
{
    assert(type_of(config, name) == CONFIG_BOOL);
    return value_of(config, name)->number != 0;
}

size_t config_list_size(const config_t *config, const char *name)
{
    assert(type_of(config, name) == CONFIG_LIST);
    return value_of(config, name)->count;
}

const char *config_list_at(const config_t *config, const char *name, size_t index)
{
    assert(index < config_list_size(config, name));
    return value_of(config, name)->texts[index];
}

bool config_is_set(const config_t *config, const char *name)
{
    return value_of(config, name)->count > 0;
}

fabric_error_t config_choice(const config_t *config, const char *name, const char *const *choices,
                             unsigned *chosen, reason_t *reason)
{
    const char *text = config_text(config, name);
    char list[128] = "";
    for (unsigned i = 0; choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *chosen = i;
            return FABRIC_OK;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", choices[i]);
    }
    return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "%s: '%.40s' is none of %s", name,
                      text, list);
}

/* ---- usage ---- */

enum { MEANING_COLUMN = 34 };

static void print_option(FILE *file, const char *name, const char *value_name, const char *meaning,
                         const char *default_value)
{
    char option[CONFIG_NAME_SIZE + 64];
    int size = snprintf(option, sizeof option, "  --%s%s%s", name, value_name ? " " : "",
                        value_name ? value_name : "");
    for (char *next = option; next < option + strlen(name) + 4; next++) {
        *next = *next == '_' ? '-' : *next;
    }
    if (size < MEANING_COLUMN) {
        fprintf(file, "%-*s", MEANING_COLUMN, option);
    } else {
        fprintf(file, "%s\n%*s", option, MEANING_COLUMN, "");
    }
    if (default_value) {
        fprintf(file, "%s (default %s)\n", meaning, default_value);
    } else {
        fprintf(file, "%s\n", meaning);
    }
}

void config_print_usage(const config_key_t *keys, FILE *file)
{
    for (const config_key_t *key = keys; key->name; key++) {
        if (key->type == CONFIG_SECRET) { /* the others may all be options; this one never */
            char variable[CONFIG_NAME_SIZE + 16] = "  FABRIC_";
            size_t size = strlen(variable);
            for (const char *next = key->name; *next && size + 1 < sizeof variable; next++) {
                variable[size++] = (char)toupper((unsigned char)*next);
            }
            variable[size] = '\0';
            fprintf(file, "%-*s%s (environment or file only)\n", MEANING_COLUMN, variable,
                    key->meaning);
        } else {
            print_option(file, key->name, key->value_name, key->meaning, key->default_value);
        }
    }
    print_option(file, "config", "FILE", "configuration file: name = value on each line", NULL);
    print_option(file, "help", NULL, "print this and exit", NULL);
    print_option(file, "version", NULL, "print the version and exit", NULL);
}
