/* fabricctl broker: which brokers there are, and the orderly stop of one of them. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cluster_view.h"
#include "cli/report.h"
#include "cli/table.h"
#include "core/clock.h"

enum { POLL_US = 100000, POLL_TIMEOUT_MS = 1000 };

/* ---- broker ls ---- */

static json_t *make_row(const view_broker_t *broker, const char *holder)
{
    const json_t *document = broker->document;
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(broker->name));
    json_object_set_new(row, "incarnation", json_string(broker->id));
    json_object_set_new(row, "router", json_string(broker->router));
    json_object_set_new(row, "state",
                        json_string(document ? cli_text_of(document, "state") : "silent"));
    json_object_set_new(
        row, "lanes",
        document ? json_integer((json_int_t)json_array_size(json_object_get(document, "lanes")))
                 : json_null());
    json_object_set_new(row, "holder", json_boolean(strcmp(holder, broker->id) == 0));
    json_object_set_new(row, "draining",
                        document ? json_boolean(json_is_true(json_object_get(document, "draining")))
                                 : json_null());
    return row;
}

json_t *cli_broker_rows(const cluster_view_t *view)
{
    json_t *rows = json_array();
    const char *holder = cli_text_of(cluster_view_any(view), "holder");
    for (size_t i = 0; i < view->count; i++) {
        json_array_append_new(rows, make_row(&view->brokers[i], holder));
    }
    return rows;
}

static void list_brokers(const cli_options_t *options, const cluster_view_t *view)
{
    static const cli_column_t columns[] = {
        {"NAME", "name", 0},         {"BROKER", "incarnation", CLI_ID_DIGITS_SHOWN},
        {"ADDRESS", "router", 0},    {"STATE", "state", 0},
        {"LANES", "lanes", 0},       {"HOLDS TERM", "holder", 0},
        {"DRAINING", "draining", 0}, {NULL, NULL, 0}};
    json_t *rows = cli_broker_rows(view);
    if (options->json) {
        cli_json_print(rows, stdout);
    } else {
        cli_table_print(rows, columns, "none", stdout);
    }
    json_decref(rows);
}

/* ---- broker drain ---- */

int cli_find_broker(const cluster_view_t *view, const char *wanted, size_t *index)
{
    json_t *rows = cli_broker_rows(view);
    cli_name_t *names = cli_names_of(rows, "incarnation");
    int code = cli_name_find(names, view->count, "broker", wanted, index);
    free(names);
    json_decref(rows);
    return code;
}

/* Whether another broker, which is asked, says that the broker has left. */
static bool has_left(fabric_client_t *client, const cluster_view_t *view, size_t index)
{
    for (size_t i = 0; i < view->count; i++) {
        json_t *document = NULL;
        if (i != index && view->brokers[i].document &&
            cli_ask(client, view->brokers[i].id, POLL_TIMEOUT_MS, &document)) {
            bool left = !cli_find(json_object_get(document, "brokers"), "incarnation",
                                  view->brokers[index].id);
            json_decref(document);
            return left;
        }
    }
    return false;
}

static int wait_until_left(const cli_options_t *options, fabric_client_t *client,
                           const cluster_view_t *view, size_t index)
{
    uint64_t until_ms = clock_monotonic_ms() + options->wait_ms;
    while (!has_left(client, view, index)) {
        if (clock_monotonic_ms() >= until_ms) {
            return cli_fail(FABRIC_ERROR_TIMEOUT, "look with: fabricctl broker ls",
                            "broker %s still drains", view->brokers[index].name);
        }
        usleep(POLL_US);
    }
    return CLI_DONE;
}

static int drain(const cli_options_t *options, fabric_client_t *client, const cluster_view_t *view)
{
    size_t index = 0;
    int code = cli_find_broker(view, options->arguments[2], &index);
    if (code != CLI_DONE) {
        return code;
    }
    const view_broker_t *broker = &view->brokers[index];
    code = cli_order(options, client, broker->id, "drain", fabric_bytes(NULL, 0), broker->name);
    if (code == CLI_DONE && !options->no_wait) {
        code = wait_until_left(options, client, view, index);
    }
    if (code == CLI_DONE) {
        printf("broker %s %s\n", broker->name, options->no_wait ? "drains" : "has left");
    }
    return code;
}

/* ---- the command ---- */

int cli_broker(const cli_options_t *options)
{
    size_t count = options->argument_count;
    const char *verb = count > 1 ? options->arguments[1] : "";
    bool lists = strcmp(verb, "ls") == 0 && count == 2;
    if (!lists && !(strcmp(verb, "drain") == 0 && count == 3)) {
        return cli_usage_error("broker takes: ls, or drain NAME");
    }
    fabric_client_t *client = NULL;
    cluster_view_t view = {0};
    int code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE) {
        code = cluster_view_ask(options, client, false, &view);
    }
    if (code == CLI_DONE && lists) {
        list_brokers(options, &view);
    } else if (code == CLI_DONE) {
        code = drain(options, client, &view);
    }
    cluster_view_destroy(&view);
    fabric_client_close(&client);
    return code;
}
