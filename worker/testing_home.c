/* The home of an entity that is tested alone: see testing_home.h. */
#include "worker/testing_home.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/memory.h"
#include "worker/executor.h"
#include "worker/executor_events.h"
#include "worker/executor_state.h"
#include "worker/testing_fold.h"

/* When the time of a test begins: any time but 0 will do. */
#define BEGIN_MS 1000u

struct testing_home {
    type_table_t *types;
    const fabric_entity_type_t *type;
    char id[LIMIT_NAME_BYTES_MAX + 1];
    executor_t *executor;
    interrupts_t *interrupts;
    work_lease_t lease;
    uint64_t now_ms;
    token_t token;
    uint64_t activation;
    uint64_t request_id; /* of the last message */
    uint32_t causes;     /* what keeps the entity alive (enum alive_cause) */
    bool store_fails;    /* at the next commit */
    /* What is stored; without bytes: nothing is. */
    wire_writer_t state; /* of a type with events: the snapshot */
    uint32_t state_version;
    uint64_t state_sequence;  /* of the last event in the snapshot */
    wire_writer_t event_list; /* see core/journal/events.h */
    wire_writer_t given;      /* of these, with the last delivery */
    uint32_t event_count;
    /* The last message, to deliver it again. `message` is NULL: it is not to be handled again. */
    const fabric_message_type_t *message;
    wire_writer_t payload, headers;
    uint64_t delivery, attempt, deadline_ms;
    bool cancelled;
    const char *tag; /* of the last message, also where it is over */
    /* What became of it. */
    bool ended;
    message_result_t result; /* its payload is in `reply` */
    wire_writer_t reply;
    bool changed; /* the result brings a state */
    uint32_t new_version;
    uint64_t new_sequence;
    wire_writer_t new_state;
    wire_writer_t new_events;
    uint32_t new_event_count;
    char fault[LIMIT_TEXT_BYTES_MAX + 1]; /* see testing_home_fault */
    /* Wakes the test when a handle of fabric_later() was completed. */
    pthread_mutex_t lock;
    pthread_cond_t completed;
    bool woken;
};

static const shard_id_t home_shard = {1u << 16 | 1u};
static const work_source_t home_source = {0, 1};
/* How many homes this process has made: no two of them are of one cluster. */
static atomic_uint homes;

static void on_completion(void *context)
{
    testing_home_t *home = (testing_home_t *)context;
    pthread_mutex_lock(&home->lock);
    home->woken = true;
    pthread_cond_broadcast(&home->completed);
    pthread_mutex_unlock(&home->lock);
}

static void begin(testing_home_t *home)
{
    work_t *order = work_new(WORK_BEGIN, 0, home_source, 0);
    order->shard = home_shard;
    order->token = home->token;
    order->lease = &home->lease;
    home->activation++;
    executor_give(home->executor, &order);
}

testing_home_t *testing_home_new(const fabric_entity_type_t *type, const char *id,
                                 type_table_t *types)
{
    testing_home_t *home = (testing_home_t *)memory_allocate_zeroed(1, sizeof *home);
    if (pthread_mutex_init(&home->lock, NULL) != 0 ||
        pthread_cond_init(&home->completed, NULL) != 0) {
        abort();
    }
    home->types = types;
    home->type = type;
    strcpy(home->id, id);
    home->now_ms = BEGIN_MS;
    home->token = (token_t){1, 1};
    unsigned number = atomic_fetch_add(&homes, 1);
    memcpy(home->lease.cluster_id, &number, sizeof number);
    atomic_init(&home->lease.start_until_ms, UINT64_MAX);
    home->interrupts = interrupts_new();
    home->executor = executor_new(types, NULL,
                                  &(executor_hooks_t){.wake = on_completion,
                                                      .wake_context = home,
                                                      .interrupts = home->interrupts});
    begin(home);
    return home;
}

void testing_home_destroy(testing_home_t **home)
{
    testing_home_t *self = *home;
    if (!self) {
        return;
    }
    executor_destroy(&self->executor);
    interrupts_destroy(&self->interrupts);
    type_table_destroy(&self->types);
    pthread_cond_destroy(&self->completed);
    pthread_mutex_destroy(&self->lock);
    wire_writer_t *const writers[] = {&self->state,      &self->event_list, &self->payload,
                                      &self->headers,    &self->reply,      &self->new_state,
                                      &self->new_events, &self->given};
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        wire_writer_destroy(writers[i]);
    }
    free(self);
    *home = NULL;
}

/* ---- the instance ---- */

static const type_entry_t *entry_of(const testing_home_t *home)
{
    return type_table_find(home->types, fabric_bytes_of(home->type->name));
}

