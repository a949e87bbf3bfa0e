/* A test of the Account entity, alone and without a cluster: linked with the entity's own object
 * file and libfabric_worker. */
#include <fabric/testing.h>

#include <stdio.h>
#include <string.h>

#include "examples/account/account.h"

/* What FABRIC_MODULE exports; its first type is the Account. */
extern const fabric_module_t fabric_module;

static fabric_testing_t *testing;
static unsigned failures;

static void expect(bool holds, const char *what)
{
    printf("%s: %s\n", holds ? "ok" : "FAILED", what);
    failures += !holds;
}

static bool open_account(const char *id)
{
    fabric_outcome_t outcome;
    fabric_error_t error = fabric_testing_open(fabric_module.types[0], id, &testing, &outcome);
    if (error) {
        printf("%s\n", outcome.text);
        failures++;
    }
    return error == FABRIC_OK;
}

/* The balance; -1: the message did not end with a reply. */
static int64_t send(const fabric_message_type_t *message, uint32_t amount)
{
    account_amount_t request = {amount};
    account_balance_t reply = {0};
    fabric_result_t result = fabric_testing_send(
        testing, message, message == &account_get_balance ? NULL : &request, &reply, NULL);
    return result == FABRIC_REPLY ? (int64_t)reply.balance : -1;
}

static bool is_event(uint64_t sequence, const char *tag, const char *json)
{
    fabric_appended_event_t event;
    return fabric_testing_event(testing, sequence, &event) && strcmp(event.tag, tag) == 0 &&
           strcmp(event.json, json) == 0;
}

/* The state is what the events make, also in a new instance. */
static void test_rebuilt(void)
{
    if (!open_account("acct-789")) {
        return;
    }
    expect(send(&account_deposit, 100) == 100 && send(&account_withdraw, 30) == 70 &&
               send(&account_deposit, 50) == 120 && send(&account_get_balance, 0) == 120,
           "an account adds up");
    fabric_testing_restart(testing);
    expect(send(&account_get_balance, 0) == 120, "an account is rebuilt from its events");
    fabric_testing_close(&testing);
}

/* The history has what has happened, in order, and nothing of what was refused. */
static void test_history(void)
{
    if (!open_account("acct-audit")) {
        return;
    }
    bool moved = send(&account_deposit, 100) == 100 && send(&account_withdraw, 25) == 75;
    expect(moved && fabric_testing_event_count(testing) == 2 &&
               is_event(1, "Deposited", "{\"amount\": 100}") &&
               is_event(2, "Withdrawn", "{\"amount\": 25}"),
           "each movement is an event");
    account_amount_t request = {200};
    fabric_result_t result = fabric_testing_send(testing, &account_withdraw, &request, NULL, NULL);
    const account_insufficient_funds_t *funds =
        (const account_insufficient_funds_t *)fabric_testing_failure(testing);
    expect(result == FABRIC_FAILURE && funds && funds->balance == 75 && funds->requested == 200,
           "what is not there cannot be withdrawn");
    expect(fabric_testing_event_count(testing) == 2 && send(&account_get_balance, 0) == 75,
           "what was refused is no event");
    fabric_testing_fail_store(testing);
    expect(send(&account_deposit, 5) == 80 && fabric_testing_event_count(testing) == 3,
           "an event that was not stored is appended again, and counts once");
    fabric_testing_close(&testing);
}

int main(void)
{
    test_rebuilt();
    test_history();
    return failures > 0;
}
