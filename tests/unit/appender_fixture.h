/* An appender over the store in memory, in virtual time, which holds all lanes of its world. */
#ifndef TESTS_UNIT_APPENDER_FIXTURE_H
#define TESTS_UNIT_APPENDER_FIXTURE_H

#include "broker/store/appender.h"
#include "tests/unit/actor_world.h"

#define FIXTURE_DATABASE "broker_appender"

typedef struct fixture {
    actor_world_t *world;
    appender_t *appender;
    sample_t samples[WORLD_LANES];
    lane_batch_t batches[WORLD_LANES];
    append_part_t parts[WORLD_LANES];
} fixture_t;

/* Takes all lanes, as the loader does, and begins them. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Makes `batch` the lane's part of the next append. */
void fixture_put(fixture_t *f, uint32_t lane, lane_batch_t batch);
/* Appends the messages `first` and `first` + 1 in the lanes 0..lanes-1. */
fabric_error_t fixture_append(fixture_t *f, uint32_t lanes, size_t first);
/* The same, which must be durable. */
void fixture_append_well(fixture_t *f, uint32_t lanes, size_t first);
/* Checkpoints the lane up to an entry, and deletes those below it. */
void fixture_purge(fixture_t *f, const store_hold_t *hold, uint64_t number);

#endif
