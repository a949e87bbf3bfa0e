/* Sending the outgoing messages of one lane: see sender.h. */
#include "broker/router/sender.h"

#include <assert.h>
#include <string.h>

#include <utlist.h>

#include "broker/outgoing_value.h"
#include "core/hash.h"
#include "core/memory.h"
#include "core/timers.h"

typedef struct item {
    store_outgoing_t message; /* views into `bytes` */
    call_key_t call;
    UT_hash_handle by_call;
    uint64_t pair; /* a hash of source and target */
    /* Those before and behind it between the two, as far as they have not ended. */
    struct item *before, *after;
    UT_hash_handle by_pair;          /* while none is behind it */
    struct item *ready_prev, *ready; /* the list of those whose turn may have come */
    bool is_listed;
    bool in_flight; /* it was sent, and no answer has come */
    bool ended;     /* its end is not durable */
    bool resend;
    uint32_t refusals; /* of class retry, since it was accepted by the sender, or lost */
    /* In flight: when it is sent again without an answer. Else: when it may be, after a refusal. */
    timer_entry_t timer;
    fabric_error_t error;
    request_id_t id;
    size_t size;
    uint8_t bytes[];
} item_t;

/* The messages to one target lane. */
typedef struct stream {
    item_t **items; /* in the order of their keys; NULL: there has been none */
    size_t count, bytes;
    item_t *calls; /* by call */
    item_t *tails; /* the last one of each pair */
    item_t *ready;
    timers_t refused_timers, answer_timers;
    store_outgoing_key_t last;    /* the largest key that was in memory, or skipped */
    bool behind;                  /* later ones than these are in the store only */
    uint64_t behind_count;        /* so many, about */
    bool reading, full;           /* `full`: the read had a row for which there was no room */
    bool waits;                   /* for a checkpoint: what was refused has no row yet */
    store_outgoing_key_t refused; /* the largest one */
    uint64_t first_own; /* id of the first refused one that nobody has sent; UINT64_MAX: none */
} stream_t;

struct sender {
    sender_options_t options;
    stream_t *streams; /* by lane */
    item_t **ends;     /* of messages that have ended, in that order; those taken are dropped */
    size_t end_count, end_capacity, ends_taken;
    uint64_t open;
    size_t bytes;
};

sender_t *sender_new(const sender_options_t *options)
{
    assert(options->lanes > 0 && options->window > 0 && options->backoff_ms > 0);
    sender_t *sender = memory_allocate_zeroed(1, sizeof *sender);
    sender->options = *options;
    sender->streams = memory_allocate_zeroed(options->lanes, sizeof *sender->streams);
    sender->bytes = sizeof *sender + options->lanes * sizeof *sender->streams;
    for (uint32_t lane = 0; lane < options->lanes; lane++) {
        sender->streams[lane].first_own = UINT64_MAX;
    }
    return sender;
}

static void stream_clear(stream_t *stream)
{
    HASH_CLEAR(by_call, stream->calls);
    HASH_CLEAR(by_pair, stream->tails);
    for (size_t i = 0; i < stream->count; i++) {
        free(stream->items[i]);
    }
    free((void *)stream->items);
    timers_destroy(&stream->refused_timers);
    timers_destroy(&stream->answer_timers);
}

void sender_destroy(sender_t **sender)
{
    if (!*sender) {
        return;
    }
    for (uint32_t lane = 0; lane < (*sender)->options.lanes; lane++) {
        stream_clear(&(*sender)->streams[lane]);
    }
    free((*sender)->streams);
    free((void *)(*sender)->ends);
    free(*sender);
    *sender = NULL;
}

static stream_t *stream_of(const sender_t *sender, uint32_t target_lane)
{
    assert(target_lane < sender->options.lanes);
    return &sender->streams[target_lane];
}

static bool is_before(store_outgoing_key_t a, store_outgoing_key_t b)
{
    return a.id < b.id || (a.id == b.id && a.index < b.index);
}

/* ---- the turns of messages ---- */

