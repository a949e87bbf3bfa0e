/* Addresses: the function from id to shard, the text form and its parser. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/limits.h"
#include "tests/harness/vectors.h"

static void ids_keep_their_frozen_shards(void **state)
{
    (void)state;
    FILE *file = fopen("schemas/vectors/shards.txt", "r");
    assert_non_null(file);
    char line[1024];
    size_t examples = 0;
    while (fgets(line, sizeof line, file)) {
        char hex[600];
        uint64_t hash = 0;
        uint32_t shards_per_group = 0;
        uint32_t number = 0;
        if (line[0] == '#') {
            continue;
        }
        assert_int_equal(sscanf(line, "%599s %" SCNx64 " %" SCNu32 " %" SCNu32, hex, &hash,
                                &shards_per_group, &number),
                         4);
        size_t size = 0;
        uint8_t *bytes = vectors_parse_hexadecimal(hex, &size);
        assert_int_equal(address_shard_number(fabric_bytes(bytes, size), shards_per_group), number);
        free(bytes);
        assert_int_equal(hash % shards_per_group + 1, number);
        examples++;
    }
    fclose(file);
    assert_true(examples >= 20);
}

static void names_are_1_to_255_bytes(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', sizeof name);
    assert_int_equal(address_check_name(fabric_bytes(name, 0)), FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(address_check_name(fabric_bytes(name, 1)), FABRIC_OK);
    assert_int_equal(address_check_name(fabric_bytes(name, 255)), FABRIC_OK);
    assert_int_equal(address_check_name(fabric_bytes(name, 256)), FABRIC_ERROR_LIMIT_EXCEEDED);
}

static void assert_text(const address_t *address, const char *expected)
{
    wire_writer_t text = {0};
    wire_writer_t storage = {0};
    address_t parsed;
    address_format(address, &text);
    wire_append(&text, "", 1);
    assert_string_equal((char *)text.data, expected);
    wire_append(&storage, "kept", 4);
    assert_int_equal(address_parse((char *)text.data, &storage, &parsed), FABRIC_OK);
    assert_memory_equal(storage.data, "kept", 4);
    assert_true(fabric_bytes_equal(parsed.type, address->type));
    assert_true(fabric_bytes_equal(parsed.id, address->id));
    assert_true(fabric_bytes_equal(parsed.group, address->group));
    assert_int_equal(parsed.shard_number, address->shard_number);
    wire_writer_destroy(&text);
    wire_writer_destroy(&storage);
}

static void text_form_is_that_of_the_reference(void **state)
{
    (void)state;
    assert_text(&(address_t){fabric_bytes_of("Order"), fabric_bytes_of("order-123"),
                             fabric_bytes_of("default"), 7},
                "EntityAddress(Order, order-123, default:7)");
}

static void punctuation_and_unprintable_bytes_are_escaped(void **state)
{
    (void)state;
    assert_text(&(address_t){fabric_bytes_of("a, b"), fabric_bytes("\0\xff\n\\", 4),
                             fabric_bytes_of("g:8"), 16384},
                "EntityAddress(a\\x2c b, \\x00\\xff\\x0a\\x5c, g:8:16384)");
    assert_text(
        &(address_t){fabric_bytes_of(" a  b "), fabric_bytes_of("f(x)"), fabric_bytes_of(" "), 1},
        "EntityAddress(\\x20a  b\\x20, f\\x28x\\x29, \\x20:1)");
    uint8_t all[255];
    for (unsigned i = 0; i < sizeof all; i++) {
        all[i] = (uint8_t)(i + 1);
    }
    address_t address = {fabric_bytes(all, 255), fabric_bytes(all, 200), fabric_bytes(all, 255), 9};
    wire_writer_t text = {0};
    wire_writer_t storage = {0};
    address_t parsed;
    address_format(&address, &text);
    wire_append(&text, "", 1);
    assert_int_equal(address_parse((char *)text.data, &storage, &parsed), FABRIC_OK);
    assert_true(fabric_bytes_equal(parsed.type, address.type));
    assert_true(fabric_bytes_equal(parsed.id, address.id));
    assert_true(fabric_bytes_equal(parsed.group, address.group));
    wire_writer_destroy(&text);
    wire_writer_destroy(&storage);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "",
        "EntityAddress",
        "EntityAddress(Order)",
        "EntityAddress(Order, order-123)",
        "EntityAddress(Order, order-123, default:7",
        "EntityAddress(Order, order-123, default:7) ",
        " EntityAddress(Order, order-123, default:7)",
        "EntityAddress(Order, order-123, default:7))",
        "EntityAddress(Order, order-123, default)",
        "EntityAddress(Order, order-123, default:)",
        "EntityAddress(Order, order-123, default:0)",
        "EntityAddress(Order, order-123, default:07)",
        "EntityAddress(Order, order-123, default:-7)",
        "EntityAddress(Order, order-123, default:16385)",
        "EntityAddress(Order, order-123, default:4294967303)",
        "EntityAddress(, order-123, default:7)",
        "EntityAddress(Order, , default:7)",
        "EntityAddress(Order, order-123, :7)",
        "EntityAddress(Order,order-123, default:7)",
        "EntityAddress(Order,  order-123, default:7)",
        "EntityAddress(Order, order-123, extra, default:7)",
        "EntityAddress(Or(der, order-123, default:7)",
        "EntityAddress(Order\\x41, order-123, default:7)",
        "EntityAddress(Order\\xFF, order-123, default:7)",
        "EntityAddress(Order\\xf, order-123, default:7)",
        "EntityAddress(Order\\, order-123, default:7)",
        "EntityAddress(Or\tder, order-123, default:7)",
    };
    wire_writer_t storage = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        address_t address = {.shard_number = 77};
        if (address_parse(wrong[i], &storage, &address) != FABRIC_ERROR_INVALID_ARGUMENT) {
            fail_msg("taken: %s", wrong[i]);
        }
        assert_int_equal(address.shard_number, 77);
        assert_int_equal(storage.size, 0);
    }
    char text[400] = "EntityAddress(";
    memset(text + strlen(text), 'n', 256);
    strcat(text, ", i, g:1)");
    address_t address;
    assert_int_equal(address_parse(text, &storage, &address), FABRIC_ERROR_INVALID_ARGUMENT);
    memmove(text + 14, text + 15, strlen(text + 15) + 1); /* 255 of them are fine */
    assert_int_equal(address_parse(text, &storage, &address), FABRIC_OK);
    assert_int_equal(address.type.size, 255);
    wire_writer_destroy(&storage);
}

