/* The entity types of a worker: see type_table.h. */
#include "worker/type_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/failures.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/schema.h"

static_assert((int)FABRIC_BLOCK == FAILURE_BLOCK && (int)FABRIC_PARK == FAILURE_PARK &&
                  (int)FABRIC_SKIP == FAILURE_SKIP,
              "a type's policy goes out as it is");
static_assert(LIMIT_MESSAGES_MAX == 128, "type_entry_t.handlers has room for every message");

struct type_table {
    size_t count;
    size_t request_bytes, reply_bytes, event_bytes;
    type_entry_t *entries[LIMIT_TYPES_MAX];
    uint16_t sorted[LIMIT_TYPES_MAX]; /* indexes of entries, by name */
};

type_table_t *type_table_new(void)
{
    return (type_table_t *)memory_allocate_zeroed(1, sizeof(type_table_t));
}

static void entry_free(type_entry_t *entry)
{
    free(entry->events);
    free(entry);
}

void type_table_destroy(type_table_t **table)
{
    if (!*table) {
        return;
    }
    for (size_t i = 0; i < (*table)->count; i++) {
        entry_free((*table)->entries[i]);
    }
    free(*table);
    *table = NULL;
}

/* Shorter names come first, which is cheaper to compare than the order of a dictionary. */
static int names_compare(fabric_bytes_t a, fabric_bytes_t b)
{
    if (a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return a.size > 0 ? memcmp(a.data, b.data, a.size) : 0;
}

static bool name_valid(const char *name)
{
    size_t size = name ? strlen(name) : 0;
    return size >= 1 && size <= LIMIT_NAME_BYTES_MAX;
}

static size_t handler_place(const type_entry_t *entry, fabric_bytes_t tag, bool *found)
{
    size_t low = 0;
    size_t high = entry->handler_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = names_compare(fabric_bytes_of(entry->handlers[middle]->message->tag), tag);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

static size_t type_place(const type_table_t *table, fabric_bytes_t name, bool *found)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = names_compare(table->entries[table->sorted[middle]]->name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

/* Where the event is, or would be. */
static size_t event_place(const type_entry_t *entry, fabric_bytes_t tag, uint32_t version,
                          bool *found)
{
    size_t low = 0;
    size_t high = entry->event_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const fabric_event_type_t *event = entry->events[middle];
        int order = names_compare(fabric_bytes_of(event->tag), tag);
        if (order == 0 && event->version == version) {
            *found = true;
            return middle;
        }
        if (order < 0 || (order == 0 && event->version < version)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

const fabric_event_type_t *type_entry_event(const type_entry_t *entry, fabric_bytes_t tag,
                                            uint32_t version)
{
    bool found;
    size_t place = event_place(entry, tag, version, &found);
    return found ? entry->events[place] : NULL;
}

const fabric_event_type_t *type_entry_newest_event(const type_entry_t *entry, fabric_bytes_t tag)
{
    bool found;
    size_t place = event_place(entry, tag, UINT32_MAX, &found);
    if (!found && place > 0) {
        place--;
        found = names_compare(fabric_bytes_of(entry->events[place]->tag), tag) == 0;
    }
    return found ? entry->events[place] : NULL;
}

static fabric_error_t event_add(type_entry_t *entry, const fabric_event_type_t *event,
                                reason_t *reason)
{
    const char *name = entry->type->name;
    if (!name_valid(event->tag)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: an event needs a tag of 1-255 bytes", name);
    }
    if (!event->apply) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: event %s has no apply function", name, event->tag);
    }
    if (!event->schema || !schema_is_describable(event->schema)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: event %s has no schema, or one that lacks a name, its "
                          "fields, its choices or a schema within, has a default that does not "
                          "fit, or has more than %d fields in all",
                          name, event->tag, SCHEMA_FIELDS_TOTAL_MAX);
    }
    if (event->schema->size > TYPE_STRUCT_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: event %s has a struct of more than 64 MiB", name,
                          event->tag);
    }
    bool found;
    size_t place = event_place(entry, fabric_bytes_of(event->tag), event->version, &found);
    if (found) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: event %s of version %u is there twice", name, event->tag,
                          (unsigned)event->version);
    }
    memmove(&entry->events[place + 1], &entry->events[place],
            (entry->event_count - place) * sizeof(const fabric_event_type_t *));
    entry->events[place] = event;
    entry->event_count++;
    return FABRIC_OK;
}

