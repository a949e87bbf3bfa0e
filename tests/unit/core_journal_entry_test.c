/* Entries of journals: what is written is read, damage is noticed, and its extent is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/message.h"
#include "tests/harness/vectors.h"
#include "tests/unit/journal_samples.h"

enum { RECORDS = 12, ID = 4711 };

static uint8_t *copy_of(fabric_bytes_t bytes)
{
    uint8_t *copy =
        memory_allocate(bytes.size); /* of exactly that size: sanitizers watch its end */
    return bytes.size ? memcpy(copy, bytes.data, bytes.size) : copy;
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(texts[i]);
    }
}

/* ---- round trips ---- */

static void expect_records(fabric_bytes_t body, char **expected, uint32_t count)
{
    journal_reader_t reader;
    journal_record_t record;
    reason_t reason = {{0}};
    assert_int_equal(journal_reader_open(&reader, body, &reason), FABRIC_OK);
    assert_int_equal(reader.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_RECORD);
        char *text = journal_record_text(JOURNAL_READ_RECORD, &record);
        assert_string_equal(text, expected[i]);
        free(text);
        assert_int_equal(journal_read_at(body, i, &record), JOURNAL_READ_RECORD);
        text = journal_record_text(JOURNAL_READ_RECORD, &record);
        assert_string_equal(text, expected[i]);
        free(text);
    }
    assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_END);
    assert_int_equal(journal_read_at(body, count, &record), JOURNAL_READ_END);
    assert_int_equal(journal_read_at(body, UINT32_MAX, &record), JOURNAL_READ_END);
}

/* A record by itself says the same, but for the hash that stands in the index only. */
static void expect_lone_records(journal_writer_t *writer, char **expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        journal_record_t record;
        fabric_bytes_t bytes = journal_record_of(writer, i);
        uint8_t *copy = copy_of(bytes);
        assert_int_equal(journal_record_decode(fabric_bytes(copy, bytes.size), &record), FABRIC_OK);
        bool named = record.state.type.size > 0;
        if ((record.kind == RECORD_RESULT && !named) || record.kind == RECORD_ATTEMPT ||
            record.kind == RECORD_SENT) {
            assert_int_equal(record.entity_hash, 0);
            record.entity_hash = strtoull(strstr(expected[i], ";hash=") + 6, NULL, 16);
        }
        char *text = journal_record_text(JOURNAL_READ_RECORD, &record);
        assert_string_equal(text, expected[i]);
        free(text);
        free(copy);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    srand(1);
    journal_writer_t *writer = journal_writer_new();
    for (uint64_t round = 0; round < 300; round++) {
        char *expected[RECORDS];
        uint32_t count = (uint32_t)rand() % (RECORDS + 1);
        journal_writer_reset(writer);
        for (uint32_t i = 0; i < count; i++) {
            store_message_t message = journal_sample_message(1000 * round + i + 1);
            expected[i] = journal_sample_put(writer, &message);
        }
        assert_int_equal(journal_writer_count(writer), count);
        expect_lone_records(writer, expected, count);
        store_entry_t entry = journal_sample_entry(writer, round);
        assert_true(journal_entry_is_sound(&entry));
        assert_int_equal(entry.log_bytes, 1000 + entry.calls.size + entry.body.size);
        assert_int_equal(entry.body.size, journal_writer_bytes(writer));
        uint8_t *body = copy_of(entry.body);
        expect_records(fabric_bytes(body, entry.body.size), expected, count);
        free(body);
        free_texts(expected, count);
    }
    journal_writer_destroy(&writer);
    assert_null(writer);
    journal_writer_destroy(&writer);
}

