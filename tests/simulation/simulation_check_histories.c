/* Events of entities (I4) beyond the journal: their rows, what homes give to owners, and what
 * readers are told, agree with it. See simulation_check_events.h.
 */
#include "tests/simulation/simulation_check_events.h"

#include "core/memory.h"
#include "tests/memory/memory_store.h"

enum { UNDONE_MAX = 512 }; /* messages of a frame that are looked at again */

/* ---- rows ---- */

/* The entity of an event's row; UINT32_MAX, and a failure: the row is wrong. */
static unsigned check_row(const store_event_t *row)
{
    ledger_event_t event;
    if (!check_event_decode("a row", row->tag, row->version, row->payload, &event)) {
        return UINT32_MAX;
    }
    unsigned entity = watch.calls[event.call].entity;
    const watched_history_t *history = &histories[entity];
    ledger_id_t id = ledger_id_of(entity);
    const fabric_entity_type_t *type = ledger_type(ledger_type_of(entity));
    bool same = check_event_is(history, row->sequence, &event) &&
                fabric_bytes_equal(row->entity, fabric_bytes_of(id.text)) &&
                fabric_bytes_equal(row->type, fabric_bytes_of(type->name));
    if (same) {
        const watched_event_t *watched = &history->all[row->sequence - 1];
        same = row->id.value == watched->request_id && row->number == watched->number &&
               row->recorded_ms == watched->recorded_ms;
    }
    if (!same) {
        world_fail("I4: entity %u: a row has event %llu, of entry %llu, as the journal does not",
                   entity, (ull)row->sequence, (ull)row->number);
        return UINT32_MAX;
    }
    return entity;
}

static void check_snapshot_row(const store_state_t *row)
{
    unsigned entity = check_entity_named(row->type, row->entity);
    ledger_t state;
    if (entity == UINT32_MAX || !check_has_events(entity) ||
        !check_snapshot_decode(entity, row->version, row->state, &state)) {
        return;
    }
    watched_history_t *history = &histories[entity];
    if (!check_is_fold(history, row->sequence, state.handled, state.chain)) {
        world_fail("I4: entity %u: its row has a snapshot of %llu events that is not their fold",
                   entity, (ull)row->sequence);
    }
    if (row->sequence > history->rows) {
        world_fail("I4: entity %u: its row has a snapshot of %llu events, and %llu have rows",
                   entity, (ull)row->sequence, (ull)history->rows);
    }
    if (row->sequence < history->row_snapshot) {
        world_fail("I4: entity %u: its snapshot goes back from %llu events to %llu", entity,
                   (ull)history->row_snapshot, (ull)row->sequence);
    }
    history->row_snapshot = row->sequence;
}

/* Rows are written in the order of the events, and before the snapshot that contains them. */
void check_event_slice(uint32_t lane, const store_slice_t *slice)
{
    if (world.forgot || world.plan.events == 0) {
        return;
    }
    for (size_t i = 0; i < slice->event_count; i++) {
        const store_event_t *row = &slice->events[i];
        unsigned entity = check_row(row);
        if (entity == UINT32_MAX) {
            return;
        }
        uint64_t *rows = &histories[entity].rows;
        if (row->sequence > *rows + 1) {
            world_fail("I4: entity %u: %llu events have rows, and then the one of sequence %llu "
                       "gets one, in lane %u",
                       entity, (ull)*rows, (ull)row->sequence, lane);
        }
        *rows = row->sequence > *rows ? row->sequence : *rows;
    }
    for (size_t i = 0; i < slice->state_count; i++) {
        check_snapshot_row(&slice->states[i]);
    }
}

typedef struct rows_look {
    uint32_t lane;
    uint64_t rows[ENTITIES_MAX]; /* events, in order */
    uint64_t snapshots[ENTITIES_MAX];
} rows_look_t;

static void look_at_event(void *context, uint32_t lane, const store_event_t *row)
{
    rows_look_t *look = context;
    unsigned entity = lane == look->lane ? check_row(row) : UINT32_MAX;
    if (entity != UINT32_MAX && row->sequence != ++look->rows[entity]) {
        world_fail("I4: entity %u: the row of event %llu follows that of event %llu", entity,
                   (ull)row->sequence, (ull)look->rows[entity] - 1);
    }
}

