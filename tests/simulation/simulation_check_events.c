/* Events of entities (I4): those in the journal are what the handlers have appended whose replies
 * are stored with them, each message once, in the order of the lane, without gaps. Journals are
 * read by the tests' own decoder. See simulation_check.h.
 */
#include "tests/simulation/simulation_check_events.h"

#include <stdlib.h>

#include "core/memory.h"

enum { TOUCHED_MAX = 64 }; /* entities of one entry that are looked at */

watched_history_t histories[ENTITIES_MAX];

void check_events_free(void)
{
    for (size_t i = 0; i < ENTITIES_MAX; i++) {
        free(histories[i].all);
        free(histories[i].snapshots);
        free(histories[i].beginnings);
    }
    memset(histories, 0, sizeof histories);
}

/* ---- what messages do ---- */

bool check_has_events(unsigned entity)
{
    return world.plan.events >> ledger_type_of(entity) & 1;
}

uint32_t check_events_of(uint32_t call)
{
    bool any = check_has_events(watch.calls[call].entity) && check_changes_state(call);
    return !any ? 0 : call % 5 == 0 ? LEDGER_EVENTS_MAX : 1 + (call % 3 == 0);
}

bool check_appends_any(uint64_t request_id)
{
    uint32_t number = check_find_request(request_id);
    return number != UINT32_MAX && check_events_of(number) > 0;
}

uint32_t check_call_of(uint64_t request_id)
{
    return check_find_request(request_id);
}

uint64_t check_event_count(unsigned entity)
{
    return histories[entity].count;
}

uint64_t check_event_chain(uint64_t chain, const ledger_event_t *event)
{
    uint64_t low = (uint64_t)event->call << 2 | event->index;
    return check_chain(chain ^ event->filler.size, (uint64_t)event->run << 32 | low);
}

/* What the run has made of a chain. */
static uint64_t chain_behind(uint64_t chain, uint32_t call, uint32_t run)
{
    uint32_t count = check_events_of(call);
    for (uint32_t i = 0; i < count; i++) {
        ledger_event_t event = {call, run, i, ledger_filler(call, i)};
        chain = check_event_chain(chain, &event);
    }
    return chain;
}

static uint64_t chain_at(const watched_history_t *history, uint64_t sequence)
{
    return sequence > 0 ? history->all[sequence - 1].chain : 0;
}

bool check_is_fold(const watched_history_t *history, uint64_t sequence, uint32_t handled,
                   uint64_t chain)
{
    return handled == sequence && sequence <= history->count &&
           chain == chain_at(history, sequence);
}

uint64_t check_events_as_of(const watched_history_t *history, uint64_t number)
{
    size_t count = history->count;
    while (count > 0 && history->all[count - 1].number > number) {
        count--;
    }
    return count;
}

/* ---- decoding ---- */

bool check_event_decode(const char *where, fabric_bytes_t tag, uint64_t version,
                        fabric_bytes_t payload, ledger_event_t *event)
{
    bool good = !fabric_schema_decode(&ledger_event_schema, payload, NULL, event) &&
                event->call < watch.call_count && event->index < check_events_of(event->call);
    if (good) {
        const fabric_event_type_t *type = ledger_event_type(event->index);
        good = fabric_bytes_equal(tag, fabric_bytes_of(type->tag)) && version == type->version &&
               fabric_bytes_equal(event->filler, ledger_filler(event->call, event->index));
    }
    if (!good) {
        world_fail("I4: %s has an event %.*s of version %llu that no handler appends", where,
                   (int)tag.size, (const char *)tag.data, (ull)version);
    }
    return good;
}

bool check_event_is(const watched_history_t *history, uint64_t sequence,
                    const ledger_event_t *event)
{
    const watched_event_t *watched =
        sequence >= 1 && sequence <= history->count ? &history->all[sequence - 1] : NULL;
    return watched && watched->call == event->call && watched->run == event->run &&
           watched->index == event->index;
}

bool check_snapshot_decode(unsigned entity, uint64_t version, fabric_bytes_t bytes, ledger_t *state)
{
    bool known = version == LEDGER_STATE_VERSION || version == LEDGER_STATE_VERSION + 1;
    bool good = known && !fabric_schema_decode(&ledger_state_schema, bytes, NULL, state);
    if (!good) {
        world_fail("I4: entity %u: a snapshot of version %llu that no handler has left", entity,
                   (ull)version);
    }
    return good;
}

