/* One connection of a store actor: see connection.h. */
#include "broker/store/connection.h"

#include <string.h>

void connection_init(connection_t *connection, const connection_config_t *config,
                     const store_world_t *world)
{
    *connection = (connection_t){.config = *config, .world = *world};
}

void connection_clear(connection_t *connection)
{
    store_close(&connection->store);
}

fabric_error_t connection_open(connection_t *connection, reason_t *reason)
{
    fabric_error_t error = store_open(connection->config.drivers, &connection->config.options,
                                      reason, &connection->store);
    connection->opened += error ? 0 : 1;
    return error;
}

void connection_pause(const connection_t *connection, uint32_t longest_ms)
{
    const store_world_t *world = &connection->world;
    uint32_t half = longest_ms / 2;
    world->sleep(world->context, half + world->random(world->context) % (longest_ms - half + 1));
}

static void tell(const connection_t *connection, bool available, const char *cause)
{
    if (connection->world.available) {
        connection->world.available(connection->world.context, available, cause);
    }
}

static void tell_cause(connection_t *connection, const char *cause)
{
    if (!connection->is_unavailable || strcmp(connection->cause.text, cause) != 0) {
        connection->is_unavailable = true;
        (void)reason_set(&connection->cause, FABRIC_OK, "%s", cause);
        tell(connection, false, connection->cause.text);
    }
}

static void note_success(connection_t *connection)
{
    connection->busy = 0;
    connection->backoff_ms = 0;
    if (connection->is_unavailable) {
        connection->is_unavailable = false;
        tell(connection, true, NULL);
    }
}

void connection_break(connection_t *connection, fabric_error_t error)
{
    connection->busy = 0;
    if (connection->store) {
        tell_cause(connection, store_error_text(connection->store, error));
        store_close(&connection->store);
    }
}

/* The first attempt follows at once. */
static void wait_before_attempt(connection_t *connection)
{
    uint32_t wait_ms = connection->backoff_ms;
    if (wait_ms > 0) {
        connection_pause(connection, wait_ms);
    }
    connection->backoff_ms = wait_ms == 0                              ? CONNECTION_BACKOFF_MS
                             : wait_ms * 2 < CONNECTION_BACKOFF_MAX_MS ? wait_ms * 2
                                                                       : CONNECTION_BACKOFF_MAX_MS;
}

fabric_error_t connection_require(connection_t *connection)
{
    while (!connection->store) {
        if (connection_is_stopping(connection)) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        wait_before_attempt(connection);
        reason_t reason = {""};
        fabric_error_t error = connection_open(connection, &reason);
        if (error) {
            tell_cause(connection, reason.text[0] ? reason.text : fabric_error_meaning(error));
        }
    }
    return FABRIC_OK;
}

bool connection_goes_on(connection_t *connection, fabric_error_t error)
{
    if (!error) {
        note_success(connection);
        return false;
    }
    if (error == FABRIC_ERROR_STORE_BUSY && ++connection->busy < CONNECTION_BUSY_TRIES_MAX &&
        !connection_is_stopping(connection)) {
        connection_pause(connection, connection->busy * 2);
        return true;
    }
    bool is_broken = error == FABRIC_ERROR_STORE_BUSY || error == FABRIC_ERROR_STORE_UNAVAILABLE ||
                     error == FABRIC_ERROR_STORE_UNKNOWN;
    if (is_broken) {
        connection_break(connection, error);
    }
    return is_broken;
}
