/* The shards of a cluster: see shard_rows.h. */
#include "cli/shard_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

enum { SHARD_TEXT_SIZE = LIMIT_NAME_BYTES_MAX + 16 };

/* ---- which broker's word counts ---- */

/* The entry of a lane in the document of a broker; NULL: it does not hold the lane. */
static const json_t *lane_of(const json_t *document, long long number)
{
    size_t index;
    const json_t *lane;
    json_array_foreach(json_object_get(document, "lanes"), index, lane)
    {
        if (cli_number_of(lane, "number") == number) {
            return lane;
        }
    }
    return NULL;
}

static const char *state_of(const cluster_view_t *view, const json_t *shard, bool by_home,
                            const json_t *lane)
{
    const char *home = json_string_value(json_object_get(shard, "home"));
    bool leads = lane && strcmp(cli_text_of(lane, "state"), "home") == 0;
    if (by_home && leads) {
        return json_is_true(json_object_get(shard, "healthy")) ? "served" : "unserved";
    }
    size_t index = home ? cluster_view_index(view, home) : view->count;
    bool answers = index < view->count && view->brokers[index].document;
    return !home || answers ? "moving" : "unknown";
}

static json_t *make_row(const cluster_view_t *view, const view_broker_t *teller,
                        const json_t *shard)
{
    char text[SHARD_TEXT_SIZE];
    const char *home = cli_text_of(shard, "home");
    long long number = cli_number_of(shard, "number");
    long long lane = number % (long long)cluster_view_lanes(view);
    size_t index = cluster_view_index(view, home);
    bool by_home = strcmp(home, teller->id) == 0;
    const char *state = state_of(view, shard, by_home, lane_of(teller->document, lane));
    snprintf(text, sizeof text, "%s:%lld", cli_text_of(shard, "group"), number);
    json_t *row = json_object();
    json_object_set_new(row, "shard", json_string(text));
    json_object_set(row, "group", json_object_get(shard, "group"));
    json_object_set(row, "number", json_object_get(shard, "number"));
    json_object_set_new(row, "lane", json_integer(lane));
    json_object_set(row, "home", json_object_get(shard, "home"));
    json_object_set_new(row, "home_name",
                        index < view->count ? json_string(view->brokers[index].name) : json_null());
    json_object_set(row, "home_epoch", json_object_get(shard, "home_epoch"));
    json_object_set_new(row, "state", json_string(state));
    json_object_set_new(row, "owners", json_deep_copy(json_object_get(shard, "owners")));
    return row;
}

/* Its home's word comes before that of all others, and of these the first one's. */
static void take_shard(const cluster_view_t *view, const view_broker_t *teller, size_t place,
                       const json_t *shard, json_t *rows)
{
    const char *home = json_string_value(json_object_get(shard, "home"));
    if (place >= json_array_size(rows)) {
        json_array_append_new(rows, make_row(view, teller, shard));
    } else if (home && strcmp(home, teller->id) == 0) {
        json_array_set_new(rows, place, make_row(view, teller, shard));
    }
}

/* ---- all of them ---- */

static bool is_of_type(const json_t *document, const char *type, const char *group)
{
    size_t index;
    const json_t *one;
    json_array_foreach(json_object_get(document, "types"), index, one)
    {
        if (strcmp(cli_text_of(one, "name"), type) == 0) {
            return strcmp(cli_text_of(one, "group"), group) == 0;
        }
    }
    return false;
}

static json_t *filter(const cluster_view_t *view, const json_t *rows, const char *type,
                      const char *group)
{
    json_t *left = json_array();
    size_t index;
    json_t *row;
    json_array_foreach((json_t *)rows, index, row)
    {
        const char *its = cli_text_of(row, "group");
        if ((group && strcmp(its, group) != 0) ||
            (type && !is_of_type(cluster_view_any(view), type, its))) {
            continue;
        }
        if (type) {
            json_t *owner = json_incref(json_object_get(json_object_get(row, "owners"), type));
            json_t *owners = json_object();
            if (owner) {
                json_object_set_new(owners, type, owner);
            }
            json_object_set_new(row, "owners", owners);
        }
        json_array_append(left, row);
    }
    return left;
}

/* All brokers list the shards in the same order: group by group, by number. One that has not heard
 * of the newest groups lists fewer. */
json_t *cli_shard_rows(const cluster_view_t *view, const char *type, const char *group)
{
    json_t *rows = json_array();
    size_t place;
    const json_t *shard;
    for (size_t i = 0; i < view->count && cluster_view_lanes(view) > 0; i++) {
        json_array_foreach(json_object_get(view->brokers[i].document, "shards"), place, shard)
        {
            take_shard(view, &view->brokers[i], place, shard, rows);
        }
    }
    json_t *left = filter(view, rows, type, group);
    json_decref(rows);
    return left;
}

/* ---- one of them ---- */

static json_t *owner_details(const json_t *runners, const char *type, const json_t *owner)
{
    static const char *const keys[] = {"name", "standing", "state", "app_version"};
    json_t *details = json_object();
    size_t index;
    const json_t *runner;
    json_object_set_new(details, "type", json_string(type));
    json_object_set(details, "runner", (json_t *)owner);
    json_array_foreach((json_t *)runners, index, runner)
    {
        if (json_equal(json_object_get(runner, "id"), owner)) {
            for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
                json_object_set(details, keys[i], json_object_get(runner, keys[i]));
            }
        }
    }
    return details;
}

static void add_details(const cluster_view_t *view, json_t *row)
{
    static const char *const keys[][2] = {{"lane_state", "state"},
                                          {"entry", "entry"},
                                          {"checkpoint", "checkpoint"},
                                          {"tail_bytes", "tail_bytes"}};
    json_t *runners = cluster_view_runners(view);
    json_t *owners = json_array();
    const char *type;
    const json_t *owner;
    json_object_foreach(json_object_get(row, "owners"), type, owner)
    {
        json_array_append_new(owners, owner_details(runners, type, owner));
    }
    json_object_set_new(row, "owners", owners);
    json_decref(runners);
    size_t index = cluster_view_index(view, cli_text_of(row, "home"));
    const json_t *document = index < view->count ? view->brokers[index].document : NULL;
    const json_t *lane = lane_of(document, cli_number_of(row, "lane"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = json_object_get(lane, keys[i][1]);
        json_object_set_new(row, keys[i][0], value ? json_incref(value) : json_null());
    }
}

json_t *cli_shard_details(const cluster_view_t *view, const char *shard)
{
    json_t *rows = cli_shard_rows(view, NULL, NULL);
    json_t *found = NULL;
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        if (strcmp(cli_text_of(row, "shard"), shard) == 0) {
            found = json_incref(row);
        }
    }
    json_decref(rows);
    if (found) {
        add_details(view, found);
    }
    return found;
}
