/* Entities that ask and tell other entities, each tested alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <fabric/testing.h>

typedef struct number {
    int64_t value;
} number_t;

static const fabric_field_t number_fields[] = {FABRIC_I64(number_t, value)};
static const fabric_schema_t number_schema = FABRIC_SCHEMA("Number", number_t, number_fields);

enum { TOO_LARGE = 1 };
static const fabric_choice_t failure_items[] = {
    FABRIC_VARIANT(TOO_LARGE, "TooLarge", number_schema, NULL)};
static const fabric_choices_t failures = FABRIC_CHOICES("Failures", failure_items);

#define MESSAGE(tag_, durable_)                                                                    \
    {                                                                                              \
        .tag = (tag_), .request = &number_schema, .reply = &number_schema, .durable = (durable_),  \
        .failures = &failures                                                                      \
    }

static const fabric_message_type_t twice = MESSAGE("Twice", true); /* of the one that is asked */
static const fabric_message_type_t look = MESSAGE("Look", false);

static const fabric_message_type_t one = MESSAGE("One", true);
static const fabric_message_type_t brief = MESSAGE("Brief", false);
static const fabric_message_type_t both = MESSAGE("Both", true);
static const fabric_message_type_t again = MESSAGE("Again", true);
static const fabric_message_type_t race = MESSAGE("Race", true);
static const fabric_message_type_t idle = MESSAGE("Idle", true);
static const fabric_message_type_t later = MESSAGE("Later", true);
static const fabric_message_type_t breaks = MESSAGE("Breaks", true);
static const fabric_message_type_t many = MESSAGE("Many", true);
static const fabric_message_type_t told = MESSAGE("Told", false);
static const fabric_message_type_t told_durable = MESSAGE("ToldDurable", true);

typedef struct asker {
    int64_t asked;
    int64_t total;
} asker_t;

static fabric_ask_t ask_of(const fabric_message_type_t *message, const number_t *request,
                           fabric_continue_fn *then, void *argument)
{
    return (fabric_ask_t){.entity = fabric_entity("Asked", "a-1"),
                          .message = message,
                          .request = request,
                          .then = then,
                          .argument = argument};
}

/* Replies with the answer, added to the request, and keeps it in the state. */
static fabric_result_t answered(fabric_context_t *context, void *state, const void *request,
                                const fabric_answer_t *answer, void *reply)
{
    asker_t *asker = (asker_t *)state;
    const number_t *wanted = (const number_t *)request;
    if (answer->outcome->error == FABRIC_ERROR_CANCELLED) {
        return FABRIC_INTERRUPTED;
    }
    if (answer->failure) {
        return fabric_fail_with(context, TOO_LARGE, answer->failure);
    }
    if (answer->outcome->error) {
        asker->total = 1000; /* a failure takes it back */
        return fabric_fail(context, answer->outcome->error, "%s", answer->outcome->text);
    }
    asker->total += ((const number_t *)answer->reply)->value;
    ((number_t *)reply)->value = wanted->value + ((const number_t *)answer->reply)->value;
    return FABRIC_REPLY;
}

static fabric_result_t handle_one(fabric_context_t *context, void *state, const void *request,
                                  void *reply)
{
    (void)reply;
    ((asker_t *)state)->asked++;
    fabric_ask_t ask = ask_of(&twice, (const number_t *)request, answered, NULL);
    return fabric_ask(context, &ask);
}

static fabric_result_t peeked(fabric_context_t *context, void *state, const void *request,
                              const fabric_answer_t *answer, void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    ((number_t *)reply)->value = answer->outcome->error ? -1 : 1;
    return FABRIC_REPLY;
}

static fabric_result_t handle_brief(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    (void)state;
    (void)reply;
    fabric_ask_t ask = ask_of(&look, (const number_t *)request, peeked, NULL);
    return fabric_ask(context, &ask);
}

typedef struct sum {
    int64_t value;
    int missing;
} sum_t;

static fabric_result_t added(fabric_context_t *context, void *state, const void *request,
                             const fabric_answer_t *answer, void *reply)
{
    sum_t *sum = (sum_t *)answer->argument;
    (void)context;
    (void)state;
    (void)request;
    sum->value += answer->outcome->error ? 0 : ((const number_t *)answer->reply)->value;
    ((number_t *)reply)->value = sum->value;
    return --sum->missing > 0 ? FABRIC_WAITING : FABRIC_REPLY;
}

