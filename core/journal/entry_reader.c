/* Reading entries: see entry.h. */
#include "core/hash.h"
#include "core/journal/entry_state.h"
#include "core/journal/record_state.h"

bool journal_entry_is_sound(const store_entry_t *entry)
{
    return entry->checksum == entry_checksum(entry);
}

/* ---- the body ---- */

static const uint8_t *index_item(fabric_bytes_t body, uint32_t record)
{
    return body.data + BODY_HEAD_BYTES + (size_t)record * INDEX_ITEM_BYTES;
}

/* The record's bytes, by the index, which has been checked. */
static fabric_bytes_t record_bytes(const journal_reader_t *reader, uint32_t record)
{
    const uint8_t *records = index_item(reader->body, reader->count);
    size_t size = (size_t)(reader->body.data + reader->body.size - records);
    size_t begin = load_u32(index_item(reader->body, record));
    size_t end = record + 1 < reader->count ? load_u32(index_item(reader->body, record + 1)) : size;
    return fabric_bytes(records + begin, end - begin);
}

/* Whether the offsets leave at least a head for each record, and nothing between them. */
static bool offsets_fit(const journal_reader_t *reader)
{
    size_t least = 0;
    for (uint32_t i = 0; i < reader->count; i++) {
        size_t offset = load_u32(index_item(reader->body, i));
        if (offset < least || (i == 0 && offset != 0)) {
            return false;
        }
        least = offset + RECORD_HEAD_BYTES;
    }
    return least <= reader->body.size - BODY_HEAD_BYTES - (size_t)reader->count * INDEX_ITEM_BYTES;
}

fabric_error_t journal_reader_open(journal_reader_t *reader, fabric_bytes_t body, reason_t *reason)
{
    if (body.size == 0) {
        *reader = (journal_reader_t){.body = body};
        return FABRIC_OK;
    }
    if (body.data[0] != BODY_VERSION) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "the body has version %u, which this release does not know",
                          body.data[0]);
    }
    if (body.size < BODY_HEAD_BYTES) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "the body has %zu bytes, which is less than its head", body.size);
    }
    journal_reader_t opened = {body, load_u32(body.data + BODY_CHECKED_AT), 0};
    if (opened.count == 0 ||
        opened.count > (body.size - BODY_HEAD_BYTES) / (INDEX_ITEM_BYTES + RECORD_HEAD_BYTES)) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "the body's index cannot have %u records in %zu bytes", opened.count,
                          body.size);
    }
    size_t checked = 4 + (size_t)opened.count * INDEX_ITEM_BYTES;
    if (XXH3_64bits(body.data + BODY_CHECKED_AT, checked) != load_u64(body.data + 1)) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "the checksum of the body's index is wrong");
    }
    if (!offsets_fit(&opened)) {
        return reason_set(reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "the offsets in the body's index do not fit its %zu bytes", body.size);
    }
    *reader = opened;
    return FABRIC_OK;
}

bool entry_find_unknown_kind(const journal_reader_t *reader, unsigned *kind)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        *kind = index_item(reader->body, i)[INDEX_KIND_AT];
        if (!record_kind_is_known(*kind)) {
            return true;
        }
    }
    return false;
}

/* Reads a record that the index has. */
static journal_read_t read_record(const journal_reader_t *reader, uint32_t number,
                                  journal_record_t *record)
{
    const uint8_t *item = index_item(reader->body, number);
    journal_record_t indexed = {.kind = (journal_record_kind_t)item[INDEX_KIND_AT],
                                .id = {load_u64(item + INDEX_ID_AT)},
                                .entity_hash = load_u64(item + INDEX_HASH_AT)};
    if (!record_kind_is_known(indexed.kind)) {
        *record = indexed;
        return JOURNAL_READ_UNKNOWN;
    }
    if (record_decode(record_bytes(reader, number), record) != FABRIC_OK ||
        record->kind != indexed.kind || record->id.value != indexed.id.value) {
        *record = indexed;
        return JOURNAL_READ_DAMAGED;
    }
    record->entity_hash = indexed.entity_hash;
    return JOURNAL_READ_RECORD;
}

journal_read_t journal_read_next(journal_reader_t *reader, journal_record_t *record)
{
    if (reader->next == reader->count) {
        return JOURNAL_READ_END;
    }
    return read_record(reader, reader->next++, record);
}

journal_read_t journal_read_at(fabric_bytes_t body, uint32_t record, journal_record_t *result)
{
    journal_reader_t reader = {.count = 0};
    if (journal_reader_open(&reader, body, NULL) != FABRIC_OK) {
        *result = (journal_record_t){.kind = (journal_record_kind_t)0};
        return JOURNAL_READ_DAMAGED;
    }
    return record < reader.count ? read_record(&reader, record, result) : JOURNAL_READ_END;
}

/* ---- calls ---- */

journal_calls_reader_t journal_calls_open(fabric_bytes_t calls)
{
    if (calls.size == 0) {
        return (journal_calls_reader_t){calls, false};
    }
    if (calls.size > CALLS_HEAD_BYTES && calls.data[0] == CALLS_VERSION) {
        fabric_bytes_t items =
            fabric_bytes(calls.data + CALLS_HEAD_BYTES, calls.size - CALLS_HEAD_BYTES);
        if (items.size % CALLS_ITEM_BYTES == 0 &&
            XXH3_64bits(items.data, items.size) == load_u64(calls.data + 1)) {
            return (journal_calls_reader_t){items, false};
        }
    }
    return (journal_calls_reader_t){{NULL, 0}, true};
}

bool journal_calls_next(journal_calls_reader_t *reader, journal_call_t *call, bool *damaged)
{
    *damaged = reader->damaged;
    if (reader->rest.size == 0) {
        return false;
    }
    const uint8_t *item = reader->rest.data;
    uint32_t record = load_u32(item + CALLS_RECORD_AT);
    *call = (journal_call_t){.call = {load_u64(item), load_u64(item + CALLS_SEQUENCE_AT)},
                             .id = {load_u64(item + CALLS_ID_AT)},
                             .ended = record & 1,
                             .clears = load_u64(item + CALLS_SEQUENCE_AT) == 0,
                             .record = record >> 1};
    reader->rest = fabric_bytes(item + CALLS_ITEM_BYTES, reader->rest.size - CALLS_ITEM_BYTES);
    return true;
}
