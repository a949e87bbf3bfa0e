/* Checkpoints: see checkpoint_state.h. */
#include "broker/router/checkpoint_state.h"

#include "broker/router/router_state.h"

/* ---- rings ---- */

static void ring_init(message_link_t *ring)
{
    ring->prev = ring->next = ring;
}

/* The links of `from` come to the end of `to`. */
static void ring_move(message_link_t *to, message_link_t *from)
{
    if (from->next == from) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ring_init(from);
}

/* ---- changes that wait ---- */

/* Frees dead letters that no slice has taken. */
static void free_dead(row_changes_t *changes, size_t taken)
{
    for (size_t i = taken; i < changes->dead_count; i++) {
        message_destroy(&changes->dead[i].message);
    }
    changes->dead_count = 0;
}

/* What the checkpoint under way had, is in slices. */
static void forget_taken(checkpoint_t *checkpoint)
{
    row_changes_t *current = &checkpoint->current;
    current->amendment_count = current->delete_count = current->dead_count = 0;
    current->unscheduled_count = current->direct_count = 0;
    checkpoint->amendments_taken = checkpoint->deletes_taken = checkpoint->dead_taken = 0;
    checkpoint->unscheduled_taken = checkpoint->direct_taken = 0;
}

/* ---- the lane ---- */

/* The checkpoints of lanes begin at different times. */
static uint64_t next_due(const router_t *router, uint32_t lane)
{
    uint64_t step_ms = router->config.checkpoint_ms > 0 ? router->config.checkpoint_ms : 1;
    uint64_t due_ms = router->now_ms - router->now_ms % step_ms;
    due_ms += step_ms * lane / router->config.lanes;
    return due_ms > router->now_ms ? due_ms : due_ms + step_ms;
}

static void add_bytes(router_t *router, checkpoint_t *checkpoint, uint64_t bytes)
{
    checkpoint->new_bytes += bytes;
    router->new_journal_bytes += bytes;
    router->counters.journal_bytes += bytes;
}

void checkpoint_open(router_t *router, const adoption_t *adoption)
{
    uint32_t lane = adoption->hold.lane;
    checkpoint_t *checkpoint = &router->lanes[lane].checkpoint;
    checkpoint->hold = adoption->hold;
    checkpoint->number = adoption->number;
    checkpoint->settled = adoption->checkpoint;
    checkpoint->due_ms = next_due(router, lane);
    add_bytes(router, checkpoint, adoption->tail_bytes);
}

void checkpoint_drop(router_t *router, uint32_t lane)
{
    checkpoint_t *checkpoint = &router->lanes[lane].checkpoint;
    router->counters.journal_bytes -= checkpoint->new_bytes + checkpoint->begun_bytes;
    router->new_journal_bytes -= checkpoint->new_bytes;
    checkpoint->new_bytes = checkpoint->begun_bytes = 0;
    checkpoint->next.amendment_count = checkpoint->next.delete_count = 0;
    checkpoint->next.unscheduled_count = checkpoint->next.direct_count = 0;
    free_dead(&checkpoint->next, 0);
    free_dead(&checkpoint->current, checkpoint->dead_taken);
    forget_taken(checkpoint);
    checkpoint->under_way = checkpoint->failed = false;
    checkpoint->slice.dropped = checkpoint->slice.running;
}

void checkpoint_appended(router_t *router, uint32_t lane, uint64_t number, uint64_t bytes)
{
    checkpoint_t *checkpoint = &router->lanes[lane].checkpoint;
    bool idle = checkpoint->number == checkpoint->settled;
    if (idle && checkpoint->due_ms <= router->now_ms) {
        checkpoint->due_ms = next_due(router, lane); /* most messages have ended by then */
    }
    checkpoint->number = number;
    add_bytes(router, checkpoint, bytes);
}

void checkpoint_hasten(const router_t *router, checkpoint_t *checkpoint)
{
    checkpoint->due_ms = router->now_ms;
}

/* ---- beginning ---- */

