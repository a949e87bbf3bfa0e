/* The messages of the wire: one struct for each kind of schemas/messages.def, with its encoder and
 * decoder made from the same field table, so that the two cannot drift apart.
 *
 * A decoded struct borrows: its views point into the frame. Views for encoding are borrowed for the
 * call only.
 */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include "core/wire.h"

typedef enum message_kind {
#define FABRIC_KIND_ROW(number, NAME, name) KIND_##NAME = (number),
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
} message_kind_t;

typedef enum peer_role { ROLE_CLIENT = 1, ROLE_WORKER = 2, ROLE_BROKER = 3 } peer_role_t;

/* Bits of request.flags and deliver.flags (which may have those of DELIVER_, too); any other bit of
 * a request is refused with UnknownKind. */
typedef enum request_flag {
    REQUEST_DURABLE = 1, /* stored before its sender hears of it */
    REQUEST_TELL = 2,    /* no reply is kept or sent */
    /* Answer "accepted" once the message is committed (durable) or delivered (volatile). */
    REQUEST_WANT_ACCEPTED = 4,
    REQUEST_RESEND = 8, /* not the first send of this call key */
    /* Volatile tell: answer with an empty reply when its handler has run. */
    REQUEST_WANT_HANDLED = 16,
    /* Durable ask: it is not begun after its deadline, and ends as cancelled. */
    REQUEST_GIVE_UP = 64,
    REQUEST_FLAGS = 31 | REQUEST_GIVE_UP
} request_flag_t;

/* Bits of deliver.flags. ALONE: the worker handles no other message while it handles this one.
 * EARLY: the message may never be stored (broker/router/early.h); only a worker that brings
 * messages with early delivery is sent it. */
enum { DELIVER_ALONE = 32, DELIVER_EARLY = 128 };

/* Of deliver.flags, and of messages in records, never of requests: the message is transactional, so
 * it may have a row of `direct_result`. LOOK: its handler does not run; the worker sends the result
 * that stands there, or NOT_TAKEN with NotFound. Only workers that bring such a message are sent
 * them. */
enum { MESSAGE_TRANSACTIONAL = 256, DELIVER_LOOK = 512 };

enum {
    DELIVER_FLAGS =
        REQUEST_FLAGS | DELIVER_ALONE | DELIVER_EARLY | MESSAGE_TRANSACTIONAL | DELIVER_LOOK
};

/* interrupt.request_id: no message, but the entity's instance ends, with its pending handlers. */
enum { INTERRUPT_INSTANCE = 0 };

/* Whether the message is not to be begun when its deadline is over. */
static inline bool message_expires(uint64_t flags)
{
    return !(flags & REQUEST_DURABLE) ||
           (flags & (REQUEST_GIVE_UP | REQUEST_TELL)) == REQUEST_GIVE_UP;
}

typedef enum reply_status {
    STATUS_OK = 0,        /* payload is the reply by its schema */
    STATUS_FAILURE = 1,   /* the entity's failure: code and text */
    STATUS_DEFECT = 2,    /* the handler broke (result), or the last attempt did (reply) */
    STATUS_NOT_TAKEN = 3, /* result only: the worker certainly did not start the handler */
    /* The entity's failure of those that the message type declares: its number as code, and its
     * values by their schema. */
    STATUS_TYPED_FAILURE = 4
} reply_status_t;

/* Whether the entity itself has answered: by a reply or a failure. */
static inline bool reply_status_is_answer(uint64_t status)
{
    return status == STATUS_OK || status == STATUS_FAILURE || status == STATUS_TYPED_FAILURE;
}

typedef uint64_t message_field_uint_t;
/* A uint at the end, which is left out where it is 0. */
typedef uint64_t message_field_optional_t;
typedef fabric_bytes_t message_field_str_t;
typedef fabric_bytes_t message_field_bin_t;

#define MESSAGE_STRUCT_FIELD(type, name) message_field_##type##_t name;
#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    typedef struct message_##name {                                                                \
        NAME##_FIELDS(MESSAGE_STRUCT_FIELD)                                                        \
    } message_##name##_t;                                                                          \
    /* Appends one whole message, its bin header included, to a frame under construction. */       \
    void message_put_##name(wire_writer_t *frame, const message_##name##_t *message);              \
    /* Reads the fields of a message whose kind message_open has returned. */                      \
    FABRIC_MUST_USE fabric_error_t message_get_##name(wire_reader_t *body,                         \
                                                      message_##name##_t *message);
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW

/* The place of the delivery's message in its lane: an entity's messages are delivered in the order
 * of their places, which is that of their ids but for messages that came due. */
static inline uint64_t message_deliver_position(const message_deliver_t *deliver)
{
    return deliver->position ? deliver->position : deliver->request_id;
}

/* The head of every frame. */
typedef struct frame_head {
    uint64_t version; /* LIMIT_PROTOCOL_VERSION */
    uint64_t high_id; /* the highest request id that the sender knows */
    /* Clients: every call with a smaller sequence is settled, once the CANCEL messages that begin
     * the frame have counted; others 0. */
    uint64_t settled;
} frame_head_t;

void frame_begin(wire_writer_t *frame, const frame_head_t *head);
/* Begins a frame whose head is not known yet: leaves FRAME_HEAD_BYTES for frame_set_head. */
#define FRAME_HEAD_BYTES 20u
void frame_reserve_head(wire_writer_t *frame);
void frame_set_head(wire_writer_t *frame, const frame_head_t *head);
/* Reads the head. UNSUPPORTED_VERSION if the version is another one, MALFORMED_MESSAGE if the bytes
 * are no frame. */
FABRIC_MUST_USE
fabric_error_t frame_open(fabric_bytes_t frame, wire_reader_t *reader, frame_head_t *head);
/* Takes the next message's body from the frame. false at the end of the frame, or if the rest is
 * malformed; reader->failed is then set. */
bool frame_next(wire_reader_t *frame, wire_reader_t *body);
/* Reads a message's kind and checks its field count. MALFORMED_MESSAGE or UNKNOWN_KIND. `kind` is
 * set if there is such a kind, also when the count is wrong. */
FABRIC_MUST_USE
fabric_error_t message_open(wire_reader_t *body, message_kind_t *kind);
/* "REQUEST"; "?" for a number that is no kind. */
const char *message_kind_name(unsigned kind);

#endif
