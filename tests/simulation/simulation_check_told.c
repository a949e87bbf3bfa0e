/* What handlers of durable messages tell other entities (I4, I10): it leaves when their replies are
 * stored, never without them, and each is accepted once, between two entities in the order in which
 * it was told. See simulation_check.h.
 *
 * A message that a handler has told is a call like those of clients, and is checked as these are.
 * One that is not stored with a reply never was.
 */
#include <assert.h>

#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check_state.h"
#include "tests/simulation/simulation_processes.h"
#include "worker/work.h"

/* In the stored call keys of messages that handlers have told. */
#define OUTGOING_BIT (UINT64_C(1) << 63)

enum {
    TELLS_OF = 4,  /* durable messages: of so many one tells others something */
    TOLD_MAX = 3,  /* so many at most */
    DEPTH_MAX = 3, /* of those that are told by those that were told */
    SPARE = 64     /* calls that are left for others */
};

/* ---- what handlers tell ---- */

uint32_t check_tells(uint32_t number)
{
    const watched_call_t *call = &watch.calls[number];
    bool may = world.plan.tells && check_is_durable(call) && !check_is_early(call) &&
               !call->kills && call->depth < DEPTH_MAX && call->probe_us == 0;
    return may && number % TELLS_OF == 0 ? 1 + number / TELLS_OF % TOLD_MAX : 0;
}

/* Itself, or one of the next ones, so that many are told by the same one. They have its type, which
 * its home knows: a home that does not know a type yet takes what is told to it for a defect. */
unsigned check_told_entity(uint32_t number, uint32_t index)
{
    unsigned entity = watch.calls[number].entity;
    unsigned types = world.plan.types;
    unsigned first = entity % types;
    unsigned count = (world.plan.entities - first + types - 1) / types;
    return first + types * ((entity / types + (number / TELLS_OF + index) % 3) % count);
}

bool check_may_tell(void)
{
    return watch.call_count + SPARE < CALLS_MAX;
}

uint32_t check_tell(uint32_t run, unsigned entity)
{
    watched_run_t *teller = &watch.runs[run];
    uint32_t number = watch.call_count++;
    assert(watch.call_count < CALLS_MAX);
    watch.calls[number] = (watched_call_t){.entity = entity,
                                           .flags = REQUEST_DURABLE | REQUEST_TELL,
                                           .submitted_us = world.now_us,
                                           .teller = run,
                                           .told_index = teller->told++,
                                           .depth = watch.calls[teller->call].depth + 1};
    watch.told++;
    world.plan.calls++; /* they come on top of those of the plan */
    world_note("tell", number, run, entity);
    return number;
}

/* ---- what is stored of it ---- */

/* The call that the payload of an outgoing message names; UINT32_MAX, and a failure: none that a
 * handler has told. */
static uint32_t call_of(fabric_bytes_t payload)
{
    ledger_request_t request;
    if (fabric_schema_decode(ledger_append.request, payload, NULL, &request) ||
        request.call >= watch.call_count || watch.calls[request.call].teller == 0) {
        world_fail("I10: a message is told that no handler has told");
        return UINT32_MAX;
    }
    return request.call;
}

static bool is_to(const watched_call_t *call, fabric_bytes_t type, fabric_bytes_t id)
{
    ledger_id_t text = ledger_id_of(call->entity);
    return fabric_bytes_equal(id, fabric_bytes_of(text.text)) &&
           fabric_bytes_equal(type,
                              fabric_bytes_of(ledger_type(ledger_type_of(call->entity))->name));
}

