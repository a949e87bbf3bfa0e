/* A page of a lane's primary keys in the store, which the router wants and the finder reads. */
#ifndef BROKER_KEY_PAGE_H
#define BROKER_KEY_PAGE_H

#include "core/store.h"

typedef struct key_page {
    uint32_t number; /* of the router's list */
    uint32_t limit;  /* rows; 0: no page is wanted */
    bool any;
    store_key_name_t after; /* if `any`: the page begins behind it */
} key_page_t;

#endif
