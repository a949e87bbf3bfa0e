/* Times as text: known times in both directions, every day of four centuries, and what is no
 * time. */
#include "core/iso8601.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <time.h>

static void known_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_ms;
    } times[] = {
        {"1970-01-01T00:00:00.000Z", 0},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2025-01-01T00:00:00.000Z", INT64_C(1735689600000)},
        {"2000-02-29T12:34:56.789Z", INT64_C(951827696789)},
        {"0001-01-01T00:00:00.000Z", ISO8601_MS_MIN},
        {"9999-12-31T23:59:59.999Z", ISO8601_MS_MAX},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[ISO8601_SIZE];
        int64_t unix_ms = 0;
        iso8601_write(times[i].unix_ms, text);
        assert_string_equal(text, times[i].text);
        assert_true(iso8601_read(text, &unix_ms));
        assert_true(unix_ms == times[i].unix_ms);
    }
}

/* Against the C library. */
static void every_day(void **state)
{
    (void)state;
    for (int64_t day = -200000; day < 200000; day++) {
        char text[ISO8601_SIZE];
        char expected[96];
        struct tm parts;
        int64_t unix_ms = day * 86400000 + (day * 7919) % 43200000 + 43200000;
        time_t seconds = (time_t)((unix_ms - ((unix_ms % 1000) + 1000) % 1000) / 1000);
        int64_t again = 0;
        assert_non_null(gmtime_r(&seconds, &parts));
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                 parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                 parts.tm_sec, (int)(((unix_ms % 1000) + 1000) % 1000));
        iso8601_write(unix_ms, text);
        assert_string_equal(text, expected);
        assert_true(iso8601_read(text, &again));
        assert_true(again == unix_ms);
    }
}

static void other_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_ms;
    } times[] = {
        {"1970-01-01T00:00:01Z", 1000},       {"1970-01-01T00:00:01.5Z", 1500},
        {"1970-01-01T00:00:01.25Z", 1250},    {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T18:30:00.001-05:30", 1}, {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T23:59:00+23:59", 0},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int64_t unix_ms = 4711;
        assert_true(iso8601_read(times[i].text, &unix_ms));
        assert_true(unix_ms == times[i].unix_ms);
    }
}

static void what_is_no_time(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "1970",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00Z",
        "1970-01-01 00:00:00Z",
        "1970-01-01t00:00:00z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.0001Z",
        "1970-01-01T00:00:00,5Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-04-31T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "0000-12-31T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01:60",
        "1970-01-01T00:00:00ZZ",
        " 1970-01-01T00:00:00Z",
        "1970-1-1T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t unix_ms = 4711;
        if (iso8601_read(texts[i], &unix_ms)) {
            fail_msg("%s was read", texts[i]);
        }
        assert_true(unix_ms == 4711);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times),
        cmocka_unit_test(every_day),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(what_is_no_time),
    };
    return cmocka_run_group_tests_name("core_iso8601", tests, NULL, NULL);
}
