/* A broker with pending messages in one shard, whose workers crash on them: for the tests of poison
 * messages. Tests name a message by its index among those that the broker has loaded. A failed
 * expectation fails the cmocka test. */
#ifndef TESTS_UNIT_POISON_DRIVER_H
#define TESTS_UNIT_POISON_DRIVER_H

#include "tests/unit/router_driver.h"

/* DEAD_MS is longer than the grace of a worker without a supervisor, REPORT_MS longer than that of
 * a worker with a supervisor. */
enum {
    FIRST_ID = 1000,
    ATTEMPTS_MAX = 3,
    CRASHES_MAX = 3,
    LEASE_MS = 3000,
    DEAD_MS = 150,
    REPORT_MS = 300,
    BACKOFF_MS = 500
};

#define SIGNAL "signal 11 (Segmentation fault)"

extern const char *const poison_everyone[];
extern const char *const poison_client_only[];

/* What is pending in the store when the broker becomes home: all in one shard, in this order. */
typedef struct loaded {
    const char *entity;
    uint32_t attempts;
    uint32_t crashes;
} poison_loaded_t;

/* An entity id that begins with `name` and lies in the first shard; always the same one. */
const char *poison_in_first_shard(const char *name);

/* A home that has loaded these messages, and a client c1. */
driver_t *poison_open(const poison_loaded_t *loaded, size_t count, bool supervised);

#define LOADED(...)                                                                                \
    (const poison_loaded_t[]){__VA_ARGS__},                                                        \
        sizeof((const poison_loaded_t[]){__VA_ARGS__}) / sizeof(poison_loaded_t)
#define OPEN_SUPERVISED(...) poison_open(LOADED(__VA_ARGS__), true)
#define OPEN(...)            poison_open(LOADED(__VA_ARGS__), false)

/* ---- what is expected ---- */

/* The worker's next delivery is this one. */
const message_deliver_t *poison_expect_delivery(driver_t *driver, const char *peer, uint64_t index);
/* The same, and it is to run alone. */
const message_deliver_t *poison_expect_alone(driver_t *driver, const char *peer, uint64_t index);
void poison_expect_none(driver_t *driver, const char *peer);
/* The worker is told that this delivery's turn is over. */
void poison_expect_over(driver_t *driver, const char *peer, const message_deliver_t *delivery);
/* The next batch holds the counts of one message and nothing else. The caller commits it. */
void poison_expect_counts_taken(driver_t *driver, uint64_t index, uint32_t attempts,
                                uint32_t crashes);
/* The same, and commits the batch. */
void poison_expect_counts(driver_t *driver, uint64_t index, uint32_t attempts, uint32_t crashes);
/* Commits what there is, without any counts. */
void poison_expect_no_counts(driver_t *driver);
/* The next batch holds this dead letter, and is committed. */
void poison_expect_dead_letter(driver_t *driver, uint64_t index, uint32_t attempts,
                               fabric_error_t cause, const char *text);

/* ---- what happens ---- */

/* The worker has nothing else at hand than this delivery, which is to run alone. */
void poison_ready(driver_t *driver, const char *peer, const message_deliver_t *delivery);
/* The same, and takes the broker's leave to handle the message. */
void poison_go(driver_t *driver, const char *peer, const message_deliver_t *delivery);
/* The message is handled. */
void poison_answer(driver_t *driver, const char *peer, const message_deliver_t *delivery);
/* The worker of this number is reported to have crashed on this message. */
void poison_crash(driver_t *driver, unsigned number, uint64_t index);
void poison_say_goodbye(driver_t *driver, const char *peer);
/* The worker is gone, and no supervisor reports why. */
void poison_die(driver_t *driver, const char *peer);
/* Two workers, numbers 101 and 102, die while all pending messages are in flight. */
void poison_die_twice(driver_t *driver);

#endif
