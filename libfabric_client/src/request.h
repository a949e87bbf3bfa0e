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
/* The record of a query to the home of an entity. LIMIT_EXCEEDED with a reason. */
FABRIC_MUST_USE fabric_error_t request_build_home_query(fabric_entity_t entity, const char *name,
                                                        fabric_bytes_t argument, reason_t *reason,
                                                        call_t **call);

/* Fills the outcome of an ended call. */
void outcome_of(const call_t *call, uint64_t client_number, fabric_outcome_t *outcome);
/* Whether a reply and the description's failure can be decoded: INVALID_ARGUMENT where one has
 * views and the payload is not kept, or where a failure of the message is too large. */
FABRIC_MUST_USE
fabric_error_t request_check_structs(const fabric_call_t *description, const void *reply,
                                     bool keeps_payload, reason_t *reason);
/* The schema of the payload that a call has ended with, that of its reply or of its typed failure.
 * NULL: there is none. */
const fabric_schema_t *outcome_schema(const call_t *call, const fabric_outcome_t *outcome);
/* Copies a payload that has views, with the elements of its lists behind it, and decodes it. NULL:
 * it does not fit its schema, and the outcome says so. */
uint8_t *outcome_decode_views(const call_t *call, void *value, fabric_outcome_t *outcome);
/* Decodes the reply or typed failure; where that fails, the outcome becomes MALFORMED_MESSAGE.
 * `value` may be NULL: then a volatile call's reply is checked, which no broker has done. */
void outcome_decode(const call_t *call, void *value, fabric_outcome_t *outcome);

#endif