static void an_entry_without_records_is_empty(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_entry_t entry = journal_sample_entry(writer, 0);
    journal_reader_t reader;
    journal_record_t record;
    journal_call_t call;
    bool damaged = true;
    assert_int_equal(entry.body.size + entry.calls.size, 0);
    assert_true(journal_entry_is_sound(&entry));
    assert_int_equal(journal_reader_open(&reader, entry.body, NULL), FABRIC_OK);
    assert_int_equal(journal_read_next(&reader, &record), JOURNAL_READ_END);
    journal_calls_reader_t calls = journal_calls_open(entry.calls);
    assert_false(journal_calls_next(&calls, &call, &damaged));
    assert_false(damaged);
    journal_writer_destroy(&writer);
}

/* ---- calls ---- */

static void calls_name_messages_and_ends(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_message_t message = journal_sample_message(ID);
    store_reply_t reply = journal_sample_reply(&message);
    journal_attempts_t none = {0, 0};
    message.call = (call_key_t){UINT64_MAX, 9};
    journal_put_adopt(writer, (incarnation_t){{1}}, 1, fabric_bytes_of("a"));
    journal_put_message(writer, &message, 5, none);
    journal_put_attempt(writer, &message, message.id.value, none);
    journal_put_result(writer, &message, message.id.value, &reply);
    message.call.sequence = 10;
    journal_put_dead(writer, &message, message.id.value, &reply, none, 15, fabric_bytes_of("a"));
    store_entry_t entry = journal_sample_entry(writer, 1);
    char *text = journal_calls_text(entry.calls);
    assert_string_equal(text, "call=18446744073709551615/9;id=4711;accepted;record=1|"
                              "call=18446744073709551615/9;id=4711;ended;record=3|"
                              "call=18446744073709551615/10;id=4711;ended;record=4");
    free(text);
    journal_writer_destroy(&writer);
}

static void contents_are_told_apart(void **state)
{
    (void)state;
    store_message_t message = {.type = fabric_bytes_of("Order"),
                               .entity = fabric_bytes_of("7"),
                               .tag = fabric_bytes_of("Place"),
                               .payload = fabric_bytes_of("xyz")};
    store_message_t others[] = {message, message, message, message, message, message, message};
    uint64_t hash = journal_contents_hash(&message);
    uint64_t entity = journal_entity_hash(message.type, message.entity);
    others[0].type = fabric_bytes_of("Orde");
    others[1].entity = fabric_bytes_of("8");
    others[2].tag = fabric_bytes_of("place");
    others[3].payload = fabric_bytes_of("xyzz");
    others[4].payload = fabric_bytes_of("");
    others[5].type = fabric_bytes_of("Order7"); /* the same bytes, divided otherwise */
    others[5].entity = fabric_bytes_of("");
    others[6].tag = fabric_bytes_of("Placexyz");
    others[6].payload = fabric_bytes_of("");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(journal_contents_hash(&others[i]) != hash);
        bool same_entity = i != 0 && i != 1 && i != 5;
        assert_int_equal(journal_entity_hash(others[i].type, others[i].entity) == entity,
                         same_entity);
    }
}

/* ---- the writer ---- */

static void the_writer_keeps_its_buffers(void **state)
{
    (void)state;
    srand(3);
    journal_writer_t *writer = journal_writer_new();
    const uint8_t *body = NULL;
    const uint8_t *calls = NULL;
    for (int round = 0; round < 10; round++) {
        journal_writer_reset(writer);
        assert_int_equal(journal_writer_count(writer), 0);
        assert_int_equal(journal_writer_bytes(writer), 0);
        for (uint64_t id = 1; id <= 500; id++) {
            store_message_t message = journal_sample_message(id);
            if (round == 0) { /* the largest */
                message.payload = fabric_bytes(journal_sample_bytes(600).data, 600);
            }
            journal_put_message(writer, &message, id, (journal_attempts_t){0, 0});
        }
        for (int seal = 0; seal < 2; seal++) {
            store_entry_t entry = journal_sample_entry(writer, 1);
            body = body ? body : entry.body.data;
            calls = calls ? calls : entry.calls.data;
            assert_ptr_equal(entry.body.data, body);
            assert_ptr_equal(entry.calls.data, calls);
        }
    }
    journal_writer_destroy(&writer);
}

