/* The wire: see wire.h. */
#include "core/wire.h"

#include <endian.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

void wire_writer_reset(wire_writer_t *writer)
{
    writer->size = 0;
}

void wire_writer_destroy(wire_writer_t *writer)
{
    free(writer->data);
    *writer = (wire_writer_t){0};
}

void wire_writer_reserve(wire_writer_t *writer, size_t extra)
{
    if (writer->capacity - writer->size >= extra) {
        return;
    }
    if (extra > SIZE_MAX / 4 -
                    writer->size) { /* no machine has that much; doubling cannot overflow below */
        abort();
    }
    size_t capacity = writer->capacity ? writer->capacity : 256;
    while (capacity - writer->size < extra) {
        capacity *= 2;
    }
    uint8_t *data = memory_resize(writer->data, capacity, 1);
    writer->data = data;
    writer->capacity = capacity;
}

void wire_append(wire_writer_t *writer, const void *data, size_t size)
{
    wire_writer_reserve(writer, size);
    if (size > 0) {
        memcpy(writer->data + writer->size, data, size);
    }
    writer->size += size;
}

/* The templates below append with this function. It is inlined, since most appends have 1 to 9
 * bytes. */
static inline void append_packed(wire_writer_t *writer, const void *data, size_t size)
{
    if (writer->capacity - writer->size < size) {
        wire_writer_reserve(writer, size);
    }
    if (size > 0) {
        memcpy(writer->data + writer->size, data, size);
    }
    writer->size += size;
}

/* msgpack-c's packing templates, instantiated on our buffer: see msgpack/pack_template.h. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>
#define msgpack_pack_inline_func(name)        static inline void wire_pack##name
#define msgpack_pack_inline_func_cint(name)   static inline void wire_pack##name
#define msgpack_pack_inline_func_fixint(name) static inline void wire_pack_fix##name
/* The template that packs a timestamp calls this one by its full name. */
#define msgpack_pack_ext                           wire_pack_ext
#define msgpack_pack_user                          wire_writer_t *
#define msgpack_pack_append_buffer(user, buf, len) append_packed((user), (buf), (len))
#include <msgpack/pack_template.h>
#undef msgpack_pack_ext
#pragma GCC diagnostic pop

void wire_put_nil(wire_writer_t *writer)
{
    wire_pack_nil(writer);
}

void wire_put_bool(wire_writer_t *writer, bool value)
{
    if (value) {
        wire_pack_true(writer);
    } else {
        wire_pack_false(writer);
    }
}

void wire_put_long_uint(wire_writer_t *writer, uint64_t value)
{
    wire_pack_uint64(writer, value);
}

void wire_put_int(wire_writer_t *writer, int64_t value)
{
    wire_pack_int64(writer, value);
}

void wire_put_double(wire_writer_t *writer, double value)
{
    wire_pack_double(writer, value);
}

void wire_put_str(wire_writer_t *writer, fabric_bytes_t value)
{
    wire_pack_str(writer, value.size);
    append_packed(writer, value.data, value.size);
}

void wire_put_text(wire_writer_t *writer, const char *value)
{
    wire_put_str(writer, fabric_bytes_of(value));
}

void wire_put_bin(wire_writer_t *writer, fabric_bytes_t value)
{
    wire_pack_bin(writer, value.size);
    append_packed(writer, value.data, value.size);
}

void wire_put_array(wire_writer_t *writer, uint32_t count)
{
    wire_pack_array(writer, count);
}

void wire_put_map(wire_writer_t *writer, uint32_t count)
{
    wire_pack_map(writer, count);
}

size_t wire_bin_begin(wire_writer_t *writer)
{
    static const uint8_t header[5] = {0xc6, 0, 0, 0, 0};
    append_packed(writer, header, sizeof header);
    return writer->size;
}

void wire_bin_end(wire_writer_t *writer, size_t mark)
{
    size_t size = writer->size - mark;
    uint8_t *length = writer->data + mark - 4;
    length[0] = (uint8_t)(size >> 24);
    length[1] = (uint8_t)(size >> 16);
    length[2] = (uint8_t)(size >> 8);
    length[3] = (uint8_t)size;
}

