/* The history of one entity whose type appends events: see history_state.h. */
#include "broker/router/history_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* READ_MAX: histories of one read. PART_BYTES: of one message to the owner, or one event. */
enum { READ_MAX = 64, NAME_BYTES = 2 * LIMIT_NAME_BYTES_MAX, PART_BYTES = 64 << 10 };
#define READ_BYTES_MAX (UINT64_C(4) << 20)
/* Of what an owner is given at once: half of what may be queued for a peer. */
#define GIVEN_BYTES_MAX (UINT64_C(32) << 20)

/* ---- lists ---- */

static void move(history_t *history, history_t **list)
{
    if (history->list) {
        DL_DELETE(*history->list, history);
    }
    history->list = list;
    if (list) {
        DL_APPEND(*list, history);
    }
}

static void move_change(history_t *history, history_t **changes)
{
    if (history->changes) {
        DL_DELETE2(*history->changes, history, change_prev, change_next);
    }
    history->changes = changes;
    if (changes) {
        DL_APPEND2(*changes, history, change_prev, change_next);
    }
}

static void add_bytes(router_t *router, history_t *history, uint64_t bytes)
{
    history->bytes += bytes;
    router->state_bytes += bytes;
}

static void remove_value(router_t *router, history_t *history, events_value_t **list,
                         events_value_t *value)
{
    add_bytes(router, history, -(uint64_t)value->size);
    DL_DELETE(*list, value);
    events_value_drop(&value);
}

static void add_value(router_t *router, history_t *history, events_value_t **list,
                      events_value_t *value)
{
    DL_APPEND(*list, value);
    add_bytes(router, history, value->size);
}

static void forget_loaded(router_t *router, history_t *history)
{
    while (history->loaded) {
        remove_value(router, history, &history->loaded, history->loaded);
    }
}

history_t *history_new(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    history_t *history = memory_allocate_zeroed(1, sizeof *history);
    history->type = type;
    history->id = id;
    add_bytes(router, history, sizeof *history);
    return history;
}

/* Frees what rows have, unless a read that is under way may not have seen it. */
static void forget_settled(router_t *router, history_t *history)
{
    bool joins = history->stage != HISTORY_RESTS || history->readers > 0;
    while (!joins && history->values && history->values->settled) {
        remove_value(router, history, &history->values, history->values);
    }
}

static void set_stage(router_t *router, history_t *history, history_stage_t stage, history_t **list)
{
    if (history->slot) {
        *history->slot = NULL;
        history->slot = NULL;
    }
    history->stage = stage;
    move(history, list);
    if (stage == HISTORY_RESTS) {
        forget_loaded(router, history);
        forget_settled(router, history);
    }
}

void history_destroy(router_t *router, history_t **history)
{
    if (!*history) {
        return;
    }
    set_stage(router, *history, HISTORY_RESTS, NULL);
    move_change(*history, NULL);
    while ((*history)->values) {
        remove_value(router, *history, &(*history)->values, (*history)->values);
    }
    assert((*history)->bytes == sizeof **history);
    router->state_bytes -= sizeof **history;
    free(*history);
    *history = NULL;
}

bool history_is_held(const history_t *history)
{
    return history->values || history->stage == HISTORY_WANTED || history->stage == HISTORY_READ ||
           history->in_flight || history->readers > 0 || history->owed;
}

void history_begin_flight(history_t *history)
{
    history->in_flight = true;
}

void history_end_flight(history_t *history)
{
    history->in_flight = false;
}

/* ---- activations ---- */

static bool is_faulty(const history_t *history)
{
    return history->fault.gap > 0 || history->fault.excess > 0;
}

bool history_is_ready(router_t *router, lane_history_t *lane, history_t *history, uint64_t after)
{
    if (history->stage == HISTORY_READY && history->after <= after) {
        return !is_faulty(history);
    }
    if (history->stage == HISTORY_READY) { /* the snapshot behind which it was read is of no use */
        set_stage(router, history, HISTORY_RESTS, NULL);
    }
    if (history->stage == HISTORY_RESTS) {
        history->stage = HISTORY_WANTED;
        history->after = history->reached = after;
        history->fault = (history_fault_t){0};
        move(history, &lane->wanted);
    }
    return false;
}

/* The part of a history that one message tells. */
typedef struct part {
    router_t *router;
    peer_t *peer;
    message_entity_events_t message;
    wire_writer_t list;
    uint32_t count;
} part_t;

static void send(part_t *part, bool more)
{
    wire_writer_t array = {0};
    journal_events_t events = {.count = part->count, .list = wire_writer_bytes(&part->list)};
    journal_events_put_array(&array, &events);
    part->message.events = wire_writer_bytes(&array);
    part->message.more = more;
    message_put_entity_events(peer_writer(part->router, part->peer), &part->message);
    part->message.first += part->count;
    part->count = 0;
    wire_writer_reset(&part->list);
    wire_writer_destroy(&array);
}

