/* The wire's writer and reader: against each other, against msgpack-c's unpacker, and on bytes that
 * are wrong. */
#include "core/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>

#include "core/limits.h"
#include "tests/harness/vectors.h"

static const uint64_t uints[] = {0,          1,
                                 127,        128,
                                 255,        256,
                                 65535,      65536,
                                 UINT32_MAX, UINT32_MAX + 1ull,
                                 INT64_MAX,  INT64_MAX + 1ull,
                                 UINT64_MAX};
static const int64_t ints[] = {0,
                               1,
                               127,
                               128,
                               -1,
                               -32,
                               -33,
                               -128,
                               -129,
                               -32768,
                               -32769,
                               INT32_MIN,
                               INT32_MIN - 1ll,
                               INT32_MAX,
                               INT64_MIN,
                               INT64_MAX};
static const double doubles[] = {0, -0.0, 0.5, -1e300, 5e-324, 1.7976931348623157e308};
static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Unpacks what the writer holds, which must be one value. */
static msgpack_object unpack(const wire_writer_t *writer, msgpack_unpacked *unpacked)
{
    size_t offset = 0;
    msgpack_unpacked_init(unpacked);
    assert_int_equal(
        msgpack_unpack_next(unpacked, (const char *)writer->data, writer->size, &offset),
        MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, writer->size);
    return unpacked->data;
}

/* A reader over a copy of exactly the writer's bytes; *copy is the caller's to free(). */
static wire_reader_t reread(const wire_writer_t *writer, uint8_t **copy)
{
    *copy = malloc(writer->size ? writer->size : 1);
    assert_non_null(*copy);
    memcpy(*copy, writer->data, writer->size);
    return wire_reader(fabric_bytes(*copy, writer->size));
}

static void integers_are_read_by_both(void **state)
{
    (void)state;
    wire_writer_t writer = {0};
    msgpack_unpacked unpacked;
    for (size_t i = 0; i < COUNT(uints); i++) {
        wire_writer_reset(&writer);
        wire_put_uint(&writer, uints[i]);
        wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
        assert_int_equal(wire_peek(&reader), WIRE_UINT);
        assert_true(wire_get_uint(&reader) == uints[i]);
        assert_int_equal(wire_finish(&reader), FABRIC_OK);
        msgpack_object object = unpack(&writer, &unpacked);
        assert_int_equal(object.type, MSGPACK_OBJECT_POSITIVE_INTEGER);
        assert_true(object.via.u64 == uints[i]);
        msgpack_unpacked_destroy(&unpacked);
    }
    for (size_t i = 0; i < COUNT(ints); i++) {
        wire_writer_reset(&writer);
        wire_put_int(&writer, ints[i]);
        wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
        assert_true(wire_get_int(&reader) == ints[i]);
        assert_int_equal(wire_finish(&reader), FABRIC_OK);
        msgpack_object object = unpack(&writer, &unpacked);
        assert_int_equal(object.type, ints[i] < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER
                                                  : MSGPACK_OBJECT_POSITIVE_INTEGER);
        assert_true(object.via.i64 == ints[i]);
        msgpack_unpacked_destroy(&unpacked);
    }
    wire_writer_destroy(&writer);
}

static void doubles_are_read_by_both(void **state)
{
    (void)state;
    wire_writer_t writer = {0};
    msgpack_unpacked unpacked;
    for (size_t i = 0; i < COUNT(doubles); i++) {
        wire_writer_reset(&writer);
        wire_put_double(&writer, doubles[i]);
        wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
        double value = wire_get_double(&reader);
        assert_memory_equal(&value, &doubles[i], sizeof value);
        assert_int_equal(wire_finish(&reader), FABRIC_OK);
        msgpack_object object = unpack(&writer, &unpacked);
        assert_int_equal(object.type, MSGPACK_OBJECT_FLOAT64);
        assert_memory_equal(&object.via.f64, &doubles[i], sizeof doubles[i]);
        msgpack_unpacked_destroy(&unpacked);
    }
    wire_writer_destroy(&writer);
}

