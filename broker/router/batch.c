/* Batches: what each lane appends now and next. What follows from an append is in commit.c. */
#include "broker/router/router_state.h"
#include "core/memory.h"

/* RECORD_BYTES: of a record, beside the bytes of its message and reply; about. LARGE_STATE_BYTES:
 * it costs more to write a state from here on than to look for one in its entry. */
enum { CAPACITY_FIRST = 256, RECORD_BYTES = 80, LARGE_STATE_BYTES = 512 };
/* Of one entry. */
enum { KEPT_MAX = 1024 };

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

static lane_batches_t *batches_of(router_t *router, const message_t *message)
{
    return &lane_of(router, message->stored.shard)->batches;
}

static journal_attempts_t attempts_of(const message_t *message)
{
    return (journal_attempts_t){message->attempts, message->crashes};
}

void batch_add_message(router_t *router, message_t *message)
{
    batch_builder_t *next = &batches_of(router, message)->next;
    next->messages = reserve(next->messages, next->message_count + 1, &next->message_capacity,
                             sizeof *next->messages);
    next->messages[next->message_count++] = &message->stored;
}

void batch_note_early(router_t *router, message_t *message)
{
    message->early = true;
    batches_of(router, message)->next.early_count++;
}

void batch_add_move(router_t *router, message_t *message, uint64_t position)
{
    batch_builder_t *next = &batches_of(router, message)->next;
    next->moves =
        reserve(next->moves, next->move_count + 1, &next->move_capacity, sizeof *next->moves);
    next->moves[next->move_count++] =
        (batch_move_t){.message = &message->stored, .position = position};
}

void batch_add_attempt(router_t *router, message_t *message)
{
    batch_builder_t *next = &batches_of(router, message)->next;
    next->attempts = reserve(next->attempts, next->attempt_count + 1, &next->attempt_capacity,
                             sizeof *next->attempts);
    next->attempts[next->attempt_count++] = (batch_attempt_t){.message = &message->stored,
                                                              .position = message->position,
                                                              .attempts = attempts_of(message)};
}

static void add_end(lane_batches_t *lane, const batch_end_t *end)
{
    batch_builder_t *next = &lane->next;
    lane->ends_added++;
    next->ends = reserve(next->ends, next->end_count + 1, &next->end_capacity, sizeof *next->ends);
    next->ends[next->end_count++] = *end;
}

void batch_add_end(router_t *router, message_t *message)
{
    add_end(batches_of(router, message),
            &(batch_end_t){.message = &message->stored,
                           .position = message->position,
                           .reply = &message->reply,
                           .state = message->left ? &message->left->row : NULL,
                           .events = message->events ? &message->events->events : NULL,
                           .outgoing = message->outgoing ? &message->outgoing->outgoing : NULL});
    batches_of(router, message)->next.tells |= message->outgoing != NULL;
}

void batch_add_dead(lane_batches_t *lane, message_t *message, fabric_error_t cause)
{
    add_end(lane, &(batch_end_t){.message = &message->stored,
                                 .position = message->position,
                                 .reply = &message->reply,
                                 .dead = true,
                                 .attempts = attempts_of(message),
                                 .cause = (uint32_t)cause,
                                 .text = message->reply.payload});
}

void batch_add_clear(router_t *router, const batch_clear_t *clear)
{
    batch_builder_t *next = &lane_of(router, clear->shard)->batches.next;
    next->clears =
        reserve(next->clears, next->clear_count + 1, &next->clear_capacity, sizeof *next->clears);
    next->clears[next->clear_count++] = *clear;
}

/* ---- taking out ---- */

static void remove_moves(batch_builder_t *next, const batch_removal_t *removal,
                         message_chain_t *moved)
{
    size_t kept = 0;
    for (size_t i = 0; i < next->move_count; i++) {
        message_t *message = message_of(next->moves[i].message);
        if (!removal->is_one(removal->context, message)) {
            next->moves[kept++] = next->moves[i];
            continue;
        }
        *(moved->last ? &moved->last->chain : &moved->first) = message;
        moved->last = message;
    }
    next->move_count = kept;
}

