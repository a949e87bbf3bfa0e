/* Folding: what stands after entries, by itself and against rows, and by a naive model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "core/journal/fold.h"
#include "core/memory.h"
#include "tests/harness/vectors.h"
#include "tests/unit/journal_samples.h"

enum { LANE = 3, CHECKPOINT = 100, ID = 4711 };

/* A writer, and a fold that takes what it has written. */
typedef struct bench {
    journal_writer_t *writer;
    journal_fold_t *fold;
    store_message_t message;
    store_reply_t reply;
} bench_t;

static int set_up(void **state)
{
    static bench_t bench;
    srand(7);
    bench.writer = journal_writer_new();
    bench.fold = journal_fold_new(LANE, CHECKPOINT);
    bench.message = journal_sample_message(ID);
    bench.message.payload = fabric_bytes_of("the payload");
    bench.reply = journal_sample_reply(&bench.message);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;
    journal_writer_destroy(&bench->writer);
    journal_fold_destroy(&bench->fold);
    journal_fold_destroy(&bench->fold); /* takes NULL */
    return 0;
}

static const journal_attempts_t none = {0, 0};

/* The fold takes what was put since the last call as its next entry. */
static store_entry_t take_entry(bench_t *bench)
{
    store_entry_t entry = journal_sample_entry(bench->writer, journal_fold_number(bench->fold) + 1);
    reason_t reason = {{0}};
    assert_int_equal(journal_fold_entry(bench->fold, &entry, &reason), FABRIC_OK);
    assert_int_equal(journal_fold_number(bench->fold), entry.number);
    journal_writer_reset(bench->writer);
    return entry;
}

static const journal_item_t *find(bench_t *bench)
{
    const journal_item_t *item = journal_fold_find(bench->fold, bench->message.id);
    assert_non_null(item);
    assert_int_equal(item->id.value, bench->message.id.value);
    assert_int_equal(item->entity_hash,
                     journal_entity_hash(bench->message.type, bench->message.entity));
    return item;
}

static void put_message(bench_t *bench)
{
    journal_put_message(bench->writer, &bench->message, bench->message.id.value, none);
}

static void put_result(bench_t *bench)
{
    journal_put_result(bench->writer, &bench->message, bench->message.id.value, &bench->reply);
}

static void put_attempt(bench_t *bench, uint32_t attempts, uint32_t crashes)
{
    journal_put_attempt(bench->writer, &bench->message, bench->message.id.value,
                        (journal_attempts_t){attempts, crashes});
}

static void put_dead(bench_t *bench)
{
    journal_put_dead(bench->writer, &bench->message, bench->message.id.value, &bench->reply,
                     (journal_attempts_t){10, 1}, 14, fabric_bytes_of("broken"));
}

static void expect_attempts(bench_t *bench, uint32_t attempts, uint32_t crashes)
{
    const journal_item_t *item = find(bench);
    assert_true(item->counted);
    assert_int_equal(item->attempts.attempts, attempts);
    assert_int_equal(item->attempts.crashes, crashes);
}

/* ---- what stands ---- */

static void nothing_stands_before_the_first_entry(void **state)
{
    bench_t *bench = *state;
    size_t count = 1;
    (void)journal_fold_items(bench->fold, &count);
    assert_int_equal(count, 0);
    assert_null(journal_fold_find(bench->fold, bench->message.id));
    assert_int_equal(journal_fold_number(bench->fold), CHECKPOINT);
    assert_int_equal(journal_fold_last_id(bench->fold), 0);
}

static void a_message_is_pending_until_its_end(void **state)
{
    bench_t *bench = *state;
    journal_put_message(bench->writer, &bench->message, 5, (journal_attempts_t){3, 2});
    store_entry_t entry = take_entry(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_PENDING);
    assert_true(item->begun && !item->damaged && item->counted);
    assert_int_equal(item->position, 5);
    assert_int_equal(item->attempts.attempts, 3);
    assert_int_equal(item->attempts.crashes, 2);
    assert_true(fabric_bytes_equal(item->message.payload, bench->message.payload));
    assert_int_equal(journal_fold_last_id(bench->fold), entry.last_id);
    assert_int_equal(journal_fold_bytes(bench->fold), entry.body.size);
    put_result(bench);
    take_entry(bench);
    item = find(bench);
    assert_int_equal(item->standing, JOURNAL_ENDED);
    assert_int_equal(item->reply.code, bench->reply.code);
    assert_true(fabric_bytes_equal(item->reply.payload, bench->reply.payload));
    assert_true(fabric_bytes_equal(item->message.payload, bench->message.payload));
    assert_int_equal(journal_fold_count(bench->fold), 1);
    assert_int_equal(journal_fold_damaged(bench->fold), 0);
}