static fabric_result_t handle_both(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    sum_t *sum = (sum_t *)fabric_context_allocate(context, sizeof *sum);
    const number_t *wanted = (const number_t *)request;
    number_t next = {wanted->value + 1};
    fabric_ask_t first = ask_of(&twice, wanted, added, sum);
    fabric_ask_t second = ask_of(&twice, &next, added, sum);
    (void)state;
    (void)reply;
    sum->missing = 2;
    (void)fabric_ask(context, &first);
    return fabric_ask(context, &second);
}

static fabric_result_t went_on(fabric_context_t *context, void *state, const void *request,
                               const fabric_answer_t *answer, void *reply)
{
    number_t so_far = {((const number_t *)answer->reply)->value};
    (void)state;
    (void)request;
    if (so_far.value >= 100) {
        *(number_t *)reply = so_far;
        return FABRIC_REPLY;
    }
    fabric_ask_t ask = ask_of(&twice, &so_far, went_on, NULL);
    return fabric_ask(context, &ask);
}

static fabric_result_t handle_again(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    fabric_ask_t ask = ask_of(&twice, (const number_t *)request, went_on, NULL);
    (void)state;
    (void)reply;
    return fabric_ask(context, &ask);
}

/* The first of two answers counts. */
static fabric_result_t handle_race(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    fabric_ask_t ask = ask_of(&look, (const number_t *)request, answered, NULL);
    (void)state;
    (void)reply;
    (void)fabric_ask(context, &ask);
    return fabric_ask(context, &ask);
}

static fabric_result_t handle_idle(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    (void)reply;
    return FABRIC_WAITING;
}

static fabric_result_t handle_later(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    fabric_ask_t ask = ask_of(&twice, (const number_t *)request, answered, NULL);
    (void)state;
    (void)reply;
    (void)fabric_ask(context, &ask);
    fabric_pending_t *pending = fabric_later(context);
    fabric_pending_reply(&pending, request);
    return FABRIC_PENDING;
}

static fabric_result_t broke(fabric_context_t *context, void *state, const void *request,
                             const fabric_answer_t *answer, void *reply)
{
    (void)state;
    (void)request;
    (void)answer;
    (void)reply;
    return fabric_defect(context, "it broke");
}

static fabric_result_t handle_breaks(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    fabric_ask_t ask = ask_of(&twice, (const number_t *)request, broke, NULL);
    (void)reply;
    ((asker_t *)state)->asked++;
    return fabric_ask(context, &ask);
}

static fabric_result_t counted_off(fabric_context_t *context, void *state, const void *request,
                                   const fabric_answer_t *answer, void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    ((number_t *)reply)->value = (int64_t)answer->outcome->error;
    return FABRIC_REPLY; /* the refusal comes first */
}

static fabric_result_t handle_many(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    fabric_ask_t ask = ask_of(&twice, (const number_t *)request, counted_off, NULL);
    (void)state;
    (void)reply;
    for (int i = 0; i < FABRIC_ASKS_MAX + 1; i++) {
        (void)fabric_ask(context, &ask);
    }
    return FABRIC_WAITING;
}

static fabric_result_t handle_told(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    fabric_tell_t tell = {
        .entity = fabric_entity("Asked", "a-1"), .message = &twice, .request = request};
    (void)state;
    ((number_t *)reply)->value = (int64_t)fabric_tell(context, &tell);
    return FABRIC_REPLY;
}

static void tell_the_end(void *argument)
{
    fabric_sender_t *sender = (fabric_sender_t *)argument;
    number_t request = {99};
    fabric_tell_t tell = {
        .entity = fabric_entity("Asked", "a-1"), .message = &twice, .request = &request};
    assert_int_equal(fabric_sender_tell(sender, &tell), FABRIC_OK);
}

static bool build(fabric_instance_t *instance, void *state)
{
    (void)state;
    return fabric_instance_add_finalizer(instance, tell_the_end, fabric_instance_sender(instance));
}

static const fabric_handler_t asker_handlers[] = {
    {&one, handle_one},     {&brief, handle_brief},       {&both, handle_both},
    {&again, handle_again}, {&race, handle_race},         {&idle, handle_idle},
    {&later, handle_later}, {&breaks, handle_breaks},     {&many, handle_many},
    {&told, handle_told},   {&told_durable, handle_told},
};
static const fabric_entity_type_t asker_type = {
    .name = "Asker",
    .state_size = sizeof(asker_t),
    .handlers = asker_handlers,
    .handler_count = sizeof asker_handlers / sizeof asker_handlers[0],
};
static const fabric_entity_type_t finalized_type = {.name = "Finalized",
                                                    .state_size = sizeof(asker_t),
                                                    .build = build,
                                                    .handlers = asker_handlers,
                                                    .handler_count = 1};

