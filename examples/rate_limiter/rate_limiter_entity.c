/* The RateLimiter entity: one for each API key, with a state that may be lost: a limiter that
 * begins anew lets a few more requests pass. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include <time.h>

#include "examples/rate_limiter/rate_limiter.h"

typedef struct rate_limiter {
    uint64_t window_ms; /* when the window began */
    uint32_t checks;    /* in the window */
} rate_limiter_t;

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The limiter's clock. A test puts another one in its place. */
extern uint64_t (*rate_limiter_clock_ms)(void);
uint64_t (*rate_limiter_clock_ms)(void) = monotonic_ms;

static bool build(fabric_instance_t *instance, void *state)
{
    (void)instance;
    ((rate_limiter_t *)state)->window_ms = rate_limiter_clock_ms();
    return true;
}

static fabric_result_t check(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    rate_limiter_t *limiter = (rate_limiter_t *)state;
    rate_limiter_verdict_t *verdict = (rate_limiter_verdict_t *)reply;
    uint64_t now_ms = rate_limiter_clock_ms();
    (void)context;
    (void)request; /* Check carries nothing */
    if (now_ms - limiter->window_ms >= RATE_LIMITER_WINDOW_MS) {
        limiter->window_ms = now_ms;
        limiter->checks = 0;
    }
    verdict->allowed = limiter->checks < RATE_LIMITER_CHECKS_MAX;
    limiter->checks += verdict->allowed;
    verdict->left = RATE_LIMITER_CHECKS_MAX - limiter->checks;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&rate_limiter_check, check}};

static const fabric_entity_type_t rate_limiter_type = {
    .name = "RateLimiter",
    .state_size = sizeof(rate_limiter_t),
    .build = build,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .idle_ms = RATE_LIMITER_WINDOW_MS, /* by then its window is over */
};

FABRIC_MODULE(&rate_limiter_type);