static void look_at_snapshot(void *context, uint32_t lane, const store_state_t *row)
{
    rows_look_t *look = context;
    unsigned entity = lane == look->lane ? check_entity_named(row->type, row->entity) : UINT32_MAX;
    if (entity != UINT32_MAX && check_has_events(entity)) {
        check_snapshot_row(row);
        look->snapshots[entity] = row->sequence;
    }
}

static uint64_t snapshot_as_of(const watched_history_t *history, uint64_t number)
{
    uint64_t sequence = 0;
    for (size_t i = 0; i < history->snapshot_count && history->snapshots[i].number <= number; i++) {
        sequence = history->snapshots[i].sequence;
    }
    return sequence;
}

void check_event_rows(uint32_t lane, uint64_t number)
{
    rows_look_t look = {.lane = lane};
    if (world.plan.events == 0) {
        return;
    }
    memory_store_dump_events(SIMULATION_DATABASE, look_at_event, &look);
    for (unsigned i = 0; i < ENTITIES_MAX; i++) { /* a slice may have been written late */
        uint64_t *rows = &histories[i].rows;
        *rows = look.rows[i] > *rows ? look.rows[i] : *rows;
    }
    memory_store_dump_states(SIMULATION_DATABASE, look_at_snapshot, &look);
    for (unsigned i = 0; i < ENTITIES_MAX; i++) {
        const watched_history_t *history = &histories[i];
        if (history->count == 0 || check_lane_of(i) != lane) {
            continue;
        }
        uint64_t expected = check_events_as_of(history, number);
        if (look.rows[i] < expected) {
            world_fail("I4: entity %u has %llu rows of events at the checkpoint of %llu, of %llu",
                       i, (ull)look.rows[i], (ull)number, (ull)expected);
        }
        if (look.snapshots[i] < snapshot_as_of(history, number)) {
            world_fail("I4: entity %u has a snapshot of %llu events in its row at the checkpoint "
                       "of %llu, stored was one of %llu",
                       i, (ull)look.snapshots[i], (ull)number,
                       (ull)snapshot_as_of(history, number));
        }
    }
}

/* ---- what stands ---- */

static void join_record(void *context, uint32_t place, const decoded_record_t *record)
{
    rows_look_t *look = context;
    uint32_t number = record->kind == DECODED_RESULT && record->event_count > 0
                          ? check_find_request(record->id)
                          : UINT32_MAX;
    (void)place;
    if (number == UINT32_MAX) {
        return;
    }
    unsigned entity = watch.calls[number].entity;
    uint64_t last = record->first_event + record->event_count - 1;
    if (record->first_event > look->rows[entity] + 1) {
        world_fail("I4: entity %u: the events between %llu and %llu stand nowhere", entity,
                   (ull)look->rows[entity], (ull)record->first_event);
    }
    look->rows[entity] = last > look->rows[entity] ? last : look->rows[entity];
}

static bool join_entry(void *context, const store_entry_t *entry)
{
    const char *fault = decode_body(entry->body, join_record, context);
    if (fault) {
        world_fail("lane %u: entry %llu cannot be decoded: %s", entry->lane, (ull)entry->number,
                   fault);
    }
    return true;
}

void check_events_stand(void)
{
    if (world.plan.events == 0 || world.forgot || world.over) {
        return;
    }
    check_store();
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        rows_look_t look = {.lane = i};
        uint64_t checkpoint = memory_store_lane(SIMULATION_DATABASE, i).number;
        memory_store_dump_events(SIMULATION_DATABASE, look_at_event, &look);
        memory_store_dump_entries_from(SIMULATION_DATABASE, i, checkpoint + 1, join_entry, &look);
        for (unsigned k = 0; k < ENTITIES_MAX; k++) {
            bool here = histories[k].count > 0 && check_lane_of(k) == i;
            if (here && look.rows[k] != histories[k].count) {
                world_fail("I4: entity %u: rows and journal have %llu events, of %zu", k,
                           (ull)look.rows[k], histories[k].count);
            }
        }
    }
}

void check_events_at_end(void)
{
    check_events_stand();
    for (unsigned i = 0; i < world.plan.clients; i++) {
        unsigned entity = simulated_client_behind(world.clients[i]);
        if (entity != UINT32_MAX) {
            world_fail("I4: client %u does not get the last events of entity %u, which has %zu", i,
                       entity, histories[entity].count);
        }
    }
}

