/* Loading: this broker becomes the home of shards, and their pending messages are read from the
 * store into mailboxes.
 */
#include "broker/router/damaged_rows.h"
#include "broker/router/messages.h"
#include "broker/router/router_state.h"

void router_homes(router_t *router, const store_shard_t *shards, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        shard_load(router, shards[i].shard, shards[i].home_epoch);
    }
}

void router_high_id(router_t *router, uint64_t high_id)
{
    snowflake_lift(&router->generator, (request_id_t){high_id});
    router->high_id_stored = high_id > router->high_id_stored ? high_id : router->high_id_stored;
}

/* Whether the row is kept: another broker may load its shard, and it may have been read twice. */
static bool is_ours_to_load(router_t *router, const message_t *message)
{
    const store_message_t *stored = &message->stored;
    const shard_t *shard = shard_find(router, stored->shard);
    return !message_find(router, stored->id) && (!shard || shard->state == SHARD_LOADING);
}

static void message_loaded(router_t *router, message_t *message)
{
    shard_t *shard = shard_find(router, message->stored.shard);
    entity_t *entity =
        entity_find_or_add(router, shard, message->stored.type, message->stored.entity);
    message->deliveries = 1; /* the next delivery may not be the first */
    const router_config_t *config = &router->config;
    /* An earlier home may have had larger limits. */
    if (message->attempts > config->attempts_max) {
        message->attempts = config->attempts_max;
    }
    if (message->crashes > config->crashes_max) {
        message->crashes = config->crashes_max;
    }
    snowflake_lift(&router->generator, message->stored.id);
    message_admit(router, message, entity);
    entity_append(entity, message);
}

void router_loaded(router_t *router, message_t *messages, uint64_t high_id, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router_high_id(router, high_id);
    while (messages) {
        message_t *message = messages;
        messages = message->chain;
        message->chain = NULL;
        if (!is_ours_to_load(router, message)) {
            message_destroy(&message);
            continue;
        }
        const char *cause = row_fault(router, &message->stored);
        if (cause) {
            row_set_aside(router, message, cause);
        } else {
            message_loaded(router, message);
        }
    }
    shards_loaded(router);
}
