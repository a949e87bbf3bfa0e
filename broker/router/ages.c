/* Ages: see ages.h. */
#include "broker/router/ages.h"

#include <assert.h>

enum { FIRST_SHIFT = 4, LEVEL_SHIFT = 3 };

/* Times are counted from far before the first one, so that all slots of the present exist. */
#define ORIGIN (UINT64_C(1) << 40)

static unsigned shift_of(unsigned level)
{
    return FIRST_SHIFT + level * LEVEL_SHIFT;
}

/* The number of the slot of a time. */
static uint64_t slot_of(uint64_t time_ms, unsigned level)
{
    return (time_ms + ORIGIN) >> shift_of(level);
}

/* The first level that reaches back to a time; AGES_LEVELS: none does. */
static unsigned level_of(const ages_t *ages, uint64_t time_ms)
{
    unsigned level = 0;
    while (level < AGES_LEVELS &&
           slot_of(ages->now_ms, level) - slot_of(time_ms, level) >= AGES_SLOTS) {
        level++;
    }
    return level;
}

static void add(ages_t *ages, uint64_t time_ms, uint32_t count)
{
    unsigned level = level_of(ages, time_ms);
    if (level == AGES_LEVELS) {
        ages->ancient += count;
    } else {
        ages->counts[level] += count;
        ages->slots[level][slot_of(time_ms, level) % AGES_SLOTS] += count;
    }
}

/* A slot that is not one of the level's last ones any more: its things go to a later level. */
static void leave_level(ages_t *ages, unsigned level, uint64_t slot)
{
    uint32_t *count = &ages->slots[level][slot % AGES_SLOTS];
    if (*count > 0) {
        uint32_t moved = *count;
        *count = 0;
        ages->counts[level] -= moved;
        add(ages, (slot << shift_of(level)) - ORIGIN, moved);
    }
}

/* Later levels come first, so that there is place for the things of earlier ones. */
void ages_advance(ages_t *ages, uint64_t now_ms)
{
    if (now_ms <= ages->now_ms) {
        return;
    }
    uint64_t before_ms = ages->now_ms;
    ages->now_ms = now_ms;
    for (unsigned level = AGES_LEVELS; level-- > 0;) {
        uint64_t slot = slot_of(before_ms, level) - (AGES_SLOTS - 1);
        uint64_t steps = slot_of(now_ms, level) - slot_of(before_ms, level);
        steps = ages->counts[level] == 0 ? 0 : steps < AGES_SLOTS ? steps : AGES_SLOTS;
        for (; steps > 0; steps--, slot++) {
            leave_level(ages, level, slot);
        }
    }
}

void ages_add(ages_t *ages, uint64_t began_ms)
{
    ages_advance(ages, began_ms);
    add(ages, began_ms, 1);
}

void ages_remove(ages_t *ages, uint64_t began_ms)
{
    unsigned level = level_of(ages, began_ms);
    if (level == AGES_LEVELS) {
        assert(ages->ancient > 0);
        ages->ancient--;
        return;
    }
    uint32_t *count = &ages->slots[level][slot_of(began_ms, level) % AGES_SLOTS];
    assert(*count > 0);
    (*count)--;
    ages->counts[level]--;
}

/* The last time of the level's first slot that counts anything. */
static uint64_t oldest_of(const ages_t *ages, unsigned level)
{
    uint64_t slot = slot_of(ages->now_ms, level) - (AGES_SLOTS - 1);
    while (ages->slots[level][slot % AGES_SLOTS] == 0) {
        slot++;
    }
    uint64_t end_ms = ((slot + 1) << shift_of(level)) - ORIGIN - 1;
    return end_ms < ages->now_ms ? end_ms : ages->now_ms;
}

bool ages_oldest(const ages_t *ages, uint64_t *began_ms)
{
    unsigned level = AGES_LEVELS;
    if (ages->ancient > 0) {
        *began_ms = ((slot_of(ages->now_ms, AGES_LEVELS - 1) - (AGES_SLOTS - 1))
                     << shift_of(AGES_LEVELS - 1)) -
                    ORIGIN;
        return true;
    }
    while (level > 0 && ages->counts[level - 1] == 0) {
        level--;
    }
    if (level == 0) {
        return false;
    }
    *began_ms = oldest_of(ages, level - 1);
    return true;
}
