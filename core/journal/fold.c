/* Folding: see fold.h. */
#include "core/journal/fold.h"

#include <inttypes.h>

#include "core/hash.h"
#include "core/journal/entry_state.h"
#include "core/journal/outbox.h"
#include "core/memory.h"
#include "core/message.h"

/* A place of the table from ids to items: open addressing, at most half full. */
typedef struct slot {
    uint64_t id;
    size_t item; /* its index in `items` plus 1; 0: the place is empty */
} slot_t;

struct journal_fold {
    uint32_t lane;
    uint64_t number, last_id, bytes, damaged;
    journal_item_t *items;
    size_t count, capacity;
    slot_t *slots;
    size_t mask; /* number of slots - 1 */
    journal_clear_t *clears;
    size_t clear_count, clear_capacity;
    store_state_t *states; /* in the order of the records */
    size_t state_count, state_capacity;
    store_event_t *events; /* the same */
    size_t event_count, event_capacity;
    outbox_t outbox;
    store_kept_t *kept; /* in the order of the records */
    size_t kept_count, kept_capacity;
    uint8_t **bodies; /* copies; the items' views point into them */
    size_t body_count, body_capacity;
};

enum { SLOTS_FIRST = 64 };

journal_fold_t *journal_fold_new(uint32_t lane, uint64_t checkpoint)
{
    journal_fold_t *fold = memory_allocate_zeroed(1, sizeof *fold);
    fold->lane = lane;
    fold->number = checkpoint;
    fold->mask = SLOTS_FIRST - 1;
    fold->slots = memory_allocate_zeroed(SLOTS_FIRST, sizeof *fold->slots);
    return fold;
}

void journal_fold_destroy(journal_fold_t **fold)
{
    if (*fold) {
        for (size_t i = 0; i < (*fold)->body_count; i++) {
            free((*fold)->bodies[i]);
        }
        free((void *)(*fold)->bodies);
        free((*fold)->items);
        free((*fold)->clears);
        free((*fold)->states);
        free((*fold)->events);
        outbox_free(&(*fold)->outbox);
        free((*fold)->slots);
        free((*fold)->kept);
        free(*fold);
        *fold = NULL;
    }
}

uint64_t journal_fold_number(const journal_fold_t *fold)
{
    return fold->number;
}

uint64_t journal_fold_last_id(const journal_fold_t *fold)
{
    return fold->last_id;
}

uint64_t journal_fold_damaged(const journal_fold_t *fold)
{
    return fold->damaged;
}

uint64_t journal_fold_bytes(const journal_fold_t *fold)
{
    return fold->bytes;
}

size_t journal_fold_count(const journal_fold_t *fold)
{
    return fold->count;
}

/* ---- the table of items ---- */

/* The slot of an id, or the empty one where it belongs. */
static slot_t *find_slot(const journal_fold_t *fold, uint64_t id)
{
    size_t place = XXH3_64bits(&id, sizeof id) & fold->mask;
    while (fold->slots[place].item != 0 && fold->slots[place].id != id) {
        place = (place + 1) & fold->mask;
    }
    return &fold->slots[place];
}

static void grow_table(journal_fold_t *fold)
{
    slot_t *old = fold->slots;
    size_t old_size = fold->mask + 1;
    fold->slots = memory_allocate_zeroed(2 * old_size, sizeof *fold->slots);
    fold->mask = 2 * old_size - 1;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].item != 0) {
            *find_slot(fold, old[i].id) = old[i];
        }
    }
    free(old);
}

static journal_item_t *find_or_add(journal_fold_t *fold, const journal_record_t *record)
{
    slot_t *slot = find_slot(fold, record->id.value);
    if (slot->item != 0) {
        return &fold->items[slot->item - 1];
    }
    if (fold->count == fold->capacity) {
        fold->capacity = fold->capacity ? 2 * fold->capacity : SLOTS_FIRST / 2;
        fold->items = memory_resize(fold->items, fold->capacity, sizeof *fold->items);
    }
    journal_item_t *item = &fold->items[fold->count++];
    *item = (journal_item_t){.id = record->id,
                             .position = record->id.value,
                             .entity_hash = record->entity_hash,
                             .standing = JOURNAL_PENDING};
    *slot = (slot_t){record->id.value, fold->count};
    if (fold->count > fold->mask / 2) {
        grow_table(fold);
    }
    return item;
}

const journal_clear_t *journal_fold_clears(const journal_fold_t *fold, size_t *count)
{
    *count = fold->clear_count;
    return fold->clears;
}

const journal_item_t *journal_fold_find(const journal_fold_t *fold, request_id_t id)
{
    const slot_t *slot = find_slot(fold, id.value);
    return slot->item != 0 ? &fold->items[slot->item - 1] : NULL;
}

