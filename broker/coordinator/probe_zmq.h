/* Whether nothing listens at a broker's endpoint, for certain.
 *
 * Threading: may be called on any thread; blocks for at most `wait_ms`.
 */
#ifndef BROKER_COORDINATOR_PROBE_ZMQ_H
#define BROKER_COORDINATOR_PROBE_ZMQ_H

#include <stdbool.h>
#include <stdint.h>

/* Connects to the endpoint of a broker. true: each address of it refuses connections. false: one
 * accepts, or nothing is known in time. */
bool probe_refuses(const char *endpoint, uint32_t wait_ms);

#endif
