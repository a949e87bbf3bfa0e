/* Base64 and UTF-8: what is encoded is decoded the same, only what the encoder writes is decoded,
 * and jansson has the same opinion of what is UTF-8. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/utf8.h"
#include "tests/fuzz/fuzz.h"

static void check_encoding(fabric_bytes_t bytes)
{
    size_t size = 0;
    char *text = malloc(base64_size(bytes.size) + 1);
    uint8_t *again = malloc(base64_size(bytes.size) / 4 * 3 + 1);
    assert_true(text && again);
    base64_encode(bytes, text);
    assert_int_equal(strlen(text), base64_size(bytes.size));
    assert_true(base64_decode(fabric_bytes_of(text), again, &size));
    assert_true(fabric_bytes_equal(fabric_bytes(again, size), bytes));
    free(again);
    free(text);
}

static void check_decoding(fabric_bytes_t text)
{
    size_t size = 0;
    uint8_t *bytes = malloc(text.size / 4 * 3 + 1);
    assert_non_null(bytes);
    if (base64_decode(text, bytes, &size)) {
        char *again = malloc(base64_size(size) + 1);
        assert_non_null(again);
        base64_encode(fabric_bytes(bytes, size), again);
        assert_true(fabric_bytes_equal(fabric_bytes_of(again), text));
        free(again);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fabric_bytes_t bytes = fabric_bytes(data, size);
    check_encoding(bytes);
    check_decoding(bytes);
    json_t *string = json_stringn((const char *)data, size);
    bool expected = string && !(size > 0 && memchr(data, 0, size));
    assert_true(utf8_is_text(bytes) == expected);
    json_decref(string);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_seed(fabric_bytes_of("AAH/"));
    fuzz_seed(fabric_bytes_of("AA=="));
    fuzz_seed(fabric_bytes_of("AAE="));
    fuzz_seed(fabric_bytes_of("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    fuzz_seed(fabric_bytes_of("\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80"));
}
