/* The store actors of a simulated broker: loader, checkpointer, finder and appenders, each a fiber
 * that carries out one operation after another. */
#include <assert.h>
#include <stdlib.h>

#include "tests/simulation/simulation_broker.h"
#include "tests/simulation/simulation_store.h"

/* ---- what an actor's logic gets from its world ---- */

static uint64_t actor_now_ms(void *context)
{
    const broker_actor_t *actor = context;
    return process_now_ms(actor->life->process);
}

static int64_t actor_store_ms(void *context)
{
    const broker_actor_t *actor = context;
    return actor->life->store_ms + (int64_t)process_now_ms(actor->life->process);
}

static void actor_sleep(void *context, uint32_t wait_ms)
{
    (void)context;
    fiber_sleep((uint64_t)wait_ms * 1000);
}

static uint32_t actor_random(void *context)
{
    (void)context;
    return (uint32_t)world_random();
}

static bool actor_stopping(void *context)
{
    const broker_actor_t *actor = context;
    return actor->life->actors_halted || broker_life_is_over(actor->life);
}

/* The database serves an appender, or does not. */
static void on_available(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    const broker_actor_t *actor = event->subject;
    bool available = event->extra != 0;
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        if (broker_appender_of(life, i) == actor) {
            router_lane_available(life->router, i, available, available ? NULL : "it is away");
        }
    }
    process_touch(event->process);
}

static void appender_available(void *context, bool available, const char *cause)
{
    (void)cause;
    broker_actor_t *actor = context;
    if (!broker_life_is_over(actor->life)) {
        event_t *event = event_new(actor->life->process, on_available, actor, 0);
        event->extra = available;
        broker_send_to_router(actor->life, event, &actor->last_us);
    }
}

static store_world_t world_of(broker_actor_t *actor)
{
    return (store_world_t){.context = actor,
                           .now_ms = actor_now_ms,
                           .store_ms = actor_store_ms,
                           .sleep = actor_sleep,
                           .random = actor_random,
                           .stopping = actor_stopping,
                           .available = actor->kind >= ACTOR_APPENDER ? appender_available : NULL};
}

/* ---- opening and closing ---- */

broker_actor_t *broker_appender_of(broker_life_t *life, uint32_t lane)
{
    return &life->actors[ACTOR_APPENDER + lane % world.plan.appenders];
}

static size_t actor_count(void)
{
    return ACTOR_APPENDER + world.plan.appenders;
}

fabric_error_t broker_actors_open(broker_life_t *life)
{
    connection_config_t connection = {.drivers = broker_drivers,
                                      .options = {.url = SIMULATION_STORE_URL}};
    loader_config_t loader = {.connection = connection,
                              .lanes = world.plan.lanes,
                              .name = "simulated",
                              .tail_bytes_max = UINT64_MAX};
    finder_config_t finder = {.connection = connection};
    retention_t retention = {world.plan.call_retention_ms, world.plan.lane_bytes_max};
    store_world_t ways[ACTORS_MAX];
    for (size_t i = 0; i < actor_count(); i++) {
        life->actors[i].life = life;
        life->actors[i].kind = (actor_kind_t)i;
        ways[i] = world_of(&life->actors[i]);
    }
    finder_config_defaults(&finder);
    finder.page_entries = world.plan.page_entries;
    /* A store that is slow for a while must not make calls unknown for good. */
    finder.time_max_ms = UINT32_MAX;
    loader_init(&life->loader, &loader, &ways[ACTOR_LOADER]);
    checkpointer_init(&life->checkpointer, &connection, &ways[ACTOR_CHECKPOINTER], &retention);
    life->finder = finder_new(&finder, &ways[ACTOR_FINDER]);
    fabric_error_t error = FABRIC_OK;
    for (size_t i = ACTOR_APPENDER; i < actor_count() && !error; i++) {
        life->actors[i].appender = appender_new(&connection, &ways[i]);
        error = appender_open(life->actors[i].appender, NULL);
    }
    return error;
}

