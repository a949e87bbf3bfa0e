/* The store actors' side of the router's shell: see storage_zmq.h. */
#include "broker/router/storage_zmq.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "broker/router/batch_log.h"
#include "core/clock.h"
#include "core/crash_point.h"

#define OUTAGES_PER_S     2u
#define ADOPTION_RETRY_MS 3000u  /* for a lane that is damaged */
#define PURGE_MS          1000u  /* between two purges of a lane with much to purge */
#define PURGE_MS_MAX      10000u /* of one with little */

fabric_error_t storage_open(storage_t *storage)
{
    storage->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return storage->timer_fd < 0 ? FABRIC_ERROR_NO_RESOURCES : FABRIC_OK;
}

void storage_close(storage_t *storage)
{
    if (storage->timer_fd >= 0) {
        close(storage->timer_fd);
        storage->timer_fd = -1;
    }
}

/* ---- lanes ---- */

/* A lane with little to purge is purged seldom: entries are kept for a tenth longer at most. */
static uint64_t idle_purge_ms(const storage_t *storage)
{
    uint64_t wait_ms = storage->call_retention_ms / 10;
    return wait_ms < PURGE_MS ? PURGE_MS : wait_ms < PURGE_MS_MAX ? wait_ms : PURGE_MS_MAX;
}

static appender_actor_t *appender_of(storage_t *storage, uint32_t lane)
{
    assert(storage->appender_count > 0);
    return &storage->appenders[lane % storage->appender_count];
}

static void end_lane(storage_t *storage, storage_lane_t *lane)
{
    lane->adopted = false;
    appender_actor_end(appender_of(storage, lane->hold.lane), &lane->hold);
}

/* The hold is over, as a store actor was told. */
static void lane_fenced(storage_t *storage, const store_hold_t *hold)
{
    storage_lane_t *lane = &storage->lanes[hold->lane];
    if (lane->adopted && lane->hold.epoch == hold->epoch) {
        end_lane(storage, lane);
    }
    router_lane_fenced(storage->router, hold->lane, hold->epoch, storage->now_ms);
}

void storage_lanes_held(storage_t *storage, const store_hold_t *holds, size_t count)
{
    for (uint32_t i = 0; i < storage->lane_count; i++) {
        storage_lane_t *lane = &storage->lanes[i];
        bool is_held = false;
        for (size_t j = 0; j < count; j++) {
            is_held = is_held || (holds[j].lane == i && holds[j].epoch == lane->hold.epoch);
        }
        if (lane->adopted && !is_held) {
            end_lane(storage, lane);
        }
    }
}

/* ---- appends ---- */

static void set_timer(storage_t *storage, uint64_t wait_us)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(wait_us / 1000000),
                                           .tv_nsec = (long)(wait_us % 1000000) * 1000}};
    (void)timerfd_settime(storage->timer_fd, 0, &when, NULL);
}

static size_t count_records(const lane_batch_t *batch)
{
    return batch->message_count + batch->attempt_count + batch->end_count;
}

/* Takes the batches of the appender's lanes. Returns how many records they have. */
static size_t take_batches(storage_t *storage, uint32_t number)
{
    append_operation_t *operation = &storage->appends[number].operation;
    size_t records = 0;
    *operation = (append_operation_t){.count = 0};
    for (uint32_t lane = number; lane < storage->lane_count; lane += storage->appender_count) {
        const lane_batch_t *batch = router_take_batch(storage->router, lane, storage->now_ms);
        if (batch) {
            operation->parts[operation->count++] = (append_part_t){.lane = lane, .batch = batch};
            records += count_records(batch);
        }
    }
    return records;
}

/* Begins the appender's next append, if it is time. Returns in how many microseconds it is; 0: none
 * waits. */
