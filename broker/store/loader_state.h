/* What the files of the loader share: loader.c, loader_fold.c and loader_search.c only. */
#ifndef BROKER_STORE_LOADER_STATE_H
#define BROKER_STORE_LOADER_STATE_H

#include "broker/store/loader.h"
#include "core/journal/fold.h"

/* One attempt to adopt a lane. */
typedef struct reading {
    store_t *store;
    store_hold_t hold;
    loader_fault_t *fault;
    uint64_t tail_bytes_max;
    store_lane_t row;
    store_entry_t end; /* the journal's last entry, without calls and body */
    bool end_found;
    journal_fold_t *fold;
    uint64_t tail_bytes;
    fabric_error_t error; /* of a visit */
    bool *has_row;        /* of each item of the fold, by position */
    bool *has_due_row;    /* the same of rows of scheduled messages */
    uint64_t scheduled;   /* rows of scheduled messages */
    store_backlog_t *backlogs;
    size_t backlog_count, backlog_capacity;
    store_kept_t *kept; /* see loader_kept.c */
    size_t kept_count, kept_capacity;
    uint8_t *kept_names;
    size_t kept_name_bytes, kept_name_capacity;
    store_outbox_t *outboxes; /* see loader_outgoing.c */
    size_t outbox_count, outbox_capacity;
} reading_t;

/* Which messages that the entries speak of have rows. */
FABRIC_MUST_USE fabric_error_t loader_find_rows(reading_t *reading);
/* How many rows of scheduled messages there are, and which messages that the entries speak of have
 * such rows. */
FABRIC_MUST_USE fabric_error_t loader_count_scheduled(reading_t *reading);
/* How many rows each entity has. */
FABRIC_MUST_USE fabric_error_t loader_count_rows(reading_t *reading);
/* Which entities are to be kept alive (loader_kept.c). */
FABRIC_MUST_USE fabric_error_t loader_list_kept(reading_t *reading);
/* Moves them to the adoption. */
void loader_put_kept(reading_t *reading, adoption_t *adoption);
/* Makes the adoption of what was read. */
void loader_put_together(reading_t *reading, uint32_t lanes, adoption_t *adoption);
void loader_reading_clear(reading_t *reading);
/* The last state of each entity that the entries have changed (loader_states.c). */
void loader_take_states(const reading_t *reading, adoption_t *adoption);
/* The events that the entries have (loader_events.c). */
void loader_take_events(const reading_t *reading, adoption_t *adoption);
/* How many rows of outgoing messages there are to each lane (loader_outgoing.c). */
FABRIC_MUST_USE fabric_error_t loader_list_outboxes(reading_t *reading);
/* Moves these to the adoption, with what the entries have told, and ended. */
void loader_take_outgoing(reading_t *reading, uint32_t lanes, adoption_t *adoption);

/* Add a row to the message_chain_t that `context` is: of store_driver.load_rows, and of
 * load_scheduled. */
void loader_add_row(void *context, size_t range, const store_pending_t *row);
void loader_add_scheduled(void *context, size_t range, const store_pending_t *row);

#endif
