/* The data of an in-memory database: rows, changes and how they are taken back. */
#include "tests/memory/memory_database.h"

#include <assert.h>
#include <string.h>

/* Changes that are kept to be taken back; older ones are in force for ever. */
#define CHANGES_KEPT 50000u

/* ---- rows of the tables ---- */

static fabric_bytes_t put_bytes(uint8_t **at, fabric_bytes_t bytes)
{
    if (bytes.size == 0) {
        return fabric_bytes(NULL, 0);
    }
    memcpy(*at, bytes.data, bytes.size);
    fabric_bytes_t copy = fabric_bytes(*at, bytes.size);
    *at += bytes.size;
    return copy;
}

static memory_entry_t *copy_entry(const store_entry_t *entry)
{
    memory_entry_t *copy = memory_allocate(sizeof *copy + entry->calls.size + entry->body.size);
    uint8_t *at = copy->bytes;
    copy->entry = *entry;
    copy->entry.calls = put_bytes(&at, entry->calls);
    copy->entry.body = put_bytes(&at, entry->body);
    return copy;
}

static memory_row_t *copy_row(const store_pending_t *row)
{
    memory_row_t *copy = memory_allocate(sizeof *copy + row->type.size + row->entity.size +
                                         row->tag.size + row->body.size);
    uint8_t *at = copy->bytes;
    copy->row = *row;
    copy->row.type = put_bytes(&at, row->type);
    copy->row.entity = put_bytes(&at, row->entity);
    copy->row.tag = put_bytes(&at, row->tag);
    copy->row.body = put_bytes(&at, row->body);
    return copy;
}

static memory_dead_row_t *copy_dead(const store_dead_row_t *row)
{
    memory_dead_row_t *copy = memory_allocate(sizeof *copy + row->type.size + row->entity.size +
                                              row->tag.size + row->text.size + row->body.size);
    uint8_t *at = copy->bytes;
    copy->row = *row;
    copy->row.type = put_bytes(&at, row->type);
    copy->row.entity = put_bytes(&at, row->entity);
    copy->row.tag = put_bytes(&at, row->tag);
    copy->row.text = put_bytes(&at, row->text);
    copy->row.body = put_bytes(&at, row->body);
    return copy;
}

static memory_key_t *copy_key(const store_key_t *key)
{
    memory_key_t *copy = memory_allocate(sizeof *copy + key->reply.payload.size);
    uint8_t *at = copy->bytes;
    copy->key = *key;
    copy->key.reply.payload = put_bytes(&at, key->reply.payload);
    return copy;
}

/* Where the key stands among all: keys that differ have different places. */
static uint64_t key_place(uint64_t entity_hash, const uint8_t hash[STORE_KEY_BYTES])
{
    return XXH3_64bits_withSeed(hash, STORE_KEY_BYTES, entity_hash);
}

static memory_state_t *copy_state(const store_state_t *row)
{
    memory_state_t *copy =
        memory_allocate(sizeof *copy + row->type.size + row->entity.size + row->state.size);
    uint8_t *at = copy->bytes;
    copy->row = *row;
    copy->row.type = put_bytes(&at, row->type);
    copy->row.entity = put_bytes(&at, row->entity);
    copy->row.state = put_bytes(&at, row->state);
    return copy;
}

static memory_event_t *copy_event(const store_event_t *row)
{
    memory_event_t *copy = memory_allocate(sizeof *copy + row->type.size + row->entity.size +
                                           row->tag.size + row->payload.size);
    uint8_t *at = copy->bytes;
    copy->row = *row;
    copy->row.type = put_bytes(&at, row->type);
    copy->row.entity = put_bytes(&at, row->entity);
    copy->row.tag = put_bytes(&at, row->tag);
    copy->row.payload = put_bytes(&at, row->payload);
    return copy;
}

static memory_kept_t *copy_kept(const store_kept_t *kept)
{
    memory_kept_t *copy = memory_allocate(sizeof *copy + kept->type.size + kept->entity.size);
    uint8_t *at = copy->bytes;
    copy->kept = *kept;
    copy->kept.type = put_bytes(&at, kept->type);
    copy->kept.entity = put_bytes(&at, kept->entity);
    return copy;
}

