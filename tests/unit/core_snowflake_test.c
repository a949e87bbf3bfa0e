/* Snowflake ids: layout, conversions and the generator's promises. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/snowflake.h"

#define JUNE_2025_MS INT64_C(1748736000000) /* 2025-06-01T00:00:00Z */
#define TIME_MAX_MS  (SNOWFLAKE_EPOCH_MS + (INT64_C(1) << 42) - 1)

static void assert_parts(request_id_t id, int64_t timestamp_ms, uint32_t machine, uint32_t sequence)
{
    snowflake_parts_t parts = snowflake_parts(id);
    assert_int_equal(parts.timestamp_ms, timestamp_ms);
    assert_int_equal(parts.machine, machine);
    assert_int_equal(parts.sequence, sequence);
}

static void examples_of_the_reference_hold(void **state)
{
    (void)state;
    char text[32];
    assert_int_equal(SNOWFLAKE_EPOCH_MS, 1735689600000);
    request_id_t id = snowflake_make((snowflake_parts_t){JUNE_2025_MS, 3, 0});
    assert_int_equal(id.value, UINT64_C(13046400000) << 22 | 3 << 12);
    assert_parts(id, 1748736000000, 3, 0);
    assert_string_equal(snowflake_date_text(id, text), "2025-06-01T00:00:00.000Z");
    id = snowflake_make((snowflake_parts_t){1735689601000, 3, 5});
    assert_int_equal(id.value, UINT64_C(1000) << 22 | 3 << 12 | 5);
    assert_parts(id, 1735689601000, 3, 5);
    assert_int_equal(snowflake_timestamp_ms(id), 1735689601000);
    assert_string_equal(snowflake_date_text(id, text), "2025-01-01T00:00:01.000Z");
}

static void parts_out_of_range_wrap(void **state)
{
    (void)state;
    assert_parts(snowflake_make((snowflake_parts_t){JUNE_2025_MS, 1024 + 3, 4096 + 5}),
                 JUNE_2025_MS, 3, 5);
    assert_parts(snowflake_make((snowflake_parts_t){JUNE_2025_MS, 1023, 4095}), JUNE_2025_MS, 1023,
                 4095);
    assert_parts(snowflake_make((snowflake_parts_t){JUNE_2025_MS, 1024, 4096}), JUNE_2025_MS, 0, 0);
}

static void texts_go_both_ways(void **state)
{
    (void)state;
    char text[21];
    request_id_t id = {7};
    assert_string_equal(snowflake_text((request_id_t){UINT64_MAX}, text), "18446744073709551615");
    assert_int_equal(snowflake_parse(text, &id), FABRIC_OK);
    assert_int_equal(id.value, UINT64_MAX);
    assert_int_equal(snowflake_parse("123", &id), FABRIC_OK);
    assert_int_equal(id.value, 123);
    const char *wrong[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "12a", "18446744073709551616", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(snowflake_parse(wrong[i], &id), FABRIC_ERROR_INVALID_ARGUMENT);
        assert_int_equal(id.value, 123);
    }
}

static snowflake_generator_t generator_of(uint32_t machine)
{
    snowflake_generator_t generator;
    assert_int_equal(snowflake_generator_init(&generator, machine), FABRIC_OK);
    return generator;
}

