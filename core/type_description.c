/* Type descriptions: see type_description.h. */
#include "core/type_description.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/failures.h"
#include "core/limits.h"
#include "core/memory.h"

/* Reads a name into 256 bytes. */
static void read_name(wire_reader_t *reader, char *name)
{
    fabric_bytes_t text = wire_get_str(reader);
    if (text.size == 0 || text.size > LIMIT_NAME_BYTES_MAX || memchr(text.data, '\0', text.size)) {
        reader->failed = true;
        return;
    }
    memcpy(name, text.data, text.size);
    name[text.size] = '\0';
}

/* Reads a number that is at least 1 and fits 32 bits. */
static uint32_t read_count(wire_reader_t *reader)
{
    uint64_t value = wire_get_uint(reader);
    if (value == 0 || value > UINT32_MAX) {
        reader->failed = true;
    }
    return (uint32_t)value;
}

static fabric_error_t read_flags(wire_reader_t *reader, message_description_t *message)
{
    if (!message->failures) {
        wire_get_nil(reader);
    }
    uint64_t flags = wire_get_uint(reader);
    message->early = (flags & MESSAGE_FLAG_EARLY) != 0;
    message->transactional = (flags & MESSAGE_FLAG_TRANSACTIONAL) != 0;
    bool fits = (message->durable || !(message->early || message->transactional)) &&
                !(message->early && message->transactional);
    return !reader->failed && flags != 0 && fits ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE;
}

uint32_t message_description_parts(bool failures, uint32_t flags)
{
    return flags ? 7 : failures ? 6 : 5;
}

void message_flags_put(bool failures, uint32_t flags, wire_writer_t *writer)
{
    if (flags && !failures) {
        wire_put_nil(writer);
    }
    if (flags) {
        wire_put_uint(writer, flags);
    }
}

static uint32_t flags_of(const message_description_t *message)
{
    return (message->early ? MESSAGE_FLAG_EARLY : 0u) |
           (message->transactional ? MESSAGE_FLAG_TRANSACTIONAL : 0u);
}

/* A message that turns out bad stays in `message`, for type_description_destroy. */
static fabric_error_t read_message(wire_reader_t *reader, message_description_t *message)
{
    uint32_t parts = wire_get_array(reader);
    if (parts < 5 || parts > 7) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    read_name(reader, message->tag);
    message->durable = wire_get_bool(reader);
    message->has_primary_key = wire_get_bool(reader);
    if (reader->failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    fabric_error_t error = schema_parse(reader, &message->request);
    if (error == FABRIC_OK) {
        error = schema_parse(reader, &message->reply);
    }
    bool has_failures = parts == 6 || (parts == 7 && wire_peek(reader) != WIRE_NIL);
    if (error == FABRIC_OK && has_failures) {
        error = failures_parse(reader, &message->failures);
    }
    return error == FABRIC_OK && parts == 7 ? read_flags(reader, message) : error;
}

static fabric_error_t read_messages(wire_reader_t *reader, uint32_t count,
                                    type_description_t *description)
{
    description->messages = memory_allocate_zeroed(count, sizeof *description->messages);
    for (uint32_t i = 0; i < count; i++) {
        message_description_t *message = &description->messages[i];
        description->message_count = (size_t)i + 1;
        fabric_error_t error = read_message(reader, message);
        if (error != FABRIC_OK) {
            return error;
        }
        if (type_description_message(description, fabric_bytes_of(message->tag)) != message) {
            return FABRIC_ERROR_MALFORMED_MESSAGE; /* an earlier message has this tag */
        }
        description->early = description->early || message->early;
        description->transactional = description->transactional || message->transactional;
    }
    return FABRIC_OK;
}

/* ---- options ---- */

enum { PLACES = 5, OPTIONS_MAX = 32 };
enum {
    OPTION_FAILURE = 1,
    OPTION_DEFECTS_TO_CALLER = 2,
    OPTION_KEY_RETENTION_MS = 3,
    OPTION_TELLS = 4
};

bool type_options_are_default(const type_options_t *options)
{
    return options->failure == FAILURE_BLOCK && !options->defects_to_caller &&
           options->key_retention_ms == 0 && !options->tells;
}

void type_options_put(const type_options_t *options, wire_writer_t *writer)
{
    wire_put_map(writer,
                 2u + (options->key_retention_ms > 0 ? 1u : 0u) + (options->tells ? 1u : 0u));
    wire_put_uint(writer, OPTION_FAILURE);
    wire_put_uint(writer, options->failure);
    wire_put_uint(writer, OPTION_DEFECTS_TO_CALLER);
    wire_put_uint(writer, options->defects_to_caller);
    if (options->key_retention_ms > 0) {
        wire_put_uint(writer, OPTION_KEY_RETENTION_MS);
        wire_put_uint(writer, options->key_retention_ms);
    }
    if (options->tells) {
        wire_put_uint(writer, OPTION_TELLS);
        wire_put_uint(writer, 1);
    }
}

/* Options, and numbers of an option, that are not known here come from a newer release: they count
 * as not given. */
static void read_options(wire_reader_t *reader, type_options_t *options)
{
    uint32_t count = wire_get_map(reader);
    if (count > OPTIONS_MAX) {
        reader->failed = true;
    }
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        uint64_t option = wire_get_uint(reader);
        uint64_t value = wire_get_uint(reader);
        if (option == OPTION_FAILURE && value <= FAILURE_SKIP) {
            options->failure = (failure_policy_t)value;
        } else if (option == OPTION_DEFECTS_TO_CALLER) {
            options->defects_to_caller = value == 1;
        } else if (option == OPTION_KEY_RETENTION_MS && value <= TYPE_KEY_RETENTION_MS_MAX) {
            options->key_retention_ms = value;
        } else if (option == OPTION_TELLS) {
            options->tells = value == 1;
        }
    }
}

