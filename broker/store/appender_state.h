/* The inside of an appender, for its own files alone. Each struct is written by the file that its
 * comment names. */
#ifndef BROKER_STORE_APPENDER_STATE_H
#define BROKER_STORE_APPENDER_STATE_H

#include "broker/store/appender.h"
#include "core/journal/entry.h"

/* ---- appender_lanes.c: what an appender knows of its lanes ---- */

typedef struct appender_lane {
    bool held;
    bool fenced; /* a check or an append found it */
    bool told;   /* so was whoever asked for it */
    store_hold_t hold;
    uint64_t number;    /* of the last entry known to be durable */
    uint64_t last_id;   /* of that entry; 0: it is the holder's first one */
    uint64_t checked;   /* own entries up to this one were there when it was looked last */
    uint64_t oldest_id; /* no own entry from that one on has a smaller last id; 0: not known */
    uint64_t log_bytes; /* up to `number` */
    journal_writer_t *writer; /* of the entry that is being appended */
} appender_lane_t;

typedef struct appender_lanes {
    appender_lane_t list[LIMIT_LANES_MAX];
} appender_lanes_t;

void appender_lanes_clear(appender_lanes_t *lanes);
/* See appender_begin, appender_end and appender_next_fenced. */
void appender_lanes_begin(appender_lanes_t *lanes, const store_hold_t *hold, uint64_t number,
                          uint64_t log_bytes);
void appender_lanes_end(appender_lanes_t *lanes, uint32_t lane, uint64_t epoch);
bool appender_lanes_next_fenced(appender_lanes_t *lanes, store_hold_t *hold);
/* The lane's next entry is durable. */
void appender_lanes_appended(appender_lanes_t *lanes, const store_entry_t *entry);
/* Another broker has the lane, as an append's verdict tells. */
void appender_lanes_fenced(appender_lanes_t *lanes, uint32_t lane);
/* Checks once all lanes (`all`), or those that have appended since the last check. What the store
 * answers, or STORE_LOST, for which `lost` says what it means. */
FABRIC_MUST_USE fabric_error_t appender_lanes_check(appender_lanes_t *lanes, store_t *store,
                                                    bool all, reason_t *lost);

/* ---- appender_entry.c: entries ---- */

/* Encodes a batch as the lane's next entry, whose bytes belong to the lane's writer. */
void appender_entry_make(const appender_lane_t *lane, const lane_batch_t *batch, int64_t created_ms,
                         store_entry_t *entry);

#endif