static entity_t *find(const testing_home_t *home)
{
    return entity_find(&home->executor->entities, entry_of(home), fabric_bytes_of(home->id));
}

bool testing_home_has_instance(const testing_home_t *home)
{
    const entity_t *entity = find(home);
    return entity && entity_is_resident(entity);
}

const void *testing_home_memory(const testing_home_t *home)
{
    entity_t *entity = find(home);
    return entity && entity_is_resident(entity) ? entity_memory(entry_of(home), entity) : NULL;
}

/* ---- what the executor puts out ---- */

static journal_events_t stored_events(const testing_home_t *home)
{
    return (journal_events_t){.first = home->event_count > 0 ? 1 : 0,
                              .count = home->event_count,
                              .list = wire_writer_bytes(&home->event_list)};
}

static void copy(wire_writer_t *writer, fabric_bytes_t bytes)
{
    wire_writer_reset(writer);
    wire_append(writer, bytes.data, bytes.size);
}

static void take_result(testing_home_t *home, const message_result_t *result)
{
    home->ended = true;
    home->result = *result;
    copy(&home->reply, result->payload);
    home->result.payload = wire_writer_bytes(&home->reply);
}

static bool take_events(testing_home_t *home, const message_result_events_t *changed)
{
    journal_events_t events;
    if (journal_events_read(changed->events, changed->first, &events) != FABRIC_OK ||
        (events.count > 0 && events.first != home->event_count + UINT64_C(1))) {
        return false;
    }
    const message_result_t result = work_result_of_events(changed);
    take_result(home, &result);
    home->changed = true;
    home->new_event_count = events.count;
    copy(&home->new_events, events.list);
    home->new_version = (uint32_t)changed->version;
    home->new_sequence = changed->sequence;
    copy(&home->new_state, changed->state);
    return true;
}

/* Whether the message was sound: it is the executor's own encoding. */
static bool take_message(testing_home_t *home, message_kind_t kind, wire_reader_t *body)
{
    message_alive_t alive;
    message_result_t result;
    message_result_state_t changed;
    message_result_events_t appended;
    if (kind == KIND_ALIVE && message_get_alive(body, &alive) == FABRIC_OK) {
        home->causes = (uint32_t)alive.causes;
        return true;
    }
    if (kind == KIND_RESULT_STATE && message_get_result_state(body, &changed) == FABRIC_OK) {
        result = work_result_of_state(&changed);
        take_result(home, &result);
        home->changed = true;
        home->new_version = (uint32_t)changed.version;
        copy(&home->new_state, changed.state);
        return true;
    }
    if (kind == KIND_RESULT_EVENTS && message_get_result_events(body, &appended) == FABRIC_OK) {
        return take_events(home, &appended);
    }
    if (kind == KIND_RESULT && message_get_result(body, &result) == FABRIC_OK) {
        take_result(home, &result);
        return true;
    }
    return false;
}

static void take_output(testing_home_t *home, const work_output_t *output)
{
    wire_reader_t messages = wire_reader(work_output_messages(output));
    wire_reader_t body;
    while (frame_next(&messages, &body)) {
        message_kind_t kind;
        bool sound = message_open(&body, &kind) == FABRIC_OK && take_message(home, kind, &body);
        assert(sound);
        (void)sound;
    }
}

/* Lets the executor do all that there is to do at this time. */
static void step(testing_home_t *home)
{
    while (executor_step(home->executor, home->now_ms)) {
    }
    work_output_t *first = executor_take_output(home->executor);
    for (const work_output_t *output = first; output; output = output->next) {
        if (output->kind == OUTPUT_RESULTS) {
            take_output(home, output);
        }
    }
    work_output_list_destroy(&first);
}

/* ---- deliveries ---- */

static message_deliver_t delivery_of(const testing_home_t *home, uint64_t flags)
{
    return (message_deliver_t){.shard = home_shard.value,
                               .home_epoch = home->token.home_epoch,
                               .owner_sequence = home->token.owner_sequence,
                               .activation = home->activation,
                               .request_id = home->request_id,
                               .flags = flags,
                               .type = fabric_bytes_of(home->type->name),
                               .id = fabric_bytes_of(home->id)};
}

/* Adds the state with which the entity begins its activation. */
static work_t *add_state(const testing_home_t *home, work_t *work)
{
    message_deliver_t state = delivery_of(home, REQUEST_DURABLE | WORK_STATE);
    state.attempt = home->state_version;
    state.position = home->state_sequence;
    state.payload = wire_writer_bytes(&home->state);
    return work_add(work, &state);
}

