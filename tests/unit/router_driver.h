/* A driver for the router's pure core: it plays clients, workers, store actors and the coordinator
 * in memory, under a clock that the test moves. It decodes what the router sends into notes, which
 * tests take one by one.
 *
 * The driver begins as a broker that is home of all lanes, with one shard group and one entity
 * type: Counter  messages Add (durable) and Peek (volatile), both with the schema Item; mailbox
 * capacity 4,096
 *
 * Peers are named by their routing ids, short texts. A failed expectation fails the cmocka test.
 * */
#ifndef TESTS_UNIT_ROUTER_DRIVER_H
#define TESTS_UNIT_ROUTER_DRIVER_H

#include "broker/router/router.h"
#include "core/type_description.h"
#include "tests/unit/router_check.h"

/* DRIVER_EPOCH: under which driver_homes holds all lanes. DRIVER_FAILURE: the number of the one
 * failure that the message Add declares, whose values are an Item. */
enum { DRIVER_SHARDS = 8, DRIVER_EPOCH = 3, DRIVER_DRAIN_MS = 8000, DRIVER_BEGINS_MS = 1000 };
enum { DRIVER_FAILURE = 7 };

/* One message that the router sent. */
typedef struct note {
    struct note *next;
    char peer[32];
    frame_head_t head;
    message_kind_t kind;
    union {
#define FABRIC_KIND_ROW(number, NAME, name) message_##name##_t name;
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    } as;
    size_t size; /* of the message, as it was sent */
    uint8_t bytes[];
} note_t;

typedef struct driver {
    router_t *router;
    router_config_t config;
    uint64_t now_ms;
    note_t *notes;              /* not taken yet, in order */
    note_t *taken;              /* kept until the end: their views may be in use */
    router_order_t orders[256]; /* but for HIGH_ID */
    size_t order_count;         /* since driver_orders_forget */
    uint64_t high_id;           /* of the last HIGH_ID */
    uint64_t heard_id;          /* the highest one in the frames that the router has sent */
    bool admit;                 /* answer ROUTER_ADMIT with OK */
    const char *brings;         /* types of workers that say hello, as "A,B"; Counter unless set */
    uint64_t app_version;       /* of workers that say hello */
    const char *mapped;         /* the type that maps name; Counter unless set; NULL: none */
    unsigned map_owner;         /* of all of its shards in maps; 0: nobody */
    uint32_t map_unowned;       /* the number of the shard that map_owner does not own; 0: none */
    bool supervised;            /* workers that say hello have a supervisor */
    char full[32];              /* the peer whose pipe is full, or empty */
    char gone[16][32];          /* peers that do not exist any more: see driver_gone */
    size_t gone_next;
    size_t frame_bytes_max; /* of the longest frame that was sent */
    const lane_batch_t *batch[LIMIT_LANES_MAX];
    uint64_t epochs[LIMIT_LANES_MAX];  /* under which the router holds the lanes; 0: not */
    uint64_t entries[LIMIT_LANES_MAX]; /* numbers of their last entries */
} driver_t;

/* A configuration that router_new takes; change it before driver_open. */
void driver_config(router_config_t *config);
/* What types that are told of from now on say of themselves. */
typedef struct driver_told {
    uint32_t mailbox_capacity, concurrency;
    type_options_t options;
    fabric_schema_t *state; /* persisted, of version 1; NULL: it is not */
    fabric_schema_t *event; /* "Paid" of version 1; NULL: it appends none */
    bool early;             /* Add has early delivery */
    bool transactional;     /* Add is */
    bool untold;            /* a new driver is told of no type */
} driver_told_t;
extern driver_told_t driver_told;
#define DRIVER_TOLD_USUALLY ((driver_told_t){.mailbox_capacity = 4096, .concurrency = 1})
/* A router with types and map, but without homes and lease. */
driver_t *driver_new(const router_config_t *config);
/* driver_new with the usual configuration. The router is home of all lanes, has nothing pending
 * and a long lease. */