/* An ADOPT entry whose number is taken is sealed for the next one. */
static void records_are_sealed_again(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_message_t message = journal_sample_message(ID);
    journal_put_message(writer, &message, 1, (journal_attempts_t){0, 0});
    store_entry_t first = journal_sample_entry(writer, 1);
    char *before = journal_body_text(first.body);
    store_entry_t second = journal_sample_entry(writer, 2);
    char *after = journal_body_text(second.body);
    assert_string_equal(before, after);
    assert_true(journal_entry_is_sound(&second));
    assert_true(first.checksum != second.checksum);
    journal_put_attempt(writer, &message, message.id.value, (journal_attempts_t){1, 0});
    store_entry_t third = journal_sample_entry(writer, 3);
    char *longer = journal_body_text(third.body);
    assert_memory_equal(longer, before, strlen(before));
    assert_non_null(strstr(longer, "|ATTEMPT;id=4711;"));
    free(before);
    free(after);
    free(longer);
    journal_writer_destroy(&writer);
}

/* ---- limits ---- */

static void the_largest_records_are_read(void **state)
{
    (void)state;
    static uint8_t zeros[LIMIT_PAYLOAD_BYTES_MAX];
    store_message_t message = {.id = {UINT64_MAX},
                               .shard = {UINT32_MAX},
                               .flags = UINT32_MAX,
                               .type = fabric_bytes(zeros, LIMIT_NAME_BYTES_MAX),
                               .entity = fabric_bytes(zeros, LIMIT_NAME_BYTES_MAX),
                               .tag = fabric_bytes(zeros, LIMIT_NAME_BYTES_MAX),
                               .payload = fabric_bytes(zeros, LIMIT_PAYLOAD_BYTES_MAX),
                               .traceparent = fabric_bytes(zeros, LIMIT_TRACEPARENT_BYTES_MAX),
                               .headers = fabric_bytes(zeros, LIMIT_HEADER_BYTES_MAX),
                               .call = {UINT64_MAX, UINT64_MAX},
                               .key_hash = zeros,
                               .deliver_at_ms = INT64_MAX};
    store_reply_t reply = {message.id, message.shard,   UINT8_MAX, UINT32_MAX,
                           UINT64_MAX, message.payload, INT64_MAX};
    journal_attempts_t attempts = {UINT32_MAX, UINT32_MAX};
    journal_writer_t *writer = journal_writer_new();
    journal_put_message(writer, &message, UINT64_MAX - 1, attempts);
    journal_put_result(writer, &message, message.id.value, &reply);
    journal_put_dead(writer, &message, message.id.value, &reply, attempts, UINT32_MAX,
                     fabric_bytes(zeros, LIMIT_TEXT_BYTES_MAX));
    store_entry_t entry = journal_sample_entry(writer, UINT64_MAX);
    assert_true(entry.body.size < JOURNAL_APPEND_BYTES_MAX);
    journal_record_t record;
    assert_int_equal(journal_read_at(entry.body, 0, &record), JOURNAL_READ_RECORD);
    assert_true(record.position == UINT64_MAX - 1);
    assert_int_equal(journal_read_at(entry.body, 1, &record), JOURNAL_READ_RECORD);
    assert_true(record.reply.code == UINT64_MAX && record.reply.status == UINT8_MAX);
    assert_int_equal(journal_read_at(entry.body, 2, &record), JOURNAL_READ_RECORD);
    assert_true(record.cause == UINT32_MAX && record.attempts.crashes == UINT32_MAX);
    assert_int_equal(record.message.payload.size, LIMIT_PAYLOAD_BYTES_MAX);
    assert_int_equal(record.message.deliver_at_ms, INT64_MAX);
    assert_true(journal_record_of(writer, 2).size <= JOURNAL_RECORD_BYTES_MAX);
    journal_writer_destroy(&writer);
}

