/* What handlers of durable messages tell with their replies, each entity tested alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <fabric/testing.h>

#include "core/limits.h"

typedef struct number {
    int64_t value;
} number_t;

static const fabric_field_t number_fields[] = {FABRIC_I64(number_t, value)};
static const fabric_schema_t number_schema = FABRIC_SCHEMA("Number", number_t, number_fields);

typedef struct blob {
    fabric_bytes_t bytes;
} blob_t;

static const fabric_field_t blob_fields[] = {FABRIC_BYTES_VIEW(blob_t, bytes)};
static const fabric_schema_t blob_schema = FABRIC_SCHEMA("Blob", blob_t, blob_fields);

static const fabric_choice_t failure_items[] = {FABRIC_VARIANT(1, "Refused", number_schema, NULL)};
static const fabric_choices_t failures = FABRIC_CHOICES("Failures", failure_items);

#define MESSAGE(tag_, durable_)                                                                    \
    {                                                                                              \
        .tag = (tag_), .request = &number_schema, .reply = &number_schema, .durable = (durable_),  \
        .failures = &failures                                                                      \
    }

/* Of those that are told. */
static const fabric_message_type_t note = MESSAGE("Note", true);
static const fabric_message_type_t hint = MESSAGE("Hint", false);
static const fabric_message_type_t large = {
    .tag = "Large", .request = &blob_schema, .reply = &fabric_schema_empty, .durable = true};
static const fabric_message_type_t question = MESSAGE("Question", true);

static const fabric_message_type_t tell = MESSAGE("Tell", true);
static const fabric_message_type_t tell_at_once = MESSAGE("TellAtOnce", false);
static const fabric_message_type_t later = MESSAGE("Later", true);
static const fabric_message_type_t asks = MESSAGE("Asks", true);
static const fabric_message_type_t early = {.tag = "Early",
                                            .request = &number_schema,
                                            .reply = &number_schema,
                                            .durable = true,
                                            .early_delivery = true};

typedef struct teller {
    int64_t told;
} teller_t;

/* What the handlers of a test do. */
static struct {
    fabric_result_t ends;
    fabric_error_t answered; /* by the last tell */
    int count, handled;
    fabric_tell_t options;
    const blob_t *blob;
    bool appends;
} way;

static fabric_error_t tell_number(fabric_context_t *context, const fabric_message_type_t *message,
                                  int64_t value)
{
    const number_t request = {value};
    fabric_tell_t told = way.options;
    told.entity =
        way.options.entity.type.data ? way.options.entity : fabric_entity("Listener", "l");
    told.message = message;
    told.request = way.blob ? (const void *)way.blob : &request;
    way.answered = fabric_tell(context, &told);
    return way.answered;
}

static fabric_result_t end(fabric_context_t *context, const number_t *values, void *reply)
{
    if (way.ends == FABRIC_FAILURE) {
        return fabric_fail_with(context, 1, values);
    }
    if (way.ends == FABRIC_DEFECT) {
        return fabric_defect(context, "it broke");
    }
    ((number_t *)reply)->value = values->value;
    return way.ends;
}

static fabric_result_t handle_tell(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    const number_t *wanted = (const number_t *)request;
    way.handled++;
    if (state) {
        ((teller_t *)state)->told++;
    }
    if (way.appends) {
        fabric_context_append(context, "Told", wanted);
    }
    for (int i = 0; i < way.count; i++) {
        if (tell_number(context, way.blob ? &large : &note, wanted->value + i) != FABRIC_OK) {
            break;
        }
    }
    return end(context, wanted, reply);
}

static fabric_result_t handle_at_once(fabric_context_t *context, void *state, const void *request,
                                      void *reply)
{
    (void)state;
    (void)tell_number(context, &note, 7);
    return end(context, (const number_t *)request, reply);
}

static fabric_result_t handle_later(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    (void)reply;
    (void)tell_number(context, &note, 8);
    (void)tell_number(context, &hint, 9);
    fabric_pending_t *pending = fabric_later(context);
    if (way.ends == FABRIC_FAILURE) {
        fabric_pending_fail(&pending, 3, "no");
    } else {
        fabric_pending_reply(&pending, request);
    }
    return FABRIC_PENDING;
}

static fabric_result_t answered(fabric_context_t *context, void *state, const void *request,
                                const fabric_answer_t *answer, void *reply)
{
    (void)state;
    (void)tell_number(context, &note, ((const number_t *)answer->reply)->value);
    return end(context, (const number_t *)request, reply);
}