/* Whether its turn has come: what goes before it has ended, or goes with it and is on its way. Once
 * that was refused, it goes alone, until it is accepted. */
static bool is_ready(const item_t *item)
{
    const item_t *before = item->before;
    return !item->in_flight && !item->ended && item->timer.position == 0 &&
           (!before || (before->in_flight && before->refusals == 0 &&
                        before->message.key.id == item->message.key.id));
}

/* Whoever is not ready when it is looked at comes back when what it waits for has happened. */
static void make_ready(stream_t *stream, item_t *item)
{
    if (item && !item->is_listed && is_ready(item)) {
        item->is_listed = true;
        DL_APPEND2(stream->ready, item, ready_prev, ready);
    }
}

/* It is next. */
static void make_ready_first(stream_t *stream, item_t *item)
{
    if (item && !item->is_listed && is_ready(item)) {
        item->is_listed = true;
        DL_PREPEND2(stream->ready, item, ready_prev, ready);
    }
}

static void unlist(stream_t *stream, item_t *item)
{
    if (item->is_listed) {
        item->is_listed = false;
        DL_DELETE2(stream->ready, item, ready_prev, ready);
    }
}

static void set_in_flight(const sender_t *sender, stream_t *stream, item_t *item, uint64_t now_ms)
{
    item->in_flight = true;
    if (sender->options.answer_ms > 0) {
        timers_set(&stream->answer_timers, &item->timer, now_ms + sender->options.answer_ms);
    }
    make_ready_first(stream, item->after);
}

/* Neither in flight nor waiting for a time. */
static void set_idle(stream_t *stream, item_t *item)
{
    timers_cancel(item->in_flight ? &stream->answer_timers : &stream->refused_timers, &item->timer);
    item->in_flight = false;
}

/* The same, and if it was in flight, nobody knows what has become of it. */
static void set_lost(stream_t *stream, item_t *item)
{
    item->resend = item->resend || item->in_flight;
    set_idle(stream, item);
}

/* ---- messages ---- */

static uint64_t hash(fabric_bytes_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed + bytes.size);
}

static uint64_t pair_of(const store_outgoing_t *message)
{
    return hash(message->entity,
                hash(message->type, hash(message->source_entity, hash(message->source_type, 0))));
}

static item_t *copy_message(const store_outgoing_t *message)
{
    size_t size = sizeof(item_t) + outgoing_bytes(message);
    item_t *item = memory_allocate(size);
    memset(item, 0, sizeof *item);
    item->message = outgoing_put(message, item->bytes);
    item->call = (call_key_t){message->source.value, message->key.index + 1u};
    item->pair = pair_of(message);
    item->size = size;
    return item;
}

static bool fits(const sender_t *sender, const stream_t *stream, size_t bytes)
{
    return stream->count < sender->options.window &&
           (stream->count == 0 || stream->bytes + bytes <= sender->options.window_bytes);
}

/* It comes behind the last one of its pair. */
static void join_pair(stream_t *stream, item_t *item)
{
    HASH_FIND(by_pair, stream->tails, &item->pair, sizeof item->pair, item->before);
    if (item->before) {
        HASH_DELETE(by_pair, stream->tails, item->before);
        item->before->after = item;
    }
    HASH_ADD(by_pair, stream->tails, pair, sizeof item->pair, item);
}

static void leave_pair(stream_t *stream, item_t *item)
{
    if (item->after) {
        item->after->before = item->before;
    } else {
        HASH_DELETE(by_pair, stream->tails, item);
    }
    if (item->before) {
        item->before->after = item->after;
        if (!item->after) {
            HASH_ADD(by_pair, stream->tails, pair, sizeof item->pair, item->before);
        }
    }
    item_t *after = item->after;
    item->before = item->after = NULL;
    make_ready(stream, after);
}

