/* Typed failures from a handler to its callers: blocking, asynchronous, of many entities, under the
 * same key again, after other processes have taken over, and on the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/account.h"
#include "tests/harness/invocation.h"

enum { WAIT_MAX_MS = 30000, ENTITIES = 12 };

static invocation_t invocation;

static void start(testbed_t *bed, uint32_t workers)
{
    static char module[FOLDER_PATH_SIZE + 64];
    static const char *const arguments[] = {"--module", module, NULL};
    snprintf(module, sizeof module, "%s/tests/account_module.so", getenv("FABRIC_BUILD"));
    bed->worker_arguments = arguments;
    testbed_start(bed, workers);
}

static fabric_call_t call_of(const fabric_message_type_t *message, const char *id,
                             const account_amount_t *amount)
{
    return (fabric_call_t){.entity = fabric_entity(ACCOUNT_TYPE, id),
                           .message = message,
                           .request = amount,
                           .timeout_ms = WAIT_MAX_MS};
}

static account_balance_t deposit(testbed_t *bed, const char *id, uint64_t amount)
{
    account_balance_t balance = {0};
    fabric_outcome_t outcome;
    fabric_error_t error =
        fabric_client_ask(bed->client, fabric_entity(ACCOUNT_TYPE, id), &account_deposit,
                          &(account_amount_t){amount}, &balance, &outcome);
    if (error) {
        fail_msg("Deposit: %s: %s", fabric_error_name(error), outcome.text);
    }
    return balance;
}

static void expect_insufficient(const fabric_outcome_t *outcome,
                                const account_insufficient_funds_t *values)
{
    if (outcome->error != FABRIC_ERROR_ENTITY_FAILURE) {
        fail_msg("%s: %s", fabric_error_name(outcome->error), outcome->text);
    }
    assert_ptr_equal(outcome->failure, &account_failure_items[0]);
    assert_int_equal(outcome->code, ACCOUNT_INSUFFICIENT_FUNDS);
    assert_string_equal(outcome->text, "InsufficientFunds {\"balance\": 5, \"requested\": 12}");
    assert_int_equal(values->balance, 5);
    assert_int_equal(values->requested, 12);
}

/* Withdraws more than there is. */
static void withdraw_in_vain(testbed_t *bed, const fabric_message_type_t *message)
{
    account_failure_t failure = {{0}};
    account_balance_t reply;
    fabric_outcome_t outcome;
    account_amount_t amount = {12};
    fabric_call_t call = call_of(message, "blocking", &amount);
    call.failure = &failure;
    call.failure_size = sizeof failure;
    (void)!fabric_client_call(bed->client, &call, &reply, NULL, NULL, &outcome);
    expect_insufficient(&outcome, &failure.insufficient_funds);
}

static void blocking_calls_decode_failures(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome;
    account_amount_t none = {0};
    account_amount_t long_note = {3000};
    account_noted_t noted;
    uint8_t *payload = NULL;
    size_t size = 0;
    start(bed, 2);
    assert_int_equal(deposit(bed, "blocking", 5).handled, 1);
    withdraw_in_vain(bed, &account_withdraw);
    withdraw_in_vain(bed, &account_volatile_withdraw);
    withdraw_in_vain(bed, &account_withdraw_later);
    fabric_call_t call = call_of(&account_withdraw, "blocking", &none);
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, &payload, &size, &outcome),
                     FABRIC_ERROR_ENTITY_FAILURE);
    assert_string_equal(outcome.text, "Closed");
    assert_int_equal(size, 1);
    free(payload);
    call = call_of(&account_note, "blocking", &long_note);
    call.failure = &noted;
    call.failure_size = sizeof noted;
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, &payload, &size, &outcome),
                     FABRIC_ERROR_ENTITY_FAILURE);
    assert_string_equal(outcome.failure->name, "Noted");
    assert_int_equal(noted.long_note.size, 3000);
    assert_in_range((uintptr_t)noted.long_note.data, (uintptr_t)payload,
                    (uintptr_t)payload + size - 1);
    free(payload);
    account_failure_t failure = {{0}};
    account_amount_t amount = {12};
    call = call_of(&account_volatile_withdraw, "blocking", &amount);
    call.tell = call.handled = true; /* which ends as its handler does */
    call.failure = &failure;
    call.failure_size = sizeof failure;
    (void)!fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome);
    expect_insufficient(&outcome, &failure.insufficient_funds);
    account_balance_t unharmed = deposit(bed, "blocking", 1);
    assert_int_equal(unharmed.balance, 6);
    assert_int_equal(unharmed.handled, 8);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
}

/* ---- asynchronous ---- */

