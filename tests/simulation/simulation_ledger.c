/* The entity of the simulation: a ledger to which each message appends its number. Some messages
 * end in defects at first, some fail, some are answered later. Now and then an instance cannot be
 * built.
 */
#include <stdio.h>
#include <string.h>

#include <fabric/ask.h>

#include "core/limits.h"
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_processes.h"

enum {
    LATER_US_MAX = 40000,
    LATER_OF_10000 = 2500,
    OBEYS_OF_10000 = 7000,
    UNBUILT_OF_10000 = 300,
    FAILING_UNBUILT_OF_10000 = 2000,
    KEEPS_OF = 5,        /* calls: one of so many asks to be kept alive, another one not to be */
    ENDS_OF = 37,        /* and one of so many ends its entity's state */
    BREAKS_OF = 11,      /* of so many messages of handlers one breaks at first */
    DEATH_US_MAX = 2000, /* of a worker that runs poison */
    RESTART_US_MAX = 300000,
    REPORT_US_MAX = 100000 /* a start in time for a report within the grace */
};

static const fabric_field_t request_fields[] = {
    FABRIC_U32(ledger_request_t, call),
    FABRIC_U32(ledger_request_t, defects),
    FABRIC_U32(ledger_request_t, fails),
};
static const fabric_schema_t request_schema =
    FABRIC_SCHEMA("LedgerRequest", ledger_request_t, request_fields);

static const fabric_field_t reply_fields[] = {
    FABRIC_U32(ledger_reply_t, call),
    FABRIC_U32(ledger_reply_t, run),
};
const fabric_schema_t ledger_reply_schema =
    FABRIC_SCHEMA("LedgerReply", ledger_reply_t, reply_fields);

/* The key stands in no message: the checker knows it. */
static size_t key_of(const void *bytes, uint8_t *key, size_t capacity)
{
    const ledger_request_t *request = bytes;
    uint32_t number = check_watched(request->call)->key;
    if (number == 0 || capacity < sizeof number) {
        return 0;
    }
    memcpy(key, &number, sizeof number);
    return sizeof number;
}

/* The failure of every other message that fails; the others fail with a code and a text. */
enum { REFUSED = 3 };
static const fabric_choice_t failure_items[] = {
    FABRIC_VARIANT(REFUSED, "Refused", ledger_reply_schema, NULL)};
static const fabric_choices_t failures = FABRIC_CHOICES("LedgerFailure", failure_items);

#define APPEND(...)                                                                                \
    {                                                                                              \
        .tag = "Append", .request = &request_schema, .reply = &ledger_reply_schema,                \
        .durable = true, .primary_key = key_of, .failures = &failures, __VA_ARGS__                 \
    }
const fabric_message_type_t ledger_append = APPEND(.early_delivery = false);
static const fabric_message_type_t append_early = APPEND(.early_delivery = true);
const fabric_message_type_t ledger_peek = {.tag = "Peek",
                                           .request = &request_schema,
                                           .reply = &ledger_reply_schema,
                                           .failures = &failures};

process_t *ledger_worker;

static const fabric_field_t state_fields[] = {
    FABRIC_U32(ledger_t, handled),
    FABRIC_U64(ledger_t, chain),
};
const fabric_schema_t ledger_state_schema = FABRIC_SCHEMA("LedgerState", ledger_t, state_fields);

static const fabric_field_t event_fields[] = {
    FABRIC_U32(ledger_event_t, call),
    FABRIC_U32(ledger_event_t, run),
    FABRIC_U32(ledger_event_t, index),
    FABRIC_BYTES_VIEW(ledger_event_t, filler),
};
const fabric_schema_t ledger_event_schema =
    FABRIC_SCHEMA("LedgerEvent", ledger_event_t, event_fields);

static void apply(void *state, const void *event)
{
    ledger_t *ledger = state;
    ledger->handled++;
    ledger->chain = check_event_chain(ledger->chain, event);
}

/* The first row is of the past. */
static const fabric_event_type_t event_types[] = {
    {"Appended", 1, &ledger_event_schema, apply},
    {"Appended", 2, &ledger_event_schema, apply},
    {"Noted", 1, &ledger_event_schema, apply},
};

const fabric_event_type_t *ledger_event_type(uint32_t index)
{
    return &event_types[1 + index % LEDGER_EVENT_TAGS];
}