static const fabric_field_t asker_fields[] = {FABRIC_I64(asker_t, asked),
                                              FABRIC_I64(asker_t, total)};
static const fabric_schema_t asker_schema = FABRIC_SCHEMA("Asker", asker_t, asker_fields);
static const fabric_entity_type_t keeper_type = {.name = "Keeper",
                                                 .state_size = sizeof(asker_t),
                                                 .handlers = asker_handlers,
                                                 .handler_count = 1,
                                                 .state = &asker_schema,
                                                 .persisted = true};

static fabric_result_t handle_twice(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    const number_t *wanted = (const number_t *)request;
    (void)state;
    if (wanted->value > 1000) {
        return fabric_fail_with(context, TOO_LARGE, wanted);
    }
    ((number_t *)reply)->value = 2 * wanted->value;
    return FABRIC_REPLY;
}

static const fabric_handler_t asked_handlers[] = {{&twice, handle_twice}};
static const fabric_entity_type_t asked_type = {
    .name = "Asked", .handlers = asked_handlers, .handler_count = 1};

/* ---- tests ---- */

static fabric_testing_t *open_one(const fabric_entity_type_t *type, const char *id)
{
    fabric_testing_t *testing;
    assert_int_equal(fabric_testing_open(type, id, &testing, NULL), FABRIC_OK);
    return testing;
}

static int64_t sent_value(const fabric_testing_t *testing)
{
    const fabric_testing_sent_t *sent = fabric_testing_sent(testing);
    assert_non_null(sent);
    return ((const number_t *)sent->request)->value;
}

static void a_handler_goes_on_with_the_answer(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    number_t reply = {0};
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &one, &request, &reply, NULL), FABRIC_WAITING);
    const fabric_testing_sent_t *sent = fabric_testing_sent(testing);
    assert_non_null(sent);
    assert_ptr_equal(sent->message, &twice);
    assert_true(fabric_bytes_equal(sent->entity.type, fabric_bytes_of("Asked")));
    assert_true(fabric_bytes_equal(sent->entity.id, fabric_bytes_of("a-1")));
    assert_false(sent->tell);
    assert_int_equal(sent_value(testing), 5);
    assert_int_equal(fabric_testing_send(testing, &one, &request, &reply, NULL), FABRIC_DEFECT);
    number_t answer = {10};
    assert_int_equal(fabric_testing_answer(testing, &answer, &reply, NULL), FABRIC_REPLY);
    assert_int_equal(reply.value, 15);
    assert_null(fabric_testing_sent(testing));
    const asker_t *state = (const asker_t *)fabric_testing_state(testing);
    assert_int_equal(state->asked, 1);
    assert_int_equal(state->total, 10);
    fabric_testing_close(&testing);
}

static void several_asks_at_once(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    number_t reply = {0};
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &both, &request, &reply, NULL), FABRIC_WAITING);
    assert_int_equal(sent_value(testing), 5);
    number_t first = {10};
    assert_int_equal(fabric_testing_answer(testing, &first, &reply, NULL), FABRIC_WAITING);
    assert_int_equal(sent_value(testing), 6);
    number_t second = {12};
    assert_int_equal(fabric_testing_answer(testing, &second, &reply, NULL), FABRIC_REPLY);
    assert_int_equal(reply.value, 22);
    fabric_testing_close(&testing);
}

static void another_entity_answers(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    fabric_testing_t *other = open_one(&asked_type, "a-1");
    number_t request = {5};
    number_t reply = {0};
    (void)context;
    assert_true(fabric_testing_connect(testing, other));
    assert_int_equal(fabric_testing_send(testing, &again, &request, &reply, NULL), FABRIC_REPLY);
    assert_int_equal(reply.value, 160); /* 10, 20, 40, 80, 160 */
    request.value = 1001;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_send(testing, &one, &request, &reply, &outcome),
                     FABRIC_FAILURE);
    assert_int_equal(outcome.code, TOO_LARGE);
    assert_int_equal(((const number_t *)fabric_testing_failure(testing))->value, 1001);
    fabric_testing_close(&testing);
    fabric_testing_close(&other);
}

