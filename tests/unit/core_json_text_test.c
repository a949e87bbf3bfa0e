/* JSON text: real numbers as short as they can be, and laid out as told. */
#include "core/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_number(double value, const char *expected)
{
    char text[JSON_NUMBER_SIZE];
    json_number(value, text);
    assert_string_equal(text, expected);
}

static void numbers_are_short_and_exact(void **state)
{
    (void)state;
    assert_number(0.1, "0.1");
    assert_number(0.3, "0.3");
    assert_number(0.1 + 0.2, "0.30000000000000004");
    assert_number(1.0 / 3, "0.3333333333333333");
    assert_number(3, "3.0");
    assert_number(-0.0, "-0.0");
    assert_number(-2.5, "-2.5");
    assert_number(123456789012345678.0, "1.2345678901234568e17");
    assert_number(1e15, "1e15");
    assert_number(1e14, "100000000000000.0");
    assert_number(1e22, "1e22");
    assert_number(1e-7, "1e-7");
    assert_number(1.5e300, "1.5e300");
    assert_number(1e-10, "1e-10");
    assert_number(DBL_MAX, "1.7976931348623157e308");
    assert_number(-DBL_MAX, "-1.7976931348623157e308");
    assert_number(DBL_MIN, "2.2250738585072014e-308");
    assert_number(5e-324, "4.94065645841247e-324");
}

/* Any bits that are a number: the text is read back as the same number by strtod and by jansson,
 * and no smaller precision does that. */
static void numbers_read_back_the_same(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 200000; i++) {
        double value;
        char text[JSON_NUMBER_SIZE];
        char shorter[JSON_NUMBER_SIZE];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        memcpy(&value, &random, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        value =
            i % 2 ? value : (double)(random % 1000000) / 1000; /* also those that people write */
        json_number(value, text);
        if (strtod(text, NULL) != value) {
            fail_msg("%a is printed as %s", value, text);
        }
        snprintf(shorter, sizeof shorter, "%.15g", value);
        if (strtod(shorter, NULL) == value && strlen(text) > strlen(shorter) + 2) {
            fail_msg("%s is printed as %s", shorter, text);
        }
        if (i % 100 == 0) {
            json_t *read = json_loads(text, JSON_DECODE_ANY, NULL);
            assert_true(json_is_real(read) && json_real_value(read) == value);
            json_decref(read);
        }
    }
}

/* Where the system has a locale with another decimal point, a program may have chosen it. */
static void locale_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8",
                                        "ps_AF"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (setlocale(LC_NUMERIC, names[i])) {
            assert_number(0.1, "0.1");
            assert_number(-1.5e-300, "-1.5e-300");
            assert_number(7, "7.0");
        }
    }
    setlocale(LC_NUMERIC, "C");
}

static void assert_text(const char *json, unsigned indent, const char *expected)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    char *text = json_text(value, indent);
    assert_string_equal(text, expected);
    free(text);
    json_decref(value);
}

static void values_are_laid_out(void **state)
{
    (void)state;
    static const char nested[] =
        "{\"z\":[1,0.1,[],{}],\"a\\n\\\"\\u00e4\":{\"b\":null,\"c\":true},\"d\":\"x\\ty\"}";
    assert_text(nested, 0,
                "{\"z\": [1, 0.1, [], {}], \"a\\n\\\"\xc3\xa4\": {\"b\": null, \"c\": true}, "
                "\"d\": \"x\\ty\"}");
    assert_text(nested, 2,
                "{\n  \"z\": [\n    1,\n    0.1,\n    [],\n    {}\n  ],\n"
                "  \"a\\n\\\"\xc3\xa4\": {\n    \"b\": null,\n    \"c\": true\n  },\n"
                "  \"d\": \"x\\ty\"\n}");
    assert_text("-9223372036854775808", 2, "-9223372036854775808");
    assert_text("\"text\"", 0, "\"text\"");
    assert_text("{}", 2, "{}");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_short_and_exact),
        cmocka_unit_test(numbers_read_back_the_same),
        cmocka_unit_test(locale_changes_nothing),
        cmocka_unit_test(values_are_laid_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
