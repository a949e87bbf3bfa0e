/* Configuration: taking values from arguments, environment and file. */
#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_file.h"
#include "core/config_state.h"
#include "core/printable.h"

extern char **environ;

/* ---- arguments ---- */

enum { OPTION_KEYS = 1000, OPTION_CONFIG = 2000, OPTION_VERSION, OPTION_HELP };

/* The command line's spelling of a name: lease_ms is lease-ms. */
static void option_name(const char *name, char option[CONFIG_NAME_SIZE])
{
    size_t i = 0;
    for (; name[i]; i++) {
        option[i] = name[i] == '_' ? '-' : name[i];
    }
    option[i] = '\0';
}

typedef struct options {
    char names[CONFIG_KEYS_MAX][CONFIG_NAME_SIZE];
    struct option longs[CONFIG_KEYS_MAX + 4];
} options_t;

static void make_options(const config_t *config, options_t *options)
{
    size_t count = config->key_count;
    for (size_t i = 0; i < count; i++) {
        bool value_optional = config->keys[i].type == CONFIG_BOOL ||
                              config->keys[i].type == CONFIG_SECRET; /* refused either way */
        option_name(config->keys[i].name, options->names[i]);
        options->longs[i] = (struct option){options->names[i],
                                            value_optional ? optional_argument : required_argument,
                                            NULL, OPTION_KEYS + (int)i};
    }
    options->longs[count] = (struct option){"config", required_argument, NULL, OPTION_CONFIG};
    options->longs[count + 1] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    options->longs[count + 2] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
    options->longs[count + 3] = (struct option){0};
}

/* getopt_long takes "--lea" for "--lease-ms". A script that uses such an abbreviation would break
 * when a key is added, so names must be whole. */
static bool is_abbreviated(char **argv, const struct option *longs, int index)
{
    const char *given = argv[optind - 1];
    if (optarg && optarg == given) {
        given = argv[optind - 2]; /* --name value */
    }
    size_t size = strcspn(given, "=");
    return size != strlen(longs[index].name) + 2;
}

static fabric_error_t take_key_option(config_t *config, size_t index, const char *option,
                                      reason_t *reason)
{
    char source[CONFIG_NAME_SIZE + 2];
    snprintf(source, sizeof source, "--%s", option);
    if (config->keys[index].type == CONFIG_SECRET) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "%s: others can see a command line; set it in the environment or in a "
                          "file that only its owner can read",
                          source);
    }
    return config_set(config, index, optarg ? optarg : "yes", FROM_ARGUMENTS, source, reason);
}

static fabric_error_t take_config_option(config_t *config, reason_t *reason)
{
    if (config->file) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "--config: is given twice");
    }
    if (*optarg == '\0') {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "--config: the file's name is empty");
    }
    config->file = config_copy_text(optarg, strlen(optarg));
    return FABRIC_OK;
}

/* Refuses an unknown option, and names the option that is probably meant. */
static fabric_error_t refuse_unknown(const char *given, const struct option *longs,
                                     reason_t *reason)
{
    char name[CONFIG_NAME_SIZE];
    size_t size = strcspn(given, "=");
    snprintf(name, sizeof name, "%.*s", (int)size - 2, given + 2);
    while (longs->name && !config_is_near(name, longs->name)) {
        longs++;
    }
    return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "%.*s: is no option%s%s%s", (int)size,
                      given, longs->name ? "; is --" : "", longs->name ? longs->name : "",
                      longs->name ? " meant?" : "");
}

/* `found` is what getopt_long returned. */
static fabric_error_t refuse_option(int found, char **argv, const struct option *longs,
                                    reason_t *reason)
{
    const char *given = argv[optind - 1];
    if (found == ':') {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "%.100s: a value is missing",
                          given);
    }
    if (optopt >= OPTION_KEYS) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "%.*s: takes no value",
                          (int)strcspn(given, "="), given);
    }
    if (optopt != 0) { /* a short option, perhaps among others (-xyz), or an operand */
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "-%c: is no option; -- goes before operands that begin with a dash",
                          optopt);
    }
    return refuse_unknown(given, longs, reason);
}

