/* The inner consistency of a client session: see session_check.h. */
#include "tests/unit/session_check.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "libfabric_client/src/session_state.h"

/* What a walk over all queues has found. */
typedef struct found {
    size_t calls; /* durable ones */
    size_t timed;
    size_t starved[SESSION_PEERS_MAX];
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
            assert_true(call->peer < session->peer_count);
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

/* Whether the end of the call before it will let a call go. */
static bool waits_for_another(const call_t *call)
{
    const call_t *before = call->queue.previous;
    return before && (shard_id_group(call->shard) == 0 ||
                      ((before->unlinked || before->keyed) && before->queue.previous &&
                       !call_certainly_not_accepted(before)));
}

/* What waits will be looked at again. */
static void check_wakes(const session_t *session, const shard_queue_t *queue)
{
    if (queue->timed) {
        assert_true(session->timed_due_ms <= queue->due_ms);
    }
    assert_true(queue->timed || !queue->held);
    if (!queue->waiting || queue->timed || queue->starved_at != NO_PEER ||
        waits_for_another(queue->waiting)) {
        return;
    }
    assert_true(session->probe_at_ms != NEVER); /* its route is looked for */
    if (queue->generation == session->route_generation && queue->peer != NO_PEER) {
        assert_int_not_equal(session->peers[queue->peer].state, PEER_WELCOME);
    }
}

static void check_queue(const session_t *session, const shard_queue_t *queue, found_t *found)
{
    check_calls(session, queue, found);
    check_wakes(session, queue);
    found->timed += queue->timed;
    if (queue->starved_at != NO_PEER) {
        assert_true(queue->starved_at < session->peer_count);
        assert_false(queue->held);
        found->starved[queue->starved_at]++;
    }
    if (!queue->calls.first) {
        assert_false(queue->held || queue->timed || queue->starved_at != NO_PEER);
    }
}

static void check_queues(const session_t *session, found_t *found)
{
    size_t shards = shard_map_shards_per_group(session->map) + 1u;
    for (size_t group = 0; group <= LIMIT_GROUPS_MAX; group++) {
        size_t count = group == 0 ? UNLOCATED_QUEUES : shards;
        for (size_t i = 0; session->queues[group] && i < count; i++) {
            check_queue(session, &session->queues[group][i], found);
        }
    }
}

/* ---- lists ---- */

static void check_timed(const session_t *session, size_t timed)
{
    const shard_queue_t *previous = NULL;
    for (const shard_queue_t *queue = session->timed; queue; queue = queue->timed_next) {
        assert_true(queue->timed);
        assert_ptr_equal(queue->timed_previous, previous);
        assert_true(timed-- > 0);
        previous = queue;
    }
    assert_int_equal(timed, 0);
}

static void check_ready(const session_t *session, uint32_t index)
{
    const peer_t *peer = &session->peers[index];
    size_t count = 0;
    for (const call_t *call = peer->ready.first; call; call = call->ready.next) {
        assert_int_equal(call->state, CALL_READY);
        assert_int_equal(call->peer, index);
        assert_int_equal(peer->state, PEER_WELCOME);
        count++;
    }
    assert_int_equal(peer->ready.count, count);
}

static void check_starved(const session_t *session, uint32_t index, size_t starved)
{
    const peer_t *peer = &session->peers[index];
    const shard_queue_t *previous = NULL;
    for (const shard_queue_t *queue = peer->starved; queue; queue = queue->starved_next) {
        assert_int_equal(queue->starved_at, index);
        assert_ptr_equal(queue->starved_previous, previous);
        assert_true(starved-- > 0);
        previous = queue;
    }
    assert_int_equal(starved, 0);
    assert_ptr_equal(peer->starved_last, previous);
    if (peer->starved) {
        assert_int_equal(peer->state, PEER_WELCOME);
        assert_true(peer->window.limited);
        assert_true(peer->window.probe_at_ms != NEVER);
        assert_true(session->room_due_ms <= peer->window.probe_at_ms);
        assert_true(session->room_due_ms <= session->now_ms || !window_has_room(&peer->window));
    }
}

/* Volatile calls and queries that wait. */
static void check_waiting(const session_t *session)
{
    size_t count = 0;
    for (const call_t *call = session->waiting.first; call; call = call->queue.next) {
        assert_int_equal(call->state, CALL_WAITING);
        if (call->retry_at_ms == 0) {
            assert_true(session->probe_at_ms != NEVER);
        } else {
            assert_true(session->waiting_due_ms <= call->retry_at_ms);
        }
        count++;
    }
    assert_int_equal(session->waiting.count, count);
}

static size_t count_durable(const session_t *session)
{
    size_t count = 0;
    for (const call_t *call = session->open.first; call; call = call->open.next) {
        assert_int_not_equal(call->state, CALL_DONE);
        count += (call->flags & REQUEST_DURABLE) != 0;
    }
    return count;
}

/* Every open call is in all the places where it is looked for, and every call that was started is somewhere. */
static void check_accounts(const session_t *session)
{
    size_t open = 0;
    size_t timed = 0;
    size_t done = 0;
    for (const call_t *call = session->open.first; call; call = call->open.next) {
        assert_ptr_equal(session_find(session, call->sequence), call);
        open++;
    }
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        size_t count = 0;
        for (const call_t *call = session->wheel[i].first; call; call = call->timer.next) {
            assert_true(session->wheel_due_ms <= call->deadline_ms);
            count++;
        }
        assert_int_equal(session->wheel[i].count, count);
        timed += count;
    }
    for (const call_t *call = session->done.first; call; call = call->ready.next) {
        done++;
    }
    assert_int_equal(session->open.count, open);
    assert_int_equal(timed, open);
    assert_int_equal(session->done.count, done);
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
    for (uint32_t i = 0; i < SESSION_PEERS_MAX; i++) {
        assert_int_equal(session->peers[i].window.open, found.open[i]);
        check_ready(session, i);
        check_starved(session, i, found.starved[i]);
    }
    check_waiting(session);
}
