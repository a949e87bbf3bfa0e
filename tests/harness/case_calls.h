/* Calls of tests that share a cluster (testbed_run_shared): each call is in static memory, so that
 * it may end after its test has failed. And a cluster for such tests, whose workers bring the
 * entity types of the modules probe_module, guest_module and user_module.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_CASE_CALLS_H
#define TESTS_HARNESS_CASE_CALLS_H

#include "tests/harness/guest.h"
#include "tests/harness/testbed.h"
#include "tests/harness/user.h"

enum { CASE_CALLS_MAX = 64, CASE_PAYLOAD_MAX = 256, CASE_WAIT_MAX_MS = 60000 };

typedef struct case_call {
    bool ended;
    uint32_t place; /* among the calls that have ended: 1, 2, ... */
    fabric_outcome_t outcome;
    uint8_t payload[CASE_PAYLOAD_MAX]; /* the encoded reply */
    size_t size;
} case_call_t;

/* Starts the cluster with two workers. */
void case_start(testbed_t *bed);
/* Starts one more worker that brings the same types; does not wait. */
void case_add_worker(testbed_t *bed);

/* Forgets all calls: at the beginning of each test. */
void case_begin(void);
/* Starts a call with a time limit of CASE_WAIT_MAX_MS, unless the call has another. */
case_call_t *case_call(testbed_t *bed, const fabric_call_t *call);
case_call_t *case_ask(testbed_t *bed, const char *type, const char *id,
                      const fabric_message_type_t *message, const void *request);
case_call_t *case_tell(testbed_t *bed, const char *type, const char *id,
                       const fabric_message_type_t *message, const void *request);
/* Waits until the call has ended, with this error. */
void case_expect(testbed_t *bed, const case_call_t *call, fabric_error_t error);
/* Lets callbacks come for a moment. */
void case_step(testbed_t *bed);
/* Asks, and returns what a User answers. */
user_visit_t case_visit(testbed_t *bed, const char *id, const fabric_message_type_t *message);
user_visit_t case_user(const case_call_t *call);
guest_visit_t case_guest(const case_call_t *call);

/* How many handlers of a Probe have started; waits until there are so many. */
size_t case_starts(testbed_t *bed, const char *id);
void case_wait_started(testbed_t *bed, const char *id, size_t wanted);
/* The worker process of the cluster that has started the newest handler of a Probe. */
process_t *case_worker_of(testbed_t *bed, const char *id);

#endif