/* ---- states of entities ---- */

const store_state_t *journal_fold_states(const journal_fold_t *fold, size_t *count)
{
    *count = fold->state_count;
    return fold->states;
}

static void add_state(journal_fold_t *fold, const store_state_t *state)
{
    fold->states = memory_reserve(fold->states, fold->state_count + 1, &fold->state_capacity,
                                  sizeof *fold->states);
    fold->states[fold->state_count++] = *state;
}

/* ---- events ---- */

const store_event_t *journal_fold_events(const journal_fold_t *fold, size_t *count)
{
    *count = fold->event_count;
    return fold->events;
}

static void add_events(journal_fold_t *fold, const journal_record_t *record)
{
    journal_events_reader_t reader = journal_events_open(&record->events);
    store_event_t event = {.type = record->state.type,
                           .entity = record->state.entity,
                           .shard = record->shard,
                           .number = fold->number + 1, /* the entry is being taken */
                           .id = record->id,
                           .recorded_ms = record->events.recorded_ms};
    while (journal_events_next(&reader, &event)) {
        fold->events = memory_reserve(fold->events, fold->event_count + 1, &fold->event_capacity,
                                      sizeof *fold->events);
        fold->events[fold->event_count++] = event;
    }
}

/* ---- outgoing messages ---- */

const store_outgoing_t *journal_fold_outgoing(journal_fold_t *fold, size_t *count)
{
    outbox_tidy(&fold->outbox);
    *count = fold->outbox.message_count;
    return fold->outbox.messages;
}

const store_outgoing_key_t *journal_fold_sent(journal_fold_t *fold, size_t *count)
{
    outbox_tidy(&fold->outbox);
    *count = fold->outbox.ended_count;
    return fold->outbox.ended;
}

/* ---- entities that are kept alive ---- */

static void add_kept(journal_fold_t *fold, const store_kept_t *kept)
{
    fold->kept =
        memory_reserve(fold->kept, fold->kept_count + 1, &fold->kept_capacity, sizeof *fold->kept);
    fold->kept[fold->kept_count++] = *kept;
}

const store_kept_t *journal_fold_kept(const journal_fold_t *fold, size_t *count)
{
    *count = fold->kept_count;
    return fold->kept;
}

/* ---- records ---- */

static void count_attempts(journal_item_t *item, const journal_record_t *record)
{
    item->attempts = record->attempts;
    item->counted = true;
}

static void apply_contents(journal_item_t *item, const journal_record_t *record)
{
    item->begun = true;
    item->damaged = false;
    item->position = record->position;
    item->message = record->message;
    item->deliver_at_ms = record->message.deliver_at_ms;
    item->key_hash = record->message.key_hash;
    count_attempts(item, record);
}

/* What a record without a copy of the message says of its place. */
static void apply_place(journal_item_t *item, uint64_t position, int64_t deliver_at_ms)
{
    if (deliver_at_ms != 0) {
        item->position = position;
        item->deliver_at_ms = deliver_at_ms;
    }
}

static void apply_record(journal_item_t *item, const journal_record_t *record)
{
    switch (record->kind) {
    case RECORD_ADOPT:
    case RECORD_CLEAR: /* see apply_clear */
    case RECORD_SENT:
    case RECORD_ALIVE:
        break;
    case RECORD_MESSAGE:
        item->accepted = true;
        apply_contents(item, record);
        break;
    case RECORD_MOVE:
        apply_contents(item, record);
        break;
    case RECORD_ATTEMPT:
        apply_place(item, record->position, record->deliver_at_ms);
        count_attempts(item, record);
        item->recounted = true;
        break;
    case RECORD_RESULT:
        item->standing = JOURNAL_ENDED;
        apply_place(item, record->position, record->deliver_at_ms);
        item->key_hash = record->key_hash;
        item->reply = record->reply;
        item->transactional = (record->message_flags & MESSAGE_TRANSACTIONAL) != 0;
        break;
    case RECORD_DEAD:
        item->standing = JOURNAL_DEAD;
        item->damaged = false;
        item->message = record->message;
        apply_place(item, record->position, record->message.deliver_at_ms);
        item->key_hash = record->message.key_hash;
        item->reply = record->reply;
        item->cause = record->cause;
        item->text = record->text;
        item->transactional = (record->message.flags & MESSAGE_TRANSACTIONAL) != 0;
        count_attempts(item, record);
        break;
    }
}

/* Of a damaged record only kind, id and entity are known, from the index. The counts of a damaged
 * ATTEMPT are lost: those before it stand. */
