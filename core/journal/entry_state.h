/* The bytes of an entry's `body` and `calls`, and of what its checksum covers. Private to
 * core/journal/; schemas/protocol.md describes the bytes.
 */
#ifndef CORE_JOURNAL_ENTRY_STATE_H
#define CORE_JOURNAL_ENTRY_STATE_H

#include "core/journal/entry.h"

enum {
    BODY_VERSION = 1,
    /* body: version, checksum of count and index, count; then the index, and the records. */
    BODY_CHECKED_AT = 1 + 8,
    BODY_HEAD_BYTES = BODY_CHECKED_AT + 4,
    /* An item of the index: offset from the index's end, kind, request id, entity's hash. */
    INDEX_KIND_AT = 4,
    INDEX_ID_AT = INDEX_KIND_AT + 1,
    INDEX_HASH_AT = INDEX_ID_AT + 8,
    INDEX_ITEM_BYTES = INDEX_HASH_AT + 8,
    /* calls: version, checksum of the items; then the items. */
    CALLS_VERSION = 1,
    CALLS_HEAD_BYTES = 1 + 8,
    /* An item: client, sequence, request id, twice the record's number plus 1 if the message
       ended. */
    CALLS_SEQUENCE_AT = 8,
    CALLS_ID_AT = CALLS_SEQUENCE_AT + 8,
    CALLS_RECORD_AT = CALLS_ID_AT + 8,
    CALLS_ITEM_BYTES = CALLS_RECORD_AT + 4
};

/* What store_entry_t.checksum is to be. */
uint64_t entry_checksum(const store_entry_t *entry);

/* Whether one of the records is of a kind that this program does not know: `kind`. */
bool entry_find_unknown_kind(const journal_reader_t *reader, unsigned *kind);

#endif
