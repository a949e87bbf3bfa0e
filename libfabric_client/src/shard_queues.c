/* The queues of durable calls: see shard_queues_state.h. */
#include "libfabric_client/src/shard_queues_state.h"

#include <stdlib.h>

#include "core/memory.h"
#include "libfabric_client/src/times.h"

void shard_queues_init(shard_queues_t *queues)
{
    memset(queues, 0, sizeof *queues);
    queues->timed_due_ms = NEVER;
    queues->lines_due_ms = NEVER;
}

void shard_queues_clear(shard_queues_t *queues)
{
    for (size_t i = 0; i <= LIMIT_GROUPS_MAX; i++) {
        free(queues->groups[i]);
    }
}

void shard_queues_set_count(shard_queues_t *queues, size_t shards_per_group)
{
    queues->shards_per_group = shards_per_group;
}

static size_t count_of_group(const shard_queues_t *queues, size_t group)
{
    return group == 0 ? UNLOCATED_QUEUES : queues->shards_per_group + 1;
}

static shard_queue_t *new_group(size_t count)
{
    shard_queue_t *group = memory_allocate_zeroed(count, sizeof *group);
    for (size_t i = 0; i < count; i++) {
        group[i].route.peer = NO_PEER;
        group[i].route.override = NO_PEER;
        group[i].line = NO_PEER;
    }
    return group;
}

shard_queue_t *shard_queues_get(shard_queues_t *queues, shard_id_t shard)
{
    uint16_t group = shard_id_group(shard);
    assert(group <= LIMIT_GROUPS_MAX);
    if (!queues->groups[group]) {
        queues->groups[group] = new_group(count_of_group(queues, group));
    }
    return &queues->groups[group][shard_id_number(shard)];
}

shard_queue_t *shard_queues_of_group(const shard_queues_t *queues, size_t group, size_t *count)
{
    *count = queues->groups[group] ? count_of_group(queues, group) : 0;
    return queues->groups[group];
}

/* ---- which calls wait ---- */

static void add_waiting(shard_queue_t *queue, call_t *call)
{
    queue->waiting_count++;
    if (!queue->waiting || call->sequence < queue->waiting->sequence) {
        queue->waiting = call;
    }
}

/* A call that waited waits no longer, and is still in the queue. */
static void remove_waiting(shard_queue_t *queue, const call_t *call)
{
    queue->waiting_count--;
    if (queue->waiting == call) {
        call_t *next = queue->waiting_count > 0 ? call->queue.next : NULL;
        while (next && next->state != CALL_WAITING) {
            next = next->queue.next;
        }
        queue->waiting = next;
    }
}

void shard_queues_wait(shard_queues_t *queues, call_t *call)
{
    add_waiting(shard_queues_get(queues, call->shard), call);
}

void shard_queues_enter(shard_queues_t *queues, call_t *call)
{
    shard_queue_t *queue = shard_queues_get(queues, call->shard);
    queue_list_insert_sorted(&queue->calls, call);
    if (call->state == CALL_WAITING) {
        add_waiting(queue, call);
    }
}

static void stop_timer(shard_queues_t *queues, shard_queue_t *queue);

void shard_queues_leave(shard_queues_t *queues, call_t *call)
{
    shard_queue_t *queue = shard_queues_get(queues, call->shard);
    if (call->state == CALL_WAITING) {
        remove_waiting(queue, call);
    }
    queue_list_remove(&queue->calls, call);
    if (!queue->calls.first) {
        queue->held = false;
        stop_timer(queues, queue);
        shard_queues_leave_line(queues, queue);
    }
}

void shard_queues_relocate(shard_queues_t *queues, call_t *call, shard_id_t shard,
                           uint64_t generation)
{
    bool sent = call->state == CALL_SENT;
    if (sent) {
        window_leave(&shard_queues_get(queues, call->shard)->window, false);
    }
    shard_queues_leave(queues, call);
    call_relocate(call, shard);
    shard_queues_enter(queues, call);
    shard_queues_get(queues, shard)->joined_generation = generation;
    if (sent) {
        window_enter(&shard_queues_get(queues, shard)->window);
    }
}

/* ---- windows ---- */

void shard_queues_send(shard_queues_t *queues, call_t *call, uint32_t peer)
{
    shard_queue_t *queue = shard_queues_get(queues, call->shard);
    remove_waiting(queue, call);
    window_enter(&queue->window);
    window_enter(&queues->lines[peer].window);
}

/* Nobody waits for capacity, and there is some. */
static void lift_if_wide(window_t *window)
{
    if (window->limited && window_has_capacity(window)) {
        window_lift(window);
    }
}

