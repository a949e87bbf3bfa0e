/* The entities of an executor: see executor_entity_state.h. */
#include "worker/executor_entity_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Doubly linked lists, whose head's `previous` is the tail. */
#include <utlist.h>

#include "core/memory.h"
#include "core/state_machine.h"
#include "core/store_message.h"
#include "worker/executor_events.h"
#include "worker/executor_persisted.h"

/* How often messages are looked at that wait under a lapsed lease. */
#define LEASE_CHECK_MS 10u
/* For how long a defect is remembered at least: deliveries that are under way must be told. The
 * same of an entity that was kept alive: the next home must be told, if it has one by then. */
#define DEFECT_MEMORY_MS 60000u

static const state_description_t entity_states[] = {
    [ENTITY_STOPPED] = {"stopped", STATE_BIT(ENTITY_STARTED) | STATE_BIT(ENTITY_FAILED)},
    [ENTITY_STARTED] = {"started", STATE_BIT(ENTITY_STOPPED) | STATE_BIT(ENTITY_PENDING)},
    [ENTITY_PENDING] = {"pending", STATE_BIT(ENTITY_STARTED)},
    [ENTITY_FAILED] = {"failed", STATE_BIT(ENTITY_STOPPED)},
};
static const state_machine_t entity_machine = {"entity", entity_states, 4};

static void set_state(entity_t *entity, entity_state_t state)
{
    state_machine_check(&entity_machine, entity->state, state);
    entity->state = (uint8_t)state;
}

static void count_add(_Atomic uint64_t *counter, uint64_t by)
{
    /* One writer: a plain addition that others may read. */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}

/* ---- the table ---- */

static size_t key_make(uint8_t key[2 + LIMIT_NAME_BYTES_MAX], const type_entry_t *type,
                       fabric_bytes_t id)
{
    assert(id.size >= 1 && id.size <= LIMIT_NAME_BYTES_MAX);
    key[0] = (uint8_t)(type->index & 0xff);
    key[1] = (uint8_t)(type->index >> 8);
    memcpy(key + 2, id.data, id.size);
    return 2 + id.size;
}

entity_t *entity_find(const entity_table_t *table, const type_entry_t *type, fabric_bytes_t id)
{
    uint8_t key[2 + LIMIT_NAME_BYTES_MAX];
    size_t size = key_make(key, type, id);
    entity_t *entity = NULL;
    HASH_FIND(hh, table->by_key, key, size, entity);
    return entity;
}

static void idle_add(entity_table_t *table, entity_t *entity, uint64_t check_ms)
{
    entity_t **list = &table->idle[entity_type_index(entity)];
    entity->check_ms = check_ms;
    DL_APPEND2(*list, entity, idle_previous, idle_next);
    if (check_ms < table->sweep_ms) {
        table->sweep_ms = check_ms;
    }
}

static void idle_remove(entity_table_t *table, entity_t *entity)
{
    DL_DELETE2(table->idle[entity_type_index(entity)], entity, idle_previous, idle_next);
}

static uint64_t entity_bytes(const entity_table_t *table, const entity_t *entity)
{
    return entity_memory_offset(entity->id_size) + entity_type(table, entity)->type->state_size;
}

entity_t *entity_make(entity_table_t *table, const type_entry_t *type, fabric_bytes_t id,
                      uint64_t now_ms)
{
    size_t offset = entity_memory_offset(id.size);
    entity_t *entity = (entity_t *)memory_allocate(offset + type->type->state_size);
    memset(entity, 0, sizeof *entity);
    entity->id_size = (uint8_t)id.size;
    size_t size = key_make(entity->key, type, id);
    entity->used_ms = now_ms;
    HASH_ADD_KEYPTR(hh, table->by_key, entity->key, size, entity);
    idle_add(table, entity, now_ms + type->idle_ms);
    count_add(&table->count, 1);
    count_add(&table->bytes, entity_bytes(table, entity));
    return entity;
}

/* The entity rests while it has state and nothing to do. */
static void settle(entity_table_t *table, entity_t *entity)
{
    residents_set_rest(&table->residents, entity, entity_rest(entity));
}

void entity_set_persisted(entity_table_t *table, entity_t *entity, uint32_t version,
                          fabric_bytes_t state)
{
    persisted_set(entity, version, state);
    settle(table, entity);
}

void entity_take_events(entity_table_t *table, entity_t *entity, const message_deliver_t *given)
{
    if (given->flags & WORK_EVENTS) {
        events_add(entity, given);
    } else {
        events_begin(entity, given);
    }
    settle(table, entity);
}

