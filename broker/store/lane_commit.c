/* Commits of a store lane: running a batch until its outcome is certain, and doing without the items
 * that the store refuses.
 *
 * A batch that has to be taken apart is a list of units, in an order in which each unit depends on
 * earlier ones only: messages, attempts, replies (each with its dead letter), other dead letters.
 * Any run of units in that order may be a transaction of its own.
 */
#include "broker/store/lane_state.h"

#include <assert.h>
#include <stdlib.h>

#include "core/crash_point.h"

#define NO_INDEX SIZE_MAX

typedef struct unit {
    int item; /* of store_rejection_t: MESSAGE, ATTEMPT, REPLY or DEAD_LETTER */
    size_t index;
    size_t dead_letter; /* REPLY: index of the dead letter of its message, or NO_INDEX */
    uint64_t id;
    bool out;
} unit_t;

/* A batch taken apart, with room to put parts of it together. */
typedef struct parts {
    lane_t *lane;
    const store_batch_t *whole;
    unit_t *units;
    size_t count;
    const store_message_t **messages;
    const store_reply_t **replies;
    store_attempt_t *attempts;
    store_dead_letter_t *dead_letters;
    lane_rejections_t *rejected;
    reason_t reason; /* of the rejection that is being noted */
} parts_t;

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory) {
        abort();
    }
    return memory;
}

/* ---- one transaction ---- */

/* FENCED may hide that the database went back in time, which only an operator can mend. */
static fabric_error_t explain_fence(lane_t *lane)
{
    bool committed = false;
    fabric_error_t error = lane_recover(lane, &committed);
    return error ? error : FABRIC_ERROR_FENCED;
}

/* Runs one batch until it is committed, or answers STORE_REJECTED, FENCED, STORE_LOST or
 * SHUTTING_DOWN. */
static fabric_error_t commit_certainly(lane_t *lane, const store_batch_t *batch,
                                       store_rejection_t *rejection)
{
    uint32_t busy = 0;
    uint32_t wait_ms = 0;
    for (;;) {
        fabric_error_t error = FABRIC_ERROR_STORE_UNAVAILABLE;
        if (lane->store) {
            *rejection = (store_rejection_t){.item = STORE_ITEM_UNKNOWN};
            CRASH_POINT(COMMIT_BEFORE);
            error = lane->store->driver->commit(lane->store, &lane->writer, batch, rejection);
        }
        if (error == FABRIC_ERROR_FENCED) {
            return explain_fence(lane);
        }
        if (!error) {
            CRASH_POINT(COMMIT_AFTER);
        }
        if (error == FABRIC_ERROR_STORE_REJECTED) {
            rejection->reason = lane->store->last_error;
        }
        if (!error || error == FABRIC_ERROR_STORE_REJECTED) {
            lane->writer.batch += error ? 0 : 1;
            lane_serves(lane);
            return error;
        }
        if (lane->world.stopping(lane->world.context)) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        if (error == FABRIC_ERROR_STORE_BUSY && ++busy < LANE_BUSY_TRIES_MAX) {
            lane_pause(lane, busy * 2);
            continue;
        }
        lane_break(lane, error);
        if (wait_ms > 0) {
            lane_pause(lane, wait_ms);
        }
        wait_ms = wait_ms == 0                        ? LANE_BACKOFF_MS
                  : wait_ms * 2 < LANE_BACKOFF_MAX_MS ? wait_ms * 2
                                                      : LANE_BACKOFF_MAX_MS;
        busy = 0;
        bool committed = false;
        error = lane_recover(lane, &committed);
        if (error) {
            return error;
        }
        if (committed) {
            lane->writer.batch++;
            lane_serves(lane);
            return FABRIC_OK;
        }
    }
}

/* ---- taking apart ---- */

static void add_unit(parts_t *parts, int item, size_t index, size_t dead_letter, uint64_t id)
{
    parts->units[parts->count++] =
        (unit_t){.item = item, .index = index, .dead_letter = dead_letter, .id = id};
}

static bool has_reply(const store_batch_t *batch, uint64_t id)
{
    for (size_t i = 0; i < batch->reply_count; i++) {
        if (batch->replies[i]->id.value == id) {
            return true;
        }
    }
    return false;
}

static size_t dead_letter_of(const store_batch_t *batch, uint64_t id)
{
    for (size_t i = 0; i < batch->dead_letter_count; i++) {
        if (batch->dead_letters[i].message->id.value == id) {
            return i;
        }
    }
    return NO_INDEX;
}