static void failures_and_errors_are_answers(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    number_t values = {7};
    fabric_outcome_t outcome;
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_answer_failure(testing, TOO_LARGE, &values, NULL, &outcome),
                     FABRIC_FAILURE);
    assert_non_null(outcome.failure);
    assert_int_equal(((const number_t *)fabric_testing_failure(testing))->value, 7);
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(
        fabric_testing_answer_error(testing, FABRIC_ERROR_OUTCOME_UNKNOWN, NULL, &outcome),
        FABRIC_FAILURE);
    assert_int_equal(outcome.code, FABRIC_ERROR_OUTCOME_UNKNOWN);
    fabric_testing_close(&testing);
}

/* The message ends with the first of two answers; nobody gets the other. */
static void a_message_that_ends_drops_its_asks(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    number_t answer = {10};
    number_t reply;
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &race, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_answer(testing, &answer, &reply, NULL), FABRIC_REPLY);
    assert_null(fabric_testing_sent(testing)); /* it was cancelled */
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    fabric_testing_close(&testing); /* with an ask that is open */
}

static void results_that_contradict_the_asks_are_defects(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    fabric_outcome_t outcome;
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &idle, &request, NULL, &outcome), FABRIC_DEFECT);
    assert_string_equal(outcome.text, "FABRIC_WAITING needs an ask that is open");
    assert_int_equal(fabric_testing_send(testing, &later, &request, NULL, &outcome), FABRIC_DEFECT);
    assert_string_equal(outcome.text, "fabric_later() is not for handlers that have asked");
    fabric_testing_close(&testing);
}

static void a_defect_on_the_way_ends_the_instance(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    fabric_outcome_t outcome;
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &breaks, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, &outcome), FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_DEFECT);
    assert_string_equal(outcome.text, "it broke");
    assert_false(fabric_testing_has_instance(testing));
    assert_int_equal(fabric_testing_retry(testing, NULL, NULL), FABRIC_WAITING);
    fabric_testing_close(&testing);
}

static void open_asks_are_bounded(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    number_t reply = {0};
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &many, &request, &reply, NULL), FABRIC_REPLY);
    assert_int_equal(reply.value, FABRIC_ERROR_LIMIT_EXCEEDED);
    fabric_testing_close(&testing);
}

static void the_deadline_of_the_caller_is_that_of_the_asks(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    fabric_outcome_t outcome;
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_sent(testing)->timeout_ms, 30000);
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_REPLY);
    fabric_testing_timeout_next(testing, 700);
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_sent(testing)->timeout_ms, 700);
    fabric_testing_advance(testing, 699);
    assert_int_equal(fabric_testing_result(testing, NULL, NULL), FABRIC_WAITING);
    fabric_testing_advance(testing, 1);
    assert_int_equal(fabric_testing_result(testing, NULL, &outcome), FABRIC_FAILURE);
    assert_int_equal(outcome.code, FABRIC_ERROR_OUTCOME_UNKNOWN);
    fabric_testing_close(&testing);
}

static const fabric_entity_type_t cycle_type = {
    .name = "Asked", .state_size = sizeof(asker_t), .handlers = asker_handlers, .handler_count = 1};

/* Asker asks an entity that waits for an answer of its own, and never gets it. */
static void entities_that_wait_for_each_other_end_at_their_deadlines(void **context)
{
    fabric_testing_t *testing = open_one(&cycle_type, "a-1"); /* it asks itself */
    number_t request = {5};
    fabric_outcome_t outcome;
    (void)context;
    assert_true(fabric_testing_connect(testing, testing));
    fabric_testing_timeout_next(testing, 500);
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    fabric_testing_advance(testing, 500);
    assert_int_equal(fabric_testing_result(testing, NULL, &outcome), FABRIC_FAILURE);
    assert_int_equal(outcome.code, FABRIC_ERROR_OUTCOME_UNKNOWN);
    fabric_testing_close(&testing);
}

static void a_cancel_ends_what_waits(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    fabric_outcome_t outcome;
    (void)context;
    fabric_testing_cancel_next(testing);
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, &outcome),
                     FABRIC_INTERRUPTED);
    assert_null(fabric_testing_sent(testing));
    fabric_testing_close(&testing);
}

static int64_t stored_total(fabric_testing_t *testing)
{
    const asker_t *state = (const asker_t *)fabric_testing_state(testing);
    return state ? state->total : -1;
}