void entity_forget_persisted(entity_table_t *table, entity_t *entity)
{
    persisted_forget(entity);
    events_forget(entity);
    settle(table, entity);
}

/* The entity has no state any more. */
static void end_residence(entity_table_t *table, entity_t *entity)
{
    residents_set_rest(&table->residents, entity, REST_NONE);
    residents_remove(&table->residents);
}

static void entity_free(entity_table_t *table, entity_t *entity)
{
    assert(!entity->first && !entity->queued);
    entity_forget_persisted(table, entity);
    if (entity_is_resident(entity)) { /* a handler was pending as the executor ended */
        end_residence(table, entity);
    }
    count_add(&table->bytes, -entity_bytes(table, entity));
    count_add(&table->count, UINT64_MAX);
    idle_remove(table, entity);
    HASH_DEL(table->by_key, entity);
    free(entity);
}

void entity_table_init(entity_table_t *table, const type_table_t *types, uint32_t residents_max,
                       uint32_t outside_max, executor_output_t *output)
{
    table->types = types;
    table->output = output;
    table->outside_max = outside_max;
    residents_init(&table->residents, residents_max);
    instance_init(&table->instance, table, residents_max);
    table->lapsed_until_ms = UINT64_MAX;
    table->sweep_ms = UINT64_MAX;
}

/* ---- state ---- */

/* Ends the state, and forgets a defect. */
static void entity_stop(entity_table_t *table, entity_t *entity)
{
    if (entity->state == ENTITY_STOPPED) {
        return;
    }
    bool started = entity->state == ENTITY_STARTED;
    set_state(entity, ENTITY_STOPPED);
    entity->terminating = false;
    const type_entry_t *entry = entity_type(table, entity);
    if (started) {
        end_residence(table, entity);
    }
    if (started && entry->type->stop) {
        entry->type->stop(entity_memory(entry, entity), entity_id(entity));
    }
    instance_finalize(entity);
    if (started) {
        events_forget(entity); /* the instance had them */
    }
    settle(table, entity);
}

const entity_t *entity_to_evict(entity_table_t *table)
{
    const entity_t *resting = residents_to_end(&table->residents);
    return resting && resting->rest == REST_KEPT ? resting : NULL;
}

/* One that keeps itself alive goes on to do so: its home is told that it has no instance. */
static void make_place(entity_table_t *table)
{
    entity_t *resting = residents_to_end(&table->residents);
    if (resting && resting->rest == REST_KEPT) {
        entity_stop(table, resting);
        alive_tell_absent(table, resting);
    } else if (resting) {
        alive_tell(table, resting);
        entity_end(table, resting);
    }
}

bool entity_start(entity_table_t *table, entity_t *entity)
{
    const type_entry_t *entry = entity_type(table, entity);
    const fabric_entity_type_t *type = entry->type;
    void *memory = entity_memory(entry, entity);
    make_place(table);
    if (memory) {
        memset(memory, 0, type->state_size);
    }
    table->instance.entity = entity;
    table->instance.text[0] = '\0';
    table->building = true;
    bool built = type->persisted          ? persisted_build(table, entity, type, memory)
                 : entry->event_count > 0 ? events_build(table, entity, entry, memory)
                                          : !type->build || type->build(&table->instance, memory);
    table->building = false;
    if (!built) {
        instance_finalize(entity);
        return false;
    }
    set_state(entity, ENTITY_STARTED);
    residents_add(&table->residents);
    settle(table, entity);
    entity->mark = entity->early = 0;
    return true;
}

bool entity_is_over(const entity_t *entity, const ownership_t *ownership, uint64_t activation)
{
    return entity->state == ENTITY_FAILED &&
           entity->failed_epoch == (uint32_t)ownership->key.token.home_epoch &&
           activation <= entity->mark;
}

bool entity_enter(entity_table_t *table, entity_t *entity, ownership_t *ownership,
                  uint64_t activation, uint64_t now_ms)
{
    assert(entity->state != ENTITY_PENDING || entity->ownership == ownership);
    entity->used_ms = now_ms;
    residents_use(&table->residents, entity);
    if (entity->ownership != ownership) {
        entity_stop(table, entity);
        entity_forget_persisted(table, entity);
        ownership_remove_entity(entity);
        ownership_add_entity(ownership, entity);
        entity->kept = entity->known = false;
        entity->told = 0;
    }
    if (entity_is_over(entity, ownership, activation)) {
        return false;
    }
    if (entity->state == ENTITY_FAILED) {
        set_state(entity, ENTITY_STOPPED);
    }
    return true;
}

