/* The status documents of all brokers, joined: see cluster_view.h. */
#include "cli/cluster_view.h"

#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "core/document.h"
#include "core/memory.h"
#include "core/printable.h"
#include "core/standing.h"

/* ---- asking ---- */

void cluster_view_add(cluster_view_t *view, const char *id, const char *name, const char *router,
                      const char *json)
{
    view->brokers = memory_resize(view->brokers, view->count + 1, sizeof *view->brokers);
    view_broker_t *broker = &view->brokers[view->count++];
    *broker = (view_broker_t){.document = json ? json_loads(json, 0, NULL) : NULL};
    snprintf(broker->id, sizeof broker->id, "%s", id);
    snprintf(broker->name, sizeof broker->name, "%s", name);
    snprintf(broker->router, sizeof broker->router, "%s", router);
}

void cluster_view_destroy(cluster_view_t *view)
{
    for (size_t i = 0; i < view->count; i++) {
        json_decref(view->brokers[i].document);
    }
    free(view->brokers);
    *view = (cluster_view_t){0};
}

static void complain(const fabric_broker_answer_t *answer)
{
    char name[PRINTABLE_SIZE(sizeof answer->name)];
    char text[PRINTABLE_SIZE(sizeof answer->outcome.text)];
    printable_copy(answer->name, name, sizeof name);
    printable_copy(cli_outcome_text(&answer->outcome), text, sizeof text);
    fprintf(stderr, "fabricctl: broker %s (%.*s) at %s does not answer: %s (%s)\n", name,
            CLI_ID_DIGITS_SHOWN, answer->broker, answer->endpoint, text,
            fabric_error_name(answer->outcome.error));
}

static void take_answer(cluster_view_t *view, const fabric_broker_answer_t *answer, bool quiet)
{
    char *json = NULL;
    fabric_error_t error = answer->outcome.error;
    if (!error) {
        error = document_to_json(fabric_bytes(answer->document, answer->size), &json);
    }
    if (error && !quiet) {
        complain(answer);
    }
    cluster_view_add(view, answer->broker, answer->name, answer->endpoint, json);
    free(json);
}

int cluster_view_ask(const cli_options_t *options, fabric_client_t *client, bool quiet,
                     cluster_view_t *view)
{
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    fabric_outcome_t outcome = {0};
    *view = (cluster_view_t){0};
    fabric_error_t error = fabric_client_query_all(client, "status", fabric_bytes(NULL, 0),
                                                   options->timeout_ms, &answers, &count, &outcome);
    if (error) {
        outcome.error = error;
        return cli_fail(error, NULL, "status: %s", cli_outcome_text(&outcome));
    }
    for (size_t i = 0; i < count; i++) {
        take_answer(view, &answers[i], quiet);
    }
    fabric_broker_answers_free(&answers, &count);
    return cluster_view_any(view) ? CLI_DONE
                                  : cli_fail(FABRIC_ERROR_NOT_CONNECTED, NULL,
                                             "none of the cluster's brokers answers");
}

bool cli_ask(fabric_client_t *client, const char *broker, uint32_t timeout_ms, json_t **document)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    char *json = NULL;
    fabric_error_t error = fabric_client_query_at(client, broker, "status", fabric_bytes(NULL, 0),
                                                  timeout_ms, &bytes, &size, NULL);
    if (!error) {
        error = document_to_json(fabric_bytes(bytes, size), &json);
    }
    *document = error ? NULL : json_loads(json, 0, NULL);
    free(bytes);
    free(json);
    return *document != NULL;
}

int cli_order(const cli_options_t *options, fabric_client_t *client, const char *broker,
              const char *query, fabric_bytes_t argument, const char *about)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    fabric_outcome_t outcome = {0};
    fabric_error_t error = fabric_client_query_at(client, broker, query, argument,
                                                  options->timeout_ms, &bytes, &size, &outcome);
    free(bytes);
    outcome.error = error;
    return error ? cli_fail(error, NULL, "%s: %s", about, cli_outcome_text(&outcome)) : CLI_DONE;
}

/* ---- brokers and lanes ---- */

