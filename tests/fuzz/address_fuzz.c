/* Addresses: a text that is read is the one that is written, and every address survives its
 * text. */
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/limits.h"
#include "tests/fuzz/fuzz.h"

static void expect_same(const address_t *left, const address_t *right)
{
    assert_true(fabric_bytes_equal(left->type, right->type));
    assert_true(fabric_bytes_equal(left->id, right->id));
    assert_true(fabric_bytes_equal(left->group, right->group));
    assert_int_equal(left->shard_number, right->shard_number);
}

static void check_text(fabric_bytes_t bytes)
{
    char *text = fuzz_text(bytes);
    wire_writer_t storage = {0};
    wire_writer_t written = {0};
    address_t address;
    if (address_parse(text, &storage, &address) == FABRIC_OK) {
        address_format(&address, &written);
        assert_true(fabric_bytes_equal(wire_writer_bytes(&written), fabric_bytes_of(text)));
    }
    wire_writer_destroy(&storage);
    wire_writer_destroy(&written);
    free(text);
}

static void check_address(fuzz_input_t *input)
{
    fabric_bytes_t type = fuzz_block(input);
    fabric_bytes_t id = fuzz_block(input);
    fabric_bytes_t group = fuzz_block(input);
    address_t address = {type, id, group,
                         1 + address_shard_number(id, LIMIT_SHARDS_PER_GROUP_MAX - 1)};
    if (!address_check_name(type) && !address_check_name(id) && !address_check_name(group)) {
        wire_writer_t text = {0};
        wire_writer_t storage = {0};
        address_t again;
        address_format(&address, &text);
        wire_append(&text, "", 1);
        assert_int_equal(address_parse((const char *)text.data, &storage, &again), FABRIC_OK);
        expect_same(&address, &again);
        wire_writer_destroy(&text);
        wire_writer_destroy(&storage);
    }
    free((void *)(uintptr_t)type.data);
    free((void *)(uintptr_t)id.data);
    free((void *)(uintptr_t)group.data);
}

static void check_escape(fabric_bytes_t bytes, size_t max)
{
    char *text = malloc(max);
    assert_non_null(text);
    bytes_escape(bytes, text, max);
    assert_true(strlen(text) < max);
    for (const char *next = text; *next; next++) {
        assert_in_range(*next, ' ', '~');
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = fuzz_input(data, size);
    uint8_t first = fuzz_byte(&input);
    if (first == 'E') {
        check_text(fabric_bytes(data, size));
    } else if (first % 2) {
        check_address(&input);
    } else {
        check_escape(fuzz_rest(&input), 4u + first);
    }
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_seed(fabric_bytes_of("EntityAddress(Order, order-123, default:7)"));
    fuzz_seed(fabric_bytes_of("EntityAddress(\\x28\\x5c, \\x20a\\xff\\x20, g:16384)"));
    fuzz_seed(fabric_bytes("\1\0\5Order\0\3(,)\0\1g", 16));
    fuzz_seed(fabric_bytes_of("\2 escaped\n\\ \377"));
}