static void remove_attempts(batch_builder_t *next, const batch_removal_t *removal)
{
    size_t kept = 0;
    for (size_t i = 0; i < next->attempt_count; i++) {
        message_t *message = message_of(next->attempts[i].message);
        if (removal->is_one(removal->context, message)) {
            removal->end_attempt(message);
        } else {
            next->attempts[kept++] = next->attempts[i];
        }
    }
    next->attempt_count = kept;
}

static size_t remove_ends(batch_builder_t *next, const batch_removal_t *removal)
{
    size_t kept = 0;
    for (size_t i = 0; i < next->end_count; i++) {
        if (!removal->is_one(removal->context, message_of(next->ends[i].message))) {
            next->ends[kept++] = next->ends[i];
        }
    }
    size_t removed = next->end_count - kept;
    next->end_count = kept;
    return removed;
}

/* Nothing is left before the ends that were taken out. */
static void settle_removed(lane_batches_t *lane)
{
    if (lane->next.end_count == 0) {
        lane->ends_settled += lane->ends_removed;
        lane->ends_removed = 0;
    }
}

void batch_remove(lane_batches_t *lane, const batch_removal_t *removal, message_chain_t *moved)
{
    remove_moves(&lane->next, removal, moved);
    remove_attempts(&lane->next, removal);
    lane->ends_removed += remove_ends(&lane->next, removal);
    settle_removed(lane);
}

typedef struct noted_kept {
    store_kept_t kept; /* its names follow the struct */
    uint64_t after;    /* it does not go before the message with this id */
} noted_kept_t;

static const noted_kept_t *noted_kept_of(const store_kept_t *kept)
{
    return (const noted_kept_t *)kept;
}

void batch_add_kept(lane_batches_t *lane, const store_kept_t *kept, request_id_t after)
{
    batch_builder_t *next = &lane->next;
    noted_kept_t *noted = memory_allocate(sizeof *noted + kept->type.size + kept->entity.size);
    uint8_t *names = (uint8_t *)(noted + 1);
    store_kept_t *copy = &noted->kept;
    *noted = (noted_kept_t){*kept, after.value};
    memcpy(names, kept->type.data, kept->type.size);
    memcpy(names + kept->type.size, kept->entity.data, kept->entity.size);
    copy->type.data = names;
    copy->entity.data = names + kept->type.size;
    next->kept =
        reserve((void *)next->kept, next->kept_count + 1, &next->kept_capacity, sizeof *next->kept);
    next->kept[next->kept_count++] = copy;
}

