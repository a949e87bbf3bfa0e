/* A store lane: connection, settling, and loading. Commits are in lane_commit.c. */
#include "broker/store/lane_state.h"

#include <assert.h>
#include <stdlib.h>

#include "core/crash_point.h"

lane_t *lane_new(const lane_config_t *config, const lane_world_t *world)
{
    lane_t *lane = calloc(1, sizeof *lane);
    if (!lane) {
        abort();
    }
    lane->config = *config;
    lane->world = *world;
    lane->writer = config->writer;
    lane->is_available = true;
    return lane;
}

void lane_destroy(lane_t **lane)
{
    if (*lane) {
        store_close(&(*lane)->store);
        free(*lane);
        *lane = NULL;
    }
}

fabric_error_t lane_open(lane_t *lane, reason_t *reason)
{
    return store_open(lane->config.drivers, &lane->config.options, reason, &lane->store);
}

static void tell_cause(lane_t *lane, const char *cause)
{
    if (lane->is_available || strcmp(lane->cause.text, cause) != 0) {
        lane->is_available = false;
        (void)reason_set(&lane->cause, FABRIC_OK, "%s", cause);
        lane->world.available(lane->world.context, false, lane->cause.text);
    }
}

void lane_break(lane_t *lane, fabric_error_t error)
{
    if (lane->store) {
        tell_cause(lane, store_error_text(lane->store, error));
        store_close(&lane->store);
    }
}

void lane_serves(lane_t *lane)
{
    if (!lane->is_available) {
        lane->is_available = true;
        lane->world.available(lane->world.context, true, NULL);
    }
}

void lane_pause(lane_t *lane, uint32_t longest_ms)
{
    uint32_t half = longest_ms / 2;
    uint32_t wait_ms = half + lane->world.random(lane->world.context) % (longest_ms - half + 1);
    lane->world.sleep(lane->world.context, wait_ms);
}

/* Looks at the writer row: OK with `committed` telling whether the batch after writer.batch is in.
 */
static fabric_error_t settle(lane_t *lane, bool *committed)
{
    uint64_t number = 0;
    assert(lane->store);
    CRASH_POINT(SETTLE_BEFORE);
    fabric_error_t error = lane->store->driver->settle(lane->store, &lane->writer, &number);
    if (error) {
        return error;
    }
    if (number < lane->writer.batch) {
        return FABRIC_ERROR_STORE_LOST;
    }
    if (number > lane->writer.batch + 1) {
        return FABRIC_ERROR_FENCED; /* our row went on without us */
    }
    *committed = number == lane->writer.batch + 1;
    CRASH_POINT(SETTLE_AFTER);
    return FABRIC_OK;
}

static fabric_error_t connect_again(lane_t *lane)
{
    reason_t reason = {""};
    fabric_error_t error =
        store_open(lane->config.drivers, &lane->config.options, &reason, &lane->store);
    if (error) {
        tell_cause(lane, reason.text[0] ? reason.text : fabric_error_meaning(error));
    }
    return error;
}

fabric_error_t lane_recover(lane_t *lane, bool *committed)
{
    uint32_t backoff_ms = LANE_BACKOFF_MS;
    while (!lane->world.stopping(lane->world.context)) {
        fabric_error_t error = lane->store ? FABRIC_OK : connect_again(lane);
        if (!error) {
            error = settle(lane, committed);
        }
        if (!error || error == FABRIC_ERROR_FENCED || error == FABRIC_ERROR_STORE_LOST) {
            return error;
        }
        lane_break(lane, error);
        lane_pause(lane, backoff_ms);
        backoff_ms = backoff_ms * 2 < LANE_BACKOFF_MAX_MS ? backoff_ms * 2 : LANE_BACKOFF_MAX_MS;
    }
    return FABRIC_ERROR_SHUTTING_DOWN;
}

/* What is under way will show whether the database serves. */
static fabric_error_t reconnect(lane_t *lane)
{
    bool committed = false;
    fabric_error_t error = lane_recover(lane, &committed);
    /* No batch is under way between operations: one more than we know of is not ours. */
    return !error && committed ? FABRIC_ERROR_FENCED : error;
}

/* ---- reading ---- */

static void collect(void *context, const store_message_t *stored, store_tally_t tally,
                    const store_reply_t *reply)
{
    message_chain_add(context, stored, tally, reply);
    CRASH_POINT(LOAD_INSIDE);
}

static fabric_error_t read_once(lane_t *lane, request_id_t from, message_chain_t *chain,
                                uint64_t *high_id)
{
    const store_driver_t *driver = lane->store->driver;
    *chain = (message_chain_t){0};
    fabric_error_t error = driver->load_pending(lane->store, from, collect, chain);
    /* After the rows, so that none of them is above it. */
    if (!error) {
        error = driver->high_id(lane->store, high_id);
    }
    if (error) {
        message_chain_destroy(&chain->first);
    }
    return error;
}

/* Reads, trying a busy store again. Any failure leaves the lane broken. */
static fabric_error_t read_patiently(lane_t *lane, request_id_t from, message_chain_t *chain,
                                     uint64_t *high_id)
{
    fabric_error_t error = FABRIC_ERROR_STORE_UNAVAILABLE;
    for (uint32_t tries = 0; tries < LANE_BUSY_TRIES_MAX && lane->store; tries++) {
        error = read_once(lane, from, chain, high_id);
        if (error != FABRIC_ERROR_STORE_BUSY) {
            break;
        }
        lane_pause(lane, LANE_BACKOFF_MS);
    }
    if (error) {
        lane_break(lane, error);
    }
    return error;
}

fabric_error_t lane_load(lane_t *lane, request_id_t from, message_t **messages, uint64_t *high_id)
{
    message_chain_t chain;
    while (read_patiently(lane, from, &chain, high_id)) {
        lane_pause(lane, LANE_BACKOFF_MAX_MS);
        fabric_error_t error = reconnect(lane);
        if (error) {
            return error;
        }
    }
    lane_serves(lane);
    *messages = chain.first;
    return FABRIC_OK;
}
