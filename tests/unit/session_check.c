/* The inner consistency of a client session: see session_check.h. */
#include "tests/unit/session_check.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "libfabric_client/src/session_state.h"

/* The counts of a walk over all queues. */
typedef struct found {
    size_t calls; /* durable ones */
    size_t timed;
    size_t released;
    size_t in_line[SESSION_PEERS_MAX];
    uint32_t open[SESSION_PEERS_MAX]; /* durable calls under way */
} found_t;

/* ---- queues ---- */

static void check_calls(const session_t *session, const shard_queue_t *queue, found_t *found)
{
    const call_t *waiting = NULL;
    size_t waiting_count = 0;
    size_t count = 0;
    uint32_t open = 0;
    uint64_t sequence = 0;
    for (const call_t *call = queue->calls.first; call; call = call->queue.next) {
        assert_true(call->sequence > sequence);
        sequence = call->sequence;
        count++;
        if (call->state == CALL_WAITING) {
            waiting = waiting ? waiting : call;
            waiting_count++;
        } else {
            assert_true(call->state == CALL_READY || call->state == CALL_SENT);
            assert_true(call->peer < session->peers.count);
            open++;
            found->open[call->peer]++;
        }
    }
    assert_int_equal(queue->calls.count, count);
    assert_ptr_equal(queue->waiting, waiting);
    assert_int_equal(queue->waiting_count, waiting_count);
    assert_int_equal(queue->window.open, open);
    found->calls += count;
}

/* Whether a call will be sent when the call before it ends. */
static bool waits_for_another(const call_t *call)
{
    const call_t *before = call->queue.previous;
    return before && (shard_id_group(call->shard) == 0 ||
                      ((before->unlinked || before->keyed) && before->queue.previous &&
                       !call_certainly_not_accepted(before)));
}

/* A queue that waits will be looked at again. */
static void check_wakes(const session_t *session, const shard_queue_t *queue)
{
    if (queue->timed) {
        assert_true(session->queues.timed_due_ms <= queue->due_ms);
    }
    assert_true(queue->timed || !queue->held);
    if (!queue->waiting || queue->timed || queue->line != NO_PEER || queue->released ||
        waits_for_another(queue->waiting)) {
        return;
    }
    assert_true(session->probe_at_ms != NEVER); /* its route is looked for */
    if (queue->route.generation == session->route_generation) {
        assert_false(peers_is_welcomed(&session->peers, queue->route.peer));
    }
}

static void check_queue(const session_t *session, const shard_queue_t *queue, found_t *found)
{
    check_calls(session, queue, found);
    check_wakes(session, queue);
    found->timed += queue->timed;
    found->released += queue->released;
    if (queue->line != NO_PEER) {
        assert_true(queue->line < session->peers.count);
        assert_false(queue->held);
        found->in_line[queue->line]++;
    }
    if (!queue->calls.first) {
        assert_false(queue->held || queue->timed || queue->line != NO_PEER);
    }
}

static void check_queues(const session_t *session, found_t *found)
{
    for (size_t group = 0; group <= LIMIT_GROUPS_MAX; group++) {
        size_t count;
        const shard_queue_t *queues = shard_queues_of_group(&session->queues, group, &count);
        for (size_t i = 0; i < count; i++) {
            check_queue(session, &queues[i], found);
        }
    }
}

/* ---- lists ---- */

static void check_timed(const session_t *session, size_t timed)
{
    const shard_queue_t *previous = NULL;
    for (const shard_queue_t *queue = session->queues.timed; queue; queue = queue->timed_next) {
        assert_true(queue->timed);
        assert_ptr_equal(queue->timed_previous, previous);
        assert_true(timed-- > 0);
        previous = queue;
    }
    assert_int_equal(timed, 0);
}