static void apply_damaged(journal_item_t *item, const journal_record_t *record)
{
    switch (record->kind) {
    case RECORD_ADOPT:
    case RECORD_CLEAR:
    case RECORD_SENT:
    case RECORD_ALIVE:
    case RECORD_ATTEMPT:
        break;
    case RECORD_MESSAGE:
        item->accepted = true;
        item->damaged = !item->begun;
        break;
    case RECORD_MOVE: /* without it the message is still scheduled, and comes due once more */
        break;
    case RECORD_RESULT:
    case RECORD_DEAD:
        item->standing = record->kind == RECORD_DEAD ? JOURNAL_DEAD : JOURNAL_ENDED;
        item->result_damaged = true;
        break;
    }
}

/* ---- clears ---- */

/* Of an item without its message, and of a damaged CLEAR, the entity's hash tells alone. */
static bool is_cleared_by(const journal_item_t *item, const journal_clear_t *clear)
{
    if (item->entity_hash != clear->entity_hash || item->id.value >= clear->id.value) {
        return false;
    }
    bool named = item->begun && clear->type.size > 0;
    return !named || (fabric_bytes_equal(item->message.type, clear->type) &&
                      fabric_bytes_equal(item->message.entity, clear->entity));
}

static void clear_item(journal_item_t *item)
{
    item->standing = item->standing == JOURNAL_PENDING ? JOURNAL_CLEARED : item->standing;
    item->key_hash = NULL;
}

/* An entity's messages that are accepted later have larger ids. */
static void apply_clear(journal_fold_t *fold, const journal_record_t *record)
{
    if (fold->clear_count == fold->clear_capacity) {
        fold->clear_capacity = fold->clear_capacity ? 2 * fold->clear_capacity : 8;
        fold->clears = memory_resize(fold->clears, fold->clear_capacity, sizeof *fold->clears);
    }
    journal_clear_t *clear = &fold->clears[fold->clear_count++];
    *clear = (journal_clear_t){.id = record->id,
                               .shard = record->shard,
                               .entity_hash = record->entity_hash,
                               .type = record->message.type,
                               .entity = record->message.entity};
    for (size_t i = 0; i < fold->count; i++) {
        if (is_cleared_by(&fold->items[i], clear)) {
            clear_item(&fold->items[i]);
        }
    }
    if (clear->type.size > 0) {
        add_kept(fold, &(store_kept_t){
                           .type = clear->type, .entity = clear->entity, .shard = clear->shard});
    }
}

static void apply_clears(const journal_fold_t *fold, journal_item_t *item)
{
    for (size_t i = 0; i < fold->clear_count; i++) {
        if (is_cleared_by(item, &fold->clears[i])) {
            clear_item(item);
        }
    }
}

static void note_id(journal_fold_t *fold, uint64_t id)
{
    fold->last_id = id > fold->last_id ? id : fold->last_id;
}

/* What the handler has left, of a RESULT that counts as the end of its message. */
static void add_effects(journal_fold_t *fold, const journal_record_t *record)
{
    if (record->state.state.size > 0) {
        add_state(fold, &record->state);
    }
    if (record->events.count > 0) {
        add_events(fold, record);
    }
    if (record->outgoing.count > 0) {
        outbox_add(&fold->outbox, record, fold->number + 1); /* the entry is being taken */
    }
}

/* What concerns no message of the lane. */
static void apply_other(journal_fold_t *fold, const journal_record_t *record)
{
    if (record->kind == RECORD_ALIVE) {
        add_kept(fold, &record->kept);
    } else if (record->kind == RECORD_SENT) {
        outbox_end(&fold->outbox, &record->sent);
    }
}

static bool is_of_a_message(journal_record_kind_t kind)
{
    return kind != RECORD_ADOPT && kind != RECORD_ALIVE && kind != RECORD_SENT;
}

/* Whether all records of the entry can be read. */
static bool apply_body(journal_fold_t *fold, journal_reader_t *reader)
{
    bool readable = true;
    for (;;) {
        journal_record_t record;
        journal_read_t read = journal_read_next(reader, &record);
        if (read == JOURNAL_READ_END) {
            return readable;
        }
        readable = readable && read == JOURNAL_READ_RECORD;
        note_id(fold, record.id.value);
        if (!is_of_a_message(record.kind)) {
            if (read == JOURNAL_READ_RECORD) {
                apply_other(fold, &record);
            }
            continue;
        }
        if (record.kind == RECORD_CLEAR) {
            apply_clear(fold, &record);
            continue;
        }
        journal_item_t *item = find_or_add(fold, &record);
        if (item->standing != JOURNAL_PENDING) {
            continue; /* an end is final */
        }
        if (read == JOURNAL_READ_RECORD) {
            apply_record(item, &record);
            add_effects(fold, &record);
            note_id(fold, record.outgoing.id);
        } else {
            apply_damaged(item, &record);
        }
        apply_clears(fold, item);
    }
}