/* ---- what is stored ---- */

typedef struct entry_look {
    const store_entry_t *entry;
    unsigned touched[TOUCHED_MAX];
    size_t touched_count;
} entry_look_t;

static void add_event(const entry_look_t *look, const decoded_record_t *record, uint32_t number,
                      const ledger_event_t *event, bool last)
{
    watched_history_t *history = &histories[watch.calls[number].entity];
    uint64_t chain = check_event_chain(chain_at(history, history->count), event);
    history->all =
        memory_reserve(history->all, history->count + 1, &history->capacity, sizeof *history->all);
    history->all[history->count++] = (watched_event_t){.call = event->call,
                                                       .run = event->run,
                                                       .index = event->index,
                                                       .chain = chain,
                                                       .request_id = record->id,
                                                       .number = look->entry->number,
                                                       .recorded_ms = record->recorded_ms,
                                                       .last = last};
    world.result->appended++;
    world_note("event", watch.calls[number].entity, history->count, chain);
}

/* They are those of one run of this message, all of them. */
static bool check_event(const entry_look_t *look, uint32_t number, const ledger_event_t *event,
                        uint32_t index, uint32_t run)
{
    bool good = event->call == number && event->index == index && event->run == run && run > 0 &&
                run < watch.run_count && watch.runs[run].call == number &&
                watch.runs[run].request_id == watch.calls[number].request_id;
    if (!good) {
        world_fail("I4: call %u ends in entry %llu of lane %u with event %u of call %u, by run %u",
                   number, (ull)look->entry->number, look->entry->lane, event->index, event->call,
                   event->run);
    }
    return good;
}

/* The run whose events are stored. */
static uint32_t take_events(entry_look_t *look, const decoded_record_t *record, uint32_t number)
{
    uint32_t run = 0;
    decoded_event_t next;
    fabric_bytes_t list = record->events;
    for (uint32_t i = 0; i < record->event_count && decode_event(&list, &next); i++) {
        ledger_event_t event;
        if (!check_event_decode("the journal", next.tag, next.version, next.payload, &event)) {
            return 0;
        }
        run = i == 0 ? event.run : run;
        if (!check_event(look, number, &event, i, run)) {
            return 0;
        }
        add_event(look, record, number, &event, i + 1 == record->event_count);
    }
    return run;
}

/* What the run has left is what is stored, whether it counts or not. */
static void check_left(uint32_t number, uint32_t run, bool counts)
{
    const watched_call_t *call = &watch.calls[number];
    const watched_history_t *history = &histories[call->entity];
    const watched_run_t *left = &watch.runs[run];
    uint64_t count = history->count;
    uint64_t chain = chain_at(history, count);
    if (!counts) {
        count += check_events_of(number);
        chain = chain_behind(chain, number, run);
    }
    if (left->handled != count || left->chain != chain) {
        world_fail("I4: call %u: the answer of run %u is stored, which has left the state of %u "
                   "events, of %llu",
                   number, run, left->handled, (ull)count);
    }
}

static void take_snapshot(const entry_look_t *look, const decoded_record_t *record, unsigned entity)
{
    watched_history_t *history = &histories[entity];
    ledger_t state;
    if (record->state.size == 0 ||
        !check_snapshot_decode(entity, record->state_version, record->state, &state)) {
        return;
    }
    if (record->state_sequence != history->count ||
        !check_is_fold(history, record->state_sequence, state.handled, state.chain)) {
        world_fail("I4: entity %u: after %zu events a snapshot of %llu is stored, which has %u",
                   entity, history->count, (ull)record->state_sequence, state.handled);
    }
    history->snapshots = memory_reserve(history->snapshots, history->snapshot_count + 1,
                                        &history->snapshot_capacity, sizeof *history->snapshots);
    history->snapshots[history->snapshot_count++] =
        (watched_snapshot_t){record->state_sequence, look->entry->number};
    world.result->snapshots++;
}

