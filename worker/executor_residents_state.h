/* The residents of an executor: the entities that have state. Their number has a bound, and at the
 * bound the one that has rested longest makes room for another.
 *
 * A resident rests while it has no message and no pending handler, unless it keeps itself alive.
 * Nothing keeps those that rest in order until there is no room; from then on they are in the order
 * of their last use, until half of the room is free again.
 */
#ifndef WORKER_EXECUTOR_RESIDENTS_STATE_H
#define WORKER_EXECUTOR_RESIDENTS_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct entity;

typedef struct residents {
    uint32_t max;
    uint32_t count;
    struct entity *resting; /* in the order of their last use, if `ordered` */
    bool ordered;
} residents_t;

void residents_init(residents_t *residents, uint32_t max);
/* One more entity has state. */
void residents_add(residents_t *residents);
/* The state of one that does not rest has ended. */
void residents_remove(residents_t *residents);
/* A resident rests from now on, or does not any more. */
void residents_set_resting(residents_t *residents, struct entity *entity, bool resting);
/* Moves a resident that is used, and rests, behind all others. */
void residents_reorder(residents_t *residents, struct entity *entity);
static inline void residents_use(residents_t *residents, struct entity *entity)
{
    if (residents->ordered) {
        residents_reorder(residents, entity);
    }
}
/* Whether there is room for one more, perhaps in the place of one that rests. */
static inline bool residents_have_place(const residents_t *residents)
{
    return residents->count < residents->max || residents->resting;
}
/* The one that has to end before there is room; NULL: there is some. */
struct entity *residents_to_end(residents_t *residents);

#endif