bool entity_has_seen(const entity_t *entity, uint64_t position)
{
    return entity_is_resident(entity) && entity->ownership->resumed && position <= entity->mark;
}

void entity_end_seen(entity_table_t *table, entity_t *entity)
{
    assert(!entity->pending);
    entity_stop(table, entity);
}

void entity_go_back(entity_table_t *table, entity_t *entity)
{
    assert(!entity->pending);
    entity_stop(table, entity);
}

void entity_fail(entity_table_t *table, entity_t *entity, uint64_t activation)
{
    entity_stop(table, entity);
    entity_forget_persisted(table, entity);
    set_state(entity, ENTITY_FAILED);
    entity->mark = activation;
    entity->failed_epoch = (uint32_t)entity->ownership->key.token.home_epoch;
    alive_tell_absent(table, entity);
}

void entity_keep(entity_table_t *table, entity_t *entity, bool keep)
{
    entity->kept = keep;
    settle(table, entity);
    alive_decide(table, entity);
}

/* Its state is to end, and no instance is to come after it but by a message. */
static void end_keeping(entity_table_t *table, entity_t *entity)
{
    entity->kept = false;
    entity_stop(table, entity);
    alive_decide(table, entity);
}

void entity_set_known(entity_table_t *table, entity_t *entity, uint32_t causes)
{
    entity->known = true;
    entity->told = (uint8_t)causes;
    entity->kept = causes & ALIVE_BY_HANDLER;
    settle(table, entity);
}

void entity_terminate(entity_table_t *table, entity_t *entity)
{
    if (entity->state == ENTITY_PENDING) {
        entity->terminating = true;
    } else {
        end_keeping(table, entity);
    }
}

void entity_clear(entity_table_t *table, entity_t *entity)
{
    entity->known = false;
    if (entity_is_resident(entity)) {
        entity_terminate(table, entity);
    } else {
        entity->kept = false;
        alive_decide(table, entity);
    }
}

void entity_end_activation(entity_table_t *table, entity_t *entity, ownership_t *ownership,
                           uint64_t activation, uint64_t now_ms)
{
    bool entered = entity_enter(table, entity, ownership, activation, now_ms);
    assert(entered);
    (void)entered;
    entity_fail(table, entity, activation);
}

/* ---- queues ---- */

static void queue_add(entity_queue_t *queue, entity_t *entity)
{
    assert(!entity->queued);
    entity->queued = true;
    entity->queue_next = NULL;
    if (queue->first) {
        queue->last->queue_next = entity;
    } else {
        queue->first = entity;
    }
    queue->last = entity;
}

static entity_t *queue_take(entity_queue_t *queue)
{
    entity_t *entity = queue->first;
    if (entity) {
        queue->first = entity->queue_next;
        entity->queue_next = NULL;
        entity->queued = false;
    }
    return entity;
}

void entity_end(entity_table_t *table, entity_t *entity)
{
    assert(entity->state != ENTITY_PENDING);
    if (entity->state == ENTITY_STARTED) {
        entity_stop(table, entity);
    }
    instance_leave_resources(&table->instance, entity);
    ownership_remove_entity(entity);
    if (entity->queued) {
        return;
    }
    if (entity->first) {
        queue_add(&table->ready, entity);
    } else {
        entity_free(table, entity);
    }
}

void entity_trim_persisted(entity_table_t *table)
{
    entity_t *entity;
    while ((entity = residents_to_let_go(&table->residents))) {
        bool needed = entity->known || entity->kept || entity->resources || entity->queued;
        if (needed) {
            entity_forget_persisted(table, entity);
        } else {
            entity_end(table, entity);
        }
    }
}

static fabric_bytes_t copy_view(uint8_t **place, fabric_bytes_t view)
{
    if (view.size > 0) {
        memcpy(*place, view.data, view.size);
    }
    fabric_bytes_t copy = fabric_bytes(*place, view.size);
    *place += view.size;
    return copy;
}

static waiting_t *waiting_new(ownership_t *ownership, const message_deliver_t *delivery)
{
    size_t size = delivery->type.size + delivery->id.size + delivery->tag.size +
                  delivery->payload.size + delivery->traceparent.size + delivery->headers.size;
    waiting_t *waiting = (waiting_t *)memory_allocate(sizeof *waiting + size);
    uint8_t *place = (uint8_t *)(waiting + 1);
    *waiting = (waiting_t){.ownership = ownership, .delivery = *delivery};
    waiting->delivery.type = copy_view(&place, delivery->type);
    waiting->delivery.id = copy_view(&place, delivery->id);
    waiting->delivery.tag = copy_view(&place, delivery->tag);
    waiting->delivery.payload = copy_view(&place, delivery->payload);
    waiting->delivery.traceparent = copy_view(&place, delivery->traceparent);
    waiting->delivery.headers = copy_view(&place, delivery->headers);
    return waiting;
}

