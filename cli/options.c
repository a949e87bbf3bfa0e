/* Options of fabricctl: one table of keys, and the short -o. */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/iso8601.h"
#include "core/limits.h"
#include "core/memory.h"

static const config_key_t keys[] = {
    {"url", CONFIG_TEXT, "fabric://127.0.0.1:5700", 0, 0, "URL",
     "brokers, as fabric://HOST:PORT,HOST:PORT"},
    {"timeout_ms", CONFIG_UINT, "10000", 1, 86400000, "MS",
     "how long to wait for an answer, in milliseconds"},
    {"cluster_name", CONFIG_TEXT, NULL, 0, 0, "NAME",
     "refuse brokers and databases of other clusters; the name that `schema apply` founds"},
    {"allow_plaintext", CONFIG_BOOL, "no", 0, 0, NULL,
     "connect to addresses beyond this machine without encryption"},
    {"forward", CONFIG_TEXT, "auto", 0, 0, "auto|always|never",
     "which brokers are reached by way of others: those that cannot be connected to, all but those "
     "of `url`, or none"},
    {"output", CONFIG_TEXT, "text", 0, 0, "json|text",
     "form of the output; -o for short; of type also jsonschema, a JSON Schema document"},
    {"key", CONFIG_TEXT, NULL, 0, 0, "CLIENT:SEQUENCE",
     "call and send, with the same arguments: settle the former call of this key, instead of "
     "making a new one"},
    {"delay_ms", CONFIG_UINT, "0", 0, INT64_C(1) << 48, "MS",
     "call and send: the durable message is delivered so much later, in milliseconds"},
    {"deliver_at", CONFIG_TEXT, NULL, 0, 0, "TIME",
     "call and send: the durable message is not delivered before this time, as "
     "2030-01-31T12:00:00Z"},
    {"cancel", CONFIG_BOOL, "no", 0, 0, NULL,
     "call: cancel it where no reply has come within timeout_ms; with --key, a former call"},
    {"store", CONFIG_TEXT, NULL, 0, 0, "URL",
     "schema, scheduled, journal: the database, as mysql://USER@HOST/DATABASE or sqlite:/PATH"},
    {"store_password", CONFIG_SECRET, NULL, 0, 0, "PASSWORD",
     "schema, scheduled, journal: the database's password"},
    {"shards_per_group", CONFIG_UINT, NULL, 1, 16384, "N",
     "schema apply: shards of each group, fixed for the cluster's life; 300 for a new cluster"},
    {"lanes", CONFIG_UINT, NULL, 1, LIMIT_LANES_MAX, "N",
     "schema apply: journals of the cluster, fixed for its life; 12 for a new cluster, "
     "1 on SQLite"},
    {"type", CONFIG_TEXT, NULL, 0, 0, "TYPE",
     "journal tail: only what is about this entity type; shard ls: only its shards and owners"},
    {"id", CONFIG_TEXT, NULL, 0, 0, "ID", "journal tail: only records about entities of this id"},
    {"entries", CONFIG_UINT, "10", 0, 1000000000, "N",
     "journal tail: how many entries of each lane to begin with; scheduled ls: how many messages; "
     "0 "
     "for all"},
    {"after", CONFIG_TEXT, NULL, 0, 0, "CURSOR",
     "scheduled ls: the next page, as the page before says; entity events: those behind this "
     "sequence"},
    {"limit", CONFIG_UINT, "0", 0, INT64_MAX, "N", "entity events: how many at most; 0 for all"},
    {"follow", CONFIG_BOOL, "no", 0, 0, NULL, "journal tail, entity events: go on with what comes"},
    {"check", CONFIG_BOOL, "no", 0, 0, NULL,
     "status: exit code 1 where the cluster is not healthy, for monitoring"},
    {"yes", CONFIG_BOOL, "no", 0, 0, NULL,
     "journal repair: replace what is damaged, instead of only saying what would be lost"},
    {"group", CONFIG_TEXT, NULL, 0, 0, "GROUP", "shard ls: only shards of this group"},
    {"add", CONFIG_TEXT, NULL, 0, 0, "NAME", "shard plan: a broker or runner that would come"},
    {"drain", CONFIG_TEXT, NULL, 0, 0, "NAME", "shard plan: the broker or runner that would go"},
    {"broker", CONFIG_BOOL, "no", 0, 0, NULL, "shard plan: NAME is a broker"},
    {"runner", CONFIG_BOOL, "no", 0, 0, NULL, "shard plan: NAME is a runner"},
    {"types", CONFIG_TEXT, NULL, 0, 0, "TYPE,TYPE",
     "shard plan --add --runner: the entity types that it would bring; all unless given"},
    {"weight", CONFIG_UINT, "100", 0, 1000000, "N", "shard plan --add --runner: its weight"},
    {"app_version", CONFIG_UINT, "0", 0, INT64_MAX, "N",
     "shard plan --add --runner: the application version that it would have"},
    {"no_wait", CONFIG_BOOL, "no", 0, 0, NULL,
     "broker drain, runner: do not wait until it is done"},
    {"wait_ms", CONFIG_UINT, "60000", 1, 86400000, "MS",
     "broker drain, runner: how long to wait until it is done, in milliseconds"},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};

