/* See appender_fixture.h. */
#include "tests/unit/appender_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

int fixture_set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->world = world_new(FIXTURE_DATABASE);
    f->appender = appender_new(&f->world->connection, &f->world->world);
    assert_int_equal(appender_open(f->appender, NULL), FABRIC_OK);
    for (uint32_t lane = 0; lane < WORLD_LANES; lane++) {
        store_hold_t hold = world_hold(f->world, lane);
        store_entry_t adopt = world_take(f->world, &hold);
        appender_begin(f->appender, &hold, adopt.number, adopt.log_bytes);
        sample_fill(&f->samples[lane], lane, 100);
    }
    *state = f;
    return 0;
}

int fixture_tear_down(void **state)
{
    fixture_t *f = *state;
    appender_destroy(&f->appender);
    world_free(&f->world);
    free(f);
    return 0;
}

void fixture_put(fixture_t *f, uint32_t lane, lane_batch_t batch)
{
    f->batches[lane] = batch;
    f->batches[lane].epoch = world_hold(f->world, lane).epoch;
    f->parts[lane] = (append_part_t){.lane = lane, .batch = &f->batches[lane]};
}

fabric_error_t fixture_append(fixture_t *f, uint32_t lanes, size_t first)
{
    for (uint32_t lane = 0; lane < lanes; lane++) {
        fixture_put(f, lane, sample_messages(&f->samples[lane], first, 2));
    }
    return appender_append(f->appender, f->parts, lanes);
}

void fixture_append_well(fixture_t *f, uint32_t lanes, size_t first)
{
    assert_int_equal(fixture_append(f, lanes, first), FABRIC_OK);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        assert_false(f->parts[lane].fenced);
        assert_int_equal(f->parts[lane].number, world_end(f->world, lane).number);
    }
}

void fixture_purge(fixture_t *f, const store_hold_t *hold, uint64_t number)
{
    const store_driver_t *driver = f->world->store->driver;
    store_purge_t purge = {
        .before = number, .created_before_ms = INT64_MAX, .entries_max = UINT32_MAX};
    store_purged_t purged;
    world_checkpoint(f->world, hold, number);
    assert_int_equal(driver->purge(f->world->store, hold, &purge, &purged), FABRIC_OK);
}
