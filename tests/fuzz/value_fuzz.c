/* Single msgpack values: what the cursor steps over, msgpack-c reads too, to the same byte; what
 * becomes a JSON document is such a value, and its text is JSON. */
#include <jansson.h>
#include <msgpack.h>
#include <stdlib.h>

#include "core/document.h"
#include "core/utf8.h"
#include "tests/fuzz/fuzz.h"

static void check_with_msgpack_c(fabric_bytes_t bytes, size_t used)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)bytes.data, bytes.size, &offset),
                     MSGPACK_UNPACK_SUCCESS);
    assert_int_equal(offset, used);
    msgpack_unpacked_destroy(&unpacked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fabric_bytes_t bytes = fabric_bytes(data, size);
    wire_reader_t reader = wire_reader(bytes);
    char *json = NULL;
    wire_type_t type = wire_peek(&reader);
    assert_true((type == WIRE_NONE) == (size == 0));
    wire_skip(&reader);
    bool skipped = !reader.failed;
    if (skipped) {
        check_with_msgpack_c(bytes, size - wire_left(&reader));
    }
    fabric_error_t error = document_to_json(bytes, &json);
    if (error) {
        assert_null(json);
        return 0;
    }
    assert_true(skipped && wire_left(&reader) == 0);
    json_error_t fault;
    json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &fault);
    if (!value) {
        fail_msg("%s", fault.text);
    }
    assert_true(utf8_is_text(fabric_bytes_of(json)));
    json_decref(value);
    free(json);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_seed_vectors("schemas/vectors/values.txt");
    fuzz_seed_vectors("schemas/vectors/types.txt");
    fuzz_seed_vectors("schemas/vectors/payloads.txt");
}
