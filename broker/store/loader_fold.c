/* What stands in a lane that is adopted: the entries above the checkpoint, folded, and the rows
 * that they overrule. */
#include "broker/store/loader_state.h"

#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/memory.h"
#include "core/message.h"

#define KEYS_MAX 1000u /* of one question for rows */

void loader_reading_clear(reading_t *reading)
{
    journal_fold_destroy(&reading->fold);
    free(reading->has_row);
    free(reading->has_due_row);
    free(reading->backlogs);
    free(reading->kept);
    free(reading->kept_names);
    free(reading->outboxes);
    reading->kept = NULL;
    reading->outboxes = NULL;
    reading->kept_names = NULL;
    reading->has_row = reading->has_due_row = NULL;
    reading->backlogs = NULL;
}

/* ---- rows ---- */

/* Items of which it is asked whether they have rows. */
typedef struct rows_question {
    store_row_key_t keys[KEYS_MAX];
    size_t items[KEYS_MAX];
    size_t count;
} rows_question_t;

static fabric_error_t ask_for_rows(reading_t *reading, rows_question_t *question)
{
    bool found[KEYS_MAX] = {false};
    fabric_error_t error = reading->store->driver->find_rows(
        reading->store, reading->hold.lane, question->keys, question->count, found);
    for (size_t i = 0; !error && i < question->count; i++) {
        reading->has_row[question->items[i]] = found[i];
    }
    question->count = 0;
    return error;
}

/* What was accepted up to the checkpoint has a row, unless it ended while the checkpoint was being
 * written. What was accepted later has none, unless a later checkpoint was cut off: that one may
 * have written and deleted any row. */
fabric_error_t loader_find_rows(reading_t *reading)
{
    size_t count = 0;
    rows_question_t question = {.count = 0};
    fabric_error_t error = FABRIC_OK;
    bool cut_off = reading->row.begun > reading->row.number;
    const journal_item_t *items = journal_fold_items(reading->fold, &count);
    reading->has_row = memory_allocate_zeroed(count ? count : 1, sizeof *reading->has_row);
    for (size_t i = 0; !error && i < count; i++) {
        if (cut_off || !(items[i].accepted || items[i].damaged)) {
            question.items[question.count] = i;
            question.keys[question.count++] =
                (store_row_key_t){items[i].entity_hash, items[i].position};
        }
        if (question.count == KEYS_MAX) {
            error = ask_for_rows(reading, &question);
        }
    }
    return error || question.count == 0 ? error : ask_for_rows(reading, &question);
}

/* The same question for rows of scheduled messages. */
static fabric_error_t find_scheduled(reading_t *reading, const journal_item_t *items, size_t count)
{
    store_due_key_t keys[KEYS_MAX];
    size_t places[KEYS_MAX];
    bool cut_off = reading->row.begun > reading->row.number;
    fabric_error_t error = FABRIC_OK;
    for (size_t at = 0; !error && at < count;) {
        bool found[KEYS_MAX] = {false};
        size_t asked = 0;
        for (; at < count && asked < KEYS_MAX; at++) {
            if (items[at].deliver_at_ms != 0 && (cut_off || !items[at].accepted)) {
                places[asked] = at;
                keys[asked++] = (store_due_key_t){items[at].deliver_at_ms, items[at].id.value};
            }
        }
        if (asked > 0) {
            error = reading->store->driver->find_scheduled(reading->store, reading->hold.lane, keys,
                                                           asked, found);
        }
        for (size_t i = 0; !error && i < asked; i++) {
            reading->has_due_row[places[i]] = found[i];
        }
    }
    return error;
}

fabric_error_t loader_count_scheduled(reading_t *reading)
{
    size_t count = 0;
    const journal_item_t *items = journal_fold_items(reading->fold, &count);
    reading->has_due_row = memory_allocate_zeroed(count ? count : 1, sizeof *reading->has_due_row);
    fabric_error_t error = find_scheduled(reading, items, count);
    return error ? error
                 : reading->store->driver->count_scheduled(reading->store, reading->hold.lane,
                                                           &reading->scheduled);
}

static void add_backlog(void *context, const store_backlog_t *backlog)
{
    reading_t *reading = context;
    if (reading->backlog_count == reading->backlog_capacity) {
        reading->backlog_capacity = reading->backlog_capacity ? reading->backlog_capacity * 2 : 64;
        reading->backlogs =
            memory_resize(reading->backlogs, reading->backlog_capacity, sizeof *reading->backlogs);
    }
    reading->backlogs[reading->backlog_count++] = *backlog;
}

static int compare_backlogs(const void *left, const void *right)
{
    const store_backlog_t *a = left;
    const store_backlog_t *b = right;
    return a->entity_hash < b->entity_hash ? -1 : a->entity_hash > b->entity_hash;
}

