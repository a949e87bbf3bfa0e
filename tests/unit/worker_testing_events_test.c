/* <fabric/testing.h>: an entity with events alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <fabric/testing.h>

/* ---- a purse ---- */

typedef struct purse {
    int64_t coins;
    uint32_t payments;
    uint32_t handled; /* in no snapshot */
} purse_t;

static const fabric_field_t purse_fields[] = {FABRIC_I64(purse_t, coins),
                                              FABRIC_U32(purse_t, payments)};
static const fabric_schema_t purse_schema = FABRIC_SCHEMA("Purse", purse_t, purse_fields);

typedef struct coins {
    int64_t coins;
    char note[8]; /* not in the schema */
} coins_t;

static const fabric_field_t coins_fields[] = {FABRIC_I64(coins_t, coins)};
static const fabric_schema_t coins_schema = FABRIC_SCHEMA("Coins", coins_t, coins_fields);

/* Puts coins in; negative ones are taken out. What is not there is a failure, which is found behind
 * the event. */
static const fabric_message_type_t pay_message = {
    .tag = "Pay", .request = &coins_schema, .reply = &coins_schema, .durable = true};
/* Adds coins, but says nothing of it. */
static const fabric_message_type_t forge_message = {
    .tag = "Forge", .request = &coins_schema, .reply = &coins_schema, .durable = true};
static const fabric_message_type_t count_message = {
    .tag = "Count", .request = &fabric_schema_empty, .reply = &coins_schema};
static const fabric_message_type_t empty_message = {
    .tag = "Empty", .request = &fabric_schema_empty, .reply = &coins_schema, .durable = true};
/* Pays, and breaks in the first attempt. */
static const fabric_message_type_t drop_message = {
    .tag = "Drop", .request = &coins_schema, .reply = &coins_schema, .durable = true};

static unsigned built, restored, applied;
static char seen_note[8];

static void apply_paid(void *state, const void *event)
{
    purse_t *purse = (purse_t *)state;
    const coins_t *paid = (const coins_t *)event;
    purse->coins += paid->coins;
    purse->payments++;
    memcpy(seen_note, paid->note, sizeof seen_note);
    applied++;
}

/* Coins were worth ten. */
static void apply_old_paid(void *state, const void *event)
{
    ((purse_t *)state)->coins += 10 * ((const coins_t *)event)->coins;
}

static void apply_emptied(void *state, const void *event)
{
    assert_null(event);
    ((purse_t *)state)->coins = 0;
}

static fabric_result_t pay(fabric_context_t *context, void *state, const void *request, void *reply)
{
    purse_t *purse = (purse_t *)state;
    coins_t event = *(const coins_t *)request;
    memcpy(event.note, "note", 5);
    fabric_context_append(context, "Paid", &event);
    if (purse->coins < 0) {
        return fabric_fail(context, 1, "not enough");
    }
    purse->handled++;
    ((coins_t *)reply)->coins = purse->coins;
    return FABRIC_REPLY;
}

static fabric_result_t forge(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)context;
    ((purse_t *)state)->coins += ((const coins_t *)request)->coins;
    ((coins_t *)reply)->coins = ((purse_t *)state)->coins;
    return FABRIC_REPLY;
}

static fabric_result_t count_coins(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    (void)context;
    (void)request;
    ((coins_t *)reply)->coins = ((const purse_t *)state)->coins;
    return FABRIC_REPLY;
}

static fabric_result_t empty(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)request;
    fabric_context_append(context, "Emptied", NULL);
    ((coins_t *)reply)->coins = ((const purse_t *)state)->coins;
    return FABRIC_REPLY;
}

static fabric_result_t drop(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    fabric_result_t result = pay(context, state, request, reply);
    return fabric_context_attempt(context) == 1 ? fabric_defect(context, "dropped") : result;
}

static bool build(fabric_instance_t *instance, void *state)
{
    (void)instance;
    ((purse_t *)state)->coins = 100;
    built++;
    return true;
}

static bool restore(fabric_instance_t *instance, void *state)
{
    (void)instance;
    (void)state;
    restored++;
    return true;
}

static const fabric_handler_t handlers[] = {{&pay_message, pay},
                                            {&forge_message, forge},
                                            {&count_message, count_coins},
                                            {&empty_message, empty},
                                            {&drop_message, drop}};
static const fabric_event_type_t events[] = {
    {"Paid", 0, &coins_schema, apply_old_paid},
    {"Emptied", 0, &fabric_schema_empty, apply_emptied},
    {"Paid", 1, &coins_schema, apply_paid},
};
static fabric_entity_type_t type; /* of the running test */

