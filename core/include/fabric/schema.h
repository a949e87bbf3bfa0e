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
 *     the end as optional ones or with a default: a payload with fewer elements leaves them absent,
 *     or gives them their defaults. What a payload has behind the fields of the table, as a newer
 *     schema has it, is not looked at when it is decoded; fabric_schema_check() refuses it.
 *  2. The C members by kind:
 *     - BOOL, I32, I64, U32, U64, F64: bool, int32_t, int64_t, uint32_t, uint64_t, double;
 *     - STRING: `char name[N]`, always NUL-terminated, valid UTF-8 without a NUL inside;
 *     - BYTES: `struct { uint32_t size; uint8_t data[N]; }`;
 *     - STRUCT: a struct with a schema of its own;
 *     - LIST: an array `T items[N]` of structs with a schema, of numbers, bools, times, enums or
 *       strings, and a `uint32_t` member with the number in use;
 *     - ENUM: an enum (or int32_t) that has one of the numbers of its choices; JSON has the name;
 *     - TIMESTAMP: int64_t, Unix milliseconds from year 1 to 9999; JSON has ISO 8601, such as
 *       "2025-01-31T23:59:59.000Z".
 *     - MAP: an array of structs of a key, which is a string, and a value, and a `uint32_t` member
 *       with the number in use; in a payload the keys ascend, by their bytes, so a decoded map can
 *       be searched by halves. fabric_schema_encode() sorts them. JSON has an object;
 *     - UNION: a C union of structs, and an enum that says which of them is there; JSON has an
 *       object with one member, which has the variant's name.
 *  3. Options follow the member and what else the macro asks for. They are designated
 *     initialisers, so a table with options belongs into a C file:
 *     - FABRIC_PRESENT(type, member): the field is optional, and the `bool` member says whether it
 *       is there;
 *     - FABRIC_DEFAULT(number), FABRIC_DEFAULT_F64(number), FABRIC_DEFAULT_STRING(text): the field
 *       has this value where a payload does not have it. An optional field has no default;
 *     - FABRIC_JSON(name): its name in JSON, if that is not the member's;
 *     - FABRIC_DOC(text): one line of at most 255 bytes that says what it is.
 *  4. A **view** is a string, bytes, a list or a map of any length, up to what a payload holds: a
 *     fabric_bytes_t, or a pointer to the elements, which are constant. When a struct is decoded,
 *     the views of strings and bytes point into the payload, and those of lists into memory that
 *     fabric_schema_decode_in() is given; in a handler they are valid as the request is, until it
 *     returns. When a struct is encoded they may point anywhere.
 *     Without views nothing points out of a struct: it is copied by assignment and needs no
 *     release.
 *  5. Schemas are constant data; every function is pure and may be called from any thread.
 */
#ifndef FABRIC_SCHEMA_H
#define FABRIC_SCHEMA_H

#include <stdbool.h>
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
    FABRIC_FIELD_LIST = 10,
    FABRIC_FIELD_ENUM = 11,
    FABRIC_FIELD_TIMESTAMP = 12,
    FABRIC_FIELD_MAP = 13,
    FABRIC_FIELD_UNION = 14
} fabric_field_kind_t;

/** The maximum of strings, bytes and lists that are views, which has none but that of a payload.
 *  */
#define FABRIC_ANY_LENGTH UINT32_MAX

/** A table of fields for one struct; see struct fabric_schema. */
typedef struct fabric_schema fabric_schema_t;

/** One of the values that an ENUM may have, made with FABRIC_CHOICE, or one of the variants of a
 *  UNION, made with FABRIC_VARIANT. */
typedef struct fabric_choice {
    int32_t number;   /**< in C and msgpack */
    const char *name; /**< in JSON and in error messages */
    const char *doc;  /**< a line for people, or NULL */
    /** UNION: what the variant holds, &fabric_schema_empty for nothing; ENUM: NULL. */
    const fabric_schema_t *schema;
} fabric_choice_t;

/** The values of an ENUM, or the variants of a UNION. */
typedef struct fabric_choices {
    const char *name;             /**< of the enum or union, for people */
    const fabric_choice_t *items; /**< whose numbers and names differ */
    size_t count;                 /**< 1 to LIMIT_CHOICES_MAX (256) */
} fabric_choices_t;

