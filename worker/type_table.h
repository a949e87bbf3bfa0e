/* The entity types of a worker: checked descriptions, found by name, and their messages by tag.
 *
 * Threading: filled by one thread; constant, and then shared by all, once the worker has started.
 */
#ifndef WORKER_TYPE_TABLE_H
#define WORKER_TYPE_TABLE_H

#include <fabric/worker.h>

#include "core/reason.h"
#include "core/type_description.h"
#include "core/wire.h"

#define TYPE_MAILBOX_CAPACITY_DEFAULT 4096u
#define TYPE_IDLE_MS_DEFAULT          60000u
#define TYPE_SLOW_MS_DEFAULT          30000u
#define TYPE_SNAPSHOT_EVERY_DEFAULT   100u
#define TYPE_STATE_BYTES_MAX          (64u << 20)
#define TYPE_STRUCT_BYTES_MAX         (64u << 20)

typedef struct type_entry {
    const fabric_entity_type_t *type;
    fabric_bytes_t name;
    uint16_t index; /* 0.. in order of addition */
    uint32_t mailbox_capacity;
    uint32_t idle_ms;
    uint32_t slow_ms; /* FABRIC_NEVER_SLOW: any time */
    uint32_t concurrency;
    bool mixed; /* some handler runs beside others of its entity: results come in any order */
    bool has_concurrent; /* some handler is marked as concurrent */
    bool stores; /* an instance begins with what the home says: it is persisted, or has events */
    bool unkept; /* results are not kept for the next home: something may be stored with them */
    uint32_t snapshot_every;            /* 0: there are no snapshots */
    const fabric_event_type_t **events; /* sorted by tag and version */
    size_t event_count;
    type_options_t options;
    size_t handler_count;
    const fabric_handler_t *handlers[128]; /* sorted by tag */
} type_entry_t;

/* Whether a handler of the type that has taken so long is slow. */
static inline bool type_entry_is_slow(const type_entry_t *entry, uint64_t took_ms)
{
    return took_ms > entry->slow_ms && entry->slow_ms != FABRIC_NEVER_SLOW;
}

typedef struct type_table type_table_t;

type_table_t *type_table_new(void);
void type_table_destroy(type_table_t **table);
/* Checks a description and adds it. INVALID_ARGUMENT with a reason for one that breaks a rule or
 * whose name is there; LIMIT_EXCEEDED past LIMIT_TYPES_MAX. */
FABRIC_MUST_USE fabric_error_t type_table_add(type_table_t *table, const fabric_entity_type_t *type,
                                              reason_t *reason);
size_t type_table_count(const type_table_t *table);
const type_entry_t *type_table_at(const type_table_t *table, size_t index);
/* NULL: there is none. */
const type_entry_t *type_table_find(const type_table_t *table, fabric_bytes_t name);
const fabric_handler_t *type_entry_handler(const type_entry_t *entry, fabric_bytes_t tag);
/* Whether the handler (NULL: there is none) is marked as concurrent. */
bool type_entry_is_concurrent(const type_entry_t *entry, const fabric_handler_t *handler);
/* The row of an event; NULL: there is none. */
const fabric_event_type_t *type_entry_event(const type_entry_t *entry, fabric_bytes_t tag,
                                            uint32_t version);
/* The same of the tag's largest version. */
const fabric_event_type_t *type_entry_newest_event(const type_entry_t *entry, fabric_bytes_t tag);
/* The shortest slow_ms of all types; FABRIC_NEVER_SLOW: no handler is slow. */
uint32_t type_table_slow_ms(const type_table_t *table);
/* The largest request and reply struct of all messages. */
size_t type_table_request_bytes(const type_table_t *table);
size_t type_table_reply_bytes(const type_table_t *table);
/* The largest struct of all events; 0: there are none. */
size_t type_table_event_bytes(const type_table_t *table);
/* Appends what a hello says about the types (core/type_description.h). */
void type_table_describe(const type_table_t *table, wire_writer_t *writer);

/* The first transactional message, with its type's name; NULL: there is none. */
const fabric_handler_t *type_table_transactional(const type_table_t *table, const char **type);

#endif