/* In static memory: it may end after a test has failed, when the client is closed. */
typedef struct ended {
    bool ended;
    fabric_outcome_t outcome;
    account_insufficient_funds_t values;
    fabric_error_t decoded;
} ended_t;

static void on_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    ended_t *ended = context;
    ended->ended = true;
    ended->outcome = *outcome;
    ended->decoded = outcome->failure ? fabric_schema_decode(outcome->failure->schema, payload,
                                                             NULL, &ended->values)
                                      : FABRIC_ERROR_NOT_FOUND;
}

static void callbacks_get_failures(void **state)
{
    static ended_t calls[ENTITIES];
    static char ids[ENTITIES][16];
    testbed_t *bed = *state;
    account_amount_t amount = {12};
    account_failure_t failure;
    start(bed, 2);
    for (size_t i = 0; i < ENTITIES; i++) {
        snprintf(ids[i], sizeof ids[i], "a-%zu", i);
        (void)deposit(bed, ids[i], 5);
        fabric_call_t call =
            call_of(i % 2 ? &account_withdraw : &account_volatile_withdraw, ids[i], &amount);
        call.failure = &failure;
        call.failure_size = sizeof failure;
        calls[i] = (ended_t){0};
        assert_int_equal(fabric_client_start(bed->client, &call, on_end, &calls[i], NULL),
                         FABRIC_ERROR_INVALID_ARGUMENT); /* for blocking calls only */
        call.failure = NULL;
        assert_int_equal(fabric_client_start(bed->client, &call, on_end, &calls[i], NULL),
                         FABRIC_OK);
    }
    uint64_t deadline_ms = clock_monotonic_ms() + 2 * WAIT_MAX_MS;
    for (size_t i = 0; i < ENTITIES; i++) {
        while (!calls[i].ended) {
            (void)fabric_client_wait(bed->client, 20);
            testbed_poll(deadline_ms, "the end of a call");
        }
        assert_int_equal(calls[i].decoded, FABRIC_OK);
        expect_insufficient(&calls[i].outcome, &calls[i].values);
    }
}

static void broadcasts_decode_failures(void **state)
{
    static account_failure_t failures[ENTITIES];
    static account_balance_t replies[ENTITIES];
    static fabric_outcome_t outcomes[ENTITIES];
    static fabric_call_t calls[ENTITIES];
    static char ids[ENTITIES][16];
    testbed_t *bed = *state;
    account_amount_t amount = {12};
    start(bed, 2);
    for (size_t i = 0; i < ENTITIES; i++) { /* every third has enough */
        snprintf(ids[i], sizeof ids[i], "b-%zu", i);
        (void)deposit(bed, ids[i], i % 3 == 0 ? 20 : 5);
        calls[i] = call_of(&account_withdraw, ids[i], &amount);
        calls[i].failure = &failures[i];
        calls[i].failure_size = sizeof failures[i];
    }
    assert_int_equal(
        fabric_client_broadcast(bed->client, calls, ENTITIES, replies, sizeof replies[0], outcomes),
        FABRIC_ERROR_ENTITY_FAILURE);
    for (size_t i = 0; i < ENTITIES; i++) {
        if (i % 3 == 0) {
            assert_int_equal(outcomes[i].error, FABRIC_OK);
            assert_null(outcomes[i].failure);
            assert_int_equal(replies[i].balance, 8);
        } else {
            expect_insufficient(&outcomes[i], &failures[i].insufficient_funds);
        }
    }
}

/* ---- duplicates ---- */

/* The calls of a former process, one to each entity. */
typedef struct former {
    fabric_call_key_t keys[ENTITIES];
    char ids[ENTITIES][16];
} former_t;

/* Sends them again. */
static void expect_the_same(testbed_t *bed, const former_t *former)
{
    fabric_client_options_t options = {.client_number = former->keys[0].client,
                                       .first_sequence = former->keys[ENTITIES - 1].sequence + 1};
    fabric_client_t *client = NULL;
    fabric_outcome_t outcomes[ENTITIES];
    account_failure_t failures[ENTITIES];
    account_amount_t amount = {12};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &client, NULL), FABRIC_OK);
    for (size_t i = 0; i < ENTITIES; i++) {
        fabric_call_t call = call_of(&account_withdraw, former->ids[i], &amount);
        call.failure = &failures[i];
        call.failure_size = sizeof failures[i];
        call.key = former->keys[i];
        (void)!fabric_client_call(client, &call, NULL, NULL, NULL, &outcomes[i]);
    }
    fabric_client_close(&client);
    for (size_t i = 0; i < ENTITIES; i++) {
        expect_insufficient(&outcomes[i], &failures[i].insufficient_funds);
    }
}

/* The failure is kept as a reply is: whoever asks again gets it from memory, and from the store
 * after its home has died, and no handler runs again. */
