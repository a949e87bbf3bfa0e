/* fabricctl shard: who keeps and runs the shards, and what would move. */
#include "cli/commands.h"

#include <string.h>

#include "cli/json.h"
#include "cli/names.h"
#include "cli/plan.h"
#include "cli/report.h"
#include "cli/shard_rows.h"
#include "cli/table.h"
#include "core/printable.h"

/* ---- shard ls ---- */

static int list_shards(const cli_options_t *options, const cluster_view_t *view)
{
    static const cli_column_t columns[] = {{"SHARD", "shard", 0},    {"LANE", "lane", 0},
                                           {"HOME", "home_name", 0}, {"EPOCH", "home_epoch", 0},
                                           {"STATE", "state", 0},    {"OWNERS", "owners", 0},
                                           {NULL, NULL, 0}};
    json_t *rows = cli_shard_rows(view, options->type, options->group);
    if (options->json) {
        cli_json_print(rows, stdout);
    } else {
        cli_table_print(rows, columns, "none", stdout);
    }
    json_decref(rows);
    return CLI_DONE;
}

/* ---- shard show ---- */

static void print_text(const char *title, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *text = cli_text_of(object, key);
    char safe[PRINTABLE_SIZE(512)];
    if (json_is_integer(value)) {
        printf("%-11s %lld\n", title, cli_number_of(object, key));
    } else {
        printable_copy(text, safe, sizeof safe);
        printf("%-11s %s\n", title, safe);
    }
}

static void print_details(const json_t *details)
{
    static const cli_column_t columns[] = {{"TYPE", "type", 0},
                                           {"OWNER", "runner", CLI_ID_DIGITS_SHOWN},
                                           {"NAME", "name", 0},
                                           {"STATE", "state", 0},
                                           {"STANDING", "standing", 0},
                                           {"VERSION", "app_version", 0},
                                           {NULL, NULL, 0}};
    print_text("shard", details, "shard");
    print_text("state", details, "state");
    print_text("home", details, "home_name");
    print_text("", details, "home");
    print_text("lane", details, "lane");
    print_text("epoch", details, "home_epoch");
    print_text("lane is", details, "lane_state");
    print_text("entry", details, "entry");
    print_text("checkpoint", details, "checkpoint");
    print_text("tail bytes", details, "tail_bytes");
    printf("\n");
    cli_table_print(json_object_get(details, "owners"), columns, "no type has an owner here",
                    stdout);
}

static int show_shard(const cli_options_t *options, const cluster_view_t *view)
{
    json_t *details = cli_shard_details(view, options->arguments[2]);
    if (!details) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, "a shard is written GROUP:NUMBER, as default:7",
                        "there is no shard '%.100s'", options->arguments[2]);
    }
    if (options->json) {
        cli_json_print(details, stdout);
    } else {
        print_details(details);
    }
    json_decref(details);
    return CLI_DONE;
}

/* ---- shard plan ---- */

/* What the plan is about. */
typedef struct subject {
    const json_t *members; /* all brokers, or all runners */
    bool is_broker;
    const char *drained; /* its id; NULL: it is added */
} subject_t;

/* A name may be a broker's or a runner's. */
static int find_subject(const cli_options_t *options, const cluster_view_t *view,
                        subject_t *subject)
{
    const json_t *brokers = json_object_get(view->merged, "brokers");
    const json_t *runners = json_object_get(view->merged, "runners");
    bool broker = options->drain && cli_name_count(brokers, options->drain) > 0;
    bool runner = options->drain && cli_name_count(runners, options->drain) > 0;
    if (broker && runner && !options->broker && !options->runner) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, "say --broker or --runner",
                        "'%.100s' is a broker and a runner", options->drain);
    }
    subject->is_broker = options->broker || (!options->runner && broker);
    subject->members = subject->is_broker ? brokers : runners;
    if (options->drain) {
        const json_t *found = cli_name_find(
            subject->members, subject->is_broker ? "broker" : "runner", options->drain);
        if (!found) {
            return CLI_NOT_FOUND;
        }
        subject->drained = cli_text_of(found, "incarnation");
    }
    return CLI_DONE;
}

