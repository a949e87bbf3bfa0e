/* <fabric/testing.h>: an entity alone is restarted, loses commits, grows idle, is cancelled, and
 * its state is looked at. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <fabric/testing.h>

/* ---- an account ---- */

typedef struct account {
    int64_t balance;
    uint32_t limit;
    uint32_t handled; /* not stored */
} account_t;

static const fabric_field_t account_fields[] = {FABRIC_I64(account_t, balance),
                                                FABRIC_U32(account_t, limit, FABRIC_DEFAULT(1000))};
static const fabric_schema_t account_schema = FABRIC_SCHEMA("Account", account_t, account_fields);

typedef struct amount {
    int64_t amount;
} amount_t;

/* What a handler was told, and what it left. */
typedef struct view {
    int64_t balance;
    uint32_t limit, handled, delivery, attempt;
    uint64_t left_ms;
} view_t;

static const fabric_field_t amount_fields[] = {FABRIC_I64(amount_t, amount)};
static const fabric_schema_t amount_schema = FABRIC_SCHEMA("Amount", amount_t, amount_fields);
static const fabric_field_t view_fields[] = {
    FABRIC_I64(view_t, balance),  FABRIC_U32(view_t, limit),   FABRIC_U32(view_t, handled),
    FABRIC_U32(view_t, delivery), FABRIC_U32(view_t, attempt), FABRIC_U64(view_t, left_ms)};
static const fabric_schema_t view_schema = FABRIC_SCHEMA("View", view_t, view_fields);
static const fabric_choice_t failure_items[] = {FABRIC_VARIANT(1, "TooMuch", amount_schema, NULL)};
static const fabric_choices_t failures = FABRIC_CHOICES("Failures", failure_items);

/* Adds an amount; fails beyond the limit, and has added it by then. */
static const fabric_message_type_t put_message = {.tag = "Put",
                                                  .request = &amount_schema,
                                                  .reply = &view_schema,
                                                  .durable = true,
                                                  .failures = &failures};
/* Adds an amount, and breaks in so many attempts. */
static const fabric_message_type_t spoil_message = {
    .tag = "Spoil", .request = &amount_schema, .reply = &view_schema, .durable = true};
static const fabric_message_type_t look_message = {
    .tag = "Look", .request = &fabric_schema_empty, .reply = &view_schema};
/* Breaks. */
static const fabric_message_type_t crash_message = {
    .tag = "Crash", .request = &fabric_schema_empty, .reply = &fabric_schema_empty};
/* Keeps itself alive, or terminates itself at 0. */
static const fabric_message_type_t keep_message = {
    .tag = "Keep", .request = &amount_schema, .reply = &fabric_schema_empty};
/* Is to be cancelled: at once, or pending with an amount. */
static const fabric_message_type_t wait_message = {
    .tag = "Wait", .request = &amount_schema, .reply = &fabric_schema_empty, .durable = true};

/* What the handlers have seen of the message at hand, and how often instances began and ended. */
static char keys[8][128];
static unsigned key_count, built, ended;
static fabric_token_t token;
static char tenant[16];
/* What the next message acquires; NULL: nothing. And how often it was released, and left (100). */
static const fabric_resource_type_t *wanted;
static unsigned rented;

static void look_at(fabric_context_t *context, account_t *account, void *reply)
{
    fabric_bytes_t header;
    snprintf(keys[key_count++ % 8], sizeof keys[0], "%s",
             fabric_context_effect_key(context, "charge"));
    if (wanted) {
        assert_non_null(fabric_instance_resource(fabric_context_instance(context), wanted));
    }
    account->handled++;
    token = fabric_context_token(context);
    tenant[0] = '\0';
    if (fabric_context_header(context, "tenant", &header)) {
        snprintf(tenant, sizeof tenant, "%.*s", (int)header.size, (const char *)header.data);
    }
    *(view_t *)reply = (view_t){.balance = account->balance,
                                .limit = account->limit,
                                .handled = account->handled,
                                .delivery = fabric_context_delivery(context),
                                .attempt = fabric_context_attempt(context),
                                .left_ms = fabric_context_left_ms(context)};
}