static void a_duplicate_gets_the_same(void **state)
{
    static former_t former;
    testbed_t *bed = *state;
    fabric_outcome_t outcome;
    account_amount_t amount = {12};
    start(bed, 2);
    for (size_t i = 0; i < ENTITIES; i++) {
        snprintf(former.ids[i], sizeof former.ids[i], "twice-%zu", i);
        (void)deposit(bed, former.ids[i], 5);
        fabric_call_t call = call_of(&account_withdraw, former.ids[i], &amount);
        assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome),
                         FABRIC_ERROR_ENTITY_FAILURE);
        former.keys[i] = outcome.key;
    }
    fabric_client_close(&bed->client);
    expect_the_same(bed, &former);
    testbed_connect(bed);
    for (size_t i = 0; i < ENTITIES; i++) {
        assert_int_equal(deposit(bed, former.ids[i], 0).handled, 3); /* each was handled once */
    }
    testbed_kill(&bed->cluster.broker);
    if (bed->cluster.broker_count == 1) {
        for (uint32_t i = 0; i < 2; i++) {
            testbed_kill(&bed->cluster.workers[i]);
        }
        testbed_restart(bed, 2);
    }
    fabric_client_close(&bed->client);
    expect_the_same(bed, &former);
    testbed_connect(bed);
}

/* ---- SH-04, IP-08 ---- */

/* Values that cannot be encoded: MalformedMessage, one reply that is stored, nothing unprocessed;
 * the entity goes on. */
static void test_sh_04_ip_08_values_that_do_not_fit_end_their_message_alone(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome;
    account_amount_t none = {0};
    start(bed, 1);
    assert_int_equal(deposit(bed, "bad", 5).handled, 1);
    uint64_t accepted = testbed_sum(bed, "accepted");
    uint64_t ended = testbed_sum(bed, "ended");
    fabric_call_t call = call_of(&account_note, "bad", &none);
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_non_null(strstr(outcome.text, "note: "));
    call = call_of(&account_withdraw_later, "bad", &none); /* fails with what is not declared */
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, &outcome),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(outcome.text, "failure: the message declares none with the number 9");
    assert_int_equal(testbed_sum(bed, "accepted"), accepted + 2);
    assert_int_equal(testbed_sum(bed, "ended"), ended + 2);
    assert_int_equal(testbed_sum(bed, "pending"), 0);
    account_balance_t unharmed = deposit(bed, "bad", 0);
    assert_int_equal(unharmed.balance, 5);
    assert_int_equal(unharmed.handled, 4);
}

/* ---- the command line ---- */

static void the_command_line_prints_failures(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    (void)deposit(bed, "shown", 5);
    const char *const arguments[] = {"fabricctl", "call",  "--url",    bed->cluster.urls,
                                     "Account",   "shown", "Withdraw", "{\"amount\": 12}",
                                     NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    assert_int_equal(invocation.status, 1);
    assert_string_equal(
        invocation.output,
        "{\"failure\": {\"InsufficientFunds\": {\"balance\": 5, \"requested\": 12}}}\n");
    assert_non_null(strstr(invocation.complaints,
                           "fabricctl: Account/shown Withdraw: InsufficientFunds {\"balance\": 5, "
                           "\"requested\": 12} (EntityFailure): "));
    assert_int_equal(invocation.lines, 1);
    /* Under the key of a tell there is no reply, so none of its failure. */
    const char *const tell[] = {"fabricctl", "send",
                                "-o",        "json",
                                "--url",     bed->cluster.urls,
                                "Account",   "shown",
                                "Withdraw",  "{\"amount\": 12}",
                                NULL};
    invocation_run(bed, tell, NULL, &invocation);
    assert_int_equal(invocation.status, 0);
    testbed_wait_drained(bed);
    assert_int_equal(deposit(bed, "shown", 0).handled, 4);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"blocking_calls_decode_failures", blocking_calls_decode_failures, TESTBED_CLUSTERS},
        {"callbacks_get_failures", callbacks_get_failures, TESTBED_CLUSTERS},
        {"broadcasts_decode_failures", broadcasts_decode_failures, TESTBED_SQLITE},
        {"a_duplicate_gets_the_same", a_duplicate_gets_the_same, TESTBED_CLUSTERS},
        {"test_sh_04_ip_08_values_that_do_not_fit_end_their_message_alone",
         test_sh_04_ip_08_values_that_do_not_fit_end_their_message_alone, TESTBED_CLUSTERS},
        {"the_command_line_prints_failures", the_command_line_prints_failures, TESTBED_SQLITE},
    };
    return testbed_run("failures", tests, sizeof tests / sizeof tests[0]);
}
