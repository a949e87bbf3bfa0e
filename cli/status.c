/* fabricctl status: brokers, runners, types and shards as the home knows them. A standby names the
 * home, which is then asked. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/report.h"
#include "core/memory.h"
#include "core/printable.h"

/* NAMED_MAX: how many runners that lack a type are named; the others are counted. */
enum { SHORT_ID = 8, NAMED_MAX = 3 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* Counts the shards whose `key` is `value`; a NULL value counts those that have none. `healthy`,
 * if not NULL, gets how many of them are. */
static size_t count_shards(const json_t *shards, const char *key, const char *value,
                           size_t *healthy)
{
    size_t count = 0;
    size_t index;
    const json_t *shard;
    size_t healthy_count = 0;
    json_array_foreach((json_t *)shards, index, shard)
    {
        const char *found = json_string_value(json_object_get(shard, key));
        bool same = value ? found && strcmp(found, value) == 0 : !found;
        count += same;
        healthy_count += same && json_is_true(json_object_get(shard, "healthy"));
    }
    if (healthy) {
        *healthy = healthy_count;
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
                text_of(broker, "router"), text_of(broker, "pub"),
                count_shards(shards, "home", incarnation, NULL),
                strcmp(incarnation, text_of(document, "broker")) == 0 ? "  (answers)" : "");
    }
}

static void print_runners(const json_t *document, const json_t *shards, FILE *file)
{
    size_t index;
    const json_t *runner;
    fprintf(file, "\n%-*s  %-32s %-10s %6s %7s %8s %12s\n", SHORT_ID, "RUNNER", "NAME", "STATE",
            "WEIGHT", "SHARDS", "HEALTHY", "OUTSTANDING");
    json_array_foreach(json_object_get(document, "runners"), index, runner)
    {
        const char *incarnation = text_of(runner, "incarnation");
        size_t healthy = 0;
        size_t owned = count_shards(shards, "owner", incarnation, &healthy);
        fprintf(file, "%-*.*s  %-32s %-10s %6lld %7zu %8zu %12lld\n", SHORT_ID, SHORT_ID,
                incarnation, text_of(runner, "name"), text_of(runner, "state"),
                number_of(runner, "weight"), owned, healthy, number_of(runner, "outstanding"));
    }
    if (json_array_size(json_object_get(document, "runners")) == 0) {
        fprintf(file, "none: start a worker\n");
    }
}

/* ---- types ---- */

static const char *runner_name(const json_t *document, const char *incarnation)
{
    size_t index;
    const json_t *runner;
    json_array_foreach(json_object_get(document, "runners"), index, runner)
    {
        if (strcmp(text_of(runner, "incarnation"), incarnation) == 0) {
            return text_of(runner, "name");
        }
    }
    return "-";
}

/* Names the runners of the type's group that do not bring it. */
static void print_missing(const json_t *document, const json_t *missing, FILE *file)
{
    size_t index;
    const json_t *runner;
    json_array_foreach((json_t *)missing, index, runner)
    {
        const char *incarnation = json_string_value(runner);
        if (index == NAMED_MAX) {
            fprintf(file, " and %zu more", json_array_size(missing) - NAMED_MAX);
            return;
        }
        fprintf(file, "%s %s (%.*s)", index == 0 ? "  not at" : ",",
                runner_name(document, incarnation ? incarnation : "-"), SHORT_ID,
                incarnation ? incarnation : "-");
    }
}

static void print_types(const json_t *document, FILE *file)
{
    size_t index;
    bool differ = false;
    const json_t *type;
    fprintf(file, "\n%-24s %-24s %7s\n", "TYPE", "GROUP", "RUNNERS");
    json_array_foreach(json_object_get(document, "types"), index, type)
    {
        const json_t *missing = json_object_get(type, "missing");
        size_t runners = json_array_size(json_object_get(type, "runners"));
        fprintf(file, "%-24s %-24s %7zu", text_of(type, "name"), text_of(type, "group"), runners);
        if (runners == 0) {
            fprintf(file, "  no runner brings it: start a worker that does");
        } else {
            print_missing(document, missing, file);
            differ |= json_array_size(missing) > 0;
        }
        fputc('\n', file);
    }
    if (differ) {
        fprintf(file, "all workers of a shard group must bring the same types: messages wait where "
                      "the owner of their shard does not\n");
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
            ownerless += !json_is_string(json_object_get(shard, "owner"));
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
    print_types(document, file);
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