/* ---- owners ---- */

/* A home that has been deposed may give what was, and one may give what it has not stored yet. */
static bool is_home(const process_t *broker, unsigned entity, uint64_t shard, token_t token)
{
    uint32_t number = shard_id_number((shard_id_t){(uint32_t)shard});
    return watch.lanes[number % world.plan.lanes].epoch == token.home_epoch &&
           !token_less(token, check_newest_token(broker, ledger_type_of(entity), shard));
}

/* What was given before the frame that is looked at, which may turn out not to be sent yet. */
static struct {
    watched_giving_t *giving;
    watched_giving_t before;
} undone[UNDONE_MAX];
static size_t undone_count;

void check_events_frame_begins(void)
{
    undone_count = 0;
}

void check_events_frame_blocked(void)
{
    while (undone_count > 0) {
        undone_count--;
        *undone[undone_count].giving = undone[undone_count].before;
    }
}

/* It is about to be changed. */
static watched_giving_t *giving_of(const process_t *broker, unsigned entity)
{
    watched_giving_t *giving = &histories[entity].givings[broker->index];
    if (undone_count < UNDONE_MAX) {
        undone[undone_count].giving = giving;
        undone[undone_count++].before = *giving;
    }
    return giving;
}

void check_snapshot_given(const process_t *broker, unsigned entity,
                          const message_entity_state_t *given)
{
    ledger_t state = {0};
    const watched_history_t *history = &histories[entity];
    if (given->state.size > 0 &&
        !check_snapshot_decode(entity, given->version, given->state, &state)) {
        return;
    }
    if (given->sequence != state.handled ||
        (given->sequence <= history->count &&
         !check_is_fold(history, given->sequence, state.handled, state.chain))) {
        world_fail("I4: entity %u: broker %u gives a snapshot of %llu events, which has %u", entity,
                   broker->index, (ull)given->sequence, state.handled);
    }
    world_note("given", entity, given->sequence, given->version);
    *giving_of(broker, entity) =
        (watched_giving_t){.open = true,
                           .token = {given->home_epoch, given->owner_sequence},
                           .activation = given->activation,
                           .sequence = given->sequence,
                           .chain = state.chain};
}

static bool take_given(const process_t *broker, unsigned entity, watched_giving_t *giving,
                       const decoded_event_t *next)
{
    const watched_history_t *history = &histories[entity];
    ledger_event_t event;
    if (!check_event_decode("an owner", next->tag, next->version, next->payload, &event)) {
        return false;
    }
    giving->sequence++;
    giving->chain = check_event_chain(giving->chain, &event);
    bool stored = giving->sequence <= history->count;
    if (watch.calls[event.call].entity != entity || event.run >= watch.run_count ||
        (stored && !check_event_is(history, giving->sequence, &event))) {
        world_fail("I4: entity %u: broker %u gives as event %llu that of call %u, by run %u",
                   entity, broker->index, (ull)giving->sequence, event.call, event.run);
        return false;
    }
    return true;
}

static void end_giving(const process_t *broker, unsigned entity, watched_giving_t *giving,
                       uint64_t shard)
{
    watched_history_t *history = &histories[entity];
    giving->open = false;
    if (is_home(broker, entity, shard, giving->token) && giving->sequence < history->count) {
        world_fail("I4: entity %u: broker %u gives %llu events, and %zu are stored", entity,
                   broker->index, (ull)giving->sequence, history->count);
    }
    if (giving->sequence <= history->count &&
        !check_is_fold(history, giving->sequence, (uint32_t)giving->sequence, giving->chain)) {
        world_fail("I4: entity %u: broker %u gives %llu events that are not those stored", entity,
                   broker->index, (ull)giving->sequence);
    }
    history->beginnings = memory_reserve(history->beginnings, history->beginning_count + 1,
                                         &history->beginning_capacity, sizeof *history->beginnings);
    history->beginnings[history->beginning_count++] =
        (watched_beginning_t){giving->token.home_epoch, giving->sequence, giving->chain};
}

