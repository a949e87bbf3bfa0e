/* An entity's mailbox: its queue of messages and their dispatch to the shard's owner. mailbox.c owns the struct. */
#ifndef BROKER_ROUTER_MAILBOX_STATE_H
#define BROKER_ROUTER_MAILBOX_STATE_H

#include "broker/router/shard_state.h"

enum {
    DELAY_LEVELS = 12,  /* lists of entities that wait, one for each length of wait */
    ENTITY_WINDOW = 16, /* messages of one entity in flight */
    NOT_TAKEN_DELAY_MS = 50
};

struct entity {
    shard_t *shard;
    message_t *queue;  /* accepted messages in order, those in flight and with results included */
    message_t *cursor; /* first QUEUED one, or NULL */
    uint32_t in_flight;
    uint32_t queued_volatile;
    uint32_t volatile_results; /* in state RESULT: they wait for commits of results before them */
    uint32_t refusals;   /* times in a row that the present owner did not take what it was sent */
    uint32_t pending;    /* durable messages, those in a lane included */
    uint64_t activation; /* under which its next message is delivered */
    uint64_t not_before_ms;
    uint8_t delay_level; /* which list of router->delayed it is in, + 1; 0: none */
    bool unserved; /* of the refusals the last one, because the owner does not bring the type */
    bool draining; /* after a defect: nothing is delivered until all in flight came back */
    bool solitary; /* what is in flight wants nothing else in flight */
    bool waits_for_credit;
    entity_t *prev, *next;                 /* of its shard */
    entity_t *delayed_prev, *delayed_next; /* of router->delayed */
    entity_t *credit_next;                 /* of runner->waiting */
    UT_hash_handle by_name;
    uint16_t name_size;
    uint8_t name[]; /* size of type, type, id: see entity_name */
};

/* Into and out of messages_by_id. */
void message_add(router_t *router, message_t *message);
void message_remove(router_t *router, message_t *message);
/* message_set_reply for a message that is in it. */
void message_add_reply(router_t *router, message_t *message, const store_reply_t *reply);
entity_t *entity_find_or_add(router_t *router, shard_t *shard, fabric_bytes_t type,
                             fabric_bytes_t id);
void entity_release(router_t *router, entity_t *entity); /* frees it when nothing is left in it */
void entity_append(router_t *router, entity_t *entity, message_t *message);
void entity_remove(router_t *router, message_t *message); /* from the queue; see entity_release */
void entity_dispatch(router_t *router, entity_t *entity);
/* Nothing of the entity is delivered for a while: levels 0, 1, 2, ... are longer and longer ones. */
void entity_back_off(router_t *router, entity_t *entity, unsigned level);
void entity_resume(router_t *router, entity_t *entity); /* waits no more; see entity_dispatch */
void entities_wake(router_t *router);
void runner_dispatch_waiting(router_t *router, runner_t *runner);
/* The shard's entities wait for the runner's credit no more. */
void runner_forget_waiting(runner_t *runner, const shard_t *shard);
/* A message in flight came back without a result: QUEUED again. */
void entity_requeue(router_t *router, message_t *message);
/* The message at the cursor is to wait no more. */
void entity_skip(entity_t *entity);
void message_forget(router_t *router, message_t *message); /* ends a volatile message, freed */
/* Sends the volatile results that wait for no commit any more. */
void entity_flush(router_t *router, entity_t *entity);

/* Refuses the entity's volatile messages that wait. */
void entity_refuse_volatile(router_t *router, entity_t *entity, fabric_error_t error,
                            const char *text);

#endif