static void test_nt_08_machine_numbers_are_never_wrapped(void **state)
{
    (void)state;
    snowflake_generator_t generator = {.machine = 5};
    assert_int_equal(snowflake_generator_init(&generator, 1024), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(generator.machine, 5);
    generator = generator_of(1023);
    assert_parts(snowflake_next(&generator, JUNE_2025_MS), JUNE_2025_MS, 1023, 0);
}

static void ids_grow_whatever_the_clock_does(void **state)
{
    (void)state;
    snowflake_generator_t generator = generator_of(9);
    const int64_t steps[] = {0, 5, -5, -86400000, 1, 0, 86400000, -1, INT64_MIN / 2};
    uint64_t last = 0;
    for (size_t i = 0; i < 20000; i++) {
        int64_t now_ms = JUNE_2025_MS + steps[i % (sizeof steps / sizeof steps[0])];
        request_id_t id = snowflake_next(&generator, now_ms);
        assert_true(id.value > last);
        assert_int_equal(snowflake_parts(id).machine, 9);
        last = id.value;
    }
}

/* Makes 4,097 ids at the times given and looks at both sides of the millisecond's end. */
static void assert_rollover(snowflake_generator_t *generator, int64_t now_ms, int64_t first_ms)
{
    for (uint32_t i = 0; i < SNOWFLAKE_SEQUENCES; i++) {
        assert_parts(snowflake_next(generator, now_ms), first_ms, generator->machine, i);
    }
    assert_parts(snowflake_next(generator, now_ms), first_ms + 1, generator->machine, 0);
}

static void test_nt_07_after_4096_ids_the_next_millisecond_is_taken(void **state)
{
    (void)state;
    snowflake_generator_t generator = generator_of(1);
    assert_rollover(&generator, JUNE_2025_MS, JUNE_2025_MS);
    generator = generator_of(1); /* the clock went back: the same bound holds on the other branch */
    snowflake_lift(&generator,
                   snowflake_make((snowflake_parts_t){JUNE_2025_MS, 1, SNOWFLAKE_SEQUENCES - 1}));
    assert_rollover(&generator, JUNE_2025_MS - 1000, JUNE_2025_MS + 1);
    generator = generator_of(0); /* before the epoch */
    assert_int_equal(snowflake_next(&generator, 0).value, 1);
    for (uint32_t i = 2; i < SNOWFLAKE_SEQUENCES; i++) {
        assert_parts(snowflake_next(&generator, -1), SNOWFLAKE_EPOCH_MS, 0, i);
    }
    assert_parts(snowflake_next(&generator, -1), SNOWFLAKE_EPOCH_MS + 1, 0, 0);
}

static void a_lift_is_above_ids_of_any_machine(void **state)
{
    (void)state;
    const snowflake_parts_t seen[] = {
        {JUNE_2025_MS, 4, 4095}, {JUNE_2025_MS, 5, 0},    {JUNE_2025_MS, 5, 4095},
        {JUNE_2025_MS, 6, 0},    {JUNE_2025_MS, 6, 4095}, {JUNE_2025_MS, 1023, 4095},
    };
    const snowflake_parts_t next[] = {
        {JUNE_2025_MS, 5, 0},     {JUNE_2025_MS, 5, 1},     {JUNE_2025_MS + 1, 5, 0},
        {JUNE_2025_MS + 1, 5, 0}, {JUNE_2025_MS + 1, 5, 0}, {JUNE_2025_MS + 1, 5, 0},
    };
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
        snowflake_generator_t generator = generator_of(5);
        snowflake_lift(&generator, snowflake_make(seen[i]));
        snowflake_lift(&generator, (request_id_t){1}); /* never lowers */
        request_id_t id = snowflake_next(&generator, JUNE_2025_MS);
        assert_true(id.value > snowflake_make(seen[i]).value);
        assert_parts(id, next[i].timestamp_ms, next[i].machine, next[i].sequence);
    }
}

static void at_the_end_of_time_there_are_no_more_ids(void **state)
{
    (void)state;
    snowflake_generator_t generator = generator_of(1023);
    assert_rollover(&generator, TIME_MAX_MS - 1, TIME_MAX_MS - 1);
    assert_parts(snowflake_next(&generator, TIME_MAX_MS), TIME_MAX_MS, 1023, 1);
    snowflake_lift(&generator, (request_id_t){UINT64_MAX});
    assert_int_equal(snowflake_next(&generator, JUNE_2025_MS).value, 0);
    assert_int_equal(snowflake_next(&generator, INT64_MAX).value, 0);
    generator = generator_of(3);
    assert_int_equal(snowflake_next(&generator, TIME_MAX_MS + 1).value, 0);
    assert_parts(snowflake_next(&generator, JUNE_2025_MS), JUNE_2025_MS, 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_reference_hold),
        cmocka_unit_test(parts_out_of_range_wrap),
        cmocka_unit_test(texts_go_both_ways),
        cmocka_unit_test(test_nt_08_machine_numbers_are_never_wrapped),
        cmocka_unit_test(ids_grow_whatever_the_clock_does),
        cmocka_unit_test(test_nt_07_after_4096_ids_the_next_millisecond_is_taken),
        cmocka_unit_test(a_lift_is_above_ids_of_any_machine),
        cmocka_unit_test(at_the_end_of_time_there_are_no_more_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