static fabric_result_t put(fabric_context_t *context, void *state, const void *request, void *reply)
{
    account_t *account = (account_t *)state;
    int64_t sum = account->balance + ((const amount_t *)request)->amount;
    account->balance = sum;
    if (sum > account->limit) {
        return fabric_fail_with(context, 1, &(amount_t){sum - account->limit});
    }
    look_at(context, account, reply);
    return FABRIC_REPLY;
}

static fabric_result_t spoil(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    account_t *account = (account_t *)state;
    account->balance += 5;
    look_at(context, account, reply);
    return (int64_t)fabric_context_attempt(context) <= ((const amount_t *)request)->amount
               ? fabric_defect(context, "spoiled")
               : FABRIC_REPLY;
}

static fabric_result_t look(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)request;
    look_at(context, (account_t *)state, reply);
    return FABRIC_REPLY;
}

static fabric_result_t crash(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    return fabric_defect(context, "crashed");
}

static fabric_result_t keep(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)state;
    (void)reply;
    if (((const amount_t *)request)->amount == 0) {
        fabric_context_terminate(context);
    } else {
        fabric_context_keep_alive(context, true);
    }
    return FABRIC_REPLY;
}

static void stop_waiting(void *pending, fabric_interrupt_t why)
{
    fabric_pending_t *handle = (fabric_pending_t *)pending;
    assert_int_equal(why, FABRIC_INTERRUPT_CANCEL);
    fabric_pending_interrupted(&handle);
}

static fabric_result_t wait_long(fabric_context_t *context, void *state, const void *request,
                                 void *reply)
{
    (void)state;
    (void)reply;
    if (((const amount_t *)request)->amount == 0) {
        return fabric_context_interrupt(context) == FABRIC_INTERRUPT_CANCEL ? FABRIC_INTERRUPTED
                                                                            : FABRIC_REPLY;
    }
    fabric_pending_t *pending = fabric_later(context);
    fabric_pending_on_interrupt(pending, stop_waiting, pending);
    return FABRIC_PENDING;
}

static void count_end(void *argument)
{
    (void)argument;
    ended++;
}

static bool build(fabric_instance_t *instance, void *state)
{
    account_t *account = (account_t *)state;
    account->limit = account->limit > 0 ? account->limit : 100;
    built++;
    return fabric_instance_add_finalizer(instance, count_end, NULL);
}

static const fabric_handler_t handlers[] = {{&put_message, put},   {&spoil_message, spoil},
                                            {&look_message, look}, {&crash_message, crash},
                                            {&keep_message, keep}, {&wait_message, wait_long}};
static const fabric_entity_type_t volatile_type = {
    .name = "Account",
    .state_size = sizeof(account_t),
    .build = build,
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .idle_ms = 5000,
};

static fabric_entity_type_t persisted_type(void)
{
    fabric_entity_type_t type = volatile_type;
    type.state = &account_schema;
    type.persisted = true;
    type.restore = build;
    return type;
}

static fabric_entity_type_t type; /* of the running test */

static int set_up(void **state)
{
    type = persisted_type();
    key_count = built = ended = rented = 0;
    wanted = NULL;
    return (int)fabric_testing_open(&type, "alice", (fabric_testing_t **)state, NULL);
}

static int set_up_volatile(void **state)
{
    type = volatile_type;
    key_count = built = ended = rented = 0;
    wanted = NULL;
    return (int)fabric_testing_open(&type, "alice", (fabric_testing_t **)state, NULL);
}

static int tear_down(void **state)
{
    fabric_testing_close((fabric_testing_t **)state);
    return 0;
}

static view_t put_in(fabric_testing_t *testing, int64_t amount)
{
    view_t view = {0};
    fabric_outcome_t outcome;
    if (fabric_testing_send(testing, &put_message, &(amount_t){amount}, &view, &outcome) !=
        FABRIC_REPLY) {
        fail_msg("Put: %s: %s", fabric_error_name(outcome.error), outcome.text);
    }
    return view;
}

