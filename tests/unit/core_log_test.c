/* Log lines: form, quoting, cutting, levels and the limiter. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "core/log.h"

#define WALL_MS INT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */

static void assert_line(const log_field_t *fields, const char *expected)
{
    char text[LOG_LINE_BYTES_MAX + 1];
    size_t size = log_format(text, WALL_MS, LOG_INFO_LEVEL, "broker.started", fields);
    text[size] = '\0';
    assert_string_equal(text, expected);
}

#define ASSERT_LINE(expected, ...) assert_line((const log_field_t[]){__VA_ARGS__, {0}}, expected)

static void a_line_is_stamp_level_code_and_fields(void **state)
{
    (void)state;
    ASSERT_LINE("2026-01-02T03:04:05.678Z info broker.started endpoint=tcp://127.0.0.1:5700 "
                "store=sqlite\n",
                log_text("endpoint", "tcp://127.0.0.1:5700"), log_text("store", "sqlite"));
    ASSERT_LINE("2026-01-02T03:04:05.678Z info broker.started a=18446744073709551615 "
                "b=-9223372036854775808 c=raw\n",
                log_uint("a", UINT64_MAX), log_int("b", INT64_MIN),
                log_bytes("c", fabric_bytes_of("raw")));
}

static void odd_values_are_quoted_and_escaped(void **state)
{
    (void)state;
    ASSERT_LINE("2026-01-02T03:04:05.678Z info broker.started a=\"two words\" b=\"\" c=\"\"\n",
                log_text("a", "two words"), log_text("b", ""), log_text("c", NULL));
    ASSERT_LINE("2026-01-02T03:04:05.678Z info broker.started a=\"x\\\"y\" b=\"x\\\\y\"\n",
                log_text("a", "x\"y"), log_text("b", "x\\y"));
    ASSERT_LINE("2026-01-02T03:04:05.678Z info broker.started a=\"say \\\"hi\\\"\" b=\"c:\\\\d\" "
                "c=\"\\x0aerror fake\" d=\"\\x00\\xff\\x7f\"\n",
                log_text("a", "say \"hi\""), log_text("b", "c:\\d"), log_text("c", "\nerror fake"),
                log_bytes("d", fabric_bytes("\0\xff\x7f", 3)));
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char value[2000];
    char text[LOG_LINE_BYTES_MAX + 16];
    for (int kind = 0; kind < 3; kind++) {
        memset(value, kind == 0 ? 'v' : kind == 1 ? ' ' : '\1', sizeof value);
        for (size_t size = 900; size < 1100; size++) {
            const log_field_t fields[] = {
                log_bytes("k", fabric_bytes(value, size)), log_text("last", "x"), {0}};
            memset(text, '#', sizeof text);
            size_t used = log_format(text, WALL_MS, LOG_WARN_LEVEL, "c", fields);
            assert_true(used <= LOG_LINE_BYTES_MAX);
            assert_int_equal(text[used - 1], '\n');
            assert_int_equal(text[used], '#');
            assert_null(memchr(text, '\n', used - 1));
            assert_true(memmem(text, used, "last=x\n", 7) || memmem(text, used, "...\n", 4));
        }
        size_t used =
            log_format(text, WALL_MS, LOG_WARN_LEVEL, "c",
                       (const log_field_t[]){log_bytes("k", fabric_bytes(value, 2000)), {0}});
        assert_true(used > LOG_LINE_BYTES_MAX - 10);
        assert_memory_equal(text + used - 4, "...\n", 4);
    }
}

static void levels_are_parsed_and_obeyed(void **state)
{
    (void)state;
    log_level_t level = LOG_INFO_LEVEL;
    assert_int_equal(log_level_parse("debug", &level), FABRIC_OK);
    assert_int_equal(level, LOG_DEBUG_LEVEL);
    assert_int_equal(log_level_parse("error", &level), FABRIC_OK);
    assert_int_equal(level, LOG_ERROR_LEVEL);
    assert_int_equal(log_level_parse("Warn", &level), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(log_level_parse("", &level), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(level, LOG_ERROR_LEVEL);
    assert_true(log_enabled(LOG_INFO_LEVEL));
    assert_false(log_enabled(LOG_DEBUG_LEVEL));
}

static void events_reach_the_sink_when_enabled(void **state)
{
    (void)state;
    int ends[2];
    char text[LOG_LINE_BYTES_MAX + 1] = "";
    assert_int_equal(pipe(ends), 0);
    log_set_sink(ends[1]);
    log_set_level(LOG_WARN_LEVEL);
    log_event(LOG_INFO_LEVEL, "not.seen", log_uint("n", 1));
    log_event(LOG_WARN_LEVEL, "seen", log_uint("n", 2));
    log_set_level(LOG_INFO_LEVEL);
    log_set_sink(STDERR_FILENO);
    close(ends[1]);
    ssize_t size = read(ends[0], text, sizeof text - 1);
    assert_true(size > 0);
    assert_string_equal(text + 24, " warn seen n=2\n");
    assert_int_equal(read(ends[0], text, sizeof text), 0);
    close(ends[0]);
}

static void the_limiter_tells_what_it_left_out(void **state)
{
    (void)state;
    log_limiter_t limiter = {0};
    uint32_t left_out = 77;
    assert_true(log_limiter_pass(&limiter, 2, 5000, &left_out));
    assert_int_equal(left_out, 0);
    assert_true(log_limiter_pass(&limiter, 2, 5500, &left_out));
    left_out = 77;
    for (int i = 0; i < 3; i++) {
        assert_false(log_limiter_pass(&limiter, 2, 5999, &left_out));
    }
    assert_int_equal(left_out, 77);
    assert_true(log_limiter_pass(&limiter, 2, 6000, &left_out));
    assert_int_equal(left_out, 3);
    assert_true(log_limiter_pass(&limiter, 2, 6000, &left_out));
    assert_int_equal(left_out, 0);
    assert_false(log_limiter_pass(&limiter, 2, 6000, &left_out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_stamp_level_code_and_fields),
        cmocka_unit_test(odd_values_are_quoted_and_escaped),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(levels_are_parsed_and_obeyed),
        cmocka_unit_test(events_reach_the_sink_when_enabled),
        cmocka_unit_test(the_limiter_tells_what_it_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