static bool is_due(const router_t *router, const router_lane_t *lane)
{
    const checkpoint_t *checkpoint = &lane->checkpoint;
    if (checkpoint->number == checkpoint->settled) { /* an idle lane costs nothing */
        return false;
    }
    return router->now_ms >= checkpoint->due_ms || router->closing || lane_is_to_leave(lane) ||
           router->new_journal_bytes >= router->config.checkpoint_bytes ||
           (router_journal_is_full(router) && checkpoint->new_bytes > 0);
}

/* Everything that waits is for this checkpoint. */
static void begin(router_t *router, checkpoint_t *checkpoint)
{
    checkpoint->under_way = true;
    checkpoint->begun = checkpoint->number;
    checkpoint->due_ms = next_due(router, checkpoint->hold.lane);
    checkpoint->begun_bytes = checkpoint->new_bytes;
    router->new_journal_bytes -= checkpoint->new_bytes;
    checkpoint->new_bytes = 0;
    ring_move(&checkpoint->current_messages, &checkpoint->next_messages);
    row_changes_t empty = checkpoint->current;
    checkpoint->current = checkpoint->next;
    checkpoint->next = empty;
    keys_checkpoint_begins(&router->lanes[checkpoint->hold.lane].keys);
    persisted_checkpoint_begins(&router->lanes[checkpoint->hold.lane].persisted);
    clears_checkpoint_begins(&router->lanes[checkpoint->hold.lane].clears);
    alive_checkpoint_begins(&router->lanes[checkpoint->hold.lane].alive);
    outbox_checkpoint_begins(&router->lanes[checkpoint->hold.lane].outbox);
}

const router_slice_t *router_take_slice(router_t *router, uint32_t lane, uint64_t now_ms)
{
    router->now_ms = now_ms;
    checkpoint_t *checkpoint = &router->lanes[lane].checkpoint;
    bool is_home = router->lanes[lane].state == LANE_HOME; /* all that stands is known */
    if (!is_home || checkpoint->failed || checkpoint->slice.running) {
        return NULL;
    }
    if (!checkpoint->under_way) {
        if (!is_due(router, &router->lanes[lane])) {
            return NULL;
        }
        begin(router, checkpoint);
    }
    slice_fill(router, checkpoint);
    return &checkpoint->slice.taken;
}

/* ---- ending ---- */

/* The rows are complete as of the entry that the checkpoint was to reach. */
static void end(router_t *router, checkpoint_t *checkpoint)
{
    forget_taken(checkpoint);
    checkpoint->under_way = false;
    checkpoint->settled = checkpoint->begun;
    router->counters.journal_bytes -= checkpoint->begun_bytes;
    checkpoint->begun_bytes = 0;
    router->counters.checkpoints++;
}

const checkpoint_slice_t *checkpoint_slice_end(router_t *router, uint32_t lane,
                                               fabric_error_t error)
{
    checkpoint_t *checkpoint = &router->lanes[lane].checkpoint;
    checkpoint_slice_t *slice = &checkpoint->slice;
    bool dropped = slice->dropped;
    slice->running = slice->dropped = false;
    if (dropped) {
        return NULL;
    }
    if (error) {
        checkpoint->failed = true;
        return NULL;
    }
    checkpoint->slices_settled = slice->number;
    if (slice->taken.slice.last) {
        end(router, checkpoint);
    }
    return slice;
}

bool checkpoint_has_settled(const checkpoint_t *checkpoint, const message_t *message)
{
    return message->has_row && !message_is_changed(message) &&
           message->slice <= checkpoint->slices_settled &&
           message->attempts == message->counted.attempts &&
           message->crashes == message->counted.crashes;
}

/* ---- the router ---- */

void checkpoints_init(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        ring_init(&router->lanes[i].checkpoint.next_messages);
        ring_init(&router->lanes[i].checkpoint.current_messages);
    }
}

static void changes_destroy(row_changes_t *changes, size_t dead_taken)
{
    free_dead(changes, dead_taken);
    free(changes->amendments);
    free(changes->deletes);
    free(changes->unscheduled);
    free(changes->direct);
    free(changes->dead);
}

void checkpoints_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        checkpoint_t *checkpoint = &router->lanes[i].checkpoint;
        changes_destroy(&checkpoint->next, 0);
        changes_destroy(&checkpoint->current, checkpoint->dead_taken);
        slice_destroy(&checkpoint->slice);
    }
}
