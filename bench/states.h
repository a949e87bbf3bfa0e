/* The entities of the benchmark: what they remember and, of those with persisted state, how large
 * that is and what a message changes in it.
 *
 * A persisted state is a counter and random bytes, which do not compress. Each message counts, and
 * changes eight of the random bytes.
 */
#ifndef BENCH_STATES_H
#define BENCH_STATES_H

#include "bench/messages.h"
#include "core/random.h"

/* What an entity remembers. */
typedef struct bench_entity {
    uint64_t sequence; /* of the last durable message that it handled; 0: none */
} bench_entity_t;

/* The same with persisted state; `size` and `data` are what a field of kind BYTES is in a
 * struct. */
typedef struct bench_state {
    bench_entity_t entity; /* not persisted */
    uint64_t counter;
    uint32_t size;
    uint8_t data[];
} bench_state_t;

#define BENCH_STATE(bytes)                                                                         \
    static const fabric_field_t bench_state_fields_##bytes[] = {                                   \
        FABRIC_U64(bench_state_t, counter), BENCH_BYTES("random", bench_state_t, bytes)};          \
    static const fabric_schema_t bench_state_schema_##bytes = {                                    \
        "State" #bytes, offsetof(bench_state_t, data) + (bytes), bench_state_fields_##bytes, 2}

BENCH_STATE(256);
BENCH_STATE(4096);
BENCH_STATE(65536);

/* There is one type for each size class, because an instance has memory for the largest state of
 * its type. */
static const char *const bench_state_types[BENCH_CLASSES] = {"BenchState256", "BenchState4096",
                                                             "BenchState65536"};

/* The type of the entities that messages of a kind are for; `state_bytes`: of their states. */
static inline const char *bench_type_of(bench_kind_t kind, uint32_t state_bytes)
{
    return bench_is_change(kind) ? bench_state_types[bench_class(state_bytes)] : BENCH_TYPE;
}

#define BENCH_STATE_BYTES_MIN 16
/* From here on a counter has 9 bytes, encoded. */
#define BENCH_COUNTER_FIRST (UINT64_C(1) << 32)

/* How many random bytes are in a state of `bytes` bytes, encoded. (No state has 268: that one has
 * 267.) */
static inline uint32_t bench_state_random(uint32_t bytes)
{
    enum { OTHERS = 12, SHORT_MAX = 255 }; /* longer ones have one byte more before them */
    uint32_t random = bytes - OTHERS;
    return random <= SHORT_MAX ? random : random - 1;
}

static inline void bench_write_random(uint64_t *seed, uint8_t *bytes, uint32_t size)
{
    for (uint32_t at = 0; at < size; at += (uint32_t)sizeof *seed) {
        uint64_t drawn = random_next(seed);
        memcpy(bytes + at, &drawn, size - at < sizeof drawn ? size - at : sizeof drawn);
    }
}

/* What a request of BENCH_STATE_BYTES_MIN..BENCH_SIZE_BYTES_MAX bytes of state changes. */
static inline void bench_state_change(bench_state_t *state, const bench_body_t *request)
{
    uint64_t seed = request->sequence;
    uint32_t size = bench_state_random(request->state_bytes);
    if (state->size != size) { /* the first one, or another load's */
        state->counter = BENCH_COUNTER_FIRST;
        state->size = size;
        bench_write_random(&seed, state->data, size);
    }
    uint32_t changed = size < sizeof seed ? size : (uint32_t)sizeof seed;
    uint32_t at = (uint32_t)random_up_to(&seed, size - changed);
    state->counter++;
    bench_write_random(&seed, state->data + at, changed);
}

#endif
