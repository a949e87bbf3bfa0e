/* fabricctl runner: which runners there are, and whether they are given shards. */
#include "cli/commands.h"

#include <string.h>

#include "cli/json.h"
#include "cli/names.h"
#include "cli/order.h"
#include "cli/report.h"
#include "cli/table.h"
#include "core/ids.h"
#include "core/standing.h"
#include "core/wire.h"

/* ---- runner ls ---- */

static json_t *make_row(const json_t *runner)
{
    static const char *const keys[] = {"name",        "standing", "state",       "weight",
                                       "app_version", "owned",    "outstanding", "types"};
    json_t *row = json_object();
    json_object_set(row, "id", json_object_get(runner, "incarnation"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_object_set(row, keys[i], json_object_get(runner, keys[i]));
    }
    return row;
}

static void list_runners(const cli_options_t *options, const json_t *runners)
{
    static const cli_column_t columns[] = {{"RUNNER", "id", CLI_ID_DIGITS_SHOWN},
                                           {"NAME", "name", 0},
                                           {"STANDING", "standing", 0},
                                           {"STATE", "state", 0},
                                           {"WEIGHT", "weight", 0},
                                           {"VERSION", "app_version", 0},
                                           {"SHARDS", "owned", 0},
                                           {"OUTSTANDING", "outstanding", 0},
                                           {"TYPES", "types", 0},
                                           {NULL, NULL, 0}};
    json_t *rows = json_array();
    size_t index;
    const json_t *runner;
    json_array_foreach((json_t *)runners, index, runner)
    {
        json_array_append_new(rows, make_row(runner));
    }
    if (options->json) {
        cli_json_print(rows, stdout);
    } else {
        cli_table_print(rows, columns, "none: start a worker", stdout);
    }
    json_decref(rows);
}

/* ---- standing ---- */

/* The entry of a broker's document; NULL: it does not know the runner. */
static const json_t *entry_at(const json_t *document, const char *id)
{
    return cli_find(json_object_get(document, "runners"), "incarnation", id);
}

/* What is to become of a runner. */
typedef struct change {
    const char *id;
    const char *name;
    runner_standing_t standing;
} change_t;

/* Whether all brokers that know the runner know this standing and, of one that drains, whether it
 * owns nothing any more. */
static bool is_done(const cluster_view_t *view, const void *context)
{
    const change_t *change = context;
    const char *name = runner_standing_name(change->standing);
    bool done = true;
    for (size_t i = 0; i < view->count; i++) {
        const json_t *runner = entry_at(view->documents[i], change->id);
        bool stands = strcmp(cli_text_of(runner, "standing"), name) == 0;
        bool owns = change->standing == RUNNER_DRAINING && cli_number_of(runner, "owned") > 0;
        done = done && (!runner || (stands && !owns));
    }
    return done;
}

/* Gives the order by way of a broker that the runner is connected to. */
static int give_order(const cli_options_t *options, fabric_client_t *client,
                      const cluster_view_t *view, const change_t *change)
{
    incarnation_t id;
    size_t i = 0;
    while (i < view->count &&
           strcmp(cli_text_of(entry_at(view->documents[i], change->id), "state"), "healthy") != 0) {
        i++;
    }
    if (i == view->count || !incarnation_parse(change->id, &id)) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, "look with: fabricctl runner ls",
                        "runner %s is connected to no broker now", change->name);
    }
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes(id.bytes, sizeof id.bytes));
    wire_put_uint(&argument, change->standing);
    cli_order_t order = {.broker = view->answers[i].broker,
                         .query = "runner",
                         .argument = wire_writer_bytes(&argument),
                         .what = "runner",
                         .name = change->name,
                         .is_done = is_done,
                         .context = change};
    int code = cli_order(options, client, &order);
    wire_writer_destroy(&argument);
    return code;
}

/* Whether another runner is given the type's shards. */
static bool is_brought(const json_t *runners, const json_t *but, const char *type)
{
    size_t i;
    size_t k;
    const json_t *runner;
    const json_t *brought;
    json_array_foreach((json_t *)runners, i, runner)
    {
        bool takes = runner != but && strcmp(cli_text_of(runner, "standing"), "open") == 0 &&
                     cli_number_of(runner, "weight") > 0;
        json_array_foreach(json_object_get(runner, "types"), k, brought)
        {
            if (takes && strcmp(json_string_value(brought), type) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Says of which types the messages wait when this runner is given no shards. */
static void warn_of_unserved(const json_t *runners, const json_t *runner)
{
    size_t index;
    const json_t *type;
    json_array_foreach(json_object_get(runner, "types"), index, type)
    {
        const char *name = json_string_value(type);
        if (!is_brought(runners, runner, name)) {
            fprintf(stderr,
                    "fabricctl: no other runner takes shards of type %s: its messages wait\n",
                    name);
        }
    }
}

static int set_standing(const cli_options_t *options, fabric_client_t *client,
                        const cluster_view_t *view, runner_standing_t standing)
{
    const json_t *runners = json_object_get(view->merged, "runners");
    const json_t *runner = cli_name_find(runners, "runner", options->arguments[2]);
    if (!runner) {
        return CLI_NOT_FOUND;
    }
    change_t change = {cli_text_of(runner, "incarnation"), cli_text_of(runner, "name"), standing};
    if (standing == RUNNER_DRAINING) {
        warn_of_unserved(runners, runner);
    }
    int code = give_order(options, client, view, &change);
    if (code == CLI_DONE) {
        printf("runner %s is %s%s\n", change.name, runner_standing_name(standing),
               standing == RUNNER_DRAINING && !options->no_wait ? " and owns no shards" : "");
    }
    return code;
}

/* ---- the command ---- */

/* The standing that a verb gives; false: it is none of those. */
static bool standing_of(const char *verb, runner_standing_t *standing)
{
    static const char *const verbs[] = {
        [RUNNER_OPEN] = "uncordon", [RUNNER_CORDONED] = "cordon", [RUNNER_DRAINING] = "drain"};
    for (unsigned i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i], verb) == 0) {
            *standing = (runner_standing_t)i;
            return true;
        }
    }
    return false;
}

int cli_runner(const cli_options_t *options)
{
    size_t count = options->argument_count;
    const char *verb = count > 1 ? options->arguments[1] : "";
    runner_standing_t standing = RUNNER_OPEN;
    bool lists = strcmp(verb, "ls") == 0 && count == 2;
    if (!lists && !(standing_of(verb, &standing) && count == 3)) {
        return cli_usage_error("runner takes: ls, or cordon, uncordon or drain NAME");
    }
    fabric_client_t *client = NULL;
    cluster_view_t view = {0};
    int code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE) {
        code = cluster_view_ask(options, client, false, &view);
    }
    if (code == CLI_DONE && lists) {
        list_runners(options, json_object_get(view.merged, "runners"));
    } else if (code == CLI_DONE) {
        code = set_standing(options, client, &view, standing);
    }
    cluster_view_destroy(&view);
    fabric_client_close(&client);
    return code;
}
