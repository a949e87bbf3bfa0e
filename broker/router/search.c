/* Searches: see search_state.h. */
#include "broker/router/search_state.h"

#include <stdlib.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

enum { SEARCH_MAX = 64 }; /* messages of one search: a row may be long */

/* Removes those that were taken; not before they are half of the array, so that each one is moved
 * once on average. */
static void compact(search_t *search)
{
    if (search->next_first >= search->next_count - search->next_first) {
        search->next_count -= search->next_first;
        memmove(search->next, search->next + search->next_first,
                search->next_count * sizeof *search->next);
        search->next_first = 0;
    }
}

static void add(search_t *search, const wanted_row_t *wanted)
{
    search->next = memory_reserve(search->next, search->next_count + 1, &search->next_capacity,
                                  sizeof *search->next);
    search->next[search->next_count++] = *wanted;
}

void search_add(router_t *router, uint32_t lane, request_id_t id)
{
    add(&router->lanes[lane].search, &(wanted_row_t){.place.id = id});
}

void search_add_stored(router_t *router, const message_t *message)
{
    if (message->position == 0) {
        return;
    }
    bool scheduled = message_is_scheduled(message);
    wanted_row_t wanted = {.place = {.id = message->stored.id,
                                     .due_ms = scheduled ? message->stored.deliver_at_ms : 0,
                                     .entity_hash = message->entity_hash,
                                     .position = message->position},
                           .placed = true};
    add(&lane_of(router, message->stored.shard)->search, &wanted);
}

bool router_take_search(router_t *router, uint32_t number, router_search_t *result)
{
    router_lane_t *lane = &router->lanes[number];
    search_t *search = &lane->search;
    if (search->running || search->next_first == search->next_count || lane->state != LANE_HOME) {
        return false;
    }
    if (!search->current) {
        search->current = memory_allocate(SEARCH_MAX * sizeof *search->current);
        search->items = memory_allocate(SEARCH_MAX * sizeof *search->items);
    }
    size_t left = search->next_count - search->next_first;
    search->count = left < SEARCH_MAX ? left : SEARCH_MAX;
    memcpy(search->current, search->next + search->next_first,
           search->count * sizeof *search->current);
    search->next_first += search->count;
    compact(search);
    memset(search->items, 0, search->count * sizeof *search->items);
    search->running = true;
    search->is_uncertain = false;
    *result = (router_search_t){search->current, search->count};
    return true;
}

void search_rows_came(search_t *search)
{
    search->is_uncertain = true;
}

void search_over(search_t *search)
{
    search->running = search->dropped = false;
    search->answered++;
}

/* ---- the lane comes and goes ---- */

void search_drop(search_t *search)
{
    search->dropped = search->running;
    search->next_first = search->next_count = 0;
}

void searches_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        free(router->lanes[i].search.next);
        free(router->lanes[i].search.current);
        free(router->lanes[i].search.items);
    }
}