static fabric_result_t handle_asks(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    (void)state;
    (void)reply;
    (void)tell_number(context, &note, 1);
    return fabric_ask(context, &(fabric_ask_t){.entity = fabric_entity("Listener", "l"),
                                               .message = &question,
                                               .request = request,
                                               .then = answered});
}

static const fabric_handler_t handlers[] = {{&tell, handle_tell},
                                            {&tell_at_once, handle_at_once},
                                            {&later, handle_later},
                                            {&asks, handle_asks},
                                            {&early, handle_tell}};
static const fabric_entity_type_t teller_type = {.name = "Teller",
                                                 .state_size = sizeof(teller_t),
                                                 .handlers = handlers,
                                                 .handler_count = 5,
                                                 .tells = true};

static const fabric_field_t teller_fields[] = {FABRIC_I64(teller_t, told)};
static const fabric_schema_t teller_schema = FABRIC_SCHEMA("Teller", teller_t, teller_fields);
static const fabric_entity_type_t persisted_type = {.name = "Persisted",
                                                    .state_size = sizeof(teller_t),
                                                    .handlers = handlers,
                                                    .handler_count = 4,
                                                    .state = &teller_schema,
                                                    .persisted = true,
                                                    .tells = true};

static void apply_told(void *state, const void *event)
{
    ((teller_t *)state)->told += ((const number_t *)event)->value;
}

static const fabric_event_type_t events[] = {{"Told", 1, &number_schema, apply_told}};
/* Its state is that of its events alone. */
static fabric_result_t handle_event(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    return handle_tell(context, NULL, request, reply);
}
static const fabric_handler_t event_handlers[] = {{&tell, handle_event}};
static const fabric_entity_type_t appending_type = {.name = "Appending",
                                                    .state_size = sizeof(teller_t),
                                                    .handlers = event_handlers,
                                                    .handler_count = 1,
                                                    .events = events,
                                                    .event_count = 1,
                                                    .tells = true};

static int64_t listened;

static fabric_result_t listen(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)context;
    (void)state;
    (void)reply;
    listened = 10 * listened + ((const number_t *)request)->value;
    return FABRIC_REPLY;
}

static const fabric_handler_t listener_handlers[] = {{&note, listen}, {&hint, listen}};
static const fabric_entity_type_t listener_type = {
    .name = "Listener", .handlers = listener_handlers, .handler_count = 2};

/* ---- what docs/entity-guide.md shows ---- */

typedef struct sale {
    int64_t cents;
} sale_t;
typedef struct till {
    int64_t cents;
} till_t;

static const fabric_field_t sale_fields[] = {FABRIC_I64(sale_t, cents)};
static const fabric_schema_t sale_schema = FABRIC_SCHEMA("Sale", sale_t, sale_fields);
static const fabric_field_t till_fields[] = {FABRIC_I64(till_t, cents)};
static const fabric_schema_t till_schema = FABRIC_SCHEMA("Till", till_t, till_fields);
static const fabric_message_type_t till_sell = {
    .tag = "Sell", .request = &sale_schema, .reply = &sale_schema, .durable = true};

static const fabric_message_type_t ledger_book = {
    .tag = "Book", .request = &sale_schema, .reply = &fabric_schema_empty, .durable = true};

static fabric_result_t sell(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const sale_t *sale = (const sale_t *)request;
    till_t *till = (till_t *)state;
    till->cents += sale->cents;
    fabric_error_t error =
        fabric_tell(context, &(fabric_tell_t){.entity = fabric_entity("Ledger", "main"),
                                              .message = &ledger_book,
                                              .request = sale});
    if (error) { /* which takes the sale back as well */
        return fabric_fail(context, 1, "the ledger: %s", fabric_error_name(error));
    }
    ((sale_t *)reply)->cents = till->cents;
    return FABRIC_REPLY;
}

static const fabric_handler_t till_handlers[] = {{&till_sell, sell}};
static const fabric_entity_type_t till_type = {.name = "Till",
                                               .state_size = sizeof(till_t),
                                               .handlers = till_handlers,
                                               .handler_count = 1,
                                               .state = &till_schema,
                                               .persisted = true,
                                               .tells = true};

static void the_guide_is_right(void **state)
{
    (void)state;
    fabric_testing_t *testing;
    sale_t sale = {500};
    sale_t total = {0};
    assert_int_equal(fabric_testing_open(&till_type, "1", &testing, NULL), FABRIC_OK);
    assert_int_equal(fabric_testing_send(testing, &till_sell, &sale, &total, NULL), FABRIC_REPLY);
    assert_int_equal(total.cents, 500);
    assert_ptr_equal(fabric_testing_sent(testing)->message, &ledger_book);
    assert_int_equal(((const sale_t *)fabric_testing_sent(testing)->request)->cents, 500);
    fabric_testing_close(&testing);
}

