/* Journals: any bytes as record, body, calls and row; then a fold of bodies that the input damages
 * or makes up, with their checksums corrected, so that what lies behind a checksum is reached. What
 * is read is written and read again the same, a fold that refuses an entry is as before, and what
 * it says about a message agrees with the records. */
#include <stdlib.h>

#include "core/hash.h"
#include "core/journal/entry_state.h"
#include "core/journal/fold.h"
#include "core/journal/record_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/harness/vectors.h"
#include "tests/unit/journal_samples.h"

enum { ENTRIES_MAX = 16, LANE = 3 };

/* ---- one record ---- */

static void put_result_again(journal_writer_t *writer, const journal_record_t *record,
                             store_message_t *ended)
{
    if (record->state.type.size > 0) {
        ended->type = record->state.type;
        ended->entity = record->state.entity;
        ended->tag = record->outgoing.tag;
    }
    assert_true(journal_events_are_sound(&record->events));
    assert_true(journal_outgoing_is_sound(&record->outgoing));
    journal_effects_t effects = {.version = record->state.version,
                                 .state = record->state.state,
                                 .sequence = record->state.sequence,
                                 .events = record->events,
                                 .outgoing = record->outgoing};
    journal_put_result_with_effects(writer, ended, record->position, &record->reply, &effects);
}

static void put_again(journal_writer_t *writer, const journal_record_t *record)
{
    store_message_t ended = record->message;
    ended.call = record->call;
    ended.flags = record->message_flags;
    ended.deliver_at_ms = record->deliver_at_ms;
    ended.key_hash = record->key_hash;
    switch (record->kind) {
    case RECORD_ADOPT:
        journal_put_adopt(writer, record->broker, record->epoch, record->name);
        break;
    case RECORD_ALIVE:
        journal_put_alive(writer, &record->kept);
        break;
    case RECORD_MESSAGE:
        journal_put_message(writer, &record->message, record->position, record->attempts);
        break;
    case RECORD_MOVE:
        journal_put_move(writer, &record->message, record->position);
        break;
    case RECORD_RESULT:
        put_result_again(writer, record, &ended);
        break;
    case RECORD_ATTEMPT:
        journal_put_attempt(writer, &ended, record->position, record->attempts);
        break;
    case RECORD_DEAD:
        journal_put_dead(writer, &record->message, record->position, &record->reply,
                         record->attempts, record->cause, record->text);
        break;
    case RECORD_CLEAR:
        journal_put_clear(writer, record->message.id, record->message.shard, record->message.type,
                          record->message.entity);
        break;
    case RECORD_SENT:
        assert_true(journal_sent_is_sound(&record->sent));
        journal_put_sent(writer, record->message.id, record->message.shard, record->entity_hash,
                         &record->sent);
        break;
    }
}

/* A record by itself says the same after it was written again. A RESULT does not: it holds a hash
 * of contents that it does not have, and so its text is compared with that hash put back. */
static void check_record(fabric_bytes_t bytes)
{
    journal_record_t record;
    journal_record_t again;
    if (journal_record_decode(bytes, &record)) {
        return;
    }
    journal_writer_t *writer = journal_writer_new();
    put_again(writer, &record);
    assert_int_equal(journal_record_decode(journal_record_of(writer, 0), &again), FABRIC_OK);
    again.contents = record.contents;
    char *left = journal_record_text(JOURNAL_READ_RECORD, &record);
    char *right = journal_record_text(JOURNAL_READ_RECORD, &again);
    assert_string_equal(left, right);
    free(left);
    free(right);
    journal_writer_destroy(&writer);
}

/* ---- a body ---- */

/* Makes the checksums of a body right, as far as its index leads, where the bytes allow. */
static void correct_body(uint8_t *body, size_t size)
{
    if (size < BODY_HEAD_BYTES) {
        return;
    }
    size_t count = load_u32(body + BODY_CHECKED_AT);
    if (count > (size - BODY_HEAD_BYTES) / INDEX_ITEM_BYTES) {
        return;
    }
    size_t records = BODY_HEAD_BYTES + count * INDEX_ITEM_BYTES;
    store_u64(body + 1, XXH3_64bits(body + BODY_CHECKED_AT, records - BODY_CHECKED_AT));
    for (size_t i = 0; i < count; i++) {
        size_t begin = records + load_u32(body + BODY_HEAD_BYTES + i * INDEX_ITEM_BYTES);
        size_t end = i + 1 < count
                         ? records + load_u32(body + BODY_HEAD_BYTES + (i + 1) * INDEX_ITEM_BYTES)
                         : size;
        if (end > size || begin + RECORD_HEAD_BYTES > end) {
            return;
        }
        store_u32(body + begin, (uint32_t)(end - begin - RECORD_LENGTH_BYTES));
        store_u64(body + begin + RECORD_LENGTH_BYTES,
                  XXH3_64bits(body + begin + RECORD_CHECKED_AT, end - begin - RECORD_CHECKED_AT));
    }
}

