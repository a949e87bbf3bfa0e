/* A lane: what it commits now and next, and its messages that have not ended. batch.c owns the
 * structs, but for the look-ups, which lookup.c owns.
 */
#ifndef BROKER_ROUTER_BATCH_STATE_H
#define BROKER_ROUTER_BATCH_STATE_H

#include "broker/router/lookup_state.h"

typedef struct batch_builder {
    const store_message_t **messages;
    size_t message_count, message_capacity;
    const store_reply_t **replies;
    size_t reply_count, reply_capacity;
    store_attempt_t *attempts;
    size_t attempt_count, attempt_capacity;
    store_dead_letter_t *dead_letters;
    size_t dead_letter_count, dead_letter_capacity;
} batch_builder_t;

typedef struct lane {
    bool available;
    reason_t cause; /* why it is not available, for callers; else empty */
    bool running;
    batch_builder_t next;    /* filling up */
    batch_builder_t current; /* being committed */
    store_batch_t batch;
    bool batch_is_mark;         /* it carries nothing but a new low-water mark */
    message_t *oldest, *newest; /* its messages that have an id and have not ended */
    lookup_t lookup_next, lookup_current;
} router_lane_t;

void batch_add_message(router_t *router, message_t *message);
void batch_add_reply(router_t *router, message_t *message);
/* The message's counts are to become durable. */
void batch_add_attempt(router_t *router, message_t *message);
void batch_add_dead_letter(router_t *router, const message_t *message, fabric_error_t cause);
/* A message that is not committed yet, by its call; NULL: there is none. */
message_t *batch_find_call(const router_lane_t *lane, call_key_t call);
/* The lane's batch is committed. It is returned, and stays valid until the next one is taken. */
const store_batch_t *batch_end(router_t *router, uint32_t lane);
/* Whether no lane has anything to commit. */
bool batches_are_idle(const router_t *router);
/* What the shard's database said, where it is the cause of such an error; else empty. */
const char *lane_cause(router_t *router, shard_id_t shard, fabric_error_t error);
/* A message gets its id, and has ended: see message_admit and message_dismiss. */
void unended_add(router_t *router, message_t *message);
void unended_remove(router_t *router, message_t *message);
void batches_destroy(router_t *router);

#endif
