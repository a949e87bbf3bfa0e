/* Sending the outgoing messages of one lane: see sender.h. */
#include "broker/router/sender.h"

#include <assert.h>
#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

typedef struct item {
    store_outgoing_t message; /* views into `bytes` */
    uint64_t pair;            /* a hash of source and target */
    /* The last message before it between the two, while that has not ended. */
    const struct item *before;
    bool in_flight; /* it was sent, and no answer has come */
    bool ended;     /* its end is not durable */
    bool resend;
    uint32_t refusals; /* of class retry, since it was accepted by the sender, or lost */
    uint64_t due_ms;
    fabric_error_t error;
    request_id_t id;
    uint8_t bytes[];
} item_t;

/* The messages to one target lane. */
typedef struct stream {
    item_t **items; /* in the order of their keys */
    size_t count, bytes;
    store_outgoing_key_t last;    /* the largest key that was in memory */
    bool behind;                  /* later ones than these are in the store only */
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
};

sender_t *sender_new(const sender_options_t *options)
{
    assert(options->lanes > 0 && options->window > 0 && options->backoff_ms > 0);
    sender_t *sender = memory_allocate_zeroed(1, sizeof *sender);
    sender->options = *options;
    sender->streams = memory_allocate_zeroed(options->lanes, sizeof *sender->streams);
    for (uint32_t lane = 0; lane < options->lanes; lane++) {
        sender->streams[lane].items =
            memory_allocate_zeroed(options->window, sizeof *sender->streams[lane].items);
        sender->streams[lane].first_own = UINT64_MAX;
    }
    return sender;
}