bool entity_may_begin(const entity_table_t *table, const entity_t *entity,
                      const ownership_t *ownership, bool concurrent)
{
    if (entity->state != ENTITY_PENDING) {
        return true;
    }
    return entity->ownership == ownership && !entity->terminating &&
           (concurrent || entity->pending_count < entity_type(table, entity)->concurrency);
}

/* Gives the entity its turn if its first waiting message may begin. */
static void make_ready(entity_table_t *table, entity_t *entity)
{
    const waiting_t *first = entity->first;
    if (first && !entity->queued &&
        entity_may_begin(table, entity, first->ownership, first->concurrent)) {
        queue_add(&table->ready, entity);
    }
}

void entity_enqueue(entity_table_t *table, entity_t *entity, ownership_t *ownership,
                    const message_deliver_t *delivery, uint32_t round, bool concurrent)
{
    waiting_t *waiting = waiting_new(ownership, delivery);
    waiting->round = round;
    waiting->concurrent = concurrent;
    ownership_count_waiting(ownership, 1);
    if (!(delivery->flags & REQUEST_DURABLE)) {
        entity->volatile_waiting++;
    }
    if (entity->first) {
        entity->last->next = waiting;
    } else {
        entity->first = waiting;
    }
    entity->last = waiting;
    settle(table, entity);
    make_ready(table, entity);
}

waiting_t *entity_dequeue(entity_table_t *table, entity_t *entity)
{
    waiting_t *waiting = entity->first;
    entity->first = waiting->next;
    if (!(waiting->delivery.flags & REQUEST_DURABLE)) {
        entity->volatile_waiting--;
    }
    ownership_count_waiting(waiting->ownership, -1);
    settle(table, entity);
    return waiting;
}

void entity_end_turn(entity_table_t *table, entity_t *entity)
{
    if (entity->first) {
        make_ready(table, entity);
    } else if (!entity->ownership) {
        entity_end(table, entity);
    }
}

entity_t *entity_next_ready(entity_table_t *table)
{
    return queue_take(&table->ready);
}

void entity_set_lapsed(entity_table_t *table, entity_t *entity, uint64_t now_ms)
{
    queue_add(&table->lapsed, entity);
    if (table->lapsed_until_ms == UINT64_MAX) {
        table->lapsed_until_ms = now_ms + LEASE_CHECK_MS;
    }
}

void entity_retry_lapsed(entity_table_t *table, uint64_t now_ms)
{
    if (now_ms < table->lapsed_until_ms) {
        return;
    }
    table->lapsed_until_ms = UINT64_MAX;
    for (entity_t *entity; (entity = queue_take(&table->lapsed));) {
        queue_add(&table->ready, entity);
    }
}

void entity_wait_outside(entity_table_t *table, entity_t *entity)
{
    queue_add(&table->outside, entity);
    table->outside_count++;
}

entity_t *entity_next_outside(entity_table_t *table)
{
    if (!table->outside.first || !residents_have_place(&table->residents)) {
        return NULL;
    }
    table->outside_count--;
    return queue_take(&table->outside);
}

void entity_retry_outside(entity_table_t *table)
{
    table->outside_count = 0;
    for (entity_t *entity; (entity = queue_take(&table->outside));) {
        queue_add(&table->ready, entity);
    }
}

/* ---- pending handlers ---- */

void entity_begin_pending(entity_table_t *table, entity_t *entity, fabric_pending_t *pending,
                          uint32_t round, bool concurrent)
{
    pending->round = round;
    pending->concurrent = concurrent;
    DL_APPEND2(entity->pending, pending, call_previous, call_next);
    entity->pending_count += !concurrent;
    if (entity->state == ENTITY_PENDING) {
        return;
    }
    ownership_t *ownership = entity->ownership;
    ownership_remove_entity(entity);
    set_state(entity, ENTITY_PENDING);
    ownership_add_entity(ownership, entity);
    settle(table, entity);
}

void entity_pending_again(fabric_pending_t *pending, const message_deliver_t *delivery,
                          uint32_t round)
{
    pending->round = round;
    pending_deliver_again(pending, delivery);
}