void shard_queues_return(shard_queues_t *queues, const call_t *call, bool answered, uint64_t now_ms)
{
    shard_queue_t *queue = shard_queues_get(queues, call->shard);
    broker_line_t *line = &queues->lines[call->peer];
    window_leave(&queue->window, answered);
    window_leave(&line->window, answered);
    if (answered && !queue->waiting) {
        lift_if_wide(&queue->window);
    }
    if (answered && !line->first) {
        lift_if_wide(&line->window);
    }
    if (line->first && window_has_capacity(&line->window)) {
        queues->lines_due_ms = now_ms;
    }
}

/* ---- timed queues ---- */

void shard_queues_set_timer(shard_queues_t *queues, shard_queue_t *queue, uint64_t due_ms)
{
    if (!queue->timed) {
        queue->timed = true;
        queue->timed_previous = NULL;
        queue->timed_next = queues->timed;
        if (queues->timed) {
            queues->timed->timed_previous = queue;
        }
        queues->timed = queue;
    }
    queue->due_ms = due_ms;
    queues->timed_due_ms = earlier(queues->timed_due_ms, due_ms);
}

static void stop_timer(shard_queues_t *queues, shard_queue_t *queue)
{
    if (!queue->timed) {
        return;
    }
    queue->timed = false;
    *(queue->timed_previous ? &queue->timed_previous->timed_next : &queues->timed) =
        queue->timed_next;
    if (queue->timed_next) {
        queue->timed_next->timed_previous = queue->timed_previous;
    }
}

void shard_queues_hold(shard_queues_t *queues, shard_queue_t *queue, uint64_t until_ms)
{
    queue->held = true;
    shard_queues_leave_line(queues, queue);
    shard_queues_set_timer(queues, queue, until_ms);
}

void shard_queues_resume(shard_queues_t *queues, shard_queue_t *queue)
{
    queue->held = false;
    stop_timer(queues, queue);
}

void shard_queues_update_timed(shard_queues_t *queues)
{
    queues->timed_due_ms = NEVER;
    for (const shard_queue_t *queue = queues->timed; queue; queue = queue->timed_next) {
        queues->timed_due_ms = earlier(queues->timed_due_ms, queue->due_ms);
    }
}

/* ---- lines ---- */

void shard_queues_enter_line(shard_queues_t *queues, shard_queue_t *queue, uint32_t peer)
{
    broker_line_t *line = &queues->lines[peer];
    queue->line = peer;
    queue->line_next = NULL;
    queue->line_previous = line->last;
    *(line->last ? &line->last->line_next : &line->first) = queue;
    line->last = queue;
    queues->lines_due_ms = earlier(queues->lines_due_ms, line->window.probe_at_ms);
}

void shard_queues_leave_line(shard_queues_t *queues, shard_queue_t *queue)
{
    if (queue->line == NO_PEER) {
        return;
    }
    broker_line_t *line = &queues->lines[queue->line];
    *(queue->line_previous ? &queue->line_previous->line_next : &line->first) = queue->line_next;
    *(queue->line_next ? &queue->line_next->line_previous : &line->last) = queue->line_previous;
    queue->line = NO_PEER;
}

void shard_queues_update_lines(shard_queues_t *queues, size_t peer_count, uint64_t now_ms)
{
    queues->lines_due_ms = NEVER;
    for (size_t i = 0; i < peer_count; i++) {
        const broker_line_t *line = &queues->lines[i];
        if (line->first) {
            uint64_t due_ms =
                window_has_capacity(&line->window) ? now_ms : line->window.probe_at_ms;
            queues->lines_due_ms = earlier(queues->lines_due_ms, due_ms);
        }
    }
}

void shard_queues_forget_line(shard_queues_t *queues, uint32_t peer)
{
    broker_line_t *line = &queues->lines[peer];
    while (line->first) {
        shard_queues_leave_line(queues, line->first);
    }
    window_lift(&line->window);
}

/* ---- released queues ---- */

void shard_queues_release(shard_queues_t *queues, shard_queue_t *queue)
{
    if (queue->released || !queue->waiting) {
        return;
    }
    queue->released = true;
    queue->released_next = NULL;
    *(queues->released_last ? &queues->released_last->released_next : &queues->released) = queue;
    queues->released_last = queue;
}

shard_queue_t *shard_queues_next_released(shard_queues_t *queues)
{
    shard_queue_t *queue = queues->released;
    if (queue) {
        queue->released = false;
        queues->released = queue->released_next;
        if (!queues->released) {
            queues->released_last = NULL;
        }
    }
    return queue;
}

/* ---- attempts ---- */

uint32_t shard_queue_next_attempt(shard_queue_t *queue)
{
    uint32_t attempts = queue->attempts;
    queue->attempts += attempts < UINT32_MAX;
    return attempts;
}

void shard_queue_answered(shard_queue_t *queue)
{
    queue->attempts = 0;
}
