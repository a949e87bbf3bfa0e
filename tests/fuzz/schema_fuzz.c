/* Schema descriptions: what is read is described the same, suits itself, and serves to decode
 * payloads, which stand behind the description. */
#include <string.h>

#include "core/schema.h"
#include "tests/fuzz/payload.h"

static void check_description(const fabric_schema_t *schema)
{
    wire_writer_t described = {0};
    wire_writer_t again = {0};
    fabric_schema_t *copy = NULL;
    fabric_schema_fault_t fault = {""};
    schema_describe(schema, &described);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&described));
    assert_int_equal(schema_parse(&reader, &copy), FABRIC_OK);
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    assert_int_equal(copy->size, schema->size);
    schema_describe(copy, &again);
    assert_true(fabric_bytes_equal(wire_writer_bytes(&described), wire_writer_bytes(&again)));
    if (schema_compatible(schema, copy, &fault)) {
        fail_msg("%s", fault.text);
    }
    schema_destroy(&copy);
    wire_writer_destroy(&described);
    wire_writer_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wire_reader_t reader = wire_reader(fabric_bytes(data, size));
    fabric_schema_t *schema = NULL;
    if (schema_parse(&reader, &schema)) {
        assert_null(schema);
        assert_true(reader.failed);
        return 0;
    }
    assert_true(schema->size <= SCHEMA_STRUCT_BYTES_MAX);
    check_description(schema);
    payload_check(schema, fabric_bytes(reader.next, wire_left(&reader)));
    schema_destroy(&schema);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_seed_vectors("schemas/vectors/schemas.txt");
}