fabric_bytes_t ledger_filler(uint32_t call, uint32_t index)
{
    static uint8_t bytes[LEDGER_FILLER_MAX];
    bool large = world.plan.large_events && (call + index) % 4 == 0;
    size_t size = large ? sizeof bytes : call % 8;
    memset(bytes, (int)(1 + call % 255), size);
    return fabric_bytes(bytes, size);
}

/* The late answer of a pending run. The handle outlives the worker. */
static void on_answer(event_t *event)
{
    fabric_pending_t *pending = event->subject;
    ledger_reply_t reply = {(uint32_t)event->number, (uint32_t)event->extra};
    if (pending) {
        fabric_pending_reply(&pending, &reply);
    }
}

/* The run stops, and its answer will not come. Where no call may fail, it does so for its caller
 * only: the outcome of a volatile one would be unknown. */
static void on_interrupt(void *argument, fabric_interrupt_t why)
{
    event_t *event = argument;
    fabric_pending_t *pending = event->subject;
    if (world.plan.rolling && why == FABRIC_INTERRUPT_STOP) {
        return;
    }
    event->subject = NULL;
    world.result->interrupted++;
    fabric_pending_interrupted(&pending);
}

static fabric_result_t answer_later(fabric_context_t *context, uint32_t call, uint32_t run)
{
    event_t *event = event_new(ledger_worker, on_answer, fabric_later(context), 0);
    event->drop = on_answer; /* changes nothing any more, but frees the handle */
    event->number = call;
    event->extra = run;
    event_schedule(event, world.now_us + world_between(100, LATER_US_MAX));
    if (world.plan.cancels && world_chance(OBEYS_OF_10000)) {
        fabric_pending_on_interrupt(event->subject, on_interrupt, event);
    }
    return FABRIC_PENDING;
}

/* The worker of a poison message dies, and is started again later. It may have sent results of
 * other messages before. */
static void on_death(event_t *event)
{
    simulated_worker_crash(event->process, check_watched_run((uint32_t)event->extra)->request_id);
    simulated_restart(event->process,
                      world_between(1000, world.calm ? REPORT_US_MAX : RESTART_US_MAX));
    on_answer(event); /* the worker has ended: only the handle is freed */
}

static fabric_result_t die_soon(fabric_context_t *context, uint32_t call, uint32_t run)
{
    event_t *event = event_new(ledger_worker, on_death, fabric_later(context), 0);
    event->drop = on_answer;
    event->number = call;
    event->extra = run;
    event_schedule(event, world.now_us + world_between(0, DEATH_US_MAX));
    return FABRIC_PENDING;
}

static void check_order(fabric_context_t *context, ledger_t *ledger, uint32_t call)
{
    uint64_t id = check_position_of(fabric_context_request_id(context));
    fabric_token_t owner = fabric_context_token(context);
    token_t token = {owner.home_epoch, owner.owner_sequence};
    uint64_t epoch = token.home_epoch;
    if (ledger->last_id > 0 && ledger->last_epoch < epoch) {
        check_outlived(call, ledger->last_request);
    }
    ledger->epoch = ledger->entries > 0 ? ledger->epoch : epoch;
    world.result->outlived += ledger->epoch != epoch;
    if (fabric_context_is_durable(context)) {
        if (ledger->last_id > 0) {
            check_no_gap(call, token, ledger->last_id, id);
        }
        if (id <= ledger->last_id) {
            world_fail("I7: call %u (request %llu) is handled after request %llu on one state",
                       call, (unsigned long long)id, (unsigned long long)ledger->last_id);
        }
        ledger->last_id = id;
        ledger->last_request = fabric_context_request_id(context);
        ledger->last_epoch = epoch;
    }
    ledger->entries++;
}

/* Decided by the call, so that other seeds keep their runs. Whether the entity's state ends. */
static bool keep_some(fabric_context_t *context, uint32_t call)
{
    if (world.plan.keeps && call % KEEPS_OF == 1) {
        fabric_context_keep_alive(context, true);
    } else if (world.plan.keeps && call % KEEPS_OF == 3) {
        fabric_context_keep_alive(context, false);
    } else if (world.plan.keeps && call % ENDS_OF == 7) {
        fabric_context_terminate(context);
        return true;
    }
    return false;
}