static void an_end_needs_no_begin(void **state)
{
    bench_t *bench = *state;
    put_result(bench);
    take_entry(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_ENDED);
    assert_false(item->begun || item->counted || item->result_damaged);
    assert_int_equal(item->position, ID);
}

static void begin_and_end_may_share_an_entry(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    put_attempt(bench, 1, 0);
    put_result(bench);
    take_entry(bench);
    assert_int_equal(find(bench)->standing, JOURNAL_ENDED);
    assert_int_equal(find(bench)->attempts.attempts, 1);
}

static void attempts_need_no_message(void **state)
{
    bench_t *bench = *state;
    put_attempt(bench, 4, 2);
    take_entry(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_PENDING);
    assert_false(item->begun);
    expect_attempts(bench, 4, 2);
    put_attempt(bench, 5, 2);
    take_entry(bench);
    expect_attempts(bench, 5, 2);
}

static void a_dead_letter_brings_its_message(void **state)
{
    bench_t *bench = *state;
    put_dead(bench);
    take_entry(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_DEAD);
    assert_false(item->begun);
    assert_true(fabric_bytes_equal(item->message.entity, bench->message.entity));
    assert_true(fabric_bytes_equal(item->text, fabric_bytes_of("broken")));
    assert_int_equal(item->cause, 14);
    assert_int_equal(item->attempts.attempts, 10);
    assert_int_equal(item->reply.error, bench->reply.error);
}

static void an_end_is_final(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    put_result(bench);
    uint64_t code = bench->reply.code++;
    put_result(bench);
    put_dead(bench);
    take_entry(bench);
    put_message(bench);
    put_attempt(bench, 1, 1);
    put_dead(bench);
    take_entry(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_ENDED);
    assert_int_equal(item->reply.code, code);
    assert_int_equal(item->attempts.attempts, 0);
}

static void items_stand_by_position(void **state)
{
    bench_t *bench = *state;
    size_t count = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        bench->message.id.value = 1 + i * 7919 % 1000;
        journal_put_message(bench->writer, &bench->message, 5000 - bench->message.id.value, none);
        if (i % 10 == 9) {
            take_entry(bench);
        }
    }
    const journal_item_t *items = journal_fold_items(bench->fold, &count);
    assert_int_equal(count, 1000);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].position, 4000 + i);
        assert_int_equal(items[i].id.value, 1000 - i);
        assert_ptr_equal(journal_fold_find(bench->fold, items[i].id), &items[i]);
    }
    bench->message.id.value = 77; /* what was sorted is still found and changed */
    put_result(bench);
    take_entry(bench);
    assert_int_equal(find(bench)->standing, JOURNAL_ENDED);
}

static void the_fold_keeps_the_bodies(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    store_entry_t entry = journal_sample_entry(bench->writer, CHECKPOINT + 1);
    uint8_t *body = memory_allocate(entry.body.size);
    memcpy(body, entry.body.data, entry.body.size);
    entry.body.data = body;
    assert_int_equal(journal_fold_entry(bench->fold, &entry, NULL), FABRIC_OK);
    memset(body, 0xee, entry.body.size);
    assert_true(fabric_bytes_equal(find(bench)->message.payload, bench->message.payload));
    free(body);
}

/* ---- entries out of place ---- */

static void expect_refused(bench_t *bench, const store_entry_t *entry, fabric_error_t expected,
                           const char *words)
{
    reason_t reason = {{0}};
    uint64_t number = journal_fold_number(bench->fold);
    uint64_t bytes = journal_fold_bytes(bench->fold);
    size_t count = journal_fold_count(bench->fold);
    assert_int_equal(journal_fold_entry(bench->fold, entry, &reason), expected);
    if (!strstr(reason.text, words)) {
        fail_msg("%s", reason.text);
    }
    assert_int_equal(journal_fold_number(bench->fold), number);
    assert_int_equal(journal_fold_bytes(bench->fold), bytes);
    assert_int_equal(journal_fold_count(bench->fold), count);
}

