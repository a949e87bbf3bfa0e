/* A home whose entities tell others something: the driver with the model of the lanes, and a worker
 * whose handlers tell what a test wants. The router is home of lane 0; lane 1 is another broker's,
 * at first. */
#ifndef TESTS_UNIT_OUTBOX_BENCH_H
#define TESTS_UNIT_OUTBOX_BENCH_H

#include "broker/router/router_state.h"
#include "tests/unit/lane_driver.h"

enum { OUTBOX_LANES = 2, OUTBOX_THERE = 0xb1 };

home_t *outbox_open(void (*change)(router_config_t *config));
void outbox_close(home_t **home);
/* Another home of lane 0 begins with what the store has. */
void outbox_kill(home_t *home);
/* An entity of the lane, the number'th. */
const char *outbox_entity(uint32_t lane, unsigned number);
/* A message to the source, whose handler tells these `count` targets, in order. The result waits
 * for its append. Returns the request id of the source. */
uint64_t outbox_tell(home_t *home, const char *source, const char *const *targets, size_t count);
/* The handler of this delivery tells them. */
void outbox_result(home_t *home, const message_deliver_t *delivery, const char *const *targets,
                   size_t count);
/* The same of one target, with its append. */
uint64_t outbox_tell_one(home_t *home, const char *source, const char *target);
/* The next message that is sent to the other broker; NULL: there is none. */
const message_outgoing_t *outbox_next(home_t *home);
/* All of them: "entity#sequence<predecessor!", with "!" for one that is sent once more. */
const char *outbox_sent(home_t *home);
void outbox_answer(home_t *home, uint64_t source, uint64_t sequence, fabric_error_t error,
                   uint64_t id);
/* The ends of messages are appended. */
void outbox_append_ends(home_t *home);
sender_t *outbox_sender(const home_t *home);

#endif