/** What a field has where a payload does not have it. */
typedef struct fabric_default {
    bool given; /**< whether there is a default */
    union {
        int64_t integer;  /**< all kinds but those below; U64: its bits */
        double real;      /**< F64 */
        const char *text; /**< STRING */
    } as;                 /**< the value, by the field's kind */
} fabric_default_t;

/** One field of a schema. Made with the FABRIC_* macros below. */
typedef struct fabric_field {
    const char *name;         /**< the member's name, in error messages */
    fabric_field_kind_t kind; /**< what it holds */
    /** STRING: bytes without the terminator; BYTES: bytes; LIST, MAP: elements; FABRIC_ANY_LENGTH
     *  for a view; else 0. */
    uint32_t max;
    size_t offset; /**< of the member in its struct */
    /** STRUCT, LIST of structs, MAP: schema of the (element, entry) struct; else NULL. */
    const fabric_schema_t *schema;
    size_t count_offset; /**< LIST, MAP: of the uint32_t count; UNION: of the tag; else 0 */
    /** ENUM, LIST of ENUM: the values; UNION: the variants; else NULL. */
    const fabric_choices_t *choices;
    /** LIST of anything but structs: the elements' kind; else 0. */
    fabric_field_kind_t element;
    uint32_t element_max;      /**< LIST of STRING or BYTES: the elements' `max`; else 0 */
    size_t stride;             /**< LIST with `element`: from one element to the next; else 0 */
    bool optional;             /**< whether it may be absent */
    size_t present_offset;     /**< optional: of the bool that says whether it is there */
    fabric_default_t fallback; /**< not optional: its default, if it has one */
    const char *json;          /**< its name in JSON; NULL: `name` */
    const char *doc;           /**< a line for people, or NULL */
} fabric_field_t;

/** A table of fields for one struct. */
struct fabric_schema {
    const char *name;             /**< for error messages */
    size_t size;                  /**< sizeof the struct */
    const fabric_field_t *fields; /**< in wire order */
    size_t field_count;           /**< at most LIMIT_FIELDS_MAX (64) */
};

/** @name Options of a field, behind its member and whatever else its macro asks for. */
/** @{ */
/** The field is optional; `present` is the bool member that says whether it is there. */
#define FABRIC_PRESENT(type, present) .optional = true, .present_offset = offsetof(type, present)
/** The default of a BOOL, I32, I64, U32, U64, ENUM or TIMESTAMP. */
#define FABRIC_DEFAULT(number) .fallback = {true, {.integer = (int64_t)(number)}}
/** The default of an F64. */
#define FABRIC_DEFAULT_F64(number) .fallback = {true, {.real = (number)}}
/** The default of a STRING. */
#define FABRIC_DEFAULT_STRING(string) .fallback = {true, {.text = (string)}}
/** The name in JSON. */
#define FABRIC_JSON(string) .json = (string)
/** A line that says what the field is. */
#define FABRIC_DOC(string) .doc = (string)
/** @} */

/* Macros that take options end their arguments with a comma: ISO C wants at least one argument in
 * the place of an ellipsis, though it be empty. */
#define FABRIC_KIND_NONE_ ((fabric_field_kind_t)0)
#ifdef __cplusplus
#define FABRIC_ROW_(type, kind_, max_, schema_, count_, choices_, element_, element_max_, stride_, \
                    member, ...)                                                                   \
    {                                                                                              \
#member, (kind_), (uint32_t)(max_), offsetof(type, member), (schema_), (count_),           \
            (choices_), (element_), (uint32_t)(element_max_), (stride_), false, 0,                 \
            {false, {0 } }, NULL, NULL __VA_ARGS__                                                 \
    }
#define FABRIC_OPTIONAL_(type, kind_, max_, member, present)                                       \
    {                                                                                              \
#member, (kind_), (uint32_t)(max_), offsetof(type, member), NULL, 0, NULL,                 \
            FABRIC_KIND_NONE_, 0, 0, true, offsetof(type, present), {false, {0 } }, NULL, NULL     \
    }
