/* Asking all brokers, and merging what they say: see cluster.h. */
#include "cli/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "core/document.h"
#include "core/memory.h"
#include "core/printable.h"

/* ---- reading documents ---- */

json_t *cli_find(const json_t *array, const char *key, const char *text)
{
    size_t index;
    json_t *element;
    json_array_foreach((json_t *)array, index, element)
    {
        const char *found = json_string_value(json_object_get(element, key));
        if (found && strcmp(found, text) == 0) {
            return element;
        }
    }
    return NULL;
}

const char *cli_text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

long long cli_number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

void cli_make_printable(json_t *value)
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
            cli_make_printable(element);
        }
    } else if (json_is_object(value)) {
        json_object_foreach(value, key, element)
        {
            cli_make_printable(element);
        }
    }
}

/* ---- merging ---- */

static void set_number(json_t *object, const char *key, uint64_t number)
{
    json_object_set_new(object, key, json_integer((json_int_t)number));
}

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

/* The state that is not "healthy" counts, and the most that is stuck. */
static void merge_runner(json_t *known, const json_t *runner)
{
    add_number(known, runner, "owned");
    add_number(known, runner, "outstanding");
    if (cli_number_of(runner, "stuck_ms") > cli_number_of(known, "stuck_ms")) {
        copy_member(known, runner, "executors");
        copy_member(known, runner, "stuck");
        copy_member(known, runner, "stuck_ms");
    }
    if (strcmp(cli_text_of(runner, "state"), "healthy") != 0) {
        copy_member(known, runner, "state");
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
            set_number(known, "brought", json_array_size(json_object_get(known, "runners")));
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

json_t *cli_cluster_merge(const fabric_broker_answer_t *answers, json_t *const *documents,
                          size_t count)
{
    json_t *merged = json_pack("{s:s, s:i, s:i, s:[], s:{}}", "cluster", "", "map_term", 0,
                               "map_sequence", 0, "brokers", "counters");
    json_t *lanes = json_object();
    json_t *runners = json_object();
    json_t *types = json_object();
    json_t *shards = json_object();
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
        }
    }
    set_values(merged, "lanes", lanes);
    set_values(merged, "runners", runners);
    set_values(merged, "types", types);
    set_values(merged, "shards", shards);
    return merged;
}

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
        set_number(numbers, members[i].key, members[i].number);
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

void cli_cluster_add_health(json_t *document, const fabric_health_t *health)
{
    json_t *reasons = json_array();
    for (uint32_t i = 0; i < health->reason_count && i < FABRIC_HEALTH_REASONS_MAX; i++) {
        json_array_append_new(reasons, json_string(health->reasons[i]));
    }
    json_object_set_new(document, "healthy", json_boolean(health->healthy));
    json_object_set_new(document, "reasons", reasons);
    json_object_set_new(document, "health", health_numbers(health));
}

/* ---- asking ---- */

/* The answer's document; NULL: there is none, or it cannot be read, and the answer says why. */
static json_t *load(fabric_broker_answer_t *answer)
{
    char *text = NULL;
    json_t *document = NULL;
    if (!answer->outcome.error &&
        !document_to_json(fabric_bytes(answer->document, answer->size), &text)) {
        document = json_loads(text, 0, NULL);
    }
    free(text);
    if (!answer->outcome.error && !document) {
        answer->outcome.error = FABRIC_ERROR_MALFORMED_MESSAGE;
        snprintf(answer->outcome.text, sizeof answer->outcome.text,
                 "the broker's status cannot be read");
    }
    return document;
}

static void merge_answers(cli_cluster_t *cluster)
{
    json_t **documents = memory_allocate_zeroed(cluster->count, sizeof(json_t *));
    for (size_t i = 0; i < cluster->count; i++) {
        documents[i] = load(&cluster->answers[i]);
        cluster->answering += documents[i] != NULL;
    }
    cluster->document = cli_cluster_merge(cluster->answers, documents, cluster->count);
    fabric_health_of_answers(cluster->answers, cluster->count, &cluster->health);
    cli_cluster_add_health(cluster->document, &cluster->health);
    for (size_t i = 0; i < cluster->count; i++) {
        json_decref(documents[i]);
    }
    free(documents);
}

int cli_cluster_ask(const cli_options_t *options, fabric_client_t *client, cli_cluster_t *cluster)
{
    fabric_outcome_t outcome = {0};
    *cluster = (cli_cluster_t){0};
    fabric_error_t error =
        fabric_client_query_all(client, "status", fabric_bytes(NULL, 0), options->timeout_ms,
                                &cluster->answers, &cluster->count, &outcome);
    if (error) {
        return cli_fail(error, NULL, "status: %s", cli_outcome_text(&outcome));
    }
    merge_answers(cluster);
    if (cluster->answering == 0) {
        const fabric_broker_answer_t *first = &cluster->answers[0];
        return cli_fail(first->outcome.error, NULL, "no broker answers; %s: %s", first->endpoint,
                        cli_outcome_text(&first->outcome));
    }
    return CLI_DONE;
}

void cli_cluster_destroy(cli_cluster_t *cluster)
{
    json_decref(cluster->document);
    fabric_broker_answers_free(&cluster->answers, &cluster->count);
    *cluster = (cli_cluster_t){0};
}