static void append_events(fabric_context_t *context, uint32_t call, uint32_t run)
{
    uint32_t count = check_events_of(call);
    for (uint32_t i = 0; i < count; i++) {
        ledger_event_t event = {call, run, i, ledger_filler(call, i)};
        fabric_context_append(context, ledger_event_type(i)->tag, &event);
    }
}

/* What the message does to the part of the state that is stored, whether it breaks then or not. */
static void change(fabric_context_t *context, ledger_t *ledger, uint32_t call, uint32_t run)
{
    if (check_has_events(check_watched(call)->entity)) {
        append_events(context, call, run);
    } else if (check_changes_state(call)) {
        ledger->handled++;
        ledger->chain = check_chain(ledger->chain, fabric_context_request_id(context));
    }
    check_leaves_state(run, ledger->handled, ledger->chain);
}

/* Whatever becomes of the handler: only those of a run whose reply is stored are sent. */
static void tell_others(fabric_context_t *context, uint32_t call, uint32_t run)
{
    uint32_t count = check_may_tell() ? check_tells(call) : 0;
    for (uint32_t i = 0; i < count; i++) {
        unsigned entity = check_told_entity(call, i);
        ledger_id_t id = ledger_id_of(entity);
        ledger_request_t request = {.call = check_tell(run, entity)};
        request.defects = request.call % BREAKS_OF == 0;
        fabric_tell_t tell = {.entity =
                                  fabric_entity(ledger_type(ledger_type_of(entity))->name, id.text),
                              .message = &ledger_append,
                              .request = &request};
        check_watched(request.call)->defects = request.defects;
        fabric_error_t error = fabric_tell(context, &tell);
        if (error) {
            world_fail("call %u cannot tell another entity: %s", call, fabric_error_name(error));
        }
    }
}

static fabric_result_t append(fabric_context_t *context, void *state, const void *bytes,
                              void *answer)
{
    const ledger_request_t *request = bytes;
    ledger_reply_t *reply = answer;
    uint32_t attempt = fabric_context_attempt(context);
    if (request->call >= check_call_count()) {
        world_fail("a handler was given call %u, which there is not", request->call);
        return fabric_defect(context, "no such call");
    }
    fabric_token_t token = fabric_context_token(context);
    uint32_t run = check_run(request->call, ledger_worker, fabric_context_request_id(context),
                             (token_t){token.home_epoch, token.owner_sequence});
    uint32_t entries = ((const ledger_t *)state)->entries;
    const ledger_t *ledger = state;
    check_begins_with(run, ledger->handled, ledger->chain, entries == 0);
    check_order(context, state, request->call);
    change(context, state, request->call, run);
    tell_others(context, request->call, run);
    bool ends = keep_some(context, request->call);
    const watched_call_t *watched = check_watched(request->call);
    bool healed = watched->heals > 0 && watched->resumed >= watched->heals;
    bool breaks = !healed && attempt <= request->defects;
    bool dies =
        watched->kills || (!healed && !breaks && attempt <= request->defects + watched->deaths);
    check_handled(run, ledger_worker,
                  (instance_run_t){entries, fabric_context_delivery(context),
                                   !breaks && !dies && !ends && request->fails});
    if (dies) {
        return die_soon(context, request->call, run);
    }
    if (breaks) {
        check_broke(run, attempt);
        return fabric_defect(context, "attempt %u breaks", attempt);
    }
    if (request->fails && request->call % 2 == 0) {
        return fabric_fail_with(context, REFUSED, &(ledger_reply_t){request->call, run});
    }
    if (request->fails) {
        return fabric_fail(context, run, "refused");
    }
    if (world_chance(LATER_OF_10000)) {
        return answer_later(context, request->call, run);
    }
    *reply = (ledger_reply_t){request->call, run};
    return FABRIC_REPLY;
}

static bool build(fabric_instance_t *instance, void *state)
{
    (void)state;
    fabric_address_t address = fabric_instance_address(instance);
    if (!simulated_worker_facts(ledger_worker).handles) { /* it is kept alive */
        return !world_chance(world.plan.failing ? FAILING_UNBUILT_OF_10000 : UNBUILT_OF_10000) ||
               fabric_build_failed(instance, "not now");
    }
    check_build(address.type, address.id, ledger_worker);
    if (!world_chance(world.plan.failing ? FAILING_UNBUILT_OF_10000 : UNBUILT_OF_10000)) {
        return true;
    }
    check_unbuilt(address.type, address.id, ledger_worker);
    return fabric_build_failed(instance, "not now");
}

