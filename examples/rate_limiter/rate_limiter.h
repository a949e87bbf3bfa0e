/* The message of the RateLimiter entity, shared by the entity and its clients. */
#ifndef RATE_LIMITER_H
#define RATE_LIMITER_H

#include <fabric/message_type.h>

/* So many checks are allowed in a window, which begins with the first check behind the last one. */
#define RATE_LIMITER_CHECKS_MAX 100
#define RATE_LIMITER_WINDOW_MS  60000

typedef struct rate_limiter_verdict {
    bool allowed;
    uint32_t left; /* checks that the window still allows */
} rate_limiter_verdict_t;

static const fabric_field_t rate_limiter_verdict_fields[] = {
    FABRIC_BOOL(rate_limiter_verdict_t, allowed), FABRIC_U32(rate_limiter_verdict_t, left)};
static const fabric_schema_t rate_limiter_verdict_schema =
    FABRIC_SCHEMA("Verdict", rate_limiter_verdict_t, rate_limiter_verdict_fields);

/* Check: counts, and answers whether there is room for one more. Volatile, as its entity is: a
 * check is worth no row in a database. */
static const fabric_message_type_t rate_limiter_check = {
    .tag = "Check",
    .request = &fabric_schema_empty,
    .reply = &rate_limiter_verdict_schema,
};

#endif
