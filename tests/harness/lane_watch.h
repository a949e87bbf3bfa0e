/* Asks an entity in each lane again and again, one durable and one volatile call at a time, and
 * measures for how long each lane does not answer.
 *
 * Threading: the thread that uses the client.
 */
#ifndef TESTS_HARNESS_LANE_WATCH_H
#define TESTS_HARNESS_LANE_WATCH_H

#include "tests/harness/testbed.h"

typedef struct lane_watch lane_watch_t;

/* One call after the other to the same entity. */
typedef struct lane_caller {
    lane_watch_t *watch;
    char entity[32];
    bool durable;
    bool open;
    uint64_t replied_ms; /* the last time */
    uint32_t gap_ms;     /* the longest one since the mark */
} lane_caller_t;

struct lane_watch {
    fabric_client_t *client;
    lane_caller_t callers[2 * TESTBED_LANES]; /* of a lane: first the durable one */
    bool stopping;
    uint32_t open;
    uint64_t replied;
    uint64_t failed[2]; /* volatile calls, durable ones */
    char failure[300];  /* of the first that failed */
};

/* Opens a client of its own. The watch stays where it is until lane_watch_end. */
void lane_watch_start(lane_watch_t *watch, testbed_t *bed);
/* Lets the calls go on until `done` returns true; false when it did not within `timeout_ms`. */
bool lane_watch_until(lane_watch_t *watch, bool (*done)(void *context), void *context,
                      uint32_t timeout_ms);
void lane_watch_run(lane_watch_t *watch, uint32_t ms);
/* Gaps are measured from now on. */
void lane_watch_mark(lane_watch_t *watch);
/* The longest time since the mark in which some lane did not answer a durable call, or a volatile
 * one. */
uint32_t lane_watch_gap_ms(const lane_watch_t *watch, bool durable);
/* Starts no more calls, waits for the open ones, and closes the client. */
void lane_watch_end(lane_watch_t *watch);

#endif
