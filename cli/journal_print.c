/* Printing journals: see journal_print.h. Each record is made into a JSON object first; text is
 * another form of the same members, so that the two cannot say different things. */
#include "cli/journal_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "core/hash.h"
#include "core/json_text.h"
#include "core/message.h"
#include "core/printable.h"

/* ---- the filter ---- */

typedef struct known_hash {
    uint64_t hash;
    UT_hash_handle hh;
} known_hash_t;

struct journal_filter {
    fabric_bytes_t type, id; /* of no bytes: any */
    known_hash_t *known;     /* entities that fit */
};

static void learn(journal_filter_t *filter, uint64_t hash)
{
    known_hash_t *known = NULL;
    HASH_FIND(hh, filter->known, &hash, sizeof hash, known);
    if (!known) {
        known = memory_allocate_zeroed(1, sizeof *known);
        known->hash = hash;
        HASH_ADD(hh, filter->known, hash, sizeof known->hash, known);
    }
}

journal_filter_t *journal_filter_new(const char *type, const char *id)
{
    journal_filter_t *filter = memory_allocate_zeroed(1, sizeof *filter);
    filter->type = fabric_bytes_of(type);
    filter->id = fabric_bytes_of(id);
    if (type && id) {
        learn(filter, journal_entity_hash(filter->type, filter->id));
    }
    return filter;
}

void journal_filter_destroy(journal_filter_t **filter)
{
    if (*filter) {
        known_hash_t *known;
        known_hash_t *next;
        HASH_ITER(hh, (*filter)->known, known, next)
        {
            HASH_DEL((*filter)->known, known);
            free(known);
        }
        free(*filter);
        *filter = NULL;
    }
}

static bool fits(fabric_bytes_t wanted, fabric_bytes_t name)
{
    return wanted.size == 0 || fabric_bytes_equal(wanted, name);
}

static bool filter_takes(journal_filter_t *filter, journal_read_t read,
                         const journal_record_t *record)
{
    if (!filter) {
        return true;
    }
    bool kept = record->kind == RECORD_ALIVE;
    bool named = read == JOURNAL_READ_RECORD &&
                 (kept || record->kind == RECORD_MESSAGE || record->kind == RECORD_MOVE ||
                  record->kind == RECORD_DEAD || record->kind == RECORD_CLEAR);
    if (named && fits(filter->type, kept ? record->kept.type : record->message.type) &&
        fits(filter->id, kept ? record->kept.entity : record->message.entity)) {
        learn(filter, record->entity_hash);
        return true;
    }
    known_hash_t *known = NULL;
    HASH_FIND(hh, filter->known, &record->entity_hash, sizeof known->hash, known);
    return !named && known;
}

/* ---- values ---- */

const char *journal_time_text(int64_t unix_ms, char text[JOURNAL_TIME_SIZE])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    if (unix_ms < 0 || !gmtime_r(&seconds, &parts)) {
        snprintf(text, JOURNAL_TIME_SIZE, "%" PRId64 "ms", unix_ms);
        return text;
    }
    size_t size = strftime(text, JOURNAL_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, JOURNAL_TIME_SIZE - size, ".%03dZ", (int)(unix_ms % 1000));
    return text;
}

/* Numbers above 2^63 - 1 are strings of digits, as everywhere. */
static void set_number(json_t *object, const char *key, uint64_t number)
{
    if (number <= INT64_MAX) {
        json_object_set_new(object, key, json_integer((json_int_t)number));
        return;
    }
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    json_object_set_new(object, key, json_string(text));
}