static void strings_are_read_by_both(void **state)
{
    (void)state;
    uint8_t *content = malloc(65536);
    assert_non_null(content);
    memset(content, 'x', 65536);
    wire_writer_t writer = {0};
    msgpack_unpacked unpacked;
    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        bool str = i % 2 == 0;
        fabric_bytes_t value = fabric_bytes(content, sizes[i / 2]);
        wire_writer_reset(&writer);
        if (str) {
            wire_put_str(&writer, value);
        } else {
            wire_put_bin(&writer, value);
        }
        uint8_t *copy = NULL;
        wire_reader_t reader = reread(&writer, &copy);
        assert_int_equal(wire_peek(&reader), str ? WIRE_STR : WIRE_BIN);
        fabric_bytes_t got = str ? wire_get_str(&reader) : wire_get_bin(&reader);
        assert_true(fabric_bytes_equal(got, value));
        assert_int_equal(wire_finish(&reader), FABRIC_OK);
        msgpack_object object = unpack(&writer, &unpacked);
        assert_int_equal(object.type, str ? MSGPACK_OBJECT_STR : MSGPACK_OBJECT_BIN);
        assert_int_equal(object.via.bin.size, value.size);
        assert_memory_equal(object.via.bin.ptr, value.data, value.size);
        msgpack_unpacked_destroy(&unpacked);
        free(copy);
    }
    wire_writer_destroy(&writer);
    free(content);
}

static void arrays_and_maps_are_read_by_both(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536};
    wire_writer_t writer = {0};
    msgpack_unpacked unpacked;
    for (size_t i = 0; i < 2 * COUNT(counts); i++) {
        bool map = i % 2 == 0;
        uint32_t count = counts[i / 2];
        wire_writer_reset(&writer);
        if (map) {
            wire_put_map(&writer, count);
        } else {
            wire_put_array(&writer, count);
        }
        for (uint32_t k = 0; k < (map ? 2 : 1) * count; k++) {
            wire_put_bool(&writer, k % 2 == 0);
        }
        wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
        assert_int_equal(map ? wire_get_map(&reader) : wire_get_array(&reader), count);
        for (uint32_t k = 0; k < (map ? 2 : 1) * count; k++) {
            assert_int_equal(wire_get_bool(&reader), k % 2 == 0);
        }
        assert_int_equal(wire_finish(&reader), FABRIC_OK);
        msgpack_object object = unpack(&writer, &unpacked);
        assert_int_equal(object.type, map ? MSGPACK_OBJECT_MAP : MSGPACK_OBJECT_ARRAY);
        assert_int_equal(map ? object.via.map.size : object.via.array.size, count);
        msgpack_unpacked_destroy(&unpacked);
    }
    wire_writer_destroy(&writer);
}

static void nil_and_open_bins_are_read_by_both(void **state)
{
    (void)state;
    wire_writer_t writer = {0};
    msgpack_unpacked unpacked;
    wire_put_array(&writer, 2);
    wire_put_nil(&writer);
    size_t mark = wire_bin_begin(&writer);
    for (int i = 0; i < 1000; i++) {
        wire_put_text(&writer, "grows");
    }
    wire_bin_end(&writer, mark);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    assert_int_equal(wire_get_array(&reader), 2);
    wire_get_nil(&reader);
    assert_int_equal(wire_get_bin(&reader).size, 6000);
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    msgpack_object object = unpack(&writer, &unpacked);
    assert_int_equal(object.via.array.ptr[0].type, MSGPACK_OBJECT_NIL);
    assert_int_equal(object.via.array.ptr[1].via.bin.size, 6000);
    msgpack_unpacked_destroy(&unpacked);
    wire_writer_destroy(&writer);
    assert_null(writer.data);
}

static void check_value(const vector_t *vector, void *context)
{
    (void)context;
    wire_reader_t reader = wire_reader(vector->bytes);
    wire_skip(&reader);
    bool good = wire_finish(&reader) == FABRIC_OK;
    if (good != vector->valid) {
        fail_msg("%s: skipping it went %s", vector->name, good ? "well" : "wrong");
    }
    for (size_t size = 0; vector->valid && size < vector->bytes.size; size++) {
        uint8_t *part = malloc(size ? size : 1);
        assert_non_null(part);
        memcpy(part, vector->bytes.data, size);
        wire_reader_t cut = wire_reader(fabric_bytes(part, size));
        wire_skip(&cut);
        if (!cut.failed) {
            fail_msg("%s: it ends after %zu bytes", vector->name, size);
        }
        free(part);
    }
}

static void values_are_skipped_or_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/values.txt", check_value, NULL);
}

