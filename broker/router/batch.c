/* What the lanes commit, and what follows from a commit: nothing leaves the broker before it is durable (I10). */
#include "broker/router/admission.h"
#include "broker/router/router_state.h"
#include "broker/router/suspects.h"
#include "broker/router/unserved.h"

/* HIGH_ID_AHEAD_MS: the ids of the next home begin above the highest that is stored. So this must not fall farther behind, also where
 * only volatile messages get ids. */
enum { MARK_MS = 1000, HIGH_ID_AHEAD_MS = 30000 };

router_lane_t *lane_of(router_t *router, shard_id_t shard)
{
    return &router->lanes[shard_id_number(shard) % router->config.lanes];
}

/* ---- filling ---- */

/* Makes room for one more element in an array. */
static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity ? 2 * *capacity : 256;
    array = realloc(array, *capacity * size);
    if (!array) {
        abort();
    }
    return array;
}

void batch_add_message(router_t *router, message_t *message)
{
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->messages =
        grow(next->messages, next->message_count, &next->message_capacity, sizeof *next->messages);
    next->messages[next->message_count++] = &message->stored;
}

void batch_add_reply(router_t *router, message_t *message)
{
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->replies =
        grow(next->replies, next->reply_count, &next->reply_capacity, sizeof *next->replies);
    next->replies[next->reply_count++] = &message->reply;
}

void batch_add_attempt(router_t *router, message_t *message)
{
    message->unrecorded++;
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->attempts =
        grow(next->attempts, next->attempt_count, &next->attempt_capacity, sizeof *next->attempts);
    next->attempts[next->attempt_count++] = (store_attempt_t){message->stored.id, message->tally};
}

void batch_add_dead_letter(router_t *router, const message_t *message, fabric_error_t cause)
{
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->dead_letters = grow(next->dead_letters, next->dead_letter_count,
                              &next->dead_letter_capacity, sizeof *next->dead_letters);
    next->dead_letters[next->dead_letter_count++] =
        (store_dead_letter_t){.message = &message->stored,
                              .error = (uint32_t)cause,
                              .attempts = message->tally.attempts,
                              .text = message->reply.payload};
}

static message_t *find_call_in(const batch_builder_t *builder, call_key_t call)
{
    for (size_t i = 0; i < builder->message_count; i++) {
        const call_key_t *at = &builder->messages[i]->call;
        if (at->sequence == call.sequence && at->client == call.client) {
            return message_of(builder->messages[i]);
        }
    }
    return NULL;
}

message_t *batch_find_call(router_lane_t *lane, call_key_t call)
{
    message_t *message = find_call_in(&lane->next, call);
    return message || !lane->running ? message : find_call_in(&lane->current, call);
}

/* ---- messages that have not ended, oldest first: the low-water mark is where they begin ---- */

void unended_add(router_t *router, message_t *message)
{
    router_lane_t *lane = lane_of(router, message->stored.shard);
    message_t *after = lane->newest;
    while (after && after->stored.id.value > message->stored.id.value) {
        after = after->older; /* only what is loaded late has to look for its place */
    }
    message->older = after;
    message->newer = after ? after->newer : lane->oldest;
    *(message->newer ? &message->newer->older : &lane->newest) = message;
    *(after ? &after->newer : &lane->oldest) = message;
}

static void unended_remove(router_t *router, message_t *message)
{
    router_lane_t *lane = lane_of(router, message->stored.shard);
    *(message->newer ? &message->newer->older : &lane->newest) = message->older;
    *(message->older ? &message->older->newer : &lane->oldest) = message->newer;
    message->older = message->newer = NULL;
}

/* Every message with a smaller id has ended. */
static uint64_t low_water_mark(const router_t *router)
{
    uint64_t mark = router->generator.last + 1;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const message_t *oldest = router->lanes[i].oldest;
        if (oldest && oldest->stored.id.value < mark) {
            mark = oldest->stored.id.value;
        }
    }
    return mark;
}

/* ---- taking ---- */

