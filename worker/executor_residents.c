/* The residents of an executor: see executor_residents_state.h. */
#include "worker/executor_residents_state.h"

#include <assert.h>

#include <utlist.h>

#include "worker/executor_entity_state.h"

void residents_init(residents_t *residents, uint32_t max)
{
    residents->max = max;
}

void residents_add(residents_t *residents)
{
    assert(residents->count < residents->max);
    residents->count++;
}

void residents_remove(residents_t *residents)
{
    residents->count--;
    if (residents->count <= residents->max / 2) {
        residents->ordered = false;
    }
}

void residents_set_resting(residents_t *residents, entity_t *entity, bool resting)
{
    if (resting == entity->resting) {
        return;
    }
    entity->resting = resting;
    if (resting) {
        DL_APPEND2(residents->resting, entity, resting_previous, resting_next);
    } else {
        DL_DELETE2(residents->resting, entity, resting_previous, resting_next);
    }
}

void residents_reorder(residents_t *residents, entity_t *entity)
{
    if (entity->resting) {
        DL_DELETE2(residents->resting, entity, resting_previous, resting_next);
        DL_APPEND2(residents->resting, entity, resting_previous, resting_next);
    }
}

static int compare_use(const entity_t *a, const entity_t *b)
{
    return (a->used_ms > b->used_ms) - (a->used_ms < b->used_ms);
}

entity_t *residents_to_end(residents_t *residents)
{
    if (residents->count < residents->max) {
        return NULL;
    }
    if (!residents->ordered) {
        DL_SORT2(residents->resting, compare_use, resting_previous, resting_next);
        residents->ordered = true;
    }
    return residents->resting;
}