static void free_kept(batch_builder_t *builder)
{
    for (size_t i = 0; i < builder->kept_count; i++) {
        free(builder->kept[i]);
    }
    builder->kept_count = 0;
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

message_t *batch_find_call(const lane_batches_t *lane, call_key_t call)
{
    message_t *message = find_call_in(&lane->next, call);
    bool is_over = !lane->running || lane->orphaned;
    return message || is_over ? message : find_call_in(&lane->current, call);
}

/* ---- taking ---- */

static uint64_t message_bytes(const store_message_t *message)
{
    return RECORD_BYTES + message->type.size + message->entity.size + message->tag.size +
           message->payload.size + message->traceparent.size + message->headers.size;
}

/* How many of the next messages and moves an entry takes. */
typedef struct batch_part {
    size_t messages, moves;
} batch_part_t;

static uint64_t state_bytes(const batch_end_t *end)
{
    return end->state ? RECORD_BYTES + end->state->state.size : 0;
}

static uint64_t end_bytes(const batch_end_t *end)
{
    return RECORD_BYTES + end->reply->payload.size + state_bytes(end) +
           (end->events ? RECORD_BYTES + end->events->list.size : 0) +
           (end->outgoing ? RECORD_BYTES + end->outgoing->list.size : 0) +
           (end->dead ? message_bytes(end->message) + end->text.size : 0);
}

/* Whether a move comes next: messages and moves are taken in the order of their positions. */
static bool is_move_next(const batch_builder_t *next, const batch_part_t *part)
{
    return part->moves < next->move_count &&
           (part->messages == next->message_count ||
            next->moves[part->moves].position < next->messages[part->messages]->id.value);
}

/* What an entry takes that holds *bytes already. Adds theirs. */
static batch_part_t count_messages(const router_config_t *config, const batch_builder_t *next,
                                   uint64_t *bytes)
{
    batch_part_t part = {0, 0};
    while (part.messages + part.moves < next->message_count + next->move_count &&
           part.messages + part.moves < config->batch_items_max &&
           *bytes < config->batch_bytes_max) {
        if (is_move_next(next, &part)) {
            *bytes += message_bytes(next->moves[part.moves++].message);
        } else {
            *bytes += message_bytes(next->messages[part.messages++]);
        }
    }
    return part;
}

/* The entry takes this end. Only the last state of an entity counts, so a large one that it has of
 * the same entity goes. Returns the bytes of that. */
static uint64_t take_state(router_t *router, batch_builder_t *next, size_t index)
{
    const batch_end_t *end = &next->ends[index];
    if (!end->state || end->state->state.size < LARGE_STATE_BYTES) {
        return 0;
    }
    entity_t *entity = message_of(end->message)->entity;
    uint64_t bytes = 0;
    if (entity->state_take == router->takes) {
        bytes = state_bytes(&next->ends[entity->state_end]);
        next->ends[entity->state_end].state = NULL;
    }
    entity->state_take = router->takes;
    entity->state_end = (uint32_t)index;
    return bytes;
}

/* Whether what follows from the message is to wait: it is not stored yet, and not among those with
 * ids below `taken`, which this entry takes. */
static bool comes_too_soon(const batch_builder_t *next, const store_message_t *message,
                           uint64_t taken)
{
    return next->early_count > 0 && message_of(message)->early && message->id.value >= taken;
}

/* The same for ends, after the first `count` of them. */
static size_t count_ends(router_t *router, batch_builder_t *next, size_t count, uint64_t bytes_max,
                         uint64_t taken, uint64_t *bytes)
{
    while (count < next->end_count && count < router->config.batch_items_max &&
           *bytes < bytes_max && !comes_too_soon(next, next->ends[count].message, taken)) {
        *bytes += end_bytes(&next->ends[count]);
        *bytes -= take_state(router, next, count);
        count++;
    }
    return count;
}

/* The entry takes the messages with ids below this one. */
static uint64_t taken_below(const batch_builder_t *next, const batch_part_t *part)
{
    return part->messages < next->message_count ? next->messages[part->messages]->id.value
                                                : UINT64_MAX;
}

/* How many of the first messages were delivered early. */
static size_t count_early(const batch_builder_t *next, size_t messages)
{
    size_t count = 0;
    for (size_t i = 0; next->early_count > 0 && i < messages; i++) {
        count += message_of(next->messages[i])->early;
    }
    return count;
}

/* How many clears an entry takes: those below all messages and moves that are left. */
static size_t count_clears(const batch_builder_t *next, const batch_part_t *part)
{
    uint64_t left = taken_below(next, part);
    size_t count = 0;
    while (count < next->clear_count && next->clears[count].id.value < left) {
        count++;
    }
    return count;
}

/* Moves the first elements of `from` to the empty `to`, so that the rest keeps its order. */
static void move_front(void *to, void *from, size_t count, size_t left, size_t size)
{
    if (count > 0) {
        memcpy(to, from, count * size);
        memmove(from, (char *)from + count * size, left * size);
    }
}

static void take_messages(batch_builder_t *current, batch_builder_t *next, size_t count)
{
    current->early_count = count_early(next, count);
    next->early_count -= current->early_count;
    current->messages =
        reserve(current->messages, count, &current->message_capacity, sizeof *current->messages);
    current->message_count = count;
    next->message_count -= count;
    move_front(current->messages, next->messages, count, next->message_count,
               sizeof *next->messages);
}

static void take_moves(batch_builder_t *current, batch_builder_t *next, size_t count)
{
    current->moves =
        reserve(current->moves, count, &current->move_capacity, sizeof *current->moves);
    current->move_count = count;
    next->move_count -= count;
    move_front(current->moves, next->moves, count, next->move_count, sizeof *next->moves);
}

static void take_ends(batch_builder_t *current, batch_builder_t *next, size_t count)
{
    current->ends = reserve(current->ends, count, &current->end_capacity, sizeof *current->ends);
    current->end_count = count;
    next->end_count -= count;
    move_front(current->ends, next->ends, count, next->end_count, sizeof *next->ends);
}

static void take_clears(batch_builder_t *current, batch_builder_t *next, size_t count)
{
    current->clears =
        reserve(current->clears, count, &current->clear_capacity, sizeof *current->clears);
    current->clear_count = count;
    next->clear_count -= count;
    move_front(current->clears, next->clears, count, next->clear_count, sizeof *next->clears);
}

/* What keeps entities alive, as far as it may go with the messages below `taken`. */
static void take_kept(batch_builder_t *current, batch_builder_t *next, uint64_t taken)
{
    size_t left = 0;
    current->kept_count = 0;
    current->kept = reserve((void *)current->kept, next->kept_count, &current->kept_capacity,
                            sizeof *current->kept);
    for (size_t i = 0; i < next->kept_count; i++) {
        store_kept_t *kept = next->kept[i];
        if (current->kept_count < KEPT_MAX && noted_kept_of(kept)->after < taken) {
            current->kept[current->kept_count++] = kept;
        } else {
            next->kept[left++] = kept;
        }
    }
    next->kept_count = left;
}

/* Attempts are few: all of them go at once, but for those whose messages do not. */
static void take_attempts(batch_builder_t *current, batch_builder_t *next, uint64_t taken)
{
    size_t left = 0;
    current->attempt_count = 0;
    current->attempts = reserve(current->attempts, next->attempt_count, &current->attempt_capacity,
                                sizeof *current->attempts);
    for (size_t i = 0; i < next->attempt_count; i++) {
        const batch_attempt_t *attempt = &next->attempts[i];
        if (comes_too_soon(next, attempt->message, taken)) {
            next->attempts[left++] = *attempt;
        } else {
            current->attempts[current->attempt_count++] = *attempt;
        }
    }
    next->attempt_count = left;
}

static void take_all(batch_builder_t *current, batch_builder_t *next)
{
    batch_builder_t all = *next;
    *next = *current;
    *current = all;
    next->message_count = next->early_count = next->move_count = next->attempt_count = 0;
    next->end_count = next->clear_count = next->kept_count = next->sent_count = 0;
}

/* Moves what one entry may hold from `next` to `current`, which is not in use. Ends get half of the
 * bytes, messages the rest, and ends what is left then: so none of them keeps the others
 * waiting. What keeps an entity alive is durable before the result of the handler that has said so:
 * while there is more of it than one entry takes, no end is taken.
 *
 * What follows from a message that was delivered early goes with it or later. */
static void take(router_t *router, batch_builder_t *current, batch_builder_t *next)
{
    const router_config_t *config = &router->config;
    uint64_t bytes = 0;
    router->takes++;
    free_kept(current);
    batch_free_sents(current);
    bool wait = next->kept_count > KEPT_MAX;
    size_t sents = batch_count_sents(config, next, &bytes);
    uint64_t half = (config->batch_bytes_max + 1) / 2;
    size_t ends = wait ? 0 : count_ends(router, next, 0, half, 0, &bytes);
    batch_part_t part = count_messages(config, next, &bytes);
    uint64_t taken = taken_below(next, &part);
    ends = wait ? 0 : count_ends(router, next, ends, config->batch_bytes_max, taken, &bytes);
    if (part.messages == next->message_count && part.moves == next->move_count &&
        ends == next->end_count && sents == next->sent_count && !wait) {
        take_all(current, next);
        return;
    }
    take_clears(current, next, count_clears(next, &part));
    take_attempts(current, next, taken);
    take_ends(current, next, ends);
    take_kept(current, next, taken);
    batch_take_sents(current, next, sents);
    take_messages(current, next, part.messages);
    take_moves(current, next, part.moves);
}

/* The outgoing ids of an entry are larger than the last ids of those before it, and increase in the
 * order of its ends. They are made like request ids, and no request gets one. */
static void number_outgoing(router_t *router, batch_builder_t *current, batch_builder_t *next)
{
    for (size_t i = 0; i < current->end_count; i++) {
        if (current->ends[i].outgoing) {
            message_of(current->ends[i].message)->outgoing->outgoing.id =
                request_id_make(router, (request_id_t){0}).value;
        }
    }
    current->tells = false;
    next->tells = next->end_count > 0;
}

size_t router_waiting(const router_t *router, uint32_t number)
{
    const router_lane_t *lane = &router->lanes[number];
    const batch_builder_t *next = &lane->batches.next;
    size_t count = next->message_count + next->move_count + next->attempt_count + next->end_count +
                   next->clear_count + next->kept_count;
    count += batch_sents_due(router, next);
    return lane_is_given_up(lane) ? 0 : count;
}

const lane_batch_t *router_take_batch(router_t *router, uint32_t number, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router_lane_t *lane = &router->lanes[number];
    lane_batches_t *batches = &lane->batches;
    if (batches->running || router_waiting(router, number) == 0) {
        return NULL;
    }
    batch_builder_t *current = &batches->current;
    bool tells = batches->next.tells;
    take(router, current, &batches->next);
    if (tells) {
        number_outgoing(router, current, &batches->next);
    }
    batches->batch = (lane_batch_t){.epoch = lane->epoch,
                                    .last_id = router->generator.last,
                                    .messages = current->messages,
                                    .message_count = current->message_count,
                                    .moves = current->moves,
                                    .move_count = current->move_count,
                                    .attempts = current->attempts,
                                    .attempt_count = current->attempt_count,
                                    .ends = current->ends,
                                    .end_count = current->end_count,
                                    .clears = current->clears,
                                    .clear_count = current->clear_count,
                                    .sents = current->sents,
                                    .sent_count = current->sent_count,
                                    .kept = current->kept,
                                    .kept_count = current->kept_count};
    batches->running = true;
    return &batches->batch;
}

/* ---- answers ---- */

void batches_note_id(router_t *router, uint64_t last_id)
{
    if (last_id > router->high_id_stored) {
        router->high_id_stored = last_id;
    }
}

const lane_batch_t *batch_end(router_t *router, uint32_t number)
{
    lane_batches_t *lane = &router->lanes[number].batches;
    lane->running = false;
    if (lane->orphaned) {
        lane->orphaned = false;
        message_chain_destroy(&lane->orphans);
        return NULL;
    }
    router->counters.entries++;
    lane->ends_settled += lane->batch.end_count;
    settle_removed(lane);
    batches_note_id(router, lane->batch.last_id);
    return &lane->batch;
}

message_t *batch_take_early(lane_batches_t *lane, size_t *place)
{
    batch_builder_t *current = &lane->current;
    if (current->early_count == 0) {
        return NULL;
    }
    while (*place < current->message_count) {
        size_t at = (*place)++;
        message_t *message = message_of(current->messages[at]);
        if (message->early) {
            current->messages[at] = NULL;
            message->early = false;
            return message;
        }
    }
    return NULL;
}

bool batches_are_idle(const router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        if (lane->batches.running ||
            router_waiting(router, i) + lane->batches.next.sent_count > 0) {
            return false;
        }
    }
    return true;
}

