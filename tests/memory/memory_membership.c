/* The in-memory store: brokers, writer rows, the coordinator, homes, groups, types, runners. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/shard_map.h"
#include "tests/memory/memory_connection.h"

/* ---- brokers ---------------------------------------------------------------------------------- */

static void fence(memory_database_t *database, incarnation_t incarnation)
{
    for (size_t i = 0; i < database->writers.count; i++) {
        if (incarnation_equal(database->writers.items[i].incarnation, incarnation)) {
            database->writers.items[i].incarnation = (incarnation_t){{0}};
        }
    }
}

/* Fences and removes broker i. */
static void forget(memory_database_t *database, size_t i)
{
    store_broker_t *broker = &database->brokers.items[i];
    fence(database, broker->incarnation);
    database->brokers.count--;
    memmove(broker, broker + 1, (database->brokers.count - i) * sizeof *broker);
}

static store_broker_t *find_broker(memory_database_t *database, incarnation_t incarnation)
{
    for (size_t i = 0; i < database->brokers.count; i++) {
        if (incarnation_equal(database->brokers.items[i].incarnation, incarnation)) {
            return &database->brokers.items[i];
        }
    }
    return NULL;
}

static bool machine_is_free(const memory_database_t *database, uint32_t machine)
{
    for (size_t i = 0; i < database->brokers.count; i++) {
        if (database->brokers.items[i].machine == machine) {
            return false;
        }
    }
    for (size_t i = 0; i < database->writers.count; i++) {
        if (database->writers.items[i].machine == machine &&
            !incarnation_is_none(database->writers.items[i].incarnation)) {
            return false;
        }
    }
    return true;
}

/* Forgets who must go when this broker comes; returns the slot to take over, or LIMIT_MACHINES_MAX. */
static uint32_t forget_former(memory_store_t *store, const store_broker_t *joining)
{
    memory_database_t *database = store->database;
    uint32_t machine = LIMIT_MACHINES_MAX;
    for (size_t i = database->brokers.count; i-- > 0;) {
        const store_broker_t *broker = &database->brokers.items[i];
        bool former = strcmp(broker->router_endpoint, joining->router_endpoint) == 0 ||
                      incarnation_equal(broker->incarnation, joining->incarnation);
        if (former) {
            machine = broker->machine;
        }
        if (former || store->exclusive) {
            forget(database, i);
        }
    }
    for (size_t i = 0; i < database->writers.count && store->exclusive; i++) {
        database->writers.items[i].incarnation = (incarnation_t){{0}};
    }
    return machine;
}

static void take_writers(memory_database_t *database, const store_broker_t *broker, uint32_t lanes,
                         store_join_t *join)
{
    for (uint32_t lane = 0; lane < lanes; lane++) {
        memory_writer_t *writer = memory_find_writer(database, broker->machine, lane);
        if (!writer) {
            writer = MEMORY_APPEND(&database->writers);
            *writer = (memory_writer_t){.machine = broker->machine, .lane = lane};
        }
        writer->incarnation = broker->incarnation;
        join->batches[lane] = writer->batch;
    }
    for (size_t i = 0; i < database->writers.count; i++) {
        const memory_writer_t *writer = &database->writers.items[i];
        if (writer->machine == broker->machine && writer->high_id > join->high_id) {
            join->high_id = writer->high_id;
        }
    }
}

fabric_error_t memory_broker_join(store_t *base, const store_broker_t *broker, uint32_t lanes,
                                  store_join_t *join)
{
    memory_store_t *store = memory_store_of(base);
    if (lanes < 1 || lanes > LIMIT_LANES_MAX) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = memory_enter(store, MEMORY_STORE_JOIN, NULL);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    store_broker_t joined = *broker;
    joined.machine = forget_former(store, broker);
    if (joined.machine == LIMIT_MACHINES_MAX) {
        joined.machine = 0;
        while (joined.machine < LIMIT_MACHINES_MAX && !machine_is_free(database, joined.machine)) {
            joined.machine++;
        }
    }
    if (joined.machine == LIMIT_MACHINES_MAX || database->brokers.count >= LIMIT_BROKERS_MAX) {
        /* Nobody was forgotten: there would have been a place. */
        return memory_leave(store, FABRIC_ERROR_BUSY);
    }
    *MEMORY_APPEND(&database->brokers) = joined;
    store_join_t result = {.machine = joined.machine};
    take_writers(database, &joined, lanes, &result);
    result.now_ms = database->now_ms ? database->now_ms : clock_wall_ms();
    error = memory_leave(store, FABRIC_OK);
    if (!error) {
        *join = result;
    }
    return error;
}

