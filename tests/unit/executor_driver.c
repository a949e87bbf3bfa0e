/* An executor with one entity type, stepped by hand: see executor_driver.h. */
#include "tests/unit/executor_driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/executor_check.h"
#include "worker/executor_state.h"

typedef exec_amount_t amount_t;
static const fabric_field_t amount_fields[] = {FABRIC_I64(amount_t, amount)};
const fabric_schema_t exec_amount_schema = FABRIC_SCHEMA("Amount", amount_t, amount_fields);

typedef exec_label_t label_t;
static const fabric_field_t label_fields[] = {FABRIC_STRING(label_t, text)};
const fabric_schema_t exec_label_schema = FABRIC_SCHEMA("Label", label_t, label_fields);

#define NONE   &fabric_schema_empty
#define AMOUNT &exec_amount_schema
#define MESSAGE(tag, request, reply, durable)                                                      \
    {                                                                                              \
        tag, request, reply, durable, NULL, NULL, false, false                                     \
    }
static const fabric_message_type_t add_message = MESSAGE("Add", AMOUNT, AMOUNT, true);
static const fabric_message_type_t fail_message = MESSAGE("Fail", NONE, NONE, true);
static const fabric_message_type_t break_message = MESSAGE("Break", NONE, NONE, true);
static const fabric_message_type_t wait_message = MESSAGE("Wait", NONE, AMOUNT, false);
static const fabric_message_type_t linger_message = MESSAGE("Linger", AMOUNT, NONE, true);
static const fabric_message_type_t keep_message = MESSAGE("Keep", AMOUNT, NONE, true);
static const fabric_message_type_t end_message = MESSAGE("End", AMOUNT, AMOUNT, true);
static const fabric_message_type_t hold_message = MESSAGE("Hold", NONE, AMOUNT, true);
static const fabric_message_type_t label_message = MESSAGE("Label", NONE, &exec_label_schema, true);
static const fabric_message_type_t lie_message = MESSAGE("Lie", NONE, AMOUNT, true);
static const fabric_message_type_t twice_message = MESSAGE("Twice", NONE, AMOUNT, true);
static const fabric_message_type_t obey_message = MESSAGE("Obey", NONE, NONE, true);

static executor_driver_t *present; /* for handlers */

static bool build(fabric_instance_t *instance, void *state)
{
    present->starts++;
    present->instance = instance;
    ((amount_t *)state)->amount += 100;
    if (present->start_fails) {
        return fabric_build_failed(instance, "no %s", "database");
    }
    return !present->building || present->building(present);
}

static void stop_entity(void *state, fabric_bytes_t id)
{
    (void)state;
    present->stops++;
    size_t size = strlen(present->stopped);
    snprintf(present->stopped + size, sizeof present->stopped - size, "%.*s", (int)id.size,
             (const char *)id.data);
}

/* A type with events appends what it does. */
static void add_to(fabric_context_t *context, void *state, int64_t amount)
{
    if (!present->with_events) {
        ((amount_t *)state)->amount += amount;
        return;
    }
    const char *tag = present->append_tag ? present->append_tag : "Added";
    for (int i = 0; amount != 0 && i <= present->appends; i++) {
        fabric_context_append(context, tag, &(amount_t){amount});
    }
}

static fabric_result_t add(fabric_context_t *context, void *state, const void *request, void *reply)
{
    amount_t *total = (amount_t *)state;
    present->handled++;
    present->token = fabric_context_token(context);
    present->left_ms = fabric_context_left_ms(context);
    add_to(context, state, ((const amount_t *)request)->amount);
    ((amount_t *)reply)->amount = total->amount;
    return FABRIC_REPLY;
}

/* What a test wants to be changed beside. */
static void change(fabric_context_t *context, void *state)
{
    add_to(context, state, present->changes);
}

static fabric_result_t fail_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    change(context, state);
    assert_null(request);
    assert_null(reply);
    if (present->fails_for_good) {
        fabric_context_terminate(context);
    }
    return fabric_fail(context, 7, "no %s", "thanks");
}

static fabric_result_t break_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    change(context, state);
    (void)request;
    (void)reply;
    return fabric_defect(context, "broken %d", 1);
}

static fabric_result_t wait_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    change(context, state);
    (void)request;
    (void)reply;
    present->handled++;
    present->pending = fabric_later(context);
    return FABRIC_PENDING;
}

