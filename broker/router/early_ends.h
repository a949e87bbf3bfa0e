/* Early ends: messages that have ended out of their turn, while only the store had them or messages
 * before them, and whose rows may still be there. A load or look-up that meets such a row must not
 * take the message for one that stands.
 *
 * Whoever reads rows otherwise knows by the row's place what has ended: messages leave a gap, and
 * the window of a schedule, in order.
 */
#ifndef BROKER_ROUTER_EARLY_ENDS_H
#define BROKER_ROUTER_EARLY_ENDS_H

#include "broker/router/reads.h"
#include "broker/router/router.h"
#include "core/hash.h"

typedef struct early_end {
    request_id_t id;
    uint64_t number; /* the end is durable by this entry: a checkpoint of it has deleted the row */
    UT_hash_handle by_id;
} early_end_t;

/* Of one lane; zeroed: none. */
typedef struct early_ends {
    early_end_t *by_id; /* as a list in the order of their numbers */
    bool deleted;       /* a checkpoint has deleted the rows of those up to this number: */
    uint64_t number;
    lane_reads_t reads; /* that began before */
} early_ends_t;

/* The message's end is durable, by entry `number` or one before it. */
void early_end_note(early_ends_t *ends, request_id_t id, uint64_t number);
bool early_end_has(const early_ends_t *ends, request_id_t id);
/* Something that has read rows of the lane is over, or a checkpoint has ended: forgets the ends
 * whose rows are deleted, if nobody reads who began before, or has read then and is held. */
void early_ends_forget(router_t *router, uint32_t lane);
void early_ends_clear(early_ends_t *ends);
void early_ends_destroy(router_t *router);

#endif
