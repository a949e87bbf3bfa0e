/* The work that waits to be pulled from the link. Deliveries for one executor are collected while
 * their frame is read, and become one piece of work. */
#ifndef WORKER_LINK_WORK_STATE_H
#define WORKER_LINK_WORK_STATE_H

#include "worker/work.h"

typedef struct link_works {
    uint32_t executors;
    work_t **collected; /* one for each executor: deliveries of the current frame, or NULL */
    work_t *first, *last;
} link_works_t;

void link_works_init(link_works_t *works, uint32_t executors);
void link_works_free(link_works_t *works);
/* The executor that runs the entities of a shard. */
uint32_t link_works_executor(const link_works_t *works, shard_id_t shard);
/* Adds an order, which is the queue's from then on, behind the deliveries that were collected
 * before it. */
void link_works_add_order(link_works_t *works, work_t *order);
/* Collects a delivery whose views point into `frame`. */
void link_works_add_delivery(link_works_t *works, uint32_t executor, work_source_t source,
                             work_frame_t *frame, const message_deliver_t *delivery);
/* Turns the collected deliveries into work. */
void link_works_flush(link_works_t *works);
/* Takes the next piece of work; NULL: there is none. */
work_t *link_works_next(link_works_t *works);

#endif
