/* A store lane: connection, settling, and the reading operations. Commits are in lane_commit.c. */
#include "broker/lane_private.h"

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

bool lane_broken(const lane_t *lane)
{
    return lane->store == NULL;
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

/* As lane_mend, but what is under way will show whether the database serves. */
static fabric_error_t reconnect(lane_t *lane)
{
    bool committed = false;
    fabric_error_t error = lane_recover(lane, &committed);
    /* No batch is under way between operations: one more than we know of is not ours. */
    return !error && committed ? FABRIC_ERROR_FENCED : error;
}

fabric_error_t lane_mend(lane_t *lane)
{
    fabric_error_t error = reconnect(lane);
    if (!error) {
        lane_serves(lane);
    }
    return error;
}

/* ---- reading ---- */

typedef struct collection {
    message_t *first;
    message_t **end;
    uint64_t high_id;
} collection_t;

static void collect(void *context, const store_message_t *stored, store_tally_t tally,
                    const store_reply_t *reply)
{
    collection_t *collection = context;
    message_t *message = message_new(stored);
    message->tally = tally;
    if (reply) {
        message_set_reply(message, reply);
        message->state = MESSAGE_ENDED;
    }
    *collection->end = message;
    collection->end = &message->chain;
    CRASH_POINT(LOAD_INSIDE);
}

void lane_messages_destroy(message_t **messages)
{
    while (*messages) {
        message_t *message = *messages;
        *messages = message->chain;
        message_destroy(&message);
    }
}

/* What is to be read: the calls where there are any, else everything pending. */
typedef struct query {
    request_id_t from;
    const call_key_t *calls;
    size_t call_count;
} query_t;

static fabric_error_t read_once(lane_t *lane, const query_t *query, collection_t *collection)
{
    const store_driver_t *driver = lane->store->driver;
    *collection = (collection_t){0};
    collection->end = &collection->first;
    fabric_error_t error =
        query->calls ? driver->find_calls(lane->store, query->from, query->calls, query->call_count,
                                          collect, collection)
                     : driver->load_pending(lane->store, query->from, collect, collection);
    /* After the rows, so that none of them is above it. */
    if (!error && (!query->calls || collection->first)) {
        error = driver->high_id(lane->store, &collection->high_id);
    }
    if (error) {
        lane_messages_destroy(&collection->first);
    }
    return error;
}

/* Reads, trying a busy store again. Any failure leaves the lane broken. */
static fabric_error_t read_patiently(lane_t *lane, const query_t *query, collection_t *collection)
{
    fabric_error_t error = FABRIC_ERROR_STORE_UNAVAILABLE;
    for (uint32_t tries = 0; tries < LANE_BUSY_TRIES_MAX && lane->store; tries++) {
        error = read_once(lane, query, collection);
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

fabric_error_t lane_find_calls(lane_t *lane, request_id_t floor, const call_key_t *calls,
                               size_t call_count, message_t **messages, uint64_t *high_id)
{
    query_t query = {floor, calls, call_count};
    collection_t collection;
    fabric_error_t error = read_patiently(lane, &query, &collection);
    if (!error) {
        *messages = collection.first;
        *high_id = collection.high_id;
    }
    return error;
}

fabric_error_t lane_load(lane_t *lane, request_id_t from, message_t **messages, uint64_t *high_id)
{
    query_t query = {.from = from};
    collection_t collection;
    while (read_patiently(lane, &query, &collection)) {
        lane_pause(lane, LANE_BACKOFF_MAX_MS);
        fabric_error_t error = reconnect(lane);
        if (error) {
            return error;
        }
    }
    lane_serves(lane);
    *messages = collection.first;
    *high_id = collection.high_id;
    return FABRIC_OK;
}
