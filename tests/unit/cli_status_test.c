/* fabricctl status as text: names that come from the cluster move no terminal's cursor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

static void control_characters_are_escaped(void **state)
{
    static const char document[] =
        "{\"cluster\": \"c\\u0007\", \"broker\": \"b\", \"map_term\": 1, \"map_sequence\": 2, "
        "\"brokers\": [{\"incarnation\": \"b\", \"router\": \"r\\n\", \"pub\": \"p\\u009b\"}], "
        "\"runners\": [{\"incarnation\": \"r\", \"name\": \"evil\\u001b[31m\\u007f\", "
        "\"state\": \"healthy\"}], \"shards\": [], \"counters\": {\"count\\r\": 1}}";
    char *text = NULL;
    size_t size = 0;
    (void)state;
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(cli_status_print(document, file), 0);
    fclose(file);
    assert_non_null(strstr(text, "evil\\x1b[31m\\x7f"));
    assert_non_null(strstr(text, "cluster c\\x07 "));
    assert_non_null(strstr(text, "r\\x0a"));
    assert_non_null(strstr(text, "p\\xc2\\x9b"));
    assert_non_null(strstr(text, "count\\x0d"));
    assert_null(strpbrk(text, "\033\a\r\x7f"));
    free(text);
}

static void types_and_what_is_missing_are_named(void **state)
{
    static const char document[] =
        "{\"cluster\": \"c\", \"broker\": \"b\", \"state\": \"serving\", \"brokers\": [], "
        "\"runners\": ["
        "{\"incarnation\": \"aaaaaaaaaa\", \"name\": \"one\"}, "
        "{\"incarnation\": \"bbbbbbbbbb\", \"name\": \"two\"}], "
        "\"types\": [{\"name\": \"Counter\", \"group\": \"default\", \"runners\": "
        "[\"aaaaaaaaaa\"], "
        "\"missing\": [\"bbbbbbbbbb\"]}, "
        "{\"name\": \"Gone\", \"group\": \"default\", \"runners\": [], \"missing\": "
        "[\"aaaaaaaaaa\"]}, "
        "{\"name\": \"Many\", \"group\": \"other\", \"runners\": [\"x\"], "
        "\"missing\": [\"1\", \"2\", \"3\", \"4\", 5]}, "
        "{\"name\": \"Order\", \"group\": \"orders\", \"runners\": [\"x\", \"y\"], \"missing\": "
        "[]}], "
        "\"shards\": [], \"counters\": {}}";
    char *text = NULL;
    size_t size = 0;
    (void)state;
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(cli_status_print(document, file), 0);
    fclose(file);
    assert_non_null(strstr(text, "      1  not at two (bbbbbbbb)\n"));
    assert_non_null(strstr(text, "      0  no runner brings it: start a worker that does\n"));
    assert_non_null(strstr(text, "      1  not at - (1), - (2), - (3) and 2 more\n"));
    assert_non_null(strstr(text, "      2\n"));
    assert_non_null(strstr(text, "must bring the same types"));
    free(text);
}

static void a_broker_that_does_not_serve_says_so(void **state)
{
    static const char *const states[][2] = {{"starting", "is starting"},
                                            {"unconfirmed", "serves nothing now"}};
    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char document[200];
        char *text = NULL;
        size_t size = 0;
        snprintf(document, sizeof document,
                 "{\"state\": \"%s\", \"brokers\": [], \"runners\": [], \"shards\": []}",
                 states[i][0]);
        FILE *file = open_memstream(&text, &size);
        assert_int_equal(cli_status_print(document, file), 0);
        fclose(file);
        assert_non_null(strstr(text, states[i][1]));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(types_and_what_is_missing_are_named),
        cmocka_unit_test(a_broker_that_does_not_serve_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
