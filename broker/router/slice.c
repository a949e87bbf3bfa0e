/* Slices of a checkpoint: the changes of rows that one transaction makes. See checkpoint_state.h.
 *
 * A slice is constant until it is answered, while its messages go on. So it has its own copies of
 * names and bodies. It fills arrays first and sets the views into its copies last, since the copies
 * move while they grow.
 */
#include "broker/outgoing_value.h"
#include "broker/router/checkpoint_state.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* RECORD_BYTES: of a body, beside the bytes of its message and reply, with room to spare. */
enum { RECORD_BYTES = 192 };

static message_t *message_of_link(message_link_t *link)
{
    return (message_t *)((char *)link - offsetof(message_t, changed));
}

/* ---- bounds ---- */

/* Bytes of a message's body, about, and of its names beside the body. */
static uint64_t row_bytes(const message_t *message)
{
    const store_message_t *stored = &message->stored;
    uint64_t names = stored->type.size + stored->entity.size + stored->tag.size;
    return RECORD_BYTES + 2 * names + stored->payload.size + stored->traceparent.size +
           stored->headers.size;
}

/* Whether so many more rows, and bytes, go into the slice. If so, they are counted. */
static bool reserve(const router_t *router, checkpoint_slice_t *slice, size_t rows, uint64_t bytes)
{
    bool fits = slice->rows + rows <= router->config.slice_rows_max &&
                slice->bytes + bytes <= STORE_SLICE_BYTES_MAX;
    if (!fits && slice->rows > 0) {
        return false;
    }
    slice->rows += rows;
    slice->bytes += bytes;
    return true;
}

/* ---- messages that are pending ---- */

static void add_name(checkpoint_slice_t *slice, fabric_bytes_t name)
{
    slice->names =
        memory_reserve(slice->names, slice->name_bytes + name.size, &slice->name_capacity, 1);
    if (name.size > 0) {
        memcpy(slice->names + slice->name_bytes, name.data, name.size);
    }
    slice->name_bytes += name.size;
}

static void add_put(checkpoint_t *checkpoint, const message_t *message)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    const store_message_t *stored = &message->stored;
    add_name(slice, stored->type);
    add_name(slice, stored->entity);
    add_name(slice, stored->tag);
    journal_put_message(slice->writer, stored, message->position, message->counted);
    slice->puts = memory_reserve(slice->puts, slice->put_count + 1, &slice->put_capacity,
                                 sizeof *slice->puts);
    slice->puts[slice->put_count++] = (store_pending_t){.position = message->position,
                                                        .entity_hash = message->entity_hash,
                                                        .id = stored->id,
                                                        .shard = stored->shard,
                                                        .due_ms = stored->deliver_at_ms,
                                                        .number = checkpoint->number,
                                                        .attempts = message->counted.attempts,
                                                        .crashes = message->counted.crashes,
                                                        .type = stored->type,
                                                        .entity = stored->entity,
                                                        .tag = stored->tag};
}

static void add_amendment(checkpoint_t *checkpoint, store_row_key_t key,
                          journal_attempts_t attempts)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    slice->amendments = memory_reserve(slice->amendments, slice->amendment_count + 1,
                                       &slice->amendment_capacity, sizeof *slice->amendments);
    slice->amendments[slice->amendment_count++] = (store_amendment_t){.key = key,
                                                                      .number = checkpoint->number,
                                                                      .attempts = attempts.attempts,
                                                                      .crashes = attempts.crashes};
}

/* Notes whose messages may be dropped from memory when the slice is settled. */
static void add_entity(checkpoint_slice_t *slice, uint64_t hash)
{
    if (slice->entity_count > 0 && slice->entities[slice->entity_count - 1] == hash) {
        return;
    }
    slice->entities = memory_reserve(slice->entities, slice->entity_count + 1,
                                     &slice->entity_capacity, sizeof *slice->entities);
    slice->entities[slice->entity_count++] = hash;
}

