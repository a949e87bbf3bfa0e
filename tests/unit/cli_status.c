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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
