/* MySQL's packets as far as a COMMIT needs it: 3 bytes of length, 1 of sequence, the payload. A
 * command is number 0 of its sequence, its first byte says which (3: a query). */
#include <string.h>

#include "tests/harness/proxy_state.h"

enum { HEADER_BYTES = 4, QUERY = 3, OK_MARK = 0 };

static size_t payload_bytes(const uint8_t *header)
{
    return header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16;
}

static bool may_be_commit(const uint8_t *header)
{
    return header[3] == 0 && payload_bytes(header) == COMMIT_PACKET_BYTES - HEADER_BYTES;
}

static bool is_commit(const uint8_t *packet)
{
    return packet[HEADER_BYTES] == QUERY && memcmp(packet + HEADER_BYTES + 1, "COMMIT", 6) == 0;
}

static void pass_on(const uint8_t *data, size_t size, uint8_t *pass, size_t *pass_bytes)
{
    memcpy(pass + *pass_bytes, data, size);
    *pass_bytes += size;
}

/* The held bytes are no COMMIT. */
static void release(packets_t *packets, uint8_t *pass, size_t *pass_bytes)
{
    pass_on(packets->held, packets->held_bytes, pass, pass_bytes);
    packets->skip = payload_bytes(packets->held) - (packets->held_bytes - HEADER_BYTES);
    packets->held_bytes = 0;
}

packets_found_t packets_read(packets_t *packets, const uint8_t *data, size_t size, size_t *at,
                             uint8_t *pass, size_t *pass_bytes)
{
    while (*at < size) {
        if (packets->skip > 0) {
            size_t bytes = size - *at < packets->skip ? size - *at : packets->skip;
            pass_on(data + *at, bytes, pass, pass_bytes);
            packets->skip -= bytes;
            *at += bytes;
            continue;
        }
        packets->held[packets->held_bytes++] = data[(*at)++];
        if (packets->held_bytes == HEADER_BYTES && !may_be_commit(packets->held)) {
            release(packets, pass, pass_bytes);
        } else if (packets->held_bytes == COMMIT_PACKET_BYTES) {
            if (is_commit(packets->held)) {
                packets->held_bytes = 0;
                return PACKETS_COMMIT;
            }
            release(packets, pass, pass_bytes);
        }
    }
    return PACKETS_NOTHING;
}

bool answer_read(answer_t *answer, const uint8_t *data, size_t size, bool *ok)
{
    size_t head = sizeof answer->head;
    for (size_t i = 0; i < size && answer->seen + i < head; i++) {
        answer->head[answer->seen + i] = data[i];
    }
    answer->seen += size;
    *ok = answer->seen >= head && answer->head[HEADER_BYTES] == OK_MARK;
    return answer->seen >= head && answer->seen >= HEADER_BYTES + payload_bytes(answer->head);
}