static uint64_t feed_appender(storage_t *storage, uint32_t number)
{
    storage_appender_t *appends = &storage->appends[number];
    size_t waiting = 0;
    for (uint32_t lane = number; lane < storage->lane_count; lane += storage->appender_count) {
        waiting += router_waiting(storage->router, lane);
    }
    if (appends->appending || waiting == 0) {
        return 0;
    }
    uint64_t now_us = clock_monotonic_us();
    uint64_t hold_us = append_pacer_hold(&appends->pacer, waiting, now_us);
    if (hold_us > 0) {
        return hold_us;
    }
    size_t records = take_batches(storage, number);
    if (records > 0) {
        appends->appending = true;
        append_pacer_begin(&appends->pacer, records, now_us);
        CRASH_POINT(BATCH_TAKEN);
        appender_actor_append(&storage->appenders[number], &appends->operation);
    }
    return 0;
}

static void feed_appenders(storage_t *storage)
{
    uint64_t first_us = 0;
    for (uint32_t i = 0; i < storage->appender_count; i++) {
        uint64_t wait_us = feed_appender(storage, i);
        if (wait_us > 0 && (first_us == 0 || wait_us < first_us)) {
            first_us = wait_us;
        }
    }
    if (first_us > 0) {
        set_timer(storage, first_us);
    }
}

static void take_part(storage_t *storage, const append_part_t *part)
{
    storage_lane_t *lane = &storage->lanes[part->lane];
    if (part->fenced) {
        router_batch_done(storage->router, part->lane, FABRIC_ERROR_FENCED, 0, 0, storage->now_ms);
        return;
    }
    batch_log_committed(&storage->dead_letters, part->batch, storage->now_ms);
    lane->log_bytes += lane->hold.epoch == part->batch->epoch ? part->bytes : 0;
    router_batch_done(storage->router, part->lane, FABRIC_OK, part->number, part->bytes,
                      storage->now_ms);
}

static void take_append(storage_t *storage, uint32_t number, const append_operation_t *operation)
{
    CRASH_POINT(APPEND_REPORTED);
    append_pacer_end(&storage->appends[number].pacer, clock_monotonic_us());
    storage->appends[number].appending = false;
    if (operation->error) {
        storage->end = operation->error;
        return;
    }
    for (size_t i = 0; i < operation->count; i++) {
        take_part(storage, &operation->parts[i]);
    }
    CRASH_POINT(ANSWERS_QUEUED);
}

/* The lines are limited, since a database that comes and goes repeats itself. */
static void take_availability(storage_t *storage, uint32_t number, const char *cause)
{
    uint32_t left_out = 0;
    for (uint32_t lane = number; lane < storage->lane_count; lane += storage->appender_count) {
        router_lane_available(storage->router, lane, cause == NULL, cause);
    }
    if (!cause) {
        log_event(LOG_INFO_LEVEL, "store.available", log_text("connection", "appender"),
                  log_uint("number", number));
    } else if (log_limiter_pass(&storage->appends[number].outages, OUTAGES_PER_S, storage->now_ms,
                                &left_out)) {
        log_event(LOG_WARN_LEVEL, "store.unavailable", log_text("connection", "appender"),
                  log_uint("number", number), log_text("cause", cause),
                  log_uint("left_out", left_out));
    }
}

static void take_appender(storage_t *storage, uint32_t number)
{
    appender_report_t report;
    while (appender_actor_take(&storage->appenders[number], &report)) {
        switch (report.kind) {
        case APPENDER_APPENDED:
            take_append(storage, number, report.append);
            break;
        case APPENDER_FENCED:
            lane_fenced(storage, &report.hold);
            break;
        case APPENDER_LOST:
            storage->end = FABRIC_ERROR_STORE_LOST;
            break;
        case APPENDER_AVAILABLE:
        case APPENDER_UNAVAILABLE:
            take_availability(storage, number, report.cause);
            free(report.cause);
            break;
        }
    }
}

/* ---- adoptions ---- */

