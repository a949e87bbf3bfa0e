/* The entities of an executor: their states, and the queue of messages of each.
 *
 * An entity is in the table while it has state or messages wait for it, and for a while after its
 * last message. Entities that are not used are looked at about once in their idle time. Those with
 * state are residents; an entity for whose state there is no room waits until there is some.
 */
#ifndef WORKER_EXECUTOR_ENTITY_STATE_H
#define WORKER_EXECUTOR_ENTITY_STATE_H

#include "core/hash.h"
#include "core/limits.h"
#include "worker/executor_instance_state.h"
#include "worker/executor_output_state.h"
#include "worker/executor_ownership_state.h"
#include "worker/executor_residents_state.h"
#include "worker/pending.h"
#include "worker/type_table.h"

/* How many entities one step stops at most. */
#define EXECUTOR_SLICE 64u

typedef enum entity_state {
    ENTITY_STOPPED, /* it has no state */
    ENTITY_STARTED, /* it has state */
    ENTITY_PENDING, /* it has state, and a handler of it has returned FABRIC_PENDING */
    ENTITY_FAILED   /* it has no state: a defect ended it, or a message to it was not taken */
} entity_state_t;

/* A delivery in an entity's queue: a copy, so that a large frame is not kept for a small message.
 */
typedef struct waiting {
    struct waiting *next;
    ownership_t *ownership;
    uint32_t round;             /* see work_output */
    bool concurrent;            /* its handler runs beside others */
    bool answered;              /* it was cancelled, and only its place in the queue is left */
    message_deliver_t delivery; /* its views point behind the struct */
} waiting_t;

/* An entity, followed by its key (two bytes of type index, then the id) and its state. */
typedef struct entity {
    UT_hash_handle hh; /* in the table, by key */
    /* The ownership under which the state was made; NULL: none. executor_ownership.c writes these
     * three. */
    ownership_t *ownership;
    struct entity *ownership_previous, *ownership_next;
    struct entity *idle_previous, *idle_next;
    struct entity *queue_next; /* in one of the queues */
    /* Of the residents that rest; executor_residents.c writes these two, and `rest`. */
    struct entity *resting_previous, *resting_next;
    finalizer_t *finalizers; /* of its state */
    resource_t *resources;   /* executor_instance.c writes these two */
    /* Of a persisted type: what its next instance begins with; NULL: it is not here.
     * executor_persisted.c writes it. */
    struct persisted_state *persisted;
    /* The same of a type with events, and how far its instance has come; NULL: nothing is here.
     * executor_events.c writes it. */
    struct entity_events *events;
    waiting_t *first, *last;
    fabric_pending_t *pending; /* PENDING: a list, in the order in which they began */
    uint64_t used_ms;
    uint64_t check_ms; /* when its idleness is looked at next */
    /* STARTED, PENDING: the last position of the durable messages that it has begun to handle:
     * see message_deliver_position. FAILED: deliveries up to this activation are not taken. */
    uint64_t mark;
    /* STARTED, PENDING: the message of its last result that may never be stored, as it was
     * delivered early; 0: none. */
    uint64_t early;
    uint32_t failed_epoch; /* FAILED: of the home that counts these activations (lower half) */
    uint32_t volatile_waiting;
    uint32_t pending_count; /* PENDING: of handlers that are not concurrent */
    uint8_t id_size;
    uint8_t rest;     /* rest_t */
    uint8_t state;    /* entity_state_t */
    bool queued;      /* in one of the queues */
    bool kept;        /* it keeps itself alive: it is not stopped when it is idle */
    bool terminating; /* its state ends with the handler that runs or is pending */
    /* What the home knows to keep it alive (enum alive_cause), as far as this worker knows.
     * `known`: this worker has told it, or heard it, under the ownership. executor_alive.c writes
     * `told`. */
    uint8_t told;
    bool known;
    uint8_t key[];
} entity_t;

typedef struct entity_queue {
    entity_t *first, *last;
} entity_queue_t;

typedef struct entity_table {
    const type_table_t *types;
    entity_t *by_key;
    entity_queue_t ready;  /* with waiting messages whose turn it is */
    entity_queue_t lapsed; /* with waiting messages under a lease that has run out */
    uint64_t lapsed_until_ms;
    entity_queue_t outside; /* with waiting messages and no room for their state */
    uint32_t outside_count, outside_max;
    residents_t residents;
    fabric_instance_t instance;
    executor_output_t *output;            /* of its executor */
    struct events_buffers *event_buffers; /* NULL: there were no events yet */
    bool building;                        /* a build function runs */
    entity_t *idle[LIMIT_TYPES_MAX];      /* by type, roughly by check_ms */
    uint64_t sweep_ms;                    /* no entity is to be looked at before */
    _Atomic uint64_t count, bytes;        /* of entities; any thread reads these */
} entity_table_t;

static inline uint16_t entity_type_index(const entity_t *entity)
{
    return (uint16_t)(entity->key[0] | entity->key[1] << 8);
}

static inline const type_entry_t *entity_type(const entity_table_t *table, const entity_t *entity)
{
    return type_table_at(table->types, entity_type_index(entity));
}

