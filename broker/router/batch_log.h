/* What a commit leaves for the log: dead letters, and items that the database refused, each with
 * its request id, entity and tag. The lines of one second are limited; the next line after them
 * says how many were left out.
 *
 * Threading: the router's thread.
 */
#ifndef BROKER_ROUTER_BATCH_LOG_H
#define BROKER_ROUTER_BATCH_LOG_H

#include "broker/store/lane.h"
#include "core/log.h"

typedef struct batch_log {
    log_limiter_t dead_letters;
    log_limiter_t rejections;
} batch_log_t;

/* The batch is one of router_take_batch. It is committed, except for what was rejected, and
 * router_batch_done has not been called for it yet. */
void batch_log_committed(batch_log_t *log, const store_batch_t *batch,
                         const lane_rejections_t *rejected, uint64_t now_ms);

#endif