/* ---- tests ---- */

static int set_up(void **state)
{
    (void)state;
    memset(&way, 0, sizeof way);
    way.count = 1;
    way.ends = FABRIC_REPLY;
    listened = 0;
    return 0;
}

static fabric_testing_t *open_one(const fabric_entity_type_t *type, const char *id)
{
    fabric_testing_t *testing;
    assert_int_equal(fabric_testing_open(type, id, &testing, NULL), FABRIC_OK);
    return testing;
}

static fabric_result_t send(fabric_testing_t *testing, const fabric_message_type_t *message,
                            int64_t value)
{
    const number_t request = {value};
    return fabric_testing_send(testing, message, &request, NULL, NULL);
}

/* Takes the next message, which was told with a reply. */
static void expect_told(fabric_testing_t *testing, int64_t value)
{
    const fabric_testing_sent_t *sent = fabric_testing_sent(testing);
    assert_non_null(sent);
    assert_true(sent->tell && sent->stored);
    assert_ptr_equal(sent->message, &note);
    assert_int_equal(((const number_t *)sent->request)->value, value);
    (void)fabric_testing_answer(testing, NULL, NULL, NULL);
}

static void what_is_told_is_sent_with_the_reply(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    way.count = 3;
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    assert_int_equal(way.answered, FABRIC_OK);
    expect_told(testing, 5);
    expect_told(testing, 6);
    expect_told(testing, 7);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
}

static void nothing_is_told_without_a_reply(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    way.ends = FABRIC_FAILURE;
    assert_int_equal(send(testing, &tell, 5), FABRIC_FAILURE);
    assert_null(fabric_testing_sent(testing));
    way.ends = FABRIC_DEFECT;
    assert_int_equal(send(testing, &tell, 6), FABRIC_DEFECT);
    assert_null(fabric_testing_sent(testing));
    way.ends = FABRIC_REPLY;
    assert_int_equal(fabric_testing_retry(testing, NULL, NULL), FABRIC_REPLY);
    expect_told(testing, 6);
    assert_null(fabric_testing_sent(testing));
    way.ends = FABRIC_INTERRUPTED;
    fabric_testing_cancel_next(testing);
    assert_int_equal(send(testing, &tell, 7), FABRIC_INTERRUPTED);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
}

static void a_handler_that_runs_twice_tells_once(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    fabric_testing_fail_store(testing);
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    assert_int_equal(way.handled, 2);
    expect_told(testing, 5);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
}