/* ---- damage ---- */

/* An entry with one record of each kind, and how often each is in it. */
static journal_writer_t *write_all_kinds(void)
{
    journal_writer_t *writer = journal_writer_new();
    store_message_t message = {.id = {ID},
                               .shard = {0x10007},
                               .flags = 1,
                               .type = fabric_bytes_of("Order"),
                               .entity = fabric_bytes_of("7"),
                               .tag = fabric_bytes_of("Place"),
                               .payload = fabric_bytes_of("payload"),
                               .call = {77, 3}};
    store_reply_t reply = {.id = message.id,
                           .shard = message.shard,
                           .payload = fabric_bytes_of("the reply's payload")};
    journal_attempts_t attempts = {2, 1};
    journal_put_adopt(writer, (incarnation_t){{1, 2}}, 6, fabric_bytes_of("broker-1"));
    journal_put_message(writer, &message, ID, (journal_attempts_t){0, 0});
    journal_put_attempt(writer, &message, message.id.value, attempts);
    journal_put_result(writer, &message, message.id.value, &reply);
    message.id.value = ID + 1;
    journal_put_dead(writer, &message, message.id.value, &reply, attempts, 15,
                     fabric_bytes_of("why"));
    return writer;
}

/* Reads a damaged body. true: the damage is noticed, and, where the index could be read, confined
 * to one record whose kind, id and entity are known as before. */
static bool damage_is_noticed(fabric_bytes_t damaged, fabric_bytes_t sound)
{
    journal_reader_t reader;
    journal_reader_t other;
    journal_record_t record;
    journal_record_t before;
    uint32_t lost = 0;
    assert_int_equal(journal_reader_open(&other, sound, NULL), FABRIC_OK);
    if (journal_reader_open(&reader, damaged, NULL) == FABRIC_ERROR_MALFORMED_MESSAGE) {
        return true;
    }
    assert_int_equal(reader.count, other.count);
    for (uint32_t i = 0; i < reader.count; i++) {
        journal_read_t read = journal_read_next(&reader, &record);
        assert_int_equal(journal_read_next(&other, &before), JOURNAL_READ_RECORD);
        assert_true(read == JOURNAL_READ_RECORD || read == JOURNAL_READ_DAMAGED);
        assert_int_equal(record.kind, before.kind);
        assert_int_equal(record.id.value, before.id.value);
        assert_int_equal(record.entity_hash, before.entity_hash);
        lost += read == JOURNAL_READ_DAMAGED;
    }
    return lost == 1;
}

