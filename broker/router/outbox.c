/* What handlers of a lane's messages have told: how it comes into memory, and leaves it. See
 * outbox_state.h. */
#include "broker/router/outbox_state.h"

#include <string.h>

#include "broker/outgoing_value.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* Of the window of each target lane; the waits after refusals; how long an answer may take. */
enum { WINDOW_BYTES = 1 << 20, BACKOFF_MS = 50, BACKOFF_MAX_MS = 2000, ANSWER_MS = 10000 };

/* ---- memory ---- */

static void open_sender(router_t *router, lane_outbox_t *outbox)
{
    if (outbox->sender) {
        return;
    }
    sender_options_t options = {.lanes = router->config.lanes,
                                .window = router->config.outgoing_window,
                                .window_bytes = WINDOW_BYTES,
                                .backoff_ms = BACKOFF_MS,
                                .backoff_max_ms = BACKOFF_MAX_MS,
                                .answer_ms = ANSWER_MS};
    outbox->sender = sender_new(&options);
    outbox->homes = memory_allocate_zeroed(router->config.lanes, sizeof *outbox->homes);
    router->outboxes++;
}

void outbox_account(router_t *router, lane_outbox_t *outbox)
{
    size_t bytes = outbox->told_bytes + (outbox->sender ? sender_bytes(outbox->sender) : 0);
    uint64_t open = outbox->sender ? sender_open(outbox->sender) : 0;
    router->outgoing_bytes += bytes - outbox->bytes;
    router->counters.outgoing += open - outbox->open;
    outbox->bytes = bytes;
    outbox->open = open;
}

/* ---- what was told ---- */

/* Room for so many messages and bytes. */
static outbox_told_t *told_new(uint64_t id, uint32_t count, size_t bytes)
{
    size_t messages = sizeof(outbox_told_t) + count * sizeof(store_outgoing_t);
    size_t size = messages + count * sizeof(bool) + bytes;
    outbox_told_t *told = memory_allocate(size);
    memset(told, 0, sizeof *told);
    told->shares = 1;
    told->id = id;
    told->size = size;
    told->messages = (store_outgoing_t *)(told + 1);
    told->ended = (bool *)told + messages;
    memset(told->ended, 0, count * sizeof(bool));
    return told;
}

/* Where the bytes of its messages begin. */
static uint8_t *bytes_of(outbox_told_t *told, uint32_t count)
{
    return (uint8_t *)(told->ended + count);
}

static void add_message(outbox_told_t *told, const store_outgoing_t *message, uint8_t **bytes)
{
    told->messages[told->count++] = outgoing_put(message, *bytes);
    *bytes += outgoing_bytes(message);
    told->open++;
}

static void add_told(router_t *router, lane_outbox_t *outbox, outbox_told_t *told, bool resend)
{
    outbox->told = memory_reserve((void *)outbox->told, outbox->told_count + 1,
                                  &outbox->told_capacity, sizeof(outbox_told_t *));
    outbox->told[outbox->told_count++] = told;
    outbox->told_bytes += told->size;
    for (uint32_t i = 0; i < told->count; i++) {
        (void)sender_add(outbox->sender, &told->messages[i], resend);
    }
    outbox_account(router, outbox);
}

/* The source's part is the same in all of them. */
static store_outgoing_t told_by(const message_t *source, const journal_outgoing_t *told,
                                uint64_t entry)
{
    const store_message_t *stored = &source->stored;
    return (store_outgoing_t){.number = entry,
                              .source = stored->id,
                              .source_shard = stored->shard,
                              .source_type = stored->type,
                              .source_entity = stored->entity,
                              .source_tag = stored->tag,
                              .traceparent = told->traceparent};
}

static size_t bytes_of_all(const journal_outgoing_t *outgoing, store_outgoing_t message)
{
    size_t bytes = 0;
    journal_outgoing_reader_t reader = journal_outgoing_open(outgoing);
    while (journal_outgoing_next(&reader, &message)) {
        bytes += outgoing_bytes(&message);
    }
    return bytes;
}

static void take_row(outbox_told_t *told, const message_t *source)
{
    told->has_row = source->has_row;
    if (source->has_row && message_is_scheduled(source)) {
        told->due = message_due_key(source);
    } else if (source->has_row) {
        told->row = message_row_key(source);
    }
}

void outbox_committed(router_t *router, const message_t *source, const journal_outgoing_t *outgoing,
                      uint64_t entry)
{
    lane_outbox_t *outbox = &lane_of(router, source->stored.shard)->outbox;
    open_sender(router, outbox);
    store_outgoing_t message = told_by(source, outgoing, entry);
    outbox_told_t *told = told_new(outgoing->id, outgoing->count, bytes_of_all(outgoing, message));
    uint8_t *bytes = bytes_of(told, outgoing->count);
    journal_outgoing_reader_t reader = journal_outgoing_open(outgoing);
    while (journal_outgoing_next(&reader, &message)) {
        message.target_lane = lane_number(router, message.shard);
        add_message(told, &message, &bytes);
    }
    take_row(told, source);
    add_told(router, outbox, told, false);
    router->outboxes_wait = true;
}

void outbox_told_drop(outbox_told_t **told)
{
    if (--(*told)->shares == 0) {
        free(*told);
    }
    *told = NULL;
}

/* ---- ends ---- */

