/* The router's accounts, recomputed: how many bytes and messages there are of everything that it keeps account of, and whether
 * its lists and counts agree with each other. To be asked between any two events.
 */
#ifndef TESTS_UNIT_ROUTER_CHECK_H
#define TESTS_UNIT_ROUTER_CHECK_H

#include "broker/router/router.h"

/* NULL where all is right, else which account is wrong; valid until the next call. */
const char *router_check(const router_t *router);

#endif
