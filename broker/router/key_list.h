/* The list of a lane's primary keys in the store, as a filter: a key that is neither in memory
 * (keys_state.h) nor in a complete list is free, and needs no look-up.
 *
 * The list is read page by page, in the order of the rows, beside the look-ups of keys. Meanwhile,
 * and afterwards, memory adds each key that it forgets. So the list has every key with a row that
 * memory does not know: the row was there before the list was begun, and then it is read, unless
 * it is deleted first; or this home has written it since, and then memory knows the key, or has
 * forgotten it since. Nobody else writes rows of the lane. Keys that are purged or cleared stay in
 * the filter: they are looked up in vain.
 *
 * The filter has a bound (router_config_t.key_filter_bytes). A list that does not fit is given up,
 * and begun again when memory has forgotten as many keys as would fit: so no more than one row is
 * read for each key, however many stand. A complete list that has become full of keys that are long
 * purged is begun again at once.
 */
#ifndef BROKER_ROUTER_KEY_LIST_H
#define BROKER_ROUTER_KEY_LIST_H

#include "broker/key_page.h"
#include "broker/router/key_filter.h"

typedef struct key_list {
    bool complete;   /* every key that memory does not know is in it, if it has a row */
    bool too_long;   /* it was given up, and has no filter */
    uint32_t number; /* grows whenever the list is begun */
    key_filter_t filter;
    bool any;              /* `last` is the last row that was read */
    store_key_name_t last; /* in the order of the store */
    uint64_t forgotten;    /* keys that memory has forgotten since it was given up */
} key_list_t;

/* The list is begun, or the lane is dropped: nothing is in the list. */
void key_list_begin(key_list_t *list);
/* Whether the key, which memory does not know, has certainly no row. */
bool key_list_excludes(const key_list_t *list, const uint8_t hash[STORE_KEY_BYTES]);
/* Memory forgets the key, whose row is settled. */
void key_list_add(key_list_t *list, uint64_t bytes_max, const uint8_t hash[STORE_KEY_BYTES]);
/* The page to read beside a look-up of so many keys. */
key_page_t key_list_next(const key_list_t *list, size_t key_count);
/* It was read; `ended`: it is the last one. */
void key_list_take(key_list_t *list, uint64_t bytes_max, uint32_t number,
                   const store_key_name_t *names, size_t count, bool ended);

#endif
