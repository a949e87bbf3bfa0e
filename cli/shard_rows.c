/* The shards of a cluster: see shard_rows.h. */
#include "cli/shard_rows.h"

#include <string.h>

#include "cli/json.h"

/* The merged entry of a lane; NULL: no broker that answers holds it. */
static const json_t *lane_of(const cluster_view_t *view, long long number)
{
    size_t index;
    const json_t *lane;
    json_array_foreach(json_object_get(view->merged, "lanes"), index, lane)
    {
        if (cli_number_of(lane, "number") == number) {
            return lane;
        }
    }
    return NULL;
}

/* ---- all of them ---- */

static const char *state_of(const json_t *shard, const json_t *home, const json_t *lane)
{
    const json_t *healthy = json_object_get(shard, "healthy");
    if (json_is_boolean(healthy) && strcmp(cli_text_of(lane, "state"), "home") == 0) {
        return json_is_true(healthy) ? "served" : "unserved";
    }
    bool answers = json_is_true(json_object_get(home, "answers"));
    return answers || !json_is_string(json_object_get(shard, "home")) ? "moving" : "unknown";
}

/* The owners of all types, or of one. */
static json_t *owners_of(const json_t *shard, const char *type)
{
    const json_t *owners = json_object_get(shard, "owners");
    json_t *owner = type ? json_object_get(owners, type) : NULL;
    json_t *one = json_object();
    if (owner) {
        json_object_set(one, type, owner);
    } else if (!type) {
        json_object_update(one, (json_t *)owners);
    }
    return one;
}

static json_t *make_row(const cluster_view_t *view, const json_t *shard, const char *type)
{
    long long number = cli_number_of(shard, "number");
    long long lane = number % (long long)cluster_view_lanes(view);
    const json_t *home = cli_find(json_object_get(view->merged, "brokers"), "incarnation",
                                  cli_text_of(shard, "home"));
    json_t *row = json_object();
    json_object_set_new(row, "shard", json_sprintf("%s:%lld", cli_text_of(shard, "group"), number));
    json_object_set(row, "group", json_object_get(shard, "group"));
    json_object_set(row, "number", json_object_get(shard, "number"));
    json_object_set_new(row, "lane", json_integer(lane));
    json_object_set(row, "home", json_object_get(shard, "home"));
    json_object_set_new(row, "home_name",
                        home ? json_string(cli_text_of(home, "name")) : json_null());
    json_object_set(row, "home_epoch", json_object_get(shard, "home_epoch"));
    json_object_set_new(row, "state", json_string(state_of(shard, home, lane_of(view, lane))));
    json_object_set_new(row, "owners", owners_of(shard, type));
    return row;
}

json_t *cli_shard_rows(const cluster_view_t *view, const char *type, const char *group)
{
    json_t *rows = json_array();
    const json_t *one =
        type ? cli_find(json_object_get(view->merged, "types"), "name", type) : NULL;
    size_t index;
    const json_t *shard;
    if (cluster_view_lanes(view) == 0 || (type && !one)) {
        return rows;
    }
    json_array_foreach(json_object_get(view->merged, "shards"), index, shard)
    {
        const char *its = cli_text_of(shard, "group");
        if ((!group || strcmp(its, group) == 0) &&
            (!one || strcmp(its, cli_text_of(one, "group")) == 0)) {
            json_array_append_new(rows, make_row(view, shard, type));
        }
    }
    return rows;
}

/* ---- one of them ---- */

static json_t *owner_details(const cluster_view_t *view, const char *type, json_t *owner)
{
    static const char *const keys[] = {"name", "standing", "state", "app_version"};
    json_t *details = json_object();
    const json_t *runner = cli_find(json_object_get(view->merged, "runners"), "incarnation",
                                    json_string_value(owner) ? json_string_value(owner) : "");
    json_object_set_new(details, "type", json_string(type));
    json_object_set(details, "runner", owner);
    for (size_t i = 0; runner && i < sizeof keys / sizeof keys[0]; i++) {
        json_object_set(details, keys[i], json_object_get(runner, keys[i]));
    }
    return details;
}

static void add_details(const cluster_view_t *view, json_t *row)
{
    static const char *const keys[][2] = {{"lane_state", "state"},
                                          {"entry", "entry"},
                                          {"checkpoint", "checkpoint"},
                                          {"tail_bytes", "tail_bytes"}};
    const json_t *lane = lane_of(view, cli_number_of(row, "lane"));
    json_t *owners = json_array();
    const char *type;
    json_t *owner;
    json_object_foreach(json_object_get(row, "owners"), type, owner)
    {
        json_array_append_new(owners, owner_details(view, type, owner));
    }
    json_object_set_new(row, "owners", owners);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = json_object_get(lane, keys[i][1]);
        json_object_set_new(row, keys[i][0], value ? json_incref(value) : json_null());
    }
}

json_t *cli_shard_details(const cluster_view_t *view, const char *shard)
{
    json_t *rows = cli_shard_rows(view, NULL, NULL);
    json_t *found = json_incref(cli_find(rows, "shard", shard));
    json_decref(rows);
    if (found) {
        add_details(view, found);
    }
    return found;
}
