/* The ownerships of an executor. An ownership is the period in which this worker owns one type's
 * part of a shard, under a token, which names one ownership of the shard. It lists the entities
 * that have state, or whose messages are handled, under that token.
 *
 * A newer ownership may begin while an older one of the same type and shard is being stopped. An
 * ownership whose home is gone goes on, with its entities, under the token of the next home, if
 * that home gives it to this worker.
 */
#ifndef WORKER_EXECUTOR_OWNERSHIP_STATE_H
#define WORKER_EXECUTOR_OWNERSHIP_STATE_H

#include "core/hash.h"
#include "worker/executor_kept_state.h"
#include "worker/work.h"

struct entity;

typedef enum ownership_state {
    OWNERSHIP_CURRENT,  /* messages are handled */
    OWNERSHIP_ORPHANED, /* its home is gone: nothing is started until the next home has it */
    OWNERSHIP_RESUMING, /* the next home has given it to this worker: it waits for its results */
    OWNERSHIP_STOPPING  /* entities are being stopped */
} ownership_state_t;

/* As the table knows an ownership. */
typedef struct ownership_key {
    uint64_t shard;
    token_t token;
} ownership_key_t;

typedef struct ownership {
    UT_hash_handle hh; /* in the table, by key */
    struct ownership *stopping_next;
    ownership_state_t state;
    ownership_key_t key;
    work_source_t source;
    const work_lease_t *lease;
    bool resumed;         /* it began under an earlier home */
    token_t claimed;      /* under which its transactions may commit; see executor_transaction.h */
    kept_results_t kept;  /* that an earlier home may not have committed */
    uint64_t deadline_ms; /* STOPPING: when pending handlers are given up */
    uint64_t stop_after;  /* likewise: the last work given that may hold deliveries of it */
    uint64_t waiting;     /* deliveries under it in the queues of entities */
    struct entity *entities, *busy; /* without and with a pending handler */
} ownership_t;

typedef struct ownership_table {
    ownership_t *by_key;
    ownership_t *stopping; /* those that are STOPPING */
} ownership_table_t;

void ownership_table_free(ownership_table_t *table);
/* The ownership of a shard that the token names; NULL: there is none. */
ownership_t *ownership_find(const ownership_table_t *table, uint64_t shard, token_t token);
void ownership_begin(ownership_table_t *table, const work_t *order);
/* `given`: the number of works with deliveries that the executor has been given so far. */
void ownership_stop(ownership_table_t *table, const work_t *order, uint64_t given);
/* Its home is gone. */
void ownership_orphan(ownership_table_t *table, const work_t *order);
/* The next home has given it to this worker. */
void ownership_resume(ownership_table_t *table, const work_t *order);
/* Its results are here: its messages are handled again. */
void ownership_take_kept(ownership_table_t *table, const work_t *order);
/* Frees one that is stopped and has no entities. */
void ownership_end(ownership_table_t *table, ownership_t *ownership);
/* When pending handlers are to be given up; UINT64_MAX: there are none. */
uint64_t ownership_next_deadline(const ownership_table_t *table);

/* An entity enters the ownership, or leaves its ownership, if any. The entity's state says to which
 * list it belongs, so its state changes while it is in none. */
void ownership_add_entity(ownership_t *ownership, struct entity *entity);
void ownership_remove_entity(struct entity *entity);
/* A delivery entered or left the queue of an entity. */
void ownership_count_waiting(ownership_t *ownership, int change);

#endif
