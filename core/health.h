/* The sum of what brokers say about their health: their documents of "health" or "status" are given
 * one by one. See <fabric/health.h> for what the numbers mean. A home has the say over its own
 * lanes and shards.
 *
 * Threading: none of its own.
 */
#ifndef CORE_HEALTH_H
#define CORE_HEALTH_H

#include <fabric/bytes.h>
#include <fabric/error.h>
#include <fabric/health.h>

typedef struct health_sum health_sum_t;

health_sum_t *health_sum_new(void);
void health_sum_destroy(health_sum_t **sum);
/* What the broker of this name and endpoint says. MALFORMED_MESSAGE: the document cannot be read;
 * then health_sum_add_silent is to be called for it. */
FABRIC_MUST_USE
fabric_error_t health_sum_add(health_sum_t *sum, const char *name, const char *endpoint,
                              fabric_bytes_t document);
/* A broker of the map that does not answer; `why` is for people. */
void health_sum_add_silent(health_sum_t *sum, const char *name, const char *endpoint,
                           const char *why);
/* The sum of all that was added. */
void health_sum_end(health_sum_t *sum, fabric_health_t *health);

#endif