static void a_handler_that_goes_on_tells_with_its_reply(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    number_t answer = {2};
    assert_int_equal(send(testing, &asks, 5), FABRIC_WAITING);
    assert_ptr_equal(fabric_testing_sent(testing)->message, &question); /* and nothing else */
    assert_int_equal(fabric_testing_answer(testing, &answer, NULL, NULL), FABRIC_REPLY);
    expect_told(testing, 1);
    expect_told(testing, 2);
    assert_null(fabric_testing_sent(testing));
    assert_int_equal(send(testing, &asks, 5), FABRIC_WAITING);
    way.ends = FABRIC_FAILURE;
    assert_int_equal(fabric_testing_answer(testing, &answer, NULL, NULL), FABRIC_FAILURE);
    assert_null(fabric_testing_sent(testing));
    way.ends = FABRIC_REPLY;
    assert_int_equal(send(testing, &asks, 5), FABRIC_WAITING);
    fabric_testing_restart(testing); /* the next worker handles it again */
    assert_int_equal(fabric_testing_answer(testing, &answer, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_answer(testing, &answer, NULL, NULL), FABRIC_REPLY);
    expect_told(testing, 1);
    expect_told(testing, 2);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
}

/* What is volatile leaves at once. */
static void a_pending_handler_has_told_before(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    assert_int_equal(send(testing, &later, 5), FABRIC_REPLY);
    assert_ptr_equal(fabric_testing_sent(testing)->message, &hint);
    assert_false(fabric_testing_sent(testing)->stored);
    (void)fabric_testing_answer(testing, NULL, NULL, NULL);
    expect_told(testing, 8);
    way.ends = FABRIC_FAILURE;
    assert_int_equal(send(testing, &later, 5), FABRIC_FAILURE);
    assert_ptr_equal(fabric_testing_sent(testing)->message, &hint);
    (void)fabric_testing_answer(testing, NULL, NULL, NULL);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
}

static void volatile_handlers_tell_at_once(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    way.ends = FABRIC_FAILURE;
    assert_int_equal(send(testing, &tell_at_once, 5), FABRIC_FAILURE);
    assert_int_equal(way.answered, FABRIC_OK);
    assert_ptr_equal(fabric_testing_sent(testing)->message, &note);
    assert_false(fabric_testing_sent(testing)->stored);
    fabric_testing_close(&testing);
}

static void a_type_says_that_it_tells(void **state)
{
    (void)state;
    fabric_entity_type_t silent = teller_type;
    silent.tells = false;
    fabric_testing_t *testing = open_one(&silent, "1");
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    assert_int_equal(way.answered, FABRIC_ERROR_INVALID_ARGUMENT);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
    testing = open_one(&teller_type, "1");
    assert_int_equal(send(testing, &early, 5), FABRIC_REPLY); /* nothing may leave before it */
    assert_int_equal(way.answered, FABRIC_ERROR_INVALID_ARGUMENT);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
}

static void states_and_events_are_stored_with_what_is_told(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&persisted_type, "1");
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    expect_told(testing, 5);
    fabric_testing_restart(testing);
    assert_int_equal(((const teller_t *)fabric_testing_state(testing))->told, 1);
    way.ends = FABRIC_FAILURE;
    assert_int_equal(send(testing, &tell, 5), FABRIC_FAILURE);
    assert_int_equal(((const teller_t *)fabric_testing_state(testing))->told, 1);
    assert_null(fabric_testing_sent(testing));
    way.ends = FABRIC_REPLY;
    assert_int_equal(send(testing, &later, 5), FABRIC_REPLY); /* which changes nothing */
    (void)fabric_testing_answer(testing, NULL, NULL, NULL);
    expect_told(testing, 8);
    fabric_testing_close(&testing);
    testing = open_one(&appending_type, "1");
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    expect_told(testing, 5);
    assert_int_equal(fabric_testing_event_count(testing), 0);
    way.appends = true;
    assert_int_equal(send(testing, &tell, 6), FABRIC_REPLY);
    expect_told(testing, 6);
    assert_int_equal(fabric_testing_event_count(testing), 1);
    fabric_testing_restart(testing);
    assert_int_equal(send(testing, &tell, 7), FABRIC_REPLY);
    expect_told(testing, 7);
    assert_int_equal(fabric_testing_event_count(testing), 2);
    fabric_testing_close(&testing);
}

static void another_entity_gets_what_is_told(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    fabric_testing_t *listener = open_one(&listener_type, "l");
    assert_true(fabric_testing_connect(testing, listener));
    way.count = 3;
    assert_int_equal(send(testing, &tell, 4), FABRIC_REPLY);
    assert_int_equal(listened, 456);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
    fabric_testing_close(&listener);
}

static size_t count_told(fabric_testing_t *testing)
{
    size_t count = 0;
    while (fabric_testing_sent(testing)) {
        (void)fabric_testing_answer(testing, NULL, NULL, NULL);
        count++;
    }
    return count;
}

