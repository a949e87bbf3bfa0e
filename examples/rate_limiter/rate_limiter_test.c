/* A test of the RateLimiter entity, alone and without a cluster: linked with the entity's own
 * object file and libfabric_worker. */
#include <fabric/testing.h>

#include <stdio.h>

#include "examples/rate_limiter/rate_limiter.h"

/* What FABRIC_MODULE exports; its first type is the RateLimiter. */
extern const fabric_module_t fabric_module;
extern uint64_t (*rate_limiter_clock_ms)(void);

static fabric_testing_t *testing;
static uint64_t now_ms;
static unsigned failures;

static uint64_t test_clock_ms(void)
{
    return now_ms;
}

/* The clock of the limiter, and that of the fabric. */
static void advance(uint64_t duration_ms)
{
    now_ms += duration_ms;
    fabric_testing_advance(testing, duration_ms);
}

static void expect(bool holds, const char *what)
{
    printf("%s: %s\n", holds ? "ok" : "FAILED", what);
    failures += !holds;
}

/* How many of the checks are allowed. */
static unsigned check(unsigned times)
{
    unsigned allowed = 0;
    for (unsigned i = 0; i < times; i++) {
        rate_limiter_verdict_t verdict = {0};
        fabric_result_t result =
            fabric_testing_send(testing, &rate_limiter_check, NULL, &verdict, NULL);
        allowed += result == FABRIC_REPLY && verdict.allowed;
    }
    return allowed;
}

int main(void)
{
    fabric_outcome_t outcome;
    rate_limiter_clock_ms = test_clock_ms;
    if (fabric_testing_open(fabric_module.types[0], "api-key-1", &testing, &outcome)) {
        printf("%s\n", outcome.text);
        return 1;
    }
    expect(check(120) == 100, "a window allows 100 checks");
    advance(RATE_LIMITER_WINDOW_MS - 1);
    expect(check(1) == 0, "a window lasts a minute");
    advance(1);
    expect(check(120) == 100, "the next window allows 100 checks");
    fabric_testing_restart(testing);
    expect(check(120) == 100, "a limiter that is restarted begins anew");
    advance(RATE_LIMITER_WINDOW_MS);
    expect(!fabric_testing_has_instance(testing), "a limiter that nobody asks ends");
    fabric_testing_close(&testing);
    return failures > 0;
}
