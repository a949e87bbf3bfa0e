/* The persisted states of a lane's entities that memory knows: see persisted_state.h. */
#include "broker/router/persisted_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* READ_MAX: states of one read. HELD_MAX: states that are passed over when others are forgotten. */
enum { NAME_MAX_BYTES = 2 * LIMIT_NAME_BYTES_MAX + 1, READ_MAX = 64, HELD_MAX = 64 };
#define READ_BYTES_MAX (UINT64_C(4) << 20)

/* ---- records ---- */

static size_t make_name(uint8_t name[NAME_MAX_BYTES], fabric_bytes_t type, fabric_bytes_t id)
{
    name[0] = (uint8_t)type.size;
    memcpy(name + 1, type.data, type.size);
    memcpy(name + 1 + type.size, id.data, id.size);
    return 1 + type.size + id.size;
}

/* The entity's record refers to the state from now on. Both know it: whichever goes first tells the
 * other, so nobody has to keep the state for the record, or the record for the state. */
static void refer(persisted_t *state, persisted_t **place)
{
    assert(!state->place);
    state->place = place;
    *place = state;
}

void persisted_leave(persisted_t **place)
{
    if (*place) {
        (*place)->place = NULL;
        *place = NULL;
    }
}

static persisted_t *find(const lane_persisted_t *states, persisted_key_t key)
{
    persisted_t *found = key.place ? *key.place : NULL;
    if (found) {
        return found;
    }
    uint8_t name[NAME_MAX_BYTES];
    size_t size = make_name(name, key.type, key.id);
    persisted_t *state = NULL;
    HASH_FIND(by_name, states->by_name, name, size, state);
    if (state && key.place) {
        refer(state, key.place);
    }
    return state;
}

static persisted_key_t key_of(fabric_bytes_t type, fabric_bytes_t id)
{
    return (persisted_key_t){type, id, NULL};
}

/* Of the record. Its values count for themselves. */
static uint64_t bytes_of(const persisted_t *state)
{
    return sizeof *state + state->name_size;
}

static bool is_held(const persisted_t *state)
{
    return state->history && history_is_held(state->history);
}

/* Moves the state to the end of a list; NULL: it is in none from now on. */
static void move(persisted_t *state, persisted_t **list)
{
    if (state->list) {
        DL_DELETE(*state->list, state);
    }
    state->list = list;
    if (list) {
        DL_APPEND(*list, state);
    }
}

static persisted_t *find_or_add(router_t *router, lane_persisted_t *states, persisted_key_t key)
{
    persisted_t *state = find(states, key);
    if (!state) {
        uint8_t name[NAME_MAX_BYTES];
        size_t size = make_name(name, key.type, key.id);
        state = memory_allocate(sizeof *state + size);
        memset(state, 0, sizeof *state);
        state->name_size = (uint16_t)size;
        memcpy(state->name, name, size);
        HASH_ADD_KEYPTR(by_name, states->by_name, state->name, size, state);
        router->state_bytes += bytes_of(state);
        if (key.place) {
            refer(state, key.place);
        }
    }
    return state;
}

static void forget(router_t *router, lane_persisted_t *states, persisted_t *state)
{
    router->state_bytes -= bytes_of(state);
    move(state, NULL);
    if (state->place) {
        persisted_leave(state->place);
    }
    HASH_DELETE(by_name, states->by_name, state);
    history_destroy(router, &state->history);
    state_value_drop(&state->newest);
    state_value_drop(&state->durable);
    free(state);
}

void persisted_trim(router_t *router, uint32_t number)
{
    unsigned held = 0;
    lane_persisted_t *states = &router->lanes[number].persisted;
    while (router->state_bytes > router->config.state_bytes_free && states->settled &&
           states->settled->next && held < HELD_MAX) {
        if (is_held(states->settled)) {
            move(states->settled, &states->settled);
            held++;
        } else {
            forget(router, states, states->settled);
        }
    }
}

/* A change that waits already says what is known when it is taken. */
static void note(lane_persisted_t *states, persisted_t *state)
{
    if (state->list != &states->current) {
        move(state, &states->next);
    }
}

static void set(state_value_t **place, state_value_t *value)
{
    state_value_drop(place);
    *place = value;
}

