/* Payloads by the sample schemas: the first byte says which, the rest is the payload. */
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
    payload_check(schema, fuzz_rest(&input));
    return 0;
}

static void seed(const vector_t *vector, void *context)
{
    (void)context;
    for (uint8_t i = 0; i < NAMES; i++) {
        size_t size = strlen(names[i]);
        if (strncmp(vector->name, names[i], size) == 0 && vector->name[size] == '/') {
            fuzz_seed_after(i, vector->bytes);
        }
    }
}

void fuzz_seeds(void)
{
    vectors_visit("schemas/vectors/payloads.txt", seed, NULL);
}
