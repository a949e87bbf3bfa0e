/* A client and its calls: what the router remembers to answer resends. calls.c owns the structs. */
#ifndef BROKER_ROUTER_CLIENT_STATE_H
#define BROKER_ROUTER_CLIENT_STATE_H

#include "broker/router/peer_state.h"

typedef enum call_state {
    CALL_NONE,
    CALL_WAITING, /* being looked up, or held behind one that is */
    CALL_OPEN,    /* given to a lane, or accepted */
    CALL_ENDED,   /* its reply is durable */
    CALL_REFUSED  /* finally rejected */
} call_state_t;

typedef struct call {
    uint64_t sequence;
    message_t *message; /* OPEN, ENDED */
    call_state_t state;
    fabric_error_t error; /* REFUSED */
    uint64_t deadline_ms; /* WAITING, OPEN: when its caller is told how far it has come; 0: never */
} call_t;

struct client {
    uint64_t number;
    incarnation_t
        incarnation; /* a secret between the client and its brokers: it leaves this struct for nobody */
    uint64_t connection;
    peer_t *peer; /* NULL: away */
    uint64_t away_since_ms;
    struct client *away_prev, *away_next; /* of router->away, while it is away */
    uint64_t bytes;                       /* what is remembered of it and its calls */
    bool hears_waits;                     /* it asked, on this connection, why its calls wait */
    uint64_t waits_sequence;              /* of that query */
    uint64_t settled;                     /* calls below are forgotten */
    uint64_t deadline_ms;                 /* when one of its calls may be at its deadline */
    uint32_t
        life; /* grows with each goodbye and each new process: volatile calls of an earlier one are nobody's */
    call_t *calls;                     /* ring: sequence modulo capacity */
    uint64_t capacity;                 /* power of two */
    size_t lookups;                    /* of its calls, on all lanes */
    size_t settled_early;              /* messages of its in lanes that it has settled on */
    message_t *waiting, *waiting_last; /* chained: looked up or held, in order of arrival */
    UT_hash_handle by_number;
};

client_t *client_find(router_t *router, uint64_t number);
/* The client that waits for the message; NULL: nobody does any more. */
client_t *client_of(router_t *router, const message_t *message);
client_t *client_add(router_t *router, uint64_t number);
void client_settle(router_t *router, client_t *client, uint64_t settled);
call_t *call_find(client_t *client, uint64_t sequence);
/* NULL: the sequence is beyond the window of calls that may be open, or there is no memory for it. */
call_t *call_add(router_t *router, client_t *client, uint64_t sequence);
void call_open(call_t *call, message_t *message);
/* When the caller is to be told how far its call has come; 0: never. */
void call_set_deadline(client_t *client, call_t *call, uint64_t deadline_ms);
bool call_predecessor_known(client_t *client, uint64_t predecessor);
/* Whether both stand for the same message. */
bool call_same_contents(const store_message_t *a, const store_message_t *b);
/* A durable request is here: answers it if it is known, has it looked up, holds, refuses or accepts it. Takes the message. */
void call_arrived(router_t *router, client_t *client, message_t *message);
void call_send_accepted(router_t *router, const message_t *message);
void call_send_reply(router_t *router, const message_t *message);
/* The client is connected no more. */
void client_leave(router_t *router, client_t *client);
void client_return(router_t *router, client_t *client, peer_t *peer);
/* Nobody waits for the client's volatile calls any more: it has said goodbye, or is another process now. */
void client_ends_life(client_t *client);
/* Tells the client about its calls whose deadlines are over; they go on. */
void client_tell_overdue(router_t *router, client_t *client);
/* An ended message stays, to answer its call again. */
void client_keep(router_t *router, client_t *client, const message_t *message);
/* All that the client has waiting, chained. */
message_t *client_take_held(router_t *router, client_t *client);
void clients_sweep(router_t *router);
void client_destroy(router_t *router, client_t *client);
/* A message that waits in its lane is not among its client's calls: the client is remembered until call_left_lane, since a
 * look-up would not find the call yet. */
void call_settled_early(client_t *client, message_t *message);
void call_left_lane(router_t *router, message_t *message);

#endif