size_t outbox_find(const lane_outbox_t *outbox, uint64_t id)
{
    size_t low = 0;
    size_t high = outbox->told_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (outbox->told[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static outbox_told_t *find_told(const lane_outbox_t *outbox, uint64_t id, size_t *index)
{
    size_t at = outbox_find(outbox, id);
    *index = at;
    return at < outbox->told_count && outbox->told[at]->id == id ? outbox->told[at] : NULL;
}

static uint32_t find_index(const outbox_told_t *told, uint32_t index)
{
    uint32_t at = index < told->count ? index : told->count;
    while (at > 0 && (at == told->count || told->messages[at].key.index > index)) {
        at--; /* some of what was adopted had ended before */
    }
    return at;
}

void outbox_note_sent(lane_outbox_t *outbox, store_outgoing_key_t key)
{
    size_t place = 0;
    outbox_told_t *told = find_told(outbox, key.id, &place);
    if (told) {
        uint32_t at = find_index(told, key.index);
        if (told->messages[at].key.index == key.index && !told->ended[at]) {
            told->ended[at] = true;
            told->open--;
        }
        if (place >= outbox->told_taken && !told->is_adopted) {
            return; /* it gets no row */
        }
    }
    outbox->sent = memory_reserve(outbox->sent, outbox->sent_count + 1, &outbox->sent_capacity,
                                  sizeof *outbox->sent);
    outbox->sent[outbox->sent_count++] = key;
}

void outbox_ended(router_t *router, uint32_t number, const batch_sent_t *sent)
{
    router_lane_t *lane = &router->lanes[number];
    store_outgoing_key_t key = {sent->outgoing_id, sent->end.index};
    outbox_note_sent(&lane->outbox, key);
    sender_end_durable(lane->outbox.sender, sent->target_lane, key);
    outbox_account(router, &lane->outbox);
    if (sent->dead) {
        router->counters.dead_letters++;
        router->counters.outgoing_dead++;
        checkpoint_note_dead(router, &lane->checkpoint, message_of(sent->dead));
    } else {
        router->counters.outgoing_accepted++;
    }
}

/* ---- adoption ---- */

void outbox_adopt(router_t *router, const adoption_t *adoption)
{
    lane_outbox_t *outbox = &router->lanes[adoption->hold.lane].outbox;
    if (adoption->outgoing_count + adoption->sent_count + adoption->outbox_count == 0) {
        return;
    }
    open_sender(router, outbox);
    for (size_t i = 0; i < adoption->outbox_count; i++) {
        const store_outbox_t *rows = &adoption->outboxes[i];
        if (rows->target_lane < router->config.lanes) {
            sender_has_rows(outbox->sender, rows->target_lane, rows->count);
        }
    }
    outbox->overruled_count = adoption->sent_count;
    outbox->overruled = memory_allocate(adoption->sent_count * sizeof(store_outgoing_key_t));
    outbox->corrected = false;
    for (size_t i = 0; i < adoption->sent_count; i++) {
        outbox->overruled[i] = adoption->sent[i];
        outbox_note_sent(outbox, adoption->sent[i]);
    }
    outbox_account(router, outbox);
}

size_t outbox_adopt_some(router_t *router, const adoption_t *adoption, size_t from, size_t most)
{
    lane_outbox_t *outbox = &router->lanes[adoption->hold.lane].outbox;
    size_t taken = 0;
    while (taken < most && from + taken < adoption->outgoing_count) {
        outgoing_copy_t *const *copies = adoption->outgoing + from + taken;
        size_t left = adoption->outgoing_count - from - taken;
        uint64_t id = copies[0]->message.key.id;
        uint32_t count = 0;
        size_t size = 0;
        while (count < left && copies[count]->message.key.id == id) {
            size += outgoing_bytes(&copies[count++]->message);
        }
        outbox_told_t *told = told_new(id, count, size);
        uint8_t *bytes = bytes_of(told, count);
        for (uint32_t i = 0; i < count; i++) {
            add_message(told, &copies[i]->message, &bytes);
        }
        told->is_adopted = true;
        add_told(router, outbox, told, true);
        taken += count;
    }
    return taken;
}

/* ---- bounds ---- */

bool outbox_is_full(const router_t *router, const lane_outbox_t *outbox)
{
    return outbox->sender && sender_open(outbox->sender) >= router->config.outgoing_max;
}

/* ---- for people ---- */

uint64_t outbox_oldest_ms(const router_t *router, const lane_outbox_t *outbox)
{
    uint64_t id = outbox->sender ? sender_oldest(outbox->sender) : 0;
    int64_t now_ms = router->config.store_now_ms + (int64_t)(router->now_ms - router->started_ms);
    int64_t age_ms = id > 0 ? now_ms - snowflake_timestamp_ms((request_id_t){id}) : 0;
    return age_ms > 0 ? (uint64_t)age_ms : 0;
}

/* ---- the lane goes ---- */

static void outbox_clear(lane_outbox_t *outbox)
{
    sender_destroy(&outbox->sender);
    for (size_t i = 0; i < outbox->told_count; i++) {
        outbox_told_drop(&outbox->told[i]);
    }
    free((void *)outbox->told);
    free(outbox->homes);
    free(outbox->sent);
    free(outbox->overruled);
}

void outbox_drop(router_t *router, uint32_t lane)
{
    lane_outbox_t *outbox = &router->lanes[lane].outbox;
    if (!outbox->sender) {
        return;
    }
    outbox_clear(outbox);
    router->outboxes--;
    router->outgoing_bytes -= outbox->bytes;
    router->counters.outgoing -= outbox->open;
    *outbox = (lane_outbox_t){.reading = outbox->reading, .dropped = outbox->reading};
}

void outboxes_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        outbox_clear(&router->lanes[i].outbox);
    }
}