/* With \xHH for bytes that are no text. */
static void set_name(json_t *object, const char *key, fabric_bytes_t name)
{
    size_t size = PRINTABLE_SIZE(name.size);
    char *copy = memory_allocate(name.size + 1);
    char *text = memory_allocate(size);
    size_t used = 0;
    if (name.size > 0) {
        memcpy(copy, name.data, name.size);
    }
    copy[name.size] = '\0';
    for (size_t i = 0; i <= name.size; i += strlen(copy + i) + 1) {
        if (i > 0) { /* a NUL was passed */
            used += (size_t)snprintf(text + used, size - used, "\\x00");
        }
        printable_copy(copy + i, text + used, size - used);
        used += strlen(text + used);
    }
    json_object_set_new(object, key, json_string(text));
    free(text);
    free(copy);
}

static void set_hexadecimal(json_t *object, const char *key, fabric_bytes_t bytes)
{
    char *text = memory_allocate(2 * bytes.size + 1);
    text[0] = '\0';
    for (size_t i = 0; i < bytes.size; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
    }
    json_object_set_new(object, key, json_string(text));
    free(text);
}

static void set_incarnation(json_t *object, const char *key, incarnation_t incarnation)
{
    char text[33];
    json_object_set_new(object, key, json_string(incarnation_text(incarnation, text)));
}

static void set_hash(json_t *object, uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    json_object_set_new(object, "entity_hash", json_string(text));
}

static void set_call(json_t *object, call_key_t call)
{
    char text[48];
    snprintf(text, sizeof text, "%" PRIu64 ":%" PRIu64, call.client, call.sequence);
    json_object_set_new(object, "call", json_string(text));
}

static void set_error(json_t *object, const char *key, uint32_t error)
{
    json_object_set_new(
        object, key,
        json_string(error ? fabric_error_name(fabric_error_from_number(error)) : "OK"));
}

/* ---- records as objects ---- */

/* `whole`: with all fields, payloads too. */
static void set_message(json_t *object, const store_message_t *message, bool whole)
{
    set_name(object, "type", message->type);
    set_name(object, "entity", message->entity);
    set_name(object, "tag", message->tag);
    set_call(object, message->call);
    set_number(object, "payload_bytes", message->payload.size);
    if (message->deliver_at_ms) {
        char time[JOURNAL_TIME_SIZE];
        json_object_set_new(object, "deliver_at",
                            json_string(journal_time_text(message->deliver_at_ms, time)));
    }
    if (whole) {
        set_number(object, "flags", message->flags);
        set_hexadecimal(object, "payload", message->payload);
        set_name(object, "traceparent", message->traceparent);
        set_hexadecimal(object, "headers", message->headers);
        set_hexadecimal(object, "key_hash",
                        fabric_bytes(message->key_hash, message->key_hash ? STORE_KEY_BYTES : 0));
    }
}

static void set_reply(json_t *object, const store_reply_t *reply, bool whole)
{
    static const char *const names[] = {[STATUS_OK] = "ok",
                                        [STATUS_FAILURE] = "failure",
                                        [STATUS_DEFECT] = "defect",
                                        [STATUS_NOT_TAKEN] = "?",
                                        [STATUS_TYPED_FAILURE] = "typed_failure"};
    json_object_set_new(
        object, "status",
        json_string(reply->status <= STATUS_TYPED_FAILURE ? names[reply->status] : "?"));
    if (reply->status != STATUS_OK) {
        set_error(object, "error", reply->error);
    }
    if (reply->status == STATUS_FAILURE || reply->status == STATUS_TYPED_FAILURE) {
        set_number(object, "code", reply->code);
    }
    set_number(object, "reply_bytes", reply->payload.size);
    if (whole) {
        set_hexadecimal(object, "reply", reply->payload);
    }
}

static void set_attempts(json_t *object, journal_attempts_t attempts)
{
    set_number(object, "attempts", attempts.attempts);
    set_number(object, "crashes", attempts.crashes);
}

/* Of a message that has ended. */
static void set_key(json_t *object, const journal_record_t *record, bool whole)
{
    char time[JOURNAL_TIME_SIZE];
    json_object_set_new(object, "key_kept_until",
                        json_string(journal_time_text(record->reply.kept_until_ms, time)));
    if (whole) {
        set_hexadecimal(object, "key_hash", fabric_bytes(record->key_hash, STORE_KEY_BYTES));
    }
}