driver_t *driver_open(void);
/* Makes the router home of all lanes, with a long lease. `messages`, chained by position, are what
 * stands in the lanes. */
void driver_homes(driver_t *driver, message_t *messages);
/* The router's broker holds the term, and has read all types. */
void driver_elect(driver_t *driver);
/* The store names the router's broker as holder of the lane under this epoch, or of the lane no
 * more (0). */
void driver_hold(driver_t *driver, uint32_t lane, uint64_t epoch);
/* The lane is adopted under the epoch of driver_hold; what stands in it are these messages, and no
 * id of it is above `last_id`. */
void driver_adopt(driver_t *driver, uint32_t lane, message_t *messages, uint64_t last_id);
/* The map of a term, in which all shards have this home: itself, or {0xb1} at tcp://there:1. */
void driver_map(driver_t *driver, uint64_t term, incarnation_t home);
/* The map of a term, in which the router's broker is home of the lanes that it holds, and {0xb1} of
 * the others. One lane is to have this home next; none: it stays. */
void driver_map_next(driver_t *driver, uint64_t term, uint32_t lane, incarnation_t next);
/* An orderly stop begins, to be over in DRIVER_DRAIN_MS; no other broker takes the lanes. */
void driver_stop(driver_t *driver);
/* All accounts of the router are right. */
void driver_check(const driver_t *driver);
/* Registers a type like Counter under another name. */
void driver_type(driver_t *driver, const char *name);
void driver_free(driver_t **driver); /* after router_destroy */
/* Inline, so that a test program refers to the router before the linker comes to this library. */
static inline void driver_close(driver_t **driver)
{
    driver_check(*driver);
    router_destroy(&(*driver)->router);
    driver_free(driver);
}

/* ---- peers ---- */

/* A frame with one message; `put` is one of message_put_*. */
#define driver_send(driver, peer, name, message)                                                   \
    driver_send_(driver, peer, 0, (void (*)(wire_writer_t *, const void *))message_put_##name,     \
                 message)