static fabric_error_t handler_add(type_entry_t *entry, const fabric_handler_t *handler,
                                  reason_t *reason)
{
    const char *name = entry->type->name;
    const fabric_message_type_t *message = handler->message;
    if (!message || !handler->handle) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: a handler has no message or no function", name);
    }
    if (!name_valid(message->tag) || !message->request || !message->reply) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: a message needs a tag of 1-255 bytes, a request and a "
                          "reply schema",
                          name);
    }
    if (message->request->size > TYPE_STRUCT_BYTES_MAX ||
        message->reply->size > TYPE_STRUCT_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: message %s has a struct of more than 64 MiB", name,
                          message->tag);
    }
    if (!schema_is_describable(message->request) || !schema_is_describable(message->reply)) {
        return reason_set(
            reason, FABRIC_ERROR_INVALID_ARGUMENT,
            "entity type %s: a schema of message %s lacks a name, its fields, its choices "
            "or a schema within, has a default that does not fit, or has more than "
            "%d fields in all",
            name, message->tag, SCHEMA_FIELDS_TOTAL_MAX);
    }
    if (!failures_are_describable(message->failures)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: the failures of message %s lack a name or a schema, or "
                          "have a negative number",
                          name, message->tag);
    }
    if (message->early_delivery && !message->durable) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: message %s is volatile, and early delivery is for "
                          "durable messages",
                          name, message->tag);
    }
    bool stores = entry->type->persisted || entry->type->event_count > 0;
    if (message->transactional && (!message->durable || message->early_delivery || stores)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: message %s is transactional, which is for durable "
                          "messages without early delivery, of types that do not store a state or "
                          "events",
                          name, message->tag);
    }
    bool found;
    size_t place = handler_place(entry, fabric_bytes_of(message->tag), &found);
    if (found) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: message %s has two handlers", name, message->tag);
    }
    memmove(&entry->handlers[place + 1], &entry->handlers[place],
            (entry->handler_count - place) * sizeof entry->handlers[0]);
    entry->handlers[place] = handler;
    entry->handler_count++;
    return FABRIC_OK;
}

static void describe_events(const type_entry_t *entry, wire_writer_t *writer)
{
    const fabric_entity_type_t *type = entry->type;
    type_events_put(entry->snapshot_every, (uint32_t)type->event_count, writer);
    for (size_t i = 0; i < type->event_count; i++) {
        const fabric_event_type_t *event = &type->events[i];
        type_event_put(event->tag, event->version, event->schema, writer);
    }
}

static void describe(const type_entry_t *entry, wire_writer_t *writer)
{
    const fabric_entity_type_t *type = entry->type;
    bool appends = type->event_count > 0;
    bool plain = type_options_are_default(&entry->options) && !entry->stores;
    wire_put_array(writer, 5 + (plain ? 0u : 1u) + (entry->stores ? 1u : 0u) + (appends ? 1u : 0u));
    wire_put_text(writer, type->name);
    wire_put_text(writer, type->group ? type->group : "default");
    wire_put_uint(writer, entry->mailbox_capacity);
    wire_put_uint(writer, entry->has_concurrent ? FABRIC_UNBOUNDED : entry->concurrency);
    wire_put_array(writer, (uint32_t)type->handler_count);
    for (size_t i = 0; i < type->handler_count; i++) {
        const fabric_message_type_t *message = type->handlers[i].message;
        bool failures = message->failures != NULL;
        uint32_t flags = (message->early_delivery ? MESSAGE_FLAG_EARLY : 0u) |
                         (message->transactional ? MESSAGE_FLAG_TRANSACTIONAL : 0u);
        wire_put_array(writer, message_description_parts(failures, flags));
        wire_put_text(writer, message->tag);
        wire_put_bool(writer, message->durable);
        wire_put_bool(writer, message->primary_key != NULL);
        schema_describe(message->request, writer);
        schema_describe(message->reply, writer);
        if (message->failures) {
            failures_describe(message->failures, writer);
        }
        message_flags_put(failures, flags, writer);
    }
    if (!plain) {
        type_options_put(&entry->options, writer);
    }
    if (type->state) {
        type_state_put(type->state_version, type->state, writer);
    } else if (appends) {
        type_no_state_put(writer);
    }
    if (appends) {
        describe_events(entry, writer);
    }
}

