/* fabricctl status: brokers, runners, types and shards, as all brokers say together. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/report.h"
#include "cli/table.h"
#include "core/memory.h"
#include "core/printable.h"
#include "core/standing.h"

enum { SHORT_ID = 8 };

/* ---- health ---- */

static json_t *health_numbers(const fabric_health_t *health)
{
    json_t *numbers = json_object();
    const struct {
        const char *key;
        uint64_t number;
    } members[] = {
        {"brokers", health->brokers},
        {"brokers_answering", health->brokers_answering},
        {"runners", health->runners},
        {"runners_healthy", health->runners_healthy},
        {"runners_stuck", health->runners_stuck},
        {"lanes", health->lanes},
        {"lanes_served", health->lanes_served},
        {"lanes_moving", health->lanes_moving},
        {"lanes_stuck", health->lanes_stuck},
        {"types", health->types},
        {"types_missing", health->types_missing},
        {"shards", health->shards},
        {"shards_served", health->shards_served},
        {"shards_moving", health->shards_moving},
        {"shards_unserved", health->shards_unserved},
        {"pending", health->pending},
        {"oldest_pending_ms", health->oldest_pending_ms},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        json_object_set_new(numbers, members[i].key, json_integer((json_int_t)members[i].number));
    }
    json_object_set_new(numbers, "last_fence_ms",
                        health->fenced ? json_integer((json_int_t)health->last_fence_ms)
                                       : json_null());
    json_object_set_new(numbers, "last_fence_lane",
                        health->fenced && health->last_fence_lane >= 0
                            ? json_integer(health->last_fence_lane)
                            : json_null());
    return numbers;
}

void cli_status_add_health(json_t *document, const fabric_health_t *health)
{
    json_t *reasons = json_array();
    for (uint32_t i = 0; i < health->reason_count && i < FABRIC_HEALTH_REASONS_MAX; i++) {
        json_array_append_new(reasons, json_string(health->reasons[i]));
    }
    json_object_set_new(document, "healthy", json_boolean(health->healthy));
    json_object_set_new(document, "reasons", reasons);
    json_object_set_new(document, "health", health_numbers(health));
}

/* ---- tables ---- */

static bool is_healthy(const json_t *shard)
{
    return json_is_true(json_object_get(shard, "healthy"));
}

/* Counts the elements whose member is this text. */
static size_t count_of(const json_t *array, const char *key, const char *text)
{
    size_t count = 0;
    size_t index;
    const json_t *element;
    json_array_foreach((json_t *)array, index, element)
    {
        count += strcmp(cli_text_of(element, key), text) == 0;
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
        *healthy += owns && is_healthy(shard);
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
        count += strcmp(cli_text_of(shard, "group"), group) == 0 &&
                 json_object_get(json_object_get(shard, "owners"), type);
    }
    return count;
}

/* "4.2 s ago", and of which lane. */
static void print_fence(const json_t *numbers, FILE *file)
{
    const json_t *ago_ms = json_object_get(numbers, "last_fence_ms");
    const json_t *lane = json_object_get(numbers, "last_fence_lane");
    if (!json_is_integer(ago_ms)) {
        fprintf(file, "last fence none\n");
        return;
    }
    fprintf(file, "last fence %.1f s ago (", (double)json_integer_value(ago_ms) / 1000);
    if (json_is_integer(lane)) {
        fprintf(file, "lane %lld)\n", (long long)json_integer_value(lane));
    } else {
        fprintf(file, "a whole broker)\n");
    }
}

static void print_reasons(const json_t *document, FILE *file)
{
    size_t index;
    const json_t *reason;
    bool healthy = json_is_true(json_object_get(document, "healthy"));
    fprintf(file, "cluster %s is %s\n", cli_text_of(document, "cluster"),
            healthy ? "healthy" : "NOT healthy:");
    json_array_foreach(json_object_get(document, "reasons"), index, reason)
    {
        fprintf(file, "  - %s\n", json_string_value(reason));
    }
}