static fabric_result_t linger_handler(fabric_context_t *context, void *state, const void *request,
                                      void *reply)
{
    (void)state;
    (void)reply;
    present->instance = fabric_context_instance(context);
    present->now_ms += (uint64_t)((const amount_t *)request)->amount;
    if (present->during) {
        present->during(present);
    }
    return FABRIC_REPLY;
}

static fabric_result_t keep_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    (void)reply;
    fabric_context_keep_alive(context, ((const amount_t *)request)->amount != 0);
    return FABRIC_REPLY;
}

static fabric_result_t end_handler(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    fabric_context_terminate(context);
    if (((const amount_t *)request)->amount != 0) {
        return wait_handler(context, state, NULL, NULL);
    }
    ((amount_t *)reply)->amount = ((const amount_t *)state)->amount;
    return FABRIC_REPLY;
}

static fabric_result_t label_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    change(context, state);
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

static fabric_result_t twice_handler(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    present->pending = fabric_later(context);
    present->surplus = fabric_later(context);
    return FABRIC_PENDING;
}

void exec_told(void *driver, fabric_interrupt_t why)
{
    executor_driver_t *d = (executor_driver_t *)driver;
    d->told++;
    d->told_why = why;
}

static fabric_result_t obey_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    change(context, state);
    (void)request;
    (void)reply;
    assert_int_equal(fabric_context_interrupt(context), FABRIC_NOT_INTERRUPTED);
    fabric_context_on_interrupt(context, exec_told, present);
    if (present->during) {
        present->during(present);
    }
    present->found_why = fabric_context_interrupt(context);
    return present->ignores ? FABRIC_REPLY : FABRIC_INTERRUPTED;
}

static const fabric_handler_t handlers[] = {
    {&twice_message, twice_handler}, {&add_message, add},
    {&fail_message, fail_handler},   {&break_message, break_handler},
    {&wait_message, wait_handler},   {&label_message, label_handler},
    {&lie_message, lie_handler},     {&linger_message, linger_handler},
    {&hold_message, wait_handler},   {&keep_message, keep_handler},
    {&end_message, end_handler},     {&obey_message, obey_handler},
};
static const fabric_entity_type_t type = {
    .name = "Sum",
    .state_size = sizeof(amount_t),
    .build = build,
    .stop = stop_entity,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .mailbox_capacity = 2,
    .idle_ms = 1000,
    .slow_ms = 500,
};

/* ---- the executor ---- */

static void take_defect(void *context, const char *text)
{
    executor_driver_t *d = (executor_driver_t *)context;
    d->defects_told++;
    snprintf(d->defect, sizeof d->defect, "%s", text);
}

static void take_slow(void *context, const char *text)
{
    executor_driver_t *d = (executor_driver_t *)context;
    d->slow_told++;
    snprintf(d->slow, sizeof d->slow, "%s", text);
}

static void take_evicted(void *context, const char *text)
{
    executor_driver_t *d = (executor_driver_t *)context;
    d->evicted_told++;
    snprintf(d->evicted, sizeof d->evicted, "%s", text);
}

static void take_rolled_back(void *context, const char *text)
{
    executor_driver_t *d = (executor_driver_t *)context;
    d->rolled_back_told++;
    snprintf(d->rolled_back, sizeof d->rolled_back, "%s", text);
}

static void make_executor(executor_driver_t *d, const executor_limits_t *limits)
{
    d->executor = executor_new(d->types, limits,
                               &(executor_hooks_t){.interrupts = d->interrupts,
                                                   .report_defect = take_defect,
                                                   .report_slow = take_slow,
                                                   .report_evicted = take_evicted,
                                                   .report_rolled_back = take_rolled_back,
                                                   .database = d->database,
                                                   .report_context = d,
                                                   .runner = {"w1", 7}});
}

void exec_limit(executor_driver_t *d, uint32_t residents_max, uint32_t outside_max)
{
    executor_destroy(&d->executor);
    make_executor(d, &(executor_limits_t){residents_max, outside_max});
}

fabric_entity_type_t exec_type(void)
{
    return type;
}

void exec_replace_type(executor_driver_t *d, const fabric_entity_type_t *other)
{
    executor_destroy(&d->executor);
    type_table_destroy(&d->types);
    d->types = type_table_new();
    assert_int_equal(type_table_add(d->types, other, NULL), FABRIC_OK);
    make_executor(d, NULL);
}

void exec_concurrency(executor_driver_t *d, uint32_t concurrency, bool wait_is_concurrent)
{
    static const fabric_message_type_t *const waits[] = {&wait_message, NULL};
    static fabric_entity_type_t other;
    other = type;
    other.concurrency = concurrency;
    other.concurrent = wait_is_concurrent ? waits : NULL;
    exec_replace_type(d, &other);
}

