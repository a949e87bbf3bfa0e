/* The router's driver together with the model of the lanes: what the router appends, checkpoints
 * and loads is carried out at once, or step by step. */
#ifndef TESTS_UNIT_LANE_DRIVER_H
#define TESTS_UNIT_LANE_DRIVER_H

#include "tests/unit/lane_model.h"
#include "tests/unit/router_driver.h"

typedef struct home {
    driver_t *driver;
    lane_model_t store;
    uint64_t epoch;
    uint64_t next; /* sequence of client "c"'s next call */
} home_t;

/* One lane, windows of 4 messages, client "c" and no worker; change it before home_open. */
void home_config(router_config_t *config);
home_t *home_open(const router_config_t *config);
/* Inline, so that a test program refers to the router before the linker comes to this library. */
static inline void home_close(home_t **home)
{
    driver_close(&(*home)->driver);
    lane_model_clear(&(*home)->store);
    free(*home);
    *home = NULL;
}
/* The home is killed; another one begins with what the store has. */
void home_kill(home_t *home);
/* The lane is held anew, and adopted. */
void home_adopt(home_t *home, uint32_t lane);

/* Sends that many durable requests for the entity; returns the sequence of the first one. */
uint64_t home_ask(home_t *home, const char *id, unsigned count);
uint64_t home_tell(home_t *home, const char *id, unsigned count);
/* One durable tell that is due so many milliseconds from now; returns its sequence. */
uint64_t home_tell_later(home_t *home, const char *id, int64_t delay_ms);
void home_append(home_t *home); /* until no lane has anything to append */
/* The lane's next slice; it must be there. */
const router_slice_t *home_take_slice(home_t *home, uint32_t lane);
/* It is committed, and settled. */
void home_settle_slice(home_t *home, uint32_t lane, const router_slice_t *slice);
/* Passes the time until a checkpoint is due, and takes, commits and settles all slices. */
void home_checkpoint(home_t *home);
/* Tells, appends, and writes a checkpoint: the messages have rows. */
void home_tell_rows(home_t *home, const char *id, unsigned count);
/* The same of scheduled messages. */
bool home_load_scheduled(home_t *home, uint32_t lane);
/* One search of the lane; false: the router wants none. */
bool home_search(home_t *home, uint32_t lane);
/* One load of rows of outgoing messages; false: the router wants none. */
bool home_load_outgoing(home_t *home, uint32_t lane);
/* One load of the lane; false: the router wants none. */
bool home_load(home_t *home, uint32_t lane);
void home_worker(home_t *home); /* "w", of number 9, owns all shards */
/* The worker handles what is delivered, and rows are loaded, until nothing is left to be done.
 * Returns how many messages were handled; each of them is the oldest one of its entity. */
unsigned home_work_off(home_t *home);
router_counters_t home_counters(const home_t *home);

#endif