/* Moves the first elements of `from` to the empty `to`, so that the rest keeps its order. */
static void move_front(void *to, void *from, size_t count, size_t left, size_t size)
{
    if (count > 0) {
        memcpy(to, from, count * size);
        memmove(from, (char *)from + count * size, left * size);
    }
}

static size_t count_messages(const router_config_t *config, const batch_builder_t *next)
{
    uint64_t bytes = 0;
    size_t count = 0;
    while (count < next->message_count && count < config->batch_items_max &&
           bytes < config->batch_bytes_max) {
        bytes += next->messages[count++]->payload.size;
    }
    return count;
}

static size_t count_replies(const router_config_t *config, const batch_builder_t *next)
{
    uint64_t bytes = 0;
    size_t count = 0;
    while (count < next->reply_count && count < config->batch_items_max &&
           bytes < config->batch_bytes_max) {
        bytes += next->replies[count++]->payload.size;
    }
    return count;
}

static bool has_reply_of(const batch_builder_t *builder, const store_message_t *message)
{
    const store_reply_t *reply = &message_of(message)->reply;
    for (size_t i = 0; i < builder->reply_count; i++) {
        if (builder->replies[i] == reply) {
            return true;
        }
    }
    return false;
}

static void take_dead_letters(batch_builder_t *current, batch_builder_t *next)
{
    size_t count = 0;
    while (count < next->dead_letter_count &&
           has_reply_of(current, next->dead_letters[count].message)) {
        count++;
    }
    while (current->dead_letter_capacity < count) {
        current->dead_letters = grow(current->dead_letters, current->dead_letter_capacity,
                                     &current->dead_letter_capacity, sizeof *current->dead_letters);
    }
    next->dead_letter_count -= count;
    move_front(current->dead_letters, next->dead_letters, count, next->dead_letter_count,
               sizeof *next->dead_letters);
    current->dead_letter_count = count;
}

/* Their messages are committed already, so all go with the first part; dead letters go with their replies. */
static void take_attempts(batch_builder_t *current, batch_builder_t *next)
{
    store_attempt_t *attempts = current->attempts;
    size_t capacity = current->attempt_capacity;
    current->attempts = next->attempts;
    current->attempt_capacity = next->attempt_capacity;
    current->attempt_count = next->attempt_count;
    next->attempts = attempts;
    next->attempt_capacity = capacity;
    next->attempt_count = 0;
}

static void take(const router_config_t *config, batch_builder_t *current, batch_builder_t *next)
{
    size_t messages = count_messages(config, next);
    size_t replies = count_replies(config, next);
    if (messages == next->message_count && replies == next->reply_count) {
        batch_builder_t all = *next;
        *next = *current;
        *current = all;
        next->message_count = next->reply_count = 0;
        next->attempt_count = next->dead_letter_count = 0;
        return;
    }
    size_t needed = messages > replies ? messages : replies;
    while (current->message_capacity < needed || current->reply_capacity < needed) {
        current->messages = grow(current->messages, current->message_capacity,
                                 &current->message_capacity, sizeof *current->messages);
        current->replies = grow(current->replies, current->reply_capacity, &current->reply_capacity,
                                sizeof *current->replies);
    }
    next->message_count -= messages;
    next->reply_count -= replies;
    move_front(current->messages, next->messages, messages, next->message_count,
               sizeof *next->messages);
    move_front(current->replies, next->replies, replies, next->reply_count, sizeof *next->replies);
    current->message_count = messages;
    current->reply_count = replies;
    take_attempts(current, next);
    take_dead_letters(current, next);
}

static bool high_id_is_due(const router_t *router)
{
    return snowflake_timestamp_ms((request_id_t){router->generator.last}) -
               snowflake_timestamp_ms((request_id_t){router->high_id_stored}) >
           HIGH_ID_AHEAD_MS;
}

