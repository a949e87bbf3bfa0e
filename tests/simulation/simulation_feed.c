/* Between the router of a simulated broker and its store actors, as router_zmq.c does it. */
#include "core/crash_point.h"
#include "tests/simulation/simulation_broker.h"
#include "tests/simulation/simulation_check.h"

/* ---- from the router to the actors ---- */

static uint64_t now_us(const broker_life_t *life)
{
    return life->process->origin_ms * 1000 + world.now_us;
}

static void on_hold_over(event_t *event)
{
    process_touch(event->process);
}

static size_t waiting_records(broker_life_t *life, const broker_actor_t *appender)
{
    size_t count = 0;
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        count += broker_appender_of(life, i) == appender ? router_waiting(life->router, i) : 0;
    }
    return count;
}

/* Whether the next append is to begin; else an event tells when. */
static bool is_append_due(broker_life_t *life, broker_actor_t *appender, size_t waiting)
{
    if (appender->appending || waiting == 0) {
        return false;
    }
    uint64_t hold_us = append_pacer_hold(&appender->pacer, waiting, now_us(life));
    if (hold_us > 0 && appender->wake_us <= world.now_us) {
        appender->wake_us = world.now_us + hold_us;
        event_schedule(event_new(life->process, on_hold_over, NULL, 0), appender->wake_us);
    }
    return hold_us == 0;
}

static void feed_appender(broker_life_t *life, broker_actor_t *appender)
{
    size_t waiting = waiting_records(life, appender);
    if (!is_append_due(life, appender, waiting)) {
        return;
    }
    operation_t append = {.kind = OPERATION_APPEND};
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        if (broker_appender_of(life, i) == appender) {
            const lane_batch_t *batch =
                router_take_batch(life->router, i, process_now_ms(life->process));
            if (batch) {
                append.parts[append.part_count++] = (append_part_t){.lane = i, .batch = batch};
            }
        }
    }
    if (append.part_count > 0) {
        append_pacer_begin(&appender->pacer, waiting, now_us(life));
        appender->appending = true;
        CRASH_POINT(BATCH_TAKEN);
        broker_actor_send(appender, &append);
    }
}

static void feed_lane(broker_life_t *life, uint32_t lane)
{
    const router_slice_t *slice =
        router_take_slice(life->router, lane, process_now_ms(life->process));
    if (slice) {
        broker_actor_send(
            &life->actors[ACTOR_CHECKPOINTER],
            &(operation_t){.kind = OPERATION_WRITE, .hold = slice->hold, .slice = &slice->slice});
    }
    router_load_t load;
    if (router_take_load(life->router, lane, &load)) {
        broker_actor_send(&life->actors[ACTOR_LOADER],
                          &(operation_t){.kind = OPERATION_LOAD, .hold.lane = lane, .load = load});
    }
    router_scheduled_t scheduled;
    if (router_take_scheduled(life->router, lane, &scheduled)) {
        broker_actor_send(&life->actors[ACTOR_LOADER], &(operation_t){
                                                           .kind = OPERATION_LOAD_SCHEDULED,
                                                           .hold.lane = lane,
                                                           .scheduled = scheduled,
                                                       });
    }
    router_search_t search;
    if (router_take_search(life->router, lane, &search)) {
        broker_actor_send(
            &life->actors[ACTOR_LOADER],
            &(operation_t){.kind = OPERATION_SEARCH, .hold.lane = lane, .search = search});
    }
    router_states_t states;
    if (router_take_states(life->router, lane, &states)) {
        broker_actor_send(
            &life->actors[ACTOR_LOADER],
            &(operation_t){.kind = OPERATION_STATES, .hold.lane = lane, .wanted = states});
    }
    router_events_t events;
    if (router_take_events(life->router, lane, &events)) {
        broker_actor_send(
            &life->actors[ACTOR_LOADER],
            &(operation_t){.kind = OPERATION_EVENTS, .hold.lane = lane, .histories = events});
    }
    router_reading_t reading;
    if (router_take_reading(life->router, lane, &reading)) {
        broker_actor_send(
            &life->actors[ACTOR_LOADER],
            &(operation_t){.kind = OPERATION_READING, .hold.lane = lane, .reading = reading});
    }
    router_outgoing_load_t outgoing;
    if (router_take_outgoing(life->router, lane, &outgoing)) {
        broker_actor_send(
            &life->actors[ACTOR_LOADER],
            &(operation_t){.kind = OPERATION_OUTGOING, .hold.lane = lane, .outgoing = outgoing});
    }
    router_lookup_t lookup;
    if (router_take_lookup(life->router, lane, &lookup)) {
        broker_actor_send(
            &life->actors[ACTOR_FINDER],
            &(operation_t){.kind = OPERATION_FIND, .hold.lane = lane, .lookup = lookup});
    }
}

static void feed_give_ups(broker_life_t *life)
{
    store_hold_t hold;
    while (router_next_give_up(life->router, &hold, process_now_ms(life->process))) {
        check_gives_up(&hold, broker_appender_of(life, hold.lane)->appending);
        broker_actor_send(broker_appender_of(life, hold.lane),
                          &(operation_t){.kind = OPERATION_END, .hold = hold});
        CRASH_POINT(HAND_OVER_READY);
        broker_actor_send(&life->actors[ACTOR_CHECKPOINTER],
                          &(operation_t){.kind = OPERATION_GIVE_UP, .hold = hold});
    }
}