static lane_persisted_t *states_of(router_t *router, const ownership_t *ownership)
{
    return &lane_of(router, ownership->shard->id)->persisted;
}

/* ---- histories ---- */

static history_t *history_of(router_t *router, persisted_t *state)
{
    if (!state->history) {
        size_t type_size = state->name[0];
        state->history = history_new(
            router, fabric_bytes(state->name + 1, type_size),
            fabric_bytes(state->name + 1 + type_size, state->name_size - 1 - type_size));
    }
    return state->history;
}

static history_t *find_history(const lane_persisted_t *states, fabric_bytes_t type,
                               fabric_bytes_t id)
{
    const persisted_t *state = find(states, key_of(type, id));
    return state ? state->history : NULL;
}

/* The state is in no list, and nobody needs it. */
static void forget_idle(router_t *router, lane_persisted_t *states, persisted_t *state)
{
    if (!state->list && !state->known && !is_held(state)) {
        forget(router, states, state);
    }
}

static history_begin_t begin_of(const history_t *history, const ownership_t *ownership)
{
    bool same = history && token_equal(history->reader, ownership->token);
    return same ? history->begin : BEGIN_SNAPSHOT;
}

static void set_begin(history_t *history, const ownership_t *ownership, history_begin_t begin)
{
    history->begin = begin;
    history->reader = ownership->token;
}

/* The snapshot that the owner begins with; NULL: it begins with all events. */
static const state_value_t *snapshot_of(const persisted_t *state, const ownership_t *ownership)
{
    history_begin_t begin = begin_of(state->history, ownership);
    return begin == BEGIN_ALL || begin == BEGIN_ALL_TRIED ? NULL : state->newest;
}

static uint64_t sequence_of(const state_value_t *snapshot)
{
    return snapshot ? snapshot->row.sequence : 0;
}

/* Whether the events are here that the owner begins with. */
static bool has_events(router_t *router, lane_persisted_t *states, const ownership_t *ownership,
                       persisted_t *state)
{
    return !ownership->appends ||
           history_is_ready(router, &states->history, history_of(router, state),
                            sequence_of(snapshot_of(state, ownership)));
}

/* ---- deliveries ---- */

static bool has_it(const persisted_t *state, const ownership_t *ownership)
{
    return state->given && token_equal(state->given_to, ownership->token);
}

/* The state, if it is known; else it is going to be read. */
static persisted_t *find_known(router_t *router, lane_persisted_t *states, persisted_key_t key)
{
    persisted_t *state = find_or_add(router, states, key);
    if (!state->known && !state->list) {
        move(state, &states->wanted);
    }
    return state->known ? state : NULL;
}

bool persisted_is_ready(router_t *router, const ownership_t *ownership, persisted_key_t key,
                        uint32_t in_flight)
{
    lane_persisted_t *states = states_of(router, ownership);
    persisted_t *state = find_known(router, states, key);
    return state && (has_it(state, ownership) ||
                     (in_flight == 0 && has_events(router, states, ownership, state)));
}

bool persisted_is_given(router_t *router, const ownership_t *ownership, persisted_key_t key)
{
    const persisted_t *state = find(states_of(router, ownership), key);
    return state && has_it(state, ownership);
}

bool persisted_look(router_t *router, shard_id_t shard, fabric_bytes_t type, fabric_bytes_t id,
                    const state_value_t **value)
{
    lane_persisted_t *states = &lane_of(router, shard)->persisted;
    const persisted_t *state = find_known(router, states, key_of(type, id));
    bool is_read = state && !state->unread;
    if (is_read) {
        *value = state->durable;
    }
    return is_read;
}