#else
#define FABRIC_ROW_(type, kind_, max_, schema_, count_, choices_, element_, element_max_, stride_, \
                    member, ...)                                                                   \
    {                                                                                              \
        .name = #member, .kind = (kind_), .max = (uint32_t)(max_),                                 \
        .offset = offsetof(type, member), .schema = (schema_), .count_offset = (count_),           \
        .choices = (choices_), .element = (element_), .element_max = (uint32_t)(element_max_),     \
        .stride = (stride_), __VA_ARGS__                                                           \
    }
#define FABRIC_OPTIONAL_(type, kind_, max_, member, present)                                       \
    FABRIC_FIELD_(type, kind_, max_, NULL, 0, NULL, member, FABRIC_PRESENT(type, present))
#endif
#define FABRIC_FIELD_(type, kind_, max_, schema_, count_, choices_, ...)                           \
    FABRIC_ROW_(type, kind_, max_, schema_, count_, choices_, FABRIC_KIND_NONE_, 0, 0, __VA_ARGS__)
/* Zero; or an array of -1 elements, where a member does not have the type that it should have. */
#define FABRIC_SAME_SIZE_(type, member, wanted)                                                    \
    (sizeof(char[sizeof(((type *)0)->member) == sizeof(wanted) ? 1 : -1]) - 1)
#define FABRIC_COUNT_OF_(type, member) (sizeof(((type *)0)->member) / FABRIC_STRIDE_(type, member))
#define FABRIC_STRIDE_(type, member)   sizeof(((type *)0)->member[0])
#define FABRIC_ELEMENTS_(type, max_, count_, choices_, element_, element_max_, member, ...)        \
    FABRIC_ROW_(type, FABRIC_FIELD_LIST, max_, NULL, offsetof(type, count_), choices_, element_,   \
                element_max_, FABRIC_STRIDE_(type, member), member, __VA_ARGS__)
/* Strings and bytes that are elements of FABRIC_LIST_OF are views. */
#define FABRIC_ELEMENT_MAX_(kind)                                                                  \
    ((kind) == FABRIC_FIELD_STRING || (kind) == FABRIC_FIELD_BYTES ? FABRIC_ANY_LENGTH : 0)
#define FABRIC_LIST_OF_(type, member, count_, kind, ...)                                           \
    FABRIC_ELEMENTS_(type, FABRIC_COUNT_OF_(type, member), count_, NULL, kind,                     \
                     FABRIC_ELEMENT_MAX_(kind), member, __VA_ARGS__)
#define FABRIC_LIST_VIEW_OF_(type, member, count_, kind, ...)                                      \
    FABRIC_ELEMENTS_(type, FABRIC_ANY_LENGTH, count_, NULL, kind, FABRIC_ELEMENT_MAX_(kind),       \
                     member, __VA_ARGS__)
#define FABRIC_STRING_LIST_(type, member, count_, ...)                                             \
    FABRIC_ELEMENTS_(type, FABRIC_COUNT_OF_(type, member), count_, NULL, FABRIC_FIELD_STRING,      \
                     FABRIC_STRIDE_(type, member) - 1, member, __VA_ARGS__)
#define FABRIC_ENUM_LIST_(type, member, count_, choices_, ...)                                     \
    FABRIC_ELEMENTS_(type,                                                                         \
                     FABRIC_COUNT_OF_(type, member) + FABRIC_SAME_SIZE_(type, member[0], int32_t), \
                     count_, &(choices_), FABRIC_FIELD_ENUM, 0, member, __VA_ARGS__)
#define FABRIC_ENUM_LIST_VIEW_(type, member, count_, choices_, ...)                                \
    FABRIC_ELEMENTS_(type, FABRIC_ANY_LENGTH + FABRIC_SAME_SIZE_(type, member[0], int32_t),        \
                     count_, &(choices_), FABRIC_FIELD_ENUM, 0, member, __VA_ARGS__)
#define FABRIC_VIEW_(type, kind_, member, ...)                                                     \
    FABRIC_FIELD_(type, kind_,                                                                     \
                  FABRIC_ANY_LENGTH + FABRIC_SAME_SIZE_(type, member, fabric_bytes_t), NULL, 0,    \
                  NULL, member, __VA_ARGS__)
