/* fabricctl broker, runner and shard: what several brokers say is joined, and names are found. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/cluster_view.h"
#include "cli/report.h"
#include "cli/table.h"

#define A "aaaa0000000000000000000000000000"
#define B "bbbb0000000000000000000000000000"
#define R "11110000000000000000000000000000"

static const char first[] =
    "{\"broker\": \"" A "\", \"state\": \"serving\", \"holder\": \"" B "\", \"draining\": true, "
    "\"lanes_of_cluster\": 4, \"lanes\": [{\"number\": 1, \"state\": \"home\"}, {\"number\": 3, "
    "\"state\": \"leaving\"}], "
    "\"runners\": [{\"incarnation\": \"" R "\", \"name\": \"w\", \"standing\": \"open\", "
    "\"state\": \"healthy\", \"weight\": 100, \"app_version\": 7, \"owned\": 3, "
    "\"outstanding\": 1, \"types\": [\"Counter\", \"Order\"]}], "
    "\"shards\": [{\"number\": 2, \"home\": \"" B "\"}]}";
static const char second[] =
    "{\"broker\": \"" B "\", \"state\": \"serving\", \"holder\": \"" B "\", \"draining\": false, "
    "\"lanes_of_cluster\": 4, \"lanes\": [{\"number\": 2, \"state\": \"home\"}], "
    "\"runners\": [{\"incarnation\": \"" R "\", \"name\": \"w\", \"standing\": \"cordoned\", "
    "\"state\": \"missing\", \"weight\": 100, \"app_version\": 7, \"owned\": 2, "
    "\"outstanding\": 0, \"types\": [\"Counter\", \"Order\"]}], \"shards\": []}";

static int set_up(void **state)
{
    cluster_view_t *view = calloc(1, sizeof *view);
    assert_non_null(view);
    cluster_view_add(view, A, "one", "tcp://a:1", first);
    cluster_view_add(view, B, "two", "tcp://b:1", second);
    *state = view;
    return 0;
}

static int tear_down(void **state)
{
    cluster_view_destroy(*state);
    free(*state);
    return 0;
}

static void brokers_are_rows(void **state)
{
    cluster_view_t *view = *state;
    cluster_view_add(view, "cccc0000000000000000000000000000", "three", "tcp://c:1", NULL);
    json_t *rows = cli_broker_rows(view);
    const json_t *row = json_array_get(rows, 0);
    assert_int_equal(json_array_size(rows), 3);
    assert_int_equal(cli_number_of(row, "lanes"), 2);
    assert_true(json_is_true(json_object_get(row, "draining")));
    assert_true(json_is_false(json_object_get(row, "holder")));
    assert_true(json_is_true(json_object_get(json_array_get(rows, 1), "holder")));
    row = json_array_get(rows, 2);
    assert_string_equal(cli_text_of(row, "state"), "silent");
    assert_true(json_is_null(json_object_get(row, "lanes")));
    json_decref(rows);
}

/* Each broker counts what it has given the runner; the worst word about it counts. */
static void runners_are_joined(void **state)
{
    json_t *rows = cluster_view_runners(*state);
    const json_t *row = json_array_get(rows, 0);
    assert_int_equal(json_array_size(rows), 1);
    assert_int_equal(cli_number_of(row, "owned"), 5);
    assert_int_equal(cli_number_of(row, "outstanding"), 1);
    assert_string_equal(cli_text_of(row, "state"), "missing");
    assert_string_equal(cli_text_of(row, "standing"), "cordoned");
    assert_int_equal(json_array_size(json_object_get(row, "types")), 2);
    json_decref(rows);
}

static void holders_are_known_by_themselves_or_by_the_map(void **state)
{
    cluster_view_t *view = *state;
    json_t *holders = cluster_view_holders(view);
    assert_int_equal(json_array_size(holders), 4);
    assert_true(json_is_null(json_array_get(holders, 0)));
    assert_string_equal(json_string_value(json_array_get(holders, 1)), A);
    assert_string_equal(json_string_value(json_array_get(holders, 2)), B);
    json_decref(holders);
    json_decref(view->brokers[1].document); /* it does not answer */
    view->brokers[1].document = NULL;
    holders = cluster_view_holders(view);
    assert_string_equal(json_string_value(json_array_get(holders, 2)), B);
    json_decref(holders);
}

/* ---- names ---- */

static void names_and_beginnings_of_ids_are_found(void **state)
{
    static const cli_name_t names[] = {
        {"abcd1111", "one"}, {"abcd2222", "two"}, {"ffff0000", "one"}, {"12345678", "abcd"}};
    size_t index = 99;
    (void)state;
    assert_int_equal(cli_name_find(names, 4, "broker", "two", &index), CLI_DONE);
    assert_int_equal(index, 1);
    assert_int_equal(cli_name_find(names, 4, "broker", "FFFF", &index), CLI_DONE);
    assert_int_equal(index, 2);
    assert_int_equal(cli_name_find(names, 4, "broker", "abcd2", &index), CLI_DONE);
    assert_int_equal(index, 1);
    assert_int_equal(cli_name_count(names, 4, "abcd"), 3);
    assert_int_equal(cli_name_find(names, 4, "broker", "abcd", &index), CLI_NOT_FOUND);
    assert_int_equal(cli_name_find(names, 4, "broker", "one", &index), CLI_NOT_FOUND);
    assert_int_equal(cli_name_find(names, 4, "broker", "fff", &index), CLI_NOT_FOUND);
    assert_int_equal(cli_name_find(names, 4, "broker", "", &index), CLI_NOT_FOUND);
    assert_int_equal(cli_name_find(names, 0, "broker", "one", &index), CLI_NOT_FOUND);
}

/* ---- tables ---- */

static char *print(const json_t *rows)
{
    static const cli_column_t columns[] = {{"NAME", "name", 0},   {"ID", "id", 4},
                                           {"COUNT", "count", 0}, {"IS", "is", 0},
                                           {"LIST", "list", 0},   {NULL, NULL, 0}};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    cli_table_print(rows, columns, "none", file);
    fclose(file);
    return text;
}

static void tables_are_as_wide_as_their_contents(void **state)
{
    (void)state;
    json_t *rows = json_pack("[{s:s,s:s,s:i,s:b,s:[s,s]},{s:s,s:n,s:i,s:b,s:{s:s}}]", "name",
                             "evil\033[31m", "id", "0123456789", "count", 5, "is", 1, "list", "a",
                             "b", "name", "x", "id", "count", 123456, "is", 0, "list", "T", "r");
    char *text = print(rows);
    assert_string_equal(text, "NAME          ID     COUNT  IS   LIST\n"
                              "evil\\x1b[31m  0123       5  yes  a,b\n"
                              "x             -     123456       T=r\n");
    free(text);
    json_decref(rows);
    rows = json_array();
    text = print(rows);
    assert_non_null(strstr(text, "none\n"));
    free(text);
    json_decref(rows);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(brokers_are_rows),
        TEST(runners_are_joined),
        TEST(holders_are_known_by_themselves_or_by_the_map),
        cmocka_unit_test(names_and_beginnings_of_ids_are_found),
        cmocka_unit_test(tables_are_as_wide_as_their_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
