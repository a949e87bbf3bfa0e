/* A client of the PersistentCounter entity: adds an amount to a counter and prints its new value.
 *
 *     persistent_counter_client [URL [COUNTER [AMOUNT]]]
 */
#include <fabric/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "examples/persistent_counter/persistent_counter.h"

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "fabric://127.0.0.1:5700";
    const char *name = argc > 2 ? argv[2] : "counter-1";
    persistent_counter_increment_request_t request = {
        .amount = argc > 3 ? strtoll(argv[3], NULL, 10) : 1};
    persistent_counter_value_t reply;
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fabric_error_t error = fabric_client_open(url, NULL, &client, &outcome);
    if (error == FABRIC_OK) {
        error = fabric_client_ask(client, fabric_entity("PersistentCounter", name),
                                  &persistent_counter_increment, &request, &reply, &outcome);
    }
    fabric_client_close(&client);
    if (error != FABRIC_OK) {
        fprintf(stderr, "persistent_counter_client: %s: %s\n", fabric_error_name(error),
                outcome.text);
        return 1;
    }
    printf("%s = %" PRId64 "\n", name, reply.value);
    return 0;
}