static void print_summary(const json_t *document, FILE *file)
{
    const json_t *numbers = json_object_get(document, "health");
    print_reasons(document, file);
    fprintf(file, "map %lld.%lld  brokers %lld (%lld answer)  runners %lld (%lld healthy)  ",
            cli_number_of(document, "map_term"), cli_number_of(document, "map_sequence"),
            cli_number_of(numbers, "brokers"), cli_number_of(numbers, "brokers_answering"),
            cli_number_of(numbers, "runners"), cli_number_of(numbers, "runners_healthy"));
    fprintf(file, "lanes %lld (%lld served, %lld moving, %lld stuck)\n",
            cli_number_of(numbers, "lanes"), cli_number_of(numbers, "lanes_served"),
            cli_number_of(numbers, "lanes_moving"), cli_number_of(numbers, "lanes_stuck"));
    fprintf(file, "shards of all types %lld (%lld served, %lld moving, %lld unserved)  ",
            cli_number_of(numbers, "shards"), cli_number_of(numbers, "shards_served"),
            cli_number_of(numbers, "shards_moving"), cli_number_of(numbers, "shards_unserved"));
    fprintf(file, "pending %lld (the oldest for %.1f s)  ", cli_number_of(numbers, "pending"),
            (double)cli_number_of(numbers, "oldest_pending_ms") / 1000);
    print_fence(numbers, file);
}

static void print_brokers(const json_t *document, FILE *file)
{
    size_t index;
    const json_t *broker;
    fprintf(file, "\n%-*s  %-24s %-32s %-11s %6s %6s\n", SHORT_ID, "BROKER", "NAME", "ROUTER",
            "STATE", "LANES", "SHARDS");
    json_array_foreach(json_object_get(document, "brokers"), index, broker)
    {
        const char *incarnation = cli_text_of(broker, "incarnation");
        bool answers = json_is_true(json_object_get(broker, "answers"));
        fprintf(file, "%-*.*s  %-24s %-32s %-11s %6zu %6zu%s%s\n", SHORT_ID, SHORT_ID, incarnation,
                cli_text_of(broker, "name"), cli_text_of(broker, "router"),
                answers ? cli_text_of(broker, "state") : "silent",
                count_of(json_object_get(document, "lanes"), "broker", incarnation),
                count_of(json_object_get(document, "shards"), "home", incarnation),
                answers ? "" : "  does not answer: ", answers ? "" : cli_text_of(broker, "text"));
    }
}

static void print_runners(const json_t *document, FILE *file)
{
    size_t index;
    const json_t *runner;
    const json_t *shards = json_object_get(document, "shards");
    fprintf(file, "\n%-*s  %-32s %-10s %6s %10s %7s %8s %12s\n", SHORT_ID, "RUNNER", "NAME",
            "STATE", "WEIGHT", "VERSION", "SHARDS", "HEALTHY", "OUTSTANDING");
    json_array_foreach(json_object_get(document, "runners"), index, runner)
    {
        const char *incarnation = cli_text_of(runner, "incarnation");
        size_t healthy = 0;
        size_t owned = count_owned(shards, incarnation, &healthy);
        runner_standing_t standing = RUNNER_OPEN;
        (void)runner_standing_parse(cli_text_of(runner, "standing"), &standing);
        fprintf(file, "%-*.*s  %-32s %-10s %6lld %10lld %7zu %8zu %12lld%s%s\n", SHORT_ID, SHORT_ID,
                incarnation, cli_text_of(runner, "name"),
                cli_number_of(runner, "stuck") > 0 ? "stuck" : cli_text_of(runner, "state"),
                cli_number_of(runner, "weight"), cli_number_of(runner, "app_version"), owned,
                healthy, cli_number_of(runner, "outstanding"), standing == RUNNER_OPEN ? "" : "  ",
                standing == RUNNER_OPEN ? "" : runner_standing_name(standing));
    }
    if (json_array_size(json_object_get(document, "runners")) == 0) {
        fprintf(file, "none: start a worker\n");
    }
}

/* ---- types ---- */

static void print_types(const json_t *document, FILE *file)
{
    size_t index;
    const json_t *type;
    fprintf(file, "\n%-24s %-24s %7s %7s\n", "TYPE", "GROUP", "RUNNERS", "OWNED");
    json_array_foreach(json_object_get(document, "types"), index, type)
    {
        const char *name = cli_text_of(type, "name");
        const char *group = cli_text_of(type, "group");
        size_t runners = json_array_size(json_object_get(type, "runners"));
        fprintf(file, "%-24s %-24s %7zu %7zu%s\n", name, group, runners,
                count_typed(json_object_get(document, "shards"), name, group),
                runners == 0 ? "  no runner brings it: start a worker that does" : "");
    }
}