wire_type_t wire_peek(const wire_reader_t *reader)
{
    if (wire_left(reader) == 0) {
        return WIRE_NONE;
    }
    uint8_t byte = *reader->next;
    if (byte < 0x80) {
        return WIRE_UINT;
    }
    if (byte < 0x90) {
        return WIRE_MAP;
    }
    if (byte < 0xa0) {
        return WIRE_ARRAY;
    }
    if (byte < 0xc0) {
        return WIRE_STR;
    }
    if (byte >= 0xe0) {
        return WIRE_INT;
    }
    static const uint8_t types[32] = {
        WIRE_NIL,   WIRE_OTHER, WIRE_BOOL,  WIRE_BOOL,   WIRE_BIN,    WIRE_BIN,  WIRE_BIN,
        WIRE_OTHER, WIRE_OTHER, WIRE_OTHER, WIRE_DOUBLE, WIRE_DOUBLE, WIRE_UINT, WIRE_UINT,
        WIRE_UINT,  WIRE_UINT,  WIRE_INT,   WIRE_INT,    WIRE_INT,    WIRE_INT,  WIRE_OTHER,
        WIRE_OTHER, WIRE_OTHER, WIRE_OTHER, WIRE_OTHER,  WIRE_STR,    WIRE_STR,  WIRE_STR,
        WIRE_ARRAY, WIRE_ARRAY, WIRE_MAP,   WIRE_MAP};
    return (wire_type_t)types[byte - 0xc0];
}

/* Takes `size` bytes off the cursor, or fails it and returns NULL. */
static inline const uint8_t *take(wire_reader_t *reader, size_t size)
{
    if (reader->failed || (size_t)(reader->end - reader->next) < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *data = reader->next;
    reader->next += size;
    return data;
}

/* The big-endian number of 1, 2, 4 or 8 bytes at `bytes`. */
static inline uint64_t load_number(const uint8_t *bytes, size_t size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case 1:
        return *bytes;
    case 2:
        memcpy(&two, bytes, sizeof two);
        return be16toh(two);
    case 4:
        memcpy(&four, bytes, sizeof four);
        return be32toh(four);
    default: /* 8 */
        memcpy(&eight, bytes, sizeof eight);
        return be64toh(eight);
    }
}

/* Takes a big-endian number of `size` bytes. */
static inline uint64_t take_number(wire_reader_t *reader, size_t size)
{
    const uint8_t *data = take(reader, size);
    return data ? load_number(data, size) : 0;
}

static inline uint8_t take_byte(wire_reader_t *reader)
{
    const uint8_t *data = take(reader, 1);
    return data ? *data : 0xc1;
}

void wire_get_nil(wire_reader_t *reader)
{
    if (take_byte(reader) != 0xc0) {
        reader->failed = true;
    }
}

bool wire_get_bool(wire_reader_t *reader)
{
    uint8_t byte = take_byte(reader);
    if (byte != 0xc2 && byte != 0xc3) {
        reader->failed = true;
    }
    return byte == 0xc3 && !reader->failed;
}

uint64_t wire_get_long_uint(wire_reader_t *reader)
{
    size_t left = wire_left(reader);
    unsigned form = left > 0 ? *reader->next - 0xccu : UINT_MAX; /* 0-3: unsigned, 4-7: signed */
    size_t size = (size_t)1 << (form & 3);
    if (form > 7 || left <= size) {
        reader->failed = true;
        return 0;
    }
    uint64_t value = load_number(reader->next + 1, size);
    /* A signed type may carry a number that is not negative. */
    if (form > 3 && value >> (8 * size - 1) != 0) {
        reader->failed = true;
        return 0;
    }
    reader->next += 1 + size;
    return value;
}

int64_t wire_get_int(wire_reader_t *reader)
{
    if (wire_peek(reader) == WIRE_UINT) {
        uint64_t value = wire_get_uint(reader);
        if (value > INT64_MAX) {
            reader->failed = true;
        }
        return reader->failed ? 0 : (int64_t)value;
    }
    uint8_t byte = take_byte(reader);
    if (byte >= 0xe0) {
        return (int8_t)byte;
    }
    switch (byte) {
    case 0xd0:
        return (int8_t)take_number(reader, 1);
    case 0xd1:
        return (int16_t)take_number(reader, 2);
    case 0xd2:
        return (int32_t)take_number(reader, 4);
    case 0xd3:
        return (int64_t)take_number(reader, 8);
    default: /* any other byte: not an integer */
        reader->failed = true;
        return 0;
    }
}

