/* The parts of router_check. */
#ifndef TESTS_UNIT_ROUTER_CHECK_STATE_H
#define TESTS_UNIT_ROUTER_CHECK_STATE_H

#include "broker/router/router.h"

/* Remembers the first account that is wrong. */
void router_expect(const char *what, uint64_t kept, uint64_t counted);
/* Checkpoints, overflow and ghosts of all lanes. */
void router_check_lanes(const router_t *router);

#endif