const store_batch_t *router_take_batch(router_t *router, uint32_t number, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router_lane_t *lane = &router->lanes[number];
    if (lane->running) {
        return NULL;
    }
    uint64_t mark = 0;
    bool high_id_due = false;
    if (number == 0 && now_ms - router->mark_ms >= MARK_MS && !router->loading) {
        router->mark_ms = now_ms;
        mark = low_water_mark(router);
        mark = mark > router->mark ? mark : 0;
        high_id_due = high_id_is_due(router);
    }
    const batch_builder_t *next = &lane->next;
    bool empty =
        next->message_count + next->reply_count + next->attempt_count + next->dead_letter_count ==
        0;
    bool mark_due = mark > 0 && router->counters.batches != router->idle_batches;
    if (empty && !mark_due && !high_id_due) {
        return NULL;
    }
    take(&router->config, &lane->current, &lane->next);
    const batch_builder_t *current = &lane->current;
    lane->batch = (store_batch_t){.high_id = router->generator.last,
                                  .mark = mark,
                                  .messages = current->messages,
                                  .message_count = current->message_count,
                                  .replies = current->replies,
                                  .reply_count = current->reply_count,
                                  .attempts = current->attempts,
                                  .attempt_count = current->attempt_count,
                                  .dead_letters = current->dead_letters,
                                  .dead_letter_count = current->dead_letter_count};
    lane->batch_is_mark = empty;
    lane->running = true;
    return &lane->batch;
}

/* ---- what follows from a commit ---- */

static void message_committed(router_t *router, message_t *message)
{
    call_left_lane(router, message);
    router->counters.accepted++;
    if (message->stored.flags & REQUEST_WANT_ACCEPTED) {
        call_send_accepted(router, message);
    }
    if (message->entity->unserved || shard_is_deserted(message->entity->shard)) {
        message_tell_wait(router, message);
    }
    entity_append(router, message->entity, message);
    entity_dispatch(router, message->entity);
}

/* Takes a message out of everything but its client's memory, which gets `error` where it was not accepted. */
static void message_end(router_t *router, message_t *message, fabric_error_t error)
{
    entity_t *entity = message->entity;
    unended_remove(router, message);
    message_remove(router, message);
    router->counters.pending--;
    if (entity) {
        entity->pending--;
    }
    message->entity = NULL;
    message_set_state(message, MESSAGE_ENDED);
    call_t *call = NULL;
    if (message->called) {
        client_t *client = client_find(router, message->stored.call.client);
        call = call_find(client, message->stored.call.sequence);
        call->state = error ? CALL_REFUSED : CALL_ENDED;
        call->error = error;
        if (!error) {
            client_keep(router, client, message);
        }
    }
    if (!call || error) {
        if (call) {
            call->message = NULL;
        }
        message_destroy(&message);
    }
}

/* What was refused, and what the database said. */
static reason_t refusal_by_store(const char *what, const store_rejection_t *rejection)
{
    reason_t text;
    const char *words = rejection->reason.text;
    (void)reason_set(&text, FABRIC_OK, "the database refused the %s%s%s", what,
                     words[0] ? ": " : "", words);
    return text;
}

static void message_refused_by_store(router_t *router, message_t *message,
                                     const store_rejection_t *rejection)
{
    entity_t *entity = message->entity;
    call_left_lane(router, message);
    message_reject(router, message, FABRIC_ERROR_STORE_REJECTED, 0,
                   refusal_by_store("message", rejection).text);
    message_end(router, message, FABRIC_ERROR_STORE_REJECTED);
    entity_release(router, entity);
}

/* Not even its defect can be stored: it stays pending in the store, and the mark below it. */
static void message_strand(router_t *router, message_t *message, const store_rejection_t *rejection)
{
    message_reject(router, message, FABRIC_ERROR_OUTCOME_UNKNOWN, 0,
                   refusal_by_store("reply", rejection).text);
    entity_t *entity = message->entity;
    if (entity) { /* not one of a damaged row */
        entity_remove(router, message);
        entity_flush(router, entity);
    }
}

