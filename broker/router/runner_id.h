/* The id under which everyone knows a runner. Only the runner itself, and the brokers that it says
 * hello to, know the incarnation in the hello. It is a secret: whoever knows it can take over the
 * runner's connection. See docs/decisions/0010-runner-ids.md.
 *
 * Threading: pure; any thread.
 */
#ifndef BROKER_ROUTER_RUNNER_ID_H
#define BROKER_ROUTER_RUNNER_ID_H

#include "core/ids.h"

/* The first 16 bytes of the SHA-256 of an incarnation. The incarnation cannot be found from
 * them. */
incarnation_t runner_id_of(incarnation_t secret);

#endif