static void take_in(sender_t *sender, stream_t *stream, const store_outgoing_t *message,
                    bool resend)
{
    assert(is_before(stream->last, message->key) || stream->last.id == 0);
    if (!stream->items) {
        stream->items = memory_allocate(sender->options.window * sizeof(item_t *));
        sender->bytes += sender->options.window * sizeof(item_t *);
    }
    item_t *item = copy_message(message);
    item->resend = resend;
    stream->items[stream->count++] = item;
    HASH_ADD(by_call, stream->calls, call, sizeof item->call, item);
    join_pair(stream, item);
    stream->bytes += outgoing_bytes(message);
    stream->last = message->key;
    sender->bytes += item->size;
    make_ready(stream, item);
}

bool sender_add(sender_t *sender, const store_outgoing_t *message, bool resend)
{
    stream_t *stream = stream_of(sender, message->target_lane);
    sender->open++;
    bool in_order = stream->last.id == 0 || is_before(stream->last, message->key);
    if (!stream->behind && in_order && fits(sender, stream, outgoing_bytes(message))) {
        take_in(sender, stream, message, resend);
        return true;
    }
    stream->waits = stream->waits || !stream->behind; /* it has no row yet */
    stream->behind = true;
    stream->behind_count++;
    stream->refused = message->key;
    if (!resend && message->key.id < stream->first_own) {
        stream->first_own = message->key.id;
    }
    return false;
}

/* ---- rows ---- */

void sender_has_rows(sender_t *sender, uint32_t target_lane, uint64_t count)
{
    stream_t *stream = stream_of(sender, target_lane);
    assert(stream->count == 0);
    sender->open += count;
    stream->behind_count += count;
    stream->behind = stream->behind || count > 0;
}

bool sender_wants_rows(sender_t *sender, uint32_t target_lane, store_outgoing_key_t *after)
{
    stream_t *stream = stream_of(sender, target_lane);
    bool is_full = stream->full && stream->count > 0; /* nothing was forgotten since */
    bool half_empty = stream->count <= sender->options.window / 2 &&
                      (stream->count == 0 || stream->bytes <= sender->options.window_bytes / 2);
    if (!stream->behind || stream->reading || stream->waits || is_full || !half_empty) {
        return false;
    }
    stream->reading = true;
    stream->full = false;
    *after = stream->last;
    return true;
}

static bool has_call(const sender_t *sender, const store_outgoing_t *message)
{
    call_key_t call = {message->source.value, message->key.index + 1u};
    store_outgoing_key_t key;
    uint32_t target_lane;
    return sender_find(sender, call, &key, &target_lane);
}

bool sender_row(sender_t *sender, const store_outgoing_t *message)
{
    stream_t *stream = stream_of(sender, message->target_lane);
    if (stream->full || (stream->last.id > 0 && !is_before(stream->last, message->key))) {
        return !stream->full;
    }
    if (has_call(sender, message)) {
        sender_skip(sender, message->target_lane, message->key);
        return true;
    }
    if (!fits(sender, stream, outgoing_bytes(message))) {
        stream->full = true;
        return false;
    }
    if (stream->behind_count > 0) {
        stream->behind_count--;
    } else {
        sender->open++; /* there were more than was known */
    }
    take_in(sender, stream, message, message->key.id < stream->first_own);
    return true;
}

void sender_skip(sender_t *sender, uint32_t target_lane, store_outgoing_key_t key)
{
    stream_t *stream = stream_of(sender, target_lane);
    if (stream->full || !is_before(stream->last, key)) {
        return;
    }
    if (stream->behind_count > 0) {
        stream->behind_count--;
        sender->open--;
    }
    stream->last = key;
}

void sender_rows_end(sender_t *sender, uint32_t target_lane, bool ended)
{
    stream_t *stream = stream_of(sender, target_lane);
    stream->reading = false;
    if (!ended || stream->full) {
        return;
    }
    if (is_before(stream->last, stream->refused)) {
        stream->waits = true;
        return;
    }
    stream->behind = false;
    stream->first_own = UINT64_MAX;
    sender->open -= stream->behind_count; /* rows that did not stand */
    stream->behind_count = 0;
}

