/* Requests: from the caller's description of a call to a call record, checked, encoded and copied;
 * and from an ended call to the caller's outcome and reply.
 *
 * Threading: pure functions of their arguments.
 */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "core/outcome.h"
#include "libfabric_client/src/call.h"

/* Makes the record of a call. Its deadline and the submitter's fields are left for the caller to
 * fill in. INVALID_ARGUMENT, MALFORMED_MESSAGE or LIMIT_EXCEEDED with a reason (may be NULL). */
FABRIC_MUST_USE fabric_error_t request_build(const fabric_call_t *description,
                                             uint64_t client_number, reason_t *reason,
                                             call_t **call);
/* The record of a query, to any broker. LIMIT_EXCEEDED with a reason. */
FABRIC_MUST_USE fabric_error_t request_build_query(const char *name, fabric_bytes_t argument,
                                                   reason_t *reason, call_t **call);

/* Fills the outcome of an ended call. */
void outcome_of(const call_t *call, uint64_t client_number, fabric_outcome_t *outcome);
/* Decodes the reply of a call that ended well; where that fails, the outcome becomes
 * MALFORMED_MESSAGE. `reply` may be NULL: then a volatile call's reply is checked, which no broker
 * has done. */
/* A reply with views is not decoded where its payload is not kept: INVALID_ARGUMENT. */
FABRIC_MUST_USE
fabric_error_t request_check_views(const fabric_call_t *description, const void *reply,
                                   reason_t *reason);
/* Copies the payload of a reply that has views, with the elements of its lists behind it, and
 * decodes it. NULL: it does not fit its schema, and the outcome says so. */
uint8_t *outcome_decode_views(const call_t *call, void *reply, fabric_outcome_t *outcome);
void outcome_decode(const call_t *call, void *reply, fabric_outcome_t *outcome);

#endif