static void take_messages(const router_t *router, checkpoint_t *checkpoint)
{
    message_link_t *ring = &checkpoint->current_messages;
    while (ring->next != ring) {
        message_t *message = message_of_link(ring->next);
        uint64_t bytes = message->has_row ? 0 : row_bytes(message);
        if (!reserve(router, &checkpoint->slice, 1, bytes)) {
            return;
        }
        checkpoint_forget(message);
        if (message->has_row && !message_is_scheduled(message)) {
            add_amendment(checkpoint, message_row_key(message), message->counted);
        } else {
            add_put(checkpoint, message);
        }
        if (!message_is_scheduled(message)) {
            add_entity(&checkpoint->slice, message->entity_hash);
        }
        message->has_row = true;
        message->slice = checkpoint->slice.number;
    }
}

/* ---- rows whose messages are not pending in memory ---- */

static void take_amendments(const router_t *router, checkpoint_t *checkpoint)
{
    const row_changes_t *current = &checkpoint->current;
    while (checkpoint->amendments_taken < current->amendment_count) {
        const row_amendment_t *amendment = &current->amendments[checkpoint->amendments_taken];
        if (!amendment->over) {
            if (!reserve(router, &checkpoint->slice, 1, 0)) {
                return;
            }
            add_amendment(checkpoint, amendment->key, amendment->attempts);
        }
        checkpoint->amendments_taken++;
    }
}

static void add_delete(checkpoint_slice_t *slice, store_row_key_t key)
{
    slice->deletes = memory_reserve(slice->deletes, slice->delete_count + 1,
                                    &slice->delete_capacity, sizeof *slice->deletes);
    slice->deletes[slice->delete_count++] = key;
}

static void take_deletes(const router_t *router, checkpoint_t *checkpoint)
{
    const row_changes_t *current = &checkpoint->current;
    while (checkpoint->deletes_taken < current->delete_count &&
           reserve(router, &checkpoint->slice, 1, 0)) {
        add_delete(&checkpoint->slice, current->deletes[checkpoint->deletes_taken++]);
    }
}

static void add_unscheduled(checkpoint_slice_t *slice, store_due_key_t key)
{
    slice->unscheduled = memory_reserve(slice->unscheduled, slice->unscheduled_count + 1,
                                        &slice->unscheduled_capacity, sizeof *slice->unscheduled);
    slice->unscheduled[slice->unscheduled_count++] = key;
}

static void take_unscheduled(const router_t *router, checkpoint_t *checkpoint)
{
    const row_changes_t *current = &checkpoint->current;
    while (checkpoint->unscheduled_taken < current->unscheduled_count &&
           reserve(router, &checkpoint->slice, 1, 0)) {
        add_unscheduled(&checkpoint->slice, current->unscheduled[checkpoint->unscheduled_taken++]);
    }
}

/* ---- dead letters ---- */

static void add_dead(checkpoint_t *checkpoint, const dead_row_t *dead)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    const message_t *message = dead->message;
    const store_message_t *stored = &message->stored;
    journal_attempts_t attempts = {message->attempts, message->crashes};
    journal_put_dead(slice->writer, stored, message->position, &message->reply, attempts,
                     message->cause, message->reply.payload);
    slice->dead_messages =
        memory_reserve(slice->dead_messages, slice->dead_count + 1, &slice->dead_message_capacity,
                       sizeof *slice->dead_messages);
    slice->dead_messages[slice->dead_count] = *dead;
    slice->dead = memory_reserve(slice->dead, slice->dead_count + 1, &slice->dead_capacity,
                                 sizeof *slice->dead);
    slice->dead[slice->dead_count++] =
        (store_dead_row_t){.id = stored->id,
                           .shard = stored->shard,
                           .number = checkpoint->number,
                           .ended_ms = dead->ended_ms,
                           .error = message->cause,
                           .attempts = message->attempts + message->crashes,
                           .type = stored->type,
                           .entity = stored->entity,
                           .tag = stored->tag,
                           .text = message->reply.payload};
}

/* A dead letter's row comes, and the row of its message goes, in the same slice. */
static void take_dead(const router_t *router, checkpoint_t *checkpoint)
{
    const row_changes_t *current = &checkpoint->current;
    while (checkpoint->dead_taken < current->dead_count) {
        const dead_row_t *dead = &current->dead[checkpoint->dead_taken];
        uint64_t bytes = row_bytes(dead->message) + 2 * dead->message->reply.payload.size;
        if (!reserve(router, &checkpoint->slice, 1 + dead->message->has_row, bytes)) {
            return;
        }
        add_dead(checkpoint, dead);
        if (dead->message->has_row && message_is_scheduled(dead->message)) {
            add_unscheduled(&checkpoint->slice, message_due_key(dead->message));
        } else if (dead->message->has_row) {
            add_delete(&checkpoint->slice, message_row_key(dead->message));
        }
        checkpoint->dead_taken++;
    }
}