double wire_get_double(wire_reader_t *reader)
{
    wire_type_t type = wire_peek(reader);
    double value = 0;
    if (type == WIRE_UINT) {
        value = (double)wire_get_uint(reader);
    } else if (type == WIRE_INT) {
        value = (double)wire_get_int(reader);
    } else if (take_byte(reader) == 0xca) {
        uint32_t bits = (uint32_t)take_number(reader, 4);
        float single;
        memcpy(&single, &bits, sizeof single);
        value = single;
    } else if (!reader->failed && reader->next[-1] == 0xcb) {
        uint64_t bits = take_number(reader, 8);
        memcpy(&value, &bits, sizeof value);
    } else {
        reader->failed = true;
    }
    if (!isfinite(value)) {
        reader->failed = true;
    }
    return reader->failed ? 0 : value;
}

/* Takes a view whose size has 1, 2 or 4 bytes; `shortest` is the type byte for a size of 1 byte. */
static inline fabric_bytes_t take_long_view(wire_reader_t *reader, uint8_t shortest)
{
    size_t left = wire_left(reader);
    unsigned form = left > 0 ? (unsigned)*reader->next - shortest : UINT_MAX; /* 0-2 */
    size_t head = 1 + ((size_t)1 << (form & 3));
    if (form > 2 || left < head) {
        reader->failed = true;
        return (fabric_bytes_t){NULL, 0};
    }
    return wire_take_view(reader, head, load_number(reader->next + 1, head - 1));
}

fabric_bytes_t wire_get_long_str(wire_reader_t *reader)
{
    return take_long_view(reader, 0xd9);
}

fabric_bytes_t wire_get_long_bin(wire_reader_t *reader)
{
    return take_long_view(reader, 0xc4);
}

/* Takes the count of an array or map whose short form starts at `fix` and whose long forms start at
 * `wide`, and checks that its elements, of at least `least` bytes each, can be there. */
static uint32_t take_count(wire_reader_t *reader, uint8_t fix, uint8_t wide, size_t least)
{
    uint8_t byte = take_byte(reader);
    uint32_t count = 0;
    if ((byte & 0xf0) == fix) {
        count = byte & 0x0f;
    } else if (byte == wide) {
        count = (uint32_t)take_number(reader, 2);
    } else if (byte == wide + 1) {
        count = (uint32_t)take_number(reader, 4);
    } else {
        reader->failed = true;
    }
    if (count > wire_left(reader) / least) {
        reader->failed = true;
    }
    return reader->failed ? 0 : count;
}

uint32_t wire_get_long_array(wire_reader_t *reader)
{
    return take_count(reader, 0x90, 0xdc, 1);
}

uint32_t wire_get_map(wire_reader_t *reader)
{
    return take_count(reader, 0x80, 0xde, 2);
}

void wire_skip(wire_reader_t *reader)
{
    uint64_t left[LIMIT_DEPTH_MAX + 1] = {1}; /* values still to skip at each depth */
    int depth = 0;
    while (depth >= 0 && !reader->failed) {
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        uint64_t inner = 0;
        wire_type_t type = wire_peek(reader);
        switch (type) {
        case WIRE_NIL:
        case WIRE_BOOL:
            take(reader, 1);
            break;
        case WIRE_UINT:
            wire_get_uint(reader);
            break;
        case WIRE_INT:
            wire_get_int(reader);
            break;
        case WIRE_DOUBLE:
            wire_get_double(reader);
            break;
        case WIRE_STR:
            wire_get_str(reader);
            break;
        case WIRE_BIN:
            wire_get_bin(reader);
            break;
        case WIRE_ARRAY:
            inner = wire_get_array(reader);
            break;
        case WIRE_MAP:
            inner = 2 * (uint64_t)wire_get_map(reader);
            break;
        case WIRE_NONE:
        case WIRE_OTHER:
            reader->failed = true;
            break;
        }
        if (type != WIRE_ARRAY && type != WIRE_MAP) {
            continue;
        }
        if (depth == LIMIT_DEPTH_MAX) { /* an empty array or map is one level, too */
            reader->failed = true;
        } else {
            left[++depth] = inner;
        }
    }
}

fabric_error_t wire_finish(const wire_reader_t *reader)
{
    return reader->failed || reader->next != reader->end ? FABRIC_ERROR_MALFORMED_MESSAGE
                                                         : FABRIC_OK;
}