fabric_error_t memory_broker_renew(store_t *base, incarnation_t incarnation)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_RENEW, NULL);
    if (error) {
        return error;
    }
    store_broker_t *broker = find_broker(store->database, incarnation);
    if (broker) {
        broker->counter++;
    }
    return memory_leave(store, broker ? FABRIC_OK : FABRIC_ERROR_FENCED);
}

fabric_error_t memory_broker_leave(store_t *base, incarnation_t incarnation)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LEAVE, NULL);
    if (error) {
        return error;
    }
    store_broker_t *broker = find_broker(store->database, incarnation);
    if (broker) {
        forget(store->database, (size_t)(broker - store->database->brokers.items));
    }
    fence(store->database, incarnation);
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_broker_list(store_t *base, store_visit_broker_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, NULL);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < store->database->brokers.count; i++) {
        visit(context, &store->database->brokers.items[i]);
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- the coordinator -------------------------------------------------------------------------- */

fabric_error_t memory_coordinator_read(store_t *base, store_coordinator_t *coordinator)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, NULL);
    if (error) {
        return error;
    }
    *coordinator = store->database->coordinator;
    return memory_leave(store, FABRIC_OK);
}

static bool holds(const memory_database_t *database, uint64_t term, incarnation_t holder)
{
    return database->coordinator.term == term &&
           incarnation_equal(database->coordinator.holder, holder);
}

/* Begins a call of the coordinator of this very term. */
static fabric_error_t enter_as(memory_store_t *store, uint64_t term, incarnation_t holder)
{
    fabric_error_t error = memory_enter(store, MEMORY_STORE_COORDINATE, NULL);
    if (!error && !holds(store->database, term, holder)) {
        error = memory_leave(store, FABRIC_ERROR_FENCED);
    }
    return error;
}

fabric_error_t memory_coordinator_take(store_t *base, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, before->term, before->holder);
    if (error) {
        return error;
    }
    store->database->coordinator = (store_coordinator_t){before->term + 1, holder};
    error = memory_leave(store, FABRIC_OK);
    if (!error) {
        *term = before->term + 1;
    }
    return error;
}

static bool lives(const incarnation_t *living, size_t count, incarnation_t incarnation)
{
    for (size_t i = 0; i < count; i++) {
        if (incarnation_equal(living[i], incarnation)) {
            return true;
        }
    }
    return false;
}

fabric_error_t memory_take_homes(store_t *base, uint64_t term, incarnation_t holder,
                                 const incarnation_t *living, size_t living_count)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, term, holder);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    for (size_t i = database->brokers.count; i-- > 0;) {
        if (!lives(living, living_count, database->brokers.items[i].incarnation)) {
            forget(database, i);
        }
    }
    for (size_t i = 0; i < database->writers.count; i++) {
        if (!lives(living, living_count, database->writers.items[i].incarnation)) {
            database->writers.items[i].incarnation = (incarnation_t){{0}};
        }
    }
    for (size_t i = 0; i < database->shards.count; i++) {
        store_shard_t *shard = &database->shards.items[i];
        if (!lives(living, living_count, shard->home)) {
            shard->home = holder;
            bool sound = shard->home_epoch >= 1 && shard->home_epoch < UINT64_C(1) << 62;
            shard->home_epoch = sound ? shard->home_epoch + 1 : 2;
        }
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- groups, types, runners ------------------------------------------------------------------- */

static uint8_t *join_bytes(fabric_bytes_t first, fabric_bytes_t second)
{
    uint8_t *joined = malloc(first.size + second.size + 1);
    if (!joined) {
        abort();
    }
    if (first.size) {
        memcpy(joined, first.data, first.size);
    }
    if (second.size) {
        memcpy(joined + first.size, second.data, second.size);
    }
    return joined;
}

static memory_name_t *find_name(memory_name_t *items, size_t count, fabric_bytes_t name)
{
    for (size_t i = 0; i < count; i++) {
        if (fabric_bytes_equal(fabric_bytes(items[i].bytes, items[i].name_size), name)) {
            return &items[i];
        }
    }
    return NULL;
}

static uint16_t make_group(memory_database_t *database, fabric_bytes_t name, incarnation_t holder)
{
    uint16_t number = (uint16_t)(database->groups.count + 1);
    *MEMORY_APPEND(&database->groups) = (memory_name_t){
        .group = number, .bytes = join_bytes(name, fabric_bytes("", 0)), .name_size = name.size};
    for (uint32_t i = 1; i <= database->cluster.shards_per_group; i++) {
        *MEMORY_APPEND(&database->shards) = (store_shard_t){
            .shard = shard_id_make(number, (uint16_t)i), .home = holder, .home_epoch = 1};
    }
    return number;
}

fabric_error_t memory_group_put(store_t *base, uint64_t term, incarnation_t holder,
                                fabric_bytes_t name, uint16_t *number)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, term, holder);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    memory_name_t *group = find_name(database->groups.items, database->groups.count, name);
    if (!group && !shard_map_can_grow(database->groups.count, database->cluster.shards_per_group)) {
        return memory_leave(store, FABRIC_ERROR_LIMIT_EXCEEDED);
    }
    uint16_t found = group ? group->group : make_group(database, name, holder);
    error = memory_leave(store, FABRIC_OK);
    if (!error) {
        *number = found;
    }
    return error;
}