void exec_uninterruptible(executor_driver_t *d, uint32_t uninterruptible)
{
    static fabric_entity_type_t other;
    other = type;
    other.uninterruptible = uninterruptible;
    exec_replace_type(d, &other);
}

static bool migrate_amount(fabric_instance_t *instance, uint32_t version, fabric_bytes_t stored,
                           void *state)
{
    char text[24] = "";
    assert_int_equal(version, 1);
    assert_true(stored.size < sizeof text);
    memcpy(text, stored.data, stored.size);
    present->migrations++;
    ((amount_t *)state)->amount = 2 * strtoll(text, NULL, 10);
    return !present->migration_fails || fabric_build_failed(instance, "too old");
}

bool exec_restore(fabric_instance_t *instance, void *state)
{
    (void)instance;
    (void)state;
    present->restores++;
    return true;
}

void exec_persisted(executor_driver_t *d)
{
    static fabric_entity_type_t other;
    other = type;
    other.persisted = true;
    other.state = &exec_amount_schema;
    other.state_version = 2;
    other.migrate = migrate_amount;
    other.restore = exec_restore;
    exec_replace_type(d, &other);
}

int executor_driver_setup(void **state)
{
    executor_driver_t *d = (executor_driver_t *)calloc(1, sizeof *d);
    assert_non_null(d);
    present = d;
    d->types = type_table_new();
    assert_int_equal(type_table_add(d->types, &type, NULL), FABRIC_OK);
    d->interrupts = interrupts_new();
    make_executor(d, NULL);
    d->now_ms = 1000;
    d->home_epoch = 1;
    atomic_init(&d->lease.start_until_ms, UINT64_MAX);
    *state = d;
    return 0;
}

int executor_driver_teardown(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    executor_destroy(&d->executor);
    work_output_list_destroy(&d->outputs);
    type_table_destroy(&d->types);
    interrupts_destroy(&d->interrupts);
    work_destroy(&d->announced);
    free(d);
    present = NULL;
    return 0;
}

static work_t *order_new_for(executor_driver_t *d, work_kind_t kind, uint64_t owner_sequence,
                             uint32_t capacity)
{
    work_t *work = work_new(kind, 0, (work_source_t){0, d->home_epoch}, capacity);
    work->shard = (shard_id_t){EXECUTOR_DRIVER_SHARD};
    work->token = (token_t){d->home_epoch, owner_sequence};
    work->lease = &d->lease;
    return work;
}

static work_t *order_new(executor_driver_t *d, work_kind_t kind, uint64_t owner_sequence)
{
    return order_new_for(d, kind, owner_sequence, 0);
}

static void order(executor_driver_t *d, work_kind_t kind, uint64_t owner_sequence,
                  uint64_t deadline_ms)
{
    work_t *work = order_new(d, kind, owner_sequence);
    work->deadline_ms = deadline_ms;
    if (interrupts_is_order(work)) {
        interrupts_announce(d->interrupts, work);
    }
    executor_give(d->executor, &work);
}

void exec_announce_interrupt(executor_driver_t *d, const char *id, uint64_t request_id)
{
    work_t *work = work_add(order_new_for(d, WORK_INTERRUPT, 1, 1),
                            &(message_deliver_t){.shard = EXECUTOR_DRIVER_SHARD,
                                                 .home_epoch = d->home_epoch,
                                                 .owner_sequence = 1,
                                                 .request_id = request_id,
                                                 .type = fabric_bytes_of("Sum"),
                                                 .id = fabric_bytes_of(id)});
    interrupts_announce(d->interrupts, work);
    d->announced = work;
}

void exec_interrupt(executor_driver_t *d, const char *id, uint64_t request_id)
{
    exec_announce_interrupt(d, id, request_id);
    executor_give(d->executor, &d->announced);
}

void exec_announce_stop(executor_driver_t *d, uint64_t owner_sequence, uint64_t deadline_ms)
{
    d->announced = order_new(d, WORK_STOP, owner_sequence);
    d->announced->deadline_ms = deadline_ms;
    interrupts_announce(d->interrupts, d->announced);
}

void exec_orphan(executor_driver_t *d, uint64_t owner_sequence)
{
    order(d, WORK_ORPHAN, owner_sequence, 0);
}

void exec_resume(executor_driver_t *d, uint64_t former_sequence)
{
    token_t former = {d->home_epoch++, former_sequence};
    work_t *work = order_new(d, WORK_RESUME, 1);
    work->former = former;
    executor_give(d->executor, &work);
}