/* A result that cannot be stored becomes a stored defect. */
static void reply_refused_by_store(router_t *router, message_t *message,
                                   const store_rejection_t *rejection)
{
    if (message->reply.error == FABRIC_ERROR_STORE_REJECTED) {
        message_strand(router, message, rejection);
        return;
    }
    reason_t text = refusal_by_store("reply", rejection);
    store_reply_t reply = message->reply;
    reply.status = STATUS_DEFECT;
    reply.error = FABRIC_ERROR_STORE_REJECTED;
    reply.code = 0;
    reply.payload = fabric_bytes_of(text.text);
    message_add_reply(router, message, &reply);
    batch_add_reply(router, message);
}

static void reply_committed(router_t *router, message_t *message)
{
    router->counters.ended++;
    entity_t *entity = message->entity;
    if (!(message->stored.flags & REQUEST_TELL)) {
        call_send_reply(router, message);
    }
    if (!entity) { /* a damaged row */
        message_end(router, message, FABRIC_OK);
        return;
    }
    entity_remove(router, message);
    message_end(router, message, FABRIC_OK);
    entity_flush(router, entity);
    entity_dispatch(router, entity);
    entity_release(router, entity);
}

static void volatile_end(router_t *router, message_t *message)
{
    router->counters.volatile_handled++;
    message->entity->volatile_results--;
    if (!(message->stored.flags & REQUEST_TELL) || message->stored.flags & REQUEST_WANT_HANDLED) {
        call_send_reply(router, message);
    }
    message_forget(router, message);
}

void entity_flush(router_t *router, entity_t *entity)
{
    message_t *next = entity->queue;
    while (next && entity->volatile_results > 0) {
        message_t *message = next;
        next = message->next;
        if (message->state != MESSAGE_RESULT) {
            continue;
        }
        if (message->stored.flags & REQUEST_DURABLE) {
            return; /* not committed, or it would not be here */
        }
        volatile_end(router, message);
    }
}

/* NULL: it was not rejected. Linear, as rejected items are rare. */
static const store_rejection_t *rejection_of(const store_rejection_t *rejected, size_t count,
                                             int item, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        if ((int)rejected[i].item == item && rejected[i].index == index) {
            return &rejected[i];
        }
    }
    return NULL;
}

void router_batch_done(router_t *router, uint32_t number, const store_rejection_t *rejected,
                       size_t rejected_count, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router_lane_t *lane = &router->lanes[number];
    const store_batch_t *batch = &lane->batch;
    lane->running = false;
    router->counters.batches++;
    if (lane->batch_is_mark) {
        router->idle_batches = router->counters.batches;
    }
    if (batch->mark > 0) {
        router->mark = batch->mark;
    }
    if (batch->high_id > router->high_id_stored) {
        router->high_id_stored = batch->high_id;
    }
    for (size_t i = 0; i < batch->attempt_count; i++) {
        tally_committed(router, batch->attempts[i].id); /* or refused: it goes on without */
    }
    for (size_t i = 0; i < batch->message_count; i++) {
        message_t *message = message_of(batch->messages[i]);
        const store_rejection_t *rejection =
            rejection_of(rejected, rejected_count, STORE_ITEM_MESSAGE, i);
        if (rejection) {
            message_refused_by_store(router, message, rejection);
        } else {
            message_committed(router, message);
        }
    }
    for (size_t i = 0; i < batch->reply_count; i++) {
        message_t *message = message_of_reply(batch->replies[i]);
        const store_rejection_t *rejection =
            rejection_of(rejected, rejected_count, STORE_ITEM_REPLY, i);
        if (rejection) {
            reply_refused_by_store(router, message, rejection);
        } else {
            reply_committed(router, message);
        }
    }
}

void router_lane_available(router_t *router, uint32_t number, bool available, const char *cause)
{
    router_lane_t *lane = &router->lanes[number];
    lane->available = available;
    lane->cause.text[0] = '\0';
    if (!available && cause) {
        (void)reason_set(&lane->cause, FABRIC_OK, "the database is unavailable: %s", cause);
    }
}

static void builder_destroy(batch_builder_t *builder)
{
    free(builder->messages);
    free(builder->replies);
    free(builder->attempts);
    free(builder->dead_letters);
}

void batches_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        builder_destroy(&router->lanes[i].next);
        builder_destroy(&router->lanes[i].current);
    }
}
