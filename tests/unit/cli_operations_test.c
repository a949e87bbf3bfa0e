/* fabricctl broker, runner and shard: rows of brokers, names that are found, and tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/table.h"
#include "tests/unit/cli_view.h"

#define A "aaaa0000000000000000000000000000"
#define B "bbbb0000000000000000000000000000"

static const char first[] =
    "{\"broker\": \"" A "\", \"state\": \"serving\", \"holder\": \"" B "\", \"draining\": true, "
    "\"lanes\": [{\"number\": 1, \"state\": \"home\"}, {\"number\": 3, \"state\": \"leaving\"}]}";
static const char second[] =
    "{\"broker\": \"" B "\", \"state\": \"serving\", \"holder\": \"" B "\", \"draining\": false, "
    "\"lanes\": [{\"number\": 2, \"state\": \"home\"}]}";

static void brokers_are_rows(void **state)
{
    (void)state;
    cluster_view_t view = {0};
    cli_view_add(&view, A, "one", json_loads(first, 0, NULL));
    cli_view_add(&view, B, "two", json_loads(second, 0, NULL));
    cli_view_add(&view, "cccc0000000000000000000000000000", "three", NULL);
    json_t *rows = cli_broker_rows(&view);
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
    cluster_view_destroy(&view);
}

/* ---- names ---- */

/* The place of the one that is called so; -1: there is none, or more than one. */
static int place_of(const json_t *array, const char *wanted)
{
    const json_t *found = cli_name_find(array, "broker", wanted);
    size_t index;
    const json_t *one;
    json_array_foreach((json_t *)array, index, one)
    {
        if (one == found) {
            return (int)index;
        }
    }
    return -1;
}

static void names_and_beginnings_of_ids_are_found(void **state)
{
    static const char text[] = "[{\"incarnation\": \"abcd1111\", \"name\": \"one\"}, "
                               "{\"incarnation\": \"abcd2222\", \"name\": \"two\"}, "
                               "{\"incarnation\": \"ffff0000\", \"name\": \"one\"}, "
                               "{\"incarnation\": \"12345678\", \"name\": \"abcd\"}]";
    (void)state;
    json_t *array = json_loads(text, 0, NULL);
    json_t *none = json_array();
    assert_int_equal(place_of(array, "two"), 1);
    assert_int_equal(place_of(array, "FFFF"), 2);
    assert_int_equal(place_of(array, "abcd2"), 1);
    assert_int_equal(cli_name_count(array, "abcd"), 3);
    assert_int_equal(place_of(array, "abcd"), -1);
    assert_int_equal(place_of(array, "one"), -1);
    assert_int_equal(place_of(array, "fff"), -1);
    assert_int_equal(place_of(array, ""), -1);
    assert_int_equal(place_of(none, "one"), -1);
    json_decref(array);
    json_decref(none);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brokers_are_rows),
        cmocka_unit_test(names_and_beginnings_of_ids_are_found),
        cmocka_unit_test(tables_are_as_wide_as_their_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
