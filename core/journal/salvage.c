/* What can still be read of a body without its index. Each record has a length and a checksum, so
 * records are found wherever they begin. */
#include "core/journal/entry_state.h"
#include "core/journal/record_state.h"

/* The entity's hash of a RESULT, ATTEMPT or SENT stands in the index only: it is taken from any
 * item that names the record; 0: there is none. */
static uint64_t find_hash(fabric_bytes_t body, const journal_record_t *record)
{
    for (size_t at = BODY_HEAD_BYTES; at + INDEX_ITEM_BYTES <= body.size; at += INDEX_ITEM_BYTES) {
        const uint8_t *item = body.data + at;
        if (item[INDEX_KIND_AT] == record->kind &&
            load_u64(item + INDEX_ID_AT) == record->id.value) {
            return load_u64(item + INDEX_HASH_AT);
        }
    }
    return 0;
}

size_t journal_salvage(journal_writer_t *writer, fabric_bytes_t body)
{
    size_t count = 0;
    size_t at = 0;
    while (at + RECORD_HEAD_BYTES <= body.size) {
        journal_record_t record;
        size_t left = body.size - at;
        size_t size = RECORD_LENGTH_BYTES + (size_t)load_u32(body.data + at);
        fabric_bytes_t bytes = fabric_bytes(body.data + at, size);
        if (size > left || journal_record_decode(bytes, &record) != FABRIC_OK) {
            at++;
            continue;
        }
        bool is_named = record.kind == RECORD_RESULT && record.state.type.size > 0;
        if (!is_named && (record.kind == RECORD_RESULT || record.kind == RECORD_ATTEMPT ||
                          record.kind == RECORD_SENT)) {
            record.entity_hash = find_hash(body, &record);
        }
        journal_put_record(writer, bytes, &record);
        count++;
        at += size;
    }
    return count;
}
