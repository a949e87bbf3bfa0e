/* Reports of worker processes that have crashed. */
#ifndef BROKER_ROUTER_CRASH_REPORT_H
#define BROKER_ROUTER_CRASH_REPORT_H

#include "broker/router/peer_state.h"

/* CRASHED, from a peer without a hello: it is answered, its messages are counted, and its runner is lost, also where the runner's
 * connection still stands. */
FABRIC_MUST_USE fabric_error_t crash_report_received(router_t *router, peer_t *peer,
                                                     wire_reader_t *body);

#endif