/* As key_place. */
static uint64_t state_place(fabric_bytes_t type, fabric_bytes_t entity)
{
    return XXH3_64bits_withSeed(entity.data, entity.size, XXH3_64bits(type.data, type.size));
}

static uint64_t kept_place(const store_kept_t *kept)
{
    return XXH3_64bits_withSeed(kept->entity.data, kept->entity.size,
                                XXH3_64bits(kept->type.data, kept->type.size));
}

static memory_entity_t *find_entity(memory_entity_t *entities, uint64_t hash)
{
    memory_entity_t *entity = NULL;
    HASH_FIND(hh, entities, &hash, sizeof hash, entity);
    return entity;
}

static void insert_row(memory_entity_t **entities, uint64_t hash, uint64_t key, void *row)
{
    memory_entity_t *entity = find_entity(*entities, hash);
    if (!entity) {
        entity = memory_allocate_zeroed(1, sizeof *entity);
        entity->hash = hash;
        HASH_ADD(hh, *entities, hash, sizeof entity->hash, entity);
    }
    memory_sequence_insert(&entity->rows, key, row);
}

static void remove_row(memory_entity_t **entities, uint64_t hash, uint64_t key)
{
    memory_entity_t *entity = find_entity(*entities, hash);
    memory_sequence_remove(&entity->rows, key);
    if (entity->rows.places.count == entity->rows.first) {
        HASH_DEL(*entities, entity);
        free(entity->rows.places.items);
        free(entity);
    }
}

static store_due_key_t due_key(const memory_row_t *row)
{
    return (store_due_key_t){row->row.due_ms, row->row.id.value};
}