static fabric_error_t take_arguments(config_t *config, int argc, char **argv, reason_t *reason,
                                     bool *help, bool *version)
{
    options_t options;
    make_options(config, &options);
    opterr = 0;
    optind = 0; /* GNU: start anew, also after another use of getopt */
    for (;;) {
        int index = -1;
        int found = getopt_long(argc, argv, ":h", options.longs, &index);
        if (found == -1) {
            return FABRIC_OK;
        }
        if (found == '?' || found == ':') {
            return refuse_option(found, argv, options.longs, reason);
        }
        if (index >= 0 && is_abbreviated(argv, options.longs, index)) {
            return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                              "--%s: write the option's name out", options.longs[index].name);
        }
        fabric_error_t error = FABRIC_OK;
        if (found == 'h' || found == OPTION_HELP || found == OPTION_VERSION) {
            *help = found != OPTION_VERSION;
            *version = found == OPTION_VERSION;
            return FABRIC_OK;
        }
        if (found == OPTION_CONFIG) {
            error = take_config_option(config, reason);
        } else {
            error = take_key_option(config, (size_t)(found - OPTION_KEYS),
                                    options.longs[index].name, reason);
        }
        if (error) {
            return error;
        }
    }
}

/* ---- environment ---- */

static const char VARIABLE_PREFIX[] = "FABRIC_";

static const char *const known_variables[] = {
#define FABRIC_ENVIRONMENT_ROW(name, meaning) #name,
#include "schemas/environment.def"
#undef FABRIC_ENVIRONMENT_ROW
};

enum { KNOWN_VARIABLES = sizeof known_variables / sizeof known_variables[0] };

bool config_known_elsewhere(const char *variable)
{
    for (size_t i = 0; i < KNOWN_VARIABLES; i++) {
        if (strcmp(known_variables[i], variable) == 0) {
            return true;
        }
    }
    return false;
}

/* The known variable that is probably meant by an unknown one. NULL: it is not one of Fabric's. */
static const char *nearest_variable(const char *variable)
{
    size_t prefix = sizeof VARIABLE_PREFIX - 1;
    for (size_t i = 0; i < KNOWN_VARIABLES; i++) {
        if (config_is_near(variable + prefix, known_variables[i] + prefix)) {
            return known_variables[i];
        }
    }
    return NULL;
}

/* Notes the name of a variable that is not Fabric's. Names that do not fit are counted. */
static void note_ignored(config_t *config, const char *variable)
{
    char name[sizeof config->ignored];
    printable_copy(variable, name, sizeof name);
    size_t used = strlen(config->ignored);
    size_t left = sizeof config->ignored - used - sizeof " and 4294967295 more";
    size_t size = strlen(name) + (used > 0 ? 2 : 0);
    if (config->ignored_more == 0 && size < left) {
        char *end = config->ignored + used;
        if (used > 0) {
            memcpy(end, ", ", sizeof ", ");
            end += 2;
        }
        memcpy(end, name, strlen(name) + 1);
    } else {
        config->ignored_more++;
    }
}

const char *config_ignored(const config_t *config)
{
    return config->ignored;
}

/* The key of a variable: FABRIC_LEASE_MS is lease_ms. Only upper case counts. */
static bool variable_key(const char *variable, char name[CONFIG_NAME_SIZE])
{
    const char *rest = variable + sizeof VARIABLE_PREFIX - 1;
    if (strlen(rest) >= CONFIG_NAME_SIZE) {
        return false;
    }
    size_t i = 0;
    for (; rest[i]; i++) {
        if (islower((unsigned char)rest[i])) {
            return false;
        }
        name[i] = (char)tolower((unsigned char)rest[i]);
    }
    name[i] = '\0';
    return true;
}

