/* A client of the Counter entity: increments one, broadcasts to several, and reads them back.
 *
 *     counter_client [URL]
 */
#include <fabric/client.h>

#include <inttypes.h>
#include <stdio.h>

#include "examples/counter/counter.h"

#define COUNTERS 3

static const char *const names[COUNTERS] = {"counter-1", "counter-2", "counter-3"};

static int fail(const char *what, const fabric_outcome_t *outcome)
{
    fprintf(stderr, "counter_client: %s: %s: %s\n", what, fabric_error_name(outcome->error),
            outcome->text[0] ? outcome->text : fabric_error_meaning(outcome->error));
    return 1;
}

/* Adds 5 to the first counter and waits for its new value. */
static int increment_one(fabric_client_t *client)
{
    counter_increment_request_t request = {.amount = 5};
    counter_value_t reply;
    fabric_outcome_t outcome;
    if (fabric_client_ask(client, fabric_entity("Counter", names[0]), &counter_increment, &request,
                          &reply, &outcome) != FABRIC_OK) {
        return fail("increment", &outcome);
    }
    printf("%s: incremented by %" PRId64 " to %" PRId64 "\n", names[0], request.amount,
           reply.value);
    return 0;
}

/* Adds 1, 2 and 3 to three counters at once. */
static int increment_all(fabric_client_t *client)
{
    counter_increment_request_t requests[COUNTERS];
    fabric_call_t calls[COUNTERS] = {{.message = NULL}};
    counter_value_t replies[COUNTERS];
    fabric_outcome_t outcomes[COUNTERS];
    for (int i = 0; i < COUNTERS; i++) {
        requests[i].amount = i + 1;
        calls[i].entity = fabric_entity("Counter", names[i]);
        calls[i].message = &counter_increment;
        calls[i].request = &requests[i];
    }
    fabric_error_t error =
        fabric_client_broadcast(client, calls, COUNTERS, replies, sizeof replies[0], outcomes);
    for (int i = 0; i < COUNTERS; i++) {
        if (outcomes[i].error != FABRIC_OK) {
            fail(names[i], &outcomes[i]);
        } else {
            printf("%s: incremented by %d to %" PRId64 "\n", names[i], i + 1, replies[i].value);
        }
    }
    return error == FABRIC_OK ? 0 : 1;
}

static int print_value(fabric_client_t *client, const char *name)
{
    counter_value_t reply;
    fabric_outcome_t outcome;
    if (fabric_client_ask(client, fabric_entity("Counter", name), &counter_get_value, NULL, &reply,
                          &outcome) != FABRIC_OK) {
        return fail(name, &outcome);
    }
    printf("%s = %" PRId64 "\n", name, reply.value);
    return 0;
}

int main(int argc, char **argv)
{
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    const char *url = argc > 1 ? argv[1] : "fabric://127.0.0.1:5700";
    if (fabric_client_open(url, NULL, &client, &outcome) != FABRIC_OK) {
        return fail(url, &outcome);
    }
    int failed = increment_one(client) || increment_all(client);
    for (int i = 0; i < COUNTERS && !failed; i++) {
        failed = print_value(client, names[i]);
    }
    fabric_client_close(&client);
    return failed ? 1 : 0;
}
