/* Primary keys: finding and listing their rows. Checkpoints write them, and purges delete them. */
#include <string.h>

#include "core/sql/sql.h"
#include "core/sql/sql_operations.h"

/* false: the row's hash is none. */
static bool key_of_row(const sql_store_t *store, store_key_t *key)
{
    fabric_bytes_t hash = sql_bytes(store, 0);
    if (hash.size != STORE_KEY_BYTES) {
        return false;
    }
    *key = (store_key_t){.entity_hash = sql_u64(store, 1),
                         .number = sql_u64(store, 4),
                         .ended = store->columns[5].kind != SQL_NULL,
                         .reply = {.id = {sql_u64(store, 2)},
                                   .shard = {sql_u32(store, 3)},
                                   .status = (uint8_t)sql_u32(store, 6),
                                   .error = sql_u32(store, 7),
                                   .code = sql_u64(store, 8),
                                   .payload = sql_bytes(store, 9),
                                   .kept_until_ms = (int64_t)sql_u64(store, 5)}};
    memcpy(key->hash, hash.data, STORE_KEY_BYTES);
    return true;
}

typedef struct finding {
    uint32_t lane;
    const store_key_name_t *names;
    store_visit_key_fn *visit;
    void *context;
} finding_t;

static fabric_error_t find_chunk(sql_store_t *store, void *context, size_t first, size_t rows)
{
    const finding_t *finding = context;
    const store_key_name_t *names = finding->names + first;
    for (size_t i = 0; i < rows; i++) {
        sql_put_u64(store, finding->lane);
        sql_put_u64(store, names[i].entity_hash);
        sql_put_bytes(store, fabric_bytes(names[i].hash, STORE_KEY_BYTES));
    }
    fabric_error_t error = sql_query(store, SQL_KEY_FIND, rows);
    while (sql_next(store, &error)) {
        store_key_t key;
        if (key_of_row(store, &key)) {
            finding->visit(finding->context, &key);
        }
    }
    sql_close(store);
    return error;
}

fabric_error_t sql_find_keys(store_t *base, uint32_t lane, const store_key_name_t *names,
                             size_t count, store_visit_key_fn *visit, void *context)
{
    finding_t finding = {lane, names, visit, context};
    return sql_find(sql_store_of(base), count, find_chunk, &finding);
}

/* ---- the list ---- */

static bool name_of_row(const sql_store_t *store, store_key_name_t *name)
{
    fabric_bytes_t hash = sql_bytes(store, 1);
    if (hash.size != STORE_KEY_BYTES) {
        return false;
    }
    name->entity_hash = sql_u64(store, 0);
    memcpy(name->hash, hash.data, STORE_KEY_BYTES);
    return true;
}

static fabric_error_t start_page(sql_store_t *store, uint32_t lane, const store_key_name_t *after,
                                 uint32_t limit)
{
    sql_put_u64(store, lane);
    if (after) {
        sql_put_u64(store, after->entity_hash);
        sql_put_u64(store, after->entity_hash);
        sql_put_bytes(store, fabric_bytes(after->hash, STORE_KEY_BYTES));
    }
    sql_put_u64(store, limit);
    return sql_query(store, after ? SQL_KEY_LIST_AFTER : SQL_KEY_LIST, 1);
}

fabric_error_t sql_list_keys(store_t *base, uint32_t lane, const store_key_name_t *after,
                             uint32_t limit, store_visit_name_fn *visit, void *context, bool *ended)
{
    sql_store_t *store = sql_store_of(base);
    uint32_t count = 0;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = start_page(store, lane, after, limit);
    for (; sql_next(store, &error); count++) {
        store_key_name_t name;
        if (name_of_row(store, &name)) {
            visit(context, &name);
        }
    }
    sql_close(store);
    error = sql_end(store, error);
    if (!error) {
        *ended = count < limit;
    }
    return error;
}
