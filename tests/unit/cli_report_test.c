/* fabricctl: exit codes of errors, and the line that goes with one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/report.h"

/* Repeated by hand: scripts rest on these. */
static const struct {
    fabric_error_t error;
    int code;
} frozen[] = {
    {FABRIC_OK, 0},
    {FABRIC_ERROR_ENTITY_FAILURE, 1},
    {FABRIC_ERROR_ENTITY_DEFECT, 1},
    {FABRIC_ERROR_DEAD_LETTER, 1},
    {FABRIC_ERROR_INVALID_ARGUMENT, 2},
    {FABRIC_ERROR_INVALID_CONFIGURATION, 2},
    {FABRIC_ERROR_PLAINTEXT_REFUSED, 2},
    {FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 3},
    {FABRIC_ERROR_UNKNOWN_MESSAGE, 3},
    {FABRIC_ERROR_NOT_FOUND, 3},
    {FABRIC_ERROR_NOT_CONNECTED, 4},
    {FABRIC_ERROR_STORE_UNAVAILABLE, 4},
    {FABRIC_ERROR_TIMEOUT, 5},
    {FABRIC_ERROR_OUTCOME_UNKNOWN, 5},
    {FABRIC_ERROR_STORE_UNKNOWN, 5},
    {FABRIC_ERROR_MAILBOX_FULL, 6},
    {FABRIC_ERROR_LIMIT_EXCEEDED, 6},
    {FABRIC_ERROR_WRONG_SCHEMA_VERSION, 6},
    {FABRIC_ERROR_FOREIGN_CLUSTER, 6},
    {FABRIC_ERROR_FOREIGN_DATABASE, 6},
    {FABRIC_ERROR_SHARDS_MISMATCH, 6},
};

static void exit_codes_are_frozen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frozen / sizeof frozen[0]; i++) {
        assert_int_equal(cli_exit_code(frozen[i].error), frozen[i].code);
    }
}

static void every_error_has_an_exit_code_that_is_not_success(void **state)
{
    (void)state;
    static const fabric_error_t all[] = {
#define FABRIC_ERROR_ROW(number, symbol, name, class, meaning, remedy) FABRIC_ERROR_##symbol,
#include "schemas/errors.def"
#undef FABRIC_ERROR_ROW
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int code = cli_exit_code(all[i]);
        assert_in_range(code, 1, 6);
    }
}

static void a_line_tells_what_its_name_and_what_to_do(void **state)
{
    (void)state;
    char line[256];
    cli_error_line(FABRIC_ERROR_MAILBOX_FULL, "Order/order-1 Add: it is full", NULL, line,
                   sizeof line);
    assert_string_equal(line,
                        "fabricctl: Order/order-1 Add: it is full (MailboxFull): send more slowly, "
                        "or raise the entity type's mailbox capacity");
    cli_error_line(FABRIC_ERROR_NOT_CONNECTED, "", "start one", line, sizeof line);
    assert_string_equal(line, "fabricctl: no broker answered (NotConnected): start one");
}

static void a_line_stays_one_line(void **state)
{
    (void)state;
    char line[256];
    cli_error_line(FABRIC_ERROR_ENTITY_FAILURE,
                   "first\nsecond\r\tthird\x1b[31m \xc2\x9b \xff \xc3\xa9", "do", line,
                   sizeof line);
    assert_string_equal(line, "fabricctl: first second  third\\x1b[31m \\xc2\\x9b \\xff \xc3\xa9 "
                              "(EntityFailure): do");
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    char line[20];
    cli_error_line(FABRIC_ERROR_INTERNAL, "something that is longer", NULL, line, sizeof line);
    assert_int_equal(strlen(line), sizeof line - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_frozen),
        cmocka_unit_test(every_error_has_an_exit_code_that_is_not_success),
        cmocka_unit_test(a_line_tells_what_its_name_and_what_to_do),
        cmocka_unit_test(a_line_stays_one_line),
        cmocka_unit_test(a_long_line_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