void exec_kept(executor_driver_t *d, fabric_bytes_t messages)
{
    work_t *work = order_new(d, WORK_KEPT, 1);
    wire_append(&work->kept, messages.data, messages.size);
    work->deadline_ms = d->now_ms + 1000;
    executor_give(d->executor, &work);
}

void exec_begin(executor_driver_t *d, uint64_t owner_sequence)
{
    order(d, WORK_BEGIN, owner_sequence, 0);
}

void exec_stop(executor_driver_t *d, uint64_t owner_sequence, uint64_t deadline_ms)
{
    order(d, WORK_STOP, owner_sequence, deadline_ms);
}

void exec_give(executor_driver_t *d, const char *id, const char *tag, uint64_t owner_sequence,
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
    work_frame_t *frame = work_frame_copy(fabric_bytes(bytes, sizeof bytes));
    message_deliver_t delivery = {
        .shard = EXECUTOR_DRIVER_SHARD,
        .home_epoch = d->home_epoch,
        .owner_sequence = owner_sequence,
        .activation = activation,
        .request_id = ++d->request_id,
        .delivery = d->again ? 2 : 1,
        .attempt = 1,
        .flags = flags,
        .type = fabric_bytes(frame->bytes.data, 3),
        .id = fabric_bytes(frame->bytes.data + 3, id_size),
        .tag = fabric_bytes(frame->bytes.data + 3 + id_size, tag_size),
        .payload = fabric_bytes(frame->bytes.data + 3 + id_size + tag_size, payload.size),
        .deadline_ms = d->deadline_ms,
        .position = d->position,
    };
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, d->home_epoch}, 1);
    work->frame = frame;
    work->round = d->round;
    work = work_add(work, &delivery);
    executor_give(d->executor, &work);
}

void exec_state(executor_driver_t *d, const char *id, uint64_t activation, uint64_t version,
                fabric_bytes_t state)
{
    exec_give(d, id, "", 1, activation, REQUEST_DURABLE | WORK_STATE, state);
    d->request_id--; /* it is no message */
    work_t *work = d->executor->inbox_last;
    work->deliveries[0].request_id = 0;
    work->deliveries[0].attempt = version;
}

void exec_wake(executor_driver_t *d, const char *id, uint64_t activation, uint32_t causes)
{
    work_frame_t *frame = work_frame_copy(fabric_bytes_of(id));
    message_deliver_t wake = {.shard = EXECUTOR_DRIVER_SHARD,
                              .home_epoch = d->home_epoch,
                              .owner_sequence = 1,
                              .activation = activation,
                              .attempt = causes,
                              .flags = WORK_WAKE,
                              .type = fabric_bytes_of("Sum"),
                              .id = frame->bytes};
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, d->home_epoch}, 1);
    work->frame = frame;
    work->round = d->round;
    work = work_add(work, &wake);
    executor_give(d->executor, &work);
}

fabric_bytes_t exec_amount(executor_driver_t *d, int64_t amount)
{
    amount_t value = {amount};
    size_t size = 0;
    assert_int_equal(fabric_schema_encode(&exec_amount_schema, &value, d->storage,
                                          sizeof d->storage, NULL, &size),
                     FABRIC_OK);
    return fabric_bytes(d->storage, size);
}

static const fabric_bytes_t nothing = {(const uint8_t *)"\x90", 1};

void exec_add(executor_driver_t *d, const char *id, int64_t amount)
{
    exec_give(d, id, "Add", 1, 1, REQUEST_DURABLE, exec_amount(d, amount));
}

void exec_durable(executor_driver_t *d, const char *id, const char *tag)
{
    exec_give(d, id, tag, 1, 1, REQUEST_DURABLE, nothing);
}

void exec_volatile(executor_driver_t *d, const char *id, const char *tag)
{
    exec_give(d, id, tag, 1, 1, 0, nothing);
}

void exec_complete(executor_driver_t *d, int64_t amount)
{
    amount_t reply = {amount};
    fabric_pending_reply(&d->pending, &reply);
}

