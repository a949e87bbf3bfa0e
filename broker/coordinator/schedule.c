/* When the coordinator makes which store call: see schedule.h. */
#include "broker/coordinator/schedule.h"

#include <assert.h>
#include <stdlib.h>

#include "core/memory.h"

#define BUSY_RETRY_MS 10u
#define DOWN_RETRY_MS 100u
#define RENEW_MS      200u /* from one renewal to the next, if the lease is not too short for it */
#define READ_MS       150u /* the same for readings of the term */

#define CALL_BIT(kind) (1u << (unsigned)(kind))

struct coordinator_schedule {
    uint32_t lease_ms;
    unsigned due; /* CALL_BIT of each kind that was required and has not succeeded since */
    uint64_t renew_ms, list_ms, refresh_ms; /* by the clock */
    bool refreshing;
    bool has_read;     /* the term, since the last call that is not kept here */
    uint64_t retry_ms; /* no call before */
    bool in_flight;
    coordinator_call_t call;
};

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

coordinator_schedule_t *coordinator_schedule_new(uint32_t lease_ms, uint64_t now_ms)
{
    coordinator_schedule_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->lease_ms = lease_ms;
    self->renew_ms = now_ms;
    self->list_ms = now_ms;
    self->refresh_ms = UINT64_MAX;
    return self;
}

void coordinator_schedule_destroy(coordinator_schedule_t **schedule)
{
    free(*schedule);
    *schedule = NULL;
}

void coordinator_schedule_require(coordinator_schedule_t *self, coordinator_call_kind_t kind)
{
    self->due |= CALL_BIT(kind);
}

void coordinator_schedule_withdraw(coordinator_schedule_t *self, coordinator_call_kind_t kind)
{
    self->due &= ~CALL_BIT(kind);
}

void coordinator_schedule_set_due(coordinator_schedule_t *self, coordinator_call_kind_t kind,
                                  bool due)
{
    if (due) {
        coordinator_schedule_require(self, kind);
    } else {
        coordinator_schedule_withdraw(self, kind);
    }
}

bool coordinator_schedule_is_due(const coordinator_schedule_t *self, coordinator_call_kind_t kind)
{
    return self->due & CALL_BIT(kind);
}

void coordinator_schedule_renew_within(coordinator_schedule_t *self, uint32_t delay_ms,
                                       uint64_t now_ms)
{
    self->renew_ms = earlier(self->renew_ms, now_ms + delay_ms);
}

void coordinator_schedule_read_within(coordinator_schedule_t *self, uint32_t delay_ms,
                                      uint64_t now_ms)
{
    self->list_ms = earlier(self->list_ms, now_ms + delay_ms);
}

void coordinator_schedule_start_refreshing(coordinator_schedule_t *self, uint64_t now_ms)
{
    self->refreshing = true;
    self->refresh_ms = now_ms;
}

void coordinator_schedule_stop_refreshing(coordinator_schedule_t *self)
{
    self->refreshing = false;
}

static uint64_t next_reading_ms(const coordinator_schedule_t *self, uint64_t now_ms)
{
    return now_ms + earlier(READ_MS, self->lease_ms / 12);
}

bool coordinator_schedule_open(coordinator_schedule_t *self, uint64_t now_ms)
{
    if (self->in_flight || now_ms < self->retry_ms) {
        return false;
    }
    if (now_ms >= self->list_ms) {
        self->list_ms = next_reading_ms(self, now_ms);
        coordinator_schedule_require(self, COORDINATOR_READ_TERM);
    }
    if (now_ms >= self->refresh_ms) {
        self->refresh_ms = self->refreshing ? now_ms + self->lease_ms / 2 : UINT64_MAX;
        coordinator_schedule_require(self, COORDINATOR_LIST_GROUPS);
        coordinator_schedule_require(self, COORDINATOR_LIST_TYPES);
    }
    return true;
}

