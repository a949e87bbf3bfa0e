/* fabricctl status as text: names that come from the cluster move no terminal's cursor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

/* What is printed of a document, which the caller frees. */
static char *print(const char *json)
{
    char *text = NULL;
    size_t size = 0;
    json_t *document = json_loads(json, 0, NULL);
    assert_non_null(document);
    FILE *file = open_memstream(&text, &size);
    cli_status_print(document, file);
    fclose(file);
    json_decref(document);
    assert_non_null(text);
    return text;
}

static void control_characters_are_escaped(void **state)
{
    static const char document[] =
        "{\"cluster\": \"c\\u0007\", \"broker\": \"b\", \"map_term\": 1, \"map_sequence\": 2, "
        "\"brokers\": [{\"incarnation\": \"b\", \"router\": \"r\\n\", \"name\": \"p\\u009b\"}], "
        "\"runners\": [{\"incarnation\": \"r\", \"name\": \"evil\\u001b[31m\\u007f\", "
        "\"state\": \"healthy\"}], \"shards\": [], \"counters\": {\"count\\r\": 1}}";
    (void)state;
    char *text = print(document);
    assert_non_null(strstr(text, "evil\\x1b[31m\\x7f"));
    assert_non_null(strstr(text, "cluster c\\x07 is NOT healthy"));
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
        "\"standing\": \"open\", \"weight\": 100, \"app_version\": 42, \"owned\": 3, "
        "\"outstanding\": 5}, "
        "{\"incarnation\": \"bbbbbbbbbb\", \"name\": \"two\", \"state\": \"healthy\", "
        "\"standing\": \"draining\", \"weight\": 100, \"app_version\": 42, \"owned\": 0, "
        "\"outstanding\": 6}], "
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
    (void)state;
    char *text = print(document);
    assert_non_null(strstr(text, "healthy       100         42       2        1            5\n"));
    assert_non_null(
        strstr(text, "healthy       100         42       0        0            6  draining\n"));
    assert_non_null(
        strstr(text, "Counter                  default                        1       1\n"));
    assert_non_null(
        strstr(text, "      0       0  no runner brings it: start a worker that does\n"));
    assert_non_null(
        strstr(text, "Order                    default                        2       2\n"));
    assert_non_null(strstr(text, "default                        3        1         1\n"));
    free(text);
}

static void lanes_that_do_not_take_outgoing_messages_are_named(void **state)
{
    static const char document[] =
        "{\"cluster\": \"c\", \"broker\": \"b\", \"lanes\": ["
        "{\"number\": 0, \"outgoing\": 3, \"outgoing_ms\": 20, \"outgoing_full\": []}, "
        "{\"number\": 2, \"outgoing\": 5000, \"outgoing_ms\": 61500, \"outgoing_full\": [1, 5]}]}";
    (void)state;
    char *text = print(document);
    assert_non_null(strstr(text,
                           "\nlane 2 has 5000 outgoing messages, the oldest since 61.5 s: too "
                           "many to lane 1, lane 5\n"));
    assert_null(strstr(text, "lane 0 has"));
    free(text);
}

static void a_broker_that_does_not_answer_is_named(void **state)
{
    static const char document[] =
        "{\"cluster\": \"c\", \"brokers\": ["
        "{\"incarnation\": \"b1\", \"name\": \"one\", \"router\": \"tcp://h:1\", \"answers\": "
        "true, \"state\": \"serving\"}, "
        "{\"incarnation\": \"b2\", \"name\": \"two\", \"router\": \"tcp://h:2\", \"answers\": "
        "false, \"error\": \"Timeout\", \"text\": \"tcp://h:2 cannot be reached\"}], "
        "\"lanes\": [{\"number\": 0, \"broker\": \"b1\"}], \"runners\": [], \"types\": [], "
        "\"shards\": [{\"group\": \"default\", \"number\": 1, \"home\": \"b1\"}], "
        "\"counters\": {}}";
    (void)state;
    char *text = print(document);
    assert_non_null(strstr(text, "tcp://h:1                        serving          1      1\n"));
    assert_non_null(strstr(text, "silent           0      0  does not answer: tcp://h:2 cannot"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(types_runners_and_owners_are_counted),
        cmocka_unit_test(a_broker_that_does_not_answer_is_named),
        cmocka_unit_test(lanes_that_do_not_take_outgoing_messages_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