static void note_adoptions(storage_t *storage)
{
    store_hold_t hold;
    while (router_next_adoption(storage->router, &hold)) {
        storage_lane_t *lane = &storage->lanes[hold.lane];
        lane->adoption_due = true;
        lane->wanted = hold;
        lane->adoption_at_ms = storage->now_ms;
    }
}

/* A slice of an earlier hold may still be under way. */
static void feed_adoption(storage_t *storage, storage_lane_t *lane)
{
    if (!lane->adoption_due || lane->adopting || lane->slicing ||
        storage->now_ms < lane->adoption_at_ms) {
        return;
    }
    lane->adoption_due = false;
    lane->adopting = true;
    lane->adopt =
        (load_operation_t){.kind = LOADER_ADOPT, .lane = lane->wanted.lane, .hold = lane->wanted};
    CRASH_POINT(ADOPT_BEFORE);
    loader_actor_send(storage->adopter, &lane->adopt);
}

static void log_adopted(const adoption_t *adoption)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < adoption->backlog_count; i++) {
        rows += adoption->backlogs[i].count;
    }
    log_event(LOG_INFO_LEVEL, "lane.adopted", log_uint("lane", adoption->hold.lane),
              log_uint("epoch", adoption->hold.epoch), log_uint("entry", adoption->number),
              log_uint("checkpoint", adoption->checkpoint),
              log_uint("journal_bytes", adoption->tail_bytes), log_uint("rows", rows));
}

/* An operator decides what becomes of a damaged lane. Meanwhile it is looked at again now and
 * then. */
static void take_damage(storage_t *storage, storage_lane_t *lane)
{
    const load_operation_t *adopt = &lane->adopt;
    log_event(LOG_ERROR_LEVEL, "lane.damaged", log_uint("lane", adopt->lane),
              log_uint("entry", adopt->fault.number),
              log_text("error", fabric_error_name(adopt->error)),
              log_text("text", adopt->fault.reason.text),
              log_text("next", "its shards do not serve; fabricctl journal repair shows what can "
                               "be done"));
    router_lane_damaged(storage->router, adopt->lane, adopt->hold.epoch, storage->now_ms);
    if (!lane->adoption_due) {
        lane->adoption_due = true;
        lane->adoption_at_ms = storage->now_ms + ADOPTION_RETRY_MS;
    }
}

static void take_adoption(storage_t *storage, storage_lane_t *lane)
{
    load_operation_t *adopt = &lane->adopt;
    lane->adopting = false;
    if (adopt->error == FABRIC_ERROR_FENCED) {
        lane_fenced(storage, &adopt->hold);
    } else if (adopt->error == FABRIC_ERROR_SHUTTING_DOWN) {
        return;
    } else if (adopt->error) {
        take_damage(storage, lane);
    } else {
        lane->adopted = true;
        lane->hold = adopt->hold;
        lane->log_bytes = adopt->adoption.log_bytes;
        lane->checkpoint = adopt->adoption.checkpoint;
        lane->purge_at_ms = storage->now_ms + idle_purge_ms(storage);
        /* The appender knows the lane before the router has anything for it. */
        appender_actor_begin(appender_of(storage, adopt->lane), &adopt->hold,
                             adopt->adoption.number, adopt->adoption.log_bytes);
        log_adopted(&adopt->adoption);
        router_adopted(storage->router, &adopt->adoption, storage->now_ms);
        CRASH_POINT(ADOPT_REPORTED);
    }
}

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

/* At most one answer in a turn: each is work for the router. */
static void take_loader(storage_t *storage, loader_actor_t *loader)
{
    load_operation_t *operation = loader_actor_take(loader);
    if (!operation) {
        return;
    }
    switch (operation->kind) {
    case LOADER_ADOPT:
        take_adoption(storage, &storage->lanes[operation->lane]);
        break;
    case LOADER_LOAD:
        CRASH_POINT(LOAD_AFTER);
        router_loaded(storage->router, operation->lane, operation->error, operation->rows,
                      operation->done, storage->now_ms);
        operation->rows = NULL;
        break;
    }
}

