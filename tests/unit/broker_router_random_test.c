/* The router under a seeded mix of everything that can happen to it. Models of its clients,
 * workers, store and coordinator check the invariants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/router_model.h"

enum { STEPS = 6000, SEEDS = 60 };

/* Of all seeds: crashes that were counted, lanes that were lost, and early deliveries. */
static uint64_t crashes, drops, early;

/* Every second seed has early delivery. */
static void run(uint64_t seed)
{
    driver_told.early = seed % 2 == 0;
    model_t *model = model_open(seed * UINT64_C(0x9e3779b97f4a7c15) + 1);
    for (int i = 0; i < STEPS; i++) {
        model_step(model);
        driver_check(model->driver);
    }
    bool stop_dirty = seed % 5 == 0; /* destroyed in whatever state it is in */
    if (!stop_dirty) {
        model_calm_down(model);
        router_counters_t counters = driver_counters(model->driver);
        assert_int_equal(counters.accepted, model->accepted - model->accepted_unseen);
        assert_int_equal(counters.ended, model->accepted - model->ended_unseen);
        assert_true(counters.redelivered > 0);
        crashes += counters.crashes;
        drops += model->drops;
        assert_int_equal(counters.delivered_early > 0, driver_told.early);
        early += counters.delivered_early;
    }
    model_close(&model);
}

/* The seed that is being run: printed when the test fails. ROUTER_SEED=n runs only seed n. */
static uint64_t running;

static void whatever_happens_nothing_is_lost_doubled_or_reordered(void **state)
{
    (void)state;
    const char *only = getenv("ROUTER_SEED");
    if (only) {
        running = strtoull(only, NULL, 10);
        run(running);
        return;
    }
    for (running = 1; running <= SEEDS; running++) {
        run(running);
    }
    assert_true(crashes > 0);
    assert_true(drops > 0);
    assert_true(early > 0);
}

static int print_seed(void **state)
{
    (void)state;
    if (running <= SEEDS) {
        print_message("last seed: %d\n", (int)running);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(whatever_happens_nothing_is_lost_doubled_or_reordered,
                                  print_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
