/** @file
 * Schemas: tables of fields tied to C structs. By one table a handler sees a filled struct and
 * returns one, both ends check types, a worker tells the cluster its schemas, and the command line
 * turns JSON into payloads and back.
 *
 * @code{.c}
 * typedef struct increment {
 *     int64_t amount;
 * } increment_t;
 *
 * static const fabric_field_t increment_fields[] = {FABRIC_I64(increment_t, amount)};
 * static const fabric_schema_t increment_schema =
 *     FABRIC_SCHEMA("Increment", increment_t, increment_fields);
 * @endcode
 *
 * Rules:
 *  1. A payload is a msgpack array of the fields in the table's order. New fields may be added at
 *     the end as optional ones: a payload with fewer elements leaves them absent. A payload with
 *     more elements than the table has fields is refused.
 *  2. The C members by kind:
 *     - BOOL, I32, I64, U32, U64, F64: bool, int32_t, int64_t, uint32_t, uint64_t, double;
 *     - STRING: `char name[N]`, always NUL-terminated, valid UTF-8 without a NUL inside;
 *     - BYTES: `struct { uint32_t size; uint8_t data[N]; }`;
 *     - STRUCT: a struct with a schema of its own;
 *     - LIST: an array `T items[N]` of structs with a schema, and a `uint32_t` member with the
 *       number in use.
 *  3. An optional field has a `bool` member that says whether the field is there.
 *  4. Nothing points out of the struct, so structs are copied by assignment and need no release.
 *  5. Schemas are constant data; every function is pure and may be called from any thread.
 */
#ifndef FABRIC_SCHEMA_H
#define FABRIC_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include <fabric/bytes.h>
#include <fabric/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The kinds of field; the numbers travel in schema descriptions. */
typedef enum fabric_field_kind {
    FABRIC_FIELD_BOOL = 1,
    FABRIC_FIELD_I32 = 2,
    FABRIC_FIELD_I64 = 3,
    FABRIC_FIELD_U32 = 4,
    FABRIC_FIELD_U64 = 5,
    FABRIC_FIELD_F64 = 6,
    FABRIC_FIELD_STRING = 7,
    FABRIC_FIELD_BYTES = 8,
    FABRIC_FIELD_STRUCT = 9,
    FABRIC_FIELD_LIST = 10
} fabric_field_kind_t;

/** Offset value of fields that are always present. */
#define FABRIC_ALWAYS ((size_t)-1)

/** A table of fields for one struct; see struct fabric_schema. */
typedef struct fabric_schema fabric_schema_t;

/** One field of a schema. Made with the FABRIC_* macros below. */
typedef struct fabric_field {
    const char *name;         /**< name in JSON and in error messages */
    fabric_field_kind_t kind; /**< what it holds */
    size_t offset;            /**< of the member in its struct */
    /** STRING: bytes without the terminator; BYTES: bytes; LIST: elements; else 0. */
    uint32_t max;
    /** STRUCT and LIST: schema of the (element) struct; else NULL. */
    const fabric_schema_t *schema;
    size_t count_offset;   /**< LIST: of the uint32_t count; else 0 */
    size_t present_offset; /**< of the bool that says whether it is there, or FABRIC_ALWAYS */
} fabric_field_t;

/** A table of fields for one struct. */
struct fabric_schema {
    const char *name;             /**< for error messages */
    size_t size;                  /**< sizeof the struct */
    const fabric_field_t *fields; /**< in wire order */
    size_t field_count;           /**< at most LIMIT_FIELDS_MAX (64) */
};

#define FABRIC_FIELD_(type, member, kind, max, schema, count, present)                             \
    {                                                                                              \
#member, (kind), offsetof(type, member), (max), (schema), (count), (present)               \
    }
/** A field of a `bool` member. */
#define FABRIC_BOOL(type, member)                                                                  \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_BOOL, 0, NULL, 0, FABRIC_ALWAYS)
/** A field of an `int32_t` member. */
#define FABRIC_I32(type, member)                                                                   \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_I32, 0, NULL, 0, FABRIC_ALWAYS)
/** A field of an `int64_t` member. */
#define FABRIC_I64(type, member)                                                                   \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_I64, 0, NULL, 0, FABRIC_ALWAYS)
/** A field of a `uint32_t` member. */
#define FABRIC_U32(type, member)                                                                   \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_U32, 0, NULL, 0, FABRIC_ALWAYS)
/** A field of a `uint64_t` member. */
#define FABRIC_U64(type, member)                                                                   \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_U64, 0, NULL, 0, FABRIC_ALWAYS)
/** A field of a `double` member. */
#define FABRIC_F64(type, member)                                                                   \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_F64, 0, NULL, 0, FABRIC_ALWAYS)
/** `member` is char[N]: up to N - 1 bytes. */
#define FABRIC_STRING(type, member)                                                                \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_STRING, sizeof(((type *)0)->member) - 1, NULL, 0,     \
                  FABRIC_ALWAYS)