/* ---- the lane comes and goes ---- */

/* A message may stand in a batch with an attempt and with its end. */
static void orphan(lane_batches_t *lane, const store_message_t *stored)
{
    message_t *message = message_of(stored);
    if (!message->orphaned) {
        message->orphaned = true;
        message->chain = lane->orphans;
        lane->orphans = message;
    }
}

void batches_orphan(lane_batches_t *lane)
{
    if (!lane->running || lane->orphaned) {
        return;
    }
    lane->orphaned = true;
    for (size_t i = 0; i < lane->current.message_count; i++) {
        orphan(lane, lane->current.messages[i]);
    }
    for (size_t i = 0; i < lane->current.move_count; i++) {
        orphan(lane, lane->current.moves[i].message);
    }
    for (size_t i = 0; i < lane->current.attempt_count; i++) {
        orphan(lane, lane->current.attempts[i].message);
    }
    for (size_t i = 0; i < lane->current.end_count; i++) {
        orphan(lane, lane->current.ends[i].message);
    }
}

/* They stand in queues. */
static void remove_early(batch_builder_t *next)
{
    size_t kept = 0;
    for (size_t i = 0; next->early_count > 0 && i < next->message_count; i++) {
        if (!message_of(next->messages[i])->early) {
            next->messages[kept++] = next->messages[i];
        }
    }
    next->message_count = next->early_count > 0 ? kept : next->message_count;
    next->early_count = 0;
}