void broker_feed(broker_life_t *life)
{
    store_hold_t hold;
    while (router_go_on(life->router, process_now_ms(life->process))) {
    }
    while (router_next_adoption(life->router, &hold)) {
        CRASH_POINT(ADOPT_BEFORE);
        broker_actor_send(&life->actors[ACTOR_LOADER],
                          &(operation_t){.kind = OPERATION_ADOPT, .hold = hold});
    }
    feed_give_ups(life);
    for (unsigned i = 0; i < world.plan.appenders; i++) {
        feed_appender(life, &life->actors[ACTOR_APPENDER + i]);
    }
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        if (life->lanes[i].epoch > 0) {
            feed_lane(life, i);
        }
    }
}

void broker_check_lanes(broker_life_t *life)
{
    for (unsigned i = 0; i < world.plan.appenders; i++) {
        broker_actor_t *appender = &life->actors[ACTOR_APPENDER + i];
        if (appender->inbox_count < INBOX_MAX / 2) {
            broker_actor_send(appender, &(operation_t){.kind = OPERATION_CHECK});
        }
    }
}

/* ---- from the actors to the router ---- */

static void take_appended(broker_life_t *life, broker_actor_t *appender, const operation_t *append)
{
    CRASH_POINT(APPEND_REPORTED);
    appender->appending = false;
    append_pacer_end(&appender->pacer, now_us(life));
    for (size_t i = 0; i < append->part_count; i++) {
        const append_part_t *part = &append->parts[i];
        broker_lane_t *lane = &life->lanes[part->lane];
        if (!part->fenced) {
            simulation_entry_told(part->lane, part->number);
        }
        world.result->fenced += part->fenced;
        lane->log_bytes += !part->fenced && lane->epoch == part->batch->epoch ? part->bytes : 0;
        router_batch_done(life->router, part->lane, part->fenced ? FABRIC_ERROR_FENCED : FABRIC_OK,
                          part->number, part->bytes, process_now_ms(life->process));
    }
    CRASH_POINT(ANSWERS_QUEUED);
}

static void take_adopted(broker_life_t *life, operation_t *operation)
{
    adoption_t *adoption = &operation->adoption;
    uint32_t lane = adoption->hold.lane;
    life->lanes[lane] = (broker_lane_t){adoption->hold.epoch, adoption->log_bytes};
    broker_actor_send(broker_appender_of(life, lane), &(operation_t){
                                                          .kind = OPERATION_BEGIN,
                                                          .hold = adoption->hold,
                                                          .number = adoption->number,
                                                          .log_bytes = adoption->log_bytes,
                                                      });
    router_adopted(life->router, adoption, process_now_ms(life->process));
    CRASH_POINT(ADOPT_REPORTED);
}

static void take_written(broker_life_t *life, const operation_t *write)
{
    if (!write->error && write->slice->last) {
        broker_actor_send(&life->actors[ACTOR_CHECKPOINTER],
                          &(operation_t){.kind = OPERATION_PURGE,
                                         .hold = write->hold,
                                         .number = write->slice->begun,
                                         .log_bytes = life->lanes[write->hold.lane].log_bytes});
    }
    router_slice_done(life->router, write->hold.lane, write->error, process_now_ms(life->process));
}

static void take_found(broker_life_t *life, const operation_t *find)
{
    CRASH_POINT(LOOKUP_FOUND);
    for (size_t i = 0; i < find->answer.count; i++) {
        const message_t *message = find->answer.found[i].message;
        router_found_t found = {.message = &message->stored,
                                .contents = find->answer.found[i].contents,
                                .reply = message->state == MESSAGE_ENDED ? &message->reply : NULL,
                                .position = message->position};
        router_lookup_found(life->router, find->hold.lane, &found);
    }
    for (size_t i = 0; i < find->answer.key_count; i++) {
        router_lookup_key(life->router, find->hold.lane, &find->answer.keys[i]);
    }
    if (!find->error && find->lookup.page.limit > 0) {
        router_lookup_listed(life->router, find->hold.lane, find->answer.listed,
                             find->answer.listed_count, find->answer.listed_all);
    }
    if (find->answer.lost.value < find->answer.reached.value) {
        router_lookup_cut_short(life->router, find->hold.lane, find->answer.lost);
    }
    router_lookup_done(life->router, find->hold.lane, find->error, find->answer.reached,
                       process_now_ms(life->process));
}

static void take_rows(broker_life_t *life, operation_t *load)
{
    CRASH_POINT(LOAD_AFTER);
    message_t *rows = load->rows.first;
    load->rows = (message_chain_t){.first = NULL};
    router_loaded(life->router, load->hold.lane, load->error, rows, load->done,
                  process_now_ms(life->process));
}