const json_t *cluster_view_any(const cluster_view_t *view)
{
    size_t i = 0;
    while (i < view->count && !view->brokers[i].document) {
        i++;
    }
    return i < view->count ? view->brokers[i].document : NULL;
}

size_t cluster_view_index(const cluster_view_t *view, const char *id)
{
    size_t i = 0;
    while (i < view->count && strcmp(view->brokers[i].id, id) != 0) {
        i++;
    }
    return i;
}

uint32_t cluster_view_lanes(const cluster_view_t *view)
{
    return (uint32_t)cli_number_of(cluster_view_any(view), "lanes_of_cluster");
}

/* Where a broker does not answer, the others know by the map what its lanes' shards have as home.
 */
static void add_mapped_holders(const json_t *document, uint32_t lanes, json_t *holders)
{
    size_t index;
    const json_t *shard;
    json_array_foreach(json_object_get(document, "shards"), index, shard)
    {
        json_t *home = json_object_get(shard, "home");
        size_t lane = (size_t)cli_number_of(shard, "number") % lanes;
        if (json_is_null(json_array_get(holders, lane)) && json_is_string(home)) {
            json_array_set(holders, lane, home);
        }
    }
}

json_t *cluster_view_holders(const cluster_view_t *view)
{
    uint32_t lanes = cluster_view_lanes(view);
    json_t *holders = json_array();
    size_t index;
    const json_t *lane;
    for (uint32_t i = 0; i < lanes; i++) {
        json_array_append_new(holders, json_null());
    }
    for (size_t i = 0; i < view->count; i++) {
        json_array_foreach(json_object_get(view->brokers[i].document, "lanes"), index, lane)
        {
            json_array_set_new(holders, (size_t)cli_number_of(lane, "number"),
                               json_string(view->brokers[i].id));
        }
    }
    if (lanes > 0) {
        add_mapped_holders(cluster_view_any(view), lanes, holders);
    }
    return holders;
}

/* ---- runners ---- */

/* How far a runner is from its usual state; a runner is shown in the worst one of those that
 * brokers tell. */
static int badness(const char *state)
{
    static const char *const states[] = {"healthy", "admitting", "missing", "leaving"};
    int i = 0;
    while (i < 3 && strcmp(states[i], state) != 0) {
        i++;
    }
    return i;
}

static void add_number(json_t *row, const char *key, const json_t *runner)
{
    long long sum = cli_number_of(row, key) + cli_number_of(runner, key);
    json_object_set_new(row, key, json_integer(sum));
}

static void join_runner(json_t *row, const json_t *runner)
{
    runner_standing_t before = RUNNER_OPEN;
    runner_standing_t after = RUNNER_OPEN;
    if (badness(cli_text_of(runner, "state")) > badness(cli_text_of(row, "state"))) {
        json_object_set(row, "state", json_object_get(runner, "state"));
    }
    (void)runner_standing_parse(cli_text_of(row, "standing"), &before);
    (void)runner_standing_parse(cli_text_of(runner, "standing"), &after);
    if (after > before) {
        json_object_set(row, "standing", json_object_get(runner, "standing"));
    }
    add_number(row, "owned", runner);
    add_number(row, "outstanding", runner);
}

static json_t *copy_runner(const json_t *runner)
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

json_t *cluster_view_runners(const cluster_view_t *view)
{
    json_t *rows = json_array();
    size_t index;
    const json_t *runner;
    for (size_t i = 0; i < view->count; i++) {
        json_array_foreach(json_object_get(view->brokers[i].document, "runners"), index, runner)
        {
            json_t *row = cli_find(rows, "id", cli_text_of(runner, "incarnation"));
            if (row) {
                join_runner(row, runner);
            } else {
                json_array_append_new(rows, copy_runner(runner));
            }
        }
    }
    return rows;
}

cli_name_t *cli_names_of(const json_t *array, const char *id_key)
{
    cli_name_t *names = memory_allocate_zeroed(json_array_size(array), sizeof *names);
    size_t index;
    const json_t *element;
    json_array_foreach((json_t *)array, index, element)
    {
        names[index].id = cli_text_of(element, id_key);
        names[index].name = cli_text_of(element, "name");
    }
    return names;
}
