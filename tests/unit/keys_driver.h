/* The router's driver for requests with primary keys: clients "c" and "d" send them to a home with
 * the model of its lanes, which answers its look-ups at once, or step by step. */
#ifndef TESTS_UNIT_KEYS_DRIVER_H
#define TESTS_UNIT_KEYS_DRIVER_H

#include "tests/unit/lane_driver.h"

enum {
    ASK = REQUEST_DURABLE,
    AGAIN = REQUEST_DURABLE | REQUEST_RESEND,
    ASK_ACCEPTED = REQUEST_DURABLE | REQUEST_WANT_ACCEPTED,
    TELL = REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED
};

extern const char keys_k[]; /* "k" */

home_t *keys_open_home(void);
/* Another home has the lane; all peers come to it. */
void keys_take_over(home_t *home);

typedef struct asked {
    const char *peer;
    uint64_t sequence, flags, predecessor, floor;
    const char *id;
    fabric_bytes_t key;
} asked_t;
void keys_send(home_t *home, const asked_t *asked);
/* With the key "k", of entity "a". */
void keys_ask(home_t *home, const char *peer, uint64_t sequence, uint64_t flags);

/* What of a look-up is with the finder. */
typedef struct reading {
    router_lookup_t lookup;
    store_key_t keys[16];
    size_t key_count;
} reading_t;
/* The look-up reads the store; false: there is none. */
bool keys_begin_reading(home_t *home, uint32_t lane, reading_t *reading);
/* Its answer comes; with `reached` not 0, no call was found, and what is lower was purged. */
void keys_end_reading(home_t *home, uint32_t lane, const reading_t *reading, uint64_t reached);
/* All look-ups are answered with what the store has. Returns how many there were. */
unsigned keys_look_up(home_t *home);
/* The same, and all keys of each such lane are listed. */
unsigned keys_list(home_t *home);
uint64_t keys_in_memory(const home_t *home); /* of lane 0 */

/* The first message with key "k" is accepted. Returns its id. */
uint64_t keys_accept_first(home_t *home);
void keys_expect_reply(home_t *home, const char *peer, uint64_t sequence, uint64_t id);
/* One message was handled once, and nothing waits. */
void keys_expect_one_message(home_t *home);

#endif
