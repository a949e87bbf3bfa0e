/* What the coordinator writes: homes of shards, shard groups, entity types, runners. */
#include "sqlite/sqlite_assignment.h"

#include <stdlib.h>

#include "core/crash_point.h"
#include "core/limits.h"
#include "core/shard_map.h"
#include "sqlite/sqlite_connection.h"

/* Begins a transaction that only the coordinator of this very term may make. */
static fabric_error_t begin_as(sqlite_store_t *store, uint64_t term, const incarnation_t *holder)
{
    fabric_error_t error = sqlite_begin(store);
    if (error) {
        return error;
    }
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_COORDINATOR_HOLD);
    sqlite_bind_u64(&query, 1, term);
    sqlite_bind_incarnation(&query, 2, holder);
    error = sqlite_run(&query);
    if (!error && !sqlite_changed(store)) {
        error = FABRIC_ERROR_FENCED;
    }
    return error ? sqlite_finish(store, error) : FABRIC_OK;
}

/* ---- homes ------------------------------------------------------------------------------------
 */

typedef struct incarnation_list {
    incarnation_t *items;
    size_t count;
} incarnation_list_t;

static bool is_among(const incarnation_t *incarnations, size_t count, incarnation_t wanted)
{
    for (size_t i = 0; i < count; i++) {
        if (incarnation_equal(incarnations[i], wanted)) {
            return true;
        }
    }
    return false;
}

/* Everyone who stands anywhere and does not live; "none" is among them as the home of homeless
 * shards. */
static fabric_error_t list_dead(sqlite_store_t *store, const incarnation_t *living,
                                size_t living_count, incarnation_list_t *dead)
{
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_MEMBERS_KNOWN);
    while (sqlite_row(&query)) {
        incarnation_t incarnation = sqlite_column_incarnation(&query, 0);
        if (is_among(living, living_count, incarnation)) {
            continue;
        }
        incarnation_t *items = realloc(dead->items, (dead->count + 1) * sizeof *items);
        if (!items) {
            abort();
        }
        items[dead->count++] = incarnation;
        dead->items = items;
    }
    return sqlite_end(&query);
}

static fabric_error_t depose(sqlite_store_t *store, const incarnation_t *dead,
                             const incarnation_t *holder)
{
    static const sqlite_statement_t steps[] = {SQLITE_STATEMENT_WRITER_FENCE,
                                               SQLITE_STATEMENT_BROKER_DELETE,
                                               SQLITE_STATEMENT_SHARDS_MOVE};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        sqlite_query_t query = sqlite_query(store, steps[i]);
        sqlite_bind_incarnation(&query, 1, dead);
        if (steps[i] == SQLITE_STATEMENT_SHARDS_MOVE) {
            CRASH_POINT(HOMES_INSIDE);
            sqlite_bind_incarnation(&query, 2, holder);
        }
        fabric_error_t error = sqlite_run(&query);
        if (error) {
            return error;
        }
    }
    return FABRIC_OK;
}

fabric_error_t sqlite_take_homes(store_t *base, uint64_t term, incarnation_t holder,
                                 const incarnation_t *living, size_t living_count)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = begin_as(store, term, &holder);
    if (error) {
        return error;
    }
    incarnation_list_t dead = {0};
    error = list_dead(store, living, living_count, &dead);
    for (size_t i = 0; i < dead.count && !error; i++) {
        error = depose(store, &dead.items[i], &holder);
    }
    free(dead.items);
    return sqlite_finish(store, error);
}

/* ---- groups -----------------------------------------------------------------------------------
 */

static fabric_error_t read_shards_per_group(sqlite_store_t *store, uint32_t *shards)
{
    sqlite_query_t cluster = sqlite_query(store, SQLITE_STATEMENT_CLUSTER_READ);
    *shards = sqlite_row(&cluster) ? sqlite_column_u32(&cluster, 2) : 0;
    fabric_error_t error = sqlite_end(&cluster);
    return !error && *shards > LIMIT_SHARDS_PER_GROUP_MAX ? FABRIC_ERROR_STORE_UNAVAILABLE : error;
}

static fabric_error_t insert_shards(sqlite_store_t *store, uint16_t group, uint32_t shards,
                                    const incarnation_t *holder)
{
    fabric_error_t error = FABRIC_OK;
    for (uint32_t number = 1; number <= shards && !error; number++) {
        sqlite_query_t insert = sqlite_query(store, SQLITE_STATEMENT_SHARD_INSERT);
        sqlite_bind_u64(&insert, 1, shard_id_make(group, (uint16_t)number).value);
        sqlite_bind_incarnation(&insert, 2, holder);
        error = sqlite_run(&insert);
    }
    return error;
}

