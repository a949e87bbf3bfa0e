/* A client of the Account entity: pays an amount in, or takes a negative one out, and prints the
 * balance.
 *
 *     account_client [URL [ACCOUNT [AMOUNT]]]
 */
#include <fabric/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "examples/account/account.h"

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "fabric://127.0.0.1:5700";
    const char *name = argc > 2 ? argv[2] : "account-1";
    long long amount = argc > 3 ? strtoll(argv[3], NULL, 10) : 0;
    if (amount > UINT32_MAX || amount < -(long long)UINT32_MAX) {
        fprintf(stderr, "account_client: %s: more than an account takes at once\n", argv[3]);
        return 1;
    }
    account_amount_t request = {.amount = (uint32_t)llabs(amount)};
    account_insufficient_funds_t failure = {0};
    account_balance_t reply = {0};
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity("Account", name),
                          .message = amount > 0   ? &account_deposit
                                     : amount < 0 ? &account_withdraw
                                                  : &account_get_balance,
                          .request = amount != 0 ? &request : NULL,
                          .failure = &failure,
                          .failure_size = sizeof failure};
    fabric_error_t error = fabric_client_open(url, NULL, &client, &outcome);
    if (error == FABRIC_OK) {
        error = fabric_client_call(client, &call, &reply, NULL, NULL, &outcome);
    }
    fabric_client_close(&client);
    if (error == FABRIC_OK) {
        printf("%s = %" PRIu64 "\n", name, reply.balance);
    } else if (outcome.failure && outcome.failure->number == ACCOUNT_INSUFFICIENT_FUNDS) {
        printf("%s has %" PRIu64 ", and %" PRIu32 " were requested\n", name, failure.balance,
               failure.requested);
        error = FABRIC_OK; /* an answer that this program knows */
    } else {
        fprintf(stderr, "account_client: %s: %s\n", fabric_error_name(error), outcome.text);
    }
    return error ? 1 : 0;
}
