/* The messages of the wire: every kind is encoded and decoded; the frames of schemas/vectors/ are
 * read whole, cut off and changed at random. */
#include "core/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/shard_map.h"
#include "core/type_description.h"
#include "tests/harness/vectors.h"

/* What reading a frame came to. */
typedef struct reading {
    char *text;           /* as in schemas/vectors/frames.txt; to be freed */
    size_t size;          /* of the text */
    size_t messages;      /* that were read well */
    fabric_error_t error; /* the first */
    wire_writer_t again;  /* the same frame, written anew */
} reading_t;

static void show_uint(FILE *out, uint64_t value)
{
    (void)fprintf(out, "%" PRIu64, value);
}

static void show_str(FILE *out, fabric_bytes_t value)
{
    (void)fwrite(value.data, 1, value.size, out);
}

static void show_bin(FILE *out, fabric_bytes_t value)
{
    for (size_t i = 0; i < value.size; i++) {
        (void)fprintf(out, "%02x", value.data[i]);
    }
}

#define show_optional show_uint
#define SHOW_FIELD(type, name)                                                                     \
    (void)fputs(";" #name "=", out);                                                               \
    show_##type(out, message.name);

#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    static fabric_error_t read_##name(wire_reader_t *body, wire_writer_t *again, FILE *out)        \
    {                                                                                              \
        message_##name##_t message;                                                                \
        fabric_error_t error = message_get_##name(body, &message);                                 \
        if (error == FABRIC_OK) {                                                                  \
            (void)fputs(";kind=" #NAME, out);                                                      \
            NAME##_FIELDS(SHOW_FIELD) message_put_##name(again, &message);                         \
        }                                                                                          \
        return error;                                                                              \
    }
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW

static fabric_error_t read_message(wire_reader_t *body, wire_writer_t *again, FILE *out)
{
    message_kind_t kind;
    fabric_error_t error = message_open(body, &kind);
    if (error != FABRIC_OK) {
        return error;
    }
    switch (kind) {
#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    case KIND_##NAME:                                                                              \
        return read_##name(body, again, out);
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    }
    fail_msg("message_open let kind %u through", (unsigned)kind);
    return FABRIC_ERROR_INTERNAL;
}

static reading_t read_frame(fabric_bytes_t frame)
{
    reading_t reading = {0};
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    reading.error = frame_open(frame, &reader, &head);
    if (reading.error != FABRIC_OK) {
        return reading;
    }
    FILE *out = open_memstream(&reading.text, &reading.size);
    assert_non_null(out);
    frame_begin(&reading.again, &head);
    (void)fprintf(out, "version=%" PRIu64 ";high_id=%" PRIu64 ";settled=%" PRIu64, head.version,
                  head.high_id, head.settled);
    while (frame_next(&reader, &body)) {
        fabric_error_t error = read_message(&body, &reading.again, out);
        if (error == FABRIC_OK) {
            reading.messages++;
        } else {
            (void)fprintf(out, ";error=%s", fabric_error_name(error));
            reading.error = reading.error == FABRIC_OK ? error : reading.error;
        }
    }
    if (reader.failed && reading.error == FABRIC_OK) {
        reading.error = FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    (void)fclose(out);
    return reading;
}

static void reading_destroy(reading_t *reading)
{
    free(reading->text);
    wire_writer_destroy(&reading->again);
}

/* A copy in memory of exactly its size, so that sanitizers see a read beyond it; to be freed. */
static uint8_t *copy_of(fabric_bytes_t bytes)
{
    uint8_t *copy = malloc(bytes.size ? bytes.size : 1);
    assert_non_null(copy);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return copy;
}

static void check_frame(const vector_t *vector, void *context)
{
    (void)context;
    reading_t reading = read_frame(vector->bytes);
    if (!vector->valid) {
        assert_string_equal(fabric_error_name(reading.error), vector->expected);
        reading_destroy(&reading);
        return;
    }
    assert_non_null(reading.text);
    assert_string_equal(reading.text, vector->expected);
    reading_t again = read_frame(wire_writer_bytes(&reading.again));
    bool some_refused = strstr(vector->name, "messages_beside") != NULL;
    assert_int_equal(again.error, FABRIC_OK);
    assert_int_equal(again.messages, reading.messages);
    assert_int_equal(some_refused, reading.error != FABRIC_OK);
    if (!some_refused) {
        assert_string_equal(again.text, vector->expected);
    }
    /* Other encodings are read; there is but one that is written. */
    if (!some_refused && strcmp(vector->name, "bin_8_headers") != 0 &&
        strcmp(vector->name, "wide_and_signed_integers") != 0) {
        assert_true(fabric_bytes_equal(wire_writer_bytes(&reading.again), vector->bytes));
    }
    reading_destroy(&again);
    reading_destroy(&reading);
}

static void frames_are_read_or_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/frames.txt", check_frame, NULL);
}

/* A part of a frame holds only whole messages of the whole frame. */
static void check_parts(const vector_t *vector, void *context)
{
    (void)context;
    if (!vector->valid) {
        return;
    }
    reading_t whole = read_frame(vector->bytes);
    for (size_t size = 0; size < vector->bytes.size; size++) {
        uint8_t *part = copy_of(fabric_bytes(vector->bytes.data, size));
        reading_t reading = read_frame(fabric_bytes(part, size));
        if (reading.text) {
            assert_true(reading.size < whole.size);
            assert_memory_equal(reading.text, whole.text, reading.size);
        } else {
            assert_int_equal(reading.error, FABRIC_ERROR_MALFORMED_MESSAGE);
        }
        if (whole.messages == 1 && reading.messages > 0) {
            fail_msg("%s: its message is whole after %zu bytes", vector->name, size);
        }
        reading_destroy(&reading);
        free(part);
    }
    reading_destroy(&whole);
}

static void parts_of_frames_are_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/frames.txt", check_parts, NULL);
}

/* A message that is cut off within its bin is malformed at every length. */
static void check_bodies(const vector_t *vector, void *context)
{
    (void)context;
    wire_reader_t frame;
    wire_reader_t body;
    frame_head_t head;
    if (!vector->valid || frame_open(vector->bytes, &frame, &head) != FABRIC_OK) {
        return;
    }
    while (frame_next(&frame, &body)) {
        fabric_bytes_t bytes = fabric_bytes(body.next, wire_left(&body));
        for (size_t size = 0; size < bytes.size; size++) {
            uint8_t *part = copy_of(fabric_bytes(bytes.data, size));
            wire_reader_t cut = wire_reader(fabric_bytes(part, size));
            wire_writer_t again = {0};
            FILE *out = fopen("/dev/null", "w");
            assert_non_null(out);
            assert_int_not_equal(read_message(&cut, &again, out), FABRIC_OK);
            (void)fclose(out);
            assert_int_equal(again.size, 0);
            free(part);
        }
    }
}

static void parts_of_messages_are_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/frames.txt", check_bodies, NULL);
}

