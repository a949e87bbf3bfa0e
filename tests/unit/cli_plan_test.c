/* fabricctl shard: shards in the words of their homes, and what would move. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/plan.h"
#include "cli/shard_rows.h"
#include "core/placement.h"
#include "tests/unit/cli_view.h"

enum { LANES = 12, SHARDS = 24, BROKERS = 3 };

static const char *const brokers[BROKERS] = {"a1000000000000000000000000000000",
                                             "b2000000000000000000000000000000",
                                             "c3000000000000000000000000000000"};
static const char *const runners[2] = {"01000000000000000000000000000000",
                                       "02000000000000000000000000000000"};

/* Lane n is held by broker n % BROKERS. */
static const char *holder_of(uint32_t lane)
{
    return brokers[lane % BROKERS];
}

static json_t *make_runners(const char *const standings[2])
{
    json_t *list = json_array();
    for (size_t i = 0; i < 2; i++) {
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:[s]}",
                                              "incarnation", runners[i], "name",
                                              i == 0 ? "one" : "two", "standing", standings[i],
                                              "state", "healthy", "weight", 100, "app_version", 1,
                                              "owned", 1, "outstanding", 0, "types", "Counter"));
    }
    return list;
}

/* The status of one broker: runner n % 2 owns each second shard of its lanes. */
static json_t *make_document(size_t broker, const char *const standings[2])
{
    json_t *lanes = json_array();
    json_t *shards = json_array();
    unsigned own = 0;
    for (uint32_t i = 0; i < LANES; i++) {
        if (holder_of(i) == brokers[broker]) {
            json_array_append_new(lanes, json_pack("{s:i,s:s,s:i}", "number", i, "state", "home",
                                                   "entry", 70 + (int)i));
        }
    }
    for (int n = 1; n <= SHARDS; n++) {
        bool ours = holder_of((uint32_t)n % LANES) == brokers[broker];
        json_t *shard = json_pack("{s:s,s:i,s:s,s:i,s:o,s:{}}", "group", "default", "number", n,
                                  "home", holder_of((uint32_t)n % LANES), "home_epoch", 5,
                                  "healthy", ours ? json_boolean(n != 7) : json_null(), "owners");
        if (ours) {
            json_object_set_new(json_object_get(shard, "owners"), "Counter",
                                json_string(runners[own++ % 2]));
        }
        json_array_append_new(shards, shard);
    }
    json_t *document = json_pack(
        "{s:s,s:s,s:b,s:i,s:o,s:o,s:[{s:s,s:s}],s:o}", "broker", brokers[broker], "holder",
        brokers[0], "draining", 0, "lanes_of_cluster", LANES, "lanes", lanes, "runners",
        make_runners(standings), "types", "name", "Counter", "group", "default", "shards", shards);
    assert_non_null(document);
    return document;
}

static cluster_view_t make_view(const char *first, const char *second)
{
    const char *const standings[2] = {first, second};
    cluster_view_t view = {0};
    for (size_t i = 0; i < BROKERS; i++) {
        cli_view_add(&view, brokers[i],
                     i == 0   ? "A"
                     : i == 1 ? "B"
                              : "C",
                     make_document(i, standings));
    }
    cli_view_merge(&view);
    return view;
}

/* ---- shards ---- */

static const json_t *row_of(const json_t *rows, const char *shard)
{
    const json_t *row = cli_find(rows, "shard", shard);
    assert_non_null(row);
    return row;
}

static void shards_are_what_their_homes_say(void **state)
{
    static const char *const keys[] = {"shard", "group",     "number",     "lane",  "home",
                                       "state", "home_name", "home_epoch", "owners"};
    (void)state;
    cluster_view_t view = make_view("open", "open");
    json_t *rows = cli_shard_rows(&view, NULL, NULL);
    assert_int_equal(json_array_size(rows), SHARDS);
    const json_t *row = row_of(rows, "default:5");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_non_null(json_object_get(row, keys[i]));
    }
    assert_int_equal(json_object_size(row), sizeof keys / sizeof keys[0]);
    assert_string_equal(cli_text_of(row, "home_name"), "C"); /* lane 5 */
    assert_string_equal(cli_text_of(row, "state"), "served");
    assert_int_equal(json_object_size(json_object_get(row, "owners")), 1);
    assert_string_equal(cli_text_of(row_of(rows, "default:7"), "state"), "unserved");
    json_decref(rows);
    cli_view_silence(&view, 2);
    rows = cli_shard_rows(&view, NULL, NULL);
    assert_string_equal(cli_text_of(row_of(rows, "default:5"), "state"), "unknown");
    json_decref(rows);
    rows = cli_shard_rows(&view, "Counter", "elsewhere");
    assert_int_equal(json_array_size(rows), 0);
    json_decref(rows);
    cluster_view_destroy(&view);
}

static void a_lane_without_a_home_moves(void **state)
{
    (void)state;
    cluster_view_t view = make_view("open", "open");
    json_t *lanes = json_object_get(view.documents[1], "lanes");
    json_object_set_new(json_array_get(lanes, 0), "state", json_string("leaving")); /* lane 1 */
    cli_view_merge(&view);
    json_t *rows = cli_shard_rows(&view, "Counter", NULL);
    assert_string_equal(cli_text_of(row_of(rows, "default:1"), "state"), "moving");
    assert_string_equal(cli_text_of(row_of(rows, "default:4"), "state"), "served");
    json_decref(rows);
    cluster_view_destroy(&view);
}

