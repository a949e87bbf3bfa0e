/* Merging what brokers say: see cluster_merge.h. */
#include "cli/cluster_merge.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "core/standing.h"

/* Puts a copy of the member, if there is one, into another object. */
static void copy_member(json_t *to, const json_t *from, const char *key)
{
    const json_t *value = json_object_get(from, key);
    if (value) {
        json_object_set_new(to, key, json_deep_copy(value));
    }
}

static void add_number(json_t *to, const json_t *from, const char *key)
{
    json_object_set_new(to, key, json_integer(cli_number_of(to, key) + cli_number_of(from, key)));
}

static void merge_version(json_t *merged, const json_t *document)
{
    long long term = cli_number_of(document, "map_term");
    long long sequence = cli_number_of(document, "map_sequence");
    long long known = cli_number_of(merged, "map_term");
    if (term > known || (term == known && sequence >= cli_number_of(merged, "map_sequence"))) {
        json_object_set_new(merged, "map_term", json_integer(term));
        json_object_set_new(merged, "map_sequence", json_integer(sequence));
    }
}

static void add_broker(json_t *merged, const fabric_broker_answer_t *answer, const json_t *document)
{
    json_t *broker =
        json_pack("{s:s, s:s, s:s, s:b}", "incarnation", answer->broker, "name", answer->name,
                  "router", answer->endpoint, "answers", document != NULL);
    if (document) {
        const json_t *self =
            cli_find(json_object_get(document, "brokers"), "incarnation", answer->broker);
        copy_member(broker, self, "pub");
        copy_member(broker, document, "state");
        copy_member(broker, document, "pending");
        copy_member(broker, document, "oldest_pending_ms");
        copy_member(broker, document, "fence");
        copy_member(broker, document, "store");
        copy_member(broker, document, "counters");
    } else {
        json_object_set_new(broker, "error", json_string(fabric_error_name(answer->outcome.error)));
        json_object_set_new(broker, "text", json_string(answer->outcome.text));
    }
    json_array_append_new(json_object_get(merged, "brokers"), broker);
}

static void merge_counters(json_t *merged, const json_t *document)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(document, "counters"), name, value)
    {
        add_number(json_object_get(merged, "counters"), json_object_get(document, "counters"),
                   name);
    }
}

/* Of two brokers that both count as holder for a moment, the later one is right. */
static void merge_lanes(json_t *lanes, const fabric_broker_answer_t *answer, const json_t *document)
{
    size_t index;
    json_t *lane;
    char number[24];
    json_array_foreach(json_object_get(document, "lanes"), index, lane)
    {
        snprintf(number, sizeof number, "%lld", cli_number_of(lane, "number"));
        const json_t *known = json_object_get(lanes, number);
        if (!known || cli_number_of(lane, "epoch") > cli_number_of(known, "epoch")) {
            json_t *copy = json_deep_copy(lane);
            json_object_set_new(copy, "broker", json_string(answer->broker));
            json_object_set_new(copy, "broker_name", json_string(answer->name));
            json_object_set_new(lanes, number, copy);
        }
    }
}

/* How far a state of a runner is from the usual one. */
static int badness_of_state(const json_t *runner)
{
    static const char *const states[] = {"healthy", "admitting", "missing", "leaving"};
    int i = 0;
    while (i < 3 && strcmp(states[i], cli_text_of(runner, "state")) != 0) {
        i++;
    }
    return i;
}

static int badness_of_standing(const json_t *runner)
{
    runner_standing_t standing = RUNNER_OPEN;
    (void)runner_standing_parse(cli_text_of(runner, "standing"), &standing);
    return (int)standing;
}

/* Two brokers may have heard of it at different moments. */
static void take_larger(json_t *known, const json_t *runner, const char *key)
{
    if (cli_number_of(runner, key) > cli_number_of(known, key)) {
        copy_member(known, runner, key);
    }
}

static void merge_runner(json_t *known, const json_t *runner)
{
    add_number(known, runner, "owned");
    add_number(known, runner, "outstanding");
    take_larger(known, runner, "executors");
    take_larger(known, runner, "stuck");
    take_larger(known, runner, "stuck_ms");
    if (badness_of_state(runner) > badness_of_state(known)) {
        copy_member(known, runner, "state");
    }
    if (badness_of_standing(runner) > badness_of_standing(known)) {
        copy_member(known, runner, "standing");
    }
}

