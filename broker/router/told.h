/* What a result says that its handler has told others (core/journal/outgoing.h): checked as if a
 * client sent it, since what is stored is to be sent until it is accepted. */
#ifndef BROKER_ROUTER_TOLD_H
#define BROKER_ROUTER_TOLD_H

#include "broker/message_record.h"
#include "broker/router/router.h"
#include "core/schema.h"

/* What is wrong with these messages; NULL: nothing. `passing`: it may be right later, since this
 * broker may not have learned of the type or message yet. */
const char *told_fault(router_t *router, fabric_bytes_t source_type,
                       const journal_outgoing_t *outgoing, fabric_schema_fault_t *fault,
                       bool *passing);
/* The same of what a worker has committed. It is taken as long as it can be kept: what its target
 * does not take any more becomes a dead letter of its own. */
const char *told_committed_fault(router_t *router, const journal_outgoing_t *outgoing,
                                 fabric_schema_fault_t *fault, bool *passing);
/* A copy of them, without a fault, for the message whose handler has told them: each with its
 * shard, which workers do not know. */
told_value_t *told_keep(router_t *router, const message_t *message,
                        const journal_outgoing_t *outgoing);
/* By how many bytes each message grows, at most, when its shard is written. */
#define TOLD_SHARD_BYTES 4u

#endif
