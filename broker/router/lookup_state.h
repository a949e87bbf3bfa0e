/* Look-ups of calls in the store, and the requests that are held for them. lookup.c owns the
 * structs.
 *
 * A call is looked up when this home does not remember it, and its request is a resend or a first
 * send whose floor is below the highest id that the lane had when it was adopted: such a first send
 * may arrive after an earlier home has stored a resend. What the client sends after that request is
 * held until the look-up is over, so that the order of the client's requests stays.
 *
 * Look-ups and commits go on beside each other. This is safe because of two rules:
 *   1. A call is looked up only while it is in no batch.
 *   2. A call is accepted only while its client has no look-up under way.
 *
 * A request whose look-up is over is held on while its client has other look-ups, of other lanes.
 * What was found must not be forgotten to have ended meanwhile: the lane's clears and early ends
 * stay until no such request is left that was looked up before (see lookup_rounds_t), and a lane
 * that is dropped makes all that was found in it void.
 *
 * So what a look-up has to find was durable before the look-up began. Primary keys need no such
 * rules: see keys_state.h. What is looked up for a key alone holds only what its client sent later.
 */
#ifndef BROKER_ROUTER_LOOKUP_STATE_H
#define BROKER_ROUTER_LOOKUP_STATE_H

#include "broker/router/client_state.h"

/* What a look-up found out about a held request, kept in message->lookup_outcome. */
typedef enum lookup_outcome {
    LOOKUP_NONE,      /* its call was not looked up: it is held behind another, or for its key */
    LOOKUP_NOT_FOUND, /* the store does not know the call */
    LOOKUP_PENDING,   /* the call is accepted and has not ended; the message has its id */
    LOOKUP_ENDED,     /* the call has ended; the message has its id and reply */
    LOOKUP_CONFLICT,  /* the call stands for a message with other contents */
    LOOKUP_UNKNOWN,   /* the call is older than the messages that were looked through */
    LOOKUP_CUT_SHORT, /* the same, for a bound: nothing is lost, so a look-up may find it yet */
    LOOKUP_FAILED,    /* the store failed */
    LOOKUP_MOVED      /* the lane was dropped meanwhile */
} lookup_outcome_t;

typedef struct lookup_item {
    message_t *message;
    client_t *client;
    bool call_wanted; /* its call is looked up; its primary key is whenever it has one */
    bool key_found, key_ended, key_doubtful; /* the same of its key as of its call below */
    bool found;
    bool ended;    /* it was found with a reply, which is in message->reply now */
    bool conflict; /* it was found with other contents */
    /* Its id is far above the time: this broker does not know yet that a successor has the lane, or
     * the id is damaged. No client must hear of it, since clients remember the highest id. */
    bool doubtful;
} lookup_item_t;

/* Whose primary key this is. */
typedef struct lookup_key {
    const uint8_t *hash;
    size_t item;
} lookup_key_t;

typedef struct lookup {
    lookup_item_t *items;
    call_key_t *calls; /* of the items whose calls are wanted, in the same order */
    size_t count, capacity;
    size_t call_count;
    lookup_key_t *keys; /* by hash */
    size_t key_count;
    store_key_name_t *names; /* of the keys, each once */
    size_t name_count;
    uint32_t forgotten; /* lane_keys_t.forgotten when the look-up began */
    uint32_t list;      /* number of the list of keys that a page is read of */
    uint64_t floor;
    uint64_t lost; /* of one that was cut short: see router_lookup_cut_short; else UINT64_MAX */
    bool running;
    uint64_t answered; /* look-ups of the lane so far */
} lookup_t;

typedef struct router_lane router_lane_t;

/* Requests whose look-ups are over belong to the round of their lane in which those ended, as long
 * as they are held. The next round begins when none is held any more of the round before, and no
 * look-up is under way. So two rounds later all are acted upon that were looked up, or began to be,
 * in this round or before. */
typedef struct lookup_rounds {
    uint64_t number;
    size_t held[2]; /* requests of the rounds with an even number, and with an odd one */
} lookup_rounds_t;

/* Holds a request, which lookup.c then owns; `call` is NULL where the client has settled on it. */
void request_hold(router_t *router, client_t *client, message_t *message, call_t *call);
/* All held requests of the client, chained in order of arrival. The caller owns them. */
message_t *requests_take_held(router_t *router, client_t *client);
/* The same of those that stand before the first one whose key is still looked up. */
message_t *requests_take_ready(router_t *router, client_t *client);
/* The primary key of a held request is to be looked up, if it has one, and `call_wanted`: its call.
 */
void lookup_add(router_t *router, client_t *client, message_t *message, bool call_wanted);
/* The store has this message under the call key of an item. */
void lookup_found(router_t *router, lookup_t *lookup, const router_found_t *found);
/* The store has a row of an item's primary key; `last_entry`: the last one that this broker knows
 * to be durable. */
void lookup_key_found(router_t *router, lookup_t *lookup, const store_key_t *key,
                      uint64_t last_entry);
/* The look-up is over: all messages with ids above `reached` were looked through. Returns how many
 * items there were; they can be read in lookup->items until the next look-up is taken. */
size_t lookup_end(router_t *router, lookup_t *lookup, fabric_error_t error, request_id_t reached);
/* The lane is dropped: the items are looked up no more. A look-up that is under way stays so until
 * it is answered, without items. Returns the same as lookup_end. */
size_t lookup_abandon(router_t *router, lookup_t *lookup);
/* The same for what earlier look-ups of the lane have found for requests that are still held. */
void lookup_abandon_found(router_t *router, const router_lane_t *lane);
/* A request of a round with this parity was acted upon. false: others of that round are held. */
bool lookup_acted_on(router_lane_t *lane, uint8_t round);
/* The next rounds begin, if they may. */
void lookup_rounds_pass(router_lane_t *lane);
void lookups_destroy(router_t *router);

#endif
