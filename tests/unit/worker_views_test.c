/* Views in a handler: those of its request, and those of its reply, which point to state,
 * constants, the request, or memory of the context. */
#include <fabric/testing.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/samples.h"

enum { MANY = 3000 };

static const fabric_message_type_t copy_message = {
    "Copy", &document_schema, &document_schema, false, NULL, NULL, false, false};
static const fabric_message_type_t later_message = {
    "Later", &document_schema, &document_schema, false, NULL, NULL, false, false};

/* Replies with the request's items, each of them twice. */
static fabric_result_t copy(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)state;
    const document_t *given = (const document_t *)request;
    document_t *made = (document_t *)reply;
    uint32_t count = given->items_count;
    item_t *items = (item_t *)fabric_context_allocate(context, 2 * count * sizeof *items);
    fabric_bytes_t *words = (fabric_bytes_t *)fabric_context_allocate(context, sizeof *words);
    for (uint32_t i = 0; i < 2 * count; i++) {
        assert_int_equal(items[i].quantity, 0);
        items[i] = given->items[i % count];
    }
    words[0] = given->title;
    *made = *given;
    made->items = items;
    made->items_count = 2 * count;
    made->words = words;
    made->words_count = 1;
    made->note = fabric_bytes_of("constant");
    return FABRIC_REPLY;
}

static fabric_result_t later(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)state;
    (void)reply;
    fabric_pending_t *pending = fabric_later(context);
    fabric_pending_reply(&pending, request);
    return FABRIC_PENDING;
}

static const fabric_handler_t handlers[] = {{&copy_message, copy}, {&later_message, later}};
static const fabric_entity_type_t type = {
    .name = "Copier", .handlers = handlers, .handler_count = 2};

static item_t items[MANY];

static document_t sample(uint32_t count)
{
    for (uint32_t i = 0; i < MANY; i++) {
        items[i].quantity = i;
    }
    document_t document = {0};
    document.title = fabric_bytes_of("title");
    document.items = items;
    document.items_count = count;
    return document;
}

static void assert_copied(const document_t *reply, uint32_t count)
{
    assert_int_equal(reply->items_count, 2 * count);
    for (uint32_t i = 0; i < 2 * count; i++) {
        assert_int_equal(reply->items[i].quantity, i % count);
    }
    assert_int_equal(reply->words_count, 1);
    assert_true(fabric_bytes_equal(reply->words[0], fabric_bytes_of("title")));
    assert_true(fabric_bytes_equal(reply->note, fabric_bytes_of("constant")));
}

/* The memory for requests grows, and serves smaller ones, too. */
static void a_handler_sees_and_returns_views(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, MANY, 2, MANY};
    fabric_testing_t *test;
    assert_int_equal(fabric_testing_open(&type, "1", &test, NULL), FABRIC_OK);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        document_t request = sample(counts[i]);
        document_t reply;
        assert_int_equal(fabric_testing_send(test, &copy_message, &request, &reply, NULL),
                         FABRIC_REPLY);
        assert_copied(&reply, counts[i]);
    }
    fabric_testing_close(&test);
}

static void a_pending_reply_has_views(void **state)
{
    (void)state;
    fabric_testing_t *test;
    document_t request = sample(MANY);
    document_t reply;
    assert_int_equal(fabric_testing_open(&type, "1", &test, NULL), FABRIC_OK);
    assert_int_equal(fabric_testing_send(test, &later_message, &request, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(reply.items_count, MANY);
    assert_int_equal(reply.items[MANY - 1].quantity, MANY - 1);
    fabric_testing_close(&test);
}

/* A client that knows a newer version of the message, and one that knows an older one. */
static void newer_and_older_requests_are_handled(void **state)
{
    (void)state;
    fabric_field_t fields[32];
    const size_t count = document_schema.field_count;
    memcpy(fields, document_schema.fields, count * sizeof *fields);
    fields[count] = fields[count - 1];
    fields[count].name = "appendix";
    const fabric_schema_t newer = {"Document", sizeof(document_t), fields, count + 1};
    const fabric_schema_t older = {"Document", sizeof(document_t), fields, count - 1};
    const fabric_message_type_t messages[] = {
        {"Copy", &newer, &document_schema, false, NULL, NULL, false, false},
        {"Copy", &older, &older, false, NULL, NULL, false, false}};
    fabric_testing_t *test;
    assert_int_equal(fabric_testing_open(&type, "1", &test, NULL), FABRIC_OK);
    for (size_t i = 0; i < 2; i++) {
        document_t request = sample(5);
        document_t reply;
        request.has_summary = true;
        request.summary = fabric_bytes_of("summary");
        assert_int_equal(fabric_testing_send(test, &messages[i], &request, &reply, NULL),
                         FABRIC_REPLY);
        assert_copied(&reply, 5);
        assert_int_equal(reply.has_summary, i == 0);
    }
    fabric_testing_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_sees_and_returns_views),
        cmocka_unit_test(a_pending_reply_has_views),
        cmocka_unit_test(newer_and_older_requests_are_handled),
    };
    return cmocka_run_group_tests_name("worker_views", tests, NULL, NULL);
}
