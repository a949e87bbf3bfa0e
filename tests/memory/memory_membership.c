/* The in-memory store: brokers and their slots, the coordinator, groups, types, runners. */
#include <string.h>

#include "core/clock.h"
#include "core/shard_map.h"
#include "tests/memory/memory_connection.h"

static int64_t time_of(const memory_database_t *database)
{
    return database->now_ms ? database->now_ms : clock_wall_ms();
}

/* ---- brokers ---- */

static void remove_broker(memory_database_t *database, size_t i)
{
    store_broker_t *broker = &database->brokers.items[i];
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

static bool slot_is_free(const memory_database_t *database, uint32_t machine)
{
    for (size_t i = 0; i < database->brokers.count; i++) {
        if (database->brokers.items[i].machine == machine) {
            return false;
        }
    }
    return true;
}

/* Forgets who must go when this broker comes; returns the slot to take over, or
 * LIMIT_MACHINES_MAX. */
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
            remove_broker(database, i);
        }
    }
    return machine;
}

fabric_error_t memory_broker_join(store_t *base, const store_broker_t *broker, store_join_t *join)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_JOIN, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    MEMORY_NOTE_LIST(database, &database->brokers);
    store_broker_t joined = *broker;
    joined.machine = forget_former(store, broker);
    if (database->brokers.count >= LIMIT_BROKERS_MAX) {
        return memory_leave(store, FABRIC_ERROR_BUSY);
    }
    if (joined.machine == LIMIT_MACHINES_MAX) {
        joined.machine = 0;
        while (!slot_is_free(database, joined.machine)) {
            joined.machine++;
        }
    }
    joined.id_mark = database->id_marks[joined.machine];
    *MEMORY_APPEND(&database->brokers) = joined;
    store_join_t result = {
        .machine = joined.machine, .high_id = joined.id_mark, .now_ms = time_of(database)};
    error = memory_leave(store, FABRIC_OK);
    if (!error) {
        *join = result;
    }
    return error;
}

fabric_error_t memory_broker_renew(store_t *base, incarnation_t incarnation, uint64_t id_mark)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_RENEW, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    store_broker_t *broker = find_broker(database, incarnation);
    if (!broker) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    MEMORY_NOTE_LIST(database, &database->brokers);
    broker->counter++;
    if (id_mark > broker->id_mark) {
        uint64_t *mark = &database->id_marks[broker->machine];
        memory_note_value(database, mark, sizeof *mark);
        broker->id_mark = *mark = id_mark;
    }
    return memory_leave(store, FABRIC_OK);
}

static void give_up_lanes(memory_database_t *database, incarnation_t holder)
{
    for (uint32_t i = 0; i < database->cluster.lanes; i++) {
        store_lane_t *row = &database->lanes[i].row;
        if (incarnation_equal(row->holder, holder)) {
            memory_note_value(database, row, sizeof *row);
            row->holder = (incarnation_t){{0}};
        }
    }
}

fabric_error_t memory_broker_leave(store_t *base, incarnation_t incarnation)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LEAVE, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    give_up_lanes(database, incarnation);
    store_broker_t *broker = find_broker(database, incarnation);
    if (broker) {
        MEMORY_NOTE_LIST(database, &database->brokers);
        remove_broker(database, (size_t)(broker - database->brokers.items));
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_broker_list(store_t *base, store_visit_broker_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < store->database->brokers.count; i++) {
        visit(context, &store->database->brokers.items[i]);
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- the coordinator ---- */

fabric_error_t memory_coordinator_read(store_t *base, store_coordinator_t *coordinator)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    *coordinator = store->database->coordinator;
    return memory_leave(store, FABRIC_OK);
}

/* Begins a call of the coordinator of this very term. */
static fabric_error_t enter_as(memory_store_t *store, uint64_t term, incarnation_t holder)
{
    return memory_enter_as(store, MEMORY_STORE_COORDINATE, MEMORY_NO_LANE, term, holder);
}

fabric_error_t memory_coordinator_take(store_t *base, const store_coordinator_t *before,
                                       incarnation_t holder, uint64_t *term)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, before->term, before->holder);
    if (error) {
        return error;
    }
    store_coordinator_t *coordinator = &store->database->coordinator;
    memory_note_value(store->database, coordinator, sizeof *coordinator);
    *coordinator = (store_coordinator_t){before->term + 1, holder};
    error = memory_leave(store, FABRIC_OK);
    if (!error) {
        *term = before->term + 1;
    }
    return error;
}

fabric_error_t memory_broker_remove(store_t *base, uint64_t term, incarnation_t holder,
                                    incarnation_t broker)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = enter_as(store, term, holder);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    store_broker_t *found = find_broker(database, broker);
    if (found) {
        MEMORY_NOTE_LIST(database, &database->brokers);
        remove_broker(database, (size_t)(found - database->brokers.items));
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- groups, types, runners ---- */

static memory_name_t *find_name(memory_name_t *items, size_t count, fabric_bytes_t name)
{
    for (size_t i = 0; i < count; i++) {
        if (fabric_bytes_equal(fabric_bytes(items[i].bytes, items[i].name_size), name)) {
            return &items[i];
        }
    }
    return NULL;
}

static memory_name_t make_name(memory_database_t *database, uint16_t group, fabric_bytes_t name,
                               fabric_bytes_t description)
{
    uint8_t *bytes = memory_allocate(name.size + description.size);
    if (name.size > 0) {
        memcpy(bytes, name.data, name.size);
    }
    if (description.size > 0) {
        memcpy(bytes + name.size, description.data, description.size);
    }
    *MEMORY_APPEND(&database->names) = bytes;
    return (memory_name_t){group, bytes, name.size, description.size};
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
    const memory_name_t *group = find_name(database->groups.items, database->groups.count, name);
    if (!group && !shard_map_can_grow(database->groups.count, database->cluster.shards_per_group)) {
        return memory_leave(store, FABRIC_ERROR_LIMIT_EXCEEDED);
    }
    uint16_t found = group ? group->group : (uint16_t)(database->groups.count + 1);
    if (!group) {
        MEMORY_NOTE_LIST(database, &database->groups);
        *MEMORY_APPEND(&database->groups) = make_name(database, found, name, fabric_bytes(NULL, 0));
    }
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
    MEMORY_NOTE_LIST(database, &database->types);
    if (!stored) {
        stored = MEMORY_APPEND(&database->types);
    }
    *stored = make_name(database, type->group, type->name, type->description);
    if (database->registered_ms == 0) {
        memory_note_value(database, &database->registered_ms, sizeof database->registered_ms);
        database->registered_ms = time_of(database);
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_first_registration(store_t *base, store_registration_t *registration)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    int64_t at_ms = store->database->registered_ms;
    int64_t age_ms = time_of(store->database) - at_ms;
    *registration = (store_registration_t){.any = at_ms != 0};
    registration->ago_ms = at_ms != 0 && age_ms > 0 ? (uint64_t)age_ms : 0;
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
    MEMORY_NOTE_LIST(store->database, &store->database->runners);
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
        MEMORY_NOTE_LIST(store->database, &store->database->runners);
        *stored = store->database->runners.items[--store->database->runners.count];
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_group_list(store_t *base, store_visit_group_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, MEMORY_NO_LANE);
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
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, MEMORY_NO_LANE);
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
    fabric_error_t error = memory_enter(store, MEMORY_STORE_READ, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    for (size_t i = 0; i < store->database->runners.count; i++) {
        visit(context, &store->database->runners.items[i]);
    }
    return memory_leave(store, FABRIC_OK);
}
