/* The shortest client of the Counter entity: adds 5 to one counter and prints its new value. */
#include <fabric/client.h>

#include <inttypes.h>
#include <stdio.h>

#include "examples/counter/counter.h"

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "fabric://127.0.0.1:5700";
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    counter_increment_request_t request = {.amount = 5};
    counter_value_t reply;
    fabric_error_t error = fabric_client_open(url, NULL, &client, &outcome);
    if (error == FABRIC_OK) {
        error = fabric_client_ask(client, fabric_entity("Counter", "counter-1"), &counter_increment,
                                  &request, &reply, &outcome);
    }
    fabric_client_close(&client);
    if (error != FABRIC_OK) {
        fprintf(stderr, "%s: %s\n", fabric_error_name(error), outcome.text);
        return 1;
    }
    printf("counter-1 = %" PRId64 "\n", reply.value);
    return 0;
}