bool persisted_deliver(router_t *router, const ownership_t *ownership, persisted_key_t key,
                       uint64_t activation)
{
    lane_persisted_t *states = states_of(router, ownership);
    persisted_t *state = find(states, key);
    assert(state && state->known);
    if (state->list == &states->settled) {
        move(state, &states->settled); /* used last */
    }
    if (has_it(state, ownership)) {
        return false;
    }
    message_entity_state_t message = {.shard = ownership->shard->id.value,
                                      .home_epoch = ownership->token.home_epoch,
                                      .owner_sequence = ownership->token.owner_sequence,
                                      .activation = activation,
                                      .type = key.type,
                                      .id = key.id};
    const state_value_t *snapshot = snapshot_of(state, ownership);
    if (snapshot) {
        message.version = snapshot->row.version;
        message.state = snapshot->row.state;
        message.sequence = snapshot->row.sequence;
    }
    message_put_entity_state(peer_writer(router, ownership->owner->peer), &message);
    if (ownership->appends) {
        history_give(router, ownership, state->history, sequence_of(snapshot), activation);
    }
    state->given = true;
    state->given_to = ownership->token;
    router->counters.states_given++;
    return true;
}

void persisted_restart(router_t *router, const ownership_t *ownership, persisted_key_t key)
{
    persisted_t *state = find(states_of(router, ownership), key);
    if (state) {
        state->given = false;
    }
}

/* ---- results ---- */

state_value_t *persisted_change(router_t *router, persisted_key_t key, const store_state_t *row)
{
    lane_persisted_t *states = &lane_of(router, row->shard)->persisted;
    persisted_t *state = find_or_add(router, states, key);
    state_value_t *value = state_value_new(row);
    state_value_count(value, &router->state_bytes);
    if (!state->known) { /* it was forgotten while the message was in flight */
        state->known = state->unread = true;
        move(state, NULL);
    }
    if (state->list == &states->settled) {
        move(state, NULL); /* it must stay until it is durable, and its row says so */
    }
    set(&state->newest, value);
    if (state->history) {
        state->history->begin = BEGIN_SNAPSHOT;
    }
    router->counters.states_changed++;
    return state_value_share(value);
}

void persisted_commit(router_t *router, persisted_key_t key, state_value_t **value)
{
    lane_persisted_t *states = &lane_of(router, (*value)->row.shard)->persisted;
    persisted_t *state = find(states, key);
    assert(state && state->known);
    set(&state->durable, *value);
    state->unread = false;
    *value = NULL;
    note(states, state);
}

void persisted_revert(router_t *router, shard_id_t shard, fabric_bytes_t type, fabric_bytes_t id)
{
    lane_persisted_t *states = &lane_of(router, shard)->persisted;
    persisted_t *state = type.size > 0 ? find(states, key_of(type, id)) : NULL;
    if (!state || !state->known) {
        return;
    }
    state->given = false;
    if (state->history) {
        state->history->owed = false;
        history_revert(router, state->history);
    }
    if (state->newest == state->durable) {
        return;
    }
    set(&state->newest, state_value_share(state->durable));
    if (!state->list && state->unread && is_held(state)) {
        state->known = state->unread = false; /* what is stored is read when it is needed */
    } else if (!state->list && !state->durable && is_held(state)) {
        move(state, &states->settled);
    } else if (!state->list && !state->durable) {
        forget(router, states, state); /* nothing is stored, as far as is known */
    } else if (!state->list) {
        note(states, state);
    }
}

/* ---- events ---- */

history_t *persisted_history(router_t *router, shard_id_t shard, fabric_bytes_t type,
                             fabric_bytes_t id)
{
    persisted_t *state = find(&lane_of(router, shard)->persisted, key_of(type, id));
    assert(state);
    return history_of(router, state);
}

bool persisted_goes_on(router_t *router, const ownership_t *ownership, fabric_bytes_t type,
                       fabric_bytes_t id, const journal_effects_t *effects)
{
    const history_t *history = find_history(states_of(router, ownership), type, id);
    return history && history_goes_on(history, effects);
}

events_value_t *persisted_append(router_t *router, const store_event_t *first,
                                 const journal_events_t *events)
{
    history_t *history = persisted_history(router, first->shard, first->type, first->entity);
    events_value_t *value = events_value_new(first, events);
    history_append(router, history, events_value_share(value));
    router->counters.events_appended += events->count;
    return value;
}

void persisted_commit_events(router_t *router, events_value_t **value, uint64_t number)
{
    lane_persisted_t *states = &lane_of(router, (*value)->shard)->persisted;
    history_t *history = find_history(states, (*value)->type, (*value)->entity);
    assert(history);
    history_commit(&states->history, history, *value, number);
    events_value_drop(value);
}