static void a_state_is_stored_with_the_reply_after_the_answer(void **context)
{
    fabric_testing_t *testing = open_one(&keeper_type, "1");
    number_t request = {5};
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(stored_total(testing), -1);
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_REPLY);
    assert_int_equal(stored_total(testing), 5);
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_answer_error(testing, FABRIC_ERROR_BUSY, NULL, NULL),
                     FABRIC_FAILURE);
    assert_int_equal(stored_total(testing), 5); /* a failure takes back what was changed */
    fabric_testing_fail_store(testing);
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(stored_total(testing), 5);
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_REPLY);
    assert_int_equal(stored_total(testing), 10);
    fabric_testing_close(&testing);
}

static void copy_key(const fabric_testing_t *testing, char text[64])
{
    const fabric_testing_sent_t *sent = fabric_testing_sent(testing);
    assert_non_null(sent);
    assert_in_range(sent->primary_key.size, 1, 63);
    memcpy(text, sent->primary_key.data, sent->primary_key.size);
    text[sent->primary_key.size] = '\0';
}

static void a_message_that_waits_is_handled_again_elsewhere(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    fabric_outcome_t outcome;
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    char before[64] = "";
    char after[64] = "";
    copy_key(testing, before);
    fabric_testing_restart(testing);
    /* The first attempt's ask goes on, since the next one's is the same message. */
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(sent_value(testing), 5);
    copy_key(testing, after);
    assert_string_equal(before, after);
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_REPLY);
    assert_null(fabric_testing_sent(testing));
    assert_int_equal(fabric_testing_send(testing, &both, &request, NULL, NULL), FABRIC_WAITING);
    copy_key(testing, before);
    assert_string_not_equal(before, after); /* of another message */
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_WAITING);
    copy_key(testing, after);
    assert_string_not_equal(before, after); /* of another ask */
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_REPLY);
    assert_int_equal(fabric_testing_send(testing, &brief, &request, NULL, NULL), FABRIC_WAITING);
    fabric_testing_restart(testing);
    assert_int_equal(fabric_testing_result(testing, NULL, &outcome), FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    fabric_testing_close(&testing);
}

static void volatile_handlers_and_finalizers_tell(void **context)
{
    fabric_testing_t *testing = open_one(&asker_type, "1");
    number_t request = {5};
    number_t reply = {-1};
    (void)context;
    assert_int_equal(fabric_testing_send(testing, &told, &request, &reply, NULL), FABRIC_REPLY);
    assert_int_equal(reply.value, FABRIC_OK);
    assert_true(fabric_testing_sent(testing)->tell);
    assert_int_equal(sent_value(testing), 5);
    assert_int_equal(fabric_testing_answer(testing, NULL, NULL, NULL), FABRIC_REPLY);
    assert_null(fabric_testing_sent(testing));
    /* What a durable handler tells is stored with its reply, where its type says that it tells. */
    assert_int_equal(fabric_testing_send(testing, &told_durable, &request, &reply, NULL),
                     FABRIC_REPLY);
    assert_int_equal(reply.value, FABRIC_ERROR_INVALID_ARGUMENT);
    fabric_testing_close(&testing);
    testing = open_one(&finalized_type, "1");
    assert_int_equal(fabric_testing_send(testing, &one, &request, NULL, NULL), FABRIC_WAITING);
    assert_int_equal(fabric_testing_answer(testing, &request, NULL, NULL), FABRIC_REPLY);
    fabric_testing_restart(testing);
    assert_int_equal(sent_value(testing), 99);
    fabric_testing_close(&testing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_goes_on_with_the_answer),
        cmocka_unit_test(several_asks_at_once),
        cmocka_unit_test(another_entity_answers),
        cmocka_unit_test(failures_and_errors_are_answers),
        cmocka_unit_test(a_message_that_ends_drops_its_asks),
        cmocka_unit_test(results_that_contradict_the_asks_are_defects),
        cmocka_unit_test(a_defect_on_the_way_ends_the_instance),
        cmocka_unit_test(open_asks_are_bounded),
        cmocka_unit_test(the_deadline_of_the_caller_is_that_of_the_asks),
        cmocka_unit_test(entities_that_wait_for_each_other_end_at_their_deadlines),
        cmocka_unit_test(a_cancel_ends_what_waits),
        cmocka_unit_test(a_state_is_stored_with_the_reply_after_the_answer),
        cmocka_unit_test(a_message_that_waits_is_handled_again_elsewhere),
        cmocka_unit_test(volatile_handlers_and_finalizers_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