static inline fabric_bytes_t entity_id(const entity_t *entity)
{
    return fabric_bytes(entity->key + 2, entity->id_size);
}

/* Where the state begins. */
static inline size_t entity_memory_offset(size_t id_size)
{
    return (sizeof(entity_t) + 2 + id_size + 15) & ~(size_t)15;
}

/* At most `residents_max` entities have state, and `outside_max` wait for room. */
void entity_table_init(entity_table_t *table, const type_table_t *types, uint32_t residents_max,
                       uint32_t outside_max, executor_output_t *output);
/* Stops all entities but those with a pending handler, and frees all. */
void entity_table_free(entity_table_t *table);

entity_t *entity_find(const entity_table_t *table, const type_entry_t *type, fabric_bytes_t id);
entity_t *entity_make(entity_table_t *table, const type_entry_t *type, fabric_bytes_t id,
                      uint64_t now_ms);
/* The memory of the entity's state; NULL for types without state. */
static inline void *entity_memory(const type_entry_t *type, entity_t *entity)
{
    return type->type->state_size > 0 ? (uint8_t *)entity + entity_memory_offset(entity->id_size)
                                      : NULL;
}
/* Whether the activation has ended with a defect. */
bool entity_is_over(const entity_t *entity, const ownership_t *ownership, uint64_t activation);
/* A message of the ownership is about to be handled: state that was made under another ownership is
 * ended. false: a defect has ended the activation, so the message is not taken. */
FABRIC_MUST_USE bool entity_enter(entity_table_t *table, entity_t *entity, ownership_t *ownership,
                                  uint64_t activation, uint64_t now_ms);
/* A message with these flags has a result. */
static inline void entity_note_early(entity_t *entity, uint64_t flags, uint64_t request_id)
{
    if (flags & DELIVER_EARLY) {
        entity->early = request_id;
    }
}
static inline bool entity_is_resident(const entity_t *entity)
{
    return entity->state == ENTITY_STARTED || entity->state == ENTITY_PENDING;
}
/* Whether the entity could end to make room: it has state, and nothing to do. Or whether it could
 * let go of its persisted state, or of the events that it was given. */
static inline rest_t entity_rest(const entity_t *entity)
{
    bool holds = entity->persisted || entity->events;
    if (entity->state == ENTITY_STOPPED && holds && !entity->first) {
        return REST_HOLDING;
    }
    bool rests = entity->state == ENTITY_STARTED && !entity->first && !entity->resources;
    return !rests ? REST_NONE : entity->kept ? REST_KEPT : REST_IDLE;
}
/* Whether a message of the entity (NULL: one that is not in the table) can be handled now: it has
 * state, or there is room for it. */
static inline bool entity_has_place(const entity_table_t *table, const entity_t *entity)
{
    return (entity && entity_is_resident(entity)) || residents_have_place(&table->residents);
}
/* The entity that keeps itself alive and is evicted by the next entity_start; NULL: none is. */
const entity_t *entity_to_evict(entity_table_t *table);
/* Makes the state of an entity that has none and for which there is room, perhaps in the place of
 * the resident that has rested longest; false: the type's build function has failed, and
 * table->instance says why. */
FABRIC_MUST_USE bool entity_start(entity_table_t *table, entity_t *entity);
/* Whether an instance of an ownership that began under an earlier home has begun to handle this
 * durable message, or a later one. If so it ends: it must not see a message twice, nor out of
 * order. */
bool entity_has_seen(const entity_t *entity, uint64_t position);
void entity_end_seen(entity_table_t *table, entity_t *entity);
/* The entity's next instance begins with this persisted state, or with the snapshot and the events
 * that are given (see WORK_STATE), or what it begins with is not known. It has no instance. */
void entity_set_persisted(entity_table_t *table, entity_t *entity, uint32_t version,
                          fabric_bytes_t state);
void entity_take_events(entity_table_t *table, entity_t *entity, const message_deliver_t *given);
void entity_forget_persisted(entity_table_t *table, entity_t *entity);
/* Lets go of persisted states, and of events, while too many entities hold some. */
void entity_trim_persisted(entity_table_t *table);
/* The instance of a persisted type, or of one with events, ends. The next one begins with the state
 * that it had before the message at hand, or with the events that the home gives. */
void entity_go_back(entity_table_t *table, entity_t *entity);
/* The instance has begun to handle a durable message. */
static inline void entity_note_seen(entity_t *entity, uint64_t position)
{
    if (position > entity->mark) {
        entity->mark = position;
    }
}
/* Whether there is an instance that has not begun to handle a durable message. A result of that
 * message, if there is one, is that of an instance before. */
static inline bool entity_lacks(const entity_t *entity, uint64_t position)
{
    return (entity->state == ENTITY_STARTED || entity->state == ENTITY_PENDING) &&
           entity->mark < position;
}
/* A handler broke: ends the entity's state, and all activations up to this one. */
void entity_fail(entity_table_t *table, entity_t *entity, uint64_t activation);
/* A message to an entity without state is not taken: neither are those behind it of its activation.
 */