fabric_error_t loader_count_rows(reading_t *reading)
{
    fabric_error_t error = reading->store->driver->list_backlogs(reading->store, reading->hold.lane,
                                                                 add_backlog, reading);
    if (!error && reading->backlog_count > 0) {
        qsort(reading->backlogs, reading->backlog_count, sizeof *reading->backlogs,
              compare_backlogs);
    }
    return error;
}

/* One row of the entity does not stand, or its message is in memory. */
static void leave_out(reading_t *reading, uint64_t entity_hash)
{
    store_backlog_t key = {.entity_hash = entity_hash};
    store_backlog_t *backlog = reading->backlog_count == 0
                                   ? NULL
                                   : bsearch(&key, reading->backlogs, reading->backlog_count,
                                             sizeof key, compare_backlogs);
    if (backlog && backlog->count > 0) {
        backlog->count--;
    }
}

static void drop_empty_backlogs(reading_t *reading)
{
    size_t kept = 0;
    for (size_t i = 0; i < reading->backlog_count; i++) {
        if (reading->backlogs[i].count > 0) {
            reading->backlogs[kept++] = reading->backlogs[i];
        }
    }
    reading->backlog_count = kept;
}

/* ---- messages ---- */

/* The message of a record that cannot be read: no message. Its shard, which is lost, is one of the
 * lane. */
static store_message_t unreadable(const reading_t *reading, const journal_item_t *item,
                                  uint32_t lanes)
{
    uint32_t lane = reading->hold.lane;
    return (store_message_t){.id = item->id,
                             .shard = shard_id_make(1, (uint16_t)(lane ? lane : lanes))};
}

static message_t *add_message(message_chain_t *chain, const journal_item_t *item,
                              const store_message_t *stored, const store_reply_t *reply,
                              bool has_row)
{
    message_t *message = message_chain_add(chain, stored, item->attempts, reply);
    message->position = item->position;
    message->entity_hash = item->entity_hash;
    message->has_row = has_row;
    return message;
}

/* A dead letter whose record is damaged stays one, as far as it can be read. */
static void add_dead(message_chain_t *dead, const journal_item_t *item,
                     const store_message_t *lost_message, bool has_row)
{
    static const char text[] = "the record of its end is damaged";
    const store_message_t *stored =
        item->begun || !item->result_damaged ? &item->message : lost_message;
    store_reply_t lost_reply = {.id = item->id,
                                .shard = stored->shard,
                                .status = STATUS_DEFECT,
                                .error = FABRIC_ERROR_DEAD_LETTER,
                                .payload = fabric_bytes(text, sizeof text - 1)};
    message_t *message =
        add_message(dead, item, stored, item->result_damaged ? &lost_reply : &item->reply, has_row);
    message->cause = item->result_damaged ? FABRIC_ERROR_DEAD_LETTER : item->cause;
}

/* The end of a message with a primary key, whose reply duplicates are to get. */
static void add_ended(message_chain_t *ended, const journal_item_t *item)
{
    static const char text[] = "the record of its reply is damaged";
    store_message_t stored = {.id = item->id,
                              .shard = item->begun ? item->message.shard : item->reply.shard,
                              .flags = REQUEST_DURABLE,
                              .key_hash = item->key_hash};
    store_reply_t lost_reply = {.id = item->id,
                                .shard = stored.shard,
                                .status = STATUS_DEFECT,
                                .error = FABRIC_ERROR_ENTITY_DEFECT,
                                .payload = fabric_bytes(text, sizeof text - 1)};
    (void)add_message(ended, item, &stored, item->result_damaged ? &lost_reply : &item->reply,
                      false);
}

static void overrule(adoption_t *adoption, const journal_item_t *item, int64_t due_ms, bool ended)
{
    adoption->overruled[adoption->overruled_count++] =
        (overruled_row_t){.id = item->id,
                          .position = item->position,
                          .due_ms = due_ms,
                          .entity_hash = item->entity_hash,
                          .ended = ended,
                          .attempts = item->attempts};
}

static int compare_overruled(const void *left, const void *right)
{
    const overruled_row_t *a = left;
    const overruled_row_t *b = right;
    return a->id.value < b->id.value ? -1 : a->id.value > b->id.value;
}

/* Whether the row may have other counts than the entries; those of a resumed entity are zero. */
static bool is_counted(const journal_item_t *item)
{
    return item->recounted ||
           (item->counted && (item->attempts.attempts > 0 || item->attempts.crashes > 0));
}

/* Whether the item's message has a time of delivery, and has not come due. */
static bool is_scheduled(const journal_item_t *item)
{
    return item->deliver_at_ms != 0 && item->position == item->id.value;
}

