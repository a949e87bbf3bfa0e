/* The executor: it holds the entities of some shards, runs their handlers one after another, and
 * puts out their results.
 *
 * The executor is a state machine without sockets, clocks and threads of its own: a caller gives it
 * work, lets it take steps at a time that the caller names, and takes its output. One step runs at
 * most one handler, so that the caller can look at the clock and for orders in between. A step does
 * the first of these that there is to do: completed handles, entities to be stopped, waiting
 * messages, given messages, idle entities.
 *
 * Invariants:
 *  1. One handler of an entity runs at a time, and none while as many are pending as its type's
 *     concurrency says, but those that are marked as concurrent; also across a change of token.
 *  2. A handler starts only under the token that holds, while the lease holds and the shard is not
 *     being stopped. A message whose handler certainly was not started is answered NOT_TAKEN.
 *  3. Results of one entity come in the order of its deliveries, but for MAILBOX_FULL, which comes
 *     at once, and for types of which more than one handler may be pending.
 *  4. OUTPUT_STOPPED comes after every result of the shard under that token. A pending handler that
 *     outlives the deadline gets no result: it was started, and its outcome is not known.
 *  5. After a change of home an instance is given no durable message that it has begun to handle,
 *     or one before that: such a message is answered from its result, or the instance ends first.
 *  6. A message that its caller has cancelled is not begun, and answered NOT_TAKEN with CANCELLED,
 *     at once. Handlers that have begun are told, and so are those of a shard that is to be
 *     stopped; one that ends for the latter reason gets no result.
 *  7. At most residents_max entities have state. A durable message to another entity ends the
 *     resident that has rested longest, or waits until one rests; a volatile one that would have to
 *     wait is answered MAILBOX_FULL. What waits for room does not hold up messages to residents:
 *     more than outside_max entities do not wait here, their first message is answered
 *     MAILBOX_FULL, and those behind it ENTITY_DEFECT, for the home to deliver them again.
 *     As many entities without an instance hold persisted states; the one that has held its own
 *     longest lets go of it, and the home gives it again.
 *  8. Idle entities cost nothing but memory: each is looked at about once in idle_ms.
 *
 * Threading: one thread at a time; executor_stats and executor_describe may be called by any.
 */
#ifndef WORKER_EXECUTOR_H
#define WORKER_EXECUTOR_H

#include "worker/interrupts.h"
#include "worker/pending.h"
#include "worker/sender.h"
#include "worker/transaction.h"
#include "worker/type_table.h"
#include "worker/work.h"

typedef struct executor executor_t;

/* Takes a line for people about a handler: entity, tag, request id, and what is to be said of it.
 * Called on the executor's thread; at most 10 times a second, and the next line says how many were
 * left out. */
typedef void executor_report_fn(void *context, const char *text);

/* What an executor calls, and writes to, beside its output. Each may be NULL. */
typedef struct executor_hooks {
    void (*wake)(void *context); /* called on a foreign thread when a handle was completed */
    void *wake_context;
    executor_report_fn *report_defect; /* before the result is taken */
    executor_report_fn *report_slow; /* a handler takes, or took, longer than its type's slow_ms */
    executor_report_fn *report_evicted; /* one that keeps itself alive makes room for a message */
    executor_report_fn *report_rolled_back; /* a transaction could not begin or commit */
    void *report_context;                   /* of all four */
    /* Where transactional messages commit; its url is NULL, or it is: there are none. */
    const transaction_config_t *database;
    /* Orders that are announced before they are given, so that the handler that runs hears of
     * them; NULL: it does not. */
    interrupts_t *interrupts;
    _Atomic uint64_t *at_hand; /* gets the request whose handler runs, and 0 when none does */
    fabric_runner_t runner;    /* what build functions are told; its name may be NULL */
    fabric_sender_t *sender;   /* outlives the executor; NULL: its entities cannot send */
} executor_hooks_t;

/* Bounds of an executor. */
typedef struct executor_limits {
    uint32_t residents_max; /* entities that have state, at least 1 */
    uint32_t outside_max;   /* entities whose durable messages wait here until there is room */
} executor_limits_t;

/* `types` outlives the executor. `limits` may be NULL: there are none. */
executor_t *executor_new(const type_table_t *types, const executor_limits_t *limits,
                         const executor_hooks_t *hooks);
/* Runs the finalizers of all entities but those with a pending handler, and frees everything. */
void executor_destroy(executor_t **executor);

/* Of an executor without a database, for tests: handlers of transactional messages get this
 * connection, and nobody begins or ends anything. */
void executor_lend(executor_t *executor, void *connection);

/* Takes a list of works. Orders (BEGIN, STOP, INTERRUPT) take effect at once, messages when it is
 * their turn. */
void executor_give(executor_t *executor, work_t **works);
/* Takes one step; false: there is nothing to do now. */
bool executor_step(executor_t *executor, uint64_t now_ms);
/* The time at which a step may have something to do though nothing was given or completed;
 * UINT64_MAX: never. */
uint64_t executor_next_deadline(const executor_t *executor);

/* Whether the collected output should be taken now though there is more to do. */
bool executor_output_due(const executor_t *executor, uint64_t now_ms);
/* All output so far, in order, as a list that is the caller's; NULL: none. */
work_output_t *executor_take_output(executor_t *executor);

typedef struct executor_stats {
    uint64_t handled;  /* handlers that ended */
    uint64_t defects;  /* of these, defects */
    uint64_t slow;     /* handlers that took longer than slow_ms of their type */
    uint64_t evicted;  /* instances of entities that keep themselves alive, to make room */
    uint64_t answered; /* deliveries answered from results that were kept */
    uint64_t entities; /* entities in memory now */
    uint64_t bytes;    /* memory of these, without the allocator's own overhead */
} executor_stats_t;
executor_stats_t executor_stats(const executor_t *executor);
/* A line for people about the message whose handler runs now: entity, tag and request id; false:
 * none does. Any thread. */
bool executor_describe(const executor_t *executor, char *text, size_t size);
/* The handler that runs now, if it began at `since_ms`: as executor_describe, with the time that it
 * has taken, if that is longer than its type's slow_ms; false: it is not, or was told before. Any
 * thread. Handlers that nobody asks about are told by report_slow when they have returned. */
bool executor_describe_slow(executor_t *executor, uint64_t since_ms, uint64_t now_ms, char *text,
                            size_t size);

#endif