static void take_apart(parts_t *parts)
{
    const store_batch_t *batch = parts->whole;
    for (size_t i = 0; i < batch->message_count; i++) {
        add_unit(parts, STORE_ITEM_MESSAGE, i, NO_INDEX, batch->messages[i]->id.value);
    }
    for (size_t i = 0; i < batch->attempt_count; i++) {
        add_unit(parts, STORE_ITEM_ATTEMPT, i, NO_INDEX, batch->attempts[i].id.value);
    }
    for (size_t i = 0; i < batch->reply_count; i++) {
        uint64_t id = batch->replies[i]->id.value;
        add_unit(parts, STORE_ITEM_REPLY, i, dead_letter_of(batch, id), id);
    }
    for (size_t i = 0; i < batch->dead_letter_count; i++) {
        uint64_t id = batch->dead_letters[i].message->id.value;
        if (!has_reply(batch, id)) {
            add_unit(parts, STORE_ITEM_DEAD_LETTER, i, NO_INDEX, id);
        }
    }
}

static void put_dead_letter(const parts_t *parts, store_batch_t *part, size_t index)
{
    parts->dead_letters[part->dead_letter_count++] = parts->whole->dead_letters[index];
}

static void put_unit(const parts_t *parts, store_batch_t *part, const unit_t *unit)
{
    const store_batch_t *whole = parts->whole;
    switch (unit->item) {
    case STORE_ITEM_MESSAGE:
        parts->messages[part->message_count++] = whole->messages[unit->index];
        break;
    case STORE_ITEM_ATTEMPT:
        parts->attempts[part->attempt_count++] = whole->attempts[unit->index];
        break;
    case STORE_ITEM_REPLY:
        parts->replies[part->reply_count++] = whole->replies[unit->index];
        if (unit->dead_letter != NO_INDEX) {
            put_dead_letter(parts, part, unit->dead_letter);
        }
        break;
    case STORE_ITEM_DEAD_LETTER:
        put_dead_letter(parts, part, unit->index);
        break;
    default:
        assert(false);
    }
}

/* The units from..to that are still in, as a batch. Without the mark: it may rest on what is not in
 * this part. */
static size_t put_together(const parts_t *parts, size_t from, size_t to, store_batch_t *part)
{
    *part = (store_batch_t){.high_id = parts->whole->high_id,
                            .messages = parts->messages,
                            .replies = parts->replies,
                            .attempts = parts->attempts,
                            .dead_letters = parts->dead_letters};
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        if (!parts->units[i].out) {
            put_unit(parts, part, &parts->units[i]);
            count++;
        }
    }
    return count;
}

/* ---- rejecting ---- */

static void reject_item(parts_t *parts, int item, size_t index)
{
    lane_rejections_t *rejected = parts->rejected;
    store_rejection_t *entry = &rejected->items[rejected->count++];
    entry->index = index;
    entry->reason = parts->reason;
    entry->item = item == STORE_ITEM_MESSAGE   ? STORE_ITEM_MESSAGE
                  : item == STORE_ITEM_REPLY   ? STORE_ITEM_REPLY
                  : item == STORE_ITEM_ATTEMPT ? STORE_ITEM_ATTEMPT
                                               : STORE_ITEM_DEAD_LETTER;
}

static void reject_one(parts_t *parts, unit_t *unit)
{
    unit->out = true;
    reject_item(parts, unit->item, unit->index);
    if (unit->dead_letter != NO_INDEX) {
        reject_item(parts, STORE_ITEM_DEAD_LETTER, unit->dead_letter);
    }
}

/* A message that is not there can have no attempt, reply or dead letter. */
static void reject(parts_t *parts, unit_t *unit)
{
    reject_one(parts, unit);
    for (size_t i = 0; unit->item == STORE_ITEM_MESSAGE && i < parts->count; i++) {
        unit_t *other = &parts->units[i];
        if (!other->out && other->id == unit->id) {
            reject_one(parts, other);
        }
    }
}

/* Finds which of the units from..to the store meant by the index of an item of their batch. NULL
 * when it meant none of them. */
static unit_t *named_unit(parts_t *parts, size_t from, size_t to,
                          const store_rejection_t *rejection)
{
    size_t seen = 0;
    for (size_t i = from; i < to; i++) {
        unit_t *unit = &parts->units[i];
        bool is_dead_letter =
            rejection->item == STORE_ITEM_DEAD_LETTER &&
            (unit->item == STORE_ITEM_DEAD_LETTER || unit->dead_letter != NO_INDEX);
        if (!unit->out && (unit->item == (int)rejection->item || is_dead_letter) &&
            seen++ == rejection->index) {
            return unit;
        }
    }
    return NULL;
}

