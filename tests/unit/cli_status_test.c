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

static void types_runners_and_owners_are_counted(void **state)
{
    static const char document[] =
        "{\"cluster\": \"c\", \"broker\": \"b\", \"state\": \"serving\", \"brokers\": [], "
        "\"runners\": ["
        "{\"incarnation\": \"aaaaaaaaaa\", \"name\": \"one\", \"state\": \"healthy\", "
        "\"weight\": 100, \"app_version\": 42, \"owned\": 3, \"outstanding\": 5}], "
        "\"types\": ["
        "{\"name\": \"Counter\", \"group\": \"default\", \"runners\": [\"aaaaaaaaaa\"]}, "
        "{\"name\": \"Gone\", \"group\": \"default\", \"runners\": []}, "
        "{\"name\": \"Order\", \"group\": \"default\", \"runners\": [\"x\", \"aaaaaaaaaa\"]}], "
        "\"shards\": ["
        "{\"group\": \"default\", \"number\": 1, \"home\": \"b\", \"healthy\": true, \"owners\": "
        "{\"Counter\": \"aaaaaaaaaa\", \"Order\": \"aaaaaaaaaa\"}}, "
        "{\"group\": \"default\", \"number\": 2, \"home\": \"b\", \"healthy\": false, "
        "\"owners\": {\"Order\": \"aaaaaaaaaa\"}}, "
        "{\"group\": \"default\", \"number\": 3, \"home\": \"b\", \"healthy\": false, "
        "\"owners\": {}}], "
        "\"counters\": {}}";
    char *text = NULL;
    size_t size = 0;
    (void)state;
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(cli_status_print(document, file), 0);
    fclose(file);
    assert_non_null(strstr(text, "healthy       100         42       2        1            5\n"));
    assert_non_null(
        strstr(text, "Counter                  default                        1       1\n"));
    assert_non_null(
        strstr(text, "      0       0  no runner brings it: start a worker that does\n"));
    assert_non_null(
        strstr(text, "Order                    default                        2       2\n"));
    assert_non_null(strstr(text, "default                        3        1         1\n"));
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
        cmocka_unit_test(types_runners_and_owners_are_counted),
        cmocka_unit_test(a_broker_that_does_not_serve_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
