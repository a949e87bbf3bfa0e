/* Outgoing messages of one RESULT, and their ends: see outgoing.h. */
#include "core/journal/outgoing.h"

#include "core/limits.h"

enum { MESSAGE_PARTS = 9, END_PARTS = 3 /* index, id, cause */ };

static uint32_t get_u32(wire_reader_t *reader)
{
    uint64_t value = wire_get_uint(reader);
    reader->failed |= value > UINT32_MAX;
    return (uint32_t)value;
}

/* ---- messages ---- */

void journal_outgoing_put(wire_writer_t *list, const store_outgoing_t *message)
{
    wire_put_array(list, MESSAGE_PARTS);
    wire_put_uint(list, message->shard.value);
    wire_put_str(list, message->type);
    wire_put_str(list, message->entity);
    wire_put_str(list, message->tag);
    wire_put_bin(list, message->payload);
    wire_put_bin(list, message->primary_key);
    wire_put_int(list, message->deliver_at_ms);
    wire_put_uint(list, message->flags);
    wire_put_bin(list, message->headers);
}

static fabric_bytes_t get_name(wire_reader_t *reader)
{
    fabric_bytes_t name = wire_get_str(reader);
    reader->failed |= name.size == 0 || name.size > LIMIT_NAME_BYTES_MAX;
    return name;
}

static void get_message(wire_reader_t *reader, store_outgoing_t *message)
{
    reader->failed |= wire_get_array(reader) != MESSAGE_PARTS;
    message->shard.value = get_u32(reader);
    message->type = get_name(reader);
    message->entity = get_name(reader);
    message->tag = get_name(reader);
    message->payload = wire_get_bin(reader);
    message->primary_key = wire_get_bin(reader);
    message->deliver_at_ms = wire_get_int(reader);
    message->flags = get_u32(reader);
    message->headers = wire_get_bin(reader);
    reader->failed |= message->primary_key.size > LIMIT_PRIMARY_KEY_BYTES_MAX;
}

/* Without messages there is no id. */
static bool number_fits(const journal_outgoing_t *outgoing)
{
    return outgoing->count <= STORE_OUTGOING_MAX && (outgoing->count > 0) == (outgoing->id > 0);
}

static void skip_messages(wire_reader_t *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        store_outgoing_t message;
        get_message(reader, &message);
    }
}

bool journal_outgoing_is_sound(const journal_outgoing_t *outgoing)
{
    wire_reader_t reader = wire_reader(outgoing->list);
    skip_messages(&reader, outgoing->count);
    return number_fits(outgoing) && wire_finish(&reader) == FABRIC_OK;
}

void journal_outgoing_get(wire_reader_t *reader, journal_outgoing_t *outgoing)
{
    uint32_t count = wire_get_array(reader);
    const uint8_t *begin = reader->next;
    skip_messages(reader, count);
    outgoing->count = count;
    outgoing->list = fabric_bytes(begin, (size_t)(reader->next - begin));
    reader->failed |= !number_fits(outgoing);
}

journal_outgoing_reader_t journal_outgoing_open(const journal_outgoing_t *outgoing)
{
    return (journal_outgoing_reader_t){wire_reader(outgoing->list), outgoing->count, 0,
                                       outgoing->id};
}

bool journal_outgoing_next(journal_outgoing_reader_t *reader, store_outgoing_t *message)
{
    if (reader->next == reader->count) {
        return false;
    }
    get_message(&reader->list, message);
    message->key = (store_outgoing_key_t){reader->id, reader->next++};
    return !reader->list.failed;
}

/* ---- ends ---- */

void journal_sent_put(wire_writer_t *list, const store_sent_t *end)
{
    wire_put_array(list, END_PARTS);
    wire_put_uint(list, end->index);
    wire_put_uint(list, end->id.value);
    wire_put_uint(list, end->cause);
}

static void get_end(wire_reader_t *reader, store_sent_t *end)
{
    reader->failed |= wire_get_array(reader) != END_PARTS;
    end->index = get_u32(reader);
    end->id.value = wire_get_uint(reader);
    end->cause = get_u32(reader);
    reader->failed |= end->index >= STORE_OUTGOING_MAX || end->id.value == 0;
}

static void skip_ends(wire_reader_t *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        store_sent_t end;
        get_end(reader, &end);
    }
}

static bool ends_fit(const journal_sent_t *sent)
{
    return sent->id > 0 && sent->count > 0 && sent->count <= STORE_OUTGOING_MAX;
}

bool journal_sent_is_sound(const journal_sent_t *sent)
{
    wire_reader_t reader = wire_reader(sent->list);
    skip_ends(&reader, sent->count);
    return ends_fit(sent) && wire_finish(&reader) == FABRIC_OK;
}

void journal_sent_get(wire_reader_t *reader, journal_sent_t *sent)
{
    uint32_t count = wire_get_array(reader);
    const uint8_t *begin = reader->next;
    skip_ends(reader, count);
    sent->count = count;
    sent->list = fabric_bytes(begin, (size_t)(reader->next - begin));
    reader->failed |= !ends_fit(sent);
}

journal_sent_reader_t journal_sent_open(const journal_sent_t *sent)
{
    return (journal_sent_reader_t){wire_reader(sent->list), sent->count};
}

bool journal_sent_next(journal_sent_reader_t *reader, store_sent_t *end)
{
    if (reader->left == 0) {
        return false;
    }
    get_end(&reader->list, end);
    reader->left--;
    return !reader->list.failed;
}
