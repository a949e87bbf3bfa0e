/* A test of the PersistentCounter entity, alone and without a cluster: linked with the entity's own
 * object file and libfabric_worker. */
#include <fabric/testing.h>

#include <stdio.h>
#include <string.h>

#include "examples/persistent_counter/persistent_counter.h"

/* What FABRIC_MODULE exports; its first type is the PersistentCounter. */
extern const fabric_module_t fabric_module;

static fabric_testing_t *testing;
static unsigned failures;

static void expect(bool holds, const char *what)
{
    printf("%s: %s\n", holds ? "ok" : "FAILED", what);
    failures += !holds;
}

/* The new value; -1: the message did not end with a reply. */
static int64_t increment(int64_t amount)
{
    persistent_counter_increment_request_t request = {.amount = amount};
    persistent_counter_value_t reply = {0};
    fabric_result_t result =
        fabric_testing_send(testing, &persistent_counter_increment, &request, &reply, NULL);
    return result == FABRIC_REPLY ? reply.value : -1;
}

static int64_t get_value(void)
{
    persistent_counter_value_t reply = {0};
    fabric_result_t result =
        fabric_testing_send(testing, &persistent_counter_get_value, NULL, &reply, NULL);
    return result == FABRIC_REPLY ? reply.value : -1;
}

static bool is_stored(const char *json)
{
    const char *stored = fabric_testing_state_json(testing);
    return stored && strcmp(stored, json) == 0;
}

int main(void)
{
    fabric_outcome_t outcome;
    if (fabric_testing_open(fabric_module.types[0], "counter-1", &testing, &outcome)) {
        printf("%s\n", outcome.text);
        return 1;
    }
    expect(increment(5) == 5 && increment(2) == 7, "a counter adds up");
    fabric_testing_restart(testing);
    expect(get_value() == 7 && increment(1) == 8, "a counter survives its worker");
    fabric_testing_fail_store(testing);
    expect(increment(10) == 18, "an increment that was not stored counts once");
    fabric_testing_advance(testing, 60000);
    expect(!fabric_testing_has_instance(testing) && get_value() == 18,
           "a counter survives an idle minute");
    expect(increment(INT64_MAX) == -1 && get_value() == 18 && is_stored("{\"value\": 18}"),
           "an overflow is a failure and changes nothing");
    fabric_testing_close(&testing);
    return failures > 0;
}