/* The same, settling all calls below `settled`. */
#define driver_send_settling(driver, peer, settled, name, message)                                 \
    driver_send_(driver, peer, settled,                                                            \
                 (void (*)(wire_writer_t *, const void *))message_put_##name, message)
void driver_send_(driver_t *driver, const char *peer, uint64_t settled,
                  void (*put)(wire_writer_t *, const void *), const void *message);
void driver_send_bytes(driver_t *driver, const char *peer, fabric_bytes_t frame);

incarnation_t driver_incarnation(unsigned number);
/* The public id of the worker with this incarnation; 0 for 0. */
incarnation_t driver_runner(unsigned number);
/* Says hello; the answer is left to be taken. */
void driver_client_hello(driver_t *driver, const char *peer, uint64_t number, uint64_t connection);
void driver_worker_hello(driver_t *driver, const char *peer, unsigned number, uint64_t connection,
                         uint64_t window);
/* The credential of the broker of that number, for router_members. */
broker_credential_t driver_credential(unsigned number);
/* Only members are welcomed: see router_members. The hello proves that the broker is one. */
void driver_broker_hello(driver_t *driver, const char *peer, unsigned number, uint64_t connection);
/* The same with a proof of the test's. */
void driver_broker_hello_with(driver_t *driver, const char *peer, unsigned number,
                              uint64_t connection, fabric_bytes_t proof);
/* Reports, on a connection of its own, that the worker crashed on these requests, and takes the
 * answer. */
void driver_crashed(driver_t *driver, unsigned number, const uint64_t *culprits, uint32_t count,
                    const char *text);
/* Says hello for the first time and takes the welcome. */
void driver_client(driver_t *driver, const char *peer, uint64_t number);
/* The same, and makes it the owner of all shards; takes the assignments. */
void driver_worker(driver_t *driver, const char *peer, unsigned number);
void driver_desire(driver_t *driver, unsigned number); /* Counter, all shards; 0: nobody */
void driver_desire_type(driver_t *driver, const char *type, unsigned number);
/* The peer's connection is gone: frames to it turn out to be unreachable. */
void driver_gone(driver_t *driver, const char *peer);
void driver_ping(driver_t *driver, const char *peer);

/* ---- what the router sends ---- */

/* Takes frames and orders from the router. Called by all functions here that feed it. */
void driver_pull(driver_t *driver);
/* What the mesh would send: notes for the peer "mesh". */
void driver_pull_outgoing(driver_t *driver);
/* The peer's first note of this kind; it must be there. Valid until driver_close. */
const note_t *driver_take(driver_t *driver, const char *peer, message_kind_t kind);
size_t driver_count(driver_t *driver, const char *peer, message_kind_t kind);
void driver_forget(driver_t *driver); /* all notes */
/* The order of this kind for this runner is there. */
bool driver_ordered(driver_t *driver, router_order_kind_t kind, unsigned runner);
void driver_orders_forget(driver_t *driver);

/* ---- requests and results ---- */

/* A valid request of type Counter: tag Add with REQUEST_DURABLE among the flags, else Peek. */
message_request_t driver_request(uint64_t sequence, const char *id, uint64_t flags);
/* A first send has the highest id that the router has told anyone as its floor. */
void driver_ask(driver_t *driver, const char *peer, uint64_t sequence, const char *id,
                uint64_t flags);
/* Takes the peer's rejection of this call and returns its error. */
fabric_error_t driver_rejected(driver_t *driver, const char *peer, uint64_t sequence);
/* Takes the worker's next delivery. */
const message_deliver_t *driver_delivery(driver_t *driver, const char *peer);
/* Takes it and expects this id and this delivery number. */
const message_deliver_t *driver_delivered(driver_t *driver, const char *peer, uint64_t request_id,
                                          uint64_t delivery);
void driver_result(driver_t *driver, const char *peer, const message_deliver_t *delivery,
                   reply_status_t status, fabric_error_t error);
void driver_result_with(driver_t *driver, const char *peer, const message_deliver_t *delivery,
                        reply_status_t status, fabric_error_t error, fabric_bytes_t payload);
/* Takes the peer's reply to this call. */
const message_reply_t *driver_replied(driver_t *driver, const char *peer, uint64_t sequence);

/* ---- lanes and time ---- */

/* NULL when the lane has nothing to append. */
const lane_batch_t *driver_take_batch(driver_t *driver, uint32_t lane);
void driver_batch_done(driver_t *driver, uint32_t lane);
void driver_batch_fenced(driver_t *driver, uint32_t lane);
/* The lane's look-up has found the message; `reply` NULL: it has not ended. */
void driver_lookup_found_at(driver_t *driver, uint32_t lane, const store_message_t *message,
                            const store_reply_t *reply, uint64_t position);
/* The same of a message whose position is its id. */
static inline void driver_lookup_found(driver_t *driver, uint32_t lane,
                                       const store_message_t *message, const store_reply_t *reply)
{
    driver_lookup_found_at(driver, lane, message, reply, message->id.value);
}
void driver_commit(driver_t *driver); /* until no lane has anything left */
/* Time passes, in ticks of 10 ms. The peers (NULL-terminated; NULL: none) send pings, so that they
 * stay alive. */
void driver_pass_alive(driver_t *driver, uint64_t ms, const char *const *peers);
static inline void driver_pass(driver_t *driver, uint64_t ms)
{
    driver_pass_alive(driver, ms, NULL);
}
/* The time by the router's clock, unless a test has told it another one. */
static inline int64_t driver_unix_ms(const driver_t *driver)
{
    return driver->config.store_now_ms + (int64_t)driver->now_ms - DRIVER_BEGINS_MS;
}
router_counters_t driver_counters(const driver_t *driver);

#endif
