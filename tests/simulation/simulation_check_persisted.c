/* Persisted states (I4): what is stored of an entity is what the messages make of it whose ends are
 * stored, each once, in the order of the lane. See simulation_check.h. */
#include <stdlib.h>

#include "core/memory.h"
#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check_failing.h"
#include "tests/simulation/simulation_processes.h"

enum { READS_OF = 7 }; /* durable calls: one of so many changes nothing */

/* A state as it was stored; that with the place i has been changed i + 1 times. */
typedef struct watched_state {
    uint64_t chain;
    uint64_t number; /* of the entry */
} watched_state_t;

typedef struct watched_states {
    watched_state_t *all; /* from the first one on */
    size_t count, capacity;
    uint32_t row_handled; /* of its row, when that was seen last */
    bool seen;            /* its row, at the present look */
} watched_states_t;

static watched_states_t states[ENTITIES_MAX];

void check_states_free(void)
{
    for (size_t i = 0; i < ENTITIES_MAX; i++) {
        free(states[i].all);
    }
    memset(states, 0, sizeof states);
}

/* ---- what messages do ---- */

bool check_changes_state(uint32_t call)
{
    return check_is_durable(&watch.calls[call]) && call % READS_OF != READS_OF - 1;
}

uint64_t check_chain(uint64_t chain, uint64_t request_id)
{
    chain = (chain ^ request_id) * UINT64_C(0x9e3779b97f4a7c15);
    return chain ^ chain >> 29;
}

void check_leaves_state(uint32_t run, uint32_t handled, uint64_t chain)
{
    watch.runs[run].handled = handled;
    watch.runs[run].chain = chain;
}

/* ---- what is stored ---- */

unsigned check_entity_named(fabric_bytes_t type, fabric_bytes_t id)
{
    for (unsigned entity = 0; entity < ENTITIES_MAX; entity++) {
        ledger_id_t text = ledger_id_of(entity);
        if (fabric_bytes_equal(id, fabric_bytes_of(text.text)) &&
            fabric_bytes_equal(type, fabric_bytes_of(ledger_type(ledger_type_of(entity))->name))) {
            return entity;
        }
    }
    return UINT32_MAX;
}

static bool is_persisted(unsigned entity)
{
    return ledger_type(ledger_type_of(entity))->persisted;
}

bool check_is_persisted(const watched_call_t *call)
{
    return is_persisted(call->entity);
}

bool check_leaves_any_state(uint64_t request_id)
{
    uint32_t number = check_find_request(request_id);
    return number != UINT32_MAX && check_changes_state(number) &&
           check_is_persisted(&watch.calls[number]);
}

static uint64_t last_chain(const watched_states_t *of)
{
    return of->count > 0 ? of->all[of->count - 1].chain : 0;
}

/* How often the state had been changed as of an entry. */
static uint32_t handled_as_of(const watched_states_t *of, uint64_t number)
{
    size_t count = of->count;
    while (count > 0 && of->all[count - 1].number > number) {
        count--;
    }
    return (uint32_t)count;
}

/* Whether the state was stored once; an entity begins without any. */
static bool was_stored(const watched_states_t *of, uint32_t handled, uint64_t chain)
{
    return handled <= of->count && chain == (handled > 0 ? of->all[handled - 1].chain : 0);
}

static bool decode(unsigned entity, uint64_t version, fabric_bytes_t bytes, ledger_t *state)
{
    bool good = version == LEDGER_STATE_VERSION &&
                !fabric_schema_decode(&ledger_state_schema, bytes, NULL, state) &&
                state->handled > 0;
    if (!good) {
        world_fail("I4: entity %u: a state of version %llu that no handler has left", entity,
                   (ull)version);
    }
    return good;
}

static void check_change(const store_entry_t *entry, uint32_t number, const ledger_t *state)
{
    const watched_call_t *call = &watch.calls[number];
    watched_states_t *of = &states[call->entity];
    uint64_t chain = check_chain(last_chain(of), call->request_id);
    if (state->handled != of->count + 1 || state->chain != chain) {
        world_fail("I4: entity %u: after %zu changes the %uth one is stored, by call %u, in entry "
                   "%llu of lane %u, and it has not begun with what was stored before",
                   call->entity, of->count, state->handled, number, (ull)entry->number,
                   entry->lane);
    }
    of->all = memory_reserve(of->all, of->count + 1, &of->capacity, sizeof *of->all);
    of->all[of->count++] = (watched_state_t){state->chain, entry->number};
    world.result->states++;
    world_note("state", call->entity, state->handled, state->chain);
}

