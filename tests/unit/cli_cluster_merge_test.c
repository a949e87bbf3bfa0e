/* What brokers say of themselves becomes one document: each home has the say over its own lanes and
 * shards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "tests/unit/cli_view.h"

#define RUNNER(id, state, standing, owned, executors, stuck, stuck_ms)                             \
    "{\"incarnation\": \"" id "\", \"name\": \"n" id "\", \"state\": \"" state                     \
    "\", \"standing\": \"" standing "\", \"weight\": 100, \"owned\": " owned                       \
    ", \"outstanding\": 2, \"executors\": " executors ", \"stuck\": " stuck                        \
    ", \"stuck_ms\": " stuck_ms "}"

static const char first[] =
    "{\"cluster\": \"c\", \"broker\": \"b1\", \"name\": \"one\", \"state\": \"serving\", "
    "\"map_term\": 3, \"map_sequence\": 9, "
    "\"brokers\": [{\"incarnation\": \"b1\", \"pub\": \"tcp://h:11\"}], "
    "\"runners\": [" RUNNER("r1", "healthy", "open", "4", "4", "0", "0") ", " RUNNER(
        "r2", "healthy", "cordoned", "1", "0", "0",
        "0") "], "
             "\"types\": [{\"name\": \"A\", \"group\": \"g\", \"runners\": [\"r1\"]}], "
             "\"lanes\": [{\"number\": 0, \"epoch\": 5, \"state\": \"home\"}, "
             "{\"number\": 1, \"epoch\": 1, \"state\": \"home\"}], "
             "\"shards\": ["
             "{\"group\": \"g\", \"number\": 1, \"home\": \"b1\", \"home_epoch\": 5, \"healthy\": "
             "true, "
             "\"owners\": {\"A\": \"r1\"}}, "
             "{\"group\": \"g\", \"number\": 2, \"home\": \"b2\", \"home_epoch\": 2, \"healthy\": "
             "null, "
             "\"owners\": {}}], "
             "\"counters\": {\"pending\": 3, \"ended\": 1}}";

static const char second[] =
    "{\"cluster\": \"c\", \"broker\": \"b2\", \"name\": \"two\", \"state\": \"serving\", "
    "\"map_term\": 3, \"map_sequence\": 10, "
    "\"brokers\": [{\"incarnation\": \"b2\", \"pub\": \"tcp://h:12\"}], "
    "\"runners\": [" RUNNER("r2", "missing", "open", "6", "4", "1", "700") ", " RUNNER(
        "r3", "healthy", "draining", "0", "4", "0",
        "0") "], "
             "\"types\": [{\"name\": \"A\", \"group\": \"g\", \"runners\": [\"r1\", \"r3\"]}, "
             "{\"name\": \"B\", \"group\": \"g\", \"runners\": []}], "
             "\"lanes\": [{\"number\": 1, \"epoch\": 2, \"state\": \"adopting\"}], "
             "\"shards\": ["
             "{\"group\": \"g\", \"number\": 1, \"home\": \"b1\", \"home_epoch\": 5, \"healthy\": "
             "null, "
             "\"owners\": {}}, "
             "{\"group\": \"g\", \"number\": 2, \"home\": \"b2\", \"home_epoch\": 2, \"healthy\": "
             "false, "
             "\"owners\": {\"A\": \"r3\"}}], "
             "\"counters\": {\"pending\": 4}}";

/* The two documents and a broker that does not answer, merged; the order of the first two may be
 * turned round. */
static json_t *merge_in_order(bool turned)
{
    cluster_view_t view = {0};
    if (!turned) {
        cli_view_add(&view, "b1", "one", json_loads(first, 0, NULL));
    }
    cli_view_add(&view, "b2", "two", json_loads(second, 0, NULL));
    if (turned) {
        cli_view_add(&view, "b1", "one", json_loads(first, 0, NULL));
    }
    cli_view_add(&view, "b3", "three", NULL);
    assert_true(view.documents[0] && view.documents[1]);
    cli_view_merge(&view);
    json_t *merged = json_incref(view.merged);
    cluster_view_destroy(&view);
    return merged;
}

static json_t *merge(void)
{
    return merge_in_order(false);
}

static json_t *element(const json_t *merged, const char *array, const char *key, const char *text)
{
    json_t *found = cli_find(json_object_get(merged, array), key, text);
    assert_non_null(found);
    return found;
}

static void brokers_that_do_not_answer_are_there(void **state)
{
    (void)state;
    json_t *merged = merge();
    assert_int_equal(json_array_size(json_object_get(merged, "brokers")), 3);
    const json_t *broker = element(merged, "brokers", "incarnation", "b2");
    assert_true(json_is_true(json_object_get(broker, "answers")));
    assert_string_equal(cli_text_of(broker, "pub"), "tcp://h:12");
    assert_string_equal(cli_text_of(broker, "state"), "serving");
    assert_int_equal(cli_number_of(json_object_get(broker, "counters"), "pending"), 4);
    broker = element(merged, "brokers", "incarnation", "b3");
    assert_true(json_is_false(json_object_get(broker, "answers")));
    assert_string_equal(cli_text_of(broker, "error"), "Timeout");
    assert_string_equal(cli_text_of(broker, "text"), "it is silent");
    json_decref(merged);
}

