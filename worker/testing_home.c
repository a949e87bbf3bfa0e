/* The home of an entity that is tested alone: see testing_home.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/outcome.h"
#include "worker/executor_events.h"
#include "worker/executor_state.h"
#include "worker/testing_fold.h"
#include "worker/testing_home_state.h"

/* When the time of a test begins: any time but 0 will do. */
#define BEGIN_MS 1000u

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
    testing_sender_init(&home->sender, &home->now_ms);
    home->executor = executor_new(types, NULL,
                                  &(executor_hooks_t){.wake = on_completion,
                                                      .wake_context = home,
                                                      .sender = &home->sender.port,
                                                      .interrupts = home->interrupts});
    begin(home);
    return home;
}

void testing_home_lend(testing_home_t *home, void *connection)
{
    executor_lend(home->executor, connection);
}

void testing_home_destroy(testing_home_t **home)
{
    testing_home_t *self = *home;
    if (!self) {
        return;
    }
    executor_destroy(&self->executor);
    testing_sender_free(&self->sender);
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

/* What was told is at the sender. */
static bool take_told(testing_home_t *home, const message_result_told_t *told)
{
    const message_result_events_t with = work_result_of_told(told);
    bool stateful = with.state.size > 0 || with.first > 0;
    if (told->count != home->sender.noted_count || (stateful && !take_events(home, &with))) {
        return false;
    }
    if (!stateful) {
        const message_result_t result = work_result_of_events(&with);
        take_result(home, &result);
    }
    home->told = true;
    return true;
}

/* Whether the message was sound: it is the executor's own encoding. */
static bool take_message(testing_home_t *home, message_kind_t kind, wire_reader_t *body)
{
    message_alive_t alive;
    message_result_t result;
    message_result_state_t changed;
    message_result_events_t appended;
    message_result_told_t told;
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
    if (kind == KIND_RESULT_TOLD && message_get_result_told(body, &told) == FABRIC_OK) {
        return take_told(home, &told);
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

/* ---- messages to other entities under test ---- */

static void pass_result(testing_sender_t *sender, uint64_t sequence, const testing_home_t *peer)
{
    testing_sent_t *sent = testing_sender_find(sender, sequence);
    const message_result_t *result = &peer->result;
    fabric_outcome_t outcome = {.error = fabric_error_from_number(result->error),
                                .code = result->code,
                                .request_id = result->request_id};
    bool has_values = result->status == STATUS_OK || result->status == STATUS_TYPED_FAILURE;
    if (result->status == STATUS_TYPED_FAILURE) {
        outcome_set_failure(&outcome, peer->last->failures, result->payload);
    } else if (result->status != STATUS_OK) {
        outcome_set_text(&outcome, result->payload);
    }
    if (sent) {
        testing_sender_answer(sender, sent, &outcome,
                              has_values ? result->payload : fabric_bytes(NULL, 0));
    }
}

/* The connected home that handles the message and is free; NULL: none. */
static testing_home_t *peer_of(const testing_home_t *home, const testing_sent_t *sent)
{
    for (size_t i = 0; i < home->peer_count; i++) {
        testing_home_t *peer = home->peers[i];
        if (!peer->busy &&
            fabric_bytes_equal(sent->shown.entity.type, fabric_bytes_of(peer->type->name)) &&
            fabric_bytes_equal(sent->shown.entity.id, fabric_bytes_of(peer->id))) {
            return peer;
        }
    }
    return NULL;
}

/* Gives one message to a connected entity; false: there is none for a free one. */
static bool route(testing_home_t *home)
{
    testing_sent_t *sent = NULL;
    testing_home_t *peer = NULL;
    for (size_t i = 0; i < home->sender.count && !peer; i++) {
        sent = home->sender.list[i];
        peer = sent->taken ? NULL : peer_of(home, sent);
    }
    if (!peer) {
        return false;
    }
    sent->taken = true;
    peer->asker = home;
    peer->asked = sent->sequence;
    (void)testing_home_deliver(
        peer, &(testing_message_t){.type = sent->shown.message,
                                   .payload = fabric_bytes(sent->payload, sent->size),
                                   .timeout_ms = sent->shown.timeout_ms});
    return true;
}

/* Does all that there is to do at this time, here and at connected entities. */
static void run(testing_home_t *home)
{
    do {
        step(home);
    } while (route(home));
}

bool testing_home_connect(testing_home_t *home, testing_home_t *other)
{
    if (home->peer_count == PEERS_MAX) {
        return false;
    }
    home->peers[home->peer_count++] = other;
    return true;
}

testing_sender_t *testing_home_sender(testing_home_t *home)
{
    return &home->sender;
}

bool testing_home_is_busy(const testing_home_t *home)
{
    return home->busy;
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
    const journal_events_t all = testing_home_events(home);
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
    run(home);
    if (home->causes != 0 && !testing_home_has_instance(home)) {
        message_deliver_t wake = delivery_of(home, WORK_WAKE);
        wake.attempt = home->causes;
        give(home, &wake);
        run(home);
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

/* Whether a handler waits for answers that only the test can bring about. */
static bool waits_for_answers(const testing_home_t *home)
{
    const entity_t *entity = find(home);
    return entity && entity->pending && entity->pending->asks;
}

static void wait_for_result(testing_home_t *home)
{
    run(home);
    while (!home->ended && !waits_for_answers(home)) {
        wait_for_completion(home);
        run(home);
    }
}

/* Delivers the last message, once, and waits for its result, or for answers. */
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
    home->ended = home->changed = home->told = false;
    testing_sender_forget_noted(&home->sender);
    if (home->cancelled) {
        announce_cancel(home, &cancel);
    }
    give(home, &delivery);
    run(home);
    executor_give(home->executor, &cancel); /* to a handler that is pending */
    wait_for_result(home);
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

/* A message that waits for answers when its entity moves is delivered again, if it is durable. */
static void move_waiting(testing_home_t *home)
{
    if (!home->busy || home->ended) {
        return;
    }
    if (home->message->durable) {
        deliver(home);
    } else {
        const message_result_t lost = {.request_id = home->request_id,
                                       .status = STATUS_DEFECT,
                                       .error = FABRIC_ERROR_OUTCOME_UNKNOWN};
        take_result(home, &lost);
    }
    (void)testing_home_go_on(home);
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
                                 .events = testing_home_events(home),
                                 .now_ms = home->now_ms};
    home->fault[0] = '\0';
    if (home->type->event_count > 0 && testing_home_has_instance(home) &&
        !testing_fold_agrees(&fold, testing_home_memory(home), home->last->tag, home->fault,
                             sizeof home->fault)) {
        testing_home_move(home); /* the next message finds what the events make */
    }
}

/* NULL: the message has not ended. */
static const message_result_t *end(testing_home_t *home)
{
    if (home->ended && home->result.error == FABRIC_ERROR_SNAPSHOT_UNREADABLE) {
        drop_snapshot(home);
        home->activation++;
        deliver(home);
    }
    if (!home->ended) {
        return NULL;
    }
    if (home->store_fails && home->message->durable && fate_of(&home->result) == ENDED) {
        home->store_fails = false;
        move(home, (token_t){home->token.home_epoch + 1, 1});
        deliver(home);
        if (!home->ended) {
            return NULL;
        }
    }
    home->busy = false;
    if (home->changed) {
        store(home);
    }
    if (home->told) {
        testing_sender_send_noted(&home->sender);
    }
    testing_sender_forget_noted(&home->sender);
    fate_t fate = fate_of(&home->result);
    home->activation += fate != ENDED;
    home->attempt += fate == BROKEN;
    if (!is_tried_again(home, fate)) {
        home->message = NULL;
    }
    testing_home_t *asker = home->asker;
    home->asker = NULL;
    if (asker) {
        pass_result(&asker->sender, home->asked, home);
    }
    settle(home);
    check_fold(home);
    return &home->result;
}

const message_result_t *testing_home_deliver(testing_home_t *home, const testing_message_t *message)
{
    home->request_id++;
    home->busy = true;
    home->last = message->type;
    home->message = message->type;
    copy(&home->payload, message->payload);
    copy(&home->headers, message->headers);
    home->deadline_ms = message->timeout_ms > 0 ? home->now_ms + message->timeout_ms : 0;
    home->cancelled = message->cancelled;
    home->delivery = 0;
    home->attempt = 1;
    deliver(home);
    return end(home);
}

bool testing_home_is_tried_again(const testing_home_t *home)
{
    return home->message && !home->busy;
}

const message_result_t *testing_home_deliver_again(testing_home_t *home)
{
    home->busy = true;
    deliver(home);
    return end(home);
}

const message_result_t *testing_home_go_on(testing_home_t *home)
{
    if (!home->busy) {
        run(home);
        return &home->result;
    }
    if (!home->ended) {
        wait_for_result(home);
    }
    testing_home_t *asker = home->asker;
    const message_result_t *result = end(home);
    if (asker && result) {
        (void)testing_home_go_on(asker);
    }
    return result;
}

void testing_home_fail_store(testing_home_t *home)
{
    home->store_fails = true;
}

/* ---- moves, time and the store ---- */

void testing_home_move(testing_home_t *home)
{
    move(home, (token_t){home->token.home_epoch, home->token.owner_sequence + 1});
    move_waiting(home);
}

void testing_home_advance(testing_home_t *home, uint64_t duration_ms)
{
    uint64_t end_ms = home->now_ms + duration_ms;
    settle(home);
    while (home->now_ms < end_ms) {
        uint64_t next_ms = executor_next_deadline(home->executor);
        uint64_t sent_ms = testing_sender_deadline(&home->sender);
        next_ms = sent_ms < next_ms ? sent_ms : next_ms;
        next_ms = next_ms > home->now_ms ? next_ms : home->now_ms + 1;
        home->now_ms = next_ms < end_ms ? next_ms : end_ms;
        testing_sender_expire(&home->sender);
        settle(home);
        if (home->busy) {
            (void)testing_home_go_on(home);
        }
    }
}
