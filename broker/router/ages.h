/* Ages: how many things began when, to tell the age of the oldest one at no cost that grows with
 * how many there are. Things are counted by slots of time; a slot of older things is wider, so an
 * age is too small by at most a 32nd of it, or by 16 ms.
 *
 * Threading: none of its own.
 */
#ifndef BROKER_ROUTER_AGES_H
#define BROKER_ROUTER_AGES_H

#include <stdbool.h>
#include <stdint.h>

enum { AGES_LEVELS = 9, AGES_SLOTS = 256 };

/* Each level has AGES_SLOTS slots up to the present, eight times as wide as those of the level
 * before. A thing is counted in the first level whose slots reach back to its beginning. Zeroed: no
 * things, at time 0. */
typedef struct ages {
    uint64_t now_ms;
    uint64_t counts[AGES_LEVELS]; /* of all slots of a level */
    uint32_t slots[AGES_LEVELS][AGES_SLOTS];
    uint64_t ancient; /* before all slots, which reach back about two years */
} ages_t;

/* A thing began at this time, a number of milliseconds since any one instant. */
void ages_add(ages_t *ages, uint64_t began_ms);
/* One that was added under this time is no more. */
void ages_remove(ages_t *ages, uint64_t began_ms);
/* Time has passed. To be called before more than a few milliseconds of it have. */
void ages_advance(ages_t *ages, uint64_t now_ms);
/* About when the oldest thing began, or somewhat later; false: there is none. */
bool ages_oldest(const ages_t *ages, uint64_t *began_ms);

#endif