static void check_body(fabric_bytes_t body)
{
    journal_reader_t reader;
    journal_record_t record;
    journal_record_t same;
    if (journal_reader_open(&reader, body, NULL)) {
        assert_int_equal(journal_read_at(body, 0, &record), JOURNAL_READ_DAMAGED);
        return;
    }
    uint32_t count = 0;
    for (;; count++) {
        journal_read_t read = journal_read_next(&reader, &record);
        assert_int_equal(journal_read_at(body, count, &same), read);
        if (read == JOURNAL_READ_END) {
            break;
        }
        assert_true(record.kind == same.kind && record.id.value == same.id.value);
        free(journal_record_text(read, &record));
    }
    assert_int_equal(count, reader.count);
}

/* What is salvaged from any bytes is a body without damage. */
static void check_salvage(fabric_bytes_t body)
{
    journal_writer_t *writer = journal_writer_new();
    store_entry_t entry = {.lane = LANE};
    journal_reader_t reader;
    journal_record_t record;
    size_t count = journal_salvage(writer, body);
    journal_seal(writer, &entry, 0);
    assert_int_equal(journal_reader_open(&reader, entry.body, NULL), FABRIC_OK);
    assert_int_equal(reader.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_RECORD);
    }
    journal_writer_destroy(&writer);
}

static void check_calls(fabric_bytes_t calls)
{
    journal_calls_reader_t reader = journal_calls_open(calls);
    journal_call_t call;
    bool damaged = true;
    size_t count = 0;
    while (journal_calls_next(&reader, &call, &damaged)) {
        assert_false(damaged);
        count++;
    }
    assert_true(count == 0 || calls.size == CALLS_HEAD_BYTES + count * (size_t)CALLS_ITEM_BYTES);
    assert_true(!damaged || count == 0);
}

/* ---- folds ---- */

/* A few events, perhaps, and a state that contains them. */
static void fuzz_events(fuzz_input_t *input, wire_writer_t *list, journal_record_t *record)
{
    uint8_t choice = fuzz_byte(input);
    wire_writer_reset(list);
    for (unsigned i = 0; i < choice % 4u; i++) {
        fabric_bytes_t tag = fuzz_piece(input);
        journal_events_put(list, tag.size > 0 && tag.size < 256 ? tag : fabric_bytes_of("t"),
                           fuzz_byte(input), fuzz_piece(input));
    }
    record->events = (journal_events_t){.first = choice % 4 ? 1 + fuzz_byte(input) : 0,
                                        .count = choice % 4,
                                        .list = wire_writer_bytes(list)};
    record->state.sequence =
        record->state.state.size > 0 ? journal_events_last(&record->events) : 0;
}

static fabric_bytes_t fuzz_name(fuzz_input_t *input)
{
    fabric_bytes_t name = fuzz_piece(input);
    return name.size > 0 && name.size < 256 ? name : fabric_bytes_of("n");
}

/* A few outgoing messages, perhaps, or their ends; of few results, so that they meet. */
static void fuzz_outgoing(fuzz_input_t *input, wire_writer_t *list, journal_record_t *record)
{
    uint32_t count = fuzz_byte(input) % 4u;
    uint64_t id = 1 + fuzz_byte(input) % 4u;
    wire_writer_reset(list);
    if (record->kind == RECORD_SENT) {
        for (uint32_t i = 0; i <= count; i++) {
            store_sent_t end = {fuzz_byte(input) % 4u, {1 + fuzz_byte(input)}, fuzz_byte(input)};
            journal_sent_put(list, &end);
        }
        record->sent = (journal_sent_t){id, count + 1, wire_writer_bytes(list)};
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        store_outgoing_t message = {.shard = {0x10001},
                                    .type = fuzz_name(input),
                                    .entity = fuzz_name(input),
                                    .tag = fuzz_name(input),
                                    .payload = fuzz_piece(input),
                                    .flags = fuzz_byte(input)};
        journal_outgoing_put(list, &message);
    }
    record->outgoing = (journal_outgoing_t){.id = count > 0 ? id : 0,
                                            .count = count,
                                            .tag = fuzz_name(input),
                                            .list = wire_writer_bytes(list)};
}