bool persisted_unreadable(router_t *router, const ownership_t *ownership, fabric_bytes_t type,
                          fabric_bytes_t id)
{
    persisted_t *state = find(states_of(router, ownership), key_of(type, id));
    bool had_it = state && ownership->appends && snapshot_of(state, ownership);
    if (state && ownership->appends) {
        history_t *history = history_of(router, state);
        set_begin(history, ownership, BEGIN_ALL);
        history->owed = true;
    }
    return had_it;
}

void persisted_refused(router_t *router, const ownership_t *ownership, fabric_bytes_t type,
                       fabric_bytes_t id)
{
    persisted_t *state = find(states_of(router, ownership), key_of(type, id));
    if (state && ownership->appends) {
        history_t *history = history_of(router, state);
        history_begin_t begin = begin_of(history, ownership);
        if (begin == BEGIN_SNAPSHOT && state->newest) {
            set_begin(history, ownership, BEGIN_ALL_TRIED);
        } else if (begin == BEGIN_ALL_TRIED) {
            set_begin(history, ownership, BEGIN_SNAPSHOT_AGAIN);
        }
        history->owed = state->newest && !snapshot_of(state, ownership);
    }
}

size_t persisted_events_loaded(router_t *router, uint32_t number, fabric_error_t error,
                               events_value_t **values, size_t count, size_t done)
{
    return history_loaded(router, &router->lanes[number].persisted.history, error, values, count,
                          done);
}

history_fault_t persisted_take_fault(router_t *router, uint32_t number, fabric_bytes_t type,
                                     fabric_bytes_t id)
{
    history_t *history = find_history(&router->lanes[number].persisted, type, id);
    history_fault_t fault = {0};
    if (history && history->stage == HISTORY_READY) {
        fault = history->fault;
    }
    if (fault.gap > 0 || fault.excess > 0) {
        history_rest(router, history);
    }
    return fault;
}

void persisted_events_hold(router_t *router, shard_id_t shard, fabric_bytes_t type,
                           fabric_bytes_t id)
{
    lane_persisted_t *states = &lane_of(router, shard)->persisted;
    history_hold(history_of(router, find_or_add(router, states, key_of(type, id))));
}

void persisted_events_release(router_t *router, shard_id_t shard, fabric_bytes_t type,
                              fabric_bytes_t id)
{
    lane_persisted_t *states = &lane_of(router, shard)->persisted;
    persisted_t *state = find(states, key_of(type, id));
    if (state && state->history) {
        history_release(router, state->history);
        forget_idle(router, states, state);
    }
}

const events_value_t *persisted_events(router_t *router, shard_id_t shard, fabric_bytes_t type,
                                       fabric_bytes_t id)
{
    const history_t *history = find_history(&lane_of(router, shard)->persisted, type, id);
    return history ? history->values : NULL;
}

bool router_take_events(router_t *router, uint32_t number, router_events_t *read)
{
    router_lane_t *lane = &router->lanes[number];
    return lane->state == LANE_HOME && history_take_read(&lane->persisted.history, read);
}

/* ---- reads ---- */

static void add_name(lane_persisted_t *states, const persisted_t *state)
{
    uint8_t *name = states->name_bytes + states->count * NAME_MAX_BYTES;
    size_t type_size = state->name[0];
    memcpy(name, state->name, state->name_size);
    states->names[states->count++] = (store_entity_name_t){
        .type = fabric_bytes(name + 1, type_size),
        .entity = fabric_bytes(name + 1 + type_size, state->name_size - 1 - type_size)};
}

bool router_take_states(router_t *router, uint32_t number, router_states_t *read)
{
    router_lane_t *lane = &router->lanes[number];
    lane_persisted_t *states = &lane->persisted;
    if (states->running || !states->wanted || lane->state != LANE_HOME) {
        return false;
    }
    if (!states->names) {
        states->names = memory_allocate(READ_MAX * sizeof *states->names);
        states->name_bytes = memory_allocate((size_t)READ_MAX * NAME_MAX_BYTES);
    }
    states->count = 0;
    while (states->wanted && states->count < READ_MAX) {
        persisted_t *state = states->wanted;
        add_name(states, state);
        move(state, &states->reading);
    }
    states->running = true;
    *read = (router_states_t){states->names, states->count, READ_BYTES_MAX};
    return true;
}