static void check_ready(const session_t *session, uint32_t index)
{
    const call_list_t *ready = &session->ready[index];
    size_t count = 0;
    for (const call_t *call = ready->first; call; call = call->ready.next) {
        assert_int_equal(call->state, CALL_READY);
        assert_int_equal(call->peer, index);
        assert_true(peers_is_welcomed(&session->peers, index));
        count++;
    }
    assert_int_equal(ready->count, count);
}

static void check_released(const session_t *session, size_t released)
{
    const shard_queue_t *last = NULL;
    for (const shard_queue_t *queue = session->queues.released; queue;
         queue = queue->released_next) {
        assert_true(queue->released);
        assert_true(released-- > 0);
        last = queue;
    }
    assert_int_equal(released, 0);
    assert_ptr_equal(session->queues.released_last, last);
}

static void check_line(const session_t *session, uint32_t index, size_t in_line)
{
    const broker_line_t *line = &session->queues.lines[index];
    const shard_queue_t *previous = NULL;
    for (const shard_queue_t *queue = line->first; queue; queue = queue->line_next) {
        assert_int_equal(queue->line, index);
        assert_ptr_equal(queue->line_previous, previous);
        assert_true(in_line-- > 0);
        previous = queue;
    }
    assert_int_equal(in_line, 0);
    assert_ptr_equal(line->last, previous);
    if (line->first) {
        uint64_t due_ms = session->queues.lines_due_ms;
        assert_true(peers_is_welcomed(&session->peers, index));
        assert_true(line->window.limited);
        assert_true(line->window.probe_at_ms != NEVER);
        assert_true(due_ms <= line->window.probe_at_ms);
        assert_true(due_ms <= session->now_ms || !window_has_capacity(&line->window));
    }
}

/* Parked calls: volatile ones and queries that wait. */
static void check_parked(const session_t *session)
{
    size_t count = 0;
    for (const call_t *call = session->calls.parked.first; call; call = call->queue.next) {
        assert_int_equal(call->state, CALL_WAITING);
        if (call->retry_at_ms == 0) {
            assert_true(session->probe_at_ms != NEVER);
        } else {
            assert_true(session->calls.parked_due_ms <= call->retry_at_ms);
        }
        count++;
    }
    assert_int_equal(session->calls.parked.count, count);
}

static size_t count_durable(const session_t *session)
{
    size_t count = 0;
    for (const call_t *call = session->calls.open.first; call; call = call->open.next) {
        assert_int_not_equal(call->state, CALL_DONE);
        count += (call->flags & REQUEST_DURABLE) != 0;
    }
    return count;
}

/* Each open call is in the table, the wheel and the buckets, and each call that was started is open
 * or has ended. */
static void check_accounts(const session_t *session)
{
    size_t open = 0;
    size_t timed = 0;
    size_t done = 0;
    for (const call_t *call = session->calls.open.first; call; call = call->open.next) {
        assert_ptr_equal(call_table_find(&session->calls, call->sequence), call);
        open++;
    }
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        size_t count = 0;
        for (const call_t *call = session->calls.wheel[i].first; call; call = call->timer.next) {
            assert_true(session->calls.wheel_due_ms <= call->deadline_ms);
            count++;
        }
        assert_int_equal(session->calls.wheel[i].count, count);
        timed += count;
    }
    for (const call_t *call = session->calls.done.first; call; call = call->ready.next) {
        done++;
    }
    assert_int_equal(session->calls.open.count, open);
    assert_int_equal(timed, open);
    assert_int_equal(session->calls.done.count, done);
    assert_true(open <= session->pending_max);
    assert_int_equal(session->stats.started, session->stats.completed + open);
}

void session_check(const session_t *session)
{
    found_t found = {0};
    check_accounts(session);
    check_queues(session, &found);
    assert_int_equal(found.calls, count_durable(session));
    check_timed(session, found.timed);
    check_released(session, found.released);
    for (uint32_t i = 0; i < SESSION_PEERS_MAX; i++) {
        assert_int_equal(session->queues.lines[i].window.open, found.open[i]);
        check_ready(session, i);
        check_line(session, i, found.in_line[i]);
    }
    check_parked(session);
}
