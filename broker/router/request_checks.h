/* Checks of a request that need nothing but the request and its entity type. All return OK, or an
 * error with a text for people. */
#ifndef BROKER_ROUTER_REQUEST_CHECKS_H
#define BROKER_ROUTER_REQUEST_CHECKS_H

#include "broker/router/type_state.h"
#include "core/message.h"
#include "core/schema.h"

/* Flags, sequence, limits and headers. */
fabric_error_t request_check(const message_request_t *request, const char **text);
/* The type has the message, the message is as durable as the request says, and a durable payload
 * fits the message's schema. */
fabric_error_t request_check_type(const known_type_t *type, const message_request_t *request,
                                  fabric_schema_fault_t *fault);
/* A msgpack map of names to values, of at most LIMIT_HEADERS_MAX entries; also for headers of a
 * stored row. */
fabric_error_t headers_check(fabric_bytes_t headers, const char **text);

#endif
