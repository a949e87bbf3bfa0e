/* A finder: looks calls up in the store by their keys, on a database connection of its own, so that the
 * lanes go on committing meanwhile.
 *
 * The mailbox has no index of call keys. A look-up reads it from the newest message down to the calls'
 * floor, in pages, until it has looked at so many rows, for so long, or found so many bytes; how far down
 * it came is part of the answer. What it did not find above that is not in the store.
 *
 * The logic knows the store port, but no socket, thread or clock: time comes through finder_world_t.
 *
 * Threading: belongs to one thread at a time.
 */
#ifndef BROKER_STORE_FINDER_H
#define BROKER_STORE_FINDER_H

#include "broker/message_record.h"
#include "core/store.h"

typedef struct finder_world {
    void *context;
    uint64_t (*now_ms)(void *context); /* monotonic */
    /* Whether to give up: true for good once it is true. */
    bool (*stopping)(void *context);
} finder_world_t;

typedef struct finder_config {
    const store_driver_t *const *drivers; /* NULL-terminated */
    store_options_t options;              /* exclusive: false */
    uint32_t page_rows;                   /* of one query */
    uint64_t rows_max;
    uint32_t time_max_ms;
    uint64_t bytes_max; /* of the messages found, with their replies */
} finder_config_t;

/* Fills in the numbers. */
void finder_config_defaults(finder_config_t *config);

/* What a look-up found. */
typedef struct finder_answer {
    message_t
        *messages; /* chained by `chain`, in state ENDED with `reply` where they have theirs */
    request_id_t reached; /* every message with a larger id was looked at; the floor: all */
    uint64_t high_id;     /* no writer has given a larger id to any of them; 0: there are none */
} finder_answer_t;

typedef struct finder finder_t;

/* Connects at the first look-up. The configuration's texts must outlive it. */
finder_t *finder_new(const finder_config_t *config, const finder_world_t *world);
void finder_destroy(finder_t **finder);

/* OK, with an answer whose messages belong to the caller. Any error leaves no answer; the next look-up
 * connects again. SHUTTING_DOWN: told to stop. */
FABRIC_MUST_USE fabric_error_t finder_find(finder_t *finder, request_id_t floor,
                                           const call_key_t *calls, size_t call_count,
                                           finder_answer_t *answer);

#endif