fabric_error_t memory_type_put(store_t *base, uint64_t term, incarnation_t holder,
                               const store_type_t *type)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, term, holder);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    memory_name_t *stored = find_name(database->types.items, database->types.count, type->name);
    if (stored && stored->group != type->group) {
        return memory_leave(store, FABRIC_ERROR_TYPE_CONFLICT);
    }
    if (!stored) {
        stored = MEMORY_APPEND(&database->types);
        *stored = (memory_name_t){.group = type->group};
    }
    free(stored->bytes);
    stored->bytes = join_bytes(type->name, type->description);
    stored->name_size = type->name.size;
    stored->description_size = type->description.size;
    return memory_leave(store, FABRIC_OK);
}

static store_runner_t *find_runner(memory_database_t *database, incarnation_t incarnation)
{
    for (size_t i = 0; i < database->runners.count; i++) {
        if (incarnation_equal(database->runners.items[i].incarnation, incarnation)) {
            return &database->runners.items[i];
        }
    }
    return NULL;
}

fabric_error_t memory_runner_put(store_t *base, uint64_t term, incarnation_t holder,
                                 const store_runner_t *runner)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, term, holder);
    if (error) {
        return error;
    }
    store_runner_t *stored = find_runner(store->database, runner->incarnation);
    if (!stored) {
        stored = MEMORY_APPEND(&store->database->runners);
    }
    *stored = *runner;
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_runner_remove(store_t *base, uint64_t term, incarnation_t holder,
                                    incarnation_t runner)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, term, holder);
    if (error) {
        return error;
    }
    store_runner_t *stored = find_runner(store->database, runner);
    if (stored) {
        *stored = store->database->runners.items[--store->database->runners.count];
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_group_list(store_t *base, store_visit_group_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, NULL);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < store->database->groups.count; i++) {
        const memory_name_t *group = &store->database->groups.items[i];
        visit(context, group->group, fabric_bytes(group->bytes, group->name_size));
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_type_list(store_t *base, store_visit_type_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, NULL);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < store->database->types.count; i++) {
        const memory_name_t *stored = &store->database->types.items[i];
        store_type_t type = {.name = fabric_bytes(stored->bytes, stored->name_size),
                             .group = stored->group,
                             .description = fabric_bytes(stored->bytes + stored->name_size,
                                                         stored->description_size)};
        visit(context, &type);
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_runner_list(store_t *base, store_visit_runner_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, NULL);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < store->database->runners.count; i++) {
        visit(context, &store->database->runners.items[i]);
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_shard_list(store_t *base, store_visit_shard_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, NULL);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < store->database->shards.count; i++) {
        visit(context, &store->database->shards.items[i]);
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_high_id(store_t *base, uint64_t *high_id)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, NULL);
    if (error) {
        return error;
    }
    uint64_t highest = 0;
    for (size_t i = 0; i < store->database->writers.count; i++) {
        uint64_t id = store->database->writers.items[i].high_id;
        highest = id > highest ? id : highest;
    }
    error = memory_leave(store, FABRIC_OK);
    if (!error) {
        *high_id = highest;
    }
    return error;
}
