/* fabricctl status: brokers, runners, types and shards as the home knows them. A standby names the
 * home, which is then asked. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/report.h"
#include "core/memory.h"
#include "core/printable.h"

enum { SHORT_ID = 8 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* Counts the shards of this home. */
static size_t count_homes(const json_t *shards, const char *broker)
{
    size_t count = 0;
    size_t index;
    const json_t *shard;
    json_array_foreach((json_t *)shards, index, shard)
    {
        const char *home = json_string_value(json_object_get(shard, "home"));
        count += home && strcmp(home, broker) == 0;
    }
    return count;
}

static bool owns_any(const json_t *shard, const char *runner)
{
    const char *type;
    const json_t *owner;
    json_object_foreach(json_object_get(shard, "owners"), type, owner)
    {
        const char *found = json_string_value(owner);
        if (found && strcmp(found, runner) == 0) {
            return true;
        }
    }
    return false;
}

/* Counts the shards of which the runner owns any type; `healthy` gets how many of them are. */
static size_t count_owned(const json_t *shards, const char *runner, size_t *healthy)
{
    size_t count = 0;
    size_t index;
    const json_t *shard;
    *healthy = 0;
    json_array_foreach((json_t *)shards, index, shard)
    {
        bool owns = owns_any(shard, runner);
        count += owns;
        *healthy += owns && json_is_true(json_object_get(shard, "healthy"));
    }
    return count;
}

/* Counts the shards of the type's group in which the type has an owner. */
static size_t count_typed(const json_t *shards, const char *type, const char *group)
{
    size_t count = 0;
    size_t index;
    const json_t *shard;
    json_array_foreach((json_t *)shards, index, shard)
    {
        count += strcmp(text_of(shard, "group"), group) == 0 &&
                 json_object_get(json_object_get(shard, "owners"), type);
    }
    return count;
}

static void print_brokers(const json_t *document, const json_t *shards, FILE *file)
{
    size_t index;
    const json_t *broker;
    fprintf(file, "\n%-*s  %-32s %-32s %6s\n", SHORT_ID, "BROKER", "ROUTER", "PUB", "HOMES");
    json_array_foreach(json_object_get(document, "brokers"), index, broker)
    {
        const char *incarnation = text_of(broker, "incarnation");
        fprintf(file, "%-*.*s  %-32s %-32s %6zu%s\n", SHORT_ID, SHORT_ID, incarnation,
                text_of(broker, "router"), text_of(broker, "pub"), count_homes(shards, incarnation),
                strcmp(incarnation, text_of(document, "broker")) == 0 ? "  (answers)" : "");
    }
}

static void print_runners(const json_t *document, const json_t *shards, FILE *file)
{
    size_t index;
    const json_t *runner;
    fprintf(file, "\n%-*s  %-32s %-10s %6s %10s %7s %8s %12s\n", SHORT_ID, "RUNNER", "NAME",
            "STATE", "WEIGHT", "VERSION", "SHARDS", "HEALTHY", "OUTSTANDING");
    json_array_foreach(json_object_get(document, "runners"), index, runner)
    {
        const char *incarnation = text_of(runner, "incarnation");
        size_t healthy = 0;
        size_t owned = count_owned(shards, incarnation, &healthy);
        fprintf(file, "%-*.*s  %-32s %-10s %6lld %10lld %7zu %8zu %12lld\n", SHORT_ID, SHORT_ID,
                incarnation, text_of(runner, "name"), text_of(runner, "state"),
                number_of(runner, "weight"), number_of(runner, "app_version"), owned, healthy,
                number_of(runner, "outstanding"));
    }
    if (json_array_size(json_object_get(document, "runners")) == 0) {
        fprintf(file, "none: start a worker\n");
    }
}

/* ---- types ---- */

static void print_types(const json_t *document, const json_t *shards, FILE *file)
{
    size_t index;
    const json_t *type;
    fprintf(file, "\n%-24s %-24s %7s %7s\n", "TYPE", "GROUP", "RUNNERS", "OWNED");
    json_array_foreach(json_object_get(document, "types"), index, type)
    {
        const char *name = text_of(type, "name");
        const char *group = text_of(type, "group");
        size_t runners = json_array_size(json_object_get(type, "runners"));
        fprintf(file, "%-24s %-24s %7zu %7zu%s\n", name, group, runners,
                count_typed(shards, name, group),
                runners == 0 ? "  no runner brings it: start a worker that does" : "");
    }
}

/* ---- groups and counters ---- */

