/* The store actors' side of the router's shell: see storage_zmq.h. */
#include "broker/router/storage_state.h"

#include "core/crash_point.h"

/* ---- loads ---- */

static void feed_load(storage_t *storage, uint32_t number)
{
    router_load_t load;
    load_operation_t *operation = &storage->lanes[number].load;
    if (router_take_load(storage->router, number, &load)) {
        *operation = (load_operation_t){.kind = LOADER_LOAD,
                                        .lane = number,
                                        .ranges = load.ranges,
                                        .range_count = load.count,
                                        .bytes_max = load.bytes_max};
        loader_actor_send(storage->loader, operation);
    }
}

static void feed_scheduled(storage_t *storage, uint32_t number)
{
    router_scheduled_t load;
    load_operation_t *operation = &storage->lanes[number].scheduled;
    if (router_take_scheduled(storage->router, number, &load)) {
        *operation = (load_operation_t){.kind = LOADER_SCHEDULED,
                                        .lane = number,
                                        .after = load.after,
                                        .limit = load.limit,
                                        .bytes_max = load.bytes_max};
        loader_actor_send(storage->loader, operation);
    }
}

/* The adopter searches: like the rows of a lane that it adopts, it reads all of them. */
static void feed_search(storage_t *storage, uint32_t number)
{
    router_search_t search;
    load_operation_t *operation = &storage->lanes[number].search;
    if (router_take_search(storage->router, number, &search)) {
        *operation = (load_operation_t){.kind = LOADER_SEARCH,
                                        .lane = number,
                                        .wanted = search.wanted,
                                        .wanted_count = search.count};
        loader_actor_send(storage->adopter, operation);
    }
}

static void feed_states(storage_t *storage, uint32_t number)
{
    router_states_t read;
    load_operation_t *operation = &storage->lanes[number].states;
    if (router_take_states(storage->router, number, &read)) {
        *operation = (load_operation_t){.kind = LOADER_STATES,
                                        .lane = number,
                                        .names = read.names,
                                        .name_count = read.count,
                                        .bytes_max = read.bytes_max};
        loader_actor_send(storage->loader, operation);
    }
}

static void take_states(storage_t *storage, load_operation_t *operation)
{
    loaded_states_t *states = &operation->states;
    router_states_loaded(storage->router, operation->lane, operation->error, states->values,
                         states->count, states->done, storage->now_ms);
    states->count = 0; /* the router has taken them */
    loaded_states_clear(states);
}

static void feed_events(storage_t *storage, uint32_t number)
{
    router_events_t read;
    load_operation_t *operation = &storage->lanes[number].events;
    if (router_take_events(storage->router, number, &read)) {
        *operation = (load_operation_t){.kind = LOADER_EVENTS,
                                        .lane = number,
                                        .histories = read.histories,
                                        .history_count = read.count,
                                        .bytes_max = read.bytes_max};
        loader_actor_send(storage->loader, operation);
    }
}

static void take_events(storage_t *storage, load_operation_t *operation)
{
    loaded_events_t *events = &operation->events;
    router_events_loaded(storage->router, operation->lane, operation->error, events->values,
                         events->count, events->done, storage->now_ms);
    events->count = 0; /* the router has taken them */
    loaded_events_clear(events);
}

static void feed_reading(storage_t *storage, uint32_t number)
{
    router_reading_t read;
    load_operation_t *operation = &storage->lanes[number].reading;
    if (router_take_reading(storage->router, number, &read)) {
        *operation = (load_operation_t){.kind = LOADER_READING,
                                        .lane = number,
                                        .histories = read.history,
                                        .history_count = 1,
                                        .bytes_max = read.bytes_max};
        loader_actor_send(storage->loader, operation);
    }
}

static void take_reading(storage_t *storage, load_operation_t *operation)
{
    const loaded_events_t *events = &operation->events;
    router_reading_loaded(storage->router, operation->lane, operation->error, events->values,
                          events->count, events->done == 1, storage->now_ms);
    loaded_events_clear(&operation->events);
}

static void feed_outgoing(storage_t *storage, uint32_t number)
{
    router_outgoing_load_t load;
    load_operation_t *operation = &storage->lanes[number].outgoing;
    if (router_take_outgoing(storage->router, number, &load)) {
        *operation = (load_operation_t){.kind = LOADER_OUTGOING,
                                        .lane = number,
                                        .outgoing = {.target_lane = load.target_lane,
                                                     .after = load.after,
                                                     .limit = load.limit,
                                                     .bytes_max = load.bytes_max}};
        loader_actor_send(storage->loader, operation);
    }
}

