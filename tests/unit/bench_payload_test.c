/* Payloads of a load: of their size, the same for a number, others for others; text is JSON. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "bench/payload.h"

enum { SIZE = 300 };

static payload_t payload;

static int clear(void **state)
{
    (void)state;
    payload_clear(&payload);
    return 0;
}

static void follow_from_their_numbers(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < PAYLOAD_KINDS; kind++) {
        uint8_t one[SIZE] = {0}, same[SIZE] = {0}, other[SIZE] = {0};
        payload_init(&payload, (payload_kind_t)kind, SIZE);
        payload_write(&payload, 1, one);
        payload_write(&payload, 1, same);
        payload_write(&payload, 2, other);
        assert_memory_equal(one, same, SIZE);
        assert_memory_not_equal(one, other, SIZE);
        payload_clear(&payload);
    }
}

static void have_their_sizes(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < PAYLOAD_KINDS; kind++) {
        for (uint32_t size = 0; size < SIZE; size++) {
            uint8_t bytes[SIZE + 1];
            memset(bytes, 0, sizeof bytes);
            bytes[size] = 0xee;
            payload_init(&payload, (payload_kind_t)kind, size);
            payload_write(&payload, 7, bytes);
            assert_int_equal(bytes[size], 0xee);
            payload_clear(&payload);
        }
    }
}

/* A copy of an earlier 32 bytes would let random payloads compress. */
static void random_ones_repeat_nothing(void **state)
{
    enum { MESSAGES = 100, PIECE = 8 };
    (void)state;
    static uint8_t all[MESSAGES * SIZE];
    payload_init(&payload, PAYLOAD_RANDOM, SIZE);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        payload_write(&payload, i, all + i * SIZE);
    }
    for (size_t i = 0; i + PIECE <= sizeof all; i += PIECE) {
        assert_null(memmem(all + i + 1, sizeof all - i - 1, all + i, PIECE));
    }
}

static void text_is_orders_in_json(void **state)
{
    (void)state;
    uint8_t bytes[SIZE] = {0};
    payload_init(&payload, PAYLOAD_TEXT, SIZE);
    for (uint64_t i = 0; i < 100; i++) {
        json_error_t why;
        payload_write(&payload, i, bytes);
        json_t *order = json_loadb((const char *)bytes, SIZE, JSON_DISABLE_EOF_CHECK, &why);
        assert_true(json_is_string(json_object_get(order, "sku")));
        json_decref(order);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(follow_from_their_numbers, clear),
        cmocka_unit_test_teardown(have_their_sizes, clear),
        cmocka_unit_test_teardown(random_ones_repeat_nothing, clear),
        cmocka_unit_test_teardown(text_is_orders_in_json, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