/* A body of records that the input chooses, with few ids, so that they meet. */
static fabric_bytes_t make_body(fuzz_input_t *input, journal_writer_t *writer)
{
    static const journal_record_kind_t kinds[] = {RECORD_ADOPT,   RECORD_MESSAGE, RECORD_RESULT,
                                                  RECORD_ATTEMPT, RECORD_DEAD,    RECORD_MOVE,
                                                  RECORD_CLEAR,   RECORD_ALIVE,   RECORD_SENT};
    wire_writer_t list = {0};
    wire_writer_t told = {0};
    journal_writer_reset(writer);
    for (unsigned records = fuzz_byte(input) % 8; records > 0; records--) {
        store_message_t message = {.id = {fuzz_byte(input) % 8},
                                   .shard = {0x10001},
                                   .type = fuzz_piece(input),
                                   .entity = fuzz_piece(input),
                                   .payload = fuzz_piece(input)};
        journal_record_t record = {.kind =
                                       kinds[fuzz_byte(input) % (sizeof kinds / sizeof kinds[0])],
                                   .message = message,
                                   .position = fuzz_number(input),
                                   .attempts = {fuzz_byte(input), fuzz_byte(input)},
                                   .cause = fuzz_byte(input),
                                   .text = fuzz_piece(input),
                                   .kept = {.type = message.type,
                                            .entity = message.entity,
                                            .shard = message.shard,
                                            .causes = fuzz_byte(input)}};
        record.state = (store_state_t){
            .type = message.type, .entity = message.entity, .state = fuzz_piece(input)};
        fuzz_events(input, &list, &record);
        fuzz_outgoing(input, &told, &record);
        put_again(writer, &record);
    }
    wire_writer_destroy(&list);
    wire_writer_destroy(&told);
    store_entry_t entry = {.lane = LANE};
    journal_seal(writer, &entry, 0);
    return entry.body;
}

/* What the fold says about a message after an entry of which a record is the last that names it. */
static void check_item(const journal_fold_t *fold, const journal_record_t *record)
{
    const journal_item_t *item = journal_fold_find(fold, record->id);
    if (record->kind == RECORD_CLEAR) {
        return; /* it speaks of others */
    }
    assert_non_null(item);
    if (record->kind == RECORD_RESULT || record->kind == RECORD_DEAD) {
        assert_true(item->standing != JOURNAL_PENDING);
    }
}

static void fold_body(journal_fold_t *fold, fabric_bytes_t body)
{
    store_entry_t entry = {.lane = LANE, .number = journal_fold_number(fold) + 1, .body = body};
    size_t items = journal_fold_count(fold);
    journal_reader_t reader;
    journal_record_t record;
    reason_t reason = {{0}};
    if (journal_fold_entry(fold, &entry, &reason)) {
        assert_true(reason.text[0]);
        assert_int_equal(journal_fold_count(fold), items);
        assert_int_equal(journal_fold_number(fold), entry.number - 1);
        return;
    }
    assert_int_equal(journal_reader_open(&reader, body, NULL), FABRIC_OK);
    while (journal_read_next(&reader, &record) != JOURNAL_READ_END) {
        if (record.kind != RECORD_ADOPT && record.kind != RECORD_ALIVE &&
            record.kind != RECORD_SENT) {
            check_item(fold, &record);
        }
    }
}

static bool is_before(store_outgoing_key_t a, store_outgoing_key_t b)
{
    return a.id < b.id || (a.id == b.id && a.index < b.index);
}

/* In order, once each, and those that have ended are none of those that are to be sent. */
static void check_outgoing(journal_fold_t *fold)
{
    size_t count = 0;
    size_t ended_count = 0;
    const store_outgoing_t *messages = journal_fold_outgoing(fold, &count);
    const store_outgoing_key_t *ended = journal_fold_sent(fold, &ended_count);
    size_t end = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || is_before(messages[i - 1].key, messages[i].key));
        assert_true(messages[i].number <= journal_fold_number(fold));
        assert_non_null(journal_fold_find(fold, messages[i].source));
        while (end < ended_count && is_before(ended[end], messages[i].key)) {
            end++;
        }
        assert_true(end == ended_count || is_before(messages[i].key, ended[end]));
    }
    for (size_t i = 1; i < ended_count; i++) {
        assert_true(is_before(ended[i - 1], ended[i]));
    }
}