static void counts_need_their_bytes(void **state)
{
    (void)state;
    static const uint8_t map[] = {0x82, 0xc0, 0xc0, 0xc0};
    static const uint8_t array[] = {0x94, 0xc0, 0xc0, 0xc0};
    wire_reader_t reader = wire_reader(fabric_bytes(map, sizeof map));
    assert_int_equal(wire_get_map(&reader), 0);
    assert_true(reader.failed);
    reader = wire_reader(fabric_bytes(array, sizeof array));
    assert_int_equal(wire_get_array(&reader), 0);
    assert_true(reader.failed);
}

static void skipping_needs_no_stack(void **state)
{
    (void)state;
    size_t size = 1000000;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 0x91, size);
    wire_reader_t reader = wire_reader(fabric_bytes(bytes, size));
    wire_skip(&reader);
    assert_true(reader.failed);
    free(bytes);
}

/* Calls the getter number `which` and tells whether the reader is still good. */
static bool get(wire_reader_t *reader, size_t which)
{
    switch (which) {
    case 0:
        wire_get_nil(reader);
        break;
    case 1:
        (void)wire_get_bool(reader);
        break;
    case 2:
        (void)wire_get_uint(reader);
        break;
    case 3:
        (void)wire_get_int(reader);
        break;
    case 4:
        assert_true(isfinite(wire_get_double(reader)));
        break;
    case 5:
        (void)wire_get_str(reader);
        break;
    case 6:
        (void)wire_get_bin(reader);
        break;
    case 7:
        (void)wire_get_array(reader);
        break;
    default:
        (void)wire_get_map(reader);
        break;
    }
    return !reader->failed;
}

/* Every first byte, followed by zeros, with every getter: only its own getters take a type. */
static void getters_take_only_their_types(void **state)
{
    (void)state;
    static const unsigned takes[] = {
        [WIRE_NIL] = 1u << 0, [WIRE_BOOL] = 1u << 1,   [WIRE_UINT] = 7u << 2,
        [WIRE_INT] = 3u << 3, [WIRE_DOUBLE] = 1u << 4, [WIRE_STR] = 1u << 5,
        [WIRE_BIN] = 1u << 6, [WIRE_ARRAY] = 1u << 7,  [WIRE_MAP] = 1u << 8,
        [WIRE_OTHER] = 0};
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t bytes[64] = {(uint8_t)byte};
        wire_reader_t peeked = wire_reader(fabric_bytes(bytes, sizeof bytes));
        unsigned good = takes[wire_peek(&peeked)];
        if (byte >= 0xd0 && byte <= 0xd3) { /* signed, here holding zero */
            good |= 1u << 2;
        }
        for (size_t which = 0; which < 9; which++) {
            wire_reader_t reader = wire_reader(fabric_bytes(bytes, sizeof bytes));
            if (get(&reader, which) != ((good >> which & 1) == 1)) {
                fail_msg("byte %02x, getter %zu", byte, which);
            }
        }
    }
}

/* Reads `bytes` with wire_get_uint, whole and cut at each place, from memory of exactly that
 * size. */
static void check_uint(const uint8_t *bytes, size_t size, bool good, uint64_t expected)
{
    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        wire_reader_t reader = wire_reader(fabric_bytes(copy, cut));
        uint64_t value = wire_get_uint(&reader);
        assert_int_equal(reader.failed, !good || cut < size);
        assert_true(value == (reader.failed ? 0 : expected));
        assert_int_equal(wire_finish(&reader) == FABRIC_OK, !reader.failed);
        free(copy);
    }
}

static void integers_have_any_width(void **state)
{
    (void)state;
    for (unsigned form = 0; form < 8; form++) { /* 4 unsigned types, 4 signed ones */
        size_t width = (size_t)1 << form % 4;
        for (unsigned high = 0; high < 256; high++) {
            uint8_t bytes[9] = {(uint8_t)(0xcc + form), (uint8_t)high};
            bytes[width] |= 1;
            uint64_t value = 0;
            for (size_t i = 1; i <= width; i++) {
                value = value << 8 | bytes[i];
            }
            check_uint(bytes, 1 + width, form < 4 || high < 0x80, value);
        }
    }
}

