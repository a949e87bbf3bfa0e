/* The executor: handlers, tokens, pending handlers, defects, mailboxes, idle entities, stopping. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "worker/executor.h"

typedef struct amount {
    int64_t amount;
} amount_t;
static const fabric_field_t amount_fields[] = {FABRIC_I64(amount_t, amount)};
static const fabric_schema_t amount_schema = FABRIC_SCHEMA("Amount", amount_t, amount_fields);

typedef struct label {
    char text[8];
} label_t;
static const fabric_field_t label_fields[] = {FABRIC_STRING(label_t, text)};
static const fabric_schema_t label_schema = FABRIC_SCHEMA("Label", label_t, label_fields);

#define NONE &fabric_schema_empty
static const fabric_message_type_t add_message = {"Add", &amount_schema, &amount_schema, true,
                                                  NULL};
static const fabric_message_type_t fail_message = {"Fail", NONE, NONE, true, NULL};
static const fabric_message_type_t break_message = {"Break", NONE, NONE, true, NULL};
static const fabric_message_type_t wait_message = {"Wait", NONE, &amount_schema, false, NULL};
static const fabric_message_type_t label_message = {"Label", NONE, &label_schema, true, NULL};
static const fabric_message_type_t lie_message = {"Lie", NONE, &amount_schema, true, NULL};

static int starts, stops, handled;
static bool start_fails;
static fabric_pending_t *pending;
static fabric_token_t seen_token;

static bool start(void *state, fabric_bytes_t id)
{
    (void)id;
    starts++;
    ((amount_t *)state)->amount += 100;
    return !start_fails;
}

static void stop(void *state, fabric_bytes_t id)
{
    (void)state;
    (void)id;
    stops++;
}

static fabric_result_t add(fabric_context_t *context, void *state, const void *request, void *reply)
{
    amount_t *total = (amount_t *)state;
    handled++;
    seen_token = fabric_context_token(context);
    total->amount += ((const amount_t *)request)->amount;
    ((amount_t *)reply)->amount = total->amount;
    return FABRIC_REPLY;
}

static fabric_result_t fail_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    assert_null(request);
    assert_null(reply);
    return fabric_fail(context, 7, "no %s", "thanks");
}

static fabric_result_t break_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    return fabric_defect(context, "broken %d", 1);
}

static fabric_result_t wait_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    handled++;
    pending = fabric_later(context);
    return FABRIC_PENDING;
}

static fabric_result_t label_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    memset(reply, 0xff, sizeof(label_t)); /* neither UTF-8 nor terminated */
    return FABRIC_REPLY;
}

static fabric_result_t lie_handler(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    (void)reply;
    return FABRIC_PENDING; /* without fabric_later() */
}

static const fabric_handler_t handlers[] = {
    {&add_message, add},           {&fail_message, fail_handler},   {&break_message, break_handler},
    {&wait_message, wait_handler}, {&label_message, label_handler}, {&lie_message, lie_handler},
};
static const fabric_entity_type_t type = {
    .name = "Sum",
    .state_size = sizeof(amount_t),
    .start = start,
    .stop = stop,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .mailbox_capacity = 2,
    .idle_ms = 1000,
};

/* ---- the fixture ---- */

#define SHARD 0x10001u

typedef struct fixture {
    type_table_t *types;
    executor_t *executor;
    work_lease_t lease;
    uint64_t now_ms;
    uint64_t request_id;
    work_output_t *outputs; /* of the last `run` */
    wire_reader_t results;
    bool results_open;
    uint8_t storage[64]; /* of the payload that is being given */
} fixture_t;

static int setup(void **state)
{
    fixture_t *f = (fixture_t *)calloc(1, sizeof *f);
    starts = stops = handled = 0;
    start_fails = false;
    pending = NULL;
    f->types = type_table_new();
    assert_int_equal(type_table_add(f->types, &type, NULL), FABRIC_OK);
    f->executor = executor_new(f->types, NULL, NULL);
    f->now_ms = 1000;
    atomic_init(&f->lease.start_until_ms, UINT64_MAX);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    executor_destroy(&f->executor);
    work_output_list_destroy(&f->outputs);
    type_table_destroy(&f->types);
    free(f);
    return 0;
}

