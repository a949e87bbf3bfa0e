/* What the tests of core/journal/ share: random messages and entries, and what was read as text.
 *
 * Text that a function returns is the caller's to free().
 */
#ifndef TESTS_UNIT_JOURNAL_SAMPLES_H
#define TESTS_UNIT_JOURNAL_SAMPLES_H

#include "core/journal/entry.h"

/* A message of random contents and lengths, none of them large, by rand(). Its views are valid for
 * ever: they point into one pool. */
store_message_t journal_sample_message(uint64_t id);
store_reply_t journal_sample_reply(const store_message_t *message);
/* At most `size_max` random bytes of the pool; as many can be read. */
fabric_bytes_t journal_sample_bytes(size_t size_max);

/* Random events, in the list. */
journal_events_t journal_sample_events(wire_writer_t *list, uint32_t count);

/* Random outgoing messages, in the list, and ends of some. */
journal_outgoing_t journal_sample_outgoing(wire_writer_t *list, uint32_t count);
journal_sent_t journal_sample_sent(wire_writer_t *list, uint32_t count);

/* Puts a record of a random kind about the message and returns its text as one that was read. */
char *journal_sample_put(journal_writer_t *writer, const store_message_t *message);

/* A row of lane 3 with the writer's records. */
store_entry_t journal_sample_entry(journal_writer_t *writer, uint64_t number);

/* "RESULT;id=7;..." as in schemas/vectors/journal.txt. Of DAMAGED and UNKNOWN only what is known.
 */
char *journal_record_text(journal_read_t read, const journal_record_t *record);
/* All records of a body, with "|" between them; the error's name where it cannot be read. */
char *journal_body_text(fabric_bytes_t body);
char *journal_calls_text(fabric_bytes_t calls);
/* A row of a journal, written as one msgpack array: checksum, columns, calls and body. */
char *journal_entry_text(fabric_bytes_t row);
/* The error's name where the bytes are no record. */
char *journal_lone_record_text(fabric_bytes_t record);

/* Reads such an array; false where it is none. */
bool journal_sample_read_row(fabric_bytes_t row, store_entry_t *entry);

#endif