static void a_gap_is_a_loss(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    store_entry_t entry = journal_sample_entry(bench->writer, CHECKPOINT + 2);
    expect_refused(bench, &entry, FABRIC_ERROR_STORE_LOST, "entry 101 of lane 3 is missing");
    entry = journal_sample_entry(bench->writer, CHECKPOINT);
    expect_refused(bench, &entry, FABRIC_ERROR_STORE_LOST, "followed by entry 100");
    entry = take_entry(bench);
    expect_refused(bench, &entry, FABRIC_ERROR_STORE_LOST, "entry 102 of lane 3 is missing");
}

static void another_lane_is_refused(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    store_entry_t entry = journal_sample_entry(bench->writer, CHECKPOINT + 1);
    entry.lane = LANE + 1;
    expect_refused(bench, &entry, FABRIC_ERROR_MALFORMED_MESSAGE, "of lane 4, not of lane 3");
}

/* A copy of an entry, with one byte of its body changed. */
static store_entry_t change_byte(bench_t *bench, size_t place, uint8_t *copy)
{
    store_entry_t entry = journal_sample_entry(bench->writer, journal_fold_number(bench->fold) + 1);
    memcpy(copy, entry.body.data, entry.body.size);
    copy[place] ^= 0x40;
    entry.body.data = copy;
    return entry;
}

static void an_index_that_cannot_be_read_is_refused(void **state)
{
    bench_t *bench = *state;
    uint8_t copy[4096];
    put_message(bench);
    store_entry_t entry = change_byte(bench, 0, copy);
    expect_refused(bench, &entry, FABRIC_ERROR_MALFORMED_MESSAGE,
                   "entry 101 of lane 3: the body has version 65");
    entry = change_byte(bench, 20, copy);
    expect_refused(bench, &entry, FABRIC_ERROR_MALFORMED_MESSAGE,
                   "the checksum of the body's index is wrong");
    take_entry(bench); /* as it was */
    assert_int_equal(find(bench)->standing, JOURNAL_PENDING);
}

/* The vectors have a sound body with a record of kind 6. */
static void an_unknown_kind_is_refused(void **state)
{
    bench_t *bench = *state;
    size_t size = 0;
    uint8_t *body = vectors_find("schemas/vectors/journal.txt", "body_with_an_unknown_kind", &size);
    store_entry_t entry = {
        .lane = LANE, .number = CHECKPOINT + 1, .body = fabric_bytes(body, size)};
    expect_refused(bench, &entry, FABRIC_ERROR_MALFORMED_MESSAGE, "a record of kind 6");
    free(body);
}

/* ---- damage ---- */

/* Takes an entry whose last record has a wrong byte at its end. */
static void take_damaged(bench_t *bench)
{
    uint8_t copy[4096];
    uint64_t damaged = journal_fold_damaged(bench->fold);
    store_entry_t entry = journal_sample_entry(bench->writer, 1);
    assert_true(entry.body.size <= sizeof copy);
    entry = change_byte(bench, entry.body.size - 1, copy);
    assert_int_equal(journal_fold_entry(bench->fold, &entry, NULL), FABRIC_OK);
    assert_int_equal(journal_fold_damaged(bench->fold), damaged + 1);
    journal_writer_reset(bench->writer);
}

static void a_damaged_message_is_known(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    take_damaged(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_PENDING);
    assert_true(item->damaged && !item->begun);
    put_result(bench);
    take_entry(bench);
    assert_int_equal(find(bench)->standing, JOURNAL_ENDED);
}

static void a_damaged_result_ends_its_message(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    take_entry(bench);
    put_result(bench);
    take_damaged(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_ENDED);
    assert_true(item->result_damaged && item->begun && !item->damaged);
    assert_true(fabric_bytes_equal(item->message.payload, bench->message.payload));
}

