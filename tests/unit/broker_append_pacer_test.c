/* When the next append begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/store/append_pacer.h"

#define NOW UINT64_C(1000000)

/* An append of so many records, from NOW on. */
static append_pacer_t after(size_t records, uint64_t lasted_us)
{
    append_pacer_t pacer = {0};
    append_pacer_begin(&pacer, records, NOW);
    append_pacer_end(&pacer, NOW + lasted_us);
    return pacer;
}

static void the_first_append_begins_at_once(void **state)
{
    (void)state;
    append_pacer_t pacer = {0};
    assert_int_equal(append_pacer_hold(&pacer, 1, NOW), 0);
}

static void one_record_after_another_is_never_held(void **state)
{
    (void)state;
    append_pacer_t pacer = after(1, 500);
    assert_int_equal(append_pacer_hold(&pacer, 1, NOW + 500), 0);
}

static void an_append_waits_for_as_many_records_as_the_last_had(void **state)
{
    (void)state;
    append_pacer_t pacer = after(64, 500);
    assert_int_equal(append_pacer_hold(&pacer, 1, NOW + 500), 500);
    assert_int_equal(append_pacer_hold(&pacer, 63, NOW + 700), 300);
    assert_int_equal(append_pacer_hold(&pacer, 64, NOW + 701), 0);
}

static void it_waits_no_longer_than_the_last_append_took(void **state)
{
    (void)state;
    append_pacer_t pacer = after(64, 500);
    assert_int_equal(append_pacer_hold(&pacer, 1, NOW + 600), 500);
    assert_int_equal(append_pacer_hold(&pacer, 2, NOW + 1099), 1);
    assert_int_equal(append_pacer_hold(&pacer, 2, NOW + 1100), 0);
}

static void it_waits_for_two_milliseconds_at_most(void **state)
{
    (void)state;
    append_pacer_t pacer = after(64, 90000);
    assert_int_equal(append_pacer_hold(&pacer, 1, NOW + 90000), APPEND_HOLD_US_MAX);
    assert_int_equal(append_pacer_hold(&pacer, 1, NOW + 90000 + APPEND_HOLD_US_MAX), 0);
}

static void the_first_record_after_a_pause_is_not_held(void **state)
{
    (void)state;
    append_pacer_t pacer = after(64, 500);
    uint64_t pause_over = NOW + 500 + APPEND_HOLD_US_MAX + 1;
    assert_int_equal(append_pacer_hold(&pacer, 1, pause_over), 0);
    pacer = after(64, 500);
    assert_int_equal(append_pacer_hold(&pacer, 1, pause_over - 1), 500);
}

static void each_append_is_held_anew(void **state)
{
    (void)state;
    append_pacer_t pacer = after(64, 500);
    (void)append_pacer_hold(&pacer, 8, NOW + 500);
    append_pacer_begin(&pacer, 8, NOW + 1000);
    append_pacer_end(&pacer, NOW + 1200);
    assert_int_equal(append_pacer_hold(&pacer, 7, NOW + 1250), 200);
    assert_int_equal(append_pacer_hold(&pacer, 8, NOW + 1300), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_append_begins_at_once),
        cmocka_unit_test(one_record_after_another_is_never_held),
        cmocka_unit_test(an_append_waits_for_as_many_records_as_the_last_had),
        cmocka_unit_test(it_waits_no_longer_than_the_last_append_took),
        cmocka_unit_test(it_waits_for_two_milliseconds_at_most),
        cmocka_unit_test(the_first_record_after_a_pause_is_not_held),
        cmocka_unit_test(each_append_is_held_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