/* ---- primary keys ---- */

static void add_key(const checkpoint_t *checkpoint, checkpoint_slice_t *slice,
                    const store_key_t *row)
{
    fabric_bytes_t payload = row->reply.payload;
    slice->replies = memory_reserve(slice->replies, slice->reply_bytes + payload.size,
                                    &slice->reply_capacity, 1);
    if (payload.size > 0) {
        memcpy(slice->replies + slice->reply_bytes, payload.data, payload.size);
    }
    slice->reply_bytes += payload.size;
    slice->keys = memory_reserve(slice->keys, slice->key_count + 1, &slice->key_capacity,
                                 sizeof *slice->keys);
    slice->keys[slice->key_count] = *row;
    slice->keys[slice->key_count++].number = checkpoint->number;
}

static void take_keys(const router_t *router, checkpoint_t *checkpoint, lane_keys_t *keys)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    while (keys->current) {
        const store_key_t *row = &keys->current->row;
        if (!reserve(router, slice, 1, RECORD_BYTES + row->reply.payload.size)) {
            return;
        }
        add_key(checkpoint, slice, row);
        keys_take(keys, slice->number);
    }
}

/* ---- events ---- */

static void add_event(checkpoint_slice_t *slice, const events_value_t *value, store_event_t event)
{
    slice->events = memory_reserve(slice->events, slice->event_count + 1, &slice->event_capacity,
                                   sizeof *slice->events);
    event.type = value->type;
    event.entity = value->entity;
    event.shard = value->shard;
    event.number = value->number;
    event.id = value->id;
    event.recorded_ms = value->events.recorded_ms;
    slice->events[slice->event_count++] = event;
}

static void share_value(checkpoint_slice_t *slice, events_value_t *value)
{
    slice->event_values = memory_reserve((void *)slice->event_values, slice->event_value_count + 1,
                                         &slice->event_value_capacity, sizeof(events_value_t *));
    slice->event_values[slice->event_value_count++] = events_value_share(value);
}

/* Takes what no slice has of the value. false: there is no room for all of it. */
static bool take_value(const router_t *router, checkpoint_slice_t *slice, events_value_t *value)
{
    uint32_t taken = 0;
    bool fits = true;
    store_event_t event;
    journal_events_reader_t reader = journal_events_open(&value->events);
    while (fits && journal_events_next(&reader, &event)) {
        uint64_t names = value->type.size + value->entity.size + event.tag.size;
        fits = taken < value->taken ||
               reserve(router, slice, 1, RECORD_BYTES + names + event.payload.size);
        if (fits && taken++ >= value->taken) {
            add_event(slice, value, event);
        }
    }
    if (taken > value->taken) {
        share_value(slice, value);
        history_take(value, taken, slice->number);
    }
    return fits;
}

/* Takes all of the entity's events that are durable. false: there is no room for all of them. */
static bool take_history(const router_t *router, checkpoint_slice_t *slice, history_t *history)
{
    events_value_t *value = NULL;
    while ((value = history_next_value(history, value))) {
        if (!take_value(router, slice, value)) {
            return false;
        }
    }
    return true;
}

static void take_events(const router_t *router, checkpoint_slice_t *slice, lane_history_t *lane)
{
    while (lane->current && take_history(router, slice, lane->current)) {
    }
}

/* ---- persisted states ---- */

static void add_state(const checkpoint_t *checkpoint, checkpoint_slice_t *slice,
                      state_value_t *value)
{
    slice->states = memory_reserve(slice->states, slice->state_count + 1, &slice->state_capacity,
                                   sizeof *slice->states);
    slice->state_values = memory_reserve(slice->state_values, slice->state_count + 1,
                                         &slice->state_value_capacity, sizeof *slice->state_values);
    slice->state_values[slice->state_count] = state_value_share(value);
    slice->states[slice->state_count] = value->row;
    slice->states[slice->state_count++].number = checkpoint->number;
}