static void take_row(router_t *router, lane_persisted_t *states, state_value_t *value)
{
    persisted_t *state = find(states, key_of(value->row.type, value->row.entity));
    if (!state || state->known || state->list != &states->reading) {
        state_value_drop(&value); /* more is known by now */
        return;
    }
    state_value_count(value, &router->state_bytes);
    set(&state->newest, state_value_share(value));
    set(&state->durable, value);
}

/* The state is known now, also where there is none: its entity may go on. */
static void end_reading(lane_persisted_t *states, const store_entity_name_t *name)
{
    persisted_t *state = find(states, key_of(name->type, name->entity));
    if (!state || state->known || state->list != &states->reading) {
        return;
    }
    state->known = true;
    move(state, &states->settled);
}

size_t persisted_loaded(router_t *router, uint32_t number, fabric_error_t error,
                        state_value_t **values, size_t count, size_t done)
{
    lane_persisted_t *states = &router->lanes[number].persisted;
    bool dropped = states->dropped;
    states->running = states->dropped = false;
    for (size_t i = 0; i < count; i++) {
        if (dropped || error) {
            state_value_drop(&values[i]);
        } else {
            take_row(router, states, values[i]);
        }
    }
    done = dropped || error ? 0 : done;
    for (size_t i = 0; i < done; i++) {
        end_reading(states, &states->names[i]);
    }
    while (states->reading) { /* is read again; a state that was read beyond `done` stays */
        move(states->reading, &states->wanted);
    }
    return done;
}

/* ---- the lane ---- */

void persisted_adopt(router_t *router, adoption_t *adoption)
{
    lane_persisted_t *states = &router->lanes[adoption->hold.lane].persisted;
    for (size_t i = 0; i < adoption->state_count; i++) {
        state_value_t *value = adoption->states[i];
        persisted_t *state =
            find_or_add(router, states, key_of(value->row.type, value->row.entity));
        state->known = true;
        state_value_count(value, &router->state_bytes);
        set(&state->newest, state_value_share(value));
        set(&state->durable, value);
        note(states, state);
    }
    free(adoption->states);
    adoption->states = NULL;
    adoption->state_count = 0;
    for (size_t i = 0; i < adoption->event_count; i++) {
        events_value_t *value = adoption->events[i];
        persisted_t *state = find_or_add(router, states, key_of(value->type, value->entity));
        history_adopt(router, &states->history, history_of(router, state), value);
    }
    free((void *)adoption->events);
    adoption->events = NULL;
    adoption->event_count = 0;
}

void persisted_drop(lane_persisted_t *states)
{
    states->dropped = states->running;
}

bool persisted_drop_next(router_t *router, lane_persisted_t *states)
{
    if (states->by_name) {
        forget(router, states, states->by_name);
    }
    return states->by_name;
}

void persisted_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        lane_persisted_t *states = &router->lanes[i].persisted;
        while (persisted_drop_next(router, states)) {
        }
        free(states->names);
        free(states->name_bytes);
        history_lane_destroy(&states->history);
    }
}

/* ---- checkpoints ---- */

void persisted_checkpoint_begins(lane_persisted_t *states)
{
    persisted_t *state;
    while ((state = states->next)) {
        move(state, &states->current);
    }
    history_checkpoint_begins(&states->history);
}

void persisted_take(lane_persisted_t *states, uint64_t slice)
{
    states->current->slice = slice;
    move(states->current, NULL);
}

void persisted_settled(router_t *router, const store_state_t *row, uint64_t slice)
{
    lane_persisted_t *states = &lane_of(router, row->shard)->persisted;
    persisted_t *state = find(states, key_of(row->type, row->entity));
    if (state && !state->list && state->slice == slice && state->newest == state->durable) {
        move(state, &states->settled);
        persisted_trim(router, lane_number(router, row->shard));
    }
}

void persisted_events_settled(router_t *router, const events_value_t *value, uint64_t slice)
{
    lane_persisted_t *states = &lane_of(router, value->shard)->persisted;
    persisted_t *state = find(states, key_of(value->type, value->entity));
    if (state && state->history) {
        history_settled(router, state->history, slice);
        forget_idle(router, states, state);
    }
}
