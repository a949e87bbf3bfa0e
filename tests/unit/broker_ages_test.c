/* The age of the oldest thing, against a list of all things. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "broker/router/ages.h"
#include "core/random.h"

#define BEGIN    UINT64_C(1760000000000)
#define REACH_MS (UINT64_C(600) * 86400000)

/* The oldest of a few things, by looking at all. */
typedef struct list {
    uint64_t began_ms[2000];
    size_t count;
} list_t;

static void check(const ages_t *ages, const list_t *list, uint64_t now_ms)
{
    uint64_t found_ms = 0;
    assert_int_equal(ages_oldest(ages, &found_ms), list->count > 0);
    if (list->count == 0) {
        return;
    }
    uint64_t oldest_ms = UINT64_MAX;
    for (size_t i = 0; i < list->count; i++) {
        oldest_ms = list->began_ms[i] < oldest_ms ? list->began_ms[i] : oldest_ms;
    }
    assert_in_range(found_ms, oldest_ms, now_ms);
    if (now_ms - oldest_ms < REACH_MS) {
        assert_in_range(found_ms - oldest_ms, 0, (now_ms - oldest_ms) / 32 + 16);
    }
}

static void add(ages_t *ages, list_t *list, uint64_t began_ms)
{
    ages_add(ages, began_ms);
    list->began_ms[list->count++] = began_ms;
}

static void take(ages_t *ages, list_t *list, size_t index)
{
    ages_remove(ages, list->began_ms[index]);
    list->began_ms[index] = list->began_ms[--list->count];
}

static void things_come_and_go(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        ages_t *ages = calloc(1, sizeof *ages);
        list_t list = {.count = 0};
        uint64_t random = seed;
        uint64_t now_ms = BEGIN;
        ages_advance(ages, now_ms);
        for (int step = 0; step < 3000; step++) {
            uint64_t choice = random_up_to(&random, 9);
            if (choice < 4 && list.count < 2000) {
                add(ages, &list, now_ms);
            } else if (choice == 4 && list.count < 2000) { /* an old one is loaded */
                uint64_t back_ms = random_up_to(&random, UINT64_C(1) << random_up_to(&random, 35));
                add(ages, &list, now_ms - back_ms);
            } else if (choice < 8 && list.count > 0) {
                take(ages, &list, (size_t)random_up_to(&random, list.count - 1));
            } else {
                now_ms += random_up_to(&random, UINT64_C(1) << random_up_to(&random, 30));
                ages_advance(ages, now_ms);
            }
            check(ages, &list, now_ms);
        }
        while (list.count > 0) {
            take(ages, &list, 0);
        }
        check(ages, &list, now_ms);
        free(ages);
    }
}

static void one_grows_old_bit_by_bit(void **state)
{
    (void)state;
    ages_t *ages = calloc(1, sizeof *ages);
    list_t list = {.count = 0};
    ages_advance(ages, BEGIN);
    add(ages, &list, BEGIN);
    for (uint64_t now_ms = BEGIN; now_ms < BEGIN + UINT64_C(40) * 86400000;
         now_ms += 7 + (now_ms - BEGIN) / 500) {
        ages_advance(ages, now_ms);
        check(ages, &list, now_ms);
    }
    take(ages, &list, 0);
    check(ages, &list, BEGIN);
    free(ages);
}

/* Ids may be ahead of the time, and the time may be that of the first one. */
static void times_from_elsewhere_do_no_harm(void **state)
{
    (void)state;
    ages_t *ages = calloc(1, sizeof *ages);
    uint64_t found_ms = 0;
    ages_add(ages, 5);
    ages_add(ages, BEGIN + 90000);
    ages_advance(ages, BEGIN);
    ages_add(ages, BEGIN);
    assert_true(ages_oldest(ages, &found_ms));
    assert_in_range(found_ms, 5, BEGIN - REACH_MS); /* older than all slots */
    ages_remove(ages, 5);
    assert_true(ages_oldest(ages, &found_ms));
    assert_in_range(found_ms, BEGIN, BEGIN + 90000 / 32 + 16);
    ages_remove(ages, BEGIN);
    ages_remove(ages, BEGIN + 90000);
    assert_false(ages_oldest(ages, &found_ms));
    free(ages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_come_and_go),
        cmocka_unit_test(one_grows_old_bit_by_bit),
        cmocka_unit_test(times_from_elsewhere_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
