/* The primary keys of a lane that memory knows: see keys_state.h. */
#include "broker/router/keys_state.h"

#include <string.h>
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* A SHA-256 needs no further hash. */
static uint32_t value_of(const uint8_t *hash)
{
    uint32_t value;
    memcpy(&value, hash, sizeof value);
    return value;
}

static primary_key_t *find(const lane_keys_t *keys, const uint8_t *hash)
{
    primary_key_t *key = NULL;
    HASH_FIND_BYHASHVALUE(by_hash, keys->by_hash, hash, STORE_KEY_BYTES, value_of(hash), key);
    return key;
}

const primary_key_t *keys_find(const lane_keys_t *keys, const uint8_t hash[STORE_KEY_BYTES])
{
    return find(keys, hash);
}

bool keys_exclude(const lane_keys_t *keys, const uint8_t hash[STORE_KEY_BYTES])
{
    return key_list_excludes(&keys->list, hash);
}

static uint64_t bytes_of(const primary_key_t *key)
{
    return sizeof *key + key->row.reply.payload.size;
}

static primary_key_t *find_or_add(router_t *router, lane_keys_t *keys, const message_t *message)
{
    primary_key_t *key = find(keys, message->stored.key_hash);
    if (!key) {
        key = memory_allocate_zeroed(1, sizeof *key);
        memcpy(key->row.hash, message->stored.key_hash, STORE_KEY_BYTES);
        HASH_ADD_BYHASHVALUE(by_hash, keys->by_hash, row.hash, STORE_KEY_BYTES,
                             value_of(key->row.hash), key);
        router->key_bytes += bytes_of(key);
    }
    key->row.entity_hash = message->entity_hash;
    key->row.reply.id = message->stored.id;
    key->row.reply.shard = message->stored.shard;
    return key;
}

/* Moves the key to the end of a list; NULL: it is in none from now on. */
static void move(primary_key_t *key, primary_key_t **list)
{
    if (key->list) {
        DL_DELETE(*key->list, key);
    }
    key->list = list;
    if (list) {
        DL_APPEND(*list, key);
    }
}

static void forget(router_t *router, lane_keys_t *keys, primary_key_t *key)
{
    move(key, NULL);
    HASH_DELETE(by_hash, keys->by_hash, key);
    router->key_bytes -= bytes_of(key);
    free((void *)key->row.reply.payload.data);
    free(key);
    keys->forgotten++;
}

/* A change that waits already says what is known when it is taken. */
static void note(lane_keys_t *keys, primary_key_t *key)
{
    if (key->list != &keys->current) {
        move(key, &keys->next);
    }
}

void keys_accepted(router_t *router, lane_keys_t *keys, const message_t *message)
{
    (void)find_or_add(router, keys, message);
}

void keys_durable(router_t *router, lane_keys_t *keys, const message_t *message)
{
    note(keys, find_or_add(router, keys, message));
}

static fabric_bytes_t copy_bytes(fabric_bytes_t bytes)
{
    if (bytes.size == 0) {
        return (fabric_bytes_t){NULL, 0};
    }
    uint8_t *copy = memory_allocate(bytes.size);
    memcpy(copy, bytes.data, bytes.size);
    return fabric_bytes(copy, bytes.size);
}

void keys_ended(router_t *router, lane_keys_t *keys, const message_t *message)
{
    primary_key_t *key = find_or_add(router, keys, message);
    store_reply_t *reply = &key->row.reply;
    if (key->row.ended) {
        return; /* an end is final */
    }
    *reply = message->reply;
    reply->id = message->stored.id;
    reply->shard = message->stored.shard;
    reply->payload = copy_bytes(message->reply.payload);
    if (reply->kept_until_ms == 0) { /* the record of its end did not say */
        reply->kept_until_ms = router_key_until_ms(router, message->stored.type);
    }
    key->row.ended = true;
    router->key_bytes += reply->payload.size;
    note(keys, key);
}

void keys_clear(router_t *router, lane_keys_t *keys, uint64_t entity_hash, request_id_t below)
{
    primary_key_t *key, *next;
    HASH_ITER(by_hash, keys->by_hash, key, next)
    {
        if (key->row.entity_hash == entity_hash && key->row.reply.id.value < below.value) {
            forget(router, keys, key);
        }
    }
    keys->forgotten++;
}

void keys_adopted(router_t *router, lane_keys_t *keys)
{
    keys->forgotten++;
    router->key_bytes -= keys->list.filter.bytes;
    key_list_begin(&keys->list);
}

/* ---- the list ---- */

/* Of the filter of one lane. */
static uint64_t filter_bytes_max(const router_t *router)
{
    return router->config.key_filter_bytes / router->config.lanes;
}

/* The key's row is settled, and it is not to be known here any more. */
static void forget_settled(router_t *router, lane_keys_t *keys, primary_key_t *key)
{
    router->key_bytes -= keys->list.filter.bytes;
    key_list_add(&keys->list, filter_bytes_max(router), key->row.hash);
    router->key_bytes += keys->list.filter.bytes;
    forget(router, keys, key);
}

void keys_listed(router_t *router, lane_keys_t *keys, uint32_t number,
                 const store_key_name_t *names, size_t count, bool ended)
{
    router->key_bytes -= keys->list.filter.bytes;
    key_list_take(&keys->list, filter_bytes_max(router), number, names, count, ended);
    router->key_bytes += keys->list.filter.bytes;
}

/* ---- checkpoints ---- */

void keys_checkpoint_begins(lane_keys_t *keys)
{
    primary_key_t *key;
    while ((key = keys->next)) {
        move(key, &keys->current);
    }
}

void keys_take(lane_keys_t *keys, uint64_t slice)
{
    keys->current->slice = slice;
    move(keys->current, NULL);
}

void keys_settled(router_t *router, lane_keys_t *keys, const uint8_t hash[STORE_KEY_BYTES],
                  uint64_t slice, bool reading)
{
    primary_key_t *key = find(keys, hash);
    if (!key || key->list || key->slice != slice) {
        return; /* more is known by now */
    }
    if (reading) {
        move(key, &keys->settled);
    } else {
        forget_settled(router, keys, key);
    }
}

void keys_read(router_t *router, lane_keys_t *keys)
{
    primary_key_t *key;
    primary_key_t *after;
    DL_FOREACH_SAFE(keys->settled, key, after)
    {
        forget_settled(router, keys, key);
    }
}

/* ---- the lane is dropped ---- */

bool keys_drop_next(router_t *router, lane_keys_t *keys)
{
    if (keys->by_hash) {
        forget(router, keys, keys->by_hash);
    }
    if (!keys->by_hash) {
        router->key_bytes -= keys->list.filter.bytes;
        key_list_begin(&keys->list);
    }
    return keys->by_hash;
}

void keys_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        while (keys_drop_next(router, &router->lanes[i].keys)) {
        }
    }
}
