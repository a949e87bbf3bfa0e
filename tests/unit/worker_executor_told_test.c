/* Results of handlers that have told other entities something, as they go out. */
#include "tests/unit/executor_driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <fabric/ask.h>

#include "core/journal/outgoing.h"

/* The handlers' executor, and what they tell with. */
static executor_driver_t *present;
static fabric_tell_t options;
static bool appends;

static size_t key_of(const void *request, uint8_t *key, size_t capacity)
{
    (void)capacity;
    key[0] = (uint8_t)('0' + ((const exec_amount_t *)request)->amount);
    return 1;
}

#define MESSAGE(tag_)                                                                              \
    {                                                                                              \
        .tag = (tag_), .request = &exec_amount_schema, .reply = &exec_amount_schema,               \
        .durable = true                                                                            \
    }
static const fabric_message_type_t note = MESSAGE("Note");
static const fabric_message_type_t keyed = {.tag = "Keyed",
                                            .request = &exec_amount_schema,
                                            .reply = &exec_amount_schema,
                                            .durable = true,
                                            .primary_key = key_of};
static const fabric_message_type_t add = MESSAGE("Add");
static const fabric_message_type_t wait = {
    .tag = "Wait", .request = &fabric_schema_empty, .reply = &exec_amount_schema, .durable = true};

static void tell(fabric_context_t *context, const fabric_message_type_t *message,
                 const exec_amount_t *amount)
{
    fabric_tell_t told = options;
    told.entity = fabric_entity("Listener", "l");
    told.message = message;
    told.request = amount;
    assert_int_equal(fabric_tell(context, &told), FABRIC_OK);
}

/* An amount of 0 tells nothing. */
static fabric_result_t handle_add(fabric_context_t *context, void *state, const void *request,
                                  void *reply)
{
    const exec_amount_t *amount = (const exec_amount_t *)request;
    present->handled++;
    if (appends) {
        fabric_context_append(context, "Added", amount);
    } else {
        ((exec_amount_t *)state)->amount += amount->amount;
    }
    if (amount->amount != 0) {
        tell(context, &note, amount);
        tell(context, &keyed, amount);
    }
    ((exec_amount_t *)reply)->amount = ((exec_amount_t *)state)->amount;
    return FABRIC_REPLY;
}

static fabric_result_t handle_wait(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    const exec_amount_t amount = {3};
    (void)state;
    (void)request;
    (void)reply;
    present->handled++;
    tell(context, &note, &amount);
    present->pending = fabric_later(context);
    return FABRIC_PENDING;
}

static bool build(fabric_instance_t *instance, void *state)
{
    (void)instance;
    present->starts++;
    ((exec_amount_t *)state)->amount = 100;
    return true;
}

static const fabric_handler_t handlers[] = {{&add, handle_add}, {&wait, handle_wait}};
static fabric_entity_type_t type;

static executor_driver_t *open_type(void **state)
{
    present = (executor_driver_t *)*state;
    options = (fabric_tell_t){.timeout_ms = 0};
    appends = false;
    type = (fabric_entity_type_t){.name = "Sum",
                                  .state_size = sizeof(exec_amount_t),
                                  .build = build,
                                  .handlers = handlers,
                                  .handler_count = 2,
                                  .tells = true};
    return present;
}

static executor_driver_t *open_plain(void **state)
{
    executor_driver_t *d = open_type(state);
    exec_replace_type(d, &type);
    exec_begin(d, 1);
    return d;
}

/* What the last result has told, in order: "Note=5 Keyed=5!5", with the key behind a "!". */
static const char *outgoing(const executor_driver_t *d)
{
    static char text[200];
    size_t size = 0;
    store_outgoing_t message;
    const journal_outgoing_t list = {
        .id = 1, .count = d->outgoing_count, .list = fabric_bytes(d->outgoing, d->outgoing_size)};
    text[0] = '\0';
    if (d->outgoing_count == 0) {
        return text;
    }
    assert_true(journal_outgoing_is_sound(&list));
    journal_outgoing_reader_t reader = journal_outgoing_open(&list);
    while (journal_outgoing_next(&reader, &message)) {
        exec_amount_t amount;
        assert_int_equal(fabric_schema_decode(&exec_amount_schema, message.payload, NULL, &amount),
                         FABRIC_OK);
        assert_int_equal(message.shard.value, 0);
        assert_int_equal(message.flags, REQUEST_DURABLE | REQUEST_TELL);
        assert_true(fabric_bytes_equal(message.type, fabric_bytes_of("Listener")));
        assert_true(fabric_bytes_equal(message.entity, fabric_bytes_of("l")));
        size += (size_t)snprintf(
            text + size, sizeof text - size, "%s%.*s=%d%s%.*s", size > 0 ? " " : "",
            (int)message.tag.size, (const char *)message.tag.data, (int)amount.amount,
            message.primary_key.size > 0 ? "!" : "", (int)message.primary_key.size,
            (const char *)message.primary_key.data);
    }
    return text;
}

static void a_result_says_what_was_told(void **state)
{
    executor_driver_t *d = open_plain(state);
    exec_add(d, "a", 5);
    exec_add(d, "a", 0);
    exec_run(d);
    exec_expect_amount(d, 1, 105);
    assert_string_equal(outgoing(d), "Note=5 Keyed=5!5");
    exec_expect_no_state(d);
    exec_expect_events(d, 0, NULL, 0);
    exec_expect_amount(d, 2, 105);
    assert_string_equal(outgoing(d), "");
    exec_expect_no_result(d);
}