static const char usage[] =
    "fabricctl: talks to the entities and brokers of a Fabric cluster\n"
    "\n"
    "  fabricctl call TYPE ID TAG [JSON]   sends a message and prints the reply as JSON\n"
    "  fabricctl send TYPE ID TAG [JSON]   sends a message without waiting for a reply\n"
    "  fabricctl status                    shows whether the cluster is healthy, and its parts\n"
    "  fabricctl broker ls                 lists the brokers and the lanes that they hold\n"
    "  fabricctl broker drain NAME         stops a broker in order: others take over its lanes\n"
    "  fabricctl runner ls                 lists the runners, their standings and their shards\n"
    "  fabricctl runner cordon NAME        gives a runner no more shards\n"
    "  fabricctl runner drain NAME         gives a runner's shards to others\n"
    "  fabricctl runner uncordon NAME      gives a runner shards again\n"
    "  fabricctl entity resume TYPE ID     lets an entity go on that failures have parked\n"
    "  fabricctl entity clear TYPE ID      ends an entity's messages and frees its primary keys\n"
    "  fabricctl entity state TYPE ID      shows an entity's persisted state as JSON\n"
    "  fabricctl entity events TYPE ID     lists the events that an entity has appended\n"
    "  fabricctl shard ls                  lists the shards, their homes and owners\n"
    "  fabricctl shard show GROUP:NUMBER   shows everything about one shard\n"
    "  fabricctl shard plan --drain NAME   shows what would move if NAME went, or came (--add)\n"
    "  fabricctl type ls                   lists the entity types, and who brings them\n"
    "  fabricctl type show TYPE [TAG]      shows a type's messages and their fields\n"
    "  fabricctl type forget TYPE          forgets a type that nobody brings and nothing needs\n"
    "  fabricctl schema apply --store URL  brings a database's tables to this release\n"
    "  fabricctl schema status --store URL shows a database's schema version, cluster and tables\n"
    "  fabricctl scheduled ls [TYPE [ID]]  lists the next messages that wait for their time;\n"
    "                                      with --store\n"
    "  fabricctl scheduled cancel REQUEST  ends such a message, or several\n"
    "  fabricctl message cancel REQUEST    ends any durable message, or several\n"
    "  fabricctl journal tail --store URL  shows the newest records of a database's journals\n"
    "  fabricctl journal show LANE NUMBER  shows all of one entry; with --store\n"
    "  fabricctl journal repair            tells what is damaged; with --yes replaces it\n"
    "  fabricctl error [NAME]              explains an error, or lists all\n"
    "\n"
    "JSON is an object with the message's fields; - reads it from standard input.\n"
    "NAME is the name of a broker or runner, or the first digits of its id, at least four.\n"
    "Put -- before an ID that begins with a dash: fabricctl call Counter -- -5 Increment.\n"
    "\n";

static const char exit_codes[] =
    "\n"
    "Exit codes: 0 done, 1 the entity answered with a failure (a typed one is printed as JSON),\n"
    "or status --check found the cluster not healthy, 2 usage or configuration,\n"
    "3 not found, 4 cannot connect, 5 timeout or outcome unknown, 6 refused.\n";

void cli_print_usage(FILE *file)
{
    fputs(usage, file);
    config_print_usage(keys, file);
    fputs(exit_codes, file);
}

static bool parse_number(const char **text, uint64_t *number)
{
    char *end = NULL;
    if (**text < '0' || **text > '9') {
        return false;
    }
    errno = 0;
    *number = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0 && *number != 0;
}

