/* Persisted states of the benchmark: their encoded sizes, and what a message changes in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bench/states.h"
#include "core/memory.h"

static const fabric_schema_t *const schemas[BENCH_CLASSES] = {
    &bench_state_schema_256, &bench_state_schema_4096, &bench_state_schema_65536};

enum { MESSAGES = 40, CHANGED_BYTES_MAX = 16 };

/* Encodes the state after one more message. */
static size_t change(bench_state_t *state, uint64_t sequence, uint32_t bytes, uint8_t *encoded)
{
    const bench_body_t request = {.sequence = sequence, .state_bytes = bytes};
    size_t size = 0;
    bench_state_change(state, &request);
    assert_int_equal(fabric_schema_encode(schemas[bench_class(bytes)], state, encoded,
                                          2 * BENCH_SIZE_BYTES_MAX, NULL, &size),
                     FABRIC_OK);
    return size;
}

static void have_their_sizes(void **context)
{
    static const uint32_t sizes[] = {
        BENCH_STATE_BYTES_MIN, 17, 19, 20, 100, 256, 257, 267, 269, 4096, 4097,
        BENCH_SIZE_BYTES_MAX};
    (void)context;
    bench_state_t *state = memory_allocate_zeroed(1, schemas[BENCH_CLASSES - 1]->size);
    uint8_t *encoded = memory_allocate(2 * (size_t)BENCH_SIZE_BYTES_MAX);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint64_t sequence = 1; sequence < MESSAGES; sequence++) {
            assert_int_equal(change(state, sequence, sizes[i], encoded), sizes[i]);
        }
    }
    free(encoded);
    free(state);
}

/* A whole state that is new each time would say nothing of comparing and sending old bytes. */
static void change_a_little_with_each_message(void **context)
{
    enum { BYTES = 1000 };
    (void)context;
    bench_state_t *state = memory_allocate_zeroed(1, schemas[1]->size);
    static uint8_t encoded[2][2 * BENCH_SIZE_BYTES_MAX];
    assert_int_equal(change(state, 1, BYTES, encoded[1]), BYTES);
    for (uint64_t sequence = 2; sequence < MESSAGES; sequence++) {
        uint32_t changed = 0;
        uint64_t counter = state->counter;
        change(state, sequence, BYTES, encoded[sequence % 2]);
        for (size_t i = 0; i < BYTES; i++) {
            changed += encoded[0][i] != encoded[1][i];
        }
        assert_in_range(changed, 2, CHANGED_BYTES_MAX);
        assert_int_equal(state->counter, counter + 1);
    }
    free(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(have_their_sizes),
        cmocka_unit_test(change_a_little_with_each_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