void sender_checkpointed(sender_t *sender)
{
    for (uint32_t lane = 0; lane < sender->options.lanes; lane++) {
        sender->streams[lane].waits = false;
    }
}

/* ---- sending ---- */

static void make_order(const item_t *item, sender_order_t *order)
{
    const store_outgoing_t *message = &item->message;
    const item_t *before = item->before;
    *order = (sender_order_t){
        .message = message, .call = item->call, .floor = message->key.id, .resend = item->resend};
    if (before && before->message.shard.value == message->shard.value) {
        order->predecessor = before->message.key.index + 1u;
    }
}

/* Those whose time has come, after a refusal, or since no answer has come. */
static void take_due(stream_t *stream, uint64_t now_ms)
{
    timer_entry_t *timer;
    while ((timer = timers_take_due(&stream->answer_timers, now_ms))) {
        item_t *item = TIMER_OWNER(timer, item_t, timer);
        set_lost(stream, item);
        make_ready(stream, item);
    }
    while ((timer = timers_take_due(&stream->refused_timers, now_ms))) {
        make_ready(stream, TIMER_OWNER(timer, item_t, timer));
    }
}

bool sender_take(sender_t *sender, uint32_t target_lane, uint64_t now_ms, sender_order_t *order)
{
    stream_t *stream = stream_of(sender, target_lane);
    take_due(stream, now_ms);
    item_t *item;
    while ((item = stream->ready)) {
        unlist(stream, item);
        if (is_ready(item)) {
            make_order(item, order);
            set_in_flight(sender, stream, item, now_ms);
            return true;
        }
    }
    return false;
}

uint64_t sender_due_ms(const sender_t *sender, uint32_t target_lane)
{
    const stream_t *stream = stream_of(sender, target_lane);
    if (stream->ready) {
        return 0;
    }
    uint64_t refused_ms = timers_next_deadline_ms(&stream->refused_timers);
    uint64_t answer_ms = timers_next_deadline_ms(&stream->answer_timers);
    return refused_ms < answer_ms ? refused_ms : answer_ms;
}

void sender_lost(sender_t *sender, uint32_t target_lane)
{
    stream_t *stream = stream_of(sender, target_lane);
    for (size_t i = 0; i < stream->count; i++) {
        item_t *item = stream->items[i];
        if (!item->ended) {
            set_lost(stream, item);
            item->refusals = 0;
        }
    }
    for (size_t i = 0; i < stream->count; i++) {
        unlist(stream, stream->items[i]);
        make_ready(stream, stream->items[i]);
    }
}

/* ---- answers ---- */