/* One message of the end of call `number`. `*teller`: the run that has told the first one. */
static void note_told(uint32_t number, const store_outgoing_t *message, uint32_t *teller)
{
    uint32_t told = call_of(message->payload);
    if (told == UINT32_MAX) {
        return;
    }
    watched_call_t *call = &watch.calls[told];
    const watched_run_t *run = &watch.runs[call->teller];
    *teller = *teller > 0 ? *teller : call->teller;
    bool is_right = run->call == number && run->request_id == watch.calls[number].request_id &&
                    call->teller == *teller && call->told_index == message->key.index &&
                    message->flags == call->flags && is_to(call, message->type, message->entity);
    if (!is_right || call->outgoing_id > 0) {
        world_fail("I4: message %u, which run %u has told, is stored with the end of call %u as "
                   "that with the index %u",
                   told, call->teller, number, message->key.index);
    }
    call->outgoing_id = message->key.id;
    watch.told_open++;
    world.result->told++;
    world_note("told", told, message->key.id, number);
}

/* It is larger than all that the entries before knew. */
static void note_outgoing_id(const store_entry_t *entry, uint64_t id)
{
    watched_lane_t *lane = &watch.lanes[entry->lane];
    uint64_t last = lane->outgoing_id > lane->known_before ? lane->outgoing_id : lane->known_before;
    if (id <= last || id > entry->last_id) {
        world_fail("lane %u: entry %llu has outgoing id %llu, after %llu, and the last id %llu",
                   entry->lane, (ull)entry->number, (ull)id, (ull)last, (ull)entry->last_id);
    }
    lane->outgoing_id = id;
}

void check_told_with(const store_entry_t *entry, const journal_record_t *record)
{
    uint32_t number = check_find_request(record->id.value);
    if (number == UINT32_MAX) {
        return;
    }
    const watched_call_t *call = &watch.calls[number];
    uint32_t wanted = record->reply.status == STATUS_OK ? check_tells(number) : 0;
    uint32_t teller = (uint32_t)call->reply_run;
    bool may_lack = watch.call_count + 2 * SPARE >= CALLS_MAX; /* see check_may_tell */
    if (record->outgoing.count != wanted && !(may_lack && record->outgoing.count == 0)) {
        world_fail("I4: call %u ends with status %u and %u messages to others, its handler tells "
                   "%u",
                   number, record->reply.status, record->outgoing.count, wanted);
    }
    if (record->outgoing.count == 0) {
        return;
    }
    note_outgoing_id(entry, record->outgoing.id);
    journal_outgoing_reader_t reader = journal_outgoing_open(&record->outgoing);
    store_outgoing_t message;
    while (journal_outgoing_next(&reader, &message)) {
        note_told(number, &message, &teller);
    }
}

/* Whether it was told before the other one, by the same entity to the same one. */
static bool is_before(const watched_call_t *one, const watched_call_t *other)
{
    const watched_call_t *from = &watch.calls[watch.runs[one->teller].call];
    const watched_call_t *same = &watch.calls[watch.runs[other->teller].call];
    return one->entity == other->entity && from->entity == same->entity &&
           (one->outgoing_id < other->outgoing_id ||
            (one->outgoing_id == other->outgoing_id && one->told_index < other->told_index));
}

static void check_told_order(uint32_t number)
{
    const watched_call_t *call = &watch.calls[number];
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *other = &watch.calls[i];
        if (other->outgoing_id > 0 && other->request_id == 0 && is_before(other, call)) {
            world_fail("I7: entity %u is told %u by entity %u, and %u, which it told before, is "
                       "not accepted",
                       call->entity, number, watch.calls[watch.runs[call->teller].call].entity, i);
        }
    }
}

uint32_t check_told_accepted(const store_message_t *message)
{
    uint32_t number = call_of(message->payload);
    if (number == UINT32_MAX) {
        return number;
    }
    const watched_call_t *call = &watch.calls[number];
    const watched_run_t *run = &watch.runs[call->teller];
    if (call->outgoing_id == 0) {
        world_fail("I10: message %u, which run %u has told, is accepted, and no reply of call %u "
                   "is stored that has it",
                   number, call->teller, run->call);
    }
    if (message->call.client != run->request_id ||
        message->call.sequence != (OUTGOING_BIT | (call->told_index + 1u))) {
        world_fail("I8: message %u is accepted under the call key (%llu,%llu) of another one",
                   number, (ull)message->call.client, (ull)message->call.sequence);
    }
    if (message->id.value <= call->outgoing_id) {
        world_fail("message %u is accepted as %llu, its outgoing id is %llu", number,
                   (ull)message->id.value, (ull)call->outgoing_id);
    }
    check_told_order(number);
    return number;
}