static void check_order(journal_fold_t *fold)
{
    size_t count = 0;
    check_outgoing(fold);
    const store_event_t *events = journal_fold_events(fold, &count);
    for (size_t i = 0; i < count; i++) {
        assert_true(events[i].sequence > 0 && events[i].tag.size > 0);
        assert_true(events[i].number <= journal_fold_number(fold));
        assert_non_null(journal_fold_find(fold, events[i].id));
    }
    const journal_item_t *items = journal_fold_items(fold, &count);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || items[i - 1].position <= items[i].position);
        assert_ptr_equal(journal_fold_find(fold, items[i].id), &items[i]);
    }
    assert_int_equal(journal_fold_count(fold), count);
}

static void check_folds(fuzz_input_t *input)
{
    journal_fold_t *fold = journal_fold_new(LANE, 100);
    journal_writer_t *writer = journal_writer_new();
    for (int i = 0; i < ENTRIES_MAX && fuzz_left(input) > 0; i++) {
        uint8_t choice = fuzz_byte(input);
        if (choice & 1) {
            fold_body(fold, make_body(input, writer));
        } else {
            fabric_bytes_t block = fuzz_block(input);
            uint8_t *bytes = (uint8_t *)(uintptr_t)block.data;
            correct_body(bytes, block.size);
            check_body(block);
            fold_body(fold, block);
            free(bytes);
        }
        if (choice & 2) {
            check_order(fold);
        }
    }
    check_order(fold);
    journal_writer_destroy(&writer);
    journal_fold_destroy(&fold);
}

/* ---- inputs ---- */

enum { ANY, FOLDS };

/* ---- events as the wire has them ---- */

static void check_events(fabric_bytes_t array)
{
    journal_events_t events = {.count = 7};
    journal_events_t again;
    if (journal_events_read(array, 1, &events)) {
        assert_int_equal(events.count, 7);
        return;
    }
    uint32_t count = 0;
    store_event_t event;
    journal_events_reader_t reader = journal_events_open(&events);
    wire_writer_t list = {0};
    while (journal_events_next(&reader, &event)) {
        assert_true(event.tag.size > 0 && event.sequence == ++count);
        journal_events_put(&list, event.tag, event.version, event.payload);
    }
    assert_int_equal(count, events.count);
    journal_events_t copy = {.first = 1, .count = count, .list = wire_writer_bytes(&list)};
    wire_writer_t written = {0};
    journal_events_put_array(&written, &copy);
    assert_int_equal(journal_events_read(wire_writer_bytes(&written), 1, &again), FABRIC_OK);
    assert_int_equal(again.count, count);
    assert_true(fabric_bytes_equal(again.list, copy.list));
    wire_writer_destroy(&list);
    wire_writer_destroy(&written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = fuzz_input(data, size);
    if (fuzz_byte(&input) % 2 == FOLDS) {
        check_folds(&input);
        return 0;
    }
    fabric_bytes_t rest = fuzz_rest(&input);
    check_record(rest);
    check_body(rest);
    check_salvage(rest);
    check_calls(rest);
    check_events(rest);
    free(journal_entry_text(rest));
    return 0;
}

static void seed(const vector_t *vector, void *context)
{
    (void)context;
    fuzz_seed_after(ANY, vector->bytes);
    if (strncmp(vector->name, "body_", 5) == 0 && vector->bytes.size > 0) {
        wire_writer_t input = {0};
        uint8_t head[] = {FOLDS, 2, (uint8_t)(vector->bytes.size >> 8),
                          (uint8_t)vector->bytes.size};
        for (size_t i = 0; i < 2; i++) { /* the body twice: two entries */
            wire_append(&input, head + i, sizeof head - i);
            wire_append(&input, vector->bytes.data, vector->bytes.size);
        }
        fuzz_seed(wire_writer_bytes(&input));
        wire_writer_destroy(&input);
    }
}

void fuzz_seeds(void)
{
    vectors_visit("schemas/vectors/journal.txt", seed, NULL);
}
