/* Reads of a lane's rows: see reads.h. */
#include "broker/router/reads.h"

#include "broker/router/router_state.h"

lane_reads_t reads_under_way(const router_lane_t *lane)
{
    return (lane_reads_t){.loads = lane->loads.answered + lane->loads.running,
                          .scheduled = lane->schedule.answered + lane->schedule.loading,
                          .searches = lane->search.answered + lane->search.running,
                          .round = lane->rounds.number};
}

bool reads_are_over(router_lane_t *lane, const lane_reads_t *reads)
{
    lookup_rounds_pass(lane);
    return lane->loads.answered >= reads->loads && lane->schedule.answered >= reads->scheduled &&
           lane->search.answered >= reads->searches && lane->rounds.number >= reads->round + 2;
}
