/* Searches: single messages that only the store has come into memory by themselves, out of their
 * turn, so that they end as cancelled. search.c owns the struct, but for the items, which
 * search_results.c writes.
 *
 * A message is wanted by its id alone (an operator names it), or also by its place (a caller waits
 * for it). A search reads its row, and its end, beside what the lane appends and writes. What it
 * brings is joined with what memory holds as of its return:
 *   1. A message in memory is that message: the row does not count.
 *   2. A message that the journal says has ended has ended.
 *   3. A row stands if it lies behind the horizon or in its entity's gap, and its message has not
 *      ended out of its turn before. Then the message comes into memory, as loads bring it, and its
 *      end waits for its append.
 *
 * The end is a RESULT like any other. Until a checkpoint has deleted the row, whoever reads it
 * knows by early_ends.h that it does not stand.
 */
#ifndef BROKER_ROUTER_SEARCH_STATE_H
#define BROKER_ROUTER_SEARCH_STATE_H

#include "broker/router/router.h"

typedef enum search_result {
    SEARCH_NONE,   /* the lane does not have the message, as far as can be told */
    SEARCH_MEMORY, /* it is in memory */
    SEARCH_TAKEN,  /* it came into memory, and ends */
    SEARCH_ENDED,  /* it has ended before: `end` says how */
    SEARCH_MOVED,  /* it may be there: the next search tells */
    SEARCH_FAILED  /* the store failed */
} search_result_t;

typedef struct search_item {
    search_result_t result;
    uint32_t end; /* ENDED: fabric_error_t */
} search_item_t;

typedef struct search {
    wanted_row_t *next; /* to be searched for, from `next_first` to `next_count` */
    size_t next_first, next_count, next_capacity;
    wanted_row_t *current; /* being searched for, and what has come of each */
    search_item_t *items;
    size_t count;
    bool running;
    bool dropped; /* the lane was dropped meanwhile: the answer does not matter */
    /* Scheduled rows came into memory meanwhile: a message that was not found may have been moved
     * while the search read. */
    bool is_uncertain;
    uint64_t answered; /* searches so far */
} search_t;

/* The lane is to be searched for an operator's message. */
void search_add(router_t *router, uint32_t lane, request_id_t id);
/* The callers of the message, which only the store has, want it to end. Does nothing if it is not
 * known where its row lies. */
void search_add_stored(router_t *router, const message_t *message);
/* Scheduled rows have come into memory. */
void search_rows_came(search_t *search);
/* What was found is joined. */
void search_over(search_t *search);
/* The lane is dropped. */
void search_drop(search_t *search);
void searches_destroy(router_t *router);

/* ---- search_results.c ---- */

/* The lane's search is over: search->items of search->count say what has come of it, until the next
 * one is taken. Consumes what was found. */
const search_t *search_end(router_t *router, uint32_t lane, fabric_error_t error, message_t *found);

#endif