static void take_scheduled(broker_life_t *life, operation_t *load)
{
    message_t *rows = load->rows.first;
    load->rows = (message_chain_t){.first = NULL};
    router_scheduled_loaded(life->router, load->hold.lane, load->error, rows, load->ended,
                            process_now_ms(life->process));
}

static void take_searched(broker_life_t *life, operation_t *search)
{
    message_t *found = search->rows.first;
    search->rows = (message_chain_t){.first = NULL};
    router_searched(life->router, search->hold.lane, search->error, found,
                    process_now_ms(life->process));
}

static void take_states(broker_life_t *life, operation_t *read)
{
    loaded_states_t *states = &read->states;
    world.result->reread += states->count;
    router_states_loaded(life->router, read->hold.lane, read->error, states->values, states->count,
                         states->done, process_now_ms(life->process));
    states->count = 0; /* the router has taken them */
}

static void take_events(broker_life_t *life, operation_t *read)
{
    loaded_events_t *events = &read->events;
    world.result->reread += events->count;
    router_events_loaded(life->router, read->hold.lane, read->error, events->values, events->count,
                         events->done, process_now_ms(life->process));
    events->count = 0; /* the router has taken them */
}

static void take_reading(broker_life_t *life, operation_t *read)
{
    loaded_events_t *events = &read->events;
    router_reading_loaded(life->router, read->hold.lane, read->error, events->values, events->count,
                          events->done == 1, process_now_ms(life->process));
}

static void take_outgoing(broker_life_t *life, operation_t *read)
{
    loaded_outgoing_t *told = &read->told;
    router_outgoing_loaded(life->router, read->hold.lane, read->error, told->values, told->count,
                           told->ended, process_now_ms(life->process));
    told->count = 0; /* the router has taken them */
}

static void take_success(broker_life_t *life, broker_actor_t *actor, operation_t *operation)
{
    switch (operation->kind) {
    case OPERATION_BEGIN:
    case OPERATION_END:
    case OPERATION_PURGE:
        break;
    case OPERATION_GIVE_UP:
        CRASH_POINT(HAND_OVER_REPORTED);
        world.result->hand_overs++;
        router_lane_fenced(life->router, operation->hold.lane, operation->hold.epoch,
                           process_now_ms(life->process));
        break;
    case OPERATION_APPEND:
        take_appended(life, actor, operation);
        break;
    case OPERATION_CHECK:
        world.result->fenced += operation->fenced_count;
        for (size_t i = 0; i < operation->fenced_count; i++) {
            router_lane_fenced(life->router, operation->fenced[i].lane, operation->fenced[i].epoch,
                               process_now_ms(life->process));
        }
        break;
    case OPERATION_WRITE:
        take_written(life, operation);
        break;
    case OPERATION_ADOPT:
        take_adopted(life, operation);
        break;
    case OPERATION_LOAD:
        take_rows(life, operation);
        break;
    case OPERATION_LOAD_SCHEDULED:
        take_scheduled(life, operation);
        break;
    case OPERATION_SEARCH:
        take_searched(life, operation);
        break;
    case OPERATION_STATES:
        take_states(life, operation);
        break;
    case OPERATION_EVENTS:
        take_events(life, operation);
        break;
    case OPERATION_READING:
        take_reading(life, operation);
        break;
    case OPERATION_OUTGOING:
        take_outgoing(life, operation);
        break;
    case OPERATION_FIND:
        take_found(life, operation);
        break;
    }
}

static void take_fenced(broker_life_t *life, operation_t *operation)
{
    if (operation->kind == OPERATION_WRITE) {
        router_slice_done(life->router, operation->hold.lane, FABRIC_ERROR_FENCED,
                          process_now_ms(life->process));
    }
    router_lane_fenced(life->router, operation->hold.lane, operation->hold.epoch,
                       process_now_ms(life->process));
}

void broker_take_report(broker_life_t *life, broker_actor_t *actor, operation_t *operation)
{
    bool asked = operation->kind == OPERATION_FIND || operation->kind == OPERATION_LOAD ||
                 operation->kind == OPERATION_LOAD_SCHEDULED ||
                 operation->kind == OPERATION_SEARCH || operation->kind == OPERATION_STATES ||
                 operation->kind == OPERATION_EVENTS || operation->kind == OPERATION_READING ||
                 operation->kind == OPERATION_OUTGOING;
    if (!operation->error || (asked && operation->error != FABRIC_ERROR_SHUTTING_DOWN)) {
        take_success(life, actor, operation); /* the router learns of errors of what it asked for */
    } else if (operation->error == FABRIC_ERROR_FENCED) {
        take_fenced(life, operation);
    } else if (operation->error == FABRIC_ERROR_STORE_LOST) {
        broker_life_lost(life, actor->appender ? appender_lost(actor->appender) : "a lane");
    } else if (operation->error != FABRIC_ERROR_SHUTTING_DOWN) {
        world_fail("broker %u: operation %u ends with %s", life->process->index,
                   (unsigned)operation->kind, fabric_error_name(operation->error));
    }
}

bool broker_is_appending(const broker_life_t *life)
{
    for (size_t i = ACTOR_APPENDER; i < ACTORS_MAX; i++) {
        if (life->actors[i].appending) {
            return true;
        }
    }
    return false;
}