static void bytes_for_people_are_escaped_and_cut(void **state)
{
    (void)state;
    char text[16];
    memset(text, '#', sizeof text);
    bytes_escape(fabric_bytes("a b\\\n", 5), text, sizeof text);
    assert_string_equal(text, "a b\\x5c\\x0a");
    bytes_escape(fabric_bytes_of("123456789012345"), text, sizeof text);
    assert_string_equal(text, "123456789012345");
    bytes_escape(fabric_bytes_of("1234567890123456"), text, sizeof text);
    assert_string_equal(text, "123456789012...");
    bytes_escape(fabric_bytes("\1\2\3\4", 4), text, sizeof text);
    assert_string_equal(text, "\\x01\\x02\\x03...");
    bytes_escape(fabric_bytes("\1\2", 2), text, 8);
    assert_string_equal(text, "\\x01...");
    bytes_escape(fabric_bytes_of("long"), text, 4);
    assert_string_equal(text, "...");
    bytes_escape(fabric_bytes(NULL, 0), text, 4);
    assert_string_equal(text, "");
}

static void incarnations_are_written_in_hexadecimal(void **state)
{
    (void)state;
    incarnation_t incarnation = {{0x0f, 0x3a, 0xff, [15] = 0x81}};
    char text[33];
    assert_string_equal(incarnation_text(incarnation, text), "0f3aff00000000000000000000000081");
    assert_false(incarnation_is_none(incarnation));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_keep_their_frozen_shards),
        cmocka_unit_test(names_are_1_to_255_bytes),
        cmocka_unit_test(text_form_is_that_of_the_reference),
        cmocka_unit_test(punctuation_and_unprintable_bytes_are_escaped),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(bytes_for_people_are_escaped_and_cut),
        cmocka_unit_test(incarnations_are_written_in_hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