#define FABRIC_LIST_VIEW_(type, member, count_, schema_, ...)                                      \
    FABRIC_FIELD_(type, FABRIC_FIELD_LIST,                                                         \
                  FABRIC_ANY_LENGTH + FABRIC_SAME_SIZE_(type, member, void *), &(schema_),         \
                  offsetof(type, count_), NULL, member, __VA_ARGS__)
#define FABRIC_STRING_(type, member, ...)                                                          \
    FABRIC_FIELD_(type, FABRIC_FIELD_STRING, sizeof(((type *)0)->member) - 1, NULL, 0, NULL,       \
                  member, __VA_ARGS__)
#define FABRIC_BYTES_(type, member, ...)                                                           \
    FABRIC_FIELD_(type, FABRIC_FIELD_BYTES, sizeof(((type *)0)->member.data), NULL, 0, NULL,       \
                  member, __VA_ARGS__)
#define FABRIC_STRUCT_(type, member, schema_, ...)                                                 \
    FABRIC_FIELD_(type, FABRIC_FIELD_STRUCT, 0, &(schema_), 0, NULL, member, __VA_ARGS__)
#define FABRIC_LIST_(type, member, count_, schema_, ...)                                           \
    FABRIC_FIELD_(type, FABRIC_FIELD_LIST,                                                         \
                  sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]), &(schema_),        \
                  offsetof(type, count_), NULL, member, __VA_ARGS__)
#define FABRIC_MAP_(type, member, count_, schema_, ...)                                            \
    FABRIC_FIELD_(type, FABRIC_FIELD_MAP, FABRIC_COUNT_OF_(type, member), &(schema_),              \
                  offsetof(type, count_), NULL, member, __VA_ARGS__)
#define FABRIC_MAP_VIEW_(type, member, count_, schema_, ...)                                       \
    FABRIC_FIELD_(type, FABRIC_FIELD_MAP,                                                          \
                  FABRIC_ANY_LENGTH + FABRIC_SAME_SIZE_(type, member, void *), &(schema_),         \
                  offsetof(type, count_), NULL, member, __VA_ARGS__)
#define FABRIC_UNION_(type, member, tag_, choices_, ...)                                           \
    FABRIC_FIELD_(type, FABRIC_FIELD_UNION, FABRIC_SAME_SIZE_(type, tag_, int32_t), NULL,          \
                  offsetof(type, tag_), &(choices_), member, __VA_ARGS__)
#define FABRIC_ENUM_(type, member, choices_, ...)                                                  \
    FABRIC_FIELD_(type, FABRIC_FIELD_ENUM, FABRIC_SAME_SIZE_(type, member, int32_t), NULL, 0,      \
                  &(choices_), member, __VA_ARGS__)

/** A field of a `bool` member: FABRIC_BOOL(type, member, options...). */
#define FABRIC_BOOL(type, ...)                                                                     \
    FABRIC_FIELD_(type, FABRIC_FIELD_BOOL, 0, NULL, 0, NULL, __VA_ARGS__, )
/** A field of an `int32_t` member. */
#define FABRIC_I32(type, ...) FABRIC_FIELD_(type, FABRIC_FIELD_I32, 0, NULL, 0, NULL, __VA_ARGS__, )
/** A field of an `int64_t` member. */
#define FABRIC_I64(type, ...) FABRIC_FIELD_(type, FABRIC_FIELD_I64, 0, NULL, 0, NULL, __VA_ARGS__, )
/** A field of a `uint32_t` member. */
#define FABRIC_U32(type, ...) FABRIC_FIELD_(type, FABRIC_FIELD_U32, 0, NULL, 0, NULL, __VA_ARGS__, )
/** A field of a `uint64_t` member. */
#define FABRIC_U64(type, ...) FABRIC_FIELD_(type, FABRIC_FIELD_U64, 0, NULL, 0, NULL, __VA_ARGS__, )
/** A field of a `double` member. */
#define FABRIC_F64(type, ...) FABRIC_FIELD_(type, FABRIC_FIELD_F64, 0, NULL, 0, NULL, __VA_ARGS__, )
/** The member is char[N]: up to N - 1 bytes. */
#define FABRIC_STRING(type, ...) FABRIC_STRING_(type, __VA_ARGS__, )
/** The member is struct { uint32_t size; uint8_t data[N]; }. */
#define FABRIC_BYTES(type, ...) FABRIC_BYTES_(type, __VA_ARGS__, )
/** `member` is a struct described by a schema (a fabric_schema_t, not a pointer):
 *  FABRIC_STRUCT(type, member, schema, options...). */