/* The item's row among those of scheduled messages, which it has. */
static void sort_due_row(reading_t *reading, const journal_item_t *item, bool in_memory,
                         adoption_t *adoption)
{
    bool stands = item->standing == JOURNAL_PENDING && is_scheduled(item);
    if (!stands || in_memory) {
        reading->scheduled -= reading->scheduled > 0;
    }
    if (!stands) {
        overrule(adoption, item, item->deliver_at_ms, true);
    }
}

/* Sorts the messages and rows of the items into the adoption. */
static void sort_items(reading_t *reading, uint32_t lanes, adoption_t *adoption)
{
    size_t count = 0;
    message_chain_t messages = {0};
    message_chain_t dead = {0};
    message_chain_t ended = {0};
    const journal_item_t *items = journal_fold_items(reading->fold, &count);
    adoption->overruled = memory_allocate((2 * count + 1) * sizeof *adoption->overruled);
    for (size_t i = 0; i < count; i++) {
        const journal_item_t *item = &items[i];
        bool has_row = reading->has_row[i];
        bool has_due_row = reading->has_due_row[i];
        bool keeps_row = is_scheduled(item) ? has_due_row : has_row;
        bool is_pending = item->standing == JOURNAL_PENDING;
        bool in_memory = is_pending && (item->begun || item->damaged);
        store_message_t lost = unreadable(reading, item, lanes);
        if (in_memory) {
            add_message(&messages, item, item->damaged ? &lost : &item->message, NULL, keeps_row);
        } else if (item->standing == JOURNAL_DEAD) {
            add_dead(&dead, item, &lost, keeps_row);
        } else if (item->standing == JOURNAL_ENDED && item->key_hash) {
            add_ended(&ended, item);
        }
        if (has_due_row) {
            sort_due_row(reading, item, in_memory, adoption);
        }
        if (has_row && (!is_pending || in_memory)) {
            leave_out(reading, item->entity_hash);
        }
        if (has_row && (!is_pending || is_counted(item))) {
            overrule(adoption, item, 0, !is_pending);
        }
    }
    adoption->messages = messages.first;
    adoption->dead = dead.first;
    adoption->ended = ended.first;
    qsort(adoption->overruled, adoption->overruled_count, sizeof *adoption->overruled,
          compare_overruled);
}

/* Their rows, if they have some, are not needed any more. */
static void take_direct(reading_t *reading, adoption_t *adoption)
{
    size_t count = 0;
    size_t capacity = 0;
    const journal_item_t *items = journal_fold_items(reading->fold, &count);
    for (size_t i = 0; i < count; i++) {
        if (items[i].transactional) {
            adoption->direct = memory_reserve(adoption->direct, adoption->direct_count + 1,
                                              &capacity, sizeof *adoption->direct);
            adoption->direct[adoption->direct_count++] = items[i].id;
        }
    }
}

/* Names as one allocation; none: NULL. */
static void copy_names(const journal_clear_t *from, adopted_clear_t *to)
{
    if (from->type.size == 0) {
        return;
    }
    uint8_t *names = memory_allocate(from->type.size + from->entity.size);
    memcpy(names, from->type.data, from->type.size);
    memcpy(names + from->type.size, from->entity.data, from->entity.size);
    to->type = fabric_bytes(names, from->type.size);
    to->entity = fabric_bytes(names + from->type.size, from->entity.size);
}

static void copy_clears(const reading_t *reading, adoption_t *adoption)
{
    const journal_clear_t *clears = journal_fold_clears(reading->fold, &adoption->clear_count);
    adoption->clears = memory_allocate_zeroed(adoption->clear_count + 1, sizeof *adoption->clears);
    for (size_t i = 0; i < adoption->clear_count; i++) {
        adoption->clears[i] = (adopted_clear_t){
            .id = clears[i].id, .shard = clears[i].shard, .entity_hash = clears[i].entity_hash};
        copy_names(&clears[i], &adoption->clears[i]);
    }
}

void loader_put_together(reading_t *reading, uint32_t lanes, adoption_t *adoption)
{
    uint64_t last_id = journal_fold_last_id(reading->fold);
    *adoption =
        (adoption_t){.hold = reading->hold,
                     .number = reading->end.number,
                     .log_bytes = reading->end.log_bytes,
                     .last_id = last_id > reading->end.last_id ? last_id : reading->end.last_id,
                     .checkpoint = reading->row.number,
                     .tail_bytes = reading->tail_bytes};
    sort_items(reading, lanes, adoption);
    take_direct(reading, adoption);
    copy_clears(reading, adoption);
    loader_take_states(reading, adoption);
    loader_take_events(reading, adoption);
    loader_take_outgoing(reading, lanes, adoption);
    drop_empty_backlogs(reading);
    adoption->scheduled = reading->scheduled;
    adoption->backlogs = reading->backlogs;
    adoption->backlog_count = reading->backlog_count;
    reading->backlogs = NULL;
    loader_put_kept(reading, adoption);
}
