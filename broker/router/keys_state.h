/* The primary keys of a lane that memory knows. keys.c owns the structs.
 *
 * A key is here from the acceptance of its message until a settled row says all that is known of
 * it: that its message is pending, or how that has ended. So memory holds about as many keys as a
 * checkpoint or two have messages, however many stand in the store. A key that is not here is
 * looked up in the store (keyed.c), unless the list of the keys there excludes it (key_list.h).
 *
 * What a look-up finds is joined with what is here when its answer is used. So a key stays while a
 * look-up is under way that may have missed its row; and an answer counts only as long as no key
 * was forgotten since its look-up began (`forgotten`).
 */
#ifndef BROKER_ROUTER_KEYS_STATE_H
#define BROKER_ROUTER_KEYS_STATE_H

#include "broker/message_record.h"
#include "broker/router/key_list.h"
#include "broker/router/router.h"

typedef struct primary_key {
    store_key_t row; /* what its row is to say, but for the number; owns the reply's payload */
    uint64_t slice;  /* the lane's last slice with its row; 0: none */
    struct primary_key **list; /* that it is in; NULL: none */
    struct primary_key *prev, *next;
    UT_hash_handle by_hash;
} primary_key_t;

typedef struct lane_keys {
    primary_key_t *by_hash;
    primary_key_t *next, *current; /* whose rows do not say what is known: see checkpoint_state.h */
    primary_key_t *settled;        /* whose rows do; they stay until a look-up is over */
    uint32_t forgotten;            /* grows whenever a key is forgotten */
    key_list_t list;
} lane_keys_t;

/* What a look-up has said of a request's key, kept in message->key_outcome. */
typedef enum key_outcome {
    KEY_UNASKED,
    KEY_ASKED,   /* the look-up is under way, or waits */
    KEY_FREE,    /* no message has it */
    KEY_PENDING, /* a message has it, and had not ended: the request has its id */
    KEY_ENDED,   /* the same, and it has ended: the request has its id and reply */
    KEY_FAILED   /* the store failed */
} key_outcome_t;

/* NULL: memory does not know the key. */
const primary_key_t *keys_find(const lane_keys_t *keys, const uint8_t hash[STORE_KEY_BYTES]);
/* Whether no message has the key, which keys_find has not found. */
bool keys_exclude(const lane_keys_t *keys, const uint8_t hash[STORE_KEY_BYTES]);
/* The message, which has a key, is in a batch. */
void keys_accepted(router_t *router, lane_keys_t *keys, const message_t *message);
/* The message is durable. */
void keys_durable(router_t *router, lane_keys_t *keys, const message_t *message);
/* The message's end is durable, with its reply. */
void keys_ended(router_t *router, lane_keys_t *keys, const message_t *message);
/* The entity is cleared: the keys of its messages with ids below this one are free, and what was
 * looked up before does not count. */
void keys_clear(router_t *router, lane_keys_t *keys, uint64_t entity_hash, request_id_t below);
/* The lane is adopted: what was looked up before does not count, and the list is begun. */
void keys_adopted(router_t *router, lane_keys_t *keys);

/* ---- checkpoints ---- */

/* All changes that wait are for the checkpoint that begins. */
void keys_checkpoint_begins(lane_keys_t *keys);
/* The next change of the checkpoint is in the slice. */
void keys_take(lane_keys_t *keys, uint64_t slice);
/* The slice with this key is settled. `reading`: a look-up is under way. */
void keys_settled(router_t *router, lane_keys_t *keys, const uint8_t hash[STORE_KEY_BYTES],
                  uint64_t slice, bool reading);
/* No look-up is under way any more. */
void keys_read(router_t *router, lane_keys_t *keys);

/* ---- the list ---- */

/* A page of the list was read beside a look-up: see key_list_take. */
void keys_listed(router_t *router, lane_keys_t *keys, uint32_t number,
                 const store_key_name_t *names, size_t count, bool ended);

/* ---- the lane is dropped ---- */

/* false: no key is left. */
bool keys_drop_next(router_t *router, lane_keys_t *keys);
void keys_destroy(router_t *router);

#endif