#define FABRIC_STRUCT(type, member, ...) FABRIC_STRUCT_(type, member, __VA_ARGS__, )
/** `member` is T[N] of structs described by a schema; `count` is the uint32_t member with the
 *  number in use: FABRIC_LIST(type, member, count, schema, options...). */
#define FABRIC_LIST(type, member, count, ...) FABRIC_LIST_(type, member, count, __VA_ARGS__, )
/** `member` is an enum or int32_t with one of the numbers of a fabric_choices_t:
 *  FABRIC_ENUM(type, member, choices, options...). */
#define FABRIC_ENUM(type, member, ...) FABRIC_ENUM_(type, member, __VA_ARGS__, )
/** A field of an `int64_t` member that holds Unix milliseconds. */
#define FABRIC_TIMESTAMP(type, ...)                                                                \
    FABRIC_FIELD_(type, FABRIC_FIELD_TIMESTAMP, 0, NULL, 0, NULL, __VA_ARGS__, )
/** The member is a fabric_bytes_t: a string of any length, without a terminator. */
#define FABRIC_STRING_VIEW(type, ...) FABRIC_VIEW_(type, FABRIC_FIELD_STRING, __VA_ARGS__, )
/** The member is a fabric_bytes_t: bytes of any number. */
#define FABRIC_BYTES_VIEW(type, ...) FABRIC_VIEW_(type, FABRIC_FIELD_BYTES, __VA_ARGS__, )
/** `member` is `const T *`: structs of any number, otherwise as FABRIC_LIST. */
#define FABRIC_LIST_VIEW(type, member, count, ...)                                                 \
    FABRIC_LIST_VIEW_(type, member, count, __VA_ARGS__, )
/** `member` is T[N] of one of the kinds BOOL to F64 and TIMESTAMP, or fabric_bytes_t[N] for STRING
 *  and BYTES: FABRIC_LIST_OF(type, member, count, kind, options...). */
#define FABRIC_LIST_OF(type, member, count, ...) FABRIC_LIST_OF_(type, member, count, __VA_ARGS__, )
/** `member` is `const T *`: elements of any number, otherwise as FABRIC_LIST_OF. */
#define FABRIC_LIST_VIEW_OF(type, member, count, ...)                                              \
    FABRIC_LIST_VIEW_OF_(type, member, count, __VA_ARGS__, )
/** `member` is char[N][M]: up to N strings of up to M - 1 bytes:
 *  FABRIC_STRING_LIST(type, member, count, options...). */
#define FABRIC_STRING_LIST(type, member, ...) FABRIC_STRING_LIST_(type, member, __VA_ARGS__, )
/** `member` is an array of enums: FABRIC_ENUM_LIST(type, member, count, choices, options...). */
#define FABRIC_ENUM_LIST(type, member, count, ...)                                                 \
    FABRIC_ENUM_LIST_(type, member, count, __VA_ARGS__, )
/** `member` is a pointer to enums of any number, otherwise as FABRIC_ENUM_LIST. */
#define FABRIC_ENUM_LIST_VIEW(type, member, count, ...)                                            \
    FABRIC_ENUM_LIST_VIEW_(type, member, count, __VA_ARGS__, )
/** `member` is T[N] of structs described by a schema that has two fields: a STRING, which is the
 *  key, and a value of any kind. Neither is optional or has a default. `count` is the uint32_t
 *  member with the number in use: FABRIC_MAP(type, member, count, schema, options...). */
#define FABRIC_MAP(type, member, count, ...) FABRIC_MAP_(type, member, count, __VA_ARGS__, )
/** `member` is `const T *`: entries of any number, otherwise as FABRIC_MAP. */
#define FABRIC_MAP_VIEW(type, member, count, ...)                                                  \
    FABRIC_MAP_VIEW_(type, member, count, __VA_ARGS__, )