/* Whether brokers will accept the description. The rules for schemas stand in one place, the
 * parser. */
static bool description_valid(const type_entry_t *entry)
{
    wire_writer_t writer = {0};
    describe(entry, &writer);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    type_description_t *description = NULL;
    bool valid = type_description_parse(&reader, &description) == FABRIC_OK;
    type_description_destroy(&description);
    wire_writer_destroy(&writer);
    return valid;
}

/* Of a schema that can be described. */
static bool has_views(const fabric_schema_t *schema)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        if (field->max == FABRIC_ANY_LENGTH || field->element_max == FABRIC_ANY_LENGTH ||
            (field->schema && has_views(field->schema))) {
            return true;
        }
        for (size_t j = 0; field->kind == FABRIC_FIELD_UNION && j < field->choices->count; j++) {
            if (has_views(field->choices->items[j].schema)) {
                return true;
            }
        }
    }
    return false;
}

/* What is wrong with the schema of a state that is stored; NULL: nothing. */
static const char *schema_fault(const fabric_entity_type_t *type)
{
    if (!schema_is_describable(type->state) || type->state->field_count == 0) {
        return "a stored state needs a schema with fields, names and sound defaults";
    }
    if (type->state->size != type->state_size) {
        return "the state's schema is not of a struct of state_size bytes";
    }
    return has_views(type->state) ? "a stored state has no views" : NULL;
}

/* What is wrong with a type that has events, but for the events; NULL: nothing. */
static const char *history_fault(const fabric_entity_type_t *type)
{
    if (type->persisted) {
        return "a type either persists its state or has events";
    }
    if (!type->events || type->event_count < 1 || type->event_count > LIMIT_EVENT_SCHEMAS_MAX) {
        return "a type with events has 1-512 of them";
    }
    if (type->migrate) {
        return "snapshots of another version are passed over, not migrated";
    }
    if (!type->state) {
        return type->snapshot_every > 0 || type->state_version > 0 || type->restore
                   ? "snapshot_every, state_version and restore need a schema of the state"
                   : NULL;
    }
    return schema_fault(type);
}

/* What is wrong with what a type stores; NULL: nothing. */
static const char *state_fault(const fabric_entity_type_t *type)
{
    const char *fault = NULL;
    if (type->events || type->event_count > 0) {
        fault = history_fault(type);
    } else if (type->snapshot_every > 0) {
        fault = "snapshot_every is for types with events";
    } else if (!type->persisted) {
        return type->state || type->state_version > 0 || type->migrate || type->restore
                   ? "state, state_version, migrate and restore are for persisted types"
                   : NULL;
    } else {
        fault = type->state ? schema_fault(type) : "a persisted state needs a schema";
    }
    bool beside = type->concurrency > 1 || (type->concurrent && type->concurrent[0]);
    return !fault && beside
               ? "handlers of a type that is persisted or has events do not run beside one another"
               : fault;
}