/* A dead letter that is refused takes only itself out: its message ends all the same. */
static void reject_named(parts_t *parts, unit_t *unit, const store_rejection_t *rejection)
{
    parts->reason = rejection->reason;
    if (rejection->item == STORE_ITEM_DEAD_LETTER && unit->item == STORE_ITEM_REPLY) {
        reject_item(parts, STORE_ITEM_DEAD_LETTER, unit->dead_letter);
        unit->dead_letter = NO_INDEX;
        return;
    }
    reject(parts, unit);
}

typedef struct span {
    size_t from, to;
} span_t;

/* Commits the units span by span, from the first to the last, halving a span that is refused
 * without a name. At most one span for each halving waits. */
static fabric_error_t commit_parts(parts_t *parts)
{
    span_t waiting[64] = {{0, parts->count}};
    size_t depth = 1;
    while (depth > 0) {
        span_t span = waiting[depth - 1];
        store_batch_t part;
        size_t count = put_together(parts, span.from, span.to, &part);
        store_rejection_t rejection = {.item = STORE_ITEM_UNKNOWN};
        fabric_error_t error = count ? commit_certainly(parts->lane, &part, &rejection) : FABRIC_OK;
        if (!error) {
            depth--;
            continue;
        }
        if (error != FABRIC_ERROR_STORE_REJECTED) {
            return error;
        }
        unit_t *named = named_unit(parts, span.from, span.to, &rejection);
        if (named) {
            reject_named(parts, named, &rejection);
        } else if (span.to - span.from == 1) {
            parts->reason = rejection.reason;
            reject(parts, &parts->units[span.from]);
        } else {
            size_t middle = span.from + (span.to - span.from) / 2;
            waiting[depth - 1] = (span_t){middle, span.to};
            waiting[depth++] = (span_t){span.from, middle};
        }
    }
    return FABRIC_OK;
}

static int compare_rejections(const void *a, const void *b)
{
    const store_rejection_t *left = a;
    const store_rejection_t *right = b;
    if (left->item != right->item) {
        return left->item < right->item ? -1 : 1;
    }
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Takes out what the store named when it refused the whole batch. Indexes are those of the batch here.
 */
static void reject_first(parts_t *parts, const store_rejection_t *first)
{
    for (size_t i = 0; first->item != STORE_ITEM_UNKNOWN && i < parts->count; i++) {
        unit_t *unit = &parts->units[i];
        bool named = first->item == STORE_ITEM_DEAD_LETTER && unit->item == STORE_ITEM_REPLY
                         ? unit->dead_letter == first->index
                         : unit->item == (int)first->item && unit->index == first->index;
        if (named) {
            reject_named(parts, unit, first);
            return;
        }
    }
}

static fabric_error_t commit_without_rejected(lane_t *lane, const store_batch_t *batch,
                                              const store_rejection_t *first,
                                              lane_rejections_t *rejected)
{
    size_t items =
        batch->message_count + batch->reply_count + batch->attempt_count + batch->dead_letter_count;
    rejected->items = allocate(items, sizeof *rejected->items);
    parts_t parts = {.lane = lane,
                     .whole = batch,
                     .units = allocate(items, sizeof *parts.units),
                     .messages = allocate(batch->message_count, sizeof *parts.messages),
                     .replies = allocate(batch->reply_count, sizeof *parts.replies),
                     .attempts = allocate(batch->attempt_count, sizeof *parts.attempts),
                     .dead_letters = allocate(batch->dead_letter_count, sizeof *parts.dead_letters),
                     .rejected = rejected};
    take_apart(&parts);
    reject_first(&parts, first);
    fabric_error_t error = commit_parts(&parts);
    qsort(rejected->items, rejected->count, sizeof *rejected->items, compare_rejections);
    free(parts.units);
    free(parts.messages);
    free(parts.replies);
    free(parts.attempts);
    free(parts.dead_letters);
    return error;
}

fabric_error_t lane_commit(lane_t *lane, const store_batch_t *batch, lane_rejections_t *rejected)
{
    *rejected = (lane_rejections_t){0};
    store_rejection_t rejection = {.item = STORE_ITEM_UNKNOWN};
    fabric_error_t error = commit_certainly(lane, batch, &rejection);
    return error == FABRIC_ERROR_STORE_REJECTED
               ? commit_without_rejected(lane, batch, &rejection, rejected)
               : error;
}

void lane_rejections_clear(lane_rejections_t *rejected)
{
    free(rejected->items);
    *rejected = (lane_rejections_t){0};
}
