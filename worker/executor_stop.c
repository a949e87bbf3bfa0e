/* How an executor stops the entities of an ownership that this worker has no more. */
#include "worker/executor_state.h"

/* Gives up the pending handlers that outlived the deadline: their outcomes are dropped. */
static void abandon_pending(executor_t *executor, ownership_t *ownership)
{
    while (ownership->busy) {
        fabric_pending_t *pending = ownership->busy->pending;
        output_begin(&executor->output, pending->round);
        output_put_abandoned(&executor->output, ownership->source, executor->now_ms);
        handle_abandon(executor, pending);
    }
}

static bool is_stopped(const executor_t *executor, const ownership_t *ownership)
{
    return !ownership->entities && !ownership->busy && ownership->waiting == 0 &&
           executor->dispatched >= ownership->stop_after;
}

bool executor_stop_step(executor_t *executor)
{
    bool worked = false;
    uint32_t stopped = 0;
    ownership_t *next;
    for (ownership_t *ownership = executor->ownerships.stopping; ownership; ownership = next) {
        next = ownership->stopping_next;
        if (ownership->busy && executor->now_ms >= ownership->deadline_ms) {
            abandon_pending(executor, ownership);
        }
        while (ownership->entities && stopped < EXECUTOR_SLICE) {
            entity_end(&executor->entities, ownership->entities);
            stopped++;
            worked = true;
        }
        if (is_stopped(executor, ownership)) {
            output_put_state(&executor->output, OUTPUT_STOPPED, ownership->source,
                             (shard_id_t){(uint32_t)ownership->key.shard}, ownership->key.token,
                             executor->now_ms);
            ownership_end(&executor->ownerships, ownership);
            worked = true;
        }
    }
    return worked;
}