/** `member` is a C union of structs, and `tag` an enum or int32_t that says by its number which of
 *  them is there: FABRIC_UNION(type, member, tag, choices, options...), with choices made of
 *  FABRIC_VARIANT. */
#define FABRIC_UNION(type, member, tag, ...) FABRIC_UNION_(type, member, tag, __VA_ARGS__, )
/** An optional field of a plain kind (BOOL to F64, TIMESTAMP), as FABRIC_PRESENT makes one of
 *  every kind; `present` is the bool member. */
#define FABRIC_OPTIONAL(type, member, kind, present)                                               \
    FABRIC_OPTIONAL_(type, kind, 0, member, present)
/** An optional STRING: `member` is char[N], `present` the bool member that says whether the string
 *  is there. */
#define FABRIC_OPTIONAL_STRING(type, member, present)                                              \
    FABRIC_OPTIONAL_(type, FABRIC_FIELD_STRING, sizeof(((type *)0)->member) - 1, member, present)
/** A schema over a struct type and an array of fields. */
#define FABRIC_SCHEMA(name, type, fields)                                                          \
    {                                                                                              \
        (name), sizeof(type), (fields), sizeof(fields) / sizeof((fields)[0])                       \
    }
/** One value of an enum, with a line for people. */
#define FABRIC_CHOICE(number, name, doc)                                                           \
    {                                                                                              \
        (number), (name), (doc), NULL                                                              \
    }
/** One variant of a union: a struct by a schema, and a line for people. */
#define FABRIC_VARIANT(number, name, schema, doc)                                                  \
    {                                                                                              \
        (number), (name), (doc), &(schema)                                                         \
    }
/** The values of an enum, or the variants of a union: its name and an array of them. */
#define FABRIC_CHOICES(name, items)                                                                \
    {                                                                                              \
        (name), (items), sizeof(items) / sizeof((items)[0])                                        \
    }

/** The schema of messages and replies that carry nothing. Their struct is never read or written
 *  and may be NULL. */
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
 *  not terminated, a count over its maximum, a NaN, an enum with
 *  another number). FABRIC_ERROR_LIMIT_EXCEEDED when the payload
 *  does not fit. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_encode(const fabric_schema_t *schema, const void *value,
                                    uint8_t *payload, size_t capacity, fabric_schema_fault_t *fault,
                                    size_t *size);

/** Decodes a payload into a struct, which is zeroed first. Allocates nothing. `fault` may be NULL.
 *  Views of strings and bytes point into the payload; lists that are views and not empty need
 *  fabric_schema_decode_in(), and get LIMIT_EXCEEDED here.
 *
 *  FABRIC_ERROR_MALFORMED_MESSAGE where the payload does not fit its schema; the contents of the
 *  struct are then undefined. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_decode(const fabric_schema_t *schema, fabric_bytes_t payload,
                                    fabric_schema_fault_t *fault, void *value);

/** Decodes a payload into a struct with views. `memory`, of `capacity` bytes and aligned as
 *  malloc() aligns, takes the elements of lists that are views, and must outlive the struct, as
 *  must the payload.
 *
 *  Errors as fabric_schema_decode(), and LIMIT_EXCEEDED where the memory is too small:
 *  fabric_schema_measure() says how much it takes. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_decode_in(const fabric_schema_t *schema, fabric_bytes_t payload,
                                       void *memory, size_t capacity, fabric_schema_fault_t *fault,
                                       void *value);

/** Checks a payload, and tells how much memory the elements of its lists take that are views: at
 *  most LIMIT_ELEMENTS_BYTES_MAX (16 MiB). Errors as fabric_schema_decode(). */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_measure(const fabric_schema_t *schema, fabric_bytes_t payload,
                                     fabric_schema_fault_t *fault, size_t *capacity);

/** Checks a payload against a schema in one pass, without decoding or allocating. Errors as
 *  fabric_schema_decode(), and MALFORMED_MESSAGE for fields that the schema does not know: brokers
 *  check by the newest schema that workers have registered. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_schema_check(const fabric_schema_t *schema, fabric_bytes_t payload,
                                   fabric_schema_fault_t *fault);

/** Turns a payload into JSON text (an object; bytes as base64). The text is the caller's to
 *  free(), and NULL on an error. */
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
