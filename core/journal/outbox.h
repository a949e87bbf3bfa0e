/* The outgoing messages that a fold has met, less those that have ended: what its entries leave to
 * send. Private to core/journal/.
 *
 * Threading: belongs to one thread.
 */
#ifndef CORE_JOURNAL_OUTBOX_H
#define CORE_JOURNAL_OUTBOX_H

#include "core/journal/record.h"

typedef struct outbox {
    store_outgoing_t *messages;
    size_t message_count, message_capacity;
    store_outgoing_key_t *ended;
    size_t ended_count, ended_capacity;
    bool is_tidy; /* both are in order, and none of the messages has ended */
} outbox_t;

/* Those of a RESULT, in the entry with this number. */
void outbox_add(outbox_t *outbox, const journal_record_t *record, uint64_t number);
/* A SENT. */
void outbox_end(outbox_t *outbox, const journal_sent_t *sent);
/* Puts both into order, each key once, and drops the messages that have ended. */
void outbox_tidy(outbox_t *outbox);
void outbox_free(outbox_t *outbox);

#endif
