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

/* ---- results of messages that were delivered early ---- */

static void an_append_waits_for_results_that_come_in_time(void **state)
{
    (void)state;
    append_pacer_t pacer = {0};
    for (uint64_t i = 1; i < 100; i++) {
        uint64_t now_us = NOW + i * 100000; /* also after a pause */
        assert_int_equal(append_pacer_await(&pacer, 0, now_us), APPEND_HOLD_US_MAX);
        assert_int_equal(append_pacer_await(&pacer, 0, now_us + 300), APPEND_HOLD_US_MAX - 300);
        append_pacer_begin(&pacer, 1, now_us + 400);
        append_pacer_end(&pacer, now_us + 900);
    }
}

static void a_result_that_is_there_waits_no_longer_than_the_last_append_took(void **state)
{
    (void)state;
    append_pacer_t pacer = after(1, 500);
    assert_int_equal(append_pacer_await(&pacer, 0, NOW + 600), APPEND_HOLD_US_MAX);
    assert_int_equal(append_pacer_await(&pacer, 1, NOW + 700), 400);
    assert_int_equal(append_pacer_await(&pacer, 1, NOW + 1100), 0);
    append_pacer_begin(&pacer, 2, NOW + 1100);
    append_pacer_end(&pacer, NOW + 1600);
    assert_int_equal(append_pacer_await(&pacer, 0, NOW + 1600), APPEND_HOLD_US_MAX);
    assert_int_equal(append_pacer_await(&pacer, 1, NOW + 2100), 0);
}

/* An append for a slow message. Whether it has waited for its result. */
static bool waits_in_vain(append_pacer_t *pacer, uint64_t now_us)
{
    bool waits = append_pacer_await(pacer, 0, now_us) > 0;
    assert_int_equal(append_pacer_await(pacer, 0, now_us + APPEND_HOLD_US_MAX), 0);
    append_pacer_begin(pacer, 1, now_us + APPEND_HOLD_US_MAX);
    append_pacer_end(pacer, now_us + APPEND_HOLD_US_MAX + 500);
    return waits;
}

static void slow_handlers_are_seldom_waited_for(void **state)
{
    (void)state;
    append_pacer_t pacer = after(1, 500);
    unsigned waits = 0;
    uint64_t now_us = NOW;
    for (uint64_t i = 1; i <= 1000; i++, now_us += 10000) {
        waits += waits_in_vain(&pacer, now_us);
    }
    assert_in_range(waits, 10, 25);
    waits = 0;
    for (unsigned i = 0; i < 100; i++, now_us += 10000) { /* they have become quick */
        waits += append_pacer_await(&pacer, 0, now_us) > 0;
        append_pacer_begin(&pacer, 1, now_us + 100);
        append_pacer_end(&pacer, now_us + 600);
    }
    assert_in_range(waits, 100 - 64, 100);
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
        cmocka_unit_test(an_append_waits_for_results_that_come_in_time),
        cmocka_unit_test(a_result_that_is_there_waits_no_longer_than_the_last_append_took),
        cmocka_unit_test(slow_handlers_are_seldom_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
