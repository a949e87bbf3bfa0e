/* Inside the executor: its structures and the functions that its files share. */
#ifndef WORKER_EXECUTOR_STATE_H
#define WORKER_EXECUTOR_STATE_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/limits.h"
#include "core/log.h"
#include "worker/executor.h"

#define HASH_FUNCTION(key, size, hash) ((hash) = (unsigned)XXH3_64bits((key), (size)))
#include <uthash.h>

/* How many entities one step stops at most. */
#define EXECUTOR_SLICE 64u
/* Of how many defects a second people are told. */
#define EXECUTOR_DEFECTS_TOLD_PER_S 10u
/* How often messages are looked at that wait for a lapsed lease. */
#define EXECUTOR_LEASE_CHECK_MS 10u
/* For how long a defect is remembered at least: the deliveries that were under way must be told. */
#define EXECUTOR_DEFECT_MEMORY_MS 60000u

/* One token's rule over a shard. */
typedef struct ownership {
    UT_hash_handle hh; /* executor->ownerships, by shard, until a newer token takes its place */
    struct ownership *stopping_next;
    shard_id_t shard;
    token_t token;
    work_source_t source;
    const work_lease_t *lease;
    bool current;         /* in executor->ownerships */
    bool stopping;        /* in executor->stopping */
    uint64_t deadline_ms; /* while stopping: for pending handlers */
    uint64_t stop_after;  /* while stopping: the last given work that may hold its deliveries */
    uint64_t waiting;     /* deliveries in its entities' queues */
    struct entity *entities, *busy; /* without and with a pending handler */
} ownership_t;

/* A delivery in an entity's queue: a copy, as its frame should not be kept for it. */
typedef struct waiting {
    struct waiting *next;
    ownership_t *ownership;
    message_deliver_t delivery; /* its views point behind the struct */
} waiting_t;

/* An entity, followed by its key (two bytes of type index, then the id) and its state. */
typedef struct entity {
    UT_hash_handle hh;      /* executor->entities, by key */
    ownership_t *ownership; /* whose state it holds; NULL: none's */
    struct entity *ownership_previous, *ownership_next;
    struct entity *idle_previous, *idle_next;
    struct entity *ready_next;
    waiting_t *first, *last;
    fabric_pending_t *pending;
    uint64_t used_ms;
    uint64_t check_ms;          /* when the idle sweep looks at it next */
    uint64_t failed_activation; /* with `failed` */
    uint32_t volatile_waiting;
    uint8_t id_size;
    bool started; /* the state is there */
    bool failed;  /* after a defect: deliveries up to failed_activation are not taken */
    bool queued;  /* on the ready or the held list */
    uint8_t key[];
} entity_t;

typedef struct entity_queue {
    entity_t *first, *last;
} entity_queue_t;

/* What a handler is told, and what it tells; one for all, as handlers do not nest. */
struct fabric_context {
    executor_t *executor;
    entity_t *entity;
    const type_entry_t *type;
    const fabric_handler_t *handler;
    const message_deliver_t *delivery;
    fabric_pending_t *pending;
    bool surplus; /* more than one handle was asked for */
    uint64_t code;
    char text[LIMIT_TEXT_BYTES_MAX + 1];
};

struct executor {
    const type_table_t *types;
    completions_t *completions;
    uint64_t now_ms;

    work_t *inbox_first, *inbox_last;
    uint32_t inbox_place;       /* of the next delivery in inbox_first */
    uint64_t given, dispatched; /* works with deliveries */

    entity_t *entities;
    ownership_t *ownerships;
    ownership_t *stopping;
    entity_queue_t ready; /* with waiting messages that can be tried */
    entity_queue_t held;  /* with waiting messages under a lapsed lease */
    uint64_t held_until_ms;
    entity_t *idle[LIMIT_TYPES_MAX]; /* by type, roughly by check_ms */
    uint64_t sweep_ms;               /* nothing is due before */

    fabric_context_t context;
    void *request; /* decoding buffer */
    void *reply;
    uint8_t *payload; /* encoding buffer, LIMIT_PAYLOAD_BYTES_MAX */

    executor_defect_fn *tell_defect; /* NULL: nobody */
    void *tell_context;
    log_limiter_t defects_told;

    work_output_t *output_first, *output_last;
    uint64_t output_since_ms; /* of the oldest result that was not taken */

    _Atomic uint64_t handled, defects, live, bytes;
};

static inline void count_add(_Atomic uint64_t *counter, uint64_t by)
{
    /* One writer: a plain addition that others may read. */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}

static inline uint16_t entity_type_index(const entity_t *entity)
{
    return (uint16_t)(entity->key[0] | entity->key[1] << 8);
}

static inline fabric_bytes_t entity_id(const entity_t *entity)
{
    return fabric_bytes(entity->key + 2, entity->id_size);
}

static inline size_t entity_state_offset(size_t id_size)
{
    return (sizeof(entity_t) + 2 + id_size + 15) & ~(size_t)15;
}

/* Entities (executor_entity.c) */
entity_t *entity_find(executor_t *executor, const type_entry_t *type, fabric_bytes_t id);
entity_t *entity_make(executor_t *executor, const type_entry_t *type, fabric_bytes_t id);
/* NULL for types without state. */
void *entity_state(const executor_t *executor, entity_t *entity);
/* Zeroes the state and calls start. */
FABRIC_MUST_USE bool entity_start(executor_t *executor, entity_t *entity);
/* Calls the finalizer when it is started. */
void entity_stop(executor_t *executor, entity_t *entity);
/* Stops it and takes it out of its ownership; frees it unless messages wait. */
void entity_end(executor_t *executor, entity_t *entity);
/* Puts it under a ownership, with fresh state where that is another one. */
void entity_enter(executor_t *executor, entity_t *entity, ownership_t *ownership);
/* Between its ownership's lists of entities with and without a pending handler. */
void entity_set_pending(entity_t *entity, fabric_pending_t *pending);
void entity_enqueue(executor_t *executor, entity_t *entity, ownership_t *ownership,
                    const message_deliver_t *delivery);
void entity_queue_add(entity_queue_t *queue, entity_t *entity);
entity_t *entity_queue_take(entity_queue_t *queue);
/* Stops idle entities; false: none is due. */
bool entity_sweep(executor_t *executor);
/* Frees it as it is, for the executor's end. */
void entity_free(executor_t *executor, entity_t *entity);

/* Ownerships (executor_ownership.c) */
ownership_t *ownership_find(executor_t *executor, shard_id_t shard);
void ownership_begin(executor_t *executor, const work_t *order);
void ownership_stop(executor_t *executor, const work_t *order);
/* Goes on with stopping; false: nothing to do now. */
bool ownership_step(executor_t *executor);
uint64_t ownership_next_deadline(const executor_t *executor);
void ownership_free_all(executor_t *executor);

/* Messages (executor_handle.c) */
/* Handles one delivery of an entity that has no pending handler and whose turn it is. */
void handle_delivery(executor_t *executor, entity_t *entity, ownership_t *ownership,
                     const message_deliver_t *delivery);
/* Brings a completed handle's outcome to its entity. */
void handle_completion(executor_t *executor, fabric_pending_t **pending);
void result_put(executor_t *executor, work_source_t source, const message_result_t *result);
void result_not_taken(executor_t *executor, work_source_t source, const message_deliver_t *delivery,
                      fabric_error_t error);
/* Appends an output that is no results. */
void output_add(executor_t *executor, work_output_t *output);

#endif
