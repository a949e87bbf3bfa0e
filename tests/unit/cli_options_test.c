/* fabricctl's command line: options, the short -o, call keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

enum { ARGUMENTS_MAX = 16 };

static cli_options_t options;
static reason_t reason;

/* The environment of whoever runs the tests must not matter. */
static int forget_environment(void **state)
{
    (void)state;
    clearenv();
    reason = (reason_t){{0}};
    return 0;
}

static int release(void **state)
{
    (void)state;
    cli_options_destroy(&options);
    return 0;
}

/* Takes the arguments behind the program's name, ended by NULL. */
static fabric_error_t load(const char *first, ...)
{
    char *argv[ARGUMENTS_MAX + 1] = {(char *)"fabricctl"};
    int argc = 1;
    va_list arguments;
    va_start(arguments, first);
    for (const char *next = first; next; next = va_arg(arguments, const char *)) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = (char *)next;
    }
    va_end(arguments);
    return cli_options_load(&options, argc, argv, &reason);
}

static void defaults_hold(void **state)
{
    (void)state;
    assert_int_equal(load("status", NULL), FABRIC_OK);
    assert_string_equal(options.url, "fabric://127.0.0.1:5700");
    assert_false(options.json);
    assert_false(options.allow_plaintext);
    assert_null(options.cluster_name);
    assert_int_equal(options.key.client, 0);
    assert_int_equal(options.argument_count, 1);
    assert_string_equal(options.arguments[0], "status");
}

static void o_stands_for_output_wherever_it_is(void **state)
{
    (void)state;
    assert_int_equal(load("status", "-o", "json", NULL), FABRIC_OK);
    assert_true(options.json);
    assert_int_equal(options.argument_count, 1);
    cli_options_destroy(&options);
    assert_int_equal(load("-ojson", "status", NULL), FABRIC_OK);
    assert_true(options.json);
    cli_options_destroy(&options);
    assert_int_equal(load("-o", "text", "status", NULL), FABRIC_OK);
    assert_false(options.json);
}

static void an_unknown_form_of_output_is_refused(void **state)
{
    (void)state;
    assert_int_equal(load("status", "-o", "yaml", NULL), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(reason.text, "yaml"));
}

static void o_without_a_form_is_refused(void **state)
{
    (void)state;
    assert_int_equal(load("status", "-o", NULL), FABRIC_ERROR_INVALID_ARGUMENT);
}

static void after_two_dashes_all_are_arguments(void **state)
{
    (void)state;
    assert_int_equal(load("call", "Type", "-o", "json", "--", "-5", "Tag", NULL), FABRIC_OK);
    assert_int_equal(options.argument_count, 4);
    assert_string_equal(options.arguments[2], "-5");
    assert_true(options.json);
    cli_options_destroy(&options);
    assert_int_equal(load("call", "Type", "--", "--5", "--", "--url", NULL), FABRIC_OK);
    assert_int_equal(options.argument_count, 5);
    assert_string_equal(options.arguments[2], "--5");
    assert_string_equal(options.arguments[3], "--");
    cli_options_destroy(&options);
    assert_int_equal(load("call", "--", "Type", "-o", "Tag", NULL), FABRIC_OK);
    assert_int_equal(options.argument_count, 4);
    assert_string_equal(options.arguments[2], "-o");
}

static void an_id_with_a_dash_is_told_of_two_dashes(void **state)
{
    (void)state;
    assert_int_equal(load("call", "Type", "-5", "Tag", NULL), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(reason.text,
                        "-5: is no option; -- goes before operands that begin with a dash");
}

static void a_key_has_two_numbers(void **state)
{
    (void)state;
    assert_int_equal(load("call", "--key", "18446744073709551615:7", NULL), FABRIC_OK);
    assert_true(options.key.client == UINT64_MAX);
    assert_int_equal(options.key.sequence, 7);
}

static void other_keys_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    "1",     "1:",   ":1",   "0:1",
                                        "1:0", "1:2:3", "1 :2", "-1:2", "18446744073709551616:1",
                                        "1:+2"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fabric_call_key_t key = {5, 6};
        assert_int_equal(cli_key_parse(wrong[i], &key), FABRIC_ERROR_INVALID_ARGUMENT);
        assert_int_equal(key.client, 5);
    }
    assert_int_equal(load("call", "--key", "abc", NULL), FABRIC_ERROR_INVALID_ARGUMENT);
}

static void the_environment_is_read(void **state)
{
    (void)state;
    setenv("FABRIC_URL", "fabric://elsewhere:1", 1);
    assert_int_equal(load("status", NULL), FABRIC_OK);
    assert_string_equal(options.url, "fabric://elsewhere:1");
    cli_options_destroy(&options);
    assert_int_equal(load("status", "--url", "ipc:///x", NULL), FABRIC_OK);
    assert_string_equal(options.url, "ipc:///x");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, forget_environment, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_hold),
        TEST(o_stands_for_output_wherever_it_is),
        TEST(an_unknown_form_of_output_is_refused),
        TEST(o_without_a_form_is_refused),
        TEST(after_two_dashes_all_are_arguments),
        TEST(an_id_with_a_dash_is_told_of_two_dashes),
        TEST(a_key_has_two_numbers),
        TEST(other_keys_are_refused),
        TEST(the_environment_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
