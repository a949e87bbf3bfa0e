/* Type descriptions: what a worker tells the cluster about an entity type, as sent in hello.types,
 * kept in the store's entity_type table and handed to the command line.
 *
 * In msgpack: type = array [name, group, mailbox_capacity, concurrency, [message...], options,
 * state, events];
 * message = array [tag, durable, has_primary_key, request schema, reply schema, failures, flags],
 * where trailing ones are left out: failures = the schema of a struct with one field, a union (see
 * failures.h), or nil for a message that declares none; flags = the sum of enum message_flag, more
 * than 0; options = map of numbers, left out, with its place, where all
 * have their defaults and there is no state; state = array [version, schema], left out for a type
 * whose state is not persisted; events = array [snapshot_every, [event...]], left out for a type
 * that appends none, whose state is that of its snapshots, or nil; event = array [tag, version,
 * schema]. hello.types is an array of types.
 */
#ifndef CORE_TYPE_DESCRIPTION_H
#define CORE_TYPE_DESCRIPTION_H

#include "core/schema.h"

/* What becomes of an entity whose first durable message fails. The numbers are on the wire. */
typedef enum failure_policy {
    FAILURE_BLOCK = 0, /* it is tried again after a pause; at the limit it is a dead letter */
    FAILURE_PARK = 1,  /* the same, but at the limit it stays, until an operator resumes it */
    FAILURE_SKIP = 2   /* it is a dead letter at its first failure */
} failure_policy_t;

/* A year. */
#define TYPE_KEY_RETENTION_MS_MAX UINT64_C(31536000000)

/* Options of a type that not every type has. */
typedef struct type_options {
    failure_policy_t failure;
    bool defects_to_caller; /* a defect is the answer to its message, which is not tried again */
    /* For how long a primary key stands after its message has ended; 0: as the cluster's homes are
     * configured. */
    uint64_t key_retention_ms;
    bool tells; /* its handlers tell by durable messages: see core/journal/outgoing.h */
} type_options_t;

/* Writes the options, as the last place of a description that has one more for them. */
void type_options_put(const type_options_t *options, wire_writer_t *writer);
/* How many parts the description of a message has; and writes the last of them, behind the
 * failures, if it has one. */
uint32_t message_description_parts(bool failures, uint32_t flags);
void message_flags_put(bool failures, uint32_t flags, wire_writer_t *writer);
bool type_options_are_default(const type_options_t *options);

/* Of a message's description. Numbers that are not known here come from a newer release: they
 * count as not given. */
enum { MESSAGE_FLAG_EARLY = 1, MESSAGE_FLAG_TRANSACTIONAL = 2 };

typedef struct message_description {
    char tag[256];
    bool durable;
    bool has_primary_key;
    bool early; /* it may be delivered while it is being stored; only where it is durable */
    fabric_schema_t *request;
    fabric_schema_t *reply;
    fabric_schema_t *failures; /* NULL: none are declared */
    /* It commits with rows of its handler's own; only where it is durable and not early, and its
     * type stores nothing else. */
    bool transactional;
} message_description_t;

/* Events with one tag and version that the type's entities append. */
typedef struct event_description {
    char tag[256];
    uint32_t version;
    fabric_schema_t *schema;
} event_description_t;

typedef struct type_description {
    char name[256];
    char group[256];
    uint32_t mailbox_capacity;
    uint32_t concurrency;
    type_options_t options;
    /* The state is persisted, by this schema; NULL: it is not. With events: that of snapshots;
     * NULL: there are none. */
    fabric_schema_t *state;
    uint32_t state_version;      /* of that schema */
    event_description_t *events; /* NULL: the type appends none */
    size_t event_count;
    uint32_t snapshot_every; /* a snapshot behind so many events; 0: none */
    bool early;              /* one of its messages is: see message_description_t */
    bool transactional;      /* the same */
    message_description_t *messages;
    size_t message_count;
} type_description_t;

/* Writes the state, as the last place of a description that has one more for it. */
void type_state_put(uint32_t version, const fabric_schema_t *schema, wire_writer_t *writer);

/* Writes nil in the place of a state that there is not, where events come behind it. */
void type_no_state_put(wire_writer_t *writer);
/* Begins the events, as the last place of a description, behind the state; so many
 * type_event_put() follow. */
void type_events_put(uint32_t snapshot_every, uint32_t count, wire_writer_t *writer);
void type_event_put(const char *tag, uint32_t version, const fabric_schema_t *schema,
                    wire_writer_t *writer);

/* Reads one type; bounded by LIMIT_MESSAGES_MAX and LIMIT_EVENT_SCHEMAS_MAX, names
 * 1..LIMIT_NAME_BYTES_MAX without NUL. The result is the caller's. */
FABRIC_MUST_USE
fabric_error_t type_description_parse(wire_reader_t *reader, type_description_t **description);
void type_description_destroy(type_description_t **description);
void type_description_put(const type_description_t *description, wire_writer_t *writer);
/* The message with this tag, or NULL. Looks at all messages: a type does not have many. */
const message_description_t *type_description_message(const type_description_t *description,
                                                      fabric_bytes_t tag);
/* The event with this tag and version, or NULL. Looks at all events. */
const event_description_t *type_description_event(const type_description_t *description,
                                                  fabric_bytes_t tag, uint32_t version);
/* Writes what is known of a type when a worker brings a description of it: of each message the
 * newer one, which is the one by whose schemas the payloads of the other can be read (see
 * schema_compatible), and the messages that only one of the two has. The capacity, concurrency
 * and options are those of `brought`, unless it is older in a message or lacks one. Of states that
 * of the larger version is the newer one, and of the same version the one that can read the other.
 * Events are merged as messages are: what once was appended stays described. A type that tells is
 * one that does from then on, since workers of either version may run.
 *
 * TYPE_CONFLICT: another shard group, a message that is not as durable, or as transactional, a
 * state that is persisted no more, events that are appended no more, or in the place of a persisted
 * state, or schemas or failures neither of which can take the other's place; the fault names the
 * field or failure. LIMIT_EXCEEDED: more than LIMIT_MESSAGES_MAX messages, or
 * LIMIT_EVENT_SCHEMAS_MAX events. Nothing was written then. `fault` may be NULL. */
FABRIC_MUST_USE
fabric_error_t type_description_merge(const type_description_t *known,
                                      const type_description_t *brought,
                                      fabric_schema_fault_t *fault, wire_writer_t *writer);

#endif