void entity_end_activation(entity_table_t *table, entity_t *entity, ownership_t *ownership,
                           uint64_t activation, uint64_t now_ms);
/* Whether the entity keeps itself alive: it stays when it is idle, and comes back when its state
 * has ended otherwise than by entity_terminate. */
void entity_keep(entity_table_t *table, entity_t *entity, bool keep);
/* The entity, which a handler of its has asked for that, ends its state: at once, or with its
 * pending handler. */
void entity_terminate(entity_table_t *table, entity_t *entity);
/* The home has cleared the entity, and forgotten what keeps it alive. Its state ends as with
 * entity_terminate. */
void entity_clear(entity_table_t *table, entity_t *entity);
/* The home says what keeps the entity alive; no handler has said otherwise since. */
void entity_set_known(entity_table_t *table, entity_t *entity, uint32_t causes);
/* Ends the entity's state. Frees the entity unless messages wait for it. */
void entity_end(entity_table_t *table, entity_t *entity);

/* A handler of the entity, of a delivery of this round, has returned FABRIC_PENDING. `concurrent`:
 * whether it runs beside any others. */
void entity_begin_pending(entity_table_t *table, entity_t *entity, fabric_pending_t *pending,
                          uint32_t round, bool concurrent);
/* The message of the pending handler was delivered again, in this round. */
void entity_pending_again(fabric_pending_t *pending, const message_deliver_t *delivery,
                          uint32_t round);
/* A pending handler of the entity has ended. */
void entity_end_pending(entity_table_t *table, entity_t *entity, fabric_pending_t *pending,
                        uint64_t now_ms);
/* A pending handler of the entity is given up: completing the handle changes nothing. */
void entity_abandon_pending(entity_table_t *table, entity_t *entity, fabric_pending_t *pending);

/* Whether a message of the ownership may begin as far as pending handlers are concerned. Not under
 * another ownership than theirs. */
bool entity_may_begin(const entity_table_t *table, const entity_t *entity,
                      const ownership_t *ownership, bool concurrent);
/* Whether a message that comes now has to wait for others. */
static inline bool entity_must_queue(const entity_table_t *table, const entity_t *entity,
                                     const ownership_t *ownership, bool concurrent)
{
    return (entity->first && !concurrent) ||
           (entity->state == ENTITY_PENDING &&
            !entity_may_begin(table, entity, ownership, concurrent));
}
void entity_enqueue(entity_table_t *table, entity_t *entity, ownership_t *ownership,
                    const message_deliver_t *delivery, uint32_t round, bool concurrent);
/* Takes the first waiting message, which is the caller's to free(). */
waiting_t *entity_dequeue(entity_table_t *table, entity_t *entity);
/* The message that was dequeued has been answered or handled: the entity gets another turn if
 * messages wait, and is freed if nothing else needs it. */
void entity_end_turn(entity_table_t *table, entity_t *entity);
/* Takes the next entity whose turn it is; NULL: none. */
entity_t *entity_next_ready(entity_table_t *table);
/* Puts an entity aside whose next message waits under a lapsed lease. */
void entity_set_lapsed(entity_table_t *table, entity_t *entity, uint64_t now_ms);
/* Gives entities that were put aside their turn, from time to time: a lease may hold again. */
void entity_retry_lapsed(entity_table_t *table, uint64_t now_ms);

/* Puts an entity aside for whose state there is no room. */
void entity_wait_outside(entity_table_t *table, entity_t *entity);
/* Takes the entity that has waited for room longest, if there is some; NULL: none. */
entity_t *entity_next_outside(entity_table_t *table);
/* Gives all that wait for room their turn: their ownerships may have changed. */
void entity_retry_outside(entity_table_t *table);

/* Stops idle entities; false: none is to be looked at. */
bool entity_sweep(entity_table_t *table, uint64_t now_ms);
/* When entity_retry_lapsed, entity_sweep or instance_sweep has something to do; UINT64_MAX: never.
 */
uint64_t entity_next_deadline(const entity_table_t *table);

/* ---- executor_alive.c: what the home is told of entities that are kept alive ---- */

/* Tells the home what keeps the entity alive, if that has changed. */
void alive_tell(entity_table_t *table, entity_t *entity);
/* The same, whether or not it has: it may not have heard of it. */
void alive_tell_again(entity_table_t *table, entity_t *entity);
/* A handler has said what keeps the entity alive: it is told, unless the home knows that. */
void alive_decide(entity_table_t *table, entity_t *entity);
/* The entity's state has ended with a defect, or could not be made: if it is kept alive, the home
 * is told that it has no instance. */
void alive_tell_absent(entity_table_t *table, entity_t *entity);
/* Answers the home, which has asked for the entity's instance, now that it is there: what the home
 * knows still counts. */
void alive_answer(entity_table_t *table, entity_t *entity, uint64_t activation);
/* The home does not know yet that nothing keeps the entity alive any more. */
bool alive_is_over(const entity_t *entity, const ownership_t *ownership);
/* The ownership, which a new home has given to this worker again, is told of all over. */
void alive_tell_all(entity_table_t *table, ownership_t *ownership);

#endif
