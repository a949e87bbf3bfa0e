/* What an executor has put out since its output was taken last. */
#ifndef WORKER_EXECUTOR_OUTPUT_STATE_H
#define WORKER_EXECUTOR_OUTPUT_STATE_H

#include "worker/work.h"

typedef struct executor_output {
    work_output_t *first, *last;
    uint64_t since_ms; /* time of the oldest output */
    uint32_t round;    /* of the delivery at hand */
} executor_output_t;

/* What is put out next ends a delivery of this round. */
void output_begin(executor_output_t *output, uint32_t round);

/* `durable`: whether the result is kept until it is settled, as those of durable messages are; but
 * of types that store or tell something none is: what was not stored did not happen. */
void output_put_result(executor_output_t *output, work_source_t source,
                       const message_result_t *result, bool durable, uint64_t now_ms);
/* The result of a durable message that has changed its entity's state, with this state. */
void output_put_result_state(executor_output_t *output, work_source_t source,
                             const message_result_state_t *result, uint64_t now_ms);
/* The same of one that brings events, or a snapshot, or both. */
void output_put_result_events(executor_output_t *output, work_source_t source,
                              const message_result_events_t *result, uint64_t now_ms);
/* The same of one whose handler has told others something. */
void output_put_result_told(executor_output_t *output, work_source_t source,
                            const message_result_told_t *result, uint64_t now_ms);
/* What keeps an entity alive. It ends no delivery, and is no result. */
void output_put_alive(executor_output_t *output, work_source_t source, const message_alive_t *alive,
                      uint64_t now_ms);
/* The result of a delivery whose handler certainly was not started. */
void output_put_not_taken(executor_output_t *output, work_source_t source,
                          const message_deliver_t *delivery, fabric_error_t error, uint64_t now_ms);
/* A delivery has ended without a result. */
void output_put_abandoned(executor_output_t *output, work_source_t source, uint64_t now_ms);
/* STOPPED or ORPHANED. */
void output_put_state(executor_output_t *output, work_output_kind_t kind, work_source_t source,
                      shard_id_t shard, token_t token, uint64_t now_ms);
/* Takes all output, as a list. */
work_output_t *output_take(executor_output_t *output);

#endif
