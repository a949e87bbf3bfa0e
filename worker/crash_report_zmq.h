/* Tells brokers how the process before this one ended: CRASHED of schemas/protocol.md, section 7.
 *
 * The report has a ZeroMQ context, and to each broker a connection, of its own. Both are gone on
 * return.
 *
 * Threading: the main thread, before there is a worker.
 */
#ifndef WORKER_CRASH_REPORT_ZMQ_H
#define WORKER_CRASH_REPORT_ZMQ_H

#include "core/reason.h"
#include "worker/crash_notes.h"

/* Sends the report to each broker that had welcomed the process, again and again, until all of them
 * have answered or 250 ms are over; a broker that has not answered finds the end of the process by
 * itself. Sends nothing for a process that no broker had welcomed. NO_RESOURCES with a reason where
 * the system gives no sockets. */
FABRIC_MUST_USE fabric_error_t crash_report_send(const crash_notes_t *notes, reason_t *reason);

#endif
