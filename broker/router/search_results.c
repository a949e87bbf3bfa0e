/* What searches have found is joined with what memory holds: see search_state.h. */
#include "broker/router/messages.h"
#include "broker/router/router_state.h"

static size_t find_wanted(const search_t *search, request_id_t id)
{
    size_t i = 0;
    while (i < search->count && search->current[i].place.id.value != id.value) {
        i++;
    }
    return i;
}

static bool is_in_memory(router_t *router, request_id_t id)
{
    const message_t *known = message_find(router, id);
    return known && known->state != MESSAGE_STORED;
}

/* Consumes the row, which is of no message in memory. */
static search_result_t take_row(router_t *router, uint32_t number, message_t *row)
{
    if (row->stored.flags & MESSAGE_TRANSACTIONAL && !message_is_scheduled(row)) {
        message_destroy(&row); /* nobody can look for its result out of its turn */
        return SEARCH_MOVED;
    }
    row->cancelled = true;
    bool taken = message_is_scheduled(row) ? schedule_take_out(router, number, row)
                                           : loads_take_out(router, number, row);
    if (!taken) {
        message_destroy(&row);
    }
    return taken ? SEARCH_TAKEN : SEARCH_MOVED;
}

/* Consumes the message. */
static void join_found(router_t *router, uint32_t number, message_t *found)
{
    const search_t *search = &router->lanes[number].search;
    size_t place = find_wanted(search, found->stored.id);
    search_item_t *item = &search->items[place];
    if (place == search->count || item->result == SEARCH_ENDED ||
        is_in_memory(router, found->stored.id)) {
        message_destroy(&found);
        return;
    }
    if (found->state == MESSAGE_ENDED) {
        *item = (search_item_t){SEARCH_ENDED, found->reply.error};
        message_destroy(&found);
        return;
    }
    found->by_operator = !search->current[place].placed;
    item->result = take_row(router, number, found);
}

/* The ends first: they overrule the rows. */
static message_t *take_ends(router_t *router, uint32_t number, message_t *found)
{
    message_chain_t rows = {0};
    while (found) {
        message_t *message = found;
        found = message->chain;
        message->chain = NULL;
        if (message->state == MESSAGE_ENDED) {
            join_found(router, number, message);
        } else {
            *(rows.last ? &rows.last->chain : &rows.first) = message;
            rows.last = message;
        }
    }
    return rows.first;
}

static void conclude(router_t *router, search_t *search, fabric_error_t error)
{
    for (size_t i = 0; i < search->count; i++) {
        search_item_t *item = &search->items[i];
        if (is_in_memory(router, search->current[i].place.id) && item->result != SEARCH_TAKEN) {
            item->result = SEARCH_MEMORY;
        } else if (search->dropped) {
            item->result = SEARCH_MOVED;
        } else if (error) {
            item->result = SEARCH_FAILED;
        } else if (item->result == SEARCH_NONE && search->is_uncertain) {
            item->result = SEARCH_MOVED;
        }
    }
}

const search_t *search_end(router_t *router, uint32_t number, fabric_error_t error,
                           message_t *found)
{
    search_t *search = &router->lanes[number].search;
    if (search->dropped) {
        message_chain_destroy(&found);
        found = NULL;
    }
    found = take_ends(router, number, found);
    while (found) {
        message_t *row = found;
        found = row->chain;
        row->chain = NULL;
        join_found(router, number, row);
    }
    conclude(router, search, error);
    search_over(search);
    early_ends_forget(router, number);
    clears_read(router, number);
    return search;
}
