/* The ownerships of an executor. An ownership is the period in which this worker owns one shard,
 * under one token. It lists the entities that have state, or whose messages are handled, under that
 * token.
 *
 * A newer ownership of a shard may begin while an older one is still being stopped.
 */
#ifndef WORKER_EXECUTOR_OWNERSHIP_STATE_H
#define WORKER_EXECUTOR_OWNERSHIP_STATE_H

#include "core/hash.h"
#include "worker/work.h"

struct entity;

typedef enum ownership_state {
    OWNERSHIP_CURRENT,  /* messages are handled */
    OWNERSHIP_STOPPING, /* entities are being stopped; no newer ownership of the shard has begun */
    OWNERSHIP_REPLACED  /* entities are being stopped; a newer ownership of the shard has begun */
} ownership_state_t;

typedef struct ownership {
    UT_hash_handle hh; /* CURRENT and STOPPING: in the table, by shard */
    struct ownership *stopping_next;
    ownership_state_t state;
    shard_id_t shard;
    token_t token;
    work_source_t source;
    const work_lease_t *lease;
    uint64_t deadline_ms; /* STOPPING, REPLACED: when pending handlers are given up */
    uint64_t stop_after;  /* likewise: the last work given that may hold deliveries of it */
    uint64_t waiting;     /* deliveries under it in the queues of entities */
    struct entity *entities, *busy; /* without and with a pending handler */
} ownership_t;

typedef struct ownership_table {
    ownership_t *by_shard; /* CURRENT and STOPPING */
    ownership_t *stopping; /* STOPPING and REPLACED */
} ownership_table_t;

void ownership_table_free(ownership_table_t *table);
/* The newest ownership of a shard; NULL: there is none. */
ownership_t *ownership_find(const ownership_table_t *table, shard_id_t shard);
/* `given`: the number of works with deliveries that the executor has been given so far. */
void ownership_begin(ownership_table_t *table, const work_t *order, uint64_t given);
void ownership_stop(ownership_table_t *table, const work_t *order, uint64_t given);
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