/* Adds the events behind that state. */
static work_t *add_events(testing_home_t *home, work_t *work)
{
    store_event_t event;
    const journal_events_t all = stored_events(home);
    journal_events_reader_t reader = journal_events_open(&all);
    for (uint64_t i = 0; i < home->state_sequence && journal_events_next(&reader, &event); i++) {
    }
    const journal_events_t behind = {
        .count = reader.left,
        .list = fabric_bytes(reader.list.next, (size_t)(reader.list.end - reader.list.next))};
    wire_writer_reset(&home->given);
    journal_events_put_array(&home->given, &behind);
    message_deliver_t part = delivery_of(home, REQUEST_DURABLE | WORK_STATE | WORK_EVENTS);
    part.position = home->state_sequence + 1;
    part.payload = wire_writer_bytes(&home->given);
    return work_add(work, &part);
}

/* Gives the delivery, behind what the entity begins its activation with. */
static void give(testing_home_t *home, const message_deliver_t *delivery)
{
    const entity_t *entity = find(home);
    work_t *work = work_new(WORK_DELIVERIES, 0, home_source, 1);
    if (home->type->persisted && (!entity || !entity->persisted)) {
        work = add_state(home, work);
    }
    if (home->type->event_count > 0 && (!entity || !entity->events)) {
        work = add_events(home, add_state(home, work));
    }
    work = work_add(work, delivery);
    executor_give(home->executor, &work);
}

/* Does what there is to do. An entity that is kept alive and has no instance gets one. */
static void settle(testing_home_t *home)
{
    step(home);
    if (home->causes != 0 && !testing_home_has_instance(home)) {
        message_deliver_t wake = delivery_of(home, WORK_WAKE);
        wake.attempt = home->causes;
        give(home, &wake);
        step(home);
    }
}

static void announce_cancel(testing_home_t *home, work_t **order)
{
    const message_deliver_t named = delivery_of(home, 0);
    *order = work_new(WORK_INTERRUPT, 0, home_source, 1);
    (*order)->shard = home_shard;
    (*order)->token = home->token;
    *order = work_add(*order, &named);
    interrupts_announce(home->interrupts, *order);
}

static void wait_for_completion(testing_home_t *home)
{
    pthread_mutex_lock(&home->lock);
    while (!home->woken) {
        pthread_cond_wait(&home->completed, &home->lock);
    }
    home->woken = false;
    pthread_mutex_unlock(&home->lock);
}

/* Delivers the last message, once, and waits for its result. */
static void deliver(testing_home_t *home)
{
    work_t *cancel = NULL;
    message_deliver_t delivery = delivery_of(home, home->message->durable ? REQUEST_DURABLE : 0);
    delivery.delivery = ++home->delivery;
    delivery.attempt = home->attempt;
    delivery.deadline_ms = home->deadline_ms;
    delivery.tag = fabric_bytes_of(home->message->tag);
    delivery.payload = wire_writer_bytes(&home->payload);
    delivery.headers = wire_writer_bytes(&home->headers);
    home->ended = home->changed = false;
    if (home->cancelled) {
        announce_cancel(home, &cancel);
    }
    give(home, &delivery);
    step(home);
    while (!home->ended) {
        executor_give(home->executor, &cancel); /* to a handler that is pending */
        wait_for_completion(home);
        step(home);
    }
    executor_give(home->executor, &cancel);
}

/* ---- what becomes of a message ---- */

/* Goes on under that token, with nothing but what is stored. */
static void move(testing_home_t *home, token_t token)
{
    work_t *order = work_new(WORK_STOP, 0, home_source, 0);
    order->shard = home_shard;
    order->token = home->token;
    order->deadline_ms = home->now_ms;
    interrupts_announce(home->interrupts, order);
    executor_give(home->executor, &order);
    step(home);
    home->token = token;
    begin(home);
    settle(home);
}

typedef enum fate {
    ENDED,     /* its result is an answer */
    NOT_BUILT, /* its handler was not called */
    BROKEN     /* its handler broke */
} fate_t;

static fate_t fate_of(const message_result_t *result)
{
    if (result->error == FABRIC_ERROR_NOT_BUILT) {
        return NOT_BUILT;
    }
    return result->error == FABRIC_ERROR_ENTITY_DEFECT ? BROKEN : ENDED;
}

/* Whether a broker would deliver the message again. */
static bool is_tried_again(const testing_home_t *home, fate_t fate)
{
    return fate == NOT_BUILT ||
           (fate == BROKEN && home->message->durable && !home->type->defects_to_caller &&
            home->type->on_failure != FABRIC_SKIP);
}

