/* The payloads of a load: other bytes in each message, which follow from the message's number.
 *
 *   random   bytes that do not compress
 *   text     orders in JSON, whose numbers differ in each message; about 3 times smaller with LZ4
 *
 * Threading: one thread at a time.
 */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdint.h>

typedef enum payload_kind { PAYLOAD_RANDOM, PAYLOAD_TEXT, PAYLOAD_KINDS } payload_kind_t;

/* "random", "text", NULL. */
extern const char *const payload_kind_names[PAYLOAD_KINDS + 1];

/* Zero-initialised it makes random payloads of no size. */
typedef struct payload {
    payload_kind_t kind;
    uint32_t size;    /* bytes */
    char *text;       /* TEXT: what is the same in all messages */
    uint32_t *digits; /* TEXT: where the digits that differ stand */
    uint32_t digits_count;
} payload_t;

void payload_init(payload_t *payload, payload_kind_t kind, uint32_t size);
void payload_clear(payload_t *payload);

/* The payload of the message with this number: `size` bytes. */
void payload_write(const payload_t *payload, uint64_t number, uint8_t *bytes);

#endif
