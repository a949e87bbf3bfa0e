/* UTF-8: see utf8.h. */
#include "core/utf8.h"

/* The bounds of the second byte are those of table 3-7 of the Unicode standard: they exclude
 * overlong forms, surrogates and numbers above U+10FFFF. */
size_t utf8_sequence_size(const uint8_t *data, size_t left)
{
    uint8_t lead = data[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t size = 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
        size = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        size = 3;
        low = lead == 0xe0 ? 0xa0 : low;
        high = lead == 0xed ? 0x9f : high;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        size = 4;
        low = lead == 0xf0 ? 0x90 : low;
        high = lead == 0xf4 ? 0x8f : high;
    }
    if (size == 0 || left < size || data[1] < low || data[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool utf8_is_text(fabric_bytes_t bytes)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t tops = 0x8080808080808080u;
    size_t i = 0;
    while (i < bytes.size) {
        uint64_t word;
        if (bytes.size - i >= sizeof word) { /* eight bytes of ASCII without NUL at a time */
            memcpy(&word, bytes.data + i, sizeof word);
            if (((word | (word - ones)) & tops) == 0) {
                i += sizeof word;
                continue;
            }
        }
        if (bytes.data[i] < 0x80) {
            if (bytes.data[i] == 0) {
                return false;
            }
            i++;
            continue;
        }
        size_t size = utf8_sequence_size(bytes.data + i, bytes.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}
