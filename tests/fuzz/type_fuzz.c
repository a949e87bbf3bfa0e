/* Type descriptions: what is read is written again and read the same, and suits itself. */
#include "core/type_description.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wire_reader_t reader = wire_reader(fabric_bytes(data, size));
    type_description_t *type = NULL;
    type_description_t *copy = NULL;
    fabric_schema_fault_t fault = {""};
    if (type_description_parse(&reader, &type)) {
        assert_null(type);
        return 0;
    }
    wire_writer_t written = {0};
    wire_writer_t again = {0};
    type_description_put(type, &written);
    wire_reader_t rewritten = wire_reader(wire_writer_bytes(&written));
    assert_int_equal(type_description_parse(&rewritten, &copy), FABRIC_OK);
    assert_int_equal(wire_finish(&rewritten), FABRIC_OK);
    type_description_put(copy, &again);
    assert_true(fabric_bytes_equal(wire_writer_bytes(&written), wire_writer_bytes(&again)));
    wire_writer_reset(&again);
    if (type_description_merge(type, copy, &fault, &again)) {
        fail_msg("%s", fault.text);
    }
    assert_true(fabric_bytes_equal(wire_writer_bytes(&written), wire_writer_bytes(&again)));
    type_description_destroy(&copy);
    type_description_destroy(&type);
    wire_writer_destroy(&written);
    wire_writer_destroy(&again);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_seed_vectors("schemas/vectors/types.txt");
}
