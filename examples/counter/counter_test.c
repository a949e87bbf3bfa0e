/* A test of the Counter entity, alone and without a cluster: linked with the entity's own object
 * file and libfabric_worker. */
#include <fabric/testing.h>

#include <inttypes.h>
#include <stdio.h>

#include "examples/counter/counter.h"

/* What FABRIC_MODULE exports; its first type is the Counter. */
extern const fabric_module_t fabric_module;

static unsigned failures;

static void expect(bool holds, const char *what)
{
    printf("%s: %s\n", holds ? "ok" : "FAILED", what);
    failures += !holds;
}

static fabric_result_t increment(fabric_testing_t *counter, int64_t amount, int64_t *value)
{
    counter_increment_request_t request = {.amount = amount};
    counter_value_t reply = {0};
    fabric_result_t result =
        fabric_testing_send(counter, &counter_increment, &request, &reply, NULL);
    *value = reply.value;
    return result;
}

static int64_t peek(fabric_testing_t *counter)
{
    counter_value_t reply = {0};
    return fabric_testing_send(counter, &counter_peek, NULL, &reply, NULL) == FABRIC_REPLY
               ? reply.value
               : -1;
}

int main(void)
{
    int64_t value = 0;
    fabric_outcome_t outcome;
    fabric_testing_t *counter;
    if (fabric_testing_open(fabric_module.types[0], "counter-1", &counter, &outcome)) {
        printf("%s\n", outcome.text);
        return 1;
    }
    expect(increment(counter, 5, &value) == FABRIC_REPLY && value == 5, "a counter starts at 0");
    expect(increment(counter, 2, &value) == FABRIC_REPLY && value == 7, "a counter adds up");
    expect(increment(counter, INT64_MAX, &value) == FABRIC_FAILURE && peek(counter) == 7,
           "an overflow is a failure and changes nothing");
    fabric_testing_close(&counter);
    return failures > 0;
}