static fabric_error_t add_events(type_entry_t *entry, reason_t *reason)
{
    const fabric_entity_type_t *type = entry->type;
    fabric_error_t error = FABRIC_OK;
    entry->stores = type->persisted || type->event_count > 0;
    entry->unkept = entry->stores || type->tells;
    if (type->event_count > 0) {
        entry->events = (const fabric_event_type_t **)memory_allocate_zeroed(
            type->event_count, sizeof(const fabric_event_type_t *));
    }
    for (size_t i = 0; i < type->event_count && error == FABRIC_OK; i++) {
        error = event_add(entry, &type->events[i], reason);
    }
    bool snapshots = type->event_count > 0 && type->state;
    if (snapshots && type->snapshot_every != FABRIC_NO_SNAPSHOTS) {
        entry->snapshot_every =
            type->snapshot_every ? type->snapshot_every : TYPE_SNAPSHOT_EVERY_DEFAULT;
    }
    return error;
}

static fabric_error_t entry_fill(type_entry_t *entry, reason_t *reason)
{
    const fabric_entity_type_t *type = entry->type;
    if (type->group && !name_valid(type->group)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: a shard group has 1-255 bytes", type->name);
    }
    if (!type->handlers || type->handler_count < 1 || type->handler_count > LIMIT_MESSAGES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: needs 1-%d handlers", type->name, LIMIT_MESSAGES_MAX);
    }
    if ((int)type->on_failure < FABRIC_BLOCK || type->on_failure > FABRIC_SKIP) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: on_failure is FABRIC_BLOCK, FABRIC_PARK or FABRIC_SKIP",
                          type->name);
    }
    if (type->key_retention_ms > TYPE_KEY_RETENTION_MS_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: key_retention_ms is more than a year", type->name);
    }
    if (type->state_size > TYPE_STATE_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: the state has more than 64 MiB", type->name);
    }
    if (state_fault(type)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "entity type %s: %s", type->name,
                          state_fault(type));
    }
    fabric_error_t error = add_events(entry, reason);
    if (error != FABRIC_OK) {
        return error;
    }
    if (type->uninterruptible >
        (FABRIC_UNINTERRUPTIBLE_BY_CALLERS | FABRIC_UNINTERRUPTIBLE_BY_STOPS)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: uninterruptible has other bits than those of worker.h",
                          type->name);
    }
    for (size_t i = 0; i < type->handler_count; i++) {
        error = handler_add(entry, &type->handlers[i], reason);
        if (error != FABRIC_OK) {
            return error;
        }
    }
    for (size_t i = 0; type->concurrent && type->concurrent[i]; i++) {
        entry->has_concurrent = true;
        if (!type_entry_handler(entry, fabric_bytes_of(type->concurrent[i]->tag))) {
            return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                              "entity type %s: message %s is concurrent, but has no handler",
                              type->name, type->concurrent[i]->tag);
        }
    }
    entry->mixed = entry->has_concurrent || entry->concurrency > 1;
    if (!description_valid(entry)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: a schema breaks a rule of <fabric/schema.h>",
                          type->name);
    }
    return FABRIC_OK;
}

static void entry_insert(type_table_t *table, type_entry_t *entry, size_t place)
{
    entry->index = (uint16_t)table->count;
    memmove(&table->sorted[place + 1], &table->sorted[place],
            (table->count - place) * sizeof table->sorted[0]);
    table->sorted[place] = entry->index;
    table->entries[table->count++] = entry;
    for (size_t i = 0; i < entry->handler_count; i++) {
        const fabric_message_type_t *message = entry->handlers[i]->message;
        if (message->request->size > table->request_bytes) {
            table->request_bytes = message->request->size;
        }
        if (message->reply->size > table->reply_bytes) {
            table->reply_bytes = message->reply->size;
        }
    }
    for (size_t i = 0; i < entry->event_count; i++) {
        if (entry->events[i]->schema->size > table->event_bytes) {
            table->event_bytes = entry->events[i]->schema->size;
        }
    }
}

