/* The wire: a bounded writer and a bounded reader for msgpack
 * (https://github.com/msgpack/msgpack/blob/master/spec.md).
 *
 * The writer packs with msgpack-c's own templates into a growable buffer. The reader is a cursor
 * over borrowed bytes: it checks every length against the bytes that are left, builds no tree,
 * allocates nothing, and after its first failure stays failed, so that a decoder may read all its
 * fields and look at the end.
 *
 * A frame is: array(3) [version, high_id, settled], then one bin for each message it carries. The
 * bin's length lets a receiver step over a malformed message to the next (I14). A message is
 * array(n+1) [kind, fields...].
 *
 * Threading: none of its own; an object belongs to one thread at a time.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>
#include <fabric/error.h>

/* A growable buffer. Zero-initialise it, or reuse it after wire_writer_reset. */
typedef struct wire_writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
} wire_writer_t;

void wire_writer_reset(wire_writer_t *writer);   /* forgets the contents, keeps the memory */
void wire_writer_destroy(wire_writer_t *writer); /* frees the memory; the writer is as new */
/* Makes the buffer large enough for `extra` more bytes. */
void wire_writer_reserve(wire_writer_t *writer, size_t extra);
/* Appends bytes as they are, without a header. */
void wire_append(wire_writer_t *writer, const void *data, size_t size);
static inline fabric_bytes_t wire_writer_bytes(const wire_writer_t *writer)
{
    return (fabric_bytes_t){writer->data, writer->size};
}

void wire_put_nil(wire_writer_t *writer);
void wire_put_bool(wire_writer_t *writer, bool value);
void wire_put_long_uint(wire_writer_t *writer, uint64_t value); /* any number, in any case */
static inline void wire_put_uint(wire_writer_t *writer, uint64_t value)
{
    if (value < 0x80 && writer->size < writer->capacity) { /* the number is its own type byte */
        writer->data[writer->size++] = (uint8_t)value;
    } else {
        wire_put_long_uint(writer, value);
    }
}
void wire_put_int(wire_writer_t *writer, int64_t value);
void wire_put_double(wire_writer_t *writer, double value);
void wire_put_str(wire_writer_t *writer, fabric_bytes_t value);
void wire_put_text(wire_writer_t *writer, const char *value);
void wire_put_bin(wire_writer_t *writer, fabric_bytes_t value);
void wire_put_array(wire_writer_t *writer, uint32_t count);
void wire_put_map(wire_writer_t *writer, uint32_t count);
/* Opens a bin whose length is not known yet (always bin 32); returns a mark for wire_bin_end, which
 * fills it in. */
size_t wire_bin_begin(wire_writer_t *writer);
void wire_bin_end(wire_writer_t *writer, size_t mark);

/* A cursor over borrowed bytes, which must outlive it and every view taken from it. */
typedef struct wire_reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
    bool extended; /* the body of a message that has its optional field: see message.h */
} wire_reader_t;

typedef enum wire_type {
    WIRE_NONE, /* no bytes left, or failed */
    WIRE_NIL,
    WIRE_BOOL,
    WIRE_UINT,
    WIRE_INT, /* negative */
    WIRE_DOUBLE,
    WIRE_STR,
    WIRE_BIN,
    WIRE_ARRAY,
    WIRE_MAP,
    WIRE_OTHER /* ext, or the byte that msgpack never uses */
} wire_type_t;

static inline wire_reader_t wire_reader(fabric_bytes_t bytes)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *data = bytes.data ? bytes.data : nothing;
    return (wire_reader_t){.next = data, .end = data + bytes.size};
}
static inline size_t wire_left(const wire_reader_t *reader)
{
    return reader->failed ? 0 : (size_t)(reader->end - reader->next);
}
/* The getters of the commonest types are inline for the shortest forms; these functions take all
 * other forms. */
uint64_t wire_get_long_uint(wire_reader_t *reader);
uint32_t wire_get_long_array(wire_reader_t *reader);
fabric_bytes_t wire_get_long_str(wire_reader_t *reader);
fabric_bytes_t wire_get_long_bin(wire_reader_t *reader);
/* Takes the view of `size` bytes behind the next `head` bytes, which must be left. */
static inline fabric_bytes_t wire_take_view(wire_reader_t *reader, size_t head, size_t size)
{
    if (wire_left(reader) - head < size) {
        reader->failed = true;
        return (fabric_bytes_t){NULL, 0};
    }
    const uint8_t *data = reader->next + head;
    reader->next = data + size;
    return (fabric_bytes_t){data, size};
}

/* The type of the next value, without consuming it. */
wire_type_t wire_peek(const wire_reader_t *reader);
/* Each of these consumes one value. If the type is wrong, the value out of range or bytes are
 * missing, the reader fails and the result is zero, empty or false. Integers are accepted in any
 * width. */
void wire_get_nil(wire_reader_t *reader);
bool wire_get_bool(wire_reader_t *reader);
static inline uint64_t wire_get_uint(wire_reader_t *reader)
{
    if (wire_left(reader) > 0 && *reader->next < 0x80) { /* the number is its own type byte */
        return *reader->next++;
    }
    return wire_get_long_uint(reader);
}
/* The optional field of a message, which is not there where it is 0. */
static inline void wire_put_optional(wire_writer_t *writer, uint64_t value)
{
    if (value != 0) {
        wire_put_uint(writer, value);
    }
}
static inline uint64_t wire_get_optional(wire_reader_t *reader)
{
    return reader->extended ? wire_get_uint(reader) : 0;
}
int64_t wire_get_int(wire_reader_t *reader);
/* Takes float 32, float 64 and integers; NaN and infinity fail. */
double wire_get_double(wire_reader_t *reader);
static inline fabric_bytes_t wire_get_str(wire_reader_t *reader)
{
    if (wire_left(reader) > 0 &&
        (*reader->next & 0xe0) == 0xa0) { /* the type byte holds the size */
        return wire_take_view(reader, 1, *reader->next & 0x1f);
    }
    return wire_get_long_str(reader);
}
static inline fabric_bytes_t wire_get_bin(wire_reader_t *reader)
{
    if (wire_left(reader) >= 2 && *reader->next == 0xc4) { /* the next byte holds the size */
        return wire_take_view(reader, 2, reader->next[1]);
    }
    return wire_get_long_bin(reader);
}
/* The count is checked against the bytes left: each element takes at least one byte, each pair of a
 * map two. */
static inline uint32_t wire_get_array(wire_reader_t *reader)
{
    size_t left = wire_left(reader);
    uint32_t count = left > 0 ? *reader->next ^ 0x90u : 0x90; /* below 16: the type byte holds it */
    if (count < 16 && count < left) {
        reader->next++;
        return count;
    }
    return wire_get_long_array(reader);
}
uint32_t wire_get_map(wire_reader_t *reader);
/* Steps over one value of any type but ext, nested at most LIMIT_DEPTH_MAX deep. The function does
 * not recurse. */
void wire_skip(wire_reader_t *reader);
/* FABRIC_OK when nothing failed and no byte is left over, else FABRIC_ERROR_MALFORMED_MESSAGE. */
FABRIC_MUST_USE
fabric_error_t wire_finish(const wire_reader_t *reader);

#endif
