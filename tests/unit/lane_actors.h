/* What of one lane is with the store actors, for tests in which they are slow: each step of a load
 * or look-up is a call of its own. It is taken, it reads the model of the lanes, and its answer is
 * handed over; loads fail now and then, and find only a part.
 */
#ifndef TESTS_UNIT_LANE_ACTORS_H
#define TESTS_UNIT_LANE_ACTORS_H

#include "tests/unit/lane_model.h"
#include "tests/unit/router_driver.h"

enum { LANE_ACTORS_RANGES = 512, LANE_ACTORS_ASKED = 1024 };

typedef struct lane_actors {
    uint64_t *random; /* draws what happens */
    const lane_batch_t *batch;
    uint64_t appended; /* the entry of the batch, which is durable; 0: it is not yet */
    const router_slice_t *slice;
    uint64_t digest;
    bool committed;
    store_range_t ranges[LANE_ACTORS_RANGES];
    size_t range_count;
    bool loading, read;
    message_t *rows;
    size_t done;
    router_scheduled_t scheduled;
    bool loading_scheduled, scheduled_read, scheduled_ended;
    message_t *scheduled_rows;
    router_search_t search;
    bool searching, searched;
    message_t *searched_rows;
    call_key_t asked[LANE_ACTORS_ASKED];
    size_t asked_count;
    store_key_name_t names[LANE_ACTORS_ASKED];
    size_t name_count;
    bool looking, looked;
    struct {
        uint64_t id; /* 0: not found */
        uint64_t position;
        bool ended;
    } found[LANE_ACTORS_ASKED];
    store_key_t keys[LANE_ACTORS_ASKED];
    size_t key_count;
} lane_actors_t;

void lane_actors_load(lane_actors_t *actors, driver_t *driver, lane_model_t *store, uint32_t lane);
void lane_actors_load_scheduled(lane_actors_t *actors, driver_t *driver, lane_model_t *store,
                                uint32_t lane);
void lane_actors_search(lane_actors_t *actors, driver_t *driver, lane_model_t *store,
                        uint32_t lane);
void lane_actors_look_up(lane_actors_t *actors, driver_t *driver, lane_model_t *store,
                         uint32_t lane);

#endif
