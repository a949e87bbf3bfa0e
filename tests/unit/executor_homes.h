/* Changes of the home of a driver's executor, and what the next home delivers. */
#ifndef TESTS_UNIT_EXECUTOR_HOMES_H
#define TESTS_UNIT_EXECUTOR_HOMES_H

#include "tests/unit/executor_driver.h"

/* Puts a result that the former home has not settled, by the amount that it replies. */
void exec_put_kept(wire_writer_t *kept, uint64_t request_id, reply_status_t status, uint64_t code);
/* The next home has the shard; of these requests, which failed with their numbers as codes, there
 * are results. */
void exec_change_home(executor_driver_t *d, const uint64_t *requests, size_t count);
/* The home delivers the message, which was delivered before. */
void exec_deliver_again(executor_driver_t *d, const char *id, const char *tag, uint64_t request_id);
/* The next result is a kept one of exec_change_home. */
void exec_expect_kept(executor_driver_t *d, uint64_t request_id);

#endif
