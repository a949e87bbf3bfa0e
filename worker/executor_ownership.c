/* Which shards an executor's entities belong to, under which tokens, and how a shard is stopped. */
#include "worker/executor_state.h"

#include <stdlib.h>

#include <utlist.h>

ownership_t *ownership_find(executor_t *executor, shard_id_t shard)
{
    ownership_t *ownership = NULL;
    HASH_FIND(hh, executor->ownerships, &shard.value, sizeof shard.value, ownership);
    return ownership;
}

static void ownership_start_stopping(executor_t *executor, ownership_t *ownership,
                                     uint64_t deadline_ms)
{
    if (ownership->stopping) {
        ownership->deadline_ms =
            deadline_ms < ownership->deadline_ms ? deadline_ms : ownership->deadline_ms;
        return;
    }
    ownership->stopping = true;
    ownership->deadline_ms = deadline_ms;
    ownership->stop_after = executor->given;
    LL_PREPEND2(executor->stopping, ownership, stopping_next);
}

void ownership_begin(executor_t *executor, const work_t *order)
{
    ownership_t *old = ownership_find(executor, order->shard);
    if (old) {
        if (!old->stopping) {
            ownership_start_stopping(executor, old, 0);
        }
        HASH_DEL(executor->ownerships, old);
        old->current = false;
    }
    ownership_t *ownership = (ownership_t *)calloc(1, sizeof *ownership);
    if (!ownership) {
        abort();
    }
    ownership->shard = order->shard;
    ownership->token = order->token;
    ownership->source = order->source;
    ownership->lease = order->lease;
    ownership->current = true;
    HASH_ADD(hh, executor->ownerships, shard.value, sizeof ownership->shard.value, ownership);
}

void ownership_stop(executor_t *executor, const work_t *order)
{
    ownership_t *ownership = ownership_find(executor, order->shard);
    if (ownership && token_equal(ownership->token, order->token)) {
        ownership_start_stopping(executor, ownership, order->deadline_ms);
    }
}

/* Gives up the pending handlers that outlived the deadline: what they come to is dropped. */
static void ownership_abandon(ownership_t *ownership)
{
    while (ownership->busy) {
        entity_t *entity = ownership->busy;
        entity->pending->entity = NULL;
        entity_set_pending(entity, NULL);
    }
}

static bool ownership_done(const executor_t *executor, const ownership_t *ownership)
{
    return !ownership->entities && !ownership->busy && ownership->waiting == 0 &&
           executor->dispatched >= ownership->stop_after;
}

static void ownership_finish(executor_t *executor, ownership_t *ownership)
{
    work_output_t *output = work_output_new(OUTPUT_STOPPED, ownership->source);
    output->shard = ownership->shard;
    output->token = ownership->token;
    output_add(executor, output);
    if (ownership->current) {
        HASH_DEL(executor->ownerships, ownership);
    }
    LL_DELETE2(executor->stopping, ownership, stopping_next);
    free(ownership);
}

bool ownership_step(executor_t *executor)
{
    bool worked = false;
    uint32_t stopped = 0;
    ownership_t *next;
    for (ownership_t *ownership = executor->stopping; ownership; ownership = next) {
        next = ownership->stopping_next;
        if (ownership->busy && executor->now_ms >= ownership->deadline_ms) {
            ownership_abandon(ownership);
        }
        while (ownership->entities && stopped < EXECUTOR_SLICE) {
            entity_end(executor, ownership->entities);
            stopped++;
            worked = true;
        }
        if (ownership_done(executor, ownership)) {
            ownership_finish(executor, ownership);
            worked = true;
        }
    }
    return worked;
}

uint64_t ownership_next_deadline(const executor_t *executor)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (const ownership_t *ownership = executor->stopping; ownership;
         ownership = ownership->stopping_next) {
        if (ownership->busy && ownership->deadline_ms < deadline_ms) {
            deadline_ms = ownership->deadline_ms;
        }
    }
    return deadline_ms;
}

void ownership_free_all(executor_t *executor)
{
    ownership_t *ownership, *next;
    LL_FOREACH_SAFE2(executor->stopping, ownership, next, stopping_next)
    {
        if (!ownership->current) {
            free(ownership);
        }
    }
    executor->stopping = NULL;
    HASH_ITER(hh, executor->ownerships, ownership, next)
    {
        HASH_DEL(executor->ownerships, ownership);
        free(ownership);
    }
}