/* ---- states ---- */

enum { STATE_PARTS = 2 };

void type_state_put(uint32_t version, const fabric_schema_t *schema, wire_writer_t *writer)
{
    wire_put_array(writer, STATE_PARTS);
    wire_put_uint(writer, version);
    schema_describe(schema, writer);
}

static fabric_error_t read_state(wire_reader_t *reader, type_description_t *description)
{
    uint32_t parts = wire_get_array(reader);
    uint64_t version = wire_get_uint(reader);
    if (reader->failed || parts != STATE_PARTS || version > UINT32_MAX) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    description->state_version = (uint32_t)version;
    return schema_parse(reader, &description->state);
}

/* ---- events ---- */

enum { EVENTS_PARTS = 2, EVENT_PARTS = 3 };

void type_no_state_put(wire_writer_t *writer)
{
    wire_put_nil(writer);
}

void type_events_put(uint32_t snapshot_every, uint32_t count, wire_writer_t *writer)
{
    wire_put_array(writer, EVENTS_PARTS);
    wire_put_uint(writer, snapshot_every);
    wire_put_array(writer, count);
}

void type_event_put(const char *tag, uint32_t version, const fabric_schema_t *schema,
                    wire_writer_t *writer)
{
    wire_put_array(writer, EVENT_PARTS);
    wire_put_text(writer, tag);
    wire_put_uint(writer, version);
    schema_describe(schema, writer);
}

const event_description_t *type_description_event(const type_description_t *description,
                                                  fabric_bytes_t tag, uint32_t version)
{
    for (size_t i = 0; i < description->event_count; i++) {
        const event_description_t *event = &description->events[i];
        if (event->version == version && fabric_bytes_equal(fabric_bytes_of(event->tag), tag)) {
            return event;
        }
    }
    return NULL;
}

/* An event that turns out bad stays in `event`, for type_description_destroy. */
static fabric_error_t read_event(wire_reader_t *reader, event_description_t *event)
{
    if (wire_get_array(reader) != EVENT_PARTS) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    read_name(reader, event->tag);
    uint64_t version = wire_get_uint(reader);
    if (reader->failed || version > UINT32_MAX) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    event->version = (uint32_t)version;
    return schema_parse(reader, &event->schema);
}

