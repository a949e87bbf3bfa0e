/* The id under which a runner is known to everyone but itself and the brokers that hear its hello. The incarnation in a worker's hello is
 * a secret: with it, one takes over the worker's connection. See docs/decisions/0010-runner-ids.md.
 *
 * Threading: pure; any thread.
 */
#ifndef BROKER_ROUTER_RUNNER_ID_H
#define BROKER_ROUTER_RUNNER_ID_H

#include "core/ids.h"

/* The first 16 bytes of the SHA-256 of an incarnation. Who knows the id alone cannot say that runner's hello. */
incarnation_t runner_id_of(incarnation_t secret);

#endif
