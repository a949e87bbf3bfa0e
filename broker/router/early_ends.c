/* Early ends: see early_ends.h. */
#include "broker/router/early_ends.h"

#include <stdlib.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

static early_end_t *find(const early_ends_t *ends, request_id_t id)
{
    early_end_t *end = NULL;
    if (ends->by_id) {
        HASH_FIND(by_id, ends->by_id, &id, sizeof id, end);
    }
    return end;
}

void early_end_note(early_ends_t *ends, request_id_t id, uint64_t number)
{
    if (find(ends, id)) {
        return;
    }
    early_end_t *end = memory_allocate_zeroed(1, sizeof *end);
    end->id = id;
    end->number = number;
    HASH_ADD(by_id, ends->by_id, id, sizeof end->id, end);
}

bool early_end_has(const early_ends_t *ends, request_id_t id)
{
    return find(ends, id) != NULL;
}

/* Those up to this number. */
static void forget(early_ends_t *ends, uint64_t number)
{
    early_end_t *end;
    while ((end = ends->by_id) && end->number <= number) {
        HASH_DELETE(by_id, ends->by_id, end);
        free(end);
    }
    ends->deleted = false;
}

/* Whether rows of some are deleted; notes which reads began before. */
static bool are_deleted(early_ends_t *ends, const router_lane_t *lane)
{
    uint64_t settled = lane->checkpoint.settled;
    if (!ends->deleted && ends->by_id && ends->by_id->number <= settled) {
        ends->deleted = true;
        ends->number = settled;
        ends->reads = reads_under_way(lane);
    }
    return ends->deleted;
}

void early_ends_forget(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    early_ends_t *ends = &lane->early_ends;
    while (are_deleted(ends, lane) && reads_are_over(lane, &ends->reads)) {
        forget(ends, ends->number);
    }
}

void early_ends_clear(early_ends_t *ends)
{
    forget(ends, UINT64_MAX);
}

void early_ends_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        early_ends_clear(&router->lanes[i].early_ends);
    }
}