static view_t look_in(fabric_testing_t *testing)
{
    view_t view = {0};
    assert_int_equal(fabric_testing_send(testing, &look_message, NULL, &view, NULL), FABRIC_REPLY);
    return view;
}

static void keep_alive(fabric_testing_t *testing, int64_t on)
{
    assert_int_equal(fabric_testing_send(testing, &keep_message, &(amount_t){on}, NULL, NULL),
                     FABRIC_REPLY);
}

static void expect_stored(fabric_testing_t *testing, int64_t balance, const char *json)
{
    const account_t *account = (const account_t *)fabric_testing_state(testing);
    assert_non_null(account);
    assert_int_equal(account->balance, balance);
    assert_int_equal(account->handled, 0);
    assert_string_equal(fabric_testing_state_json(testing), json);
}

/* ---- restarts ---- */

static void a_restart_begins_with_what_is_stored(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    assert_null(fabric_testing_state(testing));
    assert_null(fabric_testing_state_json(testing));
    assert_int_equal(put_in(testing, 10).handled, 1);
    fabric_token_t before = token;
    expect_stored(testing, 10, "{\"balance\": 10, \"limit\": 100}");
    fabric_testing_restart(testing);
    assert_false(fabric_testing_has_instance(testing));
    assert_int_equal(ended, 1);
    view_t view = put_in(testing, 5);
    assert_int_equal(view.balance, 15);
    assert_int_equal(view.limit, 100);
    assert_int_equal(view.handled, 1);
    assert_int_equal(built, 2);
    assert_true(fabric_token_less(before, token));
    expect_stored(testing, 15, "{\"balance\": 15, \"limit\": 100}");
}

static void a_volatile_type_forgets(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    assert_null(fabric_testing_state(testing));
    put_in(testing, 10);
    assert_int_equal(((const account_t *)fabric_testing_state(testing))->balance, 10);
    assert_int_equal(((const account_t *)fabric_testing_state(testing))->handled, 1);
    assert_null(fabric_testing_state_json(testing));
    fabric_testing_restart(testing);
    assert_null(fabric_testing_state(testing));
    assert_int_equal(look_in(testing).balance, 0);
}

/* ---- the store ---- */

static void a_lost_commit_did_not_happen(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    put_in(testing, 10);
    fabric_testing_fail_store(testing);
    assert_int_equal(look_in(testing).delivery, 1); /* a volatile message commits nothing */
    view_t view = put_in(testing, 5);
    assert_int_equal(view.balance, 15);
    assert_int_equal(view.delivery, 2);
    assert_int_equal(view.attempt, 1);
    assert_int_equal(view.handled, 1);
    assert_int_equal(built, 2);
    expect_stored(testing, 15, "{\"balance\": 15, \"limit\": 100}");
    view = put_in(testing, 5);
    assert_int_equal(view.delivery, 1);
    assert_int_equal(view.balance, 20);
}

static void a_volatile_type_loses_all_with_its_commit(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    put_in(testing, 10);
    fabric_testing_fail_store(testing);
    view_t view = put_in(testing, 5);
    assert_int_equal(view.balance, 5);
    assert_int_equal(view.delivery, 2);
}

/* Keys name the message, not its delivery. */
static void effect_keys_are_those_of_the_message(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state, *other;
    put_in(testing, 1);
    fabric_testing_fail_store(testing);
    put_in(testing, 2);
    put_in(testing, 3);
    assert_int_equal(fabric_testing_open(&type, "alice", &other, NULL), FABRIC_OK);
    put_in(other, 1);
    fabric_testing_close(&other);
    assert_int_equal(key_count, 5);
    assert_string_equal(keys[1], keys[2]);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned k = 0; k < i; k++) {
            assert_true((i == 2 && k == 1) || strcmp(keys[i], keys[k]) != 0);
        }
    }
}

/* ---- failures and defects ---- */

