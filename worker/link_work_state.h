/* The work that waits to be pulled from the link, and the deliveries that the link does not give to
 * executors yet. Deliveries for one executor are collected while their frame is read, and become
 * one piece of work.
 *
 * Deliveries that are to run alone wait for their turn (link_turn_state.h says whose turn it is).
 * While somebody's turn is on, all other deliveries are held.
 *
 * Deliveries at the hand of executors belong to rounds. A delivery of an earlier round has run for
 * a lease: no message that runs alone waits for its end.
 */
#ifndef WORKER_LINK_WORK_STATE_H
#define WORKER_LINK_WORK_STATE_H

#include "worker/work.h"

/* A delivery that waits in the link. */
typedef struct link_waiting {
    struct link_waiting *prev, *next;
    uint32_t executor;
    work_source_t source;
    work_frame_t *frame; /* what the delivery's views point into */
    message_deliver_t delivery;
} link_waiting_t;

typedef struct link_works {
    uint32_t executors;
    work_t **collected; /* one for each executor: deliveries of the current frame, or NULL */
    work_t *first, *last;
    uint32_t round;           /* the present one */
    uint64_t recent;          /* deliveries of this round that have not ended */
    bool holding;             /* deliveries are held */
    link_waiting_t *held;     /* in the order in which they came */
    link_waiting_t *requests; /* deliveries that are to run alone, likewise */
} link_works_t;

void link_works_init(link_works_t *works, uint32_t executors);
void link_works_free(link_works_t *works);
/* The executor that runs the entities of a shard. */
uint32_t link_works_executor(const link_works_t *works, shard_id_t shard);
/* Adds an order, which is the queue's from then on, behind the deliveries that were collected
 * before it. */
void link_works_add_order(link_works_t *works, work_t *order);
/* Collects a delivery whose views point into `frame`, or lets it wait. */
void link_works_add_delivery(link_works_t *works, uint32_t executor, work_source_t source,
                             work_frame_t *frame, const message_deliver_t *delivery);
/* Turns the collected deliveries into work. */
void link_works_flush(link_works_t *works);
/* Takes the next piece of work; NULL: there is none. */
work_t *link_works_next(link_works_t *works);
/* An executor has put out the end of deliveries. */
void link_works_ended(link_works_t *works, const work_output_t *output);

/* ---- deliveries that run alone ---- */

/* Holds deliveries from now on. */
void link_works_hold(link_works_t *works);
/* Holds none any more: those that were held become work. */
void link_works_resume(link_works_t *works);
/* All deliveries at the hand of executors belong to an earlier round from now on. */
void link_works_begin_round(link_works_t *works);
/* Takes the first delivery that is to run alone; NULL: there is none. */
link_waiting_t *link_works_take_request(link_works_t *works);
/* Makes work of one delivery, which is freed, whether others are held or not. */
void link_works_run(link_works_t *works, link_waiting_t **waiting);
void link_waiting_destroy(link_waiting_t **waiting);
/* Gives a delivery, which is freed, to its executor, though it may not begin: the executor is about
 * to be given an order to stop, and refuses the delivery in the order of its entity. So it belongs
 * to no present round. */
void link_works_let_refuse(link_works_t *works, link_waiting_t **waiting);
/* The same for all deliveries that wait and came by this endpoint under this token of the shard. */
void link_works_release(link_works_t *works, uint32_t endpoint, uint64_t shard, token_t token);
/* The caller of this message wants it to end: if its delivery waits, it is not begun. */
void link_works_interrupt(link_works_t *works, uint32_t endpoint, const message_deliver_t *named);
/* The same for one delivery that waits. */
void link_waiting_interrupt(link_waiting_t *waiting, uint32_t endpoint,
                            const message_deliver_t *named);
/* Drops all deliveries that wait and came by this endpoint. */
void link_works_lose(link_works_t *works, uint32_t endpoint);

#endif
