/* The link's queue of work: see link_work_state.h. */
#include "worker/link_work_state.h"

#include <stdlib.h>

#include <utlist.h>

#include "core/memory.h"

void link_works_init(link_works_t *works, uint32_t executors)
{
    works->executors = executors;
    works->collected = (work_t **)memory_allocate_zeroed(executors, sizeof *works->collected);
}

static void destroy_all(link_waiting_t **list)
{
    while (*list) {
        link_waiting_t *waiting = *list;
        DL_DELETE(*list, waiting);
        link_waiting_destroy(&waiting);
    }
}

void link_works_free(link_works_t *works)
{
    destroy_all(&works->held);
    destroy_all(&works->requests);
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

/* Gives a delivery of a round to its executor. */
static void collect(link_works_t *works, uint32_t round, uint32_t executor, work_source_t source,
                    work_frame_t *frame, const message_deliver_t *delivery)
{
    work_t *collected = works->collected[executor];
    if (collected && (collected->count == WORK_DELIVERIES_MAX || collected->frame != frame ||
                      collected->round != round)) {
        flush_one(works, executor);
        collected = NULL;
    }
    if (!collected) {
        collected = work_new(WORK_DELIVERIES, executor, source, 1);
        collected->frame = work_frame_share(frame);
        collected->round = round;
    }
    works->collected[executor] = work_add(collected, delivery);
    works->recent += round == works->round;
}

static link_waiting_t *waiting_new(uint32_t executor, work_source_t source, work_frame_t *frame,
                                   const message_deliver_t *delivery)
{
    link_waiting_t *waiting = (link_waiting_t *)memory_allocate(sizeof *waiting);
    *waiting = (link_waiting_t){.executor = executor,
                                .source = source,
                                .frame = work_frame_share(frame),
                                .delivery = *delivery};
    return waiting;
}

void link_works_add_delivery(link_works_t *works, uint32_t executor, work_source_t source,
                             work_frame_t *frame, const message_deliver_t *delivery)
{
    if (delivery->flags & DELIVER_ALONE) {
        link_waiting_t *request = waiting_new(executor, source, frame, delivery);
        request->delivery.flags &= ~(uint64_t)DELIVER_ALONE;
        DL_APPEND(works->requests, request);
    } else if (works->holding) {
        link_waiting_t *held = waiting_new(executor, source, frame, delivery);
        DL_APPEND(works->held, held);
    } else {
        collect(works, works->round, executor, source, frame, delivery);
    }
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

void link_works_ended(link_works_t *works, const work_output_t *output)
{
    if (output->round == works->round) {
        works->recent -= output->count < works->recent ? output->count : works->recent;
    }
}

/* ---- deliveries that run alone ---- */

void link_works_hold(link_works_t *works)
{
    works->holding = true;
}

static void give(link_works_t *works, uint32_t round, link_waiting_t **waiting)
{
    link_waiting_t *self = *waiting;
    collect(works, round, self->executor, self->source, self->frame, &self->delivery);
    link_waiting_destroy(waiting);
}

void link_works_run(link_works_t *works, link_waiting_t **waiting)
{
    give(works, works->round, waiting);
    link_works_flush(works);
}

void link_works_resume(link_works_t *works)
{
    works->holding = false;
    while (works->held) {
        link_waiting_t *waiting = works->held;
        DL_DELETE(works->held, waiting);
        give(works, works->round, &waiting);
    }
    link_works_flush(works);
}

void link_works_begin_round(link_works_t *works)
{
    link_works_flush(works);
    works->round++;
    works->recent = 0;
}

link_waiting_t *link_works_take_request(link_works_t *works)
{
    link_waiting_t *request = works->requests;
    if (request) {
        DL_DELETE(works->requests, request);
    }
    return request;
}

void link_waiting_destroy(link_waiting_t **waiting)
{
    if (*waiting) {
        work_frame_drop((*waiting)->frame);
        free(*waiting);
        *waiting = NULL;
    }
}

void link_works_let_refuse(link_works_t *works, link_waiting_t **waiting)
{
    give(works, works->round - 1, waiting);
}

static void release(link_works_t *works, link_waiting_t **list, uint32_t endpoint, uint64_t shard,
                    token_t token)
{
    link_waiting_t *waiting, *next;
    DL_FOREACH_SAFE(*list, waiting, next)
    {
        token_t own = {waiting->delivery.home_epoch, waiting->delivery.owner_sequence};
        if (waiting->source.endpoint == endpoint && waiting->delivery.shard == shard &&
            token_equal(own, token)) {
            DL_DELETE(*list, waiting);
            link_works_let_refuse(works, &waiting);
        }
    }
}

void link_works_release(link_works_t *works, uint32_t endpoint, uint64_t shard, token_t token)
{
    release(works, &works->held, endpoint, shard, token);
    release(works, &works->requests, endpoint, shard, token);
}

void link_waiting_interrupt(link_waiting_t *waiting, uint32_t endpoint,
                            const message_deliver_t *named)
{
    message_deliver_t *delivery = &waiting->delivery;
    if (waiting->source.endpoint == endpoint && delivery->request_id == named->request_id &&
        delivery->shard == named->shard && delivery->home_epoch == named->home_epoch &&
        delivery->owner_sequence == named->owner_sequence) {
        delivery->flags |= WORK_CANCELLED;
    }
}

void link_works_interrupt(link_works_t *works, uint32_t endpoint, const message_deliver_t *named)
{
    link_waiting_t *waiting;
    DL_FOREACH(works->held, waiting)
    {
        link_waiting_interrupt(waiting, endpoint, named);
    }
    DL_FOREACH(works->requests, waiting)
    {
        link_waiting_interrupt(waiting, endpoint, named);
    }
}

static void lose(link_waiting_t **list, uint32_t endpoint)
{
    link_waiting_t *waiting, *next;
    DL_FOREACH_SAFE(*list, waiting, next)
    {
        if (waiting->source.endpoint == endpoint) {
            DL_DELETE(*list, waiting);
            link_waiting_destroy(&waiting);
        }
    }
}

void link_works_lose(link_works_t *works, uint32_t endpoint)
{
    lose(&works->held, endpoint);
    lose(&works->requests, endpoint);
}
