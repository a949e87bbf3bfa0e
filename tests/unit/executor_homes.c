/* Changes of the home of a driver's executor: see executor_homes.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_homes.h"

void exec_put_kept(wire_writer_t *kept, uint64_t request_id, reply_status_t status, uint64_t code)
{
    message_result_t result = {.shard = EXECUTOR_DRIVER_SHARD,
                               .home_epoch = 1,
                               .owner_sequence = 1,
                               .request_id = request_id,
                               .status = status,
                               .error = status == STATUS_FAILURE  ? FABRIC_ERROR_ENTITY_FAILURE
                                        : status == STATUS_DEFECT ? FABRIC_ERROR_ENTITY_DEFECT
                                                                  : FABRIC_OK,
                               .code = code};
    message_put_result(kept, &result);
}

void exec_change_home(executor_driver_t *d, const uint64_t *requests, size_t count)
{
    wire_writer_t kept = {0};
    exec_orphan(d, 1);
    exec_run(d);
    exec_expect_orphaned(d, 1);
    exec_resume(d, 1);
    for (size_t i = 0; i < count; i++) {
        exec_put_kept(&kept, requests[i], STATUS_FAILURE, requests[i]);
    }
    exec_kept(d, wire_writer_bytes(&kept));
    wire_writer_destroy(&kept);
}

void exec_deliver_again(executor_driver_t *d, const char *id, const char *tag, uint64_t request_id)
{
    uint64_t last = d->request_id;
    d->request_id = request_id - 1;
    bool adds = strcmp(tag, "Add") == 0 || strcmp(tag, "Keep") == 0;
    d->again = true;
    exec_give(d, id, tag, 1, 9, REQUEST_DURABLE,
              adds ? exec_amount(d, 1) : fabric_bytes("\x90", 1));
    d->again = false;
    d->request_id = last > request_id ? last : request_id;
}

void exec_expect_kept(executor_driver_t *d, uint64_t request_id)
{
    message_result_t result;
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.code, request_id);
    assert_int_equal(result.home_epoch, 2);
    assert_int_equal(result.owner_sequence, 1);
    assert_int_equal(result.activation, 9);
}
