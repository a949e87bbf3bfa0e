/* When the router's batches are appended, and what follows from appends: see storage_zmq.h. */
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "broker/router/batch_log.h"
#include "broker/router/storage_state.h"
#include "core/clock.h"
#include "core/crash_point.h"

#define OUTAGES_PER_S 2u

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

static void set_timer(storage_t *storage, uint64_t wait_us)
{
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(wait_us / 1000000),
                                           .tv_nsec = (long)(wait_us % 1000000) * 1000}};
    (void)timerfd_settime(storage->timer_fd, 0, &when, NULL);
}

static size_t count_records(const lane_batch_t *batch)
{
    return batch->message_count + batch->move_count + batch->attempt_count + batch->end_count +
           batch->clear_count + batch->kept_count + batch->sent_count;
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

static router_early_t count_early(const storage_t *storage, uint32_t number)
{
    router_early_t sum = {0};
    for (uint32_t lane = number; lane < storage->lane_count; lane += storage->appender_count) {
        router_early_t early = router_early(storage->router, lane);
        sum.messages += early.messages;
        sum.ends += early.ends;
        sum.awaited += early.awaited;
    }
    return sum;
}

/* How long the append of so many records is to be held; 0: it begins now. */
static uint64_t hold(append_pacer_t *pacer, size_t waiting, const router_early_t *early,
                     uint64_t now_us)
{
    uint64_t hold_us = 0;
    if (early->awaited > 0 && early->messages + early->ends == waiting) {
        hold_us = append_pacer_await(pacer, early->ends, now_us);
    }
    return hold_us > 0 ? hold_us : append_pacer_hold(pacer, waiting, now_us);
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
    router_early_t early = count_early(storage, number);
    uint64_t hold_us = hold(&appends->pacer, waiting, &early, now_us);
    if (hold_us > 0) {
        return hold_us;
    }
    size_t records = take_batches(storage, number);
    if (records > 0) {
        appends->appending = true;
        /* A message and its result count as one: the next message may come without. */
        append_pacer_begin(&appends->pacer, records > early.ends ? records - early.ends : records,
                           now_us);
        CRASH_POINT(BATCH_TAKEN);
        appender_actor_append(&storage->appenders[number], &appends->operation);
    }
    return 0;
}

void storage_feed_appenders(storage_t *storage)
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
    if (part->fenced) {
        router_batch_done(storage->router, part->lane, FABRIC_ERROR_FENCED, 0, 0, storage->now_ms);
        return;
    }
    batch_log_committed(&storage->dead_letters, part->batch, storage->now_ms);
    storage_hold_appended(storage, part->lane, part->batch->epoch, part->bytes);
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

void storage_take_appender(storage_t *storage, uint32_t number)
{
    appender_report_t report;
    while (appender_actor_take(&storage->appenders[number], &report)) {
        switch (report.kind) {
        case APPENDER_APPENDED:
            take_append(storage, number, report.append);
            break;
        case APPENDER_FENCED:
            storage_hold_fenced(storage, &report.hold);
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

void storage_clear_timer(const storage_t *storage)
{
    uint64_t expirations;
    ssize_t got = read(storage->timer_fd, &expirations, sizeof expirations);
    (void)got; /* nothing to read: it was set anew meanwhile */
}
