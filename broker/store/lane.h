/* A store lane: what one database connection does for the router, one operation at a time, and how
 * it goes on when the database is busy, gone or silent about a commit.
 *
 * The logic knows the store port, but no socket, thread or clock: time, sleep and chance come
 * through lane_world_t, so that tests run it in virtual time.
 *
 * A commit comes back only when its outcome is certain:
 *   STORE_BUSY         the identical batch again, a bounded number of times with jitter, then as
 *                      unavailable
 *   STORE_UNAVAILABLE  close, connect again with growing waits, settle, run the identical batch
 *   STORE_UNKNOWN      the same: the writer row tells whether the batch is in (n + 1), is not (n),
 *                      or the database has lost commits (less)
 *   STORE_REJECTED     without the named item and what depends on it; halves where none is named
 * Until then the lane does nothing else. Only world.stopping ends its patience.
 *
 * Threading: belongs to one thread at a time.
 */
#ifndef BROKER_STORE_LANE_H
#define BROKER_STORE_LANE_H

#include "broker/message_record.h"
#include "core/store.h"

#define LANE_BUSY_TRIES_MAX 10u  /* in a row, before the connection counts as broken */
#define LANE_BACKOFF_MS     20u  /* first wait after a failed connect */
#define LANE_BACKOFF_MAX_MS 250u /* longest: calls are to go on within a second of the database */

typedef struct lane_world {
    void *context;
    /* Waits, at most this long; less once stopping() is true. */
    void (*sleep)(void *context, uint32_t wait_ms);
    uint32_t (*random)(void *context);
    /* Whether to give up: true for good once it is true. */
    bool (*stopping)(void *context);
    /* Told when the database stops serving, with `cause` what it said last, again when it says something
     * else, and when it serves again (`cause` is NULL then), which a commit that is under way shows by
     * passing: a read-only one answers, but does not serve. */
    void (*available)(void *context, bool available, const char *cause);
} lane_world_t;

typedef struct lane_config {
    const store_driver_t *const *drivers; /* NULL-terminated */
    store_options_t options;              /* exclusive: false */
    store_writer_t writer;                /* batch: as broker_join told */
} lane_config_t;

/* What could not be stored: ascending by kind of item, then by index in the batch. */
typedef struct lane_rejections {
    store_rejection_t *items; /* malloc'ed */
    size_t count;
} lane_rejections_t;

typedef struct lane lane_t;

/* The configuration's texts must outlive the lane. */
lane_t *lane_new(const lane_config_t *config, const lane_world_t *world);
void lane_destroy(lane_t **lane);

/* Connects once. What store_open answers. */
FABRIC_MUST_USE fabric_error_t lane_open(lane_t *lane, reason_t *reason);

/* OK: committed but for `rejected` (to be cleared by lane_rejections_clear, whatever is answered).
 * FENCED: nothing of what was not committed before will ever be. STORE_LOST: stop, loudly.
 * SHUTTING_DOWN: told to stop before the outcome was certain. */
FABRIC_MUST_USE fabric_error_t lane_commit(lane_t *lane, const store_batch_t *batch,
                                           lane_rejections_t *rejected);
void lane_rejections_clear(lane_rejections_t *rejected);

/* All pending messages from an id on, chained by `chain` in increasing order of id. `high_id`: no
 * message of writers fenced before has a larger id. Tries until it works. OK, FENCED, STORE_LOST, SHUTTING_DOWN.
 */
FABRIC_MUST_USE fabric_error_t lane_load(lane_t *lane, request_id_t from, message_t **messages,
                                         uint64_t *high_id);

#endif
