/* What a lane appends to its journal now and next. batch.c owns the structs. */
#ifndef BROKER_ROUTER_BATCH_STATE_H
#define BROKER_ROUTER_BATCH_STATE_H

#include "broker/router/router.h"
#include "core/reason.h"

/* The contents of one entry. Their messages stay in memory until the entry is durable. */
typedef struct batch_builder {
    const store_message_t **messages;
    size_t message_count, message_capacity;
    size_t early_count; /* messages that are in queues already: see early.h */
    batch_move_t *moves;
    size_t move_count, move_capacity;
    batch_attempt_t *attempts;
    size_t attempt_count, attempt_capacity;
    batch_end_t *ends;
    size_t end_count, end_capacity;
    bool tells; /* some of the ends may have outgoing messages */
    batch_clear_t *clears;
    size_t clear_count, clear_capacity;
    store_kept_t **kept; /* copies, owned */
    size_t kept_count, kept_capacity;
    batch_sent_t *sents; /* their dead letters are owned */
    size_t sent_count, sent_capacity;
    uint64_t sents_due_ms; /* when an entry is made for them alone */
} batch_builder_t;

typedef struct lane_batches {
    bool available;            /* the lane's database serves */
    reason_t cause;            /* why it does not, for callers; else empty */
    batch_builder_t next;      /* filling up */
    batch_builder_t current;   /* being appended, if there is a batch under way */
    lane_batch_t batch;        /* the same, as router_take_batch returns it */
    bool running;              /* the batch is not answered yet */
    bool orphaned;             /* the lane was dropped meanwhile: nothing follows from the batch */
    message_t *orphans;        /* the batch's messages then, chained; calls may wait for them */
    batch_builder_t abandoned; /* what was filling up then */
    size_t abandoned_taken;    /* its first messages, then moves, by batches_take_abandoned */
    /* Ends of messages so far: those that were added, and those of them that are durable or went
     * with the lane. */
    uint64_t ends_added, ends_settled;
    /* Ends that were taken out of `next`: they are settled when what was added before them is. */
    uint64_t ends_removed;
} lane_batches_t;

/* ---- filling ---- */

void batch_add_message(router_t *router, message_t *message);
/* The message, which was added last, is in its entity's queue from now on. */
void batch_note_early(router_t *router, message_t *message);
/* The time of the scheduled message has come: this is to be its position. */
void batch_add_move(router_t *router, message_t *message, uint64_t position);
/* The message's counts are to become durable. */
void batch_add_attempt(router_t *router, message_t *message);
/* The message has its final reply. */
void batch_add_end(router_t *router, message_t *message);
/* The message becomes a dead letter of this lane, with this cause. */
void batch_add_dead(lane_batches_t *lane, message_t *message, fabric_error_t cause);
/* The entity is to be cleared up to this id. The names stay until the batch with it is answered. */
void batch_add_clear(router_t *router, const batch_clear_t *clear);
/* Which messages are taken out of what is to be appended next. */
typedef struct batch_removal {
    const void *context;
    bool (*is_one)(const void *context, const message_t *message);
    void (*end_attempt)(message_t *message); /* for each attempt */
} batch_removal_t;
/* Takes their ends, moves and attempts out. The messages of moves are appended to *moved, chained.
 * There is no batch under way. */
void batch_remove(lane_batches_t *lane, const batch_removal_t *removal, message_chain_t *moved);
/* What keeps an entity alive, from now on; it is not appended before the message with this id, if
 * that was delivered early. */
void batch_add_kept(lane_batches_t *lane, const store_kept_t *kept, request_id_t after);
/* An outgoing message has come to its end. That is not urgent: it goes with whatever else is
 * appended, or some time later. Its dead letter, if there is one, is taken over. */
void batch_add_sent(const router_t *router, lane_batches_t *lane, const batch_sent_t *sent);
/* A message that is not durable yet, by its call; NULL: there is none. */
message_t *batch_find_call(const lane_batches_t *lane, call_key_t call);

/* ---- batch_sents.c: the same, for batch.c ---- */

/* How many of them are worth an entry of their own. */
size_t batch_sents_due(const router_t *router, const batch_builder_t *next);
/* How many an entry takes that holds *bytes already. Adds theirs. */
size_t batch_count_sents(const router_config_t *config, const batch_builder_t *next,
                         uint64_t *bytes);
void batch_take_sents(batch_builder_t *current, batch_builder_t *next, size_t count);
void batch_free_sents(batch_builder_t *builder);

/* ---- the lane's journal ---- */

/* An entry says that ids up to this one were made: whoever adopts its lane makes larger ids. */
void batches_note_id(router_t *router, uint64_t last_id);
/* The lane is to be dropped: the messages of a batch under way are marked as orphaned, and stay
 * until the batch is answered. */
void batches_orphan(lane_batches_t *lane);
/* The lane is to be dropped: what was filling up is not appended. */
void batches_abandon(lane_batches_t *lane);
/* The next message that, or whose new position, was to become durable; NULL: there is none. What
 * was delivered early is dropped with its entity's queue. */
message_t *batches_take_abandoned(lane_batches_t *lane);
/* The lane's batch is answered. It is returned, and stays valid until the next one is taken; NULL:
 * nothing follows from it, and its messages are freed. */
const lane_batch_t *batch_end(router_t *router, uint32_t lane);
/* Takes the next message from *place on that was delivered early out of the batch, which is
 * answered; it is stored. NULL: there is none. */
message_t *batch_take_early(lane_batches_t *lane, size_t *place);
/* Whether no lane has anything to append. */
bool batches_are_idle(const router_t *router);
/* What the shard's database said, where it is the cause of such an error; else empty. */
const char *lane_cause(router_t *router, shard_id_t shard, fabric_error_t error);
void batches_destroy(router_t *router);

#endif