/* ---- entries ---- */

static fabric_bytes_t keep_body(journal_fold_t *fold, fabric_bytes_t body)
{
    if (body.size == 0) {
        return (fabric_bytes_t){NULL, 0};
    }
    if (fold->body_count == fold->body_capacity) {
        fold->body_capacity = fold->body_capacity ? 2 * fold->body_capacity : SLOTS_FIRST;
        fold->bodies =
            memory_resize((void *)fold->bodies, fold->body_capacity, sizeof *fold->bodies);
    }
    uint8_t *copy = memory_allocate(body.size);
    memcpy(copy, body.data, body.size);
    fold->bodies[fold->body_count++] = copy;
    return fabric_bytes(copy, body.size);
}

static fabric_error_t check_place(const journal_fold_t *fold, const store_entry_t *entry,
                                  reason_t *reason)
{
    if (entry->lane != fold->lane) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "entry %" PRIu64 " is of lane %u, not of lane %u", entry->number,
                          entry->lane, fold->lane);
    }
    if (entry->number != fold->number + 1) {
        return reason_set(reason, FABRIC_ERROR_STORE_LOST,
                          "entry %" PRIu64 " of lane %u is missing: entry %" PRIu64 " is followed "
                          "by entry %" PRIu64,
                          fold->number + 1, fold->lane, fold->number, entry->number);
    }
    return FABRIC_OK;
}

static fabric_error_t open_body(const journal_fold_t *fold, const store_entry_t *entry,
                                journal_reader_t *reader, reason_t *reason)
{
    reason_t why = {{0}};
    unsigned kind = 0;
    if (journal_reader_open(reader, entry->body, &why) != FABRIC_OK) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "entry %" PRIu64 " of lane %u: %s", entry->number, fold->lane, why.text);
    }
    if (entry_find_unknown_kind(reader, &kind)) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "entry %" PRIu64 " of lane %u has a record of kind %u, which this "
                          "release does not know",
                          entry->number, fold->lane, kind);
    }
    return FABRIC_OK;
}

fabric_error_t journal_fold_entry(journal_fold_t *fold, const store_entry_t *entry,
                                  reason_t *reason)
{
    journal_reader_t reader;
    fabric_error_t error = check_place(fold, entry, reason);
    error = error ? error : open_body(fold, entry, &reader, reason);
    if (error) {
        return error;
    }
    reader.body = keep_body(fold, entry->body);
    bool sound = journal_entry_is_sound(entry);
    if (sound && entry->last_id > fold->last_id) {
        fold->last_id = entry->last_id;
    }
    bool readable = apply_body(fold, &reader);
    fold->damaged += !sound || !readable;
    fold->number = entry->number;
    fold->bytes += reader.body.size;
    return FABRIC_OK;
}

/* ---- what stands ---- */

typedef struct place {
    uint64_t position;
    size_t item;
} place_t;

static int compare_places(const void *left, const void *right)
{
    const place_t *a = left;
    const place_t *b = right;
    if (a->position != b->position) {
        return a->position < b->position ? -1 : 1;
    }
    return a->item < b->item ? -1 : 1;
}

static bool is_sorted(const journal_fold_t *fold)
{
    for (size_t i = 1; i < fold->count; i++) {
        if (fold->items[i - 1].position > fold->items[i].position) {
            return false;
        }
    }
    return true;
}

/* Moves each item to its place, along the cycles of the permutation. */
static void permute_items(journal_item_t *items, place_t *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        journal_item_t first = items[i];
        size_t to = i;
        for (size_t from = places[i].item; from != i; from = places[to].item) {
            items[to] = items[from];
            places[to].item = to;
            to = from;
        }
        items[to] = first;
        places[to].item = to;
    }
}

static void sort_items(journal_fold_t *fold)
{
    place_t *places = memory_allocate(fold->count * sizeof *places);
    for (size_t i = 0; i < fold->count; i++) {
        places[i] = (place_t){fold->items[i].position, i};
    }
    qsort(places, fold->count, sizeof *places, compare_places);
    permute_items(fold->items, places, fold->count);
    for (size_t i = 0; i < fold->count; i++) {
        find_slot(fold, fold->items[i].id.value)->item = i + 1;
    }
    free(places);
}

const journal_item_t *journal_fold_items(journal_fold_t *fold, size_t *count)
{
    if (!is_sorted(fold)) {
        sort_items(fold);
    }
    *count = fold->count;
    return fold->items;
}