static void take_states(const router_t *router, checkpoint_t *checkpoint, lane_persisted_t *states)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    while (states->current) {
        state_value_t *value = states->current->durable;
        history_t *history = states->current->history; /* its row comes behind those of events */
        if (history && !take_history(router, slice, history)) {
            return;
        }
        if (!reserve(router, slice, 1, RECORD_BYTES + value->size)) {
            return;
        }
        add_state(checkpoint, slice, value);
        persisted_take(states, slice->number);
    }
}

/* ---- entities that are kept alive ---- */

static void take_kept(router_t *router, checkpoint_t *checkpoint, lane_alive_t *alive)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    store_kept_t row;
    while (alive_next(alive, &row) && reserve(router, slice, 1, row.type.size + row.entity.size)) {
        row.number = checkpoint->number;
        add_name(slice, row.type);
        add_name(slice, row.entity);
        slice->kept = memory_reserve(slice->kept, slice->kept_count + 1, &slice->kept_capacity,
                                     sizeof *slice->kept);
        slice->kept[slice->kept_count++] = row;
        alive_take(router, alive);
    }
}

/* ---- transactional messages ---- */

static void take_direct(const router_t *router, checkpoint_t *checkpoint)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    const row_changes_t *current = &checkpoint->current;
    while (checkpoint->direct_taken < current->direct_count && reserve(router, slice, 1, 0)) {
        slice->direct = memory_reserve(slice->direct, slice->direct_count + 1,
                                       &slice->direct_capacity, sizeof *slice->direct);
        slice->direct[slice->direct_count++] = current->direct[checkpoint->direct_taken++];
    }
}

/* ---- outgoing messages ---- */

/* Those of one source go with the change of its row. */
static size_t told_rows(const outbox_told_t *told, uint64_t *bytes)
{
    *bytes = 0;
    for (uint32_t i = 0; i < told->count; i++) {
        *bytes += told->ended[i] ? 0 : RECORD_BYTES + outgoing_bytes(&told->messages[i]);
    }
    return told->open + told->has_row;
}

static void add_told(checkpoint_slice_t *slice, outbox_told_t *told)
{
    slice->told = memory_reserve((void *)slice->told, slice->told_count + 1, &slice->told_capacity,
                                 sizeof(outbox_told_t *));
    slice->told[slice->told_count++] = told;
    told->shares++;
    slice->outgoing = memory_reserve(slice->outgoing, slice->outgoing_count + told->open,
                                     &slice->outgoing_capacity, sizeof *slice->outgoing);
    for (uint32_t i = 0; i < told->count; i++) {
        if (!told->ended[i]) {
            slice->outgoing[slice->outgoing_count++] = told->messages[i];
        }
    }
    if (told->has_row && told->due.due_ms != 0) {
        add_unscheduled(slice, told->due);
    } else if (told->has_row) {
        add_delete(slice, told->row);
    }
}

static void take_outgoing(const router_t *router, checkpoint_slice_t *slice, lane_outbox_t *outbox)
{
    outbox_told_t *told;
    while ((told = outbox_next_told(outbox))) {
        uint64_t bytes = 0;
        size_t rows = told_rows(told, &bytes);
        if (rows > 0 && !reserve(router, slice, rows, bytes)) {
            return;
        }
        if (rows > 0) {
            add_told(slice, told);
        }
        outbox_take_told(outbox, slice->number);
    }
}

static void take_sent(const router_t *router, checkpoint_slice_t *slice, lane_outbox_t *outbox)
{
    const store_outgoing_key_t *key;
    while ((key = outbox_next_sent(outbox)) && reserve(router, slice, 1, 0)) {
        slice->sent = memory_reserve(slice->sent, slice->sent_count + 1, &slice->sent_capacity,
                                     sizeof *slice->sent);
        slice->sent[slice->sent_count++] = *key;
        outbox_take_sent(outbox);
    }
}

/* ---- clears ---- */

/* How many rows the entity has is not known, so the clear gets all the room that is left, and is
 * taken again until some is left over. One in each slice. */
