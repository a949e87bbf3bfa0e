/* For unit tests of the router with entities that tell others: entity "a" of a type that does, with
 * one client "c" and one worker "w".
 *
 * Threading: one thread.
 */
#ifndef TESTS_UNIT_TOLD_BENCH_H
#define TESTS_UNIT_TOLD_BENCH_H

#include "tests/unit/events_bench.h"

bench_t told_bench_with(const router_config_t *config);
bench_t told_bench(void);
/* A message to this entity. */
store_outgoing_t told_note(const char *id);
/* The worker's reply to a delivery, without what its handler has told. */
message_result_told_t told_result(const message_deliver_t *delivery);
void told_send(bench_t *bench, const message_result_told_t *result);
/* The worker answers a delivery, and its handler has told these entities. */
void told_tell(bench_t *bench, const message_deliver_t *delivery, const char *const *ids,
               uint32_t count);
uint32_t told_lane_of_a(const bench_t *bench, const message_deliver_t *delivery);

#endif