/** `member` is struct { uint32_t size; uint8_t data[N]; }. */
#define FABRIC_BYTES(type, member)                                                                 \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_BYTES, sizeof(((type *)0)->member.data), NULL, 0,     \
                  FABRIC_ALWAYS)
/** `member` is a struct described by `schema` (a fabric_schema_t, not a pointer). */
#define FABRIC_STRUCT(type, member, schema)                                                        \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_STRUCT, 0, &(schema), 0, FABRIC_ALWAYS)
/** `member` is T[N] of structs described by `schema`; `count` is the uint32_t member with the
 *  number in use. */
#define FABRIC_LIST(type, member, count, schema)                                                   \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_LIST,                                                 \
                  sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]), &(schema),         \
                  offsetof(type, count), FABRIC_ALWAYS)
/** An optional field of a plain kind (BOOL to F64); `present` is the bool member. For STRING use
 *  FABRIC_OPTIONAL_STRING. */
#define FABRIC_OPTIONAL(type, member, kind, present)                                               \
    FABRIC_FIELD_(type, member, (kind), 0, NULL, 0, offsetof(type, present))
/** An optional STRING: `member` is char[N], `present` the bool member that says whether the string
 *  is there. */
#define FABRIC_OPTIONAL_STRING(type, member, present)                                              \
    FABRIC_FIELD_(type, member, FABRIC_FIELD_STRING, sizeof(((type *)0)->member) - 1, NULL, 0,     \
                  offsetof(type, present))
/** A schema over a struct type and an array of fields. */
#define FABRIC_SCHEMA(name, type, fields)                                                          \
    {                                                                                              \
        (name), sizeof(type), (fields), sizeof(fields) / sizeof((fields)[0])                       \
    }

/** The schema of messages and replies that carry nothing. Their struct is never read or written and
 *  may be NULL. */
FABRIC_PUBLIC
extern const fabric_schema_t fabric_schema_empty;

/** The text of an encoding or decoding error: which field, what was expected, what was found. */
typedef struct fabric_schema_fault {
    /** NUL-terminated, such as "items[2].quantity: expected a number from 0 to 4294967295, found a
     *  string". */
    char text[200];
} fabric_schema_fault_t;

/** Encodes a struct into at most `capacity` bytes at `payload`. `size` gets the number of bytes
 *  used. `fault` may be NULL.
 *
 *  FABRIC_ERROR_MALFORMED_MESSAGE when the struct breaks its schema (a string that is not UTF-8 or
 *  not terminated, a count over its maximum, a NaN). FABRIC_ERROR_LIMIT_EXCEEDED when the payload
 *  does not fit. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_encode(const fabric_schema_t *schema, const void *value,
                                    uint8_t *payload, size_t capacity, fabric_schema_fault_t *fault,
                                    size_t *size);

/** Decodes a payload into a struct, which is zeroed first. Allocates nothing. `fault` may be NULL.
 *
 *  FABRIC_ERROR_MALFORMED_MESSAGE where the payload does not fit its schema; the contents of the
 *  struct are then undefined. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_decode(const fabric_schema_t *schema, fabric_bytes_t payload,
                                    fabric_schema_fault_t *fault, void *value);

/** Checks a payload against a schema in one pass, without decoding or allocating. Errors as
 *  fabric_schema_decode(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_check(const fabric_schema_t *schema, fabric_bytes_t payload,
                                   fabric_schema_fault_t *fault);

/** Turns a payload into JSON text (an object; bytes as base64). The text is the caller's to free(),
 *  and NULL on an error. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_to_json(const fabric_schema_t *schema, fabric_bytes_t payload,
                                     fabric_schema_fault_t *fault, char **json);

/** Turns JSON text (an object) into a payload; unknown members are refused by name. The payload is
 *  the caller's to free(), and NULL on an error. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_from_json(const fabric_schema_t *schema, const char *json,
                                       fabric_schema_fault_t *fault, uint8_t **payload,
                                       size_t *size);

#ifdef __cplusplus
}
#endif
#endif