bool coordinator_schedule_first(const coordinator_schedule_t *self, uint64_t now_ms,
                                coordinator_call_kind_t *kind)
{
    static const coordinator_call_kind_t order[] = {
        COORDINATOR_TAKE_TERM,
        COORDINATOR_REMOVE_BROKER,
        COORDINATOR_LIST_LANES, /* before the list of brokers: see lanes.h */
        COORDINATOR_LIST_BROKERS,
        COORDINATOR_LIST_GROUPS, /* before the router holds lanes of their shards */
        COORDINATOR_LIST_TYPES,
        COORDINATOR_PROBE,
        COORDINATOR_ASSIGN_LANE,
        /* READ_TERM makes others due again. If it came first, a slow store would keep this broker
         * from ever making them. */
        COORDINATOR_READ_TERM,
    };
    if (now_ms >= self->renew_ms) {
        *kind = COORDINATOR_RENEW;
        return true;
    }
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (coordinator_schedule_is_due(self, order[i])) {
            *kind = order[i];
            return true;
        }
    }
    return false;
}

bool coordinator_schedule_has_read(const coordinator_schedule_t *self)
{
    return self->has_read;
}

static bool is_kept_elsewhere(coordinator_call_kind_t kind)
{
    return kind == COORDINATOR_PUT_GROUP || kind == COORDINATOR_PUT_TYPE ||
           kind == COORDINATOR_LIST_RUNNERS || kind == COORDINATOR_PUT_RUNNER ||
           kind == COORDINATOR_REMOVE_RUNNER || kind == COORDINATOR_COUNT_SCHEDULED ||
           kind == COORDINATOR_FORGET_TYPE;
}

void coordinator_schedule_begin(coordinator_schedule_t *self, coordinator_call_t *call,
                                uint64_t now_ms)
{
    if (call->kind == COORDINATOR_READ_TERM || is_kept_elsewhere(call->kind)) {
        self->has_read = call->kind == COORDINATOR_READ_TERM;
    }
    call->started_ms = now_ms;
    self->call = *call;
    self->in_flight = true;
}

/* A slow store must not make this broker renew and do nothing else: the next renewal leaves time
 * for another call. */
static uint64_t next_renewal_ms(const coordinator_schedule_t *self, uint64_t now_ms)
{
    uint64_t period_ms = earlier(RENEW_MS, self->lease_ms / 6);
    return later(self->call.started_ms + period_ms, now_ms + self->lease_ms / 60);
}

const coordinator_call_t *coordinator_schedule_end(coordinator_schedule_t *self,
                                                   fabric_error_t error, uint64_t now_ms)
{
    assert(self->in_flight);
    self->in_flight = false;
    coordinator_call_kind_t kind = self->call.kind;
    if (!error || kind == COORDINATOR_TAKE_TERM) {
        coordinator_schedule_withdraw(self, kind);
    }
    if (!error && kind == COORDINATOR_RENEW) {
        self->renew_ms = next_renewal_ms(self, now_ms);
    } else if (!error && kind == COORDINATOR_LIST_BROKERS) {
        self->list_ms = next_reading_ms(self, now_ms); /* other calls come between, however long */
    } else if (error && kind == COORDINATOR_TAKE_TERM) {
        /* Another broker was faster, or the answer was lost: the next reading tells. */
        coordinator_schedule_require(self, COORDINATOR_READ_TERM);
    }
    bool busy = error == FABRIC_ERROR_STORE_BUSY;
    bool one_lane = busy && kind == COORDINATOR_ASSIGN_LANE; /* others are not to wait for it */
    if (error && error != FABRIC_ERROR_FENCED && !one_lane &&
        fabric_error_class(error) != FABRIC_CLASS_REJECTED) {
        self->retry_ms = now_ms + (busy ? BUSY_RETRY_MS : DOWN_RETRY_MS);
    }
    return &self->call;
}

uint64_t coordinator_schedule_next_deadline(const coordinator_schedule_t *self, uint64_t other_ms,
                                            uint64_t now_ms)
{
    if (now_ms < self->retry_ms && !self->in_flight) {
        return self->retry_ms;
    }
    uint64_t clock_ms = earlier(earlier(self->renew_ms, self->list_ms), self->refresh_ms);
    return later(earlier(clock_ms, other_ms), self->retry_ms);
}
