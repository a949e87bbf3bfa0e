/* Reports of worker processes that have crashed. */
#ifndef BROKER_ROUTER_CRASH_REPORT_H
#define BROKER_ROUTER_CRASH_REPORT_H

#include "broker/router/peer_state.h"

/* CRASHED, from a peer that has not said hello: the report is answered, the crash is counted for
 * the messages that it names, and the runner is lost, also where its connection still stands. */
FABRIC_MUST_USE fabric_error_t crash_report_received(router_t *router, peer_t *peer,
                                                     wire_reader_t *body);

#endif
