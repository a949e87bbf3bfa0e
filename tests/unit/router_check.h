/* The router's accounts, recomputed: the bytes and messages of everything that the router counts,
 * and whether its lists and counts agree with each other. A test may call it between any two
 * events. */
#ifndef TESTS_UNIT_ROUTER_CHECK_H
#define TESTS_UNIT_ROUTER_CHECK_H

#include "broker/router/router.h"

/* NULL, or which account is wrong; the text is valid until the next call. */
const char *router_check(const router_t *router);

/* Whether the message is in memory, and not only in the store. */
bool router_knows(router_t *router, request_id_t id);

#endif
