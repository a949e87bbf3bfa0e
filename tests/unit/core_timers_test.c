/* Timers: order, cancellation, and random use compared with a sorted list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/timers.h"

enum { OWNERS = 60, STEPS = 200000 };

typedef struct owner {
    int number;
    timer_entry_t timer;
} owner_t;

static int take(timers_t *timers, uint64_t now_ms)
{
    timer_entry_t *timer = timers_take_due(timers, now_ms);
    return timer ? TIMER_OWNER(timer, owner_t, timer)->number : -1;
}

static void timers_are_due_by_deadline(void **state)
{
    (void)state;
    timers_t timers = {0};
    owner_t owners[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    assert_true(timers_next_deadline_ms(&timers) == UINT64_MAX);
    assert_null(timers_take_due(&timers, UINT64_MAX));
    timers_set(&timers, &owners[0].timer, 30);
    timers_set(&timers, &owners[1].timer, 10);
    timers_set(&timers, &owners[2].timer, 20);
    assert_true(timers_next_deadline_ms(&timers) == 10);
    assert_int_equal(take(&timers, 9), -1);
    assert_int_equal(take(&timers, 20), 1);
    assert_int_equal(take(&timers, 20), 2);
    assert_int_equal(take(&timers, 20), -1);
    assert_false(timer_is_set(&owners[1].timer));
    assert_true(timer_is_set(&owners[0].timer));
    timers_set(&timers, &owners[0].timer, UINT64_MAX);
    assert_int_equal(take(&timers, 30), -1);
    assert_int_equal(take(&timers, UINT64_MAX), 0);
    timers_destroy(&timers);
    timers_destroy(&timers);
}

static void equal_deadlines_keep_the_order_of_setting(void **state)
{
    (void)state;
    timers_t timers = {0};
    owner_t owners[OWNERS] = {{0}};
    for (int i = 0; i < OWNERS; i++) {
        owners[i].number = i;
        timers_set(&timers, &owners[i].timer, 5);
    }
    timers_set(&timers, &owners[0].timer, 5); /* set again: the last now */
    for (int i = 1; i < OWNERS; i++) {
        assert_int_equal(take(&timers, 5), i);
    }
    assert_int_equal(take(&timers, 5), 0);
    timers_destroy(&timers);
}

static void the_loop_over_due_timers_may_cancel_and_set(void **state)
{
    (void)state;
    timers_t timers = {0};
    owner_t owners[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    for (int i = 0; i < 4; i++) {
        timers_set(&timers, &owners[i].timer, (uint64_t)i);
    }
    int taken[8];
    int count = 0;
    for (int number = take(&timers, 10); number >= 0; number = take(&timers, 10)) {
        taken[count++] = number;
        if (number == 0) {
            timers_cancel(&timers, &owners[0].timer); /* not set any more */
            timers_cancel(&timers, &owners[2].timer);
            timers_set(&timers, &owners[0].timer, 11);
            timers_set(&timers, &owners[1].timer, 10);
        }
    }
    assert_int_equal(count, 3);
    assert_int_equal(taken[0], 0);
    assert_int_equal(taken[1], 3);
    assert_int_equal(taken[2], 1);
    assert_true(timers_next_deadline_ms(&timers) == 11);
    timers_destroy(&timers);
}

/* ---- compared with a sorted list ---- */

typedef struct model {
    owner_t *sorted[OWNERS];
    uint64_t deadlines[OWNERS];
    size_t count;
} model_t;

static void model_cancel(model_t *model, const owner_t *owner)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (model->sorted[i] != owner) {
            model->sorted[kept] = model->sorted[i];
            model->deadlines[kept++] = model->deadlines[i];
        }
    }
    model->count = kept;
}

static void model_set(model_t *model, owner_t *owner, uint64_t deadline_ms)
{
    model_cancel(model, owner);
    size_t i = model->count++;
    for (; i > 0 && model->deadlines[i - 1] > deadline_ms; i--) {
        model->sorted[i] = model->sorted[i - 1];
        model->deadlines[i] = model->deadlines[i - 1];
    }
    model->sorted[i] = owner;
    model->deadlines[i] = deadline_ms;
}

static void random_use_is_as_a_sorted_list_has_it(void **state)
{
    (void)state;
    timers_t timers = {0};
    model_t model = {.count = 0};
    owner_t owners[OWNERS] = {{0}};
    unsigned seed = 1;
    uint64_t now_ms = 0;
    for (int step = 0; step < STEPS; step++) {
        owner_t *owner = &owners[rand_r(&seed) % OWNERS];
        int choice = rand_r(&seed) % 8;
        if (choice < 4) {
            uint64_t deadline_ms = now_ms + (uint64_t)(rand_r(&seed) % 20);
            timers_set(&timers, &owner->timer, deadline_ms);
            model_set(&model, owner, deadline_ms);
        } else if (choice < 6) {
            timers_cancel(&timers, &owner->timer);
            model_cancel(&model, owner);
        } else {
            now_ms += (uint64_t)(rand_r(&seed) % 3);
            timer_entry_t *timer = timers_take_due(&timers, now_ms);
            bool due = model.count > 0 && model.deadlines[0] <= now_ms;
            assert_true(due ? timer == &model.sorted[0]->timer : timer == NULL);
            if (due) {
                model_cancel(&model, model.sorted[0]);
            }
        }
        assert_int_equal(timers.count, model.count);
        assert_true(timers_next_deadline_ms(&timers) ==
                    (model.count > 0 ? model.deadlines[0] : UINT64_MAX));
        if (timer_is_set(&owner->timer)) {
            assert_ptr_equal(timers.heap[owner->timer.position - 1], &owner->timer);
        }
    }
    timers_destroy(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_are_due_by_deadline),
        cmocka_unit_test(equal_deadlines_keep_the_order_of_setting),
        cmocka_unit_test(the_loop_over_due_timers_may_cancel_and_set),
        cmocka_unit_test(random_use_is_as_a_sorted_list_has_it),
    };
    return cmocka_run_group_tests_name("core_timers", tests, NULL, NULL);
}
