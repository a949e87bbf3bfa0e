/* Scheduled messages as they come due: when, in which order, and how often (decision 30). See
 * simulation_check.h. */
#include "tests/simulation/simulation_check_state.h"

/* Whether the message comes due before the other one, if both are known. */
static bool is_due_before(const watched_call_t *call, const watched_call_t *other)
{
    return call->due_us != other->due_us ? call->due_us < other->due_us
                                         : call->request_id < other->request_id;
}

void check_told(uint32_t lane, uint64_t entry)
{
    watched_lane_t *watched = &watch.lanes[lane];
    watched->told_number = entry > watched->told_number ? entry : watched->told_number;
    for (uint32_t i = 0; world.plan.schedules && i < watch.call_count; i++) {
        watched_call_t *call = &watch.calls[i];
        if (call->scheduled && call->lane == lane && call->begun_in == entry) {
            call->told_us = world.now_us;
        }
    }
}

/* Messages of a lane come due in the order of their times. One that its home had not stored, as far
 * as the home knew, when another one's time came may come due behind that. */
static void check_due_order(const watched_call_t *call, uint32_t lane)
{
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *other = &watch.calls[i];
        bool was_known = call->told_us > 0 && call->told_us < other->due_us;
        if (other->moved_in > 0 && other->lane == lane && was_known && is_due_before(call, other)) {
            world_fail("I7: call %u comes due after call %u, whose time is later",
                       (uint32_t)(call - watch.calls), i);
        }
    }
}

/* A home that is up wakes for the time. */
static void check_lateness(const watched_call_t *call)
{
    uint64_t from_us = call->due_us > world.healed_us ? call->due_us : world.healed_us;
    bool counts = world.plan.faults == 0 || world.healed_us > 0;
    if (!counts || world.now_us <= from_us) {
        return;
    }
    uint64_t late_us = world.now_us - from_us;
    world.result->late_us = late_us > world.result->late_us ? late_us : world.result->late_us;
    if (late_us > world.plan.late_ms * UINT64_C(1000)) {
        world_fail("I13: call %u comes due %llu us late", (uint32_t)(call - watch.calls),
                   (ull)late_us);
    }
}

void check_moved(const store_entry_t *entry, watched_call_t *call, uint64_t position)
{
    uint32_t number = (uint32_t)(call - watch.calls);
    world_note("moved", number, position, entry->number);
    world.result->moves++;
    if (!check_is_scheduled(call) || call->replied) {
        world_fail("call %u comes due in entry %llu, and is not scheduled", number,
                   (ull)entry->number);
    }
    if (world.now_us < call->due_us) {
        world_fail("call %u comes due before its time", number);
    }
    if (call->position >= position) {
        world_fail("I7: call %u comes due at position %llu", number, (ull)position);
    }
    if (position <= watch.lanes[entry->lane].last_move) {
        world_fail("I7: call %u comes due at position %llu, and one before it at %llu", number,
                   (ull)position, (ull)watch.lanes[entry->lane].last_move);
    }
    watch.lanes[entry->lane].last_move = position;
    check_due_order(call, entry->lane);
    check_lateness(call);
}
