/* fabricctl runner: which runners there are, and whether they are given shards. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cluster_view.h"
#include "cli/report.h"
#include "cli/table.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/standing.h"
#include "core/wire.h"

enum { POLL_US = 100000 };

/* ---- runner ls ---- */

static void list_runners(const cli_options_t *options, const json_t *rows)
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
    if (options->json) {
        cli_json_print(rows, stdout);
    } else {
        cli_table_print(rows, columns, "none: start a worker", stdout);
    }
}

int cli_find_runner(const json_t *rows, const char *wanted, size_t *index)
{
    cli_name_t *names = cli_names_of(rows, "id");
    int code = cli_name_find(names, json_array_size(rows), "runner", wanted, index);
    free(names);
    return code;
}

/* ---- standing ---- */

/* The entry of a broker's document; NULL: it does not know the runner. */
static const json_t *entry_at(const json_t *document, const char *id)
{
    return cli_find(json_object_get(document, "runners"), "incarnation", id);
}

/* Gives the order by way of a broker that the runner is connected to. */
static int give_order(const cli_options_t *options, fabric_client_t *client,
                      const cluster_view_t *view, const json_t *row, runner_standing_t standing)
{
    incarnation_t id;
    const char *text = cli_text_of(row, "id");
    size_t i = 0;
    while (i < view->count &&
           strcmp(cli_text_of(entry_at(view->brokers[i].document, text), "state"), "healthy") !=
               0) {
        i++;
    }
    if (i == view->count || !incarnation_parse(text, &id)) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, "look with: fabricctl runner ls",
                        "runner %s is connected to no broker now", cli_text_of(row, "name"));
    }
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes(id.bytes, sizeof id.bytes));
    wire_put_uint(&argument, standing);
    int code = cli_order(options, client, view->brokers[i].id, "runner",
                         wire_writer_bytes(&argument), cli_text_of(row, "name"));
    wire_writer_destroy(&argument);
    return code;
}

/* Whether all brokers that know the runner know this standing and, of one that drains, whether it
 * owns nothing any more. */
static bool is_done(const cluster_view_t *view, const char *id, runner_standing_t standing)
{
    bool done = true;
    for (size_t i = 0; i < view->count; i++) {
        const json_t *runner = entry_at(view->brokers[i].document, id);
        bool stands = strcmp(cli_text_of(runner, "standing"), runner_standing_name(standing)) == 0;
        bool owns = standing == RUNNER_DRAINING && cli_number_of(runner, "owned") > 0;
        done = done && (!runner || (stands && !owns));
    }
    return done;
}

static int wait_for(const cli_options_t *options, fabric_client_t *client, const json_t *row,
                    runner_standing_t standing)
{
    uint64_t until_ms = clock_monotonic_ms() + options->wait_ms;
    for (;;) {
        cluster_view_t view = {0};
        int code = cluster_view_ask(options, client, true, &view);
        bool done = code == CLI_DONE && is_done(&view, cli_text_of(row, "id"), standing);
        cluster_view_destroy(&view);
        if (code != CLI_DONE || done) {
            return code;
        }
        if (clock_monotonic_ms() >= until_ms) {
            return cli_fail(FABRIC_ERROR_TIMEOUT, "look with: fabricctl runner ls",
                            "runner %s is not %s yet", cli_text_of(row, "name"),
                            standing == RUNNER_DRAINING ? "without shards"
                                                        : runner_standing_name(standing));
        }
        usleep(POLL_US);
    }
}

/* Whether another runner is given the type's shards. */
static bool is_brought(const json_t *rows, size_t but, const char *type)
{
    size_t i;
    size_t k;
    const json_t *row;
    const json_t *brought;
    json_array_foreach((json_t *)rows, i, row)
    {
        bool takes = i != but && strcmp(cli_text_of(row, "standing"), "open") == 0 &&
                     cli_number_of(row, "weight") > 0;
        json_array_foreach(json_object_get(row, "types"), k, brought)
        {
            if (takes && strcmp(json_string_value(brought), type) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Says of which types the messages wait when this runner is given no shards. */
static void warn_of_unserved(const json_t *rows, size_t index, runner_standing_t standing)
{
    size_t k;
    const json_t *type;
    json_array_foreach(json_object_get(json_array_get(rows, index), "types"), k, type)
    {
        const char *name = json_string_value(type);
        if (standing == RUNNER_DRAINING && !is_brought(rows, index, name)) {
            fprintf(stderr,
                    "fabricctl: no other runner takes shards of type %s: its messages wait\n",
                    name);
        }
    }
}

static int set_standing(const cli_options_t *options, fabric_client_t *client,
                        const cluster_view_t *view, const json_t *rows, runner_standing_t standing)
{
    size_t index = 0;
    int code = cli_find_runner(rows, options->arguments[2], &index);
    if (code != CLI_DONE) {
        return code;
    }
    const json_t *row = json_array_get(rows, index);
    warn_of_unserved(rows, index, standing);
    code = give_order(options, client, view, row, standing);
    if (code == CLI_DONE && !options->no_wait) {
        code = wait_for(options, client, row, standing);
    }
    if (code == CLI_DONE) {
        printf("runner %s is %s%s\n", cli_text_of(row, "name"), runner_standing_name(standing),
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
    json_t *rows = cluster_view_runners(&view);
    if (code == CLI_DONE && lists) {
        list_runners(options, rows);
    } else if (code == CLI_DONE) {
        code = set_standing(options, client, &view, rows, standing);
    }
    json_decref(rows);
    cluster_view_destroy(&view);
    fabric_client_close(&client);
    return code;
}