static json_t *event_list(const journal_record_t *record)
{
    json_t *list = json_array();
    journal_events_reader_t reader = journal_events_open(&record->events);
    store_event_t event = {.sequence = 0};
    while (journal_events_next(&reader, &event)) {
        json_t *object = json_object();
        set_number(object, "sequence", event.sequence);
        set_name(object, "tag", event.tag);
        set_number(object, "version", event.version);
        set_hexadecimal(object, "payload", event.payload);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *outgoing_list(const journal_record_t *record)
{
    json_t *list = json_array();
    journal_outgoing_reader_t reader = journal_outgoing_open(&record->outgoing);
    store_outgoing_t message = {.flags = 0};
    while (journal_outgoing_next(&reader, &message)) {
        json_t *object = json_object();
        set_number(object, "index", message.key.index);
        set_name(object, "type", message.type);
        set_name(object, "entity", message.entity);
        set_name(object, "tag", message.tag);
        set_hexadecimal(object, "payload", message.payload);
        set_hexadecimal(object, "primary_key", message.primary_key);
        set_hexadecimal(object, "headers", message.headers);
        set_number(object, "flags", message.flags);
        set_number(object, "shard", message.shard.value);
        if (message.deliver_at_ms) {
            char time[JOURNAL_TIME_SIZE];
            json_object_set_new(object, "deliver_at",
                                json_string(journal_time_text(message.deliver_at_ms, time)));
        }
        json_array_append_new(list, object);
    }
    return list;
}

static void set_outgoing(json_t *object, const journal_record_t *record, bool whole)
{
    if (record->outgoing.count == 0) {
        return;
    }
    set_number(object, "outgoing_id", record->outgoing.id);
    set_number(object, "outgoing_count", record->outgoing.count);
    if (whole) {
        set_name(object, "tag", record->outgoing.tag);
        set_name(object, "traceparent", record->outgoing.traceparent);
        json_object_set_new(object, "outgoing", outgoing_list(record));
    }
}

static void set_sent(json_t *object, const journal_record_t *record, bool whole)
{
    set_number(object, "outgoing_id", record->sent.id);
    set_number(object, "end_count", record->sent.count);
    if (!whole) {
        return;
    }
    json_t *list = json_array();
    journal_sent_reader_t reader = journal_sent_open(&record->sent);
    store_sent_t end;
    while (journal_sent_next(&reader, &end)) {
        json_t *item = json_object();
        set_number(item, "index", end.index);
        set_number(item, end.cause ? "dead_letter" : "accepted", end.id.value);
        set_error(item, "cause", end.cause);
        json_array_append_new(list, item);
    }
    json_object_set_new(object, "ends", list);
}

/* The state and the events that a handler has left. */
static void set_effects(json_t *object, const journal_record_t *record, bool whole)
{
    const store_state_t *state = &record->state;
    if (state->type.size == 0) {
        return;
    }
    set_name(object, "type", state->type);
    set_name(object, "entity", state->entity);
    if (state->state.size > 0) {
        set_number(object, "state_version", state->version);
        set_number(object, "state_bytes", state->state.size);
    }
    if (state->sequence > 0) {
        set_number(object, "state_sequence", state->sequence);
    }
    if (record->events.count > 0) {
        set_number(object, "first_event", record->events.first);
        set_number(object, "event_count", record->events.count);
        if (whole) {
            json_object_set_new(object, "events", event_list(record));
        }
    }
}

static void set_fields(json_t *object, const journal_record_t *record, bool whole)
{
    switch (record->kind) {
    case RECORD_ADOPT:
        set_name(object, "name", record->name);
        set_incarnation(object, "broker", record->broker);
        break;
    case RECORD_ALIVE:
        set_name(object, "type", record->kept.type);
        set_name(object, "entity", record->kept.entity);
        set_number(object, "causes", record->kept.causes);
        break;
    case RECORD_MESSAGE:
    case RECORD_MOVE:
        set_message(object, &record->message, whole);
        if (whole || record->position != record->id.value) {
            set_number(object, "position", record->position);
        }
        if (whole) {
            set_attempts(object, record->attempts);
        }
        break;
    case RECORD_RESULT:
        set_call(object, record->call);
        set_reply(object, &record->reply, whole);
        if (record->key_hash) {
            set_key(object, record, whole);
        }
        set_effects(object, record, whole);
        set_outgoing(object, record, whole);
        break;
    case RECORD_SENT:
        set_sent(object, record, whole);
        break;
    case RECORD_ATTEMPT:
        set_attempts(object, record->attempts);
        break;
    case RECORD_DEAD:
        set_message(object, &record->message, whole);
        set_error(object, "cause", record->cause);
        set_name(object, "text", record->text);
        set_attempts(object, record->attempts);
        set_reply(object, &record->reply, whole);
        break;
    case RECORD_CLEAR:
        set_name(object, "type", record->message.type);
        set_name(object, "entity", record->message.entity);
        break;
    }
}

static json_t *object_of(journal_read_t read, const journal_record_t *record, bool whole)
{
    json_t *object = json_object();
    json_object_set_new(object, "kind", json_string(journal_record_kind_name(record->kind)));
    if (read == JOURNAL_READ_UNKNOWN) {
        set_number(object, "unknown_kind", record->kind);
    }
    if (read == JOURNAL_READ_DAMAGED) {
        json_object_set_new(object, "damaged", json_true());
    }
    if (record->kind != RECORD_ADOPT) {
        if (record->kind != RECORD_ALIVE) {
            set_number(object, "id", record->id.value);
        }
        set_hash(object, record->entity_hash);
    }
    if (read == JOURNAL_READ_RECORD) {
        if (whole && record->kind != RECORD_ADOPT) {
            set_number(object, "shard", record->shard.value);
        }
        set_fields(object, record, whole);
    }
    return object;
}

/* ---- lines ---- */

static void print_value(FILE *file, const char *key, const json_t *value)
{
    if (json_is_string(value)) {
        fprintf(file, "%s=%s", key, json_string_value(value));
    } else if (json_is_integer(value)) {
        fprintf(file, "%s=%" JSON_INTEGER_FORMAT, key, json_integer_value(value));
    } else {
        fputs(key, file);
    }
}

/* Each item by itself, with all of its members. The first one, its number, is called by what it
 * numbers. */
static void print_list(FILE *file, const char *name, json_t *list, const char *between)
{
    size_t index;
    json_t *item;
    const char *one = strcmp(name, "events") == 0 ? "event"
                      : strcmp(name, "ends") == 0 ? "end"
                                                  : name;
    json_array_foreach(list, index, item)
    {
        const char *key;
        json_t *value;
        bool first = true;
        json_object_foreach(item, key, value)
        {
            fputs(first ? between : " ", file);
            print_value(file, first ? one : key, value);
            first = false;
        }
    }
}

/* " key=value" for each member, but for the first, which is the kind. */
static void print_members(FILE *file, json_t *object, const char *between)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, "kind") == 0) {
            continue;
        }
        if (json_is_array(value)) {
            print_list(file, key, value, between);
        } else {
            fputs(between, file);
            print_value(file, key, value);
        }
    }
}