static void order(fixture_t *f, work_kind_t kind, uint64_t owner_sequence, uint64_t deadline_ms)
{
    work_t *work = work_new(kind, 0, (work_source_t){0, 1}, 0);
    work->shard = (shard_id_t){SHARD};
    work->token = (token_t){1, owner_sequence};
    work->lease = &f->lease;
    work->deadline_ms = deadline_ms;
    executor_give(f->executor, &work);
}

/* Gives one message; what it points at is freed before the executor may look at it again. */
static void give(fixture_t *f, const char *id, const char *tag, uint64_t owner_sequence,
                 uint64_t activation, uint64_t flags, fabric_bytes_t payload)
{
    uint8_t bytes[128];
    size_t id_size = strlen(id);
    size_t tag_size = strlen(tag);
    memcpy(bytes, "Sum", 3);
    memcpy(bytes + 3, id, id_size);
    memcpy(bytes + 3 + id_size, tag, tag_size);
    if (payload.size > 0) {
        memcpy(bytes + 3 + id_size + tag_size, payload.data, payload.size);
    }
    work_frame_t *frame = work_frame_new(fabric_bytes(bytes, sizeof bytes));
    message_deliver_t delivery = {
        .shard = SHARD,
        .home_epoch = 1,
        .owner_sequence = owner_sequence,
        .activation = activation,
        .request_id = ++f->request_id,
        .delivery = 1,
        .attempt = 1,
        .flags = flags,
        .type = fabric_bytes(frame->bytes, 3),
        .id = fabric_bytes(frame->bytes + 3, id_size),
        .tag = fabric_bytes(frame->bytes + 3 + id_size, tag_size),
        .payload = fabric_bytes(frame->bytes + 3 + id_size + tag_size, payload.size),
    };
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, 1}, 1);
    work->frame = frame;
    work = work_add(work, &delivery);
    executor_give(f->executor, &work);
}

static fabric_bytes_t amount_of(fixture_t *f, int64_t amount)
{
    amount_t value = {amount};
    size_t size = 0;
    assert_int_equal(
        fabric_schema_encode(&amount_schema, &value, f->storage, sizeof f->storage, NULL, &size),
        FABRIC_OK);
    return fabric_bytes(f->storage, size);
}

static const fabric_bytes_t nothing = {(const uint8_t *)"\x90", 1};

static void give_add(fixture_t *f, const char *id, int64_t amount)
{
    give(f, id, "Add", 1, 1, REQUEST_DURABLE, amount_of(f, amount));
}

static void give_plain(fixture_t *f, const char *id, const char *tag, uint64_t activation,
                       bool durable)
{
    give(f, id, tag, 1, activation, durable ? REQUEST_DURABLE : 0, nothing);
}

static void run(fixture_t *f)
{
    while (executor_step(f->executor, f->now_ms)) {
    }
    work_output_list_destroy(&f->outputs);
    f->outputs = executor_take_output(f->executor);
    f->results_open = false;
}

/* The next result of the last run; false: an output of another kind, or none, is next. */
static bool next_result(fixture_t *f, message_result_t *result)
{
    while (f->outputs && f->outputs->kind == OUTPUT_RESULTS) {
        wire_reader_t body;
        message_kind_t kind;
        if (!f->results_open) {
            f->results = wire_reader(wire_writer_bytes(&f->outputs->results));
            f->results_open = true;
        }
        if (frame_next(&f->results, &body)) {
            assert_int_equal(message_open(&body, &kind), FABRIC_OK);
            assert_int_equal(kind, KIND_RESULT);
            assert_int_equal(message_get_result(&body, result), FABRIC_OK);
            return true;
        }
        work_output_t *done = f->outputs;
        f->outputs = done->next;
        done->next = NULL;
        work_output_list_destroy(&done);
        f->results_open = false;
    }
    return false;
}

static void expect(fixture_t *f, uint64_t request_id, reply_status_t status, fabric_error_t error)
{
    message_result_t result;
    assert_true(next_result(f, &result));
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, status);
    assert_int_equal(result.error, error);
    assert_int_equal(result.shard, SHARD);
}

static void expect_amount(fixture_t *f, uint64_t request_id, int64_t amount)
{
    message_result_t result;
    amount_t value;
    assert_true(next_result(f, &result));
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, STATUS_OK);
    assert_int_equal(fabric_schema_decode(&amount_schema, result.payload, NULL, &value), FABRIC_OK);
    assert_int_equal(value.amount, amount);
}

