/* The rows of a lane's outgoing messages: what checkpoints write and delete, and what is read when
 * windows have room again. See outbox_state.h. */
#include <string.h>

#include "broker/outgoing_value.h"
#include "broker/router/outbox_state.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* What one load may bring. */
enum { ROWS_MAX = 1024, BYTES_MAX = 1 << 20 };

/* ---- checkpoints ---- */

void outbox_checkpoint_begins(lane_outbox_t *outbox)
{
    outbox->told_current = outbox->told_count;
    outbox->sent_current = outbox->sent_count;
}

outbox_told_t *outbox_next_told(const lane_outbox_t *outbox)
{
    return outbox->told_taken < outbox->told_current ? outbox->told[outbox->told_taken] : NULL;
}

void outbox_take_told(lane_outbox_t *outbox, uint64_t slice)
{
    outbox->told[outbox->told_taken++]->slice = slice;
}

const store_outgoing_key_t *outbox_next_sent(const lane_outbox_t *outbox)
{
    return outbox->sent_taken < outbox->sent_current ? &outbox->sent[outbox->sent_taken] : NULL;
}

void outbox_take_sent(lane_outbox_t *outbox)
{
    outbox->sent_taken++;
}

bool outbox_is_used_up(const lane_outbox_t *outbox)
{
    return outbox->told_taken == outbox->told_current && outbox->sent_taken == outbox->sent_current;
}

/* Rows have it. */
static void forget_told(lane_outbox_t *outbox, uint64_t slice)
{
    size_t count = 0;
    while (count < outbox->told_taken && outbox->told[count]->slice <= slice) {
        outbox->told_bytes -= outbox->told[count]->size;
        outbox_told_drop(&outbox->told[count++]);
    }
    if (count == 0) {
        return;
    }
    outbox->forgot = true;
    outbox->told_count -= count;
    outbox->told_taken -= count;
    outbox->told_current -= count;
    memmove((void *)outbox->told, (void *)(outbox->told + count),
            outbox->told_count * sizeof(outbox_told_t *));
}

static void forget_sent(lane_outbox_t *outbox)
{
    size_t count = outbox->sent_taken;
    if (count == 0) {
        return;
    }
    outbox->sent_count -= count;
    outbox->sent_taken = 0;
    outbox->sent_current -= count;
    memmove(outbox->sent, outbox->sent + count, outbox->sent_count * sizeof *outbox->sent);
}

/* No load has read these rows before they were deleted. */
static void forget_overruled(lane_outbox_t *outbox)
{
    if (outbox->corrected && !outbox->reading) {
        free(outbox->overruled);
        outbox->overruled = NULL;
        outbox->overruled_count = 0;
    }
}

void outbox_settled(router_t *router, lane_outbox_t *outbox, uint64_t slice, bool last)
{
    if (!outbox->sender) {
        return;
    }
    forget_told(outbox, slice);
    if (last) {
        forget_sent(outbox);
        outbox->corrected = true;
        forget_overruled(outbox);
        sender_checkpointed(outbox->sender);
    }
    outbox_account(router, outbox);
}

/* ---- loads ---- */

bool router_take_outgoing(router_t *router, uint32_t number, router_outgoing_load_t *load)
{
    router_lane_t *lane = &router->lanes[number];
    lane_outbox_t *outbox = &lane->outbox;
    if (!outbox->sender || outbox->reading || lane->state != LANE_HOME) {
        return false;
    }
    for (uint32_t i = 1; i <= router->config.lanes; i++) { /* in turn */
        uint32_t target = (outbox->reading_lane + i) % router->config.lanes;
        store_outgoing_key_t after;
        if (sender_wants_rows(outbox->sender, target, &after)) {
            outbox->reading = true;
            outbox->forgot = false;
            outbox->reading_lane = target;
            outbox->reading_after = after;
            *load = (router_outgoing_load_t){target, after, ROWS_MAX, BYTES_MAX};
            return true;
        }
    }
    return false;
}

static bool is_overruled(const lane_outbox_t *outbox, store_outgoing_key_t key)
{
    size_t low = 0;
    size_t high = outbox->overruled_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (outgoing_key_is_before(outbox->overruled[middle], key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < outbox->overruled_count && !outgoing_key_is_before(key, outbox->overruled[low]);
}

static bool name_is_bad(fabric_bytes_t name)
{
    return name.size == 0 || name.size > LIMIT_NAME_BYTES_MAX;
}

/* Somebody may have edited the row: then nobody is told, and its row stays for people to see. */
static bool row_is_sound(const router_t *router, uint32_t number, uint32_t target_lane,
                         const store_outgoing_t *row)
{
    return row->target_lane == target_lane && lane_number(router, row->shard) == target_lane &&
           lane_number(router, row->source_shard) == number && row->key.id > 0 &&
           row->key.index < STORE_OUTGOING_MAX && !name_is_bad(row->type) &&
           !name_is_bad(row->entity) && !name_is_bad(row->tag) &&
           row->payload.size <= LIMIT_PAYLOAD_BYTES_MAX;
}

static void join_row(router_t *router, uint32_t number, const store_outgoing_t *row)
{
    lane_outbox_t *outbox = &router->lanes[number].outbox;
    bool sound = row_is_sound(router, number, outbox->reading_lane, row);
    router->counters.damaged += !sound;
    if (sound && !is_overruled(outbox, row->key)) {
        (void)sender_row(outbox->sender, row);
    } else {
        sender_skip(outbox->sender, outbox->reading_lane, row->key);
    }
}

/* No home of the lane has told so much yet: what rows say so was edited, and is read no further. */
static bool is_beyond(const router_t *router, const store_outgoing_t *row)
{
    return row->key.id > router_high_id(router);
}

/* Behind the last row there is what has none yet. It goes on from memory, so that a lane whose
 * entities tell all the time does not need a checkpoint for each window. */
static void join_told(lane_outbox_t *outbox)
{
    size_t i = outbox_find(outbox, outbox->reading_after.id);
    bool fits = true;
    for (; i < outbox->told_count && fits; i++) {
        const outbox_told_t *told = outbox->told[i];
        for (uint32_t m = 0; m < told->count && fits; m++) {
            if (!told->ended[m] && told->messages[m].target_lane == outbox->reading_lane) {
                fits = sender_row(outbox->sender, &told->messages[m]);
            }
        }
    }
}

void outbox_rows_loaded(router_t *router, uint32_t number, fabric_error_t error,
                        outgoing_copy_t **messages, size_t count, bool ended)
{
    lane_outbox_t *outbox = &router->lanes[number].outbox;
    bool dropped = outbox->dropped;
    outbox->reading = outbox->dropped = false;
    for (size_t i = 0; i < count; i++) {
        if (!dropped && !error && is_beyond(router, &messages[i]->message)) {
            router->counters.damaged++;
            ended = true;
        } else if (!dropped && !error) {
            join_row(router, number, &messages[i]->message);
        }
        outgoing_copy_destroy(&messages[i]);
    }
    if (dropped) {
        return;
    }
    if (ended && !error && !outbox->forgot) {
        join_told(outbox);
    }
    sender_rows_end(outbox->sender, outbox->reading_lane, ended && !error);
    forget_overruled(outbox);
    outbox_account(router, outbox);
}
