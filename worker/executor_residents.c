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

static void take(residents_t *residents, entity_t *entity)
{
    DL_DELETE2(residents->resting[entity->rest], entity, resting_previous, resting_next);
}

/* One that begins to rest was used last, but for such as what the home says of it, or a resource
 * that ends: then they are sorted anew. */
static void put(residents_t *residents, entity_t *entity)
{
    const entity_t *first = residents->resting[entity->rest];
    residents->ordered &= entity->rest == REST_HOLDING || !first ||
                          first->resting_previous->used_ms <= entity->used_ms;
    DL_APPEND2(residents->resting[entity->rest], entity, resting_previous, resting_next);
}

void residents_set_rest(residents_t *residents, entity_t *entity, rest_t rest)
{
    if (rest == (rest_t)entity->rest) {
        return;
    }
    if (entity->rest != REST_NONE) {
        take(residents, entity);
    }
    residents->idle += (uint32_t)(rest == REST_IDLE) - (uint32_t)(entity->rest == REST_IDLE);
    residents->holding +=
        (uint32_t)(rest == REST_HOLDING) - (uint32_t)(entity->rest == REST_HOLDING);
    entity->rest = (uint8_t)rest;
    if (rest != REST_NONE) {
        put(residents, entity);
    }
}

void residents_reorder(residents_t *residents, entity_t *entity)
{
    if (entity->rest != REST_NONE) {
        take(residents, entity);
        put(residents, entity);
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
        DL_SORT2(residents->resting[REST_IDLE], compare_use, resting_previous, resting_next);
        DL_SORT2(residents->resting[REST_KEPT], compare_use, resting_previous, resting_next);
        residents->ordered = true;
    }
    entity_t *idle = residents->resting[REST_IDLE];
    return idle ? idle : residents->resting[REST_KEPT];
}
