/* The payloads of a load: see payload.h. */
#include "bench/payload.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"

const char *const payload_kind_names[PAYLOAD_KINDS + 1] = {
    [PAYLOAD_RANDOM] = "random", [PAYLOAD_TEXT] = "text", [PAYLOAD_KINDS] = NULL};

/* # is a digit that differs. */
static const char order[] = "{\"order\":\"A-######\",\"customer\":\"C-####\",\"sku\":\"SKU-#####\","
                            "\"quantity\":#,\"price\":\"###.##\",\"currency\":\"EUR\"},";

void payload_init(payload_t *payload, payload_kind_t kind, uint32_t size)
{
    *payload = (payload_t){.kind = kind, .size = size};
    if (kind != PAYLOAD_TEXT) {
        return;
    }
    payload->text = memory_allocate_zeroed(size + 1u, 1);
    payload->digits = memory_allocate_zeroed(size + 1u, sizeof *payload->digits);
    for (uint32_t i = 0; i < size; i++) {
        payload->text[i] = order[i % (sizeof order - 1)];
        if (payload->text[i] == '#') {
            payload->digits[payload->digits_count++] = i;
        }
    }
}

void payload_clear(payload_t *payload)
{
    free(payload->text);
    free(payload->digits);
    *payload = (payload_t){.kind = PAYLOAD_RANDOM};
}

static void write_random(uint64_t state, uint32_t size, uint8_t *bytes)
{
    for (uint32_t at = 0; at < size; at += (uint32_t)sizeof state) {
        uint64_t drawn = random_next(&state);
        uint32_t left = size - at;
        memcpy(bytes + at, &drawn, left < sizeof drawn ? left : sizeof drawn);
    }
}

void payload_write(const payload_t *payload, uint64_t number, uint8_t *bytes)
{
    enum { DIGIT_BITS = 4, DIGITS_DRAWN = 64 / DIGIT_BITS };
    if (payload->kind == PAYLOAD_RANDOM) {
        write_random(number, payload->size, bytes);
        return;
    }
    uint64_t state = number;
    uint64_t drawn = 0;
    memcpy(bytes, payload->text, payload->size);
    for (uint32_t i = 0; i < payload->digits_count; i++) {
        drawn = i % DIGITS_DRAWN == 0 ? random_next(&state) : drawn >> DIGIT_BITS;
        bytes[payload->digits[i]] = (uint8_t)('0' + drawn % (1u << DIGIT_BITS) * 10 / 16);
    }
}
