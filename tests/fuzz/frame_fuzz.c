/* Frames and every kind of message: what is read is written again and read the same, an error
 * leaves its outputs as they were, and every message that is read is one msgpack value. */
#include <string.h>

#include "core/journal/outgoing.h"
#include "core/limits.h"
#include "tests/fuzz/fuzz.h"

#define SAME_uint(left, right)     assert_true((left) == (right))
#define SAME_optional(left, right) SAME_uint(left, right)
#define SAME_str(left, right)      assert_true(fabric_bytes_equal((left), (right)))
#define SAME_bin(left, right)      assert_true(fabric_bytes_equal((left), (right)))
#define SAME_FIELD(type, field)    SAME_##type(again.field, message.field);

/* Opens the one message of a frame that was just made. */
static wire_reader_t reopen(const wire_writer_t *frame, message_kind_t expected)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    message_kind_t kind;
    assert_int_equal(frame_open(wire_writer_bytes(frame), &reader, &head), FABRIC_OK);
    assert_true(frame_next(&reader, &body));
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    assert_int_equal(message_open(&body, &kind), FABRIC_OK);
    assert_int_equal(kind, expected);
    return body;
}

#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    static bool check_##name(wire_reader_t body)                                                   \
    {                                                                                              \
        message_##name##_t message;                                                                \
        message_##name##_t again;                                                                  \
        memset(&message, 0xa5, sizeof message);                                                    \
        memset(&again, 0xa5, sizeof again);                                                        \
        if (message_get_##name(&body, &message)) {                                                 \
            assert_memory_equal(&message, &again, sizeof message);                                 \
            return false;                                                                          \
        }                                                                                          \
        wire_writer_t frame = {0};                                                                 \
        frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});                   \
        message_put_##name(&frame, &message);                                                      \
        body = reopen(&frame, KIND_##NAME);                                                        \
        assert_int_equal(message_get_##name(&body, &again), FABRIC_OK);                            \
        NAME##_FIELDS(SAME_FIELD) wire_writer_destroy(&frame);                                     \
        return true;                                                                               \
    }
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW

static bool check_fields(message_kind_t kind, wire_reader_t fields)
{
    switch (kind) {
#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    case KIND_##NAME:                                                                              \
        return check_##name(fields);
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    }
    fail();
    return false;
}

static bool is_within(fabric_bytes_t bytes, fabric_bytes_t list)
{
    return bytes.size == 0 ||
           (bytes.data >= list.data && bytes.data + bytes.size <= list.data + list.size);
}

/* What a handler has told others, where it is sound: so many messages, which lie in the list, and
 * say the same when they are written again. */
static void check_told(wire_reader_t fields)
{
    message_result_told_t result;
    if (message_get_result_told(&fields, &result) || result.count > STORE_OUTGOING_MAX) {
        return;
    }
    const journal_outgoing_t told = {.id = 1, .count = (uint32_t)result.count, .list = result.told};
    if (!journal_outgoing_is_sound(&told)) {
        return;
    }
    wire_writer_t list = {0};
    store_outgoing_t message;
    uint32_t count = 0;
    journal_outgoing_reader_t reader = journal_outgoing_open(&told);
    while (journal_outgoing_next(&reader, &message)) {
        assert_int_equal(message.key.index, count++);
        assert_true(is_within(message.payload, told.list) && is_within(message.type, told.list));
        assert_true(is_within(message.headers, told.list) && is_within(message.tag, told.list));
        journal_outgoing_put(&list, &message);
    }
    assert_int_equal(count, told.count);
    const journal_outgoing_t again = {.id = 1, .count = count, .list = wire_writer_bytes(&list)};
    assert_true(journal_outgoing_is_sound(&again));
    wire_writer_destroy(&list);
}

static void check_message(wire_reader_t body)
{
    wire_reader_t fields = body;
    message_kind_t kind = (message_kind_t)0;
    fabric_error_t error = message_open(&fields, &kind);
    if (error) {
        assert_true(kind == 0 || error == FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    if (kind == KIND_RESULT_TOLD) {
        check_told(fields);
    }
    if (check_fields(kind, fields)) {
        wire_skip(&body);
        assert_int_equal(wire_finish(&body), FABRIC_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head = {7, 7, 7};
    if (frame_open(fabric_bytes(data, size), &reader, &head)) {
        assert_true(head.version == 7 && head.high_id == 7 && head.settled == 7);
        return 0;
    }
    assert_int_equal(head.version, LIMIT_PROTOCOL_VERSION);
    size_t left = wire_left(&reader);
    while (frame_next(&reader, &body)) {
        assert_true(reader.failed || wire_left(&reader) < left);
        left = wire_left(&reader);
        check_message(body);
    }
    assert_true(reader.failed || left == 0);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_seed_vectors("schemas/vectors/frames.txt");
}
