/* The tables of a testbed: see table_dump.h. */
#include "tests/checker/table_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "tests/checker/history.h"

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

static void add_message(void *context, const fabric_bytes_t *columns)
{
    table_dump_t *dump = context;
    dump->messages = grown(dump->messages, dump->message_count, sizeof *dump->messages);
    table_message_t *message = &dump->messages[dump->message_count++];
    *message = (table_message_t){.request_id = number_of(columns[0]),
                                 .key_client = number_of(columns[1]),
                                 .key_sequence = number_of(columns[2]),
                                 .tell = (number_of(columns[3]) & REQUEST_TELL) != 0,
                                 .fold = equals(columns[4], FOLD_TYPE)};
    if (message->fold) {
        message->readable = equals(columns[6], fold_append.tag) &&
                            parse_entity(columns[5], &message->entity) &&
                            fold_message_read(columns[7], &message->asked);
    }
}

static void add_reply(void *context, const fabric_bytes_t *columns)
{
    table_dump_t *dump = context;
    dump->replies = grown(dump->replies, dump->reply_count, sizeof *dump->replies);
    table_reply_t *reply = &dump->replies[dump->reply_count++];
    *reply = (table_reply_t){.request_id = number_of(columns[0]),
                             .error = (uint32_t)number_of(columns[1]),
                             .payload_hash = history_hash(columns[2].data, columns[2].size)};
    reply->readable = columns[2].size > 0 && fold_answer_read(columns[2], &reply->fold);
}

static void add_dead_letter(void *context, const fabric_bytes_t *columns)
{
    table_dump_t *dump = context;
    dump->dead_letters =
        grown(dump->dead_letters, dump->dead_letter_count, sizeof *dump->dead_letters);
    dump->dead_letters[dump->dead_letter_count++] = (table_dead_letter_t){number_of(columns[0])};
}

table_dump_t table_dump_read(testbed_t *bed)
{
    table_dump_t dump = {0};
    bool mysql = bed->database[0] != '\0';
    testbed_query_rows(bed,
                       mysql ? "SELECT request_id, call_client, call_sequence, flags, entity_type, "
                               "entity_id, tag, payload FROM mailbox ORDER BY request_id"
                             : "SELECT request_id, client, sequence, flags, entity_type, "
                               "entity_id, tag, payload FROM mailbox ORDER BY request_id",
                       add_message, &dump);
    testbed_query_rows(bed, "SELECT request_id, error, payload FROM reply WHERE sequence = 0",
                       add_reply, &dump);
    testbed_query_rows(bed, "SELECT request_id FROM dead_letter", add_dead_letter, &dump);
    return dump;
}

void table_dump_free(table_dump_t *dump)
{
    free(dump->messages);
    free(dump->replies);
    free(dump->dead_letters);
    *dump = (table_dump_t){0};
}
