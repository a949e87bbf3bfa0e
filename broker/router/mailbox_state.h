/* An entity and its mailbox: the queue of its messages. mailbox.c owns the struct.
 *
 * A queue holds the accepted messages of one entity in order: first those whose results wait for
 * their commits, then those in flight, then those that wait. Results stand elsewhere only for a
 * type of which more than one handler may be pending, and where a message was cancelled. The cursor
 * stands at the first message that waits. A message leaves the queue only when it has ended, so
 * redelivery never has to put anything back.
 *
 * An entity exists here only while it has messages: idle entities cost nothing.
 */
#ifndef BROKER_ROUTER_MAILBOX_STATE_H
#define BROKER_ROUTER_MAILBOX_STATE_H

#include "broker/router/ownership_state.h"
#include "broker/router/persisted_state.h"
#include "core/timers.h"

enum {
    ENTITY_WINDOW = 16,      /* messages of one entity in flight */
    ENTITY_WINDOW_MAX = 256, /* the same, where so many of its handlers may be pending */
    NOT_TAKEN_DELAY_MS = 50
};

struct entity {
    ownership_t *ownership;
    message_t *queue;
    message_t *cursor; /* the first QUEUED message, or NULL */
    uint64_t hash;     /* journal_entity_hash */
    uint32_t queued;   /* durable messages in the queue */
    uint32_t in_flight;
    uint32_t queued_volatile;
    uint32_t volatile_results; /* in state RESULT: they wait for commits of results before them */
    uint32_t unstored;         /* in the queue, and delivered early: see early.h */
    uint32_t refusals;         /* times in a row that the present owner did not take a message */
    uint32_t pending;          /* durable messages in memory, unappended ones included */
    uint64_t activation;       /* of its next delivery */
    timer_entry_t pause;       /* while it is set, no message is delivered */
    uint32_t holds;            /* the same while any of them is left: see entity_hold */
    bool restarting;           /* no message is delivered until all in flight have come back */
    bool taken_back;           /* the same, and no worker is to blame: see entity_take_back */
    bool parked;               /* its first message has failed too often, and waits for operators */
    uint32_t mailbox;          /* messages that wait or are in flight */
    uint32_t state_end;        /* which end of the batch of `state_take` has its state */
    uint64_t state_take;       /* router_t.takes */
    persisted_t *persisted;    /* its state, once it was found: persisted.c writes this */
    struct history *history;   /* with messages in flight: that of its events; else NULL */
    runner_t *waits_for;       /* the runner whose credit it waits for: it is in the list there */
    entity_t *prev, *next;     /* of its ownership */
    entity_t *busy_prev, *busy_next;     /* the same, while messages are in flight */
    entity_t *credit_prev, *credit_next; /* of the runner's list */
    UT_hash_handle by_name;
    uint16_t name_size;
    uint8_t name[]; /* one byte with the size of the type, then type and id */
};

/* NULL: it has no messages. Type and id are names of legal sizes. */
entity_t *mailbox_find(router_t *router, fabric_bytes_t type, fabric_bytes_t id);
entity_t *entity_find_or_add(router_t *router, shard_t *shard, fabric_bytes_t type,
                             fabric_bytes_t id);
/* Frees the entity when nothing is left in it. */
void entity_release(router_t *router, entity_t *entity);
void entities_destroy(router_t *router);
fabric_bytes_t entity_type(const entity_t *entity);
fabric_bytes_t entity_id(const entity_t *entity);
/* Whose persisted state is meant. */
static inline persisted_key_t entity_persisted_key(entity_t *entity)
{
    return (persisted_key_t){entity_type(entity), entity_id(entity), &entity->persisted};
}

/* ---- pending messages ---- */

/* A durable message has its id and is going to be handled: from now on it is pending. It may belong
 * to no entity (NULL), as a damaged row does. */
void message_admit(router_t *router, message_t *message, entity_t *entity);
/* A pending message has ended, its lane was dropped, or only the store keeps it; and it is in no
 * queue: it belongs to no entity any more. */
void message_dismiss(router_t *router, message_t *message);

/* The pending message waits for its time of delivery: it does not count as an old one, however long
 * that takes. */
void message_wait(router_t *router, const message_t *message);
/* It has its new position, which says since when it counts. */
void message_wait_no_more(router_t *router, const message_t *message);

/* Time has passed for pending messages. */
void pending_tick(router_t *router);
/* How old the oldest pending message in memory is, by its id, to a few percent; false: there is
 * none. Messages that only the store has stand behind some of their entity, unless those are just
 * being loaded. */
bool pending_oldest(const router_t *router, uint64_t *age_ms);

/* ---- the queue ---- */

/* The message is the last in the queue. */
void entity_append(entity_t *entity, message_t *message);
/* The message at the cursor is in flight. */
void entity_send(entity_t *entity, message_t *message);
/* A message in flight has come back without a result: it is queued again, at its place. */
void entity_requeue(message_t *message);
/* A message in flight, or one that waits, has a result, and stays until the result is durable. */
void entity_keep_result(message_t *message);
/* Takes a message of any state from the queue. See entity_release. */
void entity_remove(message_t *message);
/* Ends a volatile message: removes it from everything and frees it. */
void message_forget(router_t *router, message_t *message);

/* ---- when the entity may be served ---- */

/* Later deliveries belong to a new activation, which begins when all messages in flight have come
 * back. */
void entity_restart(router_t *router, entity_t *entity);
/* The same, where the home itself does not count a result that may be right later: the results that
 * are still to come from the activation are nobody's fault. */
void entity_take_back(router_t *router, entity_t *entity);
/* A message in flight has come back. The new activation begins when it was the last one. */
void entity_end_restart(entity_t *entity);
/* No message is delivered for a while after so many failures (1, 2 ...): half as long again with
 * each of them, up to a bound. */
void entity_back_off(router_t *router, entity_t *entity, unsigned failures);
/* The same after a refusal, with so many before it in a row: twice as long with each of them. */
void entity_pause(router_t *router, entity_t *entity, unsigned refusals);
/* Ends the pause. See entity_dispatch. */
void entity_resume(router_t *router, entity_t *entity);
/* Ends the pause that is over first, and returns its entity; NULL: no pause is over. */
entity_t *entity_take_rested(router_t *router);
/* Whether the entity is parked: see failing.h. */
void entity_set_parked(router_t *router, entity_t *entity, bool parked);
/* No message is delivered until a commit is durable, and entity_unhold has been called as often. */
void entity_hold(entity_t *entity);
void entity_unhold(entity_t *entity);
/* The owner did not take a message once more. */
void entity_count_refusal(entity_t *entity);
/* The owner took a message, or is not the owner any more: earlier refusals do not count. */
void entity_forget_refusals(entity_t *entity);

/* ---- entities that wait for credit of their owner, in order ---- */

/* Does nothing if the entity waits already. */
void runner_wait(runner_t *runner, entity_t *entity);
/* Takes the first entity that waits; there must be one. */
entity_t *runner_take_waiting(runner_t *runner);
/* The entity waits no more, if it did. */
void entity_stop_waiting(entity_t *entity);

#endif
