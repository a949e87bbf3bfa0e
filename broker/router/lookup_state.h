/* Calls of a lane that are looked up in the store. lookup.c owns the structs. */
#ifndef BROKER_ROUTER_LOOKUP_STATE_H
#define BROKER_ROUTER_LOOKUP_STATE_H

#include "broker/router/client_state.h"

typedef struct lookup_item {
    message_t *message;
    client_t *client;
    bool found;
    bool ended;    /* found with a reply, which is then in message->reply */
    bool conflict; /* found with other contents */
} lookup_item_t;

typedef struct lookup {
    lookup_item_t *items;
    call_key_t *calls; /* of the items, in the same order */
    size_t count, capacity;
    uint64_t floor;
    bool running;
} lookup_t;

void lookup_add(router_t *router, client_t *client, message_t *message);
void lookups_destroy(router_t *router);

#endif
