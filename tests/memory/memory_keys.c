/* The in-memory store: primary keys. */
#include "tests/memory/memory_connection.h"

#include <string.h>

fabric_error_t memory_find_keys(store_t *base, uint32_t lane, const store_key_name_t *names,
                                size_t count, store_visit_key_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_FIND_KEYS, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *rows = memory_lane_of(store->database, lane);
    for (size_t i = 0; rows && i < count; i++) {
        const memory_key_t *found = memory_key_find(rows, names[i].entity_hash, names[i].hash);
        if (found) {
            visit(context, &found->key);
        }
    }
    return memory_leave(store, FABRIC_OK);
}

static int compare_names(uint64_t entity_hash, const uint8_t *hash, const store_key_name_t *other)
{
    return entity_hash != other->entity_hash ? (entity_hash < other->entity_hash ? -1 : 1)
                                             : memcmp(hash, other->hash, STORE_KEY_BYTES);
}

/* The first key behind this one; false: there is none. */
static bool find_next(const memory_lane_t *lane, const store_key_name_t *after,
                      store_key_name_t *next)
{
    bool any = false;
    for (size_t i = lane->keys.first; i < lane->keys.places.count; i++) {
        const store_key_t *key = &((const memory_key_t *)lane->keys.places.items[i].item)->key;
        if ((!after || compare_names(key->entity_hash, key->hash, after) > 0) &&
            (!any || compare_names(key->entity_hash, key->hash, next) < 0)) {
            next->entity_hash = key->entity_hash;
            memcpy(next->hash, key->hash, STORE_KEY_BYTES);
            any = true;
        }
    }
    return any;
}

fabric_error_t memory_list_keys(store_t *base, uint32_t lane, const store_key_name_t *after,
                                uint32_t limit, store_visit_name_fn *visit, void *context,
                                bool *ended)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_FIND_KEYS, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *rows = memory_lane_of(store->database, lane);
    store_key_name_t last;
    uint32_t count = 0;
    for (store_key_name_t next; rows && count < limit && find_next(rows, after, &next); count++) {
        last = next;
        after = &last;
        visit(context, &last);
    }
    *ended = count < limit;
    return memory_leave(store, FABRIC_OK);
}

/* The one whose time was over first; NULL: there is none. */
static const store_key_t *find_oldest(const memory_lane_t *lane, int64_t now_ms)
{
    const store_key_t *oldest = NULL;
    for (size_t i = lane->keys.first; i < lane->keys.places.count; i++) {
        const store_key_t *key = &((const memory_key_t *)lane->keys.places.items[i].item)->key;
        if (key->ended && key->reply.kept_until_ms < now_ms &&
            (!oldest || key->reply.kept_until_ms < oldest->reply.kept_until_ms)) {
            oldest = key;
        }
    }
    return oldest;
}

bool memory_key_clear(memory_database_t *database, uint32_t lane, const store_clear_t *clear)
{
    const memory_lane_t *from = &database->lanes[lane];
    for (size_t i = from->keys.first; i < from->keys.places.count; i++) {
        const store_key_t *key = &((const memory_key_t *)from->keys.places.items[i].item)->key;
        if (key->entity_hash == clear->entity_hash && key->reply.id.value < clear->below) {
            memory_key_remove(database, lane, key->entity_hash, key->hash);
            return true;
        }
    }
    return false;
}

void memory_purge_keys(memory_database_t *database, uint32_t lane, const store_purge_t *purge,
                       store_purged_t *purged)
{
    const store_key_t *oldest;
    while (purged->keys < purge->keys_max &&
           (oldest = find_oldest(&database->lanes[lane], purge->keys_before_ms))) {
        memory_key_remove(database, lane, oldest->entity_hash, oldest->hash);
        purged->keys++;
    }
}