static fabric_error_t take_variable(config_t *config, const char *variable, const char *text,
                                    reason_t *reason)
{
    char name[CONFIG_NAME_SIZE];
    if (strcmp(variable, "FABRIC_CONFIG") == 0) {
        if (*text == '\0') {
            return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                              "FABRIC_CONFIG: the file's name is empty");
        }
        if (!config->file) {
            config->file = config_copy_text(text, strlen(text));
        }
        return FABRIC_OK;
    }
    size_t index = variable_key(variable, name) ? config_find(config, name) : config->key_count;
    if (index < config->key_count) {
        return config_set(config, index, text, FROM_ENVIRONMENT, variable, reason);
    }
    if (config_known_elsewhere(variable)) {
        return FABRIC_OK;
    }
    const char *meant = nearest_variable(variable);
    if (meant) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%.100s: no Fabric program knows this environment variable; is %s meant?",
                          variable, meant);
    }
    note_ignored(config, variable);
    return FABRIC_OK;
}

static fabric_error_t take_environment(config_t *config, reason_t *reason)
{
    for (char **entry = environ; entry && *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        if (!equals || strncmp(*entry, VARIABLE_PREFIX, sizeof VARIABLE_PREFIX - 1) != 0) {
            continue;
        }
        char *variable = config_copy_text(*entry, (size_t)(equals - *entry));
        fabric_error_t error = take_variable(config, variable, equals + 1, reason);
        free(variable);
        if (error) {
            return error;
        }
    }
    if (config->ignored_more > 0) {
        size_t used = strlen(config->ignored);
        snprintf(config->ignored + used, sizeof config->ignored - used, " and %u more",
                 config->ignored_more);
    }
    return FABRIC_OK;
}

/* Variables of other makers' clusters: the first contacts, and the process's own name. */
static fabric_error_t take_common_variables(config_t *config, reason_t *reason)
{
    static const char *const rows[][2] = {{"CLUSTER_NODES", "url"}, {"NODE_ID", "name"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = getenv(rows[i][0]);
        size_t index = config_find(config, rows[i][1]);
        if (!text || *text == '\0' || index == config->key_count) {
            continue;
        }
        fabric_error_t error = config_set(config, index, text, FROM_ELSEWHERE, rows[i][0], reason);
        if (error) {
            return error;
        }
    }
    return FABRIC_OK;
}

/* ---- file ---- */

static fabric_error_t take_line(void *context, const char *name, const char *text,
                                bool open_to_others, reason_t *reason)
{
    config_t *config = context;
    size_t index = config_find(config, name);
    if (index == config->key_count) {
        const char *meant = config_nearest(config, name);
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%.200s: this program has no key '%.64s'%s%s%s", config->file, name,
                          meant ? "; is " : "", meant ? meant : "", meant ? " meant?" : "");
    }
    if (config->keys[index].type == CONFIG_SECRET && open_to_others) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%.200s: holds the secret '%s' and others can read it; run: chmod 600",
                          config->file, name);
    }
    char source[300];
    snprintf(source, sizeof source, "%.200s: %s", config->file, name);
    return config_set(config, index, text, FROM_FILE, source, reason);
}

fabric_error_t config_load(config_t *config, int argc, char **argv, reason_t *reason,
                           int *rest_index, bool *help, bool *version)
{
    bool wants_help = false;
    bool wants_version = false;
    fabric_error_t error = take_arguments(config, argc, argv, reason, &wants_help, &wants_version);
    bool answered = wants_help || wants_version;
    int rest = optind;
    if (!error && !answered) {
        error = take_environment(config, reason);
    }
    if (!error && !answered) {
        error = take_common_variables(config, reason);
    }
    if (!error && !answered && config->file) {
        error = config_file_read(config->file, reason, take_line, config);
    }
    if (!error) {
        *rest_index = rest;
        *help = wants_help;
        *version = wants_version;
    }
    return error;
}