static fabric_error_t read_events(wire_reader_t *reader, type_description_t *description)
{
    uint32_t parts = wire_get_array(reader);
    uint64_t every = wire_get_uint(reader);
    uint32_t count = wire_get_array(reader);
    if (reader->failed || parts != EVENTS_PARTS || every > UINT32_MAX || count == 0 ||
        (every > 0 && !description->state)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (count > LIMIT_EVENT_SCHEMAS_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    description->snapshot_every = (uint32_t)every;
    description->events = memory_allocate_zeroed(count, sizeof *description->events);
    for (uint32_t i = 0; i < count; i++) {
        event_description_t *event = &description->events[i];
        description->event_count = (size_t)i + 1;
        fabric_error_t error = read_event(reader, event);
        if (error != FABRIC_OK) {
            return error;
        }
        if (type_description_event(description, fabric_bytes_of(event->tag), event->version) !=
            event) {
            return FABRIC_ERROR_MALFORMED_MESSAGE; /* an earlier one is the same */
        }
    }
    return FABRIC_OK;
}

/* What stands behind the options. */
static fabric_error_t read_state_and_events(wire_reader_t *reader, bool with_events,
                                            type_description_t *description)
{
    fabric_error_t error = FABRIC_OK;
    if (with_events && wire_peek(reader) == WIRE_NIL) {
        wire_get_nil(reader);
    } else {
        error = read_state(reader, description);
    }
    return error == FABRIC_OK && with_events ? read_events(reader, description) : error;
}

/* ---- types ---- */

static fabric_error_t read_type(wire_reader_t *reader, type_description_t *description)
{
    uint32_t places = wire_get_array(reader);
    if (places < PLACES || places > PLACES + 3) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    read_name(reader, description->name);
    read_name(reader, description->group);
    description->mailbox_capacity = read_count(reader);
    description->concurrency = read_count(reader);
    uint32_t count = wire_get_array(reader);
    if (reader->failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (count > LIMIT_MESSAGES_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    fabric_error_t error = read_messages(reader, count, description);
    if (error == FABRIC_OK && places > PLACES) {
        read_options(reader, &description->options);
        error = reader->failed ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_OK;
    }
    if (error == FABRIC_OK && places > PLACES + 1) {
        error = read_state_and_events(reader, places > PLACES + 2, description);
    }
    bool stores = description->state || description->event_count > 0;
    return error == FABRIC_OK && stores && description->transactional
               ? FABRIC_ERROR_MALFORMED_MESSAGE
               : error;
}

fabric_error_t type_description_parse(wire_reader_t *reader, type_description_t **description)
{
    type_description_t *parsed = memory_allocate_zeroed(1, sizeof *parsed);
    fabric_error_t error = read_type(reader, parsed);
    if (error != FABRIC_OK) {
        type_description_destroy(&parsed);
        reader->failed = true;
        return error;
    }
    *description = parsed;
    return FABRIC_OK;
}

void type_description_destroy(type_description_t **description)
{
    if (!description || !*description) {
        return;
    }
    for (size_t i = 0; i < (*description)->message_count; i++) {
        schema_destroy(&(*description)->messages[i].request);
        schema_destroy(&(*description)->messages[i].reply);
        schema_destroy(&(*description)->messages[i].failures);
    }
    for (size_t i = 0; i < (*description)->event_count; i++) {
        schema_destroy(&(*description)->events[i].schema);
    }
    schema_destroy(&(*description)->state);
    free((*description)->events);
    free((*description)->messages);
    free(*description);
    *description = NULL;
}

void type_description_put(const type_description_t *description, wire_writer_t *writer)
{
    bool appends = description->event_count > 0;
    bool stateful = description->state || appends;
    bool plain = type_options_are_default(&description->options) && !stateful;
    wire_put_array(writer, PLACES + (plain ? 0u : 1u) + (stateful ? 1u : 0u) + (appends ? 1u : 0u));
    wire_put_text(writer, description->name);
    wire_put_text(writer, description->group);
    wire_put_uint(writer, description->mailbox_capacity);
    wire_put_uint(writer, description->concurrency);
    wire_put_array(writer, (uint32_t)description->message_count);
    for (size_t i = 0; i < description->message_count; i++) {
        const message_description_t *message = &description->messages[i];
        bool failures = message->failures != NULL;
        wire_put_array(writer, message_description_parts(failures, flags_of(message)));
        wire_put_text(writer, message->tag);
        wire_put_bool(writer, message->durable);
        wire_put_bool(writer, message->has_primary_key);
        schema_describe(message->request, writer);
        schema_describe(message->reply, writer);
        if (message->failures) {
            schema_describe(message->failures, writer);
        }
        message_flags_put(failures, flags_of(message), writer);
    }
    if (!plain) {
        type_options_put(&description->options, writer);
    }
    if (description->state) {
        type_state_put(description->state_version, description->state, writer);
    } else if (appends) {
        type_no_state_put(writer);
    }
    if (appends) {
        type_events_put(description->snapshot_every, (uint32_t)description->event_count, writer);
        for (size_t i = 0; i < description->event_count; i++) {
            const event_description_t *event = &description->events[i];
            type_event_put(event->tag, event->version, event->schema, writer);
        }
    }
}

const message_description_t *type_description_message(const type_description_t *description,
                                                      fabric_bytes_t tag)
{
    for (size_t i = 0; i < description->message_count; i++) {
        if (fabric_bytes_equal(fabric_bytes_of(description->messages[i].tag), tag)) {
            return &description->messages[i];
        }
    }
    return NULL;
}

static fabric_error_t conflict(fabric_schema_fault_t *fault, const char *name, const char *what,
                               const char *text)
{
    if (fault) { /* names may be longer than the text of a fault */
        (void)snprintf(fault->text, sizeof fault->text, "%.60s%s: %.120s", name, what, text);
    }
    return FABRIC_ERROR_TYPE_CONFLICT;
}

static fabric_error_t message_compatible(const message_description_t *before,
                                         const message_description_t *after,
                                         fabric_schema_fault_t *fault)
{
    fabric_schema_fault_t inner = {{0}};
    if (before->durable != after->durable) {
        return conflict(fault, after->tag, "",
                        before->durable
                            ? "expected a durable message as before, found a volatile one"
                            : "expected a volatile message as before, found a durable one");
    }
    if (before->transactional != after->transactional) {
        return conflict(fault, after->tag, "",
                        before->transactional
                            ? "expected a transactional message as before, found another one"
                            : "found a transactional message, and it was none before");
    }
    if (schema_compatible(before->request, after->request, &inner) != FABRIC_OK) {
        return conflict(fault, after->tag, " request", inner.text);
    }
    if (schema_compatible(before->reply, after->reply, &inner) != FABRIC_OK) {
        return conflict(fault, after->tag, " reply", inner.text);
    }
    if (before->failures && !after->failures) {
        return conflict(fault, after->tag, "", "expected failures as before, found none");
    }
    if (before->failures &&
        schema_compatible(before->failures, after->failures, &inner) != FABRIC_OK) {
        return conflict(fault, after->tag, "", inner.text);
    }
    return FABRIC_OK;
}

/* The newer of two descriptions of a message; NULL: neither can take the other's place. */
static const message_description_t *newer(const message_description_t *known,
                                          const message_description_t *brought,
                                          fabric_schema_fault_t *fault)
{
    if (message_compatible(known, brought, fault) == FABRIC_OK) {
        return brought;
    }
    return message_compatible(brought, known, NULL) == FABRIC_OK ? known : NULL;
}

/* Puts the newest of every message into `merged`, whose messages are those of the two. False: the
 * fault says why. */
static bool merge_messages(const type_description_t *known, const type_description_t *brought,
                           fabric_schema_fault_t *fault, type_description_t *merged, bool *older)
{
    for (size_t i = 0; i < known->message_count; i++) {
        const message_description_t *old = &known->messages[i];
        const message_description_t *now =
            type_description_message(brought, fabric_bytes_of(old->tag));
        const message_description_t *chosen = now ? newer(old, now, fault) : old;
        if (!chosen) {
            return false;
        }
        *older = *older || chosen == old;
        merged->messages[merged->message_count++] = *chosen;
    }
    for (size_t i = 0; i < brought->message_count; i++) {
        const message_description_t *now = &brought->messages[i];
        if (!type_description_message(known, fabric_bytes_of(now->tag))) {
            merged->messages[merged->message_count++] = *now;
        }
    }
    return true;
}

/* Puts the newer state into `merged`. False: the fault says why there is none. */
static bool merge_states(const type_description_t *known, const type_description_t *brought,
                         fabric_schema_fault_t *fault, type_description_t *merged)
{
    fabric_schema_fault_t inner = {{0}};
    const type_description_t *chosen = brought;
    if (!brought->state && known->state && known->event_count == 0) {
        (void)conflict(fault, brought->name, "",
                       "expected a persisted state as before, found none");
        return false;
    }
    if (known->state && (!brought->state || known->state_version > brought->state_version)) {
        chosen = known;
    } else if (known->state && known->state_version == brought->state_version &&
               schema_compatible(known->state, brought->state, &inner) != FABRIC_OK) {
        if (schema_compatible(brought->state, known->state, NULL) != FABRIC_OK) {
            (void)conflict(fault, brought->name, " state", inner.text);
            return false;
        }
        chosen = known;
    }
    merged->state = chosen->state;
    merged->state_version = chosen->state_version;
    merged->snapshot_every = chosen->snapshot_every;
    return true;
}

/* The newer of two descriptions of an event; NULL: neither can take the other's place. */
static const event_description_t *newer_event(const event_description_t *known,
                                              const event_description_t *brought,
                                              fabric_schema_fault_t *fault)
{
    fabric_schema_fault_t inner = {{0}};
    if (schema_compatible(known->schema, brought->schema, &inner) == FABRIC_OK) {
        return brought;
    }
    if (schema_compatible(brought->schema, known->schema, NULL) == FABRIC_OK) {
        return known;
    }
    (void)conflict(fault, brought->tag, " event", inner.text);
    return NULL;
}

/* As merge_messages. A state that is persisted as it is stays so, and so do events. */
static bool merge_events(const type_description_t *known, const type_description_t *brought,
                         fabric_schema_fault_t *fault, type_description_t *merged, bool *older)
{
    if (known->event_count == 0 && known->state && brought->event_count > 0) {
        (void)conflict(fault, brought->name, "",
                       "expected a persisted state without events as before, found events");
        return false;
    }
    if (known->event_count > 0 && brought->event_count == 0) {
        (void)conflict(fault, brought->name, "", "expected events as before, found none");
        return false;
    }
    for (size_t i = 0; i < known->event_count; i++) {
        const event_description_t *old = &known->events[i];
        const event_description_t *now =
            type_description_event(brought, fabric_bytes_of(old->tag), old->version);
        const event_description_t *chosen = now ? newer_event(old, now, fault) : old;
        if (!chosen) {
            return false;
        }
        *older = *older || chosen == old;
        merged->events[merged->event_count++] = *chosen;
    }
    for (size_t i = 0; i < brought->event_count; i++) {
        const event_description_t *now = &brought->events[i];
        if (!type_description_event(known, fabric_bytes_of(now->tag), now->version)) {
            merged->events[merged->event_count++] = *now;
        }
    }
    return true;
}

/* Messages that were dropped stay, while a state or events are new: that would be a type that
 * cannot be read. */
static bool merge_stores_transactions(const type_description_t *merged,
                                      fabric_schema_fault_t *fault)
{
    if (!merged->state && merged->event_count == 0) {
        return false;
    }
    for (size_t i = 0; i < merged->message_count; i++) {
        if (merged->messages[i].transactional) {
            (void)conflict(fault, merged->messages[i].tag, "",
                           "expected neither a persisted state nor events, as the type has, or "
                           "had, this transactional message");
            return true;
        }
    }
    return false;
}

fabric_error_t type_description_merge(const type_description_t *known,
                                      const type_description_t *brought,
                                      fabric_schema_fault_t *fault, wire_writer_t *writer)
{
    if (strcmp(known->group, brought->group) != 0) {
        char text[120];
        (void)snprintf(text, sizeof text, "expected shard group %.40s as before, found %.40s",
                       known->group, brought->group);
        return conflict(fault, brought->name, "", text);
    }
    type_description_t merged = *known;
    bool older = false;
    fabric_error_t error = FABRIC_OK;
    merged.message_count = merged.event_count = 0;
    merged.messages = memory_allocate_zeroed(known->message_count + brought->message_count + 1,
                                             sizeof *merged.messages);
    merged.events = memory_allocate_zeroed(known->event_count + brought->event_count + 1,
                                           sizeof *merged.events);
    if (!merge_messages(known, brought, fault, &merged, &older) ||
        !merge_events(known, brought, fault, &merged, &older) ||
        !merge_states(known, brought, fault, &merged) ||
        merge_stores_transactions(&merged, fault)) {
        error = FABRIC_ERROR_TYPE_CONFLICT;
    } else if (merged.message_count > LIMIT_MESSAGES_MAX) {
        (void)conflict(fault, brought->name, "", "expected fewer messages, with those from before");
        error = FABRIC_ERROR_LIMIT_EXCEEDED;
    } else if (merged.event_count > LIMIT_EVENT_SCHEMAS_MAX) {
        (void)conflict(fault, brought->name, "", "expected fewer events, with those from before");
        error = FABRIC_ERROR_LIMIT_EXCEEDED;
    } else {
        merged.mailbox_capacity = older ? known->mailbox_capacity : brought->mailbox_capacity;
        merged.concurrency = older ? known->concurrency : brought->concurrency;
        merged.options = older ? known->options : brought->options;
        merged.options.tells = known->options.tells || brought->options.tells;
        type_description_put(&merged, writer);
    }
    free(merged.messages); /* which only borrowed the schemas */
    free(merged.events);
    return error;
}