/* The document lists the shards group by group. */
static void print_groups(const json_t *shards, FILE *file)
{
    size_t total = json_array_size(shards);
    size_t first = 0;
    fprintf(file, "\n%-24s %7s %8s %9s\n", "GROUP", "SHARDS", "HEALTHY", "OWNERLESS");
    while (first < total) {
        const char *group = text_of(json_array_get(shards, first), "group");
        size_t healthy = 0;
        size_t ownerless = 0;
        size_t next = first;
        for (; next < total && strcmp(text_of(json_array_get(shards, next), "group"), group) == 0;
             next++) {
            const json_t *shard = json_array_get(shards, next);
            healthy += json_is_true(json_object_get(shard, "healthy"));
            ownerless += json_object_size(json_object_get(shard, "owners")) == 0;
        }
        fprintf(file, "%-24s %7zu %8zu %9zu\n", group, next - first, healthy, ownerless);
        first = next;
    }
    if (total == 0) {
        fprintf(file, "none: they are made when the first worker registers its types\n");
    }
}

static void print_counters(const json_t *document, FILE *file)
{
    const char *name;
    const json_t *value;
    fprintf(file, "\ncounters of the broker that answers\n");
    json_object_foreach(json_object_get(document, "counters"), name, value)
    {
        char counter[PRINTABLE_SIZE(64)];
        printable_copy(name, counter, sizeof counter);
        fprintf(file, "  %-18s %12lld\n", counter, (long long)json_integer_value(value));
    }
}

/* Escapes control bytes: other programs choose the names of workers and brokers. */
static void make_printable(json_t *value)
{
    size_t index;
    const char *key;
    json_t *element;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t size = PRINTABLE_SIZE(json_string_length(value));
        char *copy = memory_allocate(size);
        printable_copy(text, copy, size);
        if (json_string_set(value, copy) != 0) {
            abort();
        }
        free(copy);
    } else if (json_is_array(value)) {
        json_array_foreach(value, index, element)
        {
            make_printable(element);
        }
    } else if (json_is_object(value)) {
        json_object_foreach(value, key, element)
        {
            make_printable(element);
        }
    }
}

/* Prints a note about the broker that answers, unless it serves as the home. */
static void print_state(const json_t *document, FILE *file)
{
    const char *state = text_of(document, "state");
    if (strcmp(state, "starting") == 0) {
        fprintf(
            file,
            "the broker that answers is starting: it does not know yet which one is the home\n");
    } else if (strcmp(state, "unconfirmed") == 0) {
        fprintf(file,
                "the broker that answers serves nothing now: the database has not confirmed its "
                "lease in time\n");
    }
}

int cli_status_print(const char *json, FILE *file)
{
    json_t *document = json_loads(json, 0, NULL);
    if (!document) {
        return cli_fail(FABRIC_ERROR_MALFORMED_MESSAGE, "install matching releases on both sides",
                        "the broker's status cannot be read");
    }
    make_printable(document);
    const json_t *shards = json_object_get(document, "shards");
    size_t healthy = 0;
    size_t index;
    const json_t *shard;
    json_array_foreach((json_t *)shards, index, shard)
    {
        healthy += json_is_true(json_object_get(shard, "healthy"));
    }
    print_state(document, file);
    fprintf(
        file, "cluster %s  map %lld.%lld  brokers %zu  runners %zu  shards %zu (%zu healthy)\n",
        text_of(document, "cluster"), number_of(document, "map_term"),
        number_of(document, "map_sequence"), json_array_size(json_object_get(document, "brokers")),
        json_array_size(json_object_get(document, "runners")), json_array_size(shards), healthy);
    print_brokers(document, shards, file);
    print_runners(document, shards, file);
    print_types(document, shards, file);
    print_groups(shards, file);
    print_counters(document, file);
    json_decref(document);
    return CLI_DONE;
}

static int print_document(const cli_options_t *options, const char *json, const char *standby)
{
    if (options->json) {
        puts(json);
        return CLI_DONE;
    }
    if (standby[0]) {
        printf("%s is a standby; this is the status of its home\n", standby);
    }
    return cli_status_print(json, stdout);
}

int cli_status(const cli_options_t *options)
{
    if (options->argument_count != 1) {
        return cli_usage_error("status takes no argument");
    }
    char *json = NULL;
    char standby[CLI_ENDPOINT_SIZE] = "";
    fabric_client_t *client = NULL;
    int code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE) {
        code = cli_follow(options, &client, &json, standby);
    }
    if (code == CLI_DONE) {
        code = print_document(options, json, standby);
    }
    free(json);
    fabric_client_close(&client);
    return code;
}