static int set_up(void **state)
{
    type = (fabric_entity_type_t){.name = "Purse",
                                  .state_size = sizeof(purse_t),
                                  .build = build,
                                  .handlers = handlers,
                                  .handler_count = sizeof handlers / sizeof handlers[0],
                                  .events = events,
                                  .event_count = sizeof events / sizeof events[0],
                                  .state = &purse_schema,
                                  .restore = restore,
                                  .snapshot_every = 3,
                                  .idle_ms = 5000};
    built = restored = applied = 0;
    return (int)fabric_testing_open(&type, "alice", (fabric_testing_t **)state, NULL);
}

static int tear_down(void **state)
{
    fabric_testing_close((fabric_testing_t **)state);
    return 0;
}

static int64_t send(fabric_testing_t *testing, const fabric_message_type_t *message, int64_t coins)
{
    coins_t reply = {0};
    fabric_outcome_t outcome;
    bool carries = message->request == &coins_schema;
    if (fabric_testing_send(testing, message, carries ? &(coins_t){.coins = coins} : NULL, &reply,
                            &outcome) != FABRIC_REPLY) {
        fail_msg("%s: %s: %s", message->tag, fabric_error_name(outcome.error), outcome.text);
    }
    return reply.coins;
}

static void expect_event(fabric_testing_t *testing, uint64_t sequence, const char *tag,
                         uint32_t version, const char *json)
{
    fabric_appended_event_t event;
    assert_true(fabric_testing_event(testing, sequence, &event));
    assert_string_equal(event.tag, tag);
    assert_int_equal(event.version, version);
    assert_string_equal(event.json, json);
}

static void an_entity_is_what_its_events_make(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_appended_event_t event;
    assert_int_equal(fabric_testing_event_count(testing), 0);
    assert_false(fabric_testing_event(testing, 1, &event));
    assert_int_equal(send(testing, &pay_message, 5), 105);
    assert_int_equal(send(testing, &pay_message, -30), 75);
    fabric_testing_restart(testing);
    assert_false(fabric_testing_has_instance(testing));
    assert_int_equal(send(testing, &count_message, 0), 75);
    assert_int_equal(send(testing, &empty_message, 0), 0);
    fabric_testing_advance(testing, 5000);
    assert_false(fabric_testing_has_instance(testing));
    assert_int_equal(send(testing, &pay_message, 2), 2);
    assert_int_equal(fabric_testing_event_count(testing), 4);
    expect_event(testing, 1, "Paid", 1, "{\"coins\": 5}");
    expect_event(testing, 2, "Paid", 1, "{\"coins\": -30}");
    expect_event(testing, 3, "Emptied", 0, "{}");
    expect_event(testing, 4, "Paid", 1, "{\"coins\": 2}");
    assert_false(fabric_testing_event(testing, 5, &event));
    assert_true(fabric_testing_event(testing, 4, &event));
    assert_int_equal(((const coins_t *)event.event)->coins, 2);
    assert_true(fabric_testing_event(testing, 3, &event));
    assert_null(event.event);
}

/* An event is applied as it will be read. */
static void an_event_is_what_its_schema_has(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    memcpy(seen_note, "other", 6);
    (void)send(testing, &pay_message, 5);
    assert_string_equal(seen_note, "");
}

static void a_failure_leaves_no_event(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    coins_t request = {.coins = -500};
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_send(testing, &pay_message, &request, NULL, &outcome),
                     FABRIC_FAILURE);
    assert_string_equal(outcome.text, "not enough");
    assert_int_equal(fabric_testing_event_count(testing), 0);
    assert_int_equal(send(testing, &count_message, 0), 100);
}

static void a_defect_leaves_no_event(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    coins_t request = {.coins = 5};
    coins_t reply;
    assert_int_equal(fabric_testing_send(testing, &drop_message, &request, NULL, NULL),
                     FABRIC_DEFECT);
    assert_int_equal(fabric_testing_event_count(testing), 0);
    assert_int_equal(fabric_testing_retry(testing, &reply, NULL), FABRIC_REPLY);
    assert_int_equal(reply.coins, 105);
    assert_int_equal(fabric_testing_event_count(testing), 1);
}

static void an_event_that_was_not_stored_is_appended_again(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    (void)send(testing, &pay_message, 5);
    fabric_testing_fail_store(testing);
    assert_int_equal(send(testing, &pay_message, 7), 112);
    assert_int_equal(fabric_testing_event_count(testing), 2);
}