void check_events_given(const process_t *broker, const message_entity_events_t *given)
{
    unsigned entity = check_entity_named(given->type, given->id);
    if (world.forgot) {
        return;
    }
    if (entity == UINT32_MAX || !check_has_events(entity)) {
        world_fail("I4: broker %u gives events of an entity that has none", broker->index);
        return;
    }
    watched_giving_t *giving = giving_of(broker, entity);
    token_t token = {given->home_epoch, given->owner_sequence};
    if (!giving->open || giving->activation != given->activation ||
        token_less(giving->token, token) || token_less(token, giving->token) ||
        given->first != giving->sequence + 1) {
        world_fail("I4: entity %u: broker %u gives events from %llu on, behind %llu", entity,
                   broker->index, (ull)given->first, (ull)giving->sequence);
        return;
    }
    wire_reader_t reader = wire_reader(given->events);
    uint32_t count = wire_get_array(&reader);
    fabric_bytes_t list = fabric_bytes(reader.next, wire_left(&reader));
    for (uint32_t i = 0; i < count; i++) {
        decoded_event_t next;
        if (!decode_event(&list, &next) || !take_given(broker, entity, giving, &next)) {
            return;
        }
    }
    world.result->parts += given->more != 0;
    if (!given->more) {
        end_giving(broker, entity, giving, given->shard);
    }
}

/* ---- readers ---- */

typedef struct told_event {
    uint64_t sequence, request_id;
    int64_t recorded_ms;
    ledger_event_t event;
} told_event_t;

/* The next event of an answer. */
static bool next_told(wire_reader_t *reader, told_event_t *told)
{
    uint32_t parts = wire_get_array(reader);
    told->sequence = wire_get_uint(reader);
    fabric_bytes_t tag = wire_get_str(reader);
    uint64_t version = wire_get_uint(reader);
    told->recorded_ms = (int64_t)wire_get_uint(reader);
    told->request_id = wire_get_uint(reader);
    fabric_bytes_t payload = wire_get_bin(reader);
    return !reader->failed && parts == 6 &&
           check_event_decode("an answer", tag, version, payload, &told->event);
}

/* Begins to read an answer to "events"; false: it is one to something else. */
static bool open_told(fabric_bytes_t document, wire_reader_t *reader, uint32_t *count)
{
    *reader = wire_reader(document);
    bool is_it = wire_get_map(reader) == 2 &&
                 fabric_bytes_equal(wire_get_str(reader), fabric_bytes_of("events"));
    *count = is_it ? wire_get_array(reader) : 0;
    return is_it && !reader->failed;
}

static void check_told_event(unsigned entity, const told_event_t *told)
{
    const watched_history_t *history = &histories[entity];
    bool same = check_event_is(history, told->sequence, &told->event);
    if (same) {
        const watched_event_t *watched = &history->all[told->sequence - 1];
        same = watched->request_id == told->request_id && watched->recorded_ms == told->recorded_ms;
    }
    if (!same) {
        world_fail("I4: entity %u: a reader is told event %llu, by call %u and run %u; %zu are "
                   "stored",
                   entity, (ull)told->sequence, told->event.call, told->event.run, history->count);
    }
}

void check_events_told(const process_t *broker, const message_answer_t *answer)
{
    wire_reader_t reader;
    uint32_t count;
    told_event_t told;
    (void)broker;
    if (world.forgot || world.plan.events == 0 || answer->error ||
        !open_told(answer->document, &reader, &count)) {
        return;
    }
    for (uint32_t i = 0; i < count && next_told(&reader, &told); i++) {
        check_told_event(watch.calls[told.event.call].entity, &told);
    }
}

void check_events_read(unsigned entity, fabric_bytes_t document, uint64_t *after, bool *more)
{
    wire_reader_t reader;
    uint32_t count;
    told_event_t told;
    *more = false;
    if (!open_told(document, &reader, &count)) {
        world_fail("I4: entity %u: the answer to a reader cannot be read", entity);
        return;
    }
    for (uint32_t i = 0; i < count && next_told(&reader, &told); i++) {
        if (!world.forgot && told.sequence != *after + 1) {
            world_fail("I4: entity %u: a reader is told event %llu behind event %llu", entity,
                       (ull)told.sequence, (ull)*after);
        }
        if (!world.forgot) {
            check_told_event(entity, &told);
        }
        *after = told.sequence;
        world.result->read++;
    }
    *more = fabric_bytes_equal(wire_get_str(&reader), fabric_bytes_of("more")) &&
            wire_get_bool(&reader);
}