static void merge_runners(json_t *runners, const json_t *document)
{
    size_t index;
    json_t *runner;
    json_array_foreach(json_object_get(document, "runners"), index, runner)
    {
        const char *incarnation = cli_text_of(runner, "incarnation");
        json_t *known = json_object_get(runners, incarnation);
        if (known) {
            merge_runner(known, runner);
        } else {
            json_object_set_new(runners, incarnation, json_deep_copy(runner));
        }
    }
}

static void add_new_texts(json_t *to, const json_t *from)
{
    size_t index;
    json_t *text;
    json_array_foreach((json_t *)from, index, text)
    {
        size_t known = 0;
        while (known < json_array_size(to) && !json_equal(json_array_get(to, known), text)) {
            known++;
        }
        if (known == json_array_size(to)) {
            json_array_append(to, text);
        }
    }
}

static void merge_types(json_t *types, const json_t *document)
{
    size_t index;
    json_t *type;
    json_array_foreach(json_object_get(document, "types"), index, type)
    {
        const char *name = cli_text_of(type, "name");
        json_t *known = json_object_get(types, name);
        if (known) {
            add_new_texts(json_object_get(known, "runners"), json_object_get(type, "runners"));
            json_object_set_new(
                known, "brought",
                json_integer((json_int_t)json_array_size(json_object_get(known, "runners"))));
            add_number(known, type, "served");
            add_number(known, type, "moving");
            add_number(known, type, "unserved");
            add_number(known, type, "waiting");
        } else {
            json_object_set_new(types, name, json_deep_copy(type));
        }
    }
}

/* The home of a shard alone knows whether it is healthy. */
static bool is_truer(const json_t *shard, const json_t *known)
{
    bool own = json_is_boolean(json_object_get(shard, "healthy"));
    bool other = json_is_boolean(json_object_get(known, "healthy"));
    return own != other ? own
                        : cli_number_of(shard, "home_epoch") > cli_number_of(known, "home_epoch");
}

static void merge_shards(json_t *shards, const json_t *document)
{
    size_t index;
    json_t *shard;
    json_array_foreach(json_object_get(document, "shards"), index, shard)
    {
        char *key = NULL;
        if (asprintf(&key, "%s:%lld", cli_text_of(shard, "group"), cli_number_of(shard, "number")) <
            0) {
            abort();
        }
        const json_t *known = json_object_get(shards, key);
        if (!known || is_truer(shard, known)) {
            json_object_set(shards, key, shard);
        }
        free(key);
    }
}

/* The values of an object that served as an index, in their order. */
static void set_values(json_t *merged, const char *key, json_t *index)
{
    const char *name;
    json_t *value;
    json_t *values = json_array();
    json_object_foreach(index, name, value)
    {
        json_array_append(values, value);
    }
    json_object_set_new(merged, key, values);
    json_decref(index);
}

json_t *cluster_merge(const fabric_broker_answer_t *answers, json_t *const *documents, size_t count)
{
    json_t *merged = json_pack("{s:s, s:i, s:i, s:[], s:{}}", "cluster", "", "map_term", 0,
                               "map_sequence", 0, "brokers", "counters");
    json_t *lanes = json_object();
    json_t *runners = json_object();
    json_t *types = json_object();
    json_t *shards = json_object();
    json_t *unregistered = json_array();
    for (size_t i = 0; i < count; i++) {
        add_broker(merged, &answers[i], documents[i]);
        if (documents[i]) {
            copy_member(merged, documents[i], "cluster");
            merge_version(merged, documents[i]);
            merge_counters(merged, documents[i]);
            merge_lanes(lanes, &answers[i], documents[i]);
            merge_runners(runners, documents[i]);
            merge_types(types, documents[i]);
            merge_shards(shards, documents[i]);
            json_array_extend(unregistered, json_object_get(documents[i], "unregistered"));
        }
    }
    set_values(merged, "lanes", lanes);
    set_values(merged, "runners", runners);
    set_values(merged, "types", types);
    set_values(merged, "shards", shards);
    json_object_set_new(merged, "unregistered", unregistered);
    return merged;
}
