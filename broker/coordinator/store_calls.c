/* Running the coordinator's calls against a store: coordinator_run_call. */
#include "broker/coordinator/coordinator.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"

/* Everything that a list brought, with copies of what its views showed. */
typedef struct gathered {
    coordinator_results_t results;
    void *items;
    size_t capacity;
    uint8_t **copies;
    size_t copy_count, copy_capacity;
} gathered_t;

/* Makes `items` large enough for one more item of `size` bytes. */
static void *grow(void *items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    *capacity = *capacity ? *capacity * 2 : 16;
    return memory_resize(items, *capacity, size);
}

static fabric_bytes_t copy(gathered_t *gathered, fabric_bytes_t bytes)
{
    gathered->copies = grow(gathered->copies, &gathered->copy_capacity, gathered->copy_count,
                            sizeof *gathered->copies);
    uint8_t *data = memory_allocate(bytes.size);
    if (bytes.size > 0) {
        memcpy(data, bytes.data, bytes.size);
    }
    gathered->copies[gathered->copy_count++] = data;
    return fabric_bytes(data, bytes.size);
}

static void clear(gathered_t *gathered)
{
    for (size_t i = 0; i < gathered->copy_count; i++) {
        free(gathered->copies[i]);
    }
    free(gathered->copies);
    free(gathered->items);
}

static void visit_broker(void *context, const store_broker_t *broker)
{
    gathered_t *g = context;
    store_broker_t *items = g->items =
        grow(g->items, &g->capacity, g->results.broker_count, sizeof *items);
    items[g->results.broker_count++] = *broker;
    g->results.brokers = items;
}

static void visit_lane(void *context, const store_lane_t *lane)
{
    gathered_t *g = context;
    store_lane_t *items = g->items =
        grow(g->items, &g->capacity, g->results.lane_count, sizeof *items);
    items[g->results.lane_count++] = *lane;
    g->results.lanes = items;
}

static void visit_group(void *context, uint16_t number, fabric_bytes_t name)
{
    gathered_t *g = context;
    coordinator_group_t *items = g->items =
        grow(g->items, &g->capacity, g->results.group_count, sizeof *items);
    coordinator_group_t *group = &items[g->results.group_count++];
    group->number = number;
    snprintf(group->name, sizeof group->name, "%.*s", (int)name.size, (const char *)name.data);
    g->results.groups = items;
}

static void visit_type(void *context, const store_type_t *type)
{
    gathered_t *g = context;
    store_type_t *items = g->items =
        grow(g->items, &g->capacity, g->results.type_count, sizeof *items);
    items[g->results.type_count++] =
        (store_type_t){copy(g, type->name), type->group, copy(g, type->description)};
    g->results.types = items;
}

static void visit_runner(void *context, const store_runner_t *runner)
{
    gathered_t *g = context;
    store_runner_t *items = g->items =
        grow(g->items, &g->capacity, g->results.runner_count, sizeof *items);
    items[g->results.runner_count++] = *runner;
    g->results.runners = items;
}

/* A broker that has renewed its lease also knows which lanes it holds. */
static fabric_error_t renew(const coordinator_call_t *call, store_t *store, gathered_t *g)
{
    fabric_error_t error = store->driver->broker_renew(store, call->self, call->id_mark);
    return error ? error : store->driver->lane_list(store, visit_lane, g);
}

static fabric_error_t list_types(store_t *store, gathered_t *g)
{
    fabric_error_t error = store->driver->type_list(store, visit_type, g);
    return error ? error : store->driver->first_registration(store, &g->results.registration);
}

static fabric_error_t run(const coordinator_call_t *call, store_t *store, gathered_t *g)
{
    const store_driver_t *driver = store->driver;
    switch (call->kind) {
    case COORDINATOR_RENEW:
        return renew(call, store, g);
    case COORDINATOR_LIST_BROKERS:
        return driver->broker_list(store, visit_broker, g);
    case COORDINATOR_READ_TERM:
        return driver->coordinator_read(store, &g->results.coordinator);
    case COORDINATOR_TAKE_TERM:
        return driver->coordinator_take(store, &call->before, call->self, &g->results.term);
    case COORDINATOR_REMOVE_BROKER:
        return driver->broker_remove(store, call->term, call->self, call->broker);
    case COORDINATOR_ASSIGN_LANE:
        return driver->lane_assign(store, call->term, call->self, &call->lane, call->broker);
    case COORDINATOR_LIST_LANES:
        return driver->lane_list(store, visit_lane, g);
    case COORDINATOR_LIST_GROUPS:
        return driver->group_list(store, visit_group, g);
    case COORDINATOR_LIST_TYPES:
        return list_types(store, g);
    case COORDINATOR_LIST_RUNNERS:
        return driver->runner_list(store, visit_runner, g);
    case COORDINATOR_PUT_GROUP:
        return driver->group_put(store, call->term, call->self, call->name, &g->results.group);
    case COORDINATOR_PUT_TYPE:
        return driver->type_put(store, call->term, call->self, &call->type);
    case COORDINATOR_PUT_RUNNER:
        return driver->runner_put(store, call->term, call->self, &call->runner);
    case COORDINATOR_REMOVE_RUNNER:
        return driver->runner_remove(store, call->term, call->self, call->runner.incarnation);
    case COORDINATOR_COUNT_SCHEDULED:
        return driver->count_scheduled_type(store, call->lane.lane, call->type.name,
                                            &g->results.count);
    case COORDINATOR_FORGET_TYPE:
        return driver->type_put(store, call->term, call->self, &call->type);
    case COORDINATOR_PROBE:
        break;
    }
    return FABRIC_ERROR_INTERNAL;
}

fabric_error_t coordinator_run_call(coordinator_t *coordinator, const coordinator_call_t *call,
                                    store_t *store, const coordinator_ways_t *ways)
{
    gathered_t gathered = {0};
    fabric_error_t error = FABRIC_OK;
    if (call->kind == COORDINATOR_PROBE) {
        gathered.results.refused = ways->refuses(call->endpoint);
    } else {
        error = store ? run(call, store, &gathered) : FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    coordinator_answer(coordinator, error, &gathered.results, ways->clock());
    clear(&gathered);
    return error;
}
