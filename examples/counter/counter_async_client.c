/* An asynchronous client of the Counter entity: starts many increments without waiting for each,
 * and handles their replies in an event loop of its own, as they come.
 *
 *     counter_async_client [URL]
 */
#include <fabric/client.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "examples/counter/counter.h"

#define CALLS    1000
#define COUNTERS 10

/* What the callbacks add up. They run on the thread that calls fabric_client_process, so that they
 * need no lock. */
typedef struct totals {
    unsigned ended;
    unsigned failed;
    int64_t highest;
} totals_t;

/* A call has ended: with a reply, or with an error that its outcome explains. */
static void increment_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    totals_t *totals = (totals_t *)context;
    counter_value_t reply;
    totals->ended++;
    if (outcome->error != FABRIC_OK ||
        fabric_schema_decode(counter_increment.reply, payload, NULL, &reply) != FABRIC_OK) {
        fprintf(stderr, "counter_async_client: %s: %s\n", fabric_error_name(outcome->error),
                outcome->text);
        totals->failed++;
        return;
    }
    totals->highest = reply.value > totals->highest ? reply.value : totals->highest;
}

/* Starts one increment. The request is copied before fabric_client_start returns. */
static fabric_error_t start_one(fabric_client_t *client, unsigned number, totals_t *totals)
{
    char id[32];
    counter_increment_request_t request = {.amount = 1};
    snprintf(id, sizeof id, "async-%u", number % COUNTERS);
    fabric_call_t call = {
        .entity = fabric_entity("Counter", id), .message = &counter_increment, .request = &request};
    return fabric_client_start(client, &call, increment_ended, totals, NULL);
}

static int run(fabric_client_t *client)
{
    totals_t totals = {0};
    unsigned started = 0;
    struct pollfd wanted = {.fd = fabric_client_fd(client), .events = POLLIN};
    while (totals.ended < CALLS) {
        fabric_error_t error = FABRIC_OK;
        while (started < CALLS && error == FABRIC_OK) {
            error = start_one(client, started, &totals);
            started += error == FABRIC_OK;
        }
        if (error != FABRIC_OK && error != FABRIC_ERROR_BUSY) {
            fprintf(stderr, "counter_async_client: %s\n", fabric_error_meaning(error));
            return 1;
        }
        poll(&wanted, 1, -1); /* with the descriptors of the rest of the program, were there any */
        (void)fabric_client_process(client);
    }
    printf("%u increments of %d counters, %u failed; the highest value is %" PRId64 "\n", started,
           COUNTERS, totals.failed, totals.highest);
    return totals.failed > 0;
}

int main(int argc, char **argv)
{
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    const char *url = argc > 1 ? argv[1] : "fabric://127.0.0.1:5700";
    if (fabric_client_open(url, NULL, &client, &outcome) != FABRIC_OK) {
        fprintf(stderr, "counter_async_client: %s: %s\n", url, outcome.text);
        return 1;
    }
    int failed = run(client);
    fabric_client_close(&client);
    return failed;
}
