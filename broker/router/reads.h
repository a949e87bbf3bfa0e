/* Reads of a lane's rows: which are under way, and when they are over.
 *
 * When rows are deleted, what has read them before may still bring them. What the home has to know
 * of such rows is kept until all of that is over, whatever has begun since.
 */
#ifndef BROKER_ROUTER_READS_H
#define BROKER_ROUTER_READS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct router_lane router_lane_t;

/* Those that were under way at one time: how many of each kind are over then. */
typedef struct lane_reads {
    uint64_t loads, scheduled, searches;
    uint64_t round; /* of look-ups, see lookup_state.h */
} lane_reads_t;

/* Those that are under way now, with the requests that are held for what look-ups have found. */
lane_reads_t reads_under_way(const router_lane_t *lane);
bool reads_are_over(router_lane_t *lane, const lane_reads_t *reads);

#endif