static void leave_pending(entity_table_t *table, entity_t *entity, fabric_pending_t *pending)
{
    DL_DELETE2(entity->pending, pending, call_previous, call_next);
    entity->pending_count -= !pending->concurrent;
    if (entity->pending) {
        return;
    }
    ownership_t *ownership = entity->ownership;
    ownership_remove_entity(entity);
    set_state(entity, ENTITY_STARTED);
    ownership_add_entity(ownership, entity);
    settle(table, entity);
}

void entity_end_pending(entity_table_t *table, entity_t *entity, fabric_pending_t *pending,
                        uint64_t now_ms)
{
    entity->used_ms = now_ms;
    leave_pending(table, entity, pending);
    if (entity->terminating && entity->state == ENTITY_STARTED) {
        end_keeping(table, entity);
    }
    make_ready(table, entity);
}

void entity_abandon_pending(entity_table_t *table, entity_t *entity, fabric_pending_t *pending)
{
    pending_abandon(pending);
    leave_pending(table, entity, pending);
    if (pending->asks) { /* nobody else has the handle */
        pending_destroy(&pending);
    }
    make_ready(table, entity);
}

/* ---- idle entities, and the end ---- */

/* For how long an entity that is not used is kept. */
static uint64_t keep_ms(const entity_table_t *table, const entity_t *entity)
{
    uint64_t idle_ms = entity_type(table, entity)->idle_ms;
    bool remember =
        entity->state == ENTITY_FAILED || (entity->known && !entity_is_resident(entity));
    return remember && idle_ms < DEFECT_MEMORY_MS ? DEFECT_MEMORY_MS : idle_ms;
}

/* When the entity is looked at next: the lists are in order only if each is looked at about once in
 * its type's idle time. */
static void look_again(entity_table_t *table, entity_t *entity, uint64_t check_ms, uint64_t now_ms)
{
    uint64_t latest_ms = now_ms + entity_type(table, entity)->idle_ms;
    idle_remove(table, entity);
    idle_add(table, entity, check_ms < latest_ms ? check_ms : latest_ms);
}

static void end_idle(entity_table_t *table, entity_t *entity, uint64_t now_ms)
{
    alive_tell(table, entity);
    if (entity->known && entity_is_resident(entity)) {
        entity_stop(table, entity);
        look_again(table, entity, UINT64_MAX, now_ms);
    } else {
        entity_end(table, entity);
    }
}

static void sweep_one(entity_table_t *table, entity_t *entity, uint64_t now_ms)
{
    uint64_t idle_ms = keep_ms(table, entity);
    bool stays = entity->kept && entity_is_resident(entity);
    if (entity->state == ENTITY_PENDING || entity->first || entity->queued || stays ||
        entity->resources) {
        look_again(table, entity, UINT64_MAX, now_ms);
    } else if (now_ms - entity->used_ms < idle_ms) {
        look_again(table, entity, entity->used_ms + idle_ms, now_ms);
    } else {
        end_idle(table, entity, now_ms);
    }
}

bool entity_sweep(entity_table_t *table, uint64_t now_ms)
{
    if (now_ms < table->sweep_ms) {
        return false;
    }
    uint32_t looked_at = 0;
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < type_table_count(table->types); i++) {
        entity_t **list = &table->idle[i];
        while (*list && (*list)->check_ms <= now_ms && looked_at < EXECUTOR_SLICE) {
            sweep_one(table, *list, now_ms);
            looked_at++;
        }
        if (*list && (*list)->check_ms < next_ms) {
            next_ms = (*list)->check_ms;
        }
    }
    table->sweep_ms = next_ms;
    return looked_at > 0;
}

uint64_t entity_next_deadline(const entity_table_t *table)
{
    uint64_t resource_ms = timers_next_deadline_ms(&table->instance.idle);
    uint64_t next_ms =
        table->sweep_ms < table->lapsed_until_ms ? table->sweep_ms : table->lapsed_until_ms;
    return resource_ms < next_ms ? resource_ms : next_ms;
}

void entity_table_free(entity_table_t *table)
{
    entity_t *entity, *next;
    HASH_ITER(hh, table->by_key, entity, next)
    {
        if (entity->state != ENTITY_PENDING) {
            entity_stop(table, entity);
            instance_leave_resources(&table->instance, entity);
        } else {
            instance_forget(&table->instance, entity);
        }
        while (entity->first) { /* so that none of these has its turn when a handler is given up */
            waiting_t *waiting = entity->first;
            entity->first = waiting->next;
            free(waiting);
        }
        while (entity->pending) {
            entity_abandon_pending(table, entity, entity->pending);
        }
        entity->queued = false;
        ownership_remove_entity(entity);
        entity_free(table, entity);
    }
    instance_free(&table->instance);
    events_buffers_free(table);
}