void batches_abandon(lane_batches_t *lane)
{
    batch_builder_t empty = lane->abandoned;
    remove_early(&lane->next);
    free_kept(&lane->next);
    batch_free_sents(&lane->next);
    lane->abandoned = lane->next;
    lane->next = empty;
    lane->next.message_count = lane->next.early_count = lane->next.move_count = 0;
    lane->next.attempt_count = lane->next.end_count = lane->next.clear_count = 0;
    lane->ends_removed = 0;
    lane->abandoned_taken = 0;
    lane->ends_settled = lane->ends_added;
}

message_t *batches_take_abandoned(lane_batches_t *lane)
{
    const batch_builder_t *builder = &lane->abandoned;
    size_t taken = lane->abandoned_taken;
    if (taken >= builder->message_count + builder->move_count) {
        return NULL;
    }
    lane->abandoned_taken++;
    return message_of(taken < builder->message_count
                          ? builder->messages[taken]
                          : builder->moves[taken - builder->message_count].message);
}

void router_lane_available(router_t *router, uint32_t number, bool available, const char *cause)
{
    lane_batches_t *lane = &router->lanes[number].batches;
    lane->available = available;
    lane->cause.text[0] = '\0';
    if (!available && cause) {
        (void)reason_set(&lane->cause, FABRIC_OK, "the database is unavailable: %s", cause);
    }
}

const char *lane_cause(router_t *router, shard_id_t shard, fabric_error_t error)
{
    return error == FABRIC_ERROR_PERSISTENCE ? lane_of(router, shard)->batches.cause.text : "";
}

static void builder_destroy(batch_builder_t *builder)
{
    free(builder->messages);
    free(builder->moves);
    free(builder->attempts);
    free(builder->ends);
    free(builder->clears);
    free_kept(builder);
    free((void *)builder->kept);
    batch_free_sents(builder);
    free(builder->sents);
}

void batches_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        lane_batches_t *lane = &router->lanes[i].batches;
        builder_destroy(&lane->next);
        builder_destroy(&lane->current);
        builder_destroy(&lane->abandoned);
        message_chain_destroy(&lane->orphans);
    }
}
