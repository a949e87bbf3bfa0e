/* The link's queue of work: see link_work_state.h. */
#include "worker/link_work_state.h"

#include <stdlib.h>

#include "core/memory.h"

void link_works_init(link_works_t *works, uint32_t executors)
{
    works->executors = executors;
    works->collected = (work_t **)memory_allocate_zeroed(executors, sizeof *works->collected);
}

void link_works_free(link_works_t *works)
{
    link_works_flush(works);
    work_list_destroy(&works->first);
    free(works->collected);
}

uint32_t link_works_executor(const link_works_t *works, shard_id_t shard)
{
    return ((uint32_t)shard_id_number(shard) + shard_id_group(shard)) % works->executors;
}

static void add(link_works_t *works, work_t *work)
{
    if (works->first) {
        works->last->next = work;
    } else {
        works->first = work;
    }
    works->last = work;
}

static void flush_one(link_works_t *works, uint32_t executor)
{
    if (works->collected[executor]) {
        add(works, works->collected[executor]);
        works->collected[executor] = NULL;
    }
}

void link_works_flush(link_works_t *works)
{
    for (uint32_t i = 0; i < works->executors; i++) {
        flush_one(works, i);
    }
}

void link_works_add_order(link_works_t *works, work_t *order)
{
    flush_one(works, order->executor);
    add(works, order);
}

void link_works_add_delivery(link_works_t *works, uint32_t executor, work_source_t source,
                             work_frame_t *frame, const message_deliver_t *delivery)
{
    work_t *collected = works->collected[executor];
    if (collected && (collected->count == WORK_DELIVERIES_MAX || collected->frame != frame)) {
        flush_one(works, executor);
        collected = NULL;
    }
    if (!collected) {
        collected = work_new(WORK_DELIVERIES, executor, source, 1);
        collected->frame = work_frame_share(frame);
    }
    works->collected[executor] = work_add(collected, delivery);
}

work_t *link_works_next(link_works_t *works)
{
    work_t *work = works->first;
    if (work) {
        works->first = work->next;
        work->next = NULL;
    }
    return work;
}