static void take_outgoing(storage_t *storage, load_operation_t *operation)
{
    loaded_outgoing_t *told = &operation->told;
    router_outgoing_loaded(storage->router, operation->lane, operation->error, told->values,
                           told->count, told->ended, storage->now_ms);
    told->count = 0; /* the router has taken them */
    loaded_outgoing_clear(told);
}

/* At most one answer in a turn: each is work for the router. */
static void take_loader(storage_t *storage, loader_actor_t *loader)
{
    load_operation_t *operation = loader_actor_take(loader);
    if (!operation) {
        return;
    }
    switch (operation->kind) {
    case LOADER_ADOPT:
        storage_take_adoption(storage, operation->lane);
        break;
    case LOADER_LOAD:
        CRASH_POINT(LOAD_AFTER);
        router_loaded(storage->router, operation->lane, operation->error, operation->rows,
                      operation->done, storage->now_ms);
        operation->rows = NULL;
        break;
    case LOADER_SCHEDULED:
        router_scheduled_loaded(storage->router, operation->lane, operation->error, operation->rows,
                                operation->ended, storage->now_ms);
        operation->rows = NULL;
        break;
    case LOADER_SEARCH:
        router_searched(storage->router, operation->lane, operation->error, operation->rows,
                        storage->now_ms);
        operation->rows = NULL;
        break;
    case LOADER_STATES:
        take_states(storage, operation);
        break;
    case LOADER_EVENTS:
        take_events(storage, operation);
        break;
    case LOADER_READING:
        take_reading(storage, operation);
        break;
    case LOADER_OUTGOING:
        take_outgoing(storage, operation);
        break;
    }
}

/* ---- checkpoints ---- */

static void feed_slice(storage_t *storage, uint32_t number)
{
    storage_lane_t *lane = &storage->lanes[number];
    const router_slice_t *slice =
        lane->slicing ? NULL : router_take_slice(storage->router, number, storage->now_ms);
    if (slice) {
        lane->slicing = true;
        lane->slice = (checkpoint_operation_t){
            .kind = CHECKPOINT_SLICE, .hold = slice->hold, .slice = &slice->slice};
        checkpointer_actor_send(storage->checkpointer, &lane->slice);
    }
}

static void take_slice(storage_t *storage, storage_lane_t *lane)
{
    const checkpoint_operation_t *slice = &lane->slice;
    lane->slicing = false;
    if (slice->error && slice->error != FABRIC_ERROR_FENCED) {
        storage->end = slice->error;
        return;
    }
    if (!slice->error && slice->slice->last) {
        storage_hold_checkpointed(storage, &slice->hold, slice->slice->begun);
    }
    router_slice_done(storage->router, slice->hold.lane, slice->error, storage->now_ms);
    if (slice->error) {
        storage_hold_fenced(storage, &slice->hold);
    }
}

/* ---- hand-overs ---- */

/* The appender ends the lane before the checkpointer gives it up: it appends nothing more there. */
static void feed_give_ups(storage_t *storage)
{
    store_hold_t hold;
    while (router_next_give_up(storage->router, &hold, storage->now_ms)) {
        storage_lane_t *lane = &storage->lanes[hold.lane];
        storage_hold_end(storage, hold.lane);
        lane->give_up = (checkpoint_operation_t){.kind = CHECKPOINT_GIVE_UP, .hold = hold};
        CRASH_POINT(HAND_OVER_READY);
        checkpointer_actor_send(storage->checkpointer, &lane->give_up);
    }
}

/* Whatever the answer is, the hold is over. */
static void take_given_up(storage_t *storage, const checkpoint_operation_t *give_up)
{
    if (give_up->error == FABRIC_ERROR_SHUTTING_DOWN) {
        return;
    }
    if (give_up->error && give_up->error != FABRIC_ERROR_FENCED) {
        storage->end = give_up->error;
        return;
    }
    CRASH_POINT(HAND_OVER_REPORTED);
    log_event(LOG_INFO_LEVEL, "lane.given_up", log_uint("lane", give_up->hold.lane),
              log_uint("epoch", give_up->hold.epoch));
    router_lane_fenced(storage->router, give_up->hold.lane, give_up->hold.epoch, storage->now_ms);
}

static void take_checkpointer(storage_t *storage)
{
    checkpoint_operation_t *operation;
    while ((operation = checkpointer_actor_take(storage->checkpointer))) {
        storage_lane_t *lane = &storage->lanes[operation->hold.lane];
        switch (operation->kind) {
        case CHECKPOINT_SLICE:
            take_slice(storage, lane);
            break;
        case CHECKPOINT_PURGE:
            storage_take_purge(storage, operation->hold.lane);
            break;
        case CHECKPOINT_GIVE_UP:
            take_given_up(storage, operation);
            break;
        }
    }
}