static void options_go_along(void **state)
{
    executor_driver_t *d = open_plain(state);
    const fabric_header_t header = {"tenant", fabric_bytes_of("acme")};
    options.deliver_at_ms = 1700000000000;
    options.headers = &header;
    options.header_count = 1;
    options.primary_key = fabric_bytes_of("k");
    exec_add(d, "a", 5);
    exec_run(d);
    exec_expect_amount(d, 1, 105);
    assert_string_equal(outgoing(d), "Note=5!k Keyed=5!5"); /* the type's own comes first */
    const journal_outgoing_t list = {
        .id = 1, .count = 2, .list = fabric_bytes(d->outgoing, d->outgoing_size)};
    journal_outgoing_reader_t reader = journal_outgoing_open(&list);
    store_outgoing_t message;
    assert_true(journal_outgoing_next(&reader, &message));
    assert_int_equal(message.deliver_at_ms, 1700000000000);
    assert_true(fabric_bytes_equal(message.headers, fabric_bytes("\x81\xa6tenant\xc4\x04"
                                                                 "acme",
                                                                 14)));
}

static void a_state_goes_along(void **state)
{
    executor_driver_t *d = open_type(state);
    type.state = &exec_amount_schema;
    type.state_version = 2;
    type.persisted = true;
    exec_replace_type(d, &type);
    exec_begin(d, 1);
    exec_state(d, "a", 1, 0, fabric_bytes(NULL, 0));
    exec_add(d, "a", 5);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_expect_amount(d, 1, 105);
    exec_expect_state(d, 105);
    assert_string_equal(outgoing(d), "Note=5 Keyed=5!5");
    exec_complete(d, 7);
    exec_run(d);
    exec_expect_amount(d, 2, 7);
    exec_expect_no_state(d);
    assert_string_equal(outgoing(d), "Note=3");
}

static void events_go_along(void **state)
{
    executor_driver_t *d = open_type(state);
    type.events = exec_events_of_type(&type.event_count);
    exec_replace_type(d, &type);
    appends = true;
    exec_begin(d, 1);
    exec_snapshot(d, 1, 0, 0, fabric_bytes(NULL, 0));
    exec_events(d, 1, 1, "Added", 2, NULL, 0, false);
    exec_add(d, "a", 5);
    exec_run(d);
    exec_expect_amount(d, 1, 105);
    exec_expect_events(d, 1, (int64_t[]){5}, 1);
    assert_string_equal(outgoing(d), "Note=5 Keyed=5!5");
}

static void a_completed_handle_takes_them_along(void **state)
{
    executor_driver_t *d = open_plain(state);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_expect_no_result(d);
    exec_complete(d, 7);
    exec_run(d);
    exec_expect_amount(d, 1, 7);
    assert_string_equal(outgoing(d), "Note=3");
    exec_durable(d, "a", "Wait");
    exec_run(d);
    fabric_pending_fail(&d->pending, 4, "no");
    exec_run(d);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    assert_string_equal(outgoing(d), "");
}

/* A result that may not be stored answers nothing: the handler runs again, on fresh state. */
static void results_are_not_kept_for_the_next_home(void **state)
{
    executor_driver_t *d = open_plain(state);
    wire_writer_t kept = {0};
    exec_add(d, "a", 5);
    exec_run(d);
    exec_expect_amount(d, 1, 105);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_orphan(d, 1);
    exec_complete(d, 7); /* nobody awaits it */
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, wire_writer_bytes(&kept));
    d->again = true;
    d->request_id = 0;
    exec_add(d, "a", 5);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    assert_int_equal(d->starts, 2);
    assert_int_equal(d->handled, 4);
    while (d->outputs && d->outputs->kind != OUTPUT_RESULTS) {
        exec_expect_orphaned(d, 1);
    }
    exec_expect_amount(d, 1, 105);
    assert_string_equal(outgoing(d), "Note=5 Keyed=5!5");
    exec_complete(d, 8);
    exec_run(d);
    exec_expect_amount(d, 2, 8);
    assert_string_equal(outgoing(d), "Note=3");
    wire_writer_destroy(&kept);
}

/* Neither is that of a handle that was completed meanwhile. */
static void a_handle_that_nobody_awaits_tells_nothing(void **state)
{
    executor_driver_t *d = open_plain(state);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_orphan(d, 1);
    exec_complete(d, 7);
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, fabric_bytes(NULL, 0));
    d->again = true;
    d->request_id = 0;
    exec_durable(d, "a", "Wait");
    exec_run(d);
    assert_int_equal(d->handled, 2);
    exec_complete(d, 8);
    exec_run(d);
    exec_expect_amount(d, 1, 8);
    assert_string_equal(outgoing(d), "Note=3");
}

/* A handle that is still pending then has told for the next home. */
static void a_handler_that_still_runs_tells_the_next_home(void **state)
{
    executor_driver_t *d = open_plain(state);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, fabric_bytes(NULL, 0));
    d->again = true;
    d->request_id = 0;
    exec_durable(d, "a", "Wait");
    exec_run(d);
    assert_int_equal(d->handled, 1);
    exec_complete(d, 8);
    exec_run(d);
    exec_expect_amount(d, 1, 8);
    assert_string_equal(outgoing(d), "Note=3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(a_result_says_what_was_told),
        EXECUTOR_TEST(options_go_along),
        EXECUTOR_TEST(a_state_goes_along),
        EXECUTOR_TEST(events_go_along),
        EXECUTOR_TEST(a_completed_handle_takes_them_along),
        EXECUTOR_TEST(results_are_not_kept_for_the_next_home),
        EXECUTOR_TEST(a_handle_that_nobody_awaits_tells_nothing),
        EXECUTOR_TEST(a_handler_that_still_runs_tells_the_next_home),
    };
    return cmocka_run_group_tests_name("worker_executor_told", tests, NULL, NULL);
}
