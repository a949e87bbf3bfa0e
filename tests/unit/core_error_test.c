/* Errors: numbers, names, classes and texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include <fabric/error.h>

#include "core/reason.h"

typedef struct expected {
    unsigned long long number;
    const char *name;
    fabric_error_class_t error_class;
} expected_t;

/* Repeated by hand: numbers and names of released errors never change. */
static const expected_t frozen[] = {
    {0, "OK", FABRIC_CLASS_OK},
    {1, "EntityNotAssignedToRunner", FABRIC_CLASS_RETRY},
    {2, "MalformedMessage", FABRIC_CLASS_REJECTED},
    {3, "PersistenceError", FABRIC_CLASS_RETRY},
    {4, "RunnerNotRegistered", FABRIC_CLASS_RETRY},
    {5, "RunnerUnavailable", FABRIC_CLASS_RETRY},
    {6, "MailboxFull", FABRIC_CLASS_RETRY},
    {7, "AlreadyProcessingMessage", FABRIC_CLASS_REJECTED},
    {12, "OutcomeUnknown", FABRIC_CLASS_UNKNOWN},
    {14, "EntityDefect", FABRIC_CLASS_FAILURE},
    {21, "Fenced", FABRIC_CLASS_FENCED},
    {23, "InvalidArgument", FABRIC_CLASS_USAGE},
    {26, "WrongSchemaVersion", FABRIC_CLASS_FATAL},
    {44, "StoreBusy", FABRIC_CLASS_RETRY},
};

static void frozen_numbers_keep_name_and_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frozen / sizeof frozen[0]; i++) {
        fabric_error_t error = fabric_error_from_number(frozen[i].number);
        assert_int_equal(error, frozen[i].number);
        assert_string_equal(fabric_error_name(error), frozen[i].name);
        assert_int_equal(fabric_error_class(error), frozen[i].error_class);
    }
}

static void every_row_is_complete_and_found_by_its_name(void **state)
{
    (void)state;
    static const fabric_error_t all[] = {
#define FABRIC_ERROR_ROW(number, symbol, name, class, meaning, remedy) FABRIC_ERROR_##symbol,
#include "schemas/errors.def"
#undef FABRIC_ERROR_ROW
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        fabric_error_t found = FABRIC_OK;
        assert_int_equal(fabric_error_from_name(fabric_error_name(all[i]), &found), FABRIC_OK);
        assert_int_equal(found, all[i]);
        assert_int_equal(fabric_error_from_number(all[i]), all[i]);
        assert_true(isupper((unsigned char)fabric_error_name(all[i])[0]));
        assert_true(strlen(fabric_error_meaning(all[i])) > 10);
        assert_true(strlen(fabric_error_remedy(all[i])) > 5);
        assert_true(fabric_error_class(all[i]) != FABRIC_CLASS_OK);
    }
}

static void what_does_not_exist_is_internal_and_fatal(void **state)
{
    (void)state;
    const unsigned long long numbers[] = {9999, 45678, UINT64_MAX, 1ull << 32};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_int_equal(fabric_error_from_number(numbers[i]), FABRIC_ERROR_INTERNAL);
    }
    assert_string_equal(fabric_error_name((fabric_error_t)9999), "UnknownError");
    assert_int_equal(fabric_error_class((fabric_error_t)9999), FABRIC_CLASS_FATAL);
    fabric_error_t found = FABRIC_ERROR_BUSY;
    assert_int_equal(fabric_error_from_name("busy", &found), FABRIC_ERROR_NOT_FOUND);
    assert_int_equal(fabric_error_from_name("", &found), FABRIC_ERROR_NOT_FOUND);
    assert_int_equal(fabric_error_from_name(NULL, &found), FABRIC_ERROR_NOT_FOUND);
    assert_int_equal(found, FABRIC_ERROR_BUSY);
}

static void classes_have_names(void **state)
{
    (void)state;
    assert_string_equal(fabric_error_class_name(FABRIC_CLASS_RETRY), "retry");
    assert_string_equal(fabric_error_class_name(FABRIC_CLASS_FATAL), "fatal");
    assert_string_equal(fabric_error_class_name((fabric_error_class_t)77), "fatal");
}

static void reasons_are_cut_and_returned(void **state)
{
    (void)state;
    reason_t reason;
    assert_int_equal(reason_set(&reason, FABRIC_ERROR_BUSY, "%d of %s", 3, "them"),
                     FABRIC_ERROR_BUSY);
    assert_string_equal(reason.text, "3 of them");
    assert_int_equal(reason_set(&reason, FABRIC_ERROR_BUSY, "%1000d", 7), FABRIC_ERROR_BUSY);
    assert_int_equal(strlen(reason.text), sizeof reason.text - 1);
    assert_int_equal(reason_set(NULL, FABRIC_ERROR_FENCED, "nobody reads"), FABRIC_ERROR_FENCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frozen_numbers_keep_name_and_class),
        cmocka_unit_test(every_row_is_complete_and_found_by_its_name),
        cmocka_unit_test(what_does_not_exist_is_internal_and_fatal),
        cmocka_unit_test(classes_have_names),
        cmocka_unit_test(reasons_are_cut_and_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