void sender_destroy(sender_t **sender)
{
    if (!*sender) {
        return;
    }
    for (uint32_t lane = 0; lane < (*sender)->options.lanes; lane++) {
        stream_t *stream = &(*sender)->streams[lane];
        for (size_t i = 0; i < stream->count; i++) {
            free(stream->items[i]);
        }
        free((void *)stream->items);
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

/* ---- messages ---- */

static fabric_bytes_t copy_bytes(uint8_t **at, fabric_bytes_t bytes)
{
    if (bytes.size > 0) {
        memcpy(*at, bytes.data, bytes.size);
    }
    fabric_bytes_t copy = fabric_bytes(*at, bytes.size);
    *at += bytes.size;
    return copy;
}

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
    const store_outgoing_t *m = message;
    size_t size = m->source_type.size + m->source_entity.size + m->source_tag.size + m->type.size +
                  m->entity.size + m->tag.size + m->payload.size + m->primary_key.size +
                  m->traceparent.size + m->headers.size;
    item_t *item = memory_allocate(sizeof *item + size);
    uint8_t *at = item->bytes;
    *item = (item_t){.message = *m, .pair = pair_of(m)};
    item->message.source_type = copy_bytes(&at, m->source_type);
    item->message.source_entity = copy_bytes(&at, m->source_entity);
    item->message.source_tag = copy_bytes(&at, m->source_tag);
    item->message.type = copy_bytes(&at, m->type);
    item->message.entity = copy_bytes(&at, m->entity);
    item->message.tag = copy_bytes(&at, m->tag);
    item->message.payload = copy_bytes(&at, m->payload);
    item->message.primary_key = copy_bytes(&at, m->primary_key);
    item->message.traceparent = copy_bytes(&at, m->traceparent);
    item->message.headers = copy_bytes(&at, m->headers);
    return item;
}

static bool fits(const sender_t *sender, const stream_t *stream, size_t payload)
{
    return stream->count < sender->options.window &&
           (stream->count == 0 || stream->bytes + payload <= sender->options.window_bytes);
}

static const item_t *find_before(const stream_t *stream, uint64_t pair)
{
    for (size_t i = stream->count; i > 0; i--) {
        const item_t *item = stream->items[i - 1];
        if (item->pair == pair && !item->ended) {
            return item;
        }
    }
    return NULL;
}

static void take_in(stream_t *stream, const store_outgoing_t *message, bool resend)
{
    assert(is_before(stream->last, message->key) || stream->last.id == 0);
    item_t *item = copy_message(message);
    item->resend = resend;
    item->before = find_before(stream, item->pair);
    stream->items[stream->count++] = item;
    stream->bytes += message->payload.size;
    stream->last = message->key;
}

bool sender_add(sender_t *sender, const store_outgoing_t *message, bool resend)
{
    stream_t *stream = stream_of(sender, message->target_lane);
    sender->open++;
    if (!stream->behind && fits(sender, stream, message->payload.size)) {
        take_in(stream, message, resend);
        return true;
    }
    stream->waits = stream->waits || !stream->behind; /* it has no row yet */
    stream->behind = true;
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
    stream->behind = stream->behind || count > 0;
}

bool sender_wants_rows(sender_t *sender, uint32_t target_lane, store_outgoing_key_t *after)
{
    stream_t *stream = stream_of(sender, target_lane);
    bool half_empty = stream->count <= sender->options.window / 2 &&
                      (stream->count == 0 || stream->bytes <= sender->options.window_bytes / 2);
    if (!stream->behind || stream->reading || stream->waits || !half_empty) {
        return false;
    }
    stream->reading = true;
    stream->full = false;
    *after = stream->last;
    return true;
}

void sender_row(sender_t *sender, const store_outgoing_t *message)
{
    stream_t *stream = stream_of(sender, message->target_lane);
    if (stream->full || (stream->last.id > 0 && !is_before(stream->last, message->key))) {
        return;
    }
    if (!fits(sender, stream, message->payload.size)) {
        stream->full = true;
        return;
    }
    take_in(stream, message, message->key.id < stream->first_own);
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
}

void sender_checkpointed(sender_t *sender)
{
    for (uint32_t lane = 0; lane < sender->options.lanes; lane++) {
        sender->streams[lane].waits = false;
    }
}

/* ---- sending ---- */

/* Whether its turn has come: what goes before it has ended, or goes with it and is on its way. */
static bool is_ready(const item_t *item)
{
    const item_t *before = item->before;
    return !item->in_flight && !item->ended &&
           (!before || (before->in_flight && before->message.key.id == item->message.key.id));
}

static void make_order(const item_t *item, sender_order_t *order)
{
    const store_outgoing_t *message = &item->message;
    const item_t *before = item->before;
    *order = (sender_order_t){.message = message,
                              .call = {message->source.value, message->key.index + 1u},
                              .floor = message->key.id,
                              .resend = item->resend};
    if (before && before->message.shard.value == message->shard.value) {
        order->predecessor = before->message.key.index + 1u;
    }
}

bool sender_take(sender_t *sender, uint32_t target_lane, uint64_t now_ms, sender_order_t *order)
{
    stream_t *stream = stream_of(sender, target_lane);
    for (size_t i = 0; i < stream->count; i++) {
        item_t *item = stream->items[i];
        if (is_ready(item) && item->due_ms <= now_ms) {
            make_order(item, order);
            item->in_flight = true;
            return true;
        }
    }
    return false;
}

uint64_t sender_due_ms(const sender_t *sender, uint32_t target_lane)
{
    const stream_t *stream = stream_of(sender, target_lane);
    uint64_t due_ms = UINT64_MAX;
    for (size_t i = 0; i < stream->count; i++) {
        const item_t *item = stream->items[i];
        due_ms = is_ready(item) && item->due_ms < due_ms ? item->due_ms : due_ms;
    }
    return due_ms;
}

void sender_lost(sender_t *sender, uint32_t target_lane)
{
    stream_t *stream = stream_of(sender, target_lane);
    for (size_t i = 0; i < stream->count; i++) {
        item_t *item = stream->items[i];
        if (item->in_flight) {
            item->in_flight = false;
            item->resend = true;
        }
        item->due_ms = 0;
        item->refusals = 0;
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

static uint64_t backoff_ms(const sender_t *sender, uint32_t refusals)
{
    uint64_t backoff = sender->options.backoff_ms;
    for (uint32_t i = 1; i < refusals && backoff < sender->options.backoff_max_ms; i++) {
        backoff *= 2;
    }
    return backoff < sender->options.backoff_max_ms ? backoff : sender->options.backoff_max_ms;
}

static void end_item(sender_t *sender, stream_t *stream, item_t *item,
                     const sender_answer_t *answer)
{
    item->in_flight = false;
    item->ended = true;
    item->error = answer->error;
    item->id = answer->id;
    sender->open--;
    sender->ends = memory_reserve((void *)sender->ends, sender->end_count + 1,
                                  &sender->end_capacity, sizeof *sender->ends);
    sender->ends[sender->end_count++] = item;
    for (size_t i = index_of(stream, item->message.key) + 1; i < stream->count; i++) {
        if (stream->items[i]->before == item) {
            stream->items[i]->before = item->before;
        }
    }
}

void sender_answer(sender_t *sender, const sender_answer_t *answer, uint64_t now_ms)
{
    stream_t *stream = stream_of(sender, answer->target_lane);
    item_t *item = find(stream, answer->key);
    if (!item || !item->in_flight) {
        return;
    }
    fabric_error_class_t class = fabric_error_class(answer->error);
    if (class != FABRIC_CLASS_RETRY && class != FABRIC_CLASS_FENCED) {
        end_item(sender, stream, item, answer);
        return;
    }
    item->in_flight = false;
    item->resend = true;
    item->refusals++;
    item->due_ms = now_ms + (answer->retry_after_ms > 0 ? answer->retry_after_ms
                                                        : backoff_ms(sender, item->refusals));
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
    stream->bytes -= item->message.payload.size;
    stream->count--;
    memmove((void *)&stream->items[index], (void *)&stream->items[index + 1],
            (stream->count - index) * sizeof *stream->items);
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