static const fabric_handler_t handlers[] = {{&ledger_append, append}, {&ledger_peek, append}};
static const fabric_handler_t early[] = {{&append_early, append}, {&ledger_peek, append}};

#define LEDGER_TYPE(title, messages, ...)                                                          \
    {                                                                                              \
        .name = (title), .state_size = sizeof(ledger_t), .build = build, .handlers = (messages),   \
        .handler_count = 2, .idle_ms = 400, __VA_ARGS__                                            \
    }
#define PERSISTED                                                                                  \
    .state = &ledger_state_schema, .persisted = true, .state_version = LEDGER_STATE_VERSION,       \
    .restore = build
/* The same type, without and with a persisted state, and then with early delivery. */
#define LEDGER_TYPES(title, ...)                                                                   \
    {                                                                                              \
        LEDGER_TYPE(title, handlers, __VA_ARGS__),                                                 \
            LEDGER_TYPE(title, handlers, PERSISTED, __VA_ARGS__),                                  \
            LEDGER_TYPE(title, early, __VA_ARGS__),                                                \
            LEDGER_TYPE(title, early, PERSISTED, __VA_ARGS__)                                      \
    }

static const fabric_entity_type_t types[SIMULATION_TYPES_MAX][4] = {
    LEDGER_TYPES("Ledger", .on_failure = FABRIC_BLOCK),
    LEDGER_TYPES("Savings", .on_failure = FABRIC_BLOCK),
    LEDGER_TYPES("Loans", .on_failure = FABRIC_BLOCK),
    LEDGER_TYPES("Stocks", .on_failure = FABRIC_BLOCK)};

static const fabric_entity_type_t failing_types[SIMULATION_TYPES_MAX][4] = {
    LEDGER_TYPES("Ledger", .on_failure = FABRIC_BLOCK),
    LEDGER_TYPES("Savings", .on_failure = FABRIC_PARK),
    LEDGER_TYPES("Loans", .on_failure = FABRIC_SKIP),
    LEDGER_TYPES("Stocks", .defects_to_caller = true)};

/* The types with events, and those of workers whose snapshots have another version. */
static fabric_entity_type_t eventful[SIMULATION_TYPES_MAX][2];
/* The others, where handlers tell other entities something. */
static fabric_entity_type_t telling[SIMULATION_TYPES_MAX];

static fabric_entity_type_t with_events(const fabric_entity_type_t *type, uint32_t version)
{
    fabric_entity_type_t made = *type;
    made.events = event_types;
    made.event_count = sizeof event_types / sizeof event_types[0];
    made.state = &ledger_state_schema;
    made.state_version = version;
    made.restore = build;
    made.tells = world.plan.tells;
    made.snapshot_every =
        world.plan.snapshot_every > 0 ? world.plan.snapshot_every : FABRIC_NO_SNAPSHOTS;
    return made;
}

static const fabric_entity_type_t *type_of_form(unsigned number, unsigned form)
{
    return world.plan.failing ? &failing_types[number][form] : &types[number][form];
}

void ledger_begin(void)
{
    for (unsigned i = 0; i < SIMULATION_TYPES_MAX; i++) {
        unsigned form = 2 * (world.plan.early >> i & 1);
        eventful[i][0] = with_events(type_of_form(i, form), LEDGER_STATE_VERSION);
        eventful[i][1] = with_events(type_of_form(i, form), LEDGER_STATE_VERSION + 1);
        telling[i] = *type_of_form(i, form + (world.plan.persisted >> i & 1));
        telling[i].tells = true;
    }
}

const fabric_entity_type_t *ledger_other_type(unsigned number)
{
    return world.plan.events >> number & 1 ? &eventful[number][1] : ledger_type(number);
}

const fabric_entity_type_t *ledger_type(unsigned number)
{
    if (world.plan.events >> number & 1) {
        return &eventful[number][0];
    }
    unsigned form = (world.plan.persisted >> number & 1) + 2 * (world.plan.early >> number & 1);
    return world.plan.tells ? &telling[number] : type_of_form(number, form);
}

unsigned ledger_type_of(unsigned entity)
{
    return entity % world.plan.types;
}

ledger_id_t ledger_id_of(unsigned entity)
{
    ledger_id_t id;
    snprintf(id.text, sizeof id.text, "ledger-%u", entity / world.plan.types);
    return id;
}
