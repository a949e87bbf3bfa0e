/* JSON to payloads: the first byte chooses a sample schema. What is made fits the schema. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/payload.h"
#include "tests/unit/samples.h"
#include "tests/harness/vectors.h"

static const char *const names[] = {"Empty",    "Item",     "Order",  "All",
                                    "Shipment", "Document", "Profile"};
enum { NAMES = sizeof names / sizeof names[0] };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = fuzz_input(data, size);
    const fabric_schema_t *schema = sample_schema(names[fuzz_byte(&input) % NAMES]);
    char *json = fuzz_text(fuzz_rest(&input));
    fabric_schema_fault_t fault = {""};
    uint8_t *payload = NULL;
    size_t payload_size = 0;
    if (fabric_schema_from_json(schema, json, &fault, &payload, &payload_size)) {
        assert_true(fault.text[0] && !payload);
    } else {
        assert_int_equal(fabric_schema_check(schema, fabric_bytes(payload, payload_size), &fault),
                         FABRIC_OK);
        payload_check(schema, fabric_bytes(payload, payload_size));
    }
    free(payload);
    free(json);
    return 0;
}

/* The JSON that the vectors of payloads are expected to become. */
static void seed(const vector_t *vector, void *context)
{
    (void)context;
    for (uint8_t i = 0; i < NAMES && vector->valid; i++) {
        size_t size = strlen(names[i]);
        if (strncmp(vector->name, names[i], size) == 0 && vector->name[size] == '/') {
            fuzz_seed_after(i, fabric_bytes_of(vector->expected));
        }
    }
}

void fuzz_seeds(void)
{
    vectors_visit("schemas/vectors/payloads.txt", seed, NULL);
}