static void add_event(part_t *part, const store_event_t *event)
{
    if (part->count > 0 && part->list.size + event->tag.size + event->payload.size > PART_BYTES) {
        send(part, true);
    }
    journal_events_put(&part->list, event->tag, event->version, event->payload);
    part->count++;
}

/* Adds those that come next; some may be there already. */
static void add_values(part_t *part, const events_value_t *values)
{
    for (const events_value_t *value = values; value; value = value->next) {
        store_event_t event;
        journal_events_reader_t reader = journal_events_open(&value->events);
        while (journal_events_next(&reader, &event)) {
            if (event.sequence == part->message.first + part->count) {
                add_event(part, &event);
            }
        }
    }
}

void history_give(router_t *router, const ownership_t *ownership, history_t *history,
                  uint64_t after, uint64_t activation)
{
    assert(history->stage == HISTORY_READY && !is_faulty(history));
    part_t part = {.router = router,
                   .peer = ownership->owner->peer,
                   .message = {.shard = ownership->shard->id.value,
                               .home_epoch = ownership->token.home_epoch,
                               .owner_sequence = ownership->token.owner_sequence,
                               .activation = activation,
                               .type = history->type,
                               .id = history->id,
                               .first = after + 1}};
    add_values(&part, history->loaded);
    add_values(&part, history->values);
    send(&part, false);
    wire_writer_destroy(&part.list);
    history->last = part.message.first - 1;
    history->located = true;
    history->owed = false;
    set_stage(router, history, HISTORY_RESTS, NULL);
}

bool history_goes_on(const history_t *history, const journal_effects_t *effects)
{
    const journal_events_t *events = &effects->events;
    return history->located && (events->count > 0 ? events->first == history->last + 1
                                                  : effects->sequence == history->last);
}

/* ---- events ---- */

void history_append(router_t *router, history_t *history, events_value_t *value)
{
    add_value(router, history, &history->values, value);
    history->last = journal_events_last(&value->events);
}

void history_commit(lane_history_t *lane, history_t *history, events_value_t *value,
                    uint64_t number)
{
    value->number = number;
    if (history->changes != &lane->current) { /* a change that waits says all when it is taken */
        move_change(history, &lane->next);
    }
}

void history_adopt(router_t *router, lane_history_t *lane, history_t *history,
                   events_value_t *value)
{
    add_value(router, history, &history->values, value);
    move_change(history, &lane->next);
}

void history_revert(router_t *router, history_t *history)
{
    while (history->values && history->values->prev->number == 0) { /* the last one */
        events_value_t *value = history->values->prev;
        history->last = value->events.first - 1;
        remove_value(router, history, &history->values, value);
    }
}

/* ---- reads ---- */

static void add_name(lane_history_t *lane, const history_t *history)
{
    uint8_t *name = lane->name_bytes + lane->count * NAME_BYTES;
    memcpy(name, history->type.data, history->type.size);
    memcpy(name + history->type.size, history->id.data, history->id.size);
    lane->histories[lane->count] =
        (store_history_t){.name = {fabric_bytes(name, history->type.size),
                                   fabric_bytes(name + history->type.size, history->id.size)},
                          .after = history->reached,
                          .limit = UINT32_MAX};
}

bool history_take_read(lane_history_t *lane, router_events_t *read)
{
    if (lane->running || !lane->wanted) {
        return false;
    }
    if (!lane->histories) {
        lane->histories = memory_allocate(READ_MAX * sizeof *lane->histories);
        lane->read = memory_allocate(READ_MAX * sizeof(history_t *));
        lane->name_bytes = memory_allocate((size_t)READ_MAX * NAME_BYTES);
    }
    lane->count = 0;
    while (lane->wanted && lane->count < READ_MAX) {
        history_t *history = lane->wanted;
        add_name(lane, history);
        history->stage = HISTORY_READ;
        history->slot = &lane->read[lane->count];
        lane->read[lane->count++] = history;
        move(history, &lane->reading);
    }
    lane->running = true;
    *read = (router_events_t){lane->histories, lane->count, READ_BYTES_MAX};
    return true;
}

/* The first sequence that is nowhere between what was read and the last event; 0: none. */
static uint64_t find_gap(const history_t *history)
{
    uint64_t reached = history->reached;
    for (const events_value_t *value = history->values; value; value = value->next) {
        if (value->events.first > reached + 1) {
            return reached + 1;
        }
        uint64_t last = journal_events_last(&value->events);
        reached = last > reached ? last : reached;
    }
    return 0;
}

/* Of the events that are to be given, as far as they have been read, and as memory has them. */
static uint64_t bytes_to_give(const history_t *history)
{
    uint64_t bytes = 0;
    for (const events_value_t *value = history->loaded; value; value = value->next) {
        bytes += value->events.list.size;
    }
    for (const events_value_t *value = history->values; value; value = value->next) {
        bool comes = journal_events_last(&value->events) > history->reached;
        bytes += comes ? value->events.list.size : 0;
    }
    return bytes;
}

