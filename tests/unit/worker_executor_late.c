/* The executor: volatile messages whose callers have given up are not begun, durable ones are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "worker/executor.h"

enum { SHARD = 0x10001, NOW_MS = 1000, LEFT_MS = 100 };

static int handled;
static fabric_pending_t *pending;

static fabric_result_t note(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    (void)reply;
    handled++;
    return FABRIC_REPLY;
}

static fabric_result_t wait(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    pending = fabric_later(context);
    return FABRIC_PENDING;
}

static const fabric_message_type_t note_message = {"Note", &fabric_schema_empty,
                                                   &fabric_schema_empty, false, NULL};
static const fabric_message_type_t wait_message = {"Wait", &fabric_schema_empty,
                                                   &fabric_schema_empty, false, NULL};
static const fabric_handler_t handlers[] = {{&note_message, note}, {&wait_message, wait}};
static const fabric_entity_type_t type = {.name = "Late",
                                          .handlers = handlers,
                                          .handler_count = 2,
                                          .mailbox_capacity = 10,
                                          .idle_ms = 1000};

static void give(executor_t *executor, const char *id, const char *tag, uint64_t flags)
{
    message_deliver_t delivery = {.shard = SHARD,
                                  .home_epoch = 1,
                                  .owner_sequence = 1,
                                  .activation = 1,
                                  .request_id = 1,
                                  .delivery = 1,
                                  .attempt = 1,
                                  .flags = flags,
                                  .type = fabric_bytes_of("Late"),
                                  .id = fabric_bytes_of(id),
                                  .tag = fabric_bytes_of(tag),
                                  .payload = fabric_bytes("\x90", 1),
                                  .deadline_ms = NOW_MS + LEFT_MS};
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, 1}, 1);
    work->frame = work_frame_new(fabric_bytes("", 1));
    work = work_add(work, &delivery);
    executor_give(executor, &work);
}

/* Steps until nothing is left; returns how many results said that the time was over. */
static int run(executor_t *executor, uint64_t now_ms)
{
    int late = 0;
    while (executor_step(executor, now_ms)) {
    }
    work_output_t *outputs = executor_take_output(executor);
    for (work_output_t *output = outputs; output; output = output->next) {
        wire_reader_t body;
        wire_reader_t results = wire_reader(wire_writer_bytes(&output->results));
        while (frame_next(&results, &body)) {
            message_kind_t kind;
            message_result_t result;
            assert_int_equal(message_open(&body, &kind), FABRIC_OK);
            assert_int_equal(message_get_result(&body, &result), FABRIC_OK);
            late += result.status == STATUS_NOT_TAKEN && result.error == FABRIC_ERROR_TIMEOUT;
        }
    }
    work_output_list_destroy(&outputs);
    return late;
}

static void only_volatile_ones_end_with_their_time(void **state)
{
    work_lease_t lease;
    type_table_t *types = type_table_new();
    (void)state;
    atomic_init(&lease.start_until_ms, UINT64_MAX);
    assert_int_equal(type_table_add(types, &type, NULL), FABRIC_OK);
    executor_t *executor = executor_new(types, NULL, NULL);
    work_t *begin = work_new(WORK_BEGIN, 0, (work_source_t){0, 1}, 0);
    begin->shard = (shard_id_t){SHARD};
    begin->token = (token_t){1, 1};
    begin->lease = &lease;
    executor_give(executor, &begin);
    give(executor, "a", "Note", 0);
    give(executor, "a", "Wait", 0);
    give(executor, "a", "Note", 0);
    give(executor, "a", "Note", REQUEST_DURABLE);
    assert_int_equal(run(executor, NOW_MS + LEFT_MS - 1), 0);
    assert_int_equal(handled, 1);
    fabric_pending_fail(&pending, 1, NULL);
    give(executor, "b", "Note", 0); /* it waited in the inbox */
    give(executor, "b", "Note", REQUEST_DURABLE);
    assert_int_equal(run(executor, NOW_MS + LEFT_MS), 2);
    assert_int_equal(handled, 3);
    executor_destroy(&executor);
    type_table_destroy(&types);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_volatile_ones_end_with_their_time)};
    return cmocka_run_group_tests_name("worker executor late", tests, NULL, NULL);
}