/* Adds from_name and to_name, which are null for nobody. */
static void add_names(const cli_options_t *options, const json_t *members, json_t *moves)
{
    static const char *const ends[][2] = {{"from", "from_name"}, {"to", "to_name"}};
    size_t index;
    json_t *move;
    json_array_foreach(moves, index, move)
    {
        for (size_t i = 0; i < 2; i++) {
            const char *id = cli_text_of(move, ends[i][0]);
            const json_t *member = cli_find(members, "incarnation", id);
            const char *name = strcmp(id, PLAN_NEWCOMER) == 0 ? options->add
                               : member                       ? cli_text_of(member, "name")
                                                              : NULL;
            json_object_set_new(move, ends[i][1], name ? json_string(name) : json_null());
        }
    }
}

static void print_plan(const cli_options_t *options, bool is_broker, size_t all, json_t *moves)
{
    static const cli_column_t lanes[] = {
        {"LANE", "lane", 0}, {"FROM", "from_name", 0}, {"TO", "to_name", 0}, {NULL, NULL, 0}};
    static const cli_column_t shards[] = {{"TYPE", "type", 0},
                                          {"SHARD", "shard", 0},
                                          {"FROM", "from_name", 0},
                                          {"TO", "to_name", 0},
                                          {NULL, NULL, 0}};
    size_t count = json_array_size(moves);
    if (options->json) {
        json_t *plan = json_object();
        json_object_set(plan, "moves", moves);
        json_object_set_new(plan, "count", json_integer((json_int_t)count));
        json_object_set_new(plan, "of", json_integer((json_int_t)all));
        cli_json_print(plan, stdout);
        json_decref(plan);
        return;
    }
    cli_table_print(moves, is_broker ? lanes : shards, "nothing moves", stdout);
    printf("\n%zu of %zu %s would move\n", count, all,
           is_broker ? "lanes" : "types' parts of shards");
}

/* All (type, shard) pairs that homes place. */
static size_t count_pairs(const cluster_view_t *view)
{
    size_t count = 0;
    size_t i;
    size_t k;
    const json_t *shard;
    const json_t *type;
    json_array_foreach(json_object_get(view->merged, "shards"), i, shard)
    {
        json_array_foreach(json_object_get(view->merged, "types"), k, type)
        {
            count += strcmp(cli_text_of(type, "group"), cli_text_of(shard, "group")) == 0;
        }
    }
    return count;
}

static int plan(const cli_options_t *options, const cluster_view_t *view)
{
    subject_t subject = {0};
    plan_runner_t added = {options->weight, options->app_version, options->types};
    int code = find_subject(options, view, &subject);
    if (code == CLI_DONE) {
        json_t *moves = subject.is_broker ? plan_lanes(view, subject.drained)
                                          : plan_shards(view, subject.drained, &added);
        size_t all = subject.is_broker ? cluster_view_lanes(view) : count_pairs(view);
        add_names(options, subject.members, moves);
        print_plan(options, subject.is_broker, all, moves);
        json_decref(moves);
    }
    return code;
}

/* ---- the command ---- */

static int check_plan(const cli_options_t *options)
{
    if (!options->add == !options->drain) {
        return cli_usage_error("shard plan takes one of --add NAME and --drain NAME");
    }
    if (options->broker && options->runner) {
        return cli_usage_error("shard plan takes one of --broker and --runner");
    }
    if (options->add && !options->broker && !options->runner) {
        return cli_usage_error("shard plan --add: say --broker or --runner");
    }
    return CLI_DONE;
}

static int check_arguments(const cli_options_t *options)
{
    size_t count = options->argument_count;
    const char *verb = count > 1 ? options->arguments[1] : "";
    if (strcmp(verb, "plan") == 0 && count == 2) {
        return check_plan(options);
    }
    if ((strcmp(verb, "ls") == 0 && count == 2) || (strcmp(verb, "show") == 0 && count == 3)) {
        return CLI_DONE;
    }
    return cli_usage_error("shard takes: ls, show GROUP:NUMBER, or plan");
}

int cli_shard(const cli_options_t *options)
{
    int code = check_arguments(options);
    if (code != CLI_DONE) {
        return code;
    }
    const char *verb = options->arguments[1];
    fabric_client_t *client = NULL;
    cluster_view_t view = {0};
    code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE) {
        code = cluster_view_ask(options, client, false, &view);
    }
    if (code == CLI_DONE) {
        code = strcmp(verb, "ls") == 0     ? list_shards(options, &view)
               : strcmp(verb, "show") == 0 ? show_shard(options, &view)
                                           : plan(options, &view);
    }
    cluster_view_destroy(&view);
    fabric_client_close(&client);
    return code;
}
