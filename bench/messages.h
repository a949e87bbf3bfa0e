/* The messages of the entity type Bench and of those with persisted state, shared by their module
 * and the load.
 *
 * A body carries a payload of any size up to that of its class, a sequence number, and a checksum
 * over both, so that the receiver can check what it got. There are three size classes because a
 * worker zeroes a message's whole struct before each handling, which a short message should not pay
 * for. All classes share one C struct; the schema of a class covers the first part of the struct.
 */
#ifndef BENCH_MESSAGES_H
#define BENCH_MESSAGES_H

#include <fabric/message_type.h>

#include "core/hash.h"

#define BENCH_TYPE           "Bench"
#define BENCH_SIZE_BYTES_MAX 65536

/* `size` and `data` are what a field of kind BYTES is in a struct. `state_bytes` is only on the
 * wire in requests that change a persisted state: how large that is, encoded. */
typedef struct bench_body {
    uint64_t sequence;
    uint64_t checksum;
    uint32_t state_bytes;
    uint32_t size;
    uint8_t data[];
} bench_body_t;

/* The checksum over payload and sequence. */
static inline uint64_t bench_checksum(uint64_t sequence, const uint8_t *data, uint32_t size)
{
    return XXH3_64bits_withSeed(data, size, sequence);
}

static inline void bench_seal(bench_body_t *body)
{
    body->checksum = bench_checksum(body->sequence, body->data, body->size);
}

static inline bool bench_is_sound(const bench_body_t *body)
{
    return body->checksum == bench_checksum(body->sequence, body->data, body->size);
}

/* A sequence is the number of a load, which is drawn, and that of a message in this load. */
enum { BENCH_COUNT_BITS = 40 };

/* Whether two sequences belong to one load. */
static inline bool bench_same_load(uint64_t left, uint64_t right)
{
    return left >> BENCH_COUNT_BITS == right >> BENCH_COUNT_BITS;
}

/* Environment variable of workers: a file to which each adds a line for the first delivery that it
 * gets of each new home: the home's epoch, and the monotonic clock in microseconds. */
#define BENCH_DELIVERIES "BENCH_DELIVERIES"

/* The number that the entity answers to `sequence`. */
static inline uint64_t bench_answer(uint64_t sequence)
{
    return sequence + 1;
}

/* The field of kind BYTES that ends a struct. */
#define BENCH_BYTES(text, type, bytes)                                                             \
    {                                                                                              \
        .name = (text), .kind = FABRIC_FIELD_BYTES, .max = (bytes), .offset = offsetof(type, size) \
    }

#define BENCH_BODY(bytes)                                                                          \
    static const fabric_field_t bench_fields_##bytes[] = {                                         \
        FABRIC_U64(bench_body_t, sequence), FABRIC_U64(bench_body_t, checksum),                    \
        BENCH_BYTES("payload", bench_body_t, bytes)};                                              \
    static const fabric_schema_t bench_schema_##bytes = {                                          \
        "Body" #bytes, offsetof(bench_body_t, data) + (bytes), bench_fields_##bytes, 3};           \
    static const fabric_field_t bench_change_fields_##bytes[] = {                                  \
        FABRIC_U64(bench_body_t, sequence), FABRIC_U64(bench_body_t, checksum),                    \
        FABRIC_U32(bench_body_t, state_bytes), BENCH_BYTES("payload", bench_body_t, bytes)};       \
    static const fabric_schema_t bench_change_schema_##bytes = {                                   \
        "Change" #bytes, offsetof(bench_body_t, data) + (bytes), bench_change_fields_##bytes, 4}

BENCH_BODY(256);
BENCH_BODY(4096);
BENCH_BODY(65536);

typedef enum bench_kind {
    BENCH_ASK_DURABLE,
    BENCH_ASK_VOLATILE,
    BENCH_TELL_DURABLE,
    BENCH_TELL_VOLATILE,
    BENCH_HOLD_DURABLE, /* a tell whose handler never completes */
    BENCH_ASK_CHANGE,   /* durable, for an entity whose persisted state it changes */
    BENCH_TELL_CHANGE,  /* the same */
    BENCH_ASK_EARLY,    /* BENCH_ASK_DURABLE with early delivery */
    BENCH_KINDS
} bench_kind_t;

static inline bool bench_is_ask(bench_kind_t kind)
{
    return kind == BENCH_ASK_DURABLE || kind == BENCH_ASK_VOLATILE || kind == BENCH_ASK_CHANGE ||
           kind == BENCH_ASK_EARLY;
}

static inline bool bench_is_change(bench_kind_t kind)
{
    return kind == BENCH_ASK_CHANGE || kind == BENCH_TELL_CHANGE;
}

enum { BENCH_CLASSES = 3 };

#define BENCH_MESSAGE(tag, bytes, reply, durable)                                                  \
    {                                                                                              \
        tag #bytes, &bench_schema_##bytes, &(reply), durable, NULL, NULL, false, false             \
    }
#define BENCH_CHANGE(tag, bytes, reply)                                                            \
    {                                                                                              \
        tag #bytes, &bench_change_schema_##bytes, &(reply), true, NULL, NULL, false, false         \
    }
#define BENCH_EARLY(tag, bytes, reply)                                                             \
    {                                                                                              \
        tag #bytes, &bench_schema_##bytes, &(reply), true, NULL, NULL, true, false                 \
    }
#define BENCH_MESSAGES(bytes)                                                                      \
    {                                                                                              \
        BENCH_MESSAGE("AskDurable", bytes, bench_schema_##bytes, true),                            \
            BENCH_MESSAGE("AskVolatile", bytes, bench_schema_##bytes, false),                      \
            BENCH_MESSAGE("TellDurable", bytes, fabric_schema_empty, true),                        \
            BENCH_MESSAGE("TellVolatile", bytes, fabric_schema_empty, false),                      \
            BENCH_MESSAGE("HoldDurable", bytes, fabric_schema_empty, true),                        \
            BENCH_CHANGE("AskChange", bytes, bench_schema_##bytes),                                \
            BENCH_CHANGE("TellChange", bytes, fabric_schema_empty),                                \
            BENCH_EARLY("AskEarly", bytes, bench_schema_##bytes),                                  \
    }

static const uint32_t bench_class_bytes[BENCH_CLASSES] = {256, 4096, 65536};
static const fabric_message_type_t bench_messages[BENCH_CLASSES][BENCH_KINDS] = {
    BENCH_MESSAGES(256), BENCH_MESSAGES(4096), BENCH_MESSAGES(65536)};

static inline unsigned bench_class(uint32_t bytes)
{
    unsigned class = 0;
    while (class + 1 < BENCH_CLASSES && bytes > bench_class_bytes[class]) {
        class ++;
    }
    return class;
}

/* The message of a kind for payloads of `size` bytes, at most BENCH_SIZE_BYTES_MAX. */
static inline const fabric_message_type_t *bench_message(bench_kind_t kind, uint32_t size)
{
    return &bench_messages[bench_class(size)][kind];
}

#endif