static void print_json(FILE *file, json_t *object, unsigned indent)
{
    char *text = json_text(object, indent);
    fprintf(file, "%s\n", text);
    free(text);
}

/* Ends the object. */
static void print_line(const journal_printer_t *printer, const store_entry_t *entry, json_t *object)
{
    char time[JOURNAL_TIME_SIZE];
    journal_time_text(entry->created_ms, time);
    if (printer->json) {
        json_t *line = json_object();
        set_number(line, "lane", entry->lane);
        set_number(line, "number", entry->number);
        json_object_set_new(line, "time", json_string(time));
        set_number(line, "epoch", entry->epoch);
        json_object_update(line, object);
        print_json(printer->file, line, 0);
        json_decref(line);
    } else {
        fprintf(printer->file, "%u/%" PRIu64 " %s %s", entry->lane, entry->number, time,
                json_string_value(json_object_get(object, "kind")));
        print_members(printer->file, object, " ");
        fputc('\n', printer->file);
    }
    json_decref(object);
}

static json_t *unreadable(const reason_t *reason)
{
    return json_pack("{s:s, s:s}", "kind", "UNREADABLE", "reason", reason->text);
}

void journal_print_records(const journal_printer_t *printer, const store_entry_t *entry)
{
    journal_reader_t reader;
    reason_t reason = {{0}};
    if (journal_reader_open(&reader, entry->body, &reason) != FABRIC_OK) {
        print_line(printer, entry, unreadable(&reason));
        return;
    }
    for (;;) {
        journal_record_t record;
        journal_read_t read = journal_read_next(&reader, &record);
        if (read == JOURNAL_READ_END) {
            return;
        }
        if (filter_takes(printer->filter, read, &record)) {
            print_line(printer, entry, object_of(read, &record, false));
        }
    }
}

