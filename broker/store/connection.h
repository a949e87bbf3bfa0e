/* One connection of a store actor to the database, and how it goes on when the database is busy or
 * gone. Each operation of an actor is a loop:
 *
 *     do {
 *         error = connection_require(connection);            // SHUTTING_DOWN: give up
 *         error = error ? error : call of the store;
 *     } while (connection_goes_on(connection, error));
 *
 * The logic knows the store port, but no socket, thread or clock: time, sleep and chance come
 * through store_world_t, so that tests run it in virtual time.
 *
 * Threading: belongs to one thread at a time.
 */
#ifndef BROKER_STORE_CONNECTION_H
#define BROKER_STORE_CONNECTION_H

#include "core/store.h"

#define CONNECTION_BUSY_TRIES_MAX 10u /* in a row, before the connection counts as broken */
#define CONNECTION_BACKOFF_MS     20u /* first wait, after a second failure in a row */
/* Longest wait: calls are to go on within a second of the database. */
#define CONNECTION_BACKOFF_MAX_MS 250u

typedef struct store_world {
    void *context;
    uint64_t (*now_ms)(void *context);  /* monotonic */
    int64_t (*store_ms)(void *context); /* the database's Unix time, carried on */
    void (*sleep)(void *context,
                  uint32_t wait_ms); /* at most so long; less once stopping() is true */
    uint32_t (*random)(void *context);
    /* Whether to give up: true for good once it is true. */
    bool (*stopping)(void *context);
    /* Told when the database stops serving, with `cause` what it said last, again when it says
     * something else, and when it serves again (`cause` is NULL then). NULL: nobody wants to
     * know. */
    void (*available)(void *context, bool available, const char *cause);
} store_world_t;

/* The texts must outlive the actor. */
typedef struct connection_config {
    const store_driver_t *const *drivers; /* NULL-terminated */
    store_options_t options;              /* exclusive: false */
} connection_config_t;

typedef struct connection {
    connection_config_t config;
    store_world_t world;
    store_t *store;      /* NULL: broken, or never opened */
    uint64_t opened;     /* how many times */
    uint32_t busy;       /* answers in a row */
    uint32_t backoff_ms; /* before the next attempt to connect */
    bool is_unavailable;
    reason_t cause; /* why it is: what the world was told last */
} connection_t;

void connection_init(connection_t *connection, const connection_config_t *config,
                     const store_world_t *world);
/* Closes it. */
void connection_clear(connection_t *connection);

/* Connects once. What store_open answers. */
FABRIC_MUST_USE fabric_error_t connection_open(connection_t *connection, reason_t *reason);
/* Connects if it is broken, until that works: then `connection->store` is set. SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t connection_require(connection_t *connection);
/* Whether the call that was answered so is to be run again. STORE_BUSY: after a pause, on the same
 * connection for a bounded number of times, unless the actor is to stop. STORE_UNAVAILABLE,
 * STORE_UNKNOWN: on a new connection. Any other answer is the caller's; OK shows that the database
 * serves. */
bool connection_goes_on(connection_t *connection, fabric_error_t error);
/* As after STORE_UNAVAILABLE, for an answer that makes no sense. */
void connection_break(connection_t *connection, fabric_error_t error);
/* Sleeps between half and all of `longest_ms`, by chance. */
void connection_pause(const connection_t *connection, uint32_t longest_ms);

static inline bool connection_is_stopping(const connection_t *connection)
{
    return connection->world.stopping(connection->world.context);
}

#endif