static void one_shard_is_shown_in_full(void **state)
{
    (void)state;
    cluster_view_t view = make_view("open", "cordoned");
    json_t *details = cli_shard_details(&view, "default:5");
    assert_non_null(details);
    assert_string_equal(cli_text_of(details, "lane_state"), "home");
    assert_int_equal(cli_number_of(details, "entry"), 75);
    const json_t *owner = json_array_get(json_object_get(details, "owners"), 0);
    assert_string_equal(cli_text_of(owner, "type"), "Counter");
    assert_string_equal(cli_text_of(owner, "name"), "two");
    assert_string_equal(cli_text_of(owner, "standing"), "cordoned");
    json_decref(details);
    assert_null(cli_shard_details(&view, "default:25"));
    assert_null(cli_shard_details(&view, "default"));
    cluster_view_destroy(&view);
}

/* ---- plans ---- */

/* `silent`: it does not answer, and the others know by the map what it holds. */
static void expect_shared_out(bool silent)
{
    cluster_view_t view = make_view("open", "open");
    if (silent) {
        cli_view_silence(&view, 1);
    }
    json_t *moves = plan_lanes(&view, brokers[1]);
    size_t index;
    const json_t *move;
    unsigned to[2] = {0};
    assert_int_equal(json_array_size(moves), LANES / BROKERS);
    json_array_foreach(moves, index, move)
    {
        assert_int_equal(cli_number_of(move, "lane"), 1 + 3 * (long long)index);
        assert_string_equal(cli_text_of(move, "from"), brokers[1]);
        to[strcmp(cli_text_of(move, "to"), brokers[0]) != 0]++;
    }
    assert_true(to[0] == 2 && to[1] == 2);
    json_decref(moves);
    cluster_view_destroy(&view);
}

static void lanes_of_a_broker_that_goes_are_shared_out(void **state)
{
    (void)state;
    expect_shared_out(false);
    expect_shared_out(true);
}

static void a_broker_that_comes_gets_its_share(void **state)
{
    (void)state;
    cluster_view_t view = make_view("open", "open");
    json_t *moves = plan_lanes(&view, NULL);
    size_t index;
    const json_t *move;
    assert_int_equal(json_array_size(moves), LANES / (BROKERS + 1));
    json_array_foreach(moves, index, move)
    {
        assert_string_equal(cli_text_of(move, "to"), PLAN_NEWCOMER);
    }
    json_decref(moves);
    cluster_view_destroy(&view);
}

static void the_last_broker_leaves_its_lanes_to_nobody(void **state)
{
    (void)state;
    cluster_view_t view = make_view("open", "open");
    json_object_set_new(view.documents[0], "draining", json_true());
    json_object_set_new(view.documents[2], "draining", json_true());
    json_t *moves = plan_lanes(&view, brokers[1]);
    assert_int_equal(json_array_size(moves), 0); /* a placement without members moves nothing */
    json_decref(moves);
    cluster_view_destroy(&view);
}

static void shards_of_a_runner_that_goes_move(void **state)
{
    (void)state;
    cluster_view_t view = make_view("open", "open");
    json_t *moves = plan_shards(&view, runners[0], NULL);
    size_t index;
    const json_t *move;
    assert_int_equal(json_array_size(moves), SHARDS / 2);
    json_array_foreach(moves, index, move)
    {
        assert_string_equal(cli_text_of(move, "from"), runners[0]);
        assert_string_equal(cli_text_of(move, "to"), runners[1]);
        assert_string_equal(cli_text_of(move, "type"), "Counter");
    }
    json_decref(moves);
    cluster_view_destroy(&view);
    view = make_view("open", "cordoned"); /* which takes nothing */
    moves = plan_shards(&view, runners[0], NULL);
    assert_int_equal(json_array_size(moves), SHARDS / 2);
    assert_true(json_is_null(json_object_get(json_array_get(moves, 0), "to")));
    json_decref(moves);
    cluster_view_destroy(&view);
}

static void a_runner_that_comes_gets_what_it_brings(void **state)
{
    static const struct {
        plan_runner_t runner;
        size_t moves;
    } cases[] = {{{100, 1, NULL}, SHARDS / 3 - SHARDS / 3 % BROKERS},
                 {{100, 1, "Other,Counter"}, SHARDS / 3 - SHARDS / 3 % BROKERS},
                 {{100, 1, "Counte"}, 0},
                 {{100, 0, NULL}, 0}, /* of an older version */
                 {{0, 1, NULL}, 0}};
    (void)state;
    cluster_view_t view = make_view("open", "open");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *moves = plan_shards(&view, NULL, &cases[i].runner);
        assert_int_equal(json_array_size(moves), cases[i].moves);
        json_decref(moves);
    }
    cluster_view_destroy(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_what_their_homes_say),
        cmocka_unit_test(a_lane_without_a_home_moves),
        cmocka_unit_test(one_shard_is_shown_in_full),
        cmocka_unit_test(lanes_of_a_broker_that_goes_are_shared_out),
        cmocka_unit_test(a_broker_that_comes_gets_its_share),
        cmocka_unit_test(the_last_broker_leaves_its_lanes_to_nobody),
        cmocka_unit_test(shards_of_a_runner_that_goes_move),
        cmocka_unit_test(a_runner_that_comes_gets_what_it_brings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