static void note_alive(executor_driver_t *d, const work_output_t *output)
{
    wire_reader_t messages = wire_reader(work_output_messages(output));
    wire_reader_t body;
    message_kind_t kind;
    message_alive_t alive;
    while (frame_next(&messages, &body)) {
        if (message_open(&body, &kind) == FABRIC_OK && kind == KIND_ALIVE) {
            size_t size = strlen(d->alive);
            assert_int_equal(message_get_alive(&body, &alive), FABRIC_OK);
            assert_int_equal(alive.shard, EXECUTOR_DRIVER_SHARD);
            assert_int_equal(alive.home_epoch, d->home_epoch);
            assert_true(fabric_bytes_equal(alive.type, fabric_bytes_of("Sum")));
            snprintf(d->alive + size, sizeof d->alive - size, "%s%.*s%u%s%s", size > 0 ? " " : "",
                     (int)alive.id.size, (const char *)alive.id.data, (unsigned)alive.causes,
                     alive.absent ? "-" : "", alive.error ? "?" : "");
        }
    }
}

void exec_run(executor_driver_t *d)
{
    while (executor_step(d->executor, d->now_ms)) {
        const char *fault = executor_check(d->executor);
        if (fault) {
            print_error("%s\n", fault);
        }
        assert_null(fault);
    }
    work_output_list_destroy(&d->outputs);
    d->outputs = executor_take_output(d->executor);
    d->results_open = false;
    d->alive[0] = '\0';
    for (const work_output_t *output = d->outputs; output; output = output->next) {
        if (output->kind == OUTPUT_RESULTS) {
            note_alive(d, output);
        }
    }
}

static void take_result_state(executor_driver_t *d, wire_reader_t *body, message_result_t *result)
{
    amount_t amount;
    message_result_state_t message;
    assert_int_equal(message_get_result_state(body, &message), FABRIC_OK);
    assert_int_equal(fabric_schema_decode(&exec_amount_schema, message.state, NULL, &amount),
                     FABRIC_OK);
    d->state = amount.amount;
    d->state_version = message.version;
    *result = work_result_of_state(&message);
}

bool exec_next_result(executor_driver_t *d, message_result_t *result)
{
    while (d->outputs && d->outputs->kind == OUTPUT_RESULTS) {
        wire_reader_t body;
        message_kind_t kind;
        if (!d->results_open) {
            d->results = wire_reader(work_output_messages(d->outputs));
            d->results_open = true;
        }
        if (frame_next(&d->results, &body)) {
            assert_int_equal(message_open(&body, &kind), FABRIC_OK);
            if (kind == KIND_ALIVE) { /* see `alive` */
                continue;
            }
            d->outgoing_count = 0;
            d->stateful = kind == KIND_RESULT_STATE;
            if (d->stateful) {
                take_result_state(d, &body, result);
                return true;
            }
            d->eventful = kind == KIND_RESULT_EVENTS;
            if (d->eventful) {
                exec_take_result_events(d, &body, result);
                return true;
            }
            d->event_count = 0;
            d->has_snapshot = false;
            if (kind == KIND_RESULT_TOLD) {
                exec_take_result_told(d, &body, result);
                return true;
            }
            assert_int_equal(kind, KIND_RESULT);
            assert_int_equal(message_get_result(&body, result), FABRIC_OK);
            return true;
        }
        work_output_t *done = d->outputs;
        d->outputs = done->next;
        done->next = NULL;
        work_output_list_destroy(&done);
        d->results_open = false;
    }
    return false;
}

void exec_expect(executor_driver_t *d, uint64_t request_id, reply_status_t status,
                 fabric_error_t error)
{
    message_result_t result;
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, status);
    assert_int_equal(result.error, error);
    assert_int_equal(result.shard, EXECUTOR_DRIVER_SHARD);
}

void exec_expect_amount(executor_driver_t *d, uint64_t request_id, int64_t amount)
{
    message_result_t result;
    amount_t value;
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, STATUS_OK);
    assert_int_equal(fabric_schema_decode(&exec_amount_schema, result.payload, NULL, &value),
                     FABRIC_OK);
    assert_int_equal(value.amount, amount);
}

void exec_expect_no_result(executor_driver_t *d)
{
    message_result_t result;
    assert_false(exec_next_result(d, &result));
}

static void expect_output(executor_driver_t *d, work_output_kind_t kind, uint64_t owner_sequence)
{
    exec_expect_no_result(d);
    work_output_t *done = d->outputs;
    assert_non_null(done);
    assert_int_equal(done->kind, kind);
    assert_int_equal(done->token.owner_sequence, owner_sequence);
    d->outputs = done->next;
    done->next = NULL;
    work_output_list_destroy(&done);
}

void exec_expect_stopped(executor_driver_t *d, uint64_t owner_sequence)
{
    expect_output(d, OUTPUT_STOPPED, owner_sequence);
}

void exec_expect_orphaned(executor_driver_t *d, uint64_t owner_sequence)
{
    expect_output(d, OUTPUT_ORPHANED, owner_sequence);
}
