/* How many calls may be under way to a broker or mailbox that is full. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "libfabric_client/src/window.h"

enum { START_MS = 1000, DELAY_MS = 50 };

/* So many calls are under way, and the last one is refused. */
static window_t refused_after(uint32_t calls)
{
    window_t window = {0};
    for (uint32_t i = 0; i < calls; i++) {
        assert_true(window_has_capacity(&window));
        window_enter(&window);
    }
    window_leave(&window, false);
    window_refused(&window, START_MS, DELAY_MS);
    return window;
}

static uint32_t fill(window_t *window)
{
    uint32_t count = 0;
    while (window_has_capacity(window)) {
        window_enter(window);
        count++;
    }
    return count;
}

static void each_answer_lets_one_go(void **state)
{
    (void)state;
    window_t window = refused_after(5);
    assert_false(window_has_capacity(&window));
    window_leave(&window, true);
    assert_int_equal(fill(&window), 1);
    window_leave(&window, false); /* refused or taken back: its place is free, too */
    assert_int_equal(fill(&window), 1);
}

static void answers_make_it_grow(void **state)
{
    (void)state;
    window_t window = refused_after(11);
    uint32_t sent = 0;
    for (int i = 0; i < 80; i++) {
        window_leave(&window, true);
        sent += fill(&window);
    }
    assert_in_range(sent, 85, 95);
    assert_int_equal(window.open, 10 + sent - 80);
}

static void time_makes_it_grow_faster_and_faster(void **state)
{
    (void)state;
    window_t window = refused_after(3);
    assert_int_equal(window.probe_at_ms, START_MS + DELAY_MS);
    for (uint32_t step = 1; step <= 64; step *= 2) {
        window_probe(&window, window.probe_at_ms, DELAY_MS);
        assert_int_equal(fill(&window), step);
    }
    window_leave(&window, false);
    window_refused(&window, window.probe_at_ms, DELAY_MS);
    window_probe(&window, window.probe_at_ms, DELAY_MS);
    assert_in_range(fill(&window), 0, 1); /* from the start again */
}

static void refused_probes_are_counted(void **state)
{
    (void)state;
    window_t window = refused_after(1);
    for (uint32_t attempts = 1; attempts < 10; attempts++) {
        assert_int_equal(window.attempts, attempts < 6 ? attempts : 6);
        window_probe(&window, window.probe_at_ms, DELAY_MS);
        assert_int_equal(fill(&window), 1);
        window_leave(&window, false);
        window_refused(&window, window.probe_at_ms, DELAY_MS);
    }
    window_probe(&window, window.probe_at_ms, DELAY_MS);
    window_probe(&window, window.probe_at_ms, DELAY_MS); /* no call of the last probe was refused */
    assert_int_equal(window.attempts, 0);
}

static void refusals_shrink_it_now_and_then(void **state)
{
    (void)state;
    window_t window = refused_after(161);
    assert_int_equal(window.limit, 150);
    window_leave(&window, true);
    window_refused(&window, START_MS + 99, DELAY_MS);
    assert_int_equal(window.limit, 150);
    window_refused(&window, START_MS + 100, DELAY_MS);
    assert_in_range(window.limit, 135, 145);
}

static void those_behind_a_refused_one_count(void **state)
{
    (void)state;
    window_t window = refused_after(10);
    uint32_t before = window.limit;
    window_leave(&window, false);
    window_leave(&window, false);
    window_follow(&window);
    assert_in_range(window.limit, 7, before - 1);
    assert_false(window_has_capacity(&window));
}

static void lifted_it_has_no_limit(void **state)
{
    (void)state;
    window_t window = refused_after(2);
    window_lift(&window);
    for (int i = 0; i < 1000; i++) {
        assert_true(window_has_capacity(&window));
        window_enter(&window);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_lets_one_go),
        cmocka_unit_test(answers_make_it_grow),
        cmocka_unit_test(time_makes_it_grow_faster_and_faster),
        cmocka_unit_test(refused_probes_are_counted),
        cmocka_unit_test(refusals_shrink_it_now_and_then),
        cmocka_unit_test(those_behind_a_refused_one_count),
        cmocka_unit_test(lifted_it_has_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
