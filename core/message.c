/* The messages of the wire: see message.h. */
#include "core/message.h"

#include <assert.h>

#include "core/limits.h"

/* A message has an optional field only where it is not 0. */
#define HAS_uint(value)         +1u
#define HAS_str(value)          +1u
#define HAS_bin(value)          +1u
#define HAS_optional(value)     +(uint32_t)((value) != 0)
#define NEEDS_uint              +1u
#define NEEDS_str               +1u
#define NEEDS_bin               +1u
#define NEEDS_optional          +0u
#define HAS_FIELD(type, name)   HAS_##type(message->name)
#define NEEDS_FIELD(type, name) NEEDS_##type
#define MAY_FIELD(type, name)   +1u
#define PUT_FIELD(type, name)   wire_put_##type(frame, message->name);
#define GET_FIELD(type, name)   decoded.name = wire_get_##type(body);

#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    void message_put_##name(wire_writer_t *frame, const message_##name##_t *message)               \
    {                                                                                              \
        size_t mark = wire_bin_begin(frame);                                                       \
        wire_put_array(frame, 1u NAME##_FIELDS(HAS_FIELD));                                        \
        wire_put_uint(frame, KIND_##NAME);                                                         \
        NAME##_FIELDS(PUT_FIELD) wire_bin_end(frame, mark);                                        \
    }                                                                                              \
                                                                                                   \
    fabric_error_t message_get_##name(wire_reader_t *body, message_##name##_t *message)            \
    {                                                                                              \
        message_##name##_t decoded = {0};                                                          \
        NAME##_FIELDS(GET_FIELD) if (wire_finish(body) != FABRIC_OK)                               \
        {                                                                                          \
            return FABRIC_ERROR_MALFORMED_MESSAGE;                                                 \
        }                                                                                          \
        *message = decoded;                                                                        \
        return FABRIC_OK;                                                                          \
    }
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW

void frame_begin(wire_writer_t *frame, const frame_head_t *head)
{
    wire_put_array(frame, 3);
    wire_put_uint(frame, head->version);
    wire_put_uint(frame, head->high_id);
    wire_put_uint(frame, head->settled);
}

void frame_reserve_head(wire_writer_t *frame)
{
    static const uint8_t zeros[FRAME_HEAD_BYTES];
    wire_append(frame, zeros, sizeof zeros);
}

/* A uint 64, whatever its value: nine bytes. */
static void set_wide(uint8_t *place, uint64_t value)
{
    place[0] = 0xcf;
    for (int i = 8; i > 0; i--) {
        place[i] = (uint8_t)value;
        value >>= 8;
    }
}

void frame_set_head(wire_writer_t *frame, const frame_head_t *head)
{
    assert(frame->size >= FRAME_HEAD_BYTES && head->version < 0x80);
    frame->data[0] = 0x93; /* an array of three */
    frame->data[1] = (uint8_t)head->version;
    set_wide(frame->data + 2, head->high_id);
    set_wide(frame->data + 11, head->settled);
}

fabric_error_t frame_open(fabric_bytes_t frame, wire_reader_t *reader, frame_head_t *head)
{
    wire_reader_t cursor = wire_reader(frame);
    frame_head_t decoded = {0};
    if (frame.size > LIMIT_FRAME_BYTES_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    uint32_t count = wire_get_array(&cursor);
    decoded.version = wire_get_uint(&cursor);
    if (cursor.failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (decoded.version !=
        LIMIT_PROTOCOL_VERSION) { /* another version's head may differ in length */
        return FABRIC_ERROR_UNSUPPORTED_VERSION;
    }
    decoded.high_id = wire_get_uint(&cursor);
    decoded.settled = wire_get_uint(&cursor);
    if (cursor.failed || count != 3) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    *reader = cursor;
    *head = decoded;
    return FABRIC_OK;
}

bool frame_next(wire_reader_t *frame, wire_reader_t *body)
{
    if (wire_left(frame) == 0) {
        return false;
    }
    fabric_bytes_t bytes = wire_get_bin(frame);
    if (frame->failed) {
        return false;
    }
    *body = wire_reader(bytes);
    return true;
}

fabric_error_t message_open(wire_reader_t *body, message_kind_t *kind)
{
    uint32_t count = wire_get_array(body);
    uint64_t number = wire_get_uint(body);
    if (body->failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    switch (number) {
#define FABRIC_KIND_ROW(value, NAME, name)                                                         \
    case (value):                                                                                  \
        *kind = KIND_##NAME;                                                                       \
        if (count < 1u NAME##_FIELDS(NEEDS_FIELD) || count > 1u NAME##_FIELDS(MAY_FIELD)) {        \
            return FABRIC_ERROR_MALFORMED_MESSAGE;                                                 \
        }                                                                                          \
        body->extended = count > 1u NAME##_FIELDS(NEEDS_FIELD);                                    \
        break;
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    default: /* a number from outside */
        return FABRIC_ERROR_UNKNOWN_KIND;
    }
    return FABRIC_OK;
}

const char *message_kind_name(unsigned kind)
{
    switch (kind) {
#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    case (number):                                                                                 \
        return #NAME;
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    default: /* a number from outside */
        return "?";
    }
}
