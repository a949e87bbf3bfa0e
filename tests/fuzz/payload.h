/* What must hold of a payload under a schema, whatever bytes it is. */
#ifndef TESTS_FUZZ_PAYLOAD_H
#define TESTS_FUZZ_PAYLOAD_H

#include "tests/fuzz/fuzz.h"

#include <fabric/schema.h>

/* The check alone, the decoder and the way to JSON say the same; what is read is written and read
 * again the same, by itself and by way of JSON. */
void payload_check(const fabric_schema_t *schema, fabric_bytes_t payload);

#endif
