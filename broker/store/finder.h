/* The finder: looks calls up in a lane's journal by their call keys, and primary keys in their
 * rows, on a database connection of its own, so that appends and checkpoints go on meanwhile.
 *
 * A look-up of calls reads the `calls` of entries from the newest one down to their floor, then the
 * records of the calls that it found, and the purged mark LAST: an entry that was purged meanwhile
 * had raised the mark before. How far down the look-up came is part of the answer: the floor, or
 * the bound of bytes or time, or the purged mark, whichever is highest. What was not found above
 * that is not in the store. Rows are not searched: a pending message's entry is purged only
 * together with raising the mark. The answer also has the highest id below which something is lost,
 * purged or damaged: what was not looked at above it, for a bound, may be found another time.
 *
 * Threading: belongs to one thread at a time.
 */
#ifndef BROKER_STORE_FINDER_H
#define BROKER_STORE_FINDER_H

#include "broker/message_record.h"
#include "broker/store/connection.h"

typedef struct finder_config {
    connection_config_t connection;
    uint32_t page_entries;     /* of one reading call */
    uint64_t page_bytes;       /* the same */
    uint64_t calls_bytes_max;  /* of `calls` that one look-up reads */
    uint64_t bodies_bytes_max; /* of entries that it reads whole */
    uint32_t time_max_ms;
} finder_config_t;

/* Fills in the numbers. */
void finder_config_defaults(finder_config_t *config);

/* A message that was found: in state NEW where it is pending, else ENDED with its reply and without
 * its contents. */
typedef struct finder_found {
    message_t *message;
    uint64_t contents; /* journal_contents_hash; 0: the record of the end is damaged */
} finder_found_t;

typedef struct finder_answer {
    finder_found_t *found; /* malloc'ed */
    size_t count;
    request_id_t reached; /* every message with a larger id was looked at; the floor: all */
    request_id_t lost;    /* no message with a larger id is purged or damaged */
    store_key_t *keys;    /* malloc'ed, with their payloads: of finder_find_keys */
    size_t key_count, key_capacity;
    store_key_name_t *listed; /* malloc'ed: of finder_list_keys */
    size_t listed_count, listed_capacity;
    bool listed_all; /* there are no more keys */
} finder_answer_t;

void finder_answer_clear(finder_answer_t *answer);

typedef struct finder finder_t;

/* Connects at the first look-up. */
finder_t *finder_new(const finder_config_t *config, const store_world_t *world);
void finder_destroy(finder_t **finder);

/* OK, with an answer that the caller clears. Any error leaves no answer; the next look-up connects
 * again. SHUTTING_DOWN: told to stop. */
FABRIC_MUST_USE fabric_error_t finder_find(finder_t *finder, uint32_t lane, request_id_t floor,
                                           const call_key_t *calls, size_t call_count,
                                           finder_answer_t *answer);

/* Adds the rows of these primary keys to the answer, which is zeroed or that of finder_find. The
 * same errors. */
FABRIC_MUST_USE fabric_error_t finder_find_keys(finder_t *finder, uint32_t lane,
                                                const store_key_name_t *names, size_t count,
                                                finder_answer_t *answer);

/* The same of at most `limit` rows behind `after`, NULL: of the first ones; see
 * store_driver.list_keys. */
FABRIC_MUST_USE fabric_error_t finder_list_keys(finder_t *finder, uint32_t lane,
                                                const store_key_name_t *after, uint32_t limit,
                                                finder_answer_t *answer);

#endif