static void a_typed_failure_has_its_values_and_changes_nothing(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_outcome_t outcome;
    put_in(testing, 90);
    assert_int_equal(fabric_testing_send(testing, &put_message, &(amount_t){15}, NULL, &outcome),
                     FABRIC_FAILURE);
    assert_string_equal(outcome.failure->name, "TooMuch");
    assert_int_equal(((const amount_t *)fabric_testing_failure(testing))->amount, 5);
    expect_stored(testing, 90, "{\"balance\": 90, \"limit\": 100}");
    assert_int_equal(look_in(testing).handled, 1); /* another instance */
    assert_null(fabric_testing_failure(testing));
    assert_int_equal(fabric_testing_retry(testing, NULL, &outcome), FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_INVALID_ARGUMENT);
}

static void a_defect_is_tried_again(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_outcome_t outcome;
    view_t view;
    put_in(testing, 10);
    assert_int_equal(fabric_testing_send(testing, &spoil_message, &(amount_t){2}, NULL, &outcome),
                     FABRIC_DEFECT);
    assert_string_equal(outcome.text, "spoiled");
    assert_false(fabric_testing_has_instance(testing));
    expect_stored(testing, 10, "{\"balance\": 10, \"limit\": 100}");
    assert_int_equal(fabric_testing_retry(testing, NULL, NULL), FABRIC_DEFECT);
    assert_int_equal(fabric_testing_retry(testing, &view, NULL), FABRIC_REPLY);
    assert_int_equal(view.balance, 15);
    assert_int_equal(view.delivery, 3);
    assert_int_equal(view.attempt, 3);
    assert_string_equal(keys[1], keys[3]);
    assert_int_equal(fabric_testing_retry(testing, NULL, NULL), FABRIC_DEFECT);
    expect_stored(testing, 15, "{\"balance\": 15, \"limit\": 100}");
}

static fabric_error_t retry_error(fabric_testing_t *testing)
{
    fabric_outcome_t outcome;
    (void)fabric_testing_retry(testing, NULL, &outcome);
    return outcome.error;
}

static void some_defects_are_final(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    assert_int_equal(fabric_testing_send(testing, &crash_message, NULL, NULL, NULL), FABRIC_DEFECT);
    assert_int_equal(retry_error(testing), FABRIC_ERROR_INVALID_ARGUMENT); /* it is volatile */
    type.defects_to_caller = true;
    (void)fabric_testing_send(testing, &spoil_message, &(amount_t){2}, NULL, NULL);
    assert_int_equal(retry_error(testing), FABRIC_ERROR_INVALID_ARGUMENT);
    type.defects_to_caller = false;
    type.on_failure = FABRIC_SKIP;
    (void)fabric_testing_send(testing, &spoil_message, &(amount_t){2}, NULL, NULL);
    assert_int_equal(retry_error(testing), FABRIC_ERROR_INVALID_ARGUMENT);
    type.on_failure = FABRIC_PARK;
    (void)fabric_testing_send(testing, &spoil_message, &(amount_t){2}, NULL, NULL);
    assert_int_equal(retry_error(testing), FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(retry_error(testing), FABRIC_OK);
}

/* ---- older and newer states ---- */

/* The account's balance before version 1, in whole units. */
typedef struct old_account {
    int32_t units;
} old_account_t;

static const fabric_field_t old_fields[] = {FABRIC_I32(old_account_t, units)};
static const fabric_schema_t old_schema = FABRIC_SCHEMA("Account", old_account_t, old_fields);
/* The account before it had a limit. */
static const fabric_schema_t short_schema = {"Account", sizeof(account_t), account_fields, 1};

static bool migrate(fabric_instance_t *instance, uint32_t version, fabric_bytes_t stored,
                    void *state)
{
    old_account_t old;
    (void)instance;
    assert_int_equal(version, 0);
    if (fabric_schema_decode(&old_schema, stored, NULL, &old) != FABRIC_OK) {
        return false;
    }
    *(account_t *)state = (account_t){.balance = old.units * 100, .limit = 5000};
    return true;
}

static void set_old(fabric_testing_t *testing, uint32_t version)
{
    assert_int_equal(
        fabric_testing_set_state(testing, version, &old_schema, &(old_account_t){7}, NULL),
        FABRIC_OK);
    assert_null(fabric_testing_state(testing));
    assert_string_equal(fabric_testing_state_json(testing), "{\"units\": 7}");
}

static void an_older_state_is_migrated(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    type.state_version = 1;
    type.migrate = migrate;
    put_in(testing, 1);
    set_old(testing, 0);
    assert_int_equal(look_in(testing).balance, 700);
    assert_string_equal(fabric_testing_state_json(testing), "{\"units\": 7}");
    assert_int_equal(put_in(testing, 1).balance, 701);
    expect_stored(testing, 701, "{\"balance\": 701, \"limit\": 5000}");
    fabric_testing_restart(testing);
    assert_int_equal(look_in(testing).balance, 701);
}

static void a_field_that_is_new_has_its_default(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    assert_int_equal(
        fabric_testing_set_state(testing, 0, &short_schema, &(account_t){3, 9, 9}, NULL),
        FABRIC_OK);
    assert_string_equal(fabric_testing_state_json(testing), "{\"balance\": 3}");
    view_t view = look_in(testing);
    assert_int_equal(view.balance, 3);
    assert_int_equal(view.limit, 1000);
    assert_int_equal(((const account_t *)fabric_testing_state(testing))->limit, 1000);
}

static void expect_not_built(fabric_testing_t *testing, const char *text)
{
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_send(testing, &look_message, NULL, NULL, &outcome),
                     FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_NOT_BUILT);
    assert_non_null(strstr(outcome.text, text));
}

