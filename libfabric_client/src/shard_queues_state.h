/* The unsettled durable calls of each shard, by sequence, and what each shard's queue waits for.
 *
 * A queue in which a call waits is, until that call can be sent, one of
 *   held      nothing is sent before due_ms: only time cures the refusal that held it
 *   timed     its own window has no capacity (the mailbox is full): an answer or due_ms ends it
 *   in line   the window of its broker has no capacity (the broker is full): it waits its turn
 *   released  a call of the queue has ended: the queue is about to be looked at
 *   or it waits for its route, or for the end of the call before it.
 *
 * Only shard_queues.c writes the queues and the lines; only session_route.c writes their routes.
 *
 * Threading: none of its own.
 */
#ifndef CLIENT_SHARD_QUEUES_STATE_H
#define CLIENT_SHARD_QUEUES_STATE_H

#include "core/limits.h"
#include "libfabric_client/src/list.h"
#include "libfabric_client/src/session.h"
#include "libfabric_client/src/window.h"

enum { UNLOCATED_QUEUES = 64 }; /* for entities of types that the map does not know yet */

/* Which peer the calls of a shard go to. */
typedef struct shard_route {
    uint32_t peer; /* as found in this generation of routes */
    uint64_t generation;
    uint32_t override; /* peer that a redirect named, or NO_PEER */
    uint64_t override_until_ms;
} shard_route_t;

typedef struct shard_queue {
    call_list_t calls;
    call_t *waiting; /* the first that waits */
    size_t waiting_count;
    uint64_t joined_generation; /* of routes: with it the last call came from another queue */
    window_t window;            /* of calls to this shard */
    shard_route_t route;
    bool held;
    uint32_t attempts; /* refusals that held it since a call was answered */

    bool timed; /* to be looked at again at due_ms */
    uint64_t due_ms;
    struct shard_queue *timed_previous;
    struct shard_queue *timed_next;

    uint32_t line; /* peer in whose line it stands; NO_PEER: none */
    struct shard_queue *line_previous;
    struct shard_queue *line_next;

    bool released;
    struct shard_queue *released_next;
} shard_queue_t;

/* The durable calls under way to one broker, and the queues that wait for capacity there, in
 * turn. */
typedef struct broker_line {
    window_t window;
    shard_queue_t *first;
    shard_queue_t *last;
} broker_line_t;

typedef struct shard_queues {
    shard_queue_t *groups[LIMIT_GROUPS_MAX + 1]; /* arrays by group; 0: unlocated */
    size_t shards_per_group;
    shard_queue_t *timed;
    uint64_t timed_due_ms; /* no timed queue is due earlier */
    broker_line_t lines[SESSION_PEERS_MAX];
    uint64_t lines_due_ms; /* when a line may get capacity; NEVER: nobody stands in one */
    shard_queue_t *released;
    shard_queue_t *released_last;
} shard_queues_t;

void shard_queues_init(shard_queues_t *queues);
void shard_queues_clear(shard_queues_t *queues);
/* Before the first call of a group that the map knows. */
void shard_queues_set_count(shard_queues_t *queues, size_t shards_per_group);
shard_queue_t *shard_queues_get(shard_queues_t *queues, shard_id_t shard);
/* The queues of a group, NULL where none is used yet, and how many they are. */
shard_queue_t *shard_queues_of_group(const shard_queues_t *queues, size_t group, size_t *count);

/* ---- calls ---- */

/* Puts a waiting call into its queue. */
void shard_queues_enter(shard_queues_t *queues, call_t *call);
/* Takes a call that waits, or that has returned and ends, out of its queue. */
void shard_queues_leave(shard_queues_t *queues, call_t *call);
/* Moves a waiting or sent call to the queue of another shard, with these routes. */
void shard_queues_relocate(shard_queues_t *queues, call_t *call, shard_id_t shard,
                           uint64_t generation);
/* A waiting call of a queue gets under way to a peer, by both windows. */
void shard_queues_send(shard_queues_t *queues, call_t *call, uint32_t peer);
/* A call of a queue is no longer under way to its peer. `answered`: it was handled. */
void shard_queues_return(shard_queues_t *queues, const call_t *call, bool answered,
                         uint64_t now_ms);
/* A call of a queue, which has returned, waits again. */
void shard_queues_wait(shard_queues_t *queues, call_t *call);
/* Whether an earlier call of the queue waits. */
static inline bool shard_queue_is_behind(const shard_queue_t *queue, const call_t *call)
{
    return queue->waiting && queue->waiting->sequence < call->sequence;
}

/* ---- what a queue waits for ---- */

void shard_queues_set_timer(shard_queues_t *queues, shard_queue_t *queue, uint64_t due_ms);
/* The queue leaves its line, and nothing is sent before a time. */
void shard_queues_hold(shard_queues_t *queues, shard_queue_t *queue, uint64_t until_ms);
/* The queue is neither held nor timed any longer. */
void shard_queues_resume(shard_queues_t *queues, shard_queue_t *queue);
/* Finds out when the next timed queue is due. */
void shard_queues_update_timed(shard_queues_t *queues);
void shard_queues_enter_line(shard_queues_t *queues, shard_queue_t *queue, uint32_t peer);
/* Does nothing for a queue that stands in no line. */
void shard_queues_leave_line(shard_queues_t *queues, shard_queue_t *queue);
/* Finds out when a line may get capacity. */
void shard_queues_update_lines(shard_queues_t *queues, size_t peer_count, uint64_t now_ms);
/* The peer's connection is gone, and what is known of its capacity with it. */
void shard_queues_forget_line(shard_queues_t *queues, uint32_t peer);
/* The queue is to be looked at soon, if a call waits in it. */
void shard_queues_release(shard_queues_t *queues, shard_queue_t *queue);
/* Takes the next queue that was released; NULL: there is none. */
shard_queue_t *shard_queues_next_released(shard_queues_t *queues);

/* ---- attempts ---- */

/* Counts an attempt: how many there were since a call was answered. */
uint32_t shard_queue_next_attempt(shard_queue_t *queue);
/* A call was answered. */
void shard_queue_answered(shard_queue_t *queue);

#endif