static void a_damaged_dead_letter_is_one(void **state)
{
    bench_t *bench = *state;
    put_dead(bench);
    take_damaged(bench);
    const journal_item_t *item = find(bench);
    assert_int_equal(item->standing, JOURNAL_DEAD);
    assert_true(item->result_damaged && !item->begun && !item->counted);
    assert_int_equal(item->message.payload.size, 0);
}

static void damaged_attempts_leave_those_before(void **state)
{
    bench_t *bench = *state;
    put_attempt(bench, 2, 1);
    take_entry(bench);
    put_attempt(bench, 3, 1);
    take_damaged(bench);
    expect_attempts(bench, 2, 1);
}

static void ids_of_damaged_columns_do_not_count(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    store_entry_t entry = journal_sample_entry(bench->writer, CHECKPOINT + 1);
    entry.last_id = UINT64_C(1) << 62;
    assert_int_equal(journal_fold_entry(bench->fold, &entry, NULL), FABRIC_OK);
    assert_int_equal(journal_fold_damaged(bench->fold), 1);
    assert_int_equal(journal_fold_last_id(bench->fold), ID);
}

/* ---- a naive model ---- */

enum { MODEL_IDS = 40, MODEL_EVENTS = 2000, MODEL_ENTRIES = 60 };

typedef struct event {
    journal_record_kind_t kind;
    uint64_t id, position;
    journal_attempts_t attempts;
} event_t;

typedef struct model {
    event_t events[MODEL_EVENTS];
    size_t count;
} model_t;

static void put_random(bench_t *bench, model_t *model)
{
    static const journal_record_kind_t kinds[] = {RECORD_MESSAGE, RECORD_RESULT, RECORD_ATTEMPT,
                                                  RECORD_DEAD, RECORD_MOVE};
    event_t event = {kinds[(size_t)rand() % (sizeof kinds / sizeof kinds[0])],
                     1 + (uint64_t)rand() % MODEL_IDS,
                     1 + (uint64_t)rand() % 50,
                     {(uint32_t)rand() % 9, (uint32_t)rand() % 9}};
    if ((event.kind == RECORD_RESULT || event.kind == RECORD_DEAD) && rand() % 3) {
        event.kind = RECORD_ATTEMPT; /* ends are rare */
    }
    bench->message.id.value = event.id;
    switch (event.kind) {
    case RECORD_ADOPT:
    case RECORD_CLEAR:
    case RECORD_SENT:
    case RECORD_ALIVE:
        break;
    case RECORD_MESSAGE:
        journal_put_message(bench->writer, &bench->message, event.position, event.attempts);
        break;
    case RECORD_MOVE:
        event.attempts = (journal_attempts_t){0};
        journal_put_move(bench->writer, &bench->message, event.position);
        break;
    case RECORD_RESULT:
        put_result(bench);
        break;
    case RECORD_ATTEMPT:
        journal_put_attempt(bench->writer, &bench->message, event.id, event.attempts);
        break;
    case RECORD_DEAD:
        journal_put_dead(bench->writer, &bench->message, bench->message.id.value, &bench->reply,
                         event.attempts, 1, fabric_bytes_of("x"));
        break;
    }
    model->events[model->count++] = event;
}

/* ---- clears ---- */

static void put_clear(bench_t *bench, uint64_t id)
{
    journal_put_clear(bench->writer, (request_id_t){id}, bench->message.shard, bench->message.type,
                      bench->message.entity);
}

/* The message and those of other entities, and a later one, are in the entries; `early`: the CLEAR
 * stands in an entry before theirs, as no home writes it. */
static void clear_between(bench_t *bench, bool early)
{
    uint64_t id = bench->message.id.value;
    if (early) {
        put_clear(bench, id + 10);
        (void)take_entry(bench);
    }
    put_message(bench);
    bench->message.id.value = id + 20;
    put_message(bench);
    fabric_bytes_t entity = bench->message.entity;
    bench->message.entity = fabric_bytes_of("another");
    bench->message.id.value = id + 1;
    put_message(bench);
    (void)take_entry(bench);
    bench->message.entity = entity;
    if (!early) {
        put_clear(bench, id + 10);
        (void)take_entry(bench);
    }
    bench->message.entity = fabric_bytes_of("another");
    assert_int_equal(find(bench)->standing, JOURNAL_PENDING);
    bench->message.entity = entity;
    bench->message.id.value = id + 20;
    assert_int_equal(find(bench)->standing, JOURNAL_PENDING);
    bench->message.id.value = id;
    assert_int_equal(find(bench)->standing, JOURNAL_CLEARED);
}

