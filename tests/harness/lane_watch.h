/* Asks entities again and again, on a thread of its own, and measures for how long lanes and
 * shards do not answer: an entity in each lane without pause, or one in each shard every 50 ms,
 * each by one durable and one volatile call at a time.
 *
 *     lane_watch_t *watch = lane_watch_start(bed, LANE_WATCH_SHARDS);
 *     lane_watch_mark(watch);
 *     testbed_kill(&bed->cluster.brokers[0]);
 *     ...
 *     assert_in_range(lane_watch_gap_ms(watch, LANE_WATCH_LANES, true), 0, 1000);
 *     lane_watch_end(&watch);
 *
 * A test that fails before lane_watch_end leaves the watch to the testbed.
 *
 * Threading: the functions are for the test's thread.
 */
#ifndef TESTS_HARNESS_LANE_WATCH_H
#define TESTS_HARNESS_LANE_WATCH_H

#include "tests/harness/testbed.h"

typedef struct lane_watch lane_watch_t;

typedef enum lane_watch_scope { LANE_WATCH_LANES, LANE_WATCH_SHARDS } lane_watch_scope_t;

/* Opens a client of its own, and waits until each entity has answered. One watch for each testbed.
 * In a sanitizer's build shards are watched by a fifth of them. */
lane_watch_t *lane_watch_start(testbed_t *bed, lane_watch_scope_t scope);
/* Gaps are measured from now on. */
void lane_watch_mark(lane_watch_t *watch);
/* The longest time since the mark in which some lane, or some shard that is watched, did not answer
 * a durable call, or a volatile one. A lane answers when an entity in it does. */
uint32_t lane_watch_gap_ms(lane_watch_t *watch, lane_watch_scope_t scope, bool durable);
/* How many durable calls, or volatile ones, have been answered, and how many have failed. */
uint64_t lane_watch_replied(lane_watch_t *watch, bool durable);
uint64_t lane_watch_failed(lane_watch_t *watch, bool durable);
/* Fails the test where a durable call, or a volatile one, has failed. */
void lane_watch_expect_none_failed(lane_watch_t *watch, bool durable);
/* Starts no more calls, waits for the open ones, and closes the client. */
void lane_watch_end(lane_watch_t **watch);

#endif