fabric_error_t type_table_add(type_table_t *table, const fabric_entity_type_t *type,
                              reason_t *reason)
{
    if (!type || !name_valid(type->name)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "an entity type needs a name of 1-255 bytes");
    }
    if (table->count == LIMIT_TYPES_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                          "entity type %s: a worker brings at most %d types", type->name,
                          LIMIT_TYPES_MAX);
    }
    bool found;
    size_t place = type_place(table, fabric_bytes_of(type->name), &found);
    if (found) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "entity type %s: there are two of this name", type->name);
    }
    type_entry_t *entry = (type_entry_t *)memory_allocate_zeroed(1, sizeof *entry);
    entry->type = type;
    entry->name = fabric_bytes_of(type->name);
    entry->mailbox_capacity =
        type->mailbox_capacity ? type->mailbox_capacity : TYPE_MAILBOX_CAPACITY_DEFAULT;
    entry->idle_ms = type->idle_ms ? type->idle_ms : TYPE_IDLE_MS_DEFAULT;
    entry->concurrency = type->concurrency ? type->concurrency : 1;
    entry->slow_ms = type->slow_ms ? type->slow_ms : TYPE_SLOW_MS_DEFAULT;
    entry->options = (type_options_t){.failure = (failure_policy_t)type->on_failure,
                                      .defects_to_caller = type->defects_to_caller,
                                      .key_retention_ms = type->key_retention_ms,
                                      .tells = type->tells};
    fabric_error_t error = entry_fill(entry, reason);
    if (error != FABRIC_OK) {
        entry_free(entry);
        return error;
    }
    entry_insert(table, entry, place);
    return FABRIC_OK;
}

size_t type_table_count(const type_table_t *table)
{
    return table->count;
}

const type_entry_t *type_table_at(const type_table_t *table, size_t index)
{
    assert(index < table->count);
    return table->entries[index];
}

const type_entry_t *type_table_find(const type_table_t *table, fabric_bytes_t name)
{
    bool found;
    size_t place = type_place(table, name, &found);
    return found ? table->entries[table->sorted[place]] : NULL;
}

const fabric_handler_t *type_entry_handler(const type_entry_t *entry, fabric_bytes_t tag)
{
    bool found;
    size_t place = handler_place(entry, tag, &found);
    return found ? entry->handlers[place] : NULL;
}

uint32_t type_table_slow_ms(const type_table_t *table)
{
    uint32_t slow_ms = FABRIC_NEVER_SLOW;
    for (size_t i = 0; i < table->count; i++) {
        slow_ms = table->entries[i]->slow_ms < slow_ms ? table->entries[i]->slow_ms : slow_ms;
    }
    return slow_ms;
}

bool type_entry_is_concurrent(const type_entry_t *entry, const fabric_handler_t *handler)
{
    const fabric_message_type_t *const *list = entry->type->concurrent;
    for (size_t i = 0; handler && list && list[i]; i++) {
        if (strcmp(list[i]->tag, handler->message->tag) == 0) {
            return true;
        }
    }
    return false;
}

size_t type_table_request_bytes(const type_table_t *table)
{
    return table->request_bytes;
}

size_t type_table_reply_bytes(const type_table_t *table)
{
    return table->reply_bytes;
}

size_t type_table_event_bytes(const type_table_t *table)
{
    return table->event_bytes;
}

void type_table_describe(const type_table_t *table, wire_writer_t *writer)
{
    wire_put_array(writer, (uint32_t)table->count);
    for (size_t i = 0; i < table->count; i++) {
        describe(table->entries[i], writer);
    }
}

const fabric_handler_t *type_table_transactional(const type_table_t *table, const char **type)
{
    for (size_t i = 0; i < table->count; i++) {
        const fabric_entity_type_t *one = table->entries[i]->type;
        for (size_t j = 0; j < one->handler_count; j++) {
            if (one->handlers[j].message->transactional) {
                *type = one->name;
                return &one->handlers[j];
            }
        }
    }
    return NULL;
}