/* ---- checkpoints and purges ---- */

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

static void feed_purge(storage_t *storage, storage_lane_t *lane)
{
    if (lane->adopted && !lane->purging && storage->now_ms >= lane->purge_at_ms) {
        lane->purging = true;
        lane->purge = (checkpoint_operation_t){.kind = CHECKPOINT_PURGE,
                                               .hold = lane->hold,
                                               .checkpoint = lane->checkpoint,
                                               .log_bytes = lane->log_bytes};
        checkpointer_actor_send(storage->checkpointer, &lane->purge);
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
    if (!slice->error && slice->slice->last && slice->hold.epoch == lane->hold.epoch) {
        lane->checkpoint = slice->slice->begun;
    }
    router_slice_done(storage->router, slice->hold.lane, slice->error, storage->now_ms);
    if (slice->error) {
        lane_fenced(storage, &slice->hold);
    }
}

static void take_purge(storage_t *storage, storage_lane_t *lane)
{
    const checkpoint_operation_t *purge = &lane->purge;
    lane->purging = false;
    lane->purge_at_ms =
        storage->now_ms + (purge->purged.entries > 0 ? PURGE_MS : idle_purge_ms(storage));
    storage->purged_entries += purge->purged.entries;
    storage->purged_bytes += purge->purged.bytes;
    if (purge->error == FABRIC_ERROR_FENCED) {
        lane_fenced(storage, &purge->hold);
    }
}

/* ---- hand-overs ---- */

/* The appender ends the lane before the checkpointer gives it up: it appends nothing more there. */
static void feed_give_ups(storage_t *storage)
{
    store_hold_t hold;
    while (router_next_give_up(storage->router, &hold, storage->now_ms)) {
        storage_lane_t *lane = &storage->lanes[hold.lane];
        end_lane(storage, lane);
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
            take_purge(storage, lane);
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
                                   .call_count = lookup.call_count};
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
                .reply = one->message->state == MESSAGE_ENDED ? &one->message->reply : NULL};
            router_lookup_found(storage->router, find->lane, &found);
        }
        request_id_t reached = find->answer.reached;
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

static void clear_timer(const storage_t *storage)
{
    uint64_t expirations;
    ssize_t got = read(storage->timer_fd, &expirations, sizeof expirations);
    (void)got; /* nothing to read: it was set anew meanwhile */
}

void storage_take(storage_t *storage, const zmq_pollitem_t *items, uint64_t now_ms)
{
    storage->now_ms = now_ms;
    if (items[POLL_TIMER].revents) {
        clear_timer(storage);
    }
    for (uint32_t i = 0; i < storage->appender_count; i++) {
        if (items[POLL_APPENDERS + i].revents) {
            take_appender(storage, i);
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
    feed_appenders(storage);
    note_adoptions(storage);
    feed_give_ups(storage);
    storage->going_on = router_go_on(storage->router, now_ms);
    for (uint32_t i = 0; i < storage->lane_count; i++) {
        feed_adoption(storage, &storage->lanes[i]);
        feed_slice(storage, i);
        feed_load(storage, i);
        feed_lookup(storage, i);
        feed_purge(storage, &storage->lanes[i]);
    }
}

uint64_t storage_next_deadline(const storage_t *storage)
{
    uint64_t deadline_ms = storage->going_on ? 0 : UINT64_MAX;
    for (uint32_t i = 0; i < storage->lane_count; i++) {
        const storage_lane_t *lane = &storage->lanes[i];
        if (lane->adoption_due && !lane->adopting && lane->adoption_at_ms < deadline_ms) {
            deadline_ms = lane->adoption_at_ms;
        }
        if (lane->adopted && !lane->purging && lane->purge_at_ms < deadline_ms) {
            deadline_ms = lane->purge_at_ms;
        }
    }
    return deadline_ms;
}
