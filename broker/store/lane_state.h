/* What the files of the lane share: lane.c and lane_commit.c only. */
#ifndef BROKER_STORE_LANE_STATE_H
#define BROKER_STORE_LANE_STATE_H

#include "broker/store/lane.h"

struct lane {
    lane_config_t config;
    lane_world_t world;
    store_writer_t writer;
    store_t *store; /* NULL: broken */
    bool is_available;
    reason_t cause; /* why it is not: what the world was told last */
};

/* Closes the connection after such an error, and tells the world that the database does not serve. */
void lane_break(lane_t *lane, fabric_error_t error);
/* Tells the world that the database serves, if it was told otherwise. */
void lane_serves(lane_t *lane);
/* Sleeps between half and all of `longest_ms`, by chance. */
void lane_pause(lane_t *lane, uint32_t longest_ms);
/* Connects where broken, and settles, until it works. `committed`: whether the batch after
 * writer.batch is in the store. OK, FENCED, STORE_LOST, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t lane_recover(lane_t *lane, bool *committed);

#endif
