/* SHA-256 against the examples of FIPS 180-4, and each length around a block against another program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/sha256.h"

static const char *hex_of(fabric_bytes_t bytes, char text[2 * SHA256_BYTES + 1])
{
    uint8_t digest[SHA256_BYTES];
    sha256(bytes, digest);
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    return text;
}

static void examples_of_the_standard(void **state)
{
    (void)state;
    static const char *const examples[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
         "mno"
         "pqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char text[2 * SHA256_BYTES + 1];
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        assert_string_equal(hex_of(fabric_bytes_of(examples[i][0]), text), examples[i][1]);
    }
}

static void a_million_times_a(void **state)
{
    (void)state;
    static uint8_t bytes[1000000];
    char text[2 * SHA256_BYTES + 1];
    memset(bytes, 'a', sizeof bytes);
    assert_string_equal(hex_of(fabric_bytes(bytes, sizeof bytes), text),
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* The digest of all digests of 0 to 200 bytes: as made by another program. */
static void all_lengths_around_a_block(void **state)
{
    (void)state;
    uint8_t bytes[200];
    uint8_t digests[sizeof bytes + 1][SHA256_BYTES];
    char text[2 * SHA256_BYTES + 1];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t size = 0; size <= sizeof bytes; size++) {
        sha256(fabric_bytes(bytes, size), digests[size]);
    }
    assert_string_equal(hex_of(fabric_bytes(digests, sizeof digests), text),
                        "64ef7c229fce2408b5336b6a542fea0e078c3a87d2da85cb3fc52e2008b65021");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standard),
        cmocka_unit_test(a_million_times_a),
        cmocka_unit_test(all_lengths_around_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