size_t memory_scheduled_from(const memory_lane_t *lane, store_due_key_t key)
{
    size_t low = 0;
    size_t high = lane->scheduled.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        store_due_key_t at = due_key(lane->scheduled.items[middle]);
        if (at.due_ms < key.due_ms || (at.due_ms == key.due_ms && at.id < key.id)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

memory_row_t *memory_scheduled_find(const memory_lane_t *lane, store_due_key_t key)
{
    size_t at = memory_scheduled_from(lane, key);
    if (at == lane->scheduled.count) {
        return NULL;
    }
    memory_row_t *row = lane->scheduled.items[at];
    return row->row.due_ms == key.due_ms && row->row.id.value == key.id ? row : NULL;
}

static void apply_scheduled(memory_lane_t *lane, memory_row_t *row, bool removed)
{
    size_t at = memory_scheduled_from(lane, due_key(row));
    if (!removed) {
        (void)MEMORY_APPEND(&lane->scheduled);
    }
    memory_row_t **place = &lane->scheduled.items[at];
    if (removed) {
        lane->scheduled.count--;
        memmove((void *)place, (void *)(place + 1), (lane->scheduled.count - at) * sizeof *place);
    } else {
        memmove((void *)(place + 1), (void *)place,
                (lane->scheduled.count - 1 - at) * sizeof *place);
        *place = row;
    }
}

/* Of a pending message, or an event. */
static void apply_row(memory_lane_t *lane, const memory_change_t *change)
{
    bool event = change->kind == MEMORY_CHANGE_EVENT;
    memory_entity_t **entities = event ? &lane->histories : &lane->entities;
    const store_pending_t *pending = &((const memory_row_t *)change->item)->row;
    const store_event_t *row = &((const memory_event_t *)change->item)->row;
    uint64_t hash = event ? state_place(row->type, row->entity) : pending->entity_hash;
    uint64_t key = event ? row->sequence : pending->position;
    if (change->removed) {
        remove_row(entities, hash, key);
    } else {
        insert_row(entities, hash, key, change->item);
    }
}

/* Inserts the item of a change, or removes it. */
static void apply(memory_database_t *database, const memory_change_t *change)
{
    memory_lane_t *lane = &database->lanes[change->lane];
    if (change->kind == MEMORY_CHANGE_ROW || change->kind == MEMORY_CHANGE_EVENT) {
        apply_row(lane, change);
        return;
    }
    if (change->kind == MEMORY_CHANGE_SCHEDULED) {
        apply_scheduled(lane, change->item, change->removed);
        return;
    }
    if (change->kind == MEMORY_CHANGE_OUTGOING) {
        memory_outgoing_apply(lane, change->item, change->removed);
        return;
    }
    memory_sequence_t *sequence = &lane->entries;
    uint64_t key = 0;
    if (change->kind == MEMORY_CHANGE_ENTRY) {
        key = ((memory_entry_t *)change->item)->entry.number;
    } else if (change->kind == MEMORY_CHANGE_KEY) {
        sequence = &lane->keys;
        const store_key_t *row = &((memory_key_t *)change->item)->key;
        key = key_place(row->entity_hash, row->hash);
    } else if (change->kind == MEMORY_CHANGE_STATE) {
        sequence = &lane->states;
        const store_state_t *row = &((memory_state_t *)change->item)->row;
        key = state_place(row->type, row->entity);
    } else if (change->kind == MEMORY_CHANGE_KEPT) {
        sequence = &lane->kept;
        key = kept_place(&((memory_kept_t *)change->item)->kept);
    } else {
        sequence = &lane->dead;
        key = ((memory_dead_row_t *)change->item)->row.id.value;
    }
    if (change->removed) {
        memory_sequence_remove(sequence, key);
    } else {
        memory_sequence_insert(sequence, key, change->item);
    }
}

/* ---- changes ---- */

static memory_change_t *note(memory_database_t *database, memory_change_kind_t kind)
{
    memory_change_t *change = MEMORY_APPEND(&database->changes);
    *change = (memory_change_t){.kind = kind, .commit = database->commits};
    return change;
}

static void change_item(memory_database_t *database, memory_change_kind_t kind, uint32_t lane,
                        void *item, bool removed)
{
    memory_change_t *change = note(database, kind);
    change->lane = lane;
    change->item = item;
    change->removed = removed;
    apply(database, change);
}

static void *copy_bytes(const void *bytes, size_t size)
{
    void *copy = memory_allocate(size);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

void memory_note_value(memory_database_t *database, void *value, size_t size)
{
    memory_change_t *change = note(database, MEMORY_CHANGE_BYTES);
    change->place = value;
    change->before = copy_bytes(value, size);
    change->size = size;
}

void memory_note_list(memory_database_t *database, memory_any_list_t *list, size_t item_size)
{
    memory_change_t *change = note(database, MEMORY_CHANGE_LIST);
    change->place = list;
    change->before = copy_bytes(list->items, list->count * item_size);
    change->size = item_size;
    change->count = list->count;
}

static void reverse_list(memory_change_t *change)
{
    memory_any_list_t *list = change->place;
    void *now = copy_bytes(list->items, list->count * change->size);
    size_t count = list->count;
    /* A list never shrinks its memory, so what was there before fits. */
    if (change->count > 0) {
        memcpy(list->items, change->before, change->count * change->size);
    }
    list->count = change->count;
    free(change->before);
    change->before = now;
    change->count = count;
}

/* Takes a change back, and makes it its own opposite. */
static void reverse(memory_database_t *database, memory_change_t *change)
{
    switch (change->kind) {
    case MEMORY_CHANGE_ENTRY:
    case MEMORY_CHANGE_ROW:
    case MEMORY_CHANGE_DEAD:
    case MEMORY_CHANGE_SCHEDULED:
    case MEMORY_CHANGE_KEY:
    case MEMORY_CHANGE_STATE:
    case MEMORY_CHANGE_EVENT:
    case MEMORY_CHANGE_OUTGOING:
    case MEMORY_CHANGE_KEPT:
        change->removed = !change->removed;
        apply(database, change);
        break;
    case MEMORY_CHANGE_BYTES: {
        void *now = copy_bytes(change->place, change->size);
        memcpy(change->place, change->before, change->size);
        free(change->before);
        change->before = now;
        break;
    }
    case MEMORY_CHANGE_LIST:
        reverse_list(change);
        break;
    }
}

/* Frees what belongs to the change. */
static void forget(memory_change_t *change)
{
    if (change->removed) {
        free(change->item);
    }
    free(change->before);
}

memory_lane_t *memory_lane_of(memory_database_t *database, uint32_t lane)
{
    return lane < database->cluster.lanes ? &database->lanes[lane] : NULL;
}

bool memory_entry_insert(memory_database_t *database, const store_entry_t *entry)
{
    assert(entry->lane < LIMIT_LANES_MAX);
    if (memory_sequence_find(&database->lanes[entry->lane].entries, entry->number)) {
        return false;
    }
    change_item(database, MEMORY_CHANGE_ENTRY, entry->lane, copy_entry(entry), false);
    return true;
}

void memory_entry_remove(memory_database_t *database, uint32_t lane, uint64_t number)
{
    void *entry = memory_sequence_find(&database->lanes[lane].entries, number);
    change_item(database, MEMORY_CHANGE_ENTRY, lane, entry, true);
}

void memory_row_put(memory_database_t *database, uint32_t lane, const store_pending_t *row)
{
    memory_row_remove(database, lane, (store_row_key_t){row->entity_hash, row->position});
    change_item(database, MEMORY_CHANGE_ROW, lane, copy_row(row), false);
}

memory_row_t *memory_row_find(const memory_lane_t *lane, store_row_key_t key)
{
    memory_entity_t *entity = NULL;
    HASH_FIND(hh, lane->entities, &key.entity_hash, sizeof key.entity_hash, entity);
    return entity ? memory_sequence_find(&entity->rows, key.position) : NULL;
}

void memory_row_remove(memory_database_t *database, uint32_t lane, store_row_key_t key)
{
    memory_row_t *row = memory_row_find(&database->lanes[lane], key);
    if (row) {
        change_item(database, MEMORY_CHANGE_ROW, lane, row, true);
    }
}

void memory_dead_put(memory_database_t *database, uint32_t lane, const store_dead_row_t *row)
{
    void *before = memory_sequence_find(&database->lanes[lane].dead, row->id.value);
    if (before) {
        change_item(database, MEMORY_CHANGE_DEAD, lane, before, true);
    }
    change_item(database, MEMORY_CHANGE_DEAD, lane, copy_dead(row), false);
}

void memory_scheduled_put(memory_database_t *database, uint32_t lane, const store_pending_t *row)
{
    memory_scheduled_remove(database, lane, (store_due_key_t){row->due_ms, row->id.value});
    change_item(database, MEMORY_CHANGE_SCHEDULED, lane, copy_row(row), false);
}

void memory_scheduled_remove(memory_database_t *database, uint32_t lane, store_due_key_t key)
{
    memory_row_t *row = memory_scheduled_find(&database->lanes[lane], key);
    if (row) {
        change_item(database, MEMORY_CHANGE_SCHEDULED, lane, row, true);
    }
}

void memory_outgoing_put(memory_database_t *database, uint32_t lane, const store_outgoing_t *row)
{
    if (!memory_outgoing_find(&database->lanes[lane], row->key)) {
        change_item(database, MEMORY_CHANGE_OUTGOING, lane, memory_outgoing_copy(row), false);
    }
}

void memory_outgoing_remove(memory_database_t *database, uint32_t lane, store_outgoing_key_t key)
{
    memory_outgoing_t *row = memory_outgoing_find(&database->lanes[lane], key);
    if (row) {
        change_item(database, MEMORY_CHANGE_OUTGOING, lane, row, true);
    }
}

memory_key_t *memory_key_find(const memory_lane_t *lane, uint64_t entity_hash,
                              const uint8_t hash[STORE_KEY_BYTES])
{
    return memory_sequence_find(&lane->keys, key_place(entity_hash, hash));
}

void memory_key_remove(memory_database_t *database, uint32_t lane, uint64_t entity_hash,
                       const uint8_t hash[STORE_KEY_BYTES])
{
    memory_key_t *before = memory_key_find(&database->lanes[lane], entity_hash, hash);
    if (before) {
        change_item(database, MEMORY_CHANGE_KEY, lane, before, true);
    }
}

void memory_key_put(memory_database_t *database, uint32_t lane, const store_key_t *key)
{
    memory_key_remove(database, lane, key->entity_hash, key->hash);
    change_item(database, MEMORY_CHANGE_KEY, lane, copy_key(key), false);
}

memory_state_t *memory_state_find(const memory_lane_t *lane, fabric_bytes_t type,
                                  fabric_bytes_t entity)
{
    return memory_sequence_find(&lane->states, state_place(type, entity));
}

void memory_state_put(memory_database_t *database, uint32_t lane, const store_state_t *row)
{
    memory_state_t *before = memory_state_find(&database->lanes[lane], row->type, row->entity);
    if (before) {
        change_item(database, MEMORY_CHANGE_STATE, lane, before, true);
    }
    change_item(database, MEMORY_CHANGE_STATE, lane, copy_state(row), false);
}

const memory_sequence_t *memory_events_find(const memory_lane_t *lane, fabric_bytes_t type,
                                            fabric_bytes_t entity)
{
    const memory_entity_t *found = find_entity(lane->histories, state_place(type, entity));
    return found ? &found->rows : NULL;
}

bool memory_event_put(memory_database_t *database, uint32_t lane, const store_event_t *row)
{
    const memory_sequence_t *events =
        memory_events_find(&database->lanes[lane], row->type, row->entity);
    const memory_event_t *before = events ? memory_sequence_find(events, row->sequence) : NULL;
    if (before) {
        return before->row.id.value == row->id.value && before->row.version == row->version &&
               fabric_bytes_equal(before->row.tag, row->tag) &&
               fabric_bytes_equal(before->row.payload, row->payload);
    }
    change_item(database, MEMORY_CHANGE_EVENT, lane, copy_event(row), false);
    return true;
}

void memory_kept_put(memory_database_t *database, uint32_t lane, const store_kept_t *kept)
{
    memory_kept_t *before = memory_sequence_find(&database->lanes[lane].kept, kept_place(kept));
    if (before) {
        change_item(database, MEMORY_CHANGE_KEPT, lane, before, true);
    }
    if (kept->causes != 0) {
        change_item(database, MEMORY_CHANGE_KEPT, lane, copy_kept(kept), false);
    }
}

/* ---- transactions ---- */

/* Where the changes of transactions after number `commits` begin. */
static size_t changes_after(const memory_database_t *database, uint64_t commits)
{
    size_t first = database->changes.count;
    while (first > 0 && database->changes.items[first - 1].commit > commits) {
        first--;
    }
    return first;
}

static void undo_to(memory_database_t *database, uint64_t commits)
{
    size_t first = changes_after(database, commits);
    while (database->changes.count > first) {
        memory_change_t *change = &database->changes.items[--database->changes.count];
        reverse(database, change);
        forget(change);
    }
    database->commits = commits;
}

void memory_begin(memory_database_t *database)
{
    database->commits++;
}

void memory_rollback(memory_database_t *database)
{
    undo_to(database, database->commits - 1);
}

void memory_commit(memory_database_t *database)
{
    if (changes_after(database, database->commits - 1) == database->changes.count) {
        database->commits--;
    }
    if (database->changes.count < 2 * CHANGES_KEPT) {
        return;
    }
    size_t old = changes_after(database, database->changes.items[CHANGES_KEPT].commit);
    for (size_t i = 0; i < old; i++) {
        forget(&database->changes.items[i]);
    }
    database->changes.count -= old;
    memmove(database->changes.items, database->changes.items + old,
            database->changes.count * sizeof(memory_change_t));
}

void memory_suspend(memory_database_t *database, memory_store_operation_t operation, uint32_t lane,
                    uint32_t delay)
{
    size_t first = changes_after(database, database->commits - 1);
    memory_running_t running = {.operation = operation, .lane = lane, .delay = delay};
    while (database->changes.count > first) {
        memory_change_t *change = MEMORY_APPEND(&running.changes);
        *change = database->changes.items[--database->changes.count];
        reverse(database, change);
    }
    database->commits--;
    if (running.changes.count > 0) {
        *MEMORY_APPEND(&database->running) = running;
    }
}

static void forget_running(memory_running_t *running)
{
    for (size_t i = 0; i < running->changes.count; i++) {
        forget(&running->changes.items[i]);
    }
    free(running->changes.items);
}

static bool conflicts(const memory_database_t *database, const memory_running_t *running)
{
    for (size_t i = 0; i < running->changes.count; i++) {
        const memory_change_t *change = &running->changes.items[i];
        if (change->kind == MEMORY_CHANGE_ENTRY && change->removed &&
            memory_sequence_find(&database->lanes[change->lane].entries,
                                 ((memory_entry_t *)change->item)->entry.number)) {
            return true;
        }
    }
    return false;
}

static memory_running_t take_running(memory_database_t *database, size_t index)
{
    memory_running_t running = database->running.items[index];
    database->running.count--;
    memmove(&database->running.items[index], &database->running.items[index + 1],
            (database->running.count - index) * sizeof running);
    return running;
}

void memory_abandon(memory_database_t *database, size_t index)
{
    memory_running_t running = take_running(database, index);
    forget_running(&running);
}

void memory_resume(memory_database_t *database, size_t index)
{
    memory_running_t running = take_running(database, index);
    if (conflicts(database, &running)) {
        forget_running(&running);
        return;
    }
    memory_begin(database);
    while (running.changes.count > 0) {
        memory_change_t *change = MEMORY_APPEND(&database->changes);
        *change = running.changes.items[--running.changes.count];
        change->commit = database->commits;
        reverse(database, change);
    }
    free(running.changes.items);
    memory_commit(database);
}

void memory_lose_appends(memory_database_t *database, uint32_t appends)
{
    while (database->running.count > 0) {
        memory_abandon(database, database->running.count - 1);
    }
    uint64_t commits = database->commits;
    uint64_t last = 0;
    for (size_t i = database->changes.count; i-- > 0 && appends > 0;) {
        const memory_change_t *change = &database->changes.items[i];
        if (change->kind == MEMORY_CHANGE_ENTRY && !change->removed && change->commit != last &&
            ((const memory_entry_t *)change->item)->entry.number > 0) {
            last = change->commit;
            commits = change->commit - 1;
            appends--;
        }
    }
    undo_to(database, commits);
}

/* ---- the whole ---- */

static void clear_entities(memory_entity_t **entities)
{
    memory_entity_t *entity;
    memory_entity_t *next;
    HASH_ITER(hh, *entities, entity, next)
    {
        HASH_DEL(*entities, entity);
        memory_sequence_free(&entity->rows);
        free(entity);
    }
}

static void clear_lane(memory_lane_t *lane)
{
    clear_entities(&lane->entities);
    clear_entities(&lane->histories);
    memory_sequence_free(&lane->entries);
    memory_sequence_free(&lane->dead);
    memory_outbox_clear(lane);
    for (size_t i = 0; i < lane->scheduled.count; i++) {
        free(lane->scheduled.items[i]);
    }
    free((void *)lane->scheduled.items);
    memory_sequence_free(&lane->keys);
    memory_sequence_free(&lane->states);
    memory_sequence_free(&lane->kept);
}

void memory_database_clear(memory_database_t *database)
{
    for (size_t i = 0; i < database->changes.count; i++) {
        forget(&database->changes.items[i]);
    }
    for (size_t i = 0; i < database->running.count; i++) {
        forget_running(&database->running.items[i]);
    }
    for (size_t i = 0; i < LIMIT_LANES_MAX; i++) {
        clear_lane(&database->lanes[i]);
    }
    for (size_t i = 0; i < database->names.count; i++) {
        free(database->names.items[i]);
    }
    free(database->brokers.items);
    free(database->runners.items);
    free(database->groups.items);
    free(database->types.items);
    free(database->names.items);
    free(database->changes.items);
    free(database->running.items);
    free(database->faults.items);
    memory_database_t empty = {.next = database->next, .holder = database->holder};
    memcpy(empty.name, database->name, sizeof empty.name);
    memcpy(empty.holder_text, database->holder_text, sizeof empty.holder_text);
    *database = empty;
}