static void numbers_are_added_and_the_newest_map_counts(void **state)
{
    (void)state;
    json_t *merged = merge();
    assert_string_equal(cli_text_of(merged, "cluster"), "c");
    assert_int_equal(cli_number_of(merged, "map_term"), 3);
    assert_int_equal(cli_number_of(merged, "map_sequence"), 10);
    assert_int_equal(cli_number_of(json_object_get(merged, "counters"), "pending"), 7);
    assert_int_equal(cli_number_of(json_object_get(merged, "counters"), "ended"), 1);
    json_decref(merged);
}

/* Each broker counts what it has given the runner; the worst word about it counts, whoever says it
 * and in whichever order. */
static void each_runner_is_there_once(void **state)
{
    (void)state;
    for (int turned = 0; turned < 2; turned++) {
        json_t *merged = merge_in_order(turned);
        assert_int_equal(json_array_size(json_object_get(merged, "runners")), 3);
        const json_t *runner = element(merged, "runners", "incarnation", "r2");
        assert_int_equal(cli_number_of(runner, "owned"), 7);
        assert_int_equal(cli_number_of(runner, "outstanding"), 4);
        assert_string_equal(cli_text_of(runner, "state"), "missing");
        assert_string_equal(cli_text_of(runner, "standing"), "cordoned");
        assert_int_equal(cli_number_of(runner, "executors"), 4);
        assert_int_equal(cli_number_of(runner, "stuck"), 1);
        assert_int_equal(cli_number_of(runner, "stuck_ms"), 700);
        runner = element(merged, "runners", "incarnation", "r3");
        assert_string_equal(cli_text_of(runner, "standing"), "draining");
        runner = element(merged, "runners", "incarnation", "r1");
        assert_int_equal(cli_number_of(runner, "owned"), 4);
        assert_string_equal(cli_text_of(runner, "standing"), "open");
        json_decref(merged);
    }
}

static void each_type_has_the_runners_that_any_broker_knows(void **state)
{
    (void)state;
    json_t *merged = merge();
    assert_int_equal(json_array_size(json_object_get(merged, "types")), 2);
    const json_t *type = element(merged, "types", "name", "A");
    assert_int_equal(json_array_size(json_object_get(type, "runners")), 2);
    json_decref(merged);
}

static void a_home_has_the_say_over_its_shards_and_lanes(void **state)
{
    (void)state;
    json_t *merged = merge();
    const json_t *shards = json_object_get(merged, "shards");
    assert_int_equal(json_array_size(shards), 2);
    assert_true(json_is_true(json_object_get(json_array_get(shards, 0), "healthy")));
    assert_true(json_is_false(json_object_get(json_array_get(shards, 1), "healthy")));
    assert_string_equal(cli_text_of(json_object_get(json_array_get(shards, 1), "owners"), "A"),
                        "r3");
    const json_t *lanes = json_object_get(merged, "lanes");
    assert_int_equal(json_array_size(lanes), 2);
    assert_string_equal(cli_text_of(json_array_get(lanes, 0), "broker"), "b1");
    assert_string_equal(cli_text_of(json_array_get(lanes, 1), "broker"), "b2"); /* later epoch */
    assert_string_equal(cli_text_of(json_array_get(lanes, 1), "broker_name"), "two");
    json_decref(merged);
}

/* ---- health ---- */

static void expect_keys(const json_t *object, const char *const *keys)
{
    size_t count = 0;
    for (; keys[count]; count++) {
        if (!json_object_get(object, keys[count])) {
            fail_msg("%s is missing", keys[count]);
        }
    }
    assert_int_equal(json_object_size(object), count);
}

/* Programs read these keys: none is renamed or taken away. */
static void the_keys_of_the_document_stay(void **state)
{
    static const char *const keys[] = {"cluster", "map_term", "map_sequence", "brokers", "counters",
                                       "lanes",   "runners",  "types",        "shards",  "healthy",
                                       "reasons", "health",   "unregistered", NULL};
    static const char *const numbers[] = {"brokers",           "brokers_answering",
                                          "runners",           "runners_healthy",
                                          "runners_stuck",     "lanes",
                                          "lanes_served",      "lanes_moving",
                                          "lanes_stuck",       "types",
                                          "types_missing",     "shards",
                                          "shards_served",     "shards_moving",
                                          "shards_unserved",   "pending",
                                          "oldest_pending_ms", "last_fence_ms",
                                          "last_fence_lane",   NULL};
    static const char *const silent[] = {"incarnation", "name", "router", "answers",
                                         "error",       "text", NULL};
    (void)state;
    fabric_health_t health = {.reason_count = 17};
    json_t *merged = merge();
    snprintf(health.reasons[0], sizeof health.reasons[0], "it is so");
    cli_status_add_health(merged, &health);
    expect_keys(merged, keys);
    expect_keys(json_object_get(merged, "health"), numbers);
    expect_keys(element(merged, "brokers", "incarnation", "b3"), silent);
    assert_true(json_is_false(json_object_get(merged, "healthy")));
    assert_int_equal(json_array_size(json_object_get(merged, "reasons")),
                     FABRIC_HEALTH_REASONS_MAX);
    assert_true(json_is_null(json_object_get(json_object_get(merged, "health"), "last_fence_ms")));
    json_decref(merged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brokers_that_do_not_answer_are_there),
        cmocka_unit_test(numbers_are_added_and_the_newest_map_counts),
        cmocka_unit_test(each_runner_is_there_once),
        cmocka_unit_test(each_type_has_the_runners_that_any_broker_knows),
        cmocka_unit_test(a_home_has_the_say_over_its_shards_and_lanes),
        cmocka_unit_test(the_keys_of_the_document_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