/* ---- one entry ---- */

static json_t *columns_of(const store_entry_t *entry)
{
    char time[JOURNAL_TIME_SIZE];
    json_t *object = json_object();
    set_number(object, "lane", entry->lane);
    set_number(object, "number", entry->number);
    set_number(object, "epoch", entry->epoch);
    set_incarnation(object, "incarnation", entry->incarnation);
    set_number(object, "last_id", entry->last_id);
    json_object_set_new(object, "time", json_string(journal_time_text(entry->created_ms, time)));
    set_number(object, "log_bytes", entry->log_bytes);
    json_object_set_new(object, "adopt", json_boolean(entry->adopt));
    json_object_set_new(object, "sound", json_boolean(journal_entry_is_sound(entry)));
    set_number(object, "calls_bytes", entry->calls.size);
    set_number(object, "body_bytes", entry->body.size);
    return object;
}

static json_t *records_of(const store_entry_t *entry)
{
    journal_reader_t reader;
    reason_t reason = {{0}};
    json_t *records = json_array();
    if (journal_reader_open(&reader, entry->body, &reason) != FABRIC_OK) {
        json_array_append_new(records, unreadable(&reason));
        return records;
    }
    for (;;) {
        journal_record_t record;
        journal_read_t read = journal_read_next(&reader, &record);
        if (read == JOURNAL_READ_END) {
            return records;
        }
        json_array_append_new(records, object_of(read, &record, true));
    }
}

static void print_columns(FILE *file, json_t *columns)
{
    const char *key;
    json_t *value;
    json_object_foreach(columns, key, value)
    {
        if (json_is_string(value)) {
            fprintf(file, "%-12s %s\n", key, json_string_value(value));
        } else if (json_is_integer(value)) {
            fprintf(file, "%-12s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
        } else {
            fprintf(file, "%-12s %s\n", key, json_is_true(value) ? "yes" : "no");
        }
    }
}

void journal_print_entry(const journal_printer_t *printer, const store_entry_t *entry)
{
    json_t *columns = columns_of(entry);
    json_t *records = records_of(entry);
    if (printer->json) {
        json_object_set(columns, "records", records);
        print_json(printer->file, columns, 2);
    } else {
        size_t index;
        json_t *record;
        print_columns(printer->file, columns);
        json_array_foreach(records, index, record)
        {
            fprintf(printer->file, "\nrecord %zu: %s", index,
                    json_string_value(json_object_get(record, "kind")));
            print_members(printer->file, record, "\n  ");
            fputc('\n', printer->file);
        }
    }
    json_decref(records);
    json_decref(columns);
}