static void look_at_record(void *context, uint32_t place, const decoded_record_t *record)
{
    entry_look_t *look = context;
    uint32_t number = record->kind == DECODED_RESULT ? check_find_request(record->id) : UINT32_MAX;
    (void)place;
    if (number == UINT32_MAX) {
        return;
    }
    const watched_call_t *call = &watch.calls[number];
    const watched_history_t *history = &histories[call->entity];
    bool counts = record->status == STATUS_OK;
    uint32_t expected = counts ? check_events_of(number) : 0;
    if (record->event_count != expected) {
        world_fail("I4: call %u of entity %u ends with status %llu and %llu events", number,
                   call->entity, (ull)record->status, (ull)record->event_count);
        return;
    }
    if (!check_has_events(call->entity)) {
        return; /* simulation_check_persisted.c */
    }
    if ((expected > 0 || record->state.size > 0) &&
        check_entity_named(record->type, record->entity) != call->entity) {
        world_fail("I4: call %u of entity %u ends with events of %.*s", number, call->entity,
                   (int)record->entity.size, (const char *)record->entity.data);
    }
    if (expected > 0 && record->first_event != history->count + 1) {
        world_fail("I4: entity %u: after %zu events the one of sequence %llu is stored, by call %u",
                   call->entity, history->count, (ull)record->first_event, number);
    }
    uint32_t run = expected > 0 ? take_events(look, record, number) : (uint32_t)call->reply_run;
    if (expected > 0 && call->reply_run > 0 && run != call->reply_run) {
        world_fail("I4: call %u: events of run %u are stored with the answer of run %llu", number,
                   run, (ull)call->reply_run);
    }
    if (run > 0) {
        check_left(number, run, counts);
    }
    if (record->state.size > 0 && !counts) {
        world_fail("I4: call %u ends with status %llu and a snapshot", number, (ull)record->status);
    }
    take_snapshot(look, record, call->entity);
    if (counts && look->touched_count < TOUCHED_MAX) {
        look->touched[look->touched_count++] = call->entity;
    }
}

/* After so many events a message brings a snapshot. Of several in one entry the last one is there.
 */
static void check_due(unsigned entity)
{
    const watched_history_t *history = &histories[entity];
    uint64_t last =
        history->snapshot_count > 0 ? history->snapshots[history->snapshot_count - 1].sequence : 0;
    if (world.plan.snapshot_every > 0 && history->count >= last + world.plan.snapshot_every) {
        world_fail("I4: entity %u has %zu events, and its last snapshot has %llu", entity,
                   history->count, (ull)last);
    }
}

void check_events_stored(const store_entry_t *entry)
{
    entry_look_t look = {.entry = entry};
    if (world.plan.events == 0) {
        return;
    }
    const char *fault = decode_body(entry->body, look_at_record, &look);
    if (fault) {
        world_fail("lane %u: entry %llu cannot be decoded: %s", entry->lane, (ull)entry->number,
                   fault);
    }
    for (size_t i = 0; i < look.touched_count; i++) {
        check_due(look.touched[i]);
    }
}

/* ---- what handlers begin with ---- */

/* An instance is built of what the home of its first message has given. */
void check_begins_with(uint32_t run, uint32_t handled, uint64_t chain, bool first)
{
    const watched_run_t *begun = &watch.runs[run];
    unsigned entity = watch.calls[begun->call].entity;
    const watched_history_t *history = &histories[entity];
    bool found = !first || !check_has_events(entity) || world.forgot;
    for (size_t i = history->beginning_count; i > 0 && !found; i--) {
        const watched_beginning_t *given = &history->beginnings[i - 1];
        found = given->epoch == begun->token.home_epoch && given->sequence == handled &&
                given->chain == chain;
    }
    if (!found) {
        world_fail("I4: entity %u: call %u is handled by an instance with %u events, which no home "
                   "has given",
                   entity, begun->call, handled);
    }
}

void check_events_seen(const watched_call_t *call)
{
    const watched_run_t *run = &watch.runs[call->run];
    const watched_history_t *history = &histories[call->entity];
    bool whole = run->handled == 0 ||
                 (run->handled <= history->count && history->all[run->handled - 1].last);
    if (!world.forgot &&
        (!whole || !check_is_fold(history, run->handled, run->handled, run->chain))) {
        world_fail("I4: volatile call %u was answered by a handler that saw %u events, and these "
                   "are not stored",
                   (uint32_t)(call - watch.calls), run->handled);
    }
}