/* Stores what the result has brought. Of a type with events it may be without a state. */
static void store(testing_home_t *home)
{
    if (home->new_state.size > 0 || home->type->persisted) {
        copy(&home->state, wire_writer_bytes(&home->new_state));
        home->state_version = home->new_version;
        home->state_sequence = home->new_sequence;
    }
    wire_append(&home->event_list, home->new_events.data, home->new_events.size);
    home->event_count += home->new_event_count;
    wire_writer_reset(&home->new_events);
    home->new_event_count = 0;
}

/* The worker does not read the snapshot: it is given all events. */
static void drop_snapshot(testing_home_t *home)
{
    wire_writer_reset(&home->state);
    home->state_version = 0;
    home->state_sequence = 0;
}

/* Whether the last message has left what the events make. */
static void check_fold(testing_home_t *home)
{
    const testing_fold_t fold = {.types = home->types,
                                 .type = entry_of(home),
                                 .id = home->id,
                                 .events = stored_events(home),
                                 .now_ms = home->now_ms};
    home->fault[0] = '\0';
    if (home->type->event_count > 0 && testing_home_has_instance(home) &&
        !testing_fold_agrees(&fold, testing_home_memory(home), home->tag, home->fault,
                             sizeof home->fault)) {
        testing_home_move(home); /* the next message finds what the events make */
    }
}

static const message_result_t *end(testing_home_t *home)
{
    if (home->result.error == FABRIC_ERROR_SNAPSHOT_UNREADABLE) {
        drop_snapshot(home);
        home->activation++;
        deliver(home);
    }
    if (home->store_fails && home->message->durable && fate_of(&home->result) == ENDED) {
        home->store_fails = false;
        move(home, (token_t){home->token.home_epoch + 1, 1});
        deliver(home);
    }
    if (home->changed) {
        store(home);
    }
    fate_t fate = fate_of(&home->result);
    home->activation += fate != ENDED;
    home->attempt += fate == BROKEN;
    if (!is_tried_again(home, fate)) {
        home->message = NULL;
    }
    settle(home);
    check_fold(home);
    return &home->result;
}

const message_result_t *testing_home_deliver(testing_home_t *home, const testing_message_t *message)
{
    home->request_id++;
    home->message = message->type;
    home->tag = message->type->tag;
    copy(&home->payload, message->payload);
    copy(&home->headers, message->headers);
    home->deadline_ms = message->timeout_ms > 0 ? home->now_ms + message->timeout_ms : 0;
    home->cancelled = message->cancelled;
    home->delivery = 0;
    home->attempt = 1;
    deliver(home);
    return end(home);
}

const message_result_t *testing_home_deliver_again(testing_home_t *home)
{
    if (!home->message) {
        return NULL;
    }
    deliver(home);
    return end(home);
}

void testing_home_fail_store(testing_home_t *home)
{
    home->store_fails = true;
}

/* ---- moves, time and the store ---- */

void testing_home_move(testing_home_t *home)
{
    move(home, (token_t){home->token.home_epoch, home->token.owner_sequence + 1});
}

void testing_home_advance(testing_home_t *home, uint64_t duration_ms)
{
    uint64_t end_ms = home->now_ms + duration_ms;
    settle(home);
    while (home->now_ms < end_ms) {
        uint64_t next_ms = executor_next_deadline(home->executor);
        next_ms = next_ms > home->now_ms ? next_ms : home->now_ms + 1;
        home->now_ms = next_ms < end_ms ? next_ms : end_ms;
        settle(home);
    }
}

/* ---- events ---- */

void testing_home_append(testing_home_t *home, fabric_bytes_t tag, uint32_t version,
                         fabric_bytes_t payload)
{
    journal_events_put(&home->event_list, tag, version, payload);
    home->event_count++;
    testing_home_move(home);
}

uint64_t testing_home_event_count(const testing_home_t *home)
{
    return home->event_count;
}

bool testing_home_event(const testing_home_t *home, uint64_t sequence, store_event_t *event)
{
    const journal_events_t all = stored_events(home);
    journal_events_reader_t reader = journal_events_open(&all);
    while (journal_events_next(&reader, event)) {
        if (event->sequence == sequence) {
            return true;
        }
    }
    return false;
}

const char *testing_home_fault(const testing_home_t *home)
{
    return home->fault;
}

fabric_bytes_t testing_home_stored(const testing_home_t *home, uint32_t *version)
{
    *version = home->state_version;
    return wire_writer_bytes(&home->state);
}

void testing_home_store(testing_home_t *home, uint32_t version, fabric_bytes_t state)
{
    copy(&home->state, state);
    home->state_version = version;
    testing_home_move(home);
}
