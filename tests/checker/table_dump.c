/* The tables of a testbed: see table_dump.h. */
#include "tests/checker/table_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "tests/checker/history.h"
#include "tests/checker/journal_audit.h"

/* Room for one more; `size` is that of an item. */
static void *grown(void *items, size_t count, size_t size)
{
    if (count & (count - 1)) { /* room is a power of two */
        return items;
    }
    void *memory = realloc(items, (count ? 2 * count : 1) * size);
    if (!memory) {
        abort();
    }
    return memory;
}

static uint64_t number_of(fabric_bytes_t column)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)column.size, (const char *)column.data);
    return strtoull(text, NULL, 10); /* SQLite's negative ones become what they were */
}

static bool equals(fabric_bytes_t bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static bool parse_entity(fabric_bytes_t id, uint32_t *entity)
{
    char text[32];
    char same[32];
    snprintf(text, sizeof text, "%.*s", (int)id.size, (const char *)id.data);
    bool parsed = sscanf(text, FOLD_ID, entity) == 1;
    snprintf(same, sizeof same, FOLD_ID, *entity);
    return parsed && equals(id, same);
}

static void add_message(table_dump_t *dump, const decoded_record_t *record)
{
    dump->messages = grown(dump->messages, dump->message_count, sizeof *dump->messages);
    table_message_t *message = &dump->messages[dump->message_count++];
    *message = (table_message_t){.request_id = record->id,
                                 .key_client = record->client,
                                 .key_sequence = record->sequence,
                                 .id_hash = history_hash(record->entity.data, record->entity.size),
                                 .tell = (record->flags & REQUEST_TELL) != 0,
                                 .fold = equals(record->type, FOLD_TYPE)};
    if (message->fold) {
        message->readable = equals(record->tag, fold_append.tag) &&
                            parse_entity(record->entity, &message->entity) &&
                            fold_message_read(record->payload, &message->asked);
    }
}

static void add_reply(table_dump_t *dump, const decoded_record_t *record)
{
    dump->replies = grown(dump->replies, dump->reply_count, sizeof *dump->replies);
    table_reply_t *reply = &dump->replies[dump->reply_count++];
    *reply = (table_reply_t){.request_id = record->id,
                             .status = (uint32_t)record->status,
                             .error = (uint32_t)record->error,
                             .payload_hash = history_hash(record->reply.data, record->reply.size)};
    reply->readable = record->reply.size > 0 && fold_answer_read(record->reply, &reply->fold);
}

static void add_dead_letter(table_dump_t *dump, const decoded_record_t *record)
{
    dump->dead_letters =
        grown(dump->dead_letters, dump->dead_letter_count, sizeof *dump->dead_letters);
    dump->dead_letters[dump->dead_letter_count++] = (table_dead_letter_t){record->id};
}

static void take_record(void *context, uint32_t number, const decoded_record_t *record)
{
    table_dump_t *dump = context;
    (void)number;
    if (record->kind == DECODED_MESSAGE) {
        add_message(dump, record);
    } else if (record->kind == DECODED_RESULT || record->kind == DECODED_DEAD) {
        add_reply(dump, record);
    }
    if (record->kind == DECODED_DEAD) {
        add_dead_letter(dump, record);
    }
}

static void take_fault(void *context, const char *text)
{
    table_dump_t *dump = context;
    dump->faults = grown(dump->faults, dump->fault_count, sizeof *dump->faults);
    table_fault_t *fault = &dump->faults[dump->fault_count++];
    snprintf(fault->text, sizeof fault->text, "%s", text);
}

/* ---- rows ---- */

static void audit_checkpoint(void *context, const fabric_bytes_t *columns)
{
    journal_audit_checkpoint(context, number_of(columns[0]), number_of(columns[1]),
                             number_of(columns[2]));
}

static void audit_entry(void *context, const fabric_bytes_t *columns)
{
    decoded_row_t row = {.lane = number_of(columns[0]),
                         .number = number_of(columns[1]),
                         .epoch = number_of(columns[2]),
                         .incarnation = columns[3],
                         .last_id = number_of(columns[4]),
                         .created_ms = (int64_t)number_of(columns[5]),
                         .log_bytes = number_of(columns[6]),
                         .checksum = number_of(columns[7]),
                         .adopt = number_of(columns[8]) != 0,
                         .calls = columns[9],
                         .body = columns[10]};
    journal_audit_entry(context, &row);
}

static void audit_pending(void *context, const fabric_bytes_t *columns)
{
    audit_pending_t row = {.lane = number_of(columns[0]),
                           .position = number_of(columns[1]),
                           .entity_hash = number_of(columns[2]),
                           .request_id = number_of(columns[3]),
                           .number = number_of(columns[4]),
                           .body = columns[5]};
    journal_audit_pending(context, &row);
}

static void audit_dead(void *context, const fabric_bytes_t *columns)
{
    journal_audit_dead(context, number_of(columns[0]), number_of(columns[1]), columns[2]);
}

static void audit_kept(void *context, const fabric_bytes_t *columns)
{
    audit_kept_t row = {.lane = number_of(columns[0]),
                        .type = columns[1],
                        .entity = columns[2],
                        .shard = number_of(columns[3]),
                        .number = number_of(columns[4]),
                        .causes = number_of(columns[5])};
    journal_audit_kept(context, &row);
}

typedef struct states {
    journal_audit_t *audit;
    size_t count;
} states_t;

static void audit_state(void *context, const fabric_bytes_t *columns)
{
    states_t *states = context;
    audit_state_t row = {.lane = number_of(columns[0]),
                         .type = columns[1],
                         .entity = columns[2],
                         .shard = number_of(columns[3]),
                         .number = number_of(columns[4]),
                         .version = number_of(columns[5]),
                         .sequence = number_of(columns[6]),
                         .state = columns[7]};
    states->count++;
    journal_audit_state(states->audit, &row);
}

static void audit_event(void *context, const fabric_bytes_t *columns)
{
    audit_event_t row = {.lane = number_of(columns[0]),
                         .type = columns[1],
                         .entity = columns[2],
                         .sequence = number_of(columns[3]),
                         .shard = number_of(columns[4]),
                         .number = number_of(columns[5]),
                         .request_id = number_of(columns[6]),
                         .recorded_ms = (int64_t)number_of(columns[7]),
                         .tag = columns[8],
                         .version = number_of(columns[9]),
                         .payload = columns[10]};
    journal_audit_event(context, &row);
}

static void audit_outgoing(void *context, const fabric_bytes_t *columns)
{
    audit_outgoing_t row = {.lane = number_of(columns[0]),
                            .outgoing_id = number_of(columns[1]),
                            .index = number_of(columns[2]),
                            .number = number_of(columns[3]),
                            .source = number_of(columns[4]),
                            .source_shard = number_of(columns[5]),
                            .source_type = columns[6],
                            .source_entity = columns[7],
                            .source_tag = columns[8],
                            .target_lane = number_of(columns[9]),
                            .told = {.shard = number_of(columns[10]),
                                     .type = columns[11],
                                     .entity = columns[12],
                                     .tag = columns[13],
                                     .flags = number_of(columns[14]),
                                     .payload = columns[15],
                                     .primary_key = columns[16],
                                     .headers = columns[17],
                                     .deliver_at_ms = (int64_t)number_of(columns[18])},
                            .traceparent = columns[19]};
    journal_audit_outgoing(context, &row);
}

table_dump_t table_dump_read(testbed_t *bed)
{
    table_dump_t dump = {0};
    audit_listener_t listener = {take_record, take_fault, &dump};
    journal_audit_t *audit = journal_audit_new(&listener);
    testbed_query_rows(bed, "SELECT lane, number, begun FROM checkpoint", audit_checkpoint, audit);
    testbed_query_rows(bed,
                       "SELECT lane, number, epoch, incarnation, last_id, created_ms, log_bytes, "
                       "checksum, adopt, calls, body FROM journal ORDER BY lane, number",
                       audit_entry, audit);
    testbed_query_rows(bed,
                       "SELECT lane, position, entity_hash, request_id, number, body FROM pending",
                       audit_pending, audit);
    testbed_query_rows(bed, "SELECT lane, request_id, body FROM dead_letter", audit_dead, audit);
    testbed_query_rows(bed, "SELECT lane, type, entity, shard, number, causes FROM kept_alive",
                       audit_kept, audit);
    states_t states = {.audit = audit};
    testbed_query_rows(bed,
                       "SELECT lane, type, entity, shard, number, version, sequence, state FROM "
                       "entity_state",
                       audit_state, &states);
    testbed_query_rows(bed,
                       "SELECT lane, type, entity, sequence, shard, number, request_id, "
                       "recorded_ms, tag, version, payload FROM event",
                       audit_event, audit);
    dump.state_count = states.count;
    testbed_query_rows(
        bed,
        "SELECT lane, outgoing_id, ordinal, number, request_id, source_shard, source_type, "
        "source_entity, source_tag, target_lane, shard, type, entity, tag, flags, payload, "
        "primary_key, headers, deliver_at_ms, traceparent FROM outbox",
        audit_outgoing, audit);
    journal_audit_end(audit);
    outbox_count_t outbox = journal_audit_outbox(audit);
    dump.told_count = outbox.told;
    dump.told_open = outbox.open;
    journal_audit_destroy(&audit);
    return dump;
}

void table_dump_free(table_dump_t *dump)
{
    free(dump->messages);
    free(dump->replies);
    free(dump->dead_letters);
    free(dump->faults);
    *dump = (table_dump_t){0};
}