/* ---- every kind with values at random ---- */

static uint8_t pool[70000];

static uint64_t random_uint(void)
{
    uint64_t value = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
    return value >> rand() % 64;
}

static fabric_bytes_t random_str(void)
{
    size_t size = (size_t)rand() % (rand() % 20 == 0 ? sizeof pool : 300);
    return fabric_bytes(pool, size);
}

static fabric_bytes_t random_bin(void)
{
    return random_str();
}

static bool equal_uint(uint64_t a, uint64_t b)
{
    return a == b;
}

static bool equal_str(fabric_bytes_t a, fabric_bytes_t b)
{
    return fabric_bytes_equal(a, b);
}

static bool equal_bin(fabric_bytes_t a, fabric_bytes_t b)
{
    return fabric_bytes_equal(a, b);
}

#define random_optional          random_uint
#define equal_optional           equal_uint
#define RANDOM_FIELD(type, name) sent.name = random_##type();
#define EQUAL_FIELD(type, name)  assert_true(equal_##type(sent.name, got.name));

#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    static void send_##name(void)                                                                  \
    {                                                                                              \
        message_##name##_t sent;                                                                   \
        message_##name##_t got;                                                                    \
        NAME##_FIELDS(RANDOM_FIELD) wire_writer_t frame = {0};                                     \
        message_put_##name(&frame, &sent);                                                         \
        wire_reader_t reader = wire_reader(wire_writer_bytes(&frame));                             \
        wire_reader_t body;                                                                        \
        message_kind_t kind;                                                                       \
        assert_true(frame_next(&reader, &body));                                                   \
        assert_int_equal(message_open(&body, &kind), FABRIC_OK);                                   \
        assert_int_equal(kind, KIND_##NAME);                                                       \
        assert_int_equal(message_get_##name(&body, &got), FABRIC_OK);                              \
        NAME##_FIELDS(EQUAL_FIELD) assert_false(frame_next(&reader, &body));                       \
        assert_int_equal(wire_finish(&reader), FABRIC_OK);                                         \
        assert_string_equal(message_kind_name(number), #NAME);                                     \
        wire_writer_destroy(&frame);                                                               \
    }
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW

static void every_kind_arrives_as_sent(void **state)
{
    (void)state;
    srand(4711);
    for (size_t i = 0; i < sizeof pool; i++) {
        pool[i] = (uint8_t)rand();
    }
    for (int round = 0; round < 200; round++) {
#define FABRIC_KIND_ROW(number, NAME, name) send_##name();
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    }
    assert_string_equal(message_kind_name(0), "?");
    assert_string_equal(message_kind_name(52), "?");
}

/* ---- damage ---- */

static void change(uint8_t *bytes, size_t size)
{
    int changes = 1 + rand() % 4;
    for (int i = 0; i < changes; i++) {
        static const uint8_t favourites[] = {0x00, 0x7f, 0x80, 0x90, 0xc0, 0xc1, 0xc6,
                                             0xcf, 0xd3, 0xdb, 0xdd, 0xdf, 0xff};
        bytes[(size_t)rand() % size] =
            (uint8_t)(rand() % 2 ? rand() : favourites[(size_t)rand() % sizeof favourites]);
    }
}

static void damage(const vector_t *vector, void *context)
{
    (void)context;
    for (int round = 0; vector->bytes.size > 0 && round < 500; round++) {
        uint8_t *bytes = copy_of(vector->bytes);
        change(bytes, vector->bytes.size);
        reading_t reading = read_frame(fabric_bytes(bytes, vector->bytes.size));
        if (reading.text &&
            reading.error == FABRIC_OK) { /* then it means something, and only that */
            reading_t again = read_frame(wire_writer_bytes(&reading.again));
            assert_int_equal(again.error, FABRIC_OK);
            assert_int_equal(again.size, reading.size);
            assert_memory_equal(again.text, reading.text, again.size);
            reading_destroy(&again);
        }
        reading_destroy(&reading);
        free(bytes);
    }
}

static void damaged_frames_do_no_harm(void **state)
{
    (void)state;
    srand(20250101);
    vectors_visit("schemas/vectors/frames.txt", damage, NULL);
}

/* Finds the message of a valid vector that has just this one. */
static uint8_t *find_message(const char *name, wire_reader_t *body, message_kind_t *kind)
{
    size_t size = 0;
    uint8_t *bytes = vectors_find("schemas/vectors/frames.txt", name, &size);
    wire_reader_t frame;
    frame_head_t head;
    assert_int_equal(frame_open(fabric_bytes(bytes, size), &frame, &head), FABRIC_OK);
    assert_true(frame_next(&frame, body));
    assert_int_equal(message_open(body, kind), FABRIC_OK);
    return bytes;
}

/* What the vectors carry in a bin is what the modules behind it read. */
static void what_messages_carry_is_read(void **state)
{
    (void)state;
    wire_reader_t body;
    message_kind_t kind;
    message_hello_t hello;
    message_welcome_t welcome;
    message_map_t delta;
    bool changed = false;
    uint8_t *bytes = find_message("hello", &body, &kind);
    assert_int_equal(message_get_hello(&body, &hello), FABRIC_OK);
    wire_reader_t types = wire_reader(hello.types);
    type_description_t *type = NULL;
    assert_int_equal(wire_get_array(&types), 1);
    assert_int_equal(type_description_parse(&types, &type), FABRIC_OK);
    assert_int_equal(wire_finish(&types), FABRIC_OK);
    type_description_destroy(&type);
    free(bytes);
    shard_map_t *map = shard_map_new();
    bytes = find_message("welcome", &body, &kind);
    assert_int_equal(message_get_welcome(&body, &welcome), FABRIC_OK);
    shard_map_set_shards_per_group(map, (uint32_t)welcome.shards_per_group);
    assert_int_equal(shard_map_apply(map, welcome.map, &changed), FABRIC_OK);
    assert_true(changed);
    free(bytes);
    bytes = find_message("map", &body, &kind);
    assert_int_equal(message_get_map(&body, &delta), FABRIC_OK);
    assert_int_equal(shard_map_apply(map, delta.map, &changed), FABRIC_OK);
    assert_true(changed);
    assert_int_equal(shard_map_version(map).sequence, 18);
    free(bytes);
    shard_map_destroy(&map);
}

static void a_frame_has_a_limit(void **state)
{
    (void)state;
    wire_writer_t frame = {0};
    frame_head_t head = {LIMIT_PROTOCOL_VERSION, 0, 0};
    wire_reader_t reader;
    frame_begin(&frame, &head);
    wire_writer_reserve(&frame, LIMIT_FRAME_BYTES_MAX);
    memset(frame.data + frame.size, 0, LIMIT_FRAME_BYTES_MAX);
    fabric_bytes_t largest = fabric_bytes(frame.data, LIMIT_FRAME_BYTES_MAX);
    fabric_bytes_t larger = fabric_bytes(frame.data, LIMIT_FRAME_BYTES_MAX + 1);
    assert_int_equal(frame_open(largest, &reader, &head), FABRIC_OK);
    assert_int_equal(frame_open(larger, &reader, &head), FABRIC_ERROR_LIMIT_EXCEEDED);
    wire_writer_destroy(&frame);
}

static void a_head_is_set_when_the_frame_is_complete(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 127, 256, UINT64_C(1) << 40, UINT64_MAX};
    message_bye_t bye = {.reason = fabric_bytes_of("enough")};
    wire_writer_t frame = {0};
    frame_reserve_head(&frame);
    assert_int_equal(frame.size, FRAME_HEAD_BYTES);
    message_put_bye(&frame, &bye);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        frame_head_t head = {LIMIT_PROTOCOL_VERSION, numbers[i], numbers[i] / 3};
        frame_head_t read;
        wire_reader_t reader;
        wire_reader_t body;
        message_kind_t kind;
        frame_set_head(&frame, &head);
        assert_int_equal(frame_open(wire_writer_bytes(&frame), &reader, &read), FABRIC_OK);
        assert_true(read.high_id == head.high_id && read.settled == head.settled);
        assert_true(frame_next(&reader, &body));
        assert_int_equal(message_open(&body, &kind), FABRIC_OK);
        assert_int_equal(kind, KIND_BYE);
        assert_false(frame_next(&reader, &body) || reader.failed);
    }
    wire_writer_destroy(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_arrives_as_sent),
        cmocka_unit_test(frames_are_read_or_refused),
        cmocka_unit_test(parts_of_frames_are_refused),
        cmocka_unit_test(parts_of_messages_are_refused),
        cmocka_unit_test(damaged_frames_do_no_harm),
        cmocka_unit_test(what_messages_carry_is_read),
        cmocka_unit_test(a_frame_has_a_limit),
        cmocka_unit_test(a_head_is_set_when_the_frame_is_complete),
    };
    return cmocka_run_group_tests_name("core_message", tests, NULL, NULL);
}