/* Each form of a str or bin, of a size that shorter forms could carry, whole and one byte short. */
static void views_have_any_form(void **state)
{
    (void)state;
    static const struct {
        uint8_t head[5];
        size_t head_bytes;
        bool str;
    } forms[] = {{{0xa3}, 1, true},
                 {{0xd9, 3}, 2, true},
                 {{0xda, 0, 3}, 3, true},
                 {{0xdb, 0, 0, 0, 3}, 5, true},
                 {{0xc4, 3}, 2, false},
                 {{0xc5, 0, 3}, 3, false},
                 {{0xc6, 0, 0, 0, 3}, 5, false}};
    for (size_t i = 0; i < COUNT(forms); i++) {
        size_t whole = forms[i].head_bytes + 3;
        for (size_t size = 0; size <= whole; size++) {
            uint8_t bytes[8] = {0};
            memcpy(bytes, forms[i].head, forms[i].head_bytes);
            memcpy(bytes + forms[i].head_bytes, "abc", 3);
            uint8_t *copy = malloc(size ? size : 1);
            assert_non_null(copy);
            memcpy(copy, bytes, size);
            wire_reader_t reader = wire_reader(fabric_bytes(copy, size));
            fabric_bytes_t view = forms[i].str ? wire_get_str(&reader) : wire_get_bin(&reader);
            assert_int_equal(reader.failed, size < whole);
            assert_true(fabric_bytes_equal(view, fabric_bytes("abc", size < whole ? 0 : 3)));
            assert_true(size == whole || view.data == NULL);
            free(copy);
        }
    }
}

static void a_failed_reader_stays_failed(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xc0, 0x01, 0x01, 0x01};
    wire_reader_t reader = wire_reader(fabric_bytes(bytes, sizeof bytes));
    assert_int_equal(wire_get_uint(&reader), 0);
    assert_int_equal(wire_left(&reader), 0);
    assert_int_equal(wire_peek(&reader), WIRE_NONE);
    for (size_t which = 0; which < 9; which++) {
        assert_false(get(&reader, which));
    }
    wire_skip(&reader);
    assert_int_equal(wire_finish(&reader), FABRIC_ERROR_MALFORMED_MESSAGE);
}

static void getters_never_read_beyond(void **state)
{
    (void)state;
    srand(20250101);
    for (int round = 0; round < 200000; round++) {
        size_t size = (size_t)rand() % 24;
        uint8_t *bytes = malloc(size ? size : 1); /* of its size, for the sanitizer */
        assert_non_null(bytes);
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(rand() % 3 ? 0x80 | rand() : rand());
        }
        wire_reader_t reader = wire_reader(fabric_bytes(bytes, size));
        while (wire_left(&reader) > 0) {
            const uint8_t *before = reader.next;
            if (rand() % 4 == 0) {
                wire_skip(&reader);
            } else {
                (void)get(&reader, (size_t)rand() % 9);
            }
            assert_true(reader.failed || (reader.next > before && reader.next <= reader.end));
        }
        free(bytes);
    }
}

static void empty_views_are_fine(void **state)
{
    (void)state;
    wire_writer_t writer = {0};
    wire_append(&writer, NULL, 0);
    assert_int_equal(wire_writer_bytes(&writer).size, 0);
    wire_put_bin(&writer, fabric_bytes(NULL, 0));
    wire_put_text(&writer, NULL);
    assert_int_equal(writer.size, 3);
    wire_writer_destroy(&writer);
    wire_reader_t reader = wire_reader(fabric_bytes(NULL, 0));
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    assert_int_equal(wire_get_uint(&reader), 0);
    assert_true(reader.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_by_both),
        cmocka_unit_test(doubles_are_read_by_both),
        cmocka_unit_test(strings_are_read_by_both),
        cmocka_unit_test(arrays_and_maps_are_read_by_both),
        cmocka_unit_test(nil_and_open_bins_are_read_by_both),
        cmocka_unit_test(values_are_skipped_or_refused),
        cmocka_unit_test(counts_need_their_bytes),
        cmocka_unit_test(skipping_needs_no_stack),
        cmocka_unit_test(getters_take_only_their_types),
        cmocka_unit_test(integers_have_any_width),
        cmocka_unit_test(views_have_any_form),
        cmocka_unit_test(a_failed_reader_stays_failed),
        cmocka_unit_test(getters_never_read_beyond),
        cmocka_unit_test(empty_views_are_fine),
    };
    return cmocka_run_group_tests_name("core_wire", tests, NULL, NULL);
}