static void each_bit_of_a_body_is_checked(void **state)
{
    (void)state;
    journal_writer_t *writer = write_all_kinds();
    store_entry_t entry = journal_sample_entry(writer, 9);
    uint8_t *copy = copy_of(entry.body);
    store_entry_t damaged = entry;
    damaged.body.data = copy;
    for (size_t bit = 0; bit < 8 * entry.body.size; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(journal_entry_is_sound(&damaged));
        assert_true(damage_is_noticed(damaged.body, entry.body));
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(journal_entry_is_sound(&damaged));
    free(copy);
    journal_writer_destroy(&writer);
}

static void each_bit_of_the_calls_is_checked(void **state)
{
    (void)state;
    journal_writer_t *writer = write_all_kinds();
    store_entry_t entry = journal_sample_entry(writer, 9);
    uint8_t *copy = copy_of(entry.calls);
    store_entry_t damaged = entry;
    damaged.calls.data = copy;
    for (size_t bit = 0; bit < 8 * entry.calls.size; bit++) {
        journal_call_t call;
        bool noticed = false;
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(journal_entry_is_sound(&damaged));
        journal_calls_reader_t reader = journal_calls_open(damaged.calls);
        assert_false(journal_calls_next(&reader, &call, &noticed));
        assert_true(noticed);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(copy);
    journal_writer_destroy(&writer);
}

static void each_bit_of_the_columns_is_checked(void **state)
{
    (void)state;
    journal_writer_t *writer = write_all_kinds();
    store_entry_t entry = journal_sample_entry(writer, 9);
    struct {
        void *column;
        size_t size;
    } columns[] = {
        {&entry.lane, sizeof entry.lane},           {&entry.number, sizeof entry.number},
        {&entry.epoch, sizeof entry.epoch},         {&entry.incarnation, sizeof entry.incarnation},
        {&entry.last_id, sizeof entry.last_id},     {&entry.created_ms, sizeof entry.created_ms},
        {&entry.log_bytes, sizeof entry.log_bytes}, {&entry.checksum, sizeof entry.checksum}};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        uint8_t *bytes = columns[i].column;
        for (size_t bit = 0; bit < 8 * columns[i].size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(journal_entry_is_sound(&entry));
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    entry.adopt = !entry.adopt;
    assert_false(journal_entry_is_sound(&entry));
    entry.adopt = !entry.adopt;
    assert_true(journal_entry_is_sound(&entry));
    journal_writer_destroy(&writer);
}

static void each_bit_of_a_lone_record_is_checked(void **state)
{
    (void)state;
    journal_writer_t *writer = write_all_kinds();
    for (size_t i = 0; i < journal_writer_count(writer); i++) {
        fabric_bytes_t bytes = journal_record_of(writer, i);
        uint8_t *copy = copy_of(bytes);
        journal_record_t record = {.position = 77};
        for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(journal_record_decode(fabric_bytes(copy, bytes.size), &record),
                             FABRIC_ERROR_MALFORMED_MESSAGE);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(record.position, 77);
        free(copy);
    }
    journal_writer_destroy(&writer);
}

static void what_is_cut_off_is_noticed(void **state)
{
    (void)state;
    journal_writer_t *writer = write_all_kinds();
    store_entry_t entry = journal_sample_entry(writer, 9);
    store_entry_t damaged = entry;
    for (size_t size = 0; size < entry.body.size; size++) {
        uint8_t *copy = copy_of(fabric_bytes(entry.body.data, size));
        damaged.body = fabric_bytes(copy, size);
        assert_false(journal_entry_is_sound(&damaged));
        journal_reader_t reader;
        assert_true(size == 0 || journal_reader_open(&reader, damaged.body, NULL) != FABRIC_OK ||
                    damage_is_noticed(damaged.body, entry.body));
        free(copy);
    }
    for (size_t size = 1; size < entry.calls.size; size++) {
        uint8_t *copy = copy_of(fabric_bytes(entry.calls.data, size));
        journal_call_t call;
        bool noticed = false;
        journal_calls_reader_t reader = journal_calls_open(fabric_bytes(copy, size));
        assert_false(journal_calls_next(&reader, &call, &noticed));
        assert_true(noticed);
        free(copy);
    }
    fabric_bytes_t lone = journal_record_of(writer, 1);
    for (size_t size = 0; size < lone.size; size++) {
        uint8_t *copy = copy_of(fabric_bytes(lone.data, size));
        journal_record_t record;
        assert_int_equal(journal_record_decode(fabric_bytes(copy, size), &record),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
        free(copy);
    }
    journal_writer_destroy(&writer);
}

static void what_is_added_is_noticed(void **state)
{
    (void)state;
    journal_writer_t *writer = write_all_kinds();
    store_entry_t entry = journal_sample_entry(writer, 9);
    uint8_t *longer = memory_allocate_zeroed(entry.body.size + 1, 1);
    memcpy(longer, entry.body.data, entry.body.size);
    assert_true(damage_is_noticed(fabric_bytes(longer, entry.body.size + 1), entry.body));
    free(longer);
    journal_writer_destroy(&writer);
}

/* Without a sound index each record that is sound is found, with the hash that its item tells. */
static void records_are_salvaged(void **state)
{
    (void)state;
    journal_writer_t *writer = write_all_kinds();
    journal_writer_t *salvaged = journal_writer_new();
    store_entry_t entry = journal_sample_entry(writer, 9);
    char *before = journal_body_text(entry.body);
    char *calls = journal_calls_text(entry.calls);
    uint8_t *copy = copy_of(entry.body);
    copy[0] ^= 1;
    copy[3] ^= 1;
    copy[12] ^= 1;
    assert_int_equal(journal_salvage(salvaged, fabric_bytes(copy, entry.body.size)), 5);
    store_entry_t again = journal_sample_entry(salvaged, 9);
    char *after = journal_body_text(again.body);
    char *calls_after = journal_calls_text(again.calls);
    assert_string_equal(before, after);
    assert_string_equal(calls, calls_after);
    journal_writer_reset(salvaged);
    copy[entry.body.size - 1] ^= 1; /* of the last record */
    assert_int_equal(journal_salvage(salvaged, fabric_bytes(copy, entry.body.size)), 4);
    journal_writer_reset(salvaged);
    assert_int_equal(journal_salvage(salvaged, fabric_bytes(copy, 16)), 0);
    free_texts((char *[]){before, calls, after, calls_after}, 4);
    free(copy);
    journal_writer_destroy(&writer);
    journal_writer_destroy(&salvaged);
}

/* ---- vectors ---- */

static void check_vector(const vector_t *vector, void *context)
{
    size_t *count = context;
    char *text = NULL;
    if (strncmp(vector->name, "record_", 7) == 0) {
        text = journal_lone_record_text(vector->bytes);
    } else if (strncmp(vector->name, "body_", 5) == 0) {
        text = journal_body_text(vector->bytes);
    } else if (strncmp(vector->name, "calls_", 6) == 0) {
        text = journal_calls_text(vector->bytes);
    } else if (strncmp(vector->name, "entry_", 6) == 0) {
        text = journal_entry_text(vector->bytes);
    }
    if (!text || strcmp(text[0] ? text : "-", vector->expected) != 0) {
        fail_msg("%s: expected %s, got %s", vector->name, vector->expected, text ? text : "?");
    }
    free(text);
    ++*count;
}

static void vectors_are_read_or_refused(void **state)
{
    (void)state;
    size_t count = 0;
    vectors_visit("schemas/vectors/journal.txt", check_vector, &count);
    assert_true(count >= 30);
}

static void read_anything(fabric_bytes_t bytes)
{
    free(journal_lone_record_text(bytes));
    free(journal_body_text(bytes));
    free(journal_calls_text(bytes));
    free(journal_entry_text(bytes));
}

static void damage_vector(const vector_t *vector, void *context)
{
    (void)context;
    vectors_damage(vector, 300, read_anything);
}

static void damaged_vectors_do_no_harm(void **state)
{
    (void)state;
    srand(5);
    vectors_visit("schemas/vectors/journal.txt", damage_vector, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_entry_without_records_is_empty),
        cmocka_unit_test(calls_name_messages_and_ends),
        cmocka_unit_test(contents_are_told_apart),
        cmocka_unit_test(the_writer_keeps_its_buffers),
        cmocka_unit_test(records_are_sealed_again),
        cmocka_unit_test(the_largest_records_are_read),
        cmocka_unit_test(each_bit_of_a_body_is_checked),
        cmocka_unit_test(each_bit_of_the_calls_is_checked),
        cmocka_unit_test(each_bit_of_the_columns_is_checked),
        cmocka_unit_test(each_bit_of_a_lone_record_is_checked),
        cmocka_unit_test(what_is_cut_off_is_noticed),
        cmocka_unit_test(what_is_added_is_noticed),
        cmocka_unit_test(records_are_salvaged),
        cmocka_unit_test(vectors_are_read_or_refused),
        cmocka_unit_test(damaged_vectors_do_no_harm),
    };
    return cmocka_run_group_tests_name("core_journal_entry", tests, NULL, NULL);
}
