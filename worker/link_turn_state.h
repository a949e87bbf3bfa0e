/* The turn of a delivery that runs alone. A home delivers a message alone that may be poison: if
 * the process ends meanwhile, the home counts a crash of that message. So at most one message of
 * all homes may have its turn.
 *
 *     the link                                                    the home
 *     takes the first DELIVER with DELIVER_ALONE that waits,
 *     holds other deliveries, waits for those that executors have
 *     ALONE_READY                                                 ALONE_GO: counts from now on
 *     gives the message to its executor, sends its RESULT         ALONE_OVER: counts no more
 *     goes on with what it held
 *
 * Rules:
 *  1. The message is given to its executor after ALONE_GO only. An ALONE_GO or ALONE_OVER that does
 *     not name the message whose turn it is changes nothing.
 *  2. No other delivery is given to an executor between ALONE_READY and the end of the turn. The
 *     turn ends with ALONE_OVER, or when the message's connection breaks or its token is given
 *     back, or a lease after ALONE_GO, when the home has ceased to count.
 *  3. Each of these waits lasts a lease at most: for what executors have, which is company no more
 *     then; for ALONE_GO; for the end of the message. A message without ALONE_GO is answered
 *     NOT_TAKEN.
 *  4. Deliveries that were held get to executors between two turns, so nobody starves.
 *  5. A home that did not say ALONE_OVER may count the end of the process for some more time: a
 *     lease after ALONE_GO, and the grace in which it waits for this worker to come back. Until
 *     that is over, no other turn begins: for a lease, or for two if the connection has broken, by
 *     which an ALONE_GO may have been on its way.
 */
#ifndef WORKER_LINK_TURN_STATE_H
#define WORKER_LINK_TURN_STATE_H

#include "worker/link_brokers_state.h"
#include "worker/link_work_state.h"

typedef enum link_turn_state {
    TURN_NOBODYS,
    TURN_DRAINING, /* what executors have is to end first */
    TURN_READY,    /* ALONE_READY was said */
    TURN_RUNNING   /* ALONE_GO has come */
} link_turn_state_t;

/* What ALONE_READY, ALONE_GO and ALONE_OVER name. */
typedef struct link_turn_name {
    uint32_t endpoint;
    uint64_t shard, request_id;
    token_t token;
} link_turn_name_t;

typedef struct link_turn {
    link_turn_state_t state;
    link_waiting_t *waiting; /* DRAINING, READY: the delivery */
    link_turn_name_t name;   /* but for NOBODYS */
    uint64_t until_ms;       /* when the present state ends in any case; NOBODYS: no turn begins
                                before */
} link_turn_t;

void link_turn_free(link_turn_t *turn);
/* Takes the steps that are due. */
void link_turn_tick(link_turn_t *turn, link_works_t *works, link_brokers_t *brokers,
                    uint64_t now_ms);
/* When link_turn_tick has something to do; 0: at once; UINT64_MAX: never. */
uint64_t link_turn_deadline(const link_turn_t *turn, const link_works_t *works);
/* ALONE_GO and ALONE_OVER have come; false: the turn is not that message's. */
FABRIC_MUST_USE bool link_turn_go(link_turn_t *turn, link_works_t *works, link_turn_name_t name,
                                  uint32_t lease_ms, uint64_t now_ms);
FABRIC_MUST_USE bool link_turn_over(link_turn_t *turn, link_works_t *works, link_brokers_t *brokers,
                                    link_turn_name_t name);
/* The token is asked back: deliveries under it that wait get to executors, to be refused there. To
 * be followed by the order to stop. */
void link_turn_release(link_turn_t *turn, link_works_t *works, uint32_t endpoint, uint64_t shard,
                       token_t token);
/* The caller of this message wants it to end: if it waits for its turn to run, it is not begun. */
void link_turn_interrupt(link_turn_t *turn, uint32_t endpoint, const message_deliver_t *named);
/* The connection is no more. */
void link_turn_lose(link_turn_t *turn, link_works_t *works, uint32_t endpoint, uint32_t lease_ms,
                    uint64_t now_ms);

#endif