/* ---- look-ups ---- */

static void feed_lookup(storage_t *storage, uint32_t number)
{
    router_lookup_t lookup;
    find_operation_t *find = &storage->lanes[number].find;
    if (router_take_lookup(storage->router, number, &lookup)) {
        *find = (find_operation_t){.lane = number,
                                   .floor = lookup.floor,
                                   .calls = lookup.calls,
                                   .call_count = lookup.call_count,
                                   .keys = lookup.keys,
                                   .key_count = lookup.key_count,
                                   .page = lookup.page};
        finder_actor_send(storage->finder, find);
    }
}

static void take_finder(storage_t *storage)
{
    find_operation_t *find;
    while ((find = finder_actor_take(storage->finder))) {
        CRASH_POINT(LOOKUP_FOUND);
        for (size_t i = 0; i < find->answer.count; i++) {
            const finder_found_t *one = &find->answer.found[i];
            router_found_t found = {
                .message = &one->message->stored,
                .contents = one->contents,
                .reply = one->message->state == MESSAGE_ENDED ? &one->message->reply : NULL,
                .position = one->message->position};
            router_lookup_found(storage->router, find->lane, &found);
        }
        for (size_t i = 0; i < find->answer.key_count; i++) {
            router_lookup_key(storage->router, find->lane, &find->answer.keys[i]);
        }
        if (!find->error && find->page.limit > 0) {
            router_lookup_listed(storage->router, find->lane, find->answer.listed,
                                 find->answer.listed_count, find->answer.listed_all);
        }
        request_id_t reached = find->answer.reached;
        if (find->answer.lost.value < reached.value) {
            router_lookup_cut_short(storage->router, find->lane, find->answer.lost);
        }
        finder_answer_clear(&find->answer);
        router_lookup_done(storage->router, find->lane, find->error, reached, storage->now_ms);
    }
}

/* ---- the loop ---- */

enum { POLL_TIMER, POLL_CHECKPOINTER, POLL_LOADER, POLL_ADOPTER, POLL_FINDER, POLL_APPENDERS };

uint32_t storage_poll_items(const storage_t *storage, zmq_pollitem_t *items)
{
    uint32_t count = POLL_APPENDERS + storage->appender_count;
    items[POLL_TIMER].fd = storage->timer_fd;
    items[POLL_CHECKPOINTER].fd = pipe_fd(storage->checkpointer->base.actor.pipe);
    items[POLL_LOADER].fd = pipe_fd(storage->loader->base.actor.pipe);
    items[POLL_ADOPTER].fd = pipe_fd(storage->adopter->base.actor.pipe);
    items[POLL_FINDER].fd = pipe_fd(storage->finder->base.actor.pipe);
    for (uint32_t i = 0; i < storage->appender_count; i++) {
        items[POLL_APPENDERS + i].fd = pipe_fd(storage->appenders[i].base.actor.pipe);
    }
    for (uint32_t i = 0; i < count; i++) {
        items[i].events = ZMQ_POLLIN;
    }
    return count;
}

void storage_take(storage_t *storage, const zmq_pollitem_t *items, uint64_t now_ms)
{
    storage->now_ms = now_ms;
    if (items[POLL_TIMER].revents) {
        storage_clear_timer(storage);
    }
    for (uint32_t i = 0; i < storage->appender_count; i++) {
        if (items[POLL_APPENDERS + i].revents) {
            storage_take_appender(storage, i);
        }
    }
    if (items[POLL_CHECKPOINTER].revents) {
        take_checkpointer(storage);
    }
    if (items[POLL_LOADER].revents) {
        take_loader(storage, storage->loader);
    }
    if (items[POLL_ADOPTER].revents) {
        take_loader(storage, storage->adopter);
    }
    if (items[POLL_FINDER].revents) {
        take_finder(storage);
    }
}

void storage_feed(storage_t *storage, uint64_t now_ms)
{
    storage->now_ms = now_ms;
    storage_feed_appenders(storage);
    feed_give_ups(storage);
    storage->going_on = router_go_on(storage->router, now_ms);
    storage_feed_holds(storage);
    for (uint32_t i = 0; i < storage->lane_count; i++) {
        feed_slice(storage, i);
        feed_load(storage, i);
        feed_scheduled(storage, i);
        feed_search(storage, i);
        feed_states(storage, i);
        feed_reading(storage, i);
        feed_events(storage, i);
        feed_outgoing(storage, i);
        feed_lookup(storage, i);
    }
}

uint64_t storage_next_deadline(const storage_t *storage)
{
    return storage->going_on ? 0 : storage_holds_deadline(storage);
}