static void operation_free(operation_t *operation)
{
    adoption_clear(&operation->adoption);
    message_chain_destroy(&operation->rows.first);
    loaded_states_clear(&operation->states);
    loaded_events_clear(&operation->events);
    loaded_outgoing_clear(&operation->told);
    finder_answer_clear(&operation->answer);
    free(operation);
}

void broker_actors_close(broker_life_t *life)
{
    for (size_t i = 0; i < ACTORS_MAX; i++) {
        broker_actor_t *actor = &life->actors[i];
        for (size_t j = 0; j < actor->inbox_count; j++) {
            operation_free(actor->inbox[j]);
        }
        appender_destroy(&actor->appender);
    }
    if (life->finder) {
        loader_clear(&life->loader);
        checkpointer_clear(&life->checkpointer);
        finder_destroy(&life->finder);
    }
}

/* ---- running ---- */

static void check_fences(broker_actor_t *actor, operation_t *operation)
{
    operation->error = appender_check(actor->appender);
    while (operation->fenced_count < SIMULATION_LANES_MAX &&
           appender_next_fenced(actor->appender, &operation->fenced[operation->fenced_count])) {
        operation->fenced_count++;
    }
}

static void find(broker_life_t *life, operation_t *operation)
{
    const router_lookup_t *lookup = &operation->lookup;
    if (lookup->call_count > 0) {
        operation->error = finder_find(life->finder, operation->hold.lane, lookup->floor,
                                       lookup->calls, lookup->call_count, &operation->answer);
    }
    if (!operation->error && lookup->key_count > 0) {
        operation->error = finder_find_keys(life->finder, operation->hold.lane, lookup->keys,
                                            lookup->key_count, &operation->answer);
    }
    const key_page_t *page = &lookup->page;
    if (!operation->error && page->limit > 0) {
        operation->error =
            finder_list_keys(life->finder, operation->hold.lane, page->any ? &page->after : NULL,
                             page->limit, &operation->answer);
    }
}

static void adopt(broker_life_t *life, operation_t *operation)
{
    loader_fault_t fault = {.number = 0};
    operation->error = loader_adopt(&life->loader, &operation->hold, &operation->adoption, &fault);
    if (operation->error == FABRIC_ERROR_MALFORMED_MESSAGE ||
        operation->error == FABRIC_ERROR_LIMIT_EXCEEDED) {
        world_fail("broker %u cannot adopt lane %u: entry %llu: %s", life->process->index,
                   operation->hold.lane, (unsigned long long)fault.number, fault.reason.text);
    }
}

static void load_outgoing(broker_life_t *life, operation_t *operation)
{
    outgoing_range_t range = {operation->outgoing.target_lane, operation->outgoing.after,
                              operation->outgoing.limit, operation->outgoing.bytes_max};
    operation->error =
        loader_load_outgoing(&life->loader, operation->hold.lane, &range, &operation->told);
}