/* It is read to its end, or on, unless it cannot be given in any case. */
static void end_read(router_t *router, history_t *history, bool done)
{
    history_fault_t *fault = &history->fault;
    uint64_t bytes = bytes_to_give(history);
    if (done && fault->gap == 0) {
        fault->gap = find_gap(history);
    }
    fault->excess = bytes > GIVEN_BYTES_MAX ? bytes : 0;
    if (done || is_faulty(history)) {
        set_stage(router, history, HISTORY_READY, NULL);
    }
}

/* Takes the value. */
static void take_value(router_t *router, history_t *history, events_value_t *value)
{
    if (history->fault.gap == 0 && value->events.first == history->reached + 1) {
        history->reached = journal_events_last(&value->events);
        add_value(router, history, &history->loaded, value);
        return;
    }
    if (history->fault.gap == 0) {
        history->fault.gap = history->reached + 1;
    }
    events_value_drop(&value);
}

static bool is_of(const store_history_t *history, const events_value_t *value)
{
    return fabric_bytes_equal(history->name.entity, value->entity) &&
           fabric_bytes_equal(history->name.type, value->type);
}

/* Whether the second one has the events behind those of the first. */
static bool follows(const events_value_t *before, const events_value_t *value)
{
    return value->events.first == journal_events_last(&before->events) + 1 &&
           fabric_bytes_equal(before->entity, value->entity) &&
           fabric_bytes_equal(before->type, value->type);
}

/* Takes the first of the values, with those behind it that make one with it: an activation asks for
 * the events alone, and small ones of many messages would take more beside their bytes than these.
 * Returns how many it has taken. */
static size_t take_run(router_t *router, history_t *history, events_value_t **values, size_t count)
{
    size_t run = 1;
    size_t bytes = values[0]->events.list.size;
    while (run < count && follows(values[run - 1], values[run]) &&
           bytes + values[run]->events.list.size <= EVENTS_VALUE_BYTES_GOAL) {
        bytes += values[run++]->events.list.size;
    }
    events_value_t *joined =
        run > 1 ? events_value_join(values, run) : events_value_share(values[0]);
    for (size_t i = 0; i < run; i++) {
        events_value_drop(&values[i]);
    }
    take_value(router, history, joined);
    return run;
}

size_t history_loaded(router_t *router, lane_history_t *lane, fabric_error_t error,
                      events_value_t **values, size_t count, size_t done)
{
    lane->running = false;
    size_t at = 0;
    for (size_t i = 0; i < count;) {
        while (at < lane->count && !is_of(&lane->histories[at], values[i])) {
            at++;
        }
        history_t *history = at < lane->count ? lane->read[at] : NULL;
        if (history) {
            i += take_run(router, history, &values[i], count - i);
        } else {
            events_value_drop(&values[i++]); /* it has gone with its lane */
        }
    }
    for (size_t i = 0; i < lane->count && !error; i++) {
        if (lane->read[i]) {
            end_read(router, lane->read[i], i < done);
        }
    }
    while (lane->reading) { /* is read on */
        set_stage(router, lane->reading, HISTORY_WANTED, &lane->wanted);
    }
    return lane->count;
}

void history_rest(router_t *router, history_t *history)
{
    if (history->fault.excess > 0) { /* all events are too many: the snapshot is tried again */
        history->begin = history->begin == BEGIN_ALL_TRIED ? BEGIN_SNAPSHOT_AGAIN : BEGIN_SNAPSHOT;
        history->owed = false;
    }
    history->fault = (history_fault_t){0};
    set_stage(router, history, HISTORY_RESTS, NULL);
}

void history_hold(history_t *history)
{
    history->readers++;
}

void history_release(router_t *router, history_t *history)
{
    history->readers -= history->readers > 0;
    forget_settled(router, history);
}

void history_lane_destroy(lane_history_t *lane)
{
    free(lane->histories);
    free((void *)lane->read);
    free(lane->name_bytes);
}

/* ---- checkpoints ---- */

void history_checkpoint_begins(lane_history_t *lane)
{
    while (lane->next) {
        move_change(lane->next, &lane->current);
    }
}

events_value_t *history_next_value(history_t *history, events_value_t *before)
{
    events_value_t *value = before ? before : history->values;
    while (value && value->number > 0 && value->taken == value->events.count) {
        value = value->next;
    }
    if (value && value->number > 0) {
        return value;
    }
    move_change(history, NULL);
    return NULL;
}

void history_take(events_value_t *value, uint32_t taken, uint64_t slice)
{
    value->taken = taken;
    value->slice = slice;
}

void history_settled(router_t *router, history_t *history, uint64_t slice)
{
    events_value_t *value = history->values; /* they are taken in their order */
    while (value && value->number > 0 && value->taken == value->events.count &&
           value->slice <= slice) {
        value->settled = true;
        value = value->next;
    }
    forget_settled(router, history);
}