fabric_error_t cli_key_parse(const char *text, fabric_call_key_t *key)
{
    fabric_call_key_t parsed = {0};
    if (!parse_number(&text, &parsed.client) || *text++ != ':' ||
        !parse_number(&text, &parsed.sequence) || *text != '\0') {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    *key = parsed;
    return FABRIC_OK;
}

static char *join(const char *before, const char *after)
{
    char *text = NULL;
    if (asprintf(&text, "%s%s", before, after) < 0) {
        abort();
    }
    return text;
}

/* Copies the arguments and writes -o FORM and -oFORM out, because configuration keys have only long
 * names. */
static void copy_arguments(cli_options_t *options, int argc, char **argv)
{
    options->argv = memory_allocate_zeroed((size_t)argc + 1, sizeof *options->argv);
    bool options_ended = false;
    for (int i = 0; i < argc; i++) {
        options_ended = options_ended || strcmp(argv[i], "--") == 0;
        bool is_short = i > 0 && !options_ended && strncmp(argv[i], "-o", 2) == 0;
        const char *form = is_short ? argv[i] + 2 : "";
        if (is_short && *form == '\0' && i + 1 < argc) {
            form = argv[++i];
        }
        options->argv[options->argv_count++] =
            is_short ? join("--output=", form) : join(argv[i], "");
    }
}

static fabric_error_t take_values(cli_options_t *options, reason_t *reason)
{
    const config_t *config = options->config;
    const char *output = config_text(config, "output");
    const char *key = config_text(config, "key");
    static const char *const forwards[] = {"auto", "always", "never", NULL}; /* fabric_forward_t */
    unsigned forward = 0;
    options->json = strcmp(output, "json") == 0;
    options->json_schema = strcmp(output, "jsonschema") == 0;
    if (!options->json && !options->json_schema && strcmp(output, "text") != 0) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "--output: '%.40s' is none of json, text and jsonschema", output);
    }
    if (key && cli_key_parse(key, &options->key) != FABRIC_OK) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "--key: '%.60s' is not CLIENT:SEQUENCE, two numbers above 0", key);
    }
    options->delay_ms = config_uint(config, "delay_ms");
    const char *deliver_at = config_text(config, "deliver_at");
    if (deliver_at &&
        (options->delay_ms > 0 || !iso8601_read(deliver_at, &options->deliver_at_ms))) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "--deliver-at: '%.60s' is no time as 2030-01-31T12:00:00Z, or --delay-ms "
                          "is given, too",
                          deliver_at);
    }
    const char *cluster = config_text(config, "cluster_name");
    if (cluster && (*cluster == '\0' || strlen(cluster) > LIMIT_NAME_BYTES_MAX)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "--cluster-name: must have 1 to %d bytes", LIMIT_NAME_BYTES_MAX);
    }
    fabric_error_t error = config_choice(config, "forward", forwards, &forward, reason);
    if (error) {
        return error;
    }
    options->forward = (fabric_forward_t)forward;
    options->url = config_text(config, "url");
    options->timeout_ms = (uint32_t)config_uint(config, "timeout_ms");
    options->cluster_name = cluster;
    options->allow_plaintext = config_bool(config, "allow_plaintext");
    options->store = config_text(config, "store");
    options->store_password = config_text(config, "store_password");
    options->shards_per_group = (uint32_t)config_uint(config, "shards_per_group");
    options->lanes = (uint32_t)config_uint(config, "lanes");
    options->type = config_text(config, "type");
    options->id = config_text(config, "id");
    options->entries = (uint32_t)config_uint(config, "entries");
    options->after = config_text(config, "after");
    options->limit = config_uint(config, "limit");
    options->follow = config_bool(config, "follow");
    options->yes = config_bool(config, "yes");
    options->check = config_bool(config, "check");
    options->cancel = config_bool(config, "cancel");
    options->group = config_text(config, "group");
    options->add = config_text(config, "add");
    options->drain = config_text(config, "drain");
    options->broker = config_bool(config, "broker");
    options->runner = config_bool(config, "runner");
    options->types = config_text(config, "types");
    options->weight = (uint32_t)config_uint(config, "weight");
    options->app_version = config_uint(config, "app_version");
    options->no_wait = config_bool(config, "no_wait");
    options->wait_ms = (uint32_t)config_uint(config, "wait_ms");
    return FABRIC_OK;
}

fabric_error_t cli_options_load(cli_options_t *options, int argc, char **argv, reason_t *reason)
{
    int rest = 0;
    *options = (cli_options_t){0};
    options->config = config_new(keys);
    copy_arguments(options, argc, argv);
    fabric_error_t error = config_load(options->config, (int)options->argv_count, options->argv,
                                       reason, &rest, &options->help, &options->version);
    if (error || options->help || options->version) {
        return error;
    }
    options->arguments = options->argv + rest;
    options->argument_count = options->argv_count - (size_t)rest;
    return take_values(options, reason);
}

void cli_options_destroy(cli_options_t *options)
{
    for (size_t i = 0; i < options->argv_count; i++) {
        free(options->argv[i]);
    }
    free(options->argv);
    config_destroy(&options->config);
    *options = (cli_options_t){0};
}