static watched_call_t *find_told(uint64_t source, uint64_t outgoing_id, uint32_t index)
{
    for (uint32_t i = 0; i < watch.call_count; i++) {
        watched_call_t *call = &watch.calls[i];
        if (call->outgoing_id == outgoing_id && call->told_index == index &&
            watch.runs[call->teller].request_id == source) {
            return call;
        }
    }
    return NULL;
}

void check_sent(const journal_record_t *record)
{
    journal_sent_reader_t reader = journal_sent_open(&record->sent);
    store_sent_t end;
    while (journal_sent_next(&reader, &end)) {
        watched_call_t *call = find_told(record->id.value, record->sent.id, end.index);
        uint32_t number = call ? (uint32_t)(call - watch.calls) : UINT32_MAX;
        if (!call || call->sent) {
            world_fail("message %llu/%u of request %llu ends, and %s", (ull)record->sent.id,
                       end.index, (ull)record->id.value, call ? "has ended" : "was not told");
            continue;
        }
        if (end.cause != 0 || end.id.value != call->request_id) {
            world_fail("I1: message %u, which run %u has told, ends as %llu with cause %u, and is "
                       "stored as %llu",
                       number, call->teller, (ull)end.id.value, end.cause, (ull)call->request_id);
        }
        call->sent = true;
        watch.told_open--;
    }
}

/* ---- the end ---- */

typedef struct rows_left {
    uint32_t lane;
    const store_outgoing_key_t *sent;
    size_t sent_count;
} rows_left_t;

static void look_at_row(void *context, uint32_t lane, const store_outgoing_t *row)
{
    const rows_left_t *left = context;
    bool ended = lane != left->lane;
    for (size_t i = 0; i < left->sent_count && !ended; i++) {
        ended = left->sent[i].id == row->key.id && left->sent[i].index == row->key.index;
    }
    if (!ended) {
        world_fail("message %llu/%u of lane %u is open by its row, and has ended", (ull)row->key.id,
                   row->key.index, lane);
    }
}

void check_told_at_end(uint32_t lane, journal_fold_t *fold)
{
    size_t open = 0;
    rows_left_t left = {.lane = lane};
    if (!world.plan.tells) {
        return;
    }
    (void)journal_fold_outgoing(fold, &open);
    if (open > 0) {
        world_fail("%zu messages of lane %u are open in the journal, and have ended", open, lane);
    }
    left.sent = journal_fold_sent(fold, &left.sent_count);
    memory_store_dump_outgoing(SIMULATION_DATABASE, look_at_row, &left);
}

/* ---- results ---- */

bool check_get_result(wire_reader_t *body, message_kind_t kind, message_result_t *result)
{
    message_result_state_t with_state;
    if (kind == KIND_RESULT_STATE && !message_get_result_state(body, &with_state)) {
        *result = work_result_of_state(&with_state);
        return true;
    }
    message_result_events_t with_events;
    if (kind == KIND_RESULT_EVENTS && !message_get_result_events(body, &with_events)) {
        *result = work_result_of_events(&with_events);
        return true;
    }
    message_result_told_t told;
    if (kind == KIND_RESULT_TOLD && !message_get_result_told(body, &told)) {
        with_events = work_result_of_told(&told);
        *result = work_result_of_events(&with_events);
        return true;
    }
    return kind == KIND_RESULT && !message_get_result(body, result);
}
