/* The residents of an executor: the entities that have state. Their number has a bound, and at the
 * bound the one that has rested longest makes room for another.
 *
 * A resident rests while it has no message and no pending handler. Messages come before entities
 * that keep themselves alive: where no other resident rests, the one of those that has rested
 * longest makes room, too. One with resources does not rest. Nothing keeps those that rest in order
 * until there is no room; from then on they are in the order of their last use, until half of the
 * room is free again.
 *
 * An entity that has no instance may hold the persisted state, or the events, that the next one
 * begins with. As many may hold one as there may be residents; beyond that, those that have held
 * theirs longest are to let go of it.
 */
#ifndef WORKER_EXECUTOR_RESIDENTS_STATE_H
#define WORKER_EXECUTOR_RESIDENTS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entity;

typedef enum rest {
    REST_NONE, /* it does not rest */
    REST_IDLE,
    REST_KEPT,    /* it keeps itself alive */
    REST_HOLDING, /* it is no resident, and holds a persisted state, or events */
    REST_COUNT
} rest_t;

typedef struct residents {
    uint32_t max;
    uint32_t count;
    uint32_t idle;                      /* of them that rest, and do not keep themselves alive */
    uint32_t holding;                   /* entities that hold a persisted state, or events */
    struct entity *resting[REST_COUNT]; /* in the order of their last use, if `ordered` */
    bool ordered;
} residents_t;

void residents_init(residents_t *residents, uint32_t max);
/* One more entity has state. */
void residents_add(residents_t *residents);
/* The state of one that does not rest has ended. */
void residents_remove(residents_t *residents);
/* How a resident rests from now on. */
void residents_set_rest(residents_t *residents, struct entity *entity, rest_t rest);
/* Moves a resident that is used, and rests, behind all others. */
void residents_reorder(residents_t *residents, struct entity *entity);
static inline void residents_use(residents_t *residents, struct entity *entity)
{
    if (residents->ordered) {
        residents_reorder(residents, entity);
    }
}
/* Whether there is room for one more, for a message: perhaps in the place of one that rests. */
static inline bool residents_have_place(const residents_t *residents)
{
    return residents->count < residents->max || residents->resting[REST_IDLE] ||
           residents->resting[REST_KEPT];
}
/* The same without a message: another such place is left, so that the next message evicts none of
 * those that keep themselves alive. Where there is one place in all, it is taken. */
static inline bool residents_have_spare(const residents_t *residents)
{
    uint32_t places = residents->max - residents->count + residents->idle;
    return places > (residents->max > 1 ? 1u : 0u);
}
/* The entity that is to let go of its persisted state next; NULL: none has to. */
static inline struct entity *residents_to_let_go(const residents_t *residents)
{
    return residents->holding > residents->max ? residents->resting[REST_HOLDING] : NULL;
}
/* The one that has to end before there is room; NULL: there is some. */
struct entity *residents_to_end(residents_t *residents);

#endif