static void a_state_that_cannot_be_read_waits(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_outcome_t outcome;
    view_t view;
    type.state_version = 1;
    set_old(testing, 0);
    expect_not_built(testing, "no migrate function");
    set_old(testing, 2);
    expect_not_built(testing, "is of version 2, and this worker knows version 1");
    set_old(testing, 0);
    assert_int_equal(fabric_testing_send(testing, &put_message, &(amount_t){1}, NULL, &outcome),
                     FABRIC_DEFECT);
    type.migrate = migrate;
    assert_int_equal(fabric_testing_retry(testing, &view, NULL), FABRIC_REPLY);
    assert_int_equal(view.balance, 701);
    assert_int_equal(view.attempt, 1); /* a build that fails uses up none */
}

static void states_that_do_not_fit_are_refused(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_outcome_t outcome;
    assert_int_equal(
        fabric_testing_set_state(testing, 0, &old_schema, &(old_account_t){1}, &outcome),
        FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(outcome.text, "the type is not persisted");
}

/* ---- time ---- */

static void an_idle_instance_ends(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    put_in(testing, 10);
    fabric_testing_advance(testing, 4999);
    assert_true(fabric_testing_has_instance(testing));
    fabric_testing_advance(testing, 1);
    assert_false(fabric_testing_has_instance(testing));
    assert_int_equal(ended, 1);
    expect_stored(testing, 10, "{\"balance\": 10, \"limit\": 100}");
    assert_int_equal(put_in(testing, 1).balance, 11);
}

static void a_handler_sees_the_time_that_is_left(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_testing_timeout_next(testing, 250);
    assert_int_equal(look_in(testing).left_ms, 250);
    assert_true(look_in(testing).left_ms == FABRIC_NO_DEADLINE);
    fabric_testing_timeout_next(testing, 250);
    assert_int_equal(fabric_testing_send(testing, &spoil_message, &(amount_t){1}, NULL, NULL),
                     FABRIC_DEFECT);
    fabric_testing_advance(testing, 100);
    view_t view;
    assert_int_equal(fabric_testing_retry(testing, &view, NULL), FABRIC_REPLY);
    assert_int_equal(view.left_ms, 150);
}

static void an_entity_keeps_itself_alive(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    put_in(testing, 10);
    keep_alive(testing, 1);
    fabric_testing_advance(testing, 50000);
    assert_int_equal(built, 1);
    fabric_testing_restart(testing);
    assert_true(fabric_testing_has_instance(testing));
    assert_int_equal(built, 2);
    (void)fabric_testing_send(testing, &crash_message, NULL, NULL, NULL);
    assert_true(fabric_testing_has_instance(testing));
    assert_int_equal(built, 3);
    assert_int_equal(look_in(testing).balance, 10);
    keep_alive(testing, 0);
    assert_false(fabric_testing_has_instance(testing));
    fabric_testing_restart(testing);
    assert_int_equal(built, 3);
}

static void *acquire(fabric_instance_t *instance)
{
    (void)instance;
    return &rented;
}

static void release(void *resource)
{
    *(unsigned *)resource += 1;
}

static void leave(void *resource)
{
    *(unsigned *)resource += 100;
}

static const fabric_resource_type_t rent = {
    .acquire = acquire, .release = release, .leave = leave, .idle_ms = 1000};

/* The resource goes when it is idle, and so, later, does the instance that it has kept. */
static void resources_are_left_and_released(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    wanted = &rent;
    look_in(testing);
    fabric_testing_restart(testing);
    assert_int_equal(rented, 100);
    assert_true(fabric_testing_has_instance(testing));
    look_in(testing);
    wanted = NULL;
    fabric_testing_advance(testing, 999);
    assert_int_equal(rented, 100);
    fabric_testing_advance(testing, 1);
    assert_int_equal(rented, 101);
    assert_true(fabric_testing_has_instance(testing));
    wanted = &rent;
    look_in(testing);
    wanted = NULL;
    fabric_testing_advance(testing, 5500);
    assert_int_equal(rented, 102);
    assert_false(fabric_testing_has_instance(testing));
}

/* ---- interrupts and headers ---- */

static void a_caller_cancels(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_outcome_t outcome;
    for (int64_t pending = 0; pending < 2; pending++) {
        fabric_testing_cancel_next(testing);
        assert_int_equal(
            fabric_testing_send(testing, &wait_message, &(amount_t){pending}, NULL, &outcome),
            FABRIC_INTERRUPTED);
        assert_int_equal(outcome.error, FABRIC_ERROR_CANCELLED);
        fabric_testing_restart(testing);
    }
    assert_int_equal(fabric_testing_send(testing, &wait_message, &(amount_t){0}, NULL, NULL),
                     FABRIC_REPLY);
}

static void headers_are_those_of_one_message(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    fabric_testing_header_next(testing, "trace", fabric_bytes_of("x"));
    fabric_testing_header_next(testing, "tenant", fabric_bytes_of("north"));
    look_in(testing);
    assert_string_equal(tenant, "north");
    look_in(testing);
    assert_string_equal(tenant, "");
    fabric_testing_header_next(testing, "tenant", fabric_bytes_of("south"));
    look_in(testing);
    assert_string_equal(tenant, "south");
}

#define PERSISTED_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define VOLATILE_TEST(name)  cmocka_unit_test_setup_teardown(name, set_up_volatile, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PERSISTED_TEST(a_restart_begins_with_what_is_stored),
        VOLATILE_TEST(a_volatile_type_forgets),
        PERSISTED_TEST(a_lost_commit_did_not_happen),
        VOLATILE_TEST(a_volatile_type_loses_all_with_its_commit),
        PERSISTED_TEST(effect_keys_are_those_of_the_message),
        PERSISTED_TEST(a_typed_failure_has_its_values_and_changes_nothing),
        PERSISTED_TEST(a_defect_is_tried_again),
        PERSISTED_TEST(some_defects_are_final),
        PERSISTED_TEST(an_older_state_is_migrated),
        PERSISTED_TEST(a_field_that_is_new_has_its_default),
        PERSISTED_TEST(a_state_that_cannot_be_read_waits),
        VOLATILE_TEST(states_that_do_not_fit_are_refused),
        PERSISTED_TEST(an_idle_instance_ends),
        PERSISTED_TEST(a_handler_sees_the_time_that_is_left),
        PERSISTED_TEST(an_entity_keeps_itself_alive),
        PERSISTED_TEST(resources_are_left_and_released),
        PERSISTED_TEST(a_caller_cancels),
        PERSISTED_TEST(headers_are_those_of_one_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