static void put_alive(bench_t *bench, uint32_t causes)
{
    journal_put_alive(bench->writer, &(store_kept_t){.type = bench->message.type,
                                                     .entity = bench->message.entity,
                                                     .shard = bench->message.shard,
                                                     .causes = causes});
}

static void test_ms_01_a_clear_ends_what_keeps_its_entity_alive(void **state)
{
    bench_t *bench = *state;
    put_alive(bench, ALIVE_BY_HANDLER);
    put_clear(bench, ID + 10);
    take_entry(bench);
    put_alive(bench, ALIVE_BY_RESOURCE);
    take_entry(bench);
    size_t count = 0;
    const store_kept_t *kept = journal_fold_kept(bench->fold, &count);
    assert_int_equal(count, 3);
    assert_int_equal(kept[1].causes, 0);
    assert_int_equal(kept[1].shard.value, bench->message.shard.value);
    assert_true(fabric_bytes_equal(kept[1].type, bench->message.type));
    assert_true(fabric_bytes_equal(kept[1].entity, bench->message.entity));
    assert_int_equal(kept[2].causes, ALIVE_BY_RESOURCE);
}

static void test_ms_01_a_clear_ends_the_messages_of_its_entity(void **state)
{
    bench_t *bench = *state;
    clear_between(bench, false);
    size_t count = 0;
    const journal_clear_t *clears = journal_fold_clears(bench->fold, &count);
    assert_int_equal(count, 1);
    assert_int_equal(clears[0].id.value, bench->message.id.value + 10);
    assert_true(fabric_bytes_equal(clears[0].type, bench->message.type));
    assert_true(fabric_bytes_equal(clears[0].entity, bench->message.entity));
    put_result(bench); /* its end is final */
    (void)take_entry(bench);
    assert_int_equal(find(bench)->standing, JOURNAL_CLEARED);
}

static void the_place_of_a_clear_does_not_matter(void **state)
{
    clear_between(*state, true);
}

static void a_clear_leaves_ends_and_frees_keys(void **state)
{
    static const uint8_t key_hash[STORE_KEY_BYTES] = {1};
    bench_t *bench = *state;
    bench->message.key_hash = key_hash;
    put_message(bench);
    put_result(bench);
    (void)take_entry(bench);
    assert_non_null(find(bench)->key_hash);
    put_clear(bench, bench->message.id.value + 1);
    (void)take_entry(bench);
    assert_int_equal(find(bench)->standing, JOURNAL_ENDED);
    assert_null(find(bench)->key_hash);
}

static void a_damaged_clear_counts_by_the_entitys_hash(void **state)
{
    bench_t *bench = *state;
    put_message(bench);
    (void)take_entry(bench);
    put_clear(bench, bench->message.id.value + 1);
    store_entry_t entry = journal_sample_entry(bench->writer, journal_fold_number(bench->fold) + 1);
    ((uint8_t *)entry.body.data)[entry.body.size - 1] ^= 1; /* in the entity's name */
    reason_t reason = {{0}};
    assert_int_equal(journal_fold_entry(bench->fold, &entry, &reason), FABRIC_OK);
    journal_writer_reset(bench->writer);
    assert_int_equal(find(bench)->standing, JOURNAL_CLEARED);
    size_t count = 0;
    assert_int_equal(journal_fold_clears(bench->fold, &count)[0].type.size, 0);
    assert_int_equal(journal_fold_damaged(bench->fold), 1);
}

/* The message's standing by all events, one after the other. */
static const event_t *model_end(const model_t *model, uint64_t id)
{
    for (size_t i = 0; i < model->count; i++) {
        const event_t *event = &model->events[i];
        if (event->id == id && (event->kind == RECORD_RESULT || event->kind == RECORD_DEAD)) {
            return event;
        }
    }
    return NULL;
}

