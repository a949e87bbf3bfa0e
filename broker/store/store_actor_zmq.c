/* What the store actors share: see store_actor_zmq.h. */
#include "broker/store/store_actor_zmq.h"

#include <poll.h>

#include "core/clock.h"
#include "core/random.h"

#define OUTAGES_PER_S 2u

void store_actor_init(store_actor_t *self, const char *name, int halt_fd, store_clock_t clock)
{
    *self = (store_actor_t){.name = name, .halt_fd = halt_fd, .clock = clock};
}

static uint64_t read_clock(void *context)
{
    (void)context;
    return clock_monotonic_ms();
}

static int64_t read_store_clock(void *context)
{
    const store_actor_t *self = context;
    return self->clock.store_ms + (int64_t)(clock_monotonic_ms() - self->clock.at_ms);
}

static void sleep_or_halt(void *context, uint32_t wait_ms)
{
    const store_actor_t *self = context;
    struct pollfd halt = {.fd = self->halt_fd, .events = POLLIN};
    (void)poll(&halt, 1, (int)wait_ms);
}

static bool is_halted(void *context)
{
    const store_actor_t *self = context;
    struct pollfd halt = {.fd = self->halt_fd, .events = POLLIN};
    return poll(&halt, 1, 0) > 0;
}

static uint32_t draw(void *context)
{
    (void)context;
    uint32_t value = 0;
    random_bytes(&value, sizeof value);
    return value;
}

/* The lines are limited, since a database that comes and goes repeats itself. */
static void log_available(void *context, bool available, const char *cause)
{
    store_actor_t *self = context;
    uint32_t left_out = 0;
    if (available) {
        log_event(LOG_INFO_LEVEL, "store.available", log_text("connection", self->name));
    } else if (log_limiter_pass(&self->outages, OUTAGES_PER_S, clock_monotonic_ms(), &left_out)) {
        log_event(LOG_WARN_LEVEL, "store.unavailable", log_text("connection", self->name),
                  log_text("cause", cause), log_uint("left_out", left_out));
    }
}

store_world_t store_actor_world(store_actor_t *self)
{
    return (store_world_t){.context = self,
                           .now_ms = read_clock,
                           .store_ms = read_store_clock,
                           .sleep = sleep_or_halt,
                           .random = draw,
                           .stopping = is_halted,
                           .available = log_available};
}