/* Types that were asked for, and that nobody has ever registered. */
static void print_unregistered(const json_t *document, FILE *file)
{
    size_t index;
    const json_t *type;
    json_array_foreach(json_object_get(document, "unregistered"), index, type)
    {
        const json_t *held = json_object_get(type, "held_ms");
        fprintf(file, "%-24s no worker has registered it; asked for since %.1f s; ",
                cli_text_of(type, "name"), (double)cli_number_of(type, "asked_ms") / 1000);
        if (json_is_null(held)) {
            fprintf(file, "its messages wait at their senders for a first worker\n");
        } else if (json_integer_value(held) > 0) {
            fprintf(file, "durable messages wait at their senders for %.1f s more\n",
                    (double)json_integer_value(held) / 1000);
        } else {
            fprintf(file, "durable messages are refused\n");
        }
    }
}

/* ---- outgoing messages ---- */

/* Lanes whose messages pile up, since the homes of other lanes do not take them. */
static void print_outgoing(const json_t *document, FILE *file)
{
    size_t index;
    size_t i;
    const json_t *lane;
    const json_t *target;
    json_array_foreach(json_object_get(document, "lanes"), index, lane)
    {
        const json_t *full = json_object_get(lane, "outgoing_full");
        if (json_array_size(full) == 0) {
            continue;
        }
        fprintf(file,
                "\nlane %lld has %lld outgoing messages, the oldest since %.1f s: too many to",
                cli_number_of(lane, "number"), cli_number_of(lane, "outgoing"),
                (double)cli_number_of(lane, "outgoing_ms") / 1000);
        json_array_foreach(full, i, target)
        {
            fprintf(file, "%s lane %lld", i > 0 ? "," : "", (long long)json_integer_value(target));
        }
        fprintf(file, "\n");
    }
}

/* ---- groups and counters ---- */

/* The document lists the shards group by group. */
static void print_groups(const json_t *document, FILE *file)
{
    const json_t *shards = json_object_get(document, "shards");
    size_t total = json_array_size(shards);
    size_t first = 0;
    fprintf(file, "\n%-24s %7s %8s %9s\n", "GROUP", "SHARDS", "HEALTHY", "OWNERLESS");
    while (first < total) {
        const char *group = cli_text_of(json_array_get(shards, first), "group");
        size_t healthy = 0;
        size_t ownerless = 0;
        size_t next = first;
        for (;
             next < total && strcmp(cli_text_of(json_array_get(shards, next), "group"), group) == 0;
             next++) {
            const json_t *shard = json_array_get(shards, next);
            healthy += is_healthy(shard);
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
    fprintf(file, "\ncounters of all brokers that answer\n");
    json_object_foreach(json_object_get(document, "counters"), name, value)
    {
        char counter[PRINTABLE_SIZE(64)];
        printable_copy(name, counter, sizeof counter);
        fprintf(file, "  %-18s %12lld\n", counter, (long long)json_integer_value(value));
    }
}

/* Escapes control bytes in all strings: other programs choose the names of workers and brokers. */
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

void cli_status_print(json_t *document, FILE *file)
{
    make_printable(document);
    print_summary(document, file);
    print_brokers(document, file);
    print_runners(document, file);
    print_types(document, file);
    print_unregistered(document, file);
    print_groups(document, file);
    print_outgoing(document, file);
    print_counters(document, file);
}

int cli_status(const cli_options_t *options)
{
    if (options->argument_count != 1) {
        return cli_usage_error("status takes no argument");
    }
    fabric_client_t *client = NULL;
    cluster_view_t view = {0};
    fabric_health_t health;
    int code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE) {
        code = cluster_view_ask(options, client, true, &view);
    }
    if (code == CLI_DONE) {
        fabric_health_of_answers(view.answers, view.count, &health);
        cli_status_add_health(view.merged, &health);
        if (options->json) {
            cli_json_print(view.merged, stdout);
        } else {
            cli_status_print(view.merged, stdout);
        }
        code = options->check && !health.healthy ? CLI_UNHEALTHY : CLI_DONE;
    }
    cluster_view_destroy(&view);
    fabric_client_close(&client);
    return code;
}