/* The run whose answer is stored began with what was stored before, whether it has changed that or
 * not, and whether that counts or not. */
static void check_begun(const watched_call_t *call, uint32_t number)
{
    const watched_states_t *of = &states[call->entity];
    const watched_run_t *run = &watch.runs[call->reply_run];
    bool changes = check_changes_state(number);
    uint64_t chain = last_chain(of);
    chain = changes ? check_chain(chain, call->request_id) : chain;
    if (call->reply_run > 0 && check_is_persisted(call) &&
        (run->handled != of->count + changes || run->chain != chain)) {
        world_fail("I4: call %u: the answer of run %llu is stored, which has left the state of %u "
                   "changes, after %zu",
                   number, (ull)call->reply_run, run->handled, of->count);
    }
}

void check_state_stored(const store_entry_t *entry, const journal_record_t *record)
{
    const store_state_t *left = &record->state;
    uint32_t number = check_find_request(record->id.value);
    if (number == UINT32_MAX) {
        return;
    }
    const watched_call_t *call = &watch.calls[number];
    if (check_has_events(call->entity)) {
        return;
    }
    check_begun(call, number);
    /* Neither a failure changes a state, nor a message that was cancelled. */
    bool changes = check_is_persisted(call) && check_changes_state(number) &&
                   record->reply.status == STATUS_OK;
    if (left->state.size == 0) {
        if (changes) {
            world_fail("I4: call %u has ended, and what it has changed is not stored", number);
        }
        return;
    }
    if (!changes || check_entity_named(left->type, left->entity) != call->entity) {
        world_fail("I4: call %u, of entity %u, ends with status %u and a state of %.*s", number,
                   call->entity, record->reply.status, (int)left->entity.size,
                   (const char *)left->entity.data);
        return;
    }
    ledger_t state;
    if (decode(call->entity, left->version, left->state, &state)) {
        check_change(entry, number, &state);
    }
}

/* ---- what is given, and seen ---- */

void check_state_given(const process_t *broker, const message_entity_state_t *given)
{
    unsigned entity = check_entity_named(given->type, given->id);
    ledger_t state = {0};
    world.result->given++;
    if (world.forgot) {
        return;
    }
    if (entity != UINT32_MAX && check_has_events(entity)) {
        check_snapshot_given(broker, entity, given);
        return;
    }
    if (entity == UINT32_MAX || !is_persisted(entity)) {
        world_fail("I4: broker %u gives a state of an entity that has none", broker->index);
        return;
    }
    if (given->state.size > 0 && !decode(entity, given->version, given->state, &state)) {
        return;
    }
    const watched_states_t *of = &states[entity];
    token_t token = {given->home_epoch, given->owner_sequence};
    uint32_t shard = shard_id_number((shard_id_t){(uint32_t)given->shard});
    const watched_lane_t *lane = &watch.lanes[shard % world.plan.lanes];
    /* A home that has been deposed may give what was. One may give what it has not stored yet. */
    bool is_home =
        lane->epoch == token.home_epoch &&
        !token_less(token, check_newest_token(broker, ledger_type_of(entity), given->shard));
    if (is_home && state.handled < of->count) {
        world_fail("I4: entity %u: broker %u gives the state of %u changes, %zu are stored", entity,
                   broker->index, state.handled, of->count);
    } else if (state.handled <= of->count && !was_stored(of, state.handled, state.chain)) {
        world_fail("I4: entity %u: broker %u gives a state after %u changes that was never stored",
                   entity, broker->index, state.handled);
    }
}

void check_state_seen(const watched_call_t *call)
{
    const watched_run_t *run = &watch.runs[call->run];
    if (check_has_events(call->entity)) {
        check_events_seen(call);
        return;
    }
    if (check_is_persisted(call) && !world.forgot &&
        !was_stored(&states[call->entity], run->handled, run->chain)) {
        world_fail("I4: volatile call %u was answered by a handler that saw %u changes, and these "
                   "are not stored",
                   (uint32_t)(call - watch.calls), run->handled);
    }
}

