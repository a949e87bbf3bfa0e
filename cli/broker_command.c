/* fabricctl broker: which brokers there are, and the orderly stop of one of them. */
#include "cli/commands.h"

#include <string.h>

#include "cli/json.h"
#include "cli/names.h"
#include "cli/order.h"
#include "cli/report.h"
#include "cli/table.h"

/* ---- broker ls ---- */

static json_t *make_row(const fabric_broker_answer_t *answer, const json_t *document,
                        const char *holder)
{
    json_t *row = json_object();
    json_object_set_new(row, "name", json_string(answer->name));
    json_object_set_new(row, "incarnation", json_string(answer->broker));
    json_object_set_new(row, "router", json_string(answer->endpoint));
    json_object_set_new(row, "state",
                        json_string(document ? cli_text_of(document, "state") : "silent"));
    json_object_set_new(
        row, "lanes",
        document ? json_integer((json_int_t)json_array_size(json_object_get(document, "lanes")))
                 : json_null());
    json_object_set_new(row, "holder", json_boolean(strcmp(holder, answer->broker) == 0));
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
        json_array_append_new(rows, make_row(&view->answers[i], view->documents[i], holder));
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

/* Whether all other brokers that answer say that the broker has left. */
static bool has_left(const cluster_view_t *view, const void *broker)
{
    size_t others = 0;
    for (size_t i = 0; i < view->count; i++) {
        const json_t *document = view->documents[i];
        if (document && strcmp(view->answers[i].broker, broker) != 0) {
            if (cli_find(json_object_get(document, "brokers"), "incarnation", broker)) {
                return false;
            }
            others++;
        }
    }
    return others > 0;
}

static int drain(const cli_options_t *options, fabric_client_t *client, const cluster_view_t *view)
{
    const json_t *brokers = json_object_get(view->merged, "brokers");
    const json_t *broker = cli_name_find(brokers, "broker", options->arguments[2]);
    if (!broker) {
        return CLI_NOT_FOUND;
    }
    const char *id = cli_text_of(broker, "incarnation");
    cli_order_t order = {.broker = id,
                         .query = "drain",
                         .what = "broker",
                         .name = cli_text_of(broker, "name"),
                         .is_done = has_left,
                         .context = id};
    int code = cli_order(options, client, &order);
    if (code == CLI_DONE) {
        printf("broker %s %s\n", order.name, options->no_wait ? "drains" : "has left");
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