static fabric_error_t make_group(sqlite_store_t *store, fabric_bytes_t name,
                                 const incarnation_t *holder, uint16_t *number)
{
    sqlite_query_t max = sqlite_query(store, SQLITE_STATEMENT_GROUP_MAX);
    uint64_t highest = sqlite_row(&max) ? sqlite_column_u64(&max, 0) : 0;
    uint32_t shards = 0;
    fabric_error_t error = sqlite_end(&max);
    error = error ? error : read_shards_per_group(store, &shards);
    if (error) {
        return error;
    }
    if (!shard_map_can_grow(highest, shards)) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    *number = (uint16_t)(highest + 1);
    sqlite_query_t insert = sqlite_query(store, SQLITE_STATEMENT_GROUP_INSERT);
    sqlite_bind_u64(&insert, 1, *number);
    sqlite_bind_bytes(&insert, 2, name);
    error = sqlite_run(&insert);
    CRASH_POINT(GROUP_PUT_INSIDE);
    return error ? error : insert_shards(store, *number, shards, holder);
}

fabric_error_t sqlite_group_put(store_t *base, uint64_t term, incarnation_t holder,
                                fabric_bytes_t name, uint16_t *number)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = begin_as(store, term, &holder);
    if (error) {
        return error;
    }
    uint16_t found = 0;
    sqlite_query_t find = sqlite_query(store, SQLITE_STATEMENT_GROUP_FIND);
    sqlite_bind_bytes(&find, 1, name);
    if (sqlite_row(&find)) {
        found = (uint16_t)sqlite_column_u32(&find, 0);
    }
    error = sqlite_end(&find);
    if (!error && found == 0) {
        error = make_group(store, name, &holder, &found);
    }
    error = sqlite_finish(store, error);
    if (!error) {
        *number = found;
    }
    return error;
}

fabric_error_t sqlite_group_list(store_t *base, store_visit_group_fn *visit, void *context)
{
    sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_GROUP_LIST);
    while (sqlite_row(&query)) {
        visit(context, (uint16_t)sqlite_column_u32(&query, 0), sqlite_column_bytes(&query, 1));
    }
    return sqlite_end(&query);
}

fabric_error_t sqlite_shard_list(store_t *base, store_visit_shard_fn *visit, void *context)
{
    sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_SHARD_LIST);
    while (sqlite_row(&query)) {
        store_shard_t shard = {.shard = {sqlite_column_u32(&query, 0)},
                               .home = sqlite_column_incarnation(&query, 1),
                               .home_epoch = sqlite_column_u64(&query, 2),
                               .mark = sqlite_column_u64(&query, 3)};
        visit(context, &shard);
    }
    return sqlite_end(&query);
}

/* ---- types and runners ------------------------------------------------------------------------
 */

fabric_error_t sqlite_type_put(store_t *base, uint64_t term, incarnation_t holder,
                               const store_type_t *type)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = begin_as(store, term, &holder);
    if (error) {
        return error;
    }
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_TYPE_PUT);
    sqlite_bind_bytes(&query, 1, type->name);
    sqlite_bind_u64(&query, 2, type->group);
    sqlite_bind_bytes(&query, 3, type->description);
    error = sqlite_run(&query);
    if (!error && !sqlite_changed(store)) {
        error = FABRIC_ERROR_TYPE_CONFLICT;
    }
    CRASH_POINT(TYPE_PUT_INSIDE);
    return sqlite_finish(store, error);
}

fabric_error_t sqlite_type_list(store_t *base, store_visit_type_fn *visit, void *context)
{
    sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_TYPE_LIST);
    while (sqlite_row(&query)) {
        store_type_t type = {.name = sqlite_column_bytes(&query, 0),
                             .group = (uint16_t)sqlite_column_u32(&query, 1),
                             .description = sqlite_column_bytes(&query, 2)};
        visit(context, &type);
    }
    return sqlite_end(&query);
}

fabric_error_t sqlite_runner_put(store_t *base, uint64_t term, incarnation_t holder,
                                 const store_runner_t *runner)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = begin_as(store, term, &holder);
    if (error) {
        return error;
    }
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_RUNNER_PUT);
    sqlite_bind_incarnation(&query, 1, &runner->incarnation);
    sqlite_bind_u64(&query, 2, runner->weight);
    sqlite_bind_text(&query, 3, runner->name);
    error = sqlite_run(&query);
    CRASH_POINT(RUNNER_PUT_INSIDE);
    return sqlite_finish(store, error);
}

fabric_error_t sqlite_runner_remove(store_t *base, uint64_t term, incarnation_t holder,
                                    incarnation_t runner)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = begin_as(store, term, &holder);
    if (error) {
        return error;
    }
    sqlite_query_t query = sqlite_query(store, SQLITE_STATEMENT_RUNNER_REMOVE);
    sqlite_bind_incarnation(&query, 1, &runner);
    return sqlite_finish(store, sqlite_run(&query));
}

fabric_error_t sqlite_runner_list(store_t *base, store_visit_runner_fn *visit, void *context)
{
    sqlite_query_t query = sqlite_query(sqlite_store_of(base), SQLITE_STATEMENT_RUNNER_LIST);
    while (sqlite_row(&query)) {
        store_runner_t runner = {.incarnation = sqlite_column_incarnation(&query, 0),
                                 .weight = sqlite_column_u32(&query, 1)};
        sqlite_column_string(&query, 2, runner.name);
        visit(context, &runner);
    }
    return sqlite_end(&query);
}
