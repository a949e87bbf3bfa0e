/* The checkpointer: see checkpointer.h. */
#include "broker/store/checkpointer.h"

#include "core/crash_point.h"

void checkpointer_init(checkpointer_t *checkpointer, const connection_config_t *config,
                       const store_world_t *world, const retention_t *retention)
{
    *checkpointer = (checkpointer_t){.retention = *retention};
    connection_init(&checkpointer->connection, config, world);
}

void checkpointer_clear(checkpointer_t *checkpointer)
{
    connection_clear(&checkpointer->connection);
}

fabric_error_t checkpointer_write(checkpointer_t *checkpointer, const store_hold_t *hold,
                                  const store_slice_t *slice)
{
    connection_t *connection = &checkpointer->connection;
    fabric_error_t error;
    do {
        error = connection_require(connection);
        if (!error) {
            CRASH_POINT(SLICE_BEFORE);
            error = connection->store->driver->checkpoint(connection->store, hold, slice);
        }
    } while (connection_goes_on(connection, error));
    if (!error) {
        CRASH_POINT(SLICE_AFTER);
    }
    return error;
}

fabric_error_t checkpointer_give_up(checkpointer_t *checkpointer, const store_hold_t *hold)
{
    connection_t *connection = &checkpointer->connection;
    fabric_error_t error;
    do {
        error = connection_require(connection);
        if (!error) {
            error = connection->store->driver->lane_give_up(connection->store, hold);
        }
    } while (connection_goes_on(connection, error));
    return error;
}

/* One transaction, which may be repeated: what is deleted is gone. */
static fabric_error_t purge_some(connection_t *connection, const store_hold_t *hold,
                                 const store_purge_t *purge, store_purged_t *purged)
{
    fabric_error_t error;
    do {
        *purged = (store_purged_t){0};
        error = connection_require(connection);
        if (!error) {
            error = connection->store->driver->purge(connection->store, hold, purge, purged);
        }
    } while (connection_goes_on(connection, error));
    return error;
}

/* The smallest outgoing id that is open in any lane. Whoever cannot tell it purges nothing for
 * time. */
static fabric_error_t find_open_id(connection_t *connection, uint64_t *id)
{
    fabric_error_t error;
    do {
        *id = 1;
        error = connection_require(connection);
        if (!error) {
            error = connection->store->driver->oldest_outgoing(connection->store, id);
        }
    } while (connection_goes_on(connection, error));
    if (error) {
        *id = 1;
    }
    return error == FABRIC_ERROR_SHUTTING_DOWN ? error : FABRIC_OK;
}

fabric_error_t checkpointer_purge(checkpointer_t *checkpointer, const store_hold_t *hold,
                                  uint64_t checkpoint, uint64_t log_bytes, store_purged_t *purged)
{
    connection_t *connection = &checkpointer->connection;
    const retention_t *retention = &checkpointer->retention;
    int64_t now_ms = connection->world.store_ms(connection->world.context);
    store_purge_t purge = {.before = checkpoint,
                           .created_before_ms = now_ms - (int64_t)retention->call_retention_ms,
                           .log_bytes_before = log_bytes > retention->lane_bytes_max
                                                   ? log_bytes - retention->lane_bytes_max
                                                   : 0,
                           .entries_max = PURGE_ENTRIES_MAX,
                           .bytes_max = PURGE_BYTES_MAX,
                           .keys_before_ms = now_ms,
                           .keys_max = PURGE_KEYS_MAX};
    *purged = (store_purged_t){0};
    bool more = true;
    /* Behind the clock: what is told from now on is accepted by entries that are younger than those
     * which go. */
    fabric_error_t error = find_open_id(connection, &purge.open_id);
    for (uint32_t i = 0; !error && more && i < PURGE_TURNS_MAX; i++) {
        store_purged_t some = {0};
        error = purge_some(connection, hold, &purge, &some);
        if (!error) {
            CRASH_POINT(PURGE_AFTER);
            purged->entries += some.entries;
            purged->bytes += some.bytes;
            purged->keys += some.keys;
            more = some.entries == PURGE_ENTRIES_MAX || some.bytes >= PURGE_BYTES_MAX ||
                   some.keys == PURGE_KEYS_MAX;
        }
    }
    return error;
}