static void a_thousand_are_told(void **state)
{
    (void)state;
    fabric_testing_t *testing = open_one(&teller_type, "1");
    way.count = 1000;
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    assert_int_equal(way.answered, FABRIC_OK);
    assert_int_equal(count_told(testing), 1000);
    way.count = 1001;
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    assert_int_equal(way.answered, FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(count_told(testing), 1000);
    fabric_testing_close(&testing);
}

/* There is always room for the largest reply and state. */
static void a_record_bounds_what_is_told(void **state)
{
    (void)state;
    static uint8_t bytes[LIMIT_PAYLOAD_BYTES_MAX / 2];
    const blob_t blob = {fabric_bytes(bytes, sizeof bytes)};
    const fabric_entity_type_t *const types[] = {&teller_type, &persisted_type};
    for (size_t i = 0; i < 2; i++) {
        fabric_testing_t *testing = open_one(types[i], "1");
        way.blob = &blob;
        way.count = 9;
        assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
        assert_int_equal(way.answered, FABRIC_ERROR_LIMIT_EXCEEDED);
        assert_int_equal(count_told(testing), i == 0 ? 5 : 3);
        fabric_testing_close(&testing);
    }
}

static void expect_refused(const fabric_tell_t *options, fabric_error_t error)
{
    fabric_testing_t *testing = open_one(&teller_type, "1");
    way.options = *options;
    assert_int_equal(send(testing, &tell, 5), FABRIC_REPLY);
    assert_int_equal(way.answered, error);
    assert_int_equal(fabric_testing_sent(testing) == NULL, error != FABRIC_OK);
    fabric_testing_close(&testing);
}

static void what_is_told_is_checked(void **state)
{
    (void)state;
    static char long_name[LIMIT_NAME_BYTES_MAX + 2];
    static const uint8_t bytes[LIMIT_HEADER_BYTES_MAX];
    memset(long_name, 'n', sizeof long_name - 1);
    fabric_header_t headers[LIMIT_HEADERS_MAX + 1];
    char names[LIMIT_HEADERS_MAX + 1][8];
    for (int i = 0; i <= LIMIT_HEADERS_MAX; i++) {
        names[i][0] = (char)('0' + i / 10);
        names[i][1] = (char)('0' + i % 10);
        names[i][2] = '\0';
        headers[i] = (fabric_header_t){names[i], fabric_bytes("y", 1)};
    }
    expect_refused(&(fabric_tell_t){.headers = headers, .header_count = LIMIT_HEADERS_MAX},
                   FABRIC_OK);
    expect_refused(&(fabric_tell_t){.headers = headers, .header_count = LIMIT_HEADERS_MAX + 1},
                   FABRIC_ERROR_LIMIT_EXCEEDED);
    expect_refused(&(fabric_tell_t){.header_count = 1}, FABRIC_ERROR_INVALID_ARGUMENT);
    headers[1] = headers[0];
    expect_refused(&(fabric_tell_t){.headers = headers, .header_count = 2},
                   FABRIC_ERROR_INVALID_ARGUMENT);
    headers[0].value = fabric_bytes(bytes, sizeof bytes - 6);
    expect_refused(&(fabric_tell_t){.headers = headers, .header_count = 1},
                   FABRIC_ERROR_LIMIT_EXCEEDED);
    headers[0].value.size--;
    expect_refused(&(fabric_tell_t){.headers = headers, .header_count = 1}, FABRIC_OK);
    headers[0].name = "";
    expect_refused(&(fabric_tell_t){.headers = headers, .header_count = 1},
                   FABRIC_ERROR_LIMIT_EXCEEDED);
    expect_refused(&(fabric_tell_t){.entity = fabric_entity("Listener", long_name)},
                   FABRIC_ERROR_LIMIT_EXCEEDED);
    expect_refused(&(fabric_tell_t){.entity = fabric_entity("Listener", "")},
                   FABRIC_ERROR_LIMIT_EXCEEDED);
    expect_refused(&(fabric_tell_t){.deliver_at_ms = -1}, FABRIC_ERROR_INVALID_ARGUMENT);
    expect_refused(&(fabric_tell_t){.deliver_at_ms = LIMIT_DELIVER_AT_MS_MAX + 1},
                   FABRIC_ERROR_LIMIT_EXCEEDED);
    expect_refused(&(fabric_tell_t){.deliver_at_ms = LIMIT_DELIVER_AT_MS_MAX}, FABRIC_OK);
    expect_refused(
        &(fabric_tell_t){.primary_key = fabric_bytes(bytes, LIMIT_PRIMARY_KEY_BYTES_MAX + 1)},
        FABRIC_ERROR_LIMIT_EXCEEDED);
    expect_refused(
        &(fabric_tell_t){.primary_key = fabric_bytes(bytes, LIMIT_PRIMARY_KEY_BYTES_MAX)},
        FABRIC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_told_is_sent_with_the_reply, set_up),
        cmocka_unit_test_setup(nothing_is_told_without_a_reply, set_up),
        cmocka_unit_test_setup(a_handler_that_runs_twice_tells_once, set_up),
        cmocka_unit_test_setup(a_handler_that_goes_on_tells_with_its_reply, set_up),
        cmocka_unit_test_setup(a_pending_handler_has_told_before, set_up),
        cmocka_unit_test_setup(volatile_handlers_tell_at_once, set_up),
        cmocka_unit_test_setup(a_type_says_that_it_tells, set_up),
        cmocka_unit_test_setup(states_and_events_are_stored_with_what_is_told, set_up),
        cmocka_unit_test_setup(another_entity_gets_what_is_told, set_up),
        cmocka_unit_test_setup(a_thousand_are_told, set_up),
        cmocka_unit_test_setup(a_record_bounds_what_is_told, set_up),
        cmocka_unit_test_setup(what_is_told_is_checked, set_up),
        cmocka_unit_test(the_guide_is_right),
    };
    return cmocka_run_group_tests_name("worker_told", tests, NULL, NULL);
}