/* The index of the first one that is not before the key. */
static size_t index_of(const stream_t *stream, store_outgoing_key_t key)
{
    size_t low = 0;
    size_t high = stream->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (is_before(stream->items[middle]->message.key, key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static item_t *find(const stream_t *stream, store_outgoing_key_t key)
{
    size_t index = index_of(stream, key);
    bool found = index < stream->count && !is_before(key, stream->items[index]->message.key);
    return found ? stream->items[index] : NULL;
}

bool sender_find(const sender_t *sender, call_key_t call, store_outgoing_key_t *key,
                 uint32_t *target_lane)
{
    for (uint32_t lane = 0; lane < sender->options.lanes; lane++) {
        const stream_t *stream = &sender->streams[lane];
        const item_t *item = NULL;
        if (stream->calls) {
            HASH_FIND(by_call, stream->calls, &call, sizeof call, item);
        }
        if (item) {
            *key = item->message.key;
            *target_lane = lane;
            return true;
        }
    }
    return false;
}

static uint64_t backoff_ms(const sender_t *sender, uint32_t refusals)
{
    uint64_t backoff = sender->options.backoff_ms;
    for (uint32_t i = 1; i < refusals && backoff < sender->options.backoff_max_ms; i++) {
        backoff *= 2;
    }
    return backoff < sender->options.backoff_max_ms ? backoff : sender->options.backoff_max_ms;
}

/* The longer one of what the home wants and what the refusals so far make of it. */
static uint64_t wait_of(const sender_t *sender, const item_t *item, const sender_answer_t *answer)
{
    uint64_t wait_ms = backoff_ms(sender, item->refusals);
    wait_ms = answer->retry_after_ms > wait_ms ? answer->retry_after_ms : wait_ms;
    return wait_ms < sender->options.backoff_max_ms ? wait_ms : sender->options.backoff_max_ms;
}

static void end_item(sender_t *sender, stream_t *stream, item_t *item,
                     const sender_answer_t *answer)
{
    set_idle(stream, item);
    item->ended = true;
    item->error = answer->error;
    item->id = answer->id;
    sender->open--;
    sender->ends = memory_reserve((void *)sender->ends, sender->end_count + 1,
                                  &sender->end_capacity, sizeof(item_t *));
    sender->ends[sender->end_count++] = item;
    leave_pair(stream, item);
}

void sender_answer(sender_t *sender, const sender_answer_t *answer, uint64_t now_ms)
{
    stream_t *stream = stream_of(sender, answer->target_lane);
    item_t *item = find(stream, answer->key);
    bool accepted = answer->error == FABRIC_OK;
    if (!item || item->ended || (!item->in_flight && !accepted)) {
        return;
    }
    fabric_error_class_t class = fabric_error_class(answer->error);
    if (class != FABRIC_CLASS_RETRY && class != FABRIC_CLASS_FENCED) {
        end_item(sender, stream, item, answer);
        return;
    }
    item->resend = item->resend || class == FABRIC_CLASS_FENCED; /* a refused one is not stored */
    set_idle(stream, item);
    if (item->before && answer->error == FABRIC_ERROR_PREDECESSOR_MISSING) {
        if (item->before->in_flight) {
            uint64_t wait_ms = sender->options.backoff_ms;
            timers_set(&stream->refused_timers, &item->timer, now_ms + wait_ms);
        }
        return; /* it was its predecessor's refusal, and goes when that has gone */
    }
    item->refusals++;
    timers_set(&stream->refused_timers, &item->timer, now_ms + wait_of(sender, item, answer));
}

/* ---- ends ---- */

bool sender_take_end(sender_t *sender, sender_end_t *end)
{
    if (sender->ends_taken == sender->end_count) {
        sender->ends_taken = sender->end_count = 0;
        return false;
    }
    const item_t *item = sender->ends[sender->ends_taken++];
    *end = (sender_end_t){&item->message, item->error, item->id};
    return true;
}

void sender_end_durable(sender_t *sender, uint32_t target_lane, store_outgoing_key_t key)
{
    stream_t *stream = stream_of(sender, target_lane);
    size_t index = index_of(stream, key);
    item_t *item = find(stream, key);
    assert(item && item->ended);
    stream->bytes -= outgoing_bytes(&item->message);
    stream->full = stream->full && stream->reading; /* there may be room for the row now */
    sender->bytes -= item->size;
    stream->count--;
    memmove((void *)&stream->items[index], (void *)&stream->items[index + 1],
            (stream->count - index) * sizeof *stream->items);
    unlist(stream, item);
    HASH_DELETE(by_call, stream->calls, item);
    free(item);
}

/* ---- what there is ---- */

uint64_t sender_open(const sender_t *sender)
{
    return sender->open;
}

uint64_t sender_oldest(const sender_t *sender)
{
    uint64_t oldest = 0;
    for (uint32_t lane = 0; lane < sender->options.lanes; lane++) {
        const stream_t *stream = &sender->streams[lane];
        uint64_t first = stream->count > 0 ? stream->items[0]->message.key.id : 0;
        oldest = first > 0 && (oldest == 0 || first < oldest) ? first : oldest;
    }
    return oldest;
}

bool sender_is_full(const sender_t *sender, uint32_t target_lane)
{
    return stream_of(sender, target_lane)->behind;
}

size_t sender_bytes(const sender_t *sender)
{
    return sender->bytes;
}