/* Beside the fold, which a second instance is built of, an instance begins with the snapshot. */
static void an_instance_begins_with_its_snapshot(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    for (int64_t i = 0; i < 4; i++) {
        (void)send(testing, &pay_message, 1);
    }
    fabric_testing_restart(testing);
    built = applied = 0;
    assert_int_equal(restored, 0);
    assert_int_equal(send(testing, &pay_message, 1), 105);
    assert_int_equal(restored, 1);
    assert_int_equal(built, 1);       /* for the fold */
    assert_int_equal(applied, 2 + 5); /* behind the snapshot; and in the fold */
}

static void a_snapshot_of_another_version_is_passed_over(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    for (int64_t i = 0; i < 4; i++) {
        (void)send(testing, &pay_message, 1);
    }
    type.state_version = 1;
    fabric_testing_restart(testing);
    assert_int_equal(send(testing, &pay_message, 1), 105);
    assert_int_equal(restored, 0);
    fabric_testing_restart(testing);
    assert_int_equal(send(testing, &count_message, 1), 105);
    assert_int_equal(restored, 1); /* the new one */
}

static void a_change_without_an_event_is_found(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    coins_t request = {.coins = 7};
    fabric_outcome_t outcome;
    (void)send(testing, &pay_message, 5);
    assert_int_equal(fabric_testing_send(testing, &forge_message, &request, NULL, &outcome),
                     FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_DEFECT);
    assert_string_equal(outcome.text, "Forge has changed coins without an event: the state is "
                                      "{\"coins\": 112, \"payments\": 1}, and the events make "
                                      "{\"coins\": 105, \"payments\": 1}");
    assert_int_equal(send(testing, &count_message, 0), 105);
}

static void old_events_are_applied_by_their_rows(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    (void)send(testing, &pay_message, 5);
    assert_int_equal(fabric_testing_append_event(testing, "Paid", 0, &coins_schema,
                                                 &(coins_t){.coins = 2}, NULL),
                     FABRIC_OK);
    assert_int_equal(send(testing, &count_message, 0), 125);
    expect_event(testing, 2, "Paid", 0, "{\"coins\": 2}");
}

static void a_newer_event_is_not_passed_over(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_append_event(testing, "Paid", 2, &coins_schema,
                                                 &(coins_t){.coins = 2}, NULL),
                     FABRIC_OK);
    assert_int_equal(fabric_testing_send(testing, &count_message, NULL, NULL, &outcome),
                     FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_NOT_BUILT);
    assert_string_equal(outcome.text, "this worker does not know its event 1: Paid of version 2");
    expect_event(testing, 1, "Paid", 2, "{\"coins\": 2}");
}

static void events_are_for_types_that_have_some(void **state)
{
    (void)state;
    fabric_testing_t *testing;
    fabric_outcome_t outcome;
    fabric_entity_type_t plain = type;
    plain.events = NULL;
    plain.event_count = 0;
    plain.state = NULL;
    plain.restore = NULL;
    plain.snapshot_every = 0;
    assert_int_equal(fabric_testing_open(&plain, "bob", &testing, NULL), FABRIC_OK);
    assert_int_equal(fabric_testing_append_event(testing, "Paid", 0, &coins_schema,
                                                 &(coins_t){.coins = 2}, &outcome),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(fabric_testing_event_count(testing), 0);
    fabric_testing_close(&testing);
}

static void without_a_schema_of_the_state_nothing_is_compared(void **state)
{
    (void)state;
    fabric_testing_t *testing;
    fabric_entity_type_t bare = type;
    bare.state = NULL;
    bare.restore = NULL;
    bare.snapshot_every = 0;
    assert_int_equal(fabric_testing_open(&bare, "bob", &testing, NULL), FABRIC_OK);
    assert_int_equal(send(testing, &pay_message, 5), 105);
    assert_int_equal(send(testing, &forge_message, 5), 110);
    fabric_testing_restart(testing);
    assert_int_equal(send(testing, &count_message, 5), 105);
    assert_int_equal(built, 2);
    fabric_testing_close(&testing);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entity_is_what_its_events_make),
        TEST(an_event_is_what_its_schema_has),
        TEST(a_failure_leaves_no_event),
        TEST(a_defect_leaves_no_event),
        TEST(an_event_that_was_not_stored_is_appended_again),
        TEST(an_instance_begins_with_its_snapshot),
        TEST(a_snapshot_of_another_version_is_passed_over),
        TEST(a_change_without_an_event_is_found),
        TEST(old_events_are_applied_by_their_rows),
        TEST(a_newer_event_is_not_passed_over),
        TEST(events_are_for_types_that_have_some),
        TEST(without_a_schema_of_the_state_nothing_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
