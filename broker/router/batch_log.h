/* What an append leaves for the log: dead letters, each with its request id, entity and tag. The
 * lines of one second are limited; the next line after them says how many were left out.
 *
 * Threading: the router's thread. */
#ifndef BROKER_ROUTER_BATCH_LOG_H
#define BROKER_ROUTER_BATCH_LOG_H

#include "broker/lane_batch.h"
#include "core/log.h"

/* The batch is one of router_take_batch. It is durable, and router_batch_done has not been called
 * for it yet. */
void batch_log_committed(log_limiter_t *log, const lane_batch_t *batch, uint64_t now_ms);

#endif