static const store_clear_t *take_clear(const router_t *router, checkpoint_t *checkpoint,
                                       const lane_clears_t *clears)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    const entity_clear_t *clear = clears_next(clears);
    if (!clear || slice->rows >= router->config.slice_rows_max) {
        return NULL;
    }
    uint32_t rows = (uint32_t)(router->config.slice_rows_max - slice->rows);
    slice->rows += rows;
    if (clear->type.size > 0) {
        memcpy(slice->clear_names, clear->names, clear->type.size + clear->entity.size);
    }
    slice->cleared_id = clear->id;
    slice->clear = (store_clear_t){
        .entity_hash = clear->entity_hash,
        .type = fabric_bytes(slice->clear_names, clear->type.size),
        .entity = fabric_bytes(slice->clear_names + clear->type.size, clear->entity.size),
        .below = clear->id.value,
        .rows_max = rows};
    return &slice->clear;
}

/* ---- the slice ---- */

static void free_dead(checkpoint_slice_t *slice)
{
    for (size_t i = 0; i < slice->dead_count; i++) {
        message_destroy(&slice->dead_messages[i].message);
    }
    slice->dead_count = 0;
}

static void free_states(checkpoint_slice_t *slice)
{
    for (size_t i = 0; i < slice->state_count; i++) {
        state_value_drop(&slice->state_values[i]);
    }
    slice->state_count = 0;
}

static void free_events(checkpoint_slice_t *slice)
{
    for (size_t i = 0; i < slice->event_value_count; i++) {
        events_value_drop(&slice->event_values[i]);
    }
    slice->event_value_count = slice->event_count = 0;
}

static void free_told(checkpoint_slice_t *slice)
{
    for (size_t i = 0; i < slice->told_count; i++) {
        outbox_told_drop(&slice->told[i]);
    }
    slice->told_count = slice->outgoing_count = slice->sent_count = 0;
}

static void reset(checkpoint_slice_t *slice)
{
    if (!slice->writer) {
        slice->writer = journal_writer_new();
    }
    journal_writer_reset(slice->writer);
    free_dead(slice);
    free_states(slice);
    free_events(slice);
    free_told(slice);
    slice->put_count = slice->amendment_count = slice->delete_count = 0;
    slice->scheduled_count = slice->unscheduled_count = 0;
    slice->entity_count = slice->name_bytes = slice->rows = 0;
    slice->key_count = slice->reply_bytes = slice->kept_count = slice->direct_count = 0;
    slice->bytes = 0;
}

static fabric_bytes_t take_bytes(const uint8_t *bytes, size_t *at, size_t size)
{
    fabric_bytes_t taken = fabric_bytes(bytes + *at, size);
    *at += size;
    return taken;
}

static void set_views(checkpoint_slice_t *slice)
{
    size_t at = 0;
    for (size_t i = 0; i < slice->put_count; i++) {
        store_pending_t *put = &slice->puts[i];
        put->type = take_bytes(slice->names, &at, put->type.size);
        put->entity = take_bytes(slice->names, &at, put->entity.size);
        put->tag = take_bytes(slice->names, &at, put->tag.size);
        put->body = journal_record_of(slice->writer, i);
    }
    for (size_t i = 0; i < slice->kept_count; i++) {
        store_kept_t *kept = &slice->kept[i];
        kept->type = take_bytes(slice->names, &at, kept->type.size);
        kept->entity = take_bytes(slice->names, &at, kept->entity.size);
    }
    for (size_t i = 0; i < slice->dead_count; i++) {
        slice->dead[i].body = journal_record_of(slice->writer, slice->put_count + i);
    }
    at = 0;
    for (size_t i = 0; i < slice->key_count; i++) {
        fabric_bytes_t *payload = &slice->keys[i].reply.payload;
        *payload = take_bytes(slice->replies, &at, payload->size);
    }
}

/* Rows of scheduled messages were put among the others, and lie apart. */
static void split_puts(checkpoint_slice_t *slice)
{
    size_t kept = 0;
    for (size_t i = 0; i < slice->put_count; i++) {
        const store_pending_t *put = &slice->puts[i];
        if (put->due_ms == 0 || put->position != put->id.value) {
            slice->puts[kept++] = *put;
            continue;
        }
        slice->scheduled = memory_reserve(slice->scheduled, slice->scheduled_count + 1,
                                          &slice->scheduled_capacity, sizeof *slice->scheduled);
        slice->scheduled[slice->scheduled_count++] = *put;
    }
    slice->put_count = kept;
}

