/* Batches: what each lane commits now and next. What follows from a commit is in commit.c. */
#include "broker/router/router_state.h"
#include "core/memory.h"

/* HIGH_ID_AHEAD_MS: the next home makes ids above the highest stored one. So the ids of this home
 * must not run farther ahead of the stored one, even if only volatile messages get ids. */
enum { MARK_MS = 1000, HIGH_ID_AHEAD_MS = 30000, CAPACITY_FIRST = 256 };

/* ---- filling ---- */

/* The array with a capacity of at least `needed` elements. */
static void *reserve(void *array, size_t needed, size_t *capacity, size_t size)
{
    if (needed <= *capacity) {
        return array;
    }
    *capacity = *capacity ? *capacity : CAPACITY_FIRST;
    while (*capacity < needed) {
        *capacity *= 2;
    }
    return memory_resize(array, *capacity, size);
}

void batch_add_message(router_t *router, message_t *message)
{
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->messages = reserve(next->messages, next->message_count + 1, &next->message_capacity,
                             sizeof *next->messages);
    next->messages[next->message_count++] = &message->stored;
}

void batch_add_reply(router_t *router, message_t *message)
{
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->replies =
        reserve(next->replies, next->reply_count + 1, &next->reply_capacity, sizeof *next->replies);
    next->replies[next->reply_count++] = &message->reply;
}

void batch_add_attempt(router_t *router, message_t *message)
{
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->attempts = reserve(next->attempts, next->attempt_count + 1, &next->attempt_capacity,
                             sizeof *next->attempts);
    next->attempts[next->attempt_count++] =
        (store_attempt_t){.id = message->stored.id, .tally = {message->attempts, message->crashes}};
}

void batch_add_dead_letter(router_t *router, const message_t *message, fabric_error_t cause)
{
    batch_builder_t *next = &lane_of(router, message->stored.shard)->next;
    next->dead_letters = reserve(next->dead_letters, next->dead_letter_count + 1,
                                 &next->dead_letter_capacity, sizeof *next->dead_letters);
    next->dead_letters[next->dead_letter_count++] =
        (store_dead_letter_t){.message = &message->stored,
                              .error = (uint32_t)cause,
                              .attempts = message->attempts + message->crashes,
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

message_t *batch_find_call(const router_lane_t *lane, call_key_t call)
{
    message_t *message = find_call_in(&lane->next, call);
    return message || !lane->running ? message : find_call_in(&lane->current, call);
}

/* ---- messages that have not ended, oldest first; the low-water mark is where they begin ---- */

void unended_add(router_t *router, message_t *message)
{
    router_lane_t *lane = lane_of(router, message->stored.shard);
    message_t *after = lane->newest;
    while (after && after->stored.id.value > message->stored.id.value) {
        after = after->older; /* a message that is loaded late looks for its place */
    }
    message->older = after;
    message->newer = after ? after->newer : lane->oldest;
    *(message->newer ? &message->newer->older : &lane->newest) = message;
    *(after ? &after->newer : &lane->oldest) = message;
}

void unended_remove(router_t *router, message_t *message)
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

/* Each dead letter goes with the reply of its message. */
static void take_dead_letters(batch_builder_t *current, batch_builder_t *next)
{
    size_t count = 0;
    while (count < next->dead_letter_count &&
           has_reply_of(current, next->dead_letters[count].message)) {
        count++;
    }
    current->dead_letters = reserve(current->dead_letters, count, &current->dead_letter_capacity,
                                    sizeof *current->dead_letters);
    next->dead_letter_count -= count;
    move_front(current->dead_letters, next->dead_letters, count, next->dead_letter_count,
               sizeof *next->dead_letters);
    current->dead_letter_count = count;
}

/* The messages of attempts are committed already, so that all attempts go with the first part. */
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

/* Moves what one batch may hold from `next` to `current`, which is not in use. */
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
    current->messages =
        reserve(current->messages, messages, &current->message_capacity, sizeof *current->messages);
    current->replies =
        reserve(current->replies, replies, &current->reply_capacity, sizeof *current->replies);
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

const store_batch_t *batch_end(router_t *router, uint32_t number)
{
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
    return batch;
}

/* Dead letters are committed with replies, and need not be asked for. */
bool batches_are_idle(const router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        if (lane->running || lane->next.message_count || lane->next.reply_count ||
            lane->next.attempt_count) {
            return false;
        }
    }
    return true;
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

const char *lane_cause(router_t *router, shard_id_t shard, fabric_error_t error)
{
    return error == FABRIC_ERROR_PERSISTENCE ? lane_of(router, shard)->cause.text : "";
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
