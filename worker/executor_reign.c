/* Which shards an executor's entities belong to, under which tokens, and how a shard is stopped. */
#include "worker/executor_state.h"

#include <stdlib.h>

#include <utlist.h>

reign_t *reign_find(executor_t *executor, shard_id_t shard)
{
    reign_t *reign = NULL;
    HASH_FIND(hh, executor->reigns, &shard.value, sizeof shard.value, reign);
    return reign;
}

static void reign_start_stopping(executor_t *executor, reign_t *reign, uint64_t deadline_ms)
{
    if (reign->stopping) {
        reign->deadline_ms = deadline_ms < reign->deadline_ms ? deadline_ms : reign->deadline_ms;
        return;
    }
    reign->stopping = true;
    reign->deadline_ms = deadline_ms;
    reign->stop_after = executor->given;
    LL_PREPEND2(executor->stopping, reign, stopping_next);
}

void reign_begin(executor_t *executor, const work_t *order)
{
    reign_t *old = reign_find(executor, order->shard);
    if (old) {
        if (!old->stopping) {
            reign_start_stopping(executor, old, 0);
        }
        HASH_DEL(executor->reigns, old);
        old->current = false;
    }
    reign_t *reign = (reign_t *)calloc(1, sizeof *reign);
    if (!reign) {
        abort();
    }
    reign->shard = order->shard;
    reign->token = order->token;
    reign->source = order->source;
    reign->lease = order->lease;
    reign->current = true;
    HASH_ADD(hh, executor->reigns, shard.value, sizeof reign->shard.value, reign);
}

void reign_stop(executor_t *executor, const work_t *order)
{
    reign_t *reign = reign_find(executor, order->shard);
    if (reign && token_equal(reign->token, order->token)) {
        reign_start_stopping(executor, reign, order->deadline_ms);
    }
}

/* Gives up the pending handlers that outlived the deadline: what they come to is dropped. */
static void reign_abandon(reign_t *reign)
{
    while (reign->busy) {
        entity_t *entity = reign->busy;
        entity->pending->entity = NULL;
        entity_set_pending(entity, NULL);
    }
}

static bool reign_done(const executor_t *executor, const reign_t *reign)
{
    return !reign->entities && !reign->busy && reign->waiting == 0 &&
           executor->dispatched >= reign->stop_after;
}

static void reign_finish(executor_t *executor, reign_t *reign)
{
    work_output_t *output = work_output_new(OUTPUT_STOPPED, reign->source);
    output->shard = reign->shard;
    output->token = reign->token;
    output_add(executor, output);
    if (reign->current) {
        HASH_DEL(executor->reigns, reign);
    }
    LL_DELETE2(executor->stopping, reign, stopping_next);
    free(reign);
}

bool reign_step(executor_t *executor)
{
    bool worked = false;
    uint32_t stopped = 0;
    reign_t *next;
    for (reign_t *reign = executor->stopping; reign; reign = next) {
        next = reign->stopping_next;
        if (reign->busy && executor->now_ms >= reign->deadline_ms) {
            reign_abandon(reign);
        }
        while (reign->entities && stopped < EXECUTOR_SLICE) {
            entity_end(executor, reign->entities);
            stopped++;
            worked = true;
        }
        if (reign_done(executor, reign)) {
            reign_finish(executor, reign);
            worked = true;
        }
    }
    return worked;
}

uint64_t reign_next_deadline(const executor_t *executor)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (const reign_t *reign = executor->stopping; reign; reign = reign->stopping_next) {
        if (reign->busy && reign->deadline_ms < deadline_ms) {
            deadline_ms = reign->deadline_ms;
        }
    }
    return deadline_ms;
}

void reign_free_all(executor_t *executor)
{
    reign_t *reign, *next;
    LL_FOREACH_SAFE2(executor->stopping, reign, next, stopping_next)
    {
        if (!reign->current) {
            free(reign);
        }
    }
    executor->stopping = NULL;
    HASH_ITER(hh, executor->reigns, reign, next)
    {
        HASH_DEL(executor->reigns, reign);
        free(reign);
    }
}
