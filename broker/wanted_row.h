/* A message of which the router wants the row, whatever stands before it: see
 * broker/router/search_state.h. */
#ifndef BROKER_WANTED_ROW_H
#define BROKER_WANTED_ROW_H

#include "core/store.h"

typedef struct wanted_row {
    store_place_t place;
    bool placed; /* the place is known; else only the id is: then its end is searched for, too */
} wanted_row_t;

#endif