static void expect_no_result(fixture_t *f)
{
    message_result_t result;
    assert_false(next_result(f, &result));
}

static void expect_stopped(fixture_t *f, uint64_t owner_sequence)
{
    expect_no_result(f);
    work_output_t *done = f->outputs;
    assert_non_null(done);
    assert_int_equal(done->kind, OUTPUT_STOPPED);
    assert_int_equal(done->token.owner_sequence, owner_sequence);
    f->outputs = done->next;
    done->next = NULL;
    work_output_list_destroy(&done);
}

/* ---- tests ---- */

static void handles_in_order_with_state(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_add(f, "a", 1);
    give_add(f, "b", 10);
    give_add(f, "a", 2);
    run(f);
    expect_amount(f, 1, 101);
    expect_amount(f, 2, 110);
    expect_amount(f, 3, 103);
    expect_no_result(f);
    assert_int_equal(starts, 2);
    assert_int_equal(executor_stats(f->executor).handled, 3);
    assert_int_equal(executor_stats(f->executor).entities, 2);
    assert_true(executor_stats(f->executor).bytes / 2 <= 256);
}

static void tokens_that_do_not_hold_are_not_taken(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    give(f, "a", "Add", 1, 1, REQUEST_DURABLE, amount_of(f, 1)); /* before any token */
    run(f);
    expect(f, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    order(f, WORK_BEGIN, 2, 0);
    give(f, "a", "Add", 1, 1, REQUEST_DURABLE, amount_of(f, 1)); /* older */
    give(f, "a", "Add", 3, 1, REQUEST_DURABLE, amount_of(f, 1)); /* of the future */
    give(f, "a", "Add", 2, 1, REQUEST_DURABLE, amount_of(f, 1));
    run(f);
    expect(f, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    expect(f, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    expect_amount(f, 4, 101);
    assert_int_equal(handled, 1);
}

static void new_token_is_a_new_activation(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_add(f, "a", 1);
    run(f);
    order(f, WORK_STOP, 1, 0);
    order(f, WORK_BEGIN, 2, 0);
    give(f, "a", "Add", 2, 1, REQUEST_DURABLE, amount_of(f, 5));
    run(f);
    expect_stopped(f, 1);
    expect_amount(f, 2, 105);
    assert_int_equal(stops, 1);
    assert_int_equal(seen_token.owner_sequence, 2); /* as the handler was told */
}

static void failures_and_defects(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    message_result_t result;
    order(f, WORK_BEGIN, 1, 0);
    give_add(f, "a", 1);
    give_plain(f, "a", "Fail", 1, true);
    give_add(f, "a", 1);
    give_plain(f, "a", "Break", 1, true);
    give_add(f, "a", 1); /* of the failed activation */
    give_add(f, "b", 1); /* a neighbour */
    give(f, "a", "Add", 1, 2, REQUEST_DURABLE, amount_of(f, 4));
    give_add(f, "a", 1); /* a healthy entity takes an older activation */
    run(f);
    expect_amount(f, 1, 101);
    assert_true(next_result(f, &result));
    assert_int_equal(result.status, STATUS_FAILURE);
    assert_int_equal(result.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(result.code, 7);
    assert_true(fabric_bytes_equal(result.payload, fabric_bytes_of("no thanks")));
    expect_amount(f, 3, 102); /* a failure does not hurt the entity */
    assert_true(next_result(f, &result));
    assert_int_equal(result.status, STATUS_DEFECT);
    assert_int_equal(result.error, FABRIC_ERROR_ENTITY_DEFECT);
    assert_true(fabric_bytes_equal(result.payload, fabric_bytes_of("broken 1")));
    expect(f, 5, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    expect_amount(f, 6, 101);
    expect_amount(f, 7, 104); /* fresh state */
    expect_amount(f, 8, 105);
    assert_int_equal(stops, 1);
    assert_int_equal(executor_stats(f->executor).defects, 1);
}

static void start_that_fails_is_a_defect(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    start_fails = true;
    give_add(f, "a", 1);
    give_add(f, "a", 1);
    run(f);
    expect(f, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    expect(f, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(starts, 1);
    assert_int_equal(stops, 0);
}

static void what_cannot_be_decoded_or_encoded_fails_alone(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_add(f, "a", 1);
    give(f, "a", "Add", 1, 1, REQUEST_DURABLE, fabric_bytes_of("junk"));
    give_plain(f, "a", "Label", 1, true);
    give_plain(f, "a", "Unheard", 1, true);
    give_add(f, "a", 1);
    run(f);
    expect_amount(f, 1, 101);
    expect(f, 2, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    expect(f, 3, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    expect(f, 4, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    expect_amount(f, 5, 102);
    assert_int_equal(stops, 0);
}

static void tell_has_no_reply_payload(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    message_result_t result;
    order(f, WORK_BEGIN, 1, 0);
    give(f, "a", "Add", 1, 1, REQUEST_DURABLE | REQUEST_TELL, amount_of(f, 1));
    run(f);
    assert_true(next_result(f, &result));
    assert_int_equal(result.payload.size, 0);
}

static void pending_without_handle_is_a_defect(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Lie", 1, true);
    run(f);
    expect(f, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
}

static void *complete_elsewhere(void *argument)
{
    amount_t reply = {42};
    fabric_pending_reply((fabric_pending_t **)argument, &reply);
    return NULL;
}

static void pending_is_completed_from_another_thread(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    pthread_t thread;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Wait", 1, false);
    give_add(f, "a", 1);
    give_add(f, "b", 1);
    run(f);
    expect_amount(f, 3, 101); /* others go on */
    expect_no_result(f);
    assert_int_equal(pthread_create(&thread, NULL, complete_elsewhere, &pending), 0);
    pthread_join(thread, NULL);
    assert_null(pending);
    run(f);
    expect_amount(f, 1, 42);
    expect_amount(f, 2, 101); /* the one that waited */
}

static void pending_can_fail(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    message_result_t result;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Wait", 1, false);
    run(f);
    fabric_pending_fail(&pending, 9, "late");
    run(f);
    assert_true(next_result(f, &result));
    assert_int_equal(result.status, STATUS_FAILURE);
    assert_int_equal(result.code, 9);
    assert_true(fabric_bytes_equal(result.payload, fabric_bytes_of("late")));
}

static void volatile_mailbox_is_bounded(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Wait", 1, false);
    give_plain(f, "a", "Fail", 1, false);
    give_plain(f, "a", "Fail", 1, false);
    give_plain(f, "a", "Fail", 1, false); /* the third that waits */
    give_plain(f, "a", "Fail", 1, true);  /* durable ones have their bound elsewhere */
    run(f);
    expect(f, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    expect_no_result(f);
    fabric_pending_fail(&pending, 1, NULL);
    run(f);
    expect(f, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    expect(f, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    expect(f, 3, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    expect(f, 5, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    expect_no_result(f);
}

static void idle_entities_are_stopped(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_add(f, "a", 1);
    give_add(f, "b", 1);
    run(f);
    f->now_ms += 900;
    give_add(f, "b", 1);
    run(f);
    f->now_ms += 100;
    assert_true(executor_next_deadline(f->executor) <= f->now_ms);
    run(f);
    assert_int_equal(stops, 1);
    assert_int_equal(executor_stats(f->executor).entities, 1);
    f->now_ms = executor_next_deadline(f->executor);
    run(f);
    assert_int_equal(stops, 2);
    assert_int_equal(executor_stats(f->executor).entities, 0);
    assert_int_equal(executor_stats(f->executor).bytes, 0);
    assert_true(executor_next_deadline(f->executor) == UINT64_MAX);
    give_add(f, "a", 1);
    run(f);
    expect_amount(f, 4, 101); /* fresh state */
}

static void pending_entity_is_not_idle(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Wait", 1, false);
    run(f);
    f->now_ms += 5000;
    run(f);
    assert_int_equal(stops, 0);
    fabric_pending_fail(&pending, 1, "");
}

static void stop_waits_for_a_pending_handler(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_add(f, "b", 1);
    give_plain(f, "a", "Wait", 1, false);
    give_add(f, "a", 1);
    run(f);
    give_add(f, "b", 1); /* given before the order, but not begun */
    order(f, WORK_STOP, 1, f->now_ms + 500);
    run(f);
    expect(f, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    expect_no_result(f);
    assert_null(f->outputs);
    assert_int_equal(stops, 1); /* b */
    amount_t reply = {1};
    fabric_pending_reply(&pending, &reply);
    run(f);
    expect_amount(f, 2, 1);
    expect(f, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    expect_stopped(f, 1);
    assert_int_equal(stops, 2);
    assert_int_equal(executor_stats(f->executor).entities, 0);
}

static void stop_does_not_wait_beyond_its_deadline(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Wait", 1, false);
    give_add(f, "a", 1);
    order(f, WORK_STOP, 1, f->now_ms + 500);
    /* Orders come first: neither was begun. */
    run(f);
    expect(f, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    expect(f, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    expect_stopped(f, 1);

    order(f, WORK_BEGIN, 2, 0);
    give(f, "a", "Wait", 2, 1, 0, nothing);
    give(f, "a", "Add", 2, 1, REQUEST_DURABLE, amount_of(f, 1));
    run(f);
    order(f, WORK_STOP, 2, f->now_ms + 500);
    run(f);
    assert_null(f->outputs);
    assert_int_equal(executor_next_deadline(f->executor), f->now_ms + 500);
    f->now_ms += 500;
    run(f);
    expect(f, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED); /* and nothing for 3 */
    expect_stopped(f, 2);
    fabric_pending_fail(&pending, 1, "too late");
    run(f);
    assert_null(f->outputs);
}

static void successor_waits_for_the_pending_handler_of_the_old_token(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Wait", 1, false);
    run(f);
    order(f, WORK_STOP, 1, f->now_ms + 500);
    order(f, WORK_BEGIN, 2, 0);
    give(f, "a", "Add", 2, 1, REQUEST_DURABLE, amount_of(f, 1));
    run(f);
    assert_null(f->outputs);
    fabric_pending_fail(&pending, 1, "");
    run(f);
    expect(f, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    expect_stopped(f, 1);
    expect_amount(f, 2, 101); /* on fresh state */
    assert_int_equal(handled, 2);
    assert_int_equal(stops, 1);
}

static void lapsed_lease_starts_nothing(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    atomic_store(&f->lease.start_until_ms, f->now_ms);
    give_add(f, "a", 1);
    give_add(f, "a", 2);
    run(f);
    assert_null(f->outputs);
    assert_int_equal(handled, 0);
    assert_int_equal(starts, 0);
    f->now_ms = executor_next_deadline(f->executor);
    run(f);
    assert_int_equal(handled, 0);
    atomic_store(&f->lease.start_until_ms, UINT64_MAX);
    f->now_ms = executor_next_deadline(f->executor);
    run(f);
    expect_amount(f, 1, 101); /* in order */
    expect_amount(f, 2, 103);
}

static void completion_after_the_end_changes_nothing(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    give_plain(f, "a", "Wait", 1, false);
    run(f);
    executor_destroy(&f->executor);
    fabric_pending_fail(&pending, 1, "nobody listens");
    assert_null(pending);
}

static void unknown_type_is_not_taken(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    order(f, WORK_BEGIN, 1, 0);
    message_deliver_t delivery = {
        .shard = SHARD,
        .home_epoch = 1,
        .owner_sequence = 1,
        .request_id = 5,
        .type = fabric_bytes_of("Other"),
        .id = fabric_bytes_of("x"),
        .tag = fabric_bytes_of("Add"),
    };
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, 1}, 1);
    work = work_add(work, &delivery);
    executor_give(f->executor, &work);
    run(f);
    expect(f, 5, STATUS_NOT_TAKEN, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(handles_in_order_with_state),
        TEST(tokens_that_do_not_hold_are_not_taken),
        TEST(new_token_is_a_new_activation),
        TEST(failures_and_defects),
        TEST(start_that_fails_is_a_defect),
        TEST(what_cannot_be_decoded_or_encoded_fails_alone),
        TEST(tell_has_no_reply_payload),
        TEST(pending_without_handle_is_a_defect),
        TEST(pending_is_completed_from_another_thread),
        TEST(pending_can_fail),
        TEST(volatile_mailbox_is_bounded),
        TEST(idle_entities_are_stopped),
        TEST(pending_entity_is_not_idle),
        TEST(stop_waits_for_a_pending_handler),
        TEST(stop_does_not_wait_beyond_its_deadline),
        TEST(successor_waits_for_the_pending_handler_of_the_old_token),
        TEST(lapsed_lease_starts_nothing),
        TEST(completion_after_the_end_changes_nothing),
        TEST(unknown_type_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