/* ---- rows ---- */

typedef struct state_look {
    uint32_t lane;
    uint64_t number; /* of the checkpoint */
} state_look_t;

static void look_at_row(void *context, uint32_t lane, const store_state_t *row)
{
    const state_look_t *look = context;
    if (lane != look->lane) {
        return;
    }
    unsigned entity = check_entity_named(row->type, row->entity);
    ledger_t state = {0};
    if (entity != UINT32_MAX && check_has_events(entity)) {
        return;
    }
    if (entity == UINT32_MAX || !is_persisted(entity)) {
        world_fail("I4: lane %u has a state of an entity that has none", lane);
        return;
    }
    if (!decode(entity, row->version, row->state, &state)) {
        return;
    }
    watched_states_t *of = &states[entity];
    of->seen = true;
    uint64_t number = row->number > look->number ? row->number : look->number;
    if (!was_stored(of, state.handled, state.chain)) {
        world_fail("I4: entity %u has a row after %u changes that was never stored", entity,
                   state.handled);
    } else if (state.handled < handled_as_of(of, number)) {
        world_fail("I4: entity %u: its row, of entry %llu, has %u changes, stored were %u at the "
                   "checkpoint of %llu",
                   entity, (ull)row->number, state.handled, handled_as_of(of, number),
                   (ull)look->number);
    }
    if (state.handled < of->row_handled) {
        world_fail("I4: entity %u: its row goes back from %u changes to %u", entity,
                   of->row_handled, state.handled);
    }
    of->row_handled = state.handled;
}

uint32_t check_lane_of(unsigned entity)
{
    for (uint32_t i = 0; i < watch.call_count; i++) {
        if (watch.calls[i].entity == entity && watch.calls[i].request_id != 0) {
            return watch.calls[i].lane;
        }
    }
    return UINT32_MAX;
}

void check_state_rows(uint32_t lane, uint64_t number)
{
    state_look_t look = {lane, number};
    if (world.plan.persisted == 0) {
        return;
    }
    for (unsigned i = 0; i < ENTITIES_MAX; i++) {
        states[i].seen = false;
    }
    memory_store_dump_states(SIMULATION_DATABASE, look_at_row, &look);
    for (unsigned i = 0; i < ENTITIES_MAX; i++) {
        bool wants = !states[i].seen && handled_as_of(&states[i], number) > 0;
        if (wants && check_lane_of(i) == lane) {
            world_fail("I4: entity %u has a state, and no row at the checkpoint of %llu", i,
                       (ull)number);
        }
    }
}

/* ---- the end ---- */

typedef struct last_states {
    uint32_t lane;
    uint32_t handled[ENTITIES_MAX];
    uint64_t chains[ENTITIES_MAX];
} last_states_t;

static void take_last(void *context, uint32_t lane, const store_state_t *row)
{
    last_states_t *last = context;
    unsigned entity = lane == last->lane ? check_entity_named(row->type, row->entity) : UINT32_MAX;
    ledger_t state = {0};
    if (entity != UINT32_MAX && !check_has_events(entity) &&
        decode(entity, row->version, row->state, &state)) {
        last->handled[entity] = state.handled;
        last->chains[entity] = state.chain;
    }
}

void check_states_at_end(uint32_t lane, const journal_fold_t *fold)
{
    last_states_t last = {.lane = lane};
    memory_store_dump_states(SIMULATION_DATABASE, take_last, &last);
    size_t count = 0;
    const store_state_t *left = journal_fold_states(fold, &count);
    for (size_t i = 0; i < count; i++) {
        take_last(&last, lane, &left[i]);
    }
    for (unsigned i = 0; i < ENTITIES_MAX; i++) {
        const watched_states_t *of = &states[i];
        if (of->count > 0 && check_lane_of(i) == lane &&
            (last.handled[i] != of->count || last.chains[i] != last_chain(of))) {
            world_fail("I4: entity %u: at the end %u changes stand in the store, of %zu", i,
                       last.handled[i], of->count);
        }
    }
}