/* The last event of one of these kinds up to the message's end. */
static const event_t *model_last(const model_t *model, uint64_t id, unsigned kinds)
{
    const event_t *found = NULL;
    const event_t *end = model_end(model, id);
    for (size_t i = 0; i < model->count && (!end || &model->events[i] <= end); i++) {
        if (model->events[i].id == id && kinds >> model->events[i].kind & 1) {
            found = &model->events[i];
        }
    }
    return found;
}

enum {
    BEGINS = 1u << RECORD_MESSAGE | 1u << RECORD_MOVE,
    COUNTS = BEGINS | 1u << RECORD_ATTEMPT | 1u << RECORD_DEAD,
    ALL = COUNTS | 1u << RECORD_RESULT
};

static void compare_item(const model_t *model, const journal_item_t *item, uint64_t id)
{
    const event_t *end = model_end(model, id);
    const event_t *begin = model_last(model, id, BEGINS);
    const event_t *count = model_last(model, id, COUNTS);
    const event_t *last = model_last(model, id, ALL);
    assert_int_equal(item != NULL, last != NULL);
    if (!item) {
        return;
    }
    journal_standing_t standing = !end                         ? JOURNAL_PENDING
                                  : end->kind == RECORD_RESULT ? JOURNAL_ENDED
                                                               : JOURNAL_DEAD;
    assert_int_equal(item->standing, standing);
    assert_int_equal(item->begun, begin != NULL);
    assert_int_equal(item->position, begin ? begin->position : id);
    assert_int_equal(item->counted, count != NULL);
    if (count) {
        assert_int_equal(item->attempts.attempts, count->attempts.attempts);
        assert_int_equal(item->attempts.crashes, count->attempts.crashes);
    }
}

static void folds_agree_with_a_naive_model(void **state)
{
    bench_t *bench = *state;
    for (unsigned seed = 1; seed <= 100; seed++) {
        model_t *model = memory_allocate_zeroed(1, sizeof *model);
        size_t count = 0;
        srand(seed);
        journal_fold_destroy(&bench->fold);
        bench->fold = journal_fold_new(LANE, CHECKPOINT);
        for (uint64_t i = 1; i <= MODEL_ENTRIES; i++) {
            for (int records = rand() % 6; records > 0; records--) {
                put_random(bench, model);
            }
            take_entry(bench);
            if (rand() % 10 == 0) {
                (void)journal_fold_items(bench->fold, &count);
            }
        }
        const journal_item_t *items = journal_fold_items(bench->fold, &count);
        for (size_t i = 1; i < count; i++) {
            assert_true(items[i - 1].position <= items[i].position);
        }
        for (uint64_t id = 1; id <= MODEL_IDS; id++) {
            compare_item(model, journal_fold_find(bench->fold, (request_id_t){id}), id);
        }
        free(model);
    }
}

#define fold_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fold_test(nothing_stands_before_the_first_entry),
        fold_test(a_message_is_pending_until_its_end),
        fold_test(an_end_needs_no_begin),
        fold_test(begin_and_end_may_share_an_entry),
        fold_test(attempts_need_no_message),
        fold_test(a_dead_letter_brings_its_message),
        fold_test(an_end_is_final),
        fold_test(test_ms_01_a_clear_ends_the_messages_of_its_entity),
        fold_test(test_ms_01_a_clear_ends_what_keeps_its_entity_alive),
        fold_test(the_place_of_a_clear_does_not_matter),
        fold_test(a_clear_leaves_ends_and_frees_keys),
        fold_test(a_damaged_clear_counts_by_the_entitys_hash),
        fold_test(items_stand_by_position),
        fold_test(the_fold_keeps_the_bodies),
        fold_test(a_gap_is_a_loss),
        fold_test(another_lane_is_refused),
        fold_test(an_index_that_cannot_be_read_is_refused),
        fold_test(an_unknown_kind_is_refused),
        fold_test(a_damaged_message_is_known),
        fold_test(a_damaged_result_ends_its_message),
        fold_test(a_damaged_dead_letter_is_one),
        fold_test(damaged_attempts_leave_those_before),
        fold_test(ids_of_damaged_columns_do_not_count),
        fold_test(folds_agree_with_a_naive_model),
    };
    return cmocka_run_group_tests_name("core_journal_fold", tests, NULL, NULL);
}