static void run_operation(broker_actor_t *actor, operation_t *operation)
{
    broker_life_t *life = actor->life;
    store_purged_t purged;
    switch (operation->kind) {
    case OPERATION_BEGIN:
        appender_begin(actor->appender, &operation->hold, operation->number, operation->log_bytes);
        break;
    case OPERATION_END:
        appender_end(actor->appender, operation->hold.lane, operation->hold.epoch);
        break;
    case OPERATION_APPEND:
        operation->error =
            appender_append(actor->appender, operation->parts, operation->part_count);
        break;
    case OPERATION_CHECK:
        check_fences(actor, operation);
        break;
    case OPERATION_WRITE:
        operation->error =
            checkpointer_write(&life->checkpointer, &operation->hold, operation->slice);
        break;
    case OPERATION_PURGE:
        operation->error = checkpointer_purge(&life->checkpointer, &operation->hold,
                                              operation->number, operation->log_bytes, &purged);
        break;
    case OPERATION_GIVE_UP:
        operation->error = checkpointer_give_up(&life->checkpointer, &operation->hold);
        break;
    case OPERATION_ADOPT:
        adopt(life, operation);
        break;
    case OPERATION_LOAD:
        operation->error = loader_load(&life->loader, operation->hold.lane, operation->load.ranges,
                                       operation->load.count, operation->load.bytes_max,
                                       &operation->rows, &operation->done);
        break;
    case OPERATION_LOAD_SCHEDULED:
        operation->error =
            loader_load_scheduled(&life->loader, operation->hold.lane, operation->scheduled.after,
                                  operation->scheduled.limit, operation->scheduled.bytes_max,
                                  &operation->rows, &operation->ended);
        break;
    case OPERATION_SEARCH:
        operation->error =
            loader_search(&life->loader, operation->hold.lane, operation->search.wanted,
                          operation->search.count, &operation->rows);
        break;
    case OPERATION_STATES:
        operation->error = loader_load_states(&life->loader, operation->hold.lane,
                                              operation->wanted.names, operation->wanted.count,
                                              operation->wanted.bytes_max, &operation->states);
        break;
    case OPERATION_EVENTS:
        operation->error = loader_load_events(
            &life->loader, operation->hold.lane, operation->histories.histories,
            operation->histories.count, operation->histories.bytes_max, &operation->events);
        break;
    case OPERATION_READING:
        operation->error =
            loader_load_events(&life->loader, operation->hold.lane, operation->reading.history, 1,
                               operation->reading.bytes_max, &operation->events);
        break;
    case OPERATION_OUTGOING:
        load_outgoing(life, operation);
        break;
    case OPERATION_FIND:
        find(life, operation);
        break;
    }
}

typedef struct report {
    broker_actor_t *actor;
    operation_t *operation;
} report_t;

static void on_report(event_t *event)
{
    report_t report;
    memcpy(&report, event->bytes, sizeof report);
    world_note("actor.report", report.operation->kind, report.operation->hold.lane,
               report.operation->error);
    broker_take_report(broker_life_now(event->process), report.actor, report.operation);
    operation_free(report.operation);
    process_touch(event->process);
}

static void drop_report(event_t *event)
{
    report_t report;
    memcpy(&report, event->bytes, sizeof report);
    operation_free(report.operation);
}

static void send_report(broker_actor_t *actor, operation_t *operation)
{
    if (broker_life_is_over(actor->life)) {
        operation_free(operation);
        return;
    }
    report_t report = {actor, operation};
    event_t *event = event_new(actor->life->process, on_report, NULL, sizeof report);
    memcpy(event->bytes, &report, sizeof report);
    event->drop = drop_report;
    broker_send_to_router(actor->life, event, &actor->last_us);
}

static void run_actor(void *argument)
{
    broker_actor_t *self = argument;
    while (!actor_stopping(self)) {
        if (self->inbox_count == 0) {
            fiber_wait();
            continue;
        }
        operation_t *operation = self->inbox[0];
        memmove(self->inbox, self->inbox + 1, --self->inbox_count * sizeof *self->inbox);
        run_operation(self, operation);
        send_report(self, operation);
    }
}

static void actor_ended(void *argument)
{
    broker_fiber_ended(((broker_actor_t *)argument)->life);
}

void broker_actors_start(broker_life_t *life)
{
    for (size_t i = 0; i < actor_count(); i++) {
        broker_actor_t *actor = &life->actors[i];
        life->fibers++;
        actor->fiber = fiber_new(life->process, run_actor, actor, actor_ended);
        fiber_wake(actor->fiber);
    }
}

void broker_actors_kill(broker_life_t *life)
{
    for (size_t i = 0; i < ACTORS_MAX; i++) {
        if (life->actors[i].fiber) {
            fiber_kill(life->actors[i].fiber);
        }
    }
}

void broker_actor_send(broker_actor_t *actor, const operation_t *operation)
{
    operation_t *copy = malloc(sizeof *copy);
    if (!copy) {
        abort();
    }
    *copy = *operation;
    assert(actor->inbox_count < INBOX_MAX);
    actor->inbox[actor->inbox_count++] = copy;
    fiber_wake(actor->fiber);
}
