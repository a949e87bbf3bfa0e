/* Operators that cancel messages at random, and what they may be told: for random tests of routers
 * with a model of the lanes.
 */
#ifndef TESTS_UNIT_RANDOM_CANCELS_H
#define TESTS_UNIT_RANDOM_CANCELS_H

#include "tests/unit/lane_model.h"
#include "tests/unit/router_driver.h"

enum { RANDOM_CANCELS = 64 };

/* Zeroed: nobody has asked. The last queries, by their sequences. */
typedef struct random_cancels {
    struct random_cancel {
        uint64_t ids[4];
        size_t count;
    } cancels[RANDOM_CANCELS];
    uint64_t sequence;
} random_cancels_t;

/* The client "c" names messages, ended ones among them. */
void random_cancels_send(random_cancels_t *cancels, driver_t *driver, const lane_model_t *store,
                         uint64_t *random);
/* Checks that what is said to have ended has ended in the store, and that what is there is found.
 * Returns how many messages were cancelled. */
uint64_t random_cancels_check(const random_cancels_t *cancels, const lane_model_t *store,
                              const message_answer_t *answer, uint32_t lanes);

#endif