/* Whether nothing of the checkpoint is left. */
static bool is_used_up(const checkpoint_t *checkpoint, const router_lane_t *lane)
{
    const row_changes_t *current = &checkpoint->current;
    return checkpoint->current_messages.next == &checkpoint->current_messages &&
           checkpoint->amendments_taken == current->amendment_count &&
           checkpoint->deletes_taken == current->delete_count &&
           checkpoint->unscheduled_taken == current->unscheduled_count &&
           checkpoint->dead_taken == current->dead_count &&
           checkpoint->direct_taken == current->direct_count && !lane->keys.current &&
           !lane->persisted.current && !lane->persisted.history.current && !lane->alive.current &&
           outbox_is_used_up(&lane->outbox) && !clears_next(&lane->clears);
}

void slice_fill(router_t *router, checkpoint_t *checkpoint)
{
    checkpoint_slice_t *slice = &checkpoint->slice;
    router_lane_t *lane = &router->lanes[checkpoint->hold.lane];
    reset(slice);
    slice->running = true;
    slice->number++;
    take_unscheduled(router, checkpoint); /* first: none of these has a row of a dead letter, too */
    take_amendments(router, checkpoint);
    take_messages(router, checkpoint); /* the puts come before the dead letters in the writer */
    take_dead(router, checkpoint);
    take_deletes(router, checkpoint);
    take_keys(router, checkpoint, &lane->keys);
    take_events(router, slice, &lane->persisted.history);
    take_states(router, checkpoint, &lane->persisted);
    take_kept(router, checkpoint, &lane->alive);
    take_direct(router, checkpoint);
    take_outgoing(router, slice, &lane->outbox);
    take_sent(router, slice, &lane->outbox);
    const store_clear_t *clear = take_clear(router, checkpoint, &lane->clears);
    set_views(slice);
    split_puts(slice);
    slice->taken = (router_slice_t){.hold = checkpoint->hold,
                                    .slice = {.puts = slice->puts,
                                              .put_count = slice->put_count,
                                              .amendments = slice->amendments,
                                              .amendment_count = slice->amendment_count,
                                              .deletes = slice->deletes,
                                              .delete_count = slice->delete_count,
                                              .scheduled = slice->scheduled,
                                              .scheduled_count = slice->scheduled_count,
                                              .unscheduled = slice->unscheduled,
                                              .unscheduled_count = slice->unscheduled_count,
                                              .dead = slice->dead,
                                              .dead_count = slice->dead_count,
                                              .keys = slice->keys,
                                              .key_count = slice->key_count,
                                              .events = slice->events,
                                              .event_count = slice->event_count,
                                              .states = slice->states,
                                              .state_count = slice->state_count,
                                              .kept = slice->kept,
                                              .kept_count = slice->kept_count,
                                              .direct = slice->direct,
                                              .direct_count = slice->direct_count,
                                              .outgoing = slice->outgoing,
                                              .outgoing_count = slice->outgoing_count,
                                              .sent = slice->sent,
                                              .sent_count = slice->sent_count,
                                              .clear = clear,
                                              .cleared = &slice->cleared,
                                              .settled = checkpoint->settled,
                                              .begun = checkpoint->begun,
                                              .newest = checkpoint->number,
                                              .last = is_used_up(checkpoint, lane)}};
}

void slice_destroy(checkpoint_slice_t *slice)
{
    free_dead(slice);
    journal_writer_destroy(&slice->writer);
    free(slice->puts);
    free(slice->amendments);
    free(slice->deletes);
    free(slice->scheduled);
    free(slice->unscheduled);
    free(slice->dead);
    free(slice->dead_messages);
    free(slice->names);
    free(slice->entities);
    free(slice->keys);
    free(slice->kept);
    free(slice->direct);
    free(slice->replies);
    free_events(slice);
    free(slice->events);
    free((void *)slice->event_values);
    free_told(slice);
    free(slice->outgoing);
    free((void *)slice->told);
    free(slice->sent);
    free_states(slice);
    free(slice->states);
    free(slice->state_values);
}
